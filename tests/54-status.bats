#!/usr/bin/env bats
# shellcheck disable=SC2034,SC2046
# status: the table, the JSON that programs read, and the exit status.

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
}

# field EXPRESSION: of the JSON of `status wg0`.
field() { wg-nsquick status wg0 --json | python3 -c "import json, sys; d = json.load(sys.stdin); t = d['tunnels'][0]; print(($1))"; }

@test "nothing is up: 3, and valid JSON all the same" {
	run wg-nsquick status
	assert_failure 3
	assert_output "no tunnel is up"
	run wg-nsquick status --json
	assert_failure 3
	run python3 -c 'import json, sys; d = json.loads(sys.argv[1]); print(d["version"], d["state"], d["tunnels"], d["kept_namespaces"])' "$output"
	assert_output "1 down [] []"
}

@test "one that has a file is down, one that nobody knows is an error" {
	config wg0
	run wg-nsquick status wg0
	assert_failure 3
	assert_output "wg0 is down"
	run wg-nsquick status wg7
	assert_failure 1
	assert_output "wg-nsquick: \`wg7' is not up, and there is no /etc/wireguard/wg7.conf"
	run wg-nsquick status a/b
	assert_failure 1
	run wg-nsquick status wg0 wg1
	assert_failure 1
	run wg-nsquick down wg0 --json
	assert_failure 1
	assert_output --partial "as JSON"
}

@test "a tunnel that is up: the table" {
	config wg0 "DNS = 10.9.0.1, corp.example" "ListenPort = 51999"
	wg-nsquick up wg0
	run wg-nsquick status
	assert_success
	assert_line --index 0 --regexp '^INTERFACE +STATE +NAMESPACE +TRANSPORT +UP FOR +PEER +HANDSHAKE +RECEIVED +SENT +GUARD +PROGRAMS$'
	assert_line --index 1 --regexp '^wg0 +up +wg0 +host +[0-9]+ s +192\.0\.2\.1:51820 +(never|[0-9]+ s ago) +[0-9]+ B +[0-9]+ B +default +none$'
	wg-nsquick exec wg0 -- ping -c 1 -W 10 10.9.0.1
	wg-nsquick exec wg0 -u nobody -- sleep 600 3>&- &
	local pid=$!
	timeout 10 bash -c "until [[ \$(< /proc/$pid/comm) == sleep ]]; do sleep 0.05; done"
	run wg-nsquick status wg0
	assert_success
	assert_line --index 1 --regexp '^wg0 +up +wg0 +host +[0-9]+ s +192\.0\.2\.1:51820 +[0-9]+ s ago +[0-9]+ B +[0-9]+ B +default +sleep$'
	run field '[(p["pid"], p["uid"], p["name"]) for p in t["programs"]]'
	assert_output "[($pid, 65534, 'sleep')]"
	kill $pid
	# Or it holds the namespace still, when that has no name any more.
	wait $pid || true
}

@test "the JSON has what the manual page says, and no secret" {
	run wg-nsquick status wg0 --json
	assert_success
	refute_output --partial "$CLIENT_KEY"
	run field 't["interface"], t["state"], t["reasons"], t["namespace"], t["transport"], t["config"], t["listen_port"], t["dns"], t["guard"], t["hooks"]'
	assert_output "('wg0', 'up', [], {'name': 'wg0', 'path': '/run/netns/wg0'}, 'host', '/etc/wireguard/wg0.conf', 51999, ['10.9.0.1', 'corp.example'], 'default', 'guarded')"
	run field 't["addresses"][:2], t["peers"][0]["public_key"] == "'"$PROVIDER_PUB"'", t["peers"][0]["endpoint"], t["peers"][0]["allowed_ips"], t["peers"][0]["persistent_keepalive"]'
	assert_output "(['10.9.0.2/24', 'fd09::2/64'], True, '192.0.2.1:51820', ['0.0.0.0/0', '::/0'], 0)"
	run field 'abs(t["peers"][0]["handshake_age"]) < 120, t["peers"][0]["rx_bytes"] > 0, t["since"] > 1.6e9'
	assert_output "(True, True, True)"
	# Every member that there is stands in the page.
	run python3 -c '
import json, subprocess
def keys(d):
    if isinstance(d, dict):
        for k, v in d.items(): yield k; yield from keys(v)
    elif isinstance(d, list):
        for v in d: yield from keys(v)
page = open("contrib/wg-nsquick.8").read()
d = json.loads(subprocess.run(["wg-nsquick", "status", "--json"], capture_output=True).stdout)
print([k for k in keys(d) if k not in page])'
	assert_output "[]"
}

