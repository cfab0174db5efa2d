/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fib-msg.h - what the rooms of fib share: raw messages, their normal form, their
 * keys, and the arena that holds them. For fib*.c only.
 */
#pragma once

#include "fib.h"

#include <linux/rtnetlink.h>

/*
 * RTM_GETROUTE & co. answer in messages of at most 32 KiB (net/netlink/af_netlink.c,
 * netlink_dump()); what is longer is refused when the snapshot is taken, so that a
 * scrubbed copy always fits in here.
 */
#define FIB_MSG_MAX 65536u

struct fib_out {
	size_t len; /* of the message, aligned */
	_Alignas(8) unsigned char data[FIB_MSG_MAX + 256];
};

/* The flags of a link that are compared, of <net/if.h>. */
#define FIB_LINK_FLAGS (IFF_UP | IFF_NOARP | IFF_MULTICAST)

/* A record of the arena: a netlink message, links reduced to struct fib_link. */
struct fib_snapshot {
	unsigned char *data;
	size_t len, cap;
	size_t start[FIB_KINDS + 1]; /* where the records of a kind begin; they stand in the order of the kinds */
	size_t count[FIB_KINDS];
	uint64_t sum;
	int64_t taken; /* CLOCK_BOOTTIME, ms: lifetimes go on while the machine sleeps */
	bool ra_known; /* FIB_RTM_RA can be relied upon */
	struct fib_ra {
		size_t offset;
		uint32_t flags; /* RTF_… */
	} *ra; /* the records that have FIB_RTM_RA */
	size_t n_ra;
	uint32_t *index; /* open addressing over groups: offset / 4 + 1 of the first record, 0 = free */
	size_t index_size; /* a power of two */
};

/*
 * In the rtm_flags of a snapshot's record, where the kernel uses no such bit: it made the
 * route from a router advertisement (fib-ra.c). Messages from elsewhere do not have it.
 */
#define FIB_RTM_RA (1u << 30)

/* Which copy of a message is wanted. */
enum fib_form {
	FIB_FORM_COMPARE, /* the normal form: equal bytes mean equal objects */
	FIB_FORM_ADD,     /* acceptable to the kernel in a RTM_NEW… request */
	FIB_FORM_DELETE,  /* acceptable in a RTM_DEL… request, matching this object */
};

/* One pass over a message: where its important attributes are. Pointers lead into the message. */
struct fib_view {
	enum fib_kind kind;
	int family;
	size_t head; /* length of the family header */
	const struct rtattr *dst, *src, *gateway, *via, *multipath, *oif, *nh_id, *metrics, *cacheinfo;
	const struct rtattr *flags, *proto; /* addresses */
	uint32_t table, priority, ifindex, id;
};

/* The kind by message type, RTM_NEW… or RTM_DEL…; FIB_KINDS if it is none of ours. */
enum fib_kind fib_kind_of(uint16_t nlmsg_type);
/* 0, or -EBADMSG when the message is too short for what it claims to be. */
int fib_view(const struct nlmsghdr *m, struct fib_view *ret_view);
/* `ms` is how long ago the message was dumped: lifetimes have gone on since. */
void fib_scrub(const struct nlmsghdr *m, const struct fib_view *v, enum fib_form form, int64_t ms, struct fib_out *ret_out);
/* Reduces a dumped link to a record. 0 or -EBADMSG. */
int fib_link_reduce(const struct nlmsghdr *m, struct fib_out *ret_out);

void fib_hash_init(void);
uint64_t fib_hash(const void *data, size_t len);
/* Of the normal form. */
uint64_t fib_hash_message(const struct nlmsghdr *m, const struct fib_view *v);
/*
 * Of the group: what the kernel itself looks up by. Members of one group (equal
 * routes of `ip route append`, rules of one preference, a link's IPv4 addresses) stand
 * next to each other in a dump, and their order decides which one is used.
 */
uint64_t fib_hash_group(const struct nlmsghdr *m, const struct fib_view *v);
/* The member of a group it replaces or is replaced by: 0 for routes and rules, else by address. */
uint64_t fib_hash_member(const struct nlmsghdr *m, const struct fib_view *v);
/* Does the order within its group mean anything? */
bool fib_is_ordered(const struct nlmsghdr *m, const struct fib_view *v);
/* A member's share of its group's and its snapshot's sum. */
uint64_t fib_hash_placed(uint64_t hash, size_t ordinal);
/* Messages summed up in the order of a dump, those of one kind. To be zeroed by the caller. */
struct fib_sum {
	size_t count;
	uint64_t sum;
	uint64_t group; /* of the message before */
	size_t ordinal;
};
void fib_sum_add(struct fib_sum *s, const struct nlmsghdr *m, const struct fib_view *v);

uint32_t fib_address_flags(const struct nlmsghdr *m, const struct fib_view *v);
/* A record of the snapshot. */
bool fib_is_kernel_managed(const struct fib_snapshot *s, const struct nlmsghdr *m, const struct fib_view *v);
/* The same as far as an event's message tells. */
bool fib_may_be_kernel_managed(const struct fib_snapshot *s, const struct nlmsghdr *m, const struct fib_view *v);
/* A local or anycast IPv6 route that the kernel adds by itself for an address. */
bool fib_is_host_route6(const struct nlmsghdr *m, const struct fib_view *v);

