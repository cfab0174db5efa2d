/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live-print.c - what a reload does, in the words of the commands that would do it. */
#include "live.h"

#include <arpa/inet.h>

#define MAIN_TABLE 254

struct printer {
	void (*line)(void *arg, const char *text);
	void *arg;
	const char *iface;
};

static void put(const struct printer *p, struct buf *text)
{
	p->line(p->arg, text->failed || !text->data ? "(out of memory)" : text->data);
	buf_free(text);
}

static void print_peer(const struct printer *p, const struct peer *peer)
{
	char key[KEY_TEXT_LEN], endpoint[ENDPOINT_TEXT_LEN], prefix[PREFIX_TEXT_LEN];
	struct buf text = { 0 };

	format_key(&peer->public_key, key);
	buf_fmt(&text, "wg set %s peer %s", p->iface, key);
	if (peer->remove)
		buf_str(&text, " remove");
	if (peer->has_preshared_key)
		buf_str(&text, key_is_zero(&peer->preshared_key) ? " preshared-key /dev/null" : " preshared-key (hidden)");
	if (peer->endpoint.sa.sa_family != AF_UNSPEC)
		buf_fmt(&text, " endpoint %s", format_endpoint(&peer->endpoint, endpoint));
	if (peer->has_keepalive)
		buf_fmt(&text, " persistent-keepalive %u", peer->keepalive);
	if (peer->replace_allowed_ips || peer->n_allowed_ips)
		buf_str(&text, " allowed-ips ");
	for (size_t i = 0; i < peer->n_allowed_ips; i++)
		buf_fmt(&text, "%s%s%s", i ? "," : "", peer->replace_allowed_ips ? "" : "+", format_prefix(&peer->allowed_ips[i].prefix, prefix));
	if (peer->replace_allowed_ips && !peer->n_allowed_ips)
		buf_str(&text, "\"\"");
	put(p, &text);
}

static void print_device(const struct printer *p, const struct wg_iface *wg)
{
	struct buf text = { 0 };

	if (!wg->has_private_key && !wg->has_listen_port && !wg->has_fwmark)
		return;
	buf_fmt(&text, "wg set %s", p->iface);
	if (wg->has_private_key)
		buf_str(&text, " private-key (hidden)");
	if (wg->has_listen_port)
		buf_fmt(&text, " listen-port %u", wg->listen_port);
	if (wg->has_fwmark)
		buf_fmt(&text, " fwmark %u", wg->fwmark);
	put(p, &text);
}

static void print_address(const struct printer *p, const char *verb, const struct prefix *address)
{
	char prefix[PREFIX_TEXT_LEN];
	struct buf text = { 0 };

	buf_fmt(&text, "ip -%d address %s %s dev %s", address->family == AF_INET6 ? 6 : 4, verb, format_prefix(address, prefix), p->iface);
	put(p, &text);
}

static void print_dropped(const struct printer *p, const struct live_changes *c, bool moved)
{
	for (size_t i = 0; i < c->n_addresses_dropped; i++)
		if (live_moves_address(c, &c->addresses_dropped[i]) == moved)
			print_address(p, "delete", &c->addresses_dropped[i]);
}

static void put_way(const struct live_route *route, struct buf *text)
{
	char address[INET6_ADDRSTRLEN];

	if (route->gateway.family)
		buf_fmt(text, " via %s", inet_ntop(route->gateway.family, route->gateway.bytes, address, sizeof(address)));
	if (route->source.family)
		buf_fmt(text, " src %s", inet_ntop(route->source.family, route->source.bytes, address, sizeof(address)));
	if (route->metric)
		buf_fmt(text, " metric %u", route->metric);
}

static void print_routes(const struct printer *p, const char *verb, const struct live_route *routes, size_t n)
{
	char prefix[PREFIX_TEXT_LEN];

	for (size_t i = 0; i < n; i++) {
		struct buf text = { 0 };

		buf_fmt(&text, "ip -%d route %s %s dev %s", routes[i].dst.family == AF_INET6 ? 6 : 4, verb, format_prefix(&routes[i].dst, prefix), p->iface);
		if (routes[i].table != MAIN_TABLE)
			buf_fmt(&text, " table %u", routes[i].table);
		put_way(&routes[i], &text);
		put(p, &text);
	}
}

void live_changes_print(const struct live_changes *c, const char *iface, void (*line)(void *arg, const char *text), void *arg)
{
	struct printer p = { line, arg, iface };

	if (c->mtu) {
		struct buf text = { 0 };

		buf_fmt(&text, "ip link set mtu %u dev %s", c->mtu, iface);
		put(&p, &text);
	}
	print_device(&p, &c->wg);
	for (size_t i = 0; i < c->wg.n_peers; i++)
		print_peer(&p, &c->wg.peers[i]);
	print_dropped(&p, c, true);
	for (size_t i = 0; i < c->n_addresses_added; i++)
		print_address(&p, "add", &c->addresses_added[i]);
	print_dropped(&p, c, false);
	print_routes(&p, "delete", c->routes_dropped, c->n_routes_dropped);
	print_routes(&p, "add", c->routes_added, c->n_routes_added);
}
