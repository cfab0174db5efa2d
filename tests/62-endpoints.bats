#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2034
# Endpoint names: whom they are asked of, when, and how long. (Words and numbers
# of attempts are the vectors W37 to W46.)

setup_file() {
	load lib/host
	host_up
	# A name server for the host's side, one in a namespace of its own for a second transport.
	ip netns add hop
	ip link add veth1 type veth peer name eth1 netns hop
	ip link set veth1 addrgenmode none
	ip addr add 198.51.100.1/24 dev veth1
	ip link set veth1 up mtu 1400
	ip -n hop link set lo up
	ip -n hop addr add 198.51.100.2/24 dev eth1
	ip -n hop link set eth1 up mtu 1400
	ip -n hop route add default via 198.51.100.1
	dns 127.0.0.1 --address=/vpn.test/192.0.2.1 --address=/both.test/192.0.2.1 --address=/both.test/2001:db8::1
	ip netns exec hop bash -c "$(declare -f dns); dns 127.0.0.1 --address=/vpn.test/198.51.100.1"
	mkdir -p /etc/netns/hop
	echo "nameserver 127.0.0.1" > /etc/netns/hop/resolv.conf
	echo "nameserver 127.0.0.1" > /run/resolv.conf
	host_remember
}

dns() { # ADDRESS OPTION…
	dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --listen-address="$1" --user=root --pid-file "${@:2}" 3>&-
}

teardown_file() {
	load lib/host
	assert_host_unchanged
	rm -rf /etc/netns/hop
	host_down
	ip link del veth1
	ip netns del hop
}

setup() {
	load lib/host
	OWN_NETNS=hop
}

