/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fib-msg.c - one raw rtnetlink message: its attributes, and a link's short form. Every length is checked; nothing is sent. */
#include "fib-msg.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <linux/fib_rules.h>
#include <linux/nexthop.h>
#include <net/if.h>

#define TYPE_OF(a) ((a)->rta_type & NLA_TYPE_MASK)

enum fib_kind fib_kind_of(uint16_t nlmsg_type)
{
	switch (nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return FIB_LINK;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return FIB_ADDRESS;
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		return FIB_NEXTHOP;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return FIB_ROUTE;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		return FIB_RULE;
	default:
		return FIB_KINDS;
	}
}

static const uint8_t head_size[FIB_KINDS] = {
	[FIB_LINK] = sizeof(struct fib_link), [FIB_ADDRESS] = sizeof(struct ifaddrmsg),
	[FIB_NEXTHOP] = sizeof(struct nhmsg), [FIB_ROUTE] = sizeof(struct rtmsg),
	[FIB_RULE] = sizeof(struct fib_rule_hdr),
};

const struct fib_link *fib_link(const struct nlmsghdr *m)
{
	return m && m->nlmsg_type == RTM_NEWLINK ? NLMSG_DATA(m) : NULL;
}

static void view_address(const struct nlmsghdr *m, struct fib_view *v)
{
	const struct ifaddrmsg *h = NLMSG_DATA(m);

	v->family = h->ifa_family;
	v->ifindex = h->ifa_index;
	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head)) {
		switch (TYPE_OF(a)) {
		case IFA_ADDRESS: /* of the link, or of the peer */
			v->dst = a;
			break;
		case IFA_LOCAL:
			v->src = a;
			break;
		case IFA_CACHEINFO:
			v->cacheinfo = a;
			break;
		case IFA_FLAGS:
			v->flags = a;
			break;
		case IFA_PROTO:
			v->proto = a;
			break;
		}
	}
}

static void view_nexthop(const struct nlmsghdr *m, struct fib_view *v)
{
	const struct nhmsg *h = NLMSG_DATA(m);

	v->family = h->nh_family;
	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head)) {
		switch (TYPE_OF(a)) {
		case NHA_ID:
			v->id = attr_u32(a);
			break;
		case NHA_GROUP:
			v->multipath = a;
			break;
		case NHA_OIF:
			v->oif = a;
			v->ifindex = attr_u32(a);
			break;
		case NHA_GATEWAY:
			v->gateway = a;
			break;
		}
	}
}

static void view_route(const struct nlmsghdr *m, struct fib_view *v)
{
	const struct rtmsg *h = NLMSG_DATA(m);

	v->family = h->rtm_family;
	v->table = h->rtm_table;
	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head)) {
		switch (TYPE_OF(a)) {
		case RTA_DST:
			v->dst = a;
			break;
		case RTA_SRC:
			v->src = a;
			break;
		case RTA_OIF:
			v->oif = a;
			v->ifindex = attr_u32(a);
			break;
		case RTA_GATEWAY:
			v->gateway = a;
			break;
		case RTA_VIA:
			v->via = a;
			break;
		case RTA_MULTIPATH:
			v->multipath = a;
			break;
		case RTA_PRIORITY:
			v->priority = attr_u32(a);
			break;
		case RTA_TABLE:
			v->table = attr_u32(a);
			break;
		case RTA_NH_ID:
			v->nh_id = a;
			break;
		case RTA_METRICS:
			v->metrics = a;
			break;
		case RTA_CACHEINFO:
			v->cacheinfo = a;
			break;
		}
	}
}

static void view_rule(const struct nlmsghdr *m, struct fib_view *v)
{
	const struct fib_rule_hdr *h = NLMSG_DATA(m);

	v->family = h->family;
	v->table = h->action == FR_ACT_TO_TBL ? h->table : 0;
	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head)) {
		switch (TYPE_OF(a)) {
		case FRA_PRIORITY: /* absent: 0 */
			v->priority = attr_u32(a);
			break;
		case FRA_TABLE:
			if (h->action == FR_ACT_TO_TBL)
				v->table = attr_u32(a);
			break;
		case FRA_PROTOCOL:
			v->proto = a;
			break;
		}
	}
}

