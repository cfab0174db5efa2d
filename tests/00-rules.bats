#!/usr/bin/env bats
# The rules of the house that no compiler sees: who may include what, who may
# call what, and that the words of the program and of its pages agree.

setup() {
	bats_load_library bats-support
	bats_load_library bats-assert
	cd "$BATS_TEST_DIRNAME/.." || return
}

users_of() { grep -lE "$1" src/*.c src/*.h | sed 's,^src/,,' | sort | tr '\n' ' '; }

@test "iniparser is settings.c's alone" {
	assert_equal "$(users_of '^#include <iniparser')" "settings.c "
}

@test "libnl is nl*.c's alone" {
	assert_equal "$(users_of '^#include <netlink/')" "nl-request.h nl-route.c nl.c "
}

@test "wireguard.h is wg-kernel.c's alone" {
	assert_equal "$(users_of '^#include <wireguard.h>')" "wg-kernel.c "
}

@test "libsystemd is unit-bus.c's alone" {
	assert_equal "$(users_of '^#include <systemd/')" "unit-bus.c "
}

@test "libseccomp is filter.c's and sandbox.c's alone" {
	assert_equal "$(users_of '^#include <seccomp.h>')" "filter.c sandbox.c "
}

@test "libnftables is firewall.c's alone" {
	assert_equal "$(users_of '^#include <nftables/')" "firewall.c "
}

@test "the program starts with few libraries: heavy ones (libnftables, libarchive, libnl-route) are loaded by dlopen, where they are needed" {
	# Each start would pay for them, with all that they bring along: see library.h for how it is done.
	run bash -c 'readelf -d "$1" | sed -nE "s/.*NEEDED.*\[(lib[a-z0-9-]+).*/\1/p" | grep -vxE "libc|libnl-3|libseccomp|libiniparser|libjansson|libcap-ng"' - "${BUILD_DIR:-$PWD}/wg-nsquick"
	assert_output ""
	# libgcc's __builtin_cpu_supports() asks the processor at each start, which takes a virtual machine long: glibc knows (secret.c).
	run bash -c 'nm "$1" | grep __cpu_indicator_init' - "${BUILD_DIR:-$PWD}/wg-nsquick"
	assert_output ""
}

@test "libarchive is import-archive.c's alone" {
	assert_equal "$(users_of '^#include <archive')" "import-archive.c "
}

@test "libcap-ng is rights.c's and sandbox.c's alone" {
	assert_equal "$(users_of '^#include <cap-ng.h>')" "rights.c sandbox.c "
}

@test "setns, unshare and mount are called in ns.c, room*.c and seal.c alone" {
	# `setns(2)' is the manual's, not a call.
	run grep -lE '\b(setns|unshare|mount|umount2|move_mount|open_tree)\(([^2]|$)' src/*.c
	assert_output "$(printf 'src/ns.c\nsrc/room-pin.c\nsrc/room.c\nsrc/seal.c')"
}

@test "the manual has the whole list of daemons that are tolerated: who sets another one replaces it" {
	local names
	names=$(sed -n '/^const char \*const policy_foreign_daemons/,/^};/s/"\([^"]*\)"[,]*/\n\1\n/gp' src/policy.c | grep -E '^[A-Za-z]' | grep -v '^const')
	(($(wc -l <<< "$names") > 20))
	assert_equal "$(sed -n '/^The list replaces the built-in one:/,/;$/p' contrib/wg-nsquick.8 | tail -n +2 | tr -s ',;\n ' '\n' | grep . | sort)" "$(sort <<< "$names")"
}

@test "nothing shells out" {
	run grep -nE '\b(system|popen)\(' src/*.c
	assert_failure
}

@test "each vector of up, addresses, routes, DNS, down and namespaces has one test" {
	local id
	for id in U{1..25} A{1..6} M{1..11} T{1..5} R{1..12} N{1..6} D{1..16} X{1..14}; do
		run grep -h "^@test \"$id: " tests/2*.bats
		assert_equal "$id ${#lines[@]}" "$id 1"
	done
}

@test "every file names its licence, and says what it is for" {
	local file
	for file in src/*.[ch] compat/*.[ch] tests/*.[ch]; do
		run head -1 "$file"
		assert_output "/* SPDX-License-Identifier: GPL-2.0-or-later */"
	done
}

