/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fib-restore.c - the way back to a snapshot.
 *
 * Nothing is sorted by what depends on what (a gateway needs a connected route, a
 * route its nexthop object, the object its link): the kernel refuses what cannot be yet, and the
 * next round of dump, compare, delete, add brings it. Two or three rounds do in practice.
 *
 * The first round is gentle: it changes addresses and nexthop objects in place, and
 * leaves to the kernel what the kernel adds by itself when a link or an address comes
 * back. Only what is then still wrong is deleted and added again. When nothing else is
 * left to do, the kernel is made to add what it has from router advertisements (fib-ra.c).
 */
#include "fib-msg.h"

#include <linux/if_addr.h>
#include <net/if.h>

#define MAX_ROUNDS 8
#define MAX_MS 2000
#define MAX_WAITS 50 /* of 1 ms, for the kernel's own work */

/* One request to come: a message of a snapshot, and how old that is. */
struct action {
	const struct nlmsghdr *m;
	int64_t ms;
};

/* In the order in which they are sent. */
enum phase {
	DELETE_RULES, /* first what does most harm: a rule catches every packet */
	DELETE_ADDRESSES,
	DELETE_ROUTES,
	DELETE_NEXTHOPS,
	ADD_ADDRESSES4, /* in the order of the dump: the first of a subnet is the primary one */
	ADD_ADDRESSES6, /* in reverse: the kernel puts a new one first */
	ADD_NEXTHOPS,
	ADD_NEXTHOP_GROUPS,
	ADD_ROUTES, /* without a gateway */
	ADD_GATEWAY_ROUTES,
	ADD_RULES,
	PHASES,
};

struct wanted {
	const struct nlmsghdr *m;
	int64_t ms;
	size_t now; /* its index among the members there are, or SIZE_MAX */
};

struct restore {
	struct fib *f;
	const struct fib_snapshot *before, *now;
	bool (*concern)(void *arg, const struct fib_object *o);
	void *arg;
	int round;
	int64_t age; /* of `before`, ms */
	size_t differences; /* that are a concern */
	bool unsettled; /* a link or an address is wrong: kernel routes will follow */
	size_t awaited; /* host routes of IPv6 addresses that the kernel has yet to add */
	bool impatient; /* it has not, for long enough */
	struct {
		struct action *v;
		size_t n;
	} todo[PHASES];
	struct {
		const struct fib_link *before, *now;
		unsigned int changed;
	} *links;
	size_t n_links;
	struct wanted *wanted;
	size_t n_wanted;
	void (*report)(void *arg, const char *text);
	const struct nlmsghdr **ra; /* of the kernel's own routes, the missing ones */
	size_t n_ra;
};

static void restore_clear(struct restore *r)
{
	for (int i = 0; i < PHASES; i++) {
		free(r->todo[i].v);
		r->todo[i].v = NULL;
		r->todo[i].n = 0;
	}
	free(r->links);
	r->links = NULL;
	r->n_links = 0;
	free(r->wanted);
	r->wanted = NULL;
	r->n_wanted = 0;
	free(r->ra);
	r->ra = NULL;
	r->n_ra = 0;
}

static void cleanup_restore(struct restore *r)
{
	restore_clear(r);
}

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

static int plan_pair(void *arg, const struct fib_pair *p)
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

/* One change of a link: an attribute, or flags. */
static int set_link(struct fib *f, uint32_t index, unsigned int flags, unsigned int change, uint16_t type,
		    const void *data, size_t len)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
		unsigned char attr[64];
	} m = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)) },
		.i = { .ifi_index = (int)index, .ifi_flags = flags, .ifi_change = change } };

	if (type) {
		struct rtattr *a = (struct rtattr *)m.attr;

		if (RTA_LENGTH(len) > sizeof(m.attr))
			return -EINVAL;
		*a = (struct rtattr){ .rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(len) };
		memcpy(RTA_DATA(a), data, len);
		m.h.nlmsg_len = NLMSG_ALIGN(m.h.nlmsg_len) + a->rta_len;
	}
	return fib_talk(f, &m.h, RTM_NEWLINK, 0);
}

static const struct fib_link *link_by_name(const struct fib_snapshot *s, const char *name)
{
	for (size_t at = s->start[FIB_LINK]; at < s->start[FIB_LINK + 1]; at += record_size(record_at(s, at))) {
		const struct fib_link *l = fib_link(record_at(s, at));

		if (!strcmp(l->name, name))
			return l;
	}
	return NULL;
}

/* As set_link() with an attribute, taking the link down where the kernel wants that (before Linux 6.2 for a name). */
static int set_link_attr(struct fib *f, const struct fib_link *now, bool *down, uint16_t type, const void *data, size_t len)
{
	int r = set_link(f, now->index, 0, 0, type, data, len);

	if (r != -EBUSY || !(now->flags & IFF_UP) || *down)
		return r;
	r = set_link(f, now->index, 0, IFF_UP, 0, NULL, 0);
	if (r < 0)
		return r;
	*down = true;
	return set_link(f, now->index, 0, 0, type, data, len);
}

static void rename_link(struct restore *r, const struct fib_link *before, const struct fib_link *now, bool *down)
{
	const struct fib_link *holder, *owner;
	char name[IF_NAMESIZE];

	if (set_link_attr(r->f, now, down, IFLA_IFNAME, before->name, strlen(before->name) + 1) != -EEXIST)
		return;
	/* Two links have changed names: one steps aside, and the next round finds the other's name free. */
	holder = link_by_name(r->now, before->name);
	owner = holder ? fib_snapshot_link(r->before, holder->index) : NULL;
	if (!owner || !strcmp(owner->name, holder->name))
		return;
	snprintf(name, sizeof(name), "nsq-%u", before->index);
	set_link_attr(r->f, now, down, IFLA_IFNAME, name, strlen(name) + 1);
}

