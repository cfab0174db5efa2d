/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hoststate.h"

#include <arpa/inet.h>

/*
 * Somewhere that no route but a default one leads to: an address for documentation
 * (RFC 5737) and one that is discarded (RFC 6666). Nothing is sent to them.
 */
static const char *const anywhere[] = { "203.0.113.254", "100::ffff" };

static int add(struct strv *lines, struct buf *text)
{
	return text->failed ? -ENOMEM : strv_add(lines, text->data, text->len);
}

struct rules {
	struct strv *lines;
	int family;
};

static int add_rule(void *arg, const struct rt_rule *rule)
{
	struct rules *rules = arg;
	_cleanup_buf_ struct buf text = { 0 };

	buf_fmt(&text, "rule IPv%d %u:%s", rules->family == AF_INET6 ? 6 : 4, rule->priority, rule->invert ? " not" : "");
	if (rule->has_fwmark)
		buf_fmt(&text, " fwmark 0x%x/0x%x", rule->fwmark, rule->fwmask);
	buf_fmt(&text, " lookup %u", rule->table);
	if (rule->has_suppress)
		buf_fmt(&text, " suppress_prefixlength %u", rule->suppress_prefixlen);
	return add(rules->lines, &text);
}

static int add_rules(struct rt *rt, struct strv *lines)
{
	struct rules v4 = { lines, AF_INET }, v6 = { lines, AF_INET6 };
	int r = rt_rules(rt, AF_INET, add_rule, &v4);

	if (r == 0)
		r = rt_rules(rt, AF_INET6, add_rule, &v6);
	/* A kernel without IPv6 has no rules for it. */
	return r == -EOPNOTSUPP || r == -EAFNOSUPPORT ? 0 : r;
}

static void describe_way(struct rt *rt, const char *to, struct buf *text)
{
	union endpoint_addr address = { 0 };
	char ip[INET6_ADDRSTRLEN];
	struct rt_link link;
	struct rt_way way;

	if (inet_pton(AF_INET, to, &address.v4.sin_addr) == 1)
		address.sa.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, to, &address.v6.sin6_addr) == 1)
		address.sa.sa_family = AF_INET6;
	buf_fmt(text, "way %s", to);
	if (rt_way_towards(rt, &address, &way) < 0) {
		buf_str(text, " unreachable");
		return;
	}
	if (way.gateway.family)
		buf_fmt(text, " via %s", format_prefix_addr(&way.gateway, ip));
	if (rt_link_get(rt, NULL, way.oif, &link) == 0)
		buf_fmt(text, " dev %s", link.name);
	if (way.source.family)
		buf_fmt(text, " src %s", format_prefix_addr(&way.source, ip));
	buf_fmt(text, " table %u", way.table);
}

static int add_way(struct rt *rt, const char *to, struct strv *lines)
{
	_cleanup_buf_ struct buf text = { 0 };

	describe_way(rt, to, &text);
	return add(lines, &text);
}

int hoststate_read(struct rt *rt, const struct wg_iface *wg, struct strv *ret_lines)
{
	struct strv lines = { 0 };
	int r = add_rules(rt, &lines);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(anywhere); i++)
		r = add_way(rt, anywhere[i], &lines);
	/* The first few of a server with thousands. */
	for (size_t i = 0; r == 0 && i < wg->n_peers && i < 16; i++) {
		const union endpoint_addr *ep = &wg->peers[i].endpoint;
		char to[INET6_ADDRSTRLEN] = "";

		if (ep->sa.sa_family == AF_INET)
			inet_ntop(AF_INET, &ep->v4.sin_addr, to, sizeof(to));
		else if (ep->sa.sa_family == AF_INET6 && !ep->v6.sin6_scope_id)
			inet_ntop(AF_INET6, &ep->v6.sin6_addr, to, sizeof(to));
		if (*to)
			r = add_way(rt, to, &lines);
	}
	if (r < 0)
		strv_free(&lines);
	else
		*ret_lines = lines;
	return r;
}

int hoststate_again(struct rt *rt, const struct strv *before, struct strv *ret_lines)
{
	struct strv lines = { 0 };
	int r = add_rules(rt, &lines);

	for (size_t i = 0; r == 0 && i < before->n; i++) {
		char to[INET6_ADDRSTRLEN];

		if (sscanf(before->v[i], "way %45s", to) == 1)
			r = add_way(rt, to, &lines);
	}
	if (r < 0)
		strv_free(&lines);
	else
		*ret_lines = lines;
	return r;
}

/* ---- then and now ---- */

/* What stands behind ` WORD ` in a line; nothing when it has none. */
static const char *field(const char *line, const char *word, char ret_value[static 64])
{
	char key[16];
	const char *p;

	snprintf(key, sizeof(key), " %s ", word);
	p = strstr(line, key);
	snprintf(ret_value, 64, "%.*s", p ? (int)strcspn(p + strlen(key), " ") : 0, p ? p + strlen(key) : "");
	return ret_value;
}

static bool same_field(const char *a, const char *b, const char *word)
{
	char x[64], y[64];

	return strcmp(field(a, word, x), field(b, word, y)) == 0;
}

/*
 * Another network: the host has no way at all, or had none, or leaves by another link or with another
 * address of its own. The same link and address with another gateway, or another table, are no such thing.
 */
static bool has_moved(const char *before, const char *now)
{
	if (strstr(before, " unreachable") || strstr(now, " unreachable"))
		return true;
	return same_field(before, now, "table") && (!same_field(before, now, "dev") || !same_field(before, now, "src"));
}

/* The line for the same destination. */
static const char *find_way(const struct strv *lines, const char *way)
{
	size_t len = strcspn(way + strlen("way "), " ") + strlen("way ");

	for (size_t i = 0; i < lines->n; i++)
		if (strncmp(lines->v[i], way, len) == 0 && (lines->v[i][len] == ' ' || !lines->v[i][len]))
			return lines->v[i];
	return NULL;
}

void hoststate_compare(const struct strv *before, const struct strv *now, struct buf *ret_changes, struct buf *ret_moved)
{
	for (size_t i = 0; i < before->n; i++) {
		const char *line = before->v[i], *way = strncmp(line, "way ", 4) == 0 ? find_way(now, line) : NULL;

		if (strv_has(now, line))
			continue;
		if (way && has_moved(line, way))
			buf_list(ret_moved, "", way);
		else
			buf_list(ret_changes, "gone: ", line);
	}
	for (size_t i = 0; i < now->n; i++) {
		const char *line = now->v[i], *way = strncmp(line, "way ", 4) == 0 ? find_way(before, line) : NULL;

		if (!strv_has(before, line) && !(way && has_moved(way, line)))
			buf_list(ret_changes, "new: ", line);
	}
}
