#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2031
# Hooks that do not behave: that never end, stay, close or fill their output, die; and
# files of hooks that somebody else could write.

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
}

teardown() {
	rm -f /etc/wg-nsquick.d/wg0.conf
	pkill -KILL -f '^sleep (54321|765)' || true
	wg-nsquick --hooks none down wg0 > /dev/null 2>&1 || true
	assert_clean
	assert_host_unchanged
}

settings() { printf '%s\n' "$@" > /etc/wg-nsquick.d/wg0.conf; }

# FUNCTION, until it succeeds; a process takes a moment to end.
soon() {
	local i tries=200
	[[ -z ${WG_NSQUICK_VM-} ]] || tries=550
	for ((i = 0; i < tries; i++)); do
		"$@" && return
		sleep 0.1
	done
	fail "not within its time: $*"
}

stays() { pgrep -f '^sleep 54321' > /dev/null; }
is_gone() { ! stays; }

# STATUS LINE…: `up` ends so, and leaves nothing.
up_fails() {
	local status=$1
	shift
	config wg0 "$@"
	run timeout 30 wg-nsquick up wg0
	assert_failure "$status"
	soon is_gone
	assert_clean
}

@test "timeout: a hook that never ends is ended with what it started, told, and everything is undone" {
	settings '[hooks]' 'timeout = 1'
	up_fails 124 'PostUp = sleep 54321 & sleep 54321'
	assert_line --partial "wg0.conf:4: PostUp did not end within 1 s, and was ended; expected one that does, or another \`timeout' in [hooks]"
}

@test "timeout: one that takes no notice of SIGTERM is killed" {
	settings '[hooks]' 'timeout = 1'
	up_fails 124 "PreUp = trap '' TERM; while :; do sleep 54321; done"
	assert_line --partial "PreUp did not end within 1 s"
}

@test "timeout, and the guard: a hook for which no descriptor is left is watched all the same" {
	settings '[hooks]' 'timeout = 1'
	config wg0 "PostUp = sleep 600"
	run timeout 60 strace -f -qq -o /dev/null -e trace=pidfd_open -e inject=pidfd_open:error=EMFILE wg-nsquick up wg0
	assert_failure 124
	settings '[hooks]' 'timeout = none'
	config wg0 "PostUp = nsenter -t 1 -n ip route del default; sleep 600"
	run timeout 60 strace -f -qq -o /dev/null -e trace=pidfd_open -e inject=pidfd_open:error=EMFILE wg-nsquick up wg0 --hooks open
	assert_failure 193
	run pgrep -x sleep
	assert_failure
	assert_clean
}

@test "timeout: who is in time is left alone; without a timeout a hook has all the time it wants" {
	settings '[hooks]' 'timeout = 20'
	config wg0 'PostUp = sleep 0.3; echo in time'
	run wg-nsquick up wg0
	assert_success
	assert_line "in time"
	run wg-nsquick down wg0
	assert_success
	settings '[hooks]' 'timeout = none'
	run wg-nsquick up wg0
	assert_success
	assert_line "in time"
}

@test "timeout: a PreDown that never ends stops down, as any that fails; PostDown does not keep anything" {
	settings '[hooks]' 'timeout = 1'
	config wg0 'PreDown = sleep 54321'
	run wg-nsquick up wg0
	assert_success
	run timeout 20 wg-nsquick down wg0
	assert_failure 124
	assert_line --partial "PreDown did not end within 1 s"
	run ip netns exec wg0 ip link show wg0
	assert_success
	config wg0 'PostDown = sleep 54321'
	run timeout 20 wg-nsquick down wg0
	assert_failure 124
	assert_line --partial "PostDown did not end within 1 s"
	soon is_gone
	assert_clean
}

@test "timeout: wrong values are refused with the line and what was expected" {
	local value
	config wg0
	for value in 0 -1 90000 soon 1s ''; do
		settings '[hooks]' "timeout = $value"
		run wg-nsquick up wg0
		assert_failure 1
		assert_output --partial "wg0.conf:2: \`$value' is not a value of timeout in [hooks]; expected none, or seconds from 1 to 86400"
	done
}

@test "a hook that forks twice and stays: left alone after success" {
	config wg0 'PostUp = (setsid sleep 54321 < /dev/null > /dev/null 2>&1 &)'
	run wg-nsquick up wg0
	assert_success
	stays || fail "it was ended"
	run wg-nsquick down wg0
	assert_success
	# Its namespace is its home for as long as it lives.
	stays || fail "down ended it"
	assert_line --partial "stays for the programs in it"
	pkill -KILL -f '^sleep 54321'
	soon is_gone
	run wg-nsquick recover
	assert_success
}

