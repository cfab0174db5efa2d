#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2154 # for perl; stderr: bats fills it
# save and SaveConfig: what a file holds survives up, save, up; and the old file
# is whole whatever goes wrong.

setup_file() {
	load lib/host
	host_up
	printf '127.0.0.1 localhost\n192.0.2.1 vpn.example\n192.0.2.9 moved.example\n' > /run/hosts
	mount --bind /run/hosts /etc/hosts
	# Nobody answers for a name, which is said at once.
	echo "nameserver 192.0.2.1" > /run/resolv.conf
	host_remember
}

teardown_file() {
	load lib/host
	assert_host_unchanged
	assert_clean
	host_down
	umount /etc/hosts
}

setup() {
	load lib/host
}

teardown() {
	local file
	for file in /etc/wireguard/{wg0,a+b,small/wg0}.conf; do
		[[ -e $file ]] && wg-nsquick down "$file" > /dev/null 2>&1 3>&-
	done
	mountpoint -q /etc/wireguard/small && umount /etc/wireguard/small
	rm -rf /etc/wireguard/*
	return 0
}

# All of the device that a file can say. wireguard-go lists peers in any order: sorted by section.
device_state() { # NAME
	ip netns exec "$1" wg showconf "$1" | awk -v RS= '{ gsub("\n", "|"); print }' | sort
	# A TUN has a link-local address at random.
	ip -n "$1" -br addr show "$1" | sed 's/fe80[^ ]*//'
	ip -n "$1" -4 route show table all dev "$1" | sort
	ip -n "$1" -6 route show table all dev "$1" | grep -v -e fe80: -e ff00: | sort
	ip -n "$1" link show "$1" | grep -o 'mtu [0-9]*'
	cat "/etc/netns/$1/resolv.conf"
}

@test "all that a file can hold: up, save, down, up, save: the same device, the same file" {
	local psk second
	psk=$(wg genpsk) second=$(wg genkey | wg pubkey)
	config wg0 "DNS = 10.9.0.1, corp.example" "DNS = fd09::1" "MTU = 1390" "Table = 77" "ListenPort = 51999" "FwMark = 0x2a" \
		"PreUp = true && true" "PreUp = echo 'a & b' \\\\ \"x\\ty\" %i # not a comment of the file" \
		"PostUp = echo \"up \$INTERFACE\"; false || true" "PreDown = test -n \"%i\" && echo down" "PostDown = :" \
		"Peer:PresharedKey = $psk" "Peer:PersistentKeepalive = 25" "Peer:[Peer]" "Peer:PublicKey = $second" "Peer:AllowedIPs = 10.77.0.0/16, fd77::/48" "Peer:Endpoint = [2001:db8::1]:7"
	sed -i 's/^Endpoint = 192.0.2.1:51820/Endpoint = vpn.example:51820/' /etc/wireguard/wg0.conf
	run wg-nsquick up wg0
	assert_success
	device_state wg0 > "$BATS_TEST_TMPDIR/first"
	run wg-nsquick save wg0
	assert_success
	assert_output "[#] wg showconf wg0"
	cp /etc/wireguard/wg0.conf "$BATS_TEST_TMPDIR/saved"
	run wg-nsquick down wg0
	assert_success
	assert_line "down"
	run wg-nsquick up wg0
	assert_success
	assert_line 'a & b \ x\ty wg0'
	assert_line "up wg0"
	device_state wg0 | diff "$BATS_TEST_TMPDIR/first" -
	run wg-nsquick save wg0
	diff <(sort "$BATS_TEST_TMPDIR/saved") <(sort /etc/wireguard/wg0.conf)
	run cat /etc/wireguard/wg0.conf
	assert_line "PreUp = true && true"
	assert_line "PreUp = echo 'a & b' \\\\ \"x\\ty\" %i # not a comment of the file"
	assert_line "PostUp = echo \"up \$INTERFACE\"; false || true"
	assert_line "DNS = corp.example"
	assert_line "Table = 77"
	assert_line "MTU = 1390"
	assert_line "Endpoint = vpn.example:51820"
	assert_line "Endpoint = [2001:db8::1]:7"
	assert_line "PresharedKey = $psk"
	assert_line "PrivateKey = $CLIENT_KEY"
	refute_line --partial "SaveConfig"
	refute_line --partial "fe80"
}

