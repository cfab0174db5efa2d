#!/usr/bin/env bats
# shellcheck disable=SC2154
# Every shape of the corpus, imported, comes up for real and carries traffic.
# bats file_tags=seccomp

# Its public key is the one in all files of the corpus.
CORPUS_KEY=GJ7zNxh+eR36dbJ5PEnelIBcYcea/l2Mw82qlsaHH3g=

setup_file() {
	load lib/host
	host_up
	ip netns exec prov wg set wgp private-key <(echo "$CORPUS_KEY") peer "$CLIENT_PUB" remove
	# Any port is the provider's.
	ip netns exec prov nft -f - <<-'END'
		table inet ports {
			chain in {
				type nat hook prerouting priority -100
				iifname "eth0" meta l4proto udp udp dport != 51820 redirect to :51820
			}
		}
	END
	cp /etc/hosts /run/hosts
	printf '192.0.2.1 %s\n' se1.wg.ivpn.net ca1.wg.ivpn.net nl3.vpn.airdns.org atl-106-wg.whiskergalaxy.com us-nyc.prod.surfshark.com se-sto.pvdata.host \
		nl834.nordvpn.com engage.cloudflareclient.com >> /run/hosts
	mount --bind /run/hosts /etc/hosts
	host_remember
}

teardown_file() {
	load lib/host
	assert_host_unchanged
	umount /etc/hosts
	host_down
}

setup() {
	load lib/host
}

# The peer that a file's owner would be for the provider.
let_in() {
	local file=$1 key psk address addresses=() shared=()
	key=$(sed -n 's/^PrivateKey = //p' "$file" | wg pubkey)
	psk=$(sed -n 's/^PresharedKey = //p' "$file")
	# A file of nothing would be no key.
	if [[ -n $psk ]]; then
		echo "$psk" > "$BATS_TEST_TMPDIR/psk"
		shared=(preshared-key "$BATS_TEST_TMPDIR/psk")
	fi
	IFS=', ' read -ra addresses <<< "$(sed -n 's/^Address = //p' "$file" | tr '\n' ' ')"
	for address in "${addresses[@]}"; do
		address=${address%/*}
		if [[ $address == *:* ]]; then ip -n prov -6 route replace "$address" dev wgp; else ip -n prov route replace "$address" dev wgp; fi
	done
	ip netns exec prov wg set wgp peer "$key" "${shared[@]}" allowed-ips "$(printf '%s\n' "${addresses[@]%/*}" | paste -sd,)"
}

# A file's tunnel from its import to its end; the name is left in $name.
comes_up() {
	rm -rf /etc/wireguard/* /etc/wireguard/.[a-z]*
	run wg-nsquick import "$BATS_TEST_DIRNAME/corpus/import/good/$1"
	assert_success
	name=$(basename /etc/wireguard/*.conf .conf)
	let_in "/etc/wireguard/$name.conf"
	run wg-nsquick up "$name"
	assert_success
	run ip netns exec "$name" ping -c 1 -W 20 10.9.0.1
	assert_success
	run wg-nsquick down "$name"
	assert_success
}

# One with a kill-switch, an endpoint without brackets, host names with a shared key, no mask, no empty line, UTF-16.
some=(Mullvad_se-got-wg-001 mullvad-jp4-ipv6 AirVPN_NL-Alblasserdam_Alchiba_UDP-1637-Entry3 pia-us_california wgcf-profile "Windows Unicode")

@test "imported files of six shapes come up and carry traffic" {
	local file
	for file in "${some[@]}"; do comes_up "$file.conf"; done
}

# bats test_tags=long
@test "and those of the other 36" {
	local file base n=0
	for file in "$BATS_TEST_DIRNAME/corpus/import/good"/*.conf; do
		base=${file##*/}
		[[ " ${some[*]} " != *" ${base%.conf} "* ]] || continue
		comes_up "$base"
		n=$((n + 1))
	done
	assert_equal "$n" 36
}
