#!/usr/bin/env bats
# bats file_tags=text,seccomp
# shellcheck disable=SC2016,SC2154 # for bash -c; stderr: bats fills it
# import: files, folders and archives in, clean files of root's out. What it
# does to a text is unit-import's; here is the program around it.

setup() {
	load lib/host
	bats_load_library bats-file
	cd "$BATS_TEST_TMPDIR" || return
	corpus=$BATS_TEST_DIRNAME/corpus/import
	rm -rf /etc/wireguard/* /etc/wireguard/.[a-z]*
}

teardown() {
	rm -rf /etc/wireguard/* /etc/wireguard/.[a-z]*
}

nothing_written() {
	run ls -A /etc/wireguard
	assert_output ""
}

good() { sed "s/10.66.12.34/10.66.12.${1:-34}/" "$corpus/good/Mullvad_se-got-wg-001.conf"; }

@test "a folder of every provider's shape: all in, root's alone, a second run changes nothing" {
	run --separate-stderr wg-nsquick import "$corpus/good"
	assert_success
	assert_line --regexp '^se-got-wg-001 +new +Mullvad +Sweden, Gothenburg +192.0.2.1:51820 +4\+6 +10.64.0.1 '
	assert_line --regexp '^us-atl-mountain +new +Windscribe +United States, Atlanta '
	assert_line --partial "good/pia-no-dns.conf: warning: no DNS: names will not resolve in its namespace, where"
	assert_line --partial "kill-switch dropped"
	assert_line --partial "hook dropped: PostUp = resolvectl dns %i 10.9.0.1; resolvectl domain %i '~.'"
	assert_line "42 imported, 0 the same as before, 0 refused"
	assert_equal "$(find /etc/wireguard -name '*.conf' | wc -l)" 42
	assert_equal "$(find /etc/wireguard -type f ! -perm 600 -o -type f ! -user root | wc -l)" 0
	run grep -lE '^(PreUp|PostUp|PreDown|PostDown|SaveConfig)' /etc/wireguard/*.conf
	assert_output ""
	(cd /etc/wireguard && sha256sum ./*) > before
	run wg-nsquick import "$corpus/good"
	assert_success
	assert_line "0 imported, 42 the same as before, 0 refused"
	(cd /etc/wireguard && sha256sum ./*) | cmp - before
	# They are clean already, and know where they came from.
	run wg-nsquick import /etc/wireguard
	assert_success
	assert_line "0 imported, 42 the same as before, 0 refused, 1 other file not looked at"
	refute_line --regexp "spelled|dropped|mask"
}

@test "each file that is no good ends in one line that says why, and nothing is written" {
	local file n=0
	for file in "$corpus"/bad/*; do
		run --separate-stderr wg-nsquick import "$file"
		assert_failure 1
		assert_equal "${#stderr_lines[@]}" 1
		[[ $stderr == "wg-nsquick: $file:"* ]] || fail "$stderr"
		n=$((n + 1))
	done
	((n >= 35))
	nothing_written
}

@test "an existing file stays, unless --force; --name; standard input; --dry-run" {
	mkdir -p /etc/wireguard
	echo mine > /etc/wireguard/se-got-wg-001.conf
	run wg-nsquick import "$corpus/good/Mullvad_se-got-wg-001.conf"
	assert_failure 1
	assert_line --partial "/etc/wireguard/se-got-wg-001.conf exists, with another text"
	assert_equal "$(cat /etc/wireguard/se-got-wg-001.conf)" mine
	run wg-nsquick import --name home "$corpus/good/Mullvad_se-got-wg-001.conf"
	assert_success
	run wg-nsquick import --dry-run --force "$corpus/good/Mullvad_us-nyc-wg-301.conf"
	assert_success
	assert_file_not_exist /etc/wireguard/us-nyc-wg-301.conf
	run wg-nsquick import --name piped - < "$corpus/good/mullvad-jp4.conf"
	assert_success
	assert_file_exist /etc/wireguard/piped.conf
	run wg-nsquick import /etc/wireguard/piped.conf /etc/wireguard/home.conf
	assert_success
	assert_line "0 imported, 2 the same as before, 0 refused"
	run wg-nsquick import - < "$corpus/good/mullvad-jp4.conf"
	assert_failure 1
	assert_output --partial "--name NAME gives it one"
	# What was named keeps that name.
	run wg-nsquick import "$corpus/good/Mullvad_se-got-wg-001.conf"
	assert_line --regexp '^home +same '
	good 77 > Mullvad_se-got-wg-001.conf
	run wg-nsquick import --force Mullvad_se-got-wg-001.conf
	assert_success
	assert_line --regexp '^home +replaced '
}

@test "a name that is refused is not remembered" {
	mkdir -p /etc/wireguard
	echo mine > /etc/wireguard/wg0.conf
	good > home.conf
	run wg-nsquick import --name wg0 home.conf
	assert_failure 1
	run wg-nsquick import home.conf
	assert_success
	assert_line --regexp '^home +new '
	assert_equal "$(cat /etc/wireguard/wg0.conf)" mine
}

@test "what several files share is said once: a key, an Address, a ListenPort; also with those that are there already" {
	local line
	many 4
	give_port() { sed -i "/^Address/a ListenPort = $1" "many/mullvad-se-got-wg-$2.conf"; }
	run wg-nsquick import many
	assert_success
	for line in "an Address" "ListenPort" "PrivateKey"; do refute_line --partial "$line"; done
	sed -i 's/^Address.*/Address = 10.2.0.2\/32/' many/*-[012].conf
	give_port 51820 0
	give_port 51820 1
	give_port 51821 2
	sed -i "s/^PrivateKey.*/PrivateKey = $(printf '%042dA=' 77)/" many/*-[0-2].conf
	run wg-nsquick import --force many
	assert_success
	assert_equal "$(grep -c '^3 files have an Address that another of them has too: that is fine' <<< "$output")" 1
	assert_equal "$(grep -c '^warning: 2 files have a ListenPort that another of them has too' <<< "$output")" 1
	assert_line --partial "warning: se-got-wg-0, se-got-wg-1 and se-got-wg-2 have the same PrivateKey"
	good | sed "s/^PrivateKey.*/PrivateKey = $(printf '%042dA=' 77)/" > late.conf
	run wg-nsquick import late.conf
	assert_success
	assert_line --partial "warning: late, se-got-wg-0, se-got-wg-1 and 1 more have the same PrivateKey"
}

