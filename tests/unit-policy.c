/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of policy.c: what a change means, by what it is, who asked for it, and the level. */
#include <arpa/inet.h>
#include <net/if.h>

#include "fib-msg.h"
#include "policy.h"
#include "tap.h"

#define OLD_LINK 2
#define NEW_LINK 9

/* A snapshot with lo and one uplink. */
static struct fib_snapshot *snapshot(void)
{
	static struct fib_snapshot s;
	static _Alignas(8) unsigned char arena[1024];
	static const struct fib_link links[] = { { .index = 1, .flags = IFF_UP, .name = "lo", .netnsid = -1 }, { .index = OLD_LINK, .flags = IFF_UP, .name = "eth0", .netnsid = -1 } };

	s = (struct fib_snapshot){ .data = arena };
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		struct nlmsghdr *h = (struct nlmsghdr *)(arena + s.len);

		*h = (struct nlmsghdr){ .nlmsg_len = NLMSG_LENGTH(sizeof(links[i])), .nlmsg_type = RTM_NEWLINK };
		memcpy(NLMSG_DATA(h), &links[i], sizeof(links[i]));
		s.len += NLMSG_ALIGN(h->nlmsg_len);
	}
	for (int kind = FIB_LINK + 1; kind <= FIB_KINDS; kind++)
		s.start[kind] = s.len;
	return &s;
}

static _Alignas(8) unsigned char buffer[1024];

