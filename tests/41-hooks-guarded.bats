#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031,SC2034
# Hooks and the host's network namespace: every way in is refused and named, what
# is legitimate works, and where there can be no filter that is said.
# bats file_tags=seccomp

setup_file() {
	load lib/host
	host_up
	servers_up
	host_remember
}

teardown_file() {
	load lib/host
	host_down
}

setup() {
	load lib/host
	tool=$BUILD_DIR/tests/setns-tool
	conf=/etc/wireguard/wg0.conf
}

teardown() {
	wg-nsquick down wg0 >/dev/null 2>&1 || true
	[[ -e /run/netns/hostns ]] && { umount /run/netns/hostns; rm -f /run/netns/hostns; }
	rm -f /etc/wireguard/* /etc/wg-nsquick.d/* /etc/wg-nsquick.conf
	assert_clean
	assert_host_unchanged
}

HOST="the host's network namespace"

# refused NAMED HOOK…: `up' fails with the hook's status, names the command and the namespace, and leaves nothing.
refused() {
	local named=$1
	shift
	config wg0 "$@"
	run wg-nsquick up wg0
	assert_failure
	((status < 193 || status > 195)) || fail "the guard tripped: the host was changed"
	assert_equal "$(grep -c "may not enter" <<<"$output")" 1
	assert_line --regexp "^wg-nsquick: $conf:4: (Pre|Post)Up: .$named' may not enter ${WANTED-$HOST}; expected "
	assert_clean
	assert_host_unchanged
}

# works HOOK…: `up' and `down' succeed, guarded and open, without a word about namespaces.
works() {
	local mode
	config wg0 "$@"
	for mode in guarded open; do
		run wg-nsquick up wg0 --hooks $mode
		assert_success
		refute_output --regexp "may not|Warning"
		run wg-nsquick down wg0 --hooks $mode
		assert_success
		refute_output --regexp "may not|Warning"
	done
}

name_host() { # the host's namespace under a name, as other tools make it
	touch /run/netns/hostns
	mount --bind /proc/1/ns/net /run/netns/hostns
}

nat_pmp_up() { # a NAT-PMP gateway (RFC 6886) that knows its public address and nothing else; its pid is $nat_pmp
	ip netns exec prov python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.9.0.1", 5351))
open("/run/nat-pmp", "w").close()
while True:
    request, sender = s.recvfrom(64)
    s.sendto(bytes([0, 128, 0, 0, 0, 0, 0, 1, 198, 51, 100, 7]), sender)
' 3>&- &
	nat_pmp=$!
	timeout 20 bash -c 'until [[ -e /run/nat-pmp ]]; do sleep 0.1; done'
	rm -f /run/nat-pmp
}

@test "nsenter -t 1 -n: refused in PreUp and PostUp, named, status the hook's own" {
	refused "nsenter -t 1 -n ip route del default" "PreUp = nsenter -t 1 -n ip route del default"
	refused "nsenter -t 1 -n ip route del default" "PostUp = nsenter -t 1 -n ip route del default"
	assert_line --partial "PostUp ended with status 1"
	refused "nsenter --net=/proc/1/ns/net true" "PostUp = nsenter --net=/proc/1/ns/net true"
}

@test "a hook that goes on after a refusal: up goes on" {
	config wg0 "PostUp = nsenter -t 1 -n ip route del default || true"
	run wg-nsquick up wg0
	assert_success
	assert_line --partial "may not enter $HOST"
}

@test "from a background child, and from a process that double-forked away" {
	refused "nsenter -t 1 -n true" "PostUp = (nsenter -t 1 -n true) & wait \$!"
	rm -f /run/got-in /run/asked
	refused "nsenter -t 1 -n true" "PostUp = ({ setsid nsenter -t 1 -n true && touch /run/got-in; touch /run/asked; } &); timeout 20 bash -c 'until [[ -e /run/asked ]]; do sleep 0.05; done'; [[ -e /run/got-in ]]"
	[[ -e /run/asked ]] || fail "it has not asked within 20 s"
}

@test "a name that leads to the host's namespace: ip netns exec, ip -n" {
	name_host
	export OWN_NETNS=hostns
	refused "ip netns exec hostns ip route del default" "PostUp = ip netns exec hostns ip route del default"
	refused "ip -n hostns route del default" "PostUp = ip -n hostns route del default"
	refused "ip -n hostns route del default" "PreUp = ip -n hostns route del default"
}

@test "a fresh procfs" {
	refused "nsenter --net=/mnt/1/ns/net true" "PostUp = mount -t proc proc /mnt && nsenter --net=/mnt/1/ns/net true"
}

@test "a process instead of a namespace (pidfd), type 0, another architecture's call" {
	refused "setns-tool enter pidfd 1" "PostUp = $tool enter pidfd 1"
	refused "setns-tool enter file 1" "PostUp = $tool enter file 1"
	if [[ $(uname -m) == x86_64 ]] && "$tool" enter compat self; then
		refused "setns-tool enter compat 1" "PostUp = $tool enter compat 1"
	else
		fail "this kernel has no 32-bit calls"
	fi
}

@test "a descriptor of another process (pidfd_getfd) is refused" {
	run "$tool" getfd 1 0
	assert_success
	config wg0 "PostUp = $tool getfd 1 0"
	run wg-nsquick up wg0
	assert_failure 77
	assert_line "pidfd_getfd: Operation not permitted"
}

@test "the transport's namespace is refused too" {
	config wg0 "PostUp = ip netns exec prov true"
	run wg-nsquick up wg0 --transport prov
	assert_failure
	assert_line --partial "PostUp: \`ip netns exec prov true' may not enter the transport's network namespace; expected"
	assert_clean
	run wg-nsquick up wg0
	assert_success
}

@test "with transport self the target is no secret, and the host's stays closed" {
	export OWN_NETNS=lab
	ip netns add lab
	config wg0 "PostUp = ip netns exec lab true; nsenter -t \$\$ -n true" "PostUp = nsenter -t 1 -n true"
	run ip netns exec lab wg-nsquick up wg0 --transport self
	assert_failure 1
	assert_line "wg-nsquick: $conf:5: PostUp: \`nsenter -t 1 -n true' may not enter $HOST; expected hooks to stay in the tunnel's (--hooks open lets them go)"
	refute_line --partial "$conf:4"
	ip netns del lab
}

@test "ip link set %i netns 1 is no setns: the guard sees it, and up is undone" {
	config wg0 "PostUp = ip link set %i netns 1"
	run wg-nsquick up wg0
	((status == 193 || status == 194))
	assert_line --regexp "guard: the host's network changed during .up': added: link .*wg0"
	run ip link show wg0
	assert_failure
	assert_clean
}

@test "nor is a veth whose peer lands on the host: seen too, and gone with the namespace" {
	name_host
	export OWN_NETNS=hostns
	config wg0 "PostUp = ip link add p0 type veth peer name p1 netns hostns"
	run wg-nsquick up wg0
	((status == 193 || status == 194))
	assert_line --regexp "guard: the host's network changed during .up': added: link p1 "
	# The kernel ends a namespace in its own time.
	timeout 20 bash -c 'while ip link show p1 > /dev/null 2>&1; do sleep 0.1; done'
}

@test "down is guarded as up is" {
	config wg0 "PreDown = nsenter -t 1 -n ip route del default || true" "PostDown = nsenter -t 1 -n ip route del default"
	run wg-nsquick up wg0
	assert_success
	run wg-nsquick down wg0
	assert_failure 1
	assert_line --partial "$conf:4: PreDown: \`nsenter -t 1 -n ip route del default' may not enter $HOST"
	assert_line --partial "$conf:5: PostDown: \`nsenter -t 1 -n ip route del default' may not enter $HOST"
	assert_clean
}

@test "a refused command line is one short printable line, without keys" {
	config wg0 "PostUp = nsenter -t 1 -n $tool $CLIENT_KEY \$'a\\nb\\ec' || true"
	run env -u CLIENT_KEY wg-nsquick up wg0
	assert_success
	run grep "may not enter" <<<"$output"
	assert_equal "${#lines[@]}" 1
	refute_output --partial "$CLIENT_KEY"
	assert_output --partial " (hidden) a b?c' may not enter"
	config wg0 "PostUp = nsenter -t 1 -n echo $(printf 'word %.0s' {1..2000}) || true"
	wg-nsquick down wg0
	run wg-nsquick up wg0
	assert_success
	run grep "may not enter" <<<"$output"
	((${#output} < 400))
	assert_output --partial "...' may not enter"
}

@test "all other namespaces are open" {
	works "PostUp = ip netns exec wg0 true; ip -n wg0 link" \
		"PostUp = ip netns add x; ip netns exec x true; ip -n x link; ip netns del x" \
		"PostUp = unshare -n true; unshare -n nsenter -t \$\$ -n true" \
		"PostUp = ip netns exec prov true" \
		"PostUp = nsenter -t 1 -m true; nsenter -t 1 -m -u -i true; nsenter -t \$\$ -a true" \
		"PostUp = $tool enter pidfd \$\$; $tool enter file \$\$" \
		"PreDown = ip -n wg0 link; ip netns exec wg0 true"
}

@test "legitimate hooks: firewall, ip, tc, sysctl" {
	works 'PreUp = iptables -A OUTPUT ! -o %i -d 203.0.113.1 -j REJECT; ip6tables -A OUTPUT -d 2001:db8:9::1 -j DROP' \
		'PostUp = iptables-save | grep -q 203.0.113.1; ip6tables-save | grep -q 2001:db8:9::1' \
		"PostUp = nft 'add table inet t; add chain inet t c { type filter hook output priority 0; }'; nft list table inet t" \
		'PostUp = ip addr add 10.77.0.1/32 dev %i; ip -6 addr add fd77::1/128 dev %i; ip link set %i mtu 1300' \
		'PostUp = ip route add 10.78.0.0/16 dev %i; ip -6 route add fd78::/16 dev %i; ip rule add from 10.77.0.1 table 77; ip link add d0 type veth peer d1' \
		'PostUp = tc qdisc add dev %i root tbf rate 10mbit burst 32k latency 50ms; tc qdisc show dev %i | grep -q tbf' \
		'PostUp = sysctl -w net.ipv4.ip_forward=1; sysctl -w net.ipv4.conf.%i.rp_filter=0; sysctl -w net.ipv4.ping_group_range="0 10"' \
		'PreDown = iptables -D OUTPUT ! -o %i -d 203.0.113.1 -j REJECT; tc qdisc del dev %i root'
}

@test "legitimate hooks: ping, curl, systemctl, natpmpc, process substitution, another user" {
	nat_pmp_up
	works 'PostUp = ping -q -c 1 -W 10 10.9.0.1' \
		'PostUp = curl -sS --max-time 20 http://10.9.0.1/ | grep -q "through the tunnel"' \
		'PostUp = systemctl --version | grep -q systemd' \
		'PostUp = natpmpc -g 10.9.0.1 | grep -q "Public IP address : 198.51.100.7"' \
		"PostUp = wg set %i private-key <(echo $CLIENT_KEY); [[ \$(cat <(wg show %i public-key)) == $CLIENT_PUB ]]" \
		'PostUp = su -s /bin/sh nobody -c "id -u" | grep -q 65534; strace -o /dev/null true'
	kill "$nat_pmp"
}

@test "a background daemon goes on after up, and is named, as it can enter nothing any more" {
	local pid
	config wg0 'PostUp = (setsid bash -c "echo \$BASHPID > /run/daemon.pid; until [[ -e /run/daemon.go ]]; do sleep 0.1; done; nsenter -t \$BASHPID -n true; echo \$? > /run/daemon.status" >/run/daemon.log 2>&1 3>&- &); until [[ -s /run/daemon.pid ]]; do sleep 0.1; done'
	rm -f /run/daemon.*
	run wg-nsquick up wg0
	assert_success
	pid=$(cat /run/daemon.pid)
	kill -0 "$pid"
	run grep "^Warning: " <<<"$output"
	assert_line --regexp "^Warning: process $pid of a hook stays \(.bash -c echo .*'\), and can enter no namespace any more: setns\(2\) fails with ENOSYS"
	touch /run/daemon.go
	timeout 20 bash -c 'until [[ -s /run/daemon.status ]]; do sleep 0.1; done'
	assert_equal "$(cat /run/daemon.status)" 1
	assert_equal "$(cat /run/daemon.log)" "nsenter: reassociate to namespace 'ns/net' failed: Function not implemented"
	wg-nsquick down wg0
	rm -f /run/daemon.*
	run wg-nsquick up wg0 --hooks open
	assert_success
	refute_output --partial "Warning"
	touch /run/daemon.go
	timeout 20 bash -c 'until [[ -s /run/daemon.status ]]; do sleep 0.1; done'
	assert_equal "$(cat /run/daemon.status)" 0
}

@test "hooks asking at the same time, many times over, all get their answer" {
	works "PostUp = for i in 1 2 3 4 5 6 7 8; do $tool loop 500 & done; wait"
}

@test "requesters that are killed while they ask leave the supervisor unharmed" {
	works "PostUp = for i in {1..20}; do $tool loop 100000000 > /dev/null & p=\$!; sleep 0.01; kill -KILL \$p; wait \$p || true; done; $tool loop 10"
}

@test "another listener is in place: said once, hooks run, the guard sees what they change" {
	config wg0 "PreUp = true" "PostUp = nsenter -t 1 -n true"
	run "$tool" listener wg-nsquick up wg0
	assert_success
	assert_line "Warning: hooks cannot be kept from entering the host's network namespace: another seccomp listener is in place; the guard alone remains"
	assert_equal "$(grep -c ^Warning <<<"$output")" 1
	wg-nsquick down wg0
	config wg0 "PostUp = nsenter -t 1 -n ip route del default"
	run "$tool" listener wg-nsquick up wg0
	assert_failure 193
	assert_line --partial "another seccomp listener is in place"
}

@test "no seccomp, or no right to it: said once, hooks run and may enter namespaces" {
	config wg0 "PreUp = true" "PostUp = nsenter -t 1 -n true; ip netns exec wg0 true"
	run "$tool" refuse 38 wg-nsquick up wg0
	assert_success
	assert_line "Warning: hooks cannot be kept from entering the host's network namespace: this kernel has no seccomp user notification; the guard alone remains"
	assert_equal "$(grep -c ^Warning <<<"$output")" 1
	run "$tool" refuse 38 wg-nsquick down wg0
	assert_success
	config wg0 "PostUp = nsenter -t 1 -n ip route del default"
	run "$tool" refuse 38 wg-nsquick up wg0
	assert_failure 193
}

@test "a hook that starts wg-nsquick: it may look at the host, its hooks may not enter it" {
	ADDRESS=10.9.0.3/32 KEY=$(wg genkey) config inner "PostUp = nsenter -t 1 -n true && touch /run/got-in || true"
	config wg0 "PostUp = wg-nsquick up inner --netns inner --transport host" "PreDown = wg-nsquick down inner"
	run wg-nsquick up wg0
	assert_success
	assert_line --partial "another seccomp listener is in place"
	assert_line --partial "\`nsenter -t 1 -n true' may not enter $HOST"
	[[ ! -e /run/got-in ]]
	run ip -n inner link show inner
	assert_success
	run wg-nsquick down wg0
	assert_success
}

@test "none: hooks are skipped, and said to be, in up and down" {
	local kind
	config wg0 "PreUp = touch /run/ran" "PostUp = touch /run/ran; exit 3" "PreDown = touch /run/ran" "PostDown = touch /run/ran"
	run wg-nsquick --hooks=none up wg0
	assert_success
	assert_line "[!] $conf:4: PreUp: skipped, as hooks are set to none"
	assert_line "[!] $conf:5: PostUp: skipped, as hooks are set to none"
	refute_output --partial "touch"
	run wg-nsquick exec wg0 -- ping -c 1 -W 10 10.9.0.1
	assert_success
	run wg-nsquick down wg0 --hooks none
	assert_success
	assert_line "[!] $conf:6: PreDown: skipped, as hooks are set to none"
	assert_line "[!] $conf:7: PostDown: skipped, as hooks are set to none"
	[[ ! -e /run/ran ]]
	run wg-nsquick up wg0 --hooks none --dry-run
	assert_line "  PostUp (line 5), skipped: touch /run/ran; exit 3"
	refute_output --partial "mount namespace"
}

@test "up without hooks, down with them" {
	config wg0 "PostUp = false" "PreDown = echo down"
	run wg-nsquick up wg0 --hooks none
	assert_success
	run wg-nsquick down wg0
	assert_success
	assert_line "down"
}

@test "open: a hook may go where it likes" {
	config wg0 "PostUp = nsenter -t 1 -n true; $tool getfd 1 0"
	run wg-nsquick up wg0 --hooks open
	assert_success
	refute_output --partial "may not"
}

@test "the command line beats the interface's settings, which beat the global ones" {
	config wg0 "PostUp = nsenter -t 1 -n true"
	printf '[hooks]\nmode = open\n' > /etc/wg-nsquick.conf
	run wg-nsquick up wg0
	assert_success
	wg-nsquick down wg0
	printf '[hooks]\nmode = none\n' > /etc/wg-nsquick.d/wg0.conf
	run wg-nsquick up wg0
	assert_success
	assert_line --partial "PostUp: skipped"
	wg-nsquick down wg0
	run wg-nsquick up wg0 --hooks guarded
	assert_failure 1
	assert_line --partial "may not enter $HOST"
}

@test "a word that is none of the three: an error before anything starts" {
	config wg0 "PreUp = touch /run/ran"
	run wg-nsquick up wg0 --hooks loud
	assert_failure 1
	assert_output "wg-nsquick: \`loud' is not a way to run hooks; expected guarded, open or none"
	run wg-nsquick up wg0 --hooks
	assert_failure 1
	printf '[hooks]\n\nmode = Guarded\n' > /etc/wg-nsquick.d/wg0.conf
	run wg-nsquick up wg0
	assert_failure 1
	assert_output "wg-nsquick: /etc/wg-nsquick.d/wg0.conf:3: \`Guarded' is not a value of mode in [hooks]; expected guarded, open or none"
	run wg-nsquick down wg0
	assert_failure 1
	[[ ! -e /run/ran ]]
}

@test "the supervisor is killed while a hook asks: everything is undone" {
	config wg0 "PostUp = touch /run/in-hook; $tool loop 100000000; sleep 600"
	rm -f /run/in-hook
	wg-nsquick up wg0 > /dev/null 2>&1 3>&- &
	local pid=$!
	timeout 20 bash -c "until [[ -e /run/in-hook ]]; do sleep 0.1; done"
	kill -KILL $pid
	timeout 20 bash -c "while pgrep -x wg-nsquick > /dev/null; do sleep 0.1; done"
	timeout 20 bash -c "while pgrep -x setns-tool > /dev/null; do sleep 0.1; done"
	rm -f /run/in-hook
	assert_clean
}

@test "the worker is killed while a hook asks: undone by the supervisor" {
	config wg0 "PostUp = $tool loop 100000000 & kill -9 \$PPID; wait"
	run timeout 30 wg-nsquick up wg0
	assert_failure 1
	assert_output --partial "the worker was killed by signal 9"
	timeout 20 bash -c "while pgrep -x setns-tool > /dev/null; do sleep 0.1; done"
	assert_clean
}
