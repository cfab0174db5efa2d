#!/usr/bin/env bats
# Arguments, paths, messages (vectors C1-C23), bad input: one line, exit 1, nothing touched.

setup_file() {
	load lib/host
	host_up
	host_state > "$BATS_FILE_TMPDIR/host.before"
}

teardown_file() {
	load lib/host
	host_down
}

setup() {
	load lib/host
	cd "$BATS_TEST_TMPDIR" || return
	chmod 700 .
}

refused() { # FILE-LINE-PATTERN: with this file `up` ends with one line and status $STATUS
	run wg-nsquick up wg0
	assert_failure "${STATUS:-1}"
	assert_equal "${#lines[@]}" 1
	assert_output --regexp "$1"
	assert_clean
}

@test "C1: wrong words: usage on stderr, status 1" {
	local words
	for words in "" "up" "down x y" "help me" "bogus wg0" "-h wg0"; do
		# shellcheck disable=SC2086
		run --separate-stderr wg-nsquick $words
		assert_failure 1
		assert_output ""
		[[ ${stderr_lines[0]} == "Usage: wg-nsquick [ up | down | save | strip ] [ CONFIG_FILE | INTERFACE ]" ]]
	done
}

@test "C2: help: usage on stderr, status 0" {
	local word
	for word in -h --help help; do
		run --separate-stderr wg-nsquick $word
		assert_success
		assert_output ""
		[[ ${stderr_lines[0]} == Usage:* ]]
	done
}

@test "--version" {
	run wg-nsquick --version
	assert_success
	assert_output --regexp '^wg-nsquick [0-9.]+$'
}

@test "C3 C4 C10: what does not exist" {
	run wg-nsquick up nosuch
	assert_failure 1
	assert_output "wg-nsquick: \`/etc/wireguard/nosuch.conf' does not exist"
	: > wg0.conf
	run wg-nsquick strip wg0.conf
	assert_output "wg-nsquick: \`/etc/wireguard/wg0.conf.conf' does not exist"
	run wg-nsquick strip ''
	assert_output --partial "does not exist"
	ln -s nowhere dangling.conf
	run wg-nsquick strip ./dangling.conf
	assert_output --partial "does not exist"
}

@test "C5 C6 C7 C9: paths and names that are taken" {
	local file
	for file in ./wg0.conf abcdefghijk.conf ./abcdefghijklmno.conf ./a+b.conf; do
		printf '[Interface]\n' > "$file"
		run wg-nsquick strip "$file"
		assert_success
	done
}

@test "C7 C8: names that are not" {
	local file
	for file in ./abcdefghijklmnop.conf ./x.CONF ./noext ./.conf "./sp ace.conf" ./a@b.conf ./ä.conf; do
		: > "$file"
		run wg-nsquick strip "$file"
		assert_failure 1
		assert_output "wg-nsquick: The config file must be a valid interface name, followed by .conf"
	done
}

@test "C11 C12: a symlink names the interface, its target is the file" {
	printf '[Interface]\nListenPort = 7\n' > a.conf
	ln -s a.conf b.conf
	run wg-nsquick strip ./b.conf
	assert_success
	assert_line "ListenPort = 7"
}

@test "C13 (deviation): a directory is refused" {
	mkdir dir.conf
	run wg-nsquick strip ./dir.conf
	assert_failure 1
	assert_output --partial "is a directory"
}

@test "C14 C15 C16: the world-accessible warning" {
	: > wg0.conf
	chmod 755 .; chmod 644 wg0.conf
	run wg-nsquick strip ./wg0.conf
	assert_success
	assert_line "Warning: \`$PWD/wg0.conf' is world accessible"
	chmod 711 .
	run wg-nsquick strip ./wg0.conf
	refute_output --partial "Warning"
	chmod 601 wg0.conf
	run wg-nsquick strip ./wg0.conf
	assert_line --partial "Warning"
	chmod 755 .; chmod 640 wg0.conf
	run wg-nsquick strip ./wg0.conf
	refute_output --partial "Warning"
}

@test "C18: messages go by the name of the program" {
	ln -s "$(command -v wg-nsquick)" myquick
	run ./myquick up nosuch
	assert_output "myquick: \`/etc/wireguard/nosuch.conf' does not exist"
}

@test "C19: not root, no sudo: 127 before any file is looked at" {
	cp "$(command -v wg-nsquick)" /run/wg-nsquick-copy
	run -127 env -i PATH=/nonexistent "$(command -v setpriv)" --reuid 65534 --clear-groups /run/wg-nsquick-copy strip nosuch
	assert_output --partial "must be run as root"
}

@test "strip: S4, comments and foreign sections stay" {
	printf '# top\n[Interface] # c\n  Address = 1.2.3.4/24  # x\n\tPrivateKey  =  K # pk  \n\n;semi\nDNS=1.1.1.1\nMTU=5\nTable=off\nPreUp=a\nFwMark=1\n[Peer]\nAddress=9\n  # indented\nPublicKey=P\n' > wg0.conf
	wg-nsquick strip ./wg0.conf > out
	printf '# top\n[Interface] # c\nPrivateKey  =  K # pk\n\n;semi\nFwMark=1\n[Peer]\nAddress=9\n# indented\nPublicKey=P\n\n' > expected
	cmp out expected
}

