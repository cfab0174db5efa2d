/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf-error.h - the one-line messages of the two parsers, and what of the
 * file's text may stand in them: never a key, nor a good part of one.
 */
#pragma once

#include "conf.h"

#define QUOTED_LEN 80

/* Fills *error (may be NULL), tells error->each, and answers -EINVAL. */
__attribute__((format(printf, 3, 4))) int conf_fail(struct conf_error *error, unsigned int line, const char *fmt, ...);

/* Whether to go on after `r`: what is wrong was told, and all that is wrong is wanted. */
static inline bool conf_goes_on(const struct conf_error *error, int r)
{
	return r == -EINVAL && error && error->each;
}

/* Whether the text holds something that may be a key: a long run of base64 or hexadecimal. */
bool conf_looks_secret(const char *text);

/* `text` as a message may show it: printable, short, "(hidden)" when it looks secret. */
const char *conf_quote(const char *text, char ret_text[static QUOTED_LEN]);

/* The same for a whole `NAME=VALUE`, which is also hidden when NAME resembles that of a key. */
const char *conf_quote_line(const char *line, char ret_text[static QUOTED_LEN]);