@test "what is changed more than once in a file is told once, with how often" {
	{ good; printf 'PersistentKeepalive = 25s\n'; printf '#a = 1\n%.0s' 1 2 3; } > x.conf
	run wg-nsquick import x.conf
	assert_success
	assert_line "x.conf:12: \`#a = …' is a comment, and looks like one now (3 times)"
	assert_line "x.conf:11: PersistentKeepalive: seconds have no unit"
}

# bats test_tags=image
@test "a pipe is waited for; limits that are set already stay" {
	mkfifo pipe.conf
	(sleep 0.3; good > pipe.conf) 3>&- &
	run timeout 60 wg-nsquick import pipe.conf
	wait
	assert_success
	assert_line --regexp '^pipe +new '
	good > home.conf
	run prlimit --cpu=20:20 --nofile=14:14 --as=400000000:400000000 wg-nsquick import home.conf
	assert_success
}

@test "the process that reads is killed: its source is refused, and a new one reads the others" {
	local parent child
	mkfifo pipe.conf
	good > home.conf
	wg-nsquick import home.conf pipe.conf home.conf > out 2>&1 3>&- &
	parent=$!
	exec 9> pipe.conf
	# The pipe is the child's once something is in it.
	echo '# more is to come' >&9
	child=$(timeout 30 bash -c 'until child=$(pgrep -P "$1") && readlink "/proc/$child/fd/"* | grep -qF pipe.conf; do sleep 0.02; done; echo "$child"' _ "$parent")
	kill -TERM "$child"
	wait "$parent" && fail "status 0"
	exec 9>&-
	run cat out
	assert_line "wg-nsquick: pipe.conf: the process that reads it broke off, or sent what no file can become"
	assert_line "1 imported, 1 the same as before, 1 refused"
	assert_file_exist /etc/wireguard/home.conf
}

@test "no room for the map: no file is written either" {
	local left
	good > home.conf
	# The folder, and one file.
	mount -t tmpfs -o mode=0700,nr_inodes=2 small /etc/wireguard
	run wg-nsquick import home.conf
	left=$(ls -A /etc/wireguard)
	umount /etc/wireguard
	assert_failure 1
	assert_output "wg-nsquick: /etc/wireguard/import.map cannot be written: No space left on device; nothing was written"
	assert_equal "$left" ""
}

