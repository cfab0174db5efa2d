#!/usr/bin/env bats
# reload: what changed in the file is applied to the running tunnel, all or
# nothing; what did not change keeps its session, counters, port and mark.

setup_file() {
	load lib/host
	host_up
	servers_up
	printf '127.0.0.1 localhost\n192.0.2.1 vpn.example\n' > /run/hosts
	mount --bind /run/hosts /etc/hosts
	host_remember
}

teardown_file() {
	load lib/host
	assert_host_unchanged
	assert_clean
	host_down
	umount /etc/hosts
}

setup() {
	load lib/host
	SECOND=$(wg genkey | wg pubkey)
}

teardown() {
	ip -n prov addr del 10.9.0.53/32 dev lo 2> /dev/null
	wg-nsquick down wg0 > /dev/null 2>&1 3>&-
	wg-nsquick recover > /dev/null 2>&1 3>&-
	rm -rf /etc/wireguard/* /etc/wg-nsquick.d/*
	return 0
}

wgns() { ip netns exec wg0 wg "$@"; }

# add LINE…: lines at the end of the file, thus in its last [Peer].
add() { printf '%s\n' "$@" >> /etc/wireguard/wg0.conf; }

# edit SED-COMMAND
edit() { sed -i "$1" /etc/wireguard/wg0.conf; }

# All of the tunnel, as text.
tunnel_state() {
	wgns showconf wg0 | awk -v RS= '{ gsub("\n", "|"); print }' | sed 's/, /,/g' | sort
	ip -n wg0 -o addr show wg0 | sed 's/ *valid_lft.*//; s/^[0-9]*: //' | grep -v fe80 | sort
	ip -n wg0 -4 route show table all dev wg0 | sort
	ip -n wg0 -6 route show table all dev wg0 | grep -v -e fe80: -e ff00: | sort
	ip -n wg0 link show wg0 | grep -o 'mtu [0-9]*'
	cat /etc/netns/wg0/resolv.conf
}

peer_line() { # PUBLIC-KEY: all of the peer but what time changes
	wgns show wg0 dump | awk -v key="$1" '$1 == key { print $3, $4, $5, $6 }'
}

received() { wgns show wg0 transfer | awk -v key="$PROVIDER_PUB" '$1 == key { print $2 }'; }

@test "a file that did not change changes nothing" {
	config wg0 "DNS = 10.9.0.1"
	wg-nsquick up wg0
	wg-nsquick exec wg0 curl -s -m 5 http://10.9.0.1/
	tunnel_state > "$BATS_TEST_TMPDIR/before"
	local bytes
	bytes=$(received)
	add "# a comment"
	run wg-nsquick reload wg0
	assert_success
	assert_output ""
	tunnel_state | diff "$BATS_TEST_TMPDIR/before" -
	assert [ "$(received)" -ge "$bytes" ]
}

@test "addresses, MTU, DNS, a peer and its routes are applied; the other peer keeps its session, the device its port and mark" {
	config wg0 "DNS = 10.9.0.1" "PostUp = true" "Peer:PersistentKeepalive = 1"
	run wg-nsquick up wg0
	assert_success
	cp /etc/wireguard/wg0.conf "$BATS_TEST_TMPDIR/first.conf"
	wg-nsquick exec wg0 curl -s -m 5 http://10.9.0.1/
	local port mark shake bytes
	port=$(wgns show wg0 listen-port) mark=$(wgns show wg0 fwmark) shake=$(wgns show wg0 latest-handshakes) bytes=$(received)
	assert [ "$mark" != off ]
	edit 's,^Address.*,Address = 10.9.0.2/24\, 10.9.8.1/24\, fd09::2/64\, fd08::1/64,; s/^DNS.*/DNS = 10.9.0.1, 10.9.0.9, corp.example\nMTU = 1333/'
	add "[Peer]" "PublicKey = $SECOND" "AllowedIPs = 10.77.0.0/16, fd77::/48"
	run wg-nsquick reload wg0
	assert_success
	assert_line "[#] ip -4 address add 10.9.8.1/24 dev wg0"
	assert_line "[#] ip -6 address add fd08::1/64 dev wg0"
	assert_line "[#] ip link set mtu 1333 dev wg0"
	assert_line "[#] ip -4 route add 10.77.0.0/16 dev wg0"
	assert_line "[#] ip -6 route add fd77::/48 dev wg0"
	assert_line "[#] wg set wg0 peer $SECOND allowed-ips +10.77.0.0/16,+fd77::/48"
	refute_line --partial "$PROVIDER_PUB"
	assert_equal "$(wgns show wg0 listen-port)" "$port"
	assert_equal "$(wgns show wg0 fwmark)" "$mark"
	assert_equal "$(wgns show wg0 latest-handshakes | grep -F "$PROVIDER_PUB")" "$shake"
	assert [ "$(received)" -ge "$bytes" ]
	run cat /etc/netns/wg0/resolv.conf
	assert_line "nameserver 10.9.0.9"
	assert_line "search corp.example"
	run ip -n wg0 -br addr show wg0
	assert_output --partial "10.9.8.1/24"
	assert_output --partial "fd08::1/64"
	run ip -n wg0 route show
	assert_line --partial "10.77.0.0/16 dev wg0"
	wg-nsquick exec wg0 curl -s -m 5 http://10.9.0.1/
	# And back again.
	cp "$BATS_TEST_TMPDIR/first.conf" /etc/wireguard/wg0.conf
	run wg-nsquick reload wg0
	assert_success
	assert_line "[#] wg set wg0 peer $SECOND remove"
	assert_line "[#] ip link set mtu 1420 dev wg0"
	run wgns show wg0 peers
	assert_output "$PROVIDER_PUB"
	run ip -n wg0 route show
	refute_line --partial "10.77."
	assert_equal "$(wgns show wg0 latest-handshakes)" "$shake"
	run wg-nsquick --dry-run reload wg0
	assert_output "wg0 has what its file says"
}