int fib_view(const struct nlmsghdr *m, struct fib_view *ret_view)
{
	enum fib_kind kind = fib_kind_of(m->nlmsg_type);

	if (kind == FIB_KINDS || m->nlmsg_len > FIB_MSG_MAX || m->nlmsg_len < (size_t)NLMSG_HDRLEN + head_size[kind])
		return -EBADMSG;
	*ret_view = (struct fib_view){ .kind = kind, .head = head_size[kind] };
	switch (kind) {
	case FIB_LINK:
		ret_view->ifindex = fib_link(m)->index;
		break;
	case FIB_ADDRESS:
		view_address(m, ret_view);
		break;
	case FIB_NEXTHOP:
		view_nexthop(m, ret_view);
		break;
	case FIB_ROUTE:
		view_route(m, ret_view);
		break;
	default:
		view_rule(m, ret_view);
		break;
	}
	return 0;
}

uint32_t fib_address_flags(const struct nlmsghdr *m, const struct fib_view *v)
{
	/* IFA_FLAGS has what does not fit in the 8 bits of the header. */
	return v->flags ? attr_u32(v->flags) : ((const struct ifaddrmsg *)NLMSG_DATA(m))->ifa_flags;
}

/* net.ipv6.conf.IFACE.accept_ra: 1 = unless forwarding, 2 = always (Documentation/networking/ip-sysctl). */
static void read_ipv6(const struct rtattr *af_spec, struct fib_link *link)
{
	FOR_EACH_ATTR (af, RTA_DATA(af_spec), RTA_PAYLOAD(af_spec)) {
		if (TYPE_OF(af) != AF_INET6)
			continue;
		FOR_EACH_ATTR (a, RTA_DATA(af), RTA_PAYLOAD(af)) {
			int32_t conf[DEVCONF_DISABLE_IPV6 + 1];

			if (TYPE_OF(a) != IFLA_INET6_CONF || RTA_PAYLOAD(a) < sizeof(conf))
				continue;
			memcpy(conf, RTA_DATA(a), sizeof(conf));
			link->accepts_ra = conf[DEVCONF_ACCEPT_RA] == 2 || (conf[DEVCONF_ACCEPT_RA] == 1 && !conf[DEVCONF_FORWARDING]);
			link->ipv6_off = conf[DEVCONF_DISABLE_IPV6] != 0;
		}
	}
}

static void copy_name(char to[16], const struct rtattr *a)
{
	size_t len = strnlen(RTA_DATA(a), RTA_PAYLOAD(a) < 16 ? RTA_PAYLOAD(a) : 15);

	memcpy(to, RTA_DATA(a), len);
}

int fib_link_reduce(const struct nlmsghdr *m, struct fib_out *ret_out)
{
	const struct ifinfomsg *info = NLMSG_DATA(m);
	struct nlmsghdr *h = (struct nlmsghdr *)ret_out->data;
	struct fib_link l;

	if (m->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return -EBADMSG;
	memset(&l, 0, sizeof(l));
	l.index = (uint32_t)info->ifi_index;
	l.flags = info->ifi_flags & FIB_LINK_FLAGS;
	l.netnsid = -1;
	FOR_EACH_ATTR (a, msg_attrs(m, sizeof(*info)), msg_attrs_len(m, sizeof(*info))) {
		switch (TYPE_OF(a)) {
		case IFLA_IFNAME:
			copy_name(l.name, a);
			break;
		case IFLA_MTU:
			l.mtu = attr_u32(a);
			break;
		case IFLA_MASTER:
			l.master = attr_u32(a);
			break;
		case IFLA_GROUP:
			l.group = attr_u32(a);
			break;
		case IFLA_LINK_NETNSID:
			l.netnsid = (int32_t)attr_u32(a);
			break;
		case IFLA_ADDRESS:
			if (RTA_PAYLOAD(a) <= sizeof(l.lladdr)) {
				memcpy(l.lladdr, RTA_DATA(a), RTA_PAYLOAD(a));
				l.lladdr_len = (uint8_t)RTA_PAYLOAD(a);
			}
			break;
		case IFLA_LINKINFO:
			FOR_EACH_ATTR (sub, RTA_DATA(a), RTA_PAYLOAD(a)) {
				if (TYPE_OF(sub) == IFLA_INFO_KIND)
					copy_name(l.kind, sub);
			}
			break;
		case IFLA_AF_SPEC:
			read_ipv6(a, &l);
			break;
		}
	}
	if (!strcmp(l.kind, "bridge") || !strcmp(l.kind, "bond") || !strcmp(l.kind, "team")) {
		memset(l.lladdr, 0, sizeof(l.lladdr));
		l.lladdr_len = 0;
	}
	*h = (struct nlmsghdr){ .nlmsg_len = NLMSG_LENGTH(sizeof(l)), .nlmsg_type = RTM_NEWLINK };
	memcpy(NLMSG_DATA(h), &l, sizeof(l));
	ret_out->len = NLMSG_SPACE(sizeof(l));
	return 0;
}
