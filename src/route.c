/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * route.c - the routes step (spec C.7, C.8): from what the device really has,
 * since PreUp may have given it peers.
 *
 * A default route needs no rule, mark or firewall when the encrypted packets
 * leave from another namespace. It does where they leave from the target
 * itself (transport self), and where the target already has a default route:
 * there wg-quick's table, rules and packet filter are made, in the target.
 */
#include <linux/rtnetlink.h>

#include "firewall.h"
#include "log.h"
#include "sysctl.h"
#include "txn.h"

#define FIRST_TABLE 51820
#define EXIT_NOT_FOUND 127
/* Each is one more rule that another added between our look and our request. */
#define RULE_TRIES 20

static int family_number(const struct prefix *p)
{
	return p->family == AF_INET6 ? 6 : 4;
}

static int refused(const struct txn *txn, const char *what, int r)
{
	log_error("%s: cannot add %s: %s", txn->conf->iface, what, rt_why(txn->target, r));
	return EXIT_KERNEL;
}

/* ---- the prefixes ---- */

static int allowed_of_device(const struct txn *txn, struct wg_iface *live, struct prefix **ret_allowed, size_t *ret_n)
{
	struct prefix *allowed = NULL;
	size_t n = 0;
	int r = wg_read(txn_backend(txn), txn->conf->iface, live);

	if (r < 0)
		return r;
	for (size_t i = 0; i < live->n_peers; i++)
		for (size_t j = 0; j < live->peers[i].n_allowed_ips; j++) {
			const struct prefix *prefix = &live->peers[i].allowed_ips[j].prefix;

			if (txn->ipv6_off && prefix->family == AF_INET6)
				continue;
			if (prefix_add(&allowed, &n, prefix) < 0) {
				free(allowed);
				return -ENOMEM;
			}
		}
	*ret_allowed = allowed;
	*ret_n = n;
	return 0;
}

struct connected {
	unsigned int ifindex;
	struct prefix *items;
	size_t n;
};

static int collect_connected(void *arg, const struct rt_route *route)
{
	struct connected *c = arg;

	return route->oif == c->ifindex && route->table == RT_MAIN_TABLE ? prefix_add(&c->items, &c->n, &route->dst) : 0;
}

/* ---- the default route where it needs a table of its own ---- */

struct search {
	const struct txn *txn;
	uint32_t table;
};

static int uses_table(void *arg, const struct rt_route *route)
{
	const struct search *s = arg;

	return route->table == s->table;
}

static int foreign_default(void *arg, const struct rt_route *route)
{
	const struct search *s = arg;

	return route->table == RT_MAIN_TABLE && route->dst.len == 0 && route->type == RTN_UNICAST && route->oif != s->txn->journal.ifindex;
}

/* The device's mark if it has one, else the first free number from 51820 up. */
static int pick_table(const struct txn *txn, const struct wg_iface *live, uint32_t *ret_table)
{
	struct search s = { .txn = txn, .table = FIRST_TABLE };

	if (live->fwmark) {
		*ret_table = live->fwmark;
		return 0;
	}
	for (;; s.table++) {
		int r = rt_routes(txn->target, AF_INET, uses_table, &s);

		if (r == 0)
			r = rt_routes(txn->target, AF_INET6, uses_table, &s);
		if (r < 0)
			return r;
		if (r == 0)
			break;
	}
	*ret_table = s.table;
	return 0;
}

static int set_mark(struct txn *txn, struct wg_iface *live, uint32_t mark)
{
	const struct wg_iface only_mark = { .has_fwmark = true, .fwmark = mark };
	int r;

	log_trace("wg set %s fwmark %u", txn->conf->iface, mark);
	txn->journal.auto_fwmark = mark;
	r = journal_save(&txn->journal);
	if (r == 0)
		r = wg_apply(txn_backend(txn), txn->conf->iface, &only_mark);
	if (r == 0)
		live->fwmark = mark;
	return r;
}

/* ---- IPv4's reverse path filter asks by the mark only with this; per namespace ---- */

#define SRC_VALID_MARK "ipv4/conf/all/src_valid_mark"

/* Under the lock, or one that goes at this moment might set it back behind our look; it will see our rule. */
static int set_src_valid_mark(struct txn *txn)
{
	struct ns_record record = { 0 };
	_cleanup_fd_ int lock = -1;
	char now[16];
	int r = journal_lock_shared(&lock);

	if (r == 0)
		r = sysctl_read(txn->target_fd, SRC_VALID_MARK, now, sizeof(now));
	if (r < 0 || strcmp(now, "1") == 0)
		return r;
	log_trace("sysctl -q net.ipv4.conf.all.src_valid_mark=1");
	r = ns_record_load(txn->journal.cookie, &record);
	if (r == 0 && !record.made && strcmp(now, "0") == 0) {
		record.src_valid_mark = true;
		r = ns_record_save(&record);
	}
	ns_record_free(&record);
	return r == 0 ? sysctl_write(txn->target_fd, SRC_VALID_MARK, "1") : r;
}

