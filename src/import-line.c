/* SPDX-License-Identifier: GPL-2.0-or-later */
/* import-line.c - one line of a provider's file: a comment, a section, or a key of WireGuard's or of others. */
#include <search.h>
#include <strings.h>

#include "conf-error.h"
#include "import-clean.h"

#define PSEUDO_KEY_LEN 24

/* ---- writing ---- */

static void trim_end(char *text)
{
	size_t len = strlen(text);

	while (len && is_space(text[len - 1]))
		text[--len] = '\0';
}

/* Takes over `text`, which may be NULL: out of memory. */
static int put_line(struct walk *w, char *text, bool comment, size_t hook)
{
	struct out_line *out;

	if (!text)
		return -ENOMEM;
	trim_end(text);
	/* With its end; cleaning may have made it longer. */
	if (strlen(text) + 1 > IMPORT_MAX_LINE) {
		import_free_line(text);
		return cleaner_fail(&w->c, "a line of more than %u bytes; expected a file that a person can read", IMPORT_MAX_LINE);
	}
	out = GROW(w->lines, w->n_lines);
	if (!out) {
		import_free_line(text);
		return -ENOMEM;
	}
	*out = (struct out_line){ .text = text, .line = w->c.line, .section = w->n_sections, .hook = hook, .comment = comment };
	return 0;
}

static int put_comment(struct walk *w, const char *text)
{
	char *line;

	if (asprintf(&line, "#%s%s", *text && *text != ' ' && *text != '\t' && *text != '#' ? " " : "", text) < 0)
		line = NULL;
	return put_line(w, line, true, 0);
}

static int put_key(struct walk *w, const char *name, const char *value, const char *comment)
{
	char *line;
	int r;

	if (asprintf(&line, "%s = %s", name, value) < 0)
		line = NULL;
	r = put_line(w, line, false, 0);
	return r == 0 && *comment ? put_comment(w, comment) : r;
}

/* ---- comments ---- */

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* `#device = x`: a key that is none. A long one may be a WireGuard key. */
static bool is_pseudo_key(const char *text)
{
	size_t n = 0;

	while (is_name_char(text[n]))
		n++;
	return n && n <= PSEUDO_KEY_LEN && text[n + strspn(text + n, " \t")] == '=';
}

static int take_comment(struct walk *w, const char *line)
{
	const char *text = line + (*line == '/' ? 2 : 1);

	if (*line != '#')
		cleaner_tell(&w->c, CHANGE_COMMENT_SIGN, FIND_NOTE, "comments begin with `#', not with `%.*s'", (int)(text - line), line);
	else if (is_pseudo_key(text))
		cleaner_tell(&w->c, CHANGE_PSEUDO_KEY, FIND_NOTE, "`#%.*s = …' is a comment, and looks like one now", (int)strcspn(text, " \t="), text);
	return put_comment(w, text);
}

/* ---- sections ---- */

static int take_section(struct walk *w, const char *line)
{
	char name[16] = "", quoted[QUOTED_LEN];
	const char *hash = strchr(line, '#');
	size_t n = 0;
	int r;

	for (const char *p = line; *p && *p != '#' && n + 1 < sizeof(name); p++)
		if (!is_space(*p))
			name[n++] = *p;
	if (strcasecmp(name, "[Interface]") == 0)
		w->section = SECTION_INTERFACE;
	else if (strcasecmp(name, "[Peer]") == 0)
		w->section = SECTION_PEER;
	else
		return cleaner_fail(&w->c, "`%s' is no section of WireGuard's; expected [Interface] or [Peer]", conf_quote_line(line, quoted));
	if (w->n_lines && !w->empty_line)
		cleaner_tell(&w->c, CHANGE_EMPTY_LINE, FIND_NOTE, "an empty line stands before %s now", w->section == SECTION_PEER ? "[Peer]" : "[Interface]");
	w->n_sections++;
	/* A file's [Interface] sections are one, its [Peer] sections are not. */
	w->c.in_peer = w->section == SECTION_PEER;
	if (w->c.in_peer) {
		tdestroy(w->c.seen[1], import_free_line);
		w->c.seen[1] = NULL;
	}
	r = put_line(w, strdup(w->section == SECTION_PEER ? "[Peer]" : "[Interface]"), false, 0);
	return r == 0 && hash && hash[1] ? put_comment(w, hash + 1) : r;
}

/* ---- keys that are not WireGuard's ---- */

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

/*
 * AmneziaWG's. Packets of junk before a handshake (J…, I…) mean nothing to a
 * plain server; added bytes (S1…) and other message types than 1 to 4 (H1…) do.
 */
