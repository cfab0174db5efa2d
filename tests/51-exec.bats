#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2012
# exec: whose rights the command has, what it sees of the host, and that it is
# started as env(1) would start it.

setup_file() {
	load lib/host
	private_etc
	host_up
	servers_up
	host_remember
	sysctl -qw net.ipv4.ping_group_range="0 70000"
	config wg0 "DNS = 10.9.0.1, corp.example"
	wg-nsquick up wg0
}

teardown_file() {
	load lib/host
	host_down
}

setup() {
	load lib/host
	cd "$BATS_TEST_TMPDIR" || return
}

# as_user COMMAND…: started through sudo by the user of number 1234, as the environment says.
as_user() { env SUDO_UID=1234 SUDO_GID=1234 SUDO_USER=somebody SUDO_COMMAND=x "$@"; }

# The capability sets of /proc/self/status that must be empty.
no_capability() {
	local name
	for name in CapInh CapPrm CapEff CapAmb; do
		assert_line --regexp "^$name:[[:space:]]+0+$"
	done
}

@test "as a user: its ids and groups, and no capability" {
	local groups
	groups=$(id -G games | tr ' ' '\n' | sort -n | tr '\n' ' ')
	run wg-nsquick exec wg0 -u games -- sh -c 'id -un; id -G | tr " " "\n" | sort -n | tr "\n" " "; echo; cat /proc/self/status'
	assert_success
	assert_line --index 0 games
	assert_line --index 1 "$groups"
	no_capability
	# The bounding set is for files that have capabilities.
	refute_line --regexp '^CapBnd:[[:space:]]+0+$'
	assert_line --regexp "^Uid:([[:space:]]+$(id -u games)){4}$"
	assert_line --regexp "^Gid:([[:space:]]+$(id -g games)){4}$"
}

@test "capabilities that root was given as ambient or inheritable ones do not come along" {
	run setpriv --inh-caps +net_admin,+sys_admin --ambient-caps +net_admin,+sys_admin wg-nsquick exec wg0 -u nobody -- cat /proc/self/status
	assert_success
	no_capability
	run wg-nsquick exec wg0 -u nobody -- ip link set wg0 down
	assert_failure
}

@test "files that it makes belong to the user" {
	chmod 777 .
	run wg-nsquick exec wg0 -u nobody -- touch made
	assert_success
	assert_equal "$(stat -c %U:%G made)" nobody:nogroup
}

@test "by number; -u before INTERFACE" {
	run wg-nsquick exec -u 65534 wg0 -- id -un
	assert_output nobody
}

@test "the user's own environment: HOME and its like, and only a folder of its own for XDG_RUNTIME_DIR" {
	mkdir -p /run/user/65534 && chown nobody /run/user/65534
	MAIL=/var/mail/root XDG_RUNTIME_DIR=/run/user/0 run wg-nsquick exec wg0 -u nobody -- sh -c 'echo $HOME $USER $LOGNAME $SHELL $XDG_RUNTIME_DIR $MAIL'
	assert_output "/nonexistent nobody nobody /usr/sbin/nologin /run/user/65534"
	rmdir /run/user/65534
	XDG_RUNTIME_DIR=/run/user/0 run wg-nsquick exec wg0 -u nobody -- sh -c 'echo "<$XDG_RUNTIME_DIR>"'
	assert_output "<>"
}

@test "through sudo it is the user who asked; root only if asked for" {
	run as_user wg-nsquick exec wg0 -- sh -c 'id -u; id -G; echo "<$SUDO_UID$SUDO_USER>"; cat /proc/self/status'
	assert_success
	assert_line --index 0 1234
	assert_line --index 1 1234
	assert_line --index 2 "<>"
	no_capability
	run as_user wg-nsquick exec wg0 -u root -- id -u
	assert_output 0
	SUDO_UID=0 run wg-nsquick exec wg0 -- id -u
	assert_output 0
	PKEXEC_UID=65534 run wg-nsquick exec wg0 -- id -un
	assert_output nobody
	DOAS_USER=games run wg-nsquick exec wg0 -- id -un
	assert_output games
	SUDO_UID=0x1 run wg-nsquick exec wg0 -- true
	assert_failure 125
	assert_output --partial "SUDO_UID=0x1 is not a user"
}

