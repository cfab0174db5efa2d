#!/usr/bin/env bats
# Programs of all kinds in the namespace, with a resolver on the host that would
# answer them: not one packet of theirs on the host but the tunnel's UDP, and not one
# query at its resolver, also while the tunnel goes down, comes up and loses its peer.

setup_file() {
	load lib/host
	private_etc
	host_up
	servers_up
	# As systemd sets it on a booted host.
	sysctl -qw net.ipv4.ping_group_range="0 2147483647"
	echo "nameserver 127.0.0.1" > /etc/resolv.conf
	dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --listen-address=127.0.0.1 --address=/page.test/203.0.113.66 \
		--log-queries --log-facility="$BATS_FILE_TMPDIR/queries" --pid-file=/run/host-dnsmasq.pid --user=root 3>&-
}

teardown_file() {
	load lib/host
	host_down
}

setup() {
	load lib/host
}

@test "the host's resolver answers the host, and not who is inside" {
	run getent ahostsv4 page.test
	assert_output --partial 203.0.113.66
	: > "$BATS_FILE_TMPDIR/queries"
}

@test "getent, curl, dig, python, a static busybox, ping as a user; down, up, a peer that is lost" {
	config wg0 "DNS = 10.9.0.1"
	tcpdump --immediate-mode -i any -nn -w "$BATS_TEST_TMPDIR/host.pcap" 2> "$BATS_TEST_TMPDIR/ready" 3>&- &
	local tap=$!
	timeout 20 bash -c "until grep -q 'listening on' '$BATS_TEST_TMPDIR/ready'; do sleep 0.1; done"
	wg-nsquick up wg0
	# One that lives through all of it, asking for names all the time.
	wg-nsquick exec wg0 -u nobody -- python3 -c '
import socket, time
while True:
    try: print(socket.getaddrinfo("page.test", 80, socket.AF_INET)[0][4][0], flush=True)
    except OSError: print("none", flush=True)
    time.sleep(0.2)' > "$BATS_TEST_TMPDIR/asked" 3>&- &
	local asker=$!
	run wg-nsquick exec wg0 -u nobody -- getent ahostsv4 page.test
	assert_output --partial 10.9.0.1
	run wg-nsquick exec wg0 -u nobody -- curl -4 -sS --max-time 20 http://page.test/
	assert_output "a page through the tunnel"
	run wg-nsquick exec wg0 -u nobody -- curl -6 -sS --max-time 20 http://page.test/
	assert_output "a page through the tunnel"
	run wg-nsquick exec wg0 -u nobody -- dig +short page.test A
	assert_output 10.9.0.1
	run wg-nsquick exec wg0 -u nobody -- busybox wget -q -O - http://page.test/
	assert_output "a page through the tunnel"
	run wg-nsquick exec wg0 -u nobody -- busybox nslookup page.test
	assert_output --partial 10.9.0.1
	run wg-nsquick exec wg0 -u nobody -- ping -c 1 -W 10 page.test
	assert_success
	wg-nsquick down wg0
	timeout 20 bash -c "until tail -n 1 '$BATS_TEST_TMPDIR/asked' | grep -qx none; do sleep 0.1; done"
	wg-nsquick up wg0
	timeout 30 bash -c "until tail -n 1 '$BATS_TEST_TMPDIR/asked' | grep -qx 10.9.0.1; do sleep 0.1; done"
	# The peer is gone: nothing else takes its place.
	ip -n prov link set wgp down
	run wg-nsquick exec wg0 -u nobody -- curl -sS --max-time 3 http://10.9.0.1/
	assert_failure
	run wg-nsquick exec wg0 -u nobody -- timeout 3 getent ahostsv4 other.test
	assert_failure
	ip -n prov link set wgp up
	kill $asker; wait $asker || true
	wg-nsquick down wg0
	sleep 0.3
	kill $tap; wait $tap || true
	tcpdump -nn -r "$BATS_TEST_TMPDIR/host.pcap" 2> /dev/null > "$BATS_TEST_TMPDIR/packets"
	# Neighbour discovery and MLD are the host's own, of its links; so is what it and the peer say to a packet of the tunnel's whose other end is closed.
	run grep -vE 'ARP|ICMP6|IP 192\.0\.2\.[12] > 192\.0\.2\.[12]: ICMP 192\.0\.2\.[12] udp port [0-9]+ unreachable|IP 192\.0\.2\.2\.[0-9]+ > 192\.0\.2\.1\.51820: UDP|IP 192\.0\.2\.1\.51820 > 192\.0\.2\.2\.[0-9]+: UDP' "$BATS_TEST_TMPDIR/packets"
	assert_output ""
	[[ $(grep -c 51820 "$BATS_TEST_TMPDIR/packets") -gt 20 ]]
	run grep -c 203.0.113.66 "$BATS_TEST_TMPDIR/asked"
	assert_output 0
	run grep -c query "$BATS_FILE_TMPDIR/queries"
	assert_output 0
}

@test "hooks: what the host replaces while the tunnel is up is covered again; what a hook mounted itself stays" {
	local daemon
	cp /etc/nsswitch.conf "$BATS_TEST_TMPDIR/nsswitch"
	mkdir -p /run/nscd
	config wg0 "DNS = 10.9.0.1" "PreDown = cat /etc/resolv.conf; grep ^hosts: /etc/nsswitch.conf; test ! -S /run/nscd/socket && echo masked"
	wg-nsquick up wg0
	echo "nameserver 198.18.0.1" > /etc/resolv.conf.new; mv /etc/resolv.conf.new /etc/resolv.conf
	echo "hosts: resolve" > /etc/nsswitch.conf.new; mv /etc/nsswitch.conf.new /etc/nsswitch.conf
	python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX); s.bind("/run/nscd/socket"); s.listen(); time.sleep(600)' 3>&- &
	daemon=$!
	timeout 20 bash -c "until [[ -S /run/nscd/socket ]]; do sleep 0.05; done"
	run wg-nsquick down wg0
	kill $daemon
	rm -r /run/nscd
	assert_success
	assert_line "nameserver 10.9.0.1"
	assert_line "hosts: files dns"
	assert_line masked
	refute_output --partial 198.18.0.1
	# The host has none any more: no name resolves, and down goes on.
	cp "$BATS_TEST_TMPDIR/nsswitch" /etc/nsswitch.conf
	config wg0 "DNS = 10.9.0.1" "PostUp = echo nameserver 10.9.0.2 > /run/own; mount --bind /run/own /etc/resolv.conf" "PreDown = cat /etc/resolv.conf; umount /etc/resolv.conf" "PreDown = test -e /etc/resolv.conf || echo none"
	wg-nsquick up wg0
	run wg-nsquick down wg0
	assert_success
	assert_line "nameserver 10.9.0.2"
	refute_line none
	config wg0 "DNS = 10.9.0.1" "PreDown = test -e /etc/resolv.conf || echo none"
	wg-nsquick up wg0
	rm /etc/resolv.conf
	run wg-nsquick down wg0
	assert_success
	assert_line none
}
