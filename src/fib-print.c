/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fib-print.c - names objects in iproute2's vocabulary, for the one who has to
 * understand what was done to the host. Every attribute that is compared is shown, if need be by
 * number, so that two texts of a change are never the same.
 */
#include "fib-msg.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/nexthop.h>
#include <net/if.h>

#define TYPE_OF(a) ((a)->rta_type & NLA_TYPE_MASK)

static const char *const protocols[] = {
	[RTPROT_UNSPEC] = "unspec", [RTPROT_REDIRECT] = "redirect", [RTPROT_KERNEL] = "kernel",
	[RTPROT_BOOT] = "boot",	    [RTPROT_STATIC] = "static",	    [RTPROT_GATED] = "gated",
	[RTPROT_RA] = "ra",	    [RTPROT_MRT] = "mrt",	    [RTPROT_ZEBRA] = "zebra",
	[RTPROT_BIRD] = "bird",	    [RTPROT_DHCP] = "dhcp",
};

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

/* A name of the table, or the number. */
static void put_name(struct buf *out, const char *const *names, size_t n, unsigned int value)
{
	if (value < n && names[value])
		buf_str(out, names[value]);
	else
		buf_fmt(out, "%u", value);
}
#define PUT_NAME(out, names, value) put_name(out, names, ARRAY_SIZE(names), value)

static void put_table(struct buf *out, uint32_t table)
{
	switch (table) {
	case RT_TABLE_MAIN:
		buf_str(out, "main");
		break;
	case RT_TABLE_LOCAL:
		buf_str(out, "local");
		break;
	case RT_TABLE_DEFAULT:
		buf_str(out, "default");
		break;
	default:
		buf_fmt(out, "%u", table);
	}
}

static void put_family(struct buf *out, int family)
{
	switch (family) {
	case AF_INET:
		buf_str(out, "IPv4");
		break;
	case AF_INET6:
		buf_str(out, "IPv6");
		break;
	case 28: /* AF_MPLS */
		buf_str(out, "MPLS");
		break;
	default:
		buf_fmt(out, "family %d", family);
	}
}

static void put_hex(struct buf *out, const void *data, size_t len)
{
	const uint8_t *p = data;

	buf_str(out, "0x");
	for (size_t i = 0; i < len; i++)
		buf_fmt(out, "%02x", p[i]);
}

/* An address by its length: nexthops of another family than the route's exist. */
static void put_ip(struct buf *out, const void *data, size_t len)
{
	char text[INET6_ADDRSTRLEN];

	if ((len == 4 || len == 16) && inet_ntop(len == 4 ? AF_INET : AF_INET6, data, text, sizeof(text)))
		buf_str(out, text);
	else
		put_hex(out, data, len);
}

static void put_attr_ip(struct buf *out, const struct rtattr *a)
{
	put_ip(out, RTA_DATA(a), RTA_PAYLOAD(a));
}

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
	put_attr_ip(out, a);
	if (len != 8 * RTA_PAYLOAD(a))
		buf_fmt(out, "/%u", len);
}

static void put_dev(struct buf *out, const struct fib_snapshot *s, uint32_t ifindex)
{
	const struct fib_link *l = fib_snapshot_link(s, ifindex);

	if (l)
		buf_fmt(out, " dev %s", l->name);
	else
		buf_fmt(out, " dev (index %u)", ifindex);
}

/* Names come from whoever made the link or the rule: nothing may reach the terminal that is not printable. */
static void put_text(struct buf *out, const struct rtattr *a)
{
	const char *p = RTA_DATA(a);

	for (size_t i = 0; i < RTA_PAYLOAD(a) && p[i]; i++)
		buf_add(out, p[i] > ' ' && p[i] < 0x7f ? &p[i] : "?", 1);
}

/* " LABEL 7" for a number, " LABEL 0x…" for anything else. */
static void put_value(struct buf *out, const char *label, const struct rtattr *a)
{
	buf_fmt(out, " %s ", label);
	if (RTA_PAYLOAD(a) == 4)
		buf_fmt(out, "%u", attr_u32(a));
	else if (RTA_PAYLOAD(a) == 2)
		buf_fmt(out, "%u", attr_u16(a));
	else if (RTA_PAYLOAD(a) == 1)
		buf_fmt(out, "%u", attr_u8(a));
	else
		put_hex(out, RTA_DATA(a), RTA_PAYLOAD(a));
}

