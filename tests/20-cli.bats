#!/usr/bin/env bats
# The command line beyond wg-quick's, and bad input: one line, exit 1, nothing touched.
# The vectors about it stand in 21-vectors-cli.bats to 23-vectors-wg.bats.

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
	cd "$BATS_TEST_TMPDIR" || return
	chmod 700 .
}

refused() { # FILE-LINE-PATTERN: with this file `up` ends with one line and status $STATUS
	run wg-nsquick up wg0
	assert_failure "${STATUS:-1}"
	assert_equal "${#lines[@]}" 1
	assert_output --regexp "$1"
	assert_clean
}

@test "--version" {
	run wg-nsquick --version
	assert_success
	assert_output --regexp '^wg-nsquick [0-9.]+$'
}

@test "bad input of wg-quick's own keys: one line with file and line" {
	ADDRESS="10.0.0.300/24" config wg0
	refused "wg0.conf:3: Address"
	config wg0 "SaveConfig = yes"
	refused "neither true nor false"
	STATUS=255
	config wg0 "MTU = abc"
	refused "wg0.conf:4: MTU"
	config wg0 "Table = junk"
	refused "wg0.conf:4: Table"
}

@test "settings: unknown keys and bad values, with file and line" {
	config wg0
	printf '\n[tunnel]\nnetns = x\nfoo = bar\n' > /etc/wg-nsquick.d/wg0.conf
	refused "^wg-nsquick: /etc/wg-nsquick.d/wg0.conf:4: unknown key .foo'"
	printf '[guard]\nlevel = paranoid\n' > /etc/wg-nsquick.d/wg0.conf
	refused "wg0.conf:2: .paranoid' is not a value of level"
	printf '[nonsense]\na = b\n' > /etc/wg-nsquick.d/wg0.conf
	refused "wg0.conf:1: unknown section"
	printf '[tunnel\n' > /etc/wg-nsquick.d/wg0.conf
	refused "wg0.conf:1: "
	rm /etc/wg-nsquick.d/wg0.conf
	mkdir /etc/wg-nsquick.d/wg0.conf
	refused "^wg-nsquick: /etc/wg-nsquick.d/wg0.conf: Is a directory"
	rmdir /etc/wg-nsquick.d/wg0.conf
}

@test "options: bad ones are refused before anything" {
	config wg0
	run wg-nsquick up wg0 --guard paranoid
	assert_failure 1
	assert_output --partial "is not a guard level"
	run wg-nsquick --netns up wg0
	assert_failure
	run wg-nsquick down --force wg0
	assert_failure 1
	assert_output "wg-nsquick: down has nothing to force; expected up, reload, confine or import"
	run wg-nsquick up wg0 --keep-running
	assert_failure 1
	assert_output "wg-nsquick: --keep-running is an option of confine, not of up"
	run wg-nsquick up wg0 --netns /proc/1/ns/net
	assert_failure 1
	assert_output --partial "host's own network namespace"
	run wg-nsquick up wg0 --netns /etc/passwd
	assert_failure 1
	run wg-nsquick up wg0 --transport nosuch
	assert_failure 1
	assert_output --partial "transport"
	assert_clean
}

@test "dry run: the plan on stdout, nothing done; refused where there is none" {
	run wg-nsquick save --dry-run wg0
	assert_failure 1
	assert_output --partial "has no dry run"
	config wg0 "DNS = 10.9.0.1" "PostUp = iptables -A OUTPUT -j REJECT"
	run wg-nsquick --dry-run up wg0
	assert_success
	assert_line --partial "ip link add dev wg0 type wireguard"
	assert_line --partial "PostUp (line 5): iptables"
	refute_output --partial "$CLIENT_KEY"
	assert_clean
}

