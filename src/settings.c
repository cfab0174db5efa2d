/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * settings.c - the only includer of iniparser. It folds case, keeps only the
 * last of two equal keys, and cannot say on which line a key stands; so the
 * text is searched for the line once an error is known.
 */
#include "settings.h"

#include <stdarg.h>
#include <sys/stat.h>

#include "config.h"
#ifdef HAVE_INIPARSER_INIPARSER_H
#include <iniparser/iniparser.h>
#else
#include <iniparser.h>
#endif

static const char *const level_names[] = {
	[GUARD_OFF] = "off",
	[GUARD_WARN] = "warn",
	[GUARD_DEFAULT] = "default",
	[GUARD_STRICT] = "strict",
};

int guard_level_parse(const char *text, enum guard_level *ret_level)
{
	for (size_t i = GUARD_OFF; i < ARRAY_SIZE(level_names); i++)
		if (strcmp(text, level_names[i]) == 0) {
			*ret_level = (enum guard_level)i;
			return 0;
		}
	return -EINVAL;
}

const char *guard_level_name(enum guard_level level)
{
	return level_names[level == GUARD_UNSET ? GUARD_DEFAULT : level];
}

static const char *const mode_names[] = {
	[HOOKS_GUARDED] = "guarded",
	[HOOKS_OPEN] = "open",
	[HOOKS_NONE] = "none",
};

int hooks_mode_parse(const char *text, enum hooks_mode *ret_mode)
{
	for (size_t i = HOOKS_GUARDED; i < ARRAY_SIZE(mode_names); i++)
		if (strcmp(text, mode_names[i]) == 0) {
			*ret_mode = (enum hooks_mode)i;
			return 0;
		}
	return -EINVAL;
}

/* One line, whatever stands in the file: no control characters, which a terminal would obey. */
__attribute__((format(printf, 2, 3))) static int fail(char ret_error[static 512], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ret_error, 512, fmt, ap);
	va_end(ap);
	for (char *p = ret_error; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return -EINVAL;
}

static int set_text(char **slot, const char *value)
{
	char *copy;

	if (!*value)
		return -EINVAL;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*slot);
	*slot = copy;
	return 0;
}

static int set_netns(struct settings *s, const char *value)
{
	return set_text(&s->netns, value);
}

static int set_transport(struct settings *s, const char *value)
{
	return set_text(&s->transport, value);
}

static int set_guard(struct settings *s, const char *value)
{
	return guard_level_parse(value, &s->guard);
}

/* NAME, NAME...: each as in /proc/PID/comm, an asterisk only at its end. */
static int set_foreign(struct settings *s, const char *value)
{
	struct strv names = { 0 };
	int r = 0;

	for (const char *at = value; r == 0; at++) {
		size_t len, next = strcspn(at, ",");

		for (len = next; len && is_space(*at); len--, next--)
			at++;
		while (len && is_space(at[len - 1]))
			len--;
		if (!len || memchr(at, '*', len - 1))
			r = -EINVAL;
		else
			r = strv_add(&names, at, len);
		at += next;
		if (!*at)
			break;
	}
	if (r < 0) {
		strv_free(&names);
		return r;
	}
	strv_free(&s->foreign);
	s->foreign = names;
	return 0;
}

static int set_hooks(struct settings *s, const char *value)
{
	return hooks_mode_parse(value, &s->hooks);
}

/* One of two or three words: its place in the list, from 1 on. */
static int choose(const char *value, const char *const *words, size_t n, unsigned int *ret_choice)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(value, words[i]) == 0) {
			*ret_choice = (unsigned int)i + 1;
			return 0;
		}
	return -EINVAL;
}

static int set_keep(struct settings *s, const char *value)
{
	static const char *const words[] = { "auto", "yes", "no" };

	return choose(value, words, ARRAY_SIZE(words), &s->keep);
}

static int set_dbus(struct settings *s, const char *value)
{
	static const char *const words[] = { "shown", "masked" };

	return choose(value, words, ARRAY_SIZE(words), &s->dbus);
}

