#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2086
# Which namespace: made, adopted, entered, shared; the transport; one key, one
# tunnel; runs that meet.

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
}

teardown() {
	ip netns del other 2>/dev/null || true
	ip netns del egress 2>/dev/null || true
	assert_clean
}

# A second client of the provider.
second_client() {
	SECOND_KEY=$(wg genkey)
	ip netns exec prov wg set wgp peer "$(wg pubkey <<<"$SECOND_KEY")" allowed-ips 10.9.0.3/32
	KEY=$SECOND_KEY ADDRESS=10.9.0.3/24 ALLOWED=10.9.0.0/24 config wg1 "$@"
}

@test "an existing namespace is adopted and never deleted, its files put back" {
	ip netns add other
	mkdir -p /etc/netns/other
	echo "nameserver 203.0.113.1" > /etc/netns/other/resolv.conf
	config wg0 "DNS = 10.9.0.1"
	run wg-nsquick up wg0 --netns other
	assert_success
	run ip netns exec other cat /etc/resolv.conf
	assert_line "nameserver 10.9.0.1"
	run wg-nsquick exec wg0 -- ping -c 1 -W 5 10.9.0.1
	assert_success
	run wg-nsquick down wg0
	assert_success
	run ip netns exec other true
	assert_success
	run cat /etc/netns/other/resolv.conf
	assert_output "nameserver 203.0.113.1"
	rm -r /etc/netns/other
	ip netns del other
}

@test "settings name the namespace; the command line beats them" {
	config wg0
	printf '[tunnel]\nnetns = fromsettings\n' > /etc/wg-nsquick.d/wg0.conf
	run wg-nsquick up wg0
	assert_success
	run ip -n fromsettings link show wg0
	assert_success
	run wg-nsquick down wg0
	assert_success
	run wg-nsquick up wg0 --netns fromline
	assert_success
	run ip -n fromline link show wg0
	assert_success
	run wg-nsquick down wg0 --netns fromline
	assert_success
	rm /etc/wg-nsquick.d/wg0.conf
}

@test "started inside a namespace, that is the target; the socket stays on the host" {
	ip netns add other
	config wg0 "ListenPort = 51998"
	run ip netns exec other wg-nsquick up wg0
	assert_success
	run ip -n other link show wg0
	assert_success
	run ss -Huan "sport = :51998"
	assert_output --partial 51998
	run ip netns exec other ping -c 1 -W 5 10.9.0.1
	assert_success
	run ip netns exec other wg-nsquick down wg0
	assert_success
	ip netns del other
}

# A namespace that reaches the provider over the host.
egress_up() {
	ip netns add egress
	ip link add veth1 type veth peer name eth0 netns egress
	ip addr add 198.51.100.1/24 dev veth1
	ip link set veth1 addrgenmode none
	ip link set veth1 up
	ip -n egress addr add 198.51.100.2/24 dev eth0
	ip -n egress link set eth0 up
	ip -n egress link set lo up
	ip -n egress route add default via 198.51.100.1
	sysctl -q net.ipv4.ip_forward=1
	ip -n prov route replace 198.51.100.0/24 via 192.0.2.2
}

egress_down() {
	ip link del veth1
	ip netns del egress
	ip -n prov route del 198.51.100.0/24 via 192.0.2.2
	sysctl -q net.ipv4.ip_forward=0
}

@test "inside one with a route of its own to the endpoint: refused until the transport is said" {
	egress_up
	config wg0 "ListenPort = 51997"
	run ip netns exec egress wg-nsquick up wg0
	assert_failure 1
	assert_output --partial "--transport self"
	assert_output --partial "--transport host"
	run ip -n egress link show wg0
	assert_failure
	egress_down
}

@test "transport self: the socket is inside, and the endpoint is not swallowed by the default route" {
	egress_up
	config wg0 "ListenPort = 51997"
	run ip netns exec egress wg-nsquick up wg0 --transport self
	assert_success
	assert_line --regexp "ip -4 rule add not fwmark [0-9]+ table [0-9]+"
	run ip netns exec egress ss -Huan "sport = :51997"
	assert_output --partial 51997
	run ss -Huan "sport = :51997"
	refute_output --partial 51997
	run wg-nsquick exec wg0 -- ping -c 1 -W 5 10.9.0.1
	assert_success
	run ip netns exec egress wg-nsquick down wg0
	assert_success
	run ip -n egress rule
	refute_output --partial "suppress"
	refute_output --partial "fwmark"
	egress_down
}

