#!/usr/bin/env bats
# The guard where things are in flux: what was tolerated before the harm, who keeps writing, links
# that move away, floods, and what only looks like harm.
# shellcheck disable=SC2016,SC2034,SC2154

setup_file() {
	load lib/host
	host_up
	ip link add veth1 type veth peer name eth1 netns prov
	ip link set veth1 addrgenmode none
	ip addr add 198.51.100.2/24 dev veth1
	ip link set veth1 up
	ip -n prov link set eth1 up
	ip link add spare type bridge
	ip link set spare addrgenmode none
	ip link set spare up
	ip link set spare down
	ip route add default via 198.51.100.1 metric 50
	ip route add 10.50.0.0/16 via 192.0.2.1 mtu 1300
	ip rule add table main suppress_prefixlength 0 pref 2000
	ip route add table 100 default via 198.51.100.1
	ip netns attach hostns 1
	host_remember
}

teardown_file() {
	load lib/host
	ip netns del hostns
	ip link del veth1 2> /dev/null || true
	ip link del spare 2> /dev/null || true
	ip rule del pref 2000
	host_down
}

setup() {
	load lib/host
	OWN_NETNS=hostns
}

teardown() {
	[[ -z ${daemon-} ]] || { kill -KILL "$daemon"; pkill -KILL -P "$daemon"; } 2> /dev/null || true
	rm -f /run/in-hook /run/daemon.go
	[[ -e /run/netns/wg0 ]] && wg-nsquick down wg0 --guard off --hooks none > /dev/null 2>&1 3>&-
	return 0
}

# A listed daemon of the host: runs `ip -batch` with what is written to /run/daemon.go, and stays its parent for a while.
daemon_up() {
	rm -f /run/daemon.go
	mkfifo /run/daemon.go
	bash -c 'printf dhclient > /proc/$$/comm; while read -r line < /run/daemon.go; do (eval "$line"; sleep 0.3) | ip -batch -; touch /run/daemon.did; done' > /dev/null 2>&1 3>&- &
	daemon=$!
	sleep 0.1
}

# As a hook's command.
ask_daemon() { printf "%s" "rm -f /run/daemon.did; echo '$1' > /run/daemon.go; until [[ -e /run/daemon.did ]]; do sleep 0.02; done"; }

@test "what a daemon did before does not hide the harm that goes unseen" {
	daemon_up
	# An address of the link changes by the daemon's hand; then the routes go with the link, without a notice.
	config wg0 "PostUp = $(ask_daemon 'echo addr add 192.0.2.44/24 dev veth0'); nsenter -t 1 -n ip link set veth0 down; sleep 60"
	run timeout 30 wg-nsquick up wg0 --hooks open
	assert_failure 193
	run ip route show default
	assert_line --partial "default via 192.0.2.1 dev veth0"
	run ip addr show dev veth0
	assert_line --partial "192.0.2.44/24"
	ip addr del 192.0.2.44/24 dev veth0
	assert_host_unchanged
	assert_clean
}

@test "what a daemon did to the same object before does not hide the harm" {
	daemon_up
	config wg0 "PostUp = $(ask_daemon 'echo route replace 10.50.0.0/16 via 192.0.2.1 mtu 1280'); nsenter -t 1 -n ip link set veth0 down; sleep 60"
	run timeout 30 wg-nsquick up wg0 --hooks open
	assert_failure 193
	run ip route show default
	assert_line --partial "default via 192.0.2.1 dev veth0"
	ip route replace 10.50.0.0/16 via 192.0.2.1 mtu 1300
	assert_host_unchanged
}

@test "a daemon's many routes are tolerated, and stand" {
	local many=50000
	[[ -z ${WG_NSQUICK_VM-} ]] || many=5000
	daemon_up
	config wg0 "PostUp = $(ask_daemon "for i in {1..$many}; do echo route add 11.\$((i / 65536)).\$((i / 256 % 256)).\$((i % 256)) dev veth1; done")"
	run timeout 100 wg-nsquick up wg0 --hooks open
	assert_success
	refute_output --partial "guard:"
	(($(ip route show | wc -l) > many))
	ip route show | sed -n 's/^11\./route del 11./p' | ip -batch -
	assert_host_unchanged
}

@test "a command that does not end, and keeps writing, is ended" {
	local start=$SECONDS
	run timeout 40 wg-nsquick guard -- bash -c 'trap "" TERM; while :; do ip route replace default via 198.51.100.1; sleep 0.5; done'
	assert_failure 193
	((SECONDS - start < 20)) || fail "$((SECONDS - start)) s"
	assert_host_unchanged
}

