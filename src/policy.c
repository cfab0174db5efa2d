/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#define PREF_L3MDEV 1000 /* net/ipv4/fib_rules.c and drivers/net/vrf.c: made with the first VRF */

const char *const policy_foreign_daemons[] = {
	"NetworkManager", "nm-dispatcher", "systemd-networkd", "dhclient", "dhcpcd", "udhcpc", "connmand", "ifup", "ifdown", "ifupdown",
	"wpa_supplicant", "dockerd", "containerd*", "podman", "netavark", "libvirtd", "virtnetworkd", "lxd", "incusd", "kubelet", "kube-proxy", "kube-router", "flanneld",
	"calico*", "cilium*", "bird*", "zebra", "frr*", "keepalived", "tailscaled", "zerotier-one", "openvpn", "pppd", "charon*", NULL,
};

const uint8_t policy_world4[4] = { 1, 1, 1, 1 };
const uint8_t policy_world6[16] = { 0x26, 0x06, 0x47, 0x00, 0x47, [14] = 0x11, 0x11 };

bool policy_is_consequence(const struct fib_object *o)
{
	return o->kind == FIB_ROUTE && o->table == RT_TABLE_LOCAL && o->protocol == RTPROT_KERNEL;
}

/* What follows from an address, and multicast: told by what they follow from. Who asks for it by itself does harm. */
static bool is_noise(const struct fib_object *o, enum who who)
{
	const void *dst;

	if (policy_is_consequence(o))
		return who == WHO_KERNEL || o->change == FIB_ADDED;
	if (o->kind != FIB_ROUTE)
		return false;
	return o->family == AF_INET6 && o->prefixlen == 8 && fib_object_address(o, &dst) == 16 && *(const uint8_t *)dst == 0xff;
}

static bool object_prefix(const struct fib_object *o, struct prefix *ret_prefix)
{
	struct prefix p = { .family = o->family, .len = o->prefixlen };
	const void *bytes;
	size_t len = fib_object_address(o, &bytes);

	if (o->family != AF_INET && o->family != AF_INET6)
		return false;
	if (len != (o->family == AF_INET6 ? 16U : 4U)) {
		/* A default route has no destination. */
		if (o->kind != FIB_ROUTE || o->prefixlen)
			return false;
	} else {
		memcpy(p.bytes, bytes, len);
	}
	*ret_prefix = p;
	return true;
}

static bool in_snapshot(const struct fib_snapshot *s, uint32_t ifindex)
{
	return ifindex && fib_snapshot_link(s, ifindex);
}

static bool covers_watched(const struct policy *p, const struct prefix *route)
{
	struct prefix masked = *route;

	prefix_mask(&masked);
	for (size_t i = 0; i < p->n_watched; i++)
		if (prefix_covers(&masked, &p->watched[i]))
			return true;
	return false;
}

static bool is_tunnels(const struct policy *p, const struct prefix *route)
{
	for (size_t i = 0; i < p->n_allowed; i++)
		if (p->allowed[i].len && prefix_covers(&p->allowed[i], route))
			return true;
	for (size_t i = 0; i < p->n_addresses; i++) {
		struct prefix net = p->addresses[i];

		prefix_mask(&net);
		if (prefix_covers(&net, route))
			return true;
	}
	return false;
}

static bool is_tunnel_address(const struct policy *p, const struct prefix *address)
{
	size_t len = address->family == AF_INET6 ? 16 : 4;

	for (size_t i = 0; i < p->n_addresses; i++)
		if (p->addresses[i].family == address->family && memcmp(p->addresses[i].bytes, address->bytes, len) == 0)
			return true;
	return false;
}

/* K3 */
static bool is_wide(const struct fib_object *o)
{
	return o->kind == FIB_ROUTE && o->prefixlen <= 1 && (o->family == AF_INET || o->family == AF_INET6);
}

static bool has_our_name(const struct policy *p, const struct fib_object *o)
{
	const struct fib_link *l = o->kind == FIB_LINK && o->after ? fib_link(o->after) : NULL;

	return l && o->change == FIB_ADDED && p->iface && strcmp(l->name, p->iface) == 0;
}

bool policy_is_landing(const struct policy *p, const struct fib_object *o)
{
	const struct fib_link *l = o->kind == FIB_LINK && o->after ? fib_link(o->after) : NULL;

	if (!l || o->change != FIB_ADDED)
		return false;
	/* Around a command, which may make one: another one of ours does not count. */
	if (strcmp(l->kind, "wireguard") == 0 && (p->command || l->index >= TUNNEL_IFINDEX_MIN))
		return true;
	return has_our_name(p, o);
}

