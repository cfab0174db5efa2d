#!/usr/bin/env bats
# shellcheck disable=SC2016 # for perl
# reresolve: endpoint names are asked again in the transport namespace; an
# address that changed is set, and the session goes on.

setup_file() {
	load lib/host
	host_up
	servers_up
	# The provider has a second address, to which its names move.
	ip -n prov addr add 192.0.2.9/24 dev eth0
	: > /run/hosts
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
	hosts "192.0.2.1 vpn.example"
	ENDPOINT=vpn.example:51820 config wg0
}

teardown() {
	wg-nsquick down wg0 > /dev/null 2>&1 3>&-
	return 0
}

hosts() { printf '127.0.0.1 localhost\n' > /run/hosts; printf '%s\n' "$@" >> /run/hosts; }
endpoint() { ip netns exec wg0 wg show wg0 endpoints | cut -f 2; }

# A reresolve, of whom the provider takes a question and does not answer.
begin_mute() {
	rm -f /run/asked
	echo "nameserver 192.0.2.1" > /run/resolv.conf
	mount --bind /run/resolv.conf /etc/resolv.conf
	ip netns exec prov perl -MSocket -e 'socket S, PF_INET, SOCK_DGRAM, 0; bind S, sockaddr_in(53, inet_aton("192.0.2.1")) or die; recv S, $b, 512, 0; open F, ">", $ARGV[0]; sleep 60' /run/asked 3>&- &
	mute=$!
	wait_until "the server that is mute" eval "ip netns exec prov ss -Hlun 'sport = :53' | grep 192.0.2.1:53"
	wg-nsquick reresolve wg0 > "$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	pid=$!
	wait_until "the question" test -e /run/asked
}

# Sets $status and $output, as run does.
end_mute() {
	status=0
	wait $pid || status=$?
	output=$(grep -v "the endpoint stays" "$BATS_TEST_TMPDIR/out" || true)
	kill $mute
	wait $mute || true
	umount /etc/resolv.conf
}

@test "an address that is as it was: nothing is said or done" {
	wg-nsquick up wg0
	run wg-nsquick reresolve wg0
	assert_success
	assert_output ""
}

@test "a name that moved: the endpoint moves, the session and its counters stay" {
	wg-nsquick up wg0
	wg-nsquick exec wg0 curl -s -m 20 http://10.9.0.1/
	local shake
	shake=$(ip netns exec wg0 wg show wg0 latest-handshakes)
	hosts "192.0.2.9 vpn.example"
	run wg-nsquick reresolve wg0
	assert_success
	assert_output "[#] wg set wg0 peer $PROVIDER_PUB endpoint 192.0.2.9:51820"
	assert_equal "$(endpoint)" 192.0.2.9:51820
	assert_equal "$(ip netns exec wg0 wg show wg0 latest-handshakes)" "$shake"
	wg-nsquick exec wg0 curl -s -m 20 http://10.9.0.1/
	assert_equal "$(ip netns exec wg0 wg show wg0 latest-handshakes)" "$shake"
}

@test "of several addresses the one in use stays" {
	wg-nsquick up wg0
	hosts "192.0.2.9 vpn.example" "192.0.2.1 vpn.example"
	run wg-nsquick reresolve wg0
	assert_success
	assert_output ""
	assert_equal "$(endpoint)" 192.0.2.1:51820
}

@test "a name that does not resolve: told, status 75, the endpoint stays" {
	wg-nsquick up wg0
	hosts
	run wg-nsquick reresolve wg0
	assert_failure 75
	assert_output --partial "\`vpn.example:51820'; the endpoint stays"
	assert_equal "$(endpoint)" 192.0.2.1:51820
}

