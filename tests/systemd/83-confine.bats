#!/usr/bin/env bats
# confine: services of systemd in a tunnel's namespace.

unit() { printf '%s\n' "${@:2}" > "/etc/systemd/system/$1"; } # NAME LINE…

setup_file() {
	load ../lib/host
	host_up
	servers_up
	# A resolver and a web server that only this machine reaches without the tunnel: who asks them, leaks.
	printf 'nameserver 192.0.2.1\n' > /run/resolv.conf
	mount --bind /run/resolv.conf /etc/resolv.conf
	ip netns exec prov dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --except-interface=lo --listen-address=192.0.2.1 \
		--address=/page.test/192.0.2.1 --pid-file=/run/dnsmasq-leak.pid --user=root 3>&-
	cat > /etc/systemd/system/client.service <<-'UNIT'
		[Unit]
		Description=a web client
		[Service]
		ExecStart=/bin/sh -c 'while :; do curl -s -m 5 http://page.test/ >> /run/client.log; sleep 0.5; done'
		[Install]
		WantedBy=multi-user.target
	UNIT
	# Those that are refused, and one that is not: all at once, as each daemon-reload costs seconds in the virtual machine.
	unit early.service "[Unit]" "Before=network.target" "[Service]" "ExecStart=/bin/true"
	unit private.service "[Service]" "ExecStart=/bin/true" "PrivateNetwork=yes"
	unit joining.service "[Unit]" "JoinsNamespaceOf=client.service" "[Service]" "ExecStart=/bin/true"
	unit elsewhere.service "[Service]" "ExecStart=/bin/true" "NetworkNamespacePath=/run/netns/prov"
	unit listening.service "[Service]" "ExecStart=/bin/true"
	unit listening.socket "[Socket]" "ListenStream=8099" "ListenStream=/run/listening.sock"
	unit switched.service "[Service]" "ExecStart=/bin/true"
	unit switched.socket "[Socket]" "ListenStream=8099" "[Install]" "WantedBy=sockets.target"
	unit other.service "[Service]" "User=nobody" "ExecStart=/bin/stat -L -c %%i /proc/self/ns/net" "StandardOutput=file:/run/other.ns"
	unit other.socket "[Socket]" "ListenStream=/run/other.sock"
	systemctl daemon-reload
	host_remember
}

teardown_file() {
	load ../lib/host
	assert_host_unchanged
	host_down
	umount /etc/resolv.conf
}

setup() {
	load ../lib/host
	config wg0 "DNS = 10.9.0.1"
	rm -f /run/client.log
}