@test "a target with a default route of its own gets wg-quick's rules, and they go" {
	egress_up
	config wg0
	run wg-nsquick up wg0 --netns egress --transport host
	assert_success
	run ip -n egress rule
	assert_output --partial "suppress_prefixlength 0"
	run wg-nsquick exec wg0 -- ping -c 1 -W 5 10.9.0.1
	assert_success
	run wg-nsquick down wg0
	assert_success
	run ip -n egress rule
	refute_output --partial "suppress"
	run ip -n egress route
	assert_output --partial "default via 198.51.100.1"
	egress_down
}

@test "two tunnels share a namespace: DNS of both, and it goes with the last, in either order" {
	local first last
	for first in wg0 wg1; do
		[[ $first == wg0 ]] && last=wg1 || last=wg0
		ALLOWED=172.16.0.0/12 config wg0 "DNS = 10.9.0.1, one.example"
		second_client "DNS = 10.9.0.53, two.example"
		run wg-nsquick up wg0 --netns shared
		assert_success
		run wg-nsquick up wg1 --netns shared
		assert_success
		run cat /etc/netns/shared/resolv.conf
		assert_line "nameserver 10.9.0.1"
		assert_line "nameserver 10.9.0.53"
		assert_line "search one.example two.example"
		run wg-nsquick down $first
		assert_success
		run ip -n shared link show $last
		assert_success
		run grep -c nameserver /etc/netns/shared/resolv.conf
		assert_output 1
		run wg-nsquick down $last
		assert_success
		assert_clean
	done
}

@test "the same public key elsewhere on this machine is refused, unless forced" {
	config wg0
	config wg1
	run wg-nsquick up wg0
	assert_success
	run wg-nsquick up wg1
	assert_failure 1
	assert_output --partial "already exists"
	assert_output --partial "wg0"
	run wg-nsquick up wg1 --force
	assert_success
	run wg-nsquick down wg1
	assert_success
	run wg-nsquick down wg0
	assert_success
}

@test "eight ups of one name at once: one wins, and works" {
	local i wins=0 pids=()
	config wg0 "PostUp = sleep 1"
	for i in 1 2 3 4 5 6 7 8; do
		wg-nsquick up wg0 > /dev/null 2>&1 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		if wait "$i"; then wins=$((wins + 1)); fi
	done
	assert_equal $wins 1
	run wg-nsquick exec wg0 -- ping -c 1 -W 5 10.9.0.1
	assert_success
	run wg-nsquick down wg0
	assert_success
}

@test "the temporary name of older kernels" {
	[[ $WG_KIND == kernel ]] || return 0
	config wg0
	WG_NSQUICK_TEST_RENAME=1 run wg-nsquick up wg0
	assert_success
	run wg-nsquick exec wg0 -- ping -c 1 -W 5 10.9.0.1
	assert_success
	run wg-nsquick down wg0
	assert_success
}

@test "AllowedIPs lines of any length, several peers" {
	local i key ips=""
	for ((i = 0; i < 3000; i++)); do ips+="10.$((64 + i / 256)).$((i % 256)).0/24, "; done
	key=$(wg genkey | wg pubkey)
	ALLOWED="${ips}192.168.0.0/16" config wg0 "Peer:[Peer]" "Peer:PublicKey = $key" "Peer:AllowedIPs = 172.16.0.0/12, fd0a::/48"
	run wg-nsquick up wg0
	assert_success
	run bash -c "ip -n wg0 route | wc -l"
	assert_output 3003
	run ip -n wg0 -6 route
	assert_line --partial "fd0a::/48 dev wg0"
	run wg-nsquick down wg0
	assert_success
}

@test "a tunnel in a namespace that only those inside can open is nobody's to recover" {
	config wg0
	unshare -n sleep 600 3>&- &
	local pid=$!
	timeout 20 bash -c "until [[ \$(readlink /proc/$pid/ns/net) != \$(readlink /proc/self/ns/net) ]]; do sleep 0.1; done"
	run nsenter -t $pid -n wg-nsquick up wg0 --transport host
	assert_success
	run wg-nsquick recover
	assert_success
	assert_output ""
	run nsenter -t $pid -n wg-nsquick down wg0
	assert_success
	kill $pid
}