static void put_unknown(struct buf *out, const struct rtattr *a)
{
	char label[32];

	snprintf(label, sizeof(label), "attribute %u", TYPE_OF(a));
	put_value(out, label, a);
}

static void put_via(struct buf *out, const struct rtattr *a)
{
	const struct rtvia *via = RTA_DATA(a);

	if (RTA_PAYLOAD(a) < sizeof(*via))
		return;
	buf_str(out, via->rtvia_family == AF_INET6 ? " via inet6 " : " via ");
	put_ip(out, via->rtvia_addr, RTA_PAYLOAD(a) - sizeof(*via));
}

static void put_metrics(struct buf *out, const struct rtattr *metrics)
{
	FOR_EACH_ATTR (a, RTA_DATA(metrics), RTA_PAYLOAD(metrics)) {
		unsigned int type = TYPE_OF(a);

		if (type == RTAX_CC_ALGO) {
			buf_str(out, " congctl ");
			put_text(out, a);
		} else if (type == RTAX_LOCK) {
			buf_fmt(out, " lock 0x%x", attr_u32(a));
		} else {
			put_value(out, type < ARRAY_SIZE(metric_names) && metric_names[type] ? metric_names[type] : "metric", a);
		}
	}
}

/* The attributes that a route and each of its several nexthops may have. */
static bool put_hop(struct buf *out, const struct fib_snapshot *s, const struct rtattr *a)
{
	switch (TYPE_OF(a)) {
	case RTA_GATEWAY:
		buf_str(out, " via ");
		put_attr_ip(out, a);
		return true;
	case RTA_VIA:
		put_via(out, a);
		return true;
	case RTA_OIF:
		put_dev(out, s, attr_u32(a));
		return true;
	case RTA_FLOW:
		put_value(out, "realms", a);
		return true;
	case RTA_ENCAP_TYPE:
		put_value(out, "encap type", a);
		return true;
	case RTA_ENCAP:
		put_value(out, "encap", a);
		return true;
	default:
		return false;
	}
}

static void put_flags(struct buf *out, unsigned int flags)
{
	if (flags & RTNH_F_ONLINK)
		buf_str(out, " onlink");
	if (flags & RTNH_F_PERVASIVE)
		buf_str(out, " pervasive");
}

static void put_nexthops(struct buf *out, const struct fib_snapshot *s, const struct rtattr *multipath)
{
	for (const struct rtnexthop *n = NULL; (n = nexthop_next(multipath, n));) {
		buf_str(out, " nexthop");
		FOR_EACH_ATTR (a, RTNH_DATA(n), n->rtnh_len - sizeof(*n)) {
			if (!put_hop(out, s, a))
				put_unknown(out, a);
		}
		if (n->rtnh_ifindex)
			put_dev(out, s, (uint32_t)n->rtnh_ifindex);
		buf_fmt(out, " weight %u", n->rtnh_hops + 1u);
		put_flags(out, n->rtnh_flags);
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
		put_value(out, "nhid", a);
		return;
	case RTA_PREFSRC:
		buf_str(out, " src ");
		put_attr_ip(out, a);
		return;
	case RTA_PRIORITY:
		if (attr_u32(a)) /* the kernel's own IPv6 routes have 0 */
			put_value(out, "metric", a);
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
		put_unknown(out, a);
}

static void put_route(struct buf *out, const struct fib_snapshot *s, const struct nlmsghdr *m, const struct fib_view *v)
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
	put_flags(out, h->rtm_flags);
	if (h->rtm_protocol != RTPROT_BOOT && h->rtm_protocol != RTPROT_STATIC && h->rtm_protocol != RTPROT_KERNEL) {
		buf_str(out, " proto ");
		PUT_NAME(out, protocols, h->rtm_protocol);
	}
	if (h->rtm_scope != RT_SCOPE_UNIVERSE && h->rtm_scope != RT_SCOPE_LINK && h->rtm_scope != RT_SCOPE_HOST)
		buf_fmt(out, " scope %u", h->rtm_scope);
}