@test "a peer that was removed while another's name was asked stays removed, one that moved stays where it is; the rest is done" {
	local second moved pid mute
	second=$(wg genkey | wg pubkey)
	moved=$(wg genkey | wg pubkey)
	printf '[Peer]\nPublicKey = %s\nEndpoint = moved.example:1\n' "$moved" >> /etc/wireguard/wg0.conf
	printf '[Peer]\nPublicKey = %s\nEndpoint = second.example:1\n[Peer]\nPublicKey = %s\nEndpoint = mute.example:1\n' "$second" "$(wg genkey | wg pubkey)" >> /etc/wireguard/wg0.conf
	hosts "192.0.2.1 vpn.example" "192.0.2.1 second.example" "192.0.2.1 moved.example" "192.0.2.1 mute.example"
	wg-nsquick up wg0
	hosts "192.0.2.9 vpn.example" "192.0.2.9 second.example" "192.0.2.9 moved.example"
	begin_mute
	ip netns exec wg0 wg set wg0 peer "$PROVIDER_PUB" remove
	ip netns exec wg0 wg set wg0 peer "$moved" endpoint 192.0.2.33:1
	end_mute
	assert_failure 75
	run ip netns exec wg0 wg show wg0 endpoints
	refute_output --partial "$PROVIDER_PUB"
	assert_line "$second"$'\t192.0.2.9:1'
	assert_line "$moved"$'\t192.0.2.33:1'
	run cat "$BATS_TEST_TMPDIR/out"
	refute_output --partial "$PROVIDER_PUB"
}

@test "who comes while a name is asked: down and reload do not wait; what they left is not touched" {
	local pid mute
	printf '[Peer]\nPublicKey = %s\nEndpoint = mute.example:1\n' "$(wg genkey | wg pubkey)" >> /etc/wireguard/wg0.conf
	hosts "192.0.2.1 vpn.example" "192.0.2.1 mute.example"
	wg-nsquick up wg0
	hosts "192.0.2.9 vpn.example"
	begin_mute
	sed -i 's/^Endpoint = vpn.example.*/Endpoint = 192.0.2.1:51820/' /etc/wireguard/wg0.conf
	run wg-nsquick reload wg0
	assert_success
	end_mute
	assert_failure 75
	assert_output "[!] wg0: it was changed while its names were asked; the next try may do better"
	assert_equal "$(endpoint | head -1)" 192.0.2.1:51820
	begin_mute
	run wg-nsquick down wg0
	assert_success
	end_mute
	assert_failure 1
	assert_output "wg-nsquick: \`wg0' is not a WireGuard interface"
	assert_clean
}

@test "another run is at work on the tunnel: told, status 75, the next try may do better" {
	wg-nsquick up wg0
	hosts "192.0.2.9 vpn.example"
	run flock /run/wg-nsquick/lock/wg0 wg-nsquick reresolve wg0
	assert_failure 75
	assert_output "wg-nsquick: \`wg0' is being brought up or down by another run"
	assert_equal "$(endpoint)" 192.0.2.1:51820
}

@test "the file's name, though the file was edited since: what was applied counts" {
	wg-nsquick up wg0
	hosts "192.0.2.9 vpn.example" "192.0.2.77 other.example"
	sed -i 's/vpn.example/other.example/' /etc/wireguard/wg0.conf
	run wg-nsquick reresolve wg0
	assert_equal "$(endpoint)" 192.0.2.9:51820
	run wg-nsquick reload wg0
	assert_success
	assert_equal "$(endpoint)" 192.0.2.77:51820
}

@test "addresses are nobody's to resolve; no tunnel, no name" {
	ENDPOINT=192.0.2.1:51820 config wg0
	wg-nsquick up wg0
	ip netns exec wg0 wg set wg0 peer "$PROVIDER_PUB" endpoint 192.0.2.9:51820
	run wg-nsquick reresolve wg0
	assert_success
	assert_output ""
	assert_equal "$(endpoint)" 192.0.2.9:51820
	wg-nsquick down wg0
	run wg-nsquick reresolve wg0
	assert_failure 1
	assert_output "wg-nsquick: \`wg0' is not a WireGuard interface"
	run wg-nsquick reresolve /etc/wireguard/wg0.conf
	assert_failure 1
	assert_output --partial "expected reresolve INTERFACE"
}

@test "the transport namespace's own resolver is asked" {
	ip netns add egress
	mkdir -p /etc/netns/egress
	printf '192.0.2.1 vpn.example\n' > /etc/netns/egress/hosts
	printf 'nameserver 192.0.2.53\n' > /etc/netns/egress/resolv.conf
	hosts "192.0.2.44 vpn.example"
	run wg-nsquick --transport egress up wg0
	assert_success
	assert_equal "$(endpoint)" 192.0.2.1:51820
	printf '192.0.2.9 vpn.example\n' > /etc/netns/egress/hosts
	run wg-nsquick reresolve wg0
	assert_success
	assert_equal "$(endpoint)" 192.0.2.9:51820
	wg-nsquick down wg0
	ip netns del egress
	rm -r /etc/netns/egress
}