@test "a command that is killed before it could take its tunnel away: the guard does" {
	run timeout 40 wg-nsquick guard -- bash -c 'trap "" TERM
		ip link add wq0 type wireguard || wireguard-go wq0
		ip addr add 10.9.0.2/24 dev wq0; ip link set wq0 up
		ip route del default metric 0; sleep 60'
	assert_failure 193
	refute_line --partial "could not be put back"
	run ip link show wq0
	assert_failure
	assert_host_unchanged
	rm -f /run/wireguard/wq0.sock
}

@test "down: who begins to write when the last hook has ended, during the closing comparison, is ended too" {
	config wg0 'PostDown = (setsid bash -c "while [[ -e /proc/$PPID ]]; do :; done; while :; do nsenter -t 1 -n ip route replace default via 198.51.100.1; done" > /dev/null 2>&1 3>&- &)'
	# The virtual machine takes its time.
	local delay=20000
	[[ -z ${WG_NSQUICK_VM-} ]] || delay=200000
	wg-nsquick up wg0 > /dev/null 2>&1 3>&-
	run timeout 60 strace -o /dev/null -e trace=sendto -e inject=sendto:delay_enter=$delay wg-nsquick down wg0 --hooks open
	assert_failure 193
	pgrep -f 'while [[][[] -e /proc' && fail "it goes on"
	assert_host_unchanged
	assert_clean
}

@test "COMMAND: the way back from an address of the host's own counts" {
	run timeout 20 wg-nsquick guard -- bash -c "ip rule add from 192.0.2.2 table 100 pref 3000; sleep 60"
	assert_failure 193
	assert_host_unchanged
	run timeout 20 env SSH_CONNECTION="203.0.113.9 40000 192.0.2.2 22" wg-nsquick guard -- bash -c "ip rule add ipproto tcp sport 22 table 100 pref 3000; sleep 60"
	assert_failure 193
	assert_host_unchanged
}

@test "COMMAND: an address of the host's own that is no longer answered for" {
	run timeout 20 wg-nsquick guard -- bash -c "ip route del table local local 192.0.2.2 dev veth0; sleep 60"
	assert_failure 193
	assert_host_unchanged
	config wg0 "PostUp = nsenter -t 1 -n ip route del table local local 192.0.2.2 dev veth0; sleep 60"
	run timeout 20 wg-nsquick up wg0 --hooks open
	assert_failure 193
	assert_host_unchanged
}

@test "COMMAND: a daemon that changes the way, and a harmless rule" {
	daemon_up
	run timeout 20 wg-nsquick guard -- bash -c "$(ask_daemon 'echo route replace default via 198.51.100.1 metric 50 mtu 1400'); ip rule add from 198.51.100.77 table 100 pref 3000; ip route add 10.88.0.0/16 via 192.0.2.1"
	assert_success
	refute_output --partial "guard:"
	ip rule del pref 3000
	ip route del 10.88.0.0/16
	ip route replace default via 198.51.100.1 metric 50
	assert_host_unchanged
}

@test "COMMAND: what is no harm: a spare link is set up, a split tunnel goes down" {
	run timeout 20 wg-nsquick guard -- bash -c "ip link set spare up; ip link set spare down"
	assert_success
	run timeout 20 wg-nsquick guard -- ip link set spare up
	assert_success
	assert_output ""
	ip link set spare down
	ALLOWED=10.9.0.0/24 ADDRESS=10.9.0.2/24 config wq0
	wg-quick up wq0 > /dev/null 2>&1 3>&-
	run timeout 60 wg-nsquick guard -- wg-quick down wq0
	assert_success
	refute_output --partial "guard:"
	assert_host_unchanged
}

@test "a link moved into the tunnel's namespace comes back as it was; so from a named one" {
	config wg0 "PostUp = nsenter -t 1 -n ip link set veth1 netns wg0; sleep 60"
	run timeout 30 wg-nsquick up wg0 --hooks open
	assert_failure 193
	assert_line --regexp "removed: link veth1 .*fetched from the namespace that it was moved to"
	# A setting of the link's that is none of routing.
	ip link set veth1 addrgenmode none
	assert_host_unchanged
	assert_clean
	run timeout 30 wg-nsquick guard -- bash -c "ip link set veth1 netns prov; sleep 60"
	assert_failure 193
	ip link set veth1 addrgenmode none
	assert_host_unchanged
}

@test "IPv6 switched off on the host, on one link or on all, is switched on again, and stays off where it was" {
	has_ipv6 || skip "this kernel has no IPv6"
	local which setting=net.ipv6.conf
	sysctl -qw $setting.spare.disable_ipv6=1
	for which in veth0 all; do
		config wg0 "PostUp = nsenter -t 1 -n sysctl -qw $setting.$which.disable_ipv6=1; sleep 60"
		run timeout 30 wg-nsquick up wg0 --hooks open
		assert_failure 193
		assert_line --partial "guard: IPv6 was switched off on the host during \`up' ($setting.$which.disable_ipv6): switched on again"
		refute_line --partial "could not be put back"
		assert_host_unchanged
		run timeout 30 wg-nsquick guard -- bash -c "sysctl -qw $setting.$which.disable_ipv6=1; sleep 60"
		assert_failure 193
		assert_host_unchanged
		assert_equal "$(sysctl -n $setting.{all,default,veth1,spare}.disable_ipv6 | xargs)" "0 0 0 1"
	done
	sysctl -qw $setting.spare.disable_ipv6=0
	assert_clean
}