@test "addresses stay in the file's order, which decides on the source; those added by hand follow in theirs" {
	local wanted
	ADDRESS="fd09::b/64, 10.9.0.2/24, fd09::a/64, 10.9.0.1/24, fd09::c/64" config wg0
	run wg-nsquick up wg0
	ip -n wg0 addr add fd09::1/64 dev wg0
	ip -n wg0 addr add fd09::2/64 dev wg0
	ip -n wg0 addr add 10.8.0.9/24 dev wg0
	ip -n wg0 addr add 10.8.0.3/24 dev wg0
	run wg-nsquick save wg0
	wanted=$(printf 'Address = %s\n' fd09::b/64 10.9.0.2/24 fd09::a/64 10.9.0.1/24 fd09::c/64 10.8.0.9/24 10.8.0.3/24 fd09::1/64 fd09::2/64)
	assert_equal "$(grep ^Address /etc/wireguard/wg0.conf)" "$wanted"
	run wg-nsquick down wg0
	run wg-nsquick up wg0
	assert_success
	run wg-nsquick save wg0
	assert_equal "$(grep ^Address /etc/wireguard/wg0.conf)" "$wanted"
}

@test "neither the automatic mark nor the kernel's port is frozen in" {
	config wg0 "PostUp = wg show %i fwmark"
	run wg-nsquick up wg0
	refute_line "off"
	run wg-nsquick save wg0
	run cat /etc/wireguard/wg0.conf
	refute_line --partial "FwMark"
	refute_line --partial "ListenPort"
	refute_line --partial "MTU"
}

@test "D7: what was changed by hand while it was up is saved: port, mark, MTU, address, peer" {
	local second
	second=$(wg genkey | wg pubkey)
	config wg0 "MTU = 1400" "Table = off" "# a comment"
	run wg-nsquick up wg0
	ip netns exec wg0 wg set wg0 listen-port 12345 fwmark 77 peer "$second" allowed-ips 10.78.0.0/16
	ip -n wg0 link set wg0 mtu 1399
	ip -n wg0 addr add 10.79.0.2/32 dev wg0
	run wg-nsquick save wg0
	assert_success
	run cat /etc/wireguard/wg0.conf
	assert_line "MTU = 1399"
	assert_line "Table = off"
	assert_line "ListenPort = 12345"
	assert_line "FwMark = 0x4d"
	assert_line "Address = 10.79.0.2/32"
	assert_line "PublicKey = $second"
	refute_line --partial "comment"
}

@test "D9: an interface with + in its name keeps its addresses" {
	config a+b
	run wg-nsquick up a+b
	assert_success
	run wg-nsquick save a+b
	run cat /etc/wireguard/a+b.conf
	assert_line "Address = 10.9.0.2/24"
	assert_line "Address = fd09::2/64"
}

@test "a host name stays only while it leads to the address in use" {
	ENDPOINT="moved.example:51820" config wg0
	run wg-nsquick up wg0
	run wg-nsquick save wg0
	run cat /etc/wireguard/wg0.conf
	assert_line "Endpoint = moved.example:51820"
	# The peer roamed.
	ip netns exec wg0 wg set wg0 peer "$PROVIDER_PUB" endpoint 192.0.2.1:51820
	run wg-nsquick save wg0
	run cat /etc/wireguard/wg0.conf
	assert_line "Endpoint = 192.0.2.1:51820"
}

@test "a name that no longer resolves becomes the address in use" {
	ENDPOINT="gone.example:51820" config wg0
	echo "192.0.2.1 gone.example" >> /run/hosts
	run wg-nsquick up wg0
	assert_success
	sed '/gone.example/d' /run/hosts > /run/hosts.new && cat /run/hosts.new > /run/hosts
	run wg-nsquick save wg0
	assert_success
	run cat /etc/wireguard/wg0.conf
	assert_line "Endpoint = 192.0.2.1:51820"
}

