/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nl.h"

#include <glob.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>

#include "ns.h"

#ifndef IFLA_NEW_IFINDEX
#define IFLA_NEW_IFINDEX 49
#endif

struct rt {
	struct nl_sock *sock;
	bool unread;   /* an answer was not read to its end */
	char why[160]; /* the kernel's text for the last failure, or "" */
};

/* -NLE_… to -errno: the one place (libnl keeps only some of the kernel's numbers apart). */
static int from_libnl(int error)
{
	switch (-error) {
	case 0:
		return 0;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_EXIST:
		return -EEXIST;
	case NLE_NODEV:
		return -ENODEV;
	case NLE_OBJ_NOTFOUND:
		return -ENOENT;
	case NLE_OPNOTSUPP:
		return -EOPNOTSUPP;
	case NLE_AF_NOSUPPORT:
		return -EAFNOSUPPORT;
	case NLE_INVAL:
	case NLE_MSG_TOOSHORT:
	case NLE_MSGSIZE:
		return -EINVAL;
	case NLE_BUSY:
		return -EBUSY;
	case NLE_NOACCESS:
	case NLE_PERM:
		return -EPERM;
	case NLE_DUMP_INTR:
	case NLE_INTR:
		return -EINTR;
	case NLE_BAD_SOCK:
		return -EBADF;
	default:
		return -EIO;
	}
}

int rt_open(struct rt **ret_rt)
{
	struct rt *rt = calloc(1, sizeof(*rt));
	int on = 1;
	int r;

	if (!rt)
		return -ENOMEM;
	rt->sock = nl_socket_alloc();
	if (!rt->sock) {
		free(rt);
		return -ENOMEM;
	}
	r = nl_connect(rt->sock, NETLINK_ROUTE);
	if (r < 0) {
		rt_close(rt);
		return from_libnl(r);
	}
	nl_socket_set_buffer_size(rt->sock, 1 << 20, 1 << 20);
	/* Old kernels know neither; then there is no text, and dumps are filtered here. */
	(void)setsockopt(nl_socket_get_fd(rt->sock), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(nl_socket_get_fd(rt->sock), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	*ret_rt = rt;
	return 0;
}

static int open_here(void *arg)
{
	return rt_open(arg);
}

int rt_open_in(int ns_fd, struct rt **ret_rt)
{
	return ns_call(ns_fd, open_here, ret_rt);
}

void rt_close(struct rt *rt)
{
	if (!rt)
		return;
	nl_socket_free(rt->sock);
	free(rt);
}

const char *rt_why(const struct rt *rt, int error)
{
	return rt->why[0] ? rt->why : strerror(-error);
}

/* The kernel's own number and text out of a negative acknowledgement. */
static int read_error(struct rt *rt, const struct nlmsgerr *err, const struct nlmsghdr *hdr)
{
	size_t skip = sizeof(*err);
	const struct nlattr *attr;
	int left;

	rt->why[0] = '\0';
	if (err->error == 0 || !(hdr->nlmsg_flags & NLM_F_ACK_TLVS))
		return err->error;
	/* Without NLM_F_CAPPED the request comes back in full before the attributes. */
	if (!(hdr->nlmsg_flags & NLM_F_CAPPED))
		skip += err->msg.nlmsg_len - sizeof(err->msg);
	if (NLMSG_ALIGN(skip) >= (size_t)nlmsg_datalen(hdr))
		return err->error;
	left = nlmsg_datalen(hdr) - (int)NLMSG_ALIGN(skip);
	attr = (const void *)((const char *)nlmsg_data(hdr) + NLMSG_ALIGN(skip));
	for (; nla_ok(attr, left); attr = nla_next(attr, &left))
		if (nla_type(attr) == NLMSGERR_ATTR_MSG)
			snprintf(rt->why, sizeof(rt->why), "%.*s", (int)nla_len(attr), (const char *)nla_data(attr));
	return err->error;
}

struct reply {
	struct rt *rt;
	unsigned int acks;   /* acknowledgements still to come */
	unsigned int answer; /* the number of the one that came */
	size_t failed;	     /* the first that was negative */
	int error;
	int (*each)(void *arg, const struct nlmsghdr *msg);
	void *arg;
};

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *err, void *arg)
{
	struct reply *reply = arg;
	/* The message that `err` is the payload of. */
	const struct nlmsghdr *hdr = (const void *)((const char *)err - NLMSG_HDRLEN);

	(void)from;
	if (!reply->error) {
		reply->error = read_error(reply->rt, err, hdr);
		reply->failed = reply->answer;
	}
	reply->answer++;
	return --reply->acks ? NL_SKIP : NL_STOP;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct reply *reply = arg;

	(void)msg;
	reply->answer++;
	return --reply->acks ? NL_OK : NL_STOP;
}

static int on_finish(struct nl_msg *msg, void *arg)
{
	struct reply *reply = arg;

	(void)msg;
	reply->acks = 0;
	return NL_STOP;
}

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct reply *reply = arg;

	if (reply->each && !reply->error)
		reply->error = reply->each(reply->arg, nlmsg_hdr(msg));
	return NL_OK;
}