@test "a link that was deleted: 194, and told; all else is put back" {
	ip link add gone0 type veth peer name gone1
	ip link set gone0 addrgenmode none; ip link set gone1 addrgenmode none
	ip addr add 172.31.0.1/24 dev gone0
	ip link set gone0 up
	ip route add default dev gone0 metric 900
	# Its peer is down, of which the kernel hears in its own time.
	timeout 20 bash -c "until ip link show gone0 | grep -q 'state LOWERLAYERDOWN'; do sleep 0.05; done"
	config wg0 "PostUp = nsenter -t 1 -n bash -c 'ip link del gone0; ip route del default metric 0; sleep 60'"
	run timeout 30 wg-nsquick up wg0 --hooks open
	assert_failure 194
	assert_line --partial "guard: could not be put back: removed: link gone0"
	# What went with it unseen is told once.
	assert_equal "$(grep -c 'removed: route default dev gone0 metric 900' <<< "$output")" 1
	assert_line "wg-nsquick: guard: the host is not as it was before \`up'"
	assert_host_unchanged
	assert_clean
}

@test "notices that are really lost" {
	config wg0 "PostUp = kill -STOP \$(pgrep -o -x wg-nsquick); for i in {1..40000}; do echo route add 11.0.\$((i / 256)).\$((i % 256)) dev veth0; done | nsenter -t 1 -n ip -batch -; kill -CONT \$(pgrep -o -x wg-nsquick); sleep 60"
	run timeout 60 wg-nsquick up wg0 --hooks open
	assert_failure 193
	assert_host_unchanged
	assert_clean
}

@test "a rule that differs from the host's own in what the kernel does not look at when it deletes" {
	config wg0 "PostUp = nsenter -t 1 -n ip rule add table main pref 2000; nsenter -t 1 -n ip rule show > /run/seen; sleep 60"
	run timeout 30 wg-nsquick up wg0 --hooks open
	assert_failure 193
	assert_host_unchanged
	config wg0 "PostUp = nsenter -t 1 -n bash -c 'ip rule add table main suppress_prefixlength 1 pref 2000; ip rule add uidrange 5-6 table main pref 2000'; sleep 60"
	run timeout 30 wg-nsquick up wg0 --hooks open
	assert_failure 193
	assert_host_unchanged
}

@test "warn: blind, and nothing but a word about it" {
	run strace -o /dev/null -e trace=sendto -e inject=sendto:error=EIO:when=1+ wg-nsquick guard --level warn -- touch /run/in-hook
	assert_success
	assert_line --partial "guard: cannot read the host's routing: Input/output error"
	[[ -e /run/in-hook ]]
}

@test "two at once, each with its guard; and one that does harm" {
	config wg0 "PostUp = sleep 1"
	ADDRESS=10.9.0.3/32 KEY=$(wg genkey) config wg1 "PostUp = sleep 0.5"
	wg-nsquick up wg0 > /run/wg0.log 2>&1 3>&- &
	run wg-nsquick up wg1
	assert_success
	wait $!
	run grep guard: /run/wg0.log
	assert_output ""
	wg-nsquick down wg0 2> /dev/null
	run wg-nsquick down wg1
	assert_success
	assert_host_unchanged
	assert_clean
}

@test "who took a router's route is ended before the router is waited for" {
	load lib/noise
	OWN_NETNS='@(rt|hostns)'
	ra_up
	ip netns exec rt pkill -STOP radvd
	# The router does not answer: 4 s in which all else would be open.
	config wg0 "PostUp = nsenter -t 1 -n bash -c 'ip -6 route del default dev ra0; while :; do ip route replace default via 198.51.100.1; echo . >> /run/loops; done'; sleep 60"
	run timeout 40 wg-nsquick up wg0 --hooks open
	[[ ! -e /run/loops ]] || (($(wc -l < /run/loops) < 20)) || fail "$(wc -l < /run/loops) loops"
	pkill -CONT radvd
	rm -f /run/loops
	assert_failure 194
	assert_line --regexp "could not be put back: changed: route default via fe80::1 dev ra0 metric 1024 proto ra "
	run ip route show default
	assert_line --partial "default via 192.0.2.1 dev veth0"
	noise_down || true
	assert_clean
}

