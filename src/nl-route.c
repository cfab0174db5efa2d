/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nl-request.h"

#include <glob.h>
#include <linux/fib_rules.h>
#include <netlink/route/route.h>

#include "library.h"

/* ---- names of tables ---- */

static struct {
	__typeof__(rtnl_route_read_table_names) *rtnl_route_read_table_names;
	__typeof__(rtnl_route_str2table) *rtnl_route_str2table;
	__typeof__(rtnl_route_table2str) *rtnl_route_table2str;
} lib;

static int load_library(void)
{
	static const struct library_symbol symbols[] = {
		LIBRARY_SYMBOL(lib, rtnl_route_read_table_names),
		LIBRARY_SYMBOL(lib, rtnl_route_str2table),
		LIBRARY_SYMBOL(lib, rtnl_route_table2str),
	};

	return library_load("libnl-route-3.so.200", symbols, ARRAY_SIZE(symbols));
}

/* The library forgets one file's names when it reads the next. */
static bool table_in_file(const char *path, const char *name, uint32_t *ret_table)
{
	char back[64];
	int table;

	if (lib.rtnl_route_read_table_names(path) < 0)
		return false;
	table = lib.rtnl_route_str2table(name);
	/* It also takes text that only begins with a number. */
	if (table < 0 || strcmp(lib.rtnl_route_table2str(table, back, sizeof(back)), name) != 0)
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
	if (!found && load_library() < 0)
		return -ELIBACC;
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

/* ---- routes ---- */

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
	struct nl_msg *msg = rt_message(type, flags, &info, sizeof(info));

	if (!msg)
		return NULL;
	if ((dst->len && nla_put(msg, RTA_DST, rt_address_size(dst->family), dst->bytes) < 0) || nla_put_u32(msg, RTA_OIF, ifindex) < 0 ||
	    nla_put_u32(msg, RTA_TABLE, table) < 0) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

int rt_route_add(struct rt *rt, unsigned int ifindex, const struct prefix *dst, uint32_t table)
{
	_cleanup_msg_ struct nl_msg *msg = route_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, ifindex, dst, table);

	return msg ? rt_request(rt, msg, NULL, NULL) : -ENOMEM;
}

uint32_t rt_default_metric(int family)
{
	/* IP6_RT_PRIO_USER */
	return family == AF_INET6 ? 1024 : 0;
}

/* Without a metric, the first of any would go. IPv4 has the one with 0 first, and cannot be told to take no other. */
int rt_route_del(struct rt *rt, unsigned int ifindex, const struct prefix *dst, uint32_t table)
{
	_cleanup_msg_ struct nl_msg *msg = route_message(RTM_DELROUTE, 0, ifindex, dst, table);

	if (!msg || (dst->family == AF_INET6 && nla_put_u32(msg, RTA_PRIORITY, rt_default_metric(AF_INET6)) < 0))
		return -ENOMEM;
	return rt_request(rt, msg, NULL, NULL);
}

bool rt_route_is_plain(const struct rt_route *route)
{
	return route->type == RTN_UNICAST && route->protocol == RTPROT_BOOT &&
	       route->scope == (route->dst.family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE) &&
	       route->metric == rt_default_metric(route->dst.family) && !route->tos && !route->gateway.family && !route->source.family && !route->more;
}

static int put_address(struct nl_msg *msg, int type, const struct prefix *address)
{
	return address->family ? nla_put(msg, type, rt_address_size(address->family), address->bytes) : 0;
}

int rt_route_add_as(struct rt *rt, const struct rt_route *route)
{
	_cleanup_msg_ struct nl_msg *msg = route_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route->oif, &route->dst, route->table);
	struct rtmsg *info = msg ? nlmsg_data(nlmsg_hdr(msg)) : NULL;

	if (!msg)
		return -ENOMEM;
	info->rtm_protocol = route->protocol;
	info->rtm_scope = route->scope;
	if ((route->metric && nla_put_u32(msg, RTA_PRIORITY, route->metric) < 0) || put_address(msg, RTA_GATEWAY, &route->gateway) < 0 ||
	    put_address(msg, RTA_PREFSRC, &route->source) < 0)
		return -ENOMEM;
	return rt_request(rt, msg, NULL, NULL);
}

