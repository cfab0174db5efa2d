#!/usr/bin/env bats
# The guard, and up, where the kernel gives them less: root of a user namespace, as in a rootless
# container, and root without CAP_SYS_ADMIN or CAP_NET_ADMIN, as in others. What can be done
# is done, and what cannot be seen is said.
# shellcheck disable=SC2016,SC2034,SC2154

setup() {
	load lib/host
	work=$BATS_TEST_TMPDIR/work
}

unheard='[!] guard: it cannot be seen who writes /etc/resolv.conf (that takes CAP_SYS_ADMIN in the first user namespace): changes are told, but left'
lossy='[!] guard: in this user namespace notices are lost when very many come at once: then the comparison at the end decides'

# A host of its own with one uplink, its state before in /run/before; then what $1 says. $2: the file's further lines.
host='
	for folder in /run /etc/netns /etc/wireguard /var/lib/wg-nsquick /etc/wg-nsquick.d; do mount -t tmpfs -o mode=0755 tests "$folder"; done
	echo "nameserver 192.0.2.53" > /run/resolv.conf
	mount --bind /run/resolv.conf /etc/resolv.conf
	ip link set lo up
	ip link add veth0 type veth peer name veth1
	ip addr add 192.0.2.2/24 dev veth0
	ip link set veth0 addrgenmode none; ip link set veth1 addrgenmode none
	ip link set veth0 up; ip link set veth1 up
	ip route add default via 192.0.2.1
	until (($(ip link show type veth | grep -c "LOWER_UP.*state UP") == 2)); do sleep 0.05; done
	state() { ip -d addr; ip -d route show table all; ip rule; cat /etc/resolv.conf; }
	state > /run/before
	printf "[Interface]\nPrivateKey = %s\nAddress = 10.9.0.2/24, fd09::2/64\n%s\n" "$(wg genkey)" "$2" > /etc/wireguard/wg0.conf
	chmod 600 /etc/wireguard/wg0.conf
	eval "$1"
	diff /run/before <(state) && echo "host: the same"'

in_user_namespace() { run timeout 60 unshare -Urnmpf --mount-proc --kill-child bash -c "$host" - "$@"; }
without() { # CAPABILITIES COMMAND LINES
	local caps=$1
	shift
	run timeout 60 unshare -nmpf --mount-proc --kill-child bash -c "$host" - "capsh --drop=$caps -- -c '$1'" "${2-}"
}

@test "user namespace: up, exec, status, down; and what cannot be seen is said" {
	in_user_namespace 'wg-nsquick up wg0; echo "up $?"; wg-nsquick exec wg0 -- ip -br addr; echo "exec $?"; wg-nsquick down wg0; echo "down $?"' 'PostUp = ip link show %i > /dev/null'
	assert_line "$lossy"
	assert_line "$unheard"
	assert_line "up 0"
	assert_line --regexp '^wg0 .*10\.9\.0\.2/24'
	assert_line "exec 0"
	assert_line "down 0"
	assert_line "host: the same"
}

# bats test_tags=seccomp
@test "user namespace: a hook is kept out of the first namespace there; one that gets there is undone" {
	in_user_namespace 'wg-nsquick up wg0; echo "up $?"' 'PostUp = nsenter -t 1 -n ip route del default'
	assert_line --partial 'may not enter the host'"'"'s network namespace'
	assert_line "up 1"
	assert_line "host: the same"
	in_user_namespace 'wg-nsquick up wg0 --hooks open; echo "up $?"; ip netns; pgrep -x sleep' 'PostUp = nsenter -t 1 -n bash -c "ip route replace default dev veth0; ip link set veth0 mtu 1400"; sleep 60'
	assert_line --partial "the host is as it was before"
	assert_line "up 193"
	assert_line "host: the same"
}

@test "user namespace: around a command" {
	in_user_namespace 'wg-nsquick guard -- bash -c "ip route replace default dev veth0; sleep 60"; echo "status $?"'
	assert_line "$lossy"
	assert_line "$unheard"
	assert_line "status 193"
	assert_line "host: the same"
}

@test "without hooks nothing is said of files" {
	in_user_namespace 'wg-nsquick up wg0; echo "up $?"; wg-nsquick down wg0'
	assert_line "up 0"
	refute_line "$unheard"
}

@test "without CAP_SYS_ADMIN: up says why it cannot, and leaves nothing; the guard works, and says what it does not see" {
	without cap_sys_admin 'wg-nsquick up wg0; echo "up $?"; ls /run/netns /run/wg-nsquick/tunnels'
	assert_line "wg-nsquick: wg0: cannot make network namespace wg0: Operation not permitted"
	assert_line "up 1"
	refute_line --regexp '^wg0$'
	assert_line "host: the same"
	without cap_sys_admin 'wg-nsquick guard -- bash -c "ip route replace default dev veth0; sleep 60"; echo "status $?"'
	assert_line "$unheard"
	assert_line --regexp "added: route default dev veth0 .*put back"
	assert_line "status 193"
	assert_line "host: the same"
	without cap_sys_admin 'wg-nsquick guard -- bash -c "echo nameserver 9.9.9.9 > /etc/resolv.conf"; echo "status $?"'
	assert_line --partial "guard: /etc/resolv.conf changed during \`bash'; not by this run as far as can be seen: left as it is"
	assert_line "status 0"
}

@test "without CAP_NET_ADMIN: up says why it cannot, and leaves nothing; the guard looks on" {
	without cap_net_admin 'wg-nsquick up wg0; echo "up $?"; ls /run/netns /run/wg-nsquick/tunnels'
	assert_line --partial "Operation not permitted"
	assert_line "up 2"
	refute_line --regexp '^wg0$'
	without cap_net_admin 'wg-nsquick guard -- true; echo "status $?"'
	assert_line "status 0"
	assert_line "host: the same"
}
