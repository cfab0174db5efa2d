#!/usr/bin/env bats
# The command line: vectors C1-C23, one test each, on the program itself. Where
# the installed wg-quick can be asked the same thing, it is, in `agrees`: that
# guards the vectors too.
# Tests tagged text ask no kernel anything: check-vm leaves them out.
# shellcheck disable=SC2154 # stderr, stderr_lines: bats fills them

setup_file() {
	load lib/host
	host_up
	host_remember
	ln -s "$BATS_TEST_DIRNAME/lib/pty" /run/pty
}

teardown_file() {
	load lib/host
	host_down
}

setup() {
	load lib/host
	cd "$BATS_TEST_TMPDIR" || return
	chmod 700 .
}

NAME_EXPECTED="The config file must be a valid interface name, followed by .conf"

# says STATUS MESSAGE WORD…: so ends the program with these words, with nothing on stdout.
says() {
	local status=$1 message=$2
	shift 2
	run --separate-stderr wg-nsquick "$@"
	assert_failure "$status"
	assert_output ""
	assert_equal "$stderr" "$message"
	agrees "$@"
}

# agrees WORD…: wg-quick's status, stdout and stderr are the same but for its name.
# The virtual machine has the same programs and files as this one, and is slow.
agrees() {
	local ours=0 theirs=0
	[[ -z ${WG_NSQUICK_VM-} ]] || return 0
	wg-nsquick "$@" > ours.out 2> ours.err || ours=$?
	wg-quick "$@" > theirs.out 2> theirs.err || theirs=$?
	assert_equal "$ours" "$theirs"
	cmp ours.out theirs.out
	diff -u <(sed 's/^wg-quick:/wg-nsquick:/' theirs.err) ours.err
}

# taken FILE: a file of this name is read.
taken() {
	printf '[Interface]\nListenPort = 7\n' > "$1"
	chmod 600 "$1"
	run --separate-stderr wg-nsquick strip "$1"
	assert_success
	assert_output "$(printf '[Interface]\nListenPort = 7\n')"
	assert_equal "$stderr" ""
	agrees strip "$1"
}

# warned DIRECTORY-MODE FILE-MODE, silent DIRECTORY-MODE FILE-MODE
strip_with_modes() {
	mkdir -p modes
	printf '[Interface]\n' > modes/wg0.conf
	chmod "$1" modes
	chmod "$2" modes/wg0.conf
	run --separate-stderr wg-nsquick strip modes/wg0.conf
	assert_success
	assert_output "[Interface]"
	agrees strip modes/wg0.conf
}
warned() {
	strip_with_modes "$@"
	assert_equal "$stderr" "Warning: \`$PWD/modes/wg0.conf' is world accessible"
}
silent() {
	strip_with_modes "$@"
	assert_equal "$stderr" ""
}

