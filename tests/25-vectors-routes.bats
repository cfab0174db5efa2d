#!/usr/bin/env bats
# Vectors A1-A6 (addresses), M1-M11 (MTU), T1-T5 (Table) and R1-R12 (routes).
#
# The pretended host as the vectors have it: veth0 is their eth9 (MTU 1492,
# default route), veth8 their eth8 (MTU 1400, 198.51.100.0/24).

setup_file() {
	load lib/host
	host_up
	ip link set veth0 mtu 1492
	ip -n prov link set eth0 mtu 1492
	ip link add veth8 mtu 1400 type veth peer name eth8 mtu 1400 netns prov
	ip addr add 198.51.100.2/24 dev veth8
	ip link set veth8 addrgenmode none
	ip link set veth8 up
	ip -n prov link set eth8 up
	host_remember
}

teardown_file() {
	load lib/host
	ip link del veth8
	host_down
}

setup() {
	load lib/host
	load lib/vector
}

teardown() {
	end_tunnels
	ip netns del other 2>/dev/null || true
	assert_clean
}

# A namespace with a way out of its own, where nothing of wg-quick's is yet.
other_up() {
	ip netns add other
	ip -n other link add eth9 mtu 1492 type veth peer name out mtu 1492
	ip -n other addr add 10.66.0.2/16 dev eth9
	ip -n other link set lo up
	ip -n other link set eth9 up
	ip -n other link set out up
	ip -n other route add default via 10.66.0.1
	ip netns exec other sysctl -q net.ipv4.conf.all.src_valid_mark=0
}

addresses() { # the IPv4 and IPv6 addresses of wg0, one a line, without a TUN's own
	ip -n wg0 -br addr show wg0 | awk '{ for (i = 3; i <= NF; i++) if ($i !~ /^fe80:/) print $i }'
}

routes() { # in the trace, without their first words
	traced | sed -n 's/^ip -[46] route add //p'
}

assert_mtu() { # N [TEXT]: with the present file, up gives wg0 this MTU, and traces it as the file has it
	up
	assert_line "[#] ip link set mtu ${2-$1} up dev wg0"
	assert_regex "$(ip -n wg0 -o link show wg0)" " mtu $1 "
	down
}

@test "A1: addresses without a length" {
	vector I "Address = 10.0.0.3, fd00::3"
	up
	assert_equal "$(addresses)" "$(printf '10.0.0.3/32\nfd00::3/128')"
}

@test "A2: commas, blanks, empty items" {
	vector I "Address = 10.0.0.3/24 10.0.1.3/24,,10.0.2.3/24,"
	up
	assert_equal "$(addresses)" "$(printf '10.0.0.3/24\n10.0.1.3/24\n10.0.2.3/24')"
}

@test "A3: a netmask; a short IPv4 address" {
	vector I "Address = 10.0.0.3/255.255.255.0" "Address = 10.3/24"
	up
	assert_equal "$(addresses)" "$(printf '10.0.0.3/24\n10.3.0.0/24')"
}

# bats test_tags=text
@test "A4: what is no address (deviation: found before an interface is made)" {
	local address
	for address in "Address = 10.0.0.300/24" "Address = 10.0.0.3/33" "Address = localhost/32" "Address"; do
		vector I "$address"
		refused 1 "/etc/wireguard/wg0.conf:3: Address"
	done
}

@test "A5: an address twice: the kernel's words, rollback, status 2" {
	local words
	vector I "Address = 10.0.0.3/24" "Address = 10.0.0.3/24"
	# They differ by kernel.
	ip netns add other
	ip -n other addr add 10.0.0.3/24 dev lo
	words=$(ip -n other addr add 10.0.0.3/24 dev lo 2>&1 | head -n 1) || true
	words=${words%.}
	ip netns del other
	up_fails 2
	assert_line --regexp "wg0.conf:4: cannot add address 10.0.0.3/24: .*${words##*: }"
}

