#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the kernel has from router advertisements, wrecked and brought back with real
# routers (radvd): not only does it look the same afterwards, the kernel also goes on
# treating it as its own, which only its flags and the next RAs can show.
#
#   host: up1 ──── rt1: r0 fe80::1
#         up2 ──── rt2: r0 fe80::2

# shellcheck disable=SC2016 # what is wrecked is expanded by the shell that does it

bats_require_minimum_version 1.5.0
bats_load_library bats-support
bats_load_library bats-assert

setup_file() {
	if [[ ${WG_NSQUICK_TEST_PRIVATE:-} != 1 ]]; then
		echo "these tests must be started by tests/private" >&2
		return 1
	fi
	command -v radvd >/dev/null || { echo "radvd is not installed" >&2; return 1; }
	export TOOL=${FIB_TOOL:-${BUILD_DIR:-.}/tests/fib-tool}
	[[ -x $TOOL ]]
	# Duplicate address detection takes a second or two; one test turns it on.
	local k
	for k in all default; do
		echo 0 >/proc/sys/net/ipv6/conf/$k/accept_dad
		echo 0 >/proc/sys/net/ipv6/conf/$k/forwarding
		echo 64 >/proc/sys/net/ipv6/conf/$k/accept_ra_rt_info_max_plen
	done
}

teardown() {
	local n
	for n in 1 2; do
		router_stop "$n"
		ip link del "up$n" 2>/dev/null || true
		ip netns del "rt$n" 2>/dev/null || true
	done
	# of a failed test
	ip -6 route flush proto static 2>/dev/null || true
}

# router N [INTERFACE-OPTIONS [OTHER-OPTIONS]]: a router starts and tells everyone at once.
router() {
	local n=$1
	if ip netns add "rt$n" 2>/dev/null; then
		ip link add "up$n" address "02:00:00:00:0c:0$n" type veth peer name r0 netns "rt$n"
		ip netns exec "rt$n" bash -ec "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
			echo 0 >/proc/sys/net/ipv6/conf/r0/accept_dad
			ip link set r0 addrgenmode none; ip link set lo up; ip link set r0 up
			ip -6 addr add fe80::$n/64 dev r0 nodad; ip -6 addr add 2001:db8:$n::1/64 dev r0 nodad"
		echo "${TEMPORARY:-0}" >"/proc/sys/net/ipv6/conf/up$n/use_tempaddr"
		ip link set "up$n" up
		# The kernel looks at carriers once a second only: an RA before that would be lost.
		wait_for 30 ready "up$n"
		wait_for 30 ready r0 -n "rt$n"
	fi
	cat >"/run/radvd$n.conf" <<-END
		interface r0 {
			AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 300; AdvLinkMTU 1480;
			${2-}
			prefix 2001:db8:$n::/64 { AdvValidLifetime 3600; AdvPreferredLifetime 1800; };
			route 2001:db8:7$n::/48 { AdvRouteLifetime 900; ${3-} };
		};
	END
	ip netns exec "rt$n" radvd -C "/run/radvd$n.conf" -p "/run/radvd$n.pid" -m logfile -l "/run/radvd$n.log" 3>&-
	wait_for 100 heard "$n"
}

# Without a farewell, which would take the routes back.
router_stop() {
	[[ -f /run/radvd$1.pid ]] || return 0
	ip netns pids "rt$1" | xargs -r kill -9 2>/dev/null || true
	rm -f "/run/radvd$1.pid"
}

ready() { ip "${@:2}" -6 -j route show table local dev "$1" type multicast | jq -e '.[0].flags == []' >/dev/null && ip "${@:2}" link show "$1" | grep -q 'state UP'; }

heard() {
	ip -6 route show "2001:db8:7$1::/48" | grep -q . && ip -6 addr show dev "up$1" | grep -q "2001:db8:$1:"
}

# wait_for N COMMAND…: for N tenths of a second.
wait_for() {
	local n=$1
	shift
	while ! "$@"; do
		((n-- > 0)) || return 1
		sleep 0.1
	done
}

