# What goes on on a host beside us, for 71-noise.bats: a router's advertisements, a DHCP
# client, containers that come and go, a routing daemon, links that lose their carrier.
# shellcheck shell=bash

# Each is a process of its own below this shell, ended by noise_down through its id.
noise_pids=()

noise_wait() { # TENTHS COMMAND…
	local n=$1
	shift
	until "$@" > /dev/null 2>&1; do
		((n-- > 0)) || return 1
		sleep 0.1
	done
}

# RAs every three to four seconds on ra0, from a namespace rt: an address, a prefix, a default route.
ra_up() {
	ip netns add rt
	ip link add ra0 address 02:00:00:00:0d:01 type veth peer name r0 netns rt
	ip netns exec rt bash -ec 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
		ip link set r0 addrgenmode none; ip link set lo up; ip link set r0 up
		ip -6 addr add fe80::1/64 dev r0 nodad; ip -6 addr add 2001:db8:1::1/64 dev r0 nodad'
	echo 2 > /proc/sys/net/ipv6/conf/ra0/accept_ra
	echo 0 > /proc/sys/net/ipv6/conf/ra0/accept_dad
	ip link set ra0 up
	cat > /run/radvd.conf <<-END
		interface r0 {
			AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 300;
			prefix 2001:db8:1::/64 { AdvValidLifetime 3600; AdvPreferredLifetime 1800; };
			route 2001:db8:71::/48 { AdvRouteLifetime 900; };
		};
	END
	ip netns exec rt radvd -n -C /run/radvd.conf -p /run/radvd.pid -m logfile -l /run/radvd.log 3>&- &
	noise_pids+=($!)
	noise_wait 150 ra_heard
}

ra_heard() { ip -6 route show default dev ra0 | grep -q 'proto ra' && ip -6 addr show dev ra0 | grep -q '2001:db8:1:'; }

ra_left() { ip -6 -j addr show dev ra0 | jq '[.[].addr_info[] | select(.prefixlen == 64 and .dynamic) | .valid_life_time] | max'; }

# A lease on dh0, asked for again five times a second: what the client's script says is what real ones say.
dhcp_up() {
	ip link add dh0 type veth peer name dh1 netns prov
	ip link set dh0 addrgenmode none
	ip link set dh0 up
	ip -n prov link set dh1 addrgenmode none
	ip -n prov addr add 172.29.0.1/24 dev dh1
	ip -n prov link set dh1 up
	printf '%s\n' 'start 172.29.0.10' 'end 172.29.0.10' 'interface dh1' 'lease_file /run/udhcpd.leases' 'pidfile /run/udhcpd.pid' \
		'option subnet 255.255.255.0' 'option router 172.29.0.1' 'option lease 10' 'min_lease 5' > /run/udhcpd.conf
	: > /run/udhcpd.leases
	cat > /run/udhcpc.script <<-'END'
		#!/bin/bash
		[[ $1 == bound || $1 == renew ]] || exit 0
		ip addr change "$ip/$mask" dev "$interface" valid_lft "$lease" preferred_lft "$lease"
		ip route replace default via "$router" dev "$interface" metric 300
		echo "$1" >> /run/udhcpc.log
	END
	chmod +x /run/udhcpc.script
	mkdir -p /run/bin
	# The program's name is its link's.
	ln -sf "$(command -v busybox)" /run/bin/udhcpc
	ip netns exec prov busybox udhcpd -f /run/udhcpd.conf > /dev/null 2>&1 3>&- &
	noise_pids+=($!)
	/run/bin/udhcpc -f -i dh0 -s /run/udhcpc.script > /dev/null 2>&1 3>&- &
	dhcp_client=$!
	noise_pids+=($!)
	noise_wait 100 grep -q bound /run/udhcpc.log
	(while kill -USR1 $dhcp_client; do sleep 0.2; done) > /dev/null 2>&1 3>&- &
	noise_pids+=($!)
}

