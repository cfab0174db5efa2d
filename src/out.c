/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "out.h"

#include "log.h"

static bool closed;

void out_was_closed(void)
{
	closed = true;
}

static int told(int r)
{
	if (r == 0 && closed)
		r = -EBADF;
	if (r < 0)
		log_error("cannot write to standard output: %s", strerror(-r));
	return r;
}

int out_text(const struct buf *text)
{
	return told(text->failed ? -ENOMEM : write_all(STDOUT_FILENO, text->data, text->len));
}

int out_flush(void)
{
	errno = 0;
	/* What failed before is not tried again, only remembered. */
	if (fflush(stdout) == 0 && !ferror(stdout))
		return told(0);
	return told(errno ? -errno : -EIO);
}

bool out_wants_colours(void)
{
	const char *term = getenv("TERM"), *none = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0 && !(none && *none);
}
