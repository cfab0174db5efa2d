/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wg-quick's half of the parser: it walks over the lines, takes its own keys
 * out of [Interface], and leaves all other lines to wg's half (conf-wg.c).
 */
#include "conf.h"

#include <strings.h>

#include "conf-error.h"

/* A piece of a line; not terminated. */
struct slice {
	const char *s;
	size_t len;
};

struct quick {
	struct conf *conf;
	struct conf_error *error;
	unsigned int line;
	bool in_interface;
};

const char *const hook_names[HOOK_KINDS] = {
	[HOOK_PRE_UP] = "PreUp",
	[HOOK_POST_UP] = "PostUp",
	[HOOK_PRE_DOWN] = "PreDown",
	[HOOK_POST_DOWN] = "PostDown",
};

/* What `read` strips from a line, and what separates the items of a list. */
static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct slice slice_trim(struct slice t)
{
	while (t.len && is_space(t.s[0])) {
		t.s++;
		t.len--;
	}
	while (t.len && is_space(t.s[t.len - 1]))
		t.len--;
	return t;
}

static bool slice_is(struct slice t, const char *name)
{
	return t.len == strlen(name) && strncasecmp(t.s, name, t.len) == 0;
}

static int set_item(struct quick *q, struct item *item, struct slice value)
{
	char *text = strndup(value.s, value.len);

	if (!text)
		return -ENOMEM;
	free(item->text);
	item->text = text;
	item->line = q->line;
	return 0;
}

