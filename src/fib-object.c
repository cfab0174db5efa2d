/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fib-object.c - one differing object, read off its messages. */
#include "fib-msg.h"

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <net/if.h>

static unsigned int link_changes(const struct fib_link *a, const struct fib_link *b)
{
	unsigned int what = 0;

	if (strcmp(a->name, b->name) != 0)
		what |= FIB_LINK_NAME;
	if (strcmp(a->kind, b->kind) != 0)
		what |= FIB_LINK_KIND;
	if (a->master != b->master)
		what |= FIB_LINK_MASTER;
	if (a->mtu != b->mtu)
		what |= FIB_LINK_MTU;
	if ((a->flags ^ b->flags) & IFF_UP)
		what |= FIB_LINK_UP;
	if ((a->flags ^ b->flags) & IFF_NOARP)
		what |= FIB_LINK_NOARP;
	if ((a->flags ^ b->flags) & IFF_MULTICAST)
		what |= FIB_LINK_MULTICAST;
	if (a->group != b->group)
		what |= FIB_LINK_GROUP;
	if (a->lladdr_len != b->lladdr_len || memcmp(a->lladdr, b->lladdr, sizeof(a->lladdr)) != 0)
		what |= FIB_LINK_LLADDR;
	if (a->netnsid != b->netnsid)
		what |= FIB_LINK_NETNSID;
	return what;
}

void fib_object_fill(struct fib_object *o, const struct fib_snapshot *in, const struct nlmsghdr *m, const struct fib_view *v)
{
	o->kind = v->kind;
	o->family = v->family;
	o->table = v->table;
	o->ifindex = v->ifindex;
	o->priority = v->priority;
	o->kernel_managed = fib_is_kernel_managed(in, m, v);
	switch (v->kind) {
	case FIB_LINK:
		if (o->before && o->after)
			o->link_changed = link_changes(fib_link(o->before), fib_link(o->after));
		break;
	case FIB_ADDRESS:
		o->prefixlen = ((const struct ifaddrmsg *)NLMSG_DATA(m))->ifa_prefixlen;
		o->protocol = attr_u8(v->proto);
		break;
	case FIB_NEXTHOP:
		o->protocol = ((const uint8_t *)NLMSG_DATA(m))[2]; /* struct nhmsg: nh_protocol */
		break;
	case FIB_ROUTE: {
		const struct rtmsg *h = NLMSG_DATA(m);

		o->prefixlen = h->rtm_dst_len;
		o->type = h->rtm_type;
		o->protocol = h->rtm_protocol;
		break;
	}
	default:
		o->type = ((const struct fib_rule_hdr *)NLMSG_DATA(m))->action;
		o->protocol = attr_u8(v->proto);
		break;
	}
}

uint64_t fib_object_key(const struct fib_object *o)
{
	const struct nlmsghdr *m = o->before ? o->before : o->after;
	struct fib_view v;

	return m && fib_view(m, &v) == 0 ? fib_hash_group(m, &v) ^ fib_hash_member(m, &v) : 0;
}

size_t fib_object_address(const struct fib_object *o, const void **ret_bytes)
{
	const struct nlmsghdr *m = o->before ? o->before : o->after;
	const struct rtattr *a = NULL;
	struct fib_view v;

	if (m && fib_view(m, &v) == 0)
		a = o->kind == FIB_ADDRESS && v.src ? v.src : v.dst;
	if (!a || (RTA_PAYLOAD(a) != 4 && RTA_PAYLOAD(a) != 16))
		return 0;
	*ret_bytes = RTA_DATA(a);
	return RTA_PAYLOAD(a);
}
