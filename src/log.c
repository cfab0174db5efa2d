/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"

#include <stdarg.h>
#include <sys/uio.h>

#include "util.h"

static const char *program = "wg-nsquick";
static void (*diverted)(const char *text, size_t len);

void log_set_program(const char *name)
{
	const char *slash = strrchr(name, '/');

	program = slash ? slash + 1 : name;
}

const char *log_program(void)
{
	return program;
}

void log_divert(void (*take)(const char *text, size_t len))
{
	diverted = take;
}

static void divert(const char *before, const char *between, const char *text)
{
	_cleanup_free_ char *whole = NULL;
	int len = asprintf(&whole, "%s%s%s\n", before, between, text);

	if (len < 0)
		whole = NULL;
	else
		diverted(whole, (size_t)len);
}

/*
 * One line is one write: supervisor, worker and hooks share the stream, and
 * lines of theirs must not mix.
 */
__attribute__((format(printf, 3, 0))) static void line(const char *before, const char *between, const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = NULL;
	int saved = errno;

	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
	} else if (diverted) {
		divert(before, between, text);
	} else {
		struct iovec parts[] = {
			{ (void *)before, strlen(before) },
			{ (void *)between, strlen(between) },
			{ text, strlen(text) },
			{ (void *)"\n", 1 },
		};
		ssize_t ignored = writev(STDERR_FILENO, parts, ARRAY_SIZE(parts));

		(void)ignored; /* there is nowhere left to complain to */
	}
	errno = saved;
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(program, ": ", fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("Warning", ": ", fmt, ap);
	va_end(ap);
}

void log_trace(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("[#]", " ", fmt, ap);
	va_end(ap);
}

void log_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("[!]", " ", fmt, ap);
	va_end(ap);
}
