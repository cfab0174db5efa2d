#!/usr/bin/env bats
# Vectors X1-X14: facts about namespaces, kernel WireGuard and wireguard-go, as
# they show through the program. Where the two differ, WG_KIND decides.
# shellcheck disable=SC2016 # for other shells

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
	load lib/vector
}

teardown() {
	local name
	end_tunnels
	for name in other birth; do ip netns del $name 2>/dev/null || true; done
	assert_clean
}

# A transport namespace with a link to the provider (198.51.100.1).
birth_up() {
	ip netns add birth
	ip link add name a0 netns birth type veth peer name a1 netns prov
	ip -n birth addr add 198.51.100.2/24 dev a0
	ip -n birth link set a0 up
	ip -n prov addr add 198.51.100.1/24 dev a1
	ip -n prov link set a1 up
}

assert_link() { # NETNS NAME: it is there
	run ip -n "$1" link show "$2"
	assert_success
}

refute_link() { # NETNS NAME; host is this one
	if [[ $1 == host ]]; then run ip link show "$2"; else run ip -n "$1" link show "$2"; fi
	assert_failure
}

# listens PORT [NETNS]: a UDP socket stands there, in the namespace or on the host.
listens() {
	local sockets
	if [[ -n ${2-} ]]; then sockets=$(ip netns exec "$2" ss -Huan "sport = :$1"); else sockets=$(ss -Huan "sport = :$1"); fi
	[[ -n $sockets ]]
}

refute_listens() {
	if listens "$@"; then fail "port $1 is open in ${2-the host}"; fi
}

within() { # SECONDS COMMAND…: it becomes true in that time
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || fail "not within the time: $*"
		sleep 0.1
	done
}

monitor_sees() { # NAME: events up to now are in the monitor's file
	ip link add "$1" type veth peer name "$1"p
	ip link del "$1"
	sleep 0.1
	grep -q "$1" "$BATS_TEST_TMPDIR/monitor"
}

# The kernel's own answer to one request for a new link; where it has no WireGuard, a bridge stands in.
kernel_says() { # NAME OPTION…
	local kind=wireguard
	[[ $WG_KIND == kernel ]] || kind=bridge
	"$BATS_TEST_DIRNAME/lib/newlink" "$1" $kind "${@:2}"
}

# Whether this kernel is VERSION or a later one.
kernel_from() { [[ $(printf '%s\n' "$1" "$(uname -r)" | sort -V | head -n 1) == "$1" ]]; }

@test "X1: the link is in the target only; a kernel one never was on the host" {
	ip -o monitor link > "$BATS_TEST_TMPDIR/monitor" 3>&- &
	local monitor=$!
	within 20 monitor_sees begin
	vector I "Address = 10.9.0.2/24"
	up
	run ip -n wg0 -o link
	assert_equal "${#lines[@]}" 2
	assert_link wg0 wg0
	refute_link host wg0
	down
	within 20 monitor_sees finish
	kill $monitor
	run grep -F " wg0" "$BATS_TEST_TMPDIR/monitor"
	ip netns add other
	assert_equal "$(kernel_says x1 net-ns-fd=/run/netns/other)" "ok"
	assert_link other x1
	refute_link host x1
	run grep -F " wg0" "$BATS_TEST_TMPDIR/monitor"
	if [[ $WG_KIND == kernel ]]; then
		assert_output ""
	else
		# A TUN is made where its program runs. It was never up there.
		assert_output --partial "Deleted"
		refute_output --partial "UP"
	fi
}

@test "X2: a link of that name on the host: no obstacle on any kernel, left alone; a TUN cannot be had then" {
	ip link add wg0 type veth peer name wg0peer
	config wg0
	if [[ $WG_KIND == kernel ]]; then
		up
		run wg-nsquick exec wg0 -- ping -c 1 -W 10 10.9.0.1
		assert_success
		down
	else
		run wg-nsquick up wg0
		assert_failure 1
		assert_output --partial "the transport namespace has a link of this name"
	fi
	# What the kernel says when it is asked for this name elsewhere is up to its age.
	ip netns add other
	if kernel_from 6.15; then
		assert_equal "$(kernel_says wg0 net-ns-fd=/run/netns/other)" "ok"
	else
		assert_regex "$(kernel_says wg0 net-ns-fd=/run/netns/other)" "^EEXIST"
		refute_link other wg0
	fi
	run ip -d link show wg0
	assert_output --partial veth
	ip link del wg0
}