@test "a connection goes on through a reload" {
	config wg0
	wg-nsquick up wg0
	mkfifo "$BATS_TEST_TMPDIR/in"
	ip netns exec prov busybox nc -l -p 7 < "$BATS_TEST_TMPDIR/in" > "$BATS_TEST_TMPDIR/heard" 3>&- &
	exec 9> "$BATS_TEST_TMPDIR/in"
	wait_until "the peer's server" eval "ip netns exec prov ss -Hltn 'sport = :7' | grep ."
	mkfifo "$BATS_TEST_TMPDIR/out"
	wg-nsquick exec wg0 busybox nc 10.9.0.1 7 < "$BATS_TEST_TMPDIR/out" > "$BATS_TEST_TMPDIR/answer" 3>&- 9>&- &
	exec 8> "$BATS_TEST_TMPDIR/out"
	echo one >&8
	wait_until "the first word" grep one "$BATS_TEST_TMPDIR/heard"
	add "[Peer]" "PublicKey = $SECOND" "AllowedIPs = 10.77.0.0/16"
	edit 's,^Address.*,Address = 10.9.0.2/24\, 10.9.8.1/24\, fd09::2/64,'
	run wg-nsquick reload wg0
	assert_success
	echo two >&8
	echo back >&9
	wait_until "the second word" grep two "$BATS_TEST_TMPDIR/heard"
	wait_until "the answer" grep back "$BATS_TEST_TMPDIR/answer"
	exec 8>&- 9>&-
	run cat "$BATS_TEST_TMPDIR/heard" "$BATS_TEST_TMPDIR/answer"
	assert_line one
	assert_line two
	assert_line back
}

@test "the only address is exchanged; the routes stay" {
	ADDRESS=10.9.0.2/32 ALLOWED=0.0.0.0/0 config wg0
	wg-nsquick up wg0
	edit 's,^Address.*,Address = 10.9.0.7/32,'
	run wg-nsquick reload wg0
	assert_success
	run ip -n wg0 -4 route show dev wg0
	assert_output --partial "default"
	run ip -n wg0 -4 -br addr show wg0
	assert_output --partial "10.9.0.7/32"
	refute_output --partial "10.9.0.2"
}

@test "an address with another length; the secondary addresses of its network stay" {
	ADDRESS="10.9.0.2/24, 10.9.0.3/24, fd09::2/64" config wg0
	wg-nsquick up wg0
	edit 's,^Address.*,Address = 10.9.0.2/16\, 10.9.0.3/24\, fd09::2/48,'
	run wg-nsquick reload wg0
	assert_success
	run ip -n wg0 -br addr show wg0
	assert_output --partial "10.9.0.2/16"
	assert_output --partial "10.9.0.3/24"
	assert_output --partial "fd09::2/48"
	refute_output --partial "10.9.0.2/24"
	refute_output --partial "fd09::2/64"
}

# order: the addresses as the kernel has them, and from which packets come.
order() {
	ip -n wg0 -o addr show wg0 | awk '$4 !~ /^fe80/ { print $3, $4 }'
	ip -n wg0 route get 10.9.0.1 | grep -o 'src [^ ]*'
	ip -n wg0 route get 10.44.0.1 | grep -o 'src [^ ]*'
	ip -n wg0 route get fd09::1 | grep -o 'src [^ ]*'
	ip -n wg0 -4 route show table all dev wg0 | grep -v linkdown | sort
}

@test "addresses have the file's order, as up gives it, and the old one when a reload is undone" {
	local promote first next
	first="10.9.0.2/24, 10.9.0.9/24, 10.8.0.1/24, fd09::2/64, fd09::9/64"
	for next in "10.9.0.3/24, 10.9.0.9/24, 10.8.0.1/24, fd09::3/64, fd09::9/64" "10.8.0.1/24, 10.9.0.9/24, 10.9.0.2/24, fd09::9/64, fd09::2/64" \
		"10.9.0.3/24, 10.9.0.2/24, 10.9.0.9/24, 10.8.0.1/24, fd09::3/64, fd09::2/64, fd09::9/64"; do
		for promote in 0 1; do
			echo "$promote: $next"
			ADDRESS=$next config wg0
			wg-nsquick up wg0
			order > "$BATS_TEST_TMPDIR/after"
			wg-nsquick down wg0
			ADDRESS=$first config wg0
			wg-nsquick up wg0
			order > "$BATS_TEST_TMPDIR/before"
			ip netns exec wg0 sysctl -qw "net.ipv4.conf.all.promote_secondaries=$promote" "net.ipv4.conf.wg0.promote_secondaries=$promote"
			# A route that is refused comes after the addresses.
			ip -n wg0 link add d0 type veth peer name d1
			ip -n wg0 link set d1 up
			ip -n wg0 link set d0 up
			ip -n wg0 route add 10.77.0.0/16 dev d0 scope link
			ADDRESS=$next ALLOWED="0.0.0.0/0, ::/0, 10.77.0.0/16" config wg0
			run wg-nsquick reload wg0
			assert_failure 2
			assert_output --partial "cannot add route 10.77.0.0/16"
			ip -n wg0 link del d0
			order | diff "$BATS_TEST_TMPDIR/before" -
			ADDRESS=$next config wg0
			wg-nsquick reload wg0
			order | diff "$BATS_TEST_TMPDIR/after" -
			run wg-nsquick --dry-run reload wg0
			assert_output "wg0 has what its file says"
			ADDRESS=$first config wg0
			wg-nsquick reload wg0
			order | diff "$BATS_TEST_TMPDIR/before" -
			wg-nsquick down wg0
		done
	done
}

@test "an address with a peer is somebody else's, and stays as it is when the order of the file's changes" {
	ADDRESS="10.9.0.2/24, 10.9.8.1/24, fd09::2/64, fd08::2/64" config wg0
	wg-nsquick up wg0
	ip -n wg0 addr add 10.99.0.1 peer 10.99.0.2/32 dev wg0
	ip -n wg0 addr add fd99::1 peer fd99::2/128 dev wg0
	ip -n wg0 -o addr show wg0 | grep peer | sort > "$BATS_TEST_TMPDIR/before"
	ADDRESS="10.9.8.1/24, 10.9.0.2/24, fd08::2/64, fd09::2/64" config wg0
	run wg-nsquick reload wg0
	assert_success
	ip -n wg0 -o addr show wg0 | grep peer | sort | diff "$BATS_TEST_TMPDIR/before" -
	# Nor has it a double without the peer.
	assert_equal "$(ip -n wg0 -o addr show wg0 | grep -cE '10\.99\.0\.1|fd99::1')" 2
	run wg-nsquick --dry-run reload wg0
	assert_output "wg0 has what its file says"
}