static inline uint32_t attr_u32(const struct rtattr *a)
{
	uint32_t value = 0;

	if (a && RTA_PAYLOAD(a) >= sizeof(value))
		memcpy(&value, RTA_DATA(a), sizeof(value));
	return value;
}

static inline uint16_t attr_u16(const struct rtattr *a)
{
	uint16_t value = 0;

	if (a && RTA_PAYLOAD(a) >= sizeof(value))
		memcpy(&value, RTA_DATA(a), sizeof(value));
	return value;
}

static inline uint8_t attr_u8(const struct rtattr *a)
{
	return a && RTA_PAYLOAD(a) >= 1 ? *(const uint8_t *)RTA_DATA(a) : 0;
}

/* Over all attributes that lie wholly in `len` bytes (RTA_OK would compare signed with unsigned). */
#define FOR_EACH_ATTR(a, first, len)                                                                                   \
	for (unsigned int a##_left = (unsigned int)(len), a##_once = 1; a##_once; a##_once = 0)                        \
		for (const struct rtattr *a = (const struct rtattr *)(first); attr_fits(a, a##_left);                  \
		     a = attr_next(a, &a##_left))

static inline bool attr_fits(const struct rtattr *a, unsigned int left)
{
	return left >= sizeof(*a) && a->rta_len >= sizeof(*a) && a->rta_len <= left;
}

static inline const struct rtattr *attr_next(const struct rtattr *a, unsigned int *left)
{
	unsigned int step = RTA_ALIGN(a->rta_len);

	if (step >= *left) {
		*left = 0;
		return a;
	}
	*left -= step;
	return (const struct rtattr *)((const char *)a + step);
}

static inline const void *msg_attrs(const struct nlmsghdr *m, size_t head)
{
	return (const char *)NLMSG_DATA(m) + NLMSG_ALIGN(head);
}

static inline size_t msg_attrs_len(const struct nlmsghdr *m, size_t head)
{
	size_t before = NLMSG_HDRLEN + NLMSG_ALIGN(head);

	return m->nlmsg_len > before ? m->nlmsg_len - before : 0;
}

/* Over the nexthops of a RTA_MULTIPATH attribute (rtnetlink(7)). */
static inline const struct rtnexthop *nexthop_next(const struct rtattr *multipath, const struct rtnexthop *prev)
{
	const char *data = (const char *)RTA_DATA(multipath);
	size_t len = RTA_PAYLOAD(multipath);
	size_t at = prev ? (size_t)((const char *)prev - data) + RTNH_ALIGN(prev->rtnh_len) : 0;
	const struct rtnexthop *n = (const struct rtnexthop *)(data + at);

	if (at > len || len - at < sizeof(*n) || n->rtnh_len < sizeof(*n) || n->rtnh_len > len - at)
		return NULL;
	return n;
}

/* Records of the arena. */
static inline const struct nlmsghdr *record_at(const struct fib_snapshot *s, size_t offset)
{
	return (const struct nlmsghdr *)(s->data + offset);
}

static inline size_t record_size(const struct nlmsghdr *m)
{
	return NLMSG_ALIGN(m->nlmsg_len);
}

/* A run of records with the same group. */
struct fib_group {
	uint64_t key;
	size_t offset;
	size_t end;
	size_t n;
};

/* The group that begins at `offset`, not beyond `limit`. */
void fib_group_at(const struct fib_snapshot *s, size_t offset, size_t limit, struct fib_group *ret_group);
/* 0 and the group of that key, or -ENOENT. The snapshot must have its index. */
int fib_group_find(const struct fib_snapshot *s, uint64_t key, struct fib_group *ret_group);

/* A group that is not the same in two snapshots; n = 0 where it is missing. */
struct fib_pair {
	enum fib_kind kind;
	const struct fib_snapshot *in_before, *in_after;
	size_t n_before, n_after;
	const struct nlmsghdr **before, **after;
	/* The same object on the other side, or SIZE_MAX. */
	size_t *same_after; /* by index in before */
	size_t *same_before; /* by index in after */
	/* What it was changed into or from, or SIZE_MAX. */
	size_t *changed_after, *changed_before;
	bool reordered;
};

/* Calls `each` for every group that differs, links first. As fib_diff_objects(). */
int fib_diff_pairs(const struct fib_snapshot *before, const struct fib_snapshot *after,
		   int (*each)(void *arg, const struct fib_pair *p), void *arg);
/* The object of p->before[b] and p->after[a] (SIZE_MAX: none). False when the difference is none to speak of. */
bool fib_pair_object(const struct fib_pair *p, size_t b, size_t a, enum fib_change change, struct fib_object *ret_object);

/* All of *o that is read off one message; before, after and change must be set. `in` is the snapshot to look links up in. */
void fib_object_fill(struct fib_object *o, const struct fib_snapshot *in, const struct nlmsghdr *m, const struct fib_view *v);

/* The socket (fib-request.c). */
struct fib {
	int fd;
	uint32_t seq;
	bool mpls;
	unsigned char *buf;
	/* requests that wait for fib_flush() */
	unsigned char *out;
	size_t out_len;
	int error; /* the first refusal of a queued request that matters; reset by whoever asks */
	uint32_t port;
	struct fib_out *event; /* the reduced form of the last event's link */
	/* for fib-ra.c; -1 where there is none */
	int proc_fd;  /* /proc/net/ipv6_route */
	int inet6_fd; /* for ICMPv6 if it can, and for ioctls */
	bool can_solicit;
	struct fib_ra_line *ra; /* the kernel's own routes when they were last read */
	size_t n_ra;
	int ra_reads; /* in this dump */
	void (*idle)(void *arg); /* NULL: nothing to do meanwhile */
	void *idle_arg;
	bool ra_failed;
};

#define FIB_BUF_SIZE (256u * 1024)
#define FIB_OUT_SIZE (128u * 1024)

/* One datagram of the kernel's, in f->buf. Its length, or -errno. */
ssize_t fib_receive(struct fib *f, int flags);
/* Of a NLMSG_ERROR or NLMSG_DONE. */
int fib_error_of(const struct nlmsghdr *m);
/* Does a whole message lie in the `left` bytes? */
bool fib_message_fits(const struct nlmsghdr *m, size_t left);

/* Queues one request; sends the queue when it is full. */
int fib_queue(struct fib *f, const struct nlmsghdr *m, uint16_t type, uint16_t flags);
/* Sends the queue. The kernel has done all of it when this returns; f->error has the first refusal. */
int fib_flush(struct fib *f);
/* Queues the request that adds or deletes this object; `ms` as for fib_scrub(). -EBADMSG for links. */
int fib_send(struct fib *f, const struct nlmsghdr *m, int64_t ms, bool add);
/* One request and its acknowledgement: the kernel's error. */
int fib_talk(struct fib *f, struct nlmsghdr *m, uint16_t type, uint16_t flags);
/* One request and its answer, of that type; valid until the next call. */
int fib_ask(struct fib *f, struct nlmsghdr *m, uint16_t type, uint16_t answer_type, const struct nlmsghdr **ret_answer);

/* fib-ra.c */
void fib_ra_open(struct fib *f);
void fib_ra_close(struct fib *f);
/* What was read of the kernel's routes is too old now. */
void fib_ra_dump_begins(struct fib *f);
/* Sets FIB_RTM_RA on a dumped IPv6 route if it is one of the kernel's, and returns its RTF_… flags; else 0. */
uint32_t fib_ra_mark(struct fib *f, struct nlmsghdr *m, const struct fib_view *v);
/* The kernel's route in the snapshot with this key, gateway and link, or NULL. */
const struct nlmsghdr *fib_ra_find(const struct fib_snapshot *s, const struct nlmsghdr *m, const struct fib_view *v);
/* Is this the stopgap of a route that `before` has and `now` (NULL: unknown) has not? */
bool fib_ra_is_stopgap(const struct fib_snapshot *before, const struct fib_snapshot *now, const struct nlmsghdr *m,
		       const struct fib_view *v);
/* Queues the request for the stopgap of a record of `before`, which must have its index. */
int fib_ra_stopgap(struct fib *f, const struct fib_snapshot *before, const struct nlmsghdr *m);
/* Not so when the route would have run out by now anyway. */
bool fib_ra_is_due(const struct nlmsghdr *m, int64_t age);
/* Gets the kernel to make these records of `before` again: up to 4 s. Returns how many ms it took. */
int64_t fib_ra_bring_back(struct fib *f, const struct fib_snapshot *before, const struct fib_snapshot *now,
			  const struct nlmsghdr **wanted, size_t n);

/* Names (fib-print.c, fib-print-route.c): each appends to `out`, words with a blank before them. */
void fib_put_name(struct buf *out, const char *const *names, size_t n, unsigned int value);
void fib_put_protocol(struct buf *out, unsigned int protocol);
void fib_put_table(struct buf *out, uint32_t table);
void fib_put_ip(struct buf *out, const void *data, size_t len);
void fib_put_attr_ip(struct buf *out, const struct rtattr *a);
void fib_put_dev(struct buf *out, const struct fib_snapshot *s, uint32_t ifindex);
void fib_put_text(struct buf *out, const struct rtattr *a);
void fib_put_hex(struct buf *out, const void *data, size_t len);
/* " LABEL 7" for a number, " LABEL 0x…" for anything else. */
void fib_put_value(struct buf *out, const char *label, const struct rtattr *a);
void fib_put_unknown(struct buf *out, const struct rtattr *a);
void fib_put_flags(struct buf *out, unsigned int rtnh_flags);
void fib_put_route(struct buf *out, const struct fib_snapshot *s, const struct nlmsghdr *m, const struct fib_view *v);
void fib_put_rule(struct buf *out, const struct nlmsghdr *m, const struct fib_view *v);
#define PUT_NAME(out, names, value) fib_put_name(out, names, ARRAY_SIZE(names), value)
