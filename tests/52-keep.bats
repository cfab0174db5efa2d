#!/usr/bin/env bats
# shellcheck disable=SC2030,SC2031
# Programs that live in the namespace survive their tunnel: it stays without a
# way out while they are there, the next up joins it, and they find its DNS.

setup_file() {
	load lib/host
	host_up
	servers_up
	host_remember
}

teardown_file() {
	load lib/host
	host_down
}

setup() {
	load lib/host
	cd "$BATS_TEST_TMPDIR" || return
	consumer=
}

teardown() {
	[[ -z $consumer ]] || kill "$consumer" 2> /dev/null || true
	rm -f /etc/wg-nsquick.d/*
}

# consumer_up COMMAND…: starts it in the namespace, for the rest of the test.
consumer_up() {
	wg-nsquick exec wg0 -- "$@" > output 2>&1 3>&- &
	consumer=$!
	timeout 20 bash -c "until [[ \$(< /proc/$consumer/comm) == ${1##*/} ]]; do sleep 0.05; done"
}

consumer_down() {
	kill "$consumer"
	wait "$consumer" || true
	consumer=
}

# A new identity and no state: what a namespace is known by.
cookie() { ip netns exec wg0 stat -L -c %i /proc/self/ns/net; }

@test "down leaves the namespace to who lives in it, with no way out; up joins it; without them it goes" {
	local before
	config wg0 "DNS = 10.9.0.1"
	wg-nsquick up wg0
	before=$(cookie)
	consumer_up sleep 600
	run wg-nsquick down wg0
	assert_success
	assert_line "[!] wg0: network namespace wg0 stays for the programs in it, which have no network now: sleep ($consumer)"
	assert_equal "$(ip -n wg0 -br link | awk '{print $1}')" lo
	run ip netns exec wg0 ping -c 1 -W 1 10.9.0.1
	assert_failure
	run grep -c nameserver /etc/netns/wg0/resolv.conf
	assert_output 0
	run -125 wg-nsquick exec wg0 -- true
	run wg-nsquick up wg0
	assert_success
	assert_equal "$(cookie)" "$before"
	run nsenter -t "$consumer" -n ping -c 1 -W 5 10.9.0.1
	assert_success
	consumer_down
	run wg-nsquick down wg0
	assert_success
	refute_output --partial stays
	assert_clean
}

@test "who ended meanwhile keeps nothing: recover, and any up, sweep" {
	config wg0
	wg-nsquick up wg0
	consumer_up sleep 600
	wg-nsquick down wg0
	wg-nsquick recover
	[[ -e /run/netns/wg0 ]]
	consumer_down
	wg-nsquick recover
	assert_clean
	wg-nsquick up wg0
	consumer_up sleep 600
	wg-nsquick down wg0
	consumer_down
	KEY=$(wg genkey) config wg1
	wg-nsquick up wg1
	wg-nsquick down wg1
	assert_clean
}

@test "names: none while it is down, the new file's servers after, in the program that was there all the time" {
	config wg0 "DNS = 10.9.0.53"
	wg-nsquick up wg0
	# Asks again and again; ends when it has its answer.
	consumer_up python3 -c '
import socket, time
while True:
    try:
        print(socket.getaddrinfo("page.test", 80, socket.AF_INET)[0][4][0], flush=True)
        break
    except OSError as e:
        print(e, flush=True)
        time.sleep(0.1)'
	wg-nsquick down wg0
	config wg0 "DNS = 10.9.0.1"
	wg-nsquick up wg0
	timeout 20 bash -c 'until grep -qx 10.9.0.1 output; do sleep 0.1; done'
	wait "$consumer"
	consumer=
	wg-nsquick down wg0
	assert_clean
}

