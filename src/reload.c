/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reload.h"

#include <linux/rtnetlink.h>
#include <stdarg.h>

#include "applied.h"
#include "dns.h"
#include "log.h"
#include "tunnel.h"

/* ---- what it has ---- */

struct route_list {
	struct live *live;
	unsigned int ifindex;
};

static int collect_route(void *arg, const struct rt_route *route)
{
	struct route_list *list = arg;
	struct live_route has = { .dst = route->dst, .table = route->table };

	/* The kernel's own come and go with the addresses. One for a type of service stands beside others. */
	if (route->oif != list->ifindex || route->protocol == RTPROT_KERNEL || route->type != RTN_UNICAST || route->tos)
		return 0;
	prefix_mask(&has.dst);
	if (!rt_route_is_plain(route)) {
		has.special = true;
		has.more = route->more;
		has.metric = route->metric == rt_default_metric(route->dst.family) ? 0 : route->metric;
		has.protocol = route->protocol;
		has.scope = route->scope;
		has.gateway = route->gateway;
		has.source = route->source;
	}
	return live_put_route(list->live, &has);
}

static int read_live(struct txn *txn, struct live *live)
{
	struct route_list list = { live, txn->journal.ifindex };
	struct rt_link link;
	int r;

	r = rt_link_get(txn->target, NULL, txn->journal.ifindex, &link);
	if (r < 0)
		return r;
	live->mtu = link.mtu;
	r = tunnel_wg_read(txn, &live->wg);
	/* One with a peer is somebody's own, and could not be added again as it was. */
	if (r == 0)
		r = rt_addresses_own(txn->target, txn->journal.ifindex, &live->addresses, &live->n_addresses);
	if (r == 0)
		r = rt_routes(txn->target, AF_INET, collect_route, &list);
	if (r == 0)
		r = rt_routes(txn->target, AF_INET6, collect_route, &list);
	return r;
}

int reload_read(struct txn *txn, struct live *ret_live)
{
	struct live live = { 0 };
	int r = read_live(txn, &live);

	if (r < 0)
		live_free(&live);
	else
		*ret_live = live;
	return r;
}

/* ---- what it gets ---- */

/*
 * An address may take others along (the secondary ones of its network) and routes (with the last
 * of its family, or of an MTU too small for IPv6): they come back in a further pass.
 */
#define PASSES 4

static int add_addresses(struct txn *txn, const struct live_changes *c, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++) {
		char text[PREFIX_TEXT_LEN];
		int r = rt_address_add(txn->target, txn->journal.ifindex, &c->addresses_added[i]);

		if (r < 0 && r != -EEXIST)
			return txn_fail(EXIT_KERNEL, txn, "cannot add address %s: %s", format_prefix(&c->addresses_added[i], text), rt_why(txn->target, r));
	}
	return 0;
}

/* Which of them must be gone before others are added: IPv6 cannot have one address with two lengths. */
static bool goes_first(const struct live_changes *c, const struct prefix *address)
{
	return address->family == AF_INET6 || live_moves_address(c, address);
}

/* The last that came is the first, so that no secondary one takes the place of its primary one. */
static int drop_addresses(struct txn *txn, const struct live_changes *c, bool first)
{
	for (size_t i = c->n_addresses_dropped; i-- > 0;) {
		char text[PREFIX_TEXT_LEN];
		int r;

		if (goes_first(c, &c->addresses_dropped[i]) != first)
			continue;
		r = rt_address_del(txn->target, txn->journal.ifindex, &c->addresses_dropped[i]);
		/* -ENXIO: a small MTU has taken all of IPv6 away. */
		if (r < 0 && r != -EADDRNOTAVAIL && r != -ENXIO)
			return txn_fail(EXIT_KERNEL, txn, "cannot delete address %s: %s", format_prefix(&c->addresses_dropped[i], text), rt_why(txn->target, r));
	}
	return 0;
}

/*
 * IPv4 loses all its routes with the last address: what is new comes before any goes, as far as that keeps the order.
 * Where that was in vain, as the new one was a secondary one and went along, the `gentle` way is not tried again.
 */
static int change_addresses(struct txn *txn, const struct live_changes *c, bool gentle)
{
	size_t early = 0;
	int status;

	while (gentle && early < c->n_addresses_added && !goes_first(c, &c->addresses_added[early]))
		early++;
	status = add_addresses(txn, c, 0, early);
	if (!status)
		status = drop_addresses(txn, c, true);
	return status ? status : add_addresses(txn, c, early, c->n_addresses_added);
}

static int drop_routes(struct txn *txn, const struct live_changes *c)
{
	for (size_t i = 0; i < c->n_routes_dropped; i++) {
		const struct live_route *route = &c->routes_dropped[i];
		char text[PREFIX_TEXT_LEN];
		int r = rt_route_del(txn->target, txn->journal.ifindex, &route->dst, route->table);

		if (r < 0 && r != -ESRCH)
			return txn_fail(EXIT_KERNEL, txn, "cannot delete route %s: %s", format_prefix(&route->dst, text), rt_why(txn->target, r));
	}
	return 0;
}

