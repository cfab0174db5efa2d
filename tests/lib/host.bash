# The pretended host and its provider, for every .bats file. Topology:
#
#   host (PID 1's namespace)            prov
#   ┌──────────────────────────┐       ┌───────────────────────────────┐
#   │ veth0 192.0.2.2/24 ──────┼───────┼─ eth0 192.0.2.1/24            │
#   │       2001:db8::2/64     │       │       2001:db8::1/64          │
#   │ default via 192.0.2.1    │       │ wgp   10.9.0.1/24, fd09::1/64 │
#   │                          │       │       web server, DNS server  │
#   └──────────────────────────┘       └───────────────────────────────┘
#   the tunnel under test: 10.9.0.2, fd09::2
#
# WG_KIND is kernel or go: what this kernel can do.
# shellcheck shell=bash disable=SC2034

bats_require_minimum_version 1.5.0
bats_load_library bats-support
bats_load_library bats-assert

BUILD_DIR=${BUILD_DIR:-$PWD}
WG_NSQUICK=${WG_NSQUICK:-$BUILD_DIR/wg-nsquick}
PATH=$(dirname "$WG_NSQUICK"):$PATH

[[ ${WG_NSQUICK_TEST_PRIVATE-} == 1 ]] || { echo "these tests must be started by tests/private" >&2; exit 1; }

# A kernel that was booted with ipv6.disable=1 has none of this.
has_ipv6() { [[ -e /proc/net/if_inet6 ]]; }

host_up() {
	ip netns add prov
	ip link add veth0 type veth peer name eth0 netns prov
	ip addr add 192.0.2.2/24 dev veth0
	! has_ipv6 || ip -6 addr add 2001:db8::2/64 dev veth0 nodad
	# No link-local address: its detection of duplicates would be a change of its own.
	! has_ipv6 || ip link set veth0 addrgenmode none
	ip link set veth0 up
	ip route add default via 192.0.2.1
	ip -n prov addr add 192.0.2.1/24 dev eth0
	! has_ipv6 || ip -n prov -6 addr add 2001:db8::1/64 dev eth0 nodad
	ip -n prov link set eth0 up
	ip -n prov link set lo up
	if ip -n prov link add wgp type wireguard 2>/dev/null; then
		WG_KIND=kernel
	else
		WG_KIND=go
		ip netns exec prov wireguard-go wgp >/dev/null 2>&1 3>&-
	fi
	PROVIDER_KEY=$(wg genkey)
	CLIENT_KEY=$(wg genkey)
	PROVIDER_PUB=$(wg pubkey <<<"$PROVIDER_KEY")
	CLIENT_PUB=$(wg pubkey <<<"$CLIENT_KEY")
	ip netns exec prov wg set wgp private-key <(echo "$PROVIDER_KEY") listen-port 51820 \
		peer "$CLIENT_PUB" allowed-ips 10.9.0.2/32,fd09::2/128
	ip -n prov addr add 10.9.0.1/24 dev wgp
	! has_ipv6 || ip -n prov -6 addr add fd09::1/64 dev wgp nodad
	ip -n prov link set wgp up
	export WG_KIND PROVIDER_KEY CLIENT_KEY PROVIDER_PUB CLIENT_PUB
}

# An /etc of the test's own, in which files may be replaced: an overlay over the machine's.
private_etc() {
	local folder
	mkdir -p /run/etc.upper /run/etc.work /run/etc.host
	mount --rbind /etc /run/etc.host
	mount --make-rprivate /run/etc.host
	mount -t overlay -o lowerdir=/etc,upperdir=/run/etc.upper,workdir=/run/etc.work overlay /etc
	for folder in netns wireguard wg-nsquick.d; do mount --bind "/run/etc.host/$folder" "/etc/$folder"; done
	echo 'nameserver 192.0.2.53' > /etc/resolv.conf
}

# The provider's web and DNS servers.
servers_up() {
	mkdir -p /run/www
	echo "a page through the tunnel" > /run/www/index.html
	ip netns exec prov busybox httpd -p "$(has_ipv6 && echo '[::]:')80" -h /run/www 3>&-
	ip netns exec prov dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --bind-interfaces --interface=wgp \
		--address=/page.test/10.9.0.1 --address=/page.test/fd09::1 --pid-file=/run/dnsmasq.pid --user=root 3>&-
}

