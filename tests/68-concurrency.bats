#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031
# Many at once, the same at once, one against the other, and again and again.

setup_file() {
	load lib/host
	host_up
	host_remember
}

teardown_file() {
	load lib/host
	host_down
}

setup() {
	load lib/host
	rm -rf /run/at-once
	mkdir -p /run/at-once
}

teardown() {
	local file
	pkill -KILL -f '^sleep 54321' || true
	for file in /etc/wireguard/*.conf; do
		wg-nsquick down "$(basename "$file" .conf)" > /dev/null 2>&1 || true
	done
	rm -f /etc/wireguard/*
	assert_clean
	assert_host_unchanged
}

# COMMAND NAME…: all at once, each one's words and status in /run/at-once.
at_once() {
	local command=$1 name n=0
	shift
	for name; do
		n=$((n + 1))
		{
			status=0
			wg-nsquick "$command" "$name" > "/run/at-once/$command.$n.words" 2>&1 || status=$?
			echo "$status" > "/run/at-once/$command.$n.status"
		} 3>&- &
	done
	wait
}

# COMMAND STATUS: how many ended so.
ended() { cat "/run/at-once/$1".*.status | grep -cx "$2" || :; }

words() { head -50 /run/at-once/*.words; }

names() { local i; for ((i = 1; i <= $1; i++)); do echo "many$i"; done; }

@test "64 tunnels go up at once, and down at once" {
	local name i=0
	mapfile -t many < <(names 64)
	for name in "${many[@]}"; do
		i=$((i + 1))
		KEY=$(wg genkey) ADDRESS=10.66.$i.2/32 ALLOWED=10.66.$i.0/24 config "$name" "DNS = 10.66.$i.1"
	done
	at_once up "${many[@]}"
	assert_equal "$(ended up 0)" 64 || { words; false; }
	i=0
	for name in "${many[@]}"; do
		i=$((i + 1))
		run ip -n "$name" -br addr show "$name"
		assert_output --partial "10.66.$i.2/32"
		assert_equal "$(grep -c "^nameserver 10.66.$i.1$" "/etc/netns/$name/resolv.conf")" 1
	done
	at_once down "${many[@]}"
	assert_equal "$(ended down 0)" 64 || { words; false; }
	assert_clean
}

@test "32 tunnels of one namespace go up at once, and down at once: it goes with the last" {
	local name i=0
	mapfile -t many < <(names 32)
	for name in "${many[@]}"; do
		i=$((i + 1))
		KEY=$(wg genkey) ADDRESS=10.66.$i.2/32 ALLOWED=10.66.$i.0/24 config "$name" "DNS = 10.66.$i.1"
		printf '[tunnel]\nnetns = shared\n' > "/etc/wg-nsquick.d/$name.conf"
	done
	at_once up "${many[@]}"
	assert_equal "$(ended up 0)" 32 || { words; false; }
	assert_equal "$(grep -c '^nameserver' /etc/netns/shared/resolv.conf)" 32
	assert_equal "$(ip -n shared -br link show | grep -c many)" 32
	at_once down "${many[@]}"
	assert_equal "$(ended down 0)" 32 || { words; false; }
	rm -f /etc/wg-nsquick.d/*
	assert_clean
}

@test "16 of the same at once: one wins, the others are refused and leave it alone" {
	local same=()
	config wg0 "PostUp = echo up >> /run/at-once/hooks"
	for ((i = 0; i < 16; i++)); do same+=(wg0); done
	at_once up "${same[@]}"
	assert_equal "$(ended up 0) $(ended up 1)" "1 15" || { words; false; }
	assert_equal "$(wc -l < /run/at-once/hooks)" 1
	# Each with a word for it.
	assert_equal "$(grep -lE 'already exists|is being brought up or down' /run/at-once/up.*.words | wc -l)" 15
	run ip -n wg0 -br addr show wg0
	assert_output --partial "10.9.0.2/24"
	at_once down "${same[@]}"
	assert_equal "$(ended down 0) $(ended down 1)" "1 15" || { words; false; }
	assert_clean
}

@test "one key by many names at once: one wins" {
	local name
	mapfile -t many < <(names 8)
	for name in "${many[@]}"; do config "$name" "PostUp = echo up >> /run/at-once/hooks"; done
	at_once up "${many[@]}"
	assert_equal "$(ended up 0) $(ended up 1)" "1 7" || { words; false; }
	assert_equal "$(wc -l < /run/at-once/hooks)" 1
	assert_equal "$(grep -lF 'a device with this public key already exists' /run/at-once/up.*.words | wc -l)" 7
}

@test "one key by two names: the slower one finds out when the other is up before it has begun, unless forced" {
	local forced pid
	config wg0
	config wg1
	for forced in "" --force; do
		# Just before its namespace is made.
		strace -f -b execve -o /run/at-once/trace -e trace=unshare -e inject=unshare:signal=STOP:when=1 \
			wg-nsquick up wg0 $forced > /run/at-once/words 2>&1 3>&- &
		pid=$!
		wait_until "the stop" grep -F 'stopped by SIGSTOP' /run/at-once/trace
		wg-nsquick up wg1
		pkill -CONT -x wg-nsquick
		if [[ $forced ]]; then
			wait "$pid"
			wg-nsquick down wg0
		else
			status=0
			wait "$pid" || status=$?
			assert_equal "$status" 1
			grep -F "wg-nsquick: wg0: a device with this public key already exists: \`wg1' in wg1; two of them take each other's session (--force does it all the same)" /run/at-once/words
			assert [ ! -e /run/netns/wg0 ]
		fi
		wg-nsquick down wg1
		assert_clean
	done
}

@test "up against down: whoever wins, it is all there or all gone" {
	local round
	config wg0 'PreUp = :' 'PostDown = :'
	for ((round = 0; round < 8; round++)); do
		((round % 2)) && { run wg-nsquick up wg0; assert_success; }
		{ wg-nsquick up wg0; wg-nsquick up wg0; } > /dev/null 2>&1 3>&- &
		{ wg-nsquick down wg0; wg-nsquick down wg0; } > /dev/null 2>&1 3>&- &
		wg-nsquick recover > /dev/null 2>&1
		wait
		if [[ -e /run/netns/wg0 ]]; then
			run ip -n wg0 -br addr show wg0
			assert_output --partial "10.9.0.2/24"
			run ip -n wg0 -4 route show default
			assert_output --partial "dev wg0"
			run wg-nsquick down wg0
			assert_success
		fi
		assert_clean
	done
}

@test "another run of ours that is on its way out is no inhabitant: down waits for it, and takes the namespace" {
	config wg0
	wg-nsquick up wg0
	mkfifo "$BATS_TEST_TMPDIR/late.conf"
	# It stands there until somebody writes.
	ip netns exec wg0 "$WG_NSQUICK" check "$BATS_TEST_TMPDIR/late.conf" > /dev/null 2>&1 3>&- &
	timeout 20 bash -c 'until [[ -n $(ip netns pids wg0) ]]; do sleep 0.02; done'
	(sleep 0.4; : > "$BATS_TEST_TMPDIR/late.conf") 3>&- &
	run wg-nsquick down wg0
	assert_success
	refute_output --partial "stays for the programs in it"
	assert_clean
	wait
}

@test "two tunnels of one namespace, down in either order and at once" {
	local order
	config wg0 "DNS = 10.9.0.1"
	KEY=$(wg genkey) ADDRESS=10.8.0.2/32 ALLOWED=10.8.0.0/24 config wg1 "DNS = 10.8.0.1"
	printf '[tunnel]\nnetns = wg0\n' > /etc/wg-nsquick.d/wg1.conf
	for order in "wg0 wg1" "wg1 wg0" both; do
		run wg-nsquick up wg0
		assert_success
		run wg-nsquick up wg1
		assert_success
		if [[ $order == both ]]; then
			at_once down wg0 wg1
			assert_equal "$(ended down 0)" 2 || { words; false; }
		else
			run wg-nsquick down "${order% *}"
			assert_success
			run ip -n wg0 link show "${order#* }"
			assert_success
			assert_equal "$(grep -c '^nameserver' /etc/netns/wg0/resolv.conf)" 1
			run wg-nsquick down "${order#* }"
			assert_success
		fi
		assert_clean
	done
	rm -f /etc/wg-nsquick.d/*
}

# wg-nsquick's arguments: begins it, with words and status in /run/at-once. Its process is the oldest of that name.
begin() {
	rm -f /run/at-once/status
	{
		status=0
		wg-nsquick "$@" > /run/at-once/words 2>&1 || status=$?
		echo "$status" > /run/at-once/status
	} 3>&- &
}

signal() { pkill "-$1" -o -x wg-nsquick; }

# STATUS: it ends so, and soon.
ends() {
	timeout 20 bash -c 'until [[ -s /run/at-once/status ]]; do sleep 0.05; done' || { pkill -KILL -f '^sleep 54321'; pkill -KILL -x wg-nsquick; fail "deaf"; }
	assert_equal "$(cat /run/at-once/status)" "$1"
}

# LOCK-FILE SIGNAL COMMAND: with that locked by somebody else, the signal ends it soon, with its word.
gives_up() {
	local lock=$1 signal=$2
	shift 2
	flock "$lock" sleep 54321 3>&- &
	timeout 20 bash -c 'until pgrep -f "^sleep 54321" > /dev/null; do sleep 0.05; done'
	begin "$@"
	timeout 20 bash -c 'until grep -qF "[!] waiting for $1, which another program has locked" /run/at-once/words; do sleep 0.1; done' - "$lock" ||
		fail "it does not wait: $(cat /run/at-once/words)"
	signal "$signal"
	ends 1
	pkill -KILL -f '^sleep 54321'
	run cat /run/at-once/words
	assert_line "wg-nsquick: interrupted while it waited for $lock, which another program has locked"
}

@test "somebody else's lock is waited for, and a signal ends that: up leaves nothing, down leaves it to recover" {
	local signal lock
	config wg0 "DNS = 10.9.0.1" 'PostUp = :'
	wg-nsquick up wg0
	wg-nsquick down wg0
	for signal in TERM INT; do
		for lock in /run/netns /run/wg-nsquick/lock; do
			[[ $lock == /run/wg-nsquick/lock ]] || gives_up "$lock" "$signal" up wg0
			assert_clean
			wg-nsquick up wg0
			gives_up "$lock" "$signal" down wg0
			run wg-nsquick recover
			assert_success
			assert_line --partial "undoing what an interrupted run left"
			assert_clean
		done
	done
}

@test "a signal while a namespace that a hook made is handed over, and somebody else has the lock: up leaves nothing" {
	config wg0 "PreUp = ip netns add early"
	rm -f /run/at-once/status
	{
		status=0
		# Time for somebody else between the two publications.
		strace -f -qq -o /dev/null -e trace=open_tree -e inject=open_tree:delay_enter=1000000 wg-nsquick up wg0 > /run/at-once/words 2>&1 || status=$?
		echo "$status" > /run/at-once/status
	} 3>&- &
	wait_until "the tunnel's own name" test -e /run/netns/wg0
	flock /run/netns sleep 54321 3>&- &
	wait_until "its word that it waits" grep -qF "[!] waiting for /run/netns, which another program has locked" /run/at-once/words
	signal TERM
	wait_until "its word that it gives up" grep -qF "interrupted while it waited for /run/netns" /run/at-once/words
	pkill -KILL -f '^sleep 54321'
	ends 1
	assert_clean
}

@test "somebody else's lock that the way back needs, too: a second signal leaves that to recover" {
	wait_for() { timeout 20 bash -c "until $1; do sleep 0.05; done"; }
	config wg0 "DNS = 10.9.0.1" 'PreUp = touch /run/at-once/pre; until [[ -e /run/at-once/held ]]; do sleep 0.05; done'
	begin up wg0
	wait_for '[[ -e /run/at-once/pre ]]'
	flock "/run/wg-nsquick/lock/shared lock" bash -c 'touch /run/at-once/held; exec sleep 54321' 3>&- &
	wait_for 'grep -q "waiting for /run/wg-nsquick/lock/shared lock" /run/at-once/words'
	signal TERM
	wait_for 'grep -q "interrupted while it waited for /run/wg-nsquick/lock/shared lock" /run/at-once/words'
	# The worker says so twice: once more for the way back.
	wait_for '[[ $(grep -c "waiting for" /run/at-once/words) == 2 ]]'
	signal INT
	ends 1
	pkill -KILL -f '^sleep 54321'
	run cat /run/at-once/words
	assert_line --partial "could not undo everything: Operation canceled; \`wg-nsquick recover' tries again"
	run wg-nsquick recover
	assert_success
	assert_clean
}

@test "somebody else's lock for the way of userspace interfaces" {
	config wg0
	WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go wg-nsquick up wg0
	wg-nsquick down wg0
	# With WireGuard in the kernel there is none.
	[[ $WG_KIND == go ]] || return 0
	gives_up "/run/wg-nsquick/lock/tun lock" TERM up wg0 --guard off
	assert_clean
}

@test "a signal after all is done is too late: status 0 and the tunnel, never another status and the tunnel" {
	local call line
	local -A count=()
	config wg0
	strace -qq -o /run/at-once/calls wg-nsquick up wg0
	wg-nsquick down wg0
	sed 's/(.*//' /run/at-once/calls > /run/at-once/names
	while read -r call; do
		count[$call]=$((${count[$call]-0} + 1))
		echo "$call ${count[$call]}"
	done < /run/at-once/names | grep -v exit_group | tail -16 > /run/at-once/last
	while read -r call line; do
		run timeout 30 strace -qq -o /dev/null -e trace="$call" -e inject="$call:signal=TERM:when=$line" wg-nsquick up wg0
		if [[ $status == 0 ]]; then
			run wg-nsquick down wg0
			assert_success
		fi
		assert_clean
	done < /run/at-once/last
}