# A daemon of the host with the name $1: every 5 ms it moves a route of the uplink to another
# metric, in turn through a socket with its pid as port id, and through its second one. Its last
# write is in /run/daemon.metric. "once": on a byte in the pipe /run/daemon.go, and with its first
# ("pid") or its second socket ("other").
daemon_up() {
	cat > /run/daemon.py <<-'END'
		import os, select, socket, struct, sys, time
		name, mode = sys.argv[1:]
		open("/proc/self/comm", "w").write(name)
		index = socket.if_nametoindex("veth0")
		first = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); first.bind((os.getpid(), 0))
		second = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); second.bind((0, 0))
		assert first.getsockname()[0] == os.getpid() != second.getsockname()[0]
		def attr(kind, data): return struct.pack("=HH", 4 + len(data), kind) + data
		def request(s, kind, flags, metric):
		    body = struct.pack("=BBBBBBBBI", socket.AF_INET, 16, 0, 0, 254, 77, 0, 1, 0)
		    body += attr(1, bytes([10, 55, 0, 0])) + attr(4, struct.pack("=I", index)) + attr(5, bytes([192, 0, 2, 1])) + attr(6, struct.pack("=I", metric))
		    s.sendto(struct.pack("=IHHII", 16 + len(body), kind, flags | 5, 1, 0) + body, (0, 0))
		    reply = s.recv(8192)
		    return struct.unpack_from("=i", reply, 16)[0]
		metric, writes, refused = 0, 0, 0
		def move(s):
		    global metric, writes, refused
		    new = metric % 20 + 1
		    # What stood there last must be what we wrote last.
		    refused += request(s, 24, 0x600, new) != 0
		    if metric: refused += request(s, 25, 0, metric) != 0
		    metric = new; writes += 1
		    with open("/run/daemon.new", "w") as f: f.write(f"{metric} {writes} {refused}\n")
		    os.rename("/run/daemon.new", "/run/daemon.metric")
		move(first)
		if mode == "always":
		    while True: time.sleep(0.005); move(second if writes % 2 else first)
		os.mkfifo("/run/daemon.go")
		while True:
		    with open("/run/daemon.go") as f: word = f.read().strip()
		    move(first if word == "pid" else second)
	END
	rm -f /run/daemon.metric /run/daemon.go
	python3 /run/daemon.py "$1" "$2" 3>&- &
	daemon=$!
	noise_pids+=($!)
	noise_wait 50 test -e /run/daemon.metric
}

daemon_down() {
	kill -KILL "$daemon"
	wait "$daemon" 2> /dev/null || true
	ip route flush 10.55.0.0/16
	rm -f /run/daemon.*
	return 0
}

# Containers: twenty times a bridge that is up with an address, a namespace for each container,
# a pair of links, addresses and routes on both ends; then all of it goes, first the namespaces.
containers() {
	local i n
	for ((n = ${1-20}; n > 0; n--)); do
		ip link add br-noise type bridge
		ip addr add 172.17.0.1/16 dev br-noise
		ip link set br-noise up
		for i in 2 3; do
			ip netns add "ct$i"
			ip link add "vh$i" type veth peer name eth0 netns "ct$i"
			ip link set "vh$i" master br-noise
			ip link set "vh$i" up
			ip -n "ct$i" link set eth0 up
			ip -n "ct$i" addr add "172.17.0.$i/16" dev eth0
			ip -n "ct$i" route add default via 172.17.0.1
		done
		ip route add 172.18.0.0/16 via 172.17.0.2
		ip -n ct2 link set eth0 down
		ip netns del ct2
		ip netns del ct3
		# The kernel takes namespaces apart when it has time.
		noise_wait 300 containers_gone || return 1
		ip link del br-noise
		echo . >> /run/containers.log
	done
	return 0
}

containers_gone() { ! ip link show vh2 && ! ip link show vh3; }

# A second line of the host that loses its carrier and has it back, queue lengths, neighbours, PMTU exceptions.
flaps() {
	set +e
	while :; do
		ip -n prov link set fl1 down
		ip link set veth0 txqueuelen $((500 + RANDOM % 1000))
		ip neigh replace 192.0.2.77 lladdr 02:00:00:00:00:77 dev veth0
		sleep 0.1
		ip -n prov link set fl1 up
		ip neigh del 192.0.2.77 dev veth0
		ip route flush cache
		ping -c 1 -W 0.1 -s 1400 -M 'do' 203.0.113.9
		sleep 0.1
		echo . >> /run/flaps.log
	done > /dev/null 2>&1
}

flaps_up() {
	ip link add fl0 type veth peer name fl1 netns prov
	ip link set fl0 addrgenmode none
	ip addr add 198.51.100.2/24 dev fl0
	ip link set fl0 up
	ip -n prov link set fl1 up
	ip route add 198.18.0.0/15 via 198.51.100.1
	# Behind the provider a packet of 1428 bytes is too big.
	ip netns exec prov sysctl -qw net.ipv4.ip_forward=1
	ip -n prov route replace 203.0.113.9/32 dev wgp mtu lock 1300
	noise_start flaps
}

noise_start() { # COMMAND…: beside us, unknown to the guard
	"$@" > /dev/null 2>&1 3>&- &
	noise_pids+=($!)
}

noise_down() {
	local pid link
	for pid in "${noise_pids[@]}"; do
		# First, or it starts another one meanwhile.
		kill -STOP "$pid"
		pkill -KILL -P "$pid"
		kill -KILL "$pid" && wait "$pid"
	done 2> /dev/null
	noise_pids=()
	for link in ra0 dh0 fl0 vh2 vh3 br-noise br-noise1; do ip link del $link; done 2> /dev/null
	for link in rt ct2 ct3; do ip netns del $link; done 2> /dev/null
	ip route flush 10.55.0.0/16
	ip addr del 192.0.2.77/32 dev veth0 2> /dev/null
	ip neigh del 192.0.2.77 dev veth0 2> /dev/null
	ip -n prov route del 203.0.113.9/32 2> /dev/null
	return 0
}
