#!/usr/bin/env bats
# shellcheck disable=SC2154
# The host's real resolvers, all at once: systemd-resolved, nscd, avahi and
# dnsmasq, with the host's nsswitch.conf asking each. They answer the host; of
# who lives in the namespace they never hear, whatever happens to the tunnel.

setup_file() {
	load lib/host
	# Where users may look, too.
	mkdir -p /run/parts
	mount --bind "$("$BATS_TEST_DIRNAME/parts" resolvers)" /run/parts
	export PARTS=/run/parts
	export LD_LIBRARY_PATH=$PARTS/usr/lib/x86_64-linux-gnu:$PARTS/lib/x86_64-linux-gnu
	export PATH=$PARTS/usr/sbin:$PARTS/usr/bin:$PATH
	export LOGS=$BATS_FILE_TMPDIR
	private_etc
	host_up
	servers_up
	# As systemd sets it on a booted host.
	sysctl -qw net.ipv4.ping_group_range="0 2147483647"
	daemons_up
	host_remember
}

teardown_file() {
	load lib/host
	xargs kill < "$BATS_FILE_TMPDIR/pids" || true
	host_down
}

setup() {
	load lib/host
}

user_of() {
	grep -q "^$1:" /etc/passwd || echo "$1:x:$2:$2::/:/usr/sbin/nologin" >> /etc/passwd
	grep -q "^$1:" /etc/group || echo "$1:x:$2:" >> /etc/group
}

# daemon NAME COMMAND…: in the background, until the end.
daemon() {
	local log=$BATS_FILE_TMPDIR/$1.log
	shift
	"$@" > "$log" 2>&1 3>&- &
	echo $! >> "$BATS_FILE_TMPDIR/pids"
}

daemons_up() {
	user_of systemd-resolve 991
	user_of avahi 992
	mkdir -p /run/systemd/resolve /run/nscd /run/avahi-daemon /run/dbus /etc/systemd /etc/avahi /etc/dbus-1/system.d
	chown systemd-resolve:systemd-resolve /run/systemd/resolve
	cp -r "$PARTS"/{etc,usr/share}/dbus-1/system.d/. /etc/dbus-1/system.d/ 2> /dev/null || true
	daemon dbus dbus-daemon --system --nofork --nopidfile
	# The server that the host's others ask; its addresses are the host's answers.
	daemon dnsmasq dnsmasq -k --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --listen-address=127.0.0.2 --address=/test/203.0.113.66 \
		--log-queries --log-facility=- --pid-file=/run/host-dnsmasq.pid --user=root
	printf '[Resolve]\nDNS=127.0.0.2\nLLMNR=no\nMulticastDNS=no\nDNSSEC=no\nCache=no\n' > /etc/systemd/resolved.conf
	timeout 20 bash -c 'until [[ -S /run/dbus/system_bus_socket ]]; do sleep 0.1; done'
	daemon resolved "$(find "$PARTS"/{,usr/}lib/systemd -name systemd-resolved 2> /dev/null | head -n 1)"
	printf '[server]\nhost-name=pretended\nallow-interfaces=veth0\n[wide-area]\nenable-wide-area=no\n[publish]\npublish-addresses=yes\n' > /etc/avahi/avahi-daemon.conf
	daemon avahi avahi-daemon --no-drop-root --no-chroot --no-rlimits
	timeout 30 bash -c 'until [[ -S /run/systemd/resolve/io.systemd.Resolve && -S /run/avahi-daemon/socket ]]; do sleep 0.1; done'
	# Before that it does not know the host's own name.
	wait_until "avahi's start" grep "Server startup complete" "$BATS_FILE_TMPDIR/avahi.log"
	wait_until "systemd-resolved on the bus" resolvectl status
	printf 'passwd: files\ngroup: files\nhosts: files mdns4_minimal resolve [!UNAVAIL=return] dns\n' > /etc/nsswitch.conf
	echo 'nameserver 127.0.0.53' > /etc/resolv.conf
	printf 'enable-cache hosts yes\nshared hosts no\npersistent hosts no\nenable-cache passwd no\nenable-cache group no\nenable-cache services no\nenable-cache netgroup no\n' > /etc/nscd.conf
	daemon nscd nscd -d -f /etc/nscd.conf
	timeout 20 bash -c 'until nscd -g > /dev/null 2>&1; do sleep 0.1; done'
}

queries() { grep -c 'query\[' "$LOGS/dnsmasq.log" || true; }
# Of what nscd tells when it debugs itself.
asked_nscd() { grep -cE 'GET(AI|HOSTBY[A-Za-z0-9]+) \(' "$LOGS/nscd.log" || true; }

@test "each of them answers the host" {
	local before
	before=$(asked_nscd)
	run getent ahostsv4 page.test
	assert_output --partial 203.0.113.66
	(($(asked_nscd) > before))
	(($(queries) > 0))
	run getent hosts pretended.local
	assert_output --partial 192.0.2.2
	run resolvectl query page.test
	assert_output --partial 203.0.113.66
	run busybox nslookup page.test
	assert_output --partial 203.0.113.66
}

