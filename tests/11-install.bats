#!/usr/bin/env bats
# bats file_tags=text
# make install: where things go, and that nothing goes elsewhere.

setup() {
	bats_load_library bats-support
	bats_load_library bats-assert
	BUILD=${BUILD_DIR:-$PWD}
	SOURCE=$(cd -- "$BATS_TEST_DIRNAME/.." && pwd -P)
}

installed() { (cd "$1" && find . -type f -printf '%m %P\n' | sort -k 2); } # FOLDER

@test "under the prefix, and only there; what units start is what was installed; uninstall takes all away" {
	local unit program
	run make -s -C "$BUILD" install "DESTDIR=$BATS_TEST_TMPDIR"
	assert_success
	run installed "$BATS_TEST_TMPDIR"
	assert_output "$(cat <<-'FILES'
		644 usr/local/lib/systemd/system/wg-nsquick-reresolve@.service
		644 usr/local/lib/systemd/system/wg-nsquick-reresolve@.timer
		644 usr/local/lib/systemd/system/wg-nsquick.target
		644 usr/local/lib/systemd/system/wg-nsquick@.service
		755 usr/local/sbin/wg-nsquick
		755 usr/local/sbin/wg-nsquick-migrate
		644 usr/local/share/bash-completion/completions/wg-nsquick
		644 usr/local/share/doc/wg-nsquick/README.md
		644 usr/local/share/doc/wg-nsquick/wg-nsquick.conf
		644 usr/local/share/man/man8/wg-nsquick.8
	FILES
	)"
	for unit in "$BATS_TEST_TMPDIR"/usr/local/lib/systemd/system/*.service; do
		while read -r program; do
			assert [ -x "$BATS_TEST_TMPDIR$program" ]
		done < <(sed -nE 's/^Exec[A-Za-z]*=-?([^ ]*).*/\1/p' "$unit")
	done
	run make -s -C "$BUILD" uninstall "DESTDIR=$BATS_TEST_TMPDIR"
	assert_success
	run installed "$BATS_TEST_TMPDIR"
	assert_output ""
}

@test "as part of the distribution: where pkg-config says that its units and completions are" {
	local units completions
	units=$(pkg-config --variable=systemdsystemunitdir systemd 2> /dev/null || echo /usr/lib/systemd/system)
	completions=$(pkg-config --variable=completionsdir bash-completion 2> /dev/null || echo /usr/share/bash-completion/completions)
	mkdir "$BATS_TEST_TMPDIR"/{build,stage}
	cd "$BATS_TEST_TMPDIR/build" || return
	run "$SOURCE/configure" --quiet --prefix=/usr
	assert_success
	run make -s install-data "DESTDIR=$BATS_TEST_TMPDIR/stage"
	assert_success
	assert [ -e "$BATS_TEST_TMPDIR/stage$units/wg-nsquick@.service" ]
	assert [ -e "$BATS_TEST_TMPDIR/stage$completions/wg-nsquick" ]
	assert [ -e "$BATS_TEST_TMPDIR/stage/usr/share/man/man8/wg-nsquick.8" ]
	assert [ ! -e "$BATS_TEST_TMPDIR/stage/usr/local" ]
	run grep -h '^Exec' "$BATS_TEST_TMPDIR/stage$units/wg-nsquick@.service"
	assert_line "ExecStart=/usr/sbin/wg-nsquick up %i"
}