@test "X3: the kernel takes one target only; started in one namespace, for a second, with the socket in a third: each gets its own and no more" {
	ip netns add birth
	ip netns add other
	assert_equal "$(kernel_says x3 net-ns-fd=/run/netns/other target-netnsid=0)" "EINVAL multiple netns identifying attributes specified"
	refute_link other x3
	vector I "ListenPort = 51999"
	run ip netns exec prov wg-nsquick up wg0 --netns other --transport birth
	assert_success
	assert_link other wg0
	listens 51999 birth
	for name in prov birth host; do refute_link $name wg0; done
	for name in other prov; do refute_listens 51999 $name; done
	refute_listens 51999
	down
}

@test "X4: what is no network namespace is no target: status 1, nothing touched" {
	local path
	assert_equal "$(kernel_says x4 net-ns-fd=99)" "EBADF"
	assert_equal "$(kernel_says x4 net-ns-fd=/dev/null)" "EINVAL"
	assert_equal "$(kernel_says x4 net-ns-fd=/proc/self/ns/mnt)" "EINVAL"
	vector I
	for path in /dev/null /proc/self/ns/mnt /etc/wireguard /run/nosuch; do
		run wg-nsquick up wg0 --netns $path
		assert_failure 1
		assert_output --partial "$path"
		assert_equal "${#lines[@]}" 1
		assert_clean
	done
}

@test "X5: an unknown transport: status 1, nothing touched" {
	local path
	assert_equal "$(kernel_says x5 link-netnsid=77)" "EINVAL Unknown network namespace id"
	vector I
	for path in nosuch /dev/null /run/nosuch; do
		run wg-nsquick up wg0 --transport $path
		assert_failure 1
		assert_output --partial "$path"
		assert_equal "${#lines[@]}" 1
		assert_clean
	done
}

@test "X6: a link that somebody moves on arrives down, without addresses, with its MTU; down then only tidies up" {
	vector I "Address = 10.9.0.2/24" "MTU = 1333"
	up
	ip netns add other
	ip -n wg0 link set wg0 netns other
	run ip -n other -o link show wg0
	assert_output --partial " mtu 1333 "
	assert_output --partial "state DOWN"
	assert_equal "$(ip -n other -o addr show wg0)" ""
	run wg-nsquick down wg0
	assert_failure 1
	assert_line "wg-nsquick: \`wg0' is not a WireGuard interface"
	refute_link wg0 lo
	if [[ $WG_KIND == kernel ]]; then assert_link other wg0; fi
}

@test "X7: socket in one namespace, link in another: traffic, and the port is where the socket is, also a new one" {
	birth_up
	ENDPOINT=198.51.100.1:51820 config wg0 "ListenPort = 51999"
	up --transport birth
	run wg-nsquick exec wg0 -- ping -c 1 -W 10 10.9.0.1
	assert_success
	listens 51999 birth
	refute_listens 51999 wg0
	refute_listens 51999
	# wireguard-go is reached by a path, the kernel's by the link's namespace.
	if [[ $WG_KIND == go ]]; then
		wg set wg0 listen-port 51998
	else
		run wg set wg0 listen-port 51998
		assert_failure
		ip netns exec wg0 wg set wg0 listen-port 51998
	fi
	listens 51998 birth
	refute_listens 51998 wg0
	down
}

@test "X8: a second tunnel of that name elsewhere: the kernel has it, userspace is refused with a reason" {
	vector I
	up
	mkdir "$BATS_TEST_TMPDIR/second"
	printf '[Interface]\nPrivateKey = %s\n' "$(wg genkey)" > "$BATS_TEST_TMPDIR/second/wg0.conf"
	ip netns add other
	if [[ $WG_KIND == go ]]; then
		run ip netns exec other wireguard-go wg0
		assert_failure 1
		run wg-nsquick up "$BATS_TEST_TMPDIR/second/wg0.conf" --netns other
		assert_failure 1
		assert_line --partial "userspace WireGuard of this name already runs on this machine"
		refute_link other wg0
	else
		run wg-nsquick up "$BATS_TEST_TMPDIR/second/wg0.conf" --netns other
		assert_success
		run wg-nsquick down wg0
		assert_failure 1
		assert_output --partial "expected --netns"
		run wg-nsquick down wg0 --netns other
		assert_success
	fi
	assert_equal "$(ip netns exec wg0 wg show wg0 public-key)" "$K_PUB"
	down
}

@test "X9: link or namespace deleted by somebody: its program ends, and the next up tidies up and works" {
	config wg0
	up
	ip -n wg0 link del wg0
	within 20 test ! -e /run/wireguard/wg0.sock
	up
	assert_line --partial "undoing what an interrupted run left"
	ip netns del wg0
	within 20 test ! -e /run/wireguard/wg0.sock
	up
	assert_line --partial "undoing what an interrupted run left"
	run wg-nsquick exec wg0 -- ping -c 1 -W 10 10.9.0.1
	assert_success
}

