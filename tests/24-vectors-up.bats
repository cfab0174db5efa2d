#!/usr/bin/env bats
# Vectors U1-U25: the order of `up`, hooks, rollback.
# shellcheck disable=SC2016,SC2154 # hooks are for another shell; bats fills stderr

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
}

teardown() {
	end_tunnels
	assert_clean
}

u1_file() {
	vector I "Address = 10.9.0.2/24, fd09::2/64" "Address = 10.9.1.2/32" "PreUp = echo pre %i" "PostUp = echo post %i" \
		R "AllowedIPs = 10.9.0.0/24, 10.9.0.7/32, 172.16.0.0/12, 192.168.0.0/16, 192.168.1.0/24, fd09::/64, fd0a::/48, 10.9.1.2/32" \
		RQ "AllowedIPs = 10.77.0.0/16, 10.78.0.0/16, 10.76.0.0/16"
}

# hooks LINE…: up with these; what they wrote to standard output, in $output.
hooks() {
	vector I "$@"
	run --separate-stderr wg-nsquick up wg0
	assert_success
}

# bats test_tags=seccomp
@test "U1: the trace, in this order; covered prefixes get no route" {
	u1_file
	up
	assert_trace "ip link add dev wg0 type wireguard" "echo pre wg0" "wg addconf wg0 /dev/fd/63" \
		"ip -4 address add 10.9.0.2/24 dev wg0" "ip -6 address add fd09::2/64 dev wg0" "ip -4 address add 10.9.1.2/32 dev wg0" \
		"ip link set mtu 1420 up dev wg0" \
		"ip -6 route add fd0a::/48 dev wg0" "ip -4 route add 10.9.1.2/32 dev wg0" "ip -4 route add 192.168.1.0/24 dev wg0" \
		"ip -4 route add 192.168.0.0/16 dev wg0" "ip -4 route add 10.78.0.0/16 dev wg0" "ip -4 route add 10.77.0.0/16 dev wg0" \
		"ip -4 route add 10.76.0.0/16 dev wg0" "ip -4 route add 172.16.0.0/12 dev wg0" "echo post wg0"
	# Hooks write where they stand in the trace.
	assert_equal "$(grep -A 1 -xF '[#] echo pre wg0' <<<"$output" | tail -n 1)" "pre wg0"
	assert_equal "${lines[-1]}" "post wg0"
}

# Of a namespace, all that `up` made; a TUN has a link-local address at random.
made_in() { # NETNS
	# An IPv6 address has its route once the kernel is done with it, which it is in its own time.
	timeout 20 bash -c "while ip -n $1 -6 addr show dev wg0 tentative | grep -q .; do sleep 0.05; done"
	ip -n "$1" -br addr show wg0 | sed 's/fe80[^ ]*//'
	ip -n "$1" -4 route show table all dev wg0
	ip -n "$1" -6 route show table all dev wg0 | grep -v -e fe80: -e ff00: -e 'ff00::'
	ip -n "$1" rule
	ip netns exec "$1" wg show wg0 allowed-ips | sort
}

@test "U1 beside the installed wg-quick: the same trace and network, but for what has changed since its version" {
	u1_file
	run wg --version
	assert_output --partial "v1.0.20210914"
	ip netns add theirs
	run ip netns exec theirs wg-quick up wg0
	assert_success
	traced > "$BATS_TEST_TMPDIR/trace.theirs"
	made_in theirs > "$BATS_TEST_TMPDIR/made.theirs"
	ip netns exec theirs wg-quick down wg0
	timeout 20 bash -c "while [[ -e /run/wireguard/wg0.sock ]]; do sleep 0.1; done"
	ip netns del theirs
	up
	traced > "$BATS_TEST_TMPDIR/trace.ours"
	made_in wg0 | diff "$BATS_TEST_TMPDIR/made.theirs" -
	# PreUp after the interface was made (1.0.20250521, e6888dd).
	assert_equal "$(head -n 1 "$BATS_TEST_TMPDIR/trace.theirs")" "echo pre wg0"
	sed -i -e '1d' -e '2a echo pre wg0' "$BATS_TEST_TMPDIR/trace.theirs"
	# `dev' before its name (1.0.20250521, a2dbc33).
	sed -i 's/^ip link add wg0 type wireguard$/ip link add dev wg0 type wireguard/' "$BATS_TEST_TMPDIR/trace.theirs"
	# Keys that PreUp set stay (1.0.20260223, 0b7d982).
	sed -i 's/^wg setconf wg0 /wg addconf wg0 /' "$BATS_TEST_TMPDIR/trace.theirs"
	diff "$BATS_TEST_TMPDIR/trace.theirs" "$BATS_TEST_TMPDIR/trace.ours"
}