static void put_address(struct buf *out, const struct fib_snapshot *s, const struct nlmsghdr *m, const struct fib_view *v)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{ IFA_F_HOMEADDRESS, "home" },	 { IFA_F_MANAGETEMPADDR, "mngtmpaddr" },
		{ IFA_F_NOPREFIXROUTE, "noprefixroute" }, { IFA_F_MCAUTOJOIN, "autojoin" },
	};
	static const char *const origins[] = { NULL, "kernel_lo", "kernel_ra", "kernel_ll" }; /* IFAPROT_… */
	const struct ifaddrmsg *h = NLMSG_DATA(m);
	const struct rtattr *local = v->src ? v->src : v->dst;
	const struct fib_link *link = fib_snapshot_link(s, v->ifindex);
	uint32_t flags = fib_address_flags(m, v);

	buf_str(out, "address ");
	if (local)
		put_attr_ip(out, local);
	if (v->src && v->dst && (RTA_PAYLOAD(v->src) != RTA_PAYLOAD(v->dst) ||
				 memcmp(RTA_DATA(v->src), RTA_DATA(v->dst), RTA_PAYLOAD(v->src)) != 0)) {
		buf_str(out, " peer ");
		put_attr_ip(out, v->dst);
	}
	buf_fmt(out, "/%u", h->ifa_prefixlen);
	put_dev(out, s, v->ifindex);
	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head)) {
		switch (TYPE_OF(a)) {
		case IFA_LOCAL:
		case IFA_ADDRESS:
		case IFA_CACHEINFO:
		case IFA_FLAGS:
			break;
		case IFA_BROADCAST:
			buf_str(out, " brd ");
			put_attr_ip(out, a);
			break;
		case IFA_LABEL:
			if (link && RTA_PAYLOAD(a) && !strncmp(RTA_DATA(a), link->name, RTA_PAYLOAD(a)))
				break;
			buf_str(out, " label ");
			put_text(out, a);
			break;
		case IFA_RT_PRIORITY:
			put_value(out, "metric", a);
			break;
		case IFA_PROTO:
			buf_str(out, " proto ");
			PUT_NAME(out, origins, attr_u8(a));
			break;
		default:
			put_unknown(out, a);
		}
	}
	if (h->ifa_scope != RT_SCOPE_UNIVERSE && h->ifa_scope != RT_SCOPE_LINK && h->ifa_scope != RT_SCOPE_HOST)
		buf_fmt(out, " scope %u", h->ifa_scope);
	else if (h->ifa_scope != RT_SCOPE_UNIVERSE)
		buf_str(out, h->ifa_scope == RT_SCOPE_LINK ? " scope link" : " scope host");
	if (flags & IFA_F_SECONDARY)
		buf_str(out, v->family == AF_INET6 ? " temporary" : " secondary");
	if (!(flags & IFA_F_PERMANENT))
		buf_str(out, " dynamic");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (flags & names[i].bit)
			buf_fmt(out, " %s", names[i].name);
	}
}

