#!/usr/bin/env bats
# shellcheck disable=SC2016
# wg-nsquick-migrate: from wg-quick@ to wg-nsquick@ and back, and nobody locked out.

setup_file() {
	load ../lib/host
	host_up
	servers_up
}

teardown_file() {
	load ../lib/host
	assert_clean
	host_down
}

setup() {
	load ../lib/host
	ALLOWED="10.9.0.0/16, fd09::/64" config wg0
	unset SSH_CONNECTION
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	systemctl --quiet disable --now wg-quick@wg0 wg-nsquick@wg0 > /dev/null 2>&1
	systemctl reset-failed > /dev/null 2>&1
	rm -rf /etc/wireguard/* /etc/wg-nsquick.d/*
	return 0
}

active() { systemctl show -P ActiveState "$1"; }

assert_on() { # wg-quick|wg-nsquick: enabled and running there alone
	local other=wg-quick
	[[ $1 != wg-quick ]] || other=wg-nsquick
	assert_equal "$1 $(active "$1@wg0") $(systemctl is-enabled "$1@wg0")" "$1 active enabled"
	assert_equal "$other $(active "$other@wg0") $(systemctl is-enabled "$other@wg0")" "$other inactive disabled"
}

# ssh_session ADDRESS: a connection of somebody's, to that address of this machine.
ssh_session() {
	python3 - "$1" > session 3>&- <<-'CONNECTED' &
		import socket, sys, time
		open("/proc/self/comm", "w").write("sshd")
		listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
		client = socket.create_connection((sys.argv[1], listener.getsockname()[1]))
		server = listener.accept()
		print("connected", flush=True)
		time.sleep(600)
	CONNECTED
	SESSION=$!
	timeout 30 bash -c "until grep -q connected session; do sleep 0.1; done"
}

# One after the other, as each up and down of wg-quick costs seconds in the virtual machine.
@test "a running wg-quick@wg0 is swapped for wg-nsquick@wg0, and back; refused where it carries the SSH session that it is run from" {
	systemctl --quiet enable --now wg-quick@wg0
	assert ip link show wg0
	SSH_CONNECTION="10.9.0.1 50000 10.9.0.2 22" run wg-nsquick-migrate
	assert_failure 1
	assert_line --partial "wg0: it carries the SSH session that this is run from (10.9.0.1)"
	# As behind sudo, where only a process above has the variable.
	SSH_CONNECTION="192.0.2.1 50000 10.9.0.2 22" run bash -c 'env -u SSH_CONNECTION wg-nsquick-migrate; exit $?'
	assert_failure 1
	assert_line --partial "it carries the SSH session"
	SSH_CONNECTION="fe80::1%wg0 50000 fe80::2%wg0 22" run wg-nsquick-migrate
	assert_failure 1
	assert_line --partial "it carries the SSH session that this is run from (fe80::1%wg0)"
	ssh_session 10.9.0.2
	SSH_CONNECTION="192.0.2.1 50000 192.0.2.2 22" run wg-nsquick-migrate
	assert_failure 1
	assert_line --partial "wg0: it carries an SSH session (10.9.0.2)"
	kill "$SESSION"
	ssh_session 192.0.2.2
	run wg-nsquick-migrate --dry-run
	kill "$SESSION"
	assert_success
	assert_line "  systemctl stop wg-quick@wg0.service"
	assert_on wg-quick
	# Over another interface it may go.
	SSH_CONNECTION="192.0.2.1 50000 192.0.2.2 22" run wg-nsquick-migrate
	assert_success
	assert_line --partial "this machine's own traffic will not use the tunnel"
	assert_line --partial "wg0: moved from wg-quick@wg0.service to wg-nsquick@wg0.service"
	assert_on wg-nsquick
	run ip link show wg0
	assert_failure
	run wg-nsquick exec wg0 curl -s -m 10 http://10.9.0.1/
	assert_output "a page through the tunnel"
	run wg-nsquick-migrate --back
	assert_success
	assert_on wg-quick
	run curl -s -m 10 http://10.9.0.1/
	assert_output "a page through the tunnel"
}

@test "refused: files that look like a server's" {
	ALLOWED=10.9.0.0/16 config wg0 "ListenPort = 51820" "PostUp = iptables -A FORWARD -i %i -o veth0 -j ACCEPT || true" "Peer:[Peer]" "Peer:PublicKey = $CLIENT_PUB" "Peer:AllowedIPs = 10.9.7.0/24"
	systemctl --quiet enable wg-quick@wg0
	run wg-nsquick-migrate
	assert_failure 1
	assert_line --partial "wg0: it has a ListenPort"
	assert_line --partial "wg0: 1 of its peers have no Endpoint"
	assert_line --partial "wg0: a hook names this machine's interface veth0: PostUp"
	assert_line --partial "left alone (--force moves it all the same)"
	assert_equal "$(systemctl is-enabled wg-quick@wg0)" enabled
	run wg-nsquick-migrate --force
	assert_success
	assert_equal "$(systemctl is-enabled wg-nsquick@wg0)" enabled
}

@test "one that does not come up is put back as it was; and our down says whose it is" {
	ALLOWED=10.9.0.0/16 config wg0 "PostUp = ip link show veth0"
	systemctl --quiet enable --now wg-quick@wg0
	run wg-nsquick-migrate --force
	assert_failure 1
	assert_line --partial "wg-nsquick@wg0.service did not start"
	assert_on wg-quick
	run curl -s -m 10 http://10.9.0.1/
	assert_output "a page through the tunnel"
	run wg-nsquick down wg0
	assert_failure 1
	assert_output --partial "\`wg-quick down' takes down what wg-quick brought up"
}

@test "interrupted while it waits: put back as it was" {
	ALLOWED=10.9.0.0/16 config wg0 'PostUp = test -z "${WG_NSQUICK_NETNS-}" || { touch /run/waiting; sleep 300; }'
	systemctl --quiet enable --now wg-quick@wg0
	# What a shell has in the background ignores this signal.
	setsid env --default-signal=INT wg-nsquick-migrate > log 2>&1 3>&- &
	local migration=$! result=0
	timeout 60 bash -c "until [[ -e /run/waiting ]]; do sleep 0.1; done"
	kill -INT -- "-$migration"
	wait "$migration" || result=$?
	assert_equal $result 130
	run cat log
	assert_line --partial "wg-nsquick@wg0.service did not start"
	assert_line --partial "interrupted"
	assert_on wg-quick
	run curl -s -m 10 http://10.9.0.1/
	assert_output "a page through the tunnel"
}

@test "nothing to move, a name that is none, wrong words" {
	run wg-nsquick-migrate
	assert_success
	assert_output "wg-nsquick-migrate: no wg-quick@ unit is enabled or running"
	run wg-nsquick-migrate wg0
	assert_failure 1
	assert_output --partial "neither enabled nor running"
	run wg-nsquick-migrate ../x
	assert_failure 2
	run wg-nsquick-migrate --nonsense
	assert_failure 2
}
