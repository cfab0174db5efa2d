/* SPDX-License-Identifier: GPL-2.0-or-later */
/* import-hook.c - what becomes of a file's hooks, and how they are shown. */
#include "import.h"

#include "kill-switch.h"

/* A key is 43 characters of base64 and a `=`; one that lost or won some is still a key. More is something else, and shown. */
#define KEY_SHORTEST 40
#define KEY_LONGEST 46

int import_judge_hooks(struct import_hook *hooks, size_t n, const char *iface)
{
	_cleanup_free_ struct kill_switch_hook *looks = calloc(n + 1, sizeof(*looks));
	int r;

	if (!looks)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		looks[i].text = hooks[i].text;
	r = kill_switch_find(looks, n, iface);
	for (size_t i = 0; i < n && r == 0; i++)
		if (looks[i].found)
			hooks[i].fate = HOOK_FATE_KILL_SWITCH;
	return r;
}

static bool is_base64(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* What may be a key at `text`: its length, or 0. A long path is none. */
static size_t key_length(const char *text, size_t run)
{
	bool upper = false, lower = false, digit = false;

	if (run < KEY_SHORTEST || run > KEY_LONGEST)
		return 0;
	for (size_t i = 0; i < run; i++) {
		upper |= text[i] >= 'A' && text[i] <= 'Z';
		lower |= text[i] >= 'a' && text[i] <= 'z';
		digit |= text[i] >= '0' && text[i] <= '9';
	}
	return text[run] == '=' || (upper && lower && digit) ? run : 0;
}

int import_show(const char *text, struct buf *ret_shown)
{
	buf_str(ret_shown, "");
	while (*text) {
		size_t run = 0;

		while (is_base64(text[run]))
			run++;
		if (key_length(text, run))
			buf_str(ret_shown, "(hidden)");
		else if (run)
			buf_add(ret_shown, text, run);
		else if (*text >= ' ' && *text <= '~')
			buf_add(ret_shown, text, run = 1);
		else
			buf_fmt(ret_shown, "\\x%02x", (unsigned char)text[run++]);
		text += run;
	}
	return ret_shown->failed ? -ENOMEM : 0;
}