static void put_nexthop(struct buf *out, const struct fib_snapshot *s, const struct nlmsghdr *m, const struct fib_view *v)
{
	const struct nhmsg *h = NLMSG_DATA(m);

	buf_fmt(out, "nexthop id %u", v->id);
	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head)) {
		switch (TYPE_OF(a)) {
		case NHA_ID:
			break;
		case NHA_GROUP:
			buf_str(out, " group ");
			for (size_t i = 0; (i + 1) * sizeof(struct nexthop_grp) <= RTA_PAYLOAD(a); i++) {
				const struct nexthop_grp *g = (const struct nexthop_grp *)RTA_DATA(a) + i;

				buf_fmt(out, "%s%u,%u", i ? "/" : "", g->id, g->weight + 1u);
			}
			break;
		case NHA_GROUP_TYPE:
			if (attr_u16(a) == NEXTHOP_GRP_TYPE_RES)
				buf_str(out, " type resilient");
			else if (attr_u16(a) != NEXTHOP_GRP_TYPE_MPATH)
				put_value(out, "type", a);
			break;
		case NHA_BLACKHOLE:
			buf_str(out, " blackhole");
			break;
		case NHA_OIF:
			put_dev(out, s, attr_u32(a));
			break;
		case NHA_GATEWAY:
			buf_str(out, " via ");
			put_attr_ip(out, a);
			break;
		case NHA_FDB:
			buf_str(out, " fdb");
			break;
		case NHA_RES_GROUP:
			FOR_EACH_ATTR (sub, RTA_DATA(a), RTA_PAYLOAD(a)) {
				if (TYPE_OF(sub) == NHA_RES_GROUP_BUCKETS)
					put_value(out, "buckets", sub);
				else if (TYPE_OF(sub) == NHA_RES_GROUP_IDLE_TIMER)
					put_value(out, "idle_timer", sub);
				else if (TYPE_OF(sub) == NHA_RES_GROUP_UNBALANCED_TIMER)
					put_value(out, "unbalanced_timer", sub);
			}
			break;
		default:
			put_unknown(out, a);
		}
	}
	put_flags(out, h->nh_flags);
	if (h->nh_protocol > RTPROT_STATIC) {
		buf_str(out, " proto ");
		PUT_NAME(out, protocols, h->nh_protocol);
	}
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
		put_text(out, a);
		break;
	case FRA_OIFNAME:
		buf_str(out, " oif ");
		put_text(out, a);
		break;
	case FRA_FLOW:
		put_value(out, "realms", a);
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
			put_value(out, "suppress_prefixlength", a);
		break;
	case FRA_SUPPRESS_IFGROUP:
		if (attr_u32(a) != UINT32_MAX)
			put_value(out, "suppress_ifgroup", a);
		break;
	case FRA_UID_RANGE:
		if (RTA_PAYLOAD(a) < sizeof(uids))
			break;
		memcpy(&uids, RTA_DATA(a), sizeof(uids));
		buf_fmt(out, " uidrange %u-%u", uids.start, uids.end);
		break;
	case FRA_IP_PROTO:
		put_value(out, "ipproto", a);
		break;
	case FRA_SPORT_RANGE:
		put_range16(out, "sport", a);
		break;
	case FRA_DPORT_RANGE:
		put_range16(out, "dport", a);
		break;
	default:
		put_unknown(out, a);
	}
}

static void put_rule(struct buf *out, const struct nlmsghdr *m, const struct fib_view *v)
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
			put_table(out, v->table);
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
		PUT_NAME(out, protocols, attr_u8(v->proto));
	}
}

/* What is not worth saying unless it is all that changed. */
static void put_trivia(struct buf *out, const struct nlmsghdr *m)
{
	struct fib_view v;
	unsigned int proto = 0, scope = 0;

	if (fib_view(m, &v) < 0)
		return;
	switch (v.kind) {
	case FIB_ROUTE:
		proto = ((const struct rtmsg *)NLMSG_DATA(m))->rtm_protocol;
		scope = ((const struct rtmsg *)NLMSG_DATA(m))->rtm_scope;
		break;
	case FIB_NEXTHOP:
		proto = ((const struct nhmsg *)NLMSG_DATA(m))->nh_protocol;
		break;
	default:
		proto = attr_u8(v.proto);
		break;
	}
	buf_str(out, " proto ");
	PUT_NAME(out, protocols, proto);
	buf_fmt(out, " scope %u", scope);
}

static void put_suffix(struct buf *out, const struct fib_view *v)
{
	if (v->kind != FIB_ROUTE && v->kind != FIB_RULE)
		return;
	buf_str(out, " (");
	put_family(out, v->family);
	if (v->kind == FIB_ROUTE) {
		buf_str(out, ", table ");
		put_table(out, v->table);
	}
	buf_str(out, ")");
}

static void put_object(struct buf *out, const struct fib_snapshot *s, const struct nlmsghdr *m, struct fib_view *v)
{
	/* The normal form: neither ages nor what is not compared. */
	struct fib_out normal;
	const struct fib_link *l;

	if (fib_view(m, v) < 0)
		return;
	fib_scrub(m, v, FIB_FORM_COMPARE, 0, &normal);
	m = (const struct nlmsghdr *)normal.data;
	if (fib_view(m, v) < 0)
		return;
	switch (v->kind) {
	case FIB_LINK:
		l = fib_link(m);
		buf_fmt(out, "link %s (index %u%s%s)", l->name, l->index, l->kind[0] ? ", " : "", l->kind);
		break;
	case FIB_ADDRESS:
		put_address(out, s, m, v);
		break;
	case FIB_NEXTHOP:
		put_nexthop(out, s, m, v);
		break;
	case FIB_ROUTE:
		put_route(out, s, m, v);
		break;
	default:
		put_rule(out, m, v);
		break;
	}
	/* `v` leads into the normal form, which ends here; its numbers stay good. */
}

