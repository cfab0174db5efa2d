#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016
# Keys are in the kernel, in the file, and in our memory while they are needed: nowhere else.

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
	FIND=$BATS_TEST_DIRNAME/lib/find-secret
	PSK=$(wg genpsk)
	# Not in the environment, nor in the hooks: these a process keeps.
	export -n CLIENT_KEY
	echo "$CLIENT_KEY" > /run/private
	echo "$PSK" > /run/preshared
}

teardown() {
	wg-nsquick down wg0 > /dev/null 2>&1 || true
	assert_clean
	assert_host_unchanged
}

# The supervisor and the worker, but for the hook that looks.
nothing_in_memory() {
	cat /run/found.*
	for name; do
		[[ $(cat "/run/found.$name") == "2 processes"* ]] || fail "in $name: $(cat "/run/found.$name")"
		assert_equal "$(wc -l < "/run/found.$name")" 2
	done
}

# NAME: a hook's text that looks for both keys.
look() { echo "{ '$FIND' /run/private wg-nsquick; '$FIND' /run/preshared wg-nsquick; } > /run/found.$1 2>&1 || :"; }

# bats test_tags=image
@test "the search finds a key where there is one" {
	config wg0 "PreUp = $(look PreUp)"
	run wg-nsquick up wg0
	assert_success
	# Before the device has it, the worker must: the supervisor needs it no more.
	run cat /run/found.PreUp
	assert_line --partial "binary"
	assert_equal "$(grep -o '^process [0-9]*' /run/found.PreUp | sort -u | wc -l)" 1
}

# bats test_tags=image
@test "once the device has the keys, neither supervisor nor worker has them: no image of their memory would" {
	config wg0 "PostUp = $(look PostUp)" "PreDown = $(look PreDown)" "PostDown = $(look PostDown)" "Peer:PresharedKey = $PSK"
	run wg-nsquick up wg0
	assert_success
	run wg-nsquick down wg0
	assert_success
	nothing_in_memory PostUp PreDown PostDown
}

# bats test_tags=image
@test "with SaveConfig, too, down has none left when PostDown runs" {
	config wg0 "SaveConfig = true" "PostDown = $(look PostDown)" "Peer:PresharedKey = $PSK"
	run wg-nsquick up wg0
	assert_success
	run wg-nsquick down wg0
	assert_success
	nothing_in_memory PostDown
	run grep -cF "$CLIENT_KEY" /etc/wireguard/wg0.conf
	assert_output 1
}

@test "a full cycle shows no key: output, files, command lines, environments" {
	local words=() text
	config wg0 'PostUp = for p in $(pgrep -x "wg-nsquick|wireguard-go") $$; do cat /proc/$p/{cmdline,environ}; done > /run/processes.up; mkdir /run/seen.up; cp -a /run/wg-nsquick/{tunnels,netns,applied} /run/seen.up' \
		'PreDown = for p in $(pgrep -x "wg-nsquick|wireguard-go") $$; do cat /proc/$p/{cmdline,environ}; done > /run/processes.down; mkdir /run/seen.down; cp -a /run/wg-nsquick/{tunnels,netns,applied} /run/seen.down' "Peer:PresharedKey = $PSK"
	rm -rf /run/seen.*
	mkdir /run/seen.reloaded
	{
		wg-nsquick --dry-run up wg0
		wg-nsquick check wg0
		wg-nsquick up wg0
		wg-nsquick up wg0 || :
		wg-nsquick status wg0
		wg-nsquick status --json
		wg-nsquick verify --json wg0 || :
		sed -i 's/^Address = .*/Address = 10.9.0.2\/24/; s/^PersistentKeepalive.*//' /etc/wireguard/wg0.conf
		sed -i '/^Endpoint/a PersistentKeepalive = 7' /etc/wireguard/wg0.conf
		wg-nsquick --dry-run reload wg0
		strace -f -s 4096 -e trace=write,writev,pwrite64 -o /run/writes wg-nsquick reload wg0
		cp -a /run/wg-nsquick/{tunnels,netns,applied} /run/seen.reloaded
		wg-nsquick reresolve wg0
		# Wrong lines are told without what stands in them.
		sed "s,^PrivateKey.*,PrivateKey = ${CLIENT_KEY}x," /etc/wireguard/wg0.conf > /run/wg9.conf
		wg-nsquick up /run/wg9.conf || :
		wg-nsquick check /run/wg9.conf || :
		wg-nsquick down wg0
	} > /run/output 2>&1
	assert [ -s /run/processes.up ]
	assert [ -s /run/processes.down ]
	for text in "$CLIENT_KEY" "$PSK"; do
		words+=(-e "${text%=}" -e "$(base64 -d <<< "$text" | xxd -p -c 64)")
	done
	run grep -rilF "${words[@]}" /run/output /run/processes.up /run/processes.down /run/seen.up /run/seen.down /run/seen.reloaded /var/log
	assert_output ""
	assert_equal "$status" 1
	# What a reload needs to be undone: the preshared key alone, in a file of root's that goes with it.
	run grep -cF "${CLIENT_KEY%=}" /run/writes
	assert_output 0
}

# bats test_tags=image
@test "no core dump is made of a process that has keys" {
	local pid
	config wg0 'PostUp = sleep 54321'
	mkdir -p /run/cores
	cd /run/cores
	(ulimit -c unlimited; exec wg-nsquick up wg0) > /dev/null 2>&1 3>&- &
	wait_until "the hook" pgrep -f '^sleep 54321'
	for pid in $(pgrep -x wg-nsquick); do
		# The default action makes one, if it may.
		kill -ABRT "$pid"
	done
	wait "$!" || true
	assert_equal "$(ls /run/cores)" ""
	wg-nsquick recover > /dev/null 2>&1
	pkill -KILL -f '^sleep 54321' || true
}

# bats test_tags=image
@test "a hook may make core dumps as ever, and its memory is not locked" {
	config wg0 'PostUp = ulimit -c; ulimit -l; grep VmLck /proc/self/status'
	run bash -c 'ulimit -c unlimited; wg-nsquick up wg0 2> /dev/null'
	assert_success
	assert_line "unlimited"
	assert_line --regexp 'VmLck:\s+0 kB'
}

# bats test_tags=image
@test "what has keys is kept from the swap where locking memory is allowed" {
	local unlimited=0
	config wg0 'PreUp = grep VmLck /proc/$PPID/status; grep VmLck /proc/$(awk "/PPid/ { print \$2 }" /proc/$PPID/status)/status'
	run wg-nsquick up wg0
	assert_success
	if [[ $(ulimit -H -l) == unlimited ]] || capsh --has-p=cap_ipc_lock 2> /dev/null; then unlimited=1; fi
	assert_equal "$(grep -cE 'VmLck:\s+[1-9]' <<< "$output")" "$((2 * unlimited))"
}
