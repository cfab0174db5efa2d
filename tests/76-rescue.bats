#!/usr/bin/env bats
# Both processes of a run are killed in one instant, as the OOM killer or a unit's end does it:
# what was done to the host then, the next run or `recover` puts back.
# shellcheck disable=SC2016,SC2034,SC2154

setup_file() {
	load lib/host
	host_up
	ip route add 10.50.0.0/16 via 192.0.2.1 mtu 1300
	ip rule add table main suppress_prefixlength 0 pref 2000
	host_remember
	# As a hook's, or a guarded command's: nobody looks while the host is changed, and then nobody is left.
	cat > /run/harm <<-'END'
		#!/bin/bash
		runs=$(pgrep -x wg-nsquick)
		kill -STOP $runs
		nsenter -t 1 -n sh -c 'ip route del default; ip route add default via 192.0.2.77; ip route change 10.50.0.0/16 via 192.0.2.78; ip rule del pref 2000'
		touch /run/harmed
		kill -KILL $runs
	END
	# In one instant, as far as they can tell.
	printf '%s\n' '#!/bin/bash' 'runs=$(pgrep -x wg-nsquick)' 'kill -STOP $runs' 'kill -KILL $runs' > /run/die
	chmod +x /run/harm /run/die
}

teardown_file() {
	load lib/host
	ip rule del pref 2000
	host_down
}

setup() {
	load lib/host
	rm -f /run/harmed
	mkdir -p /run/wg-nsquick/host
}

teardown() {
	[[ ! -e /run/netns/wg0 ]] || wg-nsquick down wg0 --hooks none --guard off > /dev/null 2>&1 3>&-
	assert_clean
	assert_host_unchanged
}

# What is written down.
written() { find /run/wg-nsquick/host -type f; }

# COMMAND…: is killed, and leaves the host harmed.
killed() {
	run "$@" 3>&-
	assert_equal "$status" 137
	assert [ -e /run/harmed ]
	run ip route show default
	assert_output --partial "via 192.0.2.77"
	assert_equal "$(written | wc -w)" 1
}

@test "up, killed as a whole by its hook: recover puts the host back, and says what" {
	config wg0 "PostUp = /run/harm"
	killed wg-nsquick up wg0 --hooks open
	assert_equal "$(stat -c %a /run/wg-nsquick/host/*)" 600
	run wg-nsquick recover
	assert_success
	assert_line --partial "guard: the host's network changed during \`up wg0 (killed)': changed: route default via 192.0.2.1 dev veth0 -> route default via 192.0.2.77"
	assert_line --partial "guard: the host is as it was before \`up wg0 (killed)'"
	assert_host_unchanged
	run wg-nsquick recover
	assert_success
	assert_output ""
}

@test "the next up does it first, and comes up" {
	config wg0 "PreUp = test -e /run/harmed || /run/harm"
	killed wg-nsquick up wg0 --hooks open
	run wg-nsquick up wg0 --hooks open
	assert_success
	assert_line --partial "the host is as it was before \`up wg0 (killed)'"
	assert_host_unchanged
	wg-nsquick down wg0 --hooks open
}

@test "a tunnel without hooks, and a guarded command, do it as well; down and guard are no different" {
	config wg0 "PostDown = test -e /run/harmed || /run/harm"
	config wg1
	sed -i "s,^PrivateKey.*,PrivateKey = $(wg genkey)," /etc/wireguard/wg1.conf
	run wg-nsquick up wg0 --hooks open
	assert_success
	killed wg-nsquick down wg0 --hooks open
	run wg-nsquick up wg1
	assert_success
	assert_line --partial "the host is as it was before \`down wg0 (killed)'"
	assert_host_unchanged
	wg-nsquick down wg1
	killed wg-nsquick guard -- /run/harm
	run wg-nsquick guard -- true
	assert_success
	assert_line --partial "the host is as it was before \`/run/harm (killed)'"
}

@test "nothing was changed: nothing is said" {
	config wg0 'PostUp = /run/die'
	run wg-nsquick up wg0 3>&-
	assert_equal "$status" 137
	assert_equal "$(written | wc -w)" 1
	run wg-nsquick recover
	assert_success
	refute_output --partial "guard:"
}