# What cycles must not wear: each figure on a line. What others on this machine use counts only where there are none.
figures() {
	echo "mounts $(wc -l < /proc/1/mountinfo)"
	local processes=(/proc/[0-9]*)
	echo "processes ${#processes[@]}"
	echo "sockets $(grep -E '^(UDP|UDP6|TCP|RAW|sockets):' /proc/net/sockstat /proc/net/sockstat6 | tr -d '\n' | sed -E 's/(mem|alloc) [0-9]+//g')"
	echo "netlink $(wc -l < /proc/net/netlink)"
	# Not nf_conntrack_count, in which those are whose time is over.
	echo "conntrack $(grep -c . /proc/net/nf_conntrack)"
	echo "files $(find /run /etc/netns /var/lib/wg-nsquick -xdev ! -path '/run/bats*' ! -path '/run/at-once*' ! -path '/run/figures*' 2> /dev/null | grep -vc '/lock/')"
	[[ $WG_KIND == kernel ]] || return 0
	# A slab's free objects count as used until it is shrunk.
	echo 1 > /sys/kernel/slab/net_namespace/shrink
	echo "namespaces $(awk '$1 == "net_namespace" { print $2 }' /proc/slabinfo)"
	echo "descriptors $(($(cut -f 1 /proc/sys/fs/file-nr) / 64))"
}

