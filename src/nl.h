/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nl.h - links, addresses, routes and rules of one network namespace, over
 * rtnetlink. A struct rt belongs to the namespace of the thread that opened
 * it, wherever that thread goes later: that is how a link is born in one
 * namespace with its socket in another.
 *
 * libnl's errors become -errno here and nowhere else. After a failure
 * rt_why() has the kernel's own words (NETLINK_EXT_ACK), as ip(8) prints them.
 */
#pragma once

#include "conf.h"

struct rt;

int rt_open(struct rt **ret_rt);
/* In that namespace; the caller stays where it is. */
int rt_open_in(int ns_fd, struct rt **ret_rt);
void rt_close(struct rt *rt);
static inline void cleanup_rt(struct rt **rt)
{
	rt_close(*rt);
}
#define _cleanup_rt_ CLEANUP(cleanup_rt)

/* The reason of the last failure: the kernel's text, else strerror(-error). Valid until the next request. */
const char *rt_why(const struct rt *rt, int error);

struct rt_link {
	unsigned int ifindex;
	unsigned int mtu;
	unsigned int flags; /* IFF_* */
	char name[IFNAMSIZ];
	char kind[16]; /* IFLA_INFO_KIND, "" when it has none */
};

/* By name, or by index when `name` is NULL. -ENODEV. */
int rt_link_get(struct rt *rt, const char *name, unsigned int ifindex, struct rt_link *ret_link);
/* WireGuard, or a TUN as userspace implementations have (so have others). */
bool rt_link_is_tunnel(const struct rt_link *link);
/*
 * One RTM_NEWLINK (CREATE|EXCL): the link is born in `target_fd`, with `rt`'s
 * namespace as its birth namespace (rtnetlink: IFLA_NET_NS_FD). ifindex 0 lets
 * the kernel choose. -EEXIST, -EBUSY (the index is taken), -EOPNOTSUPP (kind unknown).
 */
int rt_link_create(struct rt *rt, const char *kind, const char *name, unsigned int ifindex, int target_fd);
int rt_link_delete(struct rt *rt, unsigned int ifindex);
int rt_link_rename(struct rt *rt, unsigned int ifindex, const char *name);
/* Only while it is down. `ifindex` in the target: 0 keeps the number if it is free. */
int rt_link_move(struct rt *rt, unsigned int ifindex, int target_fd, unsigned int new_ifindex);
/* Every link; the callback ends the walk by a non-zero value, which is returned. */
int rt_links(struct rt *rt, int (*each)(void *arg, const struct rt_link *link), void *arg);
/* mtu NULL: as it is. */
int rt_link_up(struct rt *rt, unsigned int ifindex, const unsigned int *mtu);
int rt_link_set_mtu(struct rt *rt, unsigned int ifindex, unsigned int mtu);

int rt_address_add(struct rt *rt, unsigned int ifindex, const struct prefix *address);
/* That address with that length. -EADDRNOTAVAIL: it is not there. */
int rt_address_del(struct rt *rt, unsigned int ifindex, const struct prefix *address);
/* Every address of a link, IPv4 first. The caller frees. */
int rt_addresses(struct rt *rt, unsigned int ifindex, struct prefix **ret_addresses, size_t *ret_n);
/* The same without those that lead to a peer in another network (`ip address add ADDRESS peer PEER'), which rt_address_add() makes none of. */
int rt_addresses_own(struct rt *rt, unsigned int ifindex, struct prefix **ret_addresses, size_t *ret_n);

#define RT_MAIN_TABLE 254

/* A number (0x… and 0… as ip(8) reads them; 0 is the main table) or a name from rt_tables or rt_tables.d. -EINVAL; -ELIBACC: a name, and no libnl-route. */
int rt_table_number(const char *text, uint32_t *ret_table);