@test "routes with attributes of their own are somebody else's: none is deleted, and one that went with an address comes back as it was" {
	local alike
	ADDRESS="10.9.0.2/24, 10.9.0.9/24, fd09::2/64" ALLOWED="10.9.0.0/24, fd09::/64, 10.79.0.0/16, fd79::/48" config wg0
	wg-nsquick up wg0
	ip -n wg0 route add 10.79.0.0/16 dev wg0 metric 500
	ip -n wg0 route add fd79::/48 dev wg0 metric 512
	ip -n wg0 route add fd79::/48 dev wg0 metric 2048
	alike=$(tunnel_state 2> /dev/null | grep -E 'metric (500|512|2048)')
	edit 's,^AllowedIPs.*,AllowedIPs = 10.9.0.0/24\, fd09::/64,'
	run wg-nsquick reload wg0
	assert_success
	assert_line "[#] ip -4 route delete 10.79.0.0/16 dev wg0"
	run ip -n wg0 route show 10.79.0.0/16
	assert_output --regexp "^10.79.0.0/16 dev wg0 scope link metric 500 *$"
	assert_equal "$(tunnel_state 2> /dev/null | grep -E 'metric (500|512|2048)')" "$alike"
	run ip -n wg0 -6 route show fd79::/48
	refute_output --partial "metric 1024"
	# The first of its network takes all with it.
	ip -n wg0 route add 10.78.0.0/16 dev wg0 src 10.9.0.2 metric 50
	ip -n wg0 route add 10.80.0.0/16 via 10.9.0.1 dev wg0 proto static
	ip -n wg0 link add d0 type veth peer name d1
	ip -n wg0 link set d1 up
	ip -n wg0 link set d0 up
	ip -n wg0 route add 10.77.0.0/16 dev d0 scope link
	tunnel_state > "$BATS_TEST_TMPDIR/before"
	ADDRESS="10.9.0.3/24, 10.9.0.9/24, fd09::2/64" ALLOWED="10.9.0.0/24, fd09::/64, 10.77.0.0/16" config wg0
	run wg-nsquick reload wg0
	assert_failure 2
	assert_output --partial "cannot add route 10.77.0.0/16"
	tunnel_state | diff "$BATS_TEST_TMPDIR/before" -
	# And one whose source is gone is not in the way.
	ip -n wg0 link del d0
	run wg-nsquick reload wg0
	assert_success
	assert_line --partial "Warning: wg0: route 10.78.0.0/16, which is not its file's, went with an address: "
	run ip -n wg0 route show
	assert_line --partial "10.80.0.0/16 via 10.9.0.1 dev wg0 proto static"
	assert_line --partial "10.79.0.0/16 dev wg0 scope link metric 500"
	refute_line --partial "10.78.0.0/16"
}

@test "a route with an MTU of its own that goes with an address: it is back, and what it has not any more is said" {
	ADDRESS=10.9.0.2/24 ALLOWED=10.9.0.0/24 config wg0
	wg-nsquick up wg0
	ip -n wg0 route add 10.81.0.0/16 dev wg0 proto static mtu 1300
	ip -n wg0 route add 10.82.0.0/16 dev wg0 proto static
	ADDRESS=10.9.0.3/24 ALLOWED=10.9.0.0/24 config wg0
	run wg-nsquick reload wg0
	assert_success
	assert_line --partial "Warning: wg0: route 10.81.0.0/16, which is not its file's, went with an address, and is back without some of its attributes"
	refute_output --partial "route 10.82.0.0/16, which"
	run ip -n wg0 route show
	assert_line --partial "10.81.0.0/16 dev wg0 proto static"
	assert_line --partial "10.82.0.0/16 dev wg0 proto static"
}

@test "a default route that comes gets a mark, as up sets one; one that goes is gone" {
	ALLOWED=10.9.0.0/16 config wg0
	wg-nsquick up wg0
	assert_equal "$(wgns show wg0 fwmark)" off
	edit 's,^AllowedIPs.*,AllowedIPs = 10.9.0.0/16\, 0.0.0.0/0,'
	run wg-nsquick reload wg0
	assert_success
	assert_equal "$(wgns show wg0 fwmark)" 0x1
	run ip -n wg0 route show
	assert_line --partial "default dev wg0"
	wg-nsquick save wg0
	run cat /etc/wireguard/wg0.conf
	refute_line --partial FwMark
	edit 's,^AllowedIPs.*,AllowedIPs = 10.9.0.0/16,'
	run wg-nsquick reload wg0
	assert_success
	run ip -n wg0 route show
	refute_line --partial "default"
}

@test "a default route that Table kept out gets its mark with it" {
	config wg0 "Table = off"
	wg-nsquick up wg0
	assert_equal "$(wgns show wg0 fwmark)" off
	config wg0
	wg-nsquick reload wg0
	assert_equal "$(wgns show wg0 fwmark)" 0x1
	run ip -n wg0 route show
	assert_line --partial "default dev wg0"
}

# Namespace own, with a default route of its own: that of a tunnel in it needs rules.
own_with_default() {
	ip netns add own
	ip -n own link set lo up
	ip -n own link add d0 type veth peer name d1
	ip -n own addr add 192.168.5.1/24 dev d0
	ip -n own link set d0 up
	ip -n own link set d1 up
	ip -n own route add default via 192.168.5.2 "$@"
}