@test "A6: Address without a value" {
	vector I "Address ="
	up
	assert_equal "$(addresses)" ""
}

@test "M1: MTU in decimal and hexadecimal; the last one counts; an empty one is automatic" {
	vector I "MTU = 1400"
	assert_mtu 1400
	vector I "MTU = 0x500"
	assert_mtu 1280 0x500
	vector I "MTU = 1400" "mtu=1401"
	assert_mtu 1401
	vector I "MTU ="
	assert_mtu 1412
}

# bats test_tags=text
@test "M2: what is no MTU: 255 (deviation: found before an interface is made)" {
	vector I "MTU = abc"
	refused 255 "/etc/wireguard/wg0.conf:3: MTU: \`abc'"
	vector I "MTU"
	refused 255 "/etc/wireguard/wg0.conf:3: MTU: \`MTU'"
}

@test "M3: an MTU that the kernel refuses, and one of 0, which is not automatic" {
	local mtu
	for mtu in 0 99999999; do
		vector I "MTU = $mtu"
		if [[ $WG_KIND == go ]]; then
			up_fails 2
		else
			# A WireGuard interface takes it, as under wg-quick.
			assert_mtu $mtu
		fi
	done
}

@test "M4: 80 less than the link to the endpoint, IPv4 and IPv6" {
	vector I R "Endpoint = 192.0.2.1:51820"
	assert_mtu 1412
	vector I R "Endpoint = [2001:db8::1]:51820"
	assert_mtu 1412
}

@test "M5: the smallest of several" {
	vector I R "Endpoint = 192.0.2.1:51820" RQ "Endpoint = 198.51.100.1:51820"
	assert_mtu 1320
}

@test "M6: the route's MTU before the link's; a locked one does not count" {
	ip route add 203.0.113.7/32 via 192.0.2.1 mtu 1350
	vector I R "Endpoint = 203.0.113.7:51820"
	assert_mtu 1270
	ip route replace 203.0.113.7/32 via 192.0.2.1 mtu lock 1350
	assert_mtu 1412
	ip route del 203.0.113.7/32
}

@test "M7: an endpoint on this machine" {
	vector I R "Endpoint = 127.0.0.1:51820"
	assert_mtu 65456
}

@test "M8: an endpoint that is unreachable: by the default route" {
	ip route add unreachable 203.0.113.8/32
	vector I R "Endpoint = 203.0.113.8:51820"
	assert_mtu 1412
	ip route del unreachable 203.0.113.8/32
}

@test "M9: no endpoint: a default route, its MTU, none, IPv6's alone, one of several ways" {
	vector I R
	assert_mtu 1412
	ip route replace default via 192.0.2.1 mtu 1450
	assert_mtu 1370
	ip route del default
	assert_mtu 1420
	ip -6 route add default via 2001:db8::1
	assert_mtu 1420
	ip -6 route del default
	ip route add default nexthop via 192.0.2.1 nexthop via 198.51.100.1
	assert_mtu 1420
	ip route del default
	ip route add default via 192.0.2.1
}

@test "M10: a route with less than 80: status 2" {
	ip route add 203.0.113.9/32 via 192.0.2.1 mtu 70
	vector I R "Endpoint = 203.0.113.9:51820"
	up_fails 2
	assert_line --partial "the automatic MTU is -10"
	ip route del 203.0.113.9/32
}

@test "M11: an automatic MTU below 1280 with IPv6: status 2 (deviation: said as it is, and also without a route that fails)" {
	ip route add 203.0.113.11/32 via 192.0.2.1 mtu 1300
	vector I "Address = fd00::3/64" R "Endpoint = 203.0.113.11:51820" "AllowedIPs = fd01::/64"
	up_fails 2
	assert_line --partial "the automatic MTU is 1220, and IPv6 needs 1280"
	vector I "Address = 10.0.0.3/24" R "Endpoint = 203.0.113.11:51820" "AllowedIPs = 10.0.1.0/24"
	assert_mtu 1220
	ip route del 203.0.113.11/32
}

