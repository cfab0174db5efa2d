/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap.h - what the C unit tests share: results in the Test Anything Protocol,
 * with what was expected and what was seen when they differ.
 *
 *	int main(void) { ok(1 + 1 == 2, "sums"); is(name(), "wg0", "the name"); return done_testing(); }
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_run, tap_failed;

/* A remark, every line of it behind a `# `. */
__attribute__((format(printf, 1, 2), unused)) static void diag(const char *fmt, ...)
{
	char text[4096];
	char *line, *rest = text;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	while ((line = strsep(&rest, "\n")))
		printf("# %s\n", line);
}

__attribute__((format(printf, 2, 0), unused)) static bool tap_result(bool passed, const char *fmt, va_list ap)
{
	printf("%s %d - ", passed ? "ok" : "not ok", ++tap_run);
	vprintf(fmt, ap);
	putchar('\n');
	tap_failed += !passed;
	return passed;
}

__attribute__((format(printf, 2, 3), unused)) static bool ok(bool passed, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_result(passed, fmt, ap);
	va_end(ap);
	return passed;
}

/* Strings; NULL equals NULL only. */
__attribute__((format(printf, 3, 4), unused)) static bool is(const char *seen, const char *expected, const char *fmt,
							     ...)
{
	bool same = seen && expected ? strcmp(seen, expected) == 0 : seen == expected;
	va_list ap;

	va_start(ap, fmt);
	tap_result(same, fmt, ap);
	va_end(ap);
	if (!same) {
		diag("expected: %s", expected ? expected : "(null)");
		diag("     got: %s", seen ? seen : "(null)");
	}
	return same;
}

__attribute__((format(printf, 3, 4), unused)) static bool is_num(long long seen, long long expected, const char *fmt,
								 ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_result(seen == expected, fmt, ap);
	va_end(ap);
	if (seen != expected) {
		diag("expected: %lld", expected);
		diag("     got: %lld", seen);
	}
	return seen == expected;
}

/* A test that cannot run here, and why. */
__attribute__((unused)) static void skip(const char *name, const char *why)
{
	printf("ok %d - %s # SKIP %s\n", ++tap_run, name, why);
}

/* Prints the plan, answers the exit status. */
__attribute__((unused)) static int done_testing(void)
{
	printf("1..%d\n", tap_run);
	if (tap_failed)
		diag("%d of %d failed", tap_failed, tap_run);
	return tap_failed != 0;
}