@test "D.4: neither port nor mark is lost with a default route, and down leaves no rule" {
	config wg0
	own_with_default
	run wg-nsquick --netns own up wg0
	assert_success
	local rules mark port
	rules=$(ip -n own rule show) mark=$(ip netns exec own wg show wg0 fwmark) port=$(ip netns exec own wg show wg0 listen-port)
	assert_equal "$mark" 0xca6c
	add "[Peer]" "PublicKey = $SECOND" "AllowedIPs = 10.77.0.0/16"
	run wg-nsquick --netns own reload wg0
	assert_success
	assert_equal "$(ip -n own rule show)" "$rules"
	assert_equal "$(ip netns exec own wg show wg0 fwmark)" "$mark"
	assert_equal "$(ip netns exec own wg show wg0 listen-port)" "$port"
	# The packet filter has the addresses, and keeps them.
	edit 's,^Address.*,Address = 10.9.0.2/24\, 10.9.8.1/24\, fd09::2/64,'
	run wg-nsquick --netns own reload wg0
	assert_success
	assert_output --partial "Warning: wg0: Address changed, and the packet filter of the default route goes on with the old ones"
	edit 's/AllowedIPs = 10.77.0.0.16/&, 10.78.0.0\/16/'
	run wg-nsquick --netns own reload wg0
	assert_success
	refute_output --partial "Warning"
	# What would need other rules is refused.
	edit 's,^AllowedIPs = 0.0.0.0/0.*,AllowedIPs = 10.9.0.0/16,'
	run wg-nsquick --netns own reload wg0
	assert_failure 1
	assert_output --partial "default route comes or goes"
	run wg-nsquick --netns own down wg0
	assert_success
	run ip -n own rule show
	refute_output --partial 51820
	ip netns del own
}

@test "Table where a default route needs rules: one that would make or leave them is refused" {
	local before table
	own_with_default metric 100
	config wg0
	wg-nsquick --netns own up wg0
	before=$(ip -n own rule; ip -n own -4 route show table all; ip -n own -6 route show default)
	for table in off 77; do
		config wg0 "Table = $table"
		run wg-nsquick reload wg0
		assert_failure 1
		assert_output --partial "wg0: Table changed, and the rules of the default route are in use"
		assert_equal "$(ip -n own rule; ip -n own -4 route show table all; ip -n own -6 route show default)" "$before"
	done
	wg-nsquick down wg0
	ALLOWED="10.44.0.0/16, 0.0.0.0/0" config wg0 "Table = off"
	wg-nsquick --netns own up wg0
	before=$(ip -n own rule; ip -n own -4 route show table all)
	ALLOWED="10.44.0.0/16, 0.0.0.0/0" config wg0
	run wg-nsquick reload wg0
	assert_failure 1
	assert_output --partial "default route comes or goes, and this one needs rules"
	assert_equal "$(ip -n own rule; ip -n own -4 route show table all)" "$before"
	# As a plain one it is what was asked for.
	ALLOWED="10.44.0.0/16, 0.0.0.0/0" config wg0 "Table = main"
	run wg-nsquick reload wg0
	assert_success
	run ip -n own route show
	assert_line --partial "default dev wg0 scope link"
	wg-nsquick down wg0
	ip netns del own
}

@test "an automatic MTU below what IPv6 needs: taken where the file has no IPv6, refused where it has" {
	ip link set veth0 mtu 1300
	ADDRESS=10.9.0.2/24 ALLOWED=0.0.0.0/0 config wg0 "MTU = 1400"
	wg-nsquick up wg0
	edit '/^MTU/d'
	run wg-nsquick reload wg0
	assert_success
	assert_line "[#] ip link set mtu 1220 dev wg0"
	ADDRESS=10.9.0.2/24 ALLOWED=0.0.0.0/0 config wg0 "MTU = 1400"
	wg-nsquick reload wg0
	ALLOWED=0.0.0.0/0 config wg0
	run wg-nsquick reload wg0
	ip link set veth0 mtu 1500
	assert_failure 2
	assert_output "wg-nsquick: wg0: the automatic MTU is 1220, and IPv6 needs 1280; expected \`MTU = 1280' or more, or no IPv6 in Address and AllowedIPs"
	run ip -n wg0 -o link show wg0
	assert_output --partial "mtu 1400"
}

@test "where the target has no IPv6, it is left out, as up leaves it out; with ipv6 = require nothing is done" {
	ip netns add other
	ip netns exec other sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	ADDRESS=10.9.0.2/24 ALLOWED=0.0.0.0/0 config wg0
	wg-nsquick --netns other up wg0
	ADDRESS="10.9.0.2/24, 10.9.8.1/24, fd09::2/64" config wg0
	printf '[tunnel]\nipv6 = require\n' > /etc/wg-nsquick.d/wg0.conf
	run wg-nsquick reload wg0
	assert_failure 2
	assert_output --partial "ipv6 = require"
	rm /etc/wg-nsquick.d/wg0.conf
	run wg-nsquick reload wg0
	assert_success
	assert_line --partial "IPv6 is disabled in its network namespace: the file's IPv6 addresses and routes are left out"
	assert_line "[#] ip -4 address add 10.9.8.1/24 dev wg0"
	refute_output --partial "ip -6"
	run ip netns exec other wg show wg0 allowed-ips
	assert_output --partial "::/0"
	wg-nsquick down wg0
	ip netns del other
}

@test "hooks that changed are refused, with their line, and nothing is done" {
	config wg0 "PostUp = true" "DNS = 10.9.0.1"
	wg-nsquick up wg0
	tunnel_state > "$BATS_TEST_TMPDIR/before"
	edit 's/^PostUp.*/PostUp = false/; s/^DNS.*/DNS = 10.9.0.2/'
	run wg-nsquick reload wg0
	assert_failure 1
	assert_output "wg-nsquick: /etc/wireguard/wg0.conf:4: PostUp is new or changed, and a reload runs no hooks; expected \`down' and \`up', or the hooks as they were"
	tunnel_state | diff "$BATS_TEST_TMPDIR/before" -
}

@test "another namespace or transport in the settings is refused" {
	config wg0
	wg-nsquick up wg0
	printf '[tunnel]\nnetns = prov\n' > /etc/wg-nsquick.d/wg0.conf
	run wg-nsquick reload wg0
	assert_failure 1
	assert_output --partial "the settings now name network namespace prov, and the tunnel is in wg0"
	printf '[tunnel]\ntransport = self\n' > /etc/wg-nsquick.d/wg0.conf
	run wg-nsquick reload wg0
	assert_failure 1
	assert_output --partial "the transport now is self, and the tunnel was made with host"
}