@test "a hook that forks twice and stays: ended when a later one fails" {
	up_fails 3 'PreUp = (setsid sleep 54321 < /dev/null > /dev/null 2>&1 &)' 'PostUp = (setsid setsid sleep 54321 &) ; exit 3'
}

# PATTERN PID: once that runs, both processes are killed at once.
killed_at() {
	soon pgrep -f "$1" > /dev/null
	kill_both
	wait "$2" || true
}

# recover, or the next up, by which a killed run is undone.
undo_by() {
	if [[ $1 == up ]]; then wg-nsquick up wg0; else wg-nsquick recover; fi
}

@test "what a finished up's hook started is left alone, too, when a down is killed and undone; what down's started is not" {
	local way
	for way in recover up; do
		config wg0 'PostUp = (setsid sleep 54321 < /dev/null > /dev/null 2>&1 &)' 'PostDown = sleep 765.4'
		wg-nsquick up wg0
		wg-nsquick down wg0 > /dev/null 2>&1 3>&- &
		killed_at '^sleep 765' $!
		[[ $way == recover ]] || config wg0
		run undo_by "$way"
		assert_success
		assert_line --partial "undoing what an interrupted run left"
		stays || fail "up's was ended"
		run pgrep -f '^sleep 765'
		assert_failure
		[[ $way == recover ]] || wg-nsquick down wg0
		pkill -KILL -f '^sleep 54321'
		soon is_gone
		wg-nsquick recover
	done
}

@test "a down that is killed while PreDown runs: the hook is ended and named by the next run, up's are not, and the tunnel is whole" {
	local way journal
	for way in recover down save; do
		config wg0 'PostUp = (setsid sleep 54321 < /dev/null > /dev/null 2>&1 &)' 'PreDown = sleep 765.4'
		wg-nsquick up wg0
		journal=$(sed '/^end/d' /run/wg-nsquick/tunnels/wg0@*)
		wg-nsquick down wg0 > /dev/null 2>&1 3>&- &
		killed_at '^sleep 765' $!
		config wg0
		if [[ $way == recover ]]; then run wg-nsquick recover; else run wg-nsquick "$way" wg0; fi
		assert_success
		assert_line --regexp "^\[!\] wg0: undoing what an interrupted down began: of its hooks are ended (bash \([0-9]+\), )?sleep \([0-9]+\)"
		refute_line --partial "an interrupted run"
		stays || fail "up's was ended"
		run pgrep -f '^sleep 765'
		assert_failure
		if [[ $way != down ]]; then
			run diff <(sed '/^end/d' /run/wg-nsquick/tunnels/wg0@*) - <<< "$journal"
			[[ $way == save ]] || assert_output ""
			run ip netns exec wg0 ip link show wg0
			assert_success
			wg-nsquick down wg0
		fi
		pkill -KILL -f '^sleep 54321'
		soon is_gone
		wg-nsquick recover
		assert_clean
	done
}

@test "what an earlier up's hook started is left alone when a later up of the same namespace is killed and undone" {
	ip netns add wg0
	config wg0 'PostUp = (setsid sleep 54321 < /dev/null > /dev/null 2>&1 &)'
	wg-nsquick up wg0
	wg-nsquick down wg0
	config wg0 'PostUp = sleep 765.4'
	wg-nsquick up wg0 > /dev/null 2>&1 3>&- &
	killed_at '^sleep 765' $!
	run wg-nsquick recover
	assert_success
	stays || fail "the earlier one was ended"
	run pgrep -f '^sleep 765'
	assert_failure
	pkill -KILL -f '^sleep 54321'
	ip netns del wg0
	wg-nsquick recover
}

@test "a tunnel whose journal tells of no run, as the previous version wrote it, goes down" {
	config wg0 'PostUp = :' 'PreDown = echo "$WG_NSQUICK_TUNNEL"'
	wg-nsquick up wg0
	sed -i '/^run /d; s/^end .*/end/' /run/wg-nsquick/tunnels/wg0@*
	run wg-nsquick down wg0
	assert_success
	assert_line --regexp '^wg0@[0-9a-f]+\.[0-9a-f]+$'
	assert_clean
}

