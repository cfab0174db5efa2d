/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fib-plan.h"

#include <linux/if_addr.h>
#include <sys/socket.h>

static int add_action(struct restore *r, enum phase phase, const struct nlmsghdr *m, int64_t ms)
{
	struct action *a = GROW(r->todo[phase].v, r->todo[phase].n);

	if (!a)
		return -ENOMEM;
	*a = (struct action){ m, ms };
	return 0;
}

static bool is_concern(struct restore *r, const struct fib_object *o)
{
	if (r->concern && !r->concern(r->arg, o))
		return false;
	r->differences++;
	return true;
}

/* Can a request bring this object back? */
static bool can_add(const struct fib_object *o)
{
	struct fib_view v;

	/* A route from an RA has a way of its own: fib-ra.c. */
	if (o->kind == FIB_ROUTE)
		return !o->kernel_managed;
	/* IFA_F_TEMPORARY cannot be set either (RFC 8981): it would become a lasting address. */
	if (o->kind == FIB_ADDRESS && o->family == AF_INET6)
		return fib_view(o->before, &v) == 0 && !(fib_address_flags(o->before, &v) & IFA_F_TEMPORARY);
	return true;
}

/* May this object of the present be deleted? What the kernel keeps for a new link goes with the link. */
static bool can_delete(const struct restore *r, const struct nlmsghdr *m)
{
	struct fib_view v;

	if (fib_view(m, &v) < 0 || fib_is_kernel_managed(r->now, m, &v))
		return false;
	if (!v.ifindex || fib_snapshot_link(r->before, v.ifindex))
		return true;
	if (v.kind == FIB_ROUTE)
		return ((const struct rtmsg *)NLMSG_DATA(m))->rtm_protocol != RTPROT_KERNEL;
	return !(v.kind == FIB_ADDRESS && v.family == AF_INET6 &&
		 ((const struct ifaddrmsg *)NLMSG_DATA(m))->ifa_scope == RT_SCOPE_LINK);
}

static int plan_link(struct restore *r, const struct fib_pair *p)
{
	bool changed = p->n_before && p->n_after;
	struct fib_object o;

	if (!fib_pair_object(p, p->n_before ? 0 : SIZE_MAX, p->n_after ? 0 : SIZE_MAX,
			     changed ? FIB_CHANGED : p->n_before ? FIB_REMOVED : FIB_ADDED, &o) ||
	    !is_concern(r, &o))
		return 0;
	/* A deleted link cannot be made again, and one that is new is somebody's. Another kind: another link. */
	if (!changed || (o.link_changed & FIB_LINK_KIND))
		return 0;
	r->unsettled = true;
	if (!GROW(r->links, r->n_links))
		return -ENOMEM;
	r->links[r->n_links - 1].before = fib_link(o.before);
	r->links[r->n_links - 1].now = fib_link(o.after);
	r->links[r->n_links - 1].changed = o.link_changed;
	return 0;
}

static int want(struct restore *r, const struct nlmsghdr *m, int64_t ms, size_t now)
{
	struct wanted *w = GROW(r->wanted, r->n_wanted);

	if (!w)
		return -ENOMEM;
	*w = (struct wanted){ m, ms, now };
	return 0;
}

/*
 * A route from an RA is missing, or `changed` (may be NULL) stands in its place. It is put
 * on the list, and what stands in its place goes: `ret_goes`.
 */
static int want_ra(struct restore *r, const struct nlmsghdr *m, const struct nlmsghdr *changed, bool *ret_goes)
{
	struct fib_view v;

	*ret_goes = changed && can_delete(r, changed);
	if (!r->before->ra_known || fib_view(m, &v) < 0 || fib_ra_find(r->now, m, &v) || !fib_ra_is_due(m, r->age))
		return 0;
	if (!GROW(r->ra, r->n_ra))
		return -ENOMEM;
	r->ra[r->n_ra - 1] = m;
	return 0;
}

/*
 * What the group should consist of: `before`, but for what is no concern or cannot be
 * brought back, then what is new and may stay. `ret_ordered`: the order is to be put right as well.
 */
