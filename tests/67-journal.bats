#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031,SC2154
# The journal: what cannot be read is set aside and told, never guessed at; what has our
# name but is not ours is never touched.

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
	TUNNELS=/run/wg-nsquick/tunnels
	config wg0
	KEY=$(wg genkey) ADDRESS=10.8.0.2/32 ALLOWED=10.8.0.0/24 config wg1
}

teardown() {
	local name
	! grep -q ' /late.conf /etc/resolv.conf ' /proc/self/mountinfo || umount /etc/resolv.conf
	[[ -z ${up_pid-} ]] || { kill "$up_pid" && wait "$up_pid"; } 2> /dev/null || true
	wg-nsquick down wg0 > /dev/null 2>&1 || true
	wg-nsquick --netns wg0 down wg1 > /dev/null 2>&1 || true
	wg-nsquick down wg1 > /dev/null 2>&1 || true
	# What a test spoilt, it had to leave.
	rm -f /run/wg-nsquick/{tunnels,netns}/*.corrupt
	for name in wg0 other third; do ip netns del "$name" 2> /dev/null || true; done
	pkill -KILL -f '^wireguard-go wg[01]$' || true
	daemons_end
	rm -rf /run/wireguard/wg[01].sock /etc/netns/{wg0,wg1,other} /run/wg-nsquick/{tunnels,netns,applied}/*
	umount -l /run/wg-nsquick/room/* 2> /dev/null || true
	rm -rf /run/wg-nsquick/room/*
	assert_clean
	assert_host_unchanged
}

# Nobody ends the daemon of a tunnel whose journal could not be read: it does so itself, after its interface.
daemons_end() { wait_until "the end of the daemons of wg0 and wg1" eval "! pgrep -f '^wireguard-go wg[01]$'"; }

journal() { echo "$TUNNELS/$1"@*; }

is_shown_out() {
	assert_line "[!] wg0: its journal could not be read; \`ip -n wg0 link del wg0' takes the interface away, and \`wg-nsquick recover' the namespace, once nobody is in it"
}

# MESSAGE-FILE: the tunnel runs on, its journal stands aside, and no command takes it for its own.
is_set_aside() {
	local file=$1
	run wg-nsquick recover
	assert_success
	assert_line "Warning: $file is not a journal that this version can read; expected \`wg-nsquick-journal 1' of this boot; set aside as $file.corrupt"
	assert [ ! -e "$file" ]
	assert [ -e "$file.corrupt" ]
	run ip netns exec wg0 ip link show wg0
	assert_success
	run wg-nsquick down wg0
	assert_failure 1
	assert_line "wg-nsquick: \`wg0' is not a WireGuard interface"
	is_shown_out
	run wg-nsquick up wg0
	assert_failure
	assert_line --regexp "\`wg0' already exists|already runs"
	is_shown_out
	# Once is enough.
	refute_output --partial "set aside"
	run ip netns exec wg0 ip link show wg0
	assert_success
}

@test "files and folders of the journal are root's alone" {
	run wg-nsquick up wg0
	assert_success
	run find /run/wg-nsquick -type f ! -perm 600 ! -path '*/room/*'
	assert_output ""
	run find /run/wg-nsquick/tunnels /run/wg-nsquick/netns /run/wg-nsquick/applied /run/wg-nsquick/lock -maxdepth 0 ! -perm 700
	assert_output ""
	run find /run/wg-nsquick ! -user 0
	assert_output ""
	assert_equal "$(head -1 "$(journal wg0)")" "wg-nsquick-journal 1"
	assert_equal "$(sed -n 2p "$(journal wg0)")" "boot $(cat /proc/sys/kernel/random/boot_id)"
	assert_equal "$(tail -1 "$(journal wg0)")" "end $(($(wc -l < "$(journal wg0)") - 1))"
}

@test "corrupt: empty, cut anywhere, garbage, zeros, too long, another version, another boot, another tunnel's, with more behind its end" {
	local file way
	for way in ':' 'head -c 20' 'head -n 1' 'head -n 5' 'head -n -1' 'head -c -1' 'head -c -2' 'head -c 300 /dev/urandom' 'head -c 300 /dev/zero' 'head -c 2M /dev/zero' \
		's/journal 1/journal 2/' 's/^boot ./boot x/' 's/^cookie .*/cookie none/' 's/^cookie .*/cookie 1234/' 's/^cookie .*/& 0/' 's/^undo member/undo everything/' \
		's/^undo member .*/& 0/' 's/^undo member 0/undo member -1/' 's/^iface .*/iface ..\/x/' 's/^iface .*/iface wg1/' 's/^state .*/state perhaps/' 's/^ifindex .*/ifindex -1/' \
		's/^ifindex .*/ifindex 4294967297/' 's/^userspace .*/userspace 2/' '/^ifindex/p' '/^undo member/p' '$a garbage' '$a undo room 0 0 0' '$a \x00'; do
		run wg-nsquick up wg0
		assert_success
		file=$(journal wg0)
		cp "$file" /run/good
		case $way in
		*/dev/*) $way > "$file" ;;
		: | head*) $way < /run/good > "$file" ;;
		*) sed "$way" /run/good > "$file" ;;
		esac
		is_set_aside "$file"
		# Put back, it is as good as ever.
		mv /run/good "$file"
		rm "$file.corrupt"
		run wg-nsquick down wg0
		assert_success
		assert_clean
	done
}

# FILE LINE…: each time without that line of /run/good, is set aside, and the tunnel runs on.
is_missed() {
	local file=$1 line
	shift
	for line; do
		sed "${line}d" /run/good > "$file"
		echo "# without $(sed -n "${line}p" /run/good)"
		run wg-nsquick recover
		assert_success
		assert_output --partial "Warning: $file is not a journal that this version can read"
		assert [ ! -e "$file" ]
		run ip netns exec wg0 ip link show wg0
		assert_success
		rm "$file.corrupt"
	done
	mv /run/good "$file"
}

@test "corrupt: any one line is lost" {
	local file
	run wg-nsquick up wg0
	assert_success
	file=$(journal wg0)
	cp "$file" /run/good
	# shellcheck disable=SC2046
	is_missed "$file" $(seq "$(wc -l < /run/good)")
	run wg-nsquick down wg0
	assert_success
	assert_clean
}

@test "a journal of a version that did not count its lines is read, but not without a field that all have" {
	local file
	run wg-nsquick up wg0
	assert_success
	file=$(journal wg0)
	sed -i 's/^end .*/end/' "$file"
	cp "$file" /run/good
	# shellcheck disable=SC2046
	is_missed "$file" $(grep -nE '^(boot|iface|cookie|state|config|transport|userspace|ifindex|since|auto-|applied|end)' /run/good | cut -d: -f1)
	run wg-nsquick status wg0
	assert_success
	refute_output --partial "set aside"
	run wg-nsquick down wg0
	assert_success
	refute_output --partial "set aside"
	assert_clean
}