@test "U2: up of what is up: already exists, and the first is left alone" {
	local before
	vector I "Address = 10.9.0.2/24" R "AllowedIPs = 172.16.0.0/12"
	up
	before=$(ip -n wg0 -d link show wg0; ip netns exec wg0 wg show wg0)
	run wg-nsquick up wg0
	assert_failure 1
	assert_output "wg-nsquick: \`wg0' already exists"
	assert_equal "$(ip -n wg0 -d link show wg0; ip netns exec wg0 wg show wg0)" "$before"
}

@test "U3: a PostUp that fails: rollback, its status" {
	vector I "PostUp = exit 7"
	up_fails 7
	assert_line --regexp "wg0.conf:3: PostUp ended with status 7 .*network namespace wg0"
}

@test "U4: a PreUp that fails: rollback, its status" {
	vector I "PreUp = exit 7"
	up_fails 7
	assert_trace "ip link add dev wg0 type wireguard" "exit 7" "ip link delete dev wg0"
}

# bats test_tags=text
@test "U5: errexit and pipefail are on" {
	vector I "PostUp = false; echo continued"
	up_fails 1
	refute_line "continued"
	vector I "PostUp = false | true; echo continued"
	up_fails 1
	refute_line "continued"
}

# bats test_tags=text
@test "U6: false || true is no failure" {
	vector I "PostUp = false || true"
	up
}

# bats test_tags=text
@test "U7: a hook killed by a signal: 137" {
	vector I 'PostUp = bash -c "kill -9 \$\$"'
	up_fails 137
}

# bats test_tags=text
@test "U8: no such command, and PostUp without a value: 127" {
	vector I "PostUp = nosuchcmd"
	up_fails 127
	vector I "PostUp"
	up_fails 127
	assert_line "[#] PostUp"
}

# bats test_tags=text
@test "U9: an empty hook" {
	vector I "PostUp ="
	up
	assert_line "[#] "
}

# bats test_tags=text
@test "U10: a hash in quotes" {
	hooks 'PostUp = echo "a # b"'
	assert_output "a # b"
}

# bats test_tags=text
@test "U11: a comment behind a hook is bash's, and in the trace" {
	hooks "PostUp = echo x # y"
	assert_output "x"
	[[ $stderr == *"[#] echo x # y"* ]]
}

# bats test_tags=text
@test "U12: %i and nothing else is replaced" {
	hooks 'PostUp = echo %i-%I-%%i-%%-\%i'
	assert_output 'wg0-%I-%wg0-%%-wg0'
}

# bats test_tags=text
@test "U13: later equals signs belong to the hook" {
	hooks 'PostUp = A=1 B=2 bash -c "echo \$A \$B"'
	assert_output "1 2"
}

# bats test_tags=text
@test "U14: backslashes and quotes are bash's" {
	hooks 'PostUp = echo a\ b \\ "x\ty"'
	assert_output 'a b \ x\ty'
}

# bats test_tags=text
@test "U15: a shell for each hook" {
	cd /tmp
	hooks 'PostUp = X=5; cd /' 'PostUp = echo "[$X] $PWD"'
	assert_output "[] /tmp"
}

@test "U16: INTERFACE, CONFIG_FILE, LC_ALL; and WG_NSQUICK_NETNS (addition)" {
	ln -s wg0.conf /etc/wireguard/link.conf
	hooks 'PostUp = echo $INTERFACE $CONFIG_FILE $LC_ALL' 'PostUp = echo $WG_NSQUICK_NETNS'
	assert_line --index 0 "wg0 /etc/wireguard/wg0.conf C"
	assert_line --index 1 "wg0"
	down
	# The interface goes by the link, the file is what it leads to.
	run --separate-stderr wg-nsquick up link
	assert_line --index 0 "link /etc/wireguard/wg0.conf C"
	wg-nsquick down link
	rm /etc/wireguard/link.conf
}

