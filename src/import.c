/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * import.c - walks over a provider's file, line by line, and writes a clean
 * one. What it writes is read again by the parser that `up` uses, and must
 * mean what was understood here: the last word is that parser's.
 */
#include "import.h"

#include <search.h>
#include <stdarg.h>
#include <strings.h>

#include "import-clean.h"

/* ---- telling ---- */

void cleaner_tell(struct cleaner *c, enum change change, enum severity severity, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (c->told[change].count++)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->told[change].finding = c->f->n;
	finding_add(c->f, severity, c->line, "%s", text);
	c->failed |= c->f->failed;
}

int cleaner_fail(struct cleaner *c, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	finding_add(c->f, FIND_ERROR, c->line, "%s", text);
	return -EINVAL;
}

/* What was told once and happened more often gets its count. */
static void tell_counts(struct cleaner *c)
{
	for (size_t i = 0; i < CHANGES; i++) {
		struct finding *finding;
		char *text;

		if (c->told[i].count < 2)
			continue;
		finding = &c->f->items[c->told[i].finding];
		if (asprintf(&text, "%s (%u times)", finding->text, c->told[i].count) < 0) {
			c->failed = true;
			return;
		}
		free(finding->text);
		finding->text = text;
	}
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(a, b);
}

void import_free_line(void *text)
{
	wipe_free(text, strlen(text));
}

bool cleaner_seen(struct cleaner *c, enum field field, const char *text)
{
	char *entry, **found;
	bool seen;

	if (asprintf(&entry, "%d %s", (int)field, text) < 0) {
		c->failed = true;
		return false;
	}
	found = tsearch(entry, &c->seen[c->in_peer], compare_texts);
	seen = found && *found != entry;
	if (!found)
		c->failed = true;
	if (!found || seen)
		import_free_line(entry);
	return seen;
}

/* ---- the whole ---- */

static int walk_lines(struct walk *w, char *text)
{
	char *line;
	int r = 0;

	while (r == 0 && (line = strsep(&text, "\n"))) {
		bool empty = !line[strspn(line, " \t")];

		w->c.line++;
		r = import_take_line(w, line);
		w->empty_line = empty;
	}
	return r;
}

/* A file that is something else altogether says so better than its first line. */
static int look_at_kind(const char *text, struct findings *f)
{
	/* What a download that failed leaves is told in a folder of files, too; other programs' files have their names by right. */
	static const struct {
		const char *begin, *kind;
		int result;
	} kinds[] = {
		{ "<", "this is a web page or XML, no WireGuard file: was the download refused?", -EINVAL },
		{ "{", "this is JSON, no WireGuard file", -ENODATA },
		{ "client", "this is an OpenVPN file, no WireGuard file", -ENODATA },
		{ "-----BEGIN", "this is a certificate or a key, no WireGuard file", -ENODATA },
		{ "", "no [Interface]: this is no WireGuard file", -ENODATA },
	};
	const char *start = text + strspn(text, " \t\n");
	size_t i = 0;

	for (const char *p = text; (p = strchr(p, '[')); p++)
		if (strncasecmp(p + 1 + strspn(p + 1, " \t"), "Interface", 9) == 0 || strncasecmp(p + 1 + strspn(p + 1, " \t"), "Peer", 4) == 0)
			return 0;
	if (!*start) {
		finding_add(f, FIND_ERROR, 0, "the file is empty");
		return -EINVAL;
	}
	while (strncasecmp(start, kinds[i].begin, strlen(kinds[i].begin)) != 0)
		i++;
	finding_add(f, FIND_ERROR, 0, "%s", kinds[i].kind);
	return kinds[i].result;
}

static int look_at_obfuscation(struct walk *w)
{
	if (!w->obfuscation)
		return 0;
	w->c.line = w->obfuscation;
	if (w->obfuscated)
		return cleaner_fail(&w->c, "this is for AmneziaWG (Jc, S1, H1 and others): plain WireGuard cannot speak to that server; ask the provider for a WireGuard file");
	finding_add(w->c.f, FIND_WARNING, w->c.line,
		    "AmneziaWG's keys (Jc, Jmin and others) are gone: the server understands plain WireGuard, but whoever watches the line sees that it is that");
	return 0;
}

/* The same [Peer] a second time, comments aside. */
static int drop_repeated_peers(struct walk *w)
{
	for (size_t i = 0, end; i < w->n_lines; i = end) {
		_cleanup_buf_ struct buf text = { 0 };

		buf_str(&text, "");
		for (end = i; end < w->n_lines && w->lines[end].section == w->lines[i].section; end++)
			if (!w->lines[end].comment) {
				buf_str(&text, w->lines[end].text);
				buf_str(&text, "\n");
			}
		if (text.failed)
			return -ENOMEM;
		w->c.line = w->lines[i].line;
		if (strcmp(w->lines[i].text, "[Peer]") != 0 || !cleaner_seen(&w->c, FIELD_NONE, text.data))
			continue;
		cleaner_tell(&w->c, CHANGE_REPEATED_PEER, FIND_NOTE, "the same [Peer] stood there before: once now");
		for (size_t j = i; j < end; j++)
			w->lines[j].gone = true;
	}
	return w->c.failed ? -ENOMEM : 0;
}

