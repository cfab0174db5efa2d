/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fib-diff.c - two snapshots compared. First by their sums; then group by group
 * through a hash table over one of them, in O(n); then, within a group that differs,
 * member by member.
 */
#include "fib-msg.h"

#include <linux/if_addr.h>
#include <sys/socket.h>

void fib_group_at(const struct fib_snapshot *s, size_t offset, size_t limit, struct fib_group *ret_group)
{
	struct fib_group g = { .offset = offset, .end = offset };
	struct fib_view v;

	while (g.end < limit) {
		const struct nlmsghdr *m = record_at(s, g.end);
		uint64_t key;

		if (fib_view(m, &v) < 0) /* cannot be: it was checked on its way in */
			break;
		key = fib_hash_group(m, &v);
		if (g.n && key != g.key)
			break;
		g.key = key;
		g.n++;
		g.end += record_size(m);
	}
	*ret_group = g;
}

int fib_snapshot_index(struct fib_snapshot *s)
{
	size_t total = 0, size = 16;
	uint32_t *index;
	struct fib_group g;

	if (s->index)
		return 0;
	for (int k = 0; k < FIB_KINDS; k++)
		total += s->count[k];
	while (size < total + total / 2)
		size *= 2;
	index = calloc(size, sizeof(*index));
	if (!index)
		return -ENOMEM;
	for (size_t at = 0; at < s->len; at = g.end) {
		size_t slot;

		fib_group_at(s, at, s->len, &g);
		if (g.n == 0)
			break;
		for (slot = g.key & (size - 1); index[slot]; slot = (slot + 1) & (size - 1))
			;
		index[slot] = (uint32_t)(at / 4 + 1);
	}
	s->index = index;
	s->index_size = size;
	return 0;
}

int fib_group_find(const struct fib_snapshot *s, uint64_t key, struct fib_group *ret_group)
{
	for (size_t slot = key & (s->index_size - 1); s->index[slot]; slot = (slot + 1) & (s->index_size - 1)) {
		size_t offset = (size_t)(s->index[slot] - 1) * 4;
		const struct nlmsghdr *m = record_at(s, offset);
		struct fib_view v;

		if (fib_view(m, &v) == 0 && fib_hash_group(m, &v) == key) {
			fib_group_at(s, offset, s->len, ret_group);
			return 0;
		}
	}
	return -ENOENT;
}

/* Is the address of that link (of IPv6, `dst` NULL: any address of it) in duplicate address detection? */
static bool has_tentative(const struct fib_snapshot *s, uint32_t ifindex, const struct rtattr *dst)
{
	size_t at = s->start[FIB_ADDRESS];

	while (at < s->start[FIB_ADDRESS + 1]) {
		const struct nlmsghdr *m = record_at(s, at);
		struct fib_view v;

		at += record_size(m);
		if (fib_view(m, &v) < 0 || v.family != AF_INET6 || v.ifindex != ifindex ||
		    !(fib_address_flags(m, &v) & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_OPTIMISTIC)))
			continue;
		if (!dst)
			return true;
		if (v.src)
			v.dst = v.src;
		if (v.dst && RTA_PAYLOAD(dst) == 16 && RTA_PAYLOAD(v.dst) == 16 &&
		    !memcmp(RTA_DATA(dst), RTA_DATA(v.dst), 16))
			return true;
	}
	return false;
}

/*
 * The kernel adds the local and the anycast route of an IPv6 address when duplicate
 * address detection is over (net/ipv6/addrconf.c, ipv6_ifa_notify()): while it runs,
 * their absence, and later their coming, is no difference.
 */
static bool is_pending(const struct fib_snapshot *before, const struct fib_snapshot *after, const struct nlmsghdr *m)
{
	const struct rtmsg *h = NLMSG_DATA(m);
	const struct rtattr *dst;
	struct fib_view v;

	if (fib_view(m, &v) < 0 || !fib_is_host_route6(m, &v))
		return false;
	dst = h->rtm_type == RTN_LOCAL ? v.dst : NULL;
	return has_tentative(before, v.ifindex, dst) || has_tentative(after, v.ifindex, dst);
}