@test "a hook's process without our environment is ended with the others, whoever undoes the up" {
	local hook way
	for hook in 'PreUp = (setsid env -i sleep 54321 < /dev/null > /dev/null 2>&1 &)' 'PostUp = (setsid env -i sleep 54321 < /dev/null > /dev/null 2>&1 &)'; do
		up_fails 3 "$hook" 'PostUp = exit 3'
		# The worker dies.
		config wg0 "$hook" 'PostUp = kill -9 $PPID; sleep 765.4'
		run wg-nsquick up wg0
		assert_failure
		soon is_gone
		assert_clean
		# The supervisor does.
		config wg0 "$hook" 'PostUp = sleep 765.4'
		wg-nsquick up wg0 > /dev/null 2>&1 3>&- &
		soon stays
		soon pgrep -f '^sleep 765' > /dev/null
		kill -KILL $!
		timeout 20 bash -c "while pgrep -x wg-nsquick > /dev/null; do sleep 0.1; done"
		soon is_gone
		assert_clean
		# Both do.
		for way in recover up; do
			config wg0 "$hook" 'PostUp = sleep 765.4'
			wg-nsquick up wg0 > /dev/null 2>&1 3>&- &
			soon stays
			killed_at '^sleep 765' $!
			[[ $way == recover ]] || config wg0
			run undo_by "$way"
			assert_success
			assert_line --partial "undoing what an interrupted run left"
			is_gone || fail "it goes on"
			refute_line --partial "loses its name"
			[[ $way == recover ]] || wg-nsquick down wg0
			assert_clean
		done
	done
}

@test "who came into the namespace by its name while up was at work is not ended when that is undone, but told of" {
	local pid up
	config wg0 'PostUp = sleep 765.4'
	wg-nsquick up wg0 > /dev/null 2>&1 3>&- &
	up=$!
	soon pgrep -f '^sleep 765' > /dev/null
	ip netns exec wg0 sleep 54321 3>&- &
	pid=$!
	soon stays
	killed_at '^sleep 765' $up
	run wg-nsquick recover
	assert_success
	assert_line "[!] wg0: network namespace wg0 loses its name, and programs that are not known to be a hook's go on in it without a network: sleep ($pid)"
	stays || fail "it was ended"
	kill "$pid"
	assert_clean
}

@test "hooks that close their output, or all they have" {
	config wg0 'PreUp = exec >&- 2>&- <&-' 'PostUp = exec >&-; : ; exec 2>&-' 'PostDown = exec <&- >&- 2>&-'
	run wg-nsquick up wg0
	assert_success
	run wg-nsquick down wg0
	assert_success
}

@test "a hook that fills its output: passed on whole, however slowly it is read" {
	config wg0 'PostUp = head -c 1000000 /dev/zero | tr "\0" x'
	(wg-nsquick up wg0 2> /dev/null; echo "$?" > /run/status) | { sleep 0.5; wc -c > /run/count; }
	assert_equal "$(cat /run/status) $(cat /run/count)" "0 1000000"
}

@test "a hook whose reader has gone fails as in any shell, and everything is undone" {
	rm -f /run/status
	config wg0 'PostUp = yes'
	(timeout 30 wg-nsquick up wg0 2> /run/err || echo "$?" > /run/status) | head -c 10 > /dev/null
	# By the signal, or where the caller ignores that, with an error.
	assert_regex "$(cat /run/status)" '^(141|1)$'
	run cat /run/err
	assert_line --regexp "PostUp ended with status (141|1) "
	soon is_gone
	assert_clean
}

@test "hooks that a signal ends: 128 and its number, everything undone" {
	local signal
	for signal in KILL:137 SEGV:139 TERM:143 HUP:129; do
		up_fails "${signal#*:}" "PostUp = kill -${signal%:*} \$\$"
		assert_line --partial "PostUp ended with status ${signal#*:}"
	done
}

@test "a hook that stops itself waits until it is told to go on" {
	config wg0 'PostUp = (until [[ $(ps -o stat= -p $$) == T* ]]; do sleep 0.05; done; sleep 0.5; kill -CONT $$) & kill -STOP $$; echo went on'
	run timeout 20 wg-nsquick up wg0
	assert_success
	assert_line "went on"
}

