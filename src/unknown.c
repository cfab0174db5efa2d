/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unknown.h"

#include "applied.h"
#include "dns.h"
#include "log.h"
#include "nl.h"
#include "room.h"

static const char *name_of(const struct ns_record *record)
{
	return record->name ? record->name : "(unnamed)";
}

/* By whatever name, and in whoever's namespace: it may be at work. */
static int look_at_link(void *arg, const struct rt_link *link)
{
	char *found = arg;

	if (!rt_link_is_tunnel(link))
		return 0;
	strcpy(found, link->name);
	return 1;
}

int unknown_was_in(const struct ns_record *record)
{
	struct strv names = { 0 };
	int r = journal_set_aside_names(record->cookie, &names);
	bool any = r == 0 && names.n > 0;

	strv_free(&names);
	return r < 0 ? r : any;
}

/* What may be one, where no other tunnel is left: 1, 0 or -errno. */
static int find(int ns_fd, const struct ns_record *record, char ret_iface[IFNAMSIZ])
{
	_cleanup_rt_ struct rt *rt = NULL;
	int r = unknown_was_in(record);

	if (r <= 0)
		return r;
	r = rt_open_in(ns_fd, &rt);
	return r < 0 ? r : rt_links(rt, look_at_link, ret_iface);
}

int unknown_is_in(int ns_fd, const struct ns_record *record)
{
	char iface[IFNAMSIZ];
	int r = find(ns_fd, record, iface);

	if (r > 0)
		log_note("network namespace %s stays as it is: `%s' is in it, and a tunnel's journal could not be read", name_of(record), iface);
	return r;
}

bool unknown_is_gone(const struct ns_record *record)
{
	_cleanup_fd_ int fd = -1;
	char iface[IFNAMSIZ];
	int r = record->name ? ns_record_open(record, &fd) : -ENOENT;

	return r == 0 || (r > 0 && find(fd, record, iface) == 0);
}

/* ---- the way out ---- */

struct way_out {
	const char *iface;
	int at_hand; /* the namespace that the user named, or stands in */
	ns_cookie cookie;
	bool here_alone;
};

static void tell(const struct way_out *way, const struct ns_record *record, bool named)
{
	if (!named)
		log_note("%s: its journal could not be read; `ip link del %s' inside its network namespace takes the interface away, but not its rules and its nftables table",
			 way->iface, way->iface);
	else if (record->made)
		log_note("%s: its journal could not be read; `ip -n %s link del %s' takes the interface away, and `%s recover' the namespace, once nobody is in it",
			 way->iface, record->name, way->iface, log_program());
	else
		log_note("%s: its journal could not be read; `ip -n %s link del %s' takes the interface away, but not its rules and its nftables table", way->iface,
			 record->name, way->iface);
}

static int tell_way_out(void *arg, struct ns_record *record)
{
	const struct way_out *way = arg;
	_cleanup_rt_ struct rt *rt = NULL;
	_cleanup_fd_ int fd = -1;
	bool named = record->name && ns_record_open(record, &fd) > 0, here = record->cookie == way->cookie;
	struct rt_link link;

	if (!here && (way->here_alone || !named))
		return 0;
	if (journal_was_set_aside(way->iface, record->cookie) && rt_open_in(here ? way->at_hand : fd, &rt) == 0 && rt_link_get(rt, way->iface, 0, &link) == 0 &&
	    rt_link_is_tunnel(&link))
		tell(way, record, named);
	return 0;
}

void unknown_tell_way_out(const char *iface, int ns_fd)
{
	struct way_out way = { .iface = iface, .at_hand = ns_fd, .here_alone = ns_fd >= 0 };
	_cleanup_fd_ int own = -1;

	if (ns_fd < 0 && ns_open("/proc/self/ns/net", &own) == 0)
		way.at_hand = own;
	if (way.at_hand >= 0 && ns_get_cookie(way.at_hand, &way.cookie) == 0)
		(void)ns_record_each(tell_way_out, &way);
}

/* ---- once they are gone ---- */

/* Which those are, nobody knows. They went with the namespace, if that is gone. */
static void tell_left(const struct ns_record *record, const char *iface)
{
	_cleanup_fd_ int fd = -1;

	if (!record->made && (!record->name || ns_record_open(record, &fd) > 0))
		log_note("%s: rules and the nftables table wg-quick-%s, if it had any, stay in network namespace %s, which is not ours", iface, iface, name_of(record));
}

int unknown_leave(const struct ns_record *record)
{
	struct strv names = { 0 };
	int first = journal_set_aside_names(record->cookie, &names), r;

	/* No journal notes any of it. */
	for (size_t i = 0; i < names.n; i++) {
		r = room_unpin(names.v[i], record->cookie);
		if (r == 0 || r == -ENOENT)
			r = applied_remove_unknown(names.v[i], record->cookie);
		if (r == 0)
			r = journal_forget_set_aside(names.v[i], record->cookie);
		if (r == 0)
			tell_left(record, names.v[i]);
		else if (first == 0)
			first = r;
	}
	strv_free(&names);
	return first;
}

void unknown_sweep(struct ns_record *record, bool superseded)
{
	const struct strv nothing = { 0 };
	int r = superseded ? 0 : dns_is_ours(record);

	log_note("network namespace %s: undoing what a tunnel left whose journal could not be read", name_of(record));
	if (r > 0)
		r = dns_write(record, &nothing);
	/* What the last tunnel could not note. */
	record->kept = true;
	if (r == 0)
		r = ns_record_save(record);
	if (r == 0)
		r = unknown_leave(record);
	if (r < 0)
		log_warn("network namespace %s: cannot undo all that a tunnel left there: %s", name_of(record), strerror(-r));
}
