/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fib-event.c - what happens to a namespace's routing while it happens, and what one
 * event means beside a snapshot.
 *
 * Events are not complete: the IPv4 routes that go with a link, an address or a nexthop
 * object are not notified. Whoever listens compares snapshots as well.
 */
#include "fib-msg.h"

#include <linux/if_link.h>
#include <sys/socket.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

/* 832 bytes are charged for a route: room for 20,000. It is used only while events wait. */
#define EVENT_BUFFER (16 * 1024 * 1024)
#define EVENT_MAX 65536
/* Who writes faster than it can be undone must not keep the reader from ending him. */
#define READ_LIMIT_MS 1000

struct fib_events {
	int fd;
	bool roomy;
	_Alignas(8) unsigned char buf[EVENT_MAX];
};

static int subscribe(int fd)
{
	static const unsigned int groups[] = {
		RTNLGRP_LINK,	    RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
		RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE,	 RTNLGRP_MPLS_ROUTE,  RTNLGRP_NEXTHOP,
	};

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i])) < 0)
			return -errno;
	return 0;
}

int fib_events_open(struct fib_events **ret_events)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	struct fib_events *e = malloc(sizeof(*e));
	int size = EVENT_BUFFER, r;

	if (!e)
		return -ENOMEM;
	e->roomy = true;
	e->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	r = e->fd < 0 ? -errno : 0;
	if (r == 0 && setsockopt(e->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0) {
		e->roomy = false;
		setsockopt(e->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	}
	if (r == 0 && bind(e->fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		r = -errno;
	if (r == 0)
		r = subscribe(e->fd);
	if (r < 0) {
		fib_events_close(e);
		return r;
	}
	*ret_events = e;
	return 0;
}

void fib_events_close(struct fib_events *e)
{
	if (!e)
		return;
	close_fd(e->fd);
	free(e);
}

int fib_events_fd(const struct fib_events *e)
{
	return e->fd;
}

bool fib_events_roomy(const struct fib_events *e)
{
	return e->roomy;
}

int fib_events_read(struct fib_events *e, void (*each)(void *arg, const struct nlmsghdr *event), void *arg)
{
	int64_t end = fib_now() + READ_LIMIT_MS;
	bool lost = false;

	while (fib_now() < end) {
		struct sockaddr_nl from;
		struct iovec iov = { .iov_base = e->buf, .iov_len = sizeof(e->buf) };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof(from) };
		ssize_t n = recvmsg(e->fd, &msg, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return lost ? -ENOBUFS : 0;
		/* Told once, and before what is still queued. */
		if (n < 0 && errno == ENOBUFS) {
			lost = true;
			continue;
		}
		if (n < 0)
			return -errno;
		lost |= msg.msg_flags & MSG_TRUNC;
		if (from.nl_pid != 0)
			continue;
		for (const struct nlmsghdr *m = (const struct nlmsghdr *)e->buf;
		     (size_t)n >= sizeof(*m) && m->nlmsg_len >= sizeof(*m) && m->nlmsg_len <= (size_t)n;) {
			size_t step = record_size(m);

			each(arg, m);
			if (step >= (size_t)n)
				break;
			n -= (ssize_t)step;
			m = (const struct nlmsghdr *)((const char *)m + step);
		}
	}
	return lost ? -ENOBUFS : -EAGAIN;
}

uint32_t fib_port(const struct fib *f)
{
	return f->port;
}

static bool is_new(uint16_t type)
{
	return type == RTM_NEWLINK || type == RTM_NEWADDR || type == RTM_NEWROUTE || type == RTM_NEWRULE || type == RTM_NEWNEXTHOP;
}

/* The member of the group that is, or was, this object: the same by content, or else by its address. */
static const struct nlmsghdr *find_member(const struct fib_snapshot *s, const struct fib_group *g, const struct nlmsghdr *m, const struct fib_view *v,
					  bool *ret_same)
{
	uint64_t hash = fib_hash_message(m, v), member = fib_hash_member(m, v);
	const struct nlmsghdr *like = NULL;

	*ret_same = false;
	for (size_t at = g->offset; g->n && at < g->end; at += record_size(record_at(s, at))) {
		const struct nlmsghdr *record = record_at(s, at);
		struct fib_view rv;

		if (fib_view(record, &rv) < 0)
			continue;
		if (fib_hash_message(record, &rv) == hash) {
			*ret_same = true;
			return record;
		}
		if (v->kind == FIB_LINK || v->kind == FIB_NEXTHOP || (v->kind == FIB_ADDRESS && fib_hash_member(record, &rv) == member))
			like = record;
	}
	return like;
}

int fib_event_object(struct fib *f, struct fib_snapshot *before, const struct nlmsghdr *event, struct fib_object *ret_object)
{
	struct fib_object o = { .change = FIB_ADDED, .in_before = before, .in_after = before };
	const struct nlmsghdr *m = event, *member;
	bool new = is_new(event->nlmsg_type), same;
	struct fib_group g = { 0 };
	struct fib_view v;
	int r;

	if (fib_kind_of(event->nlmsg_type) == FIB_KINDS)
		return 0;
	if (fib_kind_of(event->nlmsg_type) == FIB_LINK) {
		/* Of a bridge's ports and of wireless links there are notices of other families. */
		if (event->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifinfomsg)) && ((const struct ifinfomsg *)NLMSG_DATA(event))->ifi_family != AF_UNSPEC)
			return 0;
		r = fib_link_reduce(event, f->event);
		if (r < 0)
			return r;
		m = (const struct nlmsghdr *)f->event->data;
	}
	r = fib_view(m, &v);
	if (r < 0)
		return r;
	if (v.kind == FIB_ROUTE && ((const struct rtmsg *)NLMSG_DATA(m))->rtm_flags & RTM_F_CLONED)
		return 0;
	r = fib_snapshot_index(before);
	if (r < 0)
		return r;
	if (fib_group_find(before, fib_hash_group(m, &v), &g) < 0)
		g.n = 0;
	member = find_member(before, &g, m, &v, &same);
	/* Events do not say whose a route is: the kernel's own is known by where it leads. */
	if (v.kind == FIB_ROUTE && !member && before->n_ra) {
		member = fib_ra_find(before, m, &v);
		same = member != NULL;
	}
	if (new && same)
		return 0;
	if (!new && !member)
		return 0;
	o.after = new ? m : NULL;
	o.before = member;
	if (!new)
		o.change = FIB_REMOVED;
	else if (member)
		o.change = FIB_CHANGED;
	fib_object_fill(&o, before, m, &v);
	o.kernel_managed |= fib_may_be_kernel_managed(before, m, &v);
	if (v.kind == FIB_LINK && new && member && !o.link_changed)
		return 0;
	*ret_object = o;
	return 1;
}

uint32_t fib_event_ifindex(const struct nlmsghdr *event)
{
	return event->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)) ? 0 : (uint32_t)((const struct ifinfomsg *)NLMSG_DATA(event))->ifi_index;
}

