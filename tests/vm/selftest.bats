#!/usr/bin/env bats
# Does the harness keep its promises? Each test boots a machine or two (a few
# seconds each): bats tests/vm/selftest.bats. VM_KERNEL=6.12 for that series.

# shellcheck disable=SC2016 # the guest's shell expands

bats_require_minimum_version 1.5.0

setup() {
	vm=("$BATS_TEST_DIRNAME/run")
	[[ -z ${VM_KERNEL-} ]] || vm+=(--kernel "$VM_KERNEL")
	cd "$BATS_TEST_DIRNAME" || return # bats' own directory may be in /tmp
	export TMPDIR=$BATS_TEST_TMPDIR # where console logs are kept
}

@test "exit statuses pass through" {
	for status in 0 7 130; do
		run -"$status" "${vm[@]}" -- sh -c "exit $status"
	done
	run -127 "${vm[@]}" -- no-such-command
}

@test "a megabyte arrives intact, even at a slow reader" {
	"${vm[@]}" -- seq 160000 | { sleep 8; cmp - <(seq 160000); }
}

@test "bytes of every value arrive intact, stdout and stderr apart" {
	"${vm[@]}" -- sh -c 'head -c 300000 /bin/bash; head -c 200000 /bin/bash >&2' \
		>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
	cmp "$BATS_TEST_TMPDIR/out" <(head -c 300000 /bin/bash)
	cmp "$BATS_TEST_TMPDIR/err" <(head -c 200000 /bin/bash)
}

@test "arguments and passed variables keep their bytes; others do not enter" {
	export A=$'x\n\'"\\ $(id) ' B=no VM_PASS_ENV=A
	run -0 "${vm[@]}" -- sh -c 'printf "%s|%s|%s|%s" "$A" "${B-unset}" "$1" "$#"' _ $'p\n\'q' ''
	[ "$output" = "$A|unset|"$'p\n\'q'"|2" ]
}

@test "a time-out is 124, a crash and a failed boot are 125" {
	run -124 "${vm[@]}" --timeout 2 -- sh -c 'echo before; sleep 100'
	[[ ${lines[0]} == before ]]
	run -125 "${vm[@]}" -- sh -c 'echo c >/proc/sysrq-trigger'
	[[ $output == *'Kernel panic'* ]]
	run -125 "${vm[@]}" --extra-append rdinit=/no-such -- true
}

@test "what COMMAND leaves running does not hold the machine" {
	run -3 "${vm[@]}" --timeout 60 -- sh -c 'sleep 1000 & setsid sleep 1000 & exit 3'
}

@test "only the share reaches the host" {
	share=$BATS_TEST_TMPDIR
	run -0 "${vm[@]}" --share "$share" -- \
		sh -c 'echo kept >"$1/file"; echo lost >"$2/guest-was-here"' _ "$share" "$PWD"
	[ "$(cat "$share/file")" = kept ]
	[ ! -e guest-was-here ]
}

@test "two machines at once" {
	"${vm[@]}" -- echo one >"$BATS_TEST_TMPDIR/one" &
	run -0 "${vm[@]}" -- echo two
	wait $!
	[ "$output" = two ]
	[ "$(cat "$BATS_TEST_TMPDIR/one")" = one ]
}

@test "the kernel has WireGuard, and modules load on demand" {
	run -0 "${vm[@]}" -- sh -exc '
		ip link add wg0 type wireguard
		wg show wg0
		ip link add d0 type dummy
		ip tuntap add t0 mode tun
		nft add table inet t
		unshare -nmpf --mount-proc ip link'
}

@test "systemd as PID 1" {
	[ -x /lib/systemd/systemd ] || skip 'no systemd on this machine'
	run -7 "${vm[@]}" --systemd -- sh -c '[ "$(cat /proc/1/comm)" = systemd ] &&
		systemctl is-system-running --wait && systemd-run --wait --pipe -q echo ran && exit 7'
	[[ $output == *running*ran* ]]
}