static void put(struct nlmsghdr *h, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)((char *)h + NLMSG_ALIGN(h->nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	h->nlmsg_len = (unsigned int)(NLMSG_ALIGN(h->nlmsg_len) + RTA_ALIGN(a->rta_len));
}

static struct fib_object object(enum fib_kind kind, enum fib_change change, int family, unsigned int len, uint32_t ifindex)
{
	struct fib_object o = { .kind = kind, .change = change, .family = family, .prefixlen = (uint8_t)len, .ifindex = ifindex, .in_before = snapshot(), .in_after = snapshot() };
	const struct nlmsghdr *m = (const struct nlmsghdr *)buffer;

	if (change != FIB_ADDED)
		o.before = m;
	if (change != FIB_REMOVED)
		o.after = m;
	return o;
}

static struct fib_object route(enum fib_change change, const char *dst, unsigned int len, uint32_t ifindex)
{
	struct nlmsghdr *h = (struct nlmsghdr *)buffer;
	int family = strchr(dst, ':') ? AF_INET6 : AF_INET;
	struct rtmsg *r = NLMSG_DATA(h);
	unsigned char address[16];
	struct fib_object o;

	memset(buffer, 0, sizeof(buffer));
	h->nlmsg_type = RTM_NEWROUTE;
	h->nlmsg_len = NLMSG_LENGTH(sizeof(*r));
	r->rtm_family = (unsigned char)family;
	r->rtm_dst_len = (unsigned char)len;
	inet_pton(family, dst, address);
	if (len)
		put(h, RTA_DST, address, family == AF_INET6 ? 16 : 4);
	o = object(FIB_ROUTE, change, family, len, ifindex);
	o.table = RT_TABLE_MAIN;
	o.protocol = RTPROT_BOOT;
	return o;
}

static struct fib_object address(enum fib_change change, const char *text, uint32_t ifindex)
{
	struct nlmsghdr *h = (struct nlmsghdr *)buffer;
	struct ifaddrmsg *a = NLMSG_DATA(h);
	unsigned char bytes[4];

	memset(buffer, 0, sizeof(buffer));
	h->nlmsg_type = RTM_NEWADDR;
	h->nlmsg_len = NLMSG_LENGTH(sizeof(*a));
	a->ifa_family = AF_INET;
	inet_pton(AF_INET, text, bytes);
	put(h, IFA_LOCAL, bytes, 4);
	put(h, IFA_ADDRESS, bytes, 4);
	return object(FIB_ADDRESS, change, AF_INET, 24, ifindex);
}

static struct fib_object link_object(enum fib_change change, const char *name, const char *kind, uint32_t index)
{
	struct nlmsghdr *h = (struct nlmsghdr *)buffer;
	struct fib_link *l = NLMSG_DATA(h);

	memset(buffer, 0, sizeof(buffer));
	h->nlmsg_type = RTM_NEWLINK;
	h->nlmsg_len = NLMSG_LENGTH(sizeof(*l));
	l->index = index;
	l->netnsid = -1;
	snprintf(l->name, sizeof(l->name), "%s", name);
	snprintf(l->kind, sizeof(l->kind), "%s", kind);
	return object(FIB_LINK, change, AF_UNSPEC, 0, index);
}

static struct fib_object rule(enum fib_change change)
{
	memset(buffer, 0, sizeof(buffer));
	return object(FIB_RULE, change, AF_INET, 0, 0);
}

static struct policy policy;

static void judged(struct fib_object o, enum who who, enum verdict expected, const char *name)
{
	static const char *const names[] = { "noise", "benign", "foreign", "concern" };
	const char *why;
	enum verdict seen = policy_judge(&policy, snapshot(), &o, who, &why);

	is(names[seen], names[expected], "%s", name);
}

static void test_default(void)
{
	struct fib_object o;

	judged(route(FIB_ADDED, "198.18.0.0", 15, NEW_LINK), WHO_OURS, VERDICT_CONCERN, "K1: ours, whatever it is");
	judged(rule(FIB_ADDED), WHO_UNKNOWN, VERDICT_CONCERN, "K2: a rule");
	judged(rule(FIB_ADDED), WHO_FOREIGN, VERDICT_FOREIGN, "K2: a daemon's rule");
	o = rule(FIB_ADDED);
	o.priority = 1000;
	o.protocol = RTPROT_KERNEL;
	judged(o, WHO_KERNEL, VERDICT_BENIGN, "K2: the rule of the first VRF");
	judged(route(FIB_ADDED, "0.0.0.0", 0, NEW_LINK), WHO_UNKNOWN, VERDICT_CONCERN, "K3: a default route over a new link");
	judged(route(FIB_ADDED, "128.0.0.0", 1, NEW_LINK), WHO_UNKNOWN, VERDICT_CONCERN, "K3: half of all");
	judged(route(FIB_ADDED, "192.0.2.0", 24, NEW_LINK), WHO_UNKNOWN, VERDICT_CONCERN, "K4: over a new link to an endpoint");
	judged(route(FIB_ADDED, "172.17.0.0", 16, NEW_LINK), WHO_UNKNOWN, VERDICT_BENIGN, "a container's route");
	judged(route(FIB_ADDED, "10.9.0.0", 24, NEW_LINK), WHO_UNKNOWN, VERDICT_CONCERN, "K8: a destination of the tunnel");
	judged(link_object(FIB_ADDED, "wg7", "wireguard", TUNNEL_IFINDEX_MIN + NEW_LINK), WHO_KERNEL, VERDICT_CONCERN, "K5: the tunnel's link, by its number");
	judged(link_object(FIB_ADDED, "wg7", "wireguard", NEW_LINK), WHO_KERNEL, VERDICT_BENIGN, "a WireGuard link of the host's own");
	judged(link_object(FIB_ADDED, "wg7", "wireguard", NEW_LINK), WHO_OURS, VERDICT_CONCERN, "K1: one that a hook makes there");
	judged(link_object(FIB_ADDED, "wg0", "tun", NEW_LINK), WHO_KERNEL, VERDICT_CONCERN, "K5: one of our name");
	judged(link_object(FIB_ADDED, "veth7", "veth", NEW_LINK), WHO_KERNEL, VERDICT_BENIGN, "a container's link");
	judged(link_object(FIB_REMOVED, "eth0", "", OLD_LINK), WHO_KERNEL, VERDICT_CONCERN, "K6: a link is gone");
	judged(address(FIB_REMOVED, "192.0.2.9", OLD_LINK), WHO_UNKNOWN, VERDICT_CONCERN, "K7: an address is gone");
	judged(address(FIB_REMOVED, "192.0.2.9", OLD_LINK), WHO_FOREIGN, VERDICT_FOREIGN, "K7: by a DHCP client");
	judged(address(FIB_ADDED, "10.9.0.2", NEW_LINK), WHO_UNKNOWN, VERDICT_CONCERN, "K7: an address of the tunnel's");
	judged(address(FIB_ADDED, "172.17.0.1", NEW_LINK), WHO_UNKNOWN, VERDICT_BENIGN, "a container's address");
	judged(route(FIB_REMOVED, "10.50.0.0", 16, OLD_LINK), WHO_UNKNOWN, VERDICT_CONCERN, "K9: of a link that was there, by nobody known");
	o = route(FIB_REMOVED, "::", 0, OLD_LINK);
	o.kernel_managed = true;
	judged(o, WHO_KERNEL, VERDICT_FOREIGN, "a router takes its route back");
	judged(o, WHO_OURS, VERDICT_CONCERN, "a hook does");
	o = route(FIB_REMOVED, "192.0.2.255", 32, OLD_LINK);
	o.table = RT_TABLE_LOCAL;
	o.protocol = RTPROT_KERNEL;
	judged(o, WHO_KERNEL, VERDICT_NOISE, "what the kernel keeps for an address");
	judged(route(FIB_ADDED, "ff00::", 8, OLD_LINK), WHO_KERNEL, VERDICT_NOISE, "multicast");
}

static void is_addition(struct fib_object o, bool expected, const char *name)
{
	is(policy_is_addition(&policy, snapshot(), &o) ? "one" : "none", expected ? "one" : "none", "%s", name);
}

/* What a daemon may have asked for, though the notice does not say so. */
static void test_additions(void)
{
	static _Alignas(8) unsigned char down[sizeof(buffer)];
	struct fib_object o = link_object(FIB_CHANGED, "eth0", "", OLD_LINK);
	struct fib_link *is_up = NLMSG_DATA((struct nlmsghdr *)buffer);

	memcpy(down, buffer, sizeof(down));
	is_up->flags = IFF_UP;
	o.before = (const struct nlmsghdr *)down;
	o.link_changed = FIB_LINK_UP;
	is_addition(o, true, "addition: a link comes up");
	o.link_changed = FIB_LINK_UP | FIB_LINK_MTU;
	is_addition(o, false, "addition: not with another MTU");
	o.before = o.after;
	o.after = (const struct nlmsghdr *)down;
	o.link_changed = FIB_LINK_UP;
	is_addition(o, false, "addition: none goes down");
	is_addition(address(FIB_ADDED, "192.0.2.9", OLD_LINK), false, "addition: an IPv4 address has a requester");
	o = route(FIB_ADDED, "2001:db8:77::", 64, OLD_LINK);
	o.protocol = RTPROT_KERNEL;
	is_addition(o, true, "addition: the route of an IPv6 address");
	o.change = FIB_REMOVED;
	is_addition(o, false, "addition: not one that goes");
	o = route(FIB_ADDED, "2001:db8:77::", 64, OLD_LINK);
	is_addition(o, false, "addition: any other route has a requester");
	o = route(FIB_ADDED, "::", 0, OLD_LINK);
	o.protocol = RTPROT_KERNEL;
	is_addition(o, false, "addition: a default route never is");
}

static void test_transit(void)
{
	policy.transit = true;
	judged(link_object(FIB_ADDED, "wg0", "tun", NEW_LINK), WHO_KERNEL, VERDICT_NOISE, "the TUN on its way");
	judged(link_object(FIB_ADDED, "wg1", "tun", NEW_LINK), WHO_KERNEL, VERDICT_BENIGN, "another's");
	judged(link_object(FIB_ADDED, "wg0", "wireguard", NEW_LINK), WHO_KERNEL, VERDICT_CONCERN, "not a TUN");
	policy.transit = false;
	policy.transit_ifindex = NEW_LINK;
	judged(link_object(FIB_ADDED, "wg0", "tun", NEW_LINK), WHO_KERNEL, VERDICT_NOISE, "by its index");
	judged(link_object(FIB_ADDED, "wg0", "tun", NEW_LINK + 1), WHO_KERNEL, VERDICT_CONCERN, "and by no other");
	policy.transit_ifindex = 0;
}

static void test_levels(void)
{
	policy.level = GUARD_OFF;
	judged(rule(FIB_ADDED), WHO_OURS, VERDICT_NOISE, "off: nothing counts");
	policy.level = GUARD_STRICT;
	judged(link_object(FIB_ADDED, "veth7", "veth", NEW_LINK), WHO_KERNEL, VERDICT_CONCERN, "strict: everything counts");
	judged(address(FIB_REMOVED, "192.0.2.9", OLD_LINK), WHO_FOREIGN, VERDICT_CONCERN, "strict: whoever it was");
	policy.level = GUARD_DEFAULT;
}

static void test_command(void)
{
	policy.command = true;
	judged(route(FIB_ADDED, "10.77.0.0", 16, OLD_LINK), WHO_OURS, VERDICT_BENIGN, "command: a route of its own");
	judged(rule(FIB_ADDED), WHO_OURS, VERDICT_BENIGN, "command: a rule, as long as no way changes");
	judged(route(FIB_REMOVED, "0.0.0.0", 0, OLD_LINK), WHO_OURS, VERDICT_CONCERN, "command: K3");
	judged(route(FIB_ADDED, "192.0.2.1", 32, OLD_LINK), WHO_OURS, VERDICT_CONCERN, "command: K4");
	judged(link_object(FIB_REMOVED, "eth0", "", OLD_LINK), WHO_OURS, VERDICT_CONCERN, "command: K6");
	judged(address(FIB_REMOVED, "192.0.2.9", OLD_LINK), WHO_OURS, VERDICT_CONCERN, "command: K7");
	judged(link_object(FIB_ADDED, "wg0", "wireguard", NEW_LINK), WHO_OURS, VERDICT_BENIGN, "command: a tunnel of its own");
	judged(route(FIB_REMOVED, "0.0.0.0", 0, OLD_LINK), WHO_FOREIGN, VERDICT_FOREIGN, "command: a daemon's");
	policy.command = false;
}

static void test_alone(void)
{
	policy.alone = true;
	judged(link_object(FIB_REMOVED, "eth0", "", OLD_LINK), WHO_KERNEL, VERDICT_FOREIGN, "no hooks: a link, whose notice has no name");
	judged(route(FIB_REMOVED, "0.0.0.0", 0, OLD_LINK), WHO_UNKNOWN, VERDICT_FOREIGN, "no hooks: somebody who is gone");
	judged(rule(FIB_ADDED), WHO_OURS, VERDICT_CONCERN, "no hooks: ourselves, all the same");
	judged(link_object(FIB_ADDED, "wg0", "tun", NEW_LINK), WHO_KERNEL, VERDICT_CONCERN, "no hooks: a link of our name");
	policy.level = GUARD_STRICT;
	judged(rule(FIB_ADDED), WHO_UNKNOWN, VERDICT_CONCERN, "no hooks, strict");
	policy.level = GUARD_DEFAULT;
	policy.alone = false;
}

int main(void)
{
	struct prefix tunnel = { .family = AF_INET, .len = 24 }, allowed = { .family = AF_INET, .len = 24 }, endpoint = { .family = AF_INET, .len = 32 };

	inet_pton(AF_INET, "10.9.0.2", &tunnel.v4);
	inet_pton(AF_INET, "10.9.0.0", &allowed.v4);
	inet_pton(AF_INET, "192.0.2.1", &endpoint.v4);
	policy = (struct policy){ .level = GUARD_DEFAULT, .iface = "wg0", .addresses = &tunnel, .n_addresses = 1, .allowed = &allowed, .n_allowed = 1, .watched = &endpoint, .n_watched = 1 };
	fib_hash_init();
	test_default();
	test_additions();
	test_transit();
	test_levels();
	test_command();
	test_alone();
	return done_testing();
}
