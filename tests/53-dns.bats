#!/usr/bin/env bats
# DNS and IPv6 as files and hosts have them: what cannot work is said, and nothing leaks.

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
	cd "$BATS_TEST_TMPDIR" || return
	rm -f /etc/wg-nsquick.d/*
}

@test "search domains and an IPv6 server: short names resolve" {
	config wg0 "DNS = fd09::1, test"
	run wg-nsquick up wg0
	assert_success
	refute_output --partial Warning
	run wg-nsquick exec wg0 -- getent ahostsv4 page
	assert_output --partial 10.9.0.1
	wg-nsquick down wg0
}

@test "more than three servers: said, and all are written" {
	config wg0 "DNS = 10.9.0.1, 10.9.0.2, 10.9.0.3, 10.9.0.4"
	run wg-nsquick up wg0
	assert_success
	assert_line "Warning: wg0: the C library asks the first 3 DNS servers only; 10.9.0.4 and later ones are not used"
	run grep -c nameserver /etc/netns/wg0/resolv.conf
	assert_output 4
	wg-nsquick down wg0
}

@test "search only, and no DNS at all: no server, no query anywhere" {
	local line
	for line in "DNS = corp.example" "# none"; do
		config wg0 "$line"
		wg-nsquick up wg0
		tcpdump --immediate-mode -i any -nn 'port 53' > "$BATS_TEST_TMPDIR/queries" 2> "$BATS_TEST_TMPDIR/ready" 3>&- &
		local tap=$!
		timeout 20 bash -c "until grep -q 'listening on' '$BATS_TEST_TMPDIR/ready'; do sleep 0.1; done"
		run wg-nsquick exec wg0 -- getent ahosts page.test
		assert_failure
		sleep 0.3
		kill $tap; wait $tap || true
		assert_equal "$(< "$BATS_TEST_TMPDIR/queries")" ""
		run grep -c nameserver /etc/netns/wg0/resolv.conf
		assert_output 0
		wg-nsquick down wg0
	done
}

@test "a server outside AllowedIPs, one out of reach, one that a route of a joined namespace hides" {
	ALLOWED="10.9.0.1/32" config wg0 "DNS = 10.9.0.53, 198.51.100.1"
	run wg-nsquick up wg0
	assert_success
	assert_line "Warning: wg0: DNS server 10.9.0.53 is outside AllowedIPs: no peer takes it"
	assert_line "Warning: wg0: DNS server 198.51.100.1 is out of reach"
	wg-nsquick down wg0
	ip netns add other
	ip -n other link add d0 type veth peer name d1
	ip -n other link set d1 up
	ip -n other link set d0 up
	ip -n other route add 10.64.0.0/16 dev d0
	config wg0 "DNS = 10.64.0.1"
	run wg-nsquick up wg0 --netns other
	assert_success
	assert_line "Warning: wg0: DNS server 10.64.0.1 would be asked past the tunnel"
	wg-nsquick down wg0
	ip netns del other
}

@test "a file without an IPv6 address: no IPv6 in the namespace, and what tries fails at once" {
	ADDRESS=10.9.0.2/24 ALLOWED=0.0.0.0/0 config wg0 "DNS = 10.9.0.1"
	wg-nsquick up wg0
	run ip -n wg0 -6 route show default
	assert_output ""
	run wg-nsquick exec wg0 -- timeout 5 curl -6 -sS http://page.test/
	assert_failure 7
	run wg-nsquick exec wg0 -- curl -sS --max-time 20 http://page.test/
	assert_output "a page through the tunnel"
	wg-nsquick down wg0
}

@test "IPv6 disabled where the interface lives: the IPv4 half, and what was left out; or nothing, by the settings" {
	ip netns add other
	ip netns exec other sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	config wg0 "DNS = 10.9.0.1"
	run wg-nsquick up wg0 --netns other
	assert_success
	assert_line --partial "IPv6 is disabled in network namespace other: the file's IPv6 addresses and routes are left out"
	refute_output --partial "::/0"
	refute_output --partial fd09
	run wg-nsquick exec wg0 -- curl -sS --max-time 20 http://page.test/
	assert_output "a page through the tunnel"
	wg-nsquick down wg0
	printf '[tunnel]\nipv6 = require\n' > /etc/wg-nsquick.d/wg0.conf
	run wg-nsquick up wg0 --netns other
	assert_failure 2
	assert_output --partial "ipv6 = require"
	run ip -n other link show wg0
	assert_failure
	ip netns del other
	assert_clean
}

# A namespace of somebody's own, under two names.
two_names() {
	unshare -n sleep 600 3>&- &
	owner=$!
	wait_until "the namespace" grep -qx sleep "/proc/$owner/comm"
	ip netns attach aa "$owner"
	ip netns attach bb "$owner"
}

@test "one namespace under two names: hooks, exec, status and verify go by the one where its resolver's files are" {
	local owner seen=$BATS_TEST_TMPDIR/seen
	two_names
	ALLOWED=10.9.0.0/24 config wg0
	wg-nsquick up wg0 --netns aa
	KEY=$(wg genkey) config wg1 "DNS = 10.8.0.1" "PreUp = grep nameserver /etc/resolv.conf > $seen || true" \
		"PostUp = grep nameserver /etc/resolv.conf >> $seen"
	run wg-nsquick up wg1 --netns bb
	assert_success
	assert_line "[#] install -m 644 /dev/fd/63 /etc/netns/aa/resolv.conf"
	assert_equal "$(< "$seen")" "nameserver 10.8.0.1"
	run wg-nsquick exec wg1 -- grep nameserver /etc/resolv.conf
	assert_output "nameserver 10.8.0.1"
	run wg-nsquick verify wg1
	assert_line --regexp "^✓ dns .*10\.8\.0\.1"
	run wg-nsquick status wg1
	refute_output --partial "is gone"
	sed -i 's/10\.8\.0\.1/10.8.0.2/' /etc/wireguard/wg1.conf
	run wg-nsquick reload wg1
	assert_success
	assert_line "[#] install -m 644 /dev/fd/63 /etc/netns/aa/resolv.conf"
	run wg-nsquick exec wg1 -- grep nameserver /etc/resolv.conf
	assert_output "nameserver 10.8.0.2"
	wg-nsquick down wg1
	# While the owner lives he may have them bound.
	kill "$owner"
	wait "$owner" || true
	wg-nsquick down wg0
	ip netns del aa
	ip netns del bb
	assert_clean
}

@test "a namespace that was joined without a name, and by its name later: its resolver's files stay where they are" {
	local owner seen=$BATS_TEST_TMPDIR/seen
	unshare -n sleep 600 3>&- &
	owner=$!
	wait_until "the namespace" grep -qx sleep "/proc/$owner/comm"
	ALLOWED=10.9.0.0/24 config wg0
	nsenter -t "$owner" -n wg-nsquick up wg0 --transport host
	ip netns attach aa "$owner"
	KEY=$(wg genkey) config wg1 "DNS = 10.8.0.1" "PostUp = grep nameserver /etc/resolv.conf > $seen"
	wg-nsquick up wg1 --netns aa
	assert_equal "$(< "$seen")" "nameserver 10.8.0.1"
	run wg-nsquick exec wg1 -- grep nameserver /etc/resolv.conf
	assert_output "nameserver 10.8.0.1"
	wg-nsquick down wg1
	kill "$owner"
	wait "$owner" || true
	wg-nsquick down wg0 --netns aa
	ip netns del aa
	assert_clean
}

@test "a joined namespace has its own resolver back when the last tunnel with servers goes, though one without them stays" {
	local form resolv=/etc/netns/corp/resolv.conf
	ip netns add corp
	for form in file link; do
		mkdir -p /etc/netns/corp
		if [[ $form == file ]]; then
			echo "nameserver 10.1.1.1" > $resolv
		else
			echo "nameserver 10.1.1.1" > /run/corp.resolv
			ln -sf /run/corp.resolv $resolv
		fi
		ALLOWED=10.9.0.0/24 config wg0
		KEY=$(wg genkey) config wg1 "DNS = 10.8.0.1"
		wg-nsquick up wg0 --netns corp
		wg-nsquick up wg1 --netns corp
		# A program that has the file bound.
		ip netns exec corp sleep 600 3>&- &
		consumer=$!
		wait_until "the program" grep -qx sleep "/proc/$consumer/comm"
		run nsenter -t "$consumer" -m grep nameserver /etc/resolv.conf
		assert_output "nameserver 10.8.0.1"
		run wg-nsquick down wg1
		assert_success
		assert_equal "$(< $resolv)" "nameserver 10.1.1.1"
		run nsenter -t "$consumer" -m grep nameserver /etc/resolv.conf
		if [[ $form == file ]]; then
			assert_output "nameserver 10.1.1.1"
		else
			[[ $(readlink $resolv) == /run/corp.resolv ]]
			assert_output ""
		fi
		# A reload gives and takes them likewise.
		echo "DNS = 10.8.0.2" > dns
		sed -i '/^Address/r dns' /etc/wireguard/wg0.conf
		wg-nsquick reload wg0
		run grep nameserver $resolv
		assert_output "nameserver 10.8.0.2"
		sed -i 's/^DNS = .*/DNS = corp.example/' /etc/wireguard/wg0.conf
		wg-nsquick reload wg0
		assert_equal "$(< $resolv)" "nameserver 10.1.1.1"
		kill "$consumer"
		wait "$consumer" || true
		wg-nsquick down wg0
		assert_equal "$(< $resolv)" "nameserver 10.1.1.1"
		rm -r /etc/netns/corp
	done
	ip netns del corp
	assert_clean
}

