/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fib-print-route.c - routes and rules in iproute2's words. See fib-print.c.
 */
#include "fib-msg.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/fib_rules.h>

#define TYPE_OF(a) ((a)->rta_type & NLA_TYPE_MASK)

static const char *const route_types[] = {
	[RTN_UNICAST] = "unicast",     [RTN_LOCAL] = "local",	      [RTN_BROADCAST] = "broadcast",
	[RTN_ANYCAST] = "anycast",     [RTN_MULTICAST] = "multicast", [RTN_BLACKHOLE] = "blackhole",
	[RTN_UNREACHABLE] = "unreachable", [RTN_PROHIBIT] = "prohibit", [RTN_THROW] = "throw",
	[RTN_NAT] = "nat",
};

static const char *const metric_names[] = {
	[RTAX_MTU] = "mtu",	      [RTAX_WINDOW] = "window",	      [RTAX_RTT] = "rtt",
	[RTAX_RTTVAR] = "rttvar",     [RTAX_SSTHRESH] = "ssthresh",   [RTAX_CWND] = "cwnd",
	[RTAX_ADVMSS] = "advmss",     [RTAX_REORDERING] = "reordering", [RTAX_HOPLIMIT] = "hoplimit",
	[RTAX_INITCWND] = "initcwnd", [RTAX_FEATURES] = "features",   [RTAX_RTO_MIN] = "rto_min",
	[RTAX_INITRWND] = "initrwnd", [RTAX_QUICKACK] = "quickack",   [RTAX_FASTOPEN_NO_COOKIE] = "fastopen_no_cookie",
};

/* The destination, or "default" of a /0. */
static void put_prefix(struct buf *out, const struct rtattr *a, int family, unsigned int len)
{
	if (!a) {
		if (len == 0)
			buf_str(out, "default");
		else
			buf_fmt(out, "%s/%u", family == AF_INET6 ? "::" : "0.0.0.0", len);
		return;
	}
	if (family == 28 && RTA_PAYLOAD(a) == 4) { /* a label stack entry (RFC 3032): 20 bits of label */
		const uint8_t *p = RTA_DATA(a);

		buf_fmt(out, "%u", (unsigned int)p[0] << 12 | (unsigned int)p[1] << 4 | p[2] >> 4);
		return;
	}
	fib_put_attr_ip(out, a);
	if (len != 8 * RTA_PAYLOAD(a))
		buf_fmt(out, "/%u", len);
}

static void put_via(struct buf *out, const struct rtattr *a)
{
	const struct rtvia *via = RTA_DATA(a);

	if (RTA_PAYLOAD(a) < sizeof(*via))
		return;
	buf_str(out, via->rtvia_family == AF_INET6 ? " via inet6 " : " via ");
	fib_put_ip(out, via->rtvia_addr, RTA_PAYLOAD(a) - sizeof(*via));
}

static void put_metrics(struct buf *out, const struct rtattr *metrics)
{
	FOR_EACH_ATTR (a, RTA_DATA(metrics), RTA_PAYLOAD(metrics)) {
		unsigned int type = TYPE_OF(a);

		if (type == RTAX_CC_ALGO) {
			buf_str(out, " congctl ");
			fib_put_text(out, a);
		} else if (type == RTAX_LOCK) {
			buf_fmt(out, " lock 0x%x", attr_u32(a));
		} else {
			fib_put_value(out, type < ARRAY_SIZE(metric_names) && metric_names[type] ? metric_names[type] : "metric", a);
		}
	}
}

/* The attributes that a route and each of its several nexthops may have. */
static bool put_hop(struct buf *out, const struct fib_snapshot *s, const struct rtattr *a)
{
	switch (TYPE_OF(a)) {
	case RTA_GATEWAY:
		buf_str(out, " via ");
		fib_put_attr_ip(out, a);
		return true;
	case RTA_VIA:
		put_via(out, a);
		return true;
	case RTA_OIF:
		fib_put_dev(out, s, attr_u32(a));
		return true;
	case RTA_FLOW:
		fib_put_value(out, "realms", a);
		return true;
	case RTA_ENCAP_TYPE:
		fib_put_value(out, "encap type", a);
		return true;
	case RTA_ENCAP:
		fib_put_value(out, "encap", a);
		return true;
	default:
		return false;
	}
}