@test "a device that somebody renamed is read and changed by the name that it has" {
	config wg0
	wg-nsquick up wg0
	# Before Linux 6.2 none is renamed while it is up.
	ip -n wg0 link set wg0 down
	ip -n wg0 link set wg0 name other
	ip -n wg0 link set other up
	sed -i 's/^Address = .*/&, fd09::7\/64/; s/^AllowedIPs/PersistentKeepalive = 25\n&/' /etc/wireguard/wg0.conf
	run wg-nsquick reload wg0
	assert_success
	refute_output --partial "IPv6 is disabled"
	run ip -n wg0 -br addr show other
	assert_output --partial "fd09::7/64"
	run wg-nsquick status wg0 --json
	assert_output --partial '"persistent_keepalive": 25'
	run wg-nsquick down wg0
	assert_success
}

@test "an empty file, as of an editor that had no room, takes nothing away" {
	local before
	config wg0
	wg-nsquick up wg0
	before=$(ip netns exec wg0 wg showconf wg0)
	printf '# cut off\n[Interface]\n' > /etc/wireguard/wg0.conf
	run wg-nsquick reload wg0
	assert_failure 1
	assert_output "wg-nsquick: /etc/wireguard/wg0.conf: PrivateKey, Address and [Peer] are all gone; expected a whole file, or \`down'"
	assert_equal "$(ip netns exec wg0 wg showconf wg0)" "$before"
}

@test "no such interface, no such file, a broken file" {
	run wg-nsquick reload wg0
	assert_failure 1
	assert_output "wg-nsquick: \`/etc/wireguard/wg0.conf' does not exist"
	config wg0
	run wg-nsquick reload wg0
	assert_failure 1
	assert_output "wg-nsquick: \`wg0' is not a WireGuard interface"
	wg-nsquick up wg0
	tunnel_state > "$BATS_TEST_TMPDIR/before"
	add "AllowedIPs = 10.0.0.0/99"
	run wg-nsquick reload wg0
	assert_failure 1
	assert_output --partial "/etc/wireguard/wg0.conf:"
	config wg0 "Address = nonsense"
	run wg-nsquick reload wg0
	assert_failure 1
	assert_output --partial "wg0.conf:4: Address: \`nonsense' is not"
	# With the status of up.
	config wg0 "MTU = nonsense"
	run wg-nsquick reload wg0
	assert_failure 255
	assert_output --partial "wg0.conf:4: MTU: \`nonsense' is not"
	tunnel_state | diff "$BATS_TEST_TMPDIR/before" -
}

@test "all or nothing: a route that is refused takes all the rest back, and the session lives" {
	config wg0 "DNS = 10.9.0.1"
	wg-nsquick up wg0
	wg-nsquick exec wg0 curl -s -m 5 http://10.9.0.1/
	ip -n wg0 link add d0 type veth peer name d1
	ip -n wg0 link set d1 up
	ip -n wg0 link set d0 up
	ip -n wg0 route add 10.77.0.0/16 dev d0 scope link
	tunnel_state > "$BATS_TEST_TMPDIR/before"
	local shake
	shake=$(wgns show wg0 latest-handshakes)
	edit 's,^Address.*,Address = 10.9.0.2/24\, 10.9.8.1/24\, fd08::1/64,; s/^DNS.*/DNS = 9.9.9.9\nMTU = 1333\nListenPort = 55555\nFwMark = 99/'
	add "PersistentKeepalive = 25" "[Peer]" "PublicKey = $SECOND" "AllowedIPs = 10.77.0.0/16, 10.76.0.0/16"
	run wg-nsquick reload wg0
	assert_failure 2
	assert_output --partial "wg-nsquick: wg0: cannot add route 10.77.0.0/16: "
	tunnel_state | diff "$BATS_TEST_TMPDIR/before" -
	assert_equal "$(wgns show wg0 latest-handshakes)" "$shake"
	assert [ ! -e /run/wg-nsquick/applied/wg0@*.before ]
	# The file's wish is not forgotten: once it can be done, it is.
	ip -n wg0 link del d0
	run wg-nsquick reload wg0
	assert_success
	assert_equal "$(wgns show wg0 fwmark)" 0x63
	assert_equal "$(wgns show wg0 listen-port)" 55555
	run cat /etc/netns/wg0/resolv.conf
	assert_line "nameserver 9.9.9.9"
}

@test "a port that is taken: nothing is left of the reload" {
	config wg0
	wg-nsquick up wg0
	tunnel_state > "$BATS_TEST_TMPDIR/before"
	python3 -c 'import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 55556)); time.sleep(60)' 3>&- &
	for _ in {1..100}; do ss -Hlun 'sport = :55556' | grep -q . && break; sleep 0.1; done
	edit 's,^Address.*,ListenPort = 55556\nAddress = 10.9.0.2/24\, 10.9.8.1/24\, fd09::2/64,'
	run wg-nsquick reload wg0
	kill %%
	assert_failure 1
	assert_output --partial "Unable to modify interface: Address"
	tunnel_state | diff "$BATS_TEST_TMPDIR/before" -
}

# changed: a file with changes of all kinds, and what was before.
changed() {
	config wg0 "DNS = 10.9.0.1"
	wg-nsquick up wg0
	tunnel_state > "$BATS_TEST_TMPDIR/before"
	edit 's,^Address.*,Address = 10.9.0.2/24\, 10.9.8.1/24\, fd08::1/64,; s/^DNS.*/DNS = 9.9.9.9\nMTU = 1333/'
	add "[Peer]" "PublicKey = $SECOND" "AllowedIPs = 10.77.0.0/16, 10.76.0.0/16"
}

