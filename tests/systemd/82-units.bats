#!/usr/bin/env bats
# wg-nsquick@.service in place of wg-quick@.service, under a real systemd.

setup_file() {
	load ../lib/host
	host_up
	servers_up
	host_remember
}

teardown_file() {
	load ../lib/host
	assert_host_unchanged
	assert_clean
	host_down
}

setup() {
	load ../lib/host
	config wg0 "DNS = 10.9.0.1"
}

teardown() {
	systemctl stop 'wg-nsquick@*.service' 'wg-nsquick-reresolve@*' > /dev/null 2>&1
	systemctl reset-failed > /dev/null 2>&1
	rm -rf /etc/wireguard/* /etc/wg-nsquick.d/*
	return 0
}

active() { systemctl show -P ActiveState "$1"; }
page() { wg-nsquick exec wg0 curl -s -m 10 http://page.test/; }
# What the last run of a unit said.
said() { journalctl -b -o cat "_SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID "$1")"; }

@test "systemd-analyze finds nothing wrong with the units" {
	run systemd-analyze verify --man=no /usr/local/lib/systemd/system/wg-nsquick@.service /usr/local/lib/systemd/system/wg-nsquick.target \
		/usr/local/lib/systemd/system/wg-nsquick-reresolve@.service /usr/local/lib/systemd/system/wg-nsquick-reresolve@.timer
	assert_success
	assert_output ""
}

@test "the exposure, printed" {
	local units=(wg-nsquick@wg0.service wg-nsquick-reresolve@wg0.service wg-quick@wg0.service)
	systemd-analyze security --no-pager "${units[@]}" | sed -n 's/^.*Overall exposure level for \([^:]*\): */\1 /p' > "$BATS_TEST_TMPDIR/figures"
	sed 's/^/# exposure of /' "$BATS_TEST_TMPDIR/figures" >&3
	run cat "$BATS_TEST_TMPDIR/figures"
	assert_line --regexp '^wg-nsquick@wg0.service [0-7]\.'
	assert_line --regexp '^wg-nsquick-reresolve@wg0.service [0-3]\.'
}

@test "start, status, restart, stop: the tunnel is there, and gone; the host is as it was" {
	run systemctl start wg-nsquick@wg0
	assert_success
	assert_equal "$(active wg-nsquick@wg0)" active
	run page
	assert_output "a page through the tunnel"
	# What the unit published is the host's, not the unit's alone.
	run ip netns list
	assert_line --partial wg0
	run systemctl restart wg-nsquick@wg0
	assert_success
	run page
	assert_output "a page through the tunnel"
	run systemctl stop wg-nsquick@wg0
	assert_success
	assert_equal "$(active wg-nsquick@wg0)" inactive
	assert_clean
	assert_host_unchanged
}

@test "reload: applied; a refused one fails, and leaves unit and tunnel as they are" {
	local second
	second=$(wg genkey | wg pubkey)
	systemctl start wg-nsquick@wg0
	printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.77.0.0/16\n' "$second" >> /etc/wireguard/wg0.conf
	run systemctl reload wg-nsquick@wg0
	assert_success
	run ip netns exec wg0 wg show wg0 peers
	assert_line "$second"
	sed -i '/^Address/aPostUp = true' /etc/wireguard/wg0.conf
	run systemctl reload wg-nsquick@wg0
	assert_failure
	assert_equal "$(active wg-nsquick@wg0)" active
	run said wg-nsquick@wg0
	assert_line --partial "wg0.conf:4: PostUp is new or changed, and a reload runs no hooks"
	run page
	assert_output "a page through the tunnel"
}

@test "a config that fails: the unit failed, the host is the same, the journal says why" {
	config wg0 "PostUp = false"
	run systemctl start wg-nsquick@wg0
	assert_failure
	assert_equal "$(active wg-nsquick@wg0)" failed
	run said wg-nsquick@wg0
	assert_line --partial "wg-nsquick: /etc/wireguard/wg0.conf:4: PostUp ended with status 1"
	assert_line "[#] ip link delete dev wg0"
	assert_clean
	assert_host_unchanged
}

@test "a hook that would lock the host out: undone, named, failed" {
	config wg0 "PostUp = ip netns add left; mkdir -p /run/x; nsenter -t 1 -n ip route del default || true"
	run systemctl start wg-nsquick@wg0
	run said wg-nsquick@wg0
	assert_line --partial "nsenter"
	ip netns del left
	rmdir /run/x
	systemctl stop wg-nsquick@wg0
	assert_host_unchanged
}

@test "what is published under /run/netns, by us and by hooks, is the host's, whatever mounts the unit has of its own" {
	local dropin=/run/systemd/system/wg-nsquick@wg0.service.d
	config wg0 "PostUp = ip netns add byhook" "PreDown = ip netns del byhook"
	mkdir -p "$dropin"
	printf '[Service]\nProtectSystem=strict\nReadWritePaths=/run /etc /var/lib\nPrivateTmp=yes\nProtectHome=yes\n' > "$dropin/private.conf"
	systemctl daemon-reload
	systemctl start wg-nsquick@wg0
	run ip netns exec byhook true
	assert_success
	run ip netns exec wg0 true
	assert_success
	systemctl stop wg-nsquick@wg0
	assert [ ! -e /run/netns/byhook ]
	# In a namespace that was there before.
	ip netns add other
	printf '[tunnel]\nnetns = other\n' > /etc/wg-nsquick.d/wg0.conf
	systemctl start wg-nsquick@wg0
	run ip netns exec byhook true
	assert_success
	systemctl stop wg-nsquick@wg0
	rm -r "$dropin"
	systemctl daemon-reload
	assert [ ! -e /run/netns/byhook ]
	ip netns del other
	assert_clean
}

@test "start killed in the middle: nothing is left once the unit has failed" {
	config wg0 "PostUp = sleep 100"
	systemctl start --no-block wg-nsquick@wg0
	for _ in {1..100}; do [[ -e /run/netns/wg0 ]] && break; sleep 0.2; done
	systemctl kill --kill-whom=all -s KILL wg-nsquick@wg0
	for _ in {1..100}; do [[ $(active wg-nsquick@wg0) == failed ]] && break; sleep 0.2; done
	assert_equal "$(active wg-nsquick@wg0)" failed
	assert_clean
}

@test "wg-nsquick.target stops and starts them all" {
	systemctl enable --quiet wg-nsquick@wg0
	systemctl start wg-nsquick.target
	assert_equal "$(active wg-nsquick@wg0)" active
	systemctl stop wg-nsquick.target
	# The target does not wait for those who go with it.
	for _ in {1..100}; do [[ $(active wg-nsquick@wg0) == inactive ]] && break; sleep 0.2; done
	assert_equal "$(active wg-nsquick@wg0)" inactive
	systemctl disable --quiet wg-nsquick@wg0
}