static void restore_links(struct restore *r)
{
	for (size_t i = 0; i < r->n_links; i++) {
		const struct fib_link *b = r->links[i].before, *now = r->links[i].now;
		unsigned int what = r->links[i].changed;
		bool down = false;

		/* Refusals are not looked at: the next dump shows what is still wrong. */
		if (what & FIB_LINK_NAME)
			rename_link(r, b, now, &down);
		if ((what & FIB_LINK_LLADDR) && b->lladdr_len)
			set_link_attr(r->f, now, &down, IFLA_ADDRESS, b->lladdr, b->lladdr_len);
		if (what & FIB_LINK_MTU)
			set_link_attr(r->f, now, &down, IFLA_MTU, &b->mtu, sizeof(b->mtu));
		if (what & FIB_LINK_MASTER)
			set_link_attr(r->f, now, &down, IFLA_MASTER, &b->master, sizeof(b->master));
		if (what & FIB_LINK_GROUP)
			set_link_attr(r->f, now, &down, IFLA_GROUP, &b->group, sizeof(b->group));
		if (down || (what & (FIB_LINK_UP | FIB_LINK_NOARP)))
			set_link(r->f, now->index, b->flags, IFF_UP | IFF_NOARP, 0, NULL, 0);
	}
}

static int carry_out(struct restore *r)
{
	restore_links(r);
	for (int phase = 0; phase < PHASES; phase++) {
		size_t n = r->todo[phase].n;

		for (size_t i = 0; i < n; i++) {
			const struct action *a = &r->todo[phase].v[phase == ADD_ADDRESSES6 ? n - 1 - i : i];
			int err = fib_send(r->f, a->m, a->ms, phase >= ADD_ADDRESSES4);

			if (err < 0)
				return err;
		}
	}
	/* Those that are there already are refused. */
	for (size_t i = 0; i < r->n_ra; i++) {
		int err = fib_ra_stopgap(r->f, r->before, r->ra[i]);

		if (err < 0)
			return err;
	}
	return fib_flush(r->f);
}

static bool nothing_to_do(const struct restore *r)
{
	for (int phase = 0; phase < PHASES; phase++) {
		if (r->todo[phase].n)
			return false;
	}
	return r->n_links == 0;
}

static int report_left_object(void *arg, const struct fib_object *o)
{
	struct restore *r = arg;
	_cleanup_buf_ struct buf text = { 0 };

	if (r->concern && !r->concern(r->arg, o))
		return 0;
	fib_describe(o, &text);
	if (text.failed)
		return -ENOMEM;
	r->report(r->arg, text.data);
	return 0;
}

struct indexed {
	struct fib_snapshot s;
	bool owned; /* the index */
};

static void cleanup_indexed(struct indexed *i)
{
	if (i->owned)
		free(i->s.index);
}

int fib_restore(struct fib *f, const struct fib_snapshot *before,
		bool (*concern)(void *arg, const struct fib_object *o),
		void (*report_left)(void *arg, const char *text), void *arg)
{
	CLEANUP(cleanup_restore) struct restore r = {
		.f = f, .before = before, .concern = concern, .arg = arg, .report = report_left,
	};
	/* A copy, so that the index can be built: stopgaps are looked for in it. */
	CLEANUP(cleanup_indexed) struct indexed indexed = { *before, before->n_ra && !before->index };
	int64_t start = fib_now();
	uint64_t last = 0;
	int waits = 0;
	bool asked = false; /* the routers */

	if (indexed.owned && fib_snapshot_index(&indexed.s) < 0)
		return -ENOMEM;
	r.before = &indexed.s;
	for (r.round = 0;; r.round++) {
		_cleanup_fib_snapshot_ struct fib_snapshot *now = NULL;
		int err = fib_snapshot_take(f, &now);
		bool over;

		if (err < 0)
			return err;
		r.now = now;
		r.differences = 0;
		r.unsettled = false;
		r.awaited = 0;
		r.age = now->taken - before->taken;
		restore_clear(&r);
		err = fib_diff_pairs(r.before, now, plan_pair, &r);
		if (err < 0)
			return err;
		if (r.differences == 0)
			return 0;
		if (r.awaited && nothing_to_do(&r) && !r.impatient) {
			if (waits++ < MAX_WAITS) {
				usleep(1000);
				r.round--;
			} else {
				r.impatient = true;
				last = 0;
			}
			continue;
		}
		/* The gentle round does not count as no progress. */
		over = r.round >= MAX_ROUNDS || fib_now() - start > (r.n_ra && !asked ? MAX_MS / 2 : MAX_MS) || (r.round > 1 && now->sum == last);
		if (r.n_ra && !asked && (over || nothing_to_do(&r))) {
			err = carry_out(&r);
			if (err < 0)
				return err;
			start += fib_ra_bring_back(f, r.before, now, r.ra, r.n_ra);
			/* Some rounds more, to remove the stopgaps. */
			asked = true;
			r.round = 1;
			last = 0;
			continue;
		}
		if (over) {
			err = report_left ? fib_diff_objects(r.before, now, report_left_object, &r) : 0;
			return err < 0 ? err : 1;
		}
		last = now->sum;
		err = carry_out(&r);
		if (err < 0)
			return err;
		r.impatient = false;
		waits = 0;
	}
}