@test "the worker is killed before the end: the supervisor puts back what was" {
	changed
	# Its files: what was before, the journal, DNS in the journal, then the new outline.
	run strace -f -qq -o /dev/null -e trace=/^rename -e inject=/^rename:signal=KILL:when=4 "$WG_NSQUICK" reload wg0
	assert_failure 1
	assert_output --partial "the worker was killed by signal 9"
	assert_output --partial "wg0: undoing what an interrupted reload left in network namespace wg0"
	tunnel_state | diff "$BATS_TEST_TMPDIR/before" -
}

@test "both processes are killed before the end: recover puts back what was" {
	changed
	strace -f -qq -o /dev/null -e trace=/^rename -e inject=/^rename:signal=STOP:when=4 "$WG_NSQUICK" reload wg0 > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	for _ in {1..100}; do grep -q 9.9.9.9 /etc/netns/wg0/resolv.conf && break; sleep 0.1; done
	sleep 0.5
	pkill -KILL -x wg-nsquick
	wait $! || true
	assert [ -n "$(compgen -G '/run/wg-nsquick/applied/wg0@*.before')" ]
	run ip -n wg0 -br addr show wg0
	assert_output --partial "10.9.8.1/24"
	run wg-nsquick recover
	assert_success
	assert_output --partial "wg0: undoing what an interrupted reload left in network namespace wg0"
	tunnel_state | diff "$BATS_TEST_TMPDIR/before" -
	assert [ -z "$(compgen -G '/run/wg-nsquick/applied/wg0@*.before')" ]
	run wg-nsquick reload wg0
	assert_success
	run wg-nsquick down wg0
	assert_success
	assert_clean
}

@test "a reload that cannot be undone: save, reload and reresolve are refused, down goes on without" {
	config wg0 "DNS = 10.9.0.1" "SaveConfig = true"
	wg-nsquick up wg0
	edit 's,^Address.*,Address = 10.9.0.2/24\, 10.9.8.1/24\, fd09::2/64,; s/^DNS.*/DNS = 9.9.9.9/'
	cp /etc/wireguard/wg0.conf "$BATS_TEST_TMPDIR/edited"
	# What has another name may be the host's, and is not written to.
	ln /etc/netns/wg0/resolv.conf /etc/netns/wg0/second
	run wg-nsquick reload wg0
	assert_failure 1
	assert_output --partial "could not undo the reload: Too many links"
	for command in reload reresolve save recover; do
		run wg-nsquick "$command" wg0
		[[ $command != recover ]] || run wg-nsquick recover
		assert_failure 1
		assert_output --partial "wg-nsquick: wg0: could not undo the reload: Too many links; expected another try, or \`down'"
	done
	run wg-nsquick down wg0
	assert_success
	assert_output --partial "Warning: wg0: could not undo the reload: Too many links"
	assert_output --partial "wg0: not saved"
	diff "$BATS_TEST_TMPDIR/edited" /etc/wireguard/wg0.conf
	rm /etc/netns/wg0/second
	rmdir /etc/netns/wg0
	assert_clean
}

@test "a reload that cannot be undone, and a hook that is new: down does not save, and a failed PreDown leaves it to be undone" {
	config wg0 "DNS = 10.9.0.1" "SaveConfig = true"
	wg-nsquick up wg0
	edit 's,^Address.*,Address = 10.9.0.2/24\, 10.9.8.1/24\, fd09::2/64,; s/^DNS.*/DNS = 9.9.9.9/'
	ln /etc/netns/wg0/resolv.conf /etc/netns/wg0/second
	run wg-nsquick reload wg0
	assert_failure 1
	assert_output --partial "could not undo the reload: Too many links"
	# It has no mount namespace for hooks yet.
	edit 's/^SaveConfig.*/&\nPreDown = [[ -e \/run\/may-go ]]/'
	run wg-nsquick down wg0
	assert_failure 1
	run wg-nsquick reload wg0
	assert_failure 1
	assert_output --partial "could not undo the reload: Too many links"
	touch /run/may-go
	cp /etc/wireguard/wg0.conf "$BATS_TEST_TMPDIR/edited"
	run wg-nsquick down wg0
	rm /run/may-go
	assert_success
	assert_output --partial "wg0: not saved"
	diff "$BATS_TEST_TMPDIR/edited" /etc/wireguard/wg0.conf
	rm /etc/netns/wg0/second
	rmdir /etc/netns/wg0
	assert_clean
}

@test "the port that was given up is another's when a killed reload is undone: DNS is restored, and down goes on" {
	local taker
	config wg0 "DNS = 10.9.0.1" "ListenPort = 40001"
	wg-nsquick up wg0
	edit 's/^ListenPort.*/ListenPort = 40002/; s/^DNS.*/DNS = 9.9.9.9/'
	strace -f -qq -o /dev/null -e trace=/^rename -e inject=/^rename:signal=STOP:when=4 "$WG_NSQUICK" reload wg0 > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	wait_until "the new resolver" grep 9.9.9.9 /etc/netns/wg0/resolv.conf
	wait_until "the stop" eval "grep -l '^State:.t' \$(pgrep -x wg-nsquick | sed 's,.*,/proc/&/status,')"
	sleep 0.3
	pkill -KILL -x wg-nsquick
	wait $! || true
	python3 -c 'import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 40001)); time.sleep(60)' 3>&- &
	taker=$!
	wait_until "the port's taker" eval "ss -Hlun 'sport = :40001' | grep ."
	run wg-nsquick recover
	assert_failure 1
	assert_output --partial "could not undo the reload"
	run cat /etc/netns/wg0/resolv.conf
	assert_line "nameserver 10.9.0.1"
	run wg-nsquick down wg0
	kill "$taker"
	assert_success
	assert_output --partial "could not undo the reload: "
	assert_clean
}

@test "somebody else's namespace, and search domains instead of servers: they are left out, and said, as up does it" {
	ip netns add other
	config wg0 "DNS = 10.9.0.1"
	wg-nsquick --netns other up wg0
	edit 's/^DNS.*/DNS = corp.example/'
	run wg-nsquick reload wg0
	assert_success
	assert_output --partial "Warning: wg0: DNS names no server, so network namespace other keeps its resolv.conf; the search domains are left out"
	# Which has none.
	run wg-nsquick status wg0
	assert_success
	refute_output --partial "is gone"
	wg-nsquick down wg0
	ip netns del other
	assert_clean
}