static int asks_by_mark(void *arg, const struct rt_rule *rule)
{
	(void)arg;
	return rule->has_fwmark;
}

int txn_leave_src_valid_mark(const struct txn *txn, struct ns_record *record)
{
	int r;

	if (!record->src_valid_mark || !txn->target)
		return 0;
	r = rt_rules(txn->target, AF_INET, asks_by_mark, NULL);
	if (r != 0)
		return r < 0 ? r : 0;
	/* Not traced: it is nothing that wg-quick does. Where it may not be written, it does no harm. */
	r = sysctl_write(txn->target_fd, SRC_VALID_MARK, "0");
	if (r < 0)
		return r == -EROFS || r == -EACCES ? 0 : r;
	record->src_valid_mark = false;
	return ns_record_save(record);
}

/* ---- the rules and the packet filter ---- */

/* The worker stands in the target. */
static int add_firewall(struct txn *txn, int family, uint32_t mark)
{
	_cleanup_free_ struct prefix *addresses = NULL;
	_cleanup_free_ char *why = NULL;
	size_t n;
	int r, shared = 0;

	log_trace("nft -f /dev/fd/63");
	r = rt_addresses(txn->target, txn->journal.ifindex, &addresses, &n);
	if (r == 0)
		r = shared = firewall_is_there(txn->conf->iface, family);
	if (shared > 0)
		log_note("%s: there is an nftables table for this name already; the default route's chains go into it, and it stays", txn->conf->iface);
	if (r >= 0)
		r = journal_note(&txn->journal, UNDO_FIREWALL, (uint64_t)family, (uint64_t)shared, 0);
	if (r == 0)
		r = firewall_add(txn->conf->iface, family, addresses, n, mark, &why);
	if (r == -ELIBACC) {
		log_error("%s: the default route needs a packet filter here, and libnftables.so.1 cannot be loaded; expected the package libnftables1", txn->conf->iface);
		return EXIT_NOT_FOUND;
	}
	if (r < 0) {
		log_error("%s: cannot add the packet filter of the default route: %s", txn->conf->iface, why ? why : strerror(-r));
		return 1;
	}
	return 0;
}

/* With the preference that the kernel would choose, noted before: what looks the same elsewhere in the list is never taken for ours. */
static int add_rule(struct txn *txn, enum undo_kind kind, struct rt_rule rule)
{
	bool marked = kind == UNDO_RULE_MARK;

	for (int tries = 0;; tries++) {
		int r = rt_rule_choose_priority(txn->target, &rule, &rule.priority), popped;

		if (r == 0)
			r = journal_note(&txn->journal, kind, journal_rule_arg(rule.family, rule.priority), marked ? rule.fwmark : 0, marked ? rule.table : 0);
		if (r < 0)
			return r;
		r = rt_rule_add(txn->target, &rule);
		if (r != -EEXIST)
			return r;
		/* Somebody else added its like since, which stays. */
		popped = journal_pop(&txn->journal);
		if (popped < 0 || tries == RULE_TRIES)
			return popped < 0 ? popped : r;
	}
}

static int add_ruled_default(struct txn *txn, struct wg_iface *live, const struct prefix *route)
{
	int v = family_number(route), family = route->family, r;
	const char *iface = txn->conf->iface;
	char text[PREFIX_TEXT_LEN];
	uint32_t table;

	r = pick_table(txn, live, &table);
	if (r == 0 && !live->fwmark)
		r = set_mark(txn, live, table);
	if (r < 0)
		return refused(txn, "the mark of the default route", r);
	log_trace("ip -%d rule add not fwmark %u table %u", v, table, table);
	r = add_rule(txn, UNDO_RULE_MARK, rt_rule_of_mark(family, table, table));
	if (r < 0)
		return refused(txn, "the rule of the default route", r);
	log_trace("ip -%d rule add table main suppress_prefixlength 0", v);
	r = add_rule(txn, UNDO_RULE_MAIN, rt_rule_of_main(family));
	if (r < 0)
		return refused(txn, "the rule for table main", r);
	log_trace("ip -%d route add %s dev %s table %u", v, format_prefix(route, text), iface, table);
	r = rt_route_add(txn->target, txn->journal.ifindex, route, table);
	if (r == 0 && family == AF_INET)
		r = set_src_valid_mark(txn);
	return r < 0 ? refused(txn, "the default route", r) : add_firewall(txn, family, table);
}

int txn_needs_rules(const struct txn *txn, const struct prefix *route)
{
	struct search s = { .txn = txn };

	if (!prefix_is_default(route))
		return 0;
	return ns_same(txn->transport_fd, txn->target_fd) ? 1 : rt_routes(txn->target, route->family, foreign_default, &s);
}