/* Reads until everything that was asked is answered. */
static int receive(struct rt *rt, struct reply *reply)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_CUSTOM);
	int r = 0;

	if (!cb)
		return -ENOMEM;
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, reply);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, reply);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, reply);
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, reply);
	reply->rt = rt;
	while (reply->acks && r >= 0)
		r = nl_recvmsgs(rt->sock, cb);
	rt->unread = r < 0;
	nl_cb_put(cb);
	/* What on_error() kept is the kernel's own number; libnl's knows EADDRINUSE as EEXIST. */
	if (r < 0 && !reply->error)
		return from_libnl(r);
	return reply->error;
}

static void cleanup_msg(struct nl_msg **msg)
{
	nlmsg_free(*msg);
}
#define _cleanup_msg_ CLEANUP(cleanup_msg)

/* The rest of an answer to one request must not be taken for that to the next. A dump goes on as it is read. */
static void skip_unread(struct rt *rt)
{
	char part[8192];

	if (!rt->unread)
		return;
	while (recv(nl_socket_get_fd(rt->sock), part, sizeof(part), MSG_DONTWAIT) > 0 || errno == EINTR || errno == ENOBUFS)
		;
	rt->unread = false;
}

/* Sends one request and waits for its acknowledgement; replies before it go to `each`. */
static int request(struct rt *rt, struct nl_msg *msg, int (*each)(void *, const struct nlmsghdr *), void *arg)
{
	struct reply reply = { .acks = 1, .each = each, .arg = arg };
	int r;

	rt->why[0] = '\0';
	skip_unread(rt);
	nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_REQUEST | ((nlmsg_hdr(msg)->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP ? 0 : NLM_F_ACK);
	nl_complete_msg(rt->sock, msg);
	r = nl_send(rt->sock, msg);
	if (r < 0)
		return from_libnl(r);
	return receive(rt, &reply);
}

/* A message with its fixed header; attributes are appended by the caller, whose failure shows in nl_complete. */
static struct nl_msg *message(int type, int flags, const void *header, size_t len)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

	if (msg && nlmsg_append(msg, (void *)header, len, NLMSG_ALIGNTO) < 0) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

/* ---- links ---- */

static int read_link(void *arg, const struct nlmsghdr *msg)
{
	struct rt_link *link = arg;
	const struct ifinfomsg *info = nlmsg_data(msg);
	struct nlattr *tb[IFLA_MAX + 1], *linkinfo[IFLA_INFO_MAX + 1];

	if (msg->nlmsg_type != RTM_NEWLINK || nlmsg_parse((void *)msg, sizeof(*info), tb, IFLA_MAX, NULL) < 0)
		return 0;
	link->ifindex = (unsigned int)info->ifi_index;
	link->flags = info->ifi_flags;
	if (tb[IFLA_IFNAME])
		nla_strlcpy(link->name, tb[IFLA_IFNAME], sizeof(link->name));
	if (tb[IFLA_MTU])
		link->mtu = nla_get_u32(tb[IFLA_MTU]);
	if (tb[IFLA_LINKINFO] && nla_parse_nested(linkinfo, IFLA_INFO_MAX, tb[IFLA_LINKINFO], NULL) == 0 && linkinfo[IFLA_INFO_KIND])
		nla_strlcpy(link->kind, linkinfo[IFLA_INFO_KIND], sizeof(link->kind));
	return 0;
}

int rt_link_get(struct rt *rt, const char *name, unsigned int ifindex, struct rt_link *ret_link)
{
	struct ifinfomsg info = { .ifi_index = name ? 0 : (int)ifindex };
	_cleanup_msg_ struct nl_msg *msg = message(RTM_GETLINK, 0, &info, sizeof(info));
	struct rt_link link = { 0 };
	int r;

	if (!msg || (name && nla_put_string(msg, IFLA_IFNAME, name) < 0))
		return -ENOMEM;
	r = request(rt, msg, read_link, &link);
	if (r < 0)
		return r;
	*ret_link = link;
	return 0;
}

int rt_link_create(struct rt *rt, const char *kind, const char *name, unsigned int ifindex, int target_fd)
{
	struct ifinfomsg info = { .ifi_index = (int)ifindex };
	_cleanup_msg_ struct nl_msg *msg = message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	struct nlattr *linkinfo;

	if (!msg || nla_put_string(msg, IFLA_IFNAME, name) < 0 || nla_put_u32(msg, IFLA_NET_NS_FD, (uint32_t)target_fd) < 0)
		return -ENOMEM;
	linkinfo = nla_nest_start(msg, IFLA_LINKINFO);
	if (!linkinfo || nla_put_string(msg, IFLA_INFO_KIND, kind) < 0)
		return -ENOMEM;
	nla_nest_end(msg, linkinfo);
	return request(rt, msg, NULL, NULL);
}

int rt_link_delete(struct rt *rt, unsigned int ifindex)
{
	struct ifinfomsg info = { .ifi_index = (int)ifindex };
	_cleanup_msg_ struct nl_msg *msg = message(RTM_DELLINK, 0, &info, sizeof(info));

	return msg ? request(rt, msg, NULL, NULL) : -ENOMEM;
}

int rt_link_rename(struct rt *rt, unsigned int ifindex, const char *name)
{
	struct ifinfomsg info = { .ifi_index = (int)ifindex };
	_cleanup_msg_ struct nl_msg *msg = message(RTM_NEWLINK, 0, &info, sizeof(info));

	if (!msg || nla_put_string(msg, IFLA_IFNAME, name) < 0)
		return -ENOMEM;
	return request(rt, msg, NULL, NULL);
}

int rt_link_move(struct rt *rt, unsigned int ifindex, int target_fd, unsigned int new_ifindex)
{
	struct ifinfomsg info = { .ifi_index = (int)ifindex };
	_cleanup_msg_ struct nl_msg *msg = message(RTM_NEWLINK, 0, &info, sizeof(info));

	if (!msg || nla_put_u32(msg, IFLA_NET_NS_FD, (uint32_t)target_fd) < 0)
		return -ENOMEM;
	if (new_ifindex && nla_put_u32(msg, IFLA_NEW_IFINDEX, new_ifindex) < 0)
		return -ENOMEM;
	return request(rt, msg, NULL, NULL);
}

static int set_link(struct rt *rt, unsigned int ifindex, unsigned int mtu, bool has_mtu, unsigned int up)
{
	struct ifinfomsg info = { .ifi_index = (int)ifindex, .ifi_flags = up, .ifi_change = up };
	_cleanup_msg_ struct nl_msg *msg = message(RTM_NEWLINK, 0, &info, sizeof(info));

	if (!msg || (has_mtu && nla_put_u32(msg, IFLA_MTU, mtu) < 0))
		return -ENOMEM;
	return request(rt, msg, NULL, NULL);
}

int rt_link_up(struct rt *rt, unsigned int ifindex, const unsigned int *mtu)
{
	return set_link(rt, ifindex, mtu ? *mtu : 0, mtu != NULL, IFF_UP);
}

int rt_link_set_mtu(struct rt *rt, unsigned int ifindex, unsigned int mtu)
{
	return set_link(rt, ifindex, mtu, true, 0);
}

/* ---- addresses ---- */

static int address_size(int family)
{
	return family == AF_INET ? (int)sizeof(struct in_addr) : (int)sizeof(struct in6_addr);
}

static int change_address(struct rt *rt, int type, int flags, unsigned int ifindex, const struct prefix *address)
{
	struct ifaddrmsg info = {
		.ifa_family = (uint8_t)address->family,
		.ifa_prefixlen = address->len,
		.ifa_index = ifindex,
	};
	_cleanup_msg_ struct nl_msg *msg = NULL;
	int size = address_size(address->family);

	/* ip(8) gives loopback addresses the host's scope. */
	if (address->family == AF_INET && address->bytes[0] == 127)
		info.ifa_scope = RT_SCOPE_HOST;
	msg = message(type, flags, &info, sizeof(info));
	if (!msg || nla_put(msg, IFA_LOCAL, size, address->bytes) < 0 || nla_put(msg, IFA_ADDRESS, size, address->bytes) < 0)
		return -ENOMEM;
	return request(rt, msg, NULL, NULL);
}

int rt_address_add(struct rt *rt, unsigned int ifindex, const struct prefix *address)
{
	return change_address(rt, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, address);
}

int rt_address_del(struct rt *rt, unsigned int ifindex, const struct prefix *address)
{
	return change_address(rt, RTM_DELADDR, 0, ifindex, address);
}

struct address_list {
	unsigned int ifindex;
	struct prefix *items;
	size_t n;
};

static int read_address(void *arg, const struct nlmsghdr *msg)
{
	struct address_list *list = arg;
	const struct ifaddrmsg *info = nlmsg_data(msg);
	struct nlattr *tb[IFA_MAX + 1], *local;
	struct prefix *slot;

	if (msg->nlmsg_type != RTM_NEWADDR || nlmsg_parse((void *)msg, sizeof(*info), tb, IFA_MAX, NULL) < 0)
		return 0;
	local = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
	if (info->ifa_index != list->ifindex || !local || nla_len(local) != address_size(info->ifa_family))
		return 0;
	slot = GROW(list->items, list->n);
	if (!slot)
		return -ENOMEM;
	slot->family = info->ifa_family;
	slot->len = info->ifa_prefixlen;
	memcpy(slot->bytes, nla_data(local), (size_t)nla_len(local));
	return 0;
}

static int dump(struct rt *rt, int type, const void *header, size_t len, int (*each)(void *, const struct nlmsghdr *), void *arg)
{
	_cleanup_msg_ struct nl_msg *msg = message(type, NLM_F_DUMP, header, len);

	return msg ? request(rt, msg, each, arg) : -ENOMEM;
}

/*
 * A consistent dump: one that a change interrupted is asked for again, and
 * `each` may then be given an object twice.
 */
static int dump_again(struct rt *rt, int type, const void *header, size_t len, int (*each)(void *, const struct nlmsghdr *), void *arg)
{
	int r, tries = 0;

	do
		r = dump(rt, type, header, len, each, arg);
	while (r == -EINTR && ++tries < 20);
	return r;
}

struct link_walk {
	int (*each)(void *arg, const struct rt_link *link);
	void *arg;
};

static int read_each_link(void *arg, const struct nlmsghdr *msg)
{
	const struct link_walk *walk = arg;
	struct rt_link link = { 0 };

	(void)read_link(&link, msg);
	return link.ifindex ? walk->each(walk->arg, &link) : 0;
}

int rt_links(struct rt *rt, int (*each)(void *arg, const struct rt_link *link), void *arg)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct link_walk walk = { each, arg };

	return dump_again(rt, RTM_GETLINK, &info, sizeof(info), read_each_link, &walk);
}