bool fib_pair_object(const struct fib_pair *p, size_t b, size_t a, enum fib_change change, struct fib_object *ret_object)
{
	const struct nlmsghdr *before = b == SIZE_MAX ? NULL : p->before[b];
	const struct nlmsghdr *after = a == SIZE_MAX ? NULL : p->after[a];
	const struct nlmsghdr *m = before ? before : after;
	const struct fib_snapshot *in = before ? p->in_before : p->in_after;
	struct fib_object o = {
		.kind = p->kind, .change = change, .before = before, .after = after,
		.in_before = p->in_before, .in_after = p->in_after,
	};
	struct fib_view v;

	if (is_pending(p->in_before, p->in_after, m) || fib_view(m, &v) < 0)
		return false;
	fib_object_fill(&o, in, m, &v);
	*ret_object = o;
	return true;
}

/* Everything the comparison of one group needs; kept from group to group. */
struct matcher {
	struct fib_pair pair;
	size_t room;
	uint64_t *hash_before, *hash_after;
	uint64_t *key_before, *key_after; /* fib_hash_member(), once they are needed */
};

static void matcher_free(struct matcher *t)
{
	free(t->pair.before);
	free(t->pair.after);
	free(t->pair.same_after);
	free(t->pair.same_before);
	free(t->pair.changed_after);
	free(t->pair.changed_before);
	free(t->hash_before);
	free(t->hash_after);
	free(t->key_before);
	free(t->key_after);
}

static int resize(void *array, size_t n, size_t size)
{
	void *old, *grown;

	memcpy(&old, array, sizeof(old));
	grown = reallocarray(old, n, size);
	if (!grown)
		return -ENOMEM;
	memcpy(array, &grown, sizeof(grown));
	return 0;
}

static int matcher_room(struct matcher *t, size_t n)
{
	struct fib_pair *p = &t->pair;

	if (n <= t->room)
		return 0;
	n += n / 2 + 8;
	if (resize(&p->before, n, sizeof(*p->before)) < 0 || resize(&p->after, n, sizeof(*p->after)) < 0 ||
	    resize(&p->same_after, n, sizeof(size_t)) < 0 || resize(&p->same_before, n, sizeof(size_t)) < 0 ||
	    resize(&p->changed_after, n, sizeof(size_t)) < 0 || resize(&p->changed_before, n, sizeof(size_t)) < 0 ||
	    resize(&t->hash_before, n, sizeof(uint64_t)) < 0 || resize(&t->hash_after, n, sizeof(uint64_t)) < 0 ||
	    resize(&t->key_before, n, sizeof(uint64_t)) < 0 || resize(&t->key_after, n, sizeof(uint64_t)) < 0)
		return -ENOMEM;
	t->room = n;
	return 0;
}

static void members(const struct fib_snapshot *s, const struct fib_group *g, const struct nlmsghdr **ret_m,
		    uint64_t *ret_hash)
{
	size_t at = g->offset;

	for (size_t i = 0; i < g->n; i++) {
		struct fib_view v;

		ret_m[i] = record_at(s, at);
		ret_hash[i] = fib_view(ret_m[i], &v) < 0 ? 0 : fib_hash_message(ret_m[i], &v);
		at += record_size(ret_m[i]);
	}
}

static void member_keys(const struct nlmsghdr **m, size_t n, uint64_t *ret_key)
{
	for (size_t i = 0; i < n; i++) {
		struct fib_view v;

		ret_key[i] = fib_view(m[i], &v) < 0 ? 0 : fib_hash_member(m[i], &v);
	}
}

