#!/usr/bin/env bats
# The main job: a wg-quick file brings up a tunnel in a namespace, with real
# traffic, and the host stays as it is.

setup_file() {
	load lib/host
	host_up
	servers_up
	config wg0 "DNS = 10.9.0.1, corp.example" "ListenPort = 51999"
	host_remember
	host_sysctls > "$BATS_FILE_TMPDIR/sysctl.before"
	tcpdump -p -i veth0 -n -U -w "$BATS_FILE_TMPDIR/veth0.pcap" >/dev/null 2>&1 3>&- &
	tcpdump -p -i lo -n -U -w "$BATS_FILE_TMPDIR/lo.pcap" >/dev/null 2>&1 3>&- &
	sleep 2
}

teardown_file() {
	load lib/host
	host_down
}

setup() {
	load lib/host
}

@test "up: exit status 0, wg-quick's trace" {
	run wg-nsquick up wg0
	assert_success
	assert_line --index 0 "[#] ip link add dev wg0 type wireguard"
	assert_line "[#] wg addconf wg0 /dev/fd/63"
	assert_line "[#] ip -4 address add 10.9.0.2/24 dev wg0"
	assert_line "[#] ip -6 address add fd09::2/64 dev wg0"
	assert_line "[#] ip link set mtu 1420 up dev wg0"
	assert_line "[#] ip -4 route add 0.0.0.0/0 dev wg0"
}

@test "the host is the same while the tunnel is up" {
	assert_host_unchanged
}

@test "the interface is in the namespace of its name, and not on the host" {
	run ip link show wg0
	assert_failure
	run ip netns exec wg0 ip -br addr show wg0
	assert_success
	assert_output --partial "10.9.0.2/24"
	assert_output --partial "fd09::2/64"
}

@test "lo is up in the namespace" {
	run ip -n wg0 -br link show lo
	assert_output --partial "UP"
}

@test "the UDP socket is on the host's side" {
	run ss -Huan "sport = :51999"
	assert_output --partial "51999"
	run ip netns exec wg0 ss -Huan "sport = :51999"
	refute_output --partial "51999"
}

@test "ping through the tunnel, IPv4 and IPv6" {
	run wg-nsquick exec wg0 -- ping -c 1 -W 5 10.9.0.1
	assert_success
	run wg-nsquick exec wg0 -- ping -c 1 -W 5 fd09::1
	assert_success
}

@test "a name is resolved by the tunnel's DNS, IPv4 and IPv6" {
	run wg-nsquick exec wg0 -- getent ahostsv4 page.test
	assert_success
	assert_output --partial "10.9.0.1"
	run wg-nsquick exec wg0 -- getent ahostsv6 page.test
	assert_output --partial "fd09::1"
}

@test "a page is fetched through the tunnel by name, IPv4 and IPv6" {
	run wg-nsquick exec wg0 -- curl -4 -sS --max-time 20 http://page.test/
	assert_output "a page through the tunnel"
	run wg-nsquick exec wg0 -- curl -6 -sS --max-time 20 http://page.test/
	assert_output "a page through the tunnel"
}

@test "ip netns exec works, with the namespace's resolv.conf" {
	run ip netns exec wg0 curl -sS --max-time 20 http://page.test/
	assert_output "a page through the tunnel"
	run ip netns exec wg0 cat /etc/resolv.conf
	assert_line "nameserver 10.9.0.1"
	assert_line "search corp.example"
}

@test "exec as a user: that user, without capabilities" {
	run wg-nsquick exec wg0 -u nobody -- sh -c 'id -un; grep CapEff /proc/self/status'
	assert_line --index 0 "nobody"
	assert_line --partial "0000000000000000"
}

@test "exec gives the command's exit status, 127 and 126 as env(1)" {
	run wg-nsquick exec wg0 -- sh -c 'exit 42'
	assert_failure 42
	run -127 wg-nsquick exec wg0 -- no-such-command
	run wg-nsquick exec wg0 -- /etc/passwd
	assert_failure 126
	run wg-nsquick exec nope -- true
	assert_failure 125
}

# Of each reading of the kernel's device, the first sendto asks for the family, the second for the device.
interrupted_status() {
	run timeout 30 strace -f -qq -o /dev/null -e trace=sendto -e inject="sendto:error=EINTR:when=$1" wg-nsquick status wg0
}

@test "a reading of the device that is interrupted is made again, and not for ever" {
	interrupted_status 2
	assert_success
	interrupted_status 2+
	if [[ $WG_KIND == kernel ]]; then
		assert_equal "$status" 2
		assert_output --partial "Interrupted system call"
	else
		assert_success
	fi
}

@test "save keeps host, DNS and search domain, freezes neither mark nor anything else" {
	cp /etc/wireguard/wg0.conf "$BATS_FILE_TMPDIR/wg0.conf"
	run wg-nsquick save wg0
	assert_success
	run cat /etc/wireguard/wg0.conf
	assert_line "Address = 10.9.0.2/24"
	assert_line "DNS = 10.9.0.1"
	assert_line "DNS = corp.example"
	assert_line "ListenPort = 51999"
	refute_line --partial "FwMark"
	run stat -c %a /etc/wireguard/wg0.conf
	assert_output 600
}

@test "down: all is gone" {
	run wg-nsquick down wg0
	assert_success
	assert_line "[#] ip link delete dev wg0"
	assert_clean
	run ip netns exec wg0 true
	assert_failure
}

@test "the host is the same after down, sysctls included" {
	assert_host_unchanged
	# Those that were there before: modules bring new ones.
	run bash -c "comm -23 '$BATS_FILE_TMPDIR/sysctl.before' <(source '$BATS_TEST_DIRNAME/lib/host.bash' 2>/dev/null; host_sysctls)"
	assert_output ""
}

@test "the underlay saw nothing but the tunnel's UDP, and lo saw nothing" {
	sleep 1
	pkill -INT tcpdump
	sleep 1
	run tcpdump -n -r "$BATS_FILE_TMPDIR/veth0.pcap" 'not (udp and host 192.0.2.1 and port 51820) and not arp and not icmp6'
	refute_output --regexp '^[0-9]{2}:'
	run tcpdump -n -r "$BATS_FILE_TMPDIR/lo.pcap"
	refute_output --regexp '^[0-9]{2}:'
	# The capture would have seen it.
	run tcpdump -n -r "$BATS_FILE_TMPDIR/veth0.pcap" 'udp port 51820'
	assert_output --regexp '[0-9]{2}:.*51820'
}

@test "up works again with the file that save wrote" {
	run wg-nsquick up wg0
	assert_success
	run wg-nsquick exec wg0 -- curl -sS --max-time 20 http://page.test/
	assert_output "a page through the tunnel"
	run wg-nsquick down wg0
	assert_success
	assert_clean
}