@test "T1: Table = off: no routes" {
	vector I "Table = off" R "AllowedIPs = 0.0.0.0/0, 172.16.0.0/12"
	up
	assert_equal "$(routes)" ""
	assert_equal "$(ip -n wg0 -4 route show table all dev wg0)" ""
}

# bats test_tags=text
@test "T2: words and numbers that are no table: 255 (deviation: found before an interface is made)" {
	local table
	for table in OFF Auto junk 4294967296; do
		vector I "Table = $table" R "AllowedIPs = 172.16.0.0/12"
		refused 255 "/etc/wireguard/wg0.conf:3: Table: \`$table'"
	done
}

@test "T3: a table of its own: all prefixes, no rules, no mark" {
	vector I "Address = 10.50.0.1/24" "Table = 1234" R "AllowedIPs = 10.50.0.0/16, 10.50.0.0/24, 0.0.0.0/0"
	up
	assert_equal "$(routes)" "$(printf '%s dev wg0 table 1234\n' 10.50.0.0/24 10.50.0.0/16 0.0.0.0/0)"
	run ip -n wg0 route show table 1234
	assert_equal "${#lines[@]}" 3
	assert_line --partial "default dev wg0"
	assert_line --partial "10.50.0.0/24 dev wg0"
	assert_line --partial "10.50.0.0/16 dev wg0"
	run ip -n wg0 rule
	assert_equal "${#lines[@]}" 3
	run ip netns exec wg0 wg show wg0 fwmark
	assert_output "off"
}

@test "T4: a route that the address has made: File exists, rollback, status 2" {
	vector I "Address = 10.50.0.1/16" "Table = main" R "AllowedIPs = 10.50.0.0/16"
	up_fails 2
	assert_line --partial "10.50.0.0/16: File exists"
}

@test "T5: a table in hexadecimal" {
	vector I "Table = 0x10" R "AllowedIPs = 10.50.0.0/16"
	up
	assert_equal "$(routes)" "10.50.0.0/16 dev wg0 table 0x10"
	run ip -n wg0 route show table 16
	assert_output --partial "10.50.0.0/16"
}

@test "R1: a route to one's own IPv4 address; IPv6's has one" {
	vector I "Address = 10.0.0.1/32, fd00::1/128" R "AllowedIPs = 10.0.0.1/32, fd00::1/128, 10.0.0.0/24"
	up
	assert_equal "$(routes)" "$(printf '%s dev wg0\n' 10.0.0.1/32 10.0.0.0/24)"
}

@test "R2: a route that another link has: File exists, rollback, status 2; the host's are no obstacle (deviation: the namespace)" {
	other_up
	vector I R "AllowedIPs = 10.66.0.0/16"
	KEPT=1 up_fails 2 --netns other
	assert_line --partial "10.66.0.0/16: File exists"
	run ip -n other route show 10.66.0.0/16
	assert_output --partial "dev eth9"
	run ip -n other link show wg0
	assert_failure
	vector I R "AllowedIPs = 192.0.2.0/24"
	up
	assert_equal "$(routes)" "192.0.2.0/24 dev wg0"
}

@test "R3: a prefix of two peers: one route, and it is the second's" {
	vector I R "AllowedIPs = 10.50.0.0/16" RQ "AllowedIPs = 10.50.0.0/16"
	up
	assert_equal "$(routes)" "10.50.0.0/16 dev wg0"
	run ip netns exec wg0 wg show wg0 allowed-ips
	assert_line "$P	(none)"
	assert_line "$Q	10.50.0.0/16"
}

@test "R4: a prefix with host bits: a warning, the route without" {
	vector I R "AllowedIPs = 10.50.1.1/16"
	up
	assert_line --partial "AllowedIP has nonzero host part: 10.50.1.1/16"
	assert_equal "$(routes)" "10.50.0.0/16 dev wg0"
}

