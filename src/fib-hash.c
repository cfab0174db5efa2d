/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fib-hash.c - what makes two messages the same object, members of the same group, or
 * replacements of each other: hashes, keyed per process, and the rules behind them.
 */
#include "fib-msg.h"

#include <linux/if_addr.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#ifndef IFAPROT_KERNEL_RA
#define IFAPROT_KERNEL_RA 2 /* linux/if_addr.h, since Linux 5.18 */
#endif

static uint64_t hash_start, hash_step;

void fib_hash_init(void)
{
	uint64_t key[2];

	if (hash_step)
		return;
	/*
	 * The key only keeps a collision from being the same in every process. Early at boot
	 * getrandom(2) would block; then the clock is good enough.
	 */
	if (getrandom(key, sizeof(key), GRND_NONBLOCK) != (ssize_t)sizeof(key)) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		key[0] = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u;
		key[1] = ((uint64_t)now.tv_sec << 32 | (uint64_t)getpid()) * 0xd1342543de82ef95u;
	}
	hash_start = key[0];
	hash_step = key[1] | 1; /* odd: multiplication stays a permutation */
}

static inline uint64_t stir(uint64_t h, uint64_t word)
{
	h = (h ^ word) * hash_step;
	return h ^ (h >> 29);
}

static inline uint64_t hash_words(const void *data, size_t len, uint64_t h)
{
	const unsigned char *p = data;
	uint64_t word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = stir(h, word);
	}
	if (len) {
		word = 0;
		memcpy(&word, p, len);
		h = stir(h, word);
	}
	return h;
}

static inline uint64_t hash_end(uint64_t h)
{
	/* The high bits of a sum must depend on all of the message: two more rounds. */
	h = (h ^ (h >> 32)) * 0x9e3779b97f4a7c15u;
	h = (h ^ (h >> 31)) * 0xd1342543de82ef95u;
	return h ^ (h >> 32);
}

uint64_t fib_hash(const void *data, size_t len)
{
	return hash_end(hash_words(data, len, hash_start + len));
}

uint64_t fib_hash_placed(uint64_t hash, size_t ordinal)
{
	/* A sum of bare hashes would not see two members change places. */
	return ordinal ? hash_end(stir(hash, ordinal)) : hash;
}

uint64_t fib_hash_message(const struct nlmsghdr *m, const struct fib_view *v)
{
	struct fib_out normal;

	fib_scrub(m, v, FIB_FORM_COMPARE, 0, &normal);
	return fib_hash(normal.data, normal.len);
}

struct key {
	uint32_t kind_family;
	uint32_t a, b, c;
	uint8_t dst[16], src[16];
};

static void key_bytes(uint8_t to[16], const struct rtattr *a)
{
	if (a)
		memcpy(to, RTA_DATA(a), RTA_PAYLOAD(a) < 16 ? RTA_PAYLOAD(a) : 16);
}

uint64_t fib_hash_group(const struct nlmsghdr *m, const struct fib_view *v)
{
	struct key k = { .kind_family = (uint32_t)v->kind << 16 | (uint32_t)v->family };

	switch (v->kind) {
	case FIB_LINK:
		k.a = v->ifindex;
		break;
	case FIB_ADDRESS:
		/*
		 * All of a link: the first IPv4 address of a subnet is the primary one. IPv6
		 * addresses are kept sorted by scope, the newest of a scope first; where the rules of
		 * source address selection (RFC 6724) have no preference, the first is taken.
		 */
		k.a = v->ifindex;
		if (v->family == AF_INET6)
			k.b = ((const struct ifaddrmsg *)NLMSG_DATA(m))->ifa_scope;
		break;
	case FIB_NEXTHOP:
		k.kind_family = (uint32_t)v->kind << 16; /* one id space for all families */
		k.a = v->id;
		break;
	case FIB_ROUTE: {
		const struct rtmsg *h = NLMSG_DATA(m);

		k.a = v->table;
		k.b = v->priority;
		k.c = (uint32_t)h->rtm_dst_len << 16 | (uint32_t)h->rtm_src_len << 8 | h->rtm_tos;
		key_bytes(k.dst, v->dst);
		key_bytes(k.src, v->src);
		break;
	}
	default:
		k.a = v->priority;
		break;
	}
	return fib_hash(&k, sizeof(k));
}