@test "sudo itself: the user who asked, by the rule of contrib, and nobody else's words" {
	local before="$PWD"
	mkdir -p bin && cp "$WG_NSQUICK" /usr/local/sbin/wg-nsquick
	useradd -M -N -g nogroup -s /bin/sh nsq-tester
	groupadd nsq-vpn && usermod -a -G nsq-vpn nsq-tester
	sed -e 's/%vpn/%nsq-vpn/; s,/usr/sbin/,/usr/local/sbin/,' "$BATS_TEST_DIRNAME/../contrib/sudoers" > /etc/sudoers.d/nsq-tester
	chmod 440 /etc/sudoers.d/nsq-tester
	cd /
	run -0 visudo -cf /etc/sudoers.d/nsq-tester
	run setpriv --reuid nsq-tester --regid nogroup --groups nsq-vpn env -u WG_NSQUICK /usr/local/sbin/wg-nsquick exec wg0 id -un
	# sudo may say first that it does not know this machine's name.
	local status_own=$status own=${lines[-1]}
	run setpriv --reuid nsq-tester --regid nogroup --groups nsq-vpn sudo -n /usr/local/sbin/wg-nsquick exec wg0 -u root -- id -un
	local status_root=$status
	run setpriv --reuid nsq-tester --regid nogroup --groups nsq-vpn sudo -n /usr/local/sbin/wg-nsquick exec "wg0 --" -u root id -un
	local status_trick=$status
	run setpriv --reuid nsq-tester --regid nogroup --groups nsq-vpn sudo -n /usr/local/sbin/wg-nsquick down wg0
	local status_down=$status
	rm -f /etc/sudoers.d/nsq-tester /usr/local/sbin/wg-nsquick
	userdel nsq-tester
	groupdel nsq-vpn
	cd "$before"
	assert_equal "$status_own $own" "0 nsq-tester"
	assert_equal "$status_root" 1
	assert_equal "$status_trick" 125
	assert_equal "$status_down" 1
}

# polkitd's own interpreter, with what polkit(8) gives a rule to look at.
@test "polkit: the rule of contrib lets members run programs there as themselves, and nothing else" {
	cat > polkit.js <<-'END'
		var rule, polkit = { Result: { YES: "yes" }, addRule: function (f) { rule = f; } };
	END
	cat "$BATS_TEST_DIRNAME/../contrib/polkit-rules" >> polkit.js
	cat >> polkit.js <<-'END'
		function ask(program, words, change) {
			var subject = { local: true, active: true, isInGroup: function (g) { return g == "vpn" && !change; } };
			if (change == "remote") { subject.isInGroup = function () { return true; }; subject.local = false; }
			if (change == "idle") { subject.isInGroup = function () { return true; }; subject.active = false; }
			var action = { id: "org.freedesktop.policykit.exec", lookup: function (k) { return k == "program" ? program : [program].concat(words).join(" "); } };
			if (change == "action") { subject.isInGroup = function () { return true; }; action.id = "org.freedesktop.systemd1.manage-units"; }
			print(rule(action, subject) === "yes" ? "yes" : "no");
		}
		var nsq = "/usr/sbin/wg-nsquick";
		ask(nsq, ["exec", "wg0", "--", "curl", "https://example.org/"]);
		ask(nsq, ["exec", "wg0", "-u", "root", "--", "id"]);
		ask(nsq, ["exec", "wg0", "id"]);
		ask(nsq, ["exec", "wg1", "--", "id"]);
		ask(nsq, ["--netns", "other", "exec", "wg0", "--", "id"]);
		ask(nsq, ["down", "wg0"]);
		ask("/tmp/wg-nsquick", ["exec", "wg0", "--", "id"]);
		ask("/bin/sh", ["-c", "/usr/sbin/wg-nsquick exec wg0 -- id"]);
		ask(nsq, ["exec", "wg0", "--", "id"], "nobody");
		ask(nsq, ["exec", "wg0", "--", "id"], "remote");
		ask(nsq, ["exec", "wg0", "--", "id"], "idle");
		ask(nsq, ["exec", "wg0", "--", "id"], "action");
	END
	run duk polkit.js
	assert_success
	assert_output "$(printf 'yes\nno\nno\nno\nno\nno\nno\nno\nno\nno\nno\nno')"
	# Words that only look like it when they are joined are no command of ours.
	run as_user wg-nsquick "exec wg0 --" -u root -- id -u
	assert_failure
	refute_line 0
	run as_user wg-nsquick exec "wg0 --" -u root -- id -u
	assert_failure 125
	refute_line 0
	# With what the rule lets through, pkexec's own variable says who asked.
	run env PKEXEC_UID=65534 wg-nsquick exec wg0 -- id -un
	assert_output nobody
}