@test "the pure part links alone" {
	# The linker sees to it: the unit tests have libcore.a and nothing of libsys.a.
	run grep -E '^tests_(unit_conf|unit_import|unit_lint|unit_merge|unit_oom|unit_plan|unit_pure|conf_tool)_LDADD = libcore.a( \$\(INIPARSER_LIBS\))?$' Makefile.am
	assert_equal "${#lines[@]}" 8
}

@test "every option of the program is in its manual page" {
	local option
	while read -r option; do
		run grep -F -- "${option#--}" contrib/wg-nsquick.8
		assert_success
	done < <(grep -oE '^"? *--[a-z-]+' src/main.c | grep -oE -- '--[a-z-]+' | sort -u)
	for option in up down save strip check exec guard recover reload reresolve confine release status verify json keep-running netns transport guard hooks force dry-run; do
		run grep -F -- "$option" contrib/wg-nsquick.8
		assert_success
	done
}

@test "each vector of the command line, of strip and of wg's grammar has one test" {
	local id
	for id in C{1..23} S{1..14} W{1..49}; do
		run grep -h "^@test \"$id: " tests/2*.bats
		assert_equal "$id ${#lines[@]}" "$id 1"
	done
}

@test "each row of the manual's table of differences is shown by a test, and each test of one is of a row" {
	local row name line names=()
	# Rows of the table on the one side, of the list on the other.
	diff <(sed -n '/^\.Sh DIFFERENCES/,/^\.TE/{ /^T}/d; s/^\([^\t]*\)\tT{$/\1/p; }' contrib/wg-nsquick.8 | sort) <(sed -n 's/^\([^#\t][^\t]*\)\t.*/\1/p' tests/deviations | sort -u)
	while IFS=$'\t' read -r row name; do
		[[ -n $row && $row != '#'* ]] || continue
		assert_equal "$row: $name: $(grep -hF "@test \"$name" tests/*.bats | wc -l)" "$row: $name: 1"
		names+=("$name")
	done < tests/deviations
	while read -r line; do
		for name in "${names[@]}"; do
			[[ $line == "@test \"$name"* ]] && continue 2
		done
		fail "not in tests/deviations: $line"
	done < <(grep -h '^@test .*(deviation' tests/*.bats)
}

@test "shell files are clean" {
	command -v shellcheck > /dev/null || fail "shellcheck is not installed"
	run shellcheck -x autogen.sh check-all tests/lanes contrib/demo contrib/install-deps contrib/wg-nsquick-migrate contrib/dispatcher/* tests/private tests/memory tests/power-cut tests/systemd/* tests/[2-9]*.bats tests/coverage tests/fuzz tests/vm/run tests/vm/kernel.bash tests/vm/guest-job
	assert_success
}

@test "Python files are clean" {
	command -v pyflakes3 > /dev/null || fail "pyflakes3 is not installed"
	run pyflakes3 tests/faults tests/differ tests/lib/newlink tests/lib/find-secret tests/lib/*.py
	assert_output ""
	assert_success
}

@test "every descriptor is closed at exec from the moment it is made" {
	# main.c's /dev/null is closed at once; import's child gives its own to nobody.
	run bash -c 'grep -nE "\b(dup|dup2|pipe|accept|epoll_create|inotify_init|creat)\(" src/*.c | grep -v "^src/import-child.c"
		grep -nE "\b(open|openat|socket|socketpair|pipe2|memfd_create|signalfd|eventfd|epoll_create1|inotify_init1|accept4)\(" src/*.c | grep -vE "CLOEXEC|open\(\"/dev/null\", O_RDWR\)|^[^:]*:[0-9]+:[[:space:]]*(/?\*|//)"
		grep -nE "\bfopen\(" src/*.c | grep -vE "\"[rwa]\+?e\""'
	assert_output ""
}
