/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wg-kernel.c - the kernel's devices, through wireguard.c: the only includer of its header. */
#include "wg.h"

#include <wireguard.h>

static void cleanup_device(wg_device **dev)
{
	if (*dev)
		wg_free_device(*dev);
}

static void key_copy(wg_key to, const struct key *from)
{
	memcpy(to, from->b, KEY_LEN);
}

static int add_allowed_ip(wg_peer *peer, const struct prefix *prefix)
{
	wg_allowedip *ip = calloc(1, sizeof(*ip));

	if (!ip)
		return -ENOMEM;
	ip->family = (uint16_t)prefix->family;
	if (prefix->family == AF_INET)
		ip->ip4 = prefix->v4;
	else
		ip->ip6 = prefix->v6;
	ip->cidr = prefix->len;
	if (peer->last_allowedip)
		peer->last_allowedip->next_allowedip = ip;
	else
		peer->first_allowedip = ip;
	peer->last_allowedip = ip;
	return 0;
}

static int add_peer(wg_device *dev, const struct peer *from)
{
	wg_peer *peer = calloc(1, sizeof(*peer));
	int r = 0;

	if (!peer)
		return -ENOMEM;
	if (dev->last_peer)
		dev->last_peer->next_peer = peer;
	else
		dev->first_peer = peer;
	dev->last_peer = peer;

	peer->flags = WGPEER_HAS_PUBLIC_KEY;
	key_copy(peer->public_key, &from->public_key);
	if (from->remove) {
		peer->flags |= WGPEER_REMOVE_ME;
		return 0;
	}
	if (from->has_preshared_key) {
		peer->flags |= WGPEER_HAS_PRESHARED_KEY;
		key_copy(peer->preshared_key, &from->preshared_key);
	}
	if (from->has_keepalive) {
		peer->flags |= WGPEER_HAS_PERSISTENT_KEEPALIVE_INTERVAL;
		peer->persistent_keepalive_interval = from->keepalive;
	}
	if (from->replace_allowed_ips)
		peer->flags |= WGPEER_REPLACE_ALLOWEDIPS;
	if (from->endpoint.sa.sa_family == AF_INET)
		peer->endpoint.addr4 = from->endpoint.v4;
	else if (from->endpoint.sa.sa_family == AF_INET6)
		peer->endpoint.addr6 = from->endpoint.v6;
	for (size_t i = 0; i < from->n_allowed_ips && r == 0; i++)
		r = add_allowed_ip(peer, &from->allowed_ips[i].prefix);
	return r;
}

/* The library copies names without a look at their length. */
static int set_name(wg_device *dev, const char *name)
{
	if (strlen(name) >= sizeof(dev->name))
		return -ENAMETOOLONG;
	strcpy(dev->name, name);
	return 0;
}

int wg_kernel_apply(const char *name, const struct wg_iface *wg)
{
	CLEANUP(cleanup_device) wg_device *dev = calloc(1, sizeof(*dev));
	int r;

	if (!dev)
		return -ENOMEM;
	r = set_name(dev, name);
	if (r < 0)
		return r;
	if (wg->has_private_key) {
		dev->flags |= WGDEVICE_HAS_PRIVATE_KEY;
		key_copy(dev->private_key, &wg->private_key);
	}
	if (wg->has_listen_port) {
		dev->flags |= WGDEVICE_HAS_LISTEN_PORT;
		dev->listen_port = wg->listen_port;
	}
	if (wg->has_fwmark) {
		dev->flags |= WGDEVICE_HAS_FWMARK;
		dev->fwmark = wg->fwmark;
	}
	for (size_t i = 0; i < wg->n_peers; i++) {
		r = add_peer(dev, &wg->peers[i]);
		if (r < 0)
			return r;
	}
	return wg_set_device(dev);
}

static int read_peer(const wg_peer *from, struct wg_iface *wg)
{
	struct peer *peer = wg_iface_add_peer(wg);
	const wg_allowedip *ip;

	if (!peer)
		return -ENOMEM;
	memcpy(peer->public_key.b, from->public_key, KEY_LEN);
	peer->has_public_key = true;
	if (from->flags & WGPEER_HAS_PRESHARED_KEY) {
		memcpy(peer->preshared_key.b, from->preshared_key, KEY_LEN);
		peer->has_preshared_key = true;
	}
	if (from->endpoint.addr.sa_family == AF_INET)
		peer->endpoint.v4 = from->endpoint.addr4;
	else if (from->endpoint.addr.sa_family == AF_INET6)
		peer->endpoint.v6 = from->endpoint.addr6;
	peer->keepalive = from->persistent_keepalive_interval;
	peer->has_keepalive = peer->keepalive != 0;
	peer->last_handshake = from->last_handshake_time.tv_sec;
	peer->rx_bytes = from->rx_bytes;
	peer->tx_bytes = from->tx_bytes;
	wg_for_each_allowedip(from, ip) {
		struct allowed_ip *slot = GROW(peer->allowed_ips, peer->n_allowed_ips);

		if (!slot)
			return -ENOMEM;
		slot->prefix.family = ip->family;
		slot->prefix.len = ip->cidr;
		if (ip->family == AF_INET)
			slot->prefix.v4 = ip->ip4;
		else
			slot->prefix.v6 = ip->ip6;
	}
	return 0;
}

int wg_kernel_read(const char *name, struct wg_iface *ret_wg)
{
	CLEANUP(cleanup_device) wg_device *dev = NULL;
	struct wg_iface wg = { 0 };
	const wg_peer *peer;
	int r, tries = 0;

	if (strlen(name) >= IFNAMSIZ)
		return -ENAMETOOLONG;
	/* -EINTR: it changed meanwhile. */
	do
		r = wg_get_device(&dev, name);
	while (r == -EINTR && ++tries < 20);
	if (r < 0) {
		dev = NULL; /* freed by the library */
		return r;
	}
	wg.has_private_key = dev->flags & WGDEVICE_HAS_PRIVATE_KEY && !wg_key_is_zero(dev->private_key);
	memcpy(wg.private_key.b, dev->private_key, KEY_LEN);
	memcpy(wg.public_key.b, dev->public_key, KEY_LEN);
	wg.has_listen_port = wg.has_fwmark = true;
	wg.listen_port = dev->listen_port;
	wg.fwmark = dev->fwmark;
	wg_for_each_peer(dev, peer) {
		r = read_peer(peer, &wg);
		if (r < 0) {
			wg_iface_free(&wg);
			return r;
		}
	}
	*ret_wg = wg;
	explicit_bzero(&wg.private_key, sizeof(wg.private_key));
	return 0;
}

int wg_kernel_names(struct strv *ret_names)
{
	_cleanup_free_ char *names = wg_list_device_names();
	struct strv list = { 0 };
	size_t len;
	char *name;

	if (!names)
		return errno ? -errno : -ENOMEM;
	wg_for_each_device_name(names, name, len) {
		int r = strv_add(&list, name, len);

		if (r < 0) {
			strv_free(&list);
			return r;
		}
	}
	*ret_names = list;
	return 0;
}

void wg_public_key(const struct key *private_key, struct key *ret_public_key)
{
	wg_generate_public_key(ret_public_key->b, private_key->b);
}