/* ---- the mark for kill-switch hooks ---- */

struct marks {
	struct mark_rule *items;
	size_t n;
};

static int collect_mark(void *arg, const struct rt_rule *rule)
{
	struct marks *marks = arg;
	struct mark_rule *slot;

	if (!rule->has_fwmark)
		return 0;
	slot = GROW(marks->items, marks->n);
	if (!slot)
		return -ENOMEM;
	*slot = (struct mark_rule){ rule->fwmark, rule->fwmask };
	return 0;
}

int txn_pick_mark(struct txn *txn, uint32_t *ret_mark)
{
	struct marks marks = { 0 };
	uint32_t mark;
	int r;

	r = rt_rules(txn->transport, AF_INET, collect_mark, &marks);
	if (r == 0)
		r = rt_rules(txn->transport, AF_INET6, collect_mark, &marks);
	mark = r == 0 ? plan_pick_mark(marks.items, marks.n) : 0;
	free(marks.items);
	if (r < 0)
		return r;
	if (!mark)
		log_warn("%s: no fwmark is without effect on the transport namespace's rules; none is set, and hooks see `off'", txn->conf->iface);
	*ret_mark = mark;
	return 0;
}

static int set_harmless_mark(struct txn *txn, struct wg_iface *live)
{
	uint32_t mark;
	int r = txn_pick_mark(txn, &mark);

	return r < 0 || !mark ? r : set_mark(txn, live, mark);
}

/* ---- the step ---- */

static bool has_default(const struct prefix *routes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_is_default(&routes[i]))
			return true;
	return false;
}

static void trace_route(const struct txn *txn, const struct prefix *route)
{
	char text[PREFIX_TEXT_LEN];

	if (txn->conf->table == TABLE_NAMED)
		log_trace("ip -%d route add %s dev %s table %s", family_number(route), format_prefix(route, text), txn->conf->iface, txn->conf->table_text.text);
	else
		log_trace("ip -%d route add %s dev %s", family_number(route), format_prefix(route, text), txn->conf->iface);
}

static int add_plain(struct txn *txn, const struct prefix *routes, size_t n)
{
	uint32_t table = txn->conf->table == TABLE_NAMED ? txn->table : RT_MAIN_TABLE;
	size_t failed = 0;
	int r;

	for (size_t i = 0; i < n; i++)
		trace_route(txn, &routes[i]);
	r = rt_routes_add(txn->target, txn->journal.ifindex, routes, n, table, &failed);
	if (r < 0) {
		char text[PREFIX_TEXT_LEN];
		_cleanup_free_ char *what = NULL;

		if (asprintf(&what, "route %s", format_prefix(&routes[failed < n ? failed : 0], text)) < 0)
			what = NULL;
		return refused(txn, what ? what : "a route", r);
	}
	return 0;
}

static int add_routes(struct txn *txn, struct wg_iface *live, struct prefix *routes, size_t n)
{
	size_t plain = 0;
	int r = 0;

	/* Default routes sort last: what comes before them goes in one batch. */
	while (plain < n && (txn->conf->table == TABLE_NAMED || (r = txn_needs_rules(txn, &routes[plain])) == 0))
		plain++;
	if (r < 0)
		return refused(txn, "the routes", r);
	if (txn->conf->table == TABLE_AUTO && !live->fwmark && plain == n && (has_default(routes, n) || plan_wants_mark(txn->conf))) {
		r = set_harmless_mark(txn, live);
		if (r < 0)
			return refused(txn, "a mark", r);
	}
	r = add_plain(txn, routes, plain);
	for (size_t i = plain; i < n && r == 0; i++) {
		r = txn_needs_rules(txn, &routes[i]);
		if (r < 0)
			return refused(txn, "the default route", r);
		r = r ? add_ruled_default(txn, live, &routes[i]) : add_plain(txn, &routes[i], 1);
	}
	return r;
}

int txn_routes(struct txn *txn)
{
	struct connected connected = { .ifindex = txn->journal.ifindex };
	struct prefix *allowed = NULL, *routes = NULL;
	struct wg_iface live = { 0 };
	size_t n_allowed = 0, n_routes = 0;
	int r;

	r = allowed_of_device(txn, &live, &allowed, &n_allowed);
	if (r == 0 && txn->conf->table == TABLE_AUTO) {
		r = rt_routes(txn->target, AF_INET, collect_connected, &connected);
		if (r == 0 && !txn->ipv6_off)
			r = rt_routes(txn->target, AF_INET6, collect_connected, &connected);
	}
	if (r == 0)
		r = plan_routes(allowed, n_allowed, connected.items, connected.n, &routes, &n_routes);
	if (r < 0)
		r = refused(txn, "the routes", r);
	else
		r = add_routes(txn, &live, routes, n_routes);
	wg_iface_free(&live);
	free(allowed);
	free(routes);
	free(connected.items);
	return r;
}