@test "what is too old is told, and left" {
	config wg0 "PostUp = /run/harm"
	killed wg-nsquick up wg0 --hooks open
	# So many milliseconds after boot: long ago.
	sed -i 's/^alive [0-9]*/alive 00000000000000000001/' /run/wg-nsquick/host/*
	# The machine may have been started within the minute.
	awk '$1 < 62 { system("sleep " 62 - $1) }' /proc/uptime
	run wg-nsquick recover
	assert_success
	assert_line --regexp "changed: route default via 192.0.2.1 .*; that run was killed too long ago: left as it is"
	run ip route show default
	assert_output --partial "via 192.0.2.77"
	ip route del default
	ip route add default via 192.0.2.1
	ip route change 10.50.0.0/16 via 192.0.2.1 mtu 1300
	ip rule add table main suppress_prefixlength 0 pref 2000
}

@test "a file that is cut, changed or foreign is set aside, and nothing is guessed" {
	local file
	config wg0 'PostUp = /run/die'
	for change in 'truncate -s -1' 'truncate -s 300' 'truncate -s 0' 'sed -i s/^boot./boot\x20x/' 'sed -i s/^level.*/level\x209/' 'sed -i $d' 'sed -i 1d' 'sed -i 2d' \
		'sed -i /^alive/d' 'sed -i /^host/d' 'sed -i /^level/d' 'sed -i /^command/d' 'sed -i /^iface/d' 'sed -i /^work/d' 'sed -i /^end/d' 'sed -i /^work/aguard\x200'; do
		run wg-nsquick up wg0 3>&-
		assert_equal "$status" 137
		file=$(echo /run/wg-nsquick/host/*)
		$change "$file"
		ip route del default
		run wg-nsquick recover
		ip route add default via 192.0.2.1
		assert_output --partial "$file is not a journal that this version can read"
		refute_output --partial "guard:"
		assert [ -e "$file.corrupt" ]
		rm "$file.corrupt"
	done
}

@test "a run that lives keeps its own; one that was killed while it wrote leaves nothing of meaning" {
	config wg0 'PostUp = ls /run/wg-nsquick/host > /run/before; wg-nsquick recover; ls /run/wg-nsquick/host > /run/after'
	touch /run/wg-nsquick/host/999999.wg-nsquick.tmp
	run wg-nsquick up wg0
	assert_success
	assert_equal "$(wc -l < /run/before)" 1
	assert_equal "$(cat /run/after)" "$(cat /run/before)"
	run wg-nsquick down wg0
	assert_equal "$(written)" ""
}

# bats test_tags=image
@test "one that is just being written is not taken for a dead run's" {
	wg-nsquick recover
	strace -qq -o /dev/null -e trace=flock -e inject=flock:delay_enter=500000 wg-nsquick guard -- true > /run/first 2>&1 3>&- &
	wait_until "the note" compgen -G '/run/wg-nsquick/host/*.tmp'
	run wg-nsquick recover
	assert_success
	assert_output ""
	wait $!
	run cat /run/first
	assert_output ""
	assert_equal "$(written)" ""
}

# COMMAND…: killed as above, beneath a parent that has not waited for it yet.
killed_and_not_waited_for() {
	rm -f /run/waits
	python3 -c 'import os, subprocess, sys, time
child = subprocess.Popen(sys.argv[1:])
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
open("/run/waits", "w")
while os.path.exists("/run/waits"): time.sleep(0.02)' "$@" > /dev/null 2>&1 3>&- &
	wait_until "its death" test -e /run/waits
	assert [ -e /run/harmed ]
}

# While somebody has the lock of what is written down.
is_locked() { ! flock -n "$1" true; }

# bats test_tags=image,long
@test "two at once after it: the second waits until the first has put the host back, and takes it for what it is" {
	local file first
	killed_and_not_waited_for wg-nsquick guard -- /run/harm
	file=$(written)
	strace -qq -o /dev/null -e trace=sendto -e inject=sendto:delay_enter=100000 wg-nsquick guard -- true > /run/first 2>&1 3>&- &
	first=$!
	wait_until "the first one at work" is_locked "$file"
	run wg-nsquick guard -- sleep 4
	assert_success
	refute_output --partial "guard:"
	wait "$first"
	rm /run/waits
	run cat /run/first
	assert_line --partial "the host is as it was before \`/run/harm (killed)'"
	assert_equal "$(written)" ""
}

@test "one whose number another process has now is dead" {
	local file
	killed wg-nsquick guard -- /run/harm
	file=$(written)
	sleep 100 3>&- &
	mv "$file" "/run/wg-nsquick/host/$!"
	# As of one that the kernel is just taking apart.
	flock "/run/wg-nsquick/host/$!" sleep 0.5 3>&- &
	wait_until "the lock" is_locked "$(written)"
	run wg-nsquick recover
	assert_success
	assert_line --partial "the host is as it was before \`/run/harm (killed)'"
	pkill -f '^sleep 100'
}

# bats test_tags=long
@test "one that another process has locked for good is told, and left to that; who holds all up is not waited for for ever, but for a signal" {
	local file holder
	config wg0 'PostUp = /run/die'
	run wg-nsquick up wg0 3>&-
	assert_equal "$status" 137
	file=$(written)
	flock "$file" sleep 100 3>&- &
	wait_until "the lock" is_locked "$file"
	run wg-nsquick recover
	assert_success
	assert_output --regexp "guard: process [0-9]+ was killed, but a process of its run lives, or one that was putting the host back: what was done to the host is left to that one"
	pkill -f '^sleep 100'
	wg-nsquick recover
	flock "/run/wg-nsquick/lock/host lock" sleep 100 3>&- &
	wait_until "the lock" is_locked "/run/wg-nsquick/lock/host lock"
	run -143 timeout -s TERM --preserve-status 1 wg-nsquick guard -- touch /run/harmed
	assert [ ! -e /run/harmed ]
	run wg-nsquick guard -- touch /run/harmed
	assert_success
	assert_line --partial "other runs have been looking at the host for 10 seconds"
	assert [ -e /run/harmed ]
	pkill -f '^sleep 100'
}

@test "one that cannot be looked at is told, bars nobody from his tunnel, and stays for recover" {
	ln -s nowhere /run/wg-nsquick/host/999999
	config wg0
	run wg-nsquick up wg0
	assert_success
	assert_line "Warning: cannot put back what a killed run did to the host: Too many levels of symbolic links; the host is guarded as it is now, and \`wg-nsquick recover' tries again"
	run wg-nsquick down wg0
	assert_success
	run wg-nsquick recover
	assert_failure 1
	assert_line "wg-nsquick: cannot put back what was done to the host: Too many levels of symbolic links"
	rm /run/wg-nsquick/host/999999
	run wg-nsquick recover
	assert_success
	assert_output ""
}

@test "one that cannot be looked at is told beside one that is set aside" {
	local order note
	config wg0
	wg-nsquick recover
	# In which order they are read, is the file system's affair.
	for order in "999999 999998" "999998 999999"; do
		for note in $order; do
			[[ $note == 999999 ]] && ln -s nowhere /run/wg-nsquick/host/999999 || echo x > "/run/wg-nsquick/host/$note"
		done
		run wg-nsquick up wg0
		assert_success
		assert_line --partial "/run/wg-nsquick/host/999998 is not a journal that this version can read"
		assert_line --partial "Warning: cannot put back what a killed run did to the host: Too many levels of symbolic links"
		wg-nsquick down wg0
		rm -r /run/wg-nsquick/host/99999*
	done
}

# bats test_tags=image
@test "one that cannot be deleted says nothing any more: what is changed afterwards stays" {
	config wg0 'PostUp = :'
	strace -qq -o /dev/null -e trace=unlink -e inject=unlink:error=EPERM:when=1 wg-nsquick up wg0 > /dev/null 2>&1 3>&-
	assert_equal "$(written | wc -w)" 1
	ip route add 10.77.0.0/16 via 192.0.2.1
	run wg-nsquick recover
	assert_success
	assert_output ""
	assert_equal "$(written)" ""
	ip route del 10.77.0.0/16 via 192.0.2.1
}

@test "of the two, either alone puts it back, and takes the file away" {
	config wg0 'PostUp = kill -KILL $PPID; sleep 20'
	run wg-nsquick up wg0
	assert_failure
	assert_equal "$(written)" ""
	config wg0 'PostUp = kill -KILL $(awk "/PPid/ { print \$2 }" /proc/$PPID/status); sleep 20'
	run wg-nsquick up wg0
	assert_failure
	for ((i = 0; i < 100; i++)); do [[ -n $(pgrep -x wg-nsquick) ]] || break; sleep 0.1; done
	assert_equal "$(written)" ""
}

@test "where it cannot be written down, that is said, and the work goes on; levels warn and off write nothing" {
	config wg0 'PostUp = ls -A /run/wg-nsquick/host'
	for level in warn off; do
		run wg-nsquick up wg0 --guard "$level"
		assert_success
		refute_line --regexp '^[0-9]+$'
		wg-nsquick down wg0 2> /dev/null
	done
	mount -t tmpfs -o ro none /run/wg-nsquick/host
	run wg-nsquick up wg0
	umount /run/wg-nsquick/host
	assert_success
	assert_line --partial "cannot be written down in /run/wg-nsquick (Read-only file system)"
	wg-nsquick down wg0
}
