#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The raw snapshot of a namespace's routing, its comparison and its restoration:
# a pretended host is wrecked in every way we could think of and must come
# back identical, as `ip -d -j` sees it.
#
# Runs as root in a private network namespace only (unshare -nmpf --mount-proc).

bats_load_library bats-support
bats_load_library bats-assert

setup_file() {
	# What follows flushes rules and takes links down: never on a real machine.
	if [[ ${WG_NSQUICK_TEST_PRIVATE:-} != 1 ]]; then
		echo "refusing to run: WG_NSQUICK_TEST_PRIVATE=1 must be set in a private network namespace" >&2
		return 1
	fi
	export TOOL=${FIB_TOOL:-${BUILD_DIR:-.}/tests/fib-tool}
	[[ -x $TOOL ]]
}

setup() {
	[[ ${WG_NSQUICK_TEST_PRIVATE:-} == 1 ]] || return 1
	host_up
	save "$BATS_TEST_TMPDIR/before"
}

teardown() {
	[[ ${WG_NSQUICK_TEST_PRIVATE:-} == 1 ]] || return 1
	host_down
}

# optional COMMAND…: for what a kernel may be built without.
optional() {
	"$@" 2>/dev/null || true
}

# settled LINK…: the kernel hears of a carrier later, at times after all that is done here, and gives the link
# its own IPv6 address only then: that would be a difference which nobody made.
settled() {
	local d
	for d in "$@"; do
		for _ in {1..400}; do
			[[ $(ip -6 -o addr show dev "$d" scope link) != *' fe80:'* ]] || continue 2
			sleep 0.05
		done
		fail "$d has no link-local address after 20 s"
	done
}

