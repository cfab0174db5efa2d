/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fib-scrub.c - a message's normal form, and the form in which the kernel takes it back.
 *
 * What the normal form leaves out, because it changes on a host where nothing happens:
 *  - routes: flags that say how things are rather than what was asked for (dead, linkdown,
 *    offload, trap, RTM_F_*), also in each nexthop; RTA_CACHEINFO (use, age, what is left of the
 *    lifetime: an RA renews it every few seconds) but for "has a lifetime at all"; with a nexthop
 *    object, the copy of the object's attributes (net.ipv4.nexthop_compat_mode). Of one that the
 *    kernel has from a router advertisement, lifetime and metrics (mtu, hop limit) at all: each
 *    RA sets them anew, and who else changes the route takes its FIB_RTM_RA, which is compared.
 *  - nexthops: state flags, nh_scope, resilient groups' "unbalanced for", counters.
 *  - addresses: IFA_CACHEINFO (lifetimes: DHCP and RA renew them; IFA_F_PERMANENT stays),
 *    the flags of duplicate address detection and of age (tentative, optimistic, dadfailed,
 *    deprecated), and those no request can set (nodad is how an address was added, not what it is;
 *    stable-privacy is how the kernel chose it).
 *  - rules: flags the kernel sets by itself (permanent, unresolved, detached).
 *  - links: everything but struct fib_link. Left out with reason: carrier, operstate,
 *    IFF_RUNNING (a cable is not our business), promisc and allmulti (tcpdump), queue lengths, statistics,
 *    IFLA_LINK (follows from others). Kept with reason: the link layer address (with another
 *    one the uplink loses its DHCP lease and what a switch port lets through), the group (rules
 *    with suppress_ifgroup depend on it), IFF_NOARP, and IFF_MULTICAST, without which no router and
 *    no neighbour is found by IPv6.
 */
#include "fib-msg.h"

#include <linux/if_addr.h>
#include <linux/fib_rules.h>
#include <linux/nexthop.h>
#include <sys/socket.h>

#define TYPE_OF(a) ((a)->rta_type & NLA_TYPE_MASK)

/* What a request may say about a nexthop; the rest is the kernel's answer (linux/rtnetlink.h). */
#define ROUTE_FLAGS (RTNH_F_ONLINK | RTNH_F_PERVASIVE)
#define RULE_STATE_FLAGS                                                                                               \
	(FIB_RULE_PERMANENT | FIB_RULE_UNRESOLVED | FIB_RULE_IIF_DETACHED | FIB_RULE_OIF_DETACHED)
#define ADDRESS_STATE_FLAGS                                                                                            \
	(IFA_F_NODAD | IFA_F_OPTIMISTIC | IFA_F_DADFAILED | IFA_F_DEPRECATED | IFA_F_TENTATIVE | IFA_F_STABLE_PRIVACY)

/* USER_HZ, the unit of rta_expires on every architecture Debian has (alpha, 1024, is none). */
#define TICKS_PER_S 100

static const uint16_t new_type[FIB_KINDS] = {
	[FIB_LINK] = RTM_NEWLINK,   [FIB_ADDRESS] = RTM_NEWADDR, [FIB_NEXTHOP] = RTM_NEWNEXTHOP,
	[FIB_ROUTE] = RTM_NEWROUTE, [FIB_RULE] = RTM_NEWRULE,
};

/* The output was sized for the longest message and what is added to it; so nothing here can overflow. */
static void *put_attr(struct fib_out *out, uint16_t type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)(out->data + out->len);
	size_t padded = RTA_ALIGN(RTA_LENGTH(len));

	if (out->len + padded > sizeof(out->data))
		abort();
	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(a), data, len);
	memset((char *)RTA_DATA(a) + len, 0, padded - RTA_LENGTH(len));
	out->len += padded;
	return RTA_DATA(a);
}

static void put_copy(struct fib_out *out, const struct rtattr *a)
{
	put_attr(out, a->rta_type, RTA_DATA(a), RTA_PAYLOAD(a));
}

static void put_u32(struct fib_out *out, uint16_t type, uint32_t value)
{
	put_attr(out, type, &value, sizeof(value));
}