@test "/etc/resolv.conf: a symlink that is replaced by a file or leads elsewhere, and one that goes, come back" {
	# In a copy of the folder: what is bound cannot be replaced. It is process 1's /etc/resolv.conf that counts.
	# Whoever does it stays: one that is gone at once is nobody we know, on a busy machine.
	local way
	for way in "os.symlink('/run/other', '/etc/new'); os.rename('/etc/new', '/etc/resolv.conf')" "open('/etc/new', 'w').write('nameserver 9.9.9.9'); os.rename('/etc/new', '/etc/resolv.conf')" \
		"os.unlink('/etc/resolv.conf')" "open('/run/real.conf', 'w').write('nameserver 9.9.9.9')"; do
		run bash -c '
			mkdir -p /run/etc
			mount -t tmpfs etc /run/etc
			trap "umount -l /etc; umount -l /run/etc" EXIT
			cp -a /etc/. /run/etc 2> /dev/null
			mount --rbind /run/etc /etc
			echo nameserver 192.0.2.53 > /run/real.conf
			ln -sfn /run/real.conf /etc/resolv.conf
			wg-nsquick guard -- python3 -c "import os, time; $1; time.sleep(60)"
			echo "status $?"
			readlink /etc/resolv.conf
			cat /etc/resolv.conf' - "$way"
		assert_line "status 193"
		assert_line "/run/real.conf"
		assert_line "nameserver 192.0.2.53"
		assert_line --regexp "guard: /etc/resolv.conf changed during .python3' by process [0-9]+ .*; put back"
	done
	rm -f /run/real.conf
}

@test "/etc/resolv.conf, changed in PostDown, is put back" {
	local before
	before=$(cat /etc/resolv.conf)
	config wg0 "PostDown = echo 'nameserver 9.9.9.9' > /proc/1/root/etc/resolv.conf"
	wg-nsquick up wg0 > /dev/null 2>&1 3>&-
	run timeout 30 wg-nsquick down wg0
	assert_failure 193
	assert_line --partial "guard: /etc/resolv.conf changed during \`down' by process"
	assert_equal "$(cat /etc/resolv.conf)" "$before"
	assert_clean
}

@test "a hook's own process is not waited for before what it did last has been read" {
	# A supervisor that is late: the hook has ended before a notice is read.
	local late='s=$(pgrep -o -x wg-nsquick); (sleep 0.5; kill -CONT $s) & kill -STOP $s'
	config wg0 "PostUp = $late; echo nameserver 9.9.9.9 > /proc/1/root/etc/resolv.conf"
	run timeout 30 wg-nsquick up wg0
	assert_failure 193
	assert_line --partial "guard: /etc/resolv.conf changed during \`up' by process"
	assert_host_unchanged
	assert_clean
	config wg0 "PostUp = $late; exec nsenter -t 1 -n ip route del default metric 0"
	run timeout 30 wg-nsquick up wg0 --hooks open
	assert_failure 193
	assert_line --regexp "removed: route default via 192.0.2.1 .*asked for by process [0-9]+ \(ip\).*put back"
	assert_host_unchanged
	assert_clean
	run timeout 30 wg-nsquick guard -- bash -c "$late; echo nameserver 9.9.9.9 > /etc/resolv.conf"
	assert_failure 193
	assert_line --partial "guard: /etc/resolv.conf changed during \`bash' by process"
	assert_host_unchanged
}

@test "a file system that has no names for what happens in it: who writes /etc/resolv.conf is known all the same" {
	config wg0 "PostUp = echo 'nameserver 9.9.9.9' > /proc/1/root/etc/resolv.conf; sleep 60"
	run timeout 30 strace -f -qq -o /run/strace.log -e trace=fanotify_mark -e inject=fanotify_mark:error=EXDEV:when=1 wg-nsquick up wg0
	assert_failure 193
	assert_line --partial "guard: /etc/resolv.conf changed during \`up' by process"
	# What programs read when they start is no change.
	refute_line --partial "as far as can be seen"
	grep -q 'fanotify_mark.*INJECTED' /run/strace.log
	rm -f /run/strace.log
	assert_host_unchanged
	assert_clean
}

@test "without io_uring all is as ever, but slower" {
	config wg0 "PostUp = echo 'nameserver 9.9.9.9' > /proc/1/root/etc/resolv.conf; sleep 60"
	run timeout 30 strace -f -qq -o /run/strace.log -e trace=io_uring_setup -e inject=io_uring_setup:error=EPERM wg-nsquick up wg0
	assert_failure 193
	assert_line --partial "guard: /etc/resolv.conf changed during \`up' by process"
	grep -q 'io_uring_setup.*INJECTED' /run/strace.log
	rm -f /run/strace.log
	assert_host_unchanged
	assert_clean
}

@test "after all of this the host is the same" {
	assert_host_unchanged
}