# In kB, with what the kernel keeps for later given back first (only where we are alone); each processor's list of free pages is free, too.
free_memory() {
	if [[ $WG_KIND == kernel ]]; then
		sync
		echo 3 > /proc/sys/vm/drop_caches
	fi
	awk '/^MemFree/ { free += $2 } /^ +count:/ { free += $2 * 4 } END { print free }' /proc/meminfo /proc/zoneinfo
}

# bats test_tags=image
@test "cycles leave memory, descriptors, namespaces, mounts and conntrack as before" {
	local i number=${CYCLES:-20} free
	config wg0 "DNS = 10.9.0.1" 'PreUp = :' 'PostUp = :' 'PreDown = :' 'PostDown = :'
	cycle() { wg-nsquick up wg0 > /run/at-once/out 2>&1 && wg-nsquick down wg0 > /run/at-once/out 2>&1; }
	# Connections are tracked where a rule asks for them, and forgotten after their time.
	nft 'table inet cycles { chain out { type filter hook output priority 0; ct state new counter; }; }'
	sysctl -qw net.netfilter.nf_conntrack_udp_timeout=1 net.netfilter.nf_conntrack_udp_timeout_stream=1
	# What is made once and stays.
	for ((i = 0; i < 3; i++)); do cycle; done
	sleep 1
	figures > /run/figures.before
	free=("$(free_memory)")
	for ((i = 1; i <= number; i++)); do
		cycle || fail "cycle $i: $(cat /run/at-once/out)"
		# Ten figures on the way: what is lost grows with each, what is kept for later does not.
		((i * 10 % number)) || free+=("$(free_memory)")
	done
	# The kernel takes its time with what a namespace had.
	for ((i = 0; i < 50; i++)); do
		figures > /run/figures.after
		cmp -s /run/figures.before /run/figures.after && break
		sleep 0.2
	done
	run diff /run/figures.before /run/figures.after
	assert_output ""
	run ! grep -v ' [0-9]' /run/figures.after
	nft delete table inet cycles
	echo "# $number cycles: free memory in kB, from the first to the last: ${free[*]}" >&3
	# A namespace alone has some 60 kB.
	[[ $WG_KIND != kernel ]] || assert [ "$((free[5] - free[10]))" -lt "$((number * 5 + 1000))" ]
}
