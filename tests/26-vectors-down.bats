#!/usr/bin/env bats
# Vectors N1-N6 (DNS) and D1-D16 (down, save, reload).
#
# In all of them a resolvconf stands first in PATH that writes down its calls
# and fails: there must be none.

setup_file() {
	load lib/host
	mkdir -p /run/bin
	printf '#!/bin/sh\necho "$*" >> /run/resolvconf.calls\ncat >> /run/resolvconf.calls\nexit 3\n' > /run/bin/resolvconf
	chmod 755 /run/bin/resolvconf
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
	PATH=/run/bin:$PATH
}

teardown() {
	end_tunnels
	ip netns del other 2>/dev/null || true
	rm -rf /etc/wireguard/*
	assert_clean
	[[ ! -e /run/resolvconf.calls ]] || fail "resolvconf was called: $(cat /run/resolvconf.calls)"
}

# A namespace with a way out of its own, where wg-quick's rules are made.
other_up() {
	ip netns add other
	ip -n other link add eth9 type veth peer name out
	ip -n other addr add 10.66.0.2/16 dev eth9
	# No link-local addresses, which come when they like.
	ip -n other link set eth9 addrgenmode none
	ip -n other link set out addrgenmode none
	ip -n other link set eth9 up
	ip -n other link set out up
	# The kernel tells of the carrier later, in its own time.
	timeout 20 bash -c 'until ip -n other -br link show eth9 | grep -q " UP " && ip -n other -br link show out | grep -q " UP "; do sleep 0.05; done'
	ip -n other route add default via 10.66.0.1
	other_state > "$BATS_TEST_TMPDIR/other.before"
}

other_state() {
	ip -n other rule
	ip -n other -6 rule
	ip -n other route show table all
	ip -n other -6 route show table all
	ip netns exec other nft list ruleset
	ip -n other -br link
}

assert_other_unchanged() {
	diff "$BATS_TEST_TMPDIR/other.before" <(other_state)
}

# Without its first line, which says whose file it is.
resolv_conf() { # NETNS
	tail -n +2 "/etc/netns/$1/resolv.conf"
}

reload() { # what the unit wg-quick@.service has for it
	run wg-nsquick exec wg0 -- bash -c 'wg syncconf wg0 <(wg-nsquick strip wg0)'
	assert_success
	assert_output ""
}

in_wg0() {
	ip netns exec wg0 "$@"
}

@test "N1: servers and search domains (deviation: in the namespace's resolv.conf, not by resolvconf)" {
	vector I "DNS = 10.9.0.53, fd00::53, corp.example, 1.1, foo.example"
	up
	assert_equal "$(resolv_conf wg0)" "$(printf '%s\n' "nameserver 10.9.0.53" "nameserver fd00::53" "nameserver 1.1" "search corp.example foo.example")"
	run ip netns exec wg0 cat /etc/resolv.conf
	assert_line "nameserver 10.9.0.53"
}

@test "N2: what counts as a server, over several lines" {
	vector I "DNS = 1.1.1.1:53, fe80::1%eth0,~., dns.example:853 , 300.1.1.1,LOCAL, 8.8.8.8" "dns=9.9.9.9"
	up
	assert_equal "$(resolv_conf wg0)" "$(printf 'nameserver %s\n' 1.1.1.1:53 fe80::1%eth0 dns.example:853 300.1.1.1 8.8.8.8 9.9.9.9; echo "search ~. LOCAL")"
}

@test "N3: search domains without a server: no resolvconf, up or down (deviation: they count in a new namespace)" {
	vector I "DNS = corp.example"
	up
	run resolv_conf wg0
	assert_line "search corp.example"
	refute_line --partial "nameserver"
	down
	assert_output "[#] ip link delete dev wg0"
}

@test "N4: a resolvconf that fails (deviation: it is never called, so up succeeds)" {
	run resolvconf -a x < /dev/null
	assert_failure 3
	rm /run/resolvconf.calls
	vector I "DNS = 10.9.0.53" "PostUp = command -v resolvconf"
	up
	assert_line "/run/bin/resolvconf"
	down
}

@test "N5: a failure after DNS and default routes: nft, rules, then the link, in reverse; all as before (deviation: no resolvconf)" {
	other_up
	mkdir -p /etc/netns/other
	echo "nameserver 203.0.113.1" > /etc/netns/other/resolv.conf
	vector I "DNS = 10.9.0.53" "PostUp = grep 10.9.0.53 /etc/resolv.conf; exit 9" R "AllowedIPs = 0.0.0.0/0, ::/0"
	KEPT=1 up_fails 9 --netns other --transport self
	assert_line "nameserver 10.9.0.53"
	assert_equal "$(traced | sed '1,/exit 9/d')" "$(printf '%s\n' \
		"nft -f /dev/fd/63" "ip -4 rule delete table main suppress_prefixlength 0" "ip -4 rule delete table 51820" \
		"nft -f /dev/fd/63" "ip -6 rule delete table main suppress_prefixlength 0" "ip -6 rule delete table 51820" "ip link delete dev wg0")"
	assert_other_unchanged
	run cat /etc/netns/other/resolv.conf
	assert_output "nameserver 203.0.113.1"
	rm -r /etc/netns/other
}

@test "N6: after the link is up, before any route" {
	vector I "Address = 10.9.0.2/32" "DNS = 10.9.0.53" "PreUp = ! grep nameserver /etc/resolv.conf" R "AllowedIPs = 172.16.0.0/12"
	up
	assert_equal "$(traced | sed '1,/ip -4 address/d')" "$(printf '%s\n' "ip link set mtu 1420 up dev wg0" \
		"install -m 644 /dev/fd/63 /etc/netns/wg0/resolv.conf" "ip -4 route add 172.16.0.0/12 dev wg0")"
}

# bats test_tags=seccomp
@test "D1: PreDown, save, delete, PostDown (deviation: the resolver goes after PostDown)" {
	vector I "DNS = 10.9.0.53" "SaveConfig = true" "PreDown = echo predown" "PostDown = grep ^nameserver /etc/resolv.conf"
	up
	down
	assert_output "$(printf '%s\n' "[#] echo predown" predown "[#] wg showconf wg0" "[#] ip link delete dev wg0" \
		"[#] grep ^nameserver /etc/resolv.conf" "nameserver 10.9.0.53")"
	run cat /etc/wireguard/wg0.conf
	assert_line "SaveConfig = true"
	assert_line "DNS = 10.9.0.53"
}

@test "D2: a PreDown that fails: its status, the interface stays up" {
	vector I "PreDown = exit 4" "PreDown = echo second" "PostDown = echo postdown"
	up
	run wg-nsquick down wg0
	assert_failure 4
	refute_line "second"
	refute_line "postdown"
	run ip -n wg0 -o link show wg0
	assert_output --partial ",UP"
	vector I
}

@test "D3: a PostDown that fails: its status, the link is gone, the next one does not run" {
	vector I "PostDown = exit 4" "PostDown = echo second"
	up
	run wg-nsquick down wg0
	assert_failure 4
	refute_line "second"
	assert_clean
}

@test "D4: the file is gone: does not exist, the interface stays" {
	vector I
	up
	mv /etc/wireguard/wg0.conf "$BATS_TEST_TMPDIR/"
	run wg-nsquick down wg0
	assert_failure 1
	assert_output "wg-nsquick: \`/etc/wireguard/wg0.conf' does not exist"
	run ip -n wg0 link show wg0
	assert_success
	mv "$BATS_TEST_TMPDIR/wg0.conf" /etc/wireguard/
}

@test "D5: down twice: not a WireGuard interface" {
	vector I
	up
	down
	run wg-nsquick down wg0
	assert_failure 1
	assert_output "wg-nsquick: \`wg0' is not a WireGuard interface"
}

@test "D6: down with default routes: the firewall and the rules of both families, in reverse, then the link" {
	other_up
	vector I R "AllowedIPs = 0.0.0.0/0, ::/0"
	up --netns other --transport self
	down
	assert_output "$(printf '[#] %s\n' "nft -f /dev/fd/63" "ip -4 rule delete table main suppress_prefixlength 0" "ip -4 rule delete table 51820" \
		"nft -f /dev/fd/63" "ip -6 rule delete table main suppress_prefixlength 0" "ip -6 rule delete table 51820" "ip link delete dev wg0")"
	assert_other_unchanged
}

@test "D7: save: what is live, in this order (deviation: the private key keeps its text)" {
	local psk
	psk=$(wg genpsk)
	vector I "# a comment" "Address = 10.9.0.2/24, fd09::2/64" "MTU = 1400" "Table = off" \
		R "PresharedKey = $psk" "AllowedIPs = 10.77.0.0/16, fd77::/48" "Endpoint = [2001:db8::1]:7" "PersistentKeepalive = 25"
	up
	in_wg0 wg set wg0 listen-port 12345 fwmark 77
	ip -n wg0 link set wg0 mtu 1399
	run wg-nsquick save wg0
	assert_success
	assert_output "[#] wg showconf wg0"
	diff /etc/wireguard/wg0.conf - <<-END
		[Interface]
		Address = 10.9.0.2/24
		Address = fd09::2/64
		MTU = 1399
		Table = off
		ListenPort = 12345
		FwMark = 0x4d
		PrivateKey = $K

		[Peer]
		PublicKey = $P
		PresharedKey = $psk
		AllowedIPs = 10.77.0.0/16, fd77::/48
		Endpoint = [2001:db8::1]:7
		PersistentKeepalive = 25
	END
}

@test "D8: save keeps a hook with && (deviation: wg-quick writes a file that is none)" {
	vector I "PreDown = true && true"
	up
	run wg-nsquick save wg0
	assert_success
	run cat /etc/wireguard/wg0.conf
	assert_line "PreDown = true && true"
	down
	up
}

@test "D9: save keeps the addresses of an interface with + in its name (deviation: wg-quick loses them)" {
	NAME=a+b vector I "Address = 10.9.0.2/24" "Address = fd09::2/64"
	wg-nsquick up a+b
	wg-nsquick save a+b
	run cat /etc/wireguard/a+b.conf
	assert_line "Address = 10.9.0.2/24"
	assert_line "Address = fd09::2/64"
	wg-nsquick down a+b
}

@test "D10: save by a symlink: the target becomes 0600, the link stays" {
	NAME=real vector I
	chmod 644 /etc/wireguard/real.conf
	ln -s real.conf /etc/wireguard/wg0.conf
	up
	run wg-nsquick save wg0
	assert_success
	assert_equal "$(readlink /etc/wireguard/wg0.conf)" "real.conf"
	assert_equal "$(stat -c '%a %U' /etc/wireguard/real.conf)" "600 root"
	down
}

@test "D11: save keeps search domains beside servers (deviation: wg-quick loses them)" {
	vector I "DNS = 10.9.0.53, corp.example, fd00::53"
	up
	run wg-nsquick save wg0
	run grep ^DNS /etc/wireguard/wg0.conf
	assert_output "$(printf 'DNS = %s\n' 10.9.0.53 corp.example fd00::53)"
}

@test "D12: down of one of two tunnels with default routes keeps the other's rules (deviation: wg-quick takes them all)" {
	local v
	other_up
	vector I R "AllowedIPs = 0.0.0.0/0, ::/0"
	up --netns other --transport self
	NAME=wg1 vector "[Interface]" "PrivateKey = $(wg genkey)" R "AllowedIPs = 0.0.0.0/0, ::/0"
	wg-nsquick up wg1 --netns other --transport self
	down
	for v in -4 -6; do
		run ip -n other "$v" rule
		assert_equal "$(grep -c "lookup main suppress_prefixlength 0" <<<"$output")" 1
		assert_equal "$(grep -c "not from all fwmark 0xca6d lookup 51821" <<<"$output")" 1
		refute_output --partial "lookup 51820"
	done
	wg-nsquick down wg1
	assert_other_unchanged
}

@test "D13: a foreign rule whose table begins with our number: down succeeds and leaves it (deviation: wg-quick fails)" {
	other_up
	ip -n other rule add lookup 518200
	other_state > "$BATS_TEST_TMPDIR/other.before"
	vector I R "AllowedIPs = 0.0.0.0/0"
	up --netns other --transport self
	down
	assert_other_unchanged
}

@test "rules: down of the older of two, in a namespace with its own default route: the newer's rules stay, in their order" {
	local v before
	other_up
	ip -n other -6 route add default dev eth9
	other_state > "$BATS_TEST_TMPDIR/other.before"
	vector I R "AllowedIPs = 0.0.0.0/0, ::/0"
	up --netns other
	NAME=wg1 vector "[Interface]" "PrivateKey = $(wg genkey)" R "AllowedIPs = 0.0.0.0/0, ::/0"
	wg-nsquick up wg1 --netns other
	before=$(ip -n other rule; ip -n other -6 rule)
	down
	for v in -4 -6; do
		run ip -n other "$v" rule
		assert_line --index 1 --regexp "lookup main suppress_prefixlength 0 ?$"
		assert_line --index 2 --regexp "not from all fwmark 0xca6d lookup 51821 ?$"
		assert_line --index 3 --regexp "lookup main ?$"
		# Their preferences are what they were.
		assert_equal "$(grep -vxF "$before" <<<"$output")" ""
	done
	wg-nsquick down wg1
	assert_other_unchanged
}

# Rules as wg0 makes them; of two such the kernel would take these.
admin_rules() { # add|del
	ip -n other rule "$1" pref 50 table main suppress_prefixlength 0
	ip -n other rule "$1" pref 60 not fwmark 51820 table 51820
}

@test "rules: down leaves rules of the same look that the administrator added later" {
	other_up
	vector I R "AllowedIPs = 0.0.0.0/0"
	up --netns other
	admin_rules add
	down
	run ip -n other rule
	assert_line --index 1 --regexp "^50:"
	assert_line --index 2 --regexp "^60:"
	admin_rules del
	assert_other_unchanged
}

@test "rules: down of a tunnel that the previous version made, which noted no preferences" {
	other_up
	vector I R "AllowedIPs = 0.0.0.0/0, ::/0"
	up --netns other --transport self
	sed -i -E 's/^(undo rule-[a-z]+ )[0-9]+ /\1FAMILY /; s/^end .*/end/' /run/wg-nsquick/tunnels/wg0@*
	# They were noted in this order.
	sed -i '0,/FAMILY/s//10/; 0,/FAMILY/s//10/; s/FAMILY/2/' /run/wg-nsquick/tunnels/wg0@*
	assert_equal "$(grep -cE '^undo rule-[a-z]+ (10|2) ' /run/wg-nsquick/tunnels/wg0@*)" 4
	down
	assert_other_unchanged
}