@test "--netns without an interface, and options that mean nothing here" {
	run wg-nsquick status --netns wg0
	assert_failure 1
	assert_output "wg-nsquick: --netns says which INTERFACE of several is meant; expected status INTERFACE --netns wg0"
	run wg-nsquick status --transport self
	assert_failure 1
	assert_output "wg-nsquick: --transport, --guard and --hooks are options of up, down, reload, check and guard, not of status"
}

@test "colours on a terminal, if it can and one wants them; none in a pipe" {
	run script -qec "TERM=xterm wg-nsquick status" /dev/null
	assert_output --partial $'\033[32mup'
	run script -qec "TERM=dumb wg-nsquick status" /dev/null
	refute_output --partial $'\033'
	run script -qec "TERM=dumb wg-nsquick verify wg0" /dev/null
	refute_output --partial $'\033'
	run script -qec "NO_COLOR=1 TERM=xterm wg-nsquick status" /dev/null
	refute_output --partial $'\033'
	run wg-nsquick status
	refute_output --partial $'\033'
}

@test "degraded, 2: the device is down, the name is another's, resolv.conf is gone" {
	ip -n wg0 link set wg0 down
	run wg-nsquick status
	assert_failure 2
	assert_line "wg0: the device is down"
	assert_line --regexp '^wg0 +degraded '
	ip -n wg0 link set wg0 up
	mv /etc/netns/wg0/resolv.conf /etc/netns/wg0/kept
	run wg-nsquick status wg0
	assert_failure 2
	assert_line "wg0: /etc/netns/wg0/resolv.conf is gone"
	mv /etc/netns/wg0/kept /etc/netns/wg0/resolv.conf
	run wg-nsquick status wg0
	assert_success
	umount /run/netns/wg0
	run wg-nsquick status wg0
	# It was held by its name alone.
	assert_failure 3
	rm /run/netns/wg0
	wg-nsquick recover
	assert_clean
}

@test "degraded: a peer that never answers" {
	ENDPOINT=192.0.2.1:9 config wg0 "Peer:PersistentKeepalive = 1"
	wg-nsquick up wg0
	wait_until "a first packet to the peer" eval "((\$(ip netns exec wg0 wg show wg0 transfer | cut -f 3) > 0))"
	# As if it had been up for an hour.
	sed -i -E 's/^since .*/since 1000000000/' /run/wg-nsquick/tunnels/wg0@*
	run wg-nsquick status wg0
	assert_failure 2
	assert_line "wg0: 192.0.2.1:9 has never answered"
	run field 't["state"], t["reasons"]'
	assert_output "('degraded', ['192.0.2.1:9 has never answered'])"
	wg-nsquick down wg0
}

@test "several: the worst decides; many peers are cut short; a kept namespace is shown" {
	local i
	config wg0 $(for i in 1 2 3 4 5 6 7 8; do printf '%s ' "Peer:[Peer]" "Peer:PublicKey=$(wg genkey | wg pubkey)"; done)
	wg-nsquick up wg0
	KEY=$(wg genkey) config wg1
	wg-nsquick up wg1
	run wg-nsquick status
	assert_success
	assert_line --regexp '^wg1 +up '
	assert_line --regexp '^ +and 4 more$'
	run wg-nsquick status wg0
	assert_equal "${#lines[@]}" 10
	ip -n wg1 link set wg1 down
	run wg-nsquick status
	assert_failure 2
	wg-nsquick exec wg0 -- sleep 600 3>&- &
	local pid=$!
	timeout 10 bash -c "until [[ \$(< /proc/$pid/comm) == sleep ]]; do sleep 0.05; done"
	wg-nsquick down wg0
	wg-nsquick down wg1
	run wg-nsquick status
	assert_failure 3
	assert_line "network namespace wg0 is kept, without a tunnel; programs: sleep"
	kill $pid
	wait $pid || true
	wg-nsquick recover
	assert_clean
}

@test "after all of this the host is the same" {
	assert_host_unchanged
}