host_up() {
	ip link set lo up
	# Duplicate address detection takes a second or two; one test below turns it on.
	echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad
	echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
	echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
	ip link add eA address 02:00:00:00:0a:01 type veth peer name pA
	ip link add eB address 02:00:00:00:0b:01 type veth peer name pB
	ip link add dn0 type veth peer name dn1
	ip link set eB mtu 1450 group 3
	local d
	for d in eA pA eB pB; do
		ip link set "$d" up
	done
	settled eA pA eB pB
	# In one piece each: a process for every line would take most of the tests' time.
	ip -batch - <<-END
		addr add 192.0.2.2/24 brd + dev eA
		addr add 192.0.2.3/24 dev eA
		addr add 192.0.2.4/24 dev eA label eA:web
		addr add 172.16.0.2/30 dev eA metric 77
		addr add 10.9.0.2 peer 10.9.0.1 dev eB
		addr add 10.10.0.2/16 dev eB
		addr add 10.10.0.9/16 dev eB valid_lft 3600 preferred_lft 1800
		route add default via 192.0.2.1
		route add default via 10.10.0.1 metric 500 proto dhcp src 10.10.0.2
		route add 198.51.100.0/24 via 192.0.2.1 src 192.0.2.3 metric 5
		route add 203.0.113.0/25 nexthop via 192.0.2.1 weight 3 nexthop via 10.10.0.1 weight 7
		route add 203.0.113.128/25 nexthop via 192.0.2.1 dev eA nexthop dev eB
		route add 100.64.0.0/16 via 192.0.2.1 mtu lock 1400 advmss 1300 initcwnd 20 rto_min 50ms quickack 1
		route add 100.66.0.0/16 via 203.0.113.77 dev eA onlink
		route add 100.67.0.0/16 via inet6 fe80::1 dev eA
		route add 100.68.0.0/16 tos 0x10 via 192.0.2.1
		route add blackhole 100.70.0.0/16
		route add unreachable 100.71.0.0/16 metric 9
		route add prohibit 100.72.0.0/16
		route add throw 100.73.0.0/16 table 100
		# equal keys: the first one is used
		route append 100.74.0.0/16 via 192.0.2.1
		route append 100.74.0.0/16 via 10.10.0.1
		route append 100.74.0.0/16 via 192.0.2.9
		route add default via 10.10.0.1 table 100
		route add 0.0.0.0/1 dev eB table 51820
		route add default dev eB table 51820
		nexthop add id 1 via 192.0.2.1 dev eA
		nexthop add id 2 via 10.10.0.1 dev eB
		nexthop add id 3 blackhole
		nexthop add id 10 group 1,3/2
		nexthop add id 11 group 1/2 type resilient buckets 8 idle_timer 60 unbalanced_timer 300
		route add 100.80.0.0/16 nhid 1
		route add 100.81.0.0/16 nhid 10
		route add 100.82.0.0/16 nhid 11 metric 3
		route add 100.83.0.0/16 nhid 3
		rule add pref 90 lookup main suppress_prefixlength 0
		rule add pref 91 not fwmark 51820 lookup 51820
		rule add pref 100 uidrange 1000-1999 lookup 100
		rule add pref 101 from 192.0.2.0/24 to 198.51.100.0/24 iif eA lookup 100
		rule add pref 101 oif eB lookup 100
		rule add pref 102 fwmark 0x10/0xf0 ipproto tcp dport 80-90 sport 1000 lookup 100
		rule add pref 103 lookup 100 suppress_ifgroup 3
		rule add pref 104 tun_id 5 lookup 100
		rule add pref 105 goto 32766
		rule add pref 106 from 192.0.2.77 prohibit
		rule add pref 108 tos 0x10 lookup 100 protocol 99
	END
	ip -6 -batch - <<-END
		addr add 2001:db8:a::2/64 dev eA
		addr add 2001:db8:a::3/64 dev eA noprefixroute
		addr add 2001:db8:b::2/64 dev eB valid_lft 7200 preferred_lft 3600
		route add default via 2001:db8:a::1 pref high
		route add default via 2001:db8:b::1 metric 2048 pref low
		route add 2001:db8:c::/48 via 2001:db8:a::1 expires 3000
		route add 2001:db8:d::/48 from 2001:db8:a::/64 via 2001:db8:a::1
		route add 2001:db8:e::/48 nexthop via 2001:db8:a::1 weight 2 nexthop via 2001:db8:b::1
		route add unreachable 2001:db8:f::/48
		route add 2001:db8:10::/48 via 2001:db8:a::1 proto ra # of a daemon's: the links do not accept RAs
		route add default via 2001:db8:b::1 table 51820 mtu 1400
		nexthop add id 4 via 2001:db8:a::1 dev eA
		route add 2001:db8:80::/48 nhid 4
		rule add pref 90 lookup main suppress_prefixlength 0
		rule add pref 91 not fwmark 51820 lookup 51820
	END
	optional ip route add 100.65.0.0/16 via 192.0.2.1 congctl cubic
	optional ip route add 100.69.0.0/16 via 192.0.2.1 realms 5
	optional ip rule add pref 107 l3mdev
	local l
	for l in eA eB; do
		echo 0 >/proc/sys/net/ipv6/conf/$l/accept_ra
	done
}

host_down() {
	local d f
	ip -force -batch - 2>/dev/null <<-END || true
		link del eA
		link del eB
		link del dn0
		link del x0
		nexthop flush
	END
	for f in -4 -6; do
		ip $f -force -batch - 2>/dev/null <<-END || true
			route flush table all proto boot
			route flush table all proto dhcp
			rule flush
		END
		while ip $f rule del pref 0 2>/dev/null; do :; done
		ip $f -batch - <<-END
			rule add pref 0 lookup local
			rule add pref 32766 lookup main
		END
	done
	ip -4 rule add pref 32767 lookup default
}

# save FILE: everything as JSON, without what goes by itself: ages, and how an address was added.
save() {
	local f
	{
		printf '%s\n' link addr nexthop | ip -d -j -batch -
		for f in -4 -6; do printf '%s\n' 'route show table all' rule | ip $f -d -j -batch -; done
	} | jq 'walk(if type == "object" then del(.expires, .valid_life_time, .preferred_life_time, .nodad,
		.tentative, .operstate, .linkmode, .qdisc, .unbalanced_time) | (if .flags then .flags |= map(select(. != "LOWER_UP" and . != "NO-CARRIER")) else . end)
		| (if .metrics == null then del(.metrics) else . end) else . end)' >"$1"
}

assert_as_before() {
	save "$BATS_TEST_TMPDIR/after"
	run diff -U 9 "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
	assert_success
}

