#!/usr/bin/env bats
# The story itself: who works on a host over ssh keeps the session, whatever a hook does to the
# host's way out. The client has an address that only the host's default route leads to.
# lanes: alone
# shellcheck disable=SC2016,SC2034,SC2154

setup_file() {
	load lib/host
	host_up
	ip -n prov addr add 203.0.113.7/32 dev lo
	local dir=$BATS_FILE_TMPDIR
	ssh-keygen -q -t ed25519 -N '' -f "$dir/host-key"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/user-key"
	cat > "$dir/sshd.conf" <<-END
		ListenAddress 192.0.2.2:22
		HostKey $dir/host-key
		AuthorizedKeysFile $dir/user-key.pub
		AuthenticationMethods publickey
		PermitRootLogin prohibit-password
		StrictModes no
		UsePAM no
		UseDNS no
		PrintMotd no
		PidFile /run/sshd.pid
	END
	echo "192.0.2.2 $(cat "$dir/host-key.pub")" > "$dir/known-hosts"
	mkdir -p /run/sshd
	/usr/sbin/sshd -f "$dir/sshd.conf" -E "$dir/sshd.log" 3>&-
	host_remember
}

teardown_file() {
	load lib/host
	[[ ! -e /run/sshd.pid ]] || kill "$(cat /run/sshd.pid)"
	host_down
}

setup() {
	load lib/host
	# Seconds without an answer that tell a frozen session. The virtual machine answers late.
	frozen=0.6 patience=1
	[[ -z ${WG_NSQUICK_VM-} ]] || patience=8
}

teardown() {
	heal
	[[ -z ${SSH_PID-} ]] || kill "$SSH_PID" 2> /dev/null || true
	[[ ! -e /run/netns/wg0 ]] || wg-nsquick down wg0 --guard off --hooks none > /dev/null 2>&1 3>&-
	! ip link show wq0 > /dev/null 2>&1 || wg-quick down wq0 > /dev/null 2>&1 3>&-
	rm -f /run/in-hook
}

client() { # COMMAND…: in a session of the client's
	ip netns exec prov ssh -F none -T -b 203.0.113.7 -i "$BATS_FILE_TMPDIR/user-key" -o IdentitiesOnly=yes -o BatchMode=yes \
		-o StrictHostKeyChecking=yes -o UserKnownHostsFile="$BATS_FILE_TMPDIR/known-hosts" -o KexAlgorithms=curve25519-sha256 -o ConnectTimeout=$((10 * patience)) root@192.0.2.2 "$@" 3>&-
}

# ---- one session, asked again and again ----

open_session() {
	coproc SESSION { client "exec bash --norc" 2>&1; }
	SSH_PID=$SESSION_PID
	asked=0
	ask 20 "export PATH=$PATH; echo \$SSH_CONNECTION" || fail "no session: $(cat "$BATS_FILE_TMPDIR/sshd.log")"
	[[ $output == "203.0.113.7 "* ]] || fail "$output"
	ask 5 'echo $$'
	shell=$output
}

