#!/usr/bin/env bats
# The guard: what is done to the host's routing, in which hook, and by which way in; undone,
# named, and everything of ours rolled back. What must not trip it is in 71-noise.bats.
# shellcheck disable=SC2016,SC2034,SC2154

setup_file() {
	load lib/host
	host_up
	# A second uplink, and all kinds of things that a host may have.
	ip link add veth1 type veth peer name eth1 netns prov
	ip link set veth1 addrgenmode none
	ip addr add 198.51.100.2/24 dev veth1
	ip link set veth1 up
	ip -n prov link set eth1 up
	ip nexthop add id 7 via 192.0.2.1 dev veth0
	ip nexthop add id 8 via 198.51.100.1 dev veth1
	ip route add 203.0.113.0/24 nhid 7
	ip route add default via 198.51.100.1 metric 50
	ip route add 10.50.0.0/16 via 192.0.2.1 mtu 1300
	ip route append 10.50.0.0/16 via 198.51.100.1
	ip -6 route add default via 2001:db8::1
	ip route add table 100 default via 198.51.100.1
	ip rule add from 198.51.100.2 table 100 pref 1000
	ip rule add table main suppress_prefixlength 0 pref 2000
	ip netns attach hostns 1
	host_remember
}

teardown_file() {
	load lib/host
	ip netns del hostns
	host_down
	ip link del veth1 2> /dev/null || true
	ip rule del pref 1000
	ip rule del pref 2000
}

setup() {
	load lib/host
	OWN_NETNS=hostns
}