@test "not root, but with the capabilities: its own user, and none of them left; also without new privileges" {
	run setpriv --reuid nobody --regid nogroup --clear-groups --inh-caps +sys_admin,+dac_override --ambient-caps +sys_admin,+dac_override --no-new-privs \
		"$WG_NSQUICK" exec wg0 -- sh -c 'id -un; cat /proc/self/status; ip -br link'
	assert_success
	assert_line --index 0 nobody
	assert_line --regexp '^NoNewPrivs:[[:space:]]+1$'
	assert_line --regexp '^wg0'
	no_capability
}

@test "root without new privileges becomes a user all the same" {
	run setpriv --no-new-privs wg-nsquick exec wg0 -u nobody -- sh -c 'id -un; cat /proc/self/status'
	assert_success
	assert_line --index 0 nobody
	no_capability
}

@test "ping as a user, whom the host lets" {
	run wg-nsquick exec wg0 -- cat /proc/sys/net/ipv4/ping_group_range
	assert_output --regexp '^0[[:space:]]70000$'
	run wg-nsquick exec wg0 -u nobody -- ping -c 1 -W 10 10.9.0.1
	assert_success
	run wg-nsquick exec wg0 -u nobody -- ping -6 -c 1 -W 10 fd09::1
	assert_success
}

@test "no descriptor of ours, but the caller's own, as with env(1)" {
	echo inherited > file
	run wg-nsquick exec wg0 -- sh -c 'ls -l /proc/self/fd | grep -E "socket:|net:|mnt:|wg-nsquick"' 3>&-
	assert_output ""
	run bash -c 'wg-nsquick exec wg0 -u nobody -- sh -c "cat <&9" 9< file'
	assert_output inherited
}

@test "a standard descriptor that the caller closed is closed, as with env(1)" {
	run bash -c 'wg-nsquick exec wg0 -- busybox ls /proc/self/fd <&- 2>&-'
	assert_success
	assert_output "$(bash -c 'env busybox ls /proc/self/fd <&- 2>&-')"
}

@test "working directory, input, signals, status" {
	run wg-nsquick exec wg0 -- pwd
	assert_output "$PWD"
	run bash -c 'echo typed | wg-nsquick exec wg0 -- cat'
	assert_output typed
	run wg-nsquick exec wg0 -- sh -c 'kill -TERM $$'
	assert_failure 143
	run wg-nsquick exec wg0 -- sh -c 'exit 77'
	assert_failure 77
	# What the caller ignores stays ignored; what it blocks stays blocked.
	run bash -c 'trap "" HUP; wg-nsquick exec wg0 -- grep -E "^Sig(Ign|Blk)" /proc/self/status'
	assert_output "$(bash -c 'trap "" HUP; env grep -E "^Sig(Ign|Blk)" /proc/self/status')"
	wg-nsquick exec wg0 -- sleep 60 3>&- &
	local pid=$!
	timeout 20 bash -c "until [[ \$(< /proc/$pid/comm) == sleep ]]; do sleep 0.05; done"
	kill -TERM $pid
	local ended=0
	wait $pid || ended=$?
	assert_equal $ended 143
}

@test "a terminal stays the command's controlling terminal" {
	run script -qec "wg-nsquick exec wg0 -u nobody -- sh -c 'tty -s && echo yes > /dev/tty'" /dev/null
	assert_output --partial yes
}