static void put_nexthops(struct buf *out, const struct fib_snapshot *s, const struct rtattr *multipath)
{
	for (const struct rtnexthop *n = NULL; (n = nexthop_next(multipath, n));) {
		buf_str(out, " nexthop");
		FOR_EACH_ATTR (a, RTNH_DATA(n), n->rtnh_len - sizeof(*n)) {
			if (!put_hop(out, s, a))
				fib_put_unknown(out, a);
		}
		if (n->rtnh_ifindex)
			fib_put_dev(out, s, (uint32_t)n->rtnh_ifindex);
		buf_fmt(out, " weight %u", n->rtnh_hops + 1u);
		fib_put_flags(out, n->rtnh_flags);
	}
}

static void put_route_attr(struct buf *out, const struct fib_snapshot *s, const struct rtattr *a)
{
	static const char *const prefs[] = { "medium", "high", NULL, "low" }; /* RFC 4191, 2.1 */

	switch (TYPE_OF(a)) {
	case RTA_DST:
	case RTA_SRC:
	case RTA_TABLE:
		return; /* said elsewhere */
	case RTA_MULTIPATH:
		put_nexthops(out, s, a);
		return;
	case RTA_NH_ID:
		fib_put_value(out, "nhid", a);
		return;
	case RTA_PREFSRC:
		buf_str(out, " src ");
		fib_put_attr_ip(out, a);
		return;
	case RTA_PRIORITY:
		if (attr_u32(a)) /* the kernel's own IPv6 routes have 0 */
			fib_put_value(out, "metric", a);
		return;
	case RTA_METRICS:
		put_metrics(out, a);
		return;
	case RTA_EXPIRES:
		buf_str(out, " expires");
		return;
	case RTA_PREF:
		if (attr_u8(a)) {
			buf_str(out, " pref ");
			PUT_NAME(out, prefs, attr_u8(a));
		}
		return;
	}
	if (!put_hop(out, s, a))
		fib_put_unknown(out, a);
}

void fib_put_route(struct buf *out, const struct fib_snapshot *s, const struct nlmsghdr *m, const struct fib_view *v)
{
	const struct rtmsg *h = NLMSG_DATA(m);

	buf_str(out, "route ");
	if (h->rtm_type != RTN_UNICAST) {
		PUT_NAME(out, route_types, h->rtm_type);
		buf_str(out, " ");
	}
	put_prefix(out, v->dst, v->family, h->rtm_dst_len);
	if (h->rtm_src_len) {
		buf_str(out, " from ");
		put_prefix(out, v->src, v->family, h->rtm_src_len);
	}
	if (h->rtm_tos)
		buf_fmt(out, " tos 0x%02x", h->rtm_tos);
	/* As `ip route` has it: the gateway first; the kernel's order is another one. */
	if (v->gateway)
		put_hop(out, s, v->gateway);
	if (v->via)
		put_hop(out, s, v->via);
	if (v->oif)
		put_hop(out, s, v->oif);
	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head)) {
		if (a != v->gateway && a != v->via && a != v->oif)
			put_route_attr(out, s, a);
	}
	fib_put_flags(out, h->rtm_flags);
	if (h->rtm_protocol != RTPROT_BOOT && h->rtm_protocol != RTPROT_STATIC && h->rtm_protocol != RTPROT_KERNEL) {
		buf_str(out, " proto ");
		fib_put_protocol(out, h->rtm_protocol);
	}
	if (h->rtm_scope != RT_SCOPE_UNIVERSE && h->rtm_scope != RT_SCOPE_LINK && h->rtm_scope != RT_SCOPE_HOST)
		buf_fmt(out, " scope %u", h->rtm_scope);
}

static void put_range16(struct buf *out, const char *label, const struct rtattr *a)
{
	struct fib_rule_port_range range;

	if (RTA_PAYLOAD(a) < sizeof(range))
		return;
	memcpy(&range, RTA_DATA(a), sizeof(range));
	buf_fmt(out, range.start == range.end ? " %s %u" : " %s %u-%u", label, range.start, range.end);
}

