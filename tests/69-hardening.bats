#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016
# Names that would be options or paths, descriptors that would leak, mounts that would spread, traps in the way.

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
	wg-nsquick down wg0 > /dev/null 2>&1 || true
	rm -f /etc/wireguard/*
	assert_clean
	assert_host_unchanged
}

@test "an interface whose name would be an option or a hidden file gets no namespace of that name" {
	local name
	for name in -x -n .hidden ..x; do
		config "$name"
		run wg-nsquick up "/etc/wireguard/$name.conf"
		assert_failure 1
		assert_output --regexp "cannot be (a namespace's name|the name of an interface)|must be a valid interface name"
		assert_clean
	done
	for name in . ..; do
		config "$name"
		run wg-nsquick up "/etc/wireguard/$name.conf"
		assert_failure 1
		assert_clean
	done
}

@test "names of namespaces that would be options, paths, or two words" {
	local name
	config wg0
	mkfifo /run/no-namespace
	for name in -n -- .hidden . .. ' ' 'a b' $'a\nb' $'a\tb' '' a/b ../x /run/netns/none /run/no-namespace /proc/self/ns/mnt /etc/passwd; do
		run wg-nsquick up wg0 --netns "$name"
		assert_failure
		assert_equal "$(grep -c '^\[#\]' <<< "$output")" 0
		assert_clean
	done
	rm /run/no-namespace
}

@test "hooks, exec and guard get the standard descriptors and no other" {
	# Read by the shell itself, which has 3 open for that.
	config wg0 'PostUp = cd /proc/$$/fd; echo fds: *'
	exec 7< /dev/null 9< /dev/null
	run wg-nsquick up wg0
	assert_success
	assert_line --regexp '^fds: 0 1 2( 3)?$'
	run wg-nsquick exec wg0 bash -c 'for fd in /proc/$$/fd/*; do readlink "$fd"; done'
	refute_output --regexp 'socket:|anon_inode|net:|mnt:'
	run wg-nsquick guard -- bash -c 'for fd in /proc/$$/fd/*; do readlink "$fd"; done; true'
	assert_success
	refute_output --regexp 'netlink|anon_inode|net:|mnt:'
	exec 7<&- 9<&-
}

# bats test_tags=image
@test "every descriptor of a run is made closed at exec" {
	config wg0 "DNS = 10.9.0.1" 'PreUp = :'
	# Up to their exec only: what bash and wireguard-go open is theirs.
	run strace -f -qq -b execve -o /run/trace -e trace=open,openat,socket,socketpair,pipe,pipe2,dup,memfd_create,signalfd4,eventfd2,epoll_create1,inotify_init1,accept4,fanotify_init \
		wg-nsquick up wg0
	assert_success
	assert [ "$(wc -l < /run/trace)" -gt 100 ]
	# libcap-ng and the library of wireguard-tools have some for a moment, before there is any hook.
	run grep -vE 'CLOEXEC|cap_last_cap|SOCK_RAW, NETLINK_(ROUTE|GENERIC)\)|/dev/null", O_RDWR\)|= -1 |exited with|--- SIG|resumed>|unfinished' /run/trace
	assert_output ""
}

@test "what a hook mounts stays in its room" {
	config wg0 'PostUp = mkdir -p /run/room.mount; mount -t tmpfs -o size=64k fortest /run/room.mount'
	run wg-nsquick up wg0
	assert_success
	run grep -c fortest /proc/1/mountinfo
	assert_output 0
	rmdir /run/room.mount
}

@test "/run/netns is locked as ip netns does: whoever holds it is waited for" {
	local holder pid
	config wg0
	mkdir -p /run/netns
	flock --no-fork /run/netns sleep 60 3>&- &
	holder=$!
	wait_until "the holder's lock" eval '! flock -n /run/netns true'
	wg-nsquick up wg0 > /run/up.log 2>&1 3>&- &
	pid=$!
	wait_until "up's word that it waits" grep -F '[!] waiting for /run/netns, which another program has locked' /run/up.log
	assert [ ! -e /run/netns/wg0 ]
	kill "$holder"
	wait "$pid"
	assert [ -e /run/netns/wg0 ]
}

@test "a symbolic link in place of a namespace's name is not followed" {
	echo precious > /run/precious
	config wg0
	ln -s /run/precious /run/netns/wg0
	run wg-nsquick up wg0
	assert_failure
	assert_equal "$(cat /run/precious)" precious
	run grep -c precious /proc/1/mountinfo
	assert_output 0
	rm /run/netns/wg0
}

@test "somebody's file in place of a namespace's name is not mounted over, nor deleted" {
	config wg0
	echo precious > /run/netns/wg0
	run wg-nsquick up wg0
	assert_failure 1
	assert_output --partial "/run/netns/wg0"
	assert_equal "$(cat /run/netns/wg0)" precious
	rm /run/netns/wg0
	: > /run/netns/wg0
	run wg-nsquick up wg0
	assert_success
}

@test "a namespace's name that leaves no room for what is named after it is refused" {
	local name long
	printf -v long '%0244d' 0
	config wg0
	config wg1
	ip netns add "$long"
	for name in "$long" "${long}0"; do
		run wg-nsquick up wg0 --netns "$name"
		assert_failure 1
		assert_equal "$(grep -c '^\[#\]' <<< "$output")" 0
		assert_output --partial "cannot be a namespace's name"
		refute_output --partial "could not undo everything"
	done
	ip netns del "$long"
	long=${long%?????????????????????????????}
	run wg-nsquick up wg0 --netns "$long"
	assert_success
	run wg-nsquick down wg0
	assert_success
}

@test "a userspace implementation that is stopped, and whose queue is full, does not hold up for ever" {
	local pid
	config wg0
	mkdir -p /run/wireguard
	perl -MSocket=:all -e 'my $at = pack_sockaddr_un("/run/wireguard/stopped.sock"); my ($s, @full);
		socket($s, AF_UNIX, SOCK_STREAM, 0) && bind($s, $at) && listen($s, 1) or die;
		do { socket(my $c, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0) or die; push @full, $c } while (connect($full[-1], $at));
		open my $f, ">", "/run/full"; sleep 600' 3>&- &
	pid=$!
	wait_until "a full queue" test -e /run/full
	run timeout 60 wg-nsquick up wg0
	kill "$pid"
	rm -f /run/wireguard/stopped.sock /run/full
	assert_success
}

@test "a symbolic link in place of our folder or of a lock is not followed" {
	config wg0
	echo precious > /run/precious
	mkdir -p /run/wg-nsquick/lock
	rm -f /run/wg-nsquick/lock/wg0
	ln -s /run/precious /run/wg-nsquick/lock/wg0
	run wg-nsquick up wg0
	assert_failure 1
	assert_output --partial "cannot write to /run/wg-nsquick"
	assert_equal "$(cat /run/precious)" precious
	rm /run/wg-nsquick/lock/wg0
}