/* Seconds that are left of a lifetime after `ms`: never 0, which would mean "at once" or "for ever". */
static uint32_t left_of(uint32_t s, int64_t ms)
{
	int64_t left = (int64_t)s - ms / 1000;

	if (s == UINT32_MAX) /* INFINITY_LIFE_TIME, include/net/addrconf.h */
		return s;
	return left > 0 ? (uint32_t)left : 1;
}

static bool is_link_local6(const struct rtattr *a)
{
	const uint8_t *p = a ? RTA_DATA(a) : NULL;

	return p && RTA_PAYLOAD(a) == 16 && p[0] == 0xfe && (p[1] & 0xc0) == 0x80;
}

static void scrub_address(const struct nlmsghdr *m, const struct fib_view *v, enum fib_form form, int64_t ms,
			  struct fib_out *out)
{
	struct ifaddrmsg *h = NLMSG_DATA((struct nlmsghdr *)out->data);
	uint32_t flags = fib_address_flags(m, v) & ~(uint32_t)ADDRESS_STATE_FLAGS;

	if (form == FIB_FORM_ADD) {
		/*
		 * Without NODAD a global address is unusable for a second or more; it was the
		 * host's already. A link-local one goes through DAD as when the kernel makes it.
		 */
		if (v->family == AF_INET6 && !is_link_local6(v->dst))
			flags |= IFA_F_NODAD;
		if (v->family == AF_INET)
			flags &= ~(uint32_t)IFA_F_SECONDARY; /* decided by the order */
	}
	h->ifa_flags = 0;
	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head)) {
		if (a == v->flags)
			continue;
		if (a == v->cacheinfo) {
			struct ifa_cacheinfo ci;

			if (form != FIB_FORM_ADD || RTA_PAYLOAD(a) < sizeof(ci))
				continue;
			memcpy(&ci, RTA_DATA(a), sizeof(ci));
			/* A preferred lifetime of 0 is an address that is no longer to be chosen. */
			if (ci.ifa_prefered)
				ci.ifa_prefered = left_of(ci.ifa_prefered, ms);
			ci.ifa_valid = left_of(ci.ifa_valid, ms);
			put_attr(out, IFA_CACHEINFO, &ci, sizeof(ci));
			continue;
		}
		put_copy(out, a);
	}
	put_u32(out, IFA_FLAGS, flags);
}

static void scrub_nexthop(const struct nlmsghdr *m, const struct fib_view *v, enum fib_form form, struct fib_out *out)
{
	struct nhmsg *h = NLMSG_DATA((struct nlmsghdr *)out->data);

	/* "Invalid values in ancillary header" otherwise (net/ipv4/nexthop.c). */
	h->nh_scope = 0;
	h->resvd = 0;
	h->nh_flags &= v->multipath ? 0 : RTNH_F_ONLINK;
	if (form == FIB_FORM_DELETE) {
		memset(h, 0, sizeof(*h));
		put_u32(out, NHA_ID, v->id);
		return;
	}
	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head)) {
		size_t nest = out->len;

		if (TYPE_OF(a) <= NHA_FDB) {
			put_copy(out, a);
			continue;
		}
		if (TYPE_OF(a) != NHA_RES_GROUP)
			continue; /* counters, and flags for the dump itself */
		put_attr(out, a->rta_type, NULL, 0);
		FOR_EACH_ATTR (sub, RTA_DATA(a), RTA_PAYLOAD(a)) {
			if (TYPE_OF(sub) >= NHA_RES_GROUP_BUCKETS && TYPE_OF(sub) <= NHA_RES_GROUP_UNBALANCED_TIMER)
				put_copy(out, sub);
		}
		((struct rtattr *)(out->data + nest))->rta_len = (unsigned short)(out->len - nest);
	}
}

static void put_multipath(struct fib_out *out, const struct rtattr *a)
{
	unsigned char *copy = put_attr(out, a->rta_type, RTA_DATA(a), RTA_PAYLOAD(a));

	for (const struct rtnexthop *n = NULL; (n = nexthop_next(a, n));) {
		size_t at = (size_t)((const unsigned char *)n - (const unsigned char *)RTA_DATA(a));

		((struct rtnexthop *)(copy + at))->rtnh_flags &= ROUTE_FLAGS;
	}
}