static int plan_wanted(struct restore *r, const struct fib_pair *p, bool *ret_ordered)
{
	struct fib_object o;
	struct fib_view v;
	int err = 0;

	r->n_wanted = 0;
	free(r->wanted);
	r->wanted = NULL;
	*ret_ordered = false;
	for (size_t b = 0; err == 0 && b < p->n_before; b++) {
		size_t same = p->same_after[b], changed = p->changed_after[b];
		bool goes = false;

		if (same != SIZE_MAX) {
			err = want(r, p->before[b], r->age, same);
			continue;
		}
		if (fib_pair_object(p, b, changed, changed == SIZE_MAX ? FIB_REMOVED : FIB_CHANGED, &o) &&
		    is_concern(r, &o)) {
			if (can_add(&o)) {
				err = want(r, p->before[b], r->age, SIZE_MAX);
				*ret_ordered = true;
				continue;
			}
			if (o.kind == FIB_ROUTE)
				err = want_ra(r, p->before[b], changed == SIZE_MAX ? NULL : p->after[changed], &goes);
		}
		if (goes)
			*ret_ordered = true;
		else if (err == 0 && changed != SIZE_MAX)
			err = want(r, p->after[changed], 0, changed);
	}
	for (size_t a = 0; err == 0 && a < p->n_after; a++) {
		if (p->same_before[a] != SIZE_MAX || p->changed_before[a] != SIZE_MAX)
			continue;
		if (fib_view(p->after[a], &v) == 0 && fib_ra_is_stopgap(r->before, r->now, p->after[a], &v))
			err = want(r, p->after[a], 0, a);
		else if (fib_pair_object(p, SIZE_MAX, a, FIB_ADDED, &o) && is_concern(r, &o) && can_delete(r, p->after[a]))
			*ret_ordered = true;
		else
			err = want(r, p->after[a], 0, a);
	}
	for (size_t b = 0; p->reordered && b < p->n_before; b++) {
		if (p->same_after[b] == SIZE_MAX || p->same_after[b] == b)
			continue;
		if (fib_pair_object(p, b, p->same_after[b], FIB_REORDERED, &o) && is_concern(r, &o))
			*ret_ordered = true;
		break;
	}
	return err;
}

static enum phase delete_phase(enum fib_kind kind)
{
	switch (kind) {
	case FIB_ADDRESS:
		return DELETE_ADDRESSES;
	case FIB_NEXTHOP:
		return DELETE_NEXTHOPS;
	case FIB_ROUTE:
		return DELETE_ROUTES;
	default:
		return DELETE_RULES;
	}
}

static enum phase add_phase(const struct nlmsghdr *m)
{
	struct fib_view v;

	if (fib_view(m, &v) < 0)
		return ADD_RULES;
	switch (v.kind) {
	case FIB_ADDRESS:
		return v.family == AF_INET6 ? ADD_ADDRESSES6 : ADD_ADDRESSES4;
	case FIB_NEXTHOP:
		return v.multipath ? ADD_NEXTHOP_GROUPS : ADD_NEXTHOPS;
	case FIB_ROUTE:
		return v.gateway || v.via || v.multipath || v.nh_id ? ADD_GATEWAY_ROUTES : ADD_ROUTES;
	default:
		return ADD_RULES;
	}
}

static bool has_kernel_route(const struct nlmsghdr **m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (((const struct rtmsg *)NLMSG_DATA(m[i]))->rtm_protocol == RTPROT_KERNEL)
			return true;
	}
	return false;
}

/*
 * The local route of an IPv6 address, metric 0, cannot be added by a request: a metric of
 * 0 means the default, 1024 (net/ipv6/route.c). The kernel adds it with the address, if
 * not at once (addrconf_dad_work()). One that does not come back although the address is
 * there was deleted by itself: then the address goes and comes.
 */
