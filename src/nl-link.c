/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nl-request.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>

#ifndef IFLA_NEW_IFINDEX
#define IFLA_NEW_IFINDEX 49
#endif

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
	_cleanup_msg_ struct nl_msg *msg = rt_message(RTM_GETLINK, 0, &info, sizeof(info));
	struct rt_link link = { 0 };
	int r;

	if (!msg || (name && nla_put_string(msg, IFLA_IFNAME, name) < 0))
		return -ENOMEM;
	r = rt_request(rt, msg, read_link, &link);
	if (r < 0)
		return r;
	*ret_link = link;
	return 0;
}

bool rt_link_is_tunnel(const struct rt_link *link)
{
	return strcmp(link->kind, "wireguard") == 0 || strcmp(link->kind, "tun") == 0;
}

int rt_link_create(struct rt *rt, const char *kind, const char *name, unsigned int ifindex, int target_fd)
{
	struct ifinfomsg info = { .ifi_index = (int)ifindex };
	_cleanup_msg_ struct nl_msg *msg = rt_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	struct nlattr *linkinfo;

	if (!msg || nla_put_string(msg, IFLA_IFNAME, name) < 0 || nla_put_u32(msg, IFLA_NET_NS_FD, (uint32_t)target_fd) < 0)
		return -ENOMEM;
	linkinfo = nla_nest_start(msg, IFLA_LINKINFO);
	if (!linkinfo || nla_put_string(msg, IFLA_INFO_KIND, kind) < 0)
		return -ENOMEM;
	nla_nest_end(msg, linkinfo);
	return rt_request(rt, msg, NULL, NULL);
}

int rt_link_delete(struct rt *rt, unsigned int ifindex)
{
	struct ifinfomsg info = { .ifi_index = (int)ifindex };
	_cleanup_msg_ struct nl_msg *msg = rt_message(RTM_DELLINK, 0, &info, sizeof(info));

	return msg ? rt_request(rt, msg, NULL, NULL) : -ENOMEM;
}

int rt_link_rename(struct rt *rt, unsigned int ifindex, const char *name)
{
	struct ifinfomsg info = { .ifi_index = (int)ifindex };
	_cleanup_msg_ struct nl_msg *msg = rt_message(RTM_NEWLINK, 0, &info, sizeof(info));

	if (!msg || nla_put_string(msg, IFLA_IFNAME, name) < 0)
		return -ENOMEM;
	return rt_request(rt, msg, NULL, NULL);
}

int rt_link_move(struct rt *rt, unsigned int ifindex, int target_fd, unsigned int new_ifindex)
{
	struct ifinfomsg info = { .ifi_index = (int)ifindex };
	_cleanup_msg_ struct nl_msg *msg = rt_message(RTM_NEWLINK, 0, &info, sizeof(info));

	if (!msg || nla_put_u32(msg, IFLA_NET_NS_FD, (uint32_t)target_fd) < 0)
		return -ENOMEM;
	if (new_ifindex && nla_put_u32(msg, IFLA_NEW_IFINDEX, new_ifindex) < 0)
		return -ENOMEM;
	return rt_request(rt, msg, NULL, NULL);
}

static int set_link(struct rt *rt, unsigned int ifindex, unsigned int mtu, bool has_mtu, unsigned int up)
{
	struct ifinfomsg info = { .ifi_index = (int)ifindex, .ifi_flags = up, .ifi_change = up };
	_cleanup_msg_ struct nl_msg *msg = rt_message(RTM_NEWLINK, 0, &info, sizeof(info));

	if (!msg || (has_mtu && nla_put_u32(msg, IFLA_MTU, mtu) < 0))
		return -ENOMEM;
	return rt_request(rt, msg, NULL, NULL);
}

int rt_link_up(struct rt *rt, unsigned int ifindex, const unsigned int *mtu)
{
	return set_link(rt, ifindex, mtu ? *mtu : 0, mtu != NULL, IFF_UP);
}

int rt_link_set_mtu(struct rt *rt, unsigned int ifindex, unsigned int mtu)
{
	return set_link(rt, ifindex, mtu, true, 0);
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

	return rt_dump_again(rt, RTM_GETLINK, &info, sizeof(info), read_each_link, &walk);
}

/* ---- addresses ---- */
static int change_address(struct rt *rt, int type, int flags, unsigned int ifindex, const struct prefix *address)
{
	struct ifaddrmsg info = {
		.ifa_family = (uint8_t)address->family,
		.ifa_prefixlen = address->len,
		.ifa_index = ifindex,
	};
	_cleanup_msg_ struct nl_msg *msg = NULL;
	int size = rt_address_size(address->family);

	/* ip(8) gives loopback addresses the host's scope. */
	if (address->family == AF_INET && address->bytes[0] == 127)
		info.ifa_scope = RT_SCOPE_HOST;
	msg = rt_message(type, flags, &info, sizeof(info));
	if (!msg || nla_put(msg, IFA_LOCAL, size, address->bytes) < 0 || nla_put(msg, IFA_ADDRESS, size, address->bytes) < 0)
		return -ENOMEM;
	return rt_request(rt, msg, NULL, NULL);
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
	bool own; /* none whose network is a peer's */
	struct prefix *items;
	size_t n;
};

static void set_prefix(struct prefix *p, const struct ifaddrmsg *info, struct nlattr *address)
{
	*p = (struct prefix){ .family = info->ifa_family, .len = info->ifa_prefixlen };
	memcpy(p->bytes, nla_data(address), (size_t)nla_len(address));
}

static bool is_in_network_of(const struct prefix *address, const struct ifaddrmsg *info, struct nlattr *peer)
{
	struct prefix mine = *address, its;

	if (!peer || nla_len(peer) != rt_address_size(info->ifa_family))
		return true;
	set_prefix(&its, info, peer);
	prefix_mask(&mine);
	prefix_mask(&its);
	return prefix_equal(&mine, &its);
}

static int read_address(void *arg, const struct nlmsghdr *msg)
{
	struct address_list *list = arg;
	const struct ifaddrmsg *info = nlmsg_data(msg);
	struct nlattr *tb[IFA_MAX + 1], *local;
	struct prefix address;

	if (msg->nlmsg_type != RTM_NEWADDR || nlmsg_parse((void *)msg, sizeof(*info), tb, IFA_MAX, NULL) < 0)
		return 0;
	local = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
	if (info->ifa_index != list->ifindex || !local || nla_len(local) != rt_address_size(info->ifa_family))
		return 0;
	set_prefix(&address, info, local);
	if (list->own && !is_in_network_of(&address, info, tb[IFA_ADDRESS]))
		return 0;
	return prefix_add(&list->items, &list->n, &address);
}

static int list_addresses(struct rt *rt, unsigned int ifindex, bool own, struct prefix **ret_addresses, size_t *ret_n)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct address_list list = { .ifindex = ifindex, .own = own };

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct ifaddrmsg info = { .ifa_family = (uint8_t)families[i] };
		size_t before = list.n;
		int r, tries = 0;

		do {
			list.n = before;
			r = rt_dump(rt, RTM_GETADDR, &info, sizeof(info), read_address, &list);
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

int rt_addresses(struct rt *rt, unsigned int ifindex, struct prefix **ret_addresses, size_t *ret_n)
{
	return list_addresses(rt, ifindex, false, ret_addresses, ret_n);
}

int rt_addresses_own(struct rt *rt, unsigned int ifindex, struct prefix **ret_addresses, size_t *ret_n)
{
	return list_addresses(rt, ifindex, true, ret_addresses, ret_n);
}