uint64_t fib_hash_member(const struct nlmsghdr *m, const struct fib_view *v)
{
	struct key k = { .kind_family = 0 };

	if (v->kind != FIB_ADDRESS)
		return 0;
	k.a = ((const struct ifaddrmsg *)NLMSG_DATA(m))->ifa_prefixlen;
	key_bytes(k.dst, v->dst);
	key_bytes(k.src, v->src);
	return fib_hash(&k, sizeof(k));
}

bool fib_is_host_route6(const struct nlmsghdr *m, const struct fib_view *v)
{
	const struct rtmsg *h = NLMSG_DATA(m);

	return v->kind == FIB_ROUTE && v->family == AF_INET6 && v->table == RT_TABLE_LOCAL &&
	       h->rtm_protocol == RTPROT_KERNEL && (h->rtm_type == RTN_LOCAL || h->rtm_type == RTN_ANYCAST);
}

/* From a router advertisement: SLAAC and privacy addresses, of IPv6. */
static bool is_kernel_address(const struct nlmsghdr *m, const struct fib_view *v)
{
	return (fib_address_flags(m, v) & IFA_F_TEMPORARY) || attr_u8(v->proto) == IFAPROT_KERNEL_RA;
}

bool fib_is_ordered(const struct nlmsghdr *m, const struct fib_view *v)
{
	switch (v->kind) {
	case FIB_ADDRESS:
		/* The kernel's own come and go, and could not be put in order anyway. */
		return v->family == AF_INET || !is_kernel_address(m, v);
	case FIB_ROUTE:
		/*
		 * Equal ones differ in their link only, and the order in which links finish DAD is a matter of
		 * chance; as is that in which routers were heard.
		 */
		return !(((const struct rtmsg *)NLMSG_DATA(m))->rtm_flags & FIB_RTM_RA) && !fib_is_host_route6(m, v);
	case FIB_RULE:
		return true;
	default:
		return false;
	}
}

bool fib_is_kernel_managed(const struct fib_snapshot *s, const struct nlmsghdr *m, const struct fib_view *v)
{
	if (v->kind == FIB_ROUTE && s->ra_known)
		return ((const struct rtmsg *)NLMSG_DATA(m))->rtm_flags & FIB_RTM_RA;
	return fib_may_be_kernel_managed(s, m, v);
}

bool fib_may_be_kernel_managed(const struct fib_snapshot *s, const struct nlmsghdr *m, const struct fib_view *v)
{
	const struct fib_link *l;

	if (v->family != AF_INET6)
		return false;
	if (v->kind == FIB_ADDRESS)
		return is_kernel_address(m, v);
	if (v->kind != FIB_ROUTE || ((const struct rtmsg *)NLMSG_DATA(m))->rtm_protocol != RTPROT_RA)
		return false;
	/*
	 * With accept_ra=0 a daemon (networkd, NetworkManager) reads the RAs and adds plain
	 * routes. With several links, or none we know: assume the kernel, whose routes must not be touched.
	 */
	l = v->ifindex ? fib_snapshot_link(s, v->ifindex) : NULL;
	return !l || l->accepts_ra;
}

void fib_sum_add(struct fib_sum *s, const struct nlmsghdr *m, const struct fib_view *v)
{
	uint64_t group = fib_hash_group(m, v);

	s->ordinal = s->count && group == s->group && fib_is_ordered(m, v) ? s->ordinal + 1 : 0;
	s->group = group;
	s->count++;
	s->sum += fib_hash_placed(fib_hash_message(m, v), s->ordinal);
}