# wreck SCRIPT: runs it under the tool's eyes; the host must be as before afterwards.
wreck() {
	run "$TOOL" watch bash -ec "$1"
	assert_equal "$status" 3
	local said=$output
	assert_as_before
	output=$said
	mapfile -t lines <<<"$said"
}

# ignores SCRIPT: is no difference at all.
ignores() {
	run "$TOOL" watch bash -ec "$1"
	assert_success
	assert_output ''
}

@test "fib: an untouched namespace has no difference" {
	ignores true
	run "$TOOL" bench 1
	assert_output --partial 'unchanged() = 1'
	assert_output --partial 'diff = 0'
}

@test "fib: the default route deleted" {
	wreck 'ip route del default via 192.0.2.1'
	assert_line 'removed: route default via 192.0.2.1 dev eA (IPv4, table main)'
	assert_equal "$(grep -c ^removed <<<"$output")" 1
}

@test "fib: all default routes deleted, both families" {
	wreck 'ip route flush exact 0/0; ip -6 route del default metric 1024; ip -6 route del default metric 2048'
	assert_line 'removed: route default via 10.10.0.1 dev eB metric 500 src 10.10.0.2 proto dhcp (IPv4, table main)'
	assert_line --partial 'removed: route default via 2001:db8:a::1 dev eA metric 1024 pref high (IPv6, table main)'
}

@test "fib: a link taken down" {
	wreck 'ip link set eA down'
	assert_line 'changed: link eA: up -> down'
	assert_line 'removed: route default via 192.0.2.1 dev eA (IPv4, table main)'
	assert_line --partial 'removed: address 2001:db8:a::2/64 dev eA'
}

@test "fib: a link taken down and up again" {
	wreck 'ip link set eA down; ip link set eA up'
	refute_output --partial 'changed: link'
	assert_line 'removed: route default via 192.0.2.1 dev eA (IPv4, table main)'
}

@test "fib: a link that was down taken up" {
	wreck 'ip link set dn0 up'
	assert_line 'changed: link dn0: down -> up'
}

@test "fib: a link's addresses flushed" {
	wreck 'ip addr flush dev eA'
	assert_line 'removed: address 192.0.2.2/24 dev eA brd 192.0.2.255'
	assert_line --partial 'removed: address 192.0.2.4/24 dev eA label eA:web'
	assert_line 'removed: address 2001:db8:a::3/64 dev eA noprefixroute'
}

@test "fib: the primary address deleted, with its secondaries" {
	wreck 'ip addr del 192.0.2.2/24 dev eA'
	assert_line 'removed: address 192.0.2.2/24 dev eA brd 192.0.2.255'
}

@test "fib: the primary address deleted, a secondary promoted" {
	echo 1 >/proc/sys/net/ipv4/conf/eA/promote_secondaries
	wreck 'ip addr del 192.0.2.2/24 dev eA'
	assert_line 'removed: address 192.0.2.2/24 dev eA brd 192.0.2.255'
}

@test "fib: of several IPv6 addresses one deleted: the same one comes first as source" {
	wreck 'ip -6 addr del 2001:db8:a::2/64 dev eA'
	assert_line 'removed: address 2001:db8:a::2/64 dev eA'
}

@test "fib: an address added, one replaced" {
	wreck 'ip addr add 192.0.2.99/24 dev eA; ip addr add 203.0.113.200/32 dev lo; ip -6 addr add 2001:db8:a::99/64 dev eA'
	assert_line --partial 'added: address 192.0.2.99/24 dev eA'
	assert_line 'added: address 203.0.113.200/32 dev lo'
	assert_line 'added: address 2001:db8:a::99/64 dev eA'
}

@test "fib: addresses turned from permanent to dying" {
	wreck 'ip addr change 172.16.0.2/30 dev eA valid_lft 60 preferred_lft 30; ip -6 addr change 2001:db8:a::2/64 dev eA valid_lft 60 preferred_lft 30'
	assert_line --partial 'changed: address 172.16.0.2/30 dev eA'
	assert_line --partial 'changed: address 2001:db8:a::2/64 dev eA'
}

@test "fib: a link with another mtu and name, down" {
	wreck 'ip link set eA down; ip link set eA mtu 1400 name foo'
	assert_line 'changed: link eA: name eA -> foo, mtu 1500 -> 1400, up -> down'
}