/* In order of table: each table's in one batch. */
static int add_routes(struct txn *txn, const struct live_changes *c)
{
	_cleanup_free_ struct prefix *batch = calloc(c->n_routes_added + 1, sizeof(*batch));

	if (!batch)
		return txn_fail(1, txn, "out of memory");
	for (size_t i = 0; i < c->n_routes_added;) {
		uint32_t table = c->routes_added[i].table;
		char text[PREFIX_TEXT_LEN];
		size_t n = 0, failed = 0;
		int r;

		for (; i < c->n_routes_added && c->routes_added[i].table == table; i++)
			if (!c->routes_added[i].special)
				batch[n++] = c->routes_added[i].dst;
		r = rt_routes_add(txn->target, txn->journal.ifindex, batch, n, table, &failed);
		if (r < 0)
			return txn_fail(EXIT_KERNEL, txn, "cannot add route %s: %s", format_prefix(&batch[failed < n ? failed : 0], text), rt_why(txn->target, r));
	}
	return 0;
}

/* Somebody's own, which went with an address. One whose source went for good cannot come back. */
static void return_special_routes(struct txn *txn, const struct live_changes *c, bool last)
{
	for (size_t i = 0; i < c->n_routes_added; i++) {
		const struct live_route *lost = &c->routes_added[i];
		const struct rt_route route = { .dst = lost->dst, .table = lost->table, .oif = txn->journal.ifindex, .metric = lost->metric,
			.protocol = lost->protocol, .scope = lost->scope, .gateway = lost->gateway, .source = lost->source };
		char text[PREFIX_TEXT_LEN];
		int r = lost->special ? rt_route_add_as(txn->target, &route) : 0;

		if (r < 0 && last)
			log_warn("%s: route %s, which is not its file's, went with an address: %s", txn->journal.iface, format_prefix(&lost->dst, text),
				 rt_why(txn->target, r));
		else if (r == 0 && lost->special && lost->more)
			log_warn("%s: route %s, which is not its file's, went with an address, and is back without some of its attributes", txn->journal.iface,
				 format_prefix(&lost->dst, text));
	}
}

static int apply(struct txn *txn, const struct live_changes *c, int pass)
{
	int r, status;

	/* First: with one below 1280 there is no IPv6 to be given addresses. */
	r = c->mtu ? rt_link_set_mtu(txn->target, txn->journal.ifindex, c->mtu) : 0;
	if (r < 0)
		return txn_fail(EXIT_KERNEL, txn, "cannot set MTU %u: %s", c->mtu, rt_why(txn->target, r));
	status = change_addresses(txn, c, pass == 0);
	if (!status && c->wg_changed) {
		r = tunnel_wg_apply(txn, &c->wg);
		if (r < 0)
			status = txn_fail(1, txn, "Unable to modify interface: %s", strerror(-r));
	}
	if (!status)
		status = drop_routes(txn, c);
	if (!status)
		status = drop_addresses(txn, c, false);
	if (!status)
		status = add_routes(txn, c);
	if (!status)
		return_special_routes(txn, c, pass == PASSES - 1);
	return status;
}

static void trace_line(void *arg, const char *text)
{
	(void)arg;
	log_trace("%s", text);
}

static int bring_to(struct txn *txn, const struct live *wanted)
{
	int status = 0;

	for (int pass = 0; pass < PASSES && !status; pass++) {
		_cleanup_live_changes_ struct live_changes changes = { 0 };
		_cleanup_live_ struct live now = { 0 };
		int r = reload_read(txn, &now);

		if (r == 0)
			r = live_diff(&now, wanted, &changes);
		if (r < 0)
			return txn_fail(1, txn, "Unable to access interface: %s", strerror(-r));
		if (live_changes_empty(&changes))
			return 0;
		if (pass == 0)
			live_changes_print(&changes, txn->journal.iface, trace_line, NULL);
		status = apply(txn, &changes, pass);
	}
	return status;
}

/* ---- DNS ---- */

static int write_dns(struct txn *txn, const struct conf *conf)
{
	struct ns_record record = { 0 };
	_cleanup_fd_ int lock = -1;
	const char *what;
	size_t tunnels;
	int r, ours;

	r = journal_lock_shared(&lock);
	if (r == 0)
		r = dns_take_items(conf, &txn->journal.dns);
	if (r == 0)
		r = ns_record_load(txn->journal.cookie, &record);
	/* As `up' does it: somebody else's namespace takes search domains with a server only. */
	if (r == 0 && !record.made && !dns_names_server(&txn->journal.dns))
		strv_free(&txn->journal.dns);
	if (r == 0)
		r = journal_save(&txn->journal);
	if (r < 0) {
		ns_record_free(&record);
		return r;
	}
	ours = record.made ? 1 : dns_is_ours(&record);
	/* Somebody else's namespace may have had no need of our files until now. */
	if (ours == 0 && dns_names_server(&txn->journal.dns)) {
		r = dns_prepare(&record, &what);
		ours = 1;
	}
	if (ours < 0)
		r = ours;
	if (r == 0)
		r = ours ? txn_write_dns(&record, txn->journal.cookie, NULL, &tunnels) : dns_unprepare(&record);
	ns_record_free(&record);
	return r;
}