@test "a connection of theirs lives over a restart of the tunnel" {
	config wg0
	wg-nsquick up wg0
	ip netns exec prov busybox nc -l -p 7777 -e cat 3>&- &
	timeout 20 bash -c "until ip netns exec prov ss -Hltn 'sport = :7777' | grep -q .; do sleep 0.1; done"
	consumer_up python3 -c '
import socket, time
s = socket.create_connection(("10.9.0.1", 7777))
for n in range(400):
    s.sendall(b"%d\n" % n)
    print("got", s.recv(64).decode().strip(), flush=True)
    time.sleep(0.05)'
	timeout 20 bash -c 'until grep -q "got 3" output; do sleep 0.1; done'
	wg-nsquick down wg0
	wg-nsquick up wg0
	local seen
	seen=$(wc -l < output)
	timeout 30 bash -c "until ((\$(wc -l < output) > $seen + 5)); do sleep 0.2; done"
	run grep -vc got output
	assert_output 0
	consumer_down
	wg-nsquick down wg0
	assert_clean
}

@test "keep = no: it goes, and who is inside stays without a way out" {
	printf '[tunnel]\nkeep = no\n' > /etc/wg-nsquick.d/wg0.conf
	config wg0
	wg-nsquick up wg0
	consumer_up sleep 600
	run wg-nsquick down wg0
	assert_success
	[[ ! -e /run/netns/wg0 ]]
	assert_equal "$(nsenter -t "$consumer" -n ip -br link | awk '{print $1}')" lo
	assert_clean
}

@test "keep = yes: it stays, empty or not, until the settings say otherwise" {
	printf '[tunnel]\nkeep = yes\n' > /etc/wg-nsquick.d/wg0.conf
	config wg0 "DNS = 10.9.0.1"
	wg-nsquick up wg0
	local before
	before=$(cookie)
	wg-nsquick down wg0
	wg-nsquick recover
	assert_equal "$(cookie)" "$before"
	wg-nsquick up wg0
	assert_equal "$(cookie)" "$before"
	rm /etc/wg-nsquick.d/wg0.conf
	wg-nsquick down wg0
	assert_clean
}

@test "one that was kept and then deleted by hand leaves no files" {
	printf '[tunnel]\nkeep = yes\n' > /etc/wg-nsquick.d/wg0.conf
	config wg0 "DNS = 10.9.0.1"
	wg-nsquick up wg0
	wg-nsquick down wg0
	ip netns del wg0
	wg-nsquick recover
	assert_clean
}

@test "a killed down, and an up that fails, keep it too" {
	config wg0 "PreDown = both=\"\$(ps -o ppid= -p \$PPID) \$PPID\"; kill -STOP \$both; kill -KILL \$both; sleep 1"
	wg-nsquick up wg0
	local before
	before=$(cookie)
	consumer_up sleep 600
	run wg-nsquick down wg0
	ip -n wg0 link del wg0
	wg-nsquick recover
	assert_equal "$(cookie)" "$before"
	config wg0 "PostUp = false"
	run wg-nsquick up wg0
	assert_failure
	assert_equal "$(cookie)" "$before"
	consumer_down
	wg-nsquick recover
	assert_clean
}

@test "somebody else's namespace: our resolv.conf stays while programs have it, and names nobody" {
	ip netns add other
	config wg0 "DNS = 10.9.0.1"
	wg-nsquick up wg0 --netns other
	consumer_up sleep 600
	wg-nsquick down wg0
	run nsenter -t "$consumer" -m grep -c nameserver /etc/resolv.conf
	assert_output 0
	wg-nsquick up wg0 --netns other
	run nsenter -t "$consumer" -m grep nameserver /etc/resolv.conf
	assert_output "nameserver 10.9.0.1"
	consumer_down
	wg-nsquick down wg0
	[[ ! -e /etc/netns/other ]]
	ip netns del other
	assert_clean
}

