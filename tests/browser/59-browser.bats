#!/usr/bin/env bats
# shellcheck disable=SC2154
# Debian's Chromium, headless, as a user in the namespace: it has a resolver, a
# network process and prefetching of its own. By `make check-browser', as it is large.

setup_file() {
	load ../lib/host
	# Where users may look, too.
	mkdir -p /run/parts
	mount --bind "$("$BATS_TEST_DIRNAME/../parts" browser)" /run/parts
	LIBRARIES=$(find /run/parts/usr/lib -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
	export LIBRARIES
	private_etc
	host_up
	servers_up
	echo "nameserver 127.0.0.1" > /etc/resolv.conf
	dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --listen-address=127.0.0.1 --address=/#/203.0.113.66 \
		--log-queries --log-facility="$BATS_FILE_TMPDIR/queries" --pid-file=/run/host-dnsmasq.pid --user=root 3>&-
	mkdir -p /run/home && chown nobody /run/home
	host_remember
}

teardown_file() {
	load ../lib/host
	host_down
}

setup() {
	load ../lib/host
}

browse() { # URL
	wg-nsquick exec wg0 -u nobody -- env HOME=/run/home LD_LIBRARY_PATH="$LIBRARIES" timeout 120 /run/parts/usr/lib/chromium/chromium-headless-shell \
		--no-sandbox --disable-gpu --user-data-dir=/run/home/profile --timeout=20000 --dump-dom "$1" 2> "$BATS_TEST_TMPDIR/words"
}

@test "a page through the tunnel; with the tunnel down and with the peer lost, nothing" {
	local tap rest sleeper
	config wg0 "DNS = 10.9.0.1"
	tcpdump --immediate-mode -i any -nn -U -w "$BATS_TEST_TMPDIR/host.pcap" 2> "$BATS_TEST_TMPDIR/ready" 3>&- &
	tap=$!
	timeout 20 bash -c "until grep -q 'listening on' '$BATS_TEST_TMPDIR/ready'; do sleep 0.1; done"
	wg-nsquick up wg0
	run browse http://page.test/
	assert_success
	assert_output --partial "a page through the tunnel"
	ip -n prov link set wgp down
	run browse http://page.test/
	refute_output --partial "a page through the tunnel"
	ip -n prov link set wgp up
	ip -n prov -6 addr add fd09::1/64 dev wgp nodad
	wg-nsquick exec wg0 -u nobody -- sleep 300 3>&- &
	sleeper=$!
	timeout 10 bash -c "until [[ \$(< /proc/$sleeper/comm) == sleep ]]; do sleep 0.05; done"
	wg-nsquick down wg0
	run ip netns exec wg0 setpriv --reuid nobody --clear-groups env HOME=/run/home LD_LIBRARY_PATH="$LIBRARIES" timeout 60 \
		/run/parts/usr/lib/chromium/chromium-headless-shell --no-sandbox --disable-gpu --user-data-dir=/run/home/profile --timeout=10000 --dump-dom http://10.9.0.1/
	refute_output --partial "a page through the tunnel"
	wg-nsquick up wg0
	run browse http://page.test/
	assert_output --partial "a page through the tunnel"
	kill "$sleeper"
	wg-nsquick down wg0
	sleep 0.3
	kill $tap; wait $tap || true
	rest=$(tcpdump -nn -r "$BATS_TEST_TMPDIR/host.pcap" 2> /dev/null |
		grep -vE 'ARP|ICMP6|IP 192\.0\.2\.[12] > 192\.0\.2\.[12]: ICMP 192\.0\.2\.[12] udp port [0-9]+ unreachable|IP 192\.0\.2\.2\.[0-9]+ > 192\.0\.2\.1\.51820: UDP|IP 192\.0\.2\.1\.51820 > 192\.0\.2\.2\.[0-9]+: UDP' || true)
	assert_equal "$rest" ""
	run grep -c query "$BATS_FILE_TMPDIR/queries"
	assert_output 0
	(($(tcpdump -nn -r "$BATS_TEST_TMPDIR/host.pcap" 'udp port 51820' 2> /dev/null | wc -l) > 10))
}
