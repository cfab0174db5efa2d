#!/usr/bin/env bats
# strip: vectors S1-S14, one test each. Bytes are compared with cmp: a shell
# variable would lose NUL bytes and line ends. The installed wg-quick is asked
# for the same, which guards the vectors too.
# Tests tagged text ask no kernel anything: check-vm leaves them out.

setup_file() {
	load lib/host
}

setup() {
	load lib/host
	cd "$BATS_TEST_TMPDIR" || return
	chmod 700 .
}

# strips TEXT EXPECTED: both in printf's form. Nothing on stderr, status 0.
strips() {
	printf '%b' "$1" > wg0.conf
	printf '%b' "$2" > expected
	chmod 600 wg0.conf
	wg-nsquick strip ./wg0.conf > ours 2> ours.err
	cmp ours expected
	[[ ! -s ours.err ]]
	# The virtual machine has the same programs and files as this one, and is slow.
	[[ -z ${WG_NSQUICK_VM-} ]] || return 0
	# Of a NUL byte bash complains on stderr; what it prints is what counts.
	wg-quick strip ./wg0.conf > theirs 2> /dev/null
	cmp theirs expected
}

# refuses TEXT LINE MESSAGE: nothing on stdout, one line on stderr.
refuses() {
	local ours=0 theirs=0
	printf '%b' "$1" > wg0.conf
	chmod 600 wg0.conf
	wg-nsquick strip ./wg0.conf > ours 2> ours.err || ours=$?
	assert_equal "$ours" 1
	[[ ! -s ours ]]
	assert_equal "$(wc -l < ours.err)" 1
	run cat ours.err
	assert_output --regexp "^wg-nsquick: $PWD/wg0.conf:$2: .*; expected "
	assert_output --partial "$3"
	[[ -z ${WG_NSQUICK_VM-} ]] || return 0
	wg-quick strip ./wg0.conf > theirs 2> theirs.err || theirs=$?
	assert_equal "$theirs" 1
	[[ ! -s theirs ]]
	assert_equal "$(cat theirs.err)" "wg-quick: $3"
}

# bats test_tags=text
@test "S1: an empty file" {
	strips '' '\n'
}

# bats test_tags=text
@test "S2: an empty line" {
	strips '\n' '\n\n'
}

# bats test_tags=text
@test "S3: no line end at the end" {
	strips '[Interface]\nListenPort=1' '[Interface]\nListenPort=1\n\n'
}

# bats test_tags=text
@test "S4: wg-quick's keys go, comments and other sections stay" {
	strips '# top\n[Interface] # c\n  Address = 1.2.3.4/24  # x\n\tPrivateKey  =  K # pk  \n\n;semi\nDNS=1.1.1.1\nMTU=5\nTable=off\nPreUp=a\nPostUp=b\nPreDown=c\nPostDown=d\nSaveConfig=false\nFwMark=1\n[Peer]\nAddress=9\n  # indented\nPublicKey=P\n' \
		'# top\n[Interface] # c\nPrivateKey  =  K # pk\n\n;semi\nFwMark=1\n[Peer]\nAddress=9\n# indented\nPublicKey=P\n\n'
}

# bats test_tags=text
@test "S5: CRLF" {
	strips '[Interface]\r\nAddress=1.2.3.4\r\nListenPort=1\r\n\r\n' '[Interface]\r\nListenPort=1\r\n\r\n\n'
}

# bats test_tags=text
@test "S6: after a byte order mark [Interface] is none" {
	strips '\xef\xbb\xbf[Interface]\nAddress=1.2.3.4\n' '\xef\xbb\xbf[Interface]\nAddress=1.2.3.4\n\n'
}

# bats test_tags=text
@test "S7: NUL bytes are dropped" {
	strips '[Interface]\nListenPort=1\x002\n' '[Interface]\nListenPort=12\n\n'
}

# bats test_tags=text
@test "S8: a key of wg-quick's goes in [Interface] alone, in any case" {
	strips '[Interface]\nAddress=1\n[Peer]\nAddress=2\n[interface]\naddress=3\n' '[Interface]\n[Peer]\nAddress=2\n[interface]\n\n'
}

# bats test_tags=text
@test "S9: [Interface]=x begins the section too" {
	strips '[Interface]=x\nAddress=1\n' '[Interface]=x\n\n'
}

# bats test_tags=text
@test "S10: any other bracket ends it" {
	strips '[Interface]\nMTU=1\n[Foo]\nMTU=2\n' '[Interface]\n[Foo]\nMTU=2\n\n'
	strips '[Interface]\nMTU=1\n[Interfac\nMTU=2\n' '[Interface]\n[Interfac\nMTU=2\n\n'
}

# bats test_tags=text
@test "S11: blanks around a key, not in it" {
	strips '[Interface]\nMTU x=1\nMTU\t=1\nM TU=1\n' '[Interface]\nMTU x=1\nM TU=1\n\n'
}

@test "S12: a key cut by a comment" {
	strips '[Interface]\nMTU#=5\n' '[Interface]\n\n'
	# Its value is the key then, which is no MTU.
	run -255 wg-nsquick up ./wg0.conf
	assert_output --regexp "^wg-nsquick: $PWD/wg0.conf:2: MTU: .MTU'"
	assert_clean
}

# bats test_tags=text
@test "S13: other white space than blank and tab stays in lines that are left" {
	strips '[Interface]\n\vMTU\f=1\v\n\vListenPort=5\f\n' '[Interface]\n\vListenPort=5\f\n\n'
}

# bats test_tags=text
@test "S14: SaveConfig is true or false" {
	local value
	for value in maybe yes 1 tru; do
		refuses "[Interface]\nSaveConfig=$value\n" 2 "\`$value' is neither true nor false"
	done
	refuses "# one\n\n[Interface]\nSaveConfig =\n" 4 "\`' is neither true nor false"
	strips '[Interface]\nSaveConfig = TRUE # yes\nSaveConfig=False\n' '[Interface]\n\n'
	strips '[Interface]\n[Peer]\nSaveConfig=maybe\n' '[Interface]\n[Peer]\nSaveConfig=maybe\n\n'
}

# bats test_tags=text
@test "hooks go whole, whatever they hold" {
	strips '[Interface]\nPostUp = echo a; echo "#" b = c [Peer]\n#PostUp = x\nPreDown = \\ "%i" \\\nListenPort=1\nPostUp\n' \
		'[Interface]\n#PostUp = x\nListenPort=1\n\n'
}

# bats test_tags=text
@test "a write that fails is an error" {
	printf '[Interface]\n' > wg0.conf
	run bash -c 'wg-nsquick strip ./wg0.conf > /dev/full'
	assert_failure 1
	assert_output "wg-nsquick: cannot write to standard output: No space left on device"
	for program in wg-quick wg-nsquick; do
		run bash -c "$program strip ./wg0.conf >&-"
		assert_failure 1
		assert_output --partial "Bad file descriptor"
	done
}
