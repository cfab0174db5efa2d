/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fib.c - the snapshot: dumps of everything, kept in one arena or only summed up. */
#include "fib-msg.h"

#include <linux/if_link.h>
#include <linux/fib_rules.h>
#include <linux/nexthop.h>
#include <sys/socket.h>

#ifndef AF_MPLS
#define AF_MPLS 28
#endif
#ifndef RTEXT_FILTER_SKIP_STATS
#define RTEXT_FILTER_SKIP_STATS (1 << 3)
#endif
/* Rules of multicast routing, linux/rtnetlink.h; -EAFNOSUPPORT where the kernel has none. */
#ifndef RTNL_FAMILY_IPMR
#define RTNL_FAMILY_IPMR 128
#define RTNL_FAMILY_IP6MR 129
#endif

#define DUMP_TRIES 16

/* What a dump collects: records if `s` is given, and in any case count and sum. */
struct collector {
	struct fib *f;
	struct fib_snapshot *s;
	enum fib_kind kind;
	int family;
	struct fib_sum sum;
};

static int arena_add(struct fib_snapshot *s, const struct nlmsghdr *m)
{
	size_t size = record_size(m);

	if (s->cap - s->len < size) {
		size_t cap = s->cap ? s->cap * 2 : 64 * 1024;
		unsigned char *grown;

		/* The index counts in words of 32 bits. */
		if (cap / 4 >= UINT32_MAX)
			return -EFBIG;
		grown = realloc(s->data, cap);
		if (!grown)
			return -ENOMEM;
		s->data = grown;
		s->cap = cap;
	}
	memcpy(s->data + s->len, m, m->nlmsg_len);
	memset(s->data + s->len + m->nlmsg_len, 0, size - m->nlmsg_len);
	s->len += size;
	return 0;
}

static int remember_ra(struct fib_snapshot *s, uint32_t flags)
{
	struct fib_ra *ra = GROW(s->ra, s->n_ra);

	if (!ra)
		return -ENOMEM;
	*ra = (struct fib_ra){ s->len, flags };
	return 0;
}

static int collect(struct collector *c, struct nlmsghdr *m)
{
	struct fib_view v;
	uint32_t ra = 0;
	int r;

	r = fib_view(m, &v);
	if (r < 0)
		return r;
	/* A family without a handler of its own is answered with the dump of all others (rtnl_dump_all()). */
	if (c->family && v.family != c->family)
		return 0;
	if (v.kind == FIB_ROUTE && (((const struct rtmsg *)NLMSG_DATA(m))->rtm_flags & RTM_F_CLONED))
		return 0;
	if (v.kind == FIB_ROUTE && v.family == AF_INET6)
		ra = fib_ra_mark(c->f, m, &v);
	fib_sum_add(&c->sum, m, &v);
	if (!c->s)
		return 0;
	r = ra ? remember_ra(c->s, ra) : 0;
	return r < 0 ? r : arena_add(c->s, m);
}

static int collect_link(struct collector *c, const struct nlmsghdr *m)
{
	struct fib_out reduced;
	int r = fib_link_reduce(m, &reduced);

	return r < 0 ? r : collect(c, (struct nlmsghdr *)reduced.data);
}

/* 0 when the dump is complete, 1 when it was interrupted by a change. */
static int read_dump(struct fib *f, struct collector *c, uint16_t type)
{
	bool interrupted = false;
	int failed = 0;

	for (;;) {
		ssize_t n = fib_receive(f, 0);

		if (n < 0)
			return (int)n;
		for (struct nlmsghdr *m = (struct nlmsghdr *)f->buf; fib_message_fits(m, (size_t)n);) {
			size_t step = record_size(m);

			if (m->nlmsg_seq == f->seq) {
				if (m->nlmsg_flags & NLM_F_DUMP_INTR)
					interrupted = true;
				if (m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR) {
					int error = fib_error_of(m);

					return failed < 0 ? failed : error < 0 ? error : interrupted;
				}
				/* After an error of our own the rest is still read, lest the next dump finds it. */
				if (m->nlmsg_type == type && failed == 0)
					failed = c->kind == FIB_LINK ? collect_link(c, m) : collect(c, m);
			}
			if (step >= (size_t)n)
				break;
			n -= (ssize_t)step;
			m = (struct nlmsghdr *)((char *)m + step);
		}
	}
}