bool fib_event_moved(const struct nlmsghdr *event, int32_t *ret_nsid, uint32_t *ret_ifindex)
{
	size_t head = sizeof(struct ifinfomsg);
	bool moved = false;

	if (event->nlmsg_type != RTM_DELLINK || event->nlmsg_len < NLMSG_LENGTH(head))
		return false;
	*ret_ifindex = fib_event_ifindex(event);
	FOR_EACH_ATTR (a, msg_attrs(event, head), msg_attrs_len(event, head)) {
		if ((a->rta_type & NLA_TYPE_MASK) == IFLA_NEW_NETNSID) {
			*ret_nsid = (int32_t)attr_u32(a);
			moved = true;
		} else if ((a->rta_type & NLA_TYPE_MASK) == IFLA_NEW_IFINDEX && attr_u32(a)) {
			*ret_ifindex = attr_u32(a);
		}
	}
	return moved;
}

int fib_snapshot_addresses(const struct fib_snapshot *s, int (*each)(void *arg, const struct fib_object *o, const void *address), void *arg)
{
	int r = 0;

	for (size_t at = s->start[FIB_ADDRESS]; r == 0 && at < s->start[FIB_ADDRESS + 1]; at += record_size(record_at(s, at))) {
		const struct nlmsghdr *m = record_at(s, at);
		struct fib_object o = { .change = FIB_REMOVED, .before = m, .in_before = s, .in_after = s };
		const struct rtattr *address;
		struct fib_view v;

		if (fib_view(m, &v) < 0 || ((const struct ifaddrmsg *)NLMSG_DATA(m))->ifa_scope != RT_SCOPE_UNIVERSE)
			continue;
		address = v.src ? v.src : v.dst;
		fib_object_fill(&o, s, m, &v);
		if (address && RTA_PAYLOAD(address) == (v.family == AF_INET6 ? 16U : 4U))
			r = each(arg, &o, RTA_DATA(address));
	}
	return r;
}

