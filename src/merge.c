/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "merge-peers.h"

#include "conf-error.h"
#include "plan.h"

/* ---- addresses ---- */

static int parse_items(const struct conf *conf, struct prefix **ret_list, size_t *ret_n, struct conf_error *ret_error)
{
	struct prefix *list = calloc(conf->n_addresses + 1, sizeof(*list));
	char quoted[QUOTED_LEN];

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < conf->n_addresses; i++)
		if (parse_address(conf->addresses[i].text, &list[i]) < 0) {
			free(list);
			return conf_fail(ret_error, conf->addresses[i].line, "Address: `%s' is not an IPv4 or IPv6 address; expected ADDRESS or ADDRESS/LENGTH",
					 conf_quote(conf->addresses[i].text, quoted));
		}
	*ret_list = list;
	*ret_n = conf->n_addresses;
	return 0;
}

static int want_address(struct live *wanted, const struct prefix *p)
{
	return prefix_listed(wanted->addresses, wanted->n_addresses, p) ? 0 : prefix_add(&wanted->addresses, &wanted->n_addresses, p);
}

struct address_lists {
	struct prefix *old, *file;
	size_t n_old, n_file;
};

static size_t next_of(const struct prefix *list, size_t n, size_t at, int family)
{
	while (at < n && list[at].family != family)
		at++;
	return at;
}

static bool same_order(const struct address_lists *a, int family)
{
	size_t i = next_of(a->old, a->n_old, 0, family), j = next_of(a->file, a->n_file, 0, family);

	while (i < a->n_old && j < a->n_file && prefix_equal(&a->old[i], &a->file[j])) {
		i = next_of(a->old, a->n_old, i + 1, family);
		j = next_of(a->file, a->n_file, j + 1, family);
	}
	return i == a->n_old && j == a->n_file;
}

/* The file's up to `until` (NULL: the rest), but for those that somebody took away. */
static int want_file_addresses(const struct merge *m, const struct address_lists *a, int family, const struct prefix *until, size_t *at, struct live *wanted)
{
	int r = 0;

	while (r == 0 && (*at = next_of(a->file, a->n_file, *at, family)) < a->n_file) {
		const struct prefix *p = &a->file[(*at)++];

		if (!prefix_listed(a->old, a->n_old, p) || prefix_listed(m->live->addresses, m->live->n_addresses, p))
			r = want_address(wanted, p);
		if (until && prefix_equal(p, until))
			break;
	}
	return r;
}

/* As they are added: in the order of the file if that changed, and what others added where it stands. */
static int want_family(const struct merge *m, const struct address_lists *a, int family, struct live *wanted)
{
	const struct live *live = m->live;
	bool same = same_order(a, family);
	size_t at = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < live->n_addresses; i++) {
		/* The kernel has IPv6's the other way round. */
		const struct prefix *p = &live->addresses[family == AF_INET6 ? live->n_addresses - 1 - i : i];
		bool stays = prefix_listed(a->file, a->n_file, p);

		if (p->family != family || (!stays && prefix_listed(a->old, a->n_old, p)) || prefix_listed(wanted->addresses, wanted->n_addresses, p))
			continue;
		r = stays && !same ? want_file_addresses(m, a, family, p, &at, wanted) : want_address(wanted, p);
	}
	return r == 0 && !same ? want_file_addresses(m, a, family, NULL, &at, wanted) : r;
}

static int want_addresses(const struct merge *m, struct live *wanted, struct conf_error *ret_error)
{
	struct address_lists lists = { 0 };
	int r;

	r = parse_items(m->outline, &lists.old, &lists.n_old, ret_error);
	if (r == 0)
		r = parse_items(m->conf, &lists.file, &lists.n_file, ret_error);
	if (r == 0)
		r = want_family(m, &lists, AF_INET, wanted);
	if (r == 0)
		r = want_family(m, &lists, AF_INET6, wanted);
	if (r == 0)
		r = live_order_addresses(wanted->addresses, wanted->n_addresses);
	free(lists.old);
	free(lists.file);
	return r;
}

/* ---- routes ---- */