@test "a namespace without a name: by its path, or by the programs in it; who is inside finds no server when the tunnel is down" {
	local owner place
	unshare -n sleep 600 3>&- &
	owner=$!
	place=/proc/$owner/ns/net
	timeout 20 bash -c "until [[ \$(< /proc/$owner/comm) == sleep ]]; do sleep 0.05; done"
	config wg0 "DNS = 10.9.0.1"
	wg-nsquick up wg0 --netns "$place"
	run wg-nsquick exec wg0 -- ip link show wg0
	assert_success
	run wg-nsquick reload wg0
	assert_success
	run wg-nsquick down wg0
	assert_success
	wg-nsquick up wg0 --netns "$place"
	wg-nsquick --netns "$place" exec wg0 -- sleep 600 3>&- &
	consumer=$!
	timeout 20 bash -c "until [[ \$(< /proc/$consumer/comm) == sleep ]]; do sleep 0.05; done"
	run nsenter -t "$consumer" -m grep nameserver /etc/resolv.conf
	assert_output "nameserver 10.9.0.1"
	# Who owns it was there before, and has the host's files.
	run wg-nsquick verify wg0 --netns "$place"
	assert_equal "$(grep -c ^✗ <<< "$output")" 1
	assert_line --regexp "^✗ resolvers +sleep \($owner\) sees another resolv\.conf"
	run wg-nsquick status wg0 --netns "$place"
	assert_success
	run wg-nsquick reload wg0 --netns "$place"
	assert_success
	run wg-nsquick down wg0 --netns "$place"
	assert_success
	run nsenter -t "$consumer" -m grep -c nameserver /etc/resolv.conf
	assert_output 0
	wg-nsquick up wg0 --netns "$place"
	run wg-nsquick --netns "$place" exec wg0 -- grep nameserver /etc/resolv.conf
	assert_output "nameserver 10.9.0.1"
	run wg-nsquick down wg0 --netns "$place"
	assert_success
	consumer_down
	kill "$owner"
	assert_clean
}

@test "an up that fails after another tunnel went down beside it: that one's programs keep the namespace" {
	local up go=$BATS_TEST_TMPDIR/go began=$BATS_TEST_TMPDIR/began
	config wg0
	KEY=$(wg genkey) config wg1 "PostUp = touch $began; until [[ -e $go ]]; do sleep 0.05; done; false"
	wg-nsquick up wg0 --netns vpn
	consumer_up sleep 600
	wg-nsquick up wg1 --netns vpn > up.log 2>&1 3>&- &
	up=$!
	wait_until "the hook" test -e "$began"
	wg-nsquick down wg0
	touch "$go"
	! wait "$up" || fail "up did not fail"
	run cat up.log
	assert_line --regexp "^\[!\] wg1: network namespace vpn stays for the programs in it, which have no network now: .*sleep \($consumer\)"
	run ip netns exec vpn stat -L -c %i /proc/self/ns/net
	assert_output "$(stat -L -c %i "/proc/$consumer/ns/net")"
	consumer_down
	wg-nsquick recover
	assert_clean
}

# The provider's second device, which only a tunnel of the first leads to.
inner_up() {
	local key
	key=$(wg genkey)
	INNER_KEY=$(wg genkey)
	INNER_PUB=$(wg pubkey <<< "$key")
	if [[ $WG_KIND == kernel ]]; then
		ip -n prov link add wgq type wireguard
	else
		ip netns exec prov wireguard-go wgq > /dev/null 2>&1 3>&-
	fi
	ip netns exec prov wg set wgq private-key <(echo "$key") listen-port 51821 peer "$(wg pubkey <<< "$INNER_KEY")" allowed-ips 10.10.0.2/32
	ip -n prov addr add 10.10.0.1/24 dev wgq
	ip -n prov link set wgq up
}

inner_down() {
	ip -n prov link del wgq
	# wireguard-go takes a moment to see it.
	wait_until "the end of wgq" test ! -e /run/wireguard/wgq.sock
}

inner_config() {
	KEY=$INNER_KEY PROVIDER_PUB=$INNER_PUB ENDPOINT=10.9.0.1:51821 ADDRESS=10.10.0.2/24 ALLOWED=10.10.0.0/24 config inner
}