@test "the last tunnel with servers goes from a joined namespace while another one comes: that one has its own" {
	local form
	ip netns add corp
	for form in none file; do
		[[ $form == none ]] || { mkdir -p /etc/netns/corp && echo "nameserver 10.1.1.1" > /etc/netns/corp/resolv.conf; }
		ALLOWED=10.9.0.0/24 config wg0 "DNS = 10.9.0.1"
		KEY=$(wg genkey) config wg1 "DNS = 10.8.0.1" "PreUp = touch /run/there; until [[ -e /run/go ]]; do sleep 0.05; done" \
			"PostUp = cat /etc/resolv.conf /etc/nsswitch.conf | grep -e ^nameserver -e ^hosts: > /run/seen"
		rm -f /run/there /run/go
		wg-nsquick up wg0 --netns corp
		wg-nsquick up wg1 --netns corp > /run/up.log 2>&1 3>&- &
		wait_until "the hook" test -e /run/there
		wg-nsquick down wg0
		touch /run/go
		wait $! && status=0 || status=$?
		output=$(< /run/up.log)
		assert_success
		run grep nameserver /etc/netns/corp/resolv.conf
		assert_output "nameserver 10.8.0.1"
		run grep ^hosts: /etc/netns/corp/nsswitch.conf
		assert_output "hosts: files dns"
		# As its hooks have it bound.
		assert_equal "$(< /run/seen)" $'nameserver 10.8.0.1\nhosts: files dns'
		wg-nsquick down wg1
		[[ $form == none ]] || assert_equal "$(head /etc/netns/corp/*)" "nameserver 10.1.1.1"
		rm -rf /etc/netns/corp
	done
	ip netns del corp
	assert_clean
}

