/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "live.h"

#include "uapi.h"

#define MAGIC "wg-nsquick-live 1\n"
#define MAIN_TABLE 254

void live_free(struct live *live)
{
	wg_iface_free(&live->wg);
	free(live->addresses);
	free(live->routes);
	*live = (struct live){ 0 };
}

/* ---- routes: kept in order, found by halving ---- */

static int compare_routes(const void *a, const void *b)
{
	const struct live_route *x = a, *y = b;

	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	return prefix_compare(&x->dst, &y->dst);
}

/* Where it is, or belongs. */
static size_t find_route(const struct live *live, const struct live_route *route)
{
	size_t low = 0, high = live->n_routes;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_routes(&live->routes[middle], route) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool live_has_route(const struct live *live, const struct live_route *route)
{
	size_t at = find_route(live, route);

	return at < live->n_routes && compare_routes(&live->routes[at], route) == 0;
}

int live_add_route(struct live *live, const struct prefix *dst, uint32_t table)
{
	struct live_route route = { .dst = *dst, .table = table };
	size_t at = find_route(live, &route);

	if (at < live->n_routes && compare_routes(&live->routes[at], &route) == 0)
		return 0;
	if (!GROW(live->routes, live->n_routes))
		return -ENOMEM;
	memmove(&live->routes[at + 1], &live->routes[at], (live->n_routes - 1 - at) * sizeof(*live->routes));
	live->routes[at] = route;
	return 0;
}

/* ---- text ---- */

void live_format(const struct live *live, struct buf *text)
{
	char prefix[PREFIX_TEXT_LEN];

	buf_str(text, MAGIC);
	buf_fmt(text, "mtu %u\n", live->mtu);
	for (size_t i = 0; i < live->n_addresses; i++)
		buf_fmt(text, "address %s\n", format_prefix(&live->addresses[i], prefix));
	for (size_t i = 0; i < live->n_routes; i++)
		buf_fmt(text, "route %u %s\n", live->routes[i].table, format_prefix(&live->routes[i].dst, prefix));
	/* The rest is what a device would answer to `get=1'; its first line is no key of a device's. */
	uapi_format_set(&live->wg, text);
	/* In place of the blank line that ends a request. */
	if (!text->failed && text->len)
		text->len--;
	buf_str(text, "errno=0\n\n");
}

static int parse_line(struct live *live, const char *line)
{
	struct prefix prefix, *slot;
	unsigned int number;
	int at = 0;

	if (sscanf(line, "mtu %u", &live->mtu) == 1)
		return 0;
	if (strncmp(line, "address ", 8) == 0) {
		if (parse_address(line + 8, &prefix) < 0)
			return -EBADMSG;
		slot = GROW(live->addresses, live->n_addresses);
		if (!slot)
			return -ENOMEM;
		*slot = prefix;
		return 0;
	}
	if (sscanf(line, "route %u %n", &number, &at) == 1 && at && parse_allowed_ip(line + at, &prefix) == 0)
		return live_add_route(live, &prefix, number);
	return -EBADMSG;
}

int live_parse(const char *text, size_t len, struct live *ret_live)
{
	struct live live = { 0 };
	const char *end = text + len;
	int r = len > strlen(MAGIC) && strncmp(text, MAGIC, strlen(MAGIC)) == 0 ? 0 : -EBADMSG;

	text += r == 0 ? strlen(MAGIC) : 0;
	while (r == 0 && strncmp(text, "set=1\n", 6) != 0) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		char line[128];

		if (!stop || (size_t)(stop - text) >= sizeof(line)) {
			r = -EBADMSG;
			break;
		}
		snprintf(line, sizeof(line), "%.*s", (int)(stop - text), text);
		r = parse_line(&live, line);
		text = stop + 1;
	}
	/* That line is unknown to a reply's reader, and passed over. */
	if (r == 0)
		r = uapi_parse_get(text, (size_t)(end - text), &live.wg);
	if (r < 0)
		live_free(&live);
	else
		*ret_live = live;
	return r;
}