static void scrub_route(const struct nlmsghdr *m, const struct fib_view *v, enum fib_form form, int64_t ms,
			struct fib_out *out)
{
	struct rtmsg *h = NLMSG_DATA((struct nlmsghdr *)out->data);
	bool from_ra = form == FIB_FORM_COMPARE && (h->rtm_flags & FIB_RTM_RA);

	h->rtm_flags &= ROUTE_FLAGS | (form == FIB_FORM_COMPARE ? FIB_RTM_RA : 0);
	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head)) {
		switch (TYPE_OF(a)) {
		case RTA_CACHEINFO: {
			struct rta_cacheinfo ci;

			if (form == FIB_FORM_DELETE || RTA_PAYLOAD(a) < sizeof(ci))
				continue;
			memcpy(&ci, RTA_DATA(a), sizeof(ci));
			if (!ci.rta_expires || v->family != AF_INET6 || from_ra)
				continue;
			put_u32(out, RTA_EXPIRES,
				form == FIB_FORM_COMPARE || ci.rta_expires < 0 ?
					1 :
					left_of((uint32_t)ci.rta_expires / TICKS_PER_S + 1, ms));
			continue;
		}
		case RTA_OIF:
		case RTA_GATEWAY:
		case RTA_VIA:
		case RTA_ENCAP:
		case RTA_ENCAP_TYPE:
			/* "Nexthop specification and nexthop id are mutually exclusive" (net/ipv4/fib_frontend.c) */
			if (v->nh_id)
				continue;
			break;
		case RTA_MULTIPATH:
			if (!v->nh_id)
				put_multipath(out, a);
			continue;
		case RTA_METRICS:
		case RTA_PREF:
			/* Not what a route is found by; metrics do not always survive the round trip literally. */
			if (form == FIB_FORM_DELETE || (from_ra && a == v->metrics))
				continue;
			break;
		}
		put_copy(out, a);
	}
}

static void scrub_rule(const struct nlmsghdr *m, const struct fib_view *v, enum fib_form form, struct fib_out *out)
{
	struct fib_rule_hdr *h = NLMSG_DATA((struct nlmsghdr *)out->data);

	/*
	 * The kernel does not say a preference of 0 (net/core/fib_rules.c, fib_nl_fill_rule()), but
	 * takes a rule without one to mean "before all others but the first".
	 */
	if (v->priority == 0 && form != FIB_FORM_COMPARE)
		put_u32(out, FRA_PRIORITY, 0);

	h->flags &= ~(uint32_t)RULE_STATE_FLAGS;
	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head)) {
		if (TYPE_OF(a) != FRA_PRIORITY || v->priority)
			put_copy(out, a);
	}
}

void fib_scrub(const struct nlmsghdr *m, const struct fib_view *v, enum fib_form form, int64_t ms, struct fib_out *ret_out)
{
	struct nlmsghdr *h = (struct nlmsghdr *)ret_out->data;

	*h = (struct nlmsghdr){ .nlmsg_type = new_type[v->kind] };
	ret_out->len = NLMSG_HDRLEN + NLMSG_ALIGN(v->head);
	memcpy(NLMSG_DATA(h), NLMSG_DATA(m), NLMSG_ALIGN(v->head));
	switch (v->kind) {
	case FIB_LINK:
		((struct fib_link *)NLMSG_DATA(h))->accepts_ra = false;
		((struct fib_link *)NLMSG_DATA(h))->ipv6_off = false;
		break;
	case FIB_ADDRESS:
		scrub_address(m, v, form, ms, ret_out);
		break;
	case FIB_NEXTHOP:
		scrub_nexthop(m, v, form, ret_out);
		break;
	case FIB_ROUTE:
		scrub_route(m, v, form, ms, ret_out);
		break;
	default:
		scrub_rule(m, v, form, ret_out);
		break;
	}
	h->nlmsg_len = (uint32_t)ret_out->len;
}