@test "R5: a peer with one's own key: no peer, no route" {
	vector I "[Peer]" "PublicKey = $K_PUB" "AllowedIPs = 10.50.0.0/16"
	up
	assert_equal "$(routes)" ""
	run ip netns exec wg0 wg show wg0 peers
	assert_output ""
}

@test "R6: the order of routes" {
	vector I "Address = 10.255.0.2/32, fd00:ff::2/128" R "AllowedIPs = 10.0.0.0/8, 9.0.0.0/8, ::/0, 0.0.0.0/0, fd00::/8, 2001:db8::/32" \
		"AllowedIPs = 10.9.1.2/32, 100.64.0.0/10, fd0a::/48, 10.1.0.0/16, 10.10.0.0/16"
	up
	assert_equal "$(routes)" "$(printf '%s dev wg0\n' fd0a::/48 2001:db8::/32 10.9.1.2/32 10.10.0.0/16 10.1.0.0/16 \
		100.64.0.0/10 fd00::/8 9.0.0.0/8 10.0.0.0/8 ::/0 0.0.0.0/0)"
}

# The lines of a default route in the target's own rules.
ruled() { # TABLE
	local v prefix
	for v in 6 4; do
		[[ $v == 6 ]] && prefix=::/0 || prefix=0.0.0.0/0
		printf '%s\n' "ip -$v rule add not fwmark $1 table $1" "ip -$v rule add table main suppress_prefixlength 0" "ip -$v route add $prefix dev wg0 table $1"
		[[ $v == 6 ]] || echo "sysctl -q net.ipv4.conf.all.src_valid_mark=1"
		echo "nft -f /dev/fd/63"
	done
}

# What wg-quick makes for wg0 (spec C.8), as nft lists it.
firewall() { # FAMILY ADDRESS MARK
	local ip=ip
	[[ $1 == 6 ]] && ip=ip6
	printf '%s\n' "table $ip wg-quick-wg0 {" \
		"	chain preraw {" "		type filter hook prerouting priority raw; policy accept;" \
		"		iifname != \"wg0\" $ip daddr $2 fib saddr type != local drop" "	}" "" \
		"	chain premangle {" "		type filter hook prerouting priority mangle; policy accept;" \
		"		meta l4proto udp meta mark set ct mark" "	}" "" \
		"	chain postmangle {" "		type filter hook postrouting priority mangle; policy accept;" \
		"		meta l4proto udp meta mark $3 ct mark set meta mark" "	}" "}"
}

@test "R7: transport self: mark, rules, route, sysctl, nft in this order" {
	local v
	other_up
	vector I "Address = 10.9.0.2/32, fd09::2/128" R "AllowedIPs = 0.0.0.0/0, ::/0"
	up --netns other --transport self
	assert_equal "$(traced | sed '1,/ip link set/d')" "$(printf '%s\n' "wg set wg0 fwmark 51820" "$(ruled 51820)")"
	for v in -4 -6; do
		run ip -n other "$v" rule
		assert_line --index 1 --regexp "^[0-9]+:	from all lookup main suppress_prefixlength 0$"
		assert_line --index 2 --regexp "^[0-9]+:	not from all fwmark 0xca6c lookup 51820$"
		run ip -n other "$v" route show table 51820
		assert_output --regexp "^default dev wg0"
	done
	run ip netns exec other sysctl -n net.ipv4.conf.all.src_valid_mark
	assert_output 1
	# A TUN has a link-local address besides.
	run bash -c 'ip netns exec other nft list ruleset | grep -v "daddr fe80:"'
	assert_output "$(firewall 6 fd09::2 0x0000ca6c; firewall 4 10.9.0.2 0x0000ca6c)"
}