host_down() {
	local config
	for config in /etc/wireguard/*.conf; do
		[[ -e $config ]] && wg-nsquick down "$(basename "$config" .conf)" >/dev/null 2>&1 3>&-
	done
	pkill -KILL busybox; pkill -KILL dnsmasq; pkill -KILL wireguard-go; pkill -KILL tcpdump
	ip link del veth0 2>/dev/null
	ip netns del prov 2>/dev/null
	rm -rf /etc/wireguard/* /run/wireguard /etc/wg-nsquick.d/*
	return 0
}

# config NAME [LINE…]: a file in /etc/wireguard for the provider. Lines beginning with
# "Peer:" go into [Peer], all others into [Interface]; ADDRESS, ALLOWED, ENDPOINT and KEY override.
config() {
	local name=$1 line
	shift
	{
		echo "[Interface]"
		echo "PrivateKey = ${KEY-$CLIENT_KEY}"
		echo "Address = ${ADDRESS-10.9.0.2/24, fd09::2/64}"
		for line; do [[ $line == Peer:* ]] || printf '%s\n' "$line"; done
		echo "[Peer]"
		echo "PublicKey = $PROVIDER_PUB"
		echo "AllowedIPs = ${ALLOWED-0.0.0.0/0, ::/0}"
		echo "Endpoint = ${ENDPOINT-192.0.2.1:51820}"
		for line; do [[ $line == Peer:* ]] && printf '%s\n' "${line#Peer:}"; done
	} > "/etc/wireguard/$name.conf"
	chmod 600 "/etc/wireguard/$name.conf"
}

# Everything that must not change on the host, as text. Lifetimes go by; of the
# rest every byte counts. (No jq here: its start alone takes a second in the VM.)
host_state() {
	local family
	for family in -4 -6; do
		printf '%s\n' 'link show' 'addr show' 'route show table all' 'rule show' 'nexthop show' | ip "$family" -d -j -batch -
	done | sed -E 's/"(valid_life_time|preferred_life_time|expires)":[0-9]+,?//g; s/\},\{/},\n{/g' | multicast_last
	nft list ruleset
	cat /etc/resolv.conf
}

# The order of the kernel's own multicast routes, one for each link, means nothing.
multicast_last() {
	awk '/"dst":"ff00::\/8"/ { gsub(/[],]+$/, ""); last[++n] = $0; next } { gsub(/[],]+$/, ""); print } END { for (i = 1; i <= n; i++) print last[i] | "sort" }'
}

# wait_until WHAT COMMAND…: until it succeeds, for 20 s; then the test fails, and says what did not come.
wait_until() {
	local what=$1 end=$((SECONDS + 20))
	shift
	until "$@" > /dev/null 2>&1; do
		((SECONDS < end)) || { fail "not within 20 s: $what"; return; }
		sleep 0.05
	done
}

# For assert_host_unchanged. On a busy machine a link has its carrier, and an address its
# duplicates looked for, some time after the command that asked for it has ended.
host_remember() {
	local end=$((SECONDS + 20)) before=$BATS_FILE_TMPDIR/host.before unsettled
	while :; do
		host_state > "$before"
		unsettled=$(grep -E 'NO-CARRIER|"linkdown"|"tentative":true' "$before") || return 0
		((SECONDS < end)) || { fail "the host has not settled within 20 s: $unsettled"; return; }
		sleep 0.1
	done
}

host_sysctls() {
	sysctl -a --pattern '^net\.' 2>/dev/null | grep -v -E 'conntrack_count|conntrack_buckets|flowcache|\.(rand|stat)|random' | sort
}

# Supervisor and worker, as a cgroup's end does it: the one that is killed last must not have the time to undo it.
kill_both() {
	pkill -STOP -x wg-nsquick
	pkill -KILL -x wg-nsquick
}

# worker_struck PID INJECTION PATH GO: of the run PID, which waits for the file GO, the worker is struck by what strace(1) calls
# INJECTION when it comes to PATH. It goes on then; $status is the run's.
worker_struck() {
	local worker tracer
	worker=$(pgrep -P "$1" -x wg-nsquick)
	strace -f -qq -o /run/trace -p "$worker" -P "$3" -e inject="$2" 3>&- &
	tracer=$!
	wait_until "the tracer" grep -q "^TracerPid:.*[1-9]" "/proc/$worker/status"
	touch "$4"
	status=0
	wait "$1" || status=$?
	wait "$tracer" || true
	grep -q INJECTED /run/trace
}

# What an up may leave behind nowhere, as a list that is empty when all is well.
# OWN_NETNS is a namespace that the test made itself.
residue() {
	local path name
	for path in /run/netns/* /run/wg-nsquick/{tunnels,netns,room,applied,host}/* /etc/netns/* /var/lib/wg-nsquick/* /run/wireguard/*.sock; do
		[[ -e $path && $path != /run/netns/prov && $path != */wgp.sock && $path != */netns/${OWN_NETNS-prov} ]] && echo "$path"
	done
	grep -F 'wg-nsquick/room' /proc/1/mountinfo
	for path in /proc/[0-9]*; do
		if read -r name 2>/dev/null < "$path/comm" && [[ $name == wg-nsquick || $name == wireguard-go ]]; then
			name=$(tr '\0' ' ' < "$path/cmdline" 2>/dev/null)
			[[ -z $name || $name == *" wgp " ]] || echo "process: $name"
		fi
	done
	return 0
}

assert_clean() {
	local left
	left=$(residue)
	[[ -z $left ]] || fail "left behind: $left"
}

assert_host_unchanged() {
	local end=$((SECONDS + 20))
	# A link that was down and up again takes a moment to have its carrier back.
	while ((SECONDS < end)); do
		host_state | cmp -s "$BATS_FILE_TMPDIR/host.before" - && return
		sleep 0.15
	done
	diff -u "$BATS_FILE_TMPDIR/host.before" <(host_state) >&2 || fail "the host changed"
}
