/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fib-ask.c - single questions and requests, each with one answer. */
#include "fib-msg.h"

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/net_namespace.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* Appends an attribute to a request that has room for it. */
static void add_attr(struct nlmsghdr *h, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)((char *)h + NLMSG_ALIGN(h->nlmsg_len));

	*a = (struct rtattr){ .rta_len = (unsigned short)RTA_LENGTH(len), .rta_type = type };
	memcpy(RTA_DATA(a), data, len);
	h->nlmsg_len = (uint32_t)(NLMSG_ALIGN(h->nlmsg_len) + RTA_ALIGN(a->rta_len));
}

int fib_nsid_of(struct fib *f, int ns_fd, int32_t *ret_nsid)
{
	struct {
		struct nlmsghdr h;
		struct rtgenmsg g;
		unsigned char pad[3];
		struct rtattr a;
		uint32_t fd;
	} request = { .h = { .nlmsg_len = sizeof(request) }, .a = { .rta_len = RTA_LENGTH(sizeof(uint32_t)), .rta_type = NETNSA_FD }, .fd = (uint32_t)ns_fd };
	const struct nlmsghdr *answer;
	int r = fib_ask(f, &request.h, RTM_GETNSID, RTM_NEWNSID, &answer);

	if (r < 0)
		return r;
	FOR_EACH_ATTR (a, msg_attrs(answer, sizeof(struct rtgenmsg)), msg_attrs_len(answer, sizeof(struct rtgenmsg))) {
		if (a->rta_type == NETNSA_NSID) {
			*ret_nsid = (int32_t)attr_u32(a);
			return 0;
		}
	}
	return -EBADMSG;
}

int fib_drop_unresolved(struct fib *f, const struct nlmsghdr *event)
{
	struct {
		struct nlmsghdr h;
		struct ndmsg n;
		unsigned char attrs[32];
	} request = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ndmsg)) } };
	struct rtattr *a = (struct rtattr *)request.attrs;
	const struct nlmsghdr *answer;
	struct fib_view v;
	int r;

	if (event->nlmsg_type != RTM_NEWROUTE || fib_view(event, &v) < 0 || !v.gateway || !v.ifindex || RTA_PAYLOAD(v.gateway) > 16)
		return 0;
	request.n.ndm_family = (unsigned char)v.family;
	request.n.ndm_ifindex = (int)v.ifindex;
	*a = (struct rtattr){ .rta_len = (unsigned short)RTA_LENGTH(RTA_PAYLOAD(v.gateway)), .rta_type = NDA_DST };
	memcpy(RTA_DATA(a), RTA_DATA(v.gateway), RTA_PAYLOAD(v.gateway));
	request.h.nlmsg_len += RTA_ALIGN(a->rta_len);
	r = fib_ask(f, &request.h, RTM_GETNEIGH, RTM_NEWNEIGH, &answer);
	if (r < 0 || answer->nlmsg_len < NLMSG_LENGTH(sizeof(struct ndmsg)) ||
	    !(((const struct ndmsg *)NLMSG_DATA(answer))->ndm_state & (NUD_INCOMPLETE | NUD_FAILED)))
		return r;
	return fib_talk(f, &request.h, RTM_DELNEIGH, 0);
}

bool fib_has_link(struct fib *f, uint32_t ifindex)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} request = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)) }, .i = { .ifi_index = (int)ifindex } };
	const struct nlmsghdr *answer;

	return fib_ask(f, &request.h, RTM_GETLINK, RTM_NEWLINK, &answer) != -ENODEV;
}

int fib_delete_link(struct fib *f, uint32_t ifindex)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} request = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)) }, .i = { .ifi_index = (int)ifindex } };

	return fib_talk(f, &request.h, RTM_DELLINK, 0);
}

int fib_move_link(struct fib *f, uint32_t ifindex, const struct fib_link *as, int ns_fd)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
		unsigned char attrs[64];
	} request = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)) }, .i = { .ifi_index = (int)ifindex } };
	const uint32_t fd = (uint32_t)ns_fd, wanted = as->index;

	add_attr(&request.h, IFLA_NET_NS_FD, &fd, sizeof(fd));
	add_attr(&request.h, IFLA_IFNAME, as->name, strlen(as->name) + 1);
	/* Which the kernel keeps by itself unless it had to give another one there; before Linux 5.15 it cannot be asked for. */
	if (ifindex != wanted)
		add_attr(&request.h, IFLA_NEW_IFINDEX, &wanted, sizeof(wanted));
	return fib_talk(f, &request.h, RTM_NEWLINK, 0);
}

int fib_lookup(struct fib *f, const struct fib_flow *flow, uint64_t *ret_hash)
{
	struct {
		struct nlmsghdr h;
		struct rtmsg r;
		unsigned char attrs[96];
	} request = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)) } };
	size_t len = flow->family == AF_INET6 ? 16 : 4;
	const uint16_t sport = htons(flow->sport), dport = htons(flow->dport);
	const uint8_t tcp = IPPROTO_TCP;
	const struct nlmsghdr *answer;
	struct fib_view v;
	int r;

	request.r.rtm_family = (unsigned char)flow->family;
	request.r.rtm_dst_len = (unsigned char)(len * 8);
	/* IPv6 always answers with the table, and refuses to be asked for it. */
	request.r.rtm_flags = RTM_F_FIB_MATCH | (flow->family == AF_INET ? RTM_F_LOOKUP_TABLE : 0);
	add_attr(&request.h, RTA_DST, flow->to, len);
	if (flow->has_from) {
		request.r.rtm_src_len = (unsigned char)(len * 8);
		add_attr(&request.h, RTA_SRC, flow->from, len);
	}
	if (flow->tcp) {
		add_attr(&request.h, RTA_IP_PROTO, &tcp, sizeof(tcp));
		add_attr(&request.h, RTA_SPORT, &sport, sizeof(sport));
		add_attr(&request.h, RTA_DPORT, &dport, sizeof(dport));
	}
	r = fib_ask(f, &request.h, RTM_GETROUTE, RTM_NEWROUTE, &answer);
	/* Unreachable, prohibited, blackholed, not from there: an answer like others. */
	if (r == -ENETUNREACH || r == -EHOSTUNREACH || r == -EACCES || r == -EINVAL || r == -EADDRNOTAVAIL || r == -ENODEV) {
		*ret_hash = (uint64_t)-r;
		return 0;
	}
	if (r == 0)
		r = fib_view(answer, &v);
	if (r == 0)
		*ret_hash = fib_hash_message(answer, &v);
	return r;
}