@test "fib: an mtu too small for IPv6" {
	wreck 'ip link set eA mtu 1000'
	assert_line 'changed: link eA: mtu 1500 -> 1000'
}

@test "fib: two links that changed names" {
	wreck 'ip link set eA down; ip link set eB down; ip link set eA name t0; ip link set eB name eA; ip link set t0 name eB; ip link set eA up'
	assert_line 'changed: link eA: name eA -> eB, up -> down'
	assert_line 'changed: link eB: name eB -> eA'
}

@test "fib: a link with another address, group and without ARP" {
	wreck 'ip link set eA address 02:00:00:00:00:99; ip link set eA group 7; ip link set eA arp off; ip link set eA multicast off'
	assert_line 'changed: link eA: arp on -> off, group 0 -> 7, address 02:00:00:00:0a:01 -> 02:00:00:00:00:99, multicast on -> off'
}

@test "fib: rules flushed" {
	wreck 'ip rule flush; ip -6 rule flush'
	assert_line 'removed: rule 100: from all uidrange 1000-1999 lookup 100 (IPv4)'
	assert_line 'removed: rule 90: from all suppress_prefixlength 0 lookup main (IPv6)'
	assert_line 'removed: rule 91: not from all fwmark 0xca6c lookup 51820 (IPv6)'
	assert_line 'removed: rule 32766: from all lookup main (IPv4)'
	assert_line --partial 'goto 32766'
}

@test "fib: rules added, also of preference 0 and of another's preference" {
	wreck 'ip rule add pref 0 lookup 100; ip rule add pref 101 lookup 100; ip -6 rule add lookup 51820'
	assert_line 'added: rule 0: from all lookup 100 (IPv4)'
	assert_line 'added: rule 101: from all lookup 100 (IPv4)'
	assert_line 'added: rule 89: from all lookup 51820 (IPv6)'
}

@test "fib: the local rule moved out of the way" {
	wreck 'ip rule add pref 5 lookup local; ip rule del pref 0'
	assert_line 'removed: rule 0: from all lookup local (IPv4)'
}

@test "fib: a rule of two with the same preference deleted" {
	wreck 'ip rule del pref 101 from 192.0.2.0/24 to 198.51.100.0/24 iif eA lookup 100'
	assert_line 'removed: rule 101: from 192.0.2.0/24 to 198.51.100.0/24 iif eA lookup 100 (IPv4)'
}

@test "fib: nexthop objects deleted, with their routes" {
	wreck 'ip nexthop del id 1; ip nexthop del id 4'
	assert_line 'removed: nexthop id 1 via 192.0.2.1 dev eA'
	assert_line 'removed: route 2001:db8:80::/48 metric 1024 nhid 4 (IPv6, table main)'
}

@test "fib: nexthop objects replaced and added" {
	wreck 'ip nexthop replace id 1 via 10.10.0.7 dev eB; ip nexthop replace id 10 group 2; ip nexthop add id 99 blackhole'
	assert_line 'changed: nexthop id 1 via 192.0.2.1 dev eA -> nexthop id 1 via 10.10.0.7 dev eB'
	assert_line 'added: nexthop id 99 blackhole'
}

@test "fib: nexthop objects flushed" {
	wreck 'ip nexthop flush'
	assert_line --partial 'removed: nexthop id 11 type resilient group 1,1/2,1 buckets 8 idle_timer 60 unbalanced_timer 300'
}

@test "fib: routes added" {
	wreck 'ip route add 0.0.0.0/1 dev eB; ip route add 128.0.0.0/1 via 10.10.0.1; ip -6 route add ::/1 via 2001:db8:b::1; ip route add default via 10.10.0.1 table 77'
	assert_line 'added: route 0.0.0.0/1 dev eB (IPv4, table main)'
	assert_line 'added: route ::/1 via 2001:db8:b::1 dev eB metric 1024 (IPv6, table main)'
	assert_line 'added: route default via 10.10.0.1 dev eB (IPv4, table 77)'
}