struct route_batch {
	unsigned int ifindex;
	const struct prefix *dst;
	uint32_t table;
};

static struct nl_msg *make_route(void *arg, size_t i)
{
	const struct route_batch *batch = arg;

	return route_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, batch->ifindex, &batch->dst[i], batch->table);
}

int rt_routes_add(struct rt *rt, unsigned int ifindex, const struct prefix *dst, size_t n, uint32_t table, size_t *ret_failed)
{
	struct route_batch batch = { ifindex, dst, table };

	return rt_batch(rt, make_route, &batch, n, ret_failed);
}

struct route_walk {
	int (*each)(void *arg, const struct rt_route *route);
	void *arg;
};

/* RTA_GATEWAY or RTA_PREFSRC, of the message's family. */
static void read_address(struct nlattr *attr, int family, struct prefix *ret_address)
{
	if (!attr || nla_len(attr) != rt_address_size(family))
		return;
	ret_address->family = family;
	ret_address->len = (uint8_t)(8 * rt_address_size(family));
	memcpy(ret_address->bytes, nla_data(attr), (size_t)nla_len(attr));
}

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
	route.scope = info->rtm_scope;
	route.tos = info->rtm_tos;
	route.metric = tb[RTA_PRIORITY] ? nla_get_u32(tb[RTA_PRIORITY]) : 0;
	read_address(tb[RTA_GATEWAY], info->rtm_family, &route.gateway);
	read_address(tb[RTA_PREFSRC], info->rtm_family, &route.source);
	route.more = tb[RTA_METRICS] || tb[RTA_VIA] || tb[RTA_ENCAP] || tb[RTA_NH_ID];
	if (tb[RTA_OIF])
		route.oif = nla_get_u32(tb[RTA_OIF]);
	if (tb[RTA_DST] && nla_len(tb[RTA_DST]) == rt_address_size(info->rtm_family))
		memcpy(route.dst.bytes, nla_data(tb[RTA_DST]), (size_t)nla_len(tb[RTA_DST]));
	return walk->each(walk->arg, &route);
}

int rt_routes(struct rt *rt, int family, int (*each)(void *arg, const struct rt_route *route), void *arg)
{
	struct rtmsg info = { .rtm_family = (uint8_t)family };
	struct route_walk walk = { each, arg };

	return rt_dump_again(rt, RTM_GETROUTE, &info, sizeof(info), read_route, &walk);
}

struct way_answer {
	unsigned int mtu; /* of the route, 0: it has none */
	unsigned int oif;
	bool found;
	uint32_t table;
	struct prefix gateway, source;
};

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
		read_address(tb[RTA_GATEWAY], info->rtm_family, &answer->gateway);
		read_address(tb[RTA_PREFSRC], info->rtm_family, &answer->source);
	}
	return 0;
}

static int route_get(struct rt *rt, const union endpoint_addr *to, struct way_answer *answer)
{
	bool v4 = to->sa.sa_family == AF_INET;
	struct rtmsg info = { .rtm_family = (uint8_t)to->sa.sa_family, .rtm_dst_len = v4 ? 32 : 128 };
	_cleanup_msg_ struct nl_msg *msg = rt_message(RTM_GETROUTE, 0, &info, sizeof(info));
	const void *address = v4 ? (const void *)&to->v4.sin_addr : (const void *)&to->v6.sin6_addr;
	int r;

	if (!msg || nla_put(msg, RTA_DST, rt_address_size(info.rtm_family), address) < 0)
		return -ENOMEM;
	if (!v4 && to->v6.sin6_scope_id && nla_put_u32(msg, RTA_OIF, to->v6.sin6_scope_id) < 0)
		return -ENOMEM;
	r = rt_request(rt, msg, read_get, answer);
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
	int r = rt_dump_again(rt, RTM_GETROUTE, &info, sizeof(info), read_default, &answer);

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
	/* Of a mark of 0 the kernel tells the mask alone. */
	rule.has_fwmark = tb[FRA_FWMARK] || tb[FRA_FWMASK];
	if (tb[FRA_FWMARK])
		rule.fwmark = nla_get_u32(tb[FRA_FWMARK]);
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

	return rt_dump_again(rt, RTM_GETRULE, &info, sizeof(info), read_rule, &walk);
}