static int dump(struct fib *f, struct fib_snapshot *s, uint64_t *sum, size_t count[FIB_KINDS], enum fib_kind kind,
		int family)
{
	/* The family is the first byte of every family header; strict checking wants all else zero. */
	static const struct {
		uint16_t request, answer, head;
	} of[FIB_KINDS] = {
		[FIB_LINK] = { RTM_GETLINK, RTM_NEWLINK, sizeof(struct ifinfomsg) },
		[FIB_ADDRESS] = { RTM_GETADDR, RTM_NEWADDR, sizeof(struct ifaddrmsg) },
		[FIB_NEXTHOP] = { RTM_GETNEXTHOP, RTM_NEWNEXTHOP, sizeof(struct nhmsg) },
		[FIB_ROUTE] = { RTM_GETROUTE, RTM_NEWROUTE, sizeof(struct rtmsg) },
		[FIB_RULE] = { RTM_GETRULE, RTM_NEWRULE, sizeof(struct fib_rule_hdr) },
	};
	size_t before = s ? s->len : 0;

	for (int try = 0; try < DUMP_TRIES; try++) {
		struct {
			struct nlmsghdr h;
			unsigned char body[64];
		} request = { .h = { .nlmsg_len = NLMSG_LENGTH(of[kind].head),
				     .nlmsg_type = of[kind].request,
				     .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
				     .nlmsg_seq = ++f->seq } };
		struct collector c = { .f = f, .s = s, .kind = kind, .family = family };
		int r;

		if (kind == FIB_ROUTE && family == AF_INET6) {
			fib_ra_dump_begins(f);
			if (s)
				s->n_ra = 0;
		}

		request.body[0] = (unsigned char)family;
		if (kind == FIB_LINK) {
			struct rtattr *a = (struct rtattr *)(request.body + NLMSG_ALIGN(of[kind].head));
			uint32_t mask = RTEXT_FILTER_SKIP_STATS;

			*a = (struct rtattr){ .rta_len = RTA_LENGTH(sizeof(mask)), .rta_type = IFLA_EXT_MASK };
			memcpy(RTA_DATA(a), &mask, sizeof(mask));
			request.h.nlmsg_len = NLMSG_ALIGN(request.h.nlmsg_len) + a->rta_len;
		}
		while (send(f->fd, &request, request.h.nlmsg_len, 0) < 0)
			if (errno != EINTR)
				return -errno;
		r = read_dump(f, &c, of[kind].answer);
		if (r == 0) {
			*sum += c.sum.sum;
			count[kind] += c.sum.count;
			return 0;
		}
		if (s)
			s->len = before;
		if (r < 0)
			return r;
	}
	return -EAGAIN;
}

/* `s` may be NULL: then only sum and counts. */
static int dump_all(struct fib *f, struct fib_snapshot *s, uint64_t *ret_sum, size_t ret_count[FIB_KINDS])
{
	static const struct {
		enum fib_kind kind;
		int family;
		bool optional; /* the kernel may be built without it */
	} dumps[] = {
		/* in the order of the kinds */
		{ FIB_LINK, AF_UNSPEC, false },
		{ FIB_ADDRESS, AF_INET, false },
		{ FIB_ADDRESS, AF_INET6, true },
		{ FIB_NEXTHOP, AF_UNSPEC, true },
		{ FIB_ROUTE, AF_INET, false },
		{ FIB_ROUTE, AF_INET6, true },
		{ FIB_ROUTE, AF_MPLS, true },
		{ FIB_RULE, AF_INET, true },
		{ FIB_RULE, AF_INET6, true },
		{ FIB_RULE, RTNL_FAMILY_IPMR, true },
		{ FIB_RULE, RTNL_FAMILY_IP6MR, true },
	};
	uint64_t sum = 0;
	size_t count[FIB_KINDS] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(dumps); i++) {
		int r;

		if (s && (i == 0 || dumps[i].kind != dumps[i - 1].kind))
			s->start[dumps[i].kind] = s->len;
		if (dumps[i].family == AF_MPLS && !f->mpls)
			continue;
		r = dump(f, s, &sum, count, dumps[i].kind, dumps[i].family);
		if (dumps[i].optional && (r == -EAFNOSUPPORT || r == -EOPNOTSUPP))
			continue;
		if (r < 0)
			return r;
	}
	if (s)
		s->start[FIB_KINDS] = s->len;
	*ret_sum = sum;
	memcpy(ret_count, count, sizeof(count));
	return 0;
}

int fib_snapshot_take(struct fib *f, struct fib_snapshot **ret_snapshot)
{
	_cleanup_fib_snapshot_ struct fib_snapshot *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->taken = fib_now();
	r = dump_all(f, s, &s->sum, s->count);
	if (r < 0)
		return r;
	s->ra_known = !f->ra_failed;
	*ret_snapshot = TAKE_PTR(s);
	return 0;
}

int fib_unchanged(struct fib *f, const struct fib_snapshot *before)
{
	uint64_t sum;
	size_t count[FIB_KINDS];
	int r = dump_all(f, NULL, &sum, count);

	if (r < 0)
		return r;
	return sum == before->sum && !memcmp(count, before->count, sizeof(count));
}

void fib_snapshot_free(struct fib_snapshot *s)
{
	if (!s)
		return;
	free(s->data);
	free(s->index);
	free(s->ra);
	free(s);
}

size_t fib_snapshot_count(const struct fib_snapshot *s, enum fib_kind kind)
{
	return s->count[kind];
}

size_t fib_snapshot_bytes(const struct fib_snapshot *s)
{
	return s->len;
}

const struct fib_link *fib_snapshot_link(const struct fib_snapshot *s, uint32_t ifindex)
{
	size_t offset = s->start[FIB_LINK];

	while (offset < s->start[FIB_LINK + 1]) {
		const struct nlmsghdr *m = record_at(s, offset);

		if (fib_link(m)->index == ifindex)
			return fib_link(m);
		offset += record_size(m);
	}
	return NULL;
}
