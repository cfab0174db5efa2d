#!/usr/bin/env bats
# What goes on on a host beside us trips no guard, and nothing of it is undone: router
# advertisements, a DHCP client, containers, a daemon of the host at its routes, carriers.
# lanes: alone
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

setup_file() {
	load lib/host
	command -v radvd > /dev/null || { echo "radvd is not installed" >&2; return 1; }
	host_up
	host_remember
}

teardown_file() {
	load lib/host
	host_down
}

setup() {
	load lib/host
	load lib/noise
	# The noise's own namespaces.
	OWN_NETNS='@(rt|ct2|ct3)'
	rm -f /run/*.log
	config wg0
}

teardown() {
	noise_down
	rm -f /etc/wg-nsquick.d/* /run/*.log
	[[ -e /run/netns/wg0 ]] && wg-nsquick down wg0 --guard off --hooks none > /dev/null 2>&1 3>&-
	return 0
}

# rounds N: up and down so often; nothing but wg-quick's own lines is said.
rounds() {
	local n out
	for ((n = 1; n <= $1; n++)); do
		out=$(wg-nsquick up wg0 2>&1 3>&-) || fail "up $n of $1: status $?: $out"
		[[ $out != *guard:* ]] || fail "up $n of $1: $out"
		out=$(wg-nsquick down wg0 2>&1 3>&-) || fail "down $n of $1: status $?: $out"
		[[ $out != *guard:* ]] || fail "down $n of $1: $out"
	done
}

# heard_of N: each kind of noise was made so often.
heard_of() {
	local log
	for log in udhcpc containers flaps; do
		[[ -e /run/$log.log ]] && (($(wc -l < /run/$log.log) >= $1)) || return 1
	done
}

# tripped_by_daemon, tolerated: with the daemon at its work while a hook waits for it.
prod() { # pid|other
	config wg0 "PostUp = echo $1 > /run/daemon.go; sleep 0.3"
	run timeout 30 wg-nsquick up wg0 --hooks open
}

tolerated() {
	local metric refused
	assert_success
	refute_output --partial "guard:"
	read -r metric _ refused < /run/daemon.metric
	assert_equal "$refused" 0
	run ip route show 10.55.0.0/16
	assert_output "10.55.0.0/16 via 192.0.2.1 dev veth0 proto 77 metric $metric "
	[[ ! -e /run/netns/wg0 ]] || wg-nsquick down wg0 > /dev/null 2>&1
}

@test "noise: bridges come and go as fast as they can, beside hooks that run ip for their own namespace all the time" {
	local mode
	noise_start bash -c 'while :; do ip link add br-noise1 type bridge; ip link del br-noise1; echo >> /run/bridges.log; done'
	config wg0 'PostUp = for i in {1..40}; do ip addr add 10.77.0.$i/32 dev %i; ip route show > /dev/null; done'
	for mode in guarded open; do
		run timeout 60 wg-nsquick up wg0 --hooks $mode
		assert_success
		refute_output --partial "guard:"
		wg-nsquick down wg0 > /dev/null 2>&1 3>&-
	done
	(($(wc -l < /run/bridges.log) > 5))
}

@test "noise: all at once, and up and down beside it; what the noise did stands" {
	local before left metric refused writes
	ra_up
	dhcp_up
	flaps_up
	daemon_up dhclient always
	# With hooks, so that it counts who it was.
	config wg0 "PostUp = :" "PreDown = :"
	noise_start containers 1000
	left=$(ra_left)
	before=$(ip route show; ip -4 addr show dev dh0 | grep -v valid_lft)
	local how_often=20
	[[ -z ${WG_NSQUICK_LONG-} ]] || how_often=100
	[[ -z ${WG_NSQUICK_VM-} ]] || how_often=5
	rounds $how_often
	# It went on all the time. (The machine without KVM takes its time to make a container.)
	local log least=3 until=$((SECONDS + 60))
	[[ -n ${WG_NSQUICK_VM-} ]] && least=1
	while ((SECONDS < until)); do
		heard_of $least && break
		rounds 1
	done
	for log in udhcpc containers flaps; do echo "# $log: $(wc -l < /run/$log.log)" >&3; done
	heard_of $least || fail "too little noise"
	kill -STOP "$daemon"
	sleep 0.1
	read -r metric writes refused < /run/daemon.metric
	echo "# daemon: $writes writes, $refused refused" >&3
	((writes > 100))
	assert_equal "$refused" 0
	run ip route show 10.55.0.0/16
	assert_output --partial "metric "
	[[ -n $left && -n $before ]]
	assert_clean
	# The counter-test: the noise goes on, and a hook does harm.
	kill -CONT "$daemon"
	config wg0 "PostUp = nsenter -t 1 -n ip route del default via 192.0.2.1; sleep 60; :"
	run timeout 30 wg-nsquick up wg0 --hooks open
	assert_failure 193
	# On a busy machine `ip' is gone before the noise ahead of it is read; the hook is there.
	assert_line --regexp "removed: route default via 192.0.2.1 .*(of|while) .nsenter -t 1 -n ip route del default via 192.0.2.1; sleep 60; :'.*; put back"
	refute_line --partial "10.55.0.0"
	refute_line --partial "172.1"
	run ip route show default via 192.0.2.1
	assert_output --partial "default dev veth0"
	sleep 0.1
	kill -STOP "$daemon"
	read -r metric writes refused < /run/daemon.metric
	assert_equal "$refused" 0
	assert_clean
}

# bats test_tags=image
@test "noise: a supervisor that comes late to everything has still heard of its own worker's link first" {
	local n
	renumber() { while :; do ip addr add 192.0.2.77/32 dev veth0; ip addr del 192.0.2.77/32 dev veth0; done; }
	noise_start renumber
	for ((n = 0; n < 5; n++)); do
		# Of the two processes the supervisor alone is held up: what comes meanwhile waits for it all at once.
		run timeout 60 strace -qq -o /dev/null -e trace=poll -e inject=poll:delay_exit=100000 "$(command -v wg-nsquick)" up wg0 3>&-
		assert_success
		refute_output --partial guard:
		run wg-nsquick down wg0
		assert_success
	done
}

@test "noise: without hooks, whoever changes the host is somebody else, even where no notice says who" {
	# Links and IPv6 addresses; and by somebody who is on no list. (Not faster: wireguard-go gives up when it misses notices.)
	ip monitor link > /run/heard.log 2>&1 3>&- &
	noise_pids+=($!)
	bash -c 'exec ip -batch - < <(while :; do
		printf "%s\n" "link set veth0 mtu 1490" "addr add 2001:db8:55::1/64 dev veth0 nodad" "addr add 172.30.0.1/24 dev veth0" "route add 172.31.0.0/24 via 192.0.2.1"
		printf "%s\n" "link set veth0 mtu 1500" "addr del 2001:db8:55::1/64 dev veth0" "addr del 172.30.0.1/24 dev veth0" "route del 172.31.0.0/24 via 192.0.2.1"
		sleep 0.005; done)' > /dev/null 2>&1 3>&- &
	noise_pids+=($!)
	rounds 5
	run wg-nsquick up wg0 --guard strict
	assert_failure
	assert_output --partial "guard: the host's network changed during"
	kill -KILL "${noise_pids[-1]}" && unset 'noise_pids[-1]'
	(($(grep -c 'mtu 1490' /run/heard.log) > 20)) || fail "only $(wc -l < /run/heard.log) changes"
	ip -batch - <<< $'link set veth0 mtu 1500\naddr flush dev veth0 to 2001:db8:55::/64\naddr flush dev veth0 to 172.30.0.1\nroute flush 172.31.0.0/24'
}

@test "noise: with a hook, what nobody is known for counts as the hook's, which is named" {
	local change regex
	while IFS=$'\t' read -r change regex; do
		rm -f /run/in-hook
		config wg0 "PostUp = touch /run/in-hook; sleep 60; :"
		bash -c "until [[ -e /run/in-hook ]]; do sleep 0.05; done; $change" > /dev/null 2>&1 3>&- &
		run timeout 30 wg-nsquick up wg0
		assert_failure 193
		assert_line --regexp "$regex.*while .touch /run/in-hook; sleep 60; :' ran"
		assert_clean
	done <<-'END'
		ip -6 addr add 2001:db8:55::1/64 dev veth0 nodad	added: (address|route) 2001:db8:55::1?/64 dev veth0
		ip link set veth0 mtu 1490	changed: link veth0: mtu 1500 -> 1490
	END
	rm -f /run/in-hook
	run ip addr show dev veth0
	assert_output --partial "mtu 1500"
	refute_output --partial "2001:db8:55::1"
}

@test "noise: IPv6 addresses and links that come up, while a listed daemon is there that may have asked for them" {
	local daemon
	# Their notices do not say who asked.
	bash -c 'printf NetworkManager > /proc/$$/comm; touch /run/daemon.there; until [[ -e /run/in-hook ]]; do sleep 0.05; done; ip -6 addr add 2001:db8:55::1/64 dev veth0 nodad; sleep 0.3; touch /run/ended; sleep 60' > /dev/null 2>&1 3>&- &
	daemon=$!
	noise_pids+=($!)
	noise_wait 50 test -e /run/daemon.there
	config wg0 "PostUp = touch /run/in-hook; until [[ -e /run/ended ]]; do sleep 0.05; done; :"
	rm -f /run/in-hook /run/ended
	run timeout 30 wg-nsquick up wg0
	rm -f /run/in-hook /run/ended /run/daemon.there
	assert_success
	refute_output --partial "guard:"
	wg-nsquick down wg0 > /dev/null 2>&1
	run ip -6 addr show dev veth0
	assert_output --partial "2001:db8:55::1/64"
	ip -6 addr del 2001:db8:55::1/64 dev veth0
	# A hook that is seen at it is no daemon.
	cat > /run/address.py <<-'END'
		import socket, struct, time
		s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); s.bind((0, 0))
		address = socket.inet_pton(socket.AF_INET6, "2001:db8:55::1")
		body = struct.pack("=BBBBI", socket.AF_INET6, 64, 2, 0, socket.if_nametoindex("veth0")) + struct.pack("=HH", 20, 1) + address
		s.send(struct.pack("=IHHII", 16 + len(body), 20, 0x605, 1, 0) + body)
		time.sleep(60)
	END
	config wg0 "PostUp = nsenter -t 1 -n python3 /run/address.py"
	run timeout 30 wg-nsquick up wg0 --hooks open
	assert_failure 193
	# Nor is a tunnel's address anybody's work, nor anything where no daemon is on the list.
	config wg0 "PostUp = touch /run/in-hook; sleep 60; :"
	bash -c "until [[ -e /run/in-hook ]]; do sleep 0.05; done; ip -6 addr add fd09::2/64 dev veth0 nodad" > /dev/null 2>&1 3>&- &
	run timeout 30 wg-nsquick up wg0
	assert_failure 193
	printf '[guard]\nforeign = nothing\n' > /etc/wg-nsquick.d/wg0.conf
	rm -f /run/in-hook
	bash -c "until [[ -e /run/in-hook ]]; do sleep 0.05; done; ip -6 addr add 2001:db8:55::1/64 dev veth0 nodad" > /dev/null 2>&1 3>&- &
	run timeout 30 wg-nsquick up wg0
	rm -f /run/in-hook
	assert_failure 193
	run ip -6 addr show dev veth0
	refute_output --partial "2001:db8:55::1"
	refute_output --partial "fd09::2"
}

@test "noise: a container with a smaller MTU joins a bridge that was there" {
	ip link add br-noise type bridge
	ip addr add 172.17.0.1/16 dev br-noise
	ip link set br-noise up
	config wg0 "PostUp = touch /run/in-hook; until [[ -e /run/ended ]]; do sleep 0.05; done; :"
	rm -f /run/in-hook /run/ended
	bash -c 'until [[ -e /run/in-hook ]]; do sleep 0.05; done; ip link add vh2 mtu 1400 type veth peer name vh3; ip link set vh2 master br-noise; ip link set vh2 up; sleep 0.3; touch /run/ended' > /dev/null 2>&1 3>&- &
	run timeout 30 wg-nsquick up wg0
	rm -f /run/in-hook /run/ended
	assert_success
	refute_output --partial "guard:"
	run ip link show br-noise
	assert_output --partial "mtu 1400"
}

@test "noise: a router's advertisements, heard during the run" {
	local left
	ra_up
	left=$(ra_left)
	config wg0 "PostUp = for i in {1..50}; do sleep 0.1; done"
	run wg-nsquick up wg0
	assert_success
	refute_output --partial "guard:"
	wg-nsquick down wg0 2> /dev/null
	# Heard: the lifetime that the address has is again what the router says.
	((left > 3500 && $(ra_left) >= 3596 - 4)) || fail "$left, then $(ra_left)"
	ra_heard
}

@test "noise: containers that end while we run" {
	local out
	config wg0 "PostUp = touch /run/in-hook; until [[ -e /run/ended ]]; do sleep 0.05; done; sleep 0.3"
	rm -f /run/in-hook /run/ended
	ip link add br-noise type bridge
	ip addr add 172.17.0.1/16 dev br-noise
	ip link set br-noise up
	ip netns add ct2
	ip link add vh2 type veth peer name eth0 netns ct2
	ip link set vh2 master br-noise
	ip link set vh2 up
	ip -n ct2 link set eth0 up
	sleep 2
	bash -c 'until [[ -e /run/in-hook ]]; do sleep 0.05; done; ip netns del ct2; sleep 0.3; ip link del br-noise; touch /run/ended' > /dev/null 2>&1 3>&- &
	run timeout 30 wg-nsquick up wg0
	rm -f /run/in-hook /run/ended
	assert_success
	refute_output --partial "guard:"
}

@test "noise: a listed daemon's change stands, by its first socket and by its second" {
	daemon_up dhclient once
	prod pid
	tolerated
	prod other
	tolerated
	daemon_down
}

@test "noise: the settings' list of daemons replaces the built-in one" {
	local socket
	for socket in pid other; do
		daemon_up dhclient once
		printf '[guard]\nforeign = nothing\n' > /etc/wg-nsquick.d/wg0.conf
		prod $socket
		assert_failure 193
		assert_line --regexp "10\.55\.0\.0/16 .*asked for by process $daemon .*put back"
		assert_clean
		# Put back: so the daemon does not find what it wrote.
		daemon_down
		daemon_up somebody once
		prod $socket
		assert_failure 193
		daemon_down
		daemon_up somebody once
		printf '[guard]\nforeign = other, some*\n' > /etc/wg-nsquick.d/wg0.conf
		prod $socket
		tolerated
		printf '[guard]\nforeign = other, somebody\n' > /etc/wg-nsquick.d/wg0.conf
		prod $socket
		tolerated
		daemon_down
		rm /etc/wg-nsquick.d/wg0.conf
	done
}

@test "noise: the list counts for down and for guard, too" {
	daemon_up somebody once
	printf '[guard]\nforeign = nothing\n' > /etc/wg-nsquick.d/wg0.conf
	config wg0 "PreDown = echo other > /run/daemon.go; sleep 0.3"
	wg-nsquick up wg0 > /dev/null 2>&1
	run wg-nsquick down wg0 --hooks open
	assert_failure 193
	wg-nsquick down wg0 --hooks none > /dev/null 2>&1
	daemon_down
	daemon_up somebody once
	wg-nsquick up wg0 > /dev/null 2>&1
	printf '[guard]\nforeign = somebody\n' > /etc/wg-nsquick.d/wg0.conf
	run wg-nsquick down wg0 --hooks open
	tolerated
	daemon_down
}
