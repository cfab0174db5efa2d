/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unknown.h"

#include "applied.h"
#include "dns.h"
#include "log.h"
#include "nl.h"
#include "room.h"

struct search {
	bool made;
	struct strv names;
	char found[IFNAMSIZ];
};

/* Of a namespace that we made it is ours by whatever name; another's may have devices of its own. */
static int look_at_link(void *arg, const struct rt_link *link)
{
	struct search *search = arg;
	bool ours = search->made;

	for (size_t i = 0; i < search->names.n; i++)
		ours |= strcmp(search->names.v[i], link->name) == 0;
	if (!ours || !rt_link_is_tunnel(link))
		return 0;
	snprintf(search->found, sizeof(search->found), "%s", link->name);
	return 1;
}

/* One that is up, by its device. 1, 0 or -errno. */
static int find(int ns_fd, const struct ns_record *record, struct search *search)
{
	_cleanup_rt_ struct rt *rt = NULL;
	int r = journal_set_aside_names(record->cookie, &search->names);

	search->made = record->made;
	if (r == 0 && search->names.n) {
		r = rt_open_in(ns_fd, &rt);
		if (r == 0)
			r = rt_links(rt, look_at_link, search);
	}
	strv_free(&search->names);
	return r;
}

int unknown_is_in(int ns_fd, const struct ns_record *record)
{
	struct search search = { 0 };
	int r = find(ns_fd, record, &search);

	if (r > 0)
		log_note("network namespace %s stays as it is: `%s' is in it, whose journal could not be read", record->name ? record->name : "(unnamed)",
			 search.found);
	return r;
}

struct way_out {
	const char *iface;
	int ns_fd; /* -1: wherever it is */
};

static int tell_way_out(void *arg, struct ns_record *record)
{
	const struct way_out *way = arg;
	_cleanup_rt_ struct rt *rt = NULL;
	_cleanup_fd_ int fd = -1;
	struct rt_link link;

	if (!record->name || ns_record_open(record, &fd) <= 0 || (way->ns_fd >= 0 && !ns_same(way->ns_fd, fd)))
		return 0;
	if (!journal_was_set_aside(way->iface, record->cookie) || rt_open_in(fd, &rt) < 0 || rt_link_get(rt, way->iface, 0, &link) < 0 || !rt_link_is_tunnel(&link))
		return 0;
	if (record->made)
		log_note("%s: its journal could not be read; `ip -n %s link del %s' takes the interface away, and `%s recover' the namespace, once nobody is in it",
			 way->iface, record->name, way->iface, log_program());
	else
		log_note("%s: its journal could not be read; `ip -n %s link del %s' takes the interface away, but not its rules and its nftables table", way->iface,
			 record->name, way->iface);
	return 0;
}

void unknown_tell_way_out(const char *iface, int ns_fd)
{
	struct way_out way = { .iface = iface, .ns_fd = ns_fd };

	(void)ns_record_each(tell_way_out, &way);
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
		if (r < 0 && first == 0)
			first = r;
	}
	strv_free(&names);
	return first;
}

bool unknown_was_in(const struct ns_record *record)
{
	struct strv names = { 0 };
	bool any = journal_set_aside_names(record->cookie, &names) == 0 && names.n > 0;

	strv_free(&names);
	return any;
}

bool unknown_is_gone(const struct ns_record *record)
{
	struct search search = { 0 };
	_cleanup_fd_ int fd = -1;
	int r = record->name ? ns_record_open(record, &fd) : -ENOENT;

	return r == 0 || (r > 0 && find(fd, record, &search) == 0);
}

void unknown_sweep(struct ns_record *record, bool superseded)
{
	const struct strv nothing = { 0 };
	int r = superseded ? 0 : dns_is_ours(record);

	log_note("network namespace %s: undoing what a tunnel left whose journal could not be read", record->name);
	if (r > 0)
		r = dns_write(record, &nothing);
	/* What the last tunnel could not note. */
	record->kept = true;
	if (r == 0)
		r = ns_record_save(record);
	if (r == 0)
		r = unknown_leave(record);
	if (r < 0)
		log_warn("network namespace %s: cannot undo all that a tunnel left there: %s", record->name, strerror(-r));
}