int rt_addresses(struct rt *rt, unsigned int ifindex, struct prefix **ret_addresses, size_t *ret_n)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct address_list list = { .ifindex = ifindex };

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct ifaddrmsg info = { .ifa_family = (uint8_t)families[i] };
		size_t before = list.n;
		int r, tries = 0;

		do {
			list.n = before;
			r = dump(rt, RTM_GETADDR, &info, sizeof(info), read_address, &list);
		} while (r == -EINTR && ++tries < 20);
		if (r < 0) {
			free(list.items);
			return r;
		}
	}
	*ret_addresses = list.items;
	*ret_n = list.n;
	return 0;
}

/* ---- routes ---- */

/* The library forgets one file's names when it reads the next. */
static bool table_in_file(const char *path, const char *name, uint32_t *ret_table)
{
	char back[64];
	int table;

	if (rtnl_route_read_table_names(path) < 0)
		return false;
	table = rtnl_route_str2table(name);
	/* It also takes text that only begins with a number. */
	if (table < 0 || strcmp(rtnl_route_table2str(table, back, sizeof(back)), name) != 0)
		return false;
	*ret_table = (uint32_t)table;
	return true;
}

int rt_table_number(const char *text, uint32_t *ret_table)
{
	/* Where iproute2 looks, Debian 12's (and before) and Debian 13's. */
	static const char *const patterns[] = { "/etc/iproute2/rt_tables", "/usr/share/iproute2/rt_tables", "/etc/iproute2/rt_tables.d/*.conf",
		"/usr/share/iproute2/rt_tables.d/*.conf" };
	uint32_t table = 0;
	uint64_t number;
	bool found = false;

	if (parse_cnum(text, UINT32_MAX, &number) == 0) {
		table = (uint32_t)number;
		found = true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(patterns) && !found; i++) {
		glob_t files;

		if (glob(patterns[i], 0, NULL, &files) != 0)
			continue;
		for (size_t j = 0; j < files.gl_pathc && !found; j++)
			found = table_in_file(files.gl_pathv[j], text, &table);
		globfree(&files);
	}
	if (!found)
		return -EINVAL;
	/* The kernel takes `unspec' for the main one. */
	*ret_table = table ? table : RT_TABLE_MAIN;
	return 0;
}