@test "transport self with a strict reverse path filter: traffic flows, and the tunnel's address is not to be reached beside it" {
	other_up
	# A way out that leads to the provider; the filter would look for its answers behind the tunnel.
	ip -n other link add way type veth peer name self9 netns prov
	ip -n other addr add 203.0.113.2/24 dev way
	ip -n other link set way up
	ip -n prov addr add 203.0.113.1/24 dev self9
	ip -n prov link set self9 up
	ip netns exec other sysctl -qw net.ipv4.conf.all.rp_filter=1
	config wg0
	sed -i 's/192.0.2.1:51820/203.0.113.1:51820/' /etc/wireguard/wg0.conf
	run wg-nsquick up wg0 --netns other --transport self
	assert_success
	# A handshake that is sent before the kernel has heard of the carrier is sent again after 5 s.
	run ip netns exec other ping -c 2 -W 10 10.9.0.1
	assert_success
	# A neighbour guesses at the address inside.
	ip -n prov route add 10.9.0.2/32 via 203.0.113.2 metric 1
	run ip netns exec prov ping -c 1 -W 1 -I 203.0.113.1 10.9.0.2
	assert_failure
	# The firewall does both.
	ip netns exec other nft flush ruleset
	run ip netns exec other ping -c 1 -W 1 10.9.0.1
	assert_failure
	run ip netns exec prov ping -c 1 -W 5 -I 203.0.113.1 10.9.0.2
	assert_success
	run wg-nsquick down wg0
	assert_success
	run ip netns exec other nft list ruleset
	assert_output ""
}

@test "transport self: a table of wg-quick's name that was there before is used, as wg-quick does, and stays as it was" {
	local before
	other_up
	ip netns exec other nft 'add table ip wg-quick-wg0; add chain ip wg-quick-wg0 mine; add rule ip wg-quick-wg0 mine counter'
	before=$(ip netns exec other nft list ruleset)
	vector I "Address = 10.9.0.2/32" R "AllowedIPs = 0.0.0.0/0"
	up --netns other --transport self
	assert_success
	assert_line --partial "wg0: there is an nftables table for this name already"
	run ip netns exec other nft list table ip wg-quick-wg0
	assert_line --partial "chain mine"
	assert_line --partial 'iifname != "wg0" ip daddr 10.9.0.2'
	run wg-nsquick down wg0
	assert_success
	assert_equal "$(ip netns exec other nft list ruleset)" "$before"
	# Taken away meanwhile, it does not come back.
	up --netns other --transport self
	ip netns exec other nft delete table ip wg-quick-wg0
	run wg-nsquick down wg0
	assert_success
	assert_equal "$(ip netns exec other nft list ruleset)" ""
}

@test "transport self: a name that nft would refuse" {
	other_up
	config a+b=c
	run wg-nsquick up a+b=c --netns other --transport self
	assert_success
	run ip netns exec other nft list ruleset
	assert_line "table ip wg-quick-a/2bb/3dc {"
	run wg-nsquick down a+b=c
	assert_success
	run ip netns exec other nft list ruleset
	assert_output ""
}

@test "R7 (deviation: the namespace): a mark of no effect, plain default routes, no rules, no sysctl, no nft" {
	vector I "Address = 10.9.0.2/32, fd09::2/128" R "AllowedIPs = 0.0.0.0/0, ::/0"
	up
	assert_equal "$(traced | sed '1,/ip link set/d')" "$(printf '%s\n' "wg set wg0 fwmark 1" "ip -6 route add ::/0 dev wg0" "ip -4 route add 0.0.0.0/0 dev wg0")"
	run ip -n wg0 rule
	assert_equal "${#lines[@]}" 3
	run ip netns exec wg0 nft list ruleset
	assert_output ""
}

