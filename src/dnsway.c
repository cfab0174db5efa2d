/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dnsway.h"

#include <net/if.h>

static bool allowed(const struct wg_iface *wg, const struct prefix *address)
{
	for (size_t i = 0; i < wg->n_peers; i++)
		for (size_t j = 0; j < wg->peers[i].n_allowed_ips; j++)
			if (prefix_covers(&wg->peers[i].allowed_ips[j].prefix, address))
				return true;
	return false;
}

const char *dns_server_fault(struct rt *target, unsigned int ifindex, const struct wg_iface *wg, const char *server)
{
	union endpoint_addr to = { 0 };
	struct prefix address;
	struct rt_link link;
	struct rt_way way;

	if (parse_address(server, &address) < 0)
		return "is no address";
	to.sa.sa_family = (sa_family_t)address.family;
	if (address.family == AF_INET6)
		to.v6.sin6_addr = address.v6;
	else
		to.v4.sin_addr = address.v4;
	if (rt_way_towards(target, &to, &way) < 0)
		return "is out of reach";
	if (way.oif == ifindex)
		return allowed(wg, &address) ? NULL : "is outside AllowedIPs: no peer takes it";
	/* A resolver in the namespace itself has no other way out than all others; another tunnel has peers of its own. */
	if (rt_link_get(target, NULL, way.oif, &link) == 0 && (link.flags & IFF_LOOPBACK || rt_link_is_tunnel(&link)))
		return NULL;
	return "would be asked past the tunnel";
}