static struct nl_msg *route_message(int type, int flags, unsigned int ifindex, const struct prefix *dst, uint32_t table)
{
	struct rtmsg info = {
		.rtm_family = (uint8_t)dst->family,
		.rtm_dst_len = dst->len,
		.rtm_table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = dst->family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
	};
	struct nl_msg *msg = message(type, NLM_F_REQUEST | NLM_F_ACK | flags, &info, sizeof(info));

	if (!msg)
		return NULL;
	if ((dst->len && nla_put(msg, RTA_DST, address_size(dst->family), dst->bytes) < 0) || nla_put_u32(msg, RTA_OIF, ifindex) < 0 ||
	    nla_put_u32(msg, RTA_TABLE, table) < 0) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

int rt_route_add(struct rt *rt, unsigned int ifindex, const struct prefix *dst, uint32_t table)
{
	_cleanup_msg_ struct nl_msg *msg = route_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, ifindex, dst, table);

	return msg ? request(rt, msg, NULL, NULL) : -ENOMEM;
}

int rt_route_del(struct rt *rt, unsigned int ifindex, const struct prefix *dst, uint32_t table)
{
	_cleanup_msg_ struct nl_msg *msg = route_message(RTM_DELROUTE, 0, ifindex, dst, table);

	return msg ? request(rt, msg, NULL, NULL) : -ENOMEM;
}