# Programs that ask in their own ways, as a user. (What a name of a test's is, shows whose question it is.)
ask_all() {
	run wg-nsquick exec wg0 -u nobody -- getent ahostsv4 page.test
	assert_output --partial 10.9.0.1
	run wg-nsquick exec wg0 -u nobody -- getent ahosts nowhere.insider.test
	assert_failure
	run wg-nsquick exec wg0 -u nobody -- getent hosts pretended.local
	assert_failure
	run wg-nsquick exec wg0 -u nobody -- getent hosts insider.local
	assert_failure
	run wg-nsquick exec wg0 -u nobody -- python3 -c 'import socket; print(socket.getaddrinfo("page.test", 80)[0][4][0])'
	assert_output --regexp '^(10\.9\.0\.1|fd09::1)$'
	run wg-nsquick exec wg0 -u nobody -- curl -4 -sS --max-time 20 http://page.test/
	assert_output "a page through the tunnel"
	run wg-nsquick exec wg0 -u nobody -- dig +short page.test A
	assert_output 10.9.0.1
	# Linked statically: it has no NSS.
	run wg-nsquick exec wg0 -u nobody -- busybox nslookup page.test
	assert_output --partial 10.9.0.1
	run wg-nsquick exec wg0 -u nobody -- busybox wget -q -O - http://page.test/
	assert_output "a page through the tunnel"
	run wg-nsquick exec wg0 -u nobody -- ping -c 1 -W 10 page.test
	assert_success
}

@test "who lives in the namespace asks none of them, through all of the tunnel's life" {
	local tap asker before nscd_before rest
	config wg0 "DNS = 10.9.0.1"
	printf '[exec]\ndbus = masked\n' > /etc/wg-nsquick.d/wg0.conf
	before=$(queries) nscd_before=$(asked_nscd)
	tcpdump --immediate-mode -i any -nn -U -w "$BATS_TEST_TMPDIR/host.pcap" 2> "$BATS_TEST_TMPDIR/ready" 3>&- &
	tap=$!
	timeout 20 bash -c "until grep -q 'listening on' '$BATS_TEST_TMPDIR/ready'; do sleep 0.1; done"
	wg-nsquick up wg0
	wg-nsquick exec wg0 -u nobody -- python3 -c '
import socket, time
while True:
    for name in "page.test", "lives.insider.test", "lives-insider.local":
        try: print(socket.getaddrinfo(name, 80, socket.AF_INET)[0][4][0], flush=True)
        except OSError: print("none", flush=True)
    time.sleep(0.1)' > "$BATS_TEST_TMPDIR/asked" 3>&- &
	asker=$!
	ask_all
	# Over the bus, which the settings hide.
	run wg-nsquick exec wg0 -u nobody -- timeout 10 resolvectl query insider.test
	assert_failure
	assert_output --partial "sd_bus_open_system"
	run wg-nsquick verify wg0
	assert_success
	wg-nsquick down wg0
	run wg-nsquick exec wg0 -u nobody -- true
	assert_failure 125
	timeout 30 bash -c "until tail -n 3 '$BATS_TEST_TMPDIR/asked' | grep -vqx none || [[ \$(tail -n 3 '$BATS_TEST_TMPDIR/asked' | grep -cx none) == 3 ]]; do sleep 0.1; done"
	wg-nsquick up wg0
	timeout 30 bash -c "until tail -n 3 '$BATS_TEST_TMPDIR/asked' | grep -qx 10.9.0.1; do sleep 0.1; done"
	# The peer is lost, and comes back.
	ip -n prov link set wgp down
	run wg-nsquick exec wg0 -u nobody -- timeout 4 getent ahostsv4 insider.test
	assert_failure
	run wg-nsquick exec wg0 -u nobody -- curl -sS --max-time 3 http://insider.test/
	assert_failure
	ip -n prov link set wgp up
	# Which a link that goes down loses.
	ip -n prov -6 addr add fd09::1/64 dev wgp nodad
	ask_all
	kill $asker; wait $asker || true
	wg-nsquick down wg0
	sleep 0.3
	kill $tap; wait $tap || true
	assert_equal "$(queries)" "$before"
	assert_equal "$(asked_nscd)" "$nscd_before"
	run grep -c 203.0.113 "$BATS_TEST_TMPDIR/asked"
	assert_output 0
	# Neither a name of theirs in the clear, nor any packet but the tunnel's and the host's own: neighbours,
	# avahi's announcements, and what it and the peer say to a packet of the tunnel's whose other end is closed.
	run grep -aciE 'insider|page.?test' "$BATS_TEST_TMPDIR/host.pcap"
	assert_output 0
	rest=$(tcpdump -nn -r "$BATS_TEST_TMPDIR/host.pcap" 2> /dev/null |
		grep -vE 'ARP|ICMP6|igmp|IP 192\.0\.2\.[12] > 192\.0\.2\.[12]: ICMP 192\.0\.2\.[12] udp port [0-9]+ unreachable|IP 192\.0\.2\.2\.[0-9]+ > 192\.0\.2\.1\.51820: UDP|IP 192\.0\.2\.1\.51820 > 192\.0\.2\.2\.[0-9]+: UDP|(192\.0\.2\.2|2001:db8::2)\.5353 > (224\.0\.0\.251|ff02::fb)\.5353' || true)
	assert_equal "$rest" ""
	(($(tcpdump -nn -r "$BATS_TEST_TMPDIR/host.pcap" 'udp port 51820' 2> /dev/null | wc -l) > 40))
}

@test "without exec they do hear: what ip-netns(8) leaves open, and the bus, which only the settings hide" {
	local before
	rm -f /etc/wg-nsquick.d/wg0.conf
	wg-nsquick up wg0
	before=$(asked_nscd)
	run ip netns exec wg0 getent ahostsv4 leak.test
	assert_output --partial 203.0.113.66
	(($(asked_nscd) > before))
	before=$(queries)
	run wg-nsquick exec wg0 -u nobody -- resolvectl query leak.test
	assert_output --partial 203.0.113.66
	(($(queries) > before))
	wg-nsquick down wg0
}

@test "the resolvers answer the host still, which is the same" {
	run getent ahostsv4 other.test
	assert_output --partial 203.0.113.66
	assert_host_unchanged
	assert_clean
}
