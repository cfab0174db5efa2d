# Files the way the vectors write them, for the vectors' .bats files; after host.bash.
# shellcheck shell=bash disable=SC2034,SC2154

# A private key and what its public key is, and two public keys of nobody.
K=oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM=
K_PUB=cL9S5KV5wAy/AsKyYct3qz9BHxe5FYqxlb/eDthF/VY=
P=GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=
Q=xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=

# vector LINE…: /etc/wireguard/wg0.conf (or $NAME.conf), line by line, where
# I is [Interface] with K, R is [Peer] with P, and RQ is [Peer] with Q.
vector() {
	local line path=/etc/wireguard/${NAME:-wg0}.conf
	for line; do
		case $line in
		I) printf '[Interface]\nPrivateKey = %s\n' "$K" ;;
		R) printf '[Peer]\nPublicKey = %s\n' "$P" ;;
		RQ) printf '[Peer]\nPublicKey = %s\n' "$Q" ;;
		*) printf '%s\n' "$line" ;;
		esac
	done > "$path"
	chmod 600 "$path"
}

# up [OPTION…]: it must succeed; all that it wrote is in $output.
up() {
	run wg-nsquick "$@" up wg0
	assert_success
}

down() {
	run wg-nsquick "$@" down wg0
	assert_success
}

# up_fails STATUS [OPTION…]: after the first step, with a way back that leaves nothing.
up_fails() {
	local status=$1
	shift
	if ((status == 127)); then run -127 wg-nsquick "$@" up wg0; else run wg-nsquick "$@" up wg0; fi
	assert_failure "$status"
	assert_line "[#] ip link delete dev wg0"
	[[ -n ${KEPT-} ]] || assert_clean
}

# refused STATUS TEXT: one line with TEXT in it, and nothing was begun.
refused() {
	run wg-nsquick up wg0
	assert_failure "$1"
	assert_output --partial "$2"
	refute_line --partial "[#]"
	assert_equal "${#lines[@]}" 1
	assert_clean
}

# The commands traced in $output, one a line, with wireguard-go's start left out.
traced() { grep -F '[#]' <<<"$output" | grep -vxF '[#] wireguard-go wg0' | sed 's/^\[#\] //'; }

# assert_trace LINE…: exactly these were traced, in this order.
assert_trace() {
	assert_equal "$(traced)" "$(printf '%s\n' "$@")"
}

# For teardown: what a failed test left up must not fail those after it.
end_tunnels() {
	local journal
	for journal in /run/wg-nsquick/tunnels/*@*; do
		[[ -e $journal ]] || continue
		journal=${journal##*/}
		wg-nsquick down "${journal%@*}" > /dev/null 2>&1 3>&- || true
	done
	wg-nsquick recover > /dev/null 2>&1 3>&- || true
}