@test "strip is byte for byte what wg-quick prints" {
	config wg0 "DNS = 1.1.1.1" "PostUp = echo a; echo '#' b" "MTU = 1400"
	wg-nsquick strip wg0 > ours
	wg-quick strip wg0 > theirs
	cmp ours theirs
}

@test "bad input: one line with file and line, and no key" {
	config wg0 "Foo = 1"
	refused "^wg-nsquick: /etc/wireguard/wg0.conf:4: Line unrecognized: .Foo=1'"
	KEY="${CLIENT_KEY%????}x" config wg0
	refused "^wg-nsquick: /etc/wireguard/wg0.conf:2: .*expected"
	refute_output --partial "${CLIENT_KEY:0:20}"
	config wg0 "ListenPort = 70000"
	refused "wg0.conf:4: .*ListenPort.*65535|wg0.conf:4: .*65535"
	ALLOWED="10/8" config wg0
	refused "Unable to parse IP address"
	ENDPOINT="192.0.2.1" config wg0
	refused "Unable to find port of endpoint"
	ADDRESS="10.0.0.300/24" config wg0
	refused "wg0.conf:3: Address"
	config wg0 "SaveConfig = yes"
	refused "neither true nor false"
	STATUS=255
	config wg0 "MTU = abc"
	refused "wg0.conf:4: MTU"
	config wg0 "Table = junk"
	refused "wg0.conf:4: Table"
}

@test "an endpoint that does not resolve: wg's words, one retry" {
	ENDPOINT="no-such-host.invalid:51820" config wg0
	WG_ENDPOINT_RESOLUTION_RETRIES=0 run wg-nsquick up wg0
	assert_failure 1
	assert_output --partial "wg0.conf"
	assert_clean
	WG_ENDPOINT_RESOLUTION_RETRIES=abc run wg-nsquick up wg0
	assert_failure 1
	assert_output --partial "Unable to parse WG_ENDPOINT_RESOLUTION_RETRIES: \`abc'"
}

@test "settings: unknown keys and bad values, with file and line" {
	config wg0
	printf '\n[tunnel]\nnetns = x\nfoo = bar\n' > /etc/wg-nsquick.d/wg0.conf
	refused "^wg-nsquick: /etc/wg-nsquick.d/wg0.conf:4: unknown key .foo'"
	printf '[guard]\nlevel = paranoid\n' > /etc/wg-nsquick.d/wg0.conf
	refused "wg0.conf:2: .paranoid' is not a value of level"
	printf '[nonsense]\na = b\n' > /etc/wg-nsquick.d/wg0.conf
	refused "wg0.conf:1: unknown section"
	printf '[tunnel\n' > /etc/wg-nsquick.d/wg0.conf
	refused "wg0.conf:1: "
	rm /etc/wg-nsquick.d/wg0.conf
}

@test "options: bad ones are refused before anything" {
	config wg0
	run wg-nsquick up wg0 --guard paranoid
	assert_failure 1
	assert_output --partial "is not a guard level"
	run wg-nsquick --netns up wg0
	assert_failure
	run wg-nsquick up wg0 --netns /proc/1/ns/net
	assert_failure 1
	assert_output --partial "host's own network namespace"
	run wg-nsquick up wg0 --netns /etc/passwd
	assert_failure 1
	run wg-nsquick up wg0 --transport nosuch
	assert_failure 1
	assert_output --partial "transport"
	assert_clean
}

@test "dry run: the plan on stdout, nothing done; refused where there is none" {
	run wg-nsquick save --dry-run wg0
	assert_failure 1
	assert_output --partial "has no dry run"
	config wg0 "DNS = 10.9.0.1" "PostUp = iptables -A OUTPUT -j REJECT"
	run wg-nsquick --dry-run up wg0
	assert_success
	assert_line --partial "ip link add dev wg0 type wireguard"
	assert_line --partial "PostUp (line 5): iptables"
	refute_output --partial "$CLIENT_KEY"
	assert_clean
}

@test "C21: an interface that exists in the target is left alone" {
	ip netns add taken
	ip -n taken link add wg0 type veth peer name other
	config wg0
	run wg-nsquick up wg0 --netns taken
	assert_failure 1
	assert_output "wg-nsquick: \`wg0' already exists"
	run ip -n taken link show wg0
	assert_success
	ip netns del taken
}

@test "no bash, a read-only /run: a clear error each, nothing left" {
	mkdir -p /run/nobash
	ln -sf "$(command -v wireguard-go)" /run/nobash/wireguard-go
	config wg0 "PostUp = true"
	PATH=/run/nobash run -127 "$(command -v wg-nsquick)" up wg0
	assert_line --partial "PostUp needs bash"
	assert_clean
	config wg0
	run unshare -m bash -c "mount --bind /run /run && mount -o remount,bind,ro /run && wg-nsquick up wg0"
	assert_failure 1
	assert_output --partial "expected a writable /run"
	assert_clean
}

@test "after all of this the host is the same" {
	assert_host_unchanged
}
