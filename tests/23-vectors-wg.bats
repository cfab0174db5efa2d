#!/usr/bin/env bats
# wg's grammar: vectors W1-W49, one test each. What a file asks of a device is
# compared byte for byte: tests/conf-tool's answer with the vector's, and with
# what the installed wg sends for the same file (to lib/fake-uapi). What is more
# than parsing - endpoints, retries, the device - goes through `up`.
# Tests tagged text ask no kernel anything: check-vm leaves them out.
# shellcheck disable=SC2154 # stderr, stderr_lines: bats fills them

K=oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM=
P=GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=
Q=xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
ZERO=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
K_ASKED="private_key=a0ae7a0c4f547bdccaefaac073ca4197aa29a61fb5bf7ea59bb7175ec40aad03\n"
P_ASKED="public_key=1ad2fb7d973f6cb9ea6657695687cc083ea10e3acadbc4ac74bc5ebc9faab4a5\n"
ZERO_HEX=0000000000000000000000000000000000000000000000000000000000000000
I="[Interface]\nPrivateKey = $K\n"
R="[Peer]\nPublicKey = $P\n"
REPLACE="replace_allowed_ips=true\n"

setup_file() {
	load lib/host
	host_up
	host_remember
}

teardown_file() {
	load lib/host
	fake_gone
	host_down
}

setup() {
	load lib/host
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	# Only after a failure is there one: the next test shall not fail for it.
	wg-nsquick down wg0 > /dev/null 2>&1 3>&- || true
	printf 'nameserver 192.0.2.53\n' > /etc/resolv.conf
}

# ---- what a file asks ----

# A device for wg to talk to, whose requests are in $LOG. assert_clean would see it.
fake_here() {
	LOG=$BATS_FILE_TMPDIR/requests
	[[ -S /run/wireguard/fake0.sock ]] || "$BATS_TEST_DIRNAME/lib/fake-uapi" fake0 "$LOG"
	: > "$LOG"
}
fake_gone() { rm -f /run/wireguard/fake0.sock; }

# Whether to ask the installed wg too. The virtual machine has the same one, the
# same files, and is slow.
wg_too() { [[ -z ${WG_NSQUICK_VM-} ]]; }

# Whether the installed wg knows + and - in AllowedIPs.
wg_is_new() { [[ $(wg --version) =~ v1\.0\.([0-9]{8}) ]] && ((BASH_REMATCH[1] >= 20250521)); }

# asks_us TEXT REQUEST [WARNINGS], all in printf's form: the file is accepted, and asks for this.
asks_us() {
	printf '%b' "$1" > wg0.conf
	printf 'set=1\n%b\n' "$2" > expected
	printf '%b' "${3-}" > expected.err
	"$BUILD_DIR/tests/conf-tool" payload wg0.conf > ours 2> ours.err || fail "refused: ${1:0:200}: $(cat ours.err)"
	same expected ours "$1"
	same expected.err ours.err "$1"
}

# asks TEXT REQUEST [WARNINGS]: and the installed wg asks for the same.
asks() {
	asks_us "$@"
	wg_too || return 0
	fake_here
	wg addconf fake0 wg0.conf 2> theirs.err || fail "wg refuses: ${1:0:200}: $(cat theirs.err)"
	# A zone is the number of a link or its name.
	[[ $1 != *%lo* ]] || sed -i 's/%1\]/%lo]/' expected
	same expected "$LOG" "$1"
	same expected.err theirs.err "$1"
}

# same EXPECTED ACTUAL TEXT: two files have the same bytes; TEXT is what they are about.
same() {
	cmp -s "$1" "$2" || { diff -u "$1" "$2"; fail "differs for: ${3:0:200}"; }
}

# refuses_us TEXT LINE MESSAGE: one line that says where, with wg's words, and no key.
refuses_us() {
	printf '%b' "$1" > wg0.conf
	run --separate-stderr "$BUILD_DIR/tests/conf-tool" payload wg0.conf
	assert_failure 1
	assert_output ""
	told "conf-tool: wg0.conf:$2: " "$3" "$stderr"
}

# told BEGINNING MESSAGE OUTPUT
told() {
	[[ $3 != *$'\n'* ]] || fail "more than one line: $3"
	[[ $3 == "$1"* ]] || fail "expected: $1… actual: $3"
	[[ $3 == *"$2"*"; expected "* ]] || fail "expected: …$2…; expected … actual: $3"
	[[ $3 != *"${K:0:16}"* && $3 != *"${K:20:16}"* ]] || fail "a key is shown: $3"
}

