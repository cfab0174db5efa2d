/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reload-want.c - what a reload wants that no file tells: asked of the system, and refused where it is too much for a reload. */
#include "log.h"
#include "reload.h"

static bool allows_default(const struct live *live, int family)
{
	for (size_t i = 0; i < live->wg.n_peers; i++)
		for (size_t j = 0; j < live->wg.peers[i].n_allowed_ips; j++) {
			const struct prefix *p = &live->wg.peers[i].allowed_ips[j].prefix;

			if (p->family == family && prefix_is_default(p))
				return true;
		}
	return false;
}

static bool has_rules(const struct journal *j)
{
	return journal_has(j, UNDO_RULE_MARK) || journal_has(j, UNDO_RULE_MAIN);
}

static bool has_filter(const struct journal *j, int family)
{
	for (size_t i = 0; i < j->n_undo; i++)
		if (j->undo[i].kind == UNDO_FIREWALL && (int)j->undo[i].arg == family)
			return true;
	return false;
}

/* Whether `one` has addresses with a packet filter in their family that `other` has not. */
static bool has_other_addresses(const struct journal *j, const struct live *one, const struct live *other)
{
	for (size_t i = 0; i < one->n_addresses; i++)
		if (has_filter(j, one->addresses[i].family) && !prefix_listed(other->addresses, other->n_addresses, &one->addresses[i]))
			return true;
	return false;
}

/* To a peer, or as a plain one to the main table, where the peers have it and Table kept it out so far. */
static bool default_comes(const struct live *before, const struct live *wanted, int family)
{
	const struct live_route route = { .dst.family = family, .table = RT_MAIN_TABLE };

	return (allows_default(wanted, family) && !allows_default(before, family)) || (live_has_route(wanted, &route) && !live_has_route(before, &route));
}

/* wg-quick's table and rules are made for a /0 where the target has another way out; they carry the mark as their number. */
static int check_rules(const struct txn *txn, const struct live *before, const struct live *wanted)
{
	static const int families[] = { AF_INET, AF_INET6 };
	bool ruled = has_rules(&txn->journal);

	if (ruled && txn->conf->table != TABLE_AUTO)
		return txn_fail(1, txn, "Table changed, and the rules of the default route are in use; expected `down' and `up'");
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		const struct prefix any = { .family = families[i] };
		bool goes = allows_default(before, families[i]) && !allows_default(wanted, families[i]);
		int needs;

		if (!(goes || default_comes(before, wanted, families[i])) || txn->conf->table != TABLE_AUTO)
			continue;
		needs = ruled ? 1 : txn_needs_rules(txn, &any);
		if (needs < 0)
			return txn_fail(1, txn, "cannot read the routes of its namespace: %s", strerror(-needs));
		if (needs > 0)
			return txn_fail(1, txn, "a %s default route comes or goes, and this one needs rules that a reload cannot change; expected `down' and `up'",
					families[i] == AF_INET ? "IPv4" : "IPv6");
	}
	if (ruled && before->wg.fwmark != wanted->wg.fwmark)
		return txn_fail(1, txn, "FwMark changed, and the rules of the default route are about the old one; expected `down' and `up'");
	if (has_other_addresses(&txn->journal, before, wanted) || has_other_addresses(&txn->journal, wanted, before))
		log_warn("%s: Address changed, and the packet filter of the default route goes on with the old ones: only `down' and `up' renew it", txn->conf->iface);
	return 0;
}

static bool drop_ipv6(struct live *live)
{
	size_t addresses = 0, routes = 0;
	bool less;

	for (size_t i = 0; i < live->n_addresses; i++)
		if (live->addresses[i].family != AF_INET6)
			live->addresses[addresses++] = live->addresses[i];
	for (size_t i = 0; i < live->n_routes; i++)
		if (live->routes[i].dst.family != AF_INET6)
			live->routes[routes++] = live->routes[i];
	less = addresses < live->n_addresses || routes < live->n_routes;
	live->n_addresses = addresses;
	live->n_routes = routes;
	return less;
}

/* As `up' does: where the target has no IPv6, what the file newly wants of it is left out. */
static int leave_ipv6_out(const struct txn *txn, struct live *wanted)
{
	if (!drop_ipv6(wanted))
		return 0;
	if (txn->require_ipv6)
		return txn_fail(EXIT_KERNEL, txn, "IPv6 is disabled in its network namespace, and the settings say `ipv6 = require'");
	log_warn("%s: IPv6 is disabled in its network namespace: the file's IPv6 addresses and routes are left out", txn->conf->iface);
	return 0;
}

/* A small MTU takes all of IPv6 from the device: the link-local address goes without a word, but none that the file has. */
static int check_mtu(const struct txn *txn, const struct live *before, struct live *wanted)
{
	if (wanted->mtu >= MIN_IPV6_MTU || before->mtu < MIN_IPV6_MTU)
		return 0;
	if (!txn->ipv6_off && txn_uses_ipv6(txn->conf, &wanted->wg))
		return txn_fail(1, txn, "MTU %u takes IPv6 away from the interface, and the file has IPv6; expected 1280 or more, or `down' and `up'", wanted->mtu);
	(void)drop_ipv6(wanted);
	return 0;
}

/* Those that nobody asked for: for a default route that is new, as `up' has it. */
static int choose_mark(struct txn *txn, const struct live *before, struct live *wanted, uint32_t *ret_auto_fwmark)
{
	bool defaults = default_comes(before, wanted, AF_INET) || default_comes(before, wanted, AF_INET6);
	uint32_t automatic = before->wg.fwmark == wanted->wg.fwmark ? txn->journal.auto_fwmark : 0;

	if (txn->conf->table == TABLE_AUTO && !wanted->wg.fwmark && defaults) {
		int r = txn_pick_mark(txn, &automatic);

		if (r < 0)
			return txn_fail(1, txn, "cannot find a mark: %s", strerror(-r));
		wanted->wg.fwmark = automatic;
	}
	*ret_auto_fwmark = automatic;
	return 0;
}

int reload_complete(struct txn *txn, const struct live *before, struct live *wanted, uint32_t *ret_auto_fwmark)
{
	int status = 0;

	if (txn_learn_ipv6(txn) < 0)
		return txn_fail(1, txn, "out of memory");
	if (txn->ipv6_off)
		status = leave_ipv6_out(txn, wanted);
	if (!status && !wanted->mtu)
		status = txn_choose_mtu(txn, &wanted->wg, &wanted->mtu);
	if (!status)
		status = check_mtu(txn, before, wanted);
	if (!status)
		status = choose_mark(txn, before, wanted, ret_auto_fwmark);
	return status ? status : check_rules(txn, before, wanted);
}