static int set_ipv6(struct settings *s, const char *value)
{
	static const char *const words[] = { "auto", "require" };
	unsigned int choice;
	int r = choose(value, words, ARRAY_SIZE(words), &choice);

	if (r == 0)
		s->require_ipv6 = choice == 2;
	return r;
}

#define MAX_TIMEOUT 86400 /* s: who needs more needs none */

static int set_timeout(struct settings *s, const char *value)
{
	uint64_t seconds = 0;
	int r = strcmp(value, "none") == 0 ? 0 : parse_u64(value, MAX_TIMEOUT, &seconds);

	if (r < 0 || (!seconds && strcmp(value, "none") != 0))
		return -EINVAL;
	s->hook_timeout = (unsigned int)seconds;
	return 0;
}

static int set_strict_files(struct settings *s, const char *value)
{
	static const char *const words[] = { "no", "yes" };
	unsigned int choice;
	int r = choose(value, words, ARRAY_SIZE(words), &choice);

	if (r == 0)
		s->strict_files = choice == 2;
	return r;
}

static const struct {
	const char *key; /* as iniparser spells it: section:key, lower case */
	const char *expected;
	int (*set)(struct settings *s, const char *value);
} known[] = {
	{ "tunnel:netns", "a namespace's name or path", set_netns },
	{ "tunnel:transport", "host, self, or a namespace's name or path", set_transport },
	{ "tunnel:keep", "yes, no or auto", set_keep },
	{ "tunnel:ipv6", "auto or require", set_ipv6 },
	{ "guard:level", "off, warn, default or strict", set_guard },
	{ "guard:foreign", "names of programs separated by commas, each with a `*' at most at its end", set_foreign },
	{ "hooks:mode", "guarded, open or none", set_hooks },
	{ "hooks:timeout", "none, or seconds from 1 to 86400", set_timeout },
	{ "hooks:strict-files", "yes or no", set_strict_files },
	{ "exec:dbus", "shown or masked", set_dbus },
};

static bool matches(const char *line, const char *word, char end)
{
	size_t len = strlen(word);

	while (is_space(*line))
		line++;
	if (strncasecmp(line, word, len) != 0)
		return false;
	line += len;
	while (is_space(*line))
		line++;
	return *line == end;
}

/* The line of `section` or of its last `key`, 0 when it is not found. */
static unsigned int find_line(const char *path, const char *section, const char *key)
{
	_cleanup_file_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	unsigned int number = 0, found = 0;
	bool inside = *section == '\0';
	size_t cap = 0;

	while (f && getline(&line, &cap, f) >= 0) {
		const char *p = line;

		number++;
		while (is_space(*p))
			p++;
		if (*p == '[') {
			inside = matches(p + 1, section, ']');
			if (inside && !key)
				found = number;
		} else if (inside && key && (matches(p, key, '=') || matches(p, key, '\0'))) {
			found = number;
		}
	}
	return found;
}

/* iniparser tells its errors to a callback without an argument. */
static char parser_error[256];

static int on_parser_error(const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = parser_error[0] ? 0 : vsnprintf(parser_error, sizeof(parser_error), format, ap);
	va_end(ap);
	return n;
}

/* Its messages read "iniparser: syntax error in FILE (LINE):\n-> TEXT": only the number is of use. */
static unsigned int parser_error_line(void)
{
	const char *open = strrchr(parser_error, '(');

	return open ? (unsigned int)strtoul(open + 1, NULL, 10) : 0;
}

/* The sections there are, as "[tunnel], [guard] or [hooks]"; or with a section, its keys. */
static void list_keys(const char *section, struct buf *text)
{
	const char *words[ARRAY_SIZE(known)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		size_t len = strcspn(known[i].key, ":");
		bool seen = false;

		if (section) {
			if (strncmp(known[i].key, section, len) == 0 && !section[len])
				words[n++] = known[i].key + len + 1;
			continue;
		}
		for (size_t j = 0; j < n && !seen; j++)
			seen = strncmp(words[j], known[i].key, len + 1) == 0;
		if (!seen)
			words[n++] = known[i].key;
	}
	for (size_t i = 0; i < n; i++) {
		buf_str(text, i == 0 ? "" : i + 1 < n ? ", " : " or ");
		buf_fmt(text, section ? "%.*s" : "[%.*s]", (int)(section ? strlen(words[i]) : strcspn(words[i], ":")), words[i]);
	}
}