inner_answers() { ip netns exec inner ping -c 1 -W 1 10.10.0.1; }

@test "a tunnel through another: while its socket is in there the namespace stays, and the next up brings its traffic back" {
	inner_up
	config wg0
	inner_config
	wg-nsquick up wg0
	wg-nsquick up inner --transport wg0
	wait_until "an answer through both" inner_answers
	run wg-nsquick down wg0
	assert_success
	assert_line "[!] wg0: network namespace wg0 stays for the tunnels whose sockets are in it, which have no network now: inner"
	# Not for wireguard-go, which has the socket.
	refute_output --partial "programs"
	wg-nsquick recover
	[[ -e /run/netns/wg0 ]]
	run inner_answers
	assert_failure
	wg-nsquick up wg0
	wait_until "an answer through both again" inner_answers
	wg-nsquick down wg0
	# The last one out takes it along.
	run wg-nsquick down inner
	assert_success
	inner_down
	assert_clean
}

@test "keep = no: the namespace goes, and which tunnel has lost its socket's is said" {
	inner_up
	printf '[tunnel]\nkeep = no\n' > /etc/wg-nsquick.d/wg0.conf
	config wg0
	inner_config
	wg-nsquick up wg0
	wg-nsquick up inner --transport wg0
	run wg-nsquick down wg0
	assert_success
	assert_line "[!] wg0: network namespace wg0 loses its name, and tunnels whose sockets are in it have no network any more, and are to be brought up anew: inner"
	[[ ! -e /run/netns/wg0 ]]
	wg-nsquick down inner
	inner_down
	assert_clean
}

@test "a tunnel through another whose up fails: it keeps the namespace until it goes itself" {
	inner_up
	config wg0 "PostUp = wg-nsquick up inner --netns inner --transport wg0; false"
	inner_config
	run wg-nsquick up wg0 --hooks open
	assert_failure
	assert_line "[!] wg0: network namespace wg0 stays for the tunnels whose sockets are in it, which have no network now: inner"
	# What a failing up ends with its hooks is wireguard-go, too.
	if [[ $WG_KIND == kernel ]]; then
		wg-nsquick down inner
	else
		wg-nsquick recover
	fi
	inner_down
	assert_clean
}

@test "a name that cannot be looked at strands nobody" {
	local pid
	config wg0 "PreDown = touch /run/there; until [[ -e /run/go ]]; do sleep 0.05; done"
	rm -f /run/there /run/go
	wg-nsquick up wg0
	consumer_up sleep 600
	wg-nsquick down wg0 > /run/down.log 2>&1 3>&- &
	pid=$!
	wait_until "the hook" test -e /run/there
	# Out of memory when it looks whether the name still is the namespace's: whose files there are was asked before.
	worker_struck $pid openat:error=ENOMEM:when=2+ /run/netns/wg0 /run/go
	assert_equal "$status" 0
	[[ -e /run/netns/wg0 ]]
	run cat /run/down.log
	assert_line "Warning: network namespace wg0 stays: cannot look at its name: Cannot allocate memory"
	consumer_down
	wg-nsquick recover
	assert_clean
}

@test "who cannot be looked at is not stranded" {
	local pid
	config wg0 "PreDown = touch /run/there; until [[ -e /run/go ]]; do sleep 0.05; done"
	rm -f /run/there /run/go
	wg-nsquick up wg0
	consumer_up sleep 600
	wg-nsquick down wg0 > /run/down.log 2>&1 3>&- &
	pid=$!
	wait_until "the hook" test -e /run/there
	worker_struck $pid /fstatat:error=ENOMEM:when=1 "$consumer/ns/net" /run/go
	assert_equal "$status" 0
	run cat /run/down.log
	assert_line "[!] wg0: network namespace wg0 stays for the programs in it, which have no network now: sleep ($consumer)"
	consumer_down
	wg-nsquick recover
	assert_clean
}

@test "after all of this the host is the same" {
	assert_host_unchanged
}
