#!/usr/bin/env bats
# wg-nsquick-reresolve@.timer: a name that moved is followed without a word, and the session goes on.

setup_file() {
	load ../lib/host
	host_up
	servers_up
	ip -n prov addr add 192.0.2.9/24 dev eth0
	: > /run/hosts
	mount --bind /run/hosts /etc/hosts
}

teardown_file() {
	load ../lib/host
	systemctl stop wg-nsquick@wg0
	host_down
	umount /etc/hosts
}

setup() {
	load ../lib/host
}

DISPATCHERS=$BATS_TEST_DIRNAME/../../contrib/dispatcher

follows() { # ADDRESS SCRIPT [ARGUMENT…]: after this script the name's new address is in use
	echo "$1 vpn.example" > /run/hosts
	run "$DISPATCHERS/$2" "${@:3}"
	assert_success
	for _ in {1..150}; do [[ $(endpoint) == "$1:51820" ]] && return; sleep 0.2; done
	fail "$2: the endpoint is $(endpoint)"
}

endpoint() { ip netns exec wg0 wg show wg0 endpoints | cut -f 2; }

@test "the timer comes with the tunnel, follows the name, and goes with the tunnel" {
	echo "192.0.2.1 vpn.example" > /run/hosts
	ENDPOINT=vpn.example:51820 config wg0
	# Another interval, as the unit says how.
	mkdir -p /run/systemd/system/wg-nsquick-reresolve@.timer.d
	printf '[Timer]\nOnActiveSec=\nOnActiveSec=2\nOnUnitInactiveSec=2\n' > /run/systemd/system/wg-nsquick-reresolve@.timer.d/fast.conf
	systemctl daemon-reload
	systemctl --quiet enable wg-nsquick-reresolve@wg0.timer
	systemctl start wg-nsquick@wg0
	assert_equal "$(systemctl show -P ActiveState wg-nsquick-reresolve@wg0.timer)" active
	wg-nsquick exec wg0 curl -s -m 10 http://10.9.0.1/
	local shake
	shake=$(ip netns exec wg0 wg show wg0 latest-handshakes)
	echo "192.0.2.9 vpn.example" > /run/hosts
	for _ in {1..150}; do [[ $(endpoint) == 192.0.2.9:51820 ]] && break; sleep 0.2; done
	assert_equal "$(endpoint)" 192.0.2.9:51820
	assert_equal "$(ip netns exec wg0 wg show wg0 latest-handshakes)" "$shake"
	# A name that does not resolve is no failure of the unit.
	: > /run/hosts
	run systemctl start wg-nsquick-reresolve@wg0.service
	assert_success
	# What dispatchers do.
	# With an interval that is over long after this test.
	printf '[Timer]\nOnActiveSec=\nOnActiveSec=1h\nOnUnitInactiveSec=1h\n' > /run/systemd/system/wg-nsquick-reresolve@.timer.d/fast.conf
	systemctl daemon-reload
	systemctl restart wg-nsquick-reresolve@wg0.timer
	follows 192.0.2.1 networkmanager veth0 dhcp4-change
	follows 192.0.2.9 networkd-dispatcher
	follows 192.0.2.1 system-sleep post suspend
	# Not before a suspend, and not for what is no change. (The endpoint may be the other address again: the peer roams.)
	local last
	for _ in {1..50}; do [[ $(systemctl show -P ActiveState wg-nsquick-reresolve@wg0) == inactive ]] && break; sleep 0.2; done
	last=$(systemctl show -P InvocationID wg-nsquick-reresolve@wg0)
	"$DISPATCHERS/system-sleep" pre suspend
	"$DISPATCHERS/networkmanager" veth0 pre-up
	sleep 1
	assert_equal "$(systemctl show -P InvocationID wg-nsquick-reresolve@wg0)" "$last"
	systemctl restart wg-nsquick@wg0
	assert_equal "$(systemctl show -P ActiveState wg-nsquick-reresolve@wg0.timer)" active
	systemctl stop wg-nsquick@wg0
	assert_equal "$(systemctl show -P ActiveState wg-nsquick-reresolve@wg0.timer)" inactive
	systemctl --quiet disable wg-nsquick-reresolve@wg0.timer
	# With no tunnel there is nothing to do, and no fault.
	run "$DISPATCHERS/networkmanager" veth0 up
	assert_success
	assert_output ""
}