# refuses TEXT LINE MESSAGE: and the installed wg refuses it with these words.
refuses() {
	refuses_us "$@"
	wg_too || return 0
	fake_here
	run --separate-stderr wg addconf fake0 wg0.conf
	assert_failure 1
	[[ ${stderr_lines[0]} == "$3"* ]] || fail "wg, expected: $3… actual: $stderr"
	[[ ! -s $LOG ]]
}

# ---- what becomes of it ----

# write TEXT: the file of wg0.
write() {
	printf '%b' "$1" > /etc/wireguard/wg0.conf
	chmod 600 /etc/wireguard/wg0.conf
}

# up_refuses TEXT LINE MESSAGE [LINE-BEFORE…]: `up` ends with status 1 and one line (after these), and leaves nothing.
up_refuses() {
	local before
	write "$1"
	fake_gone
	run timeout 60 wg-nsquick up wg0
	assert_failure 1
	for before in "${@:4}"; do
		assert_equal "${lines[0]}" "$before"
		output=${output#*$'\n'}
		lines=("${lines[@]:1}")
	done
	told "wg-nsquick: /etc/wireguard/wg0.conf:$2: " "$3" "$output"
	assert_clean
}

up() {
	write "$1"
	fake_gone
	run wg-nsquick up wg0
	assert_success
}

down() {
	run wg-nsquick down wg0
	assert_success
	assert_clean
}

device() { ip netns exec wg0 wg show wg0 "$@"; }

# Names that do not resolve, at once: the host's resolver is nobody.
no_resolver() { printf 'nameserver 127.0.0.1\n' > /etc/resolv.conf; }

# took LOW: between $1 and a bit more milliseconds went by since $began. (The virtual machine is slow.)
took() {
	local ms=$(((${EPOCHREALTIME/[.,]/} - ${began/[.,]/}) / 1000))
	((ms >= $1 && ms <= 2 * $1 + ${WG_NSQUICK_VM:+20}000 + 1500)) || fail "it took $ms ms; expected some more than $1"
}

@test "W1: an empty file" {
	asks "" ""
	asks "\n \n# nothing\n" ""
	up ""
	run device dump
	assert_output --regexp $'^\\(none\\)\t\\(none\\)\t[0-9]+\toff$'
	down
}

# bats test_tags=text
@test "W2: a key before any section (deviation: it is not shown)" {
	refuses "PrivateKey = $K\n" 1 "Line unrecognized: \`PrivateKey="
	refuses "# c\n\nListenPort = 5\n" 3 "Line unrecognized: \`ListenPort=5'"
}

# bats test_tags=text
@test "W3: names in any case" {
	asks "[INTERFACE]\nPRIVATEKEY=$K\n[pEER]\npublickey=$P\nallowedips=10.0.0.0/8\n" "$K_ASKED$P_ASKED${REPLACE}allowed_ip=10.0.0.0/8\n"
}

# bats test_tags=text
@test "W4: blanks inside of names" {
	asks "[ Inter face ]\nPri vate Key = $K\n" "$K_ASKED"
	asks "[\tP e e r ]\nPublic Key\v=\f$P\n" "$P_ASKED$REPLACE"
}

# bats test_tags=text
@test "W5: CRLF" {
	asks "[Interface]\r\nPrivateKey = $K\r\nListenPort = 7\r\n\r\n[Peer]\r\nPublicKey = $P\r\n" "${K_ASKED}listen_port=7\n$P_ASKED$REPLACE"
}

# bats test_tags=text
@test "W6: a byte order mark" {
	refuses '\xef\xbb\xbf[Interface]\nListenPort = 7\n' 1 "Line unrecognized: \`"
	[[ $(cat "$BATS_TEST_TMPDIR/wg0.conf") == $'\xef\xbb\xbf'* ]]
}

@test "W7: lines that are nothing" {
	refuses "$I;foo\n" 3 "Line unrecognized: \`;foo'"
	refuses "$I\n[Foo]\n" 4 "Line unrecognized: \`[Foo]'"
	refuses "${I}Foo=1\n" 3 "Line unrecognized: \`Foo=1'"
	refuses "${I}F o o = b a r # c\n" 3 "Line unrecognized: \`Foo=bar'"
	refuses "${I}ListenPort\n" 3 "Line unrecognized: \`ListenPort'"
	refuses "[Interface][Peer]\n" 1 "Line unrecognized: \`[Interface][Peer]'"
	up_refuses "${I}Foo=1\n" 3 "Line unrecognized: \`Foo=1'"
}

# bats test_tags=text
@test "W8: wg-quick's keys where they do not belong" {
	refuses "$I${R}Address=10.0.0.1/24\n" 5 "Line unrecognized: \`Address=10.0.0.1/24'"
	refuses "[ Interface ]\nAddress = 10.0.0.1/24\n" 2 "Line unrecognized: \`Address=10.0.0.1/24'"
}

# bats test_tags=text
@test "W9: wg's keys in the other section" {
	refuses "$I${R}ListenPort = 7\n" 5 "Line unrecognized: \`ListenPort=7'"
	refuses "${I}AllowedIPs = 10.0.0.0/8\n" 3 "Line unrecognized: \`AllowedIPs=10.0.0.0/8'"
}

# bats test_tags=text
@test "W10: empty values" {
	local key
	for key in PrivateKey ListenPort FwMark; do
		refuses "[Interface]\n$key =\n" 2 "Line unrecognized: \`$key='"
	done
	for key in PublicKey PresharedKey AllowedIPs Endpoint PersistentKeepalive; do
		refuses "$I$R$key = # none\n" 5 "Line unrecognized: \`$key='"
	done
}

# bats test_tags=text
@test "W11: sections in any order, and twice" {
	asks "$R$I" "$K_ASKED$P_ASKED$REPLACE"
	asks "[Interface]\nListenPort = 1\n${R}[Interface]\nListenPort = 2\nFwMark = 3\n" "listen_port=2\nfwmark=3\n$P_ASKED$REPLACE"
}

@test "W12: a peer without a key" {
	refuses "${I}[Peer]\nAllowedIPs = 10.0.0.0/8\n" 3 "A peer is missing a public key"
	refuses "${I}[Peer]\n$R" 3 "A peer is missing a public key"
	refuses "$I$R\n[Peer]\n" 6 "A peer is missing a public key"
	up_refuses "${I}[Peer]\nAllowedIPs = 10.0.0.0/8\n" 3 "A peer is missing a public key"
}

@test "W13: a peer twice: the later allowed IPs, the endpoint stays" {
	asks "$I${R}AllowedIPs = 10.0.0.0/8\nEndpoint = 1.2.3.4:5\n${R}AllowedIPs = 11.0.0.0/8\n" \
		"$K_ASKED${P_ASKED}endpoint=1.2.3.4:5\n${REPLACE}allowed_ip=10.0.0.0/8\n$P_ASKED${REPLACE}allowed_ip=11.0.0.0/8\n"
	up "$I${R}AllowedIPs = 10.0.0.0/8\nEndpoint = 1.2.3.4:5\n${R}AllowedIPs = 11.0.0.0/8\n"
	run device endpoints
	assert_output "$P"$'\t'"1.2.3.4:5"
	run device allowed-ips
	assert_output "$P"$'\t'"11.0.0.0/8"
	run ip -n wg0 -4 route show
	assert_equal "${#lines[@]}" 1
	assert_output --partial "11.0.0.0/8 dev wg0"
	down
}

# bats test_tags=text
@test "W14: forms of ListenPort" {
	asks "[Interface]\nListenPort = 0\n" "listen_port=0\n"
	asks "[Interface]\nListenPort = 65535\n" "listen_port=65535\n"
	asks "[Interface]\nListenPort = 010\n" "listen_port=10\n"
	asks "[Interface]\nListenPort = +5\n" "listen_port=5\n"
	asks "[Interface]\nListenPort = 5 1 8\n" "listen_port=518\n"
	asks "[Interface]\nListenPort = domain\n" "listen_port=53\n"
}

# bats test_tags=text
@test "W15: ListenPort above 65535 is refused (deviation: it wrapped to another port)" {
	local port
	for port in 65536 70000 99999999999; do
		refuses_us "[Interface]\nListenPort = $port\n" 2 "Servname not supported for ai_socktype: \`$port'"
		assert_equal "${stderr#*; }" "expected a port 0-65535"
		# Why we deviate.
		wg_too || continue
		fake_here
		wg addconf fake0 wg0.conf
		grep -qxE 'listen_port=(0|4464|59391)' "$LOG"
	done
}

# bats test_tags=text
@test "W16: what is no ListenPort" {
	local port
	for port in -1 0x10 http bogus =5; do
		refuses "[Interface]\nListenPort = $port\n" 2 "Servname not supported for ai_socktype: \`$port'"
	done
}

# bats test_tags=text
@test "W17: forms of FwMark" {
	asks "[Interface]\nFwMark = off\n" "fwmark=0\n"
	asks "[Interface]\nFwMark = OFF\n" "fwmark=0\n"
	asks "[Interface]\nFwMark = 0\n" "fwmark=0\n"
	asks "[Interface]\nFwMark = 0x10\n" "fwmark=16\n"
	asks "[Interface]\nFwMark = 010\n" "fwmark=10\n"
	asks "[Interface]\nFwMark = 4294967295\n" "fwmark=4294967295\n"
	asks "[Interface]\nFwMark = 0xffffffff\n" "fwmark=4294967295\n"
}

# bats test_tags=text
@test "W18: what is no FwMark" {
	local mark
	for mark in 0X10 0x 0xzz 10z -1 +1 4294967296 0x100000000; do
		refuses "[Interface]\nFwMark = $mark\n" 2 "Fwmark is neither 0/off nor 0-0xffffffff: \`$mark'"
	done
}

# bats test_tags=text
@test "W19: forms of PersistentKeepalive" {
	local value
	for value in off Off 0; do
		asks "${R}PersistentKeepalive = $value\n" "${P_ASKED}persistent_keepalive_interval=0\n$REPLACE"
	done
	asks "${R}PersistentKeepalive = 65535\n" "${P_ASKED}persistent_keepalive_interval=65535\n$REPLACE"
	asks "${R}PersistentKeepalive = 010\n" "${P_ASKED}persistent_keepalive_interval=10\n$REPLACE"
	asks "${R}PersistentKeepalive = 2 5\n" "${P_ASKED}persistent_keepalive_interval=25\n$REPLACE"
}

# bats test_tags=text
@test "W20: what is no PersistentKeepalive" {
	local value
	for value in 65536 25s -1 0x19; do
		refuses "$I${R}PersistentKeepalive = $value\n" 5 "Persistent keepalive interval is neither 0/off nor 1-65535: \`$value'"
	done
}

@test "W21: what is no key (deviation: it is not shown)" {
	local key name
	# One character less, one more, no =, the alphabet of URLs, bits in the last one that no key has.
	for key in "${K#?}" "x$K" "${K%=}x" "_${K#?}" "-${K#?}" "${K%M=}N="; do
		refuses "[Interface]\nPrivateKey = $key\n" 2 "Key is not the correct length or format"
		for name in PublicKey PresharedKey; do
			refuses "$R$name = $key\n" 3 "Key is not the correct length or format"
		done
	done
	up_refuses "[Interface]\n\nPrivateKey = ${K%M=}N=\n" 3 "Key is not the correct length or format"
}

# bats test_tags=text
@test "W22: blanks inside of keys, and keys of zeros" {
	asks "[Interface]\nPrivateKey = ${K:0:7} ${K:7:20}\t${K:27}\n" "$K_ASKED"
	asks "[Interface]\nPrivateKey = $ZERO\n[Peer]\nPublicKey = $ZERO\nPresharedKey = $ZERO\n" \
		"private_key=$ZERO_HEX\npublic_key=$ZERO_HEX\npreshared_key=$ZERO_HEX\n$REPLACE"
}

# bats test_tags=text
@test "W23: a # in a key (deviation: the rest is not shown)" {
	refuses "[Interface]\nPrivateKey = ${K:0:20}#${K:21}\n" 2 "Key is not the correct length or format"
}

# bats test_tags=text
@test "W24: AllowedIPs without a mask" {
	asks "${R}AllowedIPs = 10.0.0.1\n" "$P_ASKED${REPLACE}allowed_ip=10.0.0.1/32\n"
	asks "${R}AllowedIPs = ::\n" "$P_ASKED${REPLACE}allowed_ip=::/128\n"
}

@test "W25: host bits are warned about and kept" {
	local item
	for item in 10.0.0.1/8 fd00::1/64 1.2.3.4/0; do
		asks "${R}AllowedIPs = $item\n" "$P_ASKED${REPLACE}allowed_ip=$item\n" "Warning: AllowedIP has nonzero host part: $item\n"
	done
	asks "${R}AllowedIPs = 10.0.0.1/8, 11.0.0.0/8, fd00::1/64\n" \
		"$P_ASKED${REPLACE}allowed_ip=10.0.0.1/8\nallowed_ip=11.0.0.0/8\nallowed_ip=fd00::1/64\n" \
		"Warning: AllowedIP has nonzero host part: 10.0.0.1/8\nWarning: AllowedIP has nonzero host part: fd00::1/64\n"
	up "$I${R}AllowedIPs = 10.0.0.1/8\n"
	assert_line "Warning: AllowedIP has nonzero host part: 10.0.0.1/8"
	run device allowed-ips
	assert_output "$P"$'\t'"10.0.0.0/8"
	down
}

# bats test_tags=text
@test "W26: lists of AllowedIPs, on one line and several" {
	asks "${R}AllowedIPs = 10.0.0.0/8, fd00::/8 ,::/0\nAllowedIPs = 9.0.0.0/8\n" \
		"$P_ASKED${REPLACE}allowed_ip=10.0.0.0/8\nallowed_ip=fd00::/8\nallowed_ip=::/0\nallowed_ip=9.0.0.0/8\n"
}

# bats test_tags=text
@test "W27: empty items of AllowedIPs" {
	local value
	for value in "10.0.0.0/8," ,10.0.0.0/8 10.0.0.0/8,,11.0.0.0/8 /8; do
		refuses "$I${R}AllowedIPs = $value\n" 5 "Unable to parse IP address: \`'"
	done
}

@test "W28: what is no address" {
	local value
	for value in 10/8 10.0.0/24 010.0.0.1/32 example.com/32 fe80::1%lo/128 "[fd00::1]/128"; do
		refuses "$I${R}AllowedIPs = 1.0.0.0/8, $value\n" 5 "Unable to parse IP address: \`${value%/*}'"
	done
	up_refuses "$I${R}AllowedIPs = 10/8\n" 5 "Unable to parse IP address: \`10'"
}

# bats test_tags=text
@test "W29: what is no mask" {
	local value
	for value in 10.0.0.0/33 fd00::/129 10.0.0.0/ 10.0.0.0/+8 10.0.0.0/-8 10.0.0.0/8/8 10.0.0.0/255.0.0.0 10.0.0.0/18446744073709551624 \
		"10.0.0.0/8;11.0.0.0/8"; do
		refuses "$I${R}AllowedIPs = $value\n" 5 "AllowedIP is not in the correct format: \`$value'"
	done
	refuses "$I${R}AllowedIPs = 10.0.0.0/8 11.0.0.0/8\n" 5 "AllowedIP is not in the correct format: \`10.0.0.0/811.0.0.0/8'"
}

# bats test_tags=text
@test "W30: zeros before a mask, and duplicates" {
	asks "${R}AllowedIPs = 10.0.0.0/08\n" "$P_ASKED${REPLACE}allowed_ip=10.0.0.0/8\n"
	asks "${R}AllowedIPs = 10.0.0.0/8,10.0.0.0/8\n" "$P_ASKED${REPLACE}allowed_ip=10.0.0.0/8\nallowed_ip=10.0.0.0/8\n"
}

@test "W31: + and - add to what the peer has, and take from it" {
	local asks=asks_us
	wg_is_new && asks=asks
	$asks "${R}AllowedIPs = +10.0.0.0/8,-11.0.0.0/8,12.0.0.0/8\n" "${P_ASKED}allowed_ip=10.0.0.0/8\nallowed_ip=-11.0.0.0/8\nallowed_ip=12.0.0.0/8\n"
	up "${I}PreUp = wg set %i peer $P allowed-ips 11.0.0.0/8,13.0.0.0/8 peer $Q allowed-ips 14.0.0.0/8\n${R}AllowedIPs = +10.0.0.0/8,-11.0.0.0/8,12.0.0.0/8\n"
	run sorted_allowed_ips
	assert_output "$(printf '%s\n' "$P 10.0.0.0/8 12.0.0.0/8 13.0.0.0/8" "$Q 14.0.0.0/8")"
	run ip -n wg0 -4 -o route show
	refute_output --partial 11.0.0.0
	down
}

# One line for each peer, its allowed IPs in order.
sorted_allowed_ips() {
	local key ips
	while read -r key ips; do
		# shellcheck disable=SC2046,SC2086
		echo "$key" $(printf '%s\n' $ips | sort)
	done < <(device allowed-ips) | sort
}

@test "W32: a later line without + replaces again" {
	local asks=asks_us
	wg_is_new && asks=asks
	$asks "${R}AllowedIPs = +10.0.0.0/8\nAllowedIPs = 11.0.0.0/8\n" "$P_ASKED${REPLACE}allowed_ip=10.0.0.0/8\nallowed_ip=11.0.0.0/8\n"
	up "${I}PreUp = wg set %i peer $P allowed-ips 13.0.0.0/8\n${R}AllowedIPs = +10.0.0.0/8\nAllowedIPs = 11.0.0.0/8\n"
	run sorted_allowed_ips
	assert_output "$P 10.0.0.0/8 11.0.0.0/8"
	down
	# The other way round it does not.
	up "${I}PreUp = wg set %i peer $P allowed-ips 13.0.0.0/8\n${R}AllowedIPs = 11.0.0.0/8\nAllowedIPs = +10.0.0.0/8\n"
	run sorted_allowed_ips
	assert_output "$P 10.0.0.0/8 11.0.0.0/8 13.0.0.0/8"
	down
}

# bats test_tags=text
@test "W33: one + is enough" {
	local refuses=refuses_us
	wg_is_new && refuses=refuses
	$refuses "$I${R}AllowedIPs = ++10.0.0.0/8\n" 5 "Unable to parse IP address: \`+10.0.0.0'"
	$refuses "$I${R}AllowedIPs = --10.0.0.0/8\n" 5 "Unable to parse IP address: \`-10.0.0.0'"
}

# bats test_tags=text
@test "W34: endpoints without a port" {
	local value
	for value in 1.2.3.4 1.2.3.4: "[::1]" "[::1]:" "[::1]x:5"; do
		refuses "$I${R}Endpoint = $value\n" 5 "Unable to find port of endpoint: \`$value'"
	done
}

# bats test_tags=text
@test "W35: a bracket that is not closed" {
	refuses "$I${R}Endpoint = [::1\n" 5 "Unable to find matching brace of endpoint: \`[::1'"
}

# endpoints FORM=SHOWN…: in one file, each resolved by `up`, they become these.
endpoints() {
	local text="[Interface]\n" pair n=0 key
	: > expected
	for pair; do
		# A key of its own for each: 43 letters and digits, of which the last is even.
		printf -v key 'key%039dA=' $((n += 1))
		text+="[Peer]\nPublicKey = $key\nEndpoint = ${pair%%=*}\n"
		printf '%s\t%s\n' "$key" "${pair#*=}" >> expected
	done
	WG_ENDPOINT_RESOLUTION_RETRIES=0 up "$text"
	diff -u <(sort expected) <(device endpoints | sort)
	down
}

@test "W36: an IPv6 address without brackets" {
	asks "${R}Endpoint = fd00::1:51820\n" "${P_ASKED}endpoint=[fd00::1]:51820\n$REPLACE"
	asks "${R}Endpoint = ::1:51820\n" "${P_ASKED}endpoint=[::1]:51820\n$REPLACE"
	endpoints fd00::1:51820="[fd00::1]:51820"
}

@test "W37: brackets around anything; a zone is kept" {
	local zone=%lo
	# wireguard-go uses a zone, and does not tell it.
	[[ $WG_KIND == kernel ]] || zone=
	asks "${R}Endpoint = [1.2.3.4]:5\n" "${P_ASKED}endpoint=1.2.3.4:5\n$REPLACE"
	asks "${R}Endpoint = [::ffff:1.2.3.4]:5\n" "${P_ASKED}endpoint=[::ffff:1.2.3.4]:5\n$REPLACE"
	asks "${R}Endpoint = [fe80::1%lo]:5\n" "${P_ASKED}endpoint=[fe80::1%1]:5\n$REPLACE"
	asks "${R}Endpoint = fe80::1%lo:5\n" "${P_ASKED}endpoint=[fe80::1%1]:5\n$REPLACE"
	endpoints "[1.2.3.4]:5=1.2.3.4:5" "[localhost]:5=127.0.0.1:5" localhost:6=127.0.0.1:6 "[::ffff:1.2.3.4]:5=[::ffff:1.2.3.4]:5" \
		"[fe80::1%lo]:5=[fe80::1$zone]:5" "fe80::1%lo:6=[fe80::1$zone]:6"
}

@test "W38: hosts that there cannot be: refused at once, whatever the retries" {
	local value
	export WG_ENDPOINT_RESOLUTION_RETRIES=infinity
	for value in "[fe80::1%nosuch]:5" :51820 "[]:5" 1.2.3.4:5:6; do
		up_refuses "$I${R}Endpoint = $value\n" 5 "Name or service not known: \`$value'"
		wg_too || continue
		fake_here
		run timeout 60 wg addconf fake0 /etc/wireguard/wg0.conf
		assert_failure 1
		assert_equal "${lines[0]}" "Name or service not known: \`$value'"
	done
}

@test "W39: ports of endpoints; above 65535 they are refused (deviation: they wrapped to another port)" {
	local port
	asks "${R}Endpoint = 1.2.3.4:0\n" "${P_ASKED}endpoint=1.2.3.4:0\n$REPLACE"
	asks "${R}Endpoint = 1.2.3.4:domain\n" "${P_ASKED}endpoint=1.2.3.4:53\n$REPLACE"
	asks "${R}Endpoint = 1.2.3.4:+5\n" "${P_ASKED}endpoint=1.2.3.4:5\n$REPLACE"
	endpoints 1.2.3.4:0=1.2.3.4:0 1.2.3.4:domain=1.2.3.4:53 1.2.3.4:+5=1.2.3.4:5
	for port in 65536 99999; do
		refuses_us "$I${R}Endpoint = 1.2.3.4:$port\n" 5 "Servname not supported for ai_socktype: \`1.2.3.4:$port'"
		up_refuses "$I${R}Endpoint = localhost:$port\n" 5 "Servname not supported for ai_socktype: \`localhost:$port'"
	done
}

@test "W40: old forms of IPv4 addresses" {
	asks "${R}Endpoint = 1.2.3:5\n" "${P_ASKED}endpoint=1.2.0.3:5\n$REPLACE"
	asks "${R}Endpoint = 2130706433:5\n" "${P_ASKED}endpoint=127.0.0.1:5\n$REPLACE"
	endpoints 1.2.3:5=1.2.0.3:5 127.1:5=127.0.0.1:5 0x7f.1:6=127.0.0.1:6 2130706433:7=127.0.0.1:7
}

@test "W41: of two Endpoint lines both are resolved, and the last is used" {
	asks "${R}Endpoint = 1.2.3.4:5\nEndpoint = 5.6.7.8:9\n" "${P_ASKED}endpoint=5.6.7.8:9\n$REPLACE"
	up "$I${R}Endpoint = localhost:5\nEndpoint = 5.6.7.8:9\n"
	run device endpoints
	assert_output "$P"$'\t'"5.6.7.8:9"
	down
	up_refuses "$I${R}Endpoint = [fe80::1%nosuch]:5\nEndpoint = 5.6.7.8:9\n" 5 "Name or service not known: \`[fe80::1%nosuch]:5'"
}

# bats test_tags=text
@test "W42: a comment of 200,000 bytes" {
	asks "[Interface]\n#$(printf '%0200000d' 0)\nListenPort=7\n" "listen_port=7\n"
}

@test "W43: a service that nobody knows is asked for again" {
	local began=$EPOCHREALTIME
	WG_ENDPOINT_RESOLUTION_RETRIES=1 up_refuses "$I${R}Endpoint = 1.2.3.4:bogus\n" 5 "Servname not supported for ai_socktype: \`1.2.3.4:bogus'" \
		"Servname not supported for ai_socktype: \`1.2.3.4:bogus'. Trying again in 1.00 seconds..."
	took 1000
}

@test "W44: a name that does not resolve is asked for again, with wg's words and waits" {
	local began
	no_resolver
	write "$I${R}Endpoint = nosuch.example:5\n"
	fake_here
	began=$EPOCHREALTIME
	WG_ENDPOINT_RESOLUTION_RETRIES=2 wg addconf fake0 /etc/wireguard/wg0.conf 2> theirs 3>&- &
	WG_ENDPOINT_RESOLUTION_RETRIES=2 run wg-nsquick up wg0
	took 2200
	assert_failure 1
	assert_equal "${#lines[@]}" 3
	assert_equal "${lines[0]}" "Temporary failure in name resolution: \`nosuch.example:5'. Trying again in 1.00 seconds..."
	assert_equal "${lines[1]}" "Temporary failure in name resolution: \`nosuch.example:5'. Trying again in 1.20 seconds..."
	told "wg-nsquick: /etc/wireguard/wg0.conf:5: " "Temporary failure in name resolution: \`nosuch.example:5'" "${lines[2]}"
	wait || true
	diff -u <(printf '%s\n' "${lines[@]:0:2}") <(head -2 theirs)
	assert_equal "$(sed -n 3p theirs)" "Temporary failure in name resolution: \`nosuch.example:5'"
	fake_gone
	assert_clean
}

@test "W45: forms of WG_ENDPOINT_RESOLUTION_RETRIES" {
	local value
	no_resolver
	WG_ENDPOINT_RESOLUTION_RETRIES="" up_refuses "$I${R}Endpoint = nosuch.example:5\n" 5 "Temporary failure in name resolution: \`nosuch.example:5'"
	for value in " 5" 0 2147483647 infinity; do
		WG_ENDPOINT_RESOLUTION_RETRIES=$value up "$I${R}Endpoint = 1.2.3.4:5\n"
		down
	done
	for value in abc -1 2147483648 INFINITY 5x; do
		WG_ENDPOINT_RESOLUTION_RETRIES=$value up_refuses "$I${R}Endpoint = 1.2.3.4:5\n" 5 "Unable to parse WG_ENDPOINT_RESOLUTION_RETRIES: \`$value'"
		wg_too || continue
		fake_here
		WG_ENDPOINT_RESOLUTION_RETRIES=$value run wg addconf fake0 /etc/wireguard/wg0.conf
		assert_failure 1
		assert_equal "${lines[0]}" "Unable to parse WG_ENDPOINT_RESOLUTION_RETRIES: \`$value'"
	done
	# Without an endpoint nobody looks.
	WG_ENDPOINT_RESOLUTION_RETRIES=abc up "$I$R"
	down
}

@test "W46: every wait is a fifth longer (their sum is unit-conf's)" {
	local began=$EPOCHREALTIME wait waits=()
	no_resolver
	for wait in 1.00 1.20 1.44; do
		waits+=("Temporary failure in name resolution: \`nosuch.example:5'. Trying again in $wait seconds...")
	done
	WG_ENDPOINT_RESOLUTION_RETRIES=3 up_refuses "$I${R}Endpoint = nosuch.example:5\n" 5 "Temporary failure in name resolution: \`nosuch.example:5'" \
		"${waits[@]}"
	took 3640
}

@test "W47: a device that is gone when it is to be configured (deviation: the same words without the module)" {
	write "${I}PreUp = ip link delete dev %i\n$R"
	fake_gone
	run wg-nsquick up wg0
	assert_failure 1
	assert_line "wg-nsquick: wg0: Unable to modify interface: No such device"
	assert_clean
	# wg's own words, which depend on the module.
	printf '[Interface]\nListenPort = 7\n' > wg0.conf
	run wg setconf nosuch wg0.conf
	assert_failure 1
	if [[ $WG_KIND == kernel ]]; then
		assert_output "Unable to modify interface: No such device"
	else
		assert_output "Unable to modify interface: Protocol not supported"
	fi
}

# bats test_tags=text
@test "W48: a name of 17 characters is none" {
	local verb
	for verb in up down save strip; do
		run wg-nsquick "$verb" abcdefghijklmnopq
		assert_failure 1
		assert_output "wg-nsquick: \`abcdefghijklmnopq' does not exist"
		run wg-quick "$verb" abcdefghijklmnopq
		assert_failure 1
		assert_output "wg-quick: \`abcdefghijklmnopq' does not exist"
	done
}

@test "W49: a socket that nobody listens on is in nobody's way" {
	config st
	fake_gone
	mkdir -p /run/wireguard
	perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "/run/wireguard/st.sock", Listen => 1)'
	[[ -S /run/wireguard/st.sock ]]
	# Neither is it taken for a device.
	run wg-nsquick down st
	assert_failure 1
	assert_output "wg-nsquick: \`st' is not a WireGuard interface"
	run wg-nsquick up st
	assert_success
	run ip netns exec st wg show st endpoints
	assert_output "$PROVIDER_PUB"$'\t'"192.0.2.1:51820"
	run wg-nsquick down st
	assert_success
	assert_clean
	rm /etc/wireguard/st.conf
}