static bool is_obfuscation(const char *name, const char *value, bool *ret_plain)
{
	static const char *const junk[] = { "Jc", "Jmin", "Jmax", "J1", "J2", "J3", "Itime", "I1", "I2", "I3", "I4", "I5" };
	static const char *const sizes[] = { "S1", "S2", "S3", "S4" };
	static const char *const types[] = { "H1", "H2", "H3", "H4" };

	if (is_one_of(name, junk, ARRAY_SIZE(junk)))
		*ret_plain = true;
	else if (is_one_of(name, sizes, ARRAY_SIZE(sizes)))
		*ret_plain = strcmp(value, "0") == 0;
	else if (is_one_of(name, types, ARRAY_SIZE(types)))
		*ret_plain = strcmp(value, name + 1) == 0;
	else
		return false;
	return true;
}

static int take_other_key(struct walk *w, const char *name, const char *value, const char *comment)
{
	/* Names for people. */
	static const char *const labels[] = { "Name", "Description", "Device", "Comment", "Country", "City", "Location", "Server", "Hostname", "ID" };
	static const char *const applications[] = { "IncludedApplications", "ExcludedApplications", "AllowedApps", "DisallowedApps" };
	static const char *const client_ids[] = { "Reserved", "ClientId", "ReservedBits" };
	char quoted[QUOTED_LEN];
	bool plain;

	if (is_obfuscation(name, value, &plain)) {
		if (!w->obfuscation)
			w->obfuscation = w->c.line;
		w->obfuscated |= !plain;
		return 0;
	}
	if (is_one_of(name, labels, ARRAY_SIZE(labels))) {
		char *text;
		int r;

		cleaner_tell(&w->c, CHANGE_LABEL, FIND_NOTE, "%s is no key of WireGuard's: a comment now", name);
		if (asprintf(&text, "# %s = %s", name, value) < 0)
			text = NULL;
		r = put_line(w, text, true, 0);
		return r == 0 && *comment ? put_comment(w, comment) : r;
	}
	if (is_one_of(name, applications, ARRAY_SIZE(applications))) {
		cleaner_tell(&w->c, CHANGE_APPLICATIONS, FIND_WARNING, "%s is gone: in a namespace those programs use the tunnel that are started there", name);
		return 0;
	}
	if (is_one_of(name, client_ids, ARRAY_SIZE(client_ids))) {
		cleaner_tell(&w->c, CHANGE_CLIENT_ID, FIND_WARNING, "%s is gone: plain WireGuard cannot send a client's number, and the server may not answer without", name);
		return 0;
	}
	return cleaner_fail(&w->c, "`%s' is no key of WireGuard's: plain WireGuard does not know what it asks for; remove the line if the tunnel works without",
			    conf_quote_line(name, quoted));
}

/* ---- keys ---- */

static const struct known {
	const char *name;
	enum field field;
	enum section section;
	bool list; /* of items that are looked at one by one; a repetition of others is the whole line's */
} known_keys[] = {
	{ "PrivateKey", FIELD_PRIVATE_KEY, SECTION_INTERFACE, false },
	{ "ListenPort", FIELD_LISTEN_PORT, SECTION_INTERFACE, false },
	{ "FwMark", FIELD_FWMARK, SECTION_INTERFACE, false },
	{ "Address", FIELD_ADDRESS, SECTION_INTERFACE, true },
	{ "DNS", FIELD_DNS, SECTION_INTERFACE, true },
	{ "MTU", FIELD_MTU, SECTION_INTERFACE, false },
	{ "Table", FIELD_TABLE, SECTION_INTERFACE, false },
	{ "SaveConfig", FIELD_SAVE_CONFIG, SECTION_INTERFACE, false },
	{ "PreUp", FIELD_HOOK + HOOK_PRE_UP, SECTION_INTERFACE, false },
	{ "PostUp", FIELD_HOOK + HOOK_POST_UP, SECTION_INTERFACE, false },
	{ "PreDown", FIELD_HOOK + HOOK_PRE_DOWN, SECTION_INTERFACE, false },
	{ "PostDown", FIELD_HOOK + HOOK_POST_DOWN, SECTION_INTERFACE, false },
	{ "PublicKey", FIELD_PUBLIC_KEY, SECTION_PEER, false },
	{ "PresharedKey", FIELD_PRESHARED_KEY, SECTION_PEER, false },
	{ "AllowedIPs", FIELD_ALLOWED_IPS, SECTION_PEER, true },
	{ "Endpoint", FIELD_ENDPOINT, SECTION_PEER, false },
	{ "PersistentKeepalive", FIELD_KEEPALIVE, SECTION_PEER, false },
};

static const struct known *find_key(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_keys); i++)
		if (strcasecmp(name, known_keys[i].name) == 0)
			return &known_keys[i];
	return NULL;
}

static bool is_hook(const struct known *known)
{
	return known->field >= FIELD_HOOK && known->field <= FIELD_HOOK_LAST;
}