# Who is not root cannot reach the program where it was built, nor the tests' own folder.
as_nobody() {
	mkdir -p /run/nobody
	cp "$WG_NSQUICK" /run/nobody/wg-nsquick
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

# A sudo that tells what it is asked.
fake_sudo() {
	mkdir -p /run/sudo
	printf '#!/bin/sh\nprintf "[%%s]\\n" "$@"\n' > /run/sudo/sudo
	chmod 755 /run/sudo /run/sudo/sudo
}

# bats test_tags=text
@test "C1: wrong words: usage on stderr, status 1" {
	local words
	for words in "" "up" "down x y" "help me" "bogus wg0" "-h wg0"; do
		# shellcheck disable=SC2086
		run --separate-stderr wg-nsquick $words
		assert_failure 1
		assert_output ""
		assert_equal "${stderr_lines[0]}" "Usage: wg-nsquick [ up | down | save | strip ] [ CONFIG_FILE | INTERFACE ]"
		# shellcheck disable=SC2086
		run --separate-stderr wg-quick $words
		assert_failure 1
		assert_output ""
		assert_equal "${stderr_lines[0]}" "Usage: wg-quick [ up | down | save | strip ] [ CONFIG_FILE | INTERFACE ]"
	done
}

# bats test_tags=text
@test "C2: help: usage on stderr, status 0, for everybody" {
	local word
	wg-nsquick 2> usage || true
	for word in -h --help help; do
		run --separate-stderr wg-nsquick "$word"
		assert_success
		assert_output ""
		assert_equal "$stderr" "$(cat usage)"
		run --separate-stderr as_nobody /run/nobody/wg-nsquick "$word"
		assert_success
		assert_output ""
		assert_equal "$stderr" "$(cat usage)"
		run --separate-stderr wg-quick "$word"
		assert_success
		assert_output ""
	done
}

# bats test_tags=text
@test "C3: a name without a file" {
	says 1 "wg-nsquick: \`/etc/wireguard/nosuch.conf' does not exist" up nosuch
	says 1 "wg-nsquick: \`/etc/wireguard/nosuch.conf' does not exist" down nosuch
}

# bats test_tags=text
@test "C4: wg0.conf is a name, also beside a file of that name" {
	printf '[Interface]\n' > wg0.conf
	says 1 "wg-nsquick: \`/etc/wireguard/wg0.conf.conf' does not exist" strip wg0.conf
}

# bats test_tags=text
@test "C5: ./wg0.conf is a path" {
	taken ./wg0.conf
}

# bats test_tags=text
@test "C6: 16 characters are too many for a name, so a path" {
	taken abcdefghijk.conf
}

# bats test_tags=text
@test "C7: a path whose file's stem has 15 characters, and not one more" {
	taken ./abcdefghijklmno.conf
	: > abcdefghijklmnop.conf
	says 1 "wg-nsquick: $NAME_EXPECTED" strip ./abcdefghijklmnop.conf
}

# bats test_tags=text
@test "C8: files whose names are no interface's" {
	local file
	for file in ./x.CONF ./noext ./.conf "./sp ace.conf" ./a@b.conf ./ä.conf; do
		: > "$file"
		says 1 "wg-nsquick: $NAME_EXPECTED" strip "$file"
	done
	says 1 "wg-nsquick: $NAME_EXPECTED" up /etc
	# Not opened, which would wait for a writer.
	mkfifo pipe
	says 1 "wg-nsquick: $NAME_EXPECTED" strip ./pipe
}

# bats test_tags=text
@test "C9: + and = in names" {
	taken ./a+b.conf
	taken /etc/wireguard/a=b.conf
	agrees strip a=b
	rm /etc/wireguard/a=b.conf
}

# bats test_tags=text
@test "C10: an empty word, a link that leads nowhere or to itself, a path that is too long" {
	says 1 "wg-nsquick: \`' does not exist" strip ''
	ln -s nowhere dangling.conf
	says 1 "wg-nsquick: \`./dangling.conf' does not exist" strip ./dangling.conf
	ln -s loop.conf loop.conf
	says 1 "wg-nsquick: \`./loop.conf' does not exist" strip ./loop.conf
	local long
	printf -v long './%5000s' wg0.conf
	says 1 "wg-nsquick: \`$long' does not exist" strip "$long"
}

@test "C11: a link's name is the interface's, its target the hooks' CONFIG_FILE" {
	# shellcheck disable=SC2016
	config a 'PostUp = echo "saw $INTERFACE %i $CONFIG_FILE"' 'PreDown = echo "saw $INTERFACE $CONFIG_FILE"'
	ln -s a.conf /etc/wireguard/b.conf
	run wg-nsquick up b
	assert_success
	assert_line "saw b b /etc/wireguard/a.conf"
	run ip -n b link show dev b
	assert_success
	run ip netns exec b wg show b endpoints
	assert_output "$PROVIDER_PUB"$'\t'"192.0.2.1:51820"
	run wg-nsquick down b
	assert_success
	assert_line "saw b /etc/wireguard/a.conf"
	rm /etc/wireguard/[ab].conf
	assert_clean
}

# bats test_tags=text
@test "C12: a link elsewhere" {
	printf '[Interface]\nListenPort = 7\n' > /etc/wireguard/a.conf
	chmod 600 /etc/wireguard/a.conf
	ln -s /etc/wireguard/a.conf link1.conf
	run wg-nsquick strip ./link1.conf
	assert_success
	assert_output "$(printf '[Interface]\nListenPort = 7\n')"
	agrees strip ./link1.conf
	rm /etc/wireguard/a.conf
}

# bats test_tags=text
@test "C13: a directory is refused (deviation: it counted as an empty file)" {
	local verb
	mkdir dir.conf
	for verb in strip up down save; do
		run --separate-stderr wg-nsquick "$verb" ./dir.conf
		assert_failure 1
		assert_output ""
		assert_equal "$stderr" "wg-nsquick: \`$PWD/dir.conf' is a directory; expected a configuration file"
	done
	assert_clean
}

@test "C14: a file that all can read: a warning from every verb, which goes on" {
	local verb
	chmod 755 /etc/wireguard
	config wg0
	for verb in strip up save down; do
		# save gives it mode 0600
		chmod 644 /etc/wireguard/wg0.conf
		run wg-nsquick "$verb" wg0
		assert_success
		assert_equal "${lines[0]}" "Warning: \`/etc/wireguard/wg0.conf' is world accessible"
	done
	run grep -c 'world accessible' <<< "$output"
	assert_output 1
	warned 755 644
	warned 755 604
	warned 755 666
	assert_clean
}

# bats test_tags=text
@test "C15: no warning where either mode keeps others out" {
	silent 700 644
	silent 755 640
	silent 755 600
	silent 711 644
}

# bats test_tags=text
@test "C16: search permission of a directory, and execution of a file, is the same bit" {
	warned 711 601
}

# bats test_tags=text
@test "C17: the modes that count are those of a link's target" {
	mkdir -m 755 open
	mkdir -m 700 closed
	printf '[Interface]\n' > open/a.conf
	chmod 644 open/a.conf
	ln -s ../open/a.conf closed/a.conf
	run --separate-stderr wg-nsquick strip closed/a.conf
	assert_success
	assert_equal "$stderr" "Warning: \`$PWD/open/a.conf' is world accessible"
	agrees strip closed/a.conf
}

# bats test_tags=text,image
@test "C18: messages and usage go by the name of the program" {
	ln -s "$WG_NSQUICK" myquick
	run ./myquick up nosuch
	assert_failure 1
	assert_output "myquick: \`/etc/wireguard/nosuch.conf' does not exist"
	run ./myquick
	assert_failure 1
	assert_line "Usage: myquick [ up | down | save | strip ] [ CONFIG_FILE | INTERFACE ]"
	run bash -c "exec -a /some/where/else '$WG_NSQUICK' up nosuch"
	assert_output "else: \`/etc/wireguard/nosuch.conf' does not exist"
}

# bats test_tags=text,image
@test "C19: who is not root: sudo with wg-quick's words, or 127 before any file is looked at" {
	local verb
	for verb in strip up down save; do
		run -127 as_nobody env -i PATH=/nonexistent /run/nobody/wg-nsquick "$verb" nosuch
		assert_output --partial "must be run as root"
		refute_output --partial "does not exist"
	done
	fake_sudo
	ln -sf wg-nsquick /run/nobody/myquick
	for verb in strip up down save; do
		run as_nobody env PATH=/run/sudo:"$PATH" /run/nobody/wg-nsquick "$verb" "no such"
		assert_success
		assert_output "$(printf '[%s]\n' -p "wg-nsquick must be run as root. Please enter the password for %u to continue: " \
			-- /run/nobody/wg-nsquick "$verb" "no such")"
	done
	# Under another name, and found in PATH: the path that sudo gets leads here, and the prompt has the name.
	run as_nobody env PATH=/run/sudo:"$PATH" /run/nobody/myquick strip a
	assert_output "$(printf '[%s]\n' -p "myquick must be run as root. Please enter the password for %u to continue: " \
		-- /run/nobody/myquick strip a)"
	run as_nobody env PATH=/run/sudo:/run/nobody:"$PATH" wg-nsquick strip a
	assert_output "$(printf '[%s]\n' -p "wg-nsquick must be run as root. Please enter the password for %u to continue: " \
		-- /run/nobody/wg-nsquick strip a)"
}

# bats test_tags=text,image
@test "C20: root of a user namespace is root" {
	fake_sudo
	mkdir -m 755 /run/c20
	printf '[Interface]\nListenPort = 7\n' > /run/c20/wg0.conf
	chmod 644 /run/c20/wg0.conf
	run --separate-stderr as_nobody unshare -Ur env PATH=/run/sudo:"$PATH" /run/nobody/wg-nsquick strip /run/c20/wg0.conf
	assert_success
	assert_output "$(printf '[Interface]\nListenPort = 7\n')"
	# And without: the same command gets as far as sudo.
	run as_nobody env PATH=/run/sudo:"$PATH" /run/nobody/wg-nsquick strip /run/c20/wg0.conf
	assert_line "[/run/nobody/wg-nsquick]"
}

@test "C21: an interface that exists in the target is left alone (deviation: one of the host's is no obstacle)" {
	local before
	config lo
	run wg-nsquick up lo
	assert_failure 1
	assert_output "wg-nsquick: \`lo' already exists"
	agrees up lo
	rm /etc/wireguard/lo.conf
	ip netns add taken
	ip -n taken link add eth9 type veth peer name other
	before=$(ip -n taken -d -j link show)
	config eth9
	run wg-nsquick up eth9 --netns taken
	assert_failure 1
	assert_output "wg-nsquick: \`eth9' already exists"
	assert_equal "$(ip -n taken -d -j link show)" "$before"
	rm /etc/wireguard/eth9.conf
	ip netns del taken
	before=$(ip -d -j link show dev veth0)
	config veth0
	run wg-nsquick up veth0
	if [[ $WG_KIND == kernel ]]; then
		assert_success
		run ip netns exec veth0 wg show veth0 endpoints
		assert_output "$PROVIDER_PUB"$'\t'"192.0.2.1:51820"
		run wg-nsquick down veth0
		assert_success
	else
		# Userspace needs the name on the host for a moment.
		assert_failure 1
		assert_line --partial "the transport namespace has a link of this name"
	fi
	assert_equal "$(ip -d -j link show dev veth0)" "$before"
	rm /etc/wireguard/veth0.conf
	assert_clean
}

@test "C22: what is no WireGuard interface is not taken down" {
	local before
	before=$(ip -d -j link show dev veth0)
	config veth0
	says 1 "wg-nsquick: \`veth0' is not a WireGuard interface" down veth0
	says 1 "wg-nsquick: \`veth0' is not a WireGuard interface" save veth0
	assert_equal "$(ip -d -j link show dev veth0)" "$before"
	rm /etc/wireguard/veth0.conf
}

@test "C23: names that only the kernel refuses (deviation: its own module's status is 2, ip's, not lost)" {
	local name expected
	for name in . .. all default; do
		config "$name"
		agrees strip "$name"
		run wg-nsquick up "$name"
		# . and .. we refuse; the others the kernel, or wireguard-go with what the kernel told it.
		[[ $WG_KIND == kernel && $name != .* ]] && expected=2 || expected=1
		assert_failure "$expected"
		[[ $name == .* ]] || assert_output --regexp '[Ii]nvalid argument'
		refute_output --partial "/run"
		assert_clean
		run wg-nsquick down "$name"
		assert_failure 1
		refute_output --partial "/run"
		rm "/etc/wireguard/$name.conf"
	done
	config .
	for name in up down save; do
		run wg-nsquick "$name" .
		assert_failure 1
		assert_output "wg-nsquick: \`.' cannot be the name of an interface; expected another one"
	done
	rm /etc/wireguard/..conf
}

# On a terminal and not: the same text, and the same status.
same_on_terminal() {
	local piped=0 terminal=0
	"$@" > piped 2>&1 < /dev/null || piped=$?
	/run/pty "$@" > terminal || terminal=$?
	assert_equal "$terminal" "$piped"
	[[ -s piped ]]
	diff -u piped terminal
}

@test "on a terminal the text is the same: usage, missing file, bad name, warning, bad file" {
	same_on_terminal wg-nsquick
	same_on_terminal wg-nsquick --help
	same_on_terminal wg-nsquick bogus wg0
	same_on_terminal wg-nsquick up nosuch
	: > noext
	same_on_terminal wg-nsquick strip ./noext
	printf '[Interface]\nListenPort = 7\n' > wg0.conf
	chmod 755 .
	chmod 644 wg0.conf
	same_on_terminal wg-nsquick strip ./wg0.conf
	chmod 600 wg0.conf
	printf '[Interface]\nFoo = 7\n' > wg0.conf
	same_on_terminal wg-nsquick up ./wg0.conf
	printf '[Interface]\nSaveConfig = maybe\n' > wg0.conf
	same_on_terminal wg-nsquick strip ./wg0.conf
	assert_clean
}

@test "on a terminal up has one line more, where the tunnel is; the tunnel outlives the terminal" {
	config wg0
	wg-nsquick up wg0 > piped 2>&1 3>&-
	wg-nsquick down wg0 > piped.down 2>&1
	/run/pty wg-nsquick up wg0 > terminal 3>&-
	# Its terminal is gone, as sudo's is when it ends: the tunnel is not.
	run ip netns exec wg0 ping -c 1 -W 5 10.9.0.1
	assert_success
	/run/pty wg-nsquick down wg0 > terminal.down
	run diff piped terminal
	assert_line --regexp '^> \[!\] wg0 is up in network namespace wg0; .* wg-nsquick exec wg0 COMMAND$'
	assert_equal "${#lines[@]}" 2
	diff piped.down terminal.down
	assert_clean
}

@test "on a terminal sudo has it, to ask for the password" {
	mkdir -p /run/sudo-tty
	# shellcheck disable=SC2016
	printf '#!/bin/sh\nprintf "%%s" "$2"\nread -r password < /dev/tty\necho "read $password"\n' > /run/sudo-tty/sudo
	chmod 755 /run/sudo-tty /run/sudo-tty/sudo
	mkdir -p /run/nobody
	cp "$WG_NSQUICK" /run/nobody/wg-nsquick
	run /run/pty -i $'geheim\n' -w "to continue: " setpriv --reuid 65534 --regid 65534 --clear-groups \
		env PATH=/run/sudo-tty:"$PATH" /run/nobody/wg-nsquick strip a
	assert_success
	assert_output "wg-nsquick must be run as root. Please enter the password for %u to continue: read geheim"
}

@test "after all of this the host is the same" {
	assert_host_unchanged
}
