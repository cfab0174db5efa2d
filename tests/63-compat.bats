#!/usr/bin/env bats
# What wg-quick takes that no vector names: odd files, long lines, closed streams.
# shellcheck disable=SC2016 # hooks are for another shell

setup_file() {
	load lib/host
	host_up
	host_remember
}

teardown_file() {
	load lib/host
	host_down
}

setup() {
	load lib/host
	load lib/vector
	cd "$BATS_TEST_TMPDIR" || return
	chmod 700 .
}

teardown() {
	end_tunnels
	rm -f /etc/wireguard/*
	assert_clean
}

# through_fifo PROGRAM VERB: ./wg0.conf is a pipe that text comes through.
through_fifo() {
	rm -f wg0.conf
	mkfifo -m 600 wg0.conf
	# Who does not open it is not waited for without end.
	timeout 60 sh -c "cat text > wg0.conf" 3>&- &
	run timeout 60 "$1" "$2" ./wg0.conf
	wait
}

@test "a file that is a pipe is read to its end, as by wg-quick" {
	printf '[Interface]\nMTU = 1400\nPrivateKey = %s\nPostUp = echo "it has $CONFIG_FILE"\n' "$K" > text
	through_fifo wg-quick strip
	assert_success
	assert_output "$(printf '[Interface]\nPrivateKey = %s\n' "$K")"
	through_fifo wg-nsquick strip
	assert_success
	assert_output "$(printf '[Interface]\nPrivateKey = %s\n' "$K")"
	through_fifo wg-nsquick up
	assert_success
	assert_line "it has $PWD/wg0.conf"
	through_fifo wg-nsquick down
	assert_success
}

@test "a hook of 200,000 bytes: longer than an argument can be; its shell is the same, and it gets no descriptor more" {
	local long fds='ls /proc/self/fd | wc -l'
	long=$(printf '%0200000d' 0)
	vector I "PostUp = $fds" "PostUp = : $long; $fds; echo \"\$# \$INTERFACE [\${long-}] \$-\" | tr -d c; shopt extglob; cd /; x=5" \
		"PostUp = echo \"\$PWD \${x-}\" # $long" "PostUp = read -r line; echo \"got \$line\" # $long"
	run --separate-stderr wg-nsquick up wg0 <<< "typed"
	assert_success
	assert_line --index 1 "${lines[0]}"
	assert_line --index 2 "0 wg0 [] ehB"
	assert_line --index 3 --regexp '^extglob[[:blank:]]+on$'
	assert_line --index 4 "$PWD "
	assert_line --index 5 "got typed"
	down
	# Errors are errors: a status, errexit, pipefail, a syntax error.
	vector I "PostUp = exit 7 # $long"
	up_fails 7
	vector I "PostUp = false | true; echo reached # $long"
	up_fails 1
	refute_line "reached"
	vector I "PostUp = : $long; echo \"open"
	up_fails 2
}

@test "lines of 200,000 bytes: addresses, DNS, allowed IPs, a comment; up, save, down, and up with what was saved" {
	{
		printf '# %0200000d\n[Interface]\nPrivateKey = %s\nMTU = 1420\n' 0 "$K"
		awk 'BEGIN {
			printf "Address = "; for (n = 0; n < 1000; n++) printf "172.16.%d.%d/32%200s,", n / 250, n % 250, ""
			printf "\nDNS = "; for (n = 0; n < 12000; n++) printf "10.9.%d.%d,%8s", n / 250, n % 250, ""
			printf "\n[Peer]\nPublicKey = '"$P"'\nAllowedIPs = "; for (n = 0; n < 15000; n++) printf "10.%d.%d.%d/32, ", n / 250, n % 250, n % 7
			print "10.255.0.0/16"
		}'
	} > /etc/wireguard/wg0.conf
	chmod 600 /etc/wireguard/wg0.conf
	assert_equal "$(awk 'length > 200000' /etc/wireguard/wg0.conf | wc -l)" 4
	for _ in 1 2; do
		run timeout 60 wg-nsquick up wg0
		assert_success
		assert_equal "$(ip -n wg0 -4 -o addr show dev wg0 | wc -l)" 1000
		assert_equal "$(ip -n wg0 -4 route show dev wg0 | wc -l)" 15001
		assert_equal "$(grep -c '^nameserver' /etc/netns/wg0/resolv.conf)" 12000
		run timeout 60 wg-nsquick save wg0
		assert_success
		down
	done
}

# what_becomes NAMESPACE: MTU, IPv4 addresses and routes of wg0.
what_becomes() {
	ip -n "$1" -o link show wg0 | grep -o 'mtu [0-9]*'
	ip -n "$1" -4 -br addr show wg0 | awk '{ $1 = $2 = ""; print }'
	ip -n "$1" -4 route show table all dev wg0
}

@test "numbers and names as ip(8) reads them, beside the installed wg-quick" {
	local line
	mkdir -p /run/rt_tables.d
	printf '4711 vpn-table\n' > /run/rt_tables.d/vpn.conf
	mkdir -p /etc/iproute2/rt_tables.d
	mount --bind /run/rt_tables.d /etc/iproute2/rt_tables.d
	ip netns add theirs
	for line in "Table = 0" "Table = unspec" "Table = +254" "Table = vpn-table" "Table = 0Xff" "MTU = +1400" "MTU = 0X500" "Address = 10.0.0.1/+24, 10.7/020"; do
		vector I "$line" R "AllowedIPs = 10.50.0.0/16"
		up
		what_becomes wg0 > of-ours
		down
		ip netns exec theirs wg-quick up wg0 2> /dev/null 3>&-
		what_becomes theirs > of-theirs
		ip netns exec theirs wg-quick down wg0 2> /dev/null
		timeout 20 bash -c "while [[ -e /run/wireguard/wg0.sock ]]; do sleep 0.05; done"
		diff -u of-theirs of-ours || fail "$line"
	done
	ip netns del theirs
	umount /etc/iproute2/rt_tables.d
	# Names of other kinds, and those that stand in no file, are none (T2).
	vector I "Table = vpn-table" R "AllowedIPs = 10.50.0.0/16"
	refused 255 "/etc/wireguard/wg0.conf:3: Table: \`vpn-table'"
}

@test "numbers that ip(8) reads in base 8 or 16, and its words, are no address (deviation: 010.0.0.1 was 8.0.0.1)" {
	local address
	for address in 010.0.0.1/24 0xa.0.0.1/24 any all default; do
		vector I "Address = $address"
		refused 1 "/etc/wireguard/wg0.conf:3: Address: \`$address'"
	done
}

@test "an item with * or ? is no pattern (deviation: wg-quick made file names of it)" {
	: > 10.9.0.7
	: > corp.example
	vector I "Address = 10.9.0.?"
	refused 1 "/etc/wireguard/wg0.conf:3: Address: \`10.9.0.?'"
	vector I "DNS = 10.9.0.53, c*, corp.exampl?"
	up
	run grep ^search /etc/netns/wg0/resolv.conf
	assert_output "search c* corp.exampl?"
}

@test "a byte 1 stays where it is (deviation: bash loses one at the end of a line)" {
	printf '[Interface]\n# one \x01\x01 and one \x01\nListenPort = 7\n' > wg0.conf
	chmod 600 wg0.conf
	wg-nsquick strip ./wg0.conf > stripped
	cmp stripped <(cat wg0.conf; echo)
}

@test "routes are told before one of them fails (deviation: all that are added in one piece)" {
	vector I "Address = 10.50.0.1/16" "Table = main" R "AllowedIPs = 10.50.0.0/16, 10.51.0.0/16, 10.0.0.0/8"
	up_fails 2
	assert_equal "$(traced | sed '1,/ip link set/d')" \
		"$(printf '%s\n' "ip -4 route add "{10.51.0.0/16,10.50.0.0/16,10.0.0.0/8}" dev wg0 table main" "ip link delete dev wg0")"
	assert_line --partial "10.50.0.0/16: File exists"
}

@test "a hook's shell has nothing of wg-quick's script (deviation: but INTERFACE and CONFIG_FILE)" {
	vector I 'PostUp = echo "[${PROGRAM-}${ARGS-}${ADDRESSES-}${MTU-}${TABLE-}] $INTERFACE $CONFIG_FILE"' 'PostUp = type -t cmd die || echo none' \
		'PostUp = return 0 || echo "no function"'
	run --separate-stderr wg-nsquick up wg0
	assert_success
	assert_output "$(printf '%s\n' "[] wg0 /etc/wireguard/wg0.conf" none "no function")"
}

@test "a tunnel that wg-quick brought up is left to it, and told as such" {
	local verb
	vector I "SaveConfig = true"
	wg-quick up wg0 > /dev/null 2>&1 3>&-
	for verb in down save; do
		run wg-nsquick $verb wg0
		assert_failure 1
		assert_output "wg-nsquick: \`wg0' is a WireGuard interface that wg-nsquick did not bring up; expected one of its own (\`wg-quick down' takes down what wg-quick brought up)"
	done
	run ip link show wg0
	assert_success
	sed -i /SaveConfig/d /etc/wireguard/wg0.conf
	run wg-quick down wg0
	assert_success
	timeout 20 bash -c "while [[ -e /run/wireguard/wg0.sock ]]; do sleep 0.05; done"
	run wg-nsquick down wg0
	assert_output "wg-nsquick: \`wg0' is not a WireGuard interface"
}

@test "two at once for one interface: the second is told (deviation: wg-quick lets them meet)" {
	local verb
	vector I "PostUp = echo begun; read -r line"
	mkfifo typed
	wg-nsquick up wg0 < typed > out 2>&1 3>&- &
	exec 9> typed
	timeout 30 bash -c "until grep -qx begun out; do sleep 0.05; done"
	for verb in up down save; do
		run wg-nsquick $verb wg0
		assert_failure 1
		assert_output "wg-nsquick: \`wg0' is being brought up or down by another run"
	done
	echo >&9
	exec 9>&-
	wait $!
	down
}

@test "a lock that is let go within two seconds, as of a run that is dying, is waited for" {
	local holder
	vector I
	mkdir -p /run/wg-nsquick/lock
	flock /run/wg-nsquick/lock/wg0 bash -c 'touch held; until pgrep -x wg-nsquick; do sleep 0.02; done; sleep 0.3' > /dev/null 3>&- &
	holder=$!
	wait_until "the holder's lock" test -e held
	run wg-nsquick up wg0
	assert_success
	refute_output --partial "another run"
	wait "$holder"
	down
}

# bats test_tags=seccomp
@test "under ip netns exec, where the namespace's resolv.conf stands over the host's: down takes it away, and the guard looks at the host's" {
	ip netns add other
	for _ in 1 2 3; do
		vector I "DNS = 10.9.0.53" "PreDown = true" R
		run ip netns exec other wg-nsquick up wg0 --transport self
		assert_success
		# The program itself has it bound, as `ip netns exec' made it.
		run ip netns exec other wg-nsquick down wg0
		assert_success
		assert_output "$(printf '[#] %s\n' true "ip link delete dev wg0")"
		assert_clean_but_other
	done
	ip netns del other
}

assert_clean_but_other() { OWN_NETNS=other assert_clean; }

@test "closed streams: up and down succeed all the same (deviation: wg-quick fails where it cannot write its trace)" {
	local word
	vector I "Address = 10.9.0.2/24" 'PostUp = readlink /proc/self/fd/{0,1,2} > streams || true'
	for word in '<&-' '>&-' '2>&-' '<&- >&- 2>&-' '2> /dev/full'; do
		rm -f streams
		run bash -c "wg-nsquick up wg0 $word"
		assert_success
		run bash -c "wg-nsquick down wg0 $word"
		assert_success
		# No socket of ours has come to stand in the gap.
		run cat streams
		refute_output --partial socket
		assert_equal "${#lines[@]}" 3
	done
}

@test "after all of this the host is the same" {
	assert_host_unchanged
}