@test "names that nobody answers for hold it up for five seconds in all, not each" {
	local began i
	config wg0 "SaveConfig = true"
	for i in 1 2 3 4 5 6; do
		printf '[Peer]\nPublicKey = %s\nEndpoint = mute%d.example:1\n' "$(wg genkey | wg pubkey)" $i >> /etc/wireguard/wg0.conf
		echo "192.0.2.1 mute$i.example" >> /run/hosts
	done
	run wg-nsquick up wg0
	assert_success
	grep -v mute /run/hosts > /run/hosts.new && cat /run/hosts.new > /run/hosts
	# The provider takes questions, and does not answer.
	ip netns exec prov perl -MSocket -e 'socket S, PF_INET, SOCK_DGRAM, 0; bind S, sockaddr_in(53, INADDR_ANY); sleep 60' 3>&- &
	wait_until "the server that is mute" eval "ip netns exec prov ss -Hlun 'sport = :53' | grep ."
	began=$SECONDS
	run wg-nsquick down wg0
	kill $!
	assert_success
	((SECONDS - began < 20)) || fail "it took $((SECONDS - began)) seconds"
	run grep -c "^Endpoint = 192.0.2.1:1$" /etc/wireguard/wg0.conf
	assert_output 6
}

@test "a file that has become wrong: down saves what the device has, as wg-quick does, and says what is lost" {
	config wg0 "SaveConfig = true"
	run wg-nsquick up wg0
	assert_success
	# In a section of wg's, where wg-quick does not look.
	printf 'Foo = 1\n[Peer]\nPublicKey = short\nEndpoint = vpn.example\n' >> /etc/wireguard/wg0.conf
	run --separate-stderr wg-nsquick down wg0
	assert_success
	assert_output ""
	local stderr_text=$stderr
	run echo "$stderr_text"
	assert_line --regexp "^Warning: /etc/wireguard/wg0.conf:[0-9]+: Line unrecognized: .Foo=1'; .*; this is not saved$"
	assert_line --regexp "^Warning: /etc/wireguard/wg0.conf:[0-9]+: PublicKey: Key is not the correct length or format; .*; this is not saved$"
	assert_line --regexp "^Warning: /etc/wireguard/wg0.conf:[0-9]+: Unable to find port of endpoint: .vpn.example'; .*; this is not saved$"
	run cat /etc/wireguard/wg0.conf
	refute_output --partial Foo
	assert_line "Endpoint = 192.0.2.1:51820"
	assert_equal "$(grep -c '^\[Peer\]' <<<"$output")" 1
	assert_clean
	run wg-nsquick up wg0
	assert_success
	run wg-nsquick save wg0
	assert_success
}

@test "D10: mode 0600, owner root; a symlink stays, its target is replaced; a hard link stays as it was" {
	mkdir -p /etc/wireguard/small
	config real
	mv /etc/wireguard/real.conf /etc/wireguard/small/real.conf
	chmod 644 /etc/wireguard/small/real.conf
	chown nobody /etc/wireguard/small/real.conf
	ln /etc/wireguard/small/real.conf /etc/wireguard/small/hard
	cp /etc/wireguard/small/hard "$BATS_TEST_TMPDIR/before"
	ln -s small/real.conf /etc/wireguard/wg0.conf
	run wg-nsquick up wg0
	run wg-nsquick save wg0
	assert_success
	run readlink /etc/wireguard/wg0.conf
	assert_output "small/real.conf"
	run stat -c '%a %U' /etc/wireguard/small/real.conf
	assert_output "600 root"
	cmp "$BATS_TEST_TMPDIR/before" /etc/wireguard/small/hard
	run find /etc/wireguard -name '*.tmp'
	assert_output ""
}

