#!/usr/bin/env bats
# What tests/differ has found, as small as it made it.

setup_file() {
	load lib/host
	host_up
}

teardown_file() {
	load lib/host
	host_down
}

setup() {
	load lib/host
	KEY=$(wg genkey)
}

teardown() {
	wg-nsquick down wg0 > /dev/null 2>&1 || true
	assert_clean
}

# file LINE…: /etc/wireguard/wg0.conf
file() {
	printf '%s\n' "$@" > /etc/wireguard/wg0.conf
	chmod 600 /etc/wireguard/wg0.conf
}

@test "a key in the place of an address, a table, an MTU or an endpoint is not shown" {
	local line
	for line in "Address = $KEY" "Table = $KEY" "MTU = $KEY"; do
		file "[Interface]" "$line" "[Peer]" "PublicKey = $PROVIDER_PUB" "AllowedIPs = 10.0.0.0/8"
		run wg-nsquick up wg0
		assert_failure
		assert_line --regexp "^wg-nsquick: /etc/wireguard/wg0.conf:2: ${line%% *}: .\(hidden\)' is not .*; expected "
		refute_output --partial "${KEY:0:40}"
	done
	file "[Interface]" "[Peer]" "PublicKey = $PROVIDER_PUB" "Endpoint = $KEY:1"
	WG_ENDPOINT_RESOLUTION_RETRIES=0 run wg-nsquick up wg0
	assert_failure 1
	assert_line --regexp "^wg-nsquick: /etc/wireguard/wg0.conf:4: .*: .\(hidden\)'; expected "
	refute_output --partial "${KEY:0:40}"
}

@test "bytes that a terminal obeys are not shown" {
	file "[Interface]" $'Address = \e[2J'
	run wg-nsquick up wg0
	assert_failure 1
	assert_output "wg-nsquick: /etc/wireguard/wg0.conf:2: Address: \`?[2J' is not an IPv4 or IPv6 address; expected ADDRESS or ADDRESS/LENGTH"
}

@test "the trace shows addresses and MTU as they are in the file" {
	file "[Interface]" "Address = 10.3/24, FD09::ABCD" "MTU = 0x500"
	run wg-nsquick up wg0
	assert_success
	assert_line "[#] ip -4 address add 10.3/24 dev wg0"
	assert_line "[#] ip -6 address add FD09::ABCD dev wg0"
	assert_line "[#] ip link set mtu 0x500 up dev wg0"
	run ip -n wg0 addr show wg0
	assert_output --partial "mtu 1280"
	assert_output --partial "inet 10.3.0.0/24"
}

@test "an MTU that the device refuses is told where it is set" {
	file "[Interface]" "MTU = 70000"
	[[ $WG_KIND == go ]] || sed -i 's/70000/4294967295/' /etc/wireguard/wg0.conf
	run wg-nsquick up wg0
	assert_line --regexp "^\[#\] ip link set mtu [0-9]+ up dev wg0$"
	assert_failure
	if [[ $WG_KIND == go ]]; then
		assert_failure 2
		assert_line "wg-nsquick: wg0: cannot bring the interface up with MTU 70000: mtu greater than device maximum"
		assert_line "[#] ip link delete dev wg0"
	fi
}

@test "an MTU below IPv6's comes after the addresses, as wg-quick has it" {
	file "[Interface]" "Address = 10.9.0.2/24, fd09::2/64" "MTU = 576"
	run wg-nsquick up wg0
	assert_success
	assert_line "[#] ip -6 address add fd09::2/64 dev wg0"
	run ip -n wg0 addr show wg0
	assert_output --partial "mtu 576"
	assert_output --partial "inet 10.9.0.2/24"
	refute_output --partial "fd09::2"
}

@test "an automatic MTU too small for IPv6 routes is told as such" {
	ip link set veth0 mtu 1300
	file "[Interface]" "Address = 10.9.0.2/24" "[Peer]" "PublicKey = $PROVIDER_PUB" "AllowedIPs = fd09::/64" "Endpoint = 192.0.2.1:51820"
	run wg-nsquick up wg0
	assert_failure 2
	assert_line --partial "the automatic MTU is 1220, and IPv6 needs 1280"
	sed -i 's/^Address/Table = off\nAddress/' /etc/wireguard/wg0.conf
	run wg-nsquick up wg0
	assert_success
	assert_line "[#] ip link set mtu 1220 up dev wg0"
	ip link set veth0 mtu 1500
}