/* Those that the kernel makes for addresses by itself: for a length below /32, and for every IPv6 address. */
static int connected_of(const struct live *live, struct prefix **ret_list, size_t *ret_n)
{
	struct prefix *list = calloc(live->n_addresses + 1, sizeof(*list));
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < live->n_addresses; i++) {
		if (live->addresses[i].family == AF_INET && live->addresses[i].len == 32)
			continue;
		list[n] = live->addresses[i];
		prefix_mask(&list[n++]);
	}
	*ret_list = list;
	*ret_n = n;
	return 0;
}

/* The routes of `up' for what this state allows. */
static int routes_of(const struct live *live, const struct conf *conf, uint32_t table, struct live *ret_routes)
{
	struct prefix *allowed = NULL, *connected = NULL, *routes = NULL;
	size_t n_allowed = 0, n_connected = 0, n = 0;
	int r = 0;

	if (conf->table == TABLE_OFF)
		return 0;
	for (size_t i = 0; i < live->wg.n_peers; i++)
		for (size_t j = 0; r == 0 && j < live->wg.peers[i].n_allowed_ips; j++)
			r = prefix_add(&allowed, &n_allowed, &live->wg.peers[i].allowed_ips[j].prefix);
	if (r == 0 && conf->table == TABLE_AUTO)
		r = connected_of(live, &connected, &n_connected);
	if (r == 0)
		r = plan_routes(allowed, n_allowed, connected, n_connected, &routes, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = live_add_route(ret_routes, &routes[i], table);
	free(allowed);
	free(connected);
	free(routes);
	return r;
}

static int want_routes(const struct merge *m, struct live *wanted)
{
	_cleanup_live_ struct live before = { 0 };
	_cleanup_live_ struct live after = { 0 };
	int r;

	r = routes_of(m->live, m->outline, m->outline_table, &before);
	if (r == 0)
		r = routes_of(wanted, m->conf, m->table, &after);
	for (size_t i = 0; r == 0 && i < m->live->n_routes; i++) {
		const struct live_route *route = &m->live->routes[i];

		if (!live_has_route(&before, route) || live_has_route(&after, route))
			r = live_put_route(wanted, route);
	}
	for (size_t i = 0; r == 0 && i < after.n_routes; i++)
		if (!live_has_route(&before, &after.routes[i]))
			r = live_put_route(wanted, &after.routes[i]);
	return r;
}

/* ---- all of it ---- */

static const char *mtu_text(const struct conf *conf)
{
	return conf->mtu.text ? conf->mtu.text : "";
}

static int want_mtu(const struct merge *m, struct live *wanted, struct conf_error *ret_error)
{
	const char *text = mtu_text(m->conf);
	char quoted[QUOTED_LEN];
	uint64_t mtu = 0;

	wanted->mtu = m->live->mtu;
	if (strcmp(mtu_text(m->outline), text) == 0)
		return 0;
	if (*text && (parse_cnum(text, INT32_MAX, &mtu) < 0 || !mtu))
		return conf_fail(ret_error, m->conf->mtu.line, "MTU: `%s' is not a number of bytes; expected one such as 1420, or no MTU line",
				 conf_quote(text, quoted));
	wanted->mtu = (unsigned int)mtu;
	return 0;
}

int merge_wanted(const struct merge *merge, struct live *ret_wanted, struct conf_error *ret_error)
{
	struct live wanted = { 0 };
	int r;

	r = merge_want_wg(merge, &wanted.wg);
	if (r == 0)
		r = want_addresses(merge, &wanted, ret_error);
	if (r == 0)
		r = want_mtu(merge, &wanted, ret_error);
	if (r == 0)
		r = want_routes(merge, &wanted);
	if (r < 0)
		live_free(&wanted);
	else
		*ret_wanted = wanted;
	return r;
}

bool merge_dns_changed(const struct conf *outline, const struct conf *conf)
{
	if (outline->n_dns != conf->n_dns)
		return true;
	for (size_t i = 0; i < conf->n_dns; i++)
		if (strcmp(outline->dns[i].text, conf->dns[i].text) != 0)
			return true;
	return false;
}