# killed_save COMMAND: SIGKILL to who writes the file, before it is on the disk.
killed_save() {
	strace -f -qq -o /dev/null -e trace=fsync -e inject=fsync:signal=KILL:when=1 wg-nsquick "$1" wg0 || true
	[[ -e /etc/wireguard/wg0.conf.wg-nsquick.tmp || $1 == down ]]
}

@test "what a killed save left goes with the next run that has the tunnel's lock, which says so" {
	local command line='wg0: removed what an interrupted save left: /etc/wireguard/wg0.conf.wg-nsquick.tmp'
	config wg0
	for command in up recover reload recover save recover down; do
		if [[ $command != up ]]; then
			killed_save save
		else
			echo junk > /etc/wireguard/wg0.conf.wg-nsquick.tmp
		fi
		if [[ $command == recover ]]; then
			run wg-nsquick recover
		else
			run wg-nsquick "$command" wg0
		fi
		assert_success
		assert_line --partial "$line"
		[[ ! -e /etc/wireguard/wg0.conf.wg-nsquick.tmp ]]
	done
	run wg-nsquick recover
	assert_output ""
}

@test "a down that is killed while it saves leaves no file with keys" {
	config wg0 "SaveConfig = true"
	run wg-nsquick up wg0
	assert_success
	run killed_save down
	run wg-nsquick recover
	run ls -A /etc/wireguard
	assert_output wg0.conf
}

@test "what no journal tells of, as after a power cut, recover finds by the file's name" {
	touch /etc/wireguard/{wg0.conf.wg-nsquick.tmp,wg0.tmp,conf.wg-nsquick.tmp}
	run wg-nsquick recover
	assert_success
	assert_output --partial 'wg0: removed what an interrupted save left: /etc/wireguard/wg0.conf.wg-nsquick.tmp'
	assert_equal "$(ls -A /etc/wireguard)" "$(printf 'conf.wg-nsquick.tmp\nwg0.tmp')"
}

@test "what is beside the file and not of a killed save stays" {
	config wg0
	echo "of root's" > /etc/wireguard/wg0.conf.tmp
	echo "of somebody's" > /etc/wireguard/wg0.conf.wg-nsquick.tmp
	chown nobody /etc/wireguard/wg0.conf.wg-nsquick.tmp
	run wg-nsquick up wg0
	assert_success
	assert_equal "$(cat /etc/wireguard/wg0.conf.wg-nsquick.tmp)" "of somebody's"
	rm /etc/wireguard/wg0.conf.wg-nsquick.tmp
	ln -s wg0.conf.tmp /etc/wireguard/wg0.conf.wg-nsquick.tmp
	run wg-nsquick down wg0
	assert_success
	[[ -L /etc/wireguard/wg0.conf.wg-nsquick.tmp ]]
	assert_equal "$(cat /etc/wireguard/wg0.conf.tmp)" "of root's"
}

# save_fails LINE: the save fails with this line and status 1, and the file is as it was.
save_fails() {
	cp /etc/wireguard/small/wg0.conf "$BATS_TEST_TMPDIR/before"
	run wg-nsquick save /etc/wireguard/small/wg0.conf
	assert_failure 1
	assert_line --regexp "^wg-nsquick: Could not write configuration file: /etc/wireguard/small/wg0.conf: $1"
	cmp "$BATS_TEST_TMPDIR/before" /etc/wireguard/small/wg0.conf
	run find /etc/wireguard/small -name '*.tmp'
	assert_output ""
}

small() { # SIZE LINE…: a configuration on a file system of its own
	mkdir -p /etc/wireguard/small
	mount -t tmpfs -o "size=$1,mode=0700" small /etc/wireguard/small
	shift
	config wg0 "$@"
	mv /etc/wireguard/wg0.conf /etc/wireguard/small/
	run wg-nsquick up /etc/wireguard/small/wg0.conf
	assert_success
}

@test "a full disk leaves the old file whole" {
	small 12k
	head -c 8192 /dev/zero > /etc/wireguard/small/filler 2> /dev/null || true
	save_fails "No space left on device"
}

