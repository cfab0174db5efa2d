/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fib-print.c - names objects in iproute2's vocabulary, for the one who has to
 * understand what was done to the host. Every attribute that is compared is shown, if need be by
 * number, so that two texts of a change are never the same.
 */
#include "fib-msg.h"

#include <arpa/inet.h>
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

/* A name of the table, or the number. */
void fib_put_name(struct buf *out, const char *const *names, size_t n, unsigned int value)
{
	if (value < n && names[value])
		buf_str(out, names[value]);
	else
		buf_fmt(out, "%u", value);
}

void fib_put_protocol(struct buf *out, unsigned int protocol)
{
	PUT_NAME(out, protocols, protocol);
}

void fib_put_table(struct buf *out, uint32_t table)
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

void fib_put_hex(struct buf *out, const void *data, size_t len)
{
	const uint8_t *p = data;

	buf_str(out, "0x");
	for (size_t i = 0; i < len; i++)
		buf_fmt(out, "%02x", p[i]);
}

/* An address by its length: nexthops of another family than the route's exist. */
void fib_put_ip(struct buf *out, const void *data, size_t len)
{
	char text[INET6_ADDRSTRLEN];

	if ((len == 4 || len == 16) && inet_ntop(len == 4 ? AF_INET : AF_INET6, data, text, sizeof(text)))
		buf_str(out, text);
	else
		fib_put_hex(out, data, len);
}

void fib_put_attr_ip(struct buf *out, const struct rtattr *a)
{
	fib_put_ip(out, RTA_DATA(a), RTA_PAYLOAD(a));
}

void fib_put_dev(struct buf *out, const struct fib_snapshot *s, uint32_t ifindex)
{
	const struct fib_link *l = fib_snapshot_link(s, ifindex);

	if (l)
		buf_fmt(out, " dev %s", l->name);
	else
		buf_fmt(out, " dev (index %u)", ifindex);
}

/* Names come from whoever made the link or the rule: nothing may reach the terminal that is not printable. */
void fib_put_text(struct buf *out, const struct rtattr *a)
{
	const char *p = RTA_DATA(a);

	for (size_t i = 0; i < RTA_PAYLOAD(a) && p[i]; i++)
		buf_add(out, p[i] > ' ' && p[i] < 0x7f ? &p[i] : "?", 1);
}

void fib_put_value(struct buf *out, const char *label, const struct rtattr *a)
{
	buf_fmt(out, " %s ", label);
	if (RTA_PAYLOAD(a) == 4)
		buf_fmt(out, "%u", attr_u32(a));
	else if (RTA_PAYLOAD(a) == 2)
		buf_fmt(out, "%u", attr_u16(a));
	else if (RTA_PAYLOAD(a) == 1)
		buf_fmt(out, "%u", attr_u8(a));
	else
		fib_put_hex(out, RTA_DATA(a), RTA_PAYLOAD(a));
}

void fib_put_unknown(struct buf *out, const struct rtattr *a)
{
	char label[32];

	snprintf(label, sizeof(label), "attribute %u", TYPE_OF(a));
	fib_put_value(out, label, a);
}

void fib_put_flags(struct buf *out, unsigned int flags)
{
	if (flags & RTNH_F_ONLINK)
		buf_str(out, " onlink");
	if (flags & RTNH_F_PERVASIVE)
		buf_str(out, " pervasive");
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
		fib_put_attr_ip(out, local);
	if (v->src && v->dst && (RTA_PAYLOAD(v->src) != RTA_PAYLOAD(v->dst) ||
				 memcmp(RTA_DATA(v->src), RTA_DATA(v->dst), RTA_PAYLOAD(v->src)) != 0)) {
		buf_str(out, " peer ");
		fib_put_attr_ip(out, v->dst);
	}
	buf_fmt(out, "/%u", h->ifa_prefixlen);
	fib_put_dev(out, s, v->ifindex);
	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head)) {
		switch (TYPE_OF(a)) {
		case IFA_LOCAL:
		case IFA_ADDRESS:
		case IFA_CACHEINFO:
		case IFA_FLAGS:
			break;
		case IFA_BROADCAST:
			buf_str(out, " brd ");
			fib_put_attr_ip(out, a);
			break;
		case IFA_LABEL:
			if (link && RTA_PAYLOAD(a) && !strncmp(RTA_DATA(a), link->name, RTA_PAYLOAD(a)))
				break;
			buf_str(out, " label ");
			fib_put_text(out, a);
			break;
		case IFA_RT_PRIORITY:
			fib_put_value(out, "metric", a);
			break;
		case IFA_PROTO:
			buf_str(out, " proto ");
			PUT_NAME(out, origins, attr_u8(a));
			break;
		default:
			fib_put_unknown(out, a);
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
	if (v->gateway) {
		buf_str(out, " via ");
		fib_put_attr_ip(out, v->gateway);
	}
	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head)) {
		switch (TYPE_OF(a)) {
		case NHA_ID:
		case NHA_GATEWAY:
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
				fib_put_value(out, "type", a);
			break;
		case NHA_BLACKHOLE:
			buf_str(out, " blackhole");
			break;
		case NHA_OIF:
			fib_put_dev(out, s, attr_u32(a));
			break;
		case NHA_FDB:
			buf_str(out, " fdb");
			break;
		case NHA_RES_GROUP:
			FOR_EACH_ATTR (sub, RTA_DATA(a), RTA_PAYLOAD(a)) {
				if (TYPE_OF(sub) == NHA_RES_GROUP_BUCKETS)
					fib_put_value(out, "buckets", sub);
				else if (TYPE_OF(sub) == NHA_RES_GROUP_IDLE_TIMER) /* in ticks of 1/100 s */
					buf_fmt(out, " idle_timer %g", attr_u32(sub) / 100.0);
				else if (TYPE_OF(sub) == NHA_RES_GROUP_UNBALANCED_TIMER)
					buf_fmt(out, " unbalanced_timer %g", attr_u32(sub) / 100.0);
			}
			break;
		default:
			fib_put_unknown(out, a);
		}
	}
	fib_put_flags(out, h->nh_flags);
	if (h->nh_protocol > RTPROT_STATIC) {
		buf_str(out, " proto ");
		fib_put_protocol(out, h->nh_protocol);
	}
}

static bool is_from_ra(const struct nlmsghdr *m)
{
	return fib_kind_of(m->nlmsg_type) == FIB_ROUTE && (((const struct rtmsg *)NLMSG_DATA(m))->rtm_flags & FIB_RTM_RA);
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
		if (is_from_ra(m))
			buf_str(out, " by the kernel");
		break;
	case FIB_NEXTHOP:
		proto = ((const struct nhmsg *)NLMSG_DATA(m))->nh_protocol;
		break;
	default:
		proto = attr_u8(v.proto);
		break;
	}
	buf_str(out, " proto ");
	fib_put_protocol(out, proto);
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
		fib_put_table(out, v->table);
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
		fib_put_route(out, s, m, v);
		break;
	default:
		fib_put_rule(out, m, v);
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
		case FIB_LINK_MULTICAST:
			buf_str(out, b->flags & IFF_MULTICAST ? "multicast on -> off" : "multicast off -> on");
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
		if (!strcmp(before.data, after.data) || is_from_ra(o->before) != is_from_ra(o->after)) {
			put_trivia(out, o->before);
			buf_str(out, " ->");
			put_trivia(out, o->after);
		}
	} else {
		put_object(out, o->before ? o->in_before : o->in_after, o->before ? o->before : o->after, &v);
	}
	put_suffix(out, &v);
}