# Somebody's namespace with a resolver of its own, that of its tunnel, and all of it taken away by him.
corp_deleted() {
	ip netns add corp
	mkdir -p /etc/netns/corp
	echo "nameserver 10.1.1.1" > /etc/netns/corp/resolv.conf
	config wg0 "DNS = 10.9.0.1"
	wg-nsquick up wg0 --netns corp
	[[ -e /var/lib/wg-nsquick/corp.resolv.conf ]]
	ip netns del corp
	rm -r /etc/netns/corp
}

@test "a resolv.conf whose folder was deleted is put back nowhere, nor into a later namespace of that name" {
	corp_deleted
	wg-nsquick down wg0 || wg-nsquick recover
	assert_clean
	ip netns add corp
	wg-nsquick up wg0 --netns corp
	wg-nsquick down wg0
	[[ ! -e /etc/netns/corp ]]
	ip netns del corp
	assert_clean
}

@test "a saved resolv.conf that no namespace is left for goes with recover" {
	corp_deleted
	# As a power cut leaves it.
	cp /var/lib/wg-nsquick/corp.resolv.conf saved
	wg-nsquick down wg0 || wg-nsquick recover
	cp saved /var/lib/wg-nsquick/corp.resolv.conf
	echo "somebody's" > /var/lib/wg-nsquick/notes
	run wg-nsquick recover
	assert_success
	assert_line "[!] /etc/netns/corp is gone, and so goes what was saved of it in /var/lib/wg-nsquick"
	[[ -e /var/lib/wg-nsquick/notes ]]
	rm /var/lib/wg-nsquick/notes
	assert_clean
}

@test "after all of this the host is the same" {
	assert_host_unchanged
}