bool policy_is_transit(const struct policy *p, const struct fib_object *o)
{
	const struct fib_link *l = o->kind == FIB_LINK ? fib_link(o->after ? o->after : o->before) : NULL;

	if (o->ifindex && o->ifindex == p->transit_ifindex)
		return true;
	return l && p->transit && p->iface && strcmp(l->name, p->iface) == 0 && strcmp(l->kind, "tun") == 0;
}

/* By whom it was done is not known, or it was the user's own command: what it touches decides. */
static enum verdict judge_new_link(const struct policy *p, const struct fib_object *o, const char **ret_why)
{
	struct prefix prefix;

	if (o->kind == FIB_ADDRESS && object_prefix(o, &prefix) && is_tunnel_address(p, &prefix)) {
		*ret_why = "an address of the tunnel on the host";
		return VERDICT_CONCERN;
	}
	if (o->kind == FIB_ROUTE && object_prefix(o, &prefix)) {
		if (is_wide(o))
			*ret_why = "a default route";
		else if (covers_watched(p, &prefix))
			*ret_why = "it decides how this host reaches an endpoint, a name server or the SSH client";
		else if (is_tunnels(p, &prefix))
			*ret_why = "a destination of the tunnel";
		else
			return VERDICT_BENIGN;
		return VERDICT_CONCERN;
	}
	return VERDICT_BENIGN;
}

bool policy_is_way(const struct policy *p, const struct fib_object *route)
{
	struct prefix prefix;

	return is_wide(route) || (object_prefix(route, &prefix) && covers_watched(p, &prefix));
}

static bool is_of_kind(const struct fib_snapshot *before, const struct fib_object *o, const char *const *kinds)
{
	const struct fib_link *l = o->ifindex ? fib_snapshot_link(before, o->ifindex) : NULL;

	while (l && *kinds && strcmp(l->kind, *kinds) != 0)
		kinds++;
	return l && *kinds;
}

bool policy_is_guest(const struct fib_snapshot *before, const struct fib_object *o)
{
	static const char *const kinds[] = { "bridge", "veth", "tun", "macvlan", "macvtap", "ipvlan", "vxlan", NULL };

	return is_of_kind(before, o, kinds);
}

bool policy_is_virtual(const struct fib_snapshot *before, const struct fib_object *o)
{
	static const char *const kinds[] = { "wireguard", "dummy", "ipip", "sit", "gre", "gretap", "ip6tnl", "ip6gre", "vti", "vti6", "xfrm", "geneve", NULL };

	return policy_is_guest(before, o) || is_of_kind(before, o, kinds);
}

/* A link that comes up, or joins a bridge, which follows the least MTU of its ports; never one that goes down, leaves one or gets another name. */
static bool is_growth(const struct fib_object *o)
{
	const struct fib_link *was = o->before ? fib_link(o->before) : NULL, *is = o->after ? fib_link(o->after) : NULL;
	unsigned int may = FIB_LINK_UP | FIB_LINK_MASTER | FIB_LINK_NETNSID | FIB_LINK_LLADDR;

	if (is && strcmp(is->kind, "bridge") == 0)
		may |= FIB_LINK_MTU;
	if (!was || !is || o->link_changed & ~may)
		return false;
	return (!(o->link_changed & FIB_LINK_UP) || is->flags & IFF_UP) && (!(o->link_changed & FIB_LINK_MASTER) || !was->master);
}

static bool is_link_local(const struct prefix *p)
{
	return p->family == AF_INET6 && p->bytes[0] == 0xfe && (p->bytes[1] & 0xc0) == 0x80;
}

bool policy_is_kernels(const struct fib_object *o)
{
	struct prefix prefix;

	if (o->kind == FIB_ROUTE)
		return o->protocol == RTPROT_KERNEL;
	return o->kind == FIB_ADDRESS && object_prefix(o, &prefix) && is_link_local(&prefix);
}

bool policy_is_addition(const struct policy *p, const struct fib_snapshot *before, const struct fib_object *o)
{
	struct prefix prefix;

	if (!in_snapshot(before, o->ifindex))
		return false;
	switch (o->kind) {
	case FIB_LINK:
		return o->link_changed == FIB_LINK_UP && is_growth(o);
	case FIB_ADDRESS:
		return o->change == FIB_ADDED && o->family == AF_INET6 && object_prefix(o, &prefix) && !is_tunnel_address(p, &prefix);
	case FIB_ROUTE:
		/* Those of the addresses. */
		return o->change == FIB_ADDED && o->family == AF_INET6 && policy_is_kernels(o) && !is_wide(o) && object_prefix(o, &prefix) && !covers_watched(p, &prefix);
	default:
		return false;
	}
}

