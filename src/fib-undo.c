/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fib-undo.c - one event taken back at once, without a dump; and how a message of a
 * snapshot is sent back at all.
 */
#include "fib-msg.h"

#include <linux/if_addr.h>

int fib_send(struct fib *f, const struct nlmsghdr *m, int64_t ms, bool add)
{
	static const struct {
		uint16_t add, delete, flags;
	} how[FIB_KINDS] = {
		[FIB_ADDRESS] = { RTM_NEWADDR, RTM_DELADDR, NLM_F_REPLACE },
		[FIB_NEXTHOP] = { RTM_NEWNEXTHOP, RTM_DELNEXTHOP, NLM_F_REPLACE },
		/* Without APPEND an IPv4 route goes before its equals, and an IPv6 one is refused. */
		[FIB_ROUTE] = { RTM_NEWROUTE, RTM_DELROUTE, NLM_F_APPEND },
		/* Without EXCL a rule that is there already would be there twice. */
		[FIB_RULE] = { RTM_NEWRULE, RTM_DELRULE, NLM_F_EXCL },
	};
	struct fib_out out;
	struct fib_view v;

	if (fib_view(m, &v) < 0 || v.kind == FIB_LINK)
		return -EBADMSG;
	fib_scrub(m, &v, add ? FIB_FORM_ADD : FIB_FORM_DELETE, ms, &out);
	return fib_queue(f, (const struct nlmsghdr *)out.data, add ? how[v.kind].add : how[v.kind].delete,
			 add ? NLM_F_CREATE | how[v.kind].flags : 0);
}

/* Does the group have this very object? */
static bool group_has(const struct fib_snapshot *s, const struct fib_group *g, uint64_t hash)
{
	for (size_t at = g->offset; at < g->end; at += record_size(record_at(s, at))) {
		struct fib_view v;

		if (fib_view(record_at(s, at), &v) == 0 && fib_hash_message(record_at(s, at), &v) == hash)
			return true;
	}
	return false;
}

static int undo(struct fib *f, const struct fib_snapshot *before, const struct fib_group *g, const struct nlmsghdr *extra)
{
	int r = extra ? fib_send(f, extra, 0, false) : 0;

	if (r == 0 && g->n)
		r = fib_send(f, record_at(before, g->offset), fib_now() - before->taken, true);
	f->error = 0;
	if (r == 0)
		r = fib_flush(f);
	if (r < 0)
		return r;
	return f->error < 0 ? f->error : 1;
}

/* The stopgaps of the group's routes from RAs, after `extra` (may be NULL) is deleted. 2 or -errno; 0 if there are none. */
static int undo_ra(struct fib *f, const struct fib_snapshot *before, const struct fib_group *g, const struct nlmsghdr *extra)
{
	bool any = false;
	int r = 0;

	for (size_t at = g->offset; r == 0 && at < g->end; at += record_size(record_at(before, at))) {
		const struct nlmsghdr *m = record_at(before, at);

		if (!(((const struct rtmsg *)NLMSG_DATA(m))->rtm_flags & FIB_RTM_RA))
			continue;
		if (!any && extra)
			r = fib_send(f, extra, 0, false);
		any = true;
		if (r == 0 && fib_ra_is_due(m, fib_now() - before->taken))
			r = fib_ra_stopgap(f, before, m);
	}
	if (r == 0)
		r = fib_flush(f);
	return r < 0 ? r : any ? 2 : 0;
}

int fib_undo(struct fib *f, struct fib_snapshot *before, const struct nlmsghdr *event)
{
	enum fib_kind kind = fib_kind_of(event->nlmsg_type);
	struct fib_group g = { 0 };
	struct fib_view v;
	bool known, new;
	int r;

	/* A link event is not in the reduced form; addresses and nexthop objects take routes with them unseen. */
	if (kind != FIB_ROUTE && kind != FIB_RULE)
		return 2;
	r = fib_view(event, &v);
	if (r < 0)
		return r;
	r = fib_snapshot_index(before);
	if (r < 0)
		return r;
	new = event->nlmsg_type == RTM_NEWROUTE || event->nlmsg_type == RTM_NEWRULE;
	if (kind == FIB_ROUTE && before->n_ra) {
		/* Our own, that is, or fib_restore() sees to it. */
		if (new && fib_ra_is_stopgap(before, NULL, event, &v))
			return 2;
		/* A new one may be the kernel's own again, or look like it. */
		if (new && fib_ra_find(before, event, &v))
			return 2;
		if (fib_group_find(before, fib_hash_group(event, &v), &g) == 0) {
			r = !new && !fib_ra_find(before, event, &v) ? 0 : undo_ra(f, before, &g, new ? event : NULL);
			if (r != 0)
				return r;
		}
	}
	if (fib_may_be_kernel_managed(before, event, &v))
		return 2;
	if (kind == FIB_ROUTE) {
		const struct rtmsg *h = NLMSG_DATA(event);

		if (h->rtm_flags & RTM_F_CLONED)
			return 0;
		/* What the kernel adds follows from a link or an address; and see can_delete(). */
		if (h->rtm_protocol == RTPROT_KERNEL && (new || fib_is_host_route6(event, &v)))
			return 2;
	}
	if (fib_group_find(before, fib_hash_group(event, &v), &g) < 0)
		g.n = 0;
	known = g.n && group_has(before, &g, fib_hash_message(event, &v));
	if (new) {
		if (known)
			return g.n > 1 ? 2 : 0;
		r = undo(f, before, g.n == 1 ? &g : &(struct fib_group){ 0 }, event);
		/* Of rules of one preference the kernel may have deleted another: it does not compare all attributes (fib_nl_delrule()). */
		return r < 0 ? r : g.n > 1 || (g.n && kind == FIB_RULE) ? 2 : r;
	}
	if (!known)
		return 0;
	return g.n > 1 ? 2 : undo(f, before, &g, NULL);
}