# rule_call N: of wg0's up, which sendmsg of its process asks for the Nth new rule (not every strace knows its type's name).
rule_call() {
	strace -f -qq -b execve -o /run/rule.calls -e trace=sendmsg wg-nsquick up wg0 --netns other --transport self > /dev/null 2>&1
	wg-nsquick down wg0 2> /dev/null
	awk -v n="$1" '/ sendmsg\(/ { calls[$1]++ } /nlmsg_type=(RTM_NEWRULE|0x20) / && !--n { print calls[$1] }' /run/rule.calls
	rm /run/rule.calls
}

# faulty_up FAULT N: with this fault at that sendmsg.
faulty_up() {
	strace -f -qq -b execve -o /dev/null -e trace=sendmsg -e inject="sendmsg:$1:when=$2" wg-nsquick up wg0 --netns other --transport self
}

@test "rules: an up whose rule is refused, or that is killed at it, leaves the administrator's rules of the same look" {
	local n call
	local -a names=("" "of the default route" "for table main")
	other_up
	admin_rules add
	other_state > "$BATS_TEST_TMPDIR/other.before"
	vector I "FwMark = 51820" R "AllowedIPs = 0.0.0.0/0"
	for n in 1 2; do
		call=$(rule_call "$n")
		run faulty_up error=ENOBUFS "$call"
		assert_failure 2
		assert_line --partial "cannot add the rule ${names[n]}: "
		assert_other_unchanged
		run faulty_up error=ENOBUFS:signal=KILL "$call"
		assert_failure
		wg-nsquick recover
		assert_other_unchanged
	done
}