@test "R8: the file's mark is the table; no wg set" {
	other_up
	vector I "FwMark = 0x1234" R "AllowedIPs = 0.0.0.0/0, ::/0"
	up --netns other --transport self
	assert_equal "$(traced | sed '1,/ip link set/d')" "$(ruled 4660)"
	run ip netns exec other wg show wg0 fwmark
	assert_output 0x1234
}

@test "R9: a table that either family uses is not taken" {
	other_up
	ip -n other route add 203.0.113.0/24 dev eth9 table 51820
	ip -n other -6 route add 2001:db8:9::/48 dev eth9 table 51821
	vector I R "AllowedIPs = 0.0.0.0/0"
	up --netns other --transport self
	assert_line "[#] wg set wg0 fwmark 51822"
	assert_line "[#] ip -4 rule add not fwmark 51822 table 51822"
}

@test "R10: two halves are plain routes" {
	other_up
	vector I R "AllowedIPs = 0.0.0.0/1, 128.0.0.0/1"
	up --netns other --transport self
	assert_equal "$(traced | sed '1,/ip link set/d')" "$(printf 'ip -4 route add %s dev wg0\n' 128.0.0.0/1 0.0.0.0/1)"
}

@test "R11: /0 with host bits is a default route" {
	other_up
	vector I R "AllowedIPs = 1.2.3.4/0"
	up --netns other --transport self
	assert_line "[#] ip -4 rule add not fwmark 51820 table 51820"
	assert_line "[#] ip -4 route add 0.0.0.0/0 dev wg0 table 51820"
}

@test "R12: src_valid_mark that is on already is not set again" {
	other_up
	ip netns exec other sysctl -q net.ipv4.conf.all.src_valid_mark=1
	vector I R "AllowedIPs = 0.0.0.0/0"
	up --netns other --transport self
	refute_line --partial "sysctl"
	assert_line "[#] ip -4 route add 0.0.0.0/0 dev wg0 table 51820"
}

@test "mark: a rule of the host's about packets without a mark: no mark is without effect on it" {
	vector I R "AllowedIPs = 0.0.0.0/0"
	ip rule add fwmark 0/0xff table main
	up
	ip rule del fwmark 0/0xff table main
	assert_line --partial "no fwmark is without effect on the transport namespace's rules"
	run ip netns exec wg0 wg show wg0 fwmark
	assert_output off
}

valid_mark() { ip netns exec other sysctl -n net.ipv4.conf.all.src_valid_mark; }

@test "src_valid_mark is 0 again after the last tunnel that asks by a mark, if it was, in a namespace that is not ours" {
	other_up
	vector I R "AllowedIPs = 0.0.0.0/0"
	NAME=wg1 vector "[Interface]" "PrivateKey = $(wg genkey)" R "AllowedIPs = 0.0.0.0/0"
	NAME=wg2 vector "[Interface]" "PrivateKey = $(wg genkey)" R "AllowedIPs = 10.50.0.0/16"
	up --netns other --transport self
	wg-nsquick up wg1 --netns other --transport self
	wg-nsquick up wg2 --netns other --transport self
	assert_equal "$(valid_mark)" 1
	# Whose it was is not the question.
	down
	assert_equal "$(valid_mark)" 1
	wg-nsquick down wg1
	assert_equal "$(valid_mark)" 0
	wg-nsquick down wg2
	vector I R "AllowedIPs = 0.0.0.0/0" "[Interface]" "PostUp = false"
	KEPT=1 up_fails 1 --netns other --transport self
	assert_equal "$(valid_mark)" 0
}

@test "src_valid_mark stays 1 where it was, and where another's rule asks by a mark" {
	other_up
	vector I R "AllowedIPs = 0.0.0.0/0"
	up --netns other --transport self
	ip -n other rule add fwmark 7 table 7
	down
	assert_equal "$(valid_mark)" 1
	ip -n other rule del fwmark 7 table 7
	up --netns other --transport self
	down
	assert_equal "$(valid_mark)" 1
}

@test "after all of this the host is the same" {
	assert_host_unchanged
}