# other_resolver: what programs in namespace other read, and what is there of it.
other_resolver() {
	ip netns exec other cat /etc/resolv.conf /etc/nsswitch.conf
	find /etc/netns -path '*/other*' -type f
}

@test "somebody else's namespace has its resolver back with the last server, also from a reload that is undone" {
	local n own
	ip netns add other
	for own in "" "nameserver 10.1.1.1"; do
		[[ -z $own ]] || { mkdir -p /etc/netns/other && echo "$own" > /etc/netns/other/resolv.conf; }
		config wg0
		wg-nsquick --netns other up wg0
		other_resolver > "$BATS_TEST_TMPDIR/before"
		for n in 4 5 6 7 8; do
			config wg0 "DNS = 10.9.0.1"
			if strace -f -qq -o /dev/null -e trace=/^rename -e inject="/^rename:signal=KILL:when=$n" "$WG_NSQUICK" reload wg0; then break; fi
			other_resolver | diff "$BATS_TEST_TMPDIR/before" - || fail "killed at $n"
		done
		assert [ "$n" -gt 5 ]
		# It is written, and taken out again.
		run ip netns exec other cat /etc/resolv.conf
		assert_line "nameserver 10.9.0.1"
		config wg0
		run wg-nsquick reload wg0
		assert_success
		other_resolver | diff "$BATS_TEST_TMPDIR/before" -
		config wg0 "DNS = 10.9.0.1"
		wg-nsquick reload wg0
		wg-nsquick down wg0
		other_resolver | diff "$BATS_TEST_TMPDIR/before" -
	done
	rm -r /etc/netns/other
	ip netns del other
}

# keys_left: the files with what the tunnel had, keys and all, also half-written ones.
keys_left() { compgen -G '/run/wg-nsquick/applied/*before*'; }

# killed CALL N: a reload whose worker dies at its Nth CALL; STOP: and its supervisor, too, while it stands there.
killed() {
	local signal=$1 call=$2 n=$3 pid _ end=$((SECONDS + 20))
	if [[ $signal == KILL ]]; then
		strace -f -qq -o /dev/null -e trace="$call" -e inject="$call:signal=KILL:when=$n" "$WG_NSQUICK" reload wg0
		return
	fi
	strace -f -qq -o /dev/null -e trace="$call" -e inject="$call:signal=STOP:when=$n" "$WG_NSQUICK" reload wg0 3>&- &
	# Under strace a stopped process is seen as a traced one that goes on being so.
	while kill -0 $! 2> /dev/null; do
		((SECONDS < end)) || { stuck=1; break; }
		for pid in $(pgrep -x wg-nsquick); do
			for _ in 1 2 3; do
				grep -qs '^State:.t' "/proc/$pid/status" || continue 2
				sleep 0.03
			done
			break 2
		done
		sleep 0.02
	done
	pkill -KILL -x wg-nsquick
	wait $!
}

# bats test_tags=long,image
@test "wherever a reload is killed, and by itself or with its supervisor: all or nothing, and the keys that it wrote down are gone" {
	local signal call n points=0 kept=0 stuck=
	changed
	run wg-nsquick reload wg0
	tunnel_state > "$BATS_TEST_TMPDIR/after"
	assert [ -z "$(keys_left)" ]
	cp /etc/wireguard/wg0.conf "$BATS_TEST_TMPDIR/new"
	config wg0 "DNS = 10.9.0.1"
	cp /etc/wireguard/wg0.conf "$BATS_TEST_TMPDIR/old"
	wg-nsquick reload wg0
	tunnel_state | diff "$BATS_TEST_TMPDIR/before" -
	for signal in KILL STOP; do
		for call in rename unlink write; do
			for ((n = 1; n < 30; n++)); do
				cp "$BATS_TEST_TMPDIR/new" /etc/wireguard/wg0.conf
				if killed "$signal" "$call" "$n" > "$BATS_TEST_TMPDIR/out" 2>&1; then break; fi
				[[ -z $stuck ]] || fail "$signal $call $n: neither stopped nor ended within 20 s"
				points=$((points + 1))
				[[ -z $(keys_left) ]] || kept=$((kept + 1))
				wg-nsquick recover > /dev/null 2>&1
				assert_equal "$signal $call $n: $(keys_left)" "$signal $call $n: "
				assert_equal "$signal $call $n: $(compgen -G '/run/wg-nsquick/applied/*' | wc -l)" "$signal $call $n: 1"
				tunnel_state > "$BATS_TEST_TMPDIR/now"
				cmp -s "$BATS_TEST_TMPDIR/now" "$BATS_TEST_TMPDIR/before" || diff "$BATS_TEST_TMPDIR/after" "$BATS_TEST_TMPDIR/now"
				cp "$BATS_TEST_TMPDIR/old" /etc/wireguard/wg0.conf
				wg-nsquick reload wg0 > /dev/null 2>&1
			done
			assert [ "$n" -lt 30 ]
		done
	done
	echo "# $points points, $kept of them with the keys still there" >&3
	assert [ "$points" -gt 20 ]
	# Else the recovery of those that died with their supervisor was not seen.
	assert [ "$kept" -gt 3 ]
}

@test "a signal in the middle: as before" {
	config wg0
	wg-nsquick up wg0
	tunnel_state > "$BATS_TEST_TMPDIR/before"
	edit 's,^Address.*,Address = 10.9.0.2/24\, 10.9.8.1/24\, fd09::2/64,'
	# The name's lookup is where it waits.
	edit 's/^Endpoint.*/Endpoint = slow.invalid:51820/'
	timeout -s INT 1 wg-nsquick reload wg0 > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- || true
	tunnel_state | diff "$BATS_TEST_TMPDIR/before" -
}