# The kernel's own routes with their flags.
own_routes() { awk '/./ && and_addrconf($9) { print $1, $2, $5, $6, $9, $10 }
	function and_addrconf(hex) { return index("4567cdef", substr(hex, 4, 1)) }' /proc/net/ipv6_route | sort; }

# How it looks, without what goes by itself, how an address was added, and the mtu, which RAs set only
# when it changes. Sorted: in which order routers are heard is a matter of chance.
looks() {
	ip -6 route show table all | sed -E 's/ expires -?[0-9]+sec//; s/ mtu [0-9]+//; s/ hoplimit [0-9]+//' | sort
	ip -6 addr show | sed -E 's/valid_lft [0-9]+sec preferred_lft [0-9]+sec//; s/ nodad//'
	cat /proc/sys/net/ipv6/conf/up1/mtu
}

# What is left of the lifetime of the route to $1.
expires() { ip -6 -j route show "$1" dev up1 | jq '.[0].expires'; }

# What is left of everything that rt1's RAs renew.
lifetimes() {
	ip -6 -j route show dev up1 | jq -r '[.[] | select(.dst == "default" or .dst == "2001:db8:71::/48" or .dst == "2001:db8:1::/64")
		| .expires] | if length == 3 then .[] else error end'
	ip -6 -j addr show dev up1 | jq -r '[.[].addr_info[] | select(.prefixlen == 64 and .dynamic) | .valid_life_time]
		| if length == 1 then .[] else error end'
}

# Are they all longer than $1 says?
risen() {
	local -a old now
	mapfile -t old <<<"$1"
	mapfile -t now <<<"$(lifetimes)"
	local i
	for i in {0..3}; do
		((${now[i]:-0} > old[i])) || return 1
	done
}

watch_it() {
	own_routes >"$BATS_TEST_TMPDIR/own"
	looks >"$BATS_TEST_TMPDIR/looks"
	run "$TOOL" watch bash -ec "$1"
}

assert_own_again() {
	run diff "$BATS_TEST_TMPDIR/own" <(own_routes)
	assert_success
}

# wreck SCRIPT: brought back in all respects.
wreck() {
	watch_it "$1"
	[[ $status == 3 ]] || fail "status $status: $output"
	local said=$output
	assert_own_again
	run diff "$BATS_TEST_TMPDIR/looks" <(looks)
	assert_success
	output=$said
	mapfile -t lines <<<"$said"
}

# The next RA, for which the router is started again, does its work: everything's lifetime goes up.
assert_refreshed() {
	local left
	router_stop 1
	sleep 2.1
	left=$(lifetimes)
	router 1
	wait_for 40 risen "$left" || fail "not renewed: $left -> $(lifetimes) $(ip -6 route; ip -6 addr show dev up1)"
}

@test "ra: the default route deleted" {
	router 1
	wreck 'ip -6 route del default'
	assert_output --regexp 'removed: route default via fe80::1 dev up1 .*proto ra'
	refute_output --partial left:
}

@test "ra: a route of route information deleted" {
	router 1
	wreck 'ip -6 route del 2001:db8:71::/48'
	assert_output --regexp 'removed: route 2001:db8:71::/48 via fe80::1 dev up1 .*proto ra'
}

@test "ra: the route of the prefix deleted" {
	router 1
	wreck 'ip -6 route del 2001:db8:1::/64 dev up1'
	assert_output --partial 'removed: route 2001:db8:1::/64 dev up1'
}

@test "ra: all routes of proto ra flushed" {
	router 1
	wreck 'ip -6 route flush proto ra'
	assert_output --partial 'removed: route default via fe80::1'
	assert_output --partial 'removed: route 2001:db8:71::/48'
}

@test "ra: the address of the prefix deleted" {
	router 1
	wreck 'ip -6 addr del "$(ip -6 -j addr show dev up1 | jq -r ".[].addr_info[] | select(.local | startswith(\"2001:db8:1:\")) | .local")/64" dev up1'
	assert_output --partial 'removed: address 2001:db8:1::ff:fe00:c01/64 dev up1'
	assert_refreshed
}

@test "ra: all addresses of the link flushed" {
	router 1
	wreck 'ip -6 addr flush dev up1'
	assert_output --partial 'removed: address 2001:db8:1::ff:fe00:c01/64 dev up1'
}

@test "ra: the link taken down, and down and up" {
	router 1
	wreck 'ip link set up1 down'
	assert_output --partial 'changed: link up1: up -> down'
	# With the link up the kernel asks by itself: it may be done before we look.
	watch_it 'ip link set up1 down; ip link set up1 up'
	assert_equal "${status/3/0}" 0
	assert_own_again
	run diff "$BATS_TEST_TMPDIR/looks" <(looks)
	assert_success
	assert_refreshed
}

@test "ra: the link down and up with duplicate address detection" {
	router 1
	echo 1 >/proc/sys/net/ipv6/conf/all/accept_dad
	echo 1 >/proc/sys/net/ipv6/conf/up1/accept_dad
	watch_it 'ip link set up1 down; ip link set up1 up'
	echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad
	assert_equal "$status" 3
	assert_output --partial 'removed: route default via fe80::1'
	assert_own_again
}

