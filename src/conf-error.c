/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conf-error.h"

#include <stdarg.h>

#define SHOWN_LEN 64	 /* of a value, in bytes */
#define SECRET_RUN 40	 /* a key is 44; one that lost some bytes is still a key */
#define SECRET_MIXED 22	 /* half a key, as when a line break fell into it: letters of both cases and digits */
#define SECRET_PADDED 16 /* the end of one, with its `=` */
#define SHOWN_NAME_LEN 19 /* PersistentKeepalive */

int conf_fail(struct conf_error *error, unsigned int line, const char *fmt, ...)
{
	va_list ap;

	if (!error)
		return -EINVAL;
	error->line = line;
	va_start(ap, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, ap);
	va_end(ap);
	if (error->each)
		error->each(error, error->arg);
	return -EINVAL;
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Both alphabets of base64: a key from a URL is a key too. */
static bool is_base64(char c)
{
	return is_upper(c) || is_lower(c) || is_digit(c) || c == '+' || c == '/' || c == '-' || c == '_';
}

bool conf_looks_secret(const char *text)
{
	const char *p = text;

	while (*p) {
		bool upper = false, lower = false, digit = false;
		size_t run = 0;

		/* Blanks inside a key don't make it another one. */
		for (; is_base64(*p) || is_space(*p); p++) {
			upper |= is_upper(*p);
			lower |= is_lower(*p);
			digit |= is_digit(*p);
			run += !is_space(*p);
		}
		if (run >= SECRET_RUN)
			return true;
		if (upper && lower && digit && run >= (*p == '=' ? SECRET_PADDED : SECRET_MIXED))
			return true;
		if (*p)
			p++;
	}
	return false;
}

/* At most SHOWN_LEN bytes, anything but printable ASCII as '?'. */
static void quote_bytes(const char *text, size_t len, char ret_text[static QUOTED_LEN])
{
	size_t shown = len < SHOWN_LEN ? len : SHOWN_LEN;

	for (size_t i = 0; i < shown; i++)
		ret_text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	snprintf(ret_text + shown, QUOTED_LEN - shown, "%s", shown < len ? "..." : "");
}

const char *conf_quote(const char *text, char ret_text[static QUOTED_LEN])
{
	if (conf_looks_secret(text))
		snprintf(ret_text, QUOTED_LEN, "(hidden)");
	else
		quote_bytes(text, strlen(text), ret_text);
	return ret_text;
}

static bool resembles_key_name(const char *text)
{
	static const char *const words[] = { "key", "psk", "private", "preshared", "secret", "pass" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasestr(text, words[i]))
			return true;
	return false;
}

const char *conf_quote_line(const char *line, char ret_text[static QUOTED_LEN])
{
	size_t name_len = strcspn(line, "=");
	bool key_name = resembles_key_name(line);

	if (!key_name && !conf_looks_secret(line))
		return conf_quote(line, ret_text);
	/* Where the `=` was forgotten the "name" holds the key. */
	if (name_len > SHOWN_NAME_LEN) {
		snprintf(ret_text, QUOTED_LEN, "(hidden)");
		return ret_text;
	}
	quote_bytes(line, name_len, ret_text);
	if (line[name_len])
		strcat(ret_text, line[name_len + 1] ? "=(hidden)" : "=");
	return ret_text;
}