static void put_rule_attr(struct buf *out, const struct rtattr *a)
{
	struct fib_rule_uid_range uids;
	uint64_t id;

	switch (TYPE_OF(a)) {
	case FRA_SRC:
	case FRA_DST:
	case FRA_PRIORITY:
	case FRA_TABLE:
	case FRA_FWMASK:
	case FRA_PROTOCOL:
	case FRA_GOTO:
		break; /* said elsewhere */
	case FRA_FWMARK:
		break;
	case FRA_IIFNAME:
		buf_str(out, " iif ");
		fib_put_text(out, a);
		break;
	case FRA_OIFNAME:
		buf_str(out, " oif ");
		fib_put_text(out, a);
		break;
	case FRA_FLOW:
		fib_put_value(out, "realms", a);
		break;
	case FRA_TUN_ID: /* 64 bits, network byte order */
		if (RTA_PAYLOAD(a) < sizeof(id))
			break;
		memcpy(&id, RTA_DATA(a), sizeof(id));
		buf_fmt(out, " tun_id %llu", (unsigned long long)be64toh(id));
		break;
	case FRA_L3MDEV:
		if (attr_u8(a))
			buf_str(out, " l3mdev");
		break;
	case FRA_SUPPRESS_PREFIXLEN:
		if (attr_u32(a) != UINT32_MAX)
			fib_put_value(out, "suppress_prefixlength", a);
		break;
	case FRA_SUPPRESS_IFGROUP:
		if (attr_u32(a) != UINT32_MAX)
			fib_put_value(out, "suppress_ifgroup", a);
		break;
	case FRA_UID_RANGE:
		if (RTA_PAYLOAD(a) < sizeof(uids))
			break;
		memcpy(&uids, RTA_DATA(a), sizeof(uids));
		buf_fmt(out, " uidrange %u-%u", uids.start, uids.end);
		break;
	case FRA_IP_PROTO:
		fib_put_value(out, "ipproto", a);
		break;
	case FRA_SPORT_RANGE:
		put_range16(out, "sport", a);
		break;
	case FRA_DPORT_RANGE:
		put_range16(out, "dport", a);
		break;
	default:
		fib_put_unknown(out, a);
	}
}

void fib_put_rule(struct buf *out, const struct nlmsghdr *m, const struct fib_view *v)
{
	static const char *const actions[] = {
		[FR_ACT_NOP] = "nop",
		[FR_ACT_BLACKHOLE] = "blackhole",
		[FR_ACT_UNREACHABLE] = "unreachable",
		[FR_ACT_PROHIBIT] = "prohibit",
	};
	const struct fib_rule_hdr *h = NLMSG_DATA(m);
	const struct rtattr *to = NULL, *from = NULL, *mark = NULL, *mask = NULL, *target = NULL;

	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head)) {
		switch (TYPE_OF(a)) {
		case FRA_SRC:
			from = a;
			break;
		case FRA_DST:
			to = a;
			break;
		case FRA_FWMARK:
			mark = a;
			break;
		case FRA_FWMASK:
			mask = a;
			break;
		case FRA_GOTO:
			target = a;
			break;
		}
	}
	buf_fmt(out, "rule %u:%s from ", v->priority, h->flags & FIB_RULE_INVERT ? " not" : "");
	if (from || h->src_len)
		put_prefix(out, from, v->family, h->src_len);
	else
		buf_str(out, "all");
	if (to || h->dst_len) {
		buf_str(out, " to ");
		put_prefix(out, to, v->family, h->dst_len);
	}
	if (h->tos)
		buf_fmt(out, " tos 0x%02x", h->tos);
	if ((mark && attr_u32(mark)) || (mask && attr_u32(mask))) {
		buf_fmt(out, " fwmark 0x%x", attr_u32(mark));
		if (mask && attr_u32(mask) != UINT32_MAX)
			buf_fmt(out, "/0x%x", attr_u32(mask));
	}
	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head))
		put_rule_attr(out, a);
	if (h->action == FR_ACT_TO_TBL) {
		/* l3mdev rules look up the table of the packet's VRF: table 0. */
		if (v->table) {
			buf_str(out, " lookup ");
			fib_put_table(out, v->table);
		}
	} else if (h->action == FR_ACT_GOTO) {
		buf_fmt(out, " goto %u", attr_u32(target));
	} else {
		buf_str(out, " ");
		PUT_NAME(out, actions, h->action);
	}
	if (h->flags & FIB_RULE_FIND_SADDR)
		buf_str(out, " find_saddr");
	if (v->proto && attr_u8(v->proto) > RTPROT_STATIC) {
		buf_str(out, " proto ");
		fib_put_protocol(out, attr_u8(v->proto));
	}
}