/* Which member is which: equal ones first, in order; of the others, those that stand for the same thing. */
static void match(struct matcher *t)
{
	struct fib_pair *p = &t->pair;
	size_t last = 0, from = 0;
	bool any = false;
	struct fib_view v;

	for (size_t a = 0; a < p->n_after; a++)
		p->same_before[a] = p->changed_before[a] = SIZE_MAX;
	for (size_t b = 0; b < p->n_before; b++) {
		p->same_after[b] = p->changed_after[b] = SIZE_MAX;
		/* Mostly the members before `from` are taken: then a long group costs no square. */
		while (from < p->n_after && p->same_before[from] != SIZE_MAX)
			from++;
		for (size_t a = from; a < p->n_after; a++) {
			if (t->hash_before[b] == t->hash_after[a] && p->same_before[a] == SIZE_MAX) {
				p->same_after[b] = a;
				p->same_before[a] = b;
				break;
			}
		}
	}
	member_keys(p->before, p->n_before, t->key_before);
	member_keys(p->after, p->n_after, t->key_after);
	p->reordered = false;
	for (size_t b = 0; b < p->n_before; b++) {
		if (p->same_after[b] == SIZE_MAX) {
			for (size_t a = 0; a < p->n_after; a++) {
				if (p->same_before[a] != SIZE_MAX || p->changed_before[a] != SIZE_MAX ||
				    t->key_before[b] != t->key_after[a])
					continue;
				p->changed_after[b] = a;
				p->changed_before[a] = b;
				break;
			}
			continue;
		}
		if (fib_view(p->before[b], &v) < 0 || !fib_is_ordered(p->before[b], &v))
			continue;
		if (any && p->same_after[b] < last)
			p->reordered = true;
		any = true;
		last = p->same_after[b];
	}
}

static const struct fib_group no_group;

/* 1: the groups have the same bytes, or the same normal forms in the same order. */
static bool groups_equal(struct matcher *t, const struct fib_snapshot *before, const struct fib_group *b,
			 const struct fib_snapshot *after, const struct fib_group *a)
{
	if (a->n == b->n && a->end - a->offset == b->end - b->offset) {
		bool same = true;

		/* Equal but for the netlink headers' sequence and port numbers. */
		for (size_t i = 0, at = 0; same && i < a->n; i++) {
			const struct nlmsghdr *ma = record_at(after, a->offset + at);
			const struct nlmsghdr *mb = record_at(before, b->offset + at);

			same = ma->nlmsg_len == mb->nlmsg_len &&
			       !memcmp(NLMSG_DATA(ma), NLMSG_DATA(mb), ma->nlmsg_len - NLMSG_HDRLEN);
			at += record_size(ma);
		}
		if (same)
			return true;
	}
	members(before, b, t->pair.before, t->hash_before);
	members(after, a, t->pair.after, t->hash_after);
	return a->n == b->n && !memcmp(t->hash_before, t->hash_after, a->n * sizeof(uint64_t));
}

static int compare_groups(struct matcher *t, const struct fib_group *b, const struct fib_group *a,
			  int (*each)(void *arg, const struct fib_pair *p), void *arg)
{
	struct fib_pair *p = &t->pair;

	if (matcher_room(t, a->n > b->n ? a->n : b->n) < 0)
		return -ENOMEM;
	if (groups_equal(t, p->in_before, b, p->in_after, a))
		return 0;
	p->n_before = b->n;
	p->n_after = a->n;
	match(t);
	return each(arg, p);
}

static int diff_kind(struct matcher *t, uint8_t *seen, enum fib_kind kind,
		     int (*each)(void *arg, const struct fib_pair *p), void *arg)
{
	const struct fib_snapshot *before = t->pair.in_before, *after = t->pair.in_after;
	struct fib_group a, b;
	int r;

	t->pair.kind = kind;
	for (size_t at = after->start[kind]; at < after->start[kind + 1]; at = a.end) {
		fib_group_at(after, at, after->start[kind + 1], &a);
		if (a.n == 0)
			return -EBADMSG;
		if (fib_group_find(before, a.key, &b) < 0)
			b = no_group;
		else
			seen[b.offset / 32] |= (uint8_t)(1 << (b.offset / 4 % 8));
		r = compare_groups(t, &b, &a, each, arg);
		if (r != 0)
			return r;
	}
	for (size_t at = before->start[kind]; at < before->start[kind + 1]; at = b.end) {
		fib_group_at(before, at, before->start[kind + 1], &b);
		if (b.n == 0)
			return -EBADMSG;
		if (seen[b.offset / 32] & (1 << (b.offset / 4 % 8)))
			continue;
		r = compare_groups(t, &b, &no_group, each, arg);
		if (r != 0)
			return r;
	}
	return 0;
}