@test "fib: the default route replaced" {
	wreck 'ip route replace default via 10.10.0.1'
	assert_line 'changed: route default via 192.0.2.1 dev eA -> route default via 10.10.0.1 dev eB (IPv4, table main)'
}

@test "fib: only the protocol of a route changed" {
	wreck 'ip route replace default via 192.0.2.1 proto static'
	assert_line --partial 'proto boot scope 0 -> proto static scope 0 (IPv4, table main)'
}

@test "fib: a route put before, one put behind its equals" {
	wreck 'ip route prepend default via 10.10.0.1; ip route append 100.74.0.0/16 via 192.0.2.55; ip -6 route append default via 2001:db8:a::9 metric 1024'
	assert_line 'added: route default via 10.10.0.1 dev eB (IPv4, table main)'
	assert_line 'added: route 100.74.0.0/16 via 192.0.2.55 dev eA (IPv4, table main)'
}

@test "fib: the first of equal routes deleted" {
	wreck 'ip route del 100.74.0.0/16 via 192.0.2.1'
	assert_line 'removed: route 100.74.0.0/16 via 192.0.2.1 dev eA (IPv4, table main)'
}

@test "fib: equal routes in another order" {
	wreck 'ip route del 100.74.0.0/16 via 192.0.2.1; ip route append 100.74.0.0/16 via 192.0.2.1'
	assert_output --partial 'changed: order of equals: route 100.74.0.0/16 via 192.0.2.1 dev eA (IPv4, table main)'
}

@test "fib: one nexthop of several deleted" {
	wreck 'ip -6 route del 2001:db8:e::/48 via 2001:db8:b::1; ip route replace 203.0.113.0/25 via 192.0.2.1'
	assert_output --partial 'changed: route 203.0.113.0/25 nexthop via 192.0.2.1 dev eA weight 3 nexthop via 10.10.0.1 dev eB weight 7 -> '
}

@test "fib: local routes deleted" {
	wreck 'ip route del local 192.0.2.2 dev eA table local; ip -6 route del local 2001:db8:a::2 dev eA table local'
	assert_line --partial 'removed: route local 192.0.2.2 dev eA'
	assert_line 'removed: route local 2001:db8:a::2 dev eA (IPv6, table local)'
}

@test "fib: everything at once" {
	wreck 'ip link set eA down; ip link set eB down; ip addr flush dev eA; ip addr flush dev eB
		ip rule flush; ip -6 rule flush; ip nexthop flush; ip route flush table all; ip -6 route flush table all'
	assert_line 'changed: link eA: up -> down'
	assert_line 'changed: link eB: up -> down'
}

@test "fib: with duplicate address detection on, the host is back when that is over" {
	echo 1 >/proc/sys/net/ipv6/conf/all/accept_dad
	echo 1 >/proc/sys/net/ipv6/conf/default/accept_dad
	echo 1 >/proc/sys/net/ipv6/conf/eA/accept_dad
	run "$TOOL" watch bash -ec 'ip link set eA down; ip link set eA up'
	assert_equal "$status" 3
	for _ in {1..100}; do
		save "$BATS_TEST_TMPDIR/after"
		cmp -s "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after" && break
		sleep 0.1
	done
	assert_as_before
}

@test "fib: the end of duplicate address detection is no difference" {
	echo 1 >/proc/sys/net/ipv6/conf/all/accept_dad
	echo 1 >/proc/sys/net/ipv6/conf/eB/accept_dad
	ip -6 addr add 2001:db8:b::77/64 dev eB
	run ip -6 addr show dev eB tentative
	assert_output --partial '2001:db8:b::77'
	ignores 'for i in {1..200}; do ip -6 addr show dev eB tentative | grep -q . || break; sleep 0.1; done
		ip -6 route show table local | grep -q "local 2001:db8:b::77"'
}

@test "fib: a new link is left and named, what it brings to the host goes" {
	run "$TOOL" watch bash -ec 'ip link add x0 type veth peer name x1; ip link set x0 up; ip addr add 10.77.0.1/24 dev x0; ip route add 10.78.0.0/16 dev x0'
	assert_equal "$status" 4
	assert_line --regexp '^left: added: link x0 \(index [0-9]+, veth\)$'
	assert_line 'added: route 10.78.0.0/16 dev x0 (IPv4, table main)'
	run ip addr show dev x0
	refute_output --partial 10.77.0.1
	run ip route show 10.78.0.0/16
	assert_output ''
}