# bats test_tags=seccomp
@test "what cannot be printed is told, and the status is 1" {
	local words
	config wg0
	for words in "--version" "strip wg0" "check wg0" "--dry-run up wg0" "status" "import --dry-run --name x /etc/wireguard/wg0.conf"; do
		# shellcheck disable=SC2086
		run bash -c 'wg-nsquick "$@" > /dev/full' wg-nsquick $words
		assert_failure 1
		assert_output "wg-nsquick: cannot write to standard output: No space left on device"
		# shellcheck disable=SC2086
		run bash -c 'wg-nsquick "$@" >&-' wg-nsquick $words
		assert_failure 1
		assert_output "wg-nsquick: cannot write to standard output: Bad file descriptor"
	done
	wg-nsquick up wg0 2> /dev/null 3>&-
	for words in "--dry-run down wg0" "--dry-run reload wg0" "status --json" "verify wg0"; do
		# shellcheck disable=SC2086
		run bash -c 'wg-nsquick "$@" > /dev/full' wg-nsquick $words
		assert_failure 1
		assert_output "wg-nsquick: cannot write to standard output: No space left on device"
	done
	run wg-nsquick down wg0
	assert_success
	assert_clean
}

@test "confine: a tunnel without a file, names that systemd reads in a way of its own" {
	run wg-nsquick confine wg1 web
	assert_failure 1
	assert_output "wg-nsquick: \`wg1': /etc/wireguard/wg1.conf: No such file or directory, and what is confined to it could not start; expected an interface with a file (--force does it all the same)"
	config a+b
	run wg-nsquick confine a+b web
	assert_failure 1
	assert_output "wg-nsquick: \`a+b': a unit of systemd cannot have \`+' in its name, so there is no wg-nsquick@a+b.service; expected an interface without"
	config wg0
	local name
	for name in '50%' 'a:b' 'a"b' 'a\b'; do
		run wg-nsquick --netns "$name" confine wg0 web
		assert_failure 1
		assert_output "wg-nsquick: wg0: its namespace is called \`$name', which systemd reads in a way of its own; expected letters, digits and _=+.,@-"
	done
	run wg-nsquick --netns /proc/1/ns/net confine wg0 web
	assert_failure 1
	assert_output --partial "wg0: its namespace is the path \`/proc/1/ns/net'"
	# These pass, up to the manager, which is not here.
	run wg-nsquick --netns /run/netns/prov confine wg0 web
	assert_output --partial "web.service: systemd does not answer"
	run wg-nsquick --force confine wg1 web
	assert_output --partial "web.service: systemd does not answer"
	rm /etc/wireguard/*
}

@test "no bash, a read-only /run: a clear error each, nothing left" {
	mkdir -p /run/nobash
	ln -sf "$(command -v wireguard-go)" /run/nobash/wireguard-go
	config wg0 "PostUp = true"
	PATH=/run/nobash run -127 "$(command -v wg-nsquick)" up wg0
	assert_line --partial "PostUp needs bash"
	assert_clean
	config wg0
	run unshare -m bash -c "mount --bind /run /run && mount -o remount,bind,ro /run && wg-nsquick up wg0"
	assert_failure 1
	assert_output --partial "expected a writable /run"
	assert_clean
	mkdir -p /run/wg-nsquick
	run unshare -m bash -c "mount -t tmpfs none /run/wg-nsquick && mount -o remount,ro /run/wg-nsquick && wg-nsquick recover"
	assert_failure 1
	assert_output "wg-nsquick: cannot write to /run/wg-nsquick: Read-only file system; expected a writable /run"
}

@test "recover: what one part cannot do keeps no other from what it can" {
	config wg0
	wg-nsquick up wg0
	# A tunnel whose file of steps cannot be taken away, and what a power cut left of another namespace.
	ip -n wg0 link del wg0
	mount --bind /run/wg-nsquick/tunnels /run/wg-nsquick/tunnels
	mount -o remount,bind,ro /run/wg-nsquick/tunnels
	mkdir -p /etc/netns/gone
	echo "# Written by wg-nsquick for this network namespace." > /etc/netns/gone/resolv.conf
	run wg-nsquick recover
	umount /run/wg-nsquick/tunnels
	assert_failure 1
	assert_output --partial "wg0: could not undo everything: Read-only file system"
	assert [ ! -e /etc/netns/gone ]
	run wg-nsquick recover
	assert_success
	assert_clean
}

@test "after all of this the host is the same" {
	assert_host_unchanged
}
