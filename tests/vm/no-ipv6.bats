#!/usr/bin/env bats
# shellcheck disable=SC2154
# On a kernel without IPv6 (booted with ipv6.disable=1): the file's IPv4 half works, and what was left out is said.

setup_file() {
	load ../lib/host
	host_up
	servers_up
	host_remember
}

teardown_file() {
	load ../lib/host
	host_down
}

setup() {
	load ../lib/host
	rm -f /etc/wg-nsquick.d/*
}

teardown() {
	wg-nsquick --hooks none down wg0 > /dev/null 2>&1 3>&- || true
}

@test "this kernel has no IPv6" {
	run ! has_ipv6
}

@test "up: the IPv4 half, with a word; exec, status, verify, reload, save, down" {
	config wg0 "DNS = 10.9.0.1, fd09::1" "PostUp = true"
	run wg-nsquick up wg0
	assert_success
	assert_line --partial "IPv6 is disabled in network namespace wg0: the file's IPv6 addresses and routes are left out"
	refute_output --partial "ip -6"
	run wg-nsquick exec wg0 -u nobody -- curl -sS --max-time 30 http://page.test/
	assert_output "a page through the tunnel"
	run wg-nsquick exec wg0 -- curl -6 -sS --max-time 5 http://page.test/
	assert_failure
	run wg-nsquick status wg0
	assert_success
	run wg-nsquick verify wg0
	assert_line --regexp "^✓ probe-ipv4 "
	assert_line --regexp "^✓ routes .*of IPv6 none"
	refute_output --partial probe-ipv6
	sed -i 's/^AllowedIPs.*/AllowedIPs = 10.9.0.0\/24, 10.8.0.0\/24, fd08::\/64/; s/^DNS.*/DNS = 10.9.0.1/' /etc/wireguard/wg0.conf
	run wg-nsquick reload wg0
	assert_success
	run ip -n wg0 route show
	assert_line --partial "10.8.0.0/24 dev wg0"
	refute_output --partial default
	run ip netns exec wg0 wg show wg0 allowed-ips
	assert_output --partial "fd08::/64"
	run wg-nsquick exec wg0 -- curl -sS --max-time 30 http://page.test/
	assert_output "a page through the tunnel"
	run wg-nsquick save wg0
	assert_success
	run wg-nsquick down wg0
	assert_success
	assert_clean
}

@test "ipv6 = require: nothing comes up, and a reload is refused" {
	printf '[tunnel]\nipv6 = require\n' > /etc/wg-nsquick.d/wg0.conf
	config wg0
	run wg-nsquick up wg0
	assert_failure 2
	assert_output --partial "ipv6 = require"
	assert_clean
	rm /etc/wg-nsquick.d/wg0.conf
	wg-nsquick up wg0
	printf '[tunnel]\nipv6 = require\n' > /etc/wg-nsquick.d/wg0.conf
	# What it left out when it came up is left out; more of it is refused.
	sed -i '/^Address/s/$/, fd07::2\/64/' /etc/wireguard/wg0.conf
	run wg-nsquick reload wg0
	assert_failure 2
	assert_output --partial "ipv6 = require"
	rm /etc/wg-nsquick.d/wg0.conf
	wg-nsquick down wg0
	assert_clean
}

@test "the guard works, and a hook's route is undone" {
	config wg0 "PostUp = nsenter --net=/proc/1/ns/net ip route add 203.0.113.0/24 via 192.0.2.1"
	run wg-nsquick --hooks open up wg0
	assert_failure 193
	assert_host_unchanged
	assert_clean
}

@test "a file with IPv6 alone has nothing left" {
	ADDRESS=fd09::2/64 ALLOWED=::/0 config wg0
	run wg-nsquick up wg0
	assert_line --partial "IPv6 is disabled"
	wg-nsquick down wg0 || true
	assert_clean
}

@test "after all of this the host is the same" {
	assert_host_unchanged
}