@test "what is all there already needs no room, nor a folder that can be written" {
	good > home.conf
	mount -t tmpfs -o mode=0700 ro /etc/wireguard
	wg-nsquick import home.conf > /dev/null
	mount -o remount,ro /etc/wireguard
	run wg-nsquick import home.conf
	good 77 > home.conf
	local first="$status $output"
	run wg-nsquick import --force home.conf
	umount /etc/wireguard
	[[ $first == "0 "*"0 imported, 1 the same as before, 0 refused" ]] || fail "$first"
	assert_failure 1
	assert_output "wg-nsquick: /etc/wireguard/home.conf cannot be written: Read-only file system; nothing was written"
}

@test "options end at --, and a wrong one is no file" {
	good > ./-x.conf
	run wg-nsquick import --keep-hook ./-x.conf
	assert_failure 1
	assert_output "wg-nsquick: \`--keep-hook' is no option of import; words behind -- are taken as they are"
	run wg-nsquick import -x.conf
	assert_failure 1
	nothing_written
	run wg-nsquick import -- -x.conf
	assert_success
	assert_file_exist /etc/wireguard/x.conf
}

# What a failed download leaves is told; other programs' .conf files are not.
@test "in a folder or an archive: empty files and web pages are told, and the rest goes in" {
	mkdir got
	good > got/good.conf
	: > got/empty.conf
	echo '<html>429 Too Many Requests</html>' > got/page.conf
	echo 'nameserver 192.0.2.1' > got/resolv.conf
	tar -czf got.tar.gz got
	for source in got got.tar.gz; do
		run wg-nsquick import "$source"
		assert_failure 1
		assert_line --partial "got/empty.conf: the file is empty"
		assert_line --partial "got/page.conf: this is a web page or XML"
		assert_line --regexp '^1 imported, 0 the same as before, 2 refused, [12] other file'
		rm -rf /etc/wireguard/*
	done
	rm got/{empty,page,good}.conf
	tar -czf got.tar.gz got
	run wg-nsquick import got.tar.gz
	assert_failure 1
	assert_line "wg-nsquick: got.tar.gz: no WireGuard .conf file is in it"
}

@test "file names are told without what a terminal would obey" {
	mkdir a b
	good > $'a/x\e[31mred.conf'
	good > $'b/x\e[31mred.conf'
	run wg-nsquick import a b
	assert_success
	assert_line --partial ": the same as a/x?[31mred.conf"
	refute_output --partial $'\e'
}

@test "archives: .zip and .tar with gzip, xz, bzip2 and zstd" {
	local n=0 option
	mkdir files
	for option in z J j -zstd; do
		n=$((n + 1))
		good "$n" > "files/mullvad-se-got-wg-00$n.conf"
		rm -f archive
		tar "-c${option#-}f" archive files 2> /dev/null || tar --zstd -cf archive files
		run wg-nsquick import archive
		assert_success
		assert_file_exist "/etc/wireguard/se-got-wg-00$n.conf"
	done
	python3 -c 'import zipfile; z = zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED); z.write("files/mullvad-se-got-wg-001.conf", "de-fra-1.conf"); z.writestr("read.me", "x"); z.close()'
	run wg-nsquick import a.zip
	assert_success
	assert_line "1 imported, 0 the same as before, 0 refused, 1 other file not looked at"
	assert_line --partial "have the same PrivateKey"
	run bash -c 'wg-nsquick import - < a.zip'
	assert_line "0 imported, 1 the same as before, 0 refused, 1 other file not looked at"
}

# refused ARCHIVE WORDS
refused() {
	run --separate-stderr timeout 60 wg-nsquick import "$1"
	assert_failure 1
	[[ $stderr == *"$2"* ]] || fail "$1: expected \"$2\", got: $stderr"
	nothing_written
}

@test "hostile archives are refused as a whole, with nothing written" {
	good > good.conf
	python3 - <<-'END'
		import io, tarfile, zipfile
		good = open("good.conf", "rb").read()
		def tar(name, entries, mode="w:gz"):
		    with tarfile.open(name, mode) as t:
		        for path, data, kind, link in [("good.conf", good, tarfile.REGTYPE, "")] + entries:
		            i = tarfile.TarInfo(path)
		            i.type, i.linkname, i.size = kind, link, len(data)
		            t.addfile(i, io.BytesIO(data))
		R = tarfile.REGTYPE
		tar("up.tar.gz", [("a/../../x.conf", good, R, "")])
		tar("absolute.tar.gz", [("/etc/wireguard/x.conf", good, R, "")])
		tar("link.tar.gz", [("x.conf", b"", tarfile.SYMTYPE, "/etc/shadow")])
		tar("hard.tar.gz", [("x.conf", b"", tarfile.LNKTYPE, "good.conf")])
		tar("fifo.tar.gz", [("x.conf", b"", tarfile.FIFOTYPE, "")])
		tar("deep.tar.gz", [("/".join("abcdefghijk") + "/x.conf", good, R, "")])
		tar("many.tar.gz", [("%d.conf" % n, good, R, "") for n in range(10000)])
		tar("large.tar.gz", [("x.conf", good + b"\n" * 200000, R, "")])
		z = zipfile.ZipFile("up.zip", "w"); z.writestr("good.conf", good); z.writestr("..\\x.conf", good); z.close()
		z = zipfile.ZipFile("link.zip", "w"); z.writestr("good.conf", good); i = zipfile.ZipInfo("x.conf"); i.create_system = 3; i.external_attr = 0o120777 << 16; z.writestr(i, "/etc/shadow"); z.close()
		z = zipfile.ZipFile("none.zip", "w"); z.writestr("read.me", "x"); z.close()
		open("cut.tar.gz", "wb").write(open("many.tar.gz", "rb").read()[:20000])
		open("7.7z", "wb").write(b"7z\xbc\xaf\x27\x1c" + b"x" * 600)
		open("x.tar.lz4", "wb").write(b"\x04\x22\x4d\x18" + b"x" * 600)
		open("x.tar.lzma", "wb").write(b"\x5d\0\0\x80\0" + b"x" * 600)
	END
	refused up.tar.gz "leads out of the archive"
	refused absolute.tar.gz "an absolute path"
	refused link.tar.gz "is a link"
	refused hard.tar.gz "is a link"
	refused fifo.tar.gz "is no file"
	refused deep.tar.gz "nested more than 8 deep"
	refused many.tar.gz "more than 5000 entries"
	refused large.tar.gz "larger than 131072 bytes"
	refused up.zip "leads out of the archive"
	refused link.zip "is a link"
	refused none.zip "no .conf file"
	refused cut.tar.gz "cannot be unpacked"
	refused 7.7z "of a kind that is not read"
	refused x.tar.lz4 "of a kind that is not read"
	refused x.tar.lzma "of a kind that is not read"
}

@test "a gigabyte of zeros is not unpacked" {
	python3 - <<-'END'
		import tarfile, gzip
		head = tarfile.TarInfo("x.conf"); head.size = 1 << 30
		other = tarfile.TarInfo("x.bin"); other.size = 1 << 30
		small = tarfile.TarInfo("x.bin"); small.size = 60 << 20
		# A gzip file may have many members: a thousand times the same megabyte, which is a kilobyte.
		zeros = gzip.compress(bytes(1 << 20)) * 1024
		open("zeros.tar.gz", "wb").write(gzip.compress(head.tobuf()) + zeros)
		open("other.tar.gz", "wb").write(gzip.compress(other.tobuf()) + zeros)
		open("small.tar.gz", "wb").write(gzip.compress(small.tobuf()) + zeros)
		open("zeros.gz", "wb").write(zeros)
	END
	refused zeros.tar.gz "larger than 131072 bytes"
	refused other.tar.gz "larger than 67108864 bytes"
	refused small.tar.gz "200 times its size"
	refused zeros.gz "no .conf file"
}

@test "hostile files and folders: long lines, NUL, links, nesting, a hook behind 200 kB of blanks" {
	{ good; head -c 10000000 /dev/zero | tr '\0' x; } > long.conf
	refused long.conf "larger than"
	{ good; head -c 200000 /dev/zero | tr '\0' ' '; echo 'PostUp = touch x'; } > blanks.conf
	refused blanks.conf "larger than"
	{ good; head -c 20000 /dev/zero | tr '\0' ' '; echo 'PostUp = touch x'; } > blanks.conf
	refused blanks.conf "a line of more than"
	mkdir -p links deep/1/2/3/4/5/6/7/8/9/10
	ln -s /etc/shadow links/x.conf
	refused links "a link"
	refused deep "nested more than 8 deep"
	refused nosuch.conf "No such file"
	refused /dev/null "neither a file nor a folder"
	mkdir hooks
	good > hooks/good.conf
	{ sed '/^\[Peer\]/,$d' hooks/good.conf; yes 'PostUp=:' | head -n 5000; sed -n '/^\[Peer\]/,$p' hooks/good.conf; } > hooks/hooks.conf
	run wg-nsquick import hooks
	assert_failure 1
	assert_line --partial "hooks/hooks.conf:4103: more than 4096 hooks"
	assert_line "1 imported, 0 the same as before, 1 refused"
}

@test "--json is JSON, without a key in it" {
	run --separate-stderr wg-nsquick import --json "$corpus/good"
	assert_success
	jq -e '.version == 1 and (.files | length) == 42 and .files[0].name and (.refused | length) == 0 and ([.files[].hooks[] | select(.fate == "kill-switch")] | length) > 8' <<< "$output"
	run grep -cE '[A-Za-z0-9+/]{43}=' <<< "$output"
	assert_output 0
}

@test "--keep-hooks keeps all but kill-switches" {
	run wg-nsquick import --keep-hooks "$corpus/good/hooks of others.conf" "$corpus/good/nft kill-switch.conf"
	assert_success
	assert_line --partial "hook kept: PostUp = resolvectl"
	assert_line --partial "kill-switch dropped"
	assert_equal "$(cat /etc/wireguard/*.conf | grep -cE '^(Post|Pre)(Up|Down) = ')" 3
}

# many COUNT: as many files, in ./many.
many() {
	local i
	mkdir -p many
	for ((i = 0; i < $1; i++)); do
		printf '[Interface]\nPrivateKey = %042dA=\nAddress = 10.66.%d.%d/32\nDNS = 10.64.0.1\n\n[Peer]\nPublicKey = %042dA=\nAllowedIPs = 0.0.0.0/0,::0/0\nEndpoint = 192.0.2.1:51820\n' \
			"$((i + 1))" $((i / 250)) $((i % 250 + 1)) "$((i + 1))" > "many/mullvad-se-got-wg-$i.conf"
	done
}

@test "two imports of one folder at once: every file is one's new one and the other's same" {
	many 600
	wg-nsquick import many > one &
	run wg-nsquick import many
	assert_success
	wait $!
	sed -nE 's/^([0-9]+) imported, ([0-9]+) the same as before, 0 refused$/\1 \2/p' one - <<< "$output" > counts
	assert_equal "$(awk '{ new += $1; same += $2; n++ } END { print new, same, n }' counts)" "600 600 2"
	assert_equal "$(find /etc/wireguard -name '*.conf' | wc -l)" 600
	run find /etc/wireguard -name '.*.import'
	assert_output ""
}

# Whatever the moment: what has its name is whole, and what has not is swept by the next one.
@test "killed and interrupted midway: whole files alone, and the next run does the rest" {
	local signal moment pid cut=0
	many 300
	wg-nsquick import many > /dev/null
	cp -a /etc/wireguard whole.d
	rm -rf /etc/wireguard/*
	for signal in KILL INT TERM; do
		for moment in 0.01 0.02 0.03 0.05 0.08; do
			env --default-signal=INT wg-nsquick import many > /dev/null 2>&1 &
			pid=$!
			sleep "$moment"
			kill -s "$signal" "$pid" 2> /dev/null || true
			wait "$pid" || cut=$((cut + 1))
			run bash -c 'diff -r whole.d /etc/wireguard | grep -v "^Only in"'
			assert_output ""
			# One whose names the next run does not have, as if of another folder.
			: > /etc/wireguard/.other.import
			run wg-nsquick import many
			assert_success
			assert_line --regexp '^[0-9]+ imported, [0-9]+ the same as before, 0 refused$'
			diff -r whole.d /etc/wireguard
			rm -rf /etc/wireguard/* /etc/wireguard/.[a-z]*
		done
	done
	echo "# cut short: $cut of 15" >&3
	((cut > 3))
}

@test "on a terminal there is a line of progress, which goes; elsewhere there is none" {
	many 120
	run "$BATS_TEST_DIRNAME/lib/pty" wg-nsquick import --dry-run many
	assert_success
	[[ $output == *$'\r50 files read…\r100 files read…\r\e[K'* ]] || fail "$output"
	assert_line "120 to be imported, 0 the same as before, 0 refused"
	run wg-nsquick import --dry-run many
	refute_output --partial "files read"
	nothing_written
}

@test "--json with --dry-run says what would be, and writes nothing" {
	run --separate-stderr wg-nsquick import --json --dry-run "$corpus/good/Mullvad_se-got-wg-001.conf" "$corpus/bad/no-key.conf"
	assert_failure 1
	jq -e '.files[0].state == "would be new" and .files[0].name == "se-got-wg-001" and (.refused | length) == 1' <<< "$output"
	nothing_written
}
