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
#include "fib-plan.h"

#include <net/if.h>

#define MAX_ROUNDS 8
#define MAX_MS 2000
#define MAX_WAITS 50 /* of 1 ms, for the kernel's own work */

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
		if (down || (what & (FIB_LINK_UP | FIB_LINK_NOARP | FIB_LINK_MULTICAST)))
			set_link(r->f, now->index, b->flags, FIB_LINK_FLAGS, 0, NULL, 0);
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
		err = fib_diff_pairs(r.before, now, fib_plan_pair, &r);
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
