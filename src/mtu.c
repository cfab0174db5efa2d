/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mtu.c - what fits through a tunnel: its automatic MTU (spec C.5), and whether IPv6 does at all. */
#include "log.h"
#include "sysctl.h"
#include "txn.h"

static int read_disabled(const struct txn *txn, const char *iface, char *ret_value, size_t size)
{
	_cleanup_free_ char *name = NULL;

	if (asprintf(&name, "ipv6/conf/%s/disable_ipv6", iface) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	return sysctl_read(txn->target_fd, name, ret_value, size);
}

int txn_learn_ipv6(struct txn *txn)
{
	char value[8];
	struct rt_link link;
	int r = read_disabled(txn, txn->conf->iface, value, sizeof(value));

	/* Somebody may have renamed it. */
	if (r == -ENOENT && txn->journal.ifindex && rt_link_get(txn->target, NULL, txn->journal.ifindex, &link) == 0)
		r = read_disabled(txn, link.name, value, sizeof(value));
	if (r == -ENOMEM)
		return r;
	txn->ipv6_off = r == -ENOENT || (r == 0 && strcmp(value, "1") == 0);
	return 0;
}

bool txn_uses_ipv6(const struct conf *conf, const struct wg_iface *wg)
{
	struct prefix address;

	for (size_t i = 0; i < conf->n_addresses; i++)
		if (parse_address(conf->addresses[i].text, &address) == 0 && address.family == AF_INET6)
			return true;
	for (size_t i = 0; i < wg->n_peers && conf->table != TABLE_OFF; i++)
		for (size_t j = 0; j < wg->peers[i].n_allowed_ips; j++)
			if (wg->peers[i].allowed_ips[j].prefix.family == AF_INET6)
				return true;
	return false;
}

int txn_auto_mtu(struct txn *txn, const struct wg_iface *wg, int *ret_mtu)
{
	unsigned int mtu = 0, best = 0;
	int r;

	for (size_t i = 0; i < wg->n_peers; i++) {
		const union endpoint_addr *ep = &wg->peers[i].endpoint;

		/* wg-quick's pattern does not match an address with a zone. */
		if (ep->sa.sa_family == AF_UNSPEC || (ep->sa.sa_family == AF_INET6 && ep->v6.sin6_scope_id))
			continue;
		r = rt_mtu_towards(txn->transport, ep, &mtu);
		if (is_transient(r))
			return r;
		if (r == 0 && (!best || mtu < best))
			best = mtu;
	}
	r = best ? 0 : rt_mtu_default(txn->transport, &mtu);
	if (is_transient(r))
		return r;
	if (!best && r == 0)
		best = mtu;
	*ret_mtu = (int)(best ? best : 1500) - 80;
	return 0;
}

int txn_choose_mtu(struct txn *txn, const struct wg_iface *wg, unsigned int *ret_mtu)
{
	int mtu, r;

	r = txn_auto_mtu(txn, wg, &mtu);
	if (r < 0)
		return txn_fail(EXIT_KERNEL, txn, "cannot look the route to the endpoint up: %s", strerror(-r));
	if (mtu < MIN_IPV6_MTU && !txn->ipv6_off && txn_uses_ipv6(txn->conf, wg))
		return txn_fail(EXIT_KERNEL, txn,
				"the automatic MTU is %d, and IPv6 needs 1280; expected `MTU = 1280' or more, or no IPv6 in Address and AllowedIPs", mtu);
	if (mtu <= 0)
		return txn_fail(EXIT_KERNEL, txn, "the automatic MTU is %d; expected a route to the endpoint with an MTU above 80", mtu);
	*ret_mtu = (unsigned int)mtu;
	return 0;
}