void fib_snapshot_links(const struct fib_snapshot *s, void (*each)(void *arg, const struct fib_link *link), void *arg)
{
	for (size_t at = s->start[FIB_LINK]; at < s->start[FIB_LINK + 1]; at += record_size(record_at(s, at)))
		each(arg, fib_link(record_at(s, at)));
}

bool fib_snapshot_has_address(const struct fib_snapshot *s, uint32_t ifindex)
{
	for (size_t at = s->start[FIB_ADDRESS]; at < s->start[FIB_ADDRESS + 1]; at += record_size(record_at(s, at)))
		if (((const struct ifaddrmsg *)NLMSG_DATA(record_at(s, at)))->ifa_index == ifindex)
			return true;
	return false;
}

static void each_nexthop_link(const struct fib_snapshot *s, void (*each)(void *arg, const struct fib_object *o, uint32_t ifindex), void *arg,
			      const struct fib_object *o)
{
	for (size_t at = s->start[FIB_NEXTHOP]; at < s->start[FIB_NEXTHOP + 1]; at += record_size(record_at(s, at))) {
		struct fib_view v;

		if (fib_view(record_at(s, at), &v) == 0 && v.ifindex)
			each(arg, o, v.ifindex);
	}
}

void fib_snapshot_ways(const struct fib_snapshot *s, void (*each)(void *arg, const struct fib_object *o, uint32_t ifindex), void *arg)
{
	for (size_t at = s->start[FIB_ROUTE]; at < s->start[FIB_ROUTE + 1]; at += record_size(record_at(s, at))) {
		const struct nlmsghdr *m = record_at(s, at);
		struct fib_object o = { .change = FIB_REMOVED, .before = m, .in_before = s, .in_after = s };
		struct fib_view v;

		if (fib_view(m, &v) < 0)
			continue;
		fib_object_fill(&o, s, m, &v);
		if (v.nh_id)
			each_nexthop_link(s, each, arg, &o);
		else if (v.ifindex)
			each(arg, &o, v.ifindex);
		if (!v.multipath)
			continue;
		for (size_t left = RTA_PAYLOAD(v.multipath), pos = 0; left - pos >= sizeof(struct rtnexthop);) {
			const struct rtnexthop *hop = (const struct rtnexthop *)((const char *)RTA_DATA(v.multipath) + pos);

			if (hop->rtnh_len < sizeof(*hop) || hop->rtnh_len > left - pos)
				break;
			each(arg, &o, (uint32_t)hop->rtnh_ifindex);
			pos += RTNH_ALIGN(hop->rtnh_len);
			if (pos > left)
				break;
		}
	}
}