static int plan_host_route6(struct restore *r, const struct nlmsghdr *m)
{
	struct fib_view route, v;

	if (!r->impatient) {
		r->awaited++;
		return 0;
	}
	if (fib_view(m, &route) < 0 || !route.dst)
		return 0;
	for (size_t at = r->before->start[FIB_ADDRESS]; at < r->before->start[FIB_ADDRESS + 1];) {
		const struct nlmsghdr *address = record_at(r->before, at);
		const struct rtattr *local;

		at += record_size(address);
		if (fib_view(address, &v) < 0 || v.family != AF_INET6 || v.ifindex != route.ifindex)
			continue;
		local = v.src ? v.src : v.dst;
		if (!local || RTA_PAYLOAD(local) != RTA_PAYLOAD(route.dst) ||
		    memcmp(RTA_DATA(local), RTA_DATA(route.dst), RTA_PAYLOAD(local)) != 0 ||
		    fib_is_kernel_managed(r->before, address, &v))
			continue;
		if (add_action(r, DELETE_ADDRESSES, address, 0) < 0)
			return -ENOMEM;
		return add_action(r, ADD_ADDRESSES6, address, r->age);
	}
	return 0;
}

int fib_plan_pair(void *arg, const struct fib_pair *p)
{
	struct restore *r = arg;
	bool in_place = r->round == 0 && (p->kind == FIB_ADDRESS || p->kind == FIB_NEXTHOP);
	size_t keep = 0, na = p->n_after, nw;
	enum phase phase = PHASES;
	bool ordered, at_front;
	struct fib_view v;
	int err;

	if (p->kind == FIB_LINK)
		return plan_link(r, p);
	err = plan_wanted(r, p, &ordered);
	if (err < 0 || !ordered)
		return err;
	if (p->kind == FIB_ADDRESS || p->kind == FIB_NEXTHOP)
		r->unsettled = true;
	if (p->kind == FIB_ROUTE && r->round == 0 && r->unsettled &&
	    (has_kernel_route(p->before, p->n_before) || has_kernel_route(p->after, p->n_after)))
		return 0;
	/*
	 * The members that stand where they should stay. All others go and come again in
	 * order: a member can only be added at the end, of IPv6 addresses at the beginning.
	 */
	if (fib_view(p->n_before ? p->before[0] : p->after[0], &v) < 0)
		return -EBADMSG;
	at_front = v.kind == FIB_ADDRESS && v.family == AF_INET6;
	in_place = in_place || p->kind == FIB_NEXTHOP || fib_is_host_route6(p->n_before ? p->before[0] : p->after[0], &v);
	nw = r->n_wanted;
	while (!in_place && keep < nw && keep < na &&
	       (at_front ? r->wanted[nw - 1 - keep].now == na - 1 - keep : r->wanted[keep].now == keep))
		keep++;
	for (size_t i = keep; err == 0 && i < na; i++) {
		size_t a = at_front ? i - keep : i;
		bool stays = false;

		for (size_t w = 0; in_place && !stays && w < nw; w++)
			stays = r->wanted[w].now == a;
		/* What is replaced under its own key needs no deletion, at first. */
		if (r->round == 0 && p->changed_before[a] != SIZE_MAX &&
		    (p->kind == FIB_ADDRESS || p->kind == FIB_NEXTHOP))
			stays = true;
		if (!stays && can_delete(r, p->after[a]))
			err = add_action(r, delete_phase(p->kind), p->after[a], 0);
	}
	for (size_t i = keep; err == 0 && i < nw; i++) {
		const struct wanted *it = &r->wanted[at_front ? i - keep : i];

		if (it->now != SIZE_MAX && (in_place || !can_delete(r, it->m)))
			continue;
		/* A group stays together: the order of its members counts. */
		if (phase == PHASES || add_phase(it->m) > phase)
			phase = add_phase(it->m);
	}
	for (size_t i = keep; err == 0 && i < nw; i++) {
		const struct wanted *it = &r->wanted[at_front ? i - keep : i];

		if (it->now == SIZE_MAX && p->kind == FIB_ROUTE && fib_view(it->m, &v) == 0 &&
		    fib_is_host_route6(it->m, &v) && v.priority == 0)
			err = plan_host_route6(r, it->m);
		else if (it->now == SIZE_MAX || (!in_place && can_delete(r, it->m)))
			err = add_action(r, phase, it->m, it->ms);
	}
	return err;
}
