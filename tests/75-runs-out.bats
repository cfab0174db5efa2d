#!/usr/bin/env bats
# What runs out on a machine that has run for long: space and inodes under /run and /etc, the right
# to write there, descriptors. `up' is complete or leaves nothing, and says where it failed.
# shellcheck disable=SC2016,SC2034,SC2154

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
	config wg0 "DNS = 10.9.0.1" "PostUp = true"
	mkdir -p /run/wg-nsquick
}

teardown() {
	uncover
	wg-nsquick recover > /dev/null 2>&1 3>&-
	[[ ! -e /run/netns/wg0 ]] || wg-nsquick down wg0 > /dev/null 2>&1 3>&-
	assert_clean
	assert_host_unchanged
}

# all_or_nothing REGEX…: `up' is complete, and goes down; or fails, names one of these, and nothing is left.
all_or_nothing() {
	local named
	run timeout 60 wg-nsquick up wg0
	refute_line --partial "could not undo everything"
	if ((status == 0)); then
		run timeout 60 wg-nsquick down wg0
		assert_success
	else
		assert_failure 1
		for named; do grep -qE "^wg-nsquick: .*$named" <<< "$output" && break; named=; done
		[[ -n ${named-} ]] || fail "the message does not say where: $output"
	fi
	assert_clean
}

# FOLDER OPTIONS: a file system of few pages or inodes over it.
small() {
	mount -t tmpfs -o "mode=755,$2" small "$1"
	covered=$1
}

read_only() {
	mount --bind "$1" "$1"
	covered=$1
	mount -o remount,bind,ro "$1"
}

# What is beneath is as it was.
uncover() {
	[[ -z ${covered-} ]] || umount -l "$covered"
	covered=
}

@test "/run/wg-nsquick without space, a page at a time" {
	local pages
	for pages in 0 1 2 3 4; do
		small /run/wg-nsquick "size=$(((pages + 1) * 4096))"
		echo > /run/wg-nsquick/full
		echo "$pages pages"
		all_or_nothing "\(?/run/wg-nsquick.*No space left on device" "cannot write the journal: No space left on device"
		uncover
	done
}

@test "down on a full /run/wg-nsquick: hooks run, and nothing is left" {
	config wg0 "DNS = 10.9.0.1" "PreDown = echo before" "PostDown = echo after"
	small /run/wg-nsquick "size=256k"
	run wg-nsquick up wg0
	assert_success
	cat /dev/zero > /run/wg-nsquick/full 2> /dev/null || true
	run wg-nsquick down wg0
	assert_success
	assert_line before
	assert_line after
	assert_clean
	uncover
}

@test "/run/wg-nsquick without inodes" {
	local inodes
	for inodes in 4 6 8 10 12 14; do
		small /run/wg-nsquick "nr_inodes=$inodes"
		echo "$inodes inodes"
		all_or_nothing "/run/wg-nsquick.*No space left on device" "cannot write the journal: No space left on device"
		uncover
	done
}

@test "/etc/netns without space, and read-only: nothing is left, so nothing is to be undone later" {
	small /etc/netns "size=4096"
	echo > /etc/netns/prov
	all_or_nothing "\(/etc/netns\): No space left on device"
	uncover
	read_only /etc/netns
	run wg-nsquick up wg0
	assert_failure 1
	assert_output --partial "wg-nsquick: wg0: cannot set up network namespace wg0 (/etc/netns): Read-only file system"
	refute_line --partial "could not undo everything"
	assert_clean
}

@test "/run/netns read-only" {
	read_only /run/netns
	all_or_nothing "cannot publish the namespace as /run/netns/wg0: Read-only file system"
}

# bats test_tags=image
@test "descriptors run out at any point: said, and nobody is blamed for what could not be read" {
	local n
	for n in 8 12 16 17 18 19 20 21 22 24; do
		run timeout 60 bash -c "ulimit -n $n; exec wg-nsquick up wg0"
		echo "$n: $output"
		((status == 0)) || assert_line --partial "Too many open files"
		refute_line --partial "/etc/resolv.conf changed"
		# What could not be opened cannot be undone either: then that is said, and the next run does it.
		[[ $output != *"could not undo everything"* ]] || wg-nsquick recover
		[[ ! -e /run/netns/wg0 ]] || wg-nsquick down wg0
		assert_clean
	done
}

@test "more namespaces than descriptors: hooks see them all" {
	local i
	for ((i = 0; i < 70; i++)); do ip netns add "many$i"; done
	config wg0 'PreUp = for name in /run/netns/many*; do [[ $(stat -Lf -c %T "$name") == nsfs ]] && echo seen; done'
	run bash -c "ulimit -Sn 64; exec wg-nsquick up wg0"
	for ((i = 0; i < 70; i++)); do ip netns del "many$i"; done
	assert_success
	assert_equal "$(grep -cx seen <<< "$output")" 70
}

# bats test_tags=image
@test "files may not grow: an error like any other, no death" {
	run timeout 60 bash -c "ulimit -f 0; exec wg-nsquick up wg0"
	assert_failure 1
	assert_line "wg-nsquick: wg0: cannot set up network namespace wg0 (/run/wg-nsquick): File too large"
	assert_clean
}
