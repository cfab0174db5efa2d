#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016
# Hooks in the namespace, rollback, the closing comparison, and that nothing is left; vectors U1-U25 stand in 24-vectors-up.bats.

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
	options=()
}

teardown() {
	wg-nsquick down wg0 >/dev/null 2>&1 || true
	assert_clean
	assert_host_unchanged
}

up_fails() { # STATUS LINE…: with these lines `up` ends with that status and leaves nothing
	local status=$1
	shift
	config wg0 "$@"
	run wg-nsquick up wg0 "${options[@]}"
	assert_failure "$status"
	# A guard that was tripped may have ended the userspace daemon, and so the device, by then.
	((status == 193)) || assert_line "[#] ip link delete dev wg0"
	assert_clean
}

up_prints() { # LINE…: the hooks' standard output, in $output
	config wg0 "$@"
	run --separate-stderr wg-nsquick up wg0
	assert_success
}

@test "hooks run inside: links, resolver, /sys, cgroup" {
	up_prints "DNS = 10.9.0.1" 'PostUp = ls /sys/class/net; grep nameserver /etc/resolv.conf; grep ^hosts /etc/nsswitch.conf; readlink /proc/self/ns/net'
	assert_line "wg0"
	assert_line "lo"
	refute_line "veth0"
	assert_line "nameserver 10.9.0.1"
	assert_line --regexp "^hosts: +files dns$"
	refute_line "$(readlink /proc/1/ns/net)"
}

@test "ip -n NAME works in PreUp, before the name is published" {
	up_prints 'PreUp = ip -n wg0 -br link show wg0; nsenter -t 1 -m ls /run/netns'
	assert_line --partial "wg0"
	assert_line "prov"
	[[ $(grep -c '^wg0' <<<"$output") == 1 ]]
}

@test "a namespace that a hook makes is the host's, from PreUp and from PostUp" {
	up_prints 'PreUp = ip netns add early' 'PostUp = ip netns add late'
	run ip netns exec early true
	assert_success
	run ip netns exec late true
	assert_success
	ip netns del early
	ip netns del late
}

@test "a namespace that somebody deletes while hooks run does not come back; one that a hook makes stays" {
	ip netns add gone
	rm -f /run/in-hook /run/deleted
	config wg0 'PreUp = ip netns exec gone true; touch /run/in-hook; until [[ -e /run/deleted ]]; do sleep 0.1; done; ip netns add made'
	bash -c 'until [[ -e /run/in-hook ]]; do sleep 0.1; done; ip netns del gone; touch /run/deleted' 3>&- &
	run timeout 60 wg-nsquick up wg0
	assert_success
	assert [ ! -e /run/netns/gone ]
	ip netns del made
	wg-nsquick down wg0
}

@test "what PostUp mounts PreDown can unmount, and the host does not see it" {
	up_prints 'PostUp = mount -t tmpfs hook /mnt' 'PreDown = umount /mnt'
	run grep " /mnt " /proc/mounts
	assert_failure
	run wg-nsquick down wg0
	assert_success
}

@test "kill-switch hooks find a mark without effect on the host's rules" {
	up_prints 'PostUp = wg show %i fwmark'
	assert_line --regexp '^0x[0-9a-f]{1,2}$'
}

@test "every exit status of a hook is its own" {
	local status
	for status in 1 2 125 126 127 192 196 252 253 254 255; do
		config wg0 "PreUp = exit $status"
		run -"$status" wg-nsquick up wg0
		assert_line --partial "PreUp ended with status $status"
	done
	assert_clean
}

# Here the guard is tested, not the filter that keeps hooks out: 41-hooks-guarded.bats has that.
@test "a hook that changes the host's routes: named, put back, status 193, all gone" {
	local options=(--hooks open)
	local hook
	for hook in "ip route replace default via 192.0.2.77" "ip route del default" "ip rule add not fwmark 1 table 51820" "ip addr add 198.51.100.1/32 dev veth0" \
		"ip -6 route add 2001:db8:1::/48 dev veth0" "ip route add table 100 10.0.0.0/8 dev veth0"; do
		up_fails 193 "PostUp = nsenter -t 1 -n $hook"
		assert_line --regexp "guard: the host's network changed during .up': (added|removed|changed): "
		assert_line "wg-nsquick: guard: the host is as it was before \`up'"
		assert_host_unchanged
	done
}

@test "the same by a failing hook, in PreUp, and by a background child" {
	local options=(--hooks open)
	up_fails 193 "PreUp = nsenter -t 1 -n ip route del default; exit 9"
	assert_host_unchanged
	up_fails 193 "PostUp = (nsenter -t 1 -n ip route del default) & wait"
	assert_host_unchanged
}

