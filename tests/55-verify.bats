#!/usr/bin/env bats
# verify: each point of the proof holds where it is true, and is told where it
# is not; what is not as it should be is made here, one by one.

setup_file() {
	load lib/host
	host_up
	servers_up
	host_remember
	config wg0 "DNS = 10.9.0.1"
	wg-nsquick up wg0
}

teardown_file() {
	load lib/host
	host_down
}

setup() {
	load lib/host
}

# holds NAME… / fails NAME TEXT: of the output of the last verify.
holds() {
	local name
	for name; do assert_line --regexp "^✓ $name "; done
}

fails() {
	assert_line --regexp "^✗ $1 +.*$2"
	refute_line --regexp "^✓ $1 "
}

@test "all points hold; the probe is a packet of the tunnel on the uplink, and nothing else" {
	tcpdump --immediate-mode -i any -nn -U -w "$BATS_TEST_TMPDIR/host.pcap" 'not arp' 2> "$BATS_TEST_TMPDIR/ready" 3>&- &
	local tap=$!
	timeout 20 bash -c "until grep -q 'listening on' '$BATS_TEST_TMPDIR/ready'; do sleep 0.1; done"
	run wg-nsquick verify wg0
	wait_until "the probes in the capture" eval "((\$(tcpdump -nn -r '$BATS_TEST_TMPDIR/host.pcap' | grep -c UDP) >= 2))"
	sleep 0.3
	kill "$tap"; wait "$tap" || true
	assert_success
	holds links routes socket dns resolvers host probe-ipv4 probe-ipv6 handshake
	assert_equal "${#lines[@]}" 9
	run bash -c "tcpdump -nn -r '$BATS_TEST_TMPDIR/host.pcap' 2>/dev/null | grep -v ICMP6 | grep -vcE 'IP 192\.0\.2\.[12]\.[0-9]+ > 192\.0\.2\.[12]\.[0-9]+: UDP'"
	assert_output 0
	run bash -c "tcpdump -nn -r '$BATS_TEST_TMPDIR/host.pcap' 2>/dev/null | grep -c UDP"
	[[ $output -ge 2 ]]
}

