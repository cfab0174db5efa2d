#!/usr/bin/env bats
# shellcheck disable=SC2154
# check FILE: all findings at once, with their lines; it changes nothing.
# What it finds is unit-lint's; here is the program around it.

setup_file() {
	load lib/host
	host_up
	host_remember
}

teardown_file() {
	load lib/host
	assert_host_unchanged
	assert_clean
	host_down
}

setup() {
	load lib/host
	cd "$BATS_TEST_TMPDIR" || return
	chmod 700 .
}

@test "a good file: nothing to say, status 0, stdout alone" {
	config wg0 "DNS = 10.9.0.1"
	run --separate-stderr wg-nsquick check wg0
	assert_success
	assert_output "/etc/wireguard/wg0.conf: nothing to say"
	assert_equal "$stderr" ""
}

@test "everything that is wrong at once, by line, status 1" {
	cat > wg0.conf <<-'END'
		[Interface]
		PrivateKey = abc
		Address = 10.0.0.300/24, 10.9.0.2/24
		MTU = abc
		Table = OFF
		SaveConfig = yes
		PostUp = ip link set %i netns vpn
		[Peer]
		AllowedIPs = 10.0.0.0/33, foo
		Endpoint = 1.2.3.4
	END
	run --separate-stderr wg-nsquick check ./wg0.conf
	assert_failure 1
	local line=0 expected=("2: error: PrivateKey: Key is not" "3: error: Address: \`10.0.0.300/24'" "4: error: MTU: \`abc'" "5: error: Table: \`OFF'"
		"6: error: \`yes' is neither" "7: warning: PostUp: \`ip link set wg0 netns vpn'" "8: error: A peer is missing" "9: error: AllowedIP is not"
		"9: error: Unable to parse IP address: \`foo'" "10: error: Unable to find port")
	for ((line = 0; line < 10; line++)); do
		assert_line --index $line --partial "$PWD/wg0.conf:${expected[line]}"
	done
	assert_line --partial "$PWD/wg0.conf: 9 errors, "
	refute_output --partial "abc'; expected 44"
	assert_equal "$stderr" ""
}

@test "warnings alone: status 0" {
	config wg0 "PostUp = resolvectl dns %i 10.9.0.1"
	run wg-nsquick check wg0
	assert_success
	assert_line --partial "/etc/wireguard/wg0.conf:4: warning: PostUp: resolvectl speaks to the host's resolver"
	assert_line "/etc/wireguard/wg0.conf: 2 warnings"
}

@test "a link of this host is known by its name" {
	config wg0 "DNS = 10.9.0.1" "PostUp = tc qdisc add dev veth0 root fq"
	run wg-nsquick check wg0
	assert_line --partial "veth0 is a link of the host"
}

@test "a file for a namespace with more in it: no word about its links" {
	config wg0 "DNS = 10.9.0.1" "PostUp = ip route add 192.0.2.7 via 192.0.2.2 dev eth0"
	run wg-nsquick check wg0 --netns prov
	assert_output "/etc/wireguard/wg0.conf: nothing to say"
}

@test "the settings are looked at too" {
	config wg0 "DNS = 10.9.0.1"
	printf '[tunnel]\nnonsense = 1\n' > /etc/wg-nsquick.d/wg0.conf
	run wg-nsquick check wg0
	rm /etc/wg-nsquick.d/wg0.conf
	assert_failure 1
	assert_line --partial "error: /etc/wg-nsquick.d/wg0.conf:2:"
}

# bats test_tags=image
@test "a name that does not resolve is not asked for: check is quick and offline" {
	ENDPOINT=nosuch.example:51820 config wg0 "DNS = 10.9.0.1"
	run timeout 20 strace -f -qq -o calls -e trace=socket wg-nsquick check wg0
	assert_success
	run grep AF_INET calls
	assert_output ""
}

@test "without root, where the file can be read" {
	config wg0 "DNS = 10.9.0.1"
	cp /etc/wireguard/wg0.conf . && chmod 644 wg0.conf && chmod 711 .
	chmod 711 "$BATS_TEST_TMPDIR/.." "$BATS_FILE_TMPDIR/.." 2>/dev/null || true
	run setpriv --reuid 65534 --regid 65534 --clear-groups wg-nsquick check /dev/stdin < wg0.conf
	assert_failure 1 # not a name that an interface can have
	local folder
	folder=$(mktemp -d /run/check.XXXX)
	chmod 755 "$folder" && cp wg0.conf "$folder" && chmod 644 "$folder/wg0.conf"
	run --separate-stderr setpriv --reuid 65534 --regid 65534 --clear-groups "$WG_NSQUICK" check "$folder/wg0.conf"
	rm -rf "$folder"
	assert_success
	assert_output --partial "nothing to say"
	assert_equal "$stderr" "Warning: \`$folder/wg0.conf' is world accessible"
}

@test "what is not there, or is no file" {
	run wg-nsquick check nosuch
	assert_failure 1
	assert_output "wg-nsquick: \`/etc/wireguard/nosuch.conf' does not exist"
	run wg-nsquick check
	assert_failure 1
	assert_output --partial "Usage:"
}

@test "10,000 peers are checked in a moment" {
	local i
	{
		printf '[Interface]\nPrivateKey = %s\nAddress = 10.0.0.1/8\nDNS = 10.0.0.1\nListenPort = 5\n' "$CLIENT_KEY"
		for ((i = 0; i < 10000; i++)); do
			printf '[Peer]\nPublicKey = %042dA=\nAllowedIPs = 10.%d.%d.%d/32\n' "$i" $((i / 65536)) $((i / 256 % 256)) $((i % 256))
		done
	} > wg0.conf
	run timeout 10 wg-nsquick check ./wg0.conf
	assert_success
	assert_line --partial "a server's file"
}