int rt_routes_add(struct rt *rt, unsigned int ifindex, const struct prefix *dst, size_t n, uint32_t table, size_t *ret_failed)
{
	/* Acknowledgements wait in our receive buffer (about 1 kB each with the kernel's overhead). */
	enum { BATCH = 256 };
	int first_error = 0;

	rt->why[0] = '\0';
	skip_unread(rt);
	for (size_t done = 0; done < n && !first_error; done += BATCH) {
		struct buf batch = { 0 };
		struct reply reply = { 0 };
		int r = 0;

		for (size_t i = done; i < n && i < done + BATCH; i++) {
			_cleanup_msg_ struct nl_msg *msg = route_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, ifindex, &dst[i], table);

			if (!msg) {
				buf_free(&batch);
				return -ENOMEM;
			}
			nl_complete_msg(rt->sock, msg);
			buf_add(&batch, nlmsg_hdr(msg), NLMSG_ALIGN(nlmsg_hdr(msg)->nlmsg_len));
			reply.acks++;
		}
		if (batch.failed)
			r = -ENOMEM;
		else if (nl_sendto(rt->sock, batch.data, batch.len) < 0)
			r = -errno;
		buf_free(&batch);
		if (r == 0)
			r = receive(rt, &reply);
		if (r < 0) {
			*ret_failed = done + reply.failed;
			first_error = r;
		}
	}
	return first_error;
}