@test "strict-files: hooks that others could change are warned of, refused where the settings say so, and run where they are safe" {
	local way
	settings '[hooks]' 'strict-files = yes'
	config wg0 'PostUp = echo ran'
	run wg-nsquick up wg0
	assert_success
	refute_output --partial "others than root"
	run wg-nsquick down wg0
	assert_success
	for way in "chmod 666:everybody may write it" "chgrp 1000:its group may write it" "chown 1000:its owner is not root"; do
		config wg0 'PostUp = echo ran'
		[[ $way != chgrp* ]] || chmod 660 /etc/wireguard/wg0.conf
		${way%%:*} /etc/wireguard/wg0.conf
		settings '[hooks]' 'strict-files = yes'
		run wg-nsquick up wg0
		assert_failure 1
		assert_line "wg-nsquick: /etc/wireguard/wg0.conf: has hooks, and others than root could change them: ${way#*:}; expected a file and folders that only root may write (strict-files = yes)"
		refute_line ran
		assert_clean
		run wg-nsquick check wg0
		assert_failure 1
		assert_line --partial "error: it has hooks, and others than root could change them: ${way#*:}"
		rm /etc/wg-nsquick.d/wg0.conf
		run wg-nsquick up wg0
		assert_success
		assert_line --partial "has hooks, and others than root could change them: ${way#*:}"
		assert_line ran
		settings '[hooks]' 'strict-files = yes'
		run wg-nsquick down wg0
		assert_failure 1
		run wg-nsquick --hooks none down wg0
		assert_success
		chown 0:0 /etc/wireguard/wg0.conf
	done
}

@test "strict-files: a folder that others may write, unless it is sticky; a file without hooks is nobody's way in" {
	settings '[hooks]' 'strict-files = yes'
	mkdir -m 777 /run/open /run/open/below
	config wg0 'PostUp = echo ran'
	chmod 755 /run/open/below
	mv /etc/wireguard/wg0.conf /run/open/below/wg0.conf
	run wg-nsquick up /run/open/below/wg0.conf
	assert_failure 1
	assert_line --partial "a folder that it lies in can be written by others"
	chmod 1777 /run/open
	run wg-nsquick up /run/open/below/wg0.conf
	assert_success
	run wg-nsquick down /run/open/below/wg0.conf
	assert_success
	chmod 777 /run/open
	sed -i /^PostUp/d /run/open/below/wg0.conf
	run wg-nsquick up /run/open/below/wg0.conf
	assert_success
	run wg-nsquick down /run/open/below/wg0.conf
	assert_success
	rm -r /run/open
}

@test "a userspace implementation that stays in the foreground: a signal ends it, and up, with nothing left" {
	local signal
	# With WireGuard in the kernel there is none.
	[[ $WG_KIND == go ]] || return 0
	config wg0
	printf '#!/bin/sh\nsleep 54321 & sleep 54321\n' > /run/foreground
	chmod +x /run/foreground
	for signal in TERM INT HUP; do
		rm -f /run/status
		{ WG_QUICK_USERSPACE_IMPLEMENTATION=/run/foreground wg-nsquick up wg0 > /run/words 2>&1 || echo "$?" > /run/status; } 3>&- &
		soon stays
		pkill "-$signal" -o -x wg-nsquick
		soon test -s /run/status
		assert_equal "$(cat /run/status)" 1
		run cat /run/words
		assert_line "wg-nsquick: wg0: /run/foreground: interrupted; it had not gone to the background, as userspace WireGuard does once its interface is there"
		soon is_gone
		assert_clean
	done
	# Who takes no notice is killed.
	printf '#!/bin/sh\ntrap "" TERM\nwhile :; do sleep 54321; done\n' > /run/foreground
	WG_QUICK_USERSPACE_IMPLEMENTATION=/run/foreground wg-nsquick up wg0 > /run/words 2>&1 3>&- &
	soon stays
	kill -TERM $!
	timeout 20 tail --pid=$! -f /dev/null || { kill -KILL $!; fail "deaf"; }
	soon is_gone
	assert_clean
}

is_noted() { grep -qs '^undo userspace' /run/wg-nsquick/tunnels/wg0@*; }

@test "a userspace implementation that stays in the foreground is not started any more once a signal has come" {
	local lock worker
	[[ $WG_KIND == go ]] || return 0
	config wg0
	printf '#!/bin/sh\nsleep 54321\n' > /run/foreground
	chmod +x /run/foreground
	mkdir -p /run/wg-nsquick/lock
	exec {lock}> "/run/wg-nsquick/lock/tun lock"
	flock "$lock"
	# Without the guard, as that takes the lock before.
	WG_QUICK_USERSPACE_IMPLEMENTATION=/run/foreground wg-nsquick --guard off up wg0 > /run/words 2>&1 3>&- {lock}>&- &
	soon is_noted
	worker=$(pgrep -P $!)
	kill -STOP "$worker"
	kill -TERM $!
	soon grep -q '^ShdPnd:.0*$' "/proc/$!/status"
	exec {lock}>&-
	# The supervisor has told the worker, which announces its TUN before it looks.
	kill -CONT "$worker"
	timeout 10 tail --pid=$! -f /dev/null || { kill -KILL $!; fail "deaf"; }
	run wait $!
	assert_failure 1
	run tail -n 1 /run/words
	assert_output --partial ': interrupted'
	assert_clean
}