@test "as JSON" {
	run bash -c "wg-nsquick verify --json wg0 | python3 -c '
import json, sys
d = json.load(sys.stdin)
print(d[\"version\"], d[\"interface\"], d[\"holds\"], [p[\"name\"] for p in d[\"points\"] if p[\"holds\"] and p[\"text\"]])'"
	assert_output "1 wg0 True ['links', 'routes', 'socket', 'dns', 'resolvers', 'host', 'probe-ipv4', 'probe-ipv6', 'handshake']"
}

@test "links and routes: another way out of the namespace" {
	ip -n wg0 link add d0 type veth peer name d1
	ip -n wg0 link set d1 up
	ip -n wg0 addr add 10.55.0.1/24 dev d0
	ip -n wg0 link set d0 up
	run wg-nsquick verify wg0
	assert_failure 1
	fails links "another way out: d[01], d[01]"
	fails routes "10\.55\.0\.0/24"
	holds dns host
	run bash -c "wg-nsquick verify --json wg0 | jq -r '.holds, (.points[] | select(.holds | not) | .name)'"
	assert_output "$(printf 'false\nlinks\nroutes')"
	ip -n wg0 link del d0
}

@test "dns: a server that a route of the namespace hides, one outside AllowedIPs, one out of reach" {
	ip -n wg0 link add d0 type veth peer name d1
	ip -n wg0 link set d1 up
	ip -n wg0 link set d0 up
	ip -n wg0 route add 10.9.0.1/32 dev d0
	run wg-nsquick verify wg0
	assert_failure 1
	fails dns "10\.9\.0\.1 would be asked past the tunnel"
	ip -n wg0 link del d0
	ip netns exec wg0 wg set wg0 peer "$PROVIDER_PUB" allowed-ips 10.9.9.0/24,::/0
	run wg-nsquick verify wg0
	assert_failure 1
	fails dns "10\.9\.0\.1 is outside AllowedIPs"
	ip netns exec wg0 wg set wg0 peer "$PROVIDER_PUB" allowed-ips 0.0.0.0/0,::/0
	cp /etc/netns/wg0/resolv.conf "$BATS_TEST_TMPDIR/kept"
	ip -n wg0 route del default
	echo "nameserver 192.0.2.53" > /etc/netns/wg0/resolv.conf
	run wg-nsquick verify wg0
	assert_failure 1
	fails dns "192\.0\.2\.53 is out of reach"
	ip -n wg0 route add default dev wg0
	cat "$BATS_TEST_TMPDIR/kept" > /etc/netns/wg0/resolv.conf
	run wg-nsquick verify wg0
	assert_success
}

@test "resolvers: a program that was started past exec, and sees the host's" {
	mkdir -p /run/avahi-daemon
	python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX); s.bind("/run/avahi-daemon/socket"); s.listen(); time.sleep(600)' 3>&- &
	local daemon=$!
	timeout 10 bash -c "until [[ -S /run/avahi-daemon/socket ]]; do sleep 0.05; done"
	wg-nsquick exec wg0 -- sleep 600 3>&- &
	local inside=$!
	timeout 10 bash -c "until [[ \$(< /proc/$inside/comm) == sleep ]]; do sleep 0.05; done"
	run wg-nsquick verify wg0
	assert_success
	assert_output --partial "exec and the 1 programs inside"
	ip netns exec wg0 sleep 600 3>&- &
	local past=$!
	timeout 10 bash -c "until [[ \$(< /proc/$past/comm) == sleep ]]; do sleep 0.05; done"
	run wg-nsquick verify wg0
	assert_failure 1
	fails resolvers "sleep \($past\) sees /run/avahi-daemon/socket"
	kill $past $daemon
	rm -r /run/avahi-daemon
	nsenter --net=/run/netns/wg0 sleep 600 3>&- &
	past=$!
	timeout 10 bash -c "until [[ \$(< /proc/$past/comm) == sleep ]]; do sleep 0.05; done"
	run wg-nsquick verify wg0
	assert_failure 1
	fails resolvers "sleep \($past\) sees another resolv.conf"
	kill $past $inside
	wait || true
}

@test "resolvers: what exec cannot seal" {
	ln -s nowhere /etc/netns/wg0/extra
	run wg-nsquick verify wg0
	assert_failure 1
	fails resolvers "cannot be made"
	rm /etc/netns/wg0/extra
}

@test "host: a rule that is new, a default route that is another" {
	ip rule add from 10.1.2.3 lookup 77 priority 1000
	run wg-nsquick verify wg0
	assert_failure 1
	fails host "new: rule IPv4 1000: lookup 77"
	ip rule del from 10.1.2.3 lookup 77 priority 1000
	ip route replace default via 192.0.2.77
	run wg-nsquick verify wg0
	assert_failure 1
	fails host "gone: way 203\.0\.113\.254 via 192\.0\.2\.1 dev veth0"
	ip route replace default via 192.0.2.1
	run wg-nsquick verify wg0
	assert_success
}

@test "host: a laptop that is carried home, or to where there is no network, is no fault" {
	ip link add home0 type veth peer name home1
	ip -6 addr flush dev home0; ip -6 addr flush dev home1
	ip addr add 198.51.100.2/24 dev home0
	ip link set home1 up
	ip link set home0 up
	ip route replace default via 198.51.100.1
	run wg-nsquick verify wg0
	assert_success
	assert_line --regexp "^✓ host +its rules are as recorded .* another network since: way 203\.0\.113\.254 via 198\.51\.100\.1 dev home0 src 198\.51\.100\.2 table 254"
	ip route del default
	run wg-nsquick verify wg0
	assert_line --regexp "^✓ host .*way 203\.0\.113\.254 unreachable"
	# Through another table is another matter.
	ip route add default via 198.51.100.1 table 77
	ip rule add lookup 77 priority 1000
	run wg-nsquick verify wg0
	assert_failure 1
	fails host "new: rule IPv4 1000: lookup 77"
	ip rule del lookup 77 priority 1000
	ip route flush table 77
	ip link del home0
	ip route add default via 192.0.2.1
	run wg-nsquick verify wg0
	assert_success
}

@test "socket: not where the journal says" {
	sed -i.kept 's/^transport host$/transport prov/' /run/wg-nsquick/tunnels/wg0@*
	mv /run/wg-nsquick/tunnels/*.kept "$BATS_TEST_TMPDIR/"
	run wg-nsquick verify wg0
	assert_failure 1
	fails socket "not open in the transport namespace \(prov\)"
	sed -i 's/^transport prov$/transport host/' /run/wg-nsquick/tunnels/wg0@*
}

@test "probe: a copy of what goes into the tunnel that leaves past it is seen" {
	# The worst of leaks: a program that copies wg0 to a pair of links to the host.
	ip link add leak0 type veth peer name leak1 netns wg0
	ip link set leak0 up
	ip -n wg0 link set leak1 up
	ip netns exec wg0 python3 -c '
import socket
a = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)); a.bind(("wg0", 3))
b = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); b.bind(("leak1", 0))
print("ready", flush=True)
while True: b.send(b"\xff" * 6 + b"\x02\0\0\0\0\x01" + b"\x08\0" + a.recv(65536))' > "$BATS_TEST_TMPDIR/leak" 3>&- &
	local leak=$!
	timeout 10 bash -c "until grep -q ready '$BATS_TEST_TMPDIR/leak'; do sleep 0.05; done"
	run wg-nsquick verify wg0
	kill $leak
	ip link del leak0
	assert_failure 1
	fails links leak1
	fails probe-ipv4 "was seen outside the tunnel"
}

@test "probe and handshake: a peer that does not answer" {
	KEY=$(wg genkey) ENDPOINT=192.0.2.1:9 ADDRESS=10.9.0.7/24 config wg1
	wg-nsquick up wg1
	run wg-nsquick verify wg1
	assert_failure 1
	fails probe-ipv4 "did not leave: the peer does not answer; nothing of it was seen elsewhere"
	fails handshake "no peer has ever answered"
	holds links routes socket dns resolvers host
	wg-nsquick down wg1
}

@test "a namespace that has a way out of its own is not confined" {
	ip netns add open
	ip link add veth7 type veth peer name eth0 netns open
	ip -n open link set eth0 up
	ip -n open addr add 10.77.0.2/24 dev eth0
	ip -n open route add default via 10.77.0.1
	KEY=$(wg genkey)
	ip netns exec prov wg set wgp peer "$(wg pubkey <<< "$KEY")" allowed-ips 10.9.0.8/32,fd09::8/128
	ADDRESS="10.9.0.8/24, fd09::8/64" config wg1
	wg-nsquick up wg1 --netns open --transport host
	run wg-nsquick verify wg1
	assert_failure 1
	fails links "eth0"
	fails routes "0\.0\.0\.0/0"
	holds probe-ipv4 handshake
	wg-nsquick down wg1
	ip netns del open
	unset KEY
}

@test "not up, no such name, wrong words" {
	run wg-nsquick verify wg7
	assert_failure 1
	assert_output "wg-nsquick: \`wg7' is not up; expected \`wg-nsquick up wg7' first"
	run wg-nsquick verify
	assert_failure 1
	run wg-nsquick verify a/b
	assert_failure 1
	assert_output "wg-nsquick: \`a/b' is not the name of an interface"
}

@test "after all of this the host is the same" {
	wg-nsquick down wg0
	assert_host_unchanged
	assert_clean
}