struct route_walk {
	int (*each)(void *arg, const struct rt_route *route);
	void *arg;
};

static int read_route(void *arg, const struct nlmsghdr *msg)
{
	const struct route_walk *walk = arg;
	const struct rtmsg *info = nlmsg_data(msg);
	struct nlattr *tb[RTA_MAX + 1];
	struct rt_route route = { 0 };

	if (msg->nlmsg_type != RTM_NEWROUTE || nlmsg_parse((void *)msg, sizeof(*info), tb, RTA_MAX, NULL) < 0)
		return 0;
	if (info->rtm_flags & RTM_F_CLONED)
		return 0;
	route.dst.family = info->rtm_family;
	route.dst.len = info->rtm_dst_len;
	route.type = info->rtm_type;
	route.protocol = info->rtm_protocol;
	route.table = tb[RTA_TABLE] ? nla_get_u32(tb[RTA_TABLE]) : info->rtm_table;
	if (tb[RTA_OIF])
		route.oif = nla_get_u32(tb[RTA_OIF]);
	if (tb[RTA_DST] && nla_len(tb[RTA_DST]) == address_size(info->rtm_family))
		memcpy(route.dst.bytes, nla_data(tb[RTA_DST]), (size_t)nla_len(tb[RTA_DST]));
	return walk->each(walk->arg, &route);
}

int rt_routes(struct rt *rt, int family, int (*each)(void *arg, const struct rt_route *route), void *arg)
{
	struct rtmsg info = { .rtm_family = (uint8_t)family };
	struct route_walk walk = { each, arg };

	return dump_again(rt, RTM_GETROUTE, &info, sizeof(info), read_route, &walk);
}

struct way_answer {
	unsigned int mtu; /* of the route, 0: it has none */
	unsigned int oif;
	bool found;
	uint32_t table;
	struct prefix gateway, source;
};

/* RTA_GATEWAY or RTA_PREFSRC, of the message's family. */
static void read_way_address(struct nlattr *attr, int family, struct prefix *ret_address)
{
	if (!attr || nla_len(attr) != address_size(family))
		return;
	ret_address->family = family;
	ret_address->len = (uint8_t)(8 * address_size(family));
	memcpy(ret_address->bytes, nla_data(attr), (size_t)nla_len(attr));
}

/* Spec C.5: `mtu lock N` is not what wg-quick's pattern matches, so a locked one does not count. */
static void read_route_mtu(struct nlattr **tb, struct way_answer *answer)
{
	struct nlattr *metrics[RTAX_MAX + 1];

	answer->oif = tb[RTA_OIF] ? nla_get_u32(tb[RTA_OIF]) : 0;
	answer->mtu = 0;
	if (!tb[RTA_METRICS] || nla_parse_nested(metrics, RTAX_MAX, tb[RTA_METRICS], NULL) < 0 || !metrics[RTAX_MTU])
		return;
	if (metrics[RTAX_LOCK] && nla_get_u32(metrics[RTAX_LOCK]) & (1U << RTAX_MTU))
		return;
	answer->mtu = nla_get_u32(metrics[RTAX_MTU]);
}