teardown() {
	[[ -e /run/netns/wg0 ]] && wg-nsquick down wg0 > /dev/null 2>&1 3>&-
	rm -f /etc/wireguard/* /etc/wg-nsquick.d/*
	return 0
}

endpoint_in_use() {
	ip netns exec wg0 wg show wg0 endpoints | cut -f2
}

mtu_in_use() {
	ip -n wg0 link show wg0 | grep -oE 'mtu [0-9]+'
}

@test "a name is asked of the host's servers, and leads through the host's routes" {
	ENDPOINT=vpn.test:51820 config wg0
	run wg-nsquick up wg0
	assert_success
	assert_equal "$(endpoint_in_use)" 192.0.2.1:51820
	assert_equal "$(mtu_in_use)" "mtu 1420"
	run wg-nsquick exec wg0 -- ping -c 1 -W 20 10.9.0.1
	assert_success
}

@test "with another transport it is asked of that one's servers, and the MTU is that one's" {
	ENDPOINT=vpn.test:51820 config wg0
	run wg-nsquick up wg0 --transport hop
	assert_success
	assert_equal "$(endpoint_in_use)" 198.51.100.1:51820
	assert_equal "$(mtu_in_use)" "mtu 1320"
}

@test "a transport by a path is the same for later runs, wherever these are started; one that is gone is told" {
	local pid
	ENDPOINT=vpn.test:51820 config wg0
	cd /run
	run wg-nsquick up wg0 --transport netns/hop
	assert_success
	cd /
	run wg-nsquick status wg0
	assert_line --regexp "transport +hop|  hop  "
	assert_equal "$(endpoint_in_use)" 198.51.100.1:51820
	printf '[tunnel]\ntransport = /run/netns/hop\n' > /etc/wg-nsquick.d/wg0.conf
	run wg-nsquick reload wg0
	assert_success
	run wg-nsquick reresolve wg0
	assert_success
	run wg-nsquick verify wg0
	assert_line --partial "✓ links"
	wg-nsquick down wg0
	# By a program that ends; another namespace is there by the path then.
	rm /etc/wg-nsquick.d/wg0.conf
	config wg0
	: > /run/some.netns
	unshare -n sleep 600 3>&- &
	pid=$!
	wait_until "its namespace" eval '[[ $(readlink /proc/'$pid'/ns/net) != $(readlink /proc/self/ns/net) ]]'
	run nsenter -t "$pid" -n wg-nsquick up wg0 --netns wg0 --transport /proc/self/ns/net
	assert_failure 1
	assert_output --partial "is another namespace for every program"
	mount --bind /proc/$pid/ns/net /run/some.netns
	cd /run
	run wg-nsquick up wg0 --transport ./some.netns
	cd /
	assert_success
	run wg-nsquick reload wg0
	assert_success
	umount /run/some.netns
	mount --bind /run/netns/hop /run/some.netns
	run wg-nsquick reload wg0
	assert_failure 1
	assert_output "wg-nsquick: wg0: cannot open the namespaces it was made with (transport /run/./some.netns)"
	run wg-nsquick reresolve wg0
	assert_failure 1
	assert_output "wg-nsquick: wg0: cannot open the namespaces it was made with (transport /run/./some.netns)"
	run wg-nsquick verify wg0
	assert_failure 1
	assert_output "wg-nsquick: wg0: its transport namespace (/run/./some.netns) cannot be opened any more"
	umount /run/some.netns
	rm /run/some.netns
	kill "$pid"
	run wg-nsquick down wg0
	assert_success
	assert_clean
}

@test "save asks the same ones: the name is kept while it leads to the address in use" {
	# One that the host's resolv.conf does not name.
	ip netns exec hop bash -c "$(declare -f dns); dns 127.0.0.2 --address=/only.test/198.51.100.1"
	echo "nameserver 127.0.0.2" > /etc/netns/hop/resolv.conf
	ENDPOINT=only.test:51820 config wg0
	run wg-nsquick up wg0 --transport hop
	assert_success
	run wg-nsquick save wg0
	assert_success
	echo "nameserver 127.0.0.1" > /etc/netns/hop/resolv.conf
	run grep ^Endpoint /etc/wireguard/wg0.conf
	assert_output "Endpoint = only.test:51820"
}

@test "ip netns exec before the command does not change who is asked" {
	ENDPOINT=vpn.test:51820 config wg0
	run ip netns exec hop wg-nsquick up wg0 --netns wg0
	assert_success
	assert_equal "$(endpoint_in_use)" 192.0.2.1:51820
}

@test "an address family that the transport cannot send to is not chosen" {
	# hop has no IPv6: there the order of RFC 6724 puts IPv4 first; the host has both, and takes IPv6.
	echo 'nameserver 198.51.100.1' > /etc/netns/hop/resolv.conf
	dns 198.51.100.1 --address=/both.test/192.0.2.1 --address=/both.test/2001:db8::1
	ENDPOINT=both.test:51820 config wg0
	run wg-nsquick up wg0
	assert_success
	assert_equal "$(endpoint_in_use)" "[2001:db8::1]:51820"
	run wg-nsquick down wg0
	run wg-nsquick up wg0 --transport hop
	assert_success
	assert_equal "$(endpoint_in_use)" "192.0.2.1:51820"
	echo 'nameserver 127.0.0.1' > /etc/netns/hop/resolv.conf
}

@test "everything is parsed before anything is asked: an error further down costs no lookup" {
	ENDPOINT=nosuch.test:51820 config wg0 "Peer:[Peer]" "Peer:PublicKey = junk"
	run timeout 20 wg-nsquick up wg0
	assert_failure 1
	assert_output --partial "PublicKey: Key is not the correct length or format"
	refute_output --partial "Trying again"
	assert_clean
}

@test "a hook does not run, and nothing is made, while a name cannot be resolved" {
	ENDPOINT=nosuch.test:51820 config wg0 "PreUp = touch $BATS_TEST_TMPDIR/ran"
	WG_ENDPOINT_RESOLUTION_RETRIES=0 run wg-nsquick up wg0
	assert_failure 1
	assert_output --regexp "^wg-nsquick: /etc/wireguard/wg0.conf:[0-9]+: .*: .nosuch.test:51820'"
	[[ ! -e $BATS_TEST_TMPDIR/ran ]]
	assert_clean
}

@test "a name that comes to life during the retries is taken" {
	# REFUSED by a server without upstream is temporary.
	ENDPOINT=late.test:51820 config wg0
	WG_ENDPOINT_RESOLUTION_RETRIES=infinity wg-nsquick up wg0 > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	wait_until "the first attempt's end" grep "late.test:51820'. Trying again in 1.00 seconds..." "$BATS_TEST_TMPDIR/out"
	pkill -f listen-address=127.0.0.1
	wait_until "the end of the name servers before" eval '! pgrep -f listen-address=127.0.0.1'
	dns 127.0.0.1 --address=/vpn.test/192.0.2.1 --address=/late.test/192.0.2.1
	ip netns exec hop bash -c "$(declare -f dns); dns 127.0.0.1 --address=/vpn.test/198.51.100.1"
	wait $!
	assert_equal "$(endpoint_in_use)" 192.0.2.1:51820
}

@test "SIGTERM and SIGINT during the retries end it at once, and nothing is left" {
	local signal start pid lines
	for signal in TERM INT HUP; do
		ENDPOINT=nosuch.test:51820 config wg0
		rm -f "$BATS_TEST_TMPDIR/out"
		# In the background of a shell SIGINT is ignored, under nohup SIGHUP: so they are restored first.
		WG_ENDPOINT_RESOLUTION_RETRIES=infinity env --default-signal=INT,HUP wg-nsquick up wg0 > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
		pid=$!
		wait_until "the second attempt's end" grep -s "Trying again in 1.20" "$BATS_TEST_TMPDIR/out"
		start=$SECONDS
		kill -"$signal" $pid
		lines=$(wc -l < "$BATS_TEST_TMPDIR/out")
		wait_until "the end by SIG$signal" eval "! kill -0 $pid"
		wait $pid && fail "SIG$signal: status 0"
		((SECONDS - start <= 5)) || fail "SIG$signal took longer than five seconds"
		run tail -n "+$((lines + 1))" "$BATS_TEST_TMPDIR/out"
		refute_output --partial "Trying again"
		assert_clean
		pgrep -f 'wg-nsquick up' && fail "SIG$signal: somebody is left"
	done
	return 0
}