teardown() {
	systemctl stop client 'wg-nsquick@*.service' > /dev/null 2>&1
	[[ ! -e /etc/systemd/system/client.service.d ]] || wg-nsquick release client > /dev/null 2>&1
	[[ ! -e /run/netns/wg0 ]] || wg-nsquick down wg0 > /dev/null 2>&1
	systemctl reset-failed > /dev/null 2>&1
	rm -rf /etc/wireguard/* /etc/wg-nsquick.d/*
	return 0
}

# Of what leaves: whatever is not the tunnel's, nor neighbours' talk, nor the answer to packets for a tunnel that has just gone.
LEAKS='not udp port 51820 and not arp and not icmp6 and not (ip6 and dst net ff02::/16) and not (icmp[icmptype] == icmp-unreach)'

active() { systemctl show -P ActiveState "$1"; }

# Waits until the client has seen a new page.
pages() {
	: > /run/client.log
	for _ in {1..100}; do grep -q "a page through the tunnel" /run/client.log && return; sleep 0.2; done
	fail "no page: $(systemctl status client 2>&1)"
}

watch_uplink() {
	tcpdump -i veth0 -Q out -n -U --immediate-mode -w "$BATS_TEST_TMPDIR/uplink" 2> "$BATS_TEST_TMPDIR/tcpdump" 3>&- &
	TCPDUMP=$!
	for _ in {1..100}; do grep -q listening "$BATS_TEST_TMPDIR/tcpdump" && return; sleep 0.1; done
}

assert_only_tunnel() {
	sleep 1
	kill -INT "$TCPDUMP"
	wait "$TCPDUMP" || true
	run tcpdump -n -r "$BATS_TEST_TMPDIR/uplink" "$LEAKS"
	refute_line --regexp '^[0-9:.]+ IP'
	run tcpdump -n -r "$BATS_TEST_TMPDIR/uplink" 'udp port 51820'
	assert_line --regexp '^[0-9:.]+ IP'
}

@test "a web client: its traffic and its DNS leave through the tunnel only; it comes up with the tunnel, is restarted and stopped with it" {
	run wg-nsquick confine wg0 client
	assert_success
	assert_output "[#] install -m 644 /dev/fd/63 /etc/systemd/system/client.service.d/50-wg-nsquick.conf"
	watch_uplink
	run systemctl start client
	assert_success
	assert_equal "$(active wg-nsquick@wg0)" active
	pages
	local pid
	pid=$(systemctl show -P MainPID client)
	assert_equal "$(stat -L -c %i "/proc/$pid/ns/net")" "$(stat -L -c %i /run/netns/wg0)"
	run cat "/proc/$pid/root/etc/resolv.conf"
	assert_line "nameserver 10.9.0.1"
	run grep hosts: "/proc/$pid/root/etc/nsswitch.conf"
	assert_output "hosts: files dns"
	systemctl restart wg-nsquick@wg0
	assert_equal "$(active client)" active
	pages
	run systemctl stop wg-nsquick@wg0
	assert_equal "$(active client)" inactive
	assert_only_tunnel
	assert_clean
	run wg-nsquick release client.service
	assert_success
	assert [ ! -e /etc/systemd/system/client.service.d ]
	assert_equal "$(systemctl show -P NetworkNamespacePath client)" ""
}

@test "a tunnel that does not come up: the client does not start" {
	config wg0 "PostUp = false"
	wg-nsquick confine wg0 client
	run systemctl start client
	assert_failure
	assert_equal "$(active client)" inactive
	assert [ ! -s /run/client.log ]
}

@test "the tunnel's device vanishes: nothing leaks" {
	wg-nsquick confine wg0 client
	systemctl start client
	pages
	watch_uplink
	ip -n wg0 link del wg0
	sleep 2
	kill -INT "$TCPDUMP"
	wait "$TCPDUMP" || true
	run tcpdump -n -r "$BATS_TEST_TMPDIR/uplink" "$LEAKS"
	refute_line --regexp '^[0-9:.]+ IP'
	systemctl stop wg-nsquick@wg0
}

@test "where /etc/resolv.conf leads into a resolver's folder, that folder has the namespace's file alone" {
	umount /etc/resolv.conf
	mkdir -p /run/systemd/resolve
	printf 'nameserver 192.0.2.1\n' > /run/systemd/resolve/stub-resolv.conf
	mv /etc/resolv.conf /etc/resolv.conf.kept
	ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
	run wg-nsquick confine wg0 client
	assert_success
	watch_uplink
	systemctl start client
	pages
	local pid
	pid=$(systemctl show -P MainPID client)
	run nsenter -m -t "$pid" ls /run/systemd/resolve
	assert_output "stub-resolv.conf"
	run nsenter -m -t "$pid" cat /etc/resolv.conf
	assert_line "nameserver 10.9.0.1"
	assert_only_tunnel
	systemctl stop client
	rm /etc/resolv.conf
	mv /etc/resolv.conf.kept /etc/resolv.conf
	rm -r /run/systemd/resolve
	mount --bind /run/resolv.conf /etc/resolv.conf
}

@test "--keep-running: the client goes on over a restart of the tunnel" {
	wg-nsquick confine --keep-running wg0 client
	systemctl start client
	pages
	local pid
	pid=$(systemctl show -P MainPID client)
	watch_uplink
	systemctl stop wg-nsquick@wg0
	assert_equal "$(active client)" active
	sleep 1
	systemctl start wg-nsquick@wg0
	pages
	assert_equal "$(systemctl show -P MainPID client)" "$pid"
	assert_only_tunnel
}

@test "--dry-run prints the drop-in and writes nothing; release --dry-run likewise" {
	run wg-nsquick --dry-run confine wg0 client
	assert_success
	assert_line "# /etc/systemd/system/client.service.d/50-wg-nsquick.conf"
	assert_line "BindsTo=wg-nsquick@wg0.service"
	assert_line "After=wg-nsquick@wg0.service"
	assert_line "NetworkNamespacePath=/run/netns/wg0"
	assert_line "InaccessiblePaths=-/run/nscd"
	assert [ ! -e /etc/systemd/system/client.service.d ]
	wg-nsquick confine wg0 client
	run wg-nsquick --dry-run release client
	assert_output "rm /etc/systemd/system/client.service.d/50-wg-nsquick.conf"
	assert [ -e /etc/systemd/system/client.service.d ]
}

@test "a running service is said to need a restart; what systemd-analyze makes of the drop-in" {
	systemctl start client
	run wg-nsquick confine wg0 client
	assert_line "[!] client.service runs as before until it is restarted: systemctl restart client.service"
	run systemd-analyze verify --man=no client.service
	assert_success
	assert_output ""
}

@test "refused, with the reason: units that are none, that come before the network, that let people in" {
	run wg-nsquick confine wg0 no-such-unit
	assert_failure 1
	assert_output "wg-nsquick: no-such-unit.service: systemd has no such unit, or it is masked; expected the name of one that \`systemctl cat' shows"
	run wg-nsquick confine wg0 multi-user.target
	assert_output --partial "only services can be confined"
	run wg-nsquick confine wg0 wg-nsquick@wg0
	assert_output --partial "tunnels are not confined to tunnels"
	run wg-nsquick confine wg0 some@.service
	assert_failure 1
	assert_output --partial "it is a template"
	run wg-nsquick confine wg0 'a/b'
	assert_output --partial "is not the name of a unit"
	run wg-nsquick release client
	assert_failure 1
	assert_output --partial "client.service is not confined"
	run wg-nsquick confine --user wg0 client
	assert_failure 1
	assert_output --partial "a user's own manager may not enter a network namespace"
	run wg-nsquick confine wg0 early
	assert_failure 1
	assert_output --partial "early.service: it comes before network.target"
	run wg-nsquick confine wg0 ssh
	assert_failure 1
	assert_output --partial "through it one gets into this machine"
}

@test "refused, with the reason: PrivateNetwork=, JoinsNamespaceOf=, another namespace, a socket's port" {
	run wg-nsquick confine wg0 private
	assert_failure 1
	assert_output --partial "PrivateNetwork=yes keeps it off every network"
	run wg-nsquick --dry-run --force confine wg0 private
	assert_success
	assert_line "PrivateNetwork=no"
	run wg-nsquick confine wg0 joining
	assert_failure 1
	assert_output --partial "JoinsNamespaceOf=client.service"
	run wg-nsquick confine wg0 elsewhere
	assert_failure 1
	assert_output --partial "it is in namespace /run/netns/prov already"
	run wg-nsquick confine wg0 listening
	assert_failure 1
	assert_output --partial "its port is opened by listening.socket (Stream [::]:8099)"
	# One that is off opens nothing.
	run wg-nsquick --dry-run confine wg0 switched
	assert_success
	systemctl --quiet enable switched.socket
	run wg-nsquick --dry-run confine wg0 switched
	assert_failure 1
	systemctl --quiet disable switched.socket
}

@test "of another user, and started by a socket in the file system, which is the same everywhere: in the tunnel's namespace" {
	run wg-nsquick confine wg0 other
	assert_success
	systemctl start other.socket
	curl -s -m 5 --unix-socket /run/other.sock http://any/ || true
	for _ in {1..50}; do [[ -s /run/other.ns ]] && break; sleep 0.1; done
	assert_equal "$(cat /run/other.ns)" "$(stat -L -c %i /run/netns/wg0)"
	systemctl stop other.socket other.service
	rm /run/other.ns
	wg-nsquick release other
}

@test "all that a user runs: the manager of the user's own services, in the tunnel's namespace" {
	local pid
	# Which logind makes, elsewhere.
	install -d -o nobody -m 700 /run/user/65534
	mkdir -p /run/systemd/system/user@65534.service.d
	printf '[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/65534\n' > /run/systemd/system/user@65534.service.d/runtime.conf
	run wg-nsquick confine wg0 user@65534.service
	assert_success
	systemctl start user@65534.service || fail "$(journalctl -b -o cat -u user@65534.service | tail -20)"
	pid=$(systemctl show -P MainPID user@65534.service)
	assert_equal "$(stat -L -c %i "/proc/$pid/ns/net")" "$(stat -L -c %i /run/netns/wg0)"
	run nsenter -m -t "$pid" cat /etc/resolv.conf
	assert_line "nameserver 10.9.0.1"
	systemctl stop user@65534.service
	wg-nsquick release user@65534.service
	rm -rf /run/systemd/system/user@65534.service.d /run/user/65534
}