@test "X10: renamed by somebody: userspace keeps its control name; down finds it all the same" {
	vector I
	ip netns add other
	up --netns other
	ip -n other link set wg0 down
	ip -n other link set wg0 name wg7
	if [[ $WG_KIND == go ]]; then
		assert_equal "$(ip netns exec other wg show wg0 public-key)" "$K_PUB"
		run ip netns exec other wg show wg7
		assert_failure
	else
		assert_equal "$(ip netns exec other wg show wg7 public-key)" "$K_PUB"
	fi
	down
	assert_equal "$(ip -n other -o link | wc -l)" 1
}

@test "X11: the userspace program starts where its socket is to be, and makes its TUN itself" {
	ip netns add birth
	mkdir -p /run/bin
	printf '#!/bin/sh\nreadlink /proc/self/ns/net > /run/started-in\necho "[${WG_TUN_FD-}]" >> /run/started-in\nexec wireguard-go "$@"\n' > /run/bin/wrapper
	chmod 755 /run/bin/wrapper
	rm -f /run/started-in
	vector I
	WG_QUICK_USERSPACE_IMPLEMENTATION=/run/bin/wrapper up --transport birth
	if [[ $WG_KIND == go ]]; then
		# Why: a TUN of another namespace is none to it.
		ip netns add other
		run ip netns exec other python3 -c '
import fcntl, os, struct
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"x11", 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
os.set_inheritable(tun, True)
os.execvp("nsenter", ["nsenter", "--net=/run/netns/birth", "env", f"WG_TUN_FD={tun}", "WG_PROCESS_FOREGROUND=1", "wireguard-go", "x11"])'
		assert_failure 1
		assert_output --partial "Failed to create TUN device: no such device"
		assert_equal "$(cat /run/started-in)" "$(ip netns exec birth readlink /proc/self/ns/net; echo "[]")"
	else
		[[ ! -e /run/started-in ]]
	fi
	assert_link wg0 wg0
}

@test "X12: the MTU is set before the TUN is moved, when its program still sees it" {
	vector I "MTU = 1333"
	# The log's writer stays: no pipe.
	LOG_LEVEL=verbose wg-nsquick up wg0 > "$BATS_TEST_TMPDIR/log" 2>&1 3>&-
	if [[ $WG_KIND == go ]]; then
		within 20 grep -q "MTU updated: 1333" "$BATS_TEST_TMPDIR/log"
		# Why: after that it does not.
		ip -n wg0 link set wg0 mtu 1222
		sleep 0.3
		run grep "MTU updated: 1222" "$BATS_TEST_TMPDIR/log"
		assert_failure
		ip -n wg0 link set wg0 mtu 1333
	fi
	assert_regex "$(ip -n wg0 -o link show wg0)" " mtu 1333 "
}

@test "X13: a port in use: userspace fails when it is configured with 1, the kernel at link up with 2, nothing is left" {
	perl -MSocket -e 'socket S, PF_INET, SOCK_DGRAM, 0 or die; bind S, sockaddr_in(51999, INADDR_ANY) or die; sleep 600' 3>&- &
	local holder=$!
	within 10 listens 51999
	vector I "ListenPort = 51999" "PostUp = echo reached"
	if [[ $WG_KIND == go ]]; then
		up_fails 1
		assert_line --partial "Unable to modify interface: Address already in use"
	else
		up_fails 2
		assert_line --partial "cannot bring the interface up with MTU 1420: Address already in use"
	fi
	refute_line "reached"
	kill $holder
}

@test "X14: the transport namespace is gone: a kernel tunnel is dead, userspace keeps it; down tidies up" {
	ip netns add birth
	vector I "Address = 10.9.0.2/24" "ListenPort = 51999"
	up --transport birth
	ip netns del birth
	if [[ $WG_KIND == kernel ]]; then
		no_carrier() { [[ $(ip -n wg0 -o link show wg0) == *NO-CARRIER* ]]; }
		within 60 no_carrier
		run ip netns exec wg0 wg set wg0 listen-port 51998
		assert_failure
		assert_output --partial "Operation not permitted"
		ip -n wg0 link set wg0 down
		run ip -n wg0 link set wg0 up
		assert_failure
		assert_output --partial "Machine is not on the network"
	else
		ip netns exec wg0 wg set wg0 listen-port 51998
		run ip -n wg0 -o link show wg0
		assert_output --partial ",UP"
	fi
	down
	assert_clean
}

@test "after all of this the host is the same" {
	assert_host_unchanged
}