@test "a journal by another tunnel's name is set aside" {
	local file other
	run wg-nsquick up wg0
	assert_success
	file=$(journal wg0)
	other=$TUNNELS/wg1@${file##*@}
	cp "$file" "$other"
	run wg-nsquick recover
	assert_success
	assert_output --partial "Warning: $other is not a journal that this version can read"
	run ip netns exec wg0 ip link show wg0
	assert_success
	rm "$other.corrupt"
	run wg-nsquick down wg0
	assert_success
	assert_clean
}

# NETNS: wg0 and wg1 are up in it, the first one's journal ($file) is spoilt, and the other goes down.
share_with_unreadable() {
	run wg-nsquick --netns "$1" up wg0
	assert_success
	run wg-nsquick --netns "$1" up wg1
	assert_success
	file=$(journal wg0)
	echo garbage > "$file"
	run wg-nsquick down wg1
	assert_success
	assert_line --partial "set aside as $file.corrupt"
	assert_line --partial "network namespace $1 stays as it is: \`wg0' is in it, and a tunnel's journal could not be read"
}

# bats test_tags=image
@test "what is set aside is what was read, not what has its place since" {
	local file
	run wg-nsquick up wg0
	assert_success
	file=$(journal wg0)
	cp -p "$file" "$file.whole"
	echo garbage > "$file"
	rm -f /run/trace
	strace -qq -o /run/trace -P "$file" -e trace=read -e inject=read:delay_exit=2000000 wg-nsquick status > /run/words 2>&1 3>&- &
	timeout 20 bash -c 'until [[ -s /run/trace ]]; do sleep 0.05; done'
	mv "$file.whole" "$file"
	wait $!
	assert [ -e "$file" ]
	assert [ ! -e "$file.corrupt" ]
	run wg-nsquick down wg0
	assert_success
	assert_clean
}

@test "a tunnel whose journal cannot be read keeps the namespace that it shares, until it is gone" {
	local file
	share_with_unreadable wg0
	run ip netns exec wg0 ip link show wg0
	assert_success
	assert_equal "$(grep -c '^nameserver' /etc/netns/wg0/resolv.conf)" 0
	run wg-nsquick recover
	assert_success
	run ip netns exec wg0 ip link show wg0
	assert_success
	# By hand, and then any run takes the rest away.
	ip -n wg0 link del wg0
	run wg-nsquick recover
	assert_success
	assert [ ! -e /run/netns/wg0 ]
	assert [ ! -e /etc/netns/wg0 ]
}

@test "a tunnel whose journal cannot be read keeps its namespace, too, where a recover cannot look for it" {
	local n
	run wg-nsquick up wg0
	assert_success
	echo garbage > "$(journal wg0)"
	run wg-nsquick --netns wg0 up wg1
	assert_success
	run wg-nsquick down wg1
	assert_success
	assert_line --partial "network namespace wg0 stays as it is: \`wg0' is in it"
	# Each look into the folder of journals once, out of memory.
	for n in {1..8}; do
		strace -qq -o /run/trace -P "$TUNNELS" -e inject=openat:error=ENOMEM:when="$n" wg-nsquick recover > /dev/null 2>&1 3>&- || true
		run ip netns exec wg0 ip link show wg0
		assert_success
	done
	grep -q openat /run/trace
	ip -n wg0 link del wg0
	daemons_end
	run wg-nsquick recover
	assert_success
	assert_clean
}

@test "a tunnel whose journal cannot be read: its interface is deleted by hand, and recover takes the rest away" {
	local file
	sed -i '/^\[Peer/iPostUp = test -e /etc/resolv.conf' /etc/wireguard/wg0.conf
	run wg-nsquick up wg0
	assert_success
	file=$(journal wg0)
	echo garbage > "$file"
	run wg-nsquick recover
	assert_success
	assert_line --partial "set aside as $file.corrupt"
	# By whatever name: as long as it is there, it may be at work.
	ip -n wg0 link set wg0 name other0
	run wg-nsquick recover
	assert_success
	run ip -n wg0 link show other0
	assert_success
	run wg-nsquick down wg0
	assert_failure 1
	refute_output --partial "link del"
	ip -n wg0 link set other0 name wg0
	run wg-nsquick down wg0
	assert_failure 1
	is_shown_out
	assert [ -e "/run/wg-nsquick/room/$(basename "$file")" ]
	ip -n wg0 link del wg0
	run wg-nsquick recover
	assert_success
	assert_line "[!] network namespace wg0: undoing what a tunnel left whose journal could not be read"
	assert [ ! -e /run/netns/wg0 ]
	assert [ ! -e "/run/wg-nsquick/room/$(basename "$file")" ]
	run find /run/wg-nsquick/{applied,netns} -mindepth 1
	assert_output ""
	run wg-nsquick recover
	assert_success
	assert_output ""
	# The old one is nobody's business: a new one comes up, and goes.
	daemons_end
	run wg-nsquick up wg0
	assert_success
	run wg-nsquick down wg0
	assert_success
	refute_output --partial "read"
	assert [ ! -e "$file.corrupt" ]
	assert_clean
}

@test "one whose journal cannot be read, with a program inside, reloaded before: it stays for the program, also when an up fails" {
	local file pid
	run wg-nsquick up wg0
	assert_success
	run wg-nsquick reload wg0
	assert_success
	file=$(journal wg0)
	echo garbage > "$file"
	ip netns exec wg0 sleep 1000 3>&- &
	pid=$!
	wait_until "the program inside" grep -x sleep "/proc/$pid/comm"
	run wg-nsquick recover
	assert_success
	assert_line --partial "set aside as $file.corrupt"
	ip -n wg0 link del wg0
	run wg-nsquick recover
	assert_success
	assert_line "[!] network namespace wg0: undoing what a tunnel left whose journal could not be read"
	assert [ ! -e "$file.corrupt" ]
	assert_equal "$(ls /run/wg-nsquick/applied)" ""
	# As after any down: no way out, and nobody to ask.
	assert_equal "$(grep -c '^nameserver' /etc/netns/wg0/resolv.conf)" 0
	cp /etc/wireguard/wg0.conf /run/whole
	daemons_end
	sed -i '/^\[Peer/iPostUp = false' /etc/wireguard/wg0.conf
	run wg-nsquick up wg0
	assert_failure
	run ip -n wg0 -br link
	assert_line --partial "lo "
	cp /run/whole /etc/wireguard/wg0.conf
	kill "$pid"
	wait "$pid" || true
	run wg-nsquick recover
	assert_success
	assert_output ""
	run find /run/wg-nsquick/{applied,netns} -mindepth 1
	assert_output ""
	assert_clean
}

@test "one whose journal cannot be read, in somebody's namespace: another tunnel's down leaves its room; a link that is none of ours is not named" {
	local file
	ip netns add other
	sed -i '/^\[Peer/iPostUp = test -e /etc/resolv.conf' /etc/wireguard/wg0.conf
	share_with_unreadable other
	assert [ -e "/run/wg-nsquick/room/$(basename "$file")" ]
	run wg-nsquick --netns other up wg0
	assert_failure 1
	assert_line "[!] wg0: its journal could not be read; \`ip -n other link del wg0' takes the interface away, but not its rules and its nftables table"
	# In another place it is somebody else's that is in the way.
	ip netns add third
	ip -n third link add wg0 type veth peer name out
	run wg-nsquick --netns third up wg0
	assert_failure 1
	assert_line "wg-nsquick: \`wg0' already exists"
	refute_output --partial "link del"
	ip netns del third
	ip -n other link del wg0
	ip -n other link add wg0 type veth peer name out
	run wg-nsquick --netns other down wg0
	assert_failure 1
	refute_output --partial "link del"
	assert [ ! -e "/run/wg-nsquick/room/$(basename "$file")" ]
	assert [ ! -e "$file.corrupt" ]
	ip netns del other
	daemons_end
	assert_clean
}

@test "one whose journal cannot be read, in somebody's namespace: by another name it may be at work; what it leaves is told" {
	local file
	ip netns add other
	sed -i '/^\[Peer/iPostUp = test -e /etc/resolv.conf' /etc/wireguard/wg0.conf
	run wg-nsquick --netns other up wg0
	assert_success
	file=$(journal wg0)
	echo garbage > "$file"
	ip -n other link set wg0 name foo
	for _ in 1 2; do
		run wg-nsquick recover
		assert_success
		refute_output --partial "undoing"
		assert [ -e "$file.corrupt" ]
		assert [ -e "/run/wg-nsquick/room/$(basename "$file")" ]
	done
	ip -n other link del foo
	run wg-nsquick recover
	assert_success
	assert_line "[!] network namespace other: undoing what a tunnel left whose journal could not be read"
	assert_line "[!] wg0: rules and the nftables table wg-quick-wg0, if it had any, stay in network namespace other, which is not ours"
	assert [ ! -e "$file.corrupt" ]
	run wg-nsquick recover
	assert_success
	assert_output ""
	# Nothing stays of a namespace that is gone.
	run wg-nsquick --netns other up wg0
	assert_success
	file=$(journal wg0)
	echo garbage > "$file"
	ip netns del other
	run wg-nsquick recover
	assert_success
	refute_output --partial "not ours"
	assert [ ! -e "$file.corrupt" ]
	# Without a TUN it ends by itself.
	timeout 20 bash -c 'while pgrep -f "^wireguard-go wg0$" > /dev/null; do sleep 0.05; done'
	assert_clean
}

@test "one whose journal cannot be read, in a namespace without a name: the way out is told where it is at hand" {
	local file pid told="[!] wg0: its journal could not be read; \`ip link del wg0' inside its network namespace takes the interface away, but not its rules and its nftables table"
	unshare -n sleep 1000 3>&- &
	pid=$!
	timeout 20 bash -c "until [[ \$(cat /proc/$pid/comm) == sleep ]]; do sleep 0.05; done"
	run wg-nsquick --netns "/proc/$pid/ns/net" up wg0
	assert_success
	file=$(journal wg0)
	echo garbage > "$file"
	run wg-nsquick --netns "/proc/$pid/ns/net" down wg0
	assert_failure 1
	assert_line "$told"
	run wg-nsquick --netns "/proc/$pid/ns/net" up wg0
	assert_failure 1
	assert_line "$told"
	run nsenter -t "$pid" -n wg-nsquick down wg0
	assert_failure 1
	assert_line "$told"
	# Elsewhere it is nobody's.
	run wg-nsquick down wg0
	assert_failure 1
	refute_output --partial "link del"
	# The next tunnel in it takes the rest away.
	nsenter -t "$pid" -n ip link del wg0
	run wg-nsquick --netns "/proc/$pid/ns/net" up wg1
	assert_success
	run wg-nsquick --netns "/proc/$pid/ns/net" down wg1
	assert_success
	assert_line "[!] wg0: rules and the nftables table wg-quick-wg0, if it had any, stay in network namespace (unnamed), which is not ours"
	assert [ ! -e "$file.corrupt" ]
	kill "$pid"
	wait "$pid" || true
	assert_clean
}

@test "a namespace that has the name since keeps its resolver when a record of the one before goes" {
	local file record
	run wg-nsquick up wg0
	assert_success
	file=$(journal wg0)
	record=/run/wg-nsquick/netns/${file##*@}
	cp "$record" /run/record
	run wg-nsquick down wg0
	assert_success
	run wg-nsquick up wg0
	assert_success
	sum=$(cat /etc/netns/wg0/*)
	# As a version left it that knew no way out.
	cp /run/record "$record"
	echo garbage > "$file.corrupt"
	run wg-nsquick recover
	assert_success
	assert [ ! -e "$record" ]
	assert_equal "$(cat /etc/netns/wg0/*)" "$sum"
	run wg-nsquick down wg0
	assert_success
	assert_clean
}

@test "tunnels of a namespace that is gone leave the files of the one that has its name since" {
	local live name
	KEY=$(wg genkey) ADDRESS=10.7.0.2/32 ALLOWED=10.7.0.0/24 config wg2
	for name in wg0 wg1 wg2; do
		sed -i "/^DNS/d; /^Address/aDNS = 10.9.0.1${name#wg}" "/etc/wireguard/$name.conf"
		run wg-nsquick --netns vpn up "$name"
		assert_success
	done
	ip netns del vpn
	run wg-nsquick --netns vpn up wg0
	assert_success
	live=$(cat /etc/netns/vpn/*)
	assert_regex "$live" "nameserver 10.9.0.10"
	run wg-nsquick recover
	assert_success
	assert_line --partial "wg1: undoing"
	assert_line --partial "wg2: undoing"
	assert_equal "$(cat /etc/netns/vpn/*)" "$live"
	run wg-nsquick down wg0
	assert_success
	assert [ ! -e /etc/netns/vpn ]
	assert_clean
}

@test "a tunnel takes its resolver files along, whoever else had the name before" {
	local name
	for name in wg0 wg1; do
		run wg-nsquick --netns vpn up "$name"
		assert_success
	done
	ip netns del vpn
	run wg-nsquick --netns vpn up wg0
	assert_success
	run wg-nsquick down wg0
	assert_success
	assert_equal "$(ls /etc/netns/vpn)" ""
	run wg-nsquick --netns vpn up wg0
	assert_success
	run wg-nsquick down wg0
	assert_success
	assert_equal "$(ls /etc/netns/vpn)" ""
	run wg-nsquick recover
	assert_success
	assert [ ! -e /etc/netns/vpn ]
	assert_clean
}

@test "a namespace that is taken away while an up has looked at it is not joined" {
	ip netns add other
	echo 'nameserver 192.0.2.1' > /run/late.conf
	mount --bind /run/late.conf /etc/resolv.conf
	sed -i 's/^Endpoint = .*/Endpoint = peer.test:51820/' /etc/wireguard/wg0.conf
	wg-nsquick --netns other up wg0 > /run/up.log 2>&1 3>&- &
	up_pid=$!
	# There is no server yet: it has the namespace, and waits for the name.
	wait_until "the first attempt's end" grep "again" /run/up.log
	ip netns del other
	ip netns add other
	ip netns exec prov dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --listen-address=192.0.2.1 --bind-interfaces --address=/peer.test/192.0.2.1 --pid-file=/run/dnsmasq.pid --user=root 3>&-
	status=0
	wait "$up_pid" || status=$?
	kill "$(cat /run/dnsmasq.pid)"
	assert_equal "$status" 1
	assert_equal "$(grep meanwhile /run/up.log)" "wg-nsquick: wg0: network namespace other was taken away meanwhile; expected it to stay"
	ip netns del other
	assert_clean
}

@test "a namespace that got the name while an up was about to give it keeps its tunnel's resolver" {
	local before dns
	for dns in "" "DNS = 10.9.0.10"; do
		config wg0 "PreUp = touch /run/there; until [[ -e /run/go ]]; do sleep 0.05; done" "$dns"
		KEY=$(wg genkey) ADDRESS=10.8.0.2/32 ALLOWED=10.8.0.0/24 config wg1 "DNS = 10.8.0.1"
		rm -f /run/there /run/go
		wg-nsquick up wg0 > /run/up.log 2>&1 3>&- &
		up_pid=$!
		wait_until "the hook" test -e /run/there
		ip netns add wg0
		run wg-nsquick --netns wg0 up wg1
		assert_success
		before=$(head /etc/netns/wg0/*)
		touch /run/go
		status=0
		wait "$up_pid" || status=$?
		assert_equal "$status" 1
		assert_equal "$(grep meanwhile /run/up.log)" "wg-nsquick: wg0: network namespace wg0 was made by somebody else meanwhile"
		assert_equal "$(head /etc/netns/wg0/*)" "$before"
		run wg-nsquick --netns wg0 down wg1
		assert_success
		ip netns del wg0
		assert_clean
	done
}

@test "a name that cannot be looked at when it is to be given is not taken from who has it" {
	local inode
	config wg0 "PreUp = touch /run/there; until [[ -e /run/go ]]; do sleep 0.05; done"
	rm -f /run/there /run/go
	wg-nsquick up wg0 > /run/up.log 2>&1 3>&- &
	up_pid=$!
	wait_until "the hook" test -e /run/there
	ip netns add wg0
	inode=$(stat -c %i /run/netns/wg0)
	# The first look of the child that gives it; it is out of memory.
	worker_struck "$up_pid" openat:error=ENOMEM:when=1 /run/netns/wg0 /run/go
	assert_equal "$status" 1
	assert_equal "$(stat -c %i /run/netns/wg0)" "$inode"
	assert_equal "$(grep -c ' /run/netns/wg0 ' /proc/self/mountinfo)" "$(grep -c ' /run/netns/prov ' /proc/self/mountinfo)"
	ip netns del wg0
	wg-nsquick recover
	assert_clean
}

@test "a namespace that a hook made, and that cannot be looked at when it is handed over: up leaves nothing" {
	config wg0 "PreUp = ip netns add early; touch /run/there; until [[ -e /run/go ]]; do sleep 0.05; done"
	rm -f /run/there /run/go
	wg-nsquick up wg0 > /run/up.log 2>&1 3>&- &
	up_pid=$!
	wait_until "the hook" test -e /run/there
	worker_struck "$up_pid" openat:error=ENOMEM:when=1 /run/netns/early /run/go
	assert_equal "$status" 1
	assert_equal "$(grep -F 'cannot publish' /run/up.log)" "wg-nsquick: wg0: cannot publish the namespace as /run/netns/wg0: Cannot allocate memory"
	assert_clean
}

@test "a transport that is taken away while an up has looked at it is not used" {
	local file="/run/wg-nsquick/lock/host lock"
	ip netns add other
	wg-nsquick recover
	exec {lock}> "$file"
	flock "$lock"
	wg-nsquick --transport other up wg0 > /run/up.log 2>&1 3>&- {lock}>&- &
	up_pid=$!
	wait_until "the lock" grep "waiting for" /run/up.log
	ip netns del other
	exec {lock}>&-
	status=0
	wait "$up_pid" || status=$?
	assert_equal "$(grep meanwhile /run/up.log)" "wg-nsquick: wg0: network namespace other was taken away meanwhile; expected it to stay"
	assert_equal "$status" 1
	assert_clean
}

@test "a resolver that cannot be written is no reason to take the other tunnel's namespace" {
	run wg-nsquick up wg0
	assert_success
	run wg-nsquick --netns wg0 up wg1
	assert_success
	ln /etc/netns/wg0/resolv.conf /etc/netns/second
	run wg-nsquick down wg1
	assert_failure
	run ip netns exec wg0 ip link show wg0
	assert_success
	rm /etc/netns/second
	run wg-nsquick recover
	assert_success
	run ip netns exec wg0 ip link show wg0
	assert_success
	run wg-nsquick down wg0
	assert_success
	assert_clean
}

@test "the record of a namespace that cannot be read: said, nothing is guessed" {
	local file
	run wg-nsquick up wg0
	assert_success
	file=$(ls /run/wg-nsquick/netns/*)
	echo garbage > "$file"
	run wg-nsquick down wg0
	assert_line --partial "$file is not a journal that this version can read"
	# Whether the namespace was ours, nobody knows any more.
	assert [ -e /run/netns/wg0 ]
	run ip netns exec wg0 ip link show wg0
	assert_failure
}

@test "the record of a namespace that cannot be read: the tunnel in it keeps its resolver, whoever joins" {
	local file before
	sed -i '/^DNS/d; /^Address/aDNS = 10.9.0.10' /etc/wireguard/wg0.conf
	run wg-nsquick up wg0
	assert_success
	file=$(ls /run/wg-nsquick/netns/*)
	before=$(head /etc/netns/wg0/*)
	echo garbage > "$file"
	run wg-nsquick recover
	assert_success
	assert_line --partial "$file is not a journal that this version can read"
	refute_output --partial "that is gone"
	assert_equal "$(head /etc/netns/wg0/*)" "$before"
	# Another tunnel founds the record anew.
	run wg-nsquick --netns wg0 up wg1
	assert_success
	assert_equal "$(head /etc/netns/wg0/*)" "$before"
	run wg-nsquick --netns wg0 down wg1
	assert_success
	assert_equal "$(head /etc/netns/wg0/*)" "$before"
	run wg-nsquick down wg0
	assert_success
}

@test "the record of a namespace: any one line is lost, more behind its end, a value that is none" {
	local file way
	run wg-nsquick up wg0
	assert_success
	file=$(ls /run/wg-nsquick/netns/*)
	cp "$file" /run/good
	# shellcheck disable=SC2046
	for way in $(seq -f %gd "$(wc -l < /run/good)") '$a garbage' '$a \x00' 's/^made .*/made yes/' 's/^keep .*/keep 9/' '/^kept/p'; do
		sed "$way" /run/good > "$file"
		run wg-nsquick recover
		assert_success
		assert_output --partial "Warning: $file is not a journal that this version can read"
		rm "$file.corrupt"
	done
	# As before the lines were counted.
	sed 's/^end .*/end/' /run/good > "$file"
	run wg-nsquick down wg0
	assert_success
	refute_output --partial "set aside"
	assert_clean
}

@test "what was applied: any one line is lost, it is cut, there is more behind its end: a reload refuses" {
	local file way
	run wg-nsquick up wg0
	assert_success
	file=$(ls /run/wg-nsquick/applied/*)
	cp "$file" /run/good
	# shellcheck disable=SC2046
	for way in $(seq -f %gd "$(wc -l < /run/good)") '3,$d' '$a Address = 10.9.0.7/24' '$a \x00' '1,$d'; do
		sed "$way" /run/good > "$file"
		run wg-nsquick reload wg0
		assert_failure 1
		assert_line --partial "wg0: what was applied last cannot be read: Bad message"
	done
	# As before its lines were counted.
	sed '1d; $d' /run/good > "$file"
	run wg-nsquick reload wg0
	assert_success
}

@test "what was before a reload that was killed: a line is lost, and it is not taken for all" {
	local file
	run wg-nsquick up wg0
	assert_success
	sed -i 's,^Address.*,Address = 10.9.8.1/24,' /etc/wireguard/wg0.conf
	strace -f -qq -o /dev/null -e trace=/^rename -e inject=/^rename:signal=STOP:when=3 wg-nsquick reload wg0 > /dev/null 2>&1 3>&- &
	for _ in {1..100}; do ip -n wg0 -br addr show wg0 | grep -q 10.9.8.1/24 && break; sleep 0.1; done
	sleep 0.5
	pkill -KILL -x wg-nsquick
	wait $! || true
	file=$(ls /run/wg-nsquick/applied/*.before)
	cp "$file" /run/good
	sed -i '/^address/d' "$file"
	run wg-nsquick recover
	assert_failure
	assert_line --partial "Bad message"
	run ip -n wg0 -br addr show wg0
	assert_output --partial "10.9.8.1/24"
	cp /run/good "$file"
	run wg-nsquick recover
	assert_success
	run ip -n wg0 -br addr show wg0
	assert_output --partial "10.9.0.2/24"
	refute_output --partial "10.9.8.1/24"
	run wg-nsquick down wg0
	assert_success
	assert_clean
}

@test "another namespace of the same name is left alone, and said" {
	run wg-nsquick up wg0
	assert_success
	ip netns del wg0
	ip netns add wg0
	ip -n wg0 link add keep type veth peer name kept
	run wg-nsquick recover
	assert_success
	assert_line --partial "network namespace wg0 is not the one that wg0 was made in any more; it is left alone"
	run ip -n wg0 link show keep
	assert_success
	assert_equal "$(ls "$TUNNELS")" ""
}

# Sets $inside: a program that has a network namespace to itself.
sleeper() {
	unshare -n sleep 1000 3>&- &
	inside=$!
	wait_until "the program inside" grep -x sleep "/proc/$inside/comm"
}

# So that its tunnel gets wg-quick's rules.
default_of_its_own() {
	nsenter -t "$inside" -n ip link add out type veth peer name out.peer
	nsenter -t "$inside" -n ip link set out up
	nsenter -t "$inside" -n ip route add default dev out
}

rules() { nsenter -t "$inside" -n ip rule | wc -l; }

inside_ends() {
	kill "$inside"
	wait "$inside" || true
	daemons_end
}

@test "the name is deleted by hand, with a program inside: recover undoes the tunnel where it is, and says so" {
	local inside
	run wg-nsquick up wg0
	assert_success
	ip netns exec wg0 sleep 1000 3>&- &
	inside=$!
	wait_until "the program inside" grep -x sleep "/proc/$inside/comm"
	ip netns del wg0
	run nsenter -t "$inside" -n ip link show wg0
	assert_success
	run wg-nsquick recover
	assert_success
	assert_output --partial "[!] wg0: network namespace wg0 has lost its name, so its tunnel is undone, and programs go on in it without a network: sleep ($inside)"
	refute_output --partial "interrupted"
	run nsenter -t "$inside" -n ip -br link
	refute_output --partial "wg0"
	daemons_end
	assert_clean
	# One key, one device.
	run wg-nsquick up wg0
	assert_success
	run nsenter -t "$inside" -n ip -br link
	refute_output --partial "wg0"
	run wg-nsquick down wg0
	assert_success
	inside_ends
	assert_clean
}

@test "a down that could not delete the device, but the name of a namespace with a program inside: recover finds it" {
	local inside file
	run wg-nsquick up wg0
	assert_success
	ip netns exec wg0 sleep 1000 3>&- &
	inside=$!
	wait_until "the program inside" grep -x sleep "/proc/$inside/comm"
	file=$(journal wg0)
	# As such a down leaves it.
	ip netns del wg0
	rm -r "/run/wg-nsquick/netns/${file##*@}" /etc/netns/wg0
	sed -i "/^undo member/d; s/^state .*/state stopping/; s/^end .*/end $(($(wc -l < "$file") - 2))/" "$file"
	run wg-nsquick recover
	assert_success
	assert_line "[!] wg0: undoing what an interrupted run left in network namespace wg0"
	refute_output --partial "set aside"
	run nsenter -t "$inside" -n ip -br link
	refute_output --partial "wg0"
	inside_ends
	assert_clean
}

@test "a namespace is renamed, or loses its name to a container that lives on: its tunnel stays, and down finds it" {
	local inside way
	sleeper
	for way in renamed nameless; do
		ip netns attach other "$inside"
		default_of_its_own
		run wg-nsquick --netns other up wg0
		assert_success
		[[ $way == nameless ]] || ip netns attach third "$inside"
		ip netns del other
		run wg-nsquick recover
		assert_success
		assert_output ""
		run nsenter -t "$inside" -n ip link show wg0
		assert_success
		run wg-nsquick status wg0
		assert_line --partial "/run/netns/other is another namespace, or none"
		run wg-nsquick up wg0
		assert_failure
		assert_line --partial "a device with this public key already exists: \`wg0' in other"
		run wg-nsquick exec wg0 -- ip link show wg0
		assert_success
		run wg-nsquick down wg0
		assert_success
		run nsenter -t "$inside" -n ip -br link
		refute_output --partial "wg0"
		assert_equal "$(rules)" 3
		[[ $way == nameless ]] || ip netns del third
		nsenter -t "$inside" -n ip link del out
		daemons_end
		assert_clean
	done
	inside_ends
}

@test "a namespace is renamed, and its tunnel's device is gone: recover undoes the rest there" {
	local inside
	sleeper
	ip netns attach other "$inside"
	default_of_its_own
	run wg-nsquick --netns other up wg0
	assert_success
	assert_not_equal "$(rules)" 3
	ip netns attach third "$inside"
	ip netns del other
	ip -n third link del wg0
	daemons_end
	run wg-nsquick recover
	assert_success
	assert_line --partial "wg0: undoing what an interrupted run left"
	assert_equal "$(rules)" 3
	ip netns del third
	inside_ends
	assert_clean
}

@test "both processes are killed in a namespace without a name: recover on the host finds it, and undoes it" {
	local inside
	sleeper
	default_of_its_own
	sed -i '/^\[Peer/iPostUp = sleep 54321' /etc/wireguard/wg0.conf
	nsenter -t "$inside" -n wg-nsquick up wg0 --transport host > /dev/null 2>&1 3>&- &
	up_pid=$!
	wait_until "the hook" pgrep -f '^sleep 54321'
	kill_both
	wait "$up_pid" || true
	run wg-nsquick recover
	assert_success
	assert_line --partial "wg0: undoing what an interrupted run left in network namespace (unnamed)"
	assert_equal "$(rules)" 3
	run nsenter -t "$inside" -n ip -br link
	refute_output --partial "wg0"
	run pgrep -f '^sleep 54321'
	assert_failure
	inside_ends
	assert_clean
}

@test "a container without a name for its namespace ends: its tunnel is undone, and comes up in the next" {
	local inside
	sleeper
	run nsenter -t "$inside" -n wg-nsquick up wg0
	assert_success
	inside_ends
	sleeper
	run nsenter -t "$inside" -n wg-nsquick up wg0
	assert_success
	assert_line --partial "wg0: undoing what an interrupted run left in network namespace (unnamed)"
	# And by another tunnel of the same key.
	inside_ends
	sleeper
	mv /etc/wireguard/wg0.conf /etc/wireguard/wg1.conf
	run nsenter -t "$inside" -n wg-nsquick up wg1
	assert_success
	assert_line --partial "wg0: undoing what an interrupted run left in network namespace (unnamed)"
	assert_equal "$(ls "$TUNNELS")" "$(basename "$(journal wg1)")"
	run nsenter -t "$inside" -n wg-nsquick down wg1
	assert_success
	inside_ends
	assert_clean
}

# bats test_tags=image
@test "a worker that dies with all done, in a namespace without a name: the tunnel is up, and the status says so" {
	local inside file
	sleeper
	run nsenter -t "$inside" -n wg-nsquick up wg0
	assert_success
	file=/run/wg-nsquick/applied/$(basename "$(journal wg0)").0
	run nsenter -t "$inside" -n wg-nsquick down wg0
	assert_success
	# The first thing after the journal says that it is up. (The tracer follows the daemon.)
	strace -D -f -qq -o /dev/null -P "$file" -e trace=/^unlink -e inject=/^unlink:signal=KILL nsenter -t "$inside" -n wg-nsquick up wg0 > /run/words 2>&1 3>&-
	run cat /run/words
	assert_line "wg-nsquick: the worker was killed by signal 9"
	assert_line "[!] but everything had been done by then"
	run nsenter -t "$inside" -n ip link show wg0
	assert_success
	run nsenter -t "$inside" -n wg-nsquick down wg0
	assert_success
	inside_ends
	assert_clean
}

@test "a container whose namespace has a path ends: its tunnel is undone, and comes up in the next" {
	local inside path=/run/dock/x
	mkdir -p /run/dock
	touch "$path"
	sleeper
	mount --bind "/proc/$inside/ns/net" "$path"
	run wg-nsquick --netns "$path" up wg0
	assert_success
	# As long as it is anywhere, it is alive.
	umount "$path"
	run wg-nsquick recover
	assert_success
	assert_output ""
	touch /run/dock/y
	mount --bind "/proc/$inside/ns/net" /run/dock/y
	kill "$inside"
	wait "$inside" || true
	run wg-nsquick recover
	assert_success
	assert_output ""
	umount /run/dock/y
	daemons_end
	sleeper
	mount --bind "/proc/$inside/ns/net" "$path"
	run wg-nsquick --netns "$path" up wg0
	assert_success
	assert_line --partial "wg0: undoing what an interrupted run left in network namespace $path"
	run wg-nsquick --netns "$path" down wg0
	assert_success
	umount "$path"
	inside_ends
	rm -r /run/dock
	assert_clean
}

@test "another link of the same name in somebody's namespace is left alone" {
	ip netns add other
	run wg-nsquick --netns other up wg0
	assert_success
	ip -n other link del wg0
	ip -n other link add wg0 type veth peer name kept
	run wg-nsquick down wg0
	assert_failure 1
	run wg-nsquick recover
	assert_success
	run ip -n other -d link show wg0
	assert_success
	assert_line --partial "veth"
	assert_equal "$(ls "$TUNNELS")" ""
}

@test "another link with the same number is left alone" {
	local number
	ip netns add other
	run wg-nsquick --netns other up wg0
	assert_success
	number=$(ip -n other -br -o link show wg0 | wc -l)
	number=$(ip netns exec other cat /sys/class/net/wg0/ifindex)
	ip -n other link del wg0
	ip -n other link add veth9 index "$number" type veth peer name kept
	run wg-nsquick recover
	assert_success
	run ip -n other link show veth9
	assert_success
}

@test "a process that got the daemon's number since is left alone" {
	local file pid
	[[ $WG_KIND == go ]] || return 0
	run wg-nsquick up wg0
	assert_success
	sleep 54321 3>&- &
	pid=$!
	file=$(journal wg0)
	sed -i -E "s/^(undo userspace [0-9]+) [0-9]+ /\1 $pid /" "$file"
	run wg-nsquick down wg0
	assert_success
	run kill -0 "$pid"
	assert_success
	kill -KILL "$pid"
}

@test "somebody's file in place of ours under /etc/netns is not followed out of there" {
	run wg-nsquick up wg0
	assert_success
	echo precious > /run/precious
	rm -f /etc/netns/wg0/resolv.conf
	ln -s /run/precious /etc/netns/wg0/resolv.conf
	run wg-nsquick down wg0
	assert_equal "$(cat /run/precious)" "precious"
	rm -rf /etc/netns/wg0
}

@test "a trap in place of a temporary file is not written through" {
	local file
	run wg-nsquick up wg0
	assert_success
	file=$(journal wg0)
	echo precious > /run/precious
	ln -s /run/precious "$file.wg-nsquick.tmp"
	run wg-nsquick reload wg0
	run wg-nsquick down wg0
	assert_success
	assert_equal "$(cat /run/precious)" "precious"
	rm -f "$file.wg-nsquick.tmp"
}

@test "up does not end well without the key by which a second use of it is found" {
	run wg-nsquick up wg0
	assert_success
	assert_equal "$(grep -c '^public-key ' "$(journal wg0)")" 1
	run wg-nsquick down wg0
	assert_success
	# One that still runs, and cannot be asked.
	if [[ $WG_KIND == go ]]; then
		config wg0 "PostUp = mv /run/wireguard/wg0.sock /run/wg0.sock"
		run wg-nsquick up wg0
		assert_failure 1
		assert_line "wg-nsquick: wg0: Unable to access interface: No such device"
		rm -f /run/wg0.sock
		assert_clean
	fi
	# By another name it is the same.
	config wg0 "PostUp = ip link set wg0 down; ip link set wg0 name wg7; ip link set wg7 up"
	run wg-nsquick up wg0
	assert_success
	assert_equal "$(grep -c '^public-key ' "$(journal wg0)")" 1
	run wg-nsquick down wg0
	assert_success
	assert_clean
	# One that a hook took away is the hook's affair, as it is with wg-quick.
	config wg0 "PostUp = ip link del wg0"
	run wg-nsquick up wg0
	assert_success
	run wg-nsquick recover
	assert_success
	assert_clean
}

@test "both processes are killed at once, as a cgroup's end does it: the next recover undoes it, and says so" {
	local moment
	for moment in PreUp PostUp; do
		config wg0 "$moment = sleep 54321"
		wg-nsquick up wg0 > /dev/null 2>&1 3>&- &
		wait_until "the hook" pgrep -f '^sleep 54321'
		kill_both
		wait "$!" || true
		run wg-nsquick recover
		assert_success
		assert_line --partial "wg0: undoing what an interrupted run left in network namespace wg0"
		run pgrep -f '^sleep 54321'
		assert_failure
		assert_clean
	done
}