@test "rules: a rule just like ours, which somebody adds at the same moment: another preference, and down leaves it" {
	local call
	other_up
	vector I R "AllowedIPs = 0.0.0.0/0"
	call=$(rule_call 2)
	faulty_up delay_enter=2000000 "$call" > /dev/null 2>&1 3>&- &
	wait_until "the note of the second rule" eval 'grep -qs "^undo rule-main " /run/wg-nsquick/tunnels/wg0@*'
	ip -n other rule add pref 32764 table main suppress_prefixlength 0
	wait $!
	run ip -n other rule
	assert_line --index 1 --regexp "^32763:.*suppress_prefixlength 0 ?$"
	assert_line --index 2 --regexp "^32764:.*suppress_prefixlength 0 ?$"
	assert_line --index 3 --regexp "^32765:.*lookup 51820 ?$"
	assert_equal "$(grep -c "^undo rule-main " /run/wg-nsquick/tunnels/wg0@*)" 1
	down
	ip -n other rule del pref 32764
	assert_other_unchanged
}

@test "D14: syncconf: a peer less, allowed IPs anew, the endpoint kept, another port, no mark" {
	vector I "Address = 10.9.0.2/24" "ListenPort = 51999" "FwMark = 5" R "PresharedKey = $(wg genpsk | tee "$BATS_TEST_TMPDIR/psk")" "AllowedIPs = 10.77.0.0/16" "Endpoint = 192.0.2.1:7" \
		"PersistentKeepalive = 25" RQ "AllowedIPs = 10.78.0.0/16"
	up
	vector I "Address = 10.9.0.2/24" R "AllowedIPs = 10.79.0.0/16"
	reload
	# A preshared key and a keepalive that are no longer in the file: wg has taken them away since 1.0.20250521.
	local psk keepalive
	if [[ $(wg --version) =~ v1\.0\.([0-9]{8}) ]] && ((BASH_REMATCH[1] >= 20250521)); then psk="(none)" keepalive=off; else psk=$(< "$BATS_TEST_TMPDIR/psk") keepalive=25; fi
	assert_equal "$(in_wg0 wg show wg0 preshared-keys)" "$P	$psk"
	assert_equal "$(in_wg0 wg show wg0 persistent-keepalive)" "$P	$keepalive"
	assert_equal "$(in_wg0 wg show wg0 allowed-ips)" "$P	10.79.0.0/16"
	assert_equal "$(in_wg0 wg show wg0 endpoints)" "$P	192.0.2.1:7"
	assert_equal "$(in_wg0 wg show wg0 fwmark)" "off"
	run in_wg0 wg show wg0 listen-port
	refute_output 51999
	refute_output 0
	# Addresses and routes are not touched.
	run ip -n wg0 -4 route
	assert_line --partial "10.9.0.0/24 dev wg0"
	assert_line --partial "10.78.0.0/16 dev wg0"
	refute_line --partial "10.79.0.0/16"
}

@test "D15: syncconf without peers: all are gone" {
	vector I R "AllowedIPs = 10.77.0.0/16" RQ "AllowedIPs = 10.78.0.0/16"
	up
	vector I
	reload
	assert_equal "$(in_wg0 wg show wg0 peers)" ""
}

@test "D16: syncconf takes the automatic mark (deviation: a plain default route works without, and down deletes its rules by the journal)" {
	config wg0
	up
	assert_equal "$(in_wg0 wg show wg0 fwmark)" "0x1"
	reload
	assert_equal "$(in_wg0 wg show wg0 fwmark)" "off"
	run wg-nsquick exec wg0 -- ping -c 1 -W 10 10.9.0.1
	assert_success
	down
	other_up
	vector I R "AllowedIPs = 0.0.0.0/0, ::/0"
	up --netns other --transport self
	reload
	assert_equal "$(ip netns exec other wg show wg0 fwmark)" "off"
	down
	assert_other_unchanged
}

@test "after all of this the host is the same" {
	assert_host_unchanged
}