static void judge_lines(struct walk *w)
{
	for (size_t i = 0; i < w->n_lines; i++)
		if (w->lines[i].hook && w->im->hooks[w->lines[i].hook - 1].fate != HOOK_FATE_KEPT)
			w->lines[i].gone = true;
}

/* Sections begin after an empty line. */
static int write_lines(struct walk *w)
{
	struct buf *text = &w->im->text;

	buf_str(text, "");
	for (size_t i = 0; i < w->n_lines; i++) {
		if (w->lines[i].gone)
			continue;
		if (text->len && *w->lines[i].text == '[')
			buf_str(text, "\n");
		buf_str(text, w->lines[i].text);
		buf_str(text, "\n");
	}
	return text->failed ? -ENOMEM : 0;
}

/* The line of the source from which the clean file's line came. */
static unsigned int source_line(const struct walk *w, unsigned int line)
{
	unsigned int at = 0;

	for (size_t i = 0; i < w->n_lines; i++) {
		if (w->lines[i].gone)
			continue;
		at += *w->lines[i].text == '[' && at ? 2 : 1;
		if (at >= line)
			return w->lines[i].line;
	}
	return 0;
}

/* The parsers that `up` has find in the clean file what was put there, and nothing more. */
static int read_again(struct walk *w)
{
	struct conf *conf = &w->im->conf;
	struct conf_error error = { 0 };
	size_t kept = 0;
	int r;

	w->c.line = 0;
	if (w->im->text.len > IMPORT_MAX_SIZE)
		return cleaner_fail(&w->c, "larger than %u bytes; expected one of a provider's files", IMPORT_MAX_SIZE);
	r = conf_parse_quick(conf, w->im->text.data, w->im->text.len, &error);
	if (r == 0)
		r = conf_parse_wg(conf, NULL, &error);
	if (r == -EINVAL) {
		w->c.line = source_line(w, error.line);
		return cleaner_fail(&w->c, "%s", error.text);
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < w->im->n_hooks; i++) {
		if (w->im->hooks[i].fate != HOOK_FATE_KEPT)
			continue;
		if (kept >= conf->n_hooks || strcmp(conf->hooks[kept].text, w->im->hooks[i].text) != 0)
			return cleaner_fail(&w->c, "a hook does not read as it stands there");
		kept++;
	}
	if (kept != conf->n_hooks || conf->save_config)
		return cleaner_fail(&w->c, "there is more in the file than was understood");
	if (!conf->wg.has_private_key)
		return cleaner_fail(&w->c, "no PrivateKey in [Interface]; expected the key that the provider gave you");
	if (!conf->n_addresses)
		return cleaner_fail(&w->c, "no Address in [Interface]; expected the one that the provider gave you");
	if (!conf->wg.n_peers)
		return cleaner_fail(&w->c, "no [Peer]: there is nobody to talk to");
	return 0;
}

static int import_walk(struct walk *w, const char *name, char *text)
{
	int r = look_at_kind(text, w->c.f);

	if (r == 0)
		r = walk_lines(w, text);
	if (r == 0)
		r = look_at_obfuscation(w);
	if (r == 0)
		r = import_judge_hooks(w->im->hooks, w->im->n_hooks, "%i");
	if (r < 0)
		return r;
	judge_lines(w);
	r = drop_repeated_peers(w);
	if (r == 0)
		r = write_lines(w);
	if (r == 0)
		r = read_again(w);
	if (r < 0)
		return r;
	w->im->provider = import_provider(name, w->im->text.data, &w->im->conf);
	tell_counts(&w->c);
	return w->c.failed ? -ENOMEM : 0;
}

int import_text(const char *name, const char *text, size_t len, bool keep_hooks, struct import *ret)
{
	struct import im = { 0 };
	struct walk w = { .im = &im, .keep_hooks = keep_hooks, .c.f = &im.findings };
	_cleanup_buf_ struct buf decoded = { 0 };
	int r = import_decode(text, len, &decoded, &im.findings);

	if (r == 0)
		r = import_walk(&w, name, decoded.data);
	/* An error that was found without all that is to be known is none to tell. */
	if (im.findings.failed || w.c.failed || im.text.failed || decoded.failed)
		r = -ENOMEM;
	for (size_t i = 0; i < w.n_lines; i++)
		import_free_line(w.lines[i].text);
	free(w.lines);
	tdestroy(w.c.seen[0], import_free_line);
	tdestroy(w.c.seen[1], import_free_line);
	findings_sort(&im.findings);
	*ret = im;
	return r;
}

void import_free(struct import *im)
{
	buf_free(&im->text);
	conf_free(&im->conf);
	findings_free(&im->findings);
	for (size_t i = 0; i < im->n_hooks; i++)
		wipe_free(im->hooks[i].text, im->hooks[i].text ? strlen(im->hooks[i].text) : 0);
	free(im->hooks);
	*im = (struct import){ 0 };
}