@test "what was set by hand stays, what save wrote is known" {
	config wg0
	wg-nsquick up wg0
	wgns set wg0 peer "$SECOND" allowed-ips 10.78.0.0/16
	ip -n wg0 addr add 10.79.0.1/32 dev wg0
	ip -n wg0 route add 10.80.0.0/16 dev wg0
	edit 's,^Address.*,Address = 10.9.0.2/24\, 10.9.8.1/24\, fd09::2/64,'
	run wg-nsquick reload wg0
	assert_success
	run wgns show wg0 allowed-ips
	assert_line --partial "10.78.0.0/16"
	run ip -n wg0 -br addr show wg0
	assert_output --partial "10.79.0.1/32"
	run ip -n wg0 route show
	assert_line --partial "10.80.0.0/16"
	wg-nsquick save wg0
	# Out of the saved file, it goes.
	awk -v RS= -v ORS='\n\n' -v key="$SECOND" '!index($0, key)' /etc/wireguard/wg0.conf > "$BATS_TEST_TMPDIR/new"
	cp "$BATS_TEST_TMPDIR/new" /etc/wireguard/wg0.conf
	run wg-nsquick reload wg0
	assert_success
	run wgns show wg0 peers
	assert_output "$PROVIDER_PUB"
}

@test "the key of another device is refused, without --force" {
	config wg0
	wg-nsquick up wg0
	edit "s,^PrivateKey.*,PrivateKey = $PROVIDER_KEY,"
	ip link add other type wireguard 2> /dev/null && wg set other private-key <(echo "$PROVIDER_KEY")
	if [[ $WG_KIND == go ]]; then
		# The provider's own userspace device is seen over its socket.
		run wg-nsquick reload wg0
	else
		run wg-nsquick reload wg0
		ip link del other
	fi
	assert_failure 1
	assert_output --partial "a device with this public key already exists"
	assert_equal "$(wgns show wg0 public-key)" "$CLIENT_PUB"
}

@test "two at once: one does it, the other is told" {
	config wg0
	wg-nsquick up wg0
	add "[Peer]" "PublicKey = $SECOND" "AllowedIPs = 10.77.0.0/16"
	exec 9> /run/wg-nsquick/lock/wg0
	flock 9
	run wg-nsquick reload wg0
	exec 9>&-
	assert_failure 1
	assert_output "wg-nsquick: \`wg0' is being brought up or down by another run"
}

@test "an edit that comes while it waits for another run counts" {
	local pid status=0
	config wg0
	wg-nsquick up wg0
	exec 9> /run/wg-nsquick/lock/wg0
	flock 9
	strace -f -qq -o "$BATS_TEST_TMPDIR/calls" -e trace=flock wg-nsquick reload wg0 3>&- 9>&- &
	pid=$!
	wait_until "the reload that waits" grep -q EAGAIN "$BATS_TEST_TMPDIR/calls"
	add "[Peer]" "PublicKey = $SECOND" "AllowedIPs = 10.77.0.0/16"
	exec 9>&-
	wait $pid || status=$?
	assert_equal $status 0
	run wgns show wg0 peers
	assert_line "$SECOND"
}

# begin_slow: a reload in the background, PID in $slow, that waits for a name to resolve.
begin_slow() {
	echo "nameserver 192.0.2.1" > /run/resolv.conf
	rm -f "$BATS_TEST_TMPDIR/out"
	wg-nsquick reload wg0 > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	slow=$!
	wait_until "the question about the name" grep -qs "Trying again" "$BATS_TEST_TMPDIR/out"
}

# end_slow: it resolves, and the reload's status is in $status.
end_slow() {
	echo "192.0.2.1 late.example" >> /run/hosts
	wait $slow && status=0 || status=$?
	sed '/late/d' /run/hosts > /run/hosts.new && cat /run/hosts.new > /run/hosts
	echo "nameserver 192.0.2.53" > /run/resolv.conf
	output=$(cat "$BATS_TEST_TMPDIR/out")
}

@test "what others do to the tunnel while a name is resolved stays" {
	local slow third
	third=$(wg genkey | wg pubkey)
	config wg0
	wg-nsquick up wg0
	add "[Peer]" "PublicKey = $SECOND" "AllowedIPs = 10.77.0.0/16" "Endpoint = late.example:51820"
	begin_slow
	wgns set wg0 peer "$third" allowed-ips 10.50.0.0/16
	ip -n wg0 route add 10.50.0.0/16 dev wg0
	ip -n wg0 addr add 10.9.7.7/32 dev wg0
	# Nobody is barred meanwhile.
	run wg-nsquick reresolve wg0
	assert_success
	end_slow
	assert_success
	run wgns show wg0 peers
	assert_line "$third"
	run wgns show wg0 endpoints
	assert_line "$SECOND"$'\t192.0.2.1:51820'
	run ip -n wg0 route show 10.50.0.0/16
	assert_output --partial "dev wg0"
	run ip -n wg0 -br addr show wg0
	assert_output --partial "10.9.7.7/32"
}

@test "down while a name is resolved: it is down, and the reload finds nothing" {
	local slow
	config wg0
	wg-nsquick up wg0
	add "[Peer]" "PublicKey = $SECOND" "Endpoint = late.example:51820"
	begin_slow
	run wg-nsquick down wg0
	assert_success
	end_slow
	assert_failure 1
	assert_output --partial "wg-nsquick: \`wg0' is not a WireGuard interface"
	assert_clean
}

@test "a peer whose name was known, and that is removed by hand while another is resolved, comes back with its endpoint" {
	local slow
	ENDPOINT=vpn.example:51820 config wg0
	wg-nsquick up wg0
	add "[Peer]" "PublicKey = $SECOND" "Endpoint = late.example:51820"
	begin_slow
	wgns set wg0 peer "$PROVIDER_PUB" remove
	end_slow
	assert_success
	run wgns show wg0 endpoints
	assert_line "$PROVIDER_PUB"$'\t192.0.2.1:51820'
}

@test "the host is guarded meanwhile: the plan touches nothing of it" {
	config wg0
	wg-nsquick up wg0
	host_state > "$BATS_TEST_TMPDIR/host"
	add "[Peer]" "PublicKey = $SECOND" "AllowedIPs = 192.0.2.0/24, 2001:db8::/32"
	run wg-nsquick reload wg0
	assert_success
	host_state | diff "$BATS_TEST_TMPDIR/host" -
}