/* ---- from one to another ---- */

static int diff_routes(const struct live *from, const struct live *to, struct live_route **list, size_t *n)
{
	for (size_t i = 0; i < to->n_routes; i++) {
		struct live_route *slot;

		if (live_has_route(from, &to->routes[i]))
			continue;
		slot = GROW(*list, *n);
		if (!slot)
			return -ENOMEM;
		*slot = to->routes[i];
	}
	return 0;
}

static int compare_peers(const void *a, const void *b)
{
	const struct peer *x = *(const struct peer *const *)a, *y = *(const struct peer *const *)b;

	return memcmp(x->public_key.b, y->public_key.b, KEY_LEN);
}

static const struct peer **sort_peers(const struct wg_iface *wg)
{
	const struct peer **peers = calloc(wg->n_peers + 1, sizeof(*peers));

	for (size_t i = 0; peers && i < wg->n_peers; i++)
		peers[i] = &wg->peers[i];
	if (peers)
		qsort(peers, wg->n_peers, sizeof(*peers), compare_peers);
	return peers;
}

static const struct peer *find_peer(const struct peer **peers, size_t n, const struct peer *like)
{
	const struct peer **found = bsearch(&like, peers, n, sizeof(*peers), compare_peers);

	return found ? *found : NULL;
}

static int compare_allowed(const void *a, const void *b)
{
	const struct allowed_ip *x = a, *y = b;

	return prefix_compare(&x->prefix, &y->prefix);
}

static struct allowed_ip *sort_allowed(const struct peer *peer)
{
	struct allowed_ip *sorted = calloc(peer->n_allowed_ips + 1, sizeof(*sorted));

	if (sorted && peer->n_allowed_ips) {
		memcpy(sorted, peer->allowed_ips, peer->n_allowed_ips * sizeof(*sorted));
		qsort(sorted, peer->n_allowed_ips, sizeof(*sorted), compare_allowed);
	}
	return sorted;
}

/* Only additions are sent as such: a list that replaces leaves the peer without any for a moment. */
static int diff_allowed(const struct peer *from, const struct peer *to, struct peer *change)
{
	_cleanup_free_ struct allowed_ip *before = sort_allowed(from);
	_cleanup_free_ struct allowed_ip *after = sort_allowed(to);
	size_t kept = 0;

	if (!before || !after)
		return -ENOMEM;
	for (size_t i = 0; i < to->n_allowed_ips; i++)
		kept += bsearch(&after[i], before, from->n_allowed_ips, sizeof(*before), compare_allowed) != NULL;
	change->replace_allowed_ips = kept < from->n_allowed_ips;
	for (size_t i = 0; i < to->n_allowed_ips; i++) {
		struct allowed_ip *slot;

		if (!change->replace_allowed_ips && bsearch(&after[i], before, from->n_allowed_ips, sizeof(*before), compare_allowed))
			continue;
		slot = GROW(change->allowed_ips, change->n_allowed_ips);
		if (!slot)
			return -ENOMEM;
		slot->prefix = after[i].prefix;
	}
	return 0;
}

/* `from` NULL: the peer is new. Answers 1 when there is something to send. */
static int diff_peer(const struct peer *from, const struct peer *to, struct peer *change)
{
	static const struct peer nothing;
	const struct peer *old = from ? from : &nothing;
	int r;

	change->public_key = to->public_key;
	change->has_public_key = true;
	if (!key_equal(&old->preshared_key, &to->preshared_key)) {
		change->has_preshared_key = true;
		change->preshared_key = to->preshared_key;
	}
	if (old->keepalive != to->keepalive) {
		change->has_keepalive = true;
		change->keepalive = to->keepalive;
	}
	if (to->endpoint.sa.sa_family != AF_UNSPEC && !endpoint_equal(&old->endpoint, &to->endpoint))
		change->endpoint = to->endpoint;
	r = diff_allowed(old, to, change);
	if (r < 0)
		return r;
	return !from || change->has_preshared_key || change->has_keepalive || change->endpoint.sa.sa_family != AF_UNSPEC ||
	       change->replace_allowed_ips || change->n_allowed_ips;
}

