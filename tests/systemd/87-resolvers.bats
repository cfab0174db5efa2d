#!/usr/bin/env bats
# The resolvers that run on real hosts, all at once and as systemd's units: systemd-resolved, nscd,
# avahi-daemon and dnsmasq. A confined service asks none of them (58-resolvers.bats has what exec
# starts). What each of them sends when it is asked is seen first, by the same program on the host.

setup_file() {
	load ../lib/host
	host_up
	servers_up
	# Every name ends with the tunnel's answer here, and with the leak's there.
	pkill -KILL dnsmasq
	while pgrep -x dnsmasq > /dev/null; do sleep 0.1; done
	ip netns exec prov dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --interface=wgp --except-interface=lo \
		--address=/test/10.9.0.1 --pid-file=/run/dnsmasq.pid --user=root 3>&-
	ip netns exec prov dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --interface=eth0 --except-interface=lo \
		--address=/test/192.0.2.1 --pid-file=/run/dnsmasq-leak.pid --user=root 3>&-

	tar -C "$("$BATS_TEST_DIRNAME/../parts" resolvers)" -c . | tar -C / -x --keep-directory-symlink
	printf 'systemd-resolve:x:991:991::/:/usr/sbin/nologin\navahi:x:992:992::/:/usr/sbin/nologin\n' >> /etc/passwd
	printf 'systemd-resolve:x:991:\navahi:x:992:\n' >> /etc/group
	rm -f /run/systemd/system/systemd-resolved.service
	mkdir -p /etc/systemd/resolved.conf.d /run/nscd
	printf '[Resolve]\nDNS=192.0.2.1\nDNSSEC=no\nLLMNR=no\nMulticastDNS=no\n' > /etc/systemd/resolved.conf.d/test.conf
	sed -i 's/^hosts:.*/hosts: files mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return] dns/' /etc/nsswitch.conf
	rm -f /etc/resolv.conf
	ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
	# Without D-Bus, over which nobody is to ask it here.
	sed -i 's/^#*enable-dbus=.*/enable-dbus=no/' /etc/avahi/avahi-daemon.conf
	mkdir -p /run/systemd/system/avahi-daemon.service.d
	printf '[Unit]\nRequires=\n[Service]\nType=exec\nBusName=\n' > /run/systemd/system/avahi-daemon.service.d/test.conf
	systemctl daemon-reload
	systemctl start systemd-resolved nscd avahi-daemon || { journalctl -b -o cat -u systemd-resolved -u nscd -u avahi-daemon >&2; return 1; }
	dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --listen-address=127.0.0.1 --server=192.0.2.1 --cache-size=0 \
		--log-queries --log-facility=/run/dnsmasq-host.log --pid-file=/run/dnsmasq-host.pid --user=root 3>&-
	config wg0 "DNS = 10.9.0.1"
}

teardown_file() {
	load ../lib/host
	systemctl stop avahi-daemon.socket avahi-daemon nscd systemd-resolved
	host_down
}

setup() {
	load ../lib/host
}

teardown() {
	systemctl stop asker wg-nsquick@wg0 > /dev/null 2>&1
	wg-nsquick down wg0 > /dev/null 2>&1
	return 0
}

# A script that asks for names that nobody has asked for yet, through every way that programs have.
write_asker() { # TAG
	cat > /usr/local/bin/asker <<-SCRIPT
		#!/bin/bash
		getent ahostsv4 getent-$1.test
		curl -s -m 10 -o /dev/null -w '%{remote_ip} curl-$1.test\n' http://curl-$1.test/
		python3 -c 'import socket; print(socket.getaddrinfo("python-$1.test", 80, socket.AF_INET)[0][4][0], "python-$1.test")'
		echo "\$(dig +short +tries=1 +timeout=5 dig-$1.test A) dig-$1.test"
		timeout 3 getent hosts mdns-$1.local || echo "none mdns-$1.local"
	SCRIPT
	chmod 755 /usr/local/bin/asker
}

watch_links() {
	local link
	# Else nscd asks again by itself for what the host wanted to know, when that gets old.
	nscd -i hosts
	DUMPS=()
	for link in veth0 lo; do
		tcpdump -i "$link" -n -U -w "$BATS_TEST_TMPDIR/$link" 2> "$BATS_TEST_TMPDIR/$link.log" 3>&- &
		DUMPS+=($!)
		for _ in {1..100}; do grep -q listening "$BATS_TEST_TMPDIR/$link.log" && break; sleep 0.1; done
	done
	nscd -g | sed -n '/^hosts cache/,/^services cache/p' | grep -E 'cache (hits|misses)' > "$BATS_TEST_TMPDIR/nscd"
	: > /run/dnsmasq-host.log
}

watched() { # LINK FILTER: the packets seen
	tcpdump -n -r "$BATS_TEST_TMPDIR/$1" "$2" 2> /dev/null
}

watch_end() {
	sleep 1
	kill -INT "${DUMPS[@]}"
	wait "${DUMPS[@]}" || true
}

nscd_asked() { ! nscd -g | sed -n '/^hosts cache/,/^services cache/p' | grep -E 'cache (hits|misses)' | cmp -s - "$BATS_TEST_TMPDIR/nscd"; }

# What avahi-daemon says of this host by itself is no answer to anybody.
assert_nobody_asked() { # TAG
	run watched veth0 'not udp port 51820 and not arp and not icmp6 and not (ip6 and dst net ff02::/16) and not net 224.0.0.0/4'
	refute_output
	run watched veth0 'udp port 5353'
	refute_output --partial "-$1."
	run watched lo ''
	refute_output
	assert [ ! -s /run/dnsmasq-host.log ]
	run nscd_asked
	assert_failure
	# It did go somewhere.
	run watched veth0 'udp port 51820'
	assert_output
}

@test "on the host they are all asked, and it is seen" {
	write_asker host
	watch_links
	run asker
	assert_line --regexp '^192\.0\.2\.1 .*getent-host\.test'
	assert_line "192.0.2.1 curl-host.test"
	assert_line "192.0.2.1 python-host.test"
	assert_line "192.0.2.1 dig-host.test"
	dig +short +tries=1 @127.0.0.1 dnsmasq-host.test > /dev/null
	watch_end
	run watched veth0 'udp port 53 and dst host 192.0.2.1'
	assert_output --partial getent-host.test
	assert_output --partial curl-host.test
	assert_output --partial python-host.test
	assert_output --partial dig-host.test
	run watched veth0 'udp port 5353'
	assert_output --partial mdns-host.local
	run watched lo 'udp port 53'
	assert_output --partial dig-host.test
	run cat /run/dnsmasq-host.log
	assert_output --partial dnsmasq-host.test
	run nscd_asked
	assert_success
}

@test "a confined service asks none of them, and no packet leaves but the tunnel's" {
	write_asker unit
	printf '[Service]\nType=oneshot\nExecStart=/usr/local/bin/asker\nStandardOutput=file:/run/asker.out\n' > /etc/systemd/system/asker.service
	systemctl daemon-reload
	wg-nsquick confine wg0 asker
	systemctl start wg-nsquick@wg0
	watch_links
	run systemctl start asker
	run cat /run/asker.out
	assert_line --regexp "^10\.9\.0\.1 .*getent-unit\.test"
	assert_line "10.9.0.1 curl-unit.test"
	assert_line "10.9.0.1 python-unit.test"
	assert_line "10.9.0.1 dig-unit.test"
	assert_line "none mdns-unit.local"
	watch_end
	assert_nobody_asked unit
}