static int take_hook(struct walk *w, const struct known *known, const char *text)
{
	struct import_hook *hook;
	char *line;

	if (w->im->n_hooks == IMPORT_MAX_HOOKS)
		return cleaner_fail(&w->c, "more than %u hooks; expected one of a provider's files", IMPORT_MAX_HOOKS);
	hook = GROW(w->im->hooks, w->im->n_hooks);
	if (!hook)
		return -ENOMEM;
	hook->kind = (enum hook_kind)(known->field - FIELD_HOOK);
	hook->fate = w->keep_hooks ? HOOK_FATE_KEPT : HOOK_FATE_DROPPED;
	hook->line = w->c.line;
	hook->text = strdup(text);
	if (!hook->text || asprintf(&line, "%s = %s", known->name, text) < 0)
		return -ENOMEM;
	return put_line(w, line, false, w->im->n_hooks);
}

/* A key that can have one value: 1 when the line says nothing new. */
static int look_at_repetition(struct walk *w, const struct known *known, const char *value)
{
	char both[32];

	if (cleaner_seen(&w->c, known->field, value)) {
		cleaner_tell(&w->c, CHANGE_REPEATED_LINE, FIND_NOTE, "%s stood there before: once now", known->name);
		return 1;
	}
	/* As a value that no line has. */
	snprintf(both, sizeof(both), "=%s", known->name);
	if (cleaner_seen(&w->c, FIELD_NONE, both))
		cleaner_tell(&w->c, CHANGE_CONTRADICTION, FIND_WARNING, "%s stands there twice, with different values: the last one counts", known->name);
	return 0;
}

static int take_known_key(struct walk *w, const struct known *known, const char *value, const char *comment)
{
	_cleanup_buf_ struct buf clean = { 0 };
	int r;

	if (known->section != w->section)
		return cleaner_fail(&w->c, "%s stands %s; expected it in %s", known->name, w->section == SECTION_NONE ? "before any section" : "in the wrong section",
				    known->section == SECTION_PEER ? "[Peer]" : "[Interface]");
	if (known->field == FIELD_SAVE_CONFIG) {
		cleaner_tell(&w->c, CHANGE_SAVE_CONFIG, FIND_NOTE, "SaveConfig is dropped: `down' would write the file anew");
		return 0;
	}
	if (!*value) {
		cleaner_tell(&w->c, CHANGE_EMPTY_VALUE, FIND_NOTE, "%s without a value is gone", known->name);
		return 0;
	}
	if (is_hook(known))
		return take_hook(w, known, value);
	r = import_clean_value(&w->c, known->field, known->name, value, &clean);
	if (r < 0 || !clean.len)
		return r;
	if (!known->list && look_at_repetition(w, known, clean.data))
		return 0;
	return put_key(w, known->name, clean.data, comment);
}

/* Without blanks, which wg ignores even inside of names; false when it is too long for one. */
static bool squeeze_name(const char *from, size_t len, char ret_name[static 32])
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (is_space(from[i]))
			continue;
		if (n == 31)
			return false;
		ret_name[n++] = from[i];
	}
	ret_name[n] = '\0';
	return true;
}

/* "value" */
static char *unquote(struct walk *w, char *value)
{
	size_t len = strlen(value);

	if (len < 2 || (*value != '"' && *value != '\'') || value[len - 1] != *value)
		return value;
	cleaner_tell(&w->c, CHANGE_QUOTES, FIND_NOTE, "values stood in quotes, which WireGuard does not know");
	value[len - 1] = '\0';
	value++;
	trim_end(value);
	return value + strspn(value, " \t");
}

static int take_key(struct walk *w, char *line)
{
	char *equals = strchr(line, '='), *hash = strchr(line, '#');
	char quoted[QUOTED_LEN], name[32];
	const struct known *known;
	char *value, *comment = (char *)"";

	/* A `#` in front of the `=` makes the line no key. */
	if (!equals || (hash && hash < equals) || !squeeze_name(line, (size_t)(equals - line), name))
		return cleaner_fail(&w->c, "`%s' is no line of WireGuard's; expected `Key = value'", conf_quote_line(line, quoted));
	value = equals + 1 + strspn(equals + 1, " \t");
	known = find_key(name);
	/* A hook's `#` is the shell's matter. */
	if (hash && !(known && is_hook(known))) {
		*hash = '\0';
		comment = hash + 1;
		trim_end(value);
	}
	if (known && strncmp(line, known->name, strlen(known->name)) != 0)
		cleaner_tell(&w->c, CHANGE_SPELLING, FIND_NOTE, "`%s' is spelled %s now", name, known->name);
	if (known && ((size_t)(equals - line) != strlen(known->name) + 1 || (*value && value != equals + 2)))
		cleaner_tell(&w->c, CHANGE_SPACING, FIND_NOTE, "blanks around `=' are as usual now");
	if (!known)
		return take_other_key(w, name, value, comment);
	return take_known_key(w, known, is_hook(known) ? value : unquote(w, value), comment);
}

int import_take_line(struct walk *w, char *line)
{
	trim_end(line);
	line += strspn(line, " \t");
	if (!*line)
		return 0;
	if (*line == '#' || *line == ';' || strncmp(line, "//", 2) == 0)
		return take_comment(w, line);
	if (*line == '[')
		return take_section(w, line);
	return take_key(w, line);
}