@test "a device of ours has what one of wg's has" {
	local hosts=(1.2.3.4:5 "[fd00::1]:5" fd00::2:6 127.1:7 localhost:domain 5.6.7.8:0)
	local text="[Interface]\nPrivateKey = $K\nListenPort = 0 5 1 8 2 1\nFwMark = 0x1f\n" n
	for n in "${!hosts[@]}"; do
		text+="[peer]\n# $n\nPublicKey = $(wg genkey | wg pubkey)\nPresharedKey = $K\nEndpoint = ${hosts[n]}\n"
		text+="AllowedIPs = 10.$n.0.1/16, fd0$n::1/48\nAllowedIPs = 172.16.$n.0/24\nPersistentKeepalive = 1$n\n"
	done
	text+="${R}AllowedIPs = 9.0.0.0/8\n${R}Endpoint = 1.1.1.1:1\n${R}[Peer]\nPublicKey = $Q\nAllowedIPs = 9.0.0.0/8, 172.16.1.0/24\n"
	# Also its own key as a peer, which devices pass over.
	text+="[Peer]\nPublicKey = $(wg pubkey <<< "$K")\nAllowedIPs = 8.0.0.0/8\n"
	up "$text"
	ip netns exec wg0 wg showconf wg0 > ours
	down
	if [[ $WG_KIND == kernel ]]; then
		ip link add dev wg0 type wireguard
	else
		wireguard-go wg0 > /dev/null 2>&1 3>&-
	fi
	wg addconf wg0 /etc/wireguard/wg0.conf 2> /dev/null
	wg showconf wg0 > theirs
	ip link del dev wg0
	# wireguard-go tells peers and their allowed IPs in any order.
	diff -u <(in_order theirs) <(in_order ours)
	assert_equal "$(grep -c '^\[Peer\]' ours)" 8
	for n in {1..200}; do
		[[ -e /run/wireguard/wg0.sock ]] || break
		sleep 0.1
	done
	assert_clean
}

# A configuration as text that does not depend on the order of peers.
in_order() { perl -00 -ne 's/^AllowedIPs = (.*)$/"AllowedIPs = " . join ", ", sort split m{, }, $1/me; chomp; s/\n+$//; push @p, "$_\n\n"; END { print sort @p }' "$1"; }

@test "after all of this the host is the same" {
	fake_gone
	assert_host_unchanged
}
