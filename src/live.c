/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "live.h"

#include "uapi.h"

#define MAGIC "wg-nsquick-live 1\n"
#define MORE " and more"

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
	int r;

	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	r = prefix_compare(&x->dst, &y->dst);
	return r ? r : (x->metric > y->metric) - (x->metric < y->metric);
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

int live_put_route(struct live *live, const struct live_route *route)
{
	size_t at = find_route(live, route);

	if (at < live->n_routes && compare_routes(&live->routes[at], route) == 0)
		return 0;
	if (!GROW(live->routes, live->n_routes))
		return -ENOMEM;
	memmove(&live->routes[at + 1], &live->routes[at], (live->n_routes - 1 - at) * sizeof(*live->routes));
	live->routes[at] = *route;
	return 0;
}

int live_add_route(struct live *live, const struct prefix *dst, uint32_t table)
{
	const struct live_route route = { .dst = *dst, .table = table };

	return live_put_route(live, &route);
}

/* ---- text ---- */

static void format_route(const struct live_route *route, struct buf *text)
{
	char prefix[PREFIX_TEXT_LEN];

	buf_fmt(text, "route %u %s", route->table, format_prefix(&route->dst, prefix));
	if (route->special)
		buf_fmt(text, " metric %u proto %u scope %u%s", route->metric, route->protocol, route->scope, route->more ? MORE : "");
	if (route->gateway.family)
		buf_fmt(text, " via %s", format_prefix(&route->gateway, prefix));
	if (route->source.family)
		buf_fmt(text, " src %s", format_prefix(&route->source, prefix));
	buf_str(text, "\n");
}

void live_format(const struct live *live, struct buf *text)
{
	char prefix[PREFIX_TEXT_LEN];

	buf_str(text, MAGIC);
	buf_fmt(text, "mtu %u\n", live->mtu);
	for (size_t i = 0; i < live->n_addresses; i++)
		buf_fmt(text, "address %s\n", format_prefix(&live->addresses[i], prefix));
	for (size_t i = 0; i < live->n_routes; i++)
		format_route(&live->routes[i], text);
	/* The rest is what a device would answer to `get=1'; its first line is no key of a device's. */
	uapi_format_set(&live->wg, text);
	/* In place of the blank line that ends a request. */
	if (!text->failed && text->len)
		text->len--;
	buf_str(text, "errno=0\n\n");
}

static int parse_way(const char *text, const char *word, struct prefix *ret_address)
{
	const char *at = strstr(text, word);
	char address[PREFIX_TEXT_LEN];

	if (!at)
		return 0;
	return sscanf(at + strlen(word), "%49s", address) == 1 && parse_address(address, ret_address) == 0 ? 0 : -EBADMSG;
}

/* What follows `route '. Of one as `up' makes them, and in what earlier programs wrote, there is only the beginning. */
static int parse_route(struct live *live, const char *text)
{
	struct live_route route = { 0 };
	char dst[PREFIX_TEXT_LEN];
	int at = 0;

	if (sscanf(text, "%u %49s%n", &route.table, dst, &at) != 2 || parse_allowed_ip(dst, &route.dst) < 0)
		return -EBADMSG;
	text += at;
	route.special = *text;
	if (route.special && sscanf(text, " metric %u proto %hhu scope %hhu", &route.metric, &route.protocol, &route.scope) != 3)
		return -EBADMSG;
	route.more = strstr(text, MORE);
	if (parse_way(text, " via ", &route.gateway) < 0 || parse_way(text, " src ", &route.source) < 0)
		return -EBADMSG;
	return live_put_route(live, &route);
}

static int parse_line(struct live *live, const char *line)
{
	struct prefix prefix;

	if (sscanf(line, "mtu %u", &live->mtu) == 1)
		return 0;
	if (strncmp(line, "address ", 8) == 0) {
		if (parse_address(line + 8, &prefix) < 0)
			return -EBADMSG;
		return prefix_add(&live->addresses, &live->n_addresses, &prefix);
	}
	return strncmp(line, "route ", 6) == 0 ? parse_route(live, line + 6) : -EBADMSG;
}

int live_parse(const char *text, size_t len, struct live *ret_live)
{
	struct live live = { 0 };
	const char *end = text + len;
	int r = len > strlen(MAGIC) && strncmp(text, MAGIC, strlen(MAGIC)) == 0 ? 0 : -EBADMSG;

	text += r == 0 ? strlen(MAGIC) : 0;
	while (r == 0 && strncmp(text, "set=1\n", 6) != 0) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		char line[256];

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

/* Those of `to` that `from` has not; `plain`: only such as `up' makes. */
static int diff_routes(const struct live *from, const struct live *to, bool plain, struct live_route **list, size_t *n)
{
	for (size_t i = 0; i < to->n_routes; i++) {
		struct live_route *slot;

		if (live_has_route(from, &to->routes[i]) || (plain && to->routes[i].special))
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
	if (to->endpoint.sa.sa_family != AF_UNSPEC && !(from && to->keeps_endpoint) && !endpoint_equal(&old->endpoint, &to->endpoint))
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
		r = diff_routes(from, to, false, &changes.routes_added, &changes.n_routes_added);
	if (r == 0)
		r = diff_routes(to, from, true, &changes.routes_dropped, &changes.n_routes_dropped);
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