int fib_diff_pairs(const struct fib_snapshot *before, const struct fib_snapshot *after,
		   int (*each)(void *arg, const struct fib_pair *p), void *arg)
{
	/* A copy, so that the index can be built for one who only has a const snapshot. */
	struct fib_snapshot indexed = *before;
	struct matcher t = { .pair = { .in_before = &indexed, .in_after = after } };
	_cleanup_free_ uint8_t *seen = NULL;
	int r;

	if (before->sum == after->sum && !memcmp(before->count, after->count, sizeof(before->count)))
		return 0;
	seen = calloc(before->len / 32 + 1, 1);
	r = seen ? fib_snapshot_index(&indexed) : -ENOMEM;
	for (int kind = 0; r == 0 && kind < FIB_KINDS; kind++)
		r = diff_kind(&t, seen, kind, each, arg);
	matcher_free(&t);
	if (!before->index)
		free(indexed.index);
	return r;
}

struct object_sink {
	int (*each)(void *arg, const struct fib_object *o);
	void *arg;
};

static int tell(const struct object_sink *sink, const struct fib_pair *p, size_t b, size_t a, enum fib_change change)
{
	struct fib_object o;

	return fib_pair_object(p, b, a, change, &o) ? sink->each(sink->arg, &o) : 0;
}

static int pair_objects(void *arg, const struct fib_pair *p)
{
	const struct object_sink *sink = arg;
	int r = 0;

	for (size_t b = 0; r == 0 && b < p->n_before; b++) {
		if (p->same_after[b] != SIZE_MAX)
			continue;
		r = tell(sink, p, b, p->changed_after[b], p->changed_after[b] == SIZE_MAX ? FIB_REMOVED : FIB_CHANGED);
	}
	for (size_t a = 0; r == 0 && a < p->n_after; a++) {
		if (p->same_before[a] == SIZE_MAX && p->changed_before[a] == SIZE_MAX)
			r = tell(sink, p, SIZE_MAX, a, FIB_ADDED);
	}
	/* The one that came first and no longer does, or the other way round. */
	for (size_t b = 0; r == 0 && p->reordered && b < p->n_before; b++) {
		if (p->same_after[b] != SIZE_MAX && p->same_after[b] != b) {
			r = tell(sink, p, b, p->same_after[b], FIB_REORDERED);
			break;
		}
	}
	return r;
}

int fib_diff_objects(const struct fib_snapshot *before, const struct fib_snapshot *after,
		     int (*each)(void *arg, const struct fib_object *o), void *arg)
{
	struct object_sink sink = { each, arg };

	return fib_diff_pairs(before, after, pair_objects, &sink);
}

struct text_sink {
	void (*report)(void *arg, const char *text);
	void *arg;
	int n;
};

static int report_object(void *arg, const struct fib_object *o)
{
	struct text_sink *sink = arg;
	_cleanup_buf_ struct buf text = { 0 };

	if (sink->n < INT32_MAX)
		sink->n++;
	if (!sink->report)
		return 0;
	fib_describe(o, &text);
	if (text.failed)
		return -ENOMEM;
	sink->report(sink->arg, text.data);
	return 0;
}

int fib_diff(const struct fib_snapshot *before, const struct fib_snapshot *after,
	     void (*report)(void *arg, const char *text), void *arg)
{
	struct text_sink sink = { report, arg, 0 };
	int r = fib_diff_objects(before, after, report_object, &sink);

	return r < 0 ? r : sink.n;
}

static int stop_at_first(void *arg, const struct fib_object *o)
{
	(void)arg;
	(void)o;
	return 1;
}

bool fib_snapshot_equal(const struct fib_snapshot *a, const struct fib_snapshot *b)
{
	return fib_diff_objects(a, b, stop_at_first, NULL) == 0;
}