@test "the host's resolv.conf by another name is not written" {
	ip netns add other
	mkdir -p /etc/netns/other
	touch /etc/netns/other/resolv.conf
	ln /etc/netns/other/resolv.conf /etc/netns/hardlink
	config wg0 "DNS = 10.9.0.1"
	run wg-nsquick up wg0 --netns other
	assert_failure 1
	assert_output --partial "resolv.conf"
	[[ ! -s /etc/netns/hardlink ]]
	rm -r /etc/netns/other /etc/netns/hardlink
	mkdir /run/elsewhere
	ln -s /run/elsewhere /etc/netns/other
	run wg-nsquick up wg0 --netns other
	assert_failure 1
	rm -r /etc/netns/other /run/elsewhere
	ip netns del other
}

@test "after a power cut somebody's resolv.conf comes back all the same" {
	ip netns add other
	mkdir -p /etc/netns/other
	echo "nameserver 203.0.113.1" > /etc/netns/other/resolv.conf
	config wg0 "DNS = 10.9.0.1"
	run wg-nsquick up wg0 --netns other
	assert_success
	# What a reboot takes: the namespace, its processes, and /run.
	ip netns del other
	pkill -KILL -f 'wireguard-go wg0$' || true
	rm -rf /run/wg-nsquick/{tunnels,netns}/* /run/wireguard/wg0.sock
	umount -l /run/wg-nsquick/room/* /run/wg-nsquick/room || true
	rm -rf /run/wg-nsquick
	ip netns add other
	run wg-nsquick up wg0 --netns other
	assert_success
	run wg-nsquick down wg0
	assert_success
	run cat /etc/netns/other/resolv.conf
	assert_output "nameserver 203.0.113.1"
	rm -r /etc/netns/other
	ip netns del other
}

@test "two runs make one namespace: the second waits, and joins it" {
	ALLOWED=172.16.0.0/12 config wg0 "DNS = 10.9.0.1"
	second_client "PreUp = sleep 2" "DNS = 10.9.0.53"
	wg-nsquick up wg1 --netns shared > /dev/null 2>&1 3>&- &
	local first=$!
	sleep 0.7
	run wg-nsquick up wg0 --netns shared
	assert_success
	wait $first
	run grep -c nameserver /etc/netns/shared/resolv.conf
	assert_output 2
	wg-nsquick down wg1
	wg-nsquick down wg0
}

@test "down goes by the journal, whatever the settings say since" {
	config wg0
	run wg-nsquick up wg0 --netns here
	assert_success
	printf '[tunnel]\nnetns = elsewhere\n' > /etc/wg-nsquick.d/wg0.conf
	run wg-nsquick down wg0
	assert_success
	rm /etc/wg-nsquick.d/wg0.conf
}

@test "search domains without a server do not take an adopted namespace's resolver away" {
	ip netns add other
	config wg0 "DNS = corp.example"
	run wg-nsquick up wg0 --netns other
	assert_success
	assert_output --partial "names no server"
	[[ ! -e /etc/netns/other ]]
	wg-nsquick down wg0
	ip netns del other
}

@test "exec leaves the environment as it is" {
	config wg0
	wg-nsquick up wg0
	LC_ALL=C.UTF-8 run wg-nsquick exec wg0 sh -c 'echo $LC_ALL'
	assert_output "C.UTF-8"
	wg-nsquick down wg0
}

@test "the last hooks' room to go takes nobody else's along" {
	config wg0 'PostUp = :'
	config wg1 'PostUp = mount -t tmpfs of-ours /mnt' 'PreDown = umount /mnt'
	wg-nsquick up wg0
	# Between its look at the folder of rooms, which is empty, and what it does about that.
	strace -f -qq -o /dev/null -e trace=umount2 -e inject=umount2:delay_enter=2000000:when=2 wg-nsquick down wg0 > /dev/null 2>&1 3>&- &
	timeout 20 bash -c 'while compgen -G "/run/wg-nsquick/room/wg0@*" > /dev/null; do sleep 0.05; done'
	wg-nsquick up wg1 --force
	wait $!
	run compgen -G "/run/wg-nsquick/room/*"
	assert_output --partial /room/wg1@
	run wg-nsquick down wg1
	assert_success
	assert_clean
}

@test "what is not a room in a room's place is not entered: a new one is made" {
	config wg0 'PostUp = :' 'PreDown = echo "in $(ip -o link show wg0 | grep -c wg0)"'
	wg-nsquick up wg0
	umount -l /run/wg-nsquick/room/wg0@*
	run wg-nsquick down wg0
	assert_success
	assert_line "in 1"
	assert_clean
}

@test "after all of this the host is the same" {
	assert_host_unchanged
}
