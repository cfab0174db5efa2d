#!/usr/bin/env bats
# After a boot with enabled units (tests/systemd/run): who came up, in which order, and who did not wait.

setup() {
	bats_load_library bats-support
	bats_load_library bats-assert
}

active() { systemctl show -P ActiveState "$1"; }
stamp() { systemctl show -P "$2" "$1"; }
await() { # UNIT STATE
	for _ in {1..300}; do [[ $(active "$1") == "$2" ]] && return; sleep 0.2; done
	fail "$1 is $(active "$1"): $(journalctl -b -o cat -u "$1" | tail -20)"
}

@test "the enabled tunnel and the service in it came up at boot, the tunnel after the network, the service after the tunnel" {
	await wg-nsquick@wg0.service active
	await client.service active
	assert [ "$(stamp wg-nsquick@wg0 InactiveExitTimestampMonotonic)" -ge "$(stamp network-online.target ActiveEnterTimestampMonotonic)" ]
	assert [ "$(stamp network-online.target ActiveEnterTimestampMonotonic)" -gt 0 ]
	assert [ "$(stamp client ExecMainStartTimestampMonotonic)" -ge "$(stamp wg-nsquick@wg0 ActiveEnterTimestampMonotonic)" ]
	assert_equal "$(stat -L -c %i "/proc/$(systemctl show -P MainPID client)/ns/net")" "$(stat -L -c %i /run/netns/wg0)"
	run ip -n wg0 -br link show wg0
	assert_output --partial wg0
}

@test "a name that does not resolve holds up neither the boot nor others: it is asked for on and on, until it does" {
	await multi-user.target active
	await plain.service active
	assert_equal "$(active wg-nsquick@wg1.service)" activating
	for _ in {1..300}; do journalctl -b -o cat -u wg-nsquick@wg1 | grep -q "Trying again" && break; sleep 0.2; done
	run journalctl -b -o cat -u wg-nsquick@wg1
	assert_line --partial "\`vpn.example:51820'. Trying again in 1.00 seconds..."
	assert [ ! -e /run/netns/wg1 ]
	# Meanwhile it can be stopped; and once the name resolves, it comes up.
	run timeout 30 systemctl stop wg-nsquick@wg1
	assert_success
	systemctl start --no-block wg-nsquick@wg1
	echo "192.0.2.1 vpn.example" >> /etc/hosts
	await wg-nsquick@wg1.service active
}

@test "at shutdown they go down in order: the service, the tunnel, the network" {
	# What a shutdown begins with, and without what it ends with.
	printf '[Unit]\nRequires=shutdown.target\nAfter=shutdown.target\nDefaultDependencies=no\n' > /run/systemd/system/going-down.target
	systemctl daemon-reload
	timeout 60 systemctl start going-down.target
	local unit
	for unit in client wg-nsquick@wg0 uplink; do
		assert_equal "$unit $(active "$unit.service") $(stamp "$unit" Result)" "$unit inactive success"
	done
	assert [ "$(stamp client InactiveEnterTimestampMonotonic)" -gt 0 ]
	assert [ "$(stamp client InactiveEnterTimestampMonotonic)" -le "$(stamp wg-nsquick@wg0 ActiveExitTimestampMonotonic)" ]
	assert [ "$(stamp wg-nsquick@wg0 InactiveEnterTimestampMonotonic)" -le "$(stamp uplink InactiveEnterTimestampMonotonic)" ]
	run journalctl -b -o cat -u wg-nsquick@wg0
	assert_line "[#] ip link delete dev wg0"
	assert [ ! -e /run/netns/wg0 ]
}