@test "ra: a temporary address is left to the kernel and named" {
	TEMPORARY=2 router 1
	wait_for 20 eval 'ip -6 addr show dev up1 temporary | grep -q .'
	watch_it 'ip -6 addr del "$(ip -6 -j addr show dev up1 temporary | jq -r ".[0].addr_info[0].local")/64" dev up1'
	assert_equal "$status" 4
	assert_output --regexp 'left: removed: address 2001:db8:1:[0-9a-f:]+/64 dev up1 .*temporary'
	assert_own_again
}

@test "ra: the default route replaced, and deleted and added as a plain one" {
	# By one process: between two, an RA might bring the kernel's own back.
	instead() { printf 'printf "%%s\\n" "route del %s" "route add %s" | ip -6 -batch -' "$1" "$2"; }
	router 1
	wreck 'ip -6 route replace default via fe80::99 dev up1 metric 1024'
	wreck "$(instead default 'default via fe80::1 dev up1 metric 1024 proto static')"
	# the same to every eye but the kernel's
	wreck "$(instead default 'default via fe80::1 dev up1 metric 1024 proto ra expires 20')"
	assert_output --partial 'by the kernel'
	wreck "$(instead '2001:db8:1::/64 dev up1' '2001:db8:1::/64 dev up1 metric 256 proto kernel expires 3000')"
	assert_refreshed
}

@test "ra: a route beside the kernel's own goes, the own one stays" {
	router 1
	wreck 'ip -6 route append default via fe80::99 dev up1 metric 1024; ip -6 route add default via fe80::99 dev up1 metric 1'
	assert_output --partial 'added: route default via fe80::99 dev up1 metric 1 '
	refute_output --partial 'removed:'
}

@test "ra: no router answers: the flags are put back all the same, and later RAs do their work" {
	router 1
	router_stop 1
	watch_it 'ip -6 route flush proto ra; ip -6 route del 2001:db8:1::/64 dev up1'
	assert_equal "$status" 4
	assert_output --partial 'left: changed: route default via fe80::1'
	took=$(grep -oP '(?<=restored in )[0-9]+' <<<"$output")
	((took >= 3700 && took < 6000)) || fail "$output"
	assert_own_again
	run ip -6 route show proto static
	assert_output '' # no stopgap
	run expires default
	((output > 100 && output <= 298)) || fail "expires $output"
	run expires 2001:db8:1::/64
	((output > 3300 && output <= 3598)) || fail "expires $output"
	router 1
	assert_refreshed
	assert_own_again
	# The farewell takes the route back.
	kill "$(cat /run/radvd1.pid)"
	rm -f /run/radvd1.pid
	no_default() { ! ip -6 route show default | grep -q .; }
	wait_for 20 no_default
}

@test "ra: RAs are no longer accepted: no router is waited for" {
	router 1
	watch_it 'echo 0 >/proc/sys/net/ipv6/conf/up1/accept_ra; ip -6 route del default'
	assert_equal "$status" 4
	took=$(grep -oP '(?<=restored in )[0-9]+' <<<"$output")
	((took < 1000)) || fail "$output"
	assert_own_again
}

@test "ra: two routers of high and low preference" {
	router 1 'AdvDefaultPreference low;' 'AdvRoutePreference high;'
	router 2 'AdvDefaultPreference high;' 'AdvRoutePreference low;'
	run own_routes
	assert_equal "$(grep -c '^0\{32\} 00' <<<"$output")" 2
	wreck 'ip -6 route del default via fe80::1'
	wreck 'ip -6 route del default via fe80::2'
	wreck 'ip -6 route flush proto ra'
	assert_output --regexp 'removed: route default via fe80::1 dev up1 .*pref low'
	assert_output --regexp 'removed: route default via fe80::2 dev up2 .*pref high'
	assert_output --regexp 'removed: route 2001:db8:72::/48 via fe80::2 dev up2 .*pref low'
}

@test "ra: RAs alone are no difference" {
	router 1
	run "$TOOL" watch bash -ec 'for ((heard = 0, last = 999; heard < 2; last = now)); do
			sleep 0.2
			now=$(ip -6 -j route show default | jq ".[0].expires")
			((now <= last)) || let ++heard
		done'
	assert_success
	assert_output ''
}

@test "ra: the stopgap is there at once, and the kernel's own route soon" {
	router 1
	run "$TOOL" ra 20
	echo "# $output" | tr '\n' ' ' >&3
	echo >&3
	assert_success
}