@test "a disk that runs full in the middle of the text leaves the old file whole" {
	local i
	small 16k "PostUp = : $(printf '%05000d' 7)"
	head -c 4096 /dev/zero > /etc/wireguard/small/filler
	save_fails "No space left on device"
}

@test "a read-only folder leaves the old file whole" {
	small 64k
	mount -o remount,ro /etc/wireguard/small
	save_fails "Read-only file system"
	mount -o remount,rw /etc/wireguard/small
}

@test "SaveConfig on down when it cannot be written: the tunnel stays up, as with wg-quick" {
	small 64k "SaveConfig = true"
	mount -o remount,ro /etc/wireguard/small
	run wg-nsquick down /etc/wireguard/small/wg0.conf
	assert_failure 1
	assert_line --partial "Could not write configuration file"
	run ip -n wg0 link show wg0
	assert_success
	mount -o remount,rw /etc/wireguard/small
	run wg-nsquick down /etc/wireguard/small/wg0.conf
	assert_success
	assert_clean
}

@test "a leftover of a killed save is replaced, and a trap in its place not followed" {
	config wg0
	run wg-nsquick up wg0
	echo junk > /etc/wireguard/wg0.conf.wg-nsquick.tmp
	run wg-nsquick save wg0
	assert_success
	[[ ! -e /etc/wireguard/wg0.conf.wg-nsquick.tmp ]]
	echo precious > "$BATS_TEST_TMPDIR/precious"
	ln -s "$BATS_TEST_TMPDIR/precious" /etc/wireguard/wg0.conf.wg-nsquick.tmp
	run wg-nsquick save wg0
	assert_success
	assert_equal "$(cat "$BATS_TEST_TMPDIR/precious")" "precious"
	[[ ! -L /etc/wireguard/wg0.conf && ! -e /etc/wireguard/wg0.conf.wg-nsquick.tmp ]]
}

@test "whoever reads while it is saved sees the old file or the new one, never a part" {
	local size
	config wg0 "PostUp = : $(printf '%020000d' 7)"
	run wg-nsquick up wg0
	run wg-nsquick save wg0
	size=$(stat -c %s /etc/wireguard/wg0.conf)
	rm -f "$BATS_TEST_TMPDIR/enough"
	(until [[ -e $BATS_TEST_TMPDIR/enough ]]; do wg-nsquick save wg0; done > /dev/null 2>&1 3>&-) &
	# Until it has met six files one after the other.
	run timeout 60 perl -e 'until (keys %files > 5 && $n > 300) {
			open F, "<", "/etc/wireguard/wg0.conf" or die "gone\n";
			$n++;
			$files{(stat F)[1] . " " . (stat F)[10]} = 1;
			length(join "", <F>) == $ARGV[0] or die "a part was seen\n"
		}' "$size"
	touch "$BATS_TEST_TMPDIR/enough"
	wait
	assert_success
}

@test "10,000 peers: up, save and down in seconds" {
	{
		printf '[Interface]\nPrivateKey = %s\nAddress = 10.0.0.1/32\nMTU = 1420\n' "$CLIENT_KEY"
		awk 'BEGIN { for (i = 0; i < 10000; i++)
			printf "[Peer]\nPublicKey = %042dA=\nAllowedIPs = 10.%d.%d.%d/32\nEndpoint = 192.0.2.1:%d\n", i + 1, i / 65536 + 1, i / 256 % 256, i % 256, i % 60000 + 1 }'
	} > /etc/wireguard/wg0.conf
	run timeout 60 wg-nsquick up wg0
	assert_success
	assert_equal "$(ip netns exec wg0 wg show wg0 peers | wc -l)" 10000
	assert_equal "$(ip -n wg0 route | wc -l)" 10000
	run timeout 20 wg-nsquick save wg0
	assert_success
	assert_equal "$(grep -c '^AllowedIPs' /etc/wireguard/wg0.conf)" 10000
	run timeout 20 wg-nsquick down wg0
	assert_success
	assert_clean
}