teardown() {
	rm -f /etc/wg-nsquick.d/* /run/in-hook
	[[ -e /run/netns/wg0 ]] && wg-nsquick down wg0 --guard off --hooks none > /dev/null 2>&1 3>&-
	return 0
}

# The ways to wreck a host (guard-evidence 1.2), as commands for its namespace.
wrecks=(
	"ip route del default metric 0"
	"ip link set veth0 down"
	"ip link set veth0 down; ip link set veth0 up"
	"ip addr flush dev veth0"
	"ip link set veth1 down; ip link set veth1 mtu 1400 name odd0"
	"ip rule flush"
	"ip nexthop del id 7"
	"ip nexthop replace id 7 via 198.51.100.1 dev veth1"
	"ip rule add not fwmark 1 table 51820; ip route add default dev veth1 table 51820"
	"ip route replace default via 198.51.100.1"
	"ip route prepend 10.50.0.0/16 dev veth1"
	"ip route add 0.0.0.0/1 via 198.51.100.1; ip route add 128.0.0.0/1 via 198.51.100.1"
	"ip -6 route del default"
	"ip -6 addr del 2001:db8::2/64 dev veth0"
	"ip link set veth0 down; ip link set veth1 down; ip addr flush dev veth0; ip addr flush dev veth1; ip rule flush; ip nexthop flush"
)

# tripped HOOK COMMAND: with this hook the command of ours ends with 193, and the host is as it was.
tripped() {
	local kind=$1 command=$2
	config wg0 "$kind = $command; sleep 60"
	if [[ $kind == *Up ]]; then
		run timeout 30 wg-nsquick up wg0 --hooks open
		assert_failure 193
		assert_clean
	else
		wg-nsquick up wg0 --hooks open > /dev/null 2>&1 3>&-
		run timeout 30 wg-nsquick down wg0 --hooks open
		assert_failure 193
	fi
	assert_line --partial "guard: the host's network changed during"
	assert_line --regexp "guard: the host is as it was before .(up|down)'"
	assert_host_unchanged
	pgrep -f '^sleep 60' && fail "the hook's process is still there"
	[[ $kind == PreDown ]] && wg-nsquick down wg0 --hooks none > /dev/null 2>&1 3>&-
	assert_clean
}

hooks=(PreUp PostUp PreDown PostDown)

# way N COMMANDS: the hook's text that runs them on the host, by another way in each.
way() {
	case $1 in
	0) printf "nsenter -t 1 -n bash -c '%s'" "$2" ;;
	1) printf "ip netns exec hostns bash -c '%s'" "$2" ;;
	2) printf "unshare -m bash -c \"mount -t proc proc /mnt; nsenter --net=/mnt/1/ns/net bash -c '%s'\"" "$2" ;;
	3) printf "%s enter pidfd 1 bash -c '%s'" "$BUILD_DIR/tests/setns-tool" "$2" ;;
	4) printf "%s" "${2//ip /ip -n hostns }" ;;
	esac
}

# With WG_NSQUICK_LONG (make check-guard), each in all hooks and by all ways; else each in one and by one, no pair twice.
@test "guard: every wreck, over the hooks and the ways in" {
	local i hook way
	for i in "${!wrecks[@]}"; do
		for hook in 0 1 2 3; do
			for way in 0 1 2 3 4; do
				[[ -n ${WG_NSQUICK_LONG-} ]] || ((hook == i % 4 && way == i % 5)) || continue
				echo "$i ${hooks[hook]} $way: ${wrecks[i]}"
				tripped "${hooks[hook]}" "$(way "$way" "${wrecks[i]}")"
			done
		done
	done
}

@test "guard: the interface pushed to the host is deleted there" {
	config wg0 "PostUp = ip link set %i netns 1; sleep 60"
	run timeout 30 wg-nsquick up wg0
	assert_failure 193
	run ip link show wg0
	assert_failure
	assert_host_unchanged
	assert_clean
}

# bats test_tags=long
@test "guard: a bare link that a hook makes on the host is its, and goes; a container's beside it does not" {
	# Whoever makes it must be seen when it starts or while it runs, and is gone within milliseconds: on a busy machine that takes more than one try at times.
	local make tries
	for make in "nsenter -t 1 -n ip link add bare0 type bridge" "nsenter -t 1 -n ip tuntap add bare0 mode tun" \
		"nsenter -t 1 -n ip link add bare0 type veth peer name bare1" "ip link add bare0 netns 1 type bridge" "echo link add bare0 netns 1 type bridge | ip -batch -"; do
		config wg0 "PreUp = $make; sleep 0.2; :"
		for ((tries = 0; tries < 10; tries++)); do
			run timeout 30 wg-nsquick up wg0 --hooks open
			((status != 193)) || break
			wg-nsquick down wg0 > /dev/null 2>&1
			ip link del bare0
		done
		assert_failure 193
		assert_line --regexp "added: link bare0 .*(probably by process [0-9]+ \((ip[^)]*|${make#*-n })\) of|while) .${make//|/\\|}; sleep 0.2; :'.*deleted"
		assert_host_unchanged
		assert_clean
	done
	mkfifo /run/made
	config wg0 "PostUp = touch /run/in-hook; nsenter -t 1 -n timeout 20 cat /run/made"
	bash -c 'until [[ -e /run/in-hook ]]; do sleep 0.05; done; ip link add br9 type bridge; sleep 0.3; echo > /run/made' > /dev/null 2>&1 3>&- &
	run wg-nsquick up wg0 --hooks open
	rm /run/made
	assert_success
	refute_output --partial "guard:"
	ip link del br9
}

@test "guard: what a hook that is kept in its namespace writes to the host's /sys is undone" {
	local flags
	# Up, but without multicast: IPv6 finds nobody then.
	flags=$(printf '0x%x' $(($(< /sys/class/net/veth0/flags) & ~0x1000)))
	config wg0 "PostUp = echo $flags > /proc/1/root/sys/class/net/veth0/flags; sleep 60"
	run timeout 30 wg-nsquick up wg0
	assert_failure 193
	assert_line --partial "changed: link veth0: multicast on -> off"
	assert_host_unchanged
	config wg0 "PostUp = echo 1400 > /proc/1/root/sys/class/net/veth0/mtu; sleep 60"
	run timeout 30 wg-nsquick up wg0
	assert_failure 193
	assert_line --partial "changed: link veth0: mtu 1500 -> 1400"
	assert_host_unchanged
	assert_clean
}

@test "guard: a descriptor of the host's namespace, held by who started us, reaches no hook" {
	config wg0 "PostUp = nsenter --net=/proc/self/fd/9 ip route del default metric 0"
	exec 9< /proc/1/ns/net
	run wg-nsquick up wg0 --hooks open
	exec 9<&-
	assert_failure
	assert_output --partial "/proc/self/fd/9"
	assert_host_unchanged
	assert_clean
}

@test "guard: a daemon of the host, asked over a socket: nobody we know, so it was us" {
	python3 - > /dev/null 2>&1 3>&- <<-'END' &
		import os, socket, subprocess
		s = socket.socket(socket.AF_UNIX)
		s.bind("/run/ask"); s.listen(9)
		while True:
		    c, _ = s.accept()
		    subprocess.run(c.recv(999), shell=True); c.close()
	END
	local daemon=$!
	timeout 60 bash -c 'until [[ -S /run/ask ]]; do sleep 0.1; done'
	config wg0 "PostUp = python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect(\"/run/ask\"); s.send(b\"ip route del default metric 0\"); s.recv(1)'; sleep 60"
	run timeout 30 wg-nsquick up wg0
	kill $daemon
	rm -f /run/ask
	assert_failure 193
	assert_line --partial "removed: route default via 192.0.2.1"
	assert_host_unchanged
	assert_clean
}

# bats test_tags=long
@test "guard: what was sent to a gateway that stood for a moment does not wait for it" {
	# As if a packet had gone out in that moment: the entry would hold it, and TCP behind it, for 3 s.
	ping -c 1 -W 1 192.0.2.78 > /dev/null 3>&- &
	timeout 60 bash -c 'until ip neigh show 192.0.2.78 | grep -q INCOMPLETE; do sleep 0.02; done'
	run wg-nsquick guard -- ip route add 0.0.0.0/1 via 192.0.2.78
	assert_failure 193
	run ip neigh show 192.0.2.78
	refute_output --partial "INCOMPLETE"
	# What the admin has set stays.
	ip neigh add 192.0.2.79 lladdr 02:00:00:00:00:79 dev veth0
	run wg-nsquick guard -- ip route add 0.0.0.0/1 via 192.0.2.79
	assert_failure 193
	run ip neigh show 192.0.2.79
	assert_output --partial "PERMANENT"
	ip neigh del 192.0.2.79 dev veth0
	assert_host_unchanged
}

@test "guard: the message names object, command and what was done; restored before the hook ends" {
	# A last command takes the shell's place, and with that the hook's words are gone: `:' is the last.
	config wg0 "PostUp = nsenter -t 1 -n ip route del default metric 0; nsenter -t 1 -n ip route show default > /run/seen; sleep 60; :"
	run timeout 30 wg-nsquick up wg0 --hooks open
	assert_failure 193
	assert_line --regexp "guard: the host's network changed during .up': removed: route default via 192.0.2.1 dev veth0 \(IPv4, table main\); (asked for by process [0-9]+( \(ip( route del default metric 0)?\))? of|while) .nsenter -t 1 -n ip route del .*put back"
}

@test "guard: background children and double forks are ended too" {
	config wg0 "PostUp = (setsid bash -c 'sleep 0.3; nsenter -t 1 -n ip route del default metric 0; sleep 60' &) ; sleep 60"
	run timeout 30 wg-nsquick up wg0 --hooks open
	assert_failure 193
	assert_host_unchanged
	pgrep -f 'sleep 60' && fail "still there"
	assert_clean
}

# bats test_tags=long
@test "guard: what threads of a hook's have started ends too" {
	config wg0 'PostUp = python3 -c "import subprocess, threading; t = threading.Thread(target=lambda: subprocess.run([\"setsid\", \"sleep\", \"61\"])); t.start(); subprocess.run([\"nsenter\", \"-t\", \"1\", \"-n\", \"ip\", \"route\", \"del\", \"default\", \"metric\", \"0\"]); t.join()"'
	run timeout 30 wg-nsquick up wg0 --hooks open
	assert_failure 193
	pgrep -f '^sleep 61' && fail "still there"
	run timeout 30 wg-nsquick guard -- python3 -c 'import signal, subprocess, threading; t = threading.Thread(target=lambda: subprocess.run(["sleep", "61"])); t.start(); subprocess.run("ip route del default metric 0".split()); t.join()'
	assert_failure 193
	pgrep -f '^sleep 61' && fail "still there"
	assert_host_unchanged
	assert_clean
}

@test "guard: a change taken back by the hook itself is seen all the same" {
	config wg0 "PostUp = nsenter -t 1 -n bash -c 'ip route add 198.18.0.0/15 dev veth0; ip route del 198.18.0.0/15 dev veth0'"
	run timeout 30 wg-nsquick up wg0 --hooks open
	assert_failure 193
	assert_line --partial "198.18.0.0/15"
	assert_host_unchanged
}

@test "guard: more changes than any buffer holds" {
	config wg0 "PostUp = for i in {1..30000}; do echo route add 198.18.\$((i / 256)).\$((i % 256)) dev veth0; done | nsenter -t 1 -n ip -batch -; sleep 60"
	run timeout 60 wg-nsquick up wg0 --hooks open
	assert_failure 193
	assert_host_unchanged
	assert_clean
}

@test "guard: /etc/resolv.conf of the host, changed in place by a process of ours, is put back" {
	local before
	before=$(cat /etc/resolv.conf)
	config wg0 "PostUp = echo 'nameserver 9.9.9.9' > /proc/1/root/etc/resolv.conf; sleep 60"
	run timeout 30 wg-nsquick up wg0
	assert_failure 193
	assert_line --partial "guard: /etc/resolv.conf changed during \`up' by process"
	assert_equal "$(cat /etc/resolv.conf)" "$before"
	assert_clean
}

# bats test_tags=long
@test "guard: /etc/resolv.conf changed by somebody else: said, and left as it is" {
	local before
	before=$(cat /etc/resolv.conf)
	rm -f /run/in-hook /run/written
	config wg0 "PostUp = touch /run/in-hook; until [[ -e /run/written ]]; do sleep 0.1; done"
	bash -c 'until [[ -e /run/in-hook ]]; do sleep 0.1; done; echo "nameserver 192.0.2.54" > /etc/resolv.conf; touch /run/written' 3>&- &
	run wg-nsquick up wg0
	assert_success
	assert_line --partial "not by this run as far as can be seen: left as it is"
	assert_equal "$(cat /etc/resolv.conf)" "nameserver 192.0.2.54"
	echo "$before" > /etc/resolv.conf
}

@test "guard levels: warn tells who did what, and leaves it; off is silent; strict knows no harmless change" {
	config wg0 "PostUp = nsenter -t 1 -n ip route add 198.18.0.0/15 dev veth0"
	run wg-nsquick up wg0 --hooks open --guard warn
	assert_success
	assert_line --regexp "198.18.0.0/15.*level is warn: left as it is"
	wg-nsquick down wg0 > /dev/null 2>&1
	ip route del 198.18.0.0/15
	run wg-nsquick up wg0 --hooks open --guard off
	assert_success
	refute_output --partial "guard:"
	wg-nsquick down wg0 > /dev/null 2>&1
	ip route del 198.18.0.0/15
	config wg0 "PostUp = nsenter -t 1 -n sysctl -qw net.ipv4.conf.veth1.forwarding=1; nsenter -t 1 -n sysctl -qw net.ipv4.conf.veth1.forwarding=0"
	run wg-nsquick up wg0 --hooks open --guard strict
	assert_success
	wg-nsquick down wg0 > /dev/null 2>&1
	config wg0 "PostUp = nsenter -t 1 -n nft add table inet odd"
	run wg-nsquick up wg0 --hooks open --guard strict
	assert_failure 194
	assert_line --partial "the packet filter's rules"
	nft delete table inet odd
	assert_host_unchanged
	assert_clean
}

# bats test_tags=long
@test "guard levels: a word that is none is an error before anything" {
	config wg0 "PreUp = touch /run/in-hook"
	run wg-nsquick up wg0 --guard paranoid
	assert_failure 1
	assert_output "wg-nsquick: \`paranoid' is not a guard level; expected off, warn, default or strict"
	printf '[guard]\nlevel = paranoid\n' > /etc/wg-nsquick.d/wg0.conf
	run wg-nsquick up wg0
	assert_failure 1
	printf '[guard]\nforeign =\n' > /etc/wg-nsquick.d/wg0.conf
	run wg-nsquick up wg0
	assert_failure 1
	assert_output --partial "/etc/wg-nsquick.d/wg0.conf:2:"
	[[ ! -e /run/in-hook ]]
}

@test "guard COMMAND: what it does to this host's reachability is undone; status 193" {
	local wreck
	for wreck in "ip route del default metric 0" "ip link set veth0 down" "ip addr flush dev veth0" "ip route add 0.0.0.0/1 dev veth1" \
		"ip rule add pref 10 table 100" "ip link set veth1 down; ip link set veth1 name odd0" "ip -6 route replace default dev veth1 metric 1"; do
		run timeout 30 wg-nsquick guard -- bash -c "$wreck; sleep 60"
		assert_failure 193
		assert_line --partial "guard: the host is as it was before"
		assert_host_unchanged
	done
}

@test "guard COMMAND: what it did before and after the harm goes back too, harmless by itself or not" {
	run timeout 30 wg-nsquick guard -- bash -c 'ip rule add pref 3000 from 198.51.100.9 table 100
		trap "ip rule del pref 2000; exit 1" TERM
		ip route del default metric 0
		sleep 60 & wait'
	assert_failure 193
	assert_line --partial "guard: the host is as it was before"
	assert_host_unchanged
}

# bats test_tags=long
@test "guard COMMAND: what is harmless stays; the command's own status, words and signals" {
	run wg-nsquick guard -- ip route add 10.77.0.0/16 via 192.0.2.1
	assert_success
	assert_output ""
	run ip route del 10.77.0.0/16
	assert_success
	run wg-nsquick guard -- bash -c 'echo "$0 $1"; exit 42' a "b c"
	assert_failure 42
	assert_output "a b c"
	run -127 wg-nsquick guard -- no-such-command
	run wg-nsquick guard -- /etc/passwd
	assert_failure 126
	run wg-nsquick guard --level loud -- true
	assert_failure 1
	assert_output --partial "is not a guard level"
	run wg-nsquick guard
	assert_failure 1
	run wg-nsquick guard --lvel strict -- touch /run/in-hook
	assert_failure 1
	assert_output "wg-nsquick: \`--lvel' is not an option of guard; expected --level off, warn, default or strict, or a COMMAND of that name behind --"
	[[ ! -e /run/in-hook ]]
	wg-nsquick guard -- sleep 60 3>&- &
	wait_until "the command" pgrep -f '^sleep 60'
	kill -TERM $!
	wait $! || true
	pgrep -f '^sleep 60' && fail "the command did not get the signal"
	assert_host_unchanged
}

@test "guard COMMAND: a signal reaches it once, and as what it was: from the terminal, and from elsewhere" {
	local signal
	cat > /run/tell <<-'END'
		#!/usr/bin/python3
		import os, signal, time
		come = []
		def got(number, frame):
		    come.append(number)
		    os.write(1, b"got %s\n" % signal.Signals(number).name.encode())
		for name in "INT", "QUIT", "TERM", "HUP":
		    signal.signal(getattr(signal, "SIG" + name), got)
		os.write(1, b"ready\n")
		while not come:
		    time.sleep(0.02)
		# A second one would be on its way.
		time.sleep(0.3)
	END
	chmod +x /run/tell
	run "$BATS_TEST_DIRNAME/lib/pty" -i $'\003' -w ready env --default-signal=INT,QUIT wg-nsquick guard -- /run/tell 3>&-
	assert_success
	assert_output $'ready\ngot SIGINT'
	run "$BATS_TEST_DIRNAME/lib/pty" -i $'\034' -w ready env --default-signal=INT,QUIT wg-nsquick guard -- /run/tell 3>&-
	assert_success
	assert_output $'ready\ngot SIGQUIT'
	for signal in INT QUIT TERM HUP; do
		rm -f /run/told
		env --default-signal=INT,QUIT wg-nsquick guard -- /run/tell > /run/told 2>&1 3>&- &
		run=$!
		wait_until "the command" grep -qs ready /run/told
		kill -s "$signal" "$run"
		ends_with 0
		assert_equal "$(cat /run/told)" $'ready\n'"got SIG$signal"
	done
}

# Does harm, and more of it after that was undone, and does not end when it is told.
unending() { echo 'trap "" TERM; exec 2> /dev/null; ip route del default metric 0; sleep 0.3; ip link set veth0 mtu 1300; touch /run/in-hook; sleep 60'; }

is_as_before() { diff "$BATS_FILE_TMPDIR/host.before" <(host_state); }

# unread KIND: starts it beneath a guard whose messages nobody reads.
unread() {
	rm -f /run/go /run/in-hook
	"$BATS_TEST_DIRNAME/lib/unread" "$1" /run/go wg-nsquick guard -- bash -c "$2" > "$BATS_TEST_TMPDIR/said" 3>&- &
	run=$!
	wait_until "the harm" test -e /run/in-hook
	wait_until "the host as it was" is_as_before
}

ends_with() {
	status=0
	wait "$run" || status=$?
	assert_equal "$status" "$1"
}

@test "guard COMMAND: nobody reads what it says (a terminal that was stopped, a pager): the host is put back all the same, and the rest is said later" {
	local kind
	for kind in pipe socket pty; do
		unread "$kind" "$(unending)"
		wait_until "the command's end" bash -c '! pgrep -f "^sleep 60"'
		run pgrep -x wg-nsquick
		assert_success
		touch /run/go
		ends_with 193
		run cat "$BATS_TEST_TMPDIR/said"
		assert_line --index 0 --partial "guard: the host's network changed during \`bash': removed: route default"
		assert_line --index -1 --partial "guard: the host is as it was before \`bash'"
		assert_host_unchanged
	done
}

@test "guard COMMAND: nobody reads what it says: a signal ends it all the same, during the command and after it" {
	unread pipe "$(unending)"
	pkill -TERM -o -x wg-nsquick
	ends_with 193
	unread pty "$(unending)"
	wait_until "the command's end" bash -c '! pgrep -f "^sleep 60"'
	wait_until "the worker's end" bash -c '(($(pgrep -c -x wg-nsquick) == 1))'
	pkill -TERM -x wg-nsquick
	ends_with 193
	assert_host_unchanged
}

@test "guard COMMAND: nobody reads what it says, and the supervisor is killed: the worker puts the host back, and a signal ends it" {
	unread pipe "trap '' TERM; kill -KILL \$(awk '/PPid/ { print \$2 }' /proc/\$PPID/status); $(unending)"
	wait_until "the command's end" bash -c '! pgrep -f "^sleep 60"'
	assert_host_unchanged
	pkill -TERM -x wg-nsquick
	wait_until "the worker's end" bash -c '! pgrep -x wg-nsquick'
	touch /run/go
}

@test "guard -- wg-quick up: a full tunnel in the host's own namespace is undone; a split one is kept" {
	config wq0
	run timeout 60 wg-nsquick guard -- wg-quick up wq0
	assert_failure 193
	assert_host_unchanged
	run ip link show wq0
	assert_failure
	ALLOWED=10.9.0.0/24 ADDRESS=10.9.0.2/24 config wq0
	run timeout 60 wg-nsquick guard -- wg-quick up wq0
	assert_success
	run ping -c 1 -W 20 10.9.0.1
	assert_success
	wg-quick down wq0 2> /dev/null
	assert_host_unchanged
}

@test "guard: blind from the beginning: 195, and nothing was done; blind at the end: 195, and said" {
	local calls
	# What the kernel is asked goes by sendto(2).
	run strace -o /dev/null -e trace=sendto -e inject=sendto:error=EIO:when=1+ wg-nsquick guard -- touch /run/in-hook
	assert_failure 195
	assert_line --partial "guard: cannot read the host's routing: Input/output error; nothing was done"
	[[ ! -e /run/in-hook ]]
	calls=$(strace -e trace=sendto wg-nsquick guard -- sleep 0 2>&1 | grep -n -m 1 SIGCHLD | cut -d: -f1)
	run strace -o /dev/null -e trace=sendto -e inject=sendto:error=EIO:when="$calls"+ wg-nsquick guard -- touch /run/in-hook
	assert_failure 195
	assert_line --partial "guard: cannot read the host's routing any more: Input/output error"
	[[ -e /run/in-hook ]]
	assert_host_unchanged
}

@test "after all of this the host is the same" {
	assert_host_unchanged
}