@test "U17: hooks read our standard input: a pipe, a file, a closed one" {
	vector I 'PostUp = read -r a; echo "got [$a]"' 'PostUp = read -r a; echo "got [$a]"'
	run bash -c "printf 'hello\nagain\n' | wg-nsquick up wg0 2>/dev/null"
	assert_success
	assert_output "$(printf 'got [hello]\ngot [again]')"
	down
	echo "of a file" > "$BATS_TEST_TMPDIR/in"
	vector I 'PostUp = read -r a; echo "got [$a]"' 'PostUp = read -r a || echo "the end"'
	run bash -c "wg-nsquick up wg0 2>/dev/null < '$BATS_TEST_TMPDIR/in'"
	assert_success
	assert_output "$(printf 'got [of a file]\nthe end')"
	down
	# wg-quick's hook would read a descriptor that is not there; ours is at its end. Both fail with 1.
	run bash -c "wg-nsquick up wg0 <&-"
	assert_failure 1
}

@test "U18: after a failure neither the next PostUp nor PreDown nor PostDown runs" {
	vector I "PostUp = false" "PostUp = echo second" "PreDown = echo predown" "PostDown = echo postdown"
	up_fails 1
	refute_line "second"
	refute_line "predown"
	refute_line "postdown"
}

@test "U19: a key set by PreUp stays" {
	vector "[Interface]" "PreUp = wg set %i private-key <(echo $K)"
	up
	run ip netns exec wg0 wg show wg0 public-key
	assert_output "$K_PUB"
}

# bats test_tags=text
@test "U20: an unknown key (deviation: found before an interface is made)" {
	vector I "Foo = 1" "PreUp = echo pre"
	refused 1 "/etc/wireguard/wg0.conf:3: Line unrecognized: \`Foo=1'"
}

# bats test_tags=text
@test "U21: SaveConfig = yes: refused, nothing made" {
	vector I "SaveConfig = yes"
	refused 1 "\`yes' is neither true nor false"
}

@test "U22: SIGTERM during a hook: the hook ends, then all is undone, status 1 (deviation: once, not twice)" {
	rm -f /run/termed
	# The word of it goes from one process to the other, which takes a moment, too.
	vector I "PostUp = echo started; timeout 20 bash -c 'until [[ -e /run/termed ]]; do sleep 0.05; done'; sleep 1; echo finished" "PostUp = echo second"
	wg-nsquick up wg0 > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local pid=$! status=0
	timeout 30 bash -c "until grep -qx started '$BATS_TEST_TMPDIR/out'; do sleep 0.05; done"
	kill -TERM $pid
	touch /run/termed
	wait $pid || status=$?
	rm -f /run/termed
	assert_equal $status 1
	run cat "$BATS_TEST_TMPDIR/out"
	assert_line "finished"
	refute_line "second"
	assert_line "wg-nsquick: wg0: interrupted"
	assert_equal "$(grep -cxF '[#] ip link delete dev wg0' <<<"$output")" 1
	assert_clean
}

@test "U23: a userspace program that does not exist: not a word of it; needed without a module only (deviation: a message and status 1 on purpose)" {
	vector I
	WG_QUICK_USERSPACE_IMPLEMENTATION=nosuch run wg-nsquick up wg0
	refute_line --partial "[!]"
	if [[ $WG_KIND == go ]]; then
		assert_failure 1
		assert_line --partial "no WireGuard"
		assert_clean
	else
		assert_success
	fi
}

@test "U24: a userspace program that does nothing, and one that fails: not asked where the kernel has WireGuard" {
	local program
	vector I
	for program in true false; do
		WG_QUICK_USERSPACE_IMPLEMENTATION=$program run wg-nsquick up wg0
		if [[ $WG_KIND == go ]]; then
			assert_failure 1
			assert_line "[!] Missing WireGuard kernel module. Falling back to slow userspace implementation."
			assert_line "[#] $program wg0"
			assert_clean
		else
			assert_success
			refute_line --partial "[!]"
			refute_line --partial "[#] $program wg0"
			down
		fi
	done
}

@test "U25: [ Interface ] is wg's section, but not wg-quick's" {
	vector "[ Interface ]" "PrivateKey = $K" "ListenPort = 51999"
	up
	run ip netns exec wg0 wg show wg0 listen-port
	assert_output 51999
	down
	vector "[ Interface ]" "PrivateKey = $K" "Address = 10.9.0.2/24"
	refused 1 "Line unrecognized: \`Address=10.9.0.2/24'"
}

@test "after all of this the host is the same" {
	assert_host_unchanged
}