@test "save, and down with SaveConfig: an edit that comes while they wait for another run is kept" {
	local command pid status
	config wg0 "SaveConfig = true"
	run wg-nsquick up wg0
	assert_success
	for command in save down; do
		exec 9> /run/wg-nsquick/lock/wg0
		flock 9
		strace -f -qq -o "$BATS_TEST_TMPDIR/$command" -e trace=flock wg-nsquick $command wg0 3>&- 9>&- &
		pid=$! status=0
		wait_until "the $command that waits" grep -q EAGAIN "$BATS_TEST_TMPDIR/$command"
		sed -i "s/^\[Interface\]/&\nPostDown = : $command/" /etc/wireguard/wg0.conf
		exec 9>&-
		wait $pid || status=$?
		assert_equal $status 0
		run cat /etc/wireguard/wg0.conf
		assert_line "PostDown = : $command"
	done
	assert_clean
}

@test "up that waits for a down that saves takes what that saved" {
	local pid status=0
	config wg0
	wg-nsquick up wg0
	wg-nsquick down wg0
	exec 9> /run/wg-nsquick/lock/wg0
	flock 9
	strace -qq -o "$BATS_TEST_TMPDIR/calls" -e trace=flock wg-nsquick up wg0 3>&- 9>&- &
	pid=$!
	wait_until "the up that waits" grep -q EAGAIN "$BATS_TEST_TMPDIR/calls"
	sed -i 's,^Address.*,Address = 10.9.0.66/24,; s/^\[Peer\]/PostUp = true\n&/' /etc/wireguard/wg0.conf
	exec 9>&-
	wait $pid || status=$?
	assert_equal $status 0
	run ip -n wg0 -br addr show wg0
	assert_output --partial "10.9.0.66/24"
	refute_output --partial "10.9.0.2/24"
}

@test "a device that somebody renamed is saved, and not another link that has its name" {
	config wg0 "SaveConfig = true"
	run wg-nsquick up wg0
	assert_success
	# Before Linux 6.2 none is renamed while it is up.
	ip -n wg0 link set wg0 down
	ip -n wg0 link set wg0 name tun9
	ip -n wg0 link set tun9 up
	ip -n wg0 addr add 10.9.0.77/32 dev tun9
	run wg-nsquick save wg0
	assert_success
	ip -n wg0 link add wg0 type veth peer name other
	ip -n wg0 addr add 10.99.0.1/24 dev wg0
	run wg-nsquick save wg0
	assert_success
	run grep ^Address /etc/wireguard/wg0.conf
	assert_line "Address = 10.9.0.2/24"
	assert_line "Address = 10.9.0.77/32"
	refute_line --partial 10.99
	ip -n wg0 addr del 10.9.0.77/32 dev tun9
	run wg-nsquick down wg0
	assert_success
	run grep ^Address /etc/wireguard/wg0.conf
	assert_line "Address = 10.9.0.2/24"
	refute_line --partial 10.99
	refute_line "Address = 10.9.0.77/32"
	assert_clean
}

@test "save of what is not up" {
	config wg0
	run wg-nsquick save wg0
	assert_failure 1
	assert_output "wg-nsquick: \`wg0' is not a WireGuard interface"
}

# bats test_tags=image
@test "save: a namespace that cannot be entered is told" {
	local calls n
	config wg0
	run wg-nsquick up wg0
	assert_success
	"$BUILD_DIR/tests/fault-tool" -o /run/calls wg-nsquick save wg0
	calls=$(grep -c '^1 setns ' /run/calls)
	assert [ "$calls" -gt 0 ]
	for ((n = 1; n <= calls; n++)); do
		run "$BUILD_DIR/tests/fault-tool" -o /run/calls -p 1 -c setns -n "$n" -e 5 wg-nsquick save wg0
		((status == 0)) || assert_line --regexp '^wg-nsquick: .*: Input/output error'
	done
	# The last is for the command itself.
	assert_failure 1
	assert_line "wg-nsquick: wg0: cannot enter its network namespace: Input/output error"
}