@test "its /sys is the namespace's, what is mounted below stays" {
	run wg-nsquick exec wg0 -- sh -c 'echo /sys/class/net/*'
	assert_output --partial "/sys/class/net/wg0"
	refute_output --partial veth0
	mkdir -p /run/cg
	run wg-nsquick exec wg0 -- sh -c 'ls /sys/fs/cgroup | head -3'
	assert_equal "$output" "$(cd /sys/fs/cgroup; ls | head -3)"
}

@test "folders of /etc and /run are the host's, live and writable; the resolvers' are not there" {
	mkdir -p /run/daemon /run/nscd /run/avahi-daemon /run/dnsmasq /run/systemd/resolve /run/systemd/journal /run/dbus
	touch /run/nscd/socket /run/systemd/resolve/io.systemd.Resolve /run/top /run/dbus/system_bus_socket
	run wg-nsquick exec wg0 -- sh -c 'echo inside > /run/daemon/file; cd /run; ls -d nscd avahi-daemon dnsmasq systemd/resolve/io* systemd/journal top dbus/system_bus_socket 2>/dev/null'
	assert_output "$(printf 'dbus/system_bus_socket\nsystemd/journal\ntop')"
	assert_equal "$(< /run/daemon/file)" inside
	printf '[exec]\ndbus = masked\n' > /etc/wg-nsquick.d/wg0.conf
	mkdir -p /run/user/0 && touch /run/user/0/bus
	run wg-nsquick exec wg0 -- sh -c 'ls -d /run/dbus /run/user/0; test -c /run/user/0/bus'
	assert_output --partial "cannot access '/run/dbus'"
	assert_line /run/user/0
	run wg-nsquick exec wg0 -- test -c /run/user/0/bus
	assert_success
	rm -r /etc/wg-nsquick.d/wg0.conf /run/daemon /run/nscd /run/avahi-daemon /run/dnsmasq /run/systemd /run/top /run/dbus /run/user
	run wg-nsquick exec wg0 -- touch /etc/made
	assert_failure
	assert_output --partial "Read-only file system"
}

@test "root's umask closes no folder to the user, and is the command's" {
	run bash -c 'umask 077; wg-nsquick exec wg0 -u nobody -- sh -c "umask; cat /run/systemd/resolve/resolv.conf"'
	assert_success
	assert_line 0077
	assert_line "nameserver 10.9.0.1"
	KEY=$(wg genkey) config wg1
	(umask 077; wg-nsquick up wg1)
	run stat -c %a /etc/netns/wg1 /etc/netns/wg1/resolv.conf
	wg-nsquick down wg1
	rm /etc/wireguard/wg1.conf
	assert_output $'755\n644'
}

@test "what the host does to its resolver later does not reach who is inside" {
	mkfifo go
	wg-nsquick exec wg0 -- sh -c 'read -r line < go; cat /etc/resolv.conf; grep ^hosts /etc/nsswitch.conf; ls /run /run/systemd; test ! -e /run/nscd/socket' > seen 3>&- &
	local pid=$!
	timeout 20 bash -c "until [[ \$(< /proc/$pid/comm) == sh ]]; do sleep 0.05; done"
	# As NetworkManager, resolved and package upgrades do: a new file renamed over the old one, new folders.
	cp /etc/resolv.conf resolv.kept; cp /etc/nsswitch.conf nsswitch.kept
	echo "nameserver 198.18.0.1" > /etc/resolv.conf.new; mv /etc/resolv.conf.new /etc/resolv.conf
	echo "hosts: resolve" > /etc/nsswitch.conf.new; mv /etc/nsswitch.conf.new /etc/nsswitch.conf
	mkdir -p /run/nscd /run/systemd/resolve; touch /run/nscd/socket /run/systemd/resolve/io.systemd.Resolve
	echo > go
	local status_inside=0
	wait $pid || status_inside=$?
	cp nsswitch.kept /etc/nsswitch.conf; cp resolv.kept /etc/resolv.conf
	rm -r /run/nscd /run/systemd
	assert_equal $status_inside 0
	run cat seen
	assert_line "nameserver 10.9.0.1"
	assert_line "hosts: files dns"
	refute_output --partial nscd
	refute_output --partial 198.18.0.1
}