@test "fib: a deleted link is left and named" {
	run "$TOOL" watch ip link del dn0
	assert_equal "$status" 4
	assert_line --regexp '^left: removed: link dn0 \(index [0-9]+, veth\)$'
}

@test "fib: a route of proto ra that is not the kernel's own is put back, though the link accepts RAs" {
	echo 2 >/proc/sys/net/ipv6/conf/eA/accept_ra
	wreck 'ip -6 route del 2001:db8:10::/48'
	assert_line 'removed: route 2001:db8:10::/48 via 2001:db8:a::1 dev eA metric 1024 proto ra (IPv6, table main)'
}

@test "fib: noise is no difference" {
	# as DHCP and RAs renew
	ignores 'ip addr change 10.10.0.9/16 dev eB valid_lft 9000 preferred_lft 8000'
	ignores 'ip -6 addr change 2001:db8:b::2/64 dev eB valid_lft 9000 preferred_lft 8000'
	ignores 'ip -6 addr change 2001:db8:b::2/64 dev eB valid_lft 9000 preferred_lft 0' # deprecated
	ignores 'ip -6 route change 2001:db8:c::/48 via 2001:db8:a::1 expires 2000'
	ignores 'ip link set eA txqueuelen 77; ip link set eA promisc on; ip link set eA promisc off; ip link set eA alias uplink'
	ignores 'ip route add 10.200.0.0/16 via 192.0.2.1; ip route del 10.200.0.0/16'
	ignores 'ip rule add pref 7 lookup 100; ip rule del pref 7'
	ignores 'ip route replace default via 192.0.2.1'
	ignores 'ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev eA'
}

# Another namespace that lives as long as its holder; c0 leads there.
neighbour_up() {
	unshare -n sleep 60 3>&- &
	NEIGHBOUR=$!
	timeout 20 bash -c "while [[ \$(readlink /proc/$NEIGHBOUR/ns/net) == \$(readlink /proc/self/ns/net) ]]; do sleep 0.01; done"
	ip link add x0 type veth peer name c1
	# Link-local addresses would come when they like.
	ip link set x0 addrgenmode none
	ip link set c1 netns "$NEIGHBOUR"
	ip addr add 10.88.0.2/24 dev x0
	ip -6 addr add 2001:db8:88::2/64 dev x0 nodad
	ip link set x0 up
	nsenter -t "$NEIGHBOUR" -n bash -ec 'ip link set c1 up; ip addr add 10.88.0.1/24 dev c1'
	# Until the kernel has heard of the carrier nothing is sent.
	timeout 20 bash -c "until ip link show x0 | grep -q 'state UP'; do sleep 0.05; done"
	ip route add 198.18.0.0/24 via 10.88.0.1
}

@test "fib: the loss of a carrier is no difference" {
	neighbour_up
	ignores "nsenter -t $NEIGHBOUR -n ip link set c1 down; for i in {1..100}; do ip route show 198.18.0.0/24 | grep -q linkdown && break; sleep 0.1; done
		ip link show x0 | grep -q NO-CARRIER"
	ignores "nsenter -t $NEIGHBOUR -n ip link set c1 up; for i in {1..100}; do ip link show x0 | grep -q 'state UP' && break; sleep 0.1; done
		ip link show x0 | grep -q 'state UP'"
	kill "$NEIGHBOUR"
}

@test "fib: a cached PMTU exception is no difference" {
	neighbour_up
	nsenter -t "$NEIGHBOUR" -n bash -ec 'echo 1 >/proc/sys/net/ipv4/ip_forward; ip link add d0 mtu 1000 type veth peer name d1
		ip addr add 10.89.0.1/24 dev d0; ip link set d0 up; ip link set d1 up; ip route add 198.18.0.0/24 dev d0'
	ignores 'for i in {1..100}; do
			head -c 1300 /dev/zero >/dev/udp/198.18.0.9/9 || true
			ip route get 198.18.0.9 | grep -q "mtu 1000" && exit 0
			sleep 0.1
		done; exit 1'
	kill "$NEIGHBOUR"
}