/* Commas and blanks separate; what is empty between them vanishes. */
static int add_items(struct quick *q, struct item **items, size_t *n, struct slice list)
{
	const char *p = list.s, *end = list.s + list.len;

	while (p < end) {
		const char *start;
		struct item *item;

		while (p < end && (is_blank(*p) || *p == ','))
			p++;
		start = p;
		while (p < end && !is_blank(*p) && *p != ',')
			p++;
		if (p == start)
			break;
		item = GROW(*items, *n);
		if (!item || set_item(q, item, (struct slice){ start, (size_t)(p - start) }) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int add_hook(struct quick *q, enum hook_kind kind, struct slice text)
{
	struct hook *hook = GROW(q->conf->hooks, q->conf->n_hooks);

	if (!hook)
		return -ENOMEM;
	hook->kind = kind;
	hook->line = q->line;
	hook->text = strndup(text.s, text.len);
	return hook->text ? 0 : -ENOMEM;
}

static int set_table(struct quick *q, struct slice value)
{
	struct conf *conf = q->conf;

	if (set_item(q, &conf->table_text, value) < 0)
		return -ENOMEM;
	/* Case matters here, as it does for wg-quick: `Off` is a table's name. */
	if (!*conf->table_text.text || strcmp(conf->table_text.text, "auto") == 0)
		conf->table = TABLE_AUTO;
	else if (strcmp(conf->table_text.text, "off") == 0)
		conf->table = TABLE_OFF;
	else
		conf->table = TABLE_NAMED;
	return 0;
}

static int set_save_config(struct quick *q, struct slice value)
{
	_cleanup_free_ char *text = NULL;
	char quoted[QUOTED_LEN];

	if (slice_is(value, "true") || slice_is(value, "false")) {
		q->conf->save_config = slice_is(value, "true");
		return 0;
	}
	text = strndup(value.s, value.len);
	if (!text)
		return -ENOMEM;
	return conf_fail(q->error, q->line,
			 "`%s' is neither true nor false; expected `SaveConfig = true' or `SaveConfig = false'",
			 conf_quote(text, quoted));
}

/*
 * One of wg-quick's keys. `raw` is the value with what a `#` would cut: the
 * shell that runs a hook knows better what is a comment. Answers 1 when the
 * key is not wg-quick's.
 */
static int quick_key(struct quick *q, struct slice key, struct slice value, struct slice raw)
{
	struct conf *conf = q->conf;

	if (slice_is(key, "Address"))
		return add_items(q, &conf->addresses, &conf->n_addresses, value);
	if (slice_is(key, "DNS"))
		return add_items(q, &conf->dns, &conf->n_dns, value);
	if (slice_is(key, "MTU"))
		return set_item(q, &conf->mtu, value);
	if (slice_is(key, "Table"))
		return set_table(q, value);
	if (slice_is(key, "SaveConfig"))
		return set_save_config(q, value);
	for (int kind = 0; kind < HOOK_KINDS; kind++)
		if (slice_is(key, hook_names[kind]))
			return add_hook(q, (enum hook_kind)kind, raw);
	return 1;
}

/* Leaves a line to wg's half. */
static int keep_line(struct quick *q, struct slice line)
{
	struct conf *conf = q->conf;
	unsigned int *number = GROW(conf->stripped_lines, conf->n_stripped_lines);

	if (!number)
		return -ENOMEM;
	*number = q->line;
	buf_add(&conf->stripped, line.s, line.len);
	buf_str(&conf->stripped, "\n");
	return conf->stripped.failed ? -ENOMEM : 0;
}

static struct slice before(struct slice t, char separator)
{
	const char *at = t.len ? memchr(t.s, separator, t.len) : NULL;

	return at ? (struct slice){ t.s, (size_t)(at - t.s) } : t;
}

/* All of it when there is no separator: so a key without `=` is its own value. */
static struct slice after(struct slice t, char separator)
{
	const char *at = t.len ? memchr(t.s, separator, t.len) : NULL;

	return at ? (struct slice){ at + 1, t.len - (size_t)(at + 1 - t.s) } : t;
}

static int quick_line(struct quick *q, struct slice line)
{
	struct slice uncommented = before(line, '#');
	struct slice key = slice_trim(before(uncommented, '='));
	struct slice value = slice_trim(after(uncommented, '='));
	struct slice raw = slice_trim(after(line, '='));

	if (key.len && key.s[0] == '[')
		q->in_interface = slice_is(key, "[Interface]");
	if (q->in_interface) {
		int r = quick_key(q, key, value, raw);

		if (r <= 0)
			return r;
	}
	return keep_line(q, line);
}

/* The next line without its end and the blanks around it. False when there is none. */
static bool next_line(const char **p, const char *end, struct slice *ret_line)
{
	const char *start = *p, *stop = start < end ? memchr(start, '\n', (size_t)(end - start)) : NULL;
	bool last = !stop;

	if (start == end)
		return false;
	if (last)
		stop = end;
	*p = last ? end : stop + 1;
	while (start < stop && is_blank(*start))
		start++;
	while (start < stop && is_blank(stop[-1]))
		stop--;
	/* Blanks after the last line end are no line, as they are none for `read`. */
	if (last && start == stop)
		return false;
	*ret_line = (struct slice){ start, (size_t)(stop - start) };
	return true;
}

/* A copy without NUL bytes: bash drops them. */
static int copy_text(const char *text, size_t len, struct buf *ret_copy)
{
	const char *end = text + len;

	buf_str(ret_copy, "");
	while (text < end) {
		const char *nul = memchr(text, '\0', (size_t)(end - text));
		const char *stop = nul ? nul : end;

		buf_add(ret_copy, text, (size_t)(stop - text));
		text = nul ? nul + 1 : end;
	}
	return ret_copy->failed ? -ENOMEM : 0;
}

int conf_parse_quick(struct conf *conf, const char *text, size_t len, struct conf_error *ret_error)
{
	_cleanup_buf_ struct buf copy = { 0 };
	struct quick q = { .conf = conf, .error = ret_error };
	const char *p, *end;
	struct slice line;
	int r = copy_text(text, len, &copy), error = 0;

	if (r < 0)
		return r;
	buf_str(&conf->stripped, "");
	p = copy.data;
	end = copy.data + copy.len;
	while (next_line(&p, end, &line)) {
		q.line++;
		r = quick_line(&q, line);
		if (r < 0 && !conf_goes_on(ret_error, r))
			return r;
		error = r < 0 ? r : error;
	}
	return conf->stripped.failed ? -ENOMEM : error;
}

static void free_items(struct item *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(items[i].text);
	free(items);
}

static void free_peer(struct peer *peer)
{
	for (size_t i = 0; i < peer->n_endpoints; i++) {
		free(peer->endpoints[i].text);
		free(peer->endpoints[i].host);
		free(peer->endpoints[i].port);
	}
	free(peer->endpoints);
	free(peer->allowed_ips);
}

void wg_iface_free(struct wg_iface *wg)
{
	for (size_t i = 0; i < wg->n_peers; i++)
		free_peer(&wg->peers[i]);
	wipe_free(wg->peers, wg->n_peers * sizeof(*wg->peers));
	explicit_bzero(wg, sizeof(*wg));
}

void wg_iface_forget_keys(struct wg_iface *wg)
{
	explicit_bzero(&wg->private_key, sizeof(wg->private_key));
	for (size_t i = 0; i < wg->n_peers; i++)
		explicit_bzero(&wg->peers[i].preshared_key, sizeof(wg->peers[i].preshared_key));
}

void conf_forget_keys(struct conf *conf)
{
	wg_iface_forget_keys(&conf->wg);
	buf_free(&conf->stripped);
}

void conf_free(struct conf *conf)
{
	free(conf->path);
	free_items(conf->addresses, conf->n_addresses);
	free_items(conf->dns, conf->n_dns);
	free(conf->mtu.text);
	free(conf->table_text.text);
	/* Hooks may hold keys: `wg set %i peer … preshared-key <(echo …)`. */
	for (size_t i = 0; i < conf->n_hooks; i++)
		wipe_free(conf->hooks[i].text, conf->hooks[i].text ? strlen(conf->hooks[i].text) : 0);
	free(conf->hooks);
	buf_free(&conf->stripped);
	free(conf->stripped_lines);
	wg_iface_free(&conf->wg);
	*conf = (struct conf){ 0 };
}

bool dns_item_is_server(const char *text)
{
	return strchr(text, ':') || (*text && !text[strspn(text, "0123456789.")]);
}

bool iface_name_valid(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=+.-");

	return len >= 1 && len < IFNAMSIZ && !name[len];
}

char *hook_expand(const struct hook *hook, const char *iface)
{
	_cleanup_buf_ struct buf text = { 0 };
	const char *p = hook->text, *at;

	buf_str(&text, "");
	while ((at = strstr(p, "%i"))) {
		buf_add(&text, p, (size_t)(at - p));
		buf_str(&text, iface);
		p = at + 2;
	}
	buf_str(&text, p);
	return text.failed ? NULL : TAKE_PTR(text.data);
}