static int read_get(void *arg, const struct nlmsghdr *msg)
{
	struct nlattr *tb[RTA_MAX + 1];

	if (msg->nlmsg_type == RTM_NEWROUTE && nlmsg_parse((void *)msg, sizeof(struct rtmsg), tb, RTA_MAX, NULL) == 0) {
		struct way_answer *answer = arg;

		const struct rtmsg *info = nlmsg_data(msg);

		read_route_mtu(tb, answer);
		answer->found = true;
		answer->table = tb[RTA_TABLE] ? nla_get_u32(tb[RTA_TABLE]) : info->rtm_table;
		read_way_address(tb[RTA_GATEWAY], info->rtm_family, &answer->gateway);
		read_way_address(tb[RTA_PREFSRC], info->rtm_family, &answer->source);
	}
	return 0;
}

static int route_get(struct rt *rt, const union endpoint_addr *to, struct way_answer *answer)
{
	bool v4 = to->sa.sa_family == AF_INET;
	struct rtmsg info = { .rtm_family = (uint8_t)to->sa.sa_family, .rtm_dst_len = v4 ? 32 : 128 };
	_cleanup_msg_ struct nl_msg *msg = message(RTM_GETROUTE, 0, &info, sizeof(info));
	const void *address = v4 ? (const void *)&to->v4.sin_addr : (const void *)&to->v6.sin6_addr;
	int r;

	if (!msg || nla_put(msg, RTA_DST, address_size(info.rtm_family), address) < 0)
		return -ENOMEM;
	if (!v4 && to->v6.sin6_scope_id && nla_put_u32(msg, RTA_OIF, to->v6.sin6_scope_id) < 0)
		return -ENOMEM;
	r = request(rt, msg, read_get, answer);
	if (r < 0)
		return r;
	return answer->found ? 0 : -ENETUNREACH;
}

static int answer_mtu(struct rt *rt, const struct way_answer *answer, unsigned int *ret_mtu)
{
	struct rt_link link;
	int r;

	if (answer->mtu) {
		*ret_mtu = answer->mtu;
		return 0;
	}
	r = rt_link_get(rt, NULL, answer->oif, &link);
	if (r < 0)
		return r;
	*ret_mtu = link.mtu;
	return 0;
}

int rt_mtu_towards(struct rt *rt, const union endpoint_addr *to, unsigned int *ret_mtu)
{
	struct way_answer answer = { 0 };
	int r = route_get(rt, to, &answer);

	return r < 0 ? r : answer_mtu(rt, &answer, ret_mtu);
}

int rt_way_towards(struct rt *rt, const union endpoint_addr *to, struct rt_way *ret_way)
{
	struct way_answer answer = { 0 };
	int r = route_get(rt, to, &answer);

	if (r < 0)
		return r;
	*ret_way = (struct rt_way){ .oif = answer.oif, .table = answer.table, .gateway = answer.gateway, .source = answer.source };
	return 0;
}

int rt_route_towards(struct rt *rt, const union endpoint_addr *to)
{
	struct way_answer answer = { 0 };

	return route_get(rt, to, &answer);
}

static int read_default(void *arg, const struct nlmsghdr *msg)
{
	struct way_answer *answer = arg;
	const struct rtmsg *info = nlmsg_data(msg);
	struct nlattr *tb[RTA_MAX + 1];

	if (answer->found || msg->nlmsg_type != RTM_NEWROUTE || info->rtm_dst_len || info->rtm_table != RT_TABLE_MAIN ||
	    info->rtm_flags & RTM_F_CLONED || nlmsg_parse((void *)msg, sizeof(*info), tb, RTA_MAX, NULL) < 0)
		return 0;
	read_route_mtu(tb, answer);
	answer->found = true;
	return 0;
}