@test "a host without resolv.conf, or one that is a link into a folder that is masked" {
	cp -P /etc/resolv.conf resolv.kept
	rm /etc/resolv.conf
	run wg-nsquick exec wg0 -- getent ahostsv4 page.test
	local bare=$output
	mkdir -p /run/systemd/resolve
	echo "nameserver 127.0.0.53" > /run/systemd/resolve/stub-resolv.conf
	ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
	run wg-nsquick exec wg0 -- cat /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
	rm /etc/resolv.conf
	rm -r /run/systemd
	cp -P resolv.kept /etc/resolv.conf
	assert_regex "$bare" 10.9.0.1
	assert_line "nameserver 10.9.0.1"
	refute_output --partial 127.0.0.53
}

@test "a bind that fails ends it: nothing runs, nothing stays mounted" {
	local before
	before=$(wc -l < /proc/1/mountinfo)
	mv /etc/netns/wg0/resolv.conf kept
	ln -s nowhere /etc/netns/wg0/resolv.conf
	run wg-nsquick exec wg0 -- echo it ran
	rm /etc/netns/wg0/resolv.conf
	mv kept /etc/netns/wg0/resolv.conf
	assert_failure 125
	refute_output --partial "it ran"
	assert_output --partial "/etc/netns/wg0"
	assert_equal "$(wc -l < /proc/1/mountinfo)" "$before"
}

# with_fault CALL N ERROR: the N-th such call fails. What the command sees of the host's, and of rights.
with_fault() {
	run strace -o /dev/null -e "trace=$1" -e "inject=$1:error=$3:when=$2" wg-nsquick exec wg0 -u nobody -- busybox sh -c '
		echo it ran
		cat /etc/resolv.conf; grep ^hosts /etc/nsswitch.conf; ls -d /run/nscd /run/systemd/resolve/io.systemd.Resolve
		busybox id -un; grep -E "^(Uid|Cap(Inh|Prm|Eff|Amb))" /proc/self/status' 2>&1
}