struct rt_route {
	struct prefix dst;
	uint32_t table;
	unsigned int oif;
	uint32_t metric;
	uint8_t type; /* RTN_* */
	uint8_t protocol; /* RTPROT_* */
	uint8_t scope; /* RT_SCOPE_* */
	uint8_t tos;
	struct prefix gateway, source; /* family 0: none */
	bool more; /* it has what none of these tells: an MTU, another family's gateway … */
};

/* CREATE|EXCL, protocol boot, scope link for IPv4, as `ip route add P dev IFACE table N`. */
int rt_route_add(struct rt *rt, unsigned int ifindex, const struct prefix *dst, uint32_t table);
/* What the kernel gives one that says none. */
uint32_t rt_default_metric(int family);
/* Whether rt_route_add() makes them so. */
bool rt_route_is_plain(const struct rt_route *route);
/* With its metric, protocol, scope, gateway and source. */
int rt_route_add_as(struct rt *rt, const struct rt_route *route);
/* What rt_route_add() made; the caller has seen that it is there. -ESRCH: it is not there. */
int rt_route_del(struct rt *rt, unsigned int ifindex, const struct prefix *dst, uint32_t table);
/* As many routes in few system calls. On failure *ret_failed is the index of the first that was refused. */
int rt_routes_add(struct rt *rt, unsigned int ifindex, const struct prefix *dst, size_t n, uint32_t table, size_t *ret_failed);
/*
 * Every route of a family. The callback ends the walk by a non-zero value, which is returned;
 * it may see a route twice when the routes change meanwhile.
 */
int rt_routes(struct rt *rt, int family, int (*each)(void *arg, const struct rt_route *route), void *arg);

/*
 * What `ip route get` would say of the MTU towards an address (spec C.5): the route's, unless
 * it is locked, else the device's. -ENETUNREACH and the like when there is no route.
 */
int rt_mtu_towards(struct rt *rt, const union endpoint_addr *to, unsigned int *ret_mtu);
/* The same for the first IPv4 default route of table main; -ENOENT when there is none with one device. */
int rt_mtu_default(struct rt *rt, unsigned int *ret_mtu);

/* Where a packet to an address would go. */
struct rt_way {
	unsigned int oif;
	uint32_t table;
	struct prefix gateway; /* family 0: on the link itself */
	struct prefix source;  /* family 0: not said */
};

/* -ENETUNREACH and the like when there is no route, or one that refuses. */
int rt_way_towards(struct rt *rt, const union endpoint_addr *to, struct rt_way *ret_way);
/* 0 when there is a route towards the address. */
int rt_route_towards(struct rt *rt, const union endpoint_addr *to);

struct rt_rule {
	int family;
	bool invert;
	bool has_fwmark;
	bool has_suppress;
	uint32_t fwmark, fwmask;
	uint32_t table;
	uint32_t suppress_prefixlen;
	uint32_t priority;
};

int rt_rules(struct rt *rt, int family, int (*each)(void *arg, const struct rt_rule *rule), void *arg);

/* `not fwmark MARK table TABLE`, and `table main suppress_prefixlength 0`: wg-quick's two of a default route. */
static inline struct rt_rule rt_rule_of_mark(int family, uint32_t mark, uint32_t table)
{
	return (struct rt_rule){ .family = family, .invert = true, .has_fwmark = true, .fwmark = mark, .fwmask = UINT32_MAX, .table = table };
}
static inline struct rt_rule rt_rule_of_main(int family)
{
	return (struct rt_rule){ .family = family, .has_suppress = true, .table = RT_MAIN_TABLE };
}
/*
 * The preference that the kernel would choose for one of these two: one less than the second rule's of its family.
 * -EEXIST: one that has it already is such that rt_rule_del() might take it instead.
 */
int rt_rule_choose_priority(struct rt *rt, const struct rt_rule *rule, uint32_t *ret_priority);
/* One of these two, with its preference. -EEXIST: there is one like it. */
int rt_rule_add(struct rt *rt, const struct rt_rule *rule);
/* The one of that preference, or the first of any. -ENOENT when there is none. */
int rt_rule_del(struct rt *rt, const struct rt_rule *rule, bool any_priority);