/* What a request for deletion by preference cannot tell from it: the kernel takes what a request does not say for alike. */
static bool rule_looks_like(const struct rt_rule *one, const struct rt_rule *other)
{
	if (one->table != other->table)
		return false;
	return other->has_suppress ? one->has_suppress && one->suppress_prefixlen == other->suppress_prefixlen :
				     one->has_fwmark && one->fwmark == other->fwmark;
}

/* As fib_default_rule_pref() in the kernel's net/core/fib_rules.c. If it is not 0, at most the first rule has it. */
struct choice {
	const struct rt_rule *rule;
	size_t n;
	uint32_t first, priority;
	bool first_alike, zero_alike;
};

static int choose_priority(void *arg, const struct rt_rule *rule)
{
	struct choice *choice = arg;
	bool alike = rule_looks_like(rule, choice->rule);

	if (choice->n == 0) {
		choice->first = rule->priority;
		choice->first_alike = alike;
	} else if (choice->n == 1 && rule->priority) {
		choice->priority = rule->priority - 1;
	}
	if (alike && rule->priority == 0)
		choice->zero_alike = true;
	choice->n++;
	return 0;
}

int rt_rule_choose_priority(struct rt *rt, const struct rt_rule *rule, uint32_t *ret_priority)
{
	struct fib_rule_hdr info = { .family = (uint8_t)rule->family };
	struct choice choice;
	int r, tries = 0;

	/* Which is the second can only be told of a list that is whole. */
	do {
		struct rule_walk walk = { choose_priority, &choice };

		choice = (struct choice){ .rule = rule };
		r = rt_dump(rt, RTM_GETRULE, &info, sizeof(info), read_rule, &walk);
	} while (r == -EINTR && ++tries < 20);
	if (r < 0)
		return r;
	if (choice.priority ? choice.first_alike && choice.first == choice.priority : choice.zero_alike)
		return -EEXIST;
	*ret_priority = choice.priority;
	return 0;
}

static int change_rule(struct rt *rt, int type, const struct rt_rule *rule, bool any_priority)
{
	struct fib_rule_hdr info = {
		.family = (uint8_t)rule->family,
		.table = rule->table < 256 ? (uint8_t)rule->table : RT_TABLE_UNSPEC,
		.action = FR_ACT_TO_TBL,
		.flags = rule->invert ? FIB_RULE_INVERT : 0,
	};
	int flags = type == RTM_NEWRULE ? NLM_F_CREATE | NLM_F_EXCL : 0;
	_cleanup_msg_ struct nl_msg *msg = rt_message(type, flags, &info, sizeof(info));

	if (!msg || nla_put_u32(msg, FRA_TABLE, rule->table) < 0)
		return -ENOMEM;
	if (rule->has_suppress && nla_put_u32(msg, FRA_SUPPRESS_PREFIXLEN, rule->suppress_prefixlen) < 0)
		return -ENOMEM;
	if (rule->has_fwmark && nla_put_u32(msg, FRA_FWMARK, rule->fwmark) < 0)
		return -ENOMEM;
	if (!any_priority && nla_put_u32(msg, FRA_PRIORITY, rule->priority) < 0)
		return -ENOMEM;
	return rt_request(rt, msg, NULL, NULL);
}

int rt_rule_add(struct rt *rt, const struct rt_rule *rule)
{
	return change_rule(rt, RTM_NEWRULE, rule, false);
}

int rt_rule_del(struct rt *rt, const struct rt_rule *rule, bool any_priority)
{
	return change_rule(rt, RTM_DELRULE, rule, any_priority);
}