static int check_key(struct settings *settings, const dictionary *dict, const char *path, const char *key, char *ret_error)
{
	const char *colon = strchr(key, ':');
	const char *name = colon ? colon + 1 : NULL;
	const char *value = iniparser_getstring(dict, key, NULL);
	_cleanup_free_ char *section = strndup(key, colon ? (size_t)(colon - key) : strlen(key));
	_cleanup_buf_ struct buf expected = { 0 };
	int r;

	if (!section)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].key, key) != 0)
			continue;
		r = known[i].set(settings, value ? value : "");
		if (r == -EINVAL)
			(void)fail(ret_error, "%s:%u: `%s' is not a value of %s in [%s]; expected %s", path, find_line(path, section, name),
				 value ? value : "", name, section, known[i].expected);
		return r;
	}
	list_keys(section, &expected);
	return fail(ret_error, "%s:%u: unknown key `%s' in [%s]; expected %s", path, find_line(path, section, name), name ? name : "", section,
		    expected.data ? expected.data : "");
}

static bool section_known(const char *section)
{
	size_t len = strlen(section);

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strncmp(known[i].key, section, len) == 0 && known[i].key[len] == ':')
			return true;
	return false;
}

static int check_section(struct settings *settings, dictionary *dict, const char *path, const char *section, char *ret_error)
{
	_cleanup_free_ const char **keys = NULL;
	_cleanup_buf_ struct buf expected = { 0 };
	int n = iniparser_getsecnkeys(dict, section), r = 0;

	if (!section_known(section)) {
		list_keys(NULL, &expected);
		return fail(ret_error, "%s:%u: unknown section [%s]; expected %s", path, find_line(path, section, NULL), section, expected.data ? expected.data : "");
	}
	keys = calloc((size_t)n + 1, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	if (n == 0 || !iniparser_getseckeys(dict, section, keys))
		return 0;
	for (int i = 0; i < n && r == 0; i++)
		r = check_key(settings, dict, path, keys[i], ret_error);
	return r;
}

/* A key before any section is filed under "": iniparser_getsecname() does not list it. */
static const char *stray_key(const dictionary *dict)
{
	for (ssize_t i = 0; i < (ssize_t)dict->size; i++)
		if (dict->key[i] && (dict->key[i][0] == ':' || (!strchr(dict->key[i], ':') && dict->val[i])))
			return dict->key[i] + (dict->key[i][0] == ':');
	return NULL;
}

int settings_load(struct settings *settings, const char *path, char ret_error[static 512])
{
	dictionary *dict;
	const char *stray;
	_cleanup_buf_ struct buf expected = { 0 };
	struct stat st = { 0 };
	int r = 0;

	if (stat(path, &st) < 0 && errno == ENOENT)
		return 0;
	if (access(path, R_OK) < 0 || S_ISDIR(st.st_mode)) {
		r = S_ISDIR(st.st_mode) ? -EISDIR : -errno;
		(void)fail(ret_error, "%s: %s", path, strerror(-r));
		return r;
	}
	parser_error[0] = '\0';
	iniparser_set_error_callback(on_parser_error);
	dict = iniparser_load(path);
	iniparser_set_error_callback(NULL);
	if (!dict || parser_error[0]) {
		if (dict)
			iniparser_freedict(dict);
		return fail(ret_error, "%s:%u: not a settings line; expected `[section]' or `key = value'", path, parser_error_line());
	}
	stray = stray_key(dict);
	if (stray) {
		list_keys(NULL, &expected);
		r = fail(ret_error, "%s:%u: key `%s' stands before any section; expected %s first", path, find_line(path, "", stray), stray,
			 expected.data ? expected.data : "");
	}
	for (int i = 0; r == 0 && i < iniparser_getnsec(dict); i++)
		r = check_section(settings, dict, path, iniparser_getsecname(dict, i), ret_error);
	iniparser_freedict(dict);
	return r;
}

void settings_free(struct settings *settings)
{
	free(settings->netns);
	free(settings->transport);
	strv_free(&settings->foreign);
	*settings = (struct settings){ 0 };
}