enum verdict policy_judge_guest(const struct policy *p, const struct fib_object *o, bool gone, const char **ret_why)
{
	struct prefix prefix;

	switch (o->kind) {
	case FIB_LINK:
		return gone || is_growth(o) ? VERDICT_BENIGN : VERDICT_CONCERN;
	case FIB_ADDRESS:
		if (!gone && o->change != FIB_ADDED && !(object_prefix(o, &prefix) && is_link_local(&prefix)))
			return VERDICT_CONCERN;
		return judge_new_link(p, o, ret_why);
	case FIB_ROUTE:
		return object_prefix(o, &prefix) ? judge_new_link(p, o, ret_why) : VERDICT_CONCERN;
	default:
		return VERDICT_CONCERN;
	}
}

/* K6, K7 */
static bool takes_away(const struct fib_object *o)
{
	const struct fib_link *was = o->kind == FIB_LINK && o->before ? fib_link(o->before) : NULL;

	/* One that was down may come up. */
	if (o->kind == FIB_LINK)
		return o->change == FIB_REMOVED || o->link_changed & (FIB_LINK_NAME | FIB_LINK_MASTER | FIB_LINK_NOARP | FIB_LINK_MULTICAST) ||
		       (o->link_changed & FIB_LINK_UP && was && was->flags & IFF_UP);
	return o->kind == FIB_ADDRESS && o->change != FIB_ADDED;
}

static enum verdict judge_command(const struct policy *p, const struct fib_snapshot *before, const struct fib_object *o, const char **ret_why)
{
	bool known = in_snapshot(before, o->ifindex);
	struct prefix prefix;

	if (is_wide(o) && (o->table == RT_TABLE_MAIN || o->table == RT_TABLE_DEFAULT || o->change != FIB_ADDED)) {
		*ret_why = "a default route";
		return VERDICT_CONCERN;
	}
	if (o->kind == FIB_ROUTE && (o->table == RT_TABLE_MAIN || o->change != FIB_ADDED) && object_prefix(o, &prefix) && covers_watched(p, &prefix)) {
		*ret_why = "it decides how this host reaches a name server or the SSH client";
		return VERDICT_CONCERN;
	}
	if (policy_is_consequence(o)) {
		*ret_why = "an address of this host is no longer answered for";
		return VERDICT_CONCERN;
	}
	if (known && takes_away(o)) {
		*ret_why = o->kind == FIB_LINK ? "a link that was there before" : "an address that was there before";
		return VERDICT_CONCERN;
	}
	return VERDICT_BENIGN;
}

enum verdict policy_judge(const struct policy *p, const struct fib_snapshot *before, const struct fib_object *o, enum who who, const char **ret_why)
{
	*ret_why = "";
	if (p->level == GUARD_OFF || policy_is_transit(p, o))
		return VERDICT_NOISE;
	if (p->level == GUARD_STRICT) {
		*ret_why = "level strict";
		return VERDICT_CONCERN;
	}
	if (p->alone && who != WHO_OURS && !has_our_name(p, o))
		return VERDICT_FOREIGN;
	if (who == WHO_FOREIGN || (o->kernel_managed && who == WHO_KERNEL))
		return VERDICT_FOREIGN;
	if (p->command)
		return is_noise(o, who) ? VERDICT_NOISE : judge_command(p, before, o, ret_why);
	/* K1: whatever it is. */
	if (who == WHO_OURS) {
		*ret_why = "";
		return VERDICT_CONCERN;
	}
	if (is_noise(o, who))
		return VERDICT_NOISE;
	if (policy_is_landing(p, o)) {
		*ret_why = "a tunnel on the host";
		return VERDICT_CONCERN;
	}
	if (o->kind == FIB_RULE)
		return o->priority == PREF_L3MDEV && o->protocol == RTPROT_KERNEL ? VERDICT_BENIGN : VERDICT_CONCERN;
	if (o->ifindex && !in_snapshot(before, o->ifindex))
		return judge_new_link(p, o, ret_why);
	/* Of a link that was there before, or of none: nobody we know did it, so we did. */
	return VERDICT_CONCERN;
}