static int apply_dns(struct txn *txn, const struct conf *conf)
{
	_cleanup_free_ char *dir = NULL;
	int r = dns_dir_of(&txn->journal, &dir);

	if (r == 0) {
		log_trace("install -m 644 /dev/fd/63 %s/resolv.conf", dir);
		r = write_dns(txn, conf);
	}
	if (r == 0 && conf->n_dns && !txn->journal.dns.n)
		txn_warn_no_server(txn, txn->journal.ns_path ? txn->journal.ns_path : "(unnamed)");
	return r < 0 ? txn_fail(1, txn, "cannot write %s/resolv.conf: %s", dir ? dir : "", strerror(-r)) : 0;
}

/* ---- all or nothing ---- */

bool reload_interrupted(const struct journal *j)
{
	/* A down that failed since may have noted a room for its hooks after it. */
	return journal_has(j, UNDO_RELOAD);
}

static int restore(void *arg)
{
	struct txn *txn = arg;
	_cleanup_live_ struct live before = { 0 };
	CLEANUP(conf_free) struct conf outline = { 0 };
	int first = before_load(&txn->journal, &before), r;

	/* The note is written after the file, and goes before it. */
	if (first == -ENOENT)
		return 0;
	if (first == 0 && bring_to(txn, &before))
		first = -EIO;
	/* It still is the one from before. */
	r = applied_load(&txn->journal, &outline);
	if (r == 0)
		r = write_dns(txn, &outline);
	return first < 0 ? first : r;
}

int reload_undo(struct txn *txn, const struct undo *undo)
{
	int r;

	(void)undo;
	/* Without the device there is nothing to be restored, nor when that is about to go. */
	r = txn->journal.state == JOURNAL_UP ? tunnel_alive(txn) : 0;
	if (r > 0)
		r = ns_call(txn->target_fd, restore, txn);
	if (r == 0)
		before_remove(&txn->journal);
	return r;
}

static int take_steps(struct txn *txn, const struct reload *reload)
{
	int status = bring_to(txn, reload->wanted);

	if (!status && reload->dns)
		status = apply_dns(txn, txn->conf);
	if (!status)
		status = txn_close(txn);
	return status;
}

static int commit(struct txn *txn, const struct reload *reload)
{
	struct journal *j = &txn->journal;
	int r;

	/* With the note gone from the same journal that names the new outline. */
	j->n_undo--;
	j->auto_fwmark = reload->auto_fwmark;
	if (reload->wanted->wg.listen_port != reload->before->wg.listen_port)
		j->auto_listen_port = 0;
	if (reload->wanted->wg.has_private_key)
		wg_public_key(&reload->wanted->wg.private_key, &j->public_key);
	r = applied_save(j, txn->conf);
	if (r == 0)
		before_remove(j);
	return r;
}

int txn_reload(struct txn *txn, const struct reload *reload)
{
	const struct journal old = txn->journal;
	struct live before = *reload->before;
	int status = 0, r;

	/* A private key that stays as it is has no business in a file. */
	if (key_equal_clamped(&reload->before->wg.private_key, &reload->wanted->wg.private_key)) {
		before.wg.has_private_key = false;
		explicit_bzero(&before.wg.private_key, sizeof(before.wg.private_key));
	}
	r = before_save(&txn->journal, &before);
	explicit_bzero(&before, sizeof(before));
	if (r == 0)
		r = journal_note(&txn->journal, UNDO_RELOAD, 0, 0, 0);
	if (r < 0) {
		before_remove(&txn->journal);
		return txn_fail(1, txn, "cannot write the journal: %s", strerror(-r));
	}
	status = take_steps(txn, reload);
	if (!status) {
		r = commit(txn, reload);
		if (r == 0)
			return 0;
		status = txn_fail(1, txn, "cannot write the journal: %s", strerror(-r));
		txn->journal.n_undo++;
		txn->journal.auto_fwmark = old.auto_fwmark;
		txn->journal.auto_listen_port = old.auto_listen_port;
		txn->journal.public_key = old.public_key;
	}
	r = txn_undo(txn, 1U << UNDO_RELOAD);
	if (r < 0)
		log_error("%s: could not undo the reload: %s; `%s recover' tries again", txn->journal.iface, strerror(-r), log_program());
	return status;
}