int rt_mtu_default(struct rt *rt, unsigned int *ret_mtu)
{
	struct rtmsg info = { .rtm_family = AF_INET };
	struct way_answer answer = { 0 };
	int r = dump_again(rt, RTM_GETROUTE, &info, sizeof(info), read_default, &answer);

	if (r < 0)
		return r;
	if (!answer.found || (!answer.mtu && !answer.oif))
		return -ENOENT;
	return answer_mtu(rt, &answer, ret_mtu);
}

/* ---- rules ---- */

struct rule_walk {
	int (*each)(void *arg, const struct rt_rule *rule);
	void *arg;
};

static int read_rule(void *arg, const struct nlmsghdr *msg)
{
	const struct rule_walk *walk = arg;
	const struct fib_rule_hdr *info = nlmsg_data(msg);
	struct nlattr *tb[FRA_MAX + 1];
	struct rt_rule rule = { 0 };

	if (msg->nlmsg_type != RTM_NEWRULE || nlmsg_parse((void *)msg, sizeof(*info), tb, FRA_MAX, NULL) < 0)
		return 0;
	rule.family = info->family;
	rule.invert = info->flags & FIB_RULE_INVERT;
	rule.table = tb[FRA_TABLE] ? nla_get_u32(tb[FRA_TABLE]) : info->table;
	rule.fwmask = UINT32_MAX;
	if (tb[FRA_FWMARK]) {
		rule.has_fwmark = true;
		rule.fwmark = nla_get_u32(tb[FRA_FWMARK]);
	}
	if (tb[FRA_FWMASK])
		rule.fwmask = nla_get_u32(tb[FRA_FWMASK]);
	if (tb[FRA_PRIORITY])
		rule.priority = nla_get_u32(tb[FRA_PRIORITY]);
	if (tb[FRA_SUPPRESS_PREFIXLEN] && nla_get_u32(tb[FRA_SUPPRESS_PREFIXLEN]) != UINT32_MAX) {
		rule.has_suppress = true;
		rule.suppress_prefixlen = nla_get_u32(tb[FRA_SUPPRESS_PREFIXLEN]);
	}
	return walk->each(walk->arg, &rule);
}

int rt_rules(struct rt *rt, int family, int (*each)(void *arg, const struct rt_rule *rule), void *arg)
{
	struct fib_rule_hdr info = { .family = (uint8_t)family };
	struct rule_walk walk = { each, arg };

	return dump_again(rt, RTM_GETRULE, &info, sizeof(info), read_rule, &walk);
}

static int change_rule(struct rt *rt, int type, int family, uint32_t table, bool suppress, uint32_t mark)
{
	struct fib_rule_hdr info = {
		.family = (uint8_t)family,
		.table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC,
		.action = FR_ACT_TO_TBL,
		.flags = suppress ? 0 : FIB_RULE_INVERT,
	};
	int flags = type == RTM_NEWRULE ? NLM_F_CREATE | NLM_F_EXCL : 0;
	_cleanup_msg_ struct nl_msg *msg = message(type, flags, &info, sizeof(info));

	if (!msg || nla_put_u32(msg, FRA_TABLE, table) < 0)
		return -ENOMEM;
	if (suppress ? nla_put_u32(msg, FRA_SUPPRESS_PREFIXLEN, 0) < 0 : nla_put_u32(msg, FRA_FWMARK, mark) < 0)
		return -ENOMEM;
	return request(rt, msg, NULL, NULL);
}

int rt_rule_add_mark(struct rt *rt, int family, uint32_t mark, uint32_t table)
{
	return change_rule(rt, RTM_NEWRULE, family, table, false, mark);
}

int rt_rule_add_suppress(struct rt *rt, int family)
{
	return change_rule(rt, RTM_NEWRULE, family, RT_TABLE_MAIN, true, 0);
}

int rt_rule_del_mark(struct rt *rt, int family, uint32_t mark, uint32_t table)
{
	return change_rule(rt, RTM_DELRULE, family, table, false, mark);
}

int rt_rule_del_suppress(struct rt *rt, int family)
{
	return change_rule(rt, RTM_DELRULE, family, RT_TABLE_MAIN, true, 0);
}