# Reads up to the end of the answer. 1: none came in time; the answer may be awaited again.
await() { # SECONDS
	local line left end
	printf -v end %.0f "$1e6"
	end=$((end * patience + ${EPOCHREALTIME//[.,]/}))
	while left=$((end - ${EPOCHREALTIME//[.,]/})) && ((left > 0)); do
		IFS= read -r -t "$((left / 1000000)).$(printf %06d $((left % 1000000)))" -u "${SESSION[0]}" line || { begun+=$line; return 1; }
		line=$begun$line
		begun=
		if [[ $line == "end-$asked "* ]]; then
			status=${line##* }
			output=${output%$'\n'}
			return 0
		fi
		output+=$line$'\n'
	done
	return 1
}

ask() { # SECONDS COMMAND: sets output and status
	output=
	begun= # of a line
	status=none
	asked=$((asked + 1))
	printf '{ %s\n} < /dev/null 2>&1; echo "end-%d $?"\n' "$2" "$asked" >&"${SESSION[1]}"
	await "$1"
}

assert_same_session() {
	ask 10 'echo $$' || fail "the session does not answer"
	assert_equal "$output" "$shell"
	kill -0 "$SSH_PID"
}

# ---- ways to lock oneself out ----

wrecks=(
	"ip route replace default via 192.0.2.66"
	"ip route del default"
	"ip route add 0.0.0.0/1 via 192.0.2.66; ip route add 128.0.0.0/1 via 192.0.2.66"
	"ip route add default via 192.0.2.66 table 51820; ip rule add not fwmark 51820 table 51820; ip rule add table main suppress_prefixlength 0"
	"ip link set veth0 down"
)

# Puts back by hand what a wreck does, when no guard does.
heal() {
	ip link set veth0 up
	ip -6 addr replace 2001:db8::2/64 dev veth0 nodad
	while ip route del 0.0.0.0/1; do :; done 2> /dev/null
	while ip route del 128.0.0.0/1; do :; done 2> /dev/null
	while ip route del 203.0.113.7; do :; done 2> /dev/null
	ip rule del table 51820 2> /dev/null || true
	ip rule del table main suppress_prefixlength 0 2> /dev/null || true
	ip route flush table 51820 2> /dev/null || true
	ip route replace default via 192.0.2.1
}

# bats test_tags=long
@test "ssh: unguarded, each of the wrecks freezes the session" {
	local wreck
	open_session
	for wreck in "${wrecks[@]}"; do
		bash -c "$wreck"
		! ask "$frozen" 'echo $$' || fail "it lives on after: $wreck"
		heal
		await 20 || fail "not healed: $wreck"
		assert_equal "$output" "$shell"
	done
	assert_host_unchanged
}

@test "ssh: a hook takes the default route, and more: undone, and the session goes on" {
	local wreck
	open_session
	for wreck in "${wrecks[@]}"; do
		config wg0 "PostUp = touch /run/in-hook; nsenter -t 1 -n bash -c '$wreck; sleep 60'"
		rm -f /run/in-hook
		ask 30 "wg-nsquick up wg0 --hooks open" || fail "frozen by: $wreck"
		assert_equal "$status" 193
		assert_output --partial "guard: the host's network changed during \`up'"
		assert_output --partial "guard: the host is as it was before \`up'"
		[[ -e /run/in-hook ]]
		assert_same_session
		assert_host_unchanged
	done
	assert_clean
}

# bats test_tags=long
@test "ssh: a hook leads all traffic into the tunnel's namespace" {
	open_session
	config wg0 "PostUp = ip link add ns9 type veth peer name host9 netns 1; nsenter -t 1 -n bash -c 'ip link set host9 up; ip route add 0.0.0.0/1 dev host9; ip route add 128.0.0.0/1 dev host9; sleep 60'"
	ask 30 "wg-nsquick up wg0 --hooks open" || fail "frozen"
	assert_equal "$status" 193
	assert_same_session
	assert_host_unchanged
	assert_clean
}

# bats test_tags=long
@test "ssh: hooks that tamper when the tunnel goes down" {
	open_session
	config wg0 "PreDown = nsenter -t 1 -n bash -c 'ip route replace default via 192.0.2.66; sleep 60'"
	ask 30 "wg-nsquick up wg0 --hooks open"
	assert_equal "$status" 0
	ask 30 "wg-nsquick down wg0 --hooks open" || fail "frozen"
	assert_equal "$status" 193
	assert_same_session
	assert_host_unchanged
}

# bats test_tags=long
@test "ssh: wg-quick's full tunnel under guard is undone; without, it freezes the session" {
	config wq0
	open_session
	ask 60 "wg-nsquick guard -- wg-quick up wq0" || fail "frozen"
	assert_equal "$status" 193
	assert_output --partial "guard: the host is as it was before"
	assert_same_session
	run ip link show wq0
	assert_failure
	assert_host_unchanged

	ask 5 "wg-quick up wq0; echo \$\$" && fail "the setting is not real: $output"
	ip link show wq0
	timeout $((30 * patience)) wg-quick down wq0 > /dev/null 2>&1 3>&-
	await 30 || fail "not healed"
	assert_equal "${output##*$'\n'}" "$shell"
	assert_host_unchanged
}

# bats test_tags=long
@test "ssh: the client is watched, by sudo and without its variable too" {
	local by
	open_session
	# Where no session is, this route is nobody's business.
	run timeout $((20 * patience)) env -u SSH_CONNECTION "$WG_NSQUICK" guard -- ip route add 203.0.113.7/32 via 192.0.2.66
	assert_success
	! ask "$frozen" 'echo $$' || fail "the route does not matter"
	ip route del 203.0.113.7
	await 20 || fail "not healed"
	for by in "" "sudo -n" "env -u SSH_CONNECTION" "env -i $(command -v bash) -c '\"\$@\"; exit \$?' -"; do
		ask 30 "$by $WG_NSQUICK guard -- $(command -v bash) -c '$(command -v ip) route add 203.0.113.7/32 via 192.0.2.66; sleep 60'" || fail "frozen with: $by"
		assert_equal "$by $status" "$by 193"
		assert_output --partial "203.0.113.7"
		assert_same_session
		assert_host_unchanged
	done
}

# ---- how long packets were held up ----

# measure NAME COMMAND: a session that says a number each millisecond while it runs COMMAND (whose
# lines are in said), and pings beside it. Sets gap (ms, the longest silence), numbers, lost, pings, ping_gap.
measure() {
	local dir=$BATS_TEST_TMPDIR pinger
	cat > "$dir/remote" <<-END
		export PATH=$PATH
		python3 -c '
		import time
		due, n = time.monotonic(), 0
		while True:
		    print("t", n, flush=True)
		    n, due = n + 1, due + 0.001
		    time.sleep(max(0, due - time.monotonic()))
		' &
		sleep 0.5
		{ $2
		} < /dev/null 2>&1
		sleep 0.5
		kill %1
	END
	ip netns exec prov ping -n -D -i 0.001 -I 203.0.113.7 192.0.2.2 > "$dir/pings" 2>&1 3>&- &
	pinger=$!
	client "bash $dir/remote" 2>&1 | timeout $((300 * patience)) python3 -c '
import sys, time
last, gap, next = None, 0, 0
for line in sys.stdin:
    now = time.monotonic()
    if line.startswith("t "):
        if int(line.split()[1]) != next: sys.exit("a number is missing")
        next += 1
        if last is not None: gap = max(gap, now - last)
        last = now
    else:
        print(line, end="")
print("stream", round(gap * 1000, 1), next)' > "$dir/said"
	kill -INT "$pinger"
	wait "$pinger" || true
	read -r _ gap numbers < <(grep '^stream ' "$dir/said")
	said=$(grep -v '^stream ' "$dir/said" || true)
	read -r pings ping_gap lost < <(awk -F '[][ =]' '
		/icmp_seq=/ { if (t && $2 - t > gap) gap = $2 - t; t = $2; n++ }
		/packets transmitted/ { lost = $1 - n }
		END { printf "%d %.1f %d\n", n, gap * 1000, lost }' "$dir/pings")
	echo "# $1: longest silence in the session $gap ms of $numbers numbers; between pings $ping_gap ms, $lost lost of $((pings + lost))" >&3
	# A session that freezes is silent until somebody heals it, and that is nobody here.
	awk -v gap="$gap" -v limit=$((2000 * patience)) 'BEGIN { exit !(gap > 0 && gap < limit) }' || fail "a silence of $gap ms; $said"
	((numbers > 100 && pings > 100)) || fail "nothing was measured: $numbers numbers, $pings pings"
}

@test "ssh: how long the session's packets are held up" {
	config wg0 "PostUp = nsenter -t 1 -n bash -c 'ip route replace default via 192.0.2.66; sleep 60'"
	measure "quiet" "sleep 1"
	measure "one tampering" "wg-nsquick up wg0 --hooks open; echo status \$?"
	[[ $said == *"status 193"* ]] || fail "$said"
	assert_host_unchanged
	local often=10
	[[ -z ${WG_NSQUICK_LONG-} ]] || often=100
	[[ -z ${WG_NSQUICK_VM-} ]] || often=3
	measure "$often tamperings in one session" "for ((i = 0; i < $often; i++)); do wg-nsquick up wg0 --hooks open; echo status \$?; done"
	assert_equal "$(grep -c '^status 193$' <<< "$said")" $often
	assert_host_unchanged
	assert_clean
}

# bats test_tags=long
@test "ssh: a plain tunnel, up and down, leaves the session undisturbed" {
	config wg0
	measure "up and down" "for i in {1..3}; do wg-nsquick up wg0; echo status \$?; wg-nsquick down wg0; echo status \$?; done"
	assert_equal "$(grep -c '^status 0$' <<< "$said")" 6
	[[ $said != *"guard:"* ]] || fail "$said"
	((lost <= pings / 100)) || fail "$lost pings lost"
	assert_host_unchanged
	assert_clean
}