static void put_link_name(struct buf *out, const struct fib_snapshot *s, uint32_t ifindex)
{
	const struct fib_link *l = ifindex ? fib_snapshot_link(s, ifindex) : NULL;

	if (l)
		buf_str(out, l->name);
	else if (ifindex)
		buf_fmt(out, "(index %u)", ifindex);
	else
		buf_str(out, "none");
}

static void put_lladdr(struct buf *out, const struct fib_link *l)
{
	for (size_t i = 0; i < l->lladdr_len; i++)
		buf_fmt(out, "%s%02x", i ? ":" : "", l->lladdr[i]);
	if (!l->lladdr_len)
		buf_str(out, "none");
}

static void put_link_changes(struct buf *out, const struct fib_object *o)
{
	const struct fib_link *b = fib_link(o->before), *a = fib_link(o->after);
	const char *comma = " ";

	buf_fmt(out, "link %s:", b->name);
	for (unsigned int bit = 1; bit <= o->link_changed; bit <<= 1) {
		if (!(o->link_changed & bit))
			continue;
		buf_str(out, comma);
		comma = ", ";
		switch (bit) {
		case FIB_LINK_NAME:
			buf_fmt(out, "name %s -> %s", b->name, a->name);
			break;
		case FIB_LINK_KIND:
			buf_fmt(out, "kind %s -> %s", b->kind[0] ? b->kind : "none", a->kind[0] ? a->kind : "none");
			break;
		case FIB_LINK_MASTER:
			buf_str(out, "master ");
			put_link_name(out, o->in_before, b->master);
			buf_str(out, " -> ");
			put_link_name(out, o->in_after, a->master);
			break;
		case FIB_LINK_MTU:
			buf_fmt(out, "mtu %u -> %u", b->mtu, a->mtu);
			break;
		case FIB_LINK_UP:
			buf_str(out, b->flags & IFF_UP ? "up -> down" : "down -> up");
			break;
		case FIB_LINK_NOARP:
			buf_str(out, b->flags & IFF_NOARP ? "arp off -> on" : "arp on -> off");
			break;
		case FIB_LINK_GROUP:
			buf_fmt(out, "group %u -> %u", b->group, a->group);
			break;
		case FIB_LINK_LLADDR:
			buf_str(out, "address ");
			put_lladdr(out, b);
			buf_str(out, " -> ");
			put_lladdr(out, a);
			break;
		case FIB_LINK_NETNSID:
			buf_fmt(out, "link-netnsid %d -> %d", b->netnsid, a->netnsid);
			break;
		}
	}
}

void fib_describe(const struct fib_object *o, struct buf *out)
{
	static const char *const words[] = {
		[FIB_REMOVED] = "removed: ",
		[FIB_ADDED] = "added: ",
		[FIB_CHANGED] = "changed: ",
		[FIB_REORDERED] = "changed: order of equals: ",
	};
	struct fib_view v;

	buf_str(out, words[o->change]);
	if (o->kind == FIB_LINK && o->change == FIB_CHANGED) {
		put_link_changes(out, o);
		return;
	}
	if (o->change == FIB_CHANGED) {
		_cleanup_buf_ struct buf before = { 0 }, after = { 0 };

		put_object(&before, o->in_before, o->before, &v);
		put_object(&after, o->in_after, o->after, &v);
		if (before.failed || after.failed || !before.data || !after.data) {
			out->failed = true;
			return;
		}
		buf_fmt(out, "%s -> %s", before.data, after.data);
		if (!strcmp(before.data, after.data)) {
			put_trivia(out, o->before);
			buf_str(out, " ->");
			put_trivia(out, o->after);
		}
	} else {
		put_object(out, o->before ? o->in_before : o->in_after, o->before ? o->before : o->after, &v);
	}
	put_suffix(out, &v);
}