@test "down is watched too" {
	config wg0 "PostDown = nsenter -t 1 -n ip route del default"
	run wg-nsquick up wg0
	assert_success
	run wg-nsquick down wg0 --hooks open
	assert_failure 193
	assert_host_unchanged
	assert_clean
}

@test "guard levels: warn tells and goes on, off does not look" {
	config wg0 "PostUp = nsenter -t 1 -n ip route add 198.51.100.0/24 dev veth0"
	run wg-nsquick up wg0 --guard warn --hooks open
	assert_success
	assert_line --partial "added: route 198.51.100.0/24"
	wg-nsquick down wg0
	ip route del 198.51.100.0/24 dev veth0
	run wg-nsquick --guard off --hooks open up wg0
	assert_success
	refute_line --partial "guard:"
	wg-nsquick down wg0
	ip route del 198.51.100.0/24 dev veth0
}

@test "background children are ended on failure, left alone on success" {
	up_fails 3 "PostUp = sleep 4321 & disown; (setsid sleep 4322 &); exit 3"
	run pgrep -f "sleep 432[12]"
	assert_failure
	config wg0 "PostUp = sleep 4323 > /dev/null 2>&1 & disown"
	run wg-nsquick up wg0
	assert_success
	run pgrep -f "sleep 4323"
	assert_success
	pkill -f "sleep 4323"
}

@test "the worker is killed: undone by the supervisor" {
	config wg0 "PostUp = kill -9 \$PPID; sleep 5"
	run wg-nsquick up wg0
	assert_failure
	assert_output --partial "the worker was killed by signal 9"
	assert_clean
}

@test "the supervisor is killed: undone by the worker" {
	config wg0 "PostUp = touch /run/in-hook; sleep 600"
	rm -f /run/in-hook
	wg-nsquick up wg0 > /dev/null 2>&1 3>&- &
	local pid=$!
	timeout 20 bash -c "until [[ -e /run/in-hook ]]; do sleep 0.1; done"
	kill -KILL $pid
	timeout 30 bash -c "while pgrep -x wg-nsquick > /dev/null; do sleep 0.1; done"
	assert_clean
}

@test "both are killed: the next up undoes it, and says so" {
	config wg0 "PostUp = touch /run/in-hook; sleep 600"
	rm -f /run/in-hook
	wg-nsquick up wg0 > /dev/null 2>&1 3>&- &
	timeout 20 bash -c "until pgrep -f '^sleep 600' > /dev/null; do sleep 0.1; done"
	kill_both
	wait "$!" || true
	pkill -KILL -f "sleep 600"
	config wg0
	run wg-nsquick up wg0
	assert_success
	assert_line --partial "undoing what an interrupted run left"
	run wg-nsquick exec wg0 -- ping -c 1 -W 5 10.9.0.1
	assert_success
}

@test "no key in the journal, the environment of hooks, or any output" {
	config wg0 "PostUp = env"
	# Of the tests' own environment nothing may hold it.
	run env -u CLIENT_KEY wg-nsquick up wg0
	assert_success
	refute_output --partial "$CLIENT_KEY"
	run grep -rF "$CLIENT_KEY" /run/wg-nsquick
	assert_failure
}

@test "no descriptor of ours reaches a hook" {
	up_prints 'PostUp = ls /proc/self/fd | wc -l; ls -l /proc/self/fd | grep -c -E "socket|net:|mnt:" || true'
	assert_line --index 1 "0"
}

@test "a WireGuard link that somebody else makes on the host meanwhile stays; the tunnel's own does not, by whatever name" {
	local kind=bridge
	[[ $WG_KIND == go ]] || kind=wireguard
	rm -f /run/in-hook /run/ended
	config wg0 "PostUp = touch /run/in-hook; until [[ -e /run/ended ]]; do sleep 0.05; done"
	bash -c "until [[ -e /run/in-hook ]]; do sleep 0.05; done; ip link add wg7 type $kind; ip addr add 10.77.0.1/24 dev wg7; ip link set wg7 up; touch /run/ended" > /dev/null 2>&1 3>&- &
	run timeout 60 wg-nsquick up wg0
	rm -f /run/in-hook /run/ended
	assert_success
	refute_output --partial "guard:"
	run ip -br addr show dev wg7
	assert_output --partial "10.77.0.1/24"
	ip link del wg7
	wg-nsquick down wg0 > /dev/null 2>&1
	if [[ $WG_KIND == kernel ]]; then
		config wg0 "PostUp = ip link set %i down; ip link set %i name other0; ip link set other0 netns 1; sleep 60"
		run timeout 60 wg-nsquick up wg0
		assert_failure 193
		run ip link show dev other0
		assert_failure
	fi
}