@test "whichever call fails: the command runs as ever, or not at all" {
	local call n error good total=0 refused=0
	local -A calls=([setns]=3-5 [unshare]=1 [open_tree]=1-2 [move_mount]=1-2 [mkdir]=1-2 [getdents64]=1-8 [setgroups]=1 [setresuid]=1 [setresgid]=1
		[capset]=1 [mount]="1-5 20 40 60 165-185" [mkdirat]="1 9" [mknodat]="1 9" [symlinkat]=1 [readlinkat]=1)
	mkdir -p /run/nscd /run/systemd/resolve
	touch /run/nscd/socket /run/systemd/resolve/io.systemd.Resolve
	with_fault setns 99 EPERM
	assert_success
	assert_line "it ran"
	good=$output
	for call in "${!calls[@]}"; do
		for n in ${calls[$call]}; do
			for ((n = ${n%-*}, last = ${n#*-}; n <= last; n++)); do
				for error in EPERM ENOENT; do
					# The C library takes that one for the end of a folder.
					[[ $call != getdents64 ]] || error=EIO
					with_fault "$call" "$n" "$error"
					total=$((total + 1))
					if [[ $output == *"it ran"* ]]; then
						assert_equal "$call $n $error: $output" "$call $n $error: $good"
					else
						refused=$((refused + 1))
						assert_equal "$call $n $error: $status ${#lines[@]}" "$call $n $error: 125 1"
					fi
				done
			done
		done
	done
	rm -r /run/nscd /run/systemd
	echo "# $total runs, of which $refused ran nothing" >&3
	assert [ "$refused" -gt 20 ]
}

@test "a joined namespace without a resolver of its own does not get the host's" {
	ip netns add other
	KEY=$(wg genkey) config wg1
	wg-nsquick up wg1 --netns other
	run wg-nsquick exec wg1 -- cat /etc/resolv.conf /etc/nsswitch.conf
	wg-nsquick down wg1
	ip netns del other
	rm /etc/wireguard/wg1.conf
	refute_line --partial "nameserver"
	assert_line "hosts: files dns"
}

@test "an nsswitch.conf that says hosts twice, after blanks or without a colon: files and DNS alone" {
	cp /etc/nsswitch.conf nsswitch.kept
	printf 'passwd: files\nhosts: files mdns4_minimal dns\n\t hosts: resolve\nhosts resolve\nhostsx: odd' > /etc/nsswitch.conf
	KEY=$(wg genkey) config wg1
	wg-nsquick up wg1
	cp nsswitch.kept /etc/nsswitch.conf
	run wg-nsquick exec wg1 -- cat /etc/nsswitch.conf
	assert_success
	assert_equal "$(grep -w hosts <<< "$output")" "hosts: files dns"
	assert_line "passwd: files"
	assert_line "hostsx: odd"
	local line
	for line in " hosts: files dns resolve" "hosts dns [NOTFOUND=return] mdns4" "hosts: dnsfiles"; do
		echo "$line" > /etc/netns/wg1/nsswitch.conf
		run wg-nsquick verify wg1
		assert_failure
		assert_line --regexp '^✗ resolvers .*nsswitch.conf'
	done
	for line in "hosts:dns files# mdns4" "hosts: dns [!UNAVAIL=return] files" "passwd: files"; do
		echo "$line" > /etc/netns/wg1/nsswitch.conf
		run wg-nsquick verify wg1
		assert_line --regexp '^✓ resolvers '
	done
	wg-nsquick down wg1
	rm -r /etc/netns/wg1 /etc/wireguard/wg1.conf
}

@test "wrong words: unknown user, no command, not found, not executable, not up" {
	local before
	before=$(wc -l < /proc/1/mountinfo)
	run wg-nsquick exec wg0 -u no-such-user -- true
	assert_failure 125
	assert_output "wg-nsquick: \`no-such-user' is not a user; expected the name or number of one"
	run wg-nsquick exec wg0 -u 4294967295 -- true
	assert_failure 125
	run wg-nsquick exec wg0
	assert_failure 125
	run wg-nsquick exec wg0 --
	assert_failure 125
	run wg-nsquick exec wg0 -u
	assert_failure 125
	# A user's name may be a program's, too.
	run wg-nsquick exec wg0 --user true id
	assert_failure 125
	assert_output "wg-nsquick: --user is an option of confine and release, not of exec; expected -u USER"
	run wg-nsquick exec wg0 -unobody id
	assert_failure 125
	assert_output "wg-nsquick: \`-unobody' is not an option of exec; expected -u USER, --netns NAME|PATH, or a COMMAND of that name behind --"
	run -127 wg-nsquick exec wg0 -- -unobody
	run wg-nsquick exec wg0 --guard off id
	assert_failure 125
	run -127 wg-nsquick exec wg0 -- no-such-command
	assert_output "wg-nsquick: \`no-such-command': No such file or directory"
	run wg-nsquick exec wg0 -- /etc/passwd
	assert_failure 126
	assert_output "wg-nsquick: \`/etc/passwd': Permission denied"
	run wg-nsquick exec wg7 -- true
	assert_failure 125
	assert_output "wg-nsquick: \`wg7' is not up; expected \`wg-nsquick up wg7' first"
	assert_equal "$(wc -l < /proc/1/mountinfo)" "$before"
}

# bats test_tags=image
@test "out of descriptors: told as that, and not as a tunnel that is down" {
	run bash -c 'ulimit -n 8; wg-nsquick exec wg0 -- echo it ran'
	assert_failure 125
	assert_output "wg-nsquick: wg0: cannot see whether it is up: Too many open files"
	run bash -c 'ulimit -n 8; wg-nsquick verify wg0'
	assert_failure 1
	assert_output "wg-nsquick: wg0: cannot see whether it is up: Too many open files"
	run bash -c 'ulimit -n 8; wg-nsquick status'
	assert_failure
	assert_output --partial "Too many open files"
}

@test "a namespace whose tunnel is gone runs nothing" {
	KEY=$(wg genkey) config wg1
	wg-nsquick up wg1
	ip -n wg1 link del wg1
	run wg-nsquick exec wg1 -- echo it ran
	assert_failure 125
	refute_output --partial "it ran"
	wg-nsquick recover
	rm /etc/wireguard/wg1.conf
}

@test "after all of this the host is the same" {
	assert_host_unchanged
	wg-nsquick down wg0
	assert_clean
}