static int diff_peers(const struct wg_iface *from, const struct wg_iface *to, struct wg_iface *changes)
{
	_cleanup_free_ const struct peer **before = sort_peers(from);
	_cleanup_free_ const struct peer **after = sort_peers(to);

	if (!before || !after)
		return -ENOMEM;
	for (size_t i = 0; i < from->n_peers; i++) {
		struct peer *gone;

		if (find_peer(after, to->n_peers, &from->peers[i]))
			continue;
		gone = wg_iface_add_peer(changes);
		if (!gone)
			return -ENOMEM;
		gone->public_key = from->peers[i].public_key;
		gone->has_public_key = gone->remove = true;
	}
	for (size_t i = 0; i < to->n_peers; i++) {
		struct peer *change = wg_iface_add_peer(changes);
		int r;

		if (!change)
			return -ENOMEM;
		r = diff_peer(find_peer(before, from->n_peers, &to->peers[i]), &to->peers[i], change);
		if (r < 0)
			return r;
		if (r == 0) {
			free(change->allowed_ips);
			explicit_bzero(change, sizeof(*change));
			changes->n_peers--;
		}
	}
	return 0;
}

static int diff_wg(const struct wg_iface *from, const struct wg_iface *to, struct live_changes *changes)
{
	struct wg_iface *wg = &changes->wg;
	int r;

	if (to->has_private_key && !(from->has_private_key && key_equal_clamped(&from->private_key, &to->private_key))) {
		wg->has_private_key = true;
		wg->private_key = to->private_key;
	}
	if (from->listen_port != to->listen_port) {
		wg->has_listen_port = true;
		wg->listen_port = to->listen_port;
	}
	if (from->fwmark != to->fwmark) {
		wg->has_fwmark = true;
		wg->fwmark = to->fwmark;
	}
	r = diff_peers(from, to, wg);
	changes->wg_changed = wg->has_private_key || wg->has_listen_port || wg->has_fwmark || wg->n_peers;
	return r;
}

int live_diff(const struct live *from, const struct live *to, struct live_changes *ret_changes)
{
	struct live_changes changes = { .mtu = from->mtu != to->mtu ? to->mtu : 0 };
	int r;

	r = diff_wg(&from->wg, &to->wg, &changes);
	if (r == 0)
		r = live_diff_addresses(from, to, &changes);
	if (r == 0)
		r = diff_routes(from, to, &changes.routes_added, &changes.n_routes_added);
	if (r == 0)
		r = diff_routes(to, from, &changes.routes_dropped, &changes.n_routes_dropped);
	if (r < 0)
		live_changes_free(&changes);
	else
		*ret_changes = changes;
	return r;
}

bool live_changes_empty(const struct live_changes *c)
{
	return !c->wg_changed && !c->n_addresses_added && !c->n_addresses_dropped && !c->n_routes_added && !c->n_routes_dropped && !c->mtu;
}

void live_changes_free(struct live_changes *c)
{
	wg_iface_free(&c->wg);
	free(c->addresses_added);
	free(c->addresses_dropped);
	free(c->routes_added);
	free(c->routes_dropped);
	*c = (struct live_changes){ 0 };
}

/* ---- words ---- */

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

static void print_routes(const struct printer *p, const char *verb, const struct live_route *routes, size_t n)
{
	char prefix[PREFIX_TEXT_LEN];

	for (size_t i = 0; i < n; i++) {
		struct buf text = { 0 };

		buf_fmt(&text, "ip -%d route %s %s dev %s", routes[i].dst.family == AF_INET6 ? 6 : 4, verb, format_prefix(&routes[i].dst, prefix), p->iface);
		if (routes[i].table != MAIN_TABLE)
			buf_fmt(&text, " table %u", routes[i].table);
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
