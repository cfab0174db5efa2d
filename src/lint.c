/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lint.c - findings about keys; lint-hook.c has those about hooks.
 */
#include "lint.h"

#include <arpa/inet.h>
#include <stdarg.h>

#include "conf-error.h"

#define RESOLVER_SERVERS 3 /* MAXNS of resolv.h: the C library asks no more */
#define MIN_IPV6_MTU 1280  /* RFC 8200, section 5 */

void finding_add(struct findings *f, enum severity severity, unsigned int line, const char *fmt, ...)
{
	struct finding finding = { .line = line, .severity = severity, .order = f->n };
	struct finding *slot;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&finding.text, fmt, ap) < 0)
		finding.text = NULL;
	va_end(ap);
	/* Nothing of the file's that a terminal would obey. (The texts' own quotes are of UTF-8.) */
	for (char *p = finding.text; p && *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	slot = finding.text ? GROW(f->items, f->n) : NULL;
	if (slot)
		*slot = finding;
	else
		f->failed = true;
	if (!slot)
		free(finding.text);
}

static int by_line(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	/* 0 becomes the largest: what is about the whole file comes last. */
	unsigned int m = x->line - 1, n = y->line - 1;

	if (m != n)
		return m > n ? 1 : -1;
	return (x->order > y->order) - (x->order < y->order);
}

void findings_sort(struct findings *f)
{
	if (f->n)
		qsort(f->items, f->n, sizeof(*f->items), by_line);
}

size_t findings_count(const struct findings *f, enum severity severity)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->items[i].severity == severity;
	return n;
}

void findings_free(struct findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->items[i].text);
	free(f->items);
	*f = (struct findings){ 0 };
}

/* ---- what the file as a whole has ---- */

struct view {
	const struct conf *conf;
	const struct lint_place *place;
	struct findings *f;
	bool address[2], allowed[2], full[2]; /* by is_v6(): an Address, an allowed IP, a /0 */
	unsigned int allowed_line[2];	      /* of the first peer with such an allowed IP */
};

static bool is_v6(const struct prefix *p)
{
	return p->family == AF_INET6;
}

static const char *family_name(bool v6)
{
	return v6 ? "IPv6" : "IPv4";
}

static bool takes_part(const struct allowed_ip *item)
{
	return item->op != ALLOWED_MINUS;
}

static void look(struct view *v)
{
	const struct conf *conf = v->conf;
	struct prefix p;

	for (size_t i = 0; i < conf->n_addresses; i++)
		if (parse_address(conf->addresses[i].text, &p) == 0)
			v->address[is_v6(&p)] = true;
	for (size_t i = 0; i < conf->wg.n_peers; i++) {
		const struct peer *peer = &conf->wg.peers[i];

		for (size_t j = 0; j < peer->n_allowed_ips; j++) {
			const struct allowed_ip *item = &peer->allowed_ips[j];
			bool v6 = is_v6(&item->prefix);

			if (!takes_part(item))
				continue;
			if (!v->allowed[v6])
				v->allowed_line[v6] = peer->line;
			v->allowed[v6] = true;
			if (prefix_is_default(&item->prefix))
				v->full[v6] = true;
		}
	}
}

/* ---- addresses ---- */

struct assigned {
	struct prefix prefix;
	const struct item *item;
};

/* What is one address for the kernel: of IPv4 with its length, of IPv6 whatever that is. */
static int compare_assigned(const struct prefix *a, const struct prefix *b)
{
	struct prefix x = *a, y = *b;

	if (is_v6(&x))
		x.len = 0;
	if (is_v6(&y))
		y.len = 0;
	return prefix_compare(&x, &y);
}

static int by_assigned(const void *a, const void *b)
{
	const struct assigned *x = a, *y = b;
	int r = compare_assigned(&x->prefix, &y->prefix);

	/* (They are of one array.) */
	return r ? r : (x->item > y->item) - (x->item < y->item);
}

/* Of IPv4 the kernel takes all. */
static bool is_assignable(const struct prefix *p)
{
	return !is_v6(p) || !(IN6_IS_ADDR_MULTICAST(&p->v6) || IN6_IS_ADDR_LOOPBACK(&p->v6) || IN6_IS_ADDR_UNSPECIFIED(&p->v6));
}

static void lint_addresses(struct view *v)
{
	const struct conf *conf = v->conf;
	struct assigned *list = calloc(conf->n_addresses + 1, sizeof(*list));
	char quoted[QUOTED_LEN];
	size_t n = 0;

	if (!list) {
		v->f->failed = true;
		return;
	}
	for (size_t i = 0; i < conf->n_addresses; i++) {
		const struct item *item = &conf->addresses[i];

		if (parse_address(item->text, &list[n].prefix) < 0)
			continue;
		if (!is_assignable(&list[n].prefix))
			finding_add(v->f, FIND_ERROR, item->line, "Address: `%s' is no interface's; expected one that is neither multicast, loopback nor ::", conf_quote(item->text, quoted));
		list[n++].item = item;
	}
	qsort(list, n, sizeof(*list), by_assigned);
	for (size_t i = 1; i < n; i++)
		if (compare_assigned(&list[i - 1].prefix, &list[i].prefix) == 0)
			finding_add(v->f, FIND_ERROR, list[i].item->line, "Address: `%s' stands there twice (line %u), and can be assigned once",
				    conf_quote(list[i].item->text, quoted), list[i - 1].item->line);
	free(list);
}

/* ---- DNS ---- */

/* A table that the kernel's own rules use: 0 is another word for main. */
static bool uses_common_table(const struct conf *conf)
{
	static const char *const names[] = { "main", "local", "default", "unspec" };
	const char *text = conf->table == TABLE_NAMED ? conf->table_text.text : "";
	uint64_t number;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(text, names[i]) == 0)
			return true;
	return parse_cnum(text, UINT32_MAX, &number) == 0 && (number == 0 || (number >= 253 && number <= 255));
}

static bool allowed(const struct conf *conf, const struct prefix *address)
{
	for (size_t i = 0; i < conf->wg.n_peers; i++)
		for (size_t j = 0; j < conf->wg.peers[i].n_allowed_ips; j++) {
			struct prefix p = conf->wg.peers[i].allowed_ips[j].prefix;

			prefix_mask(&p);
			if (takes_part(&conf->wg.peers[i].allowed_ips[j]) && prefix_covers(&p, address))
				return true;
		}
	return false;
}

static bool connected(const struct conf *conf, const struct prefix *address)
{
	for (size_t i = 0; i < conf->n_addresses; i++) {
		struct prefix p;

		if (parse_address(conf->addresses[i].text, &p) < 0)
			continue;
		prefix_mask(&p);
		if (prefix_covers(&p, address))
			return true;
	}
	return false;
}

static bool is_loopback(const struct prefix *p)
{
	return is_v6(p) ? IN6_IS_ADDR_LOOPBACK(&p->v6) : p->bytes[0] == 127;
}

static void lint_server(struct view *v, const struct item *item)
{
	char quoted[QUOTED_LEN];
	struct prefix address;

	conf_quote(item->text, quoted);
	if (strchr(item->text, '/') || parse_allowed_ip(item->text, &address) < 0)
		finding_add(v->f, FIND_WARNING, item->line, "DNS: `%s' is no address that resolv.conf knows (no ports, zones or short forms there): it will not be asked",
			    quoted);
	else if (is_loopback(&address))
		finding_add(v->f, FIND_WARNING, item->line,
			    "DNS: %s is the namespace's own loopback, not the host's: nothing answers there, unless a hook starts a resolver", quoted);
	else if (!v->address[is_v6(&address)] && v->address[!is_v6(&address)])
		finding_add(v->f, FIND_WARNING, item->line, "DNS: %s is an %s server, but no Address is %s: it cannot be asked", quoted, family_name(is_v6(&address)),
			    family_name(is_v6(&address)));
	else if (!allowed(v->conf, &address))
		finding_add(v->f, FIND_WARNING, item->line,
			    "DNS: %s is outside all AllowedIPs: no peer takes packets for it, so names will not resolve; add it to a peer's AllowedIPs", quoted);
	else if (v->conf->table != TABLE_AUTO && !uses_common_table(v->conf) && !connected(v->conf, &address))
		finding_add(v->f, FIND_WARNING, item->line, "DNS: with this Table no route of the main table leads to %s; a hook must add one", quoted);
}

static void lint_dns(struct view *v)
{
	const struct conf *conf = v->conf;
	size_t servers = 0, domains = 0;

	for (size_t i = 0; i < conf->n_dns; i++) {
		if (!dns_item_is_server(conf->dns[i].text)) {
			domains++;
			continue;
		}
		lint_server(v, &conf->dns[i]);
		if (++servers == RESOLVER_SERVERS + 1)
			finding_add(v->f, FIND_WARNING, conf->dns[i].line, "DNS: the C library asks the first %d servers only: this one and later ones are not used",
				    RESOLVER_SERVERS);
	}
	if (servers)
		return;
	if (domains)
		finding_add(v->f, FIND_WARNING, conf->dns[0].line, "DNS: search domains, but no server to search them at");
	else if (v->place->create)
		finding_add(v->f, FIND_WARNING, 0,
			    "no DNS: names will not resolve in namespace %s, where the host's servers are out of reach; `DNS = ADDRESS' in [Interface] names one",
			    v->place->netns);
}

/* ---- families ---- */

static void lint_families(struct view *v)
{
	for (int v6 = 0; v6 <= 1; v6++) {
		if (v->allowed[v6] && !v->address[v6] && v->address[!v6])
			finding_add(v->f, FIND_WARNING, v->allowed_line[v6], "AllowedIPs has %s, but no Address is %s: the routes are made, and %s will not work",
				    family_name(v6), family_name(v6), family_name(v6));
		/* For a person who knows wg-quick: there it is a leak. */
		if (v->full[!v6] && !v->full[v6] && v->address[v6])
			finding_add(v->f, FIND_WARNING, 0, "all of %s goes through the tunnel, but of %s only %s: the rest of it has no way out of the namespace",
				    family_name(!v6), family_name(v6), v->allowed[v6] ? "what AllowedIPs lists" : "nothing");
	}
}

static void lint_mtu(struct view *v)
{
	const struct item *item = &v->conf->mtu;
	uint64_t mtu;

	if (item->text && *item->text && parse_cnum(item->text, INT32_MAX, &mtu) == 0 && mtu < MIN_IPV6_MTU && (v->address[1] || v->allowed[1]))
		finding_add(v->f, FIND_WARNING, item->line, "MTU: below %d the kernel takes IPv6 away from the interface, and this file uses it", MIN_IPV6_MTU);
}

/* ---- peers ---- */

struct claim {
	struct prefix prefix;
	size_t peer;
};

static int by_prefix(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int r = prefix_compare(&x->prefix, &y->prefix);

	return r ? r : (x->peer > y->peer) - (x->peer < y->peer);
}

/* The same prefix at two peers belongs to the later one. */
static void lint_claims(struct view *v)
{
	const struct wg_iface *wg = &v->conf->wg;
	struct claim *claims = NULL;
	size_t n = 0;

	for (size_t i = 0; i < wg->n_peers; i++)
		for (size_t j = 0; j < wg->peers[i].n_allowed_ips; j++) {
			struct claim *claim;

			if (!takes_part(&wg->peers[i].allowed_ips[j]))
				continue;
			claim = GROW(claims, n);
			if (!claim) {
				v->f->failed = true;
				goto out;
			}
			claim->prefix = wg->peers[i].allowed_ips[j].prefix;
			prefix_mask(&claim->prefix);
			claim->peer = i;
		}
	if (n)
		qsort(claims, n, sizeof(*claims), by_prefix);
	for (size_t i = 1; i < n; i++) {
		const struct peer *first = &wg->peers[claims[i - 1].peer], *second = &wg->peers[claims[i].peer];
		char text[PREFIX_TEXT_LEN];

		if (claims[i - 1].peer != claims[i].peer && prefix_equal(&claims[i - 1].prefix, &claims[i].prefix) &&
		    !key_equal(&first->public_key, &second->public_key))
			finding_add(v->f, FIND_WARNING, second->line, "AllowedIPs: %s stands at the peer of line %u too; the later one, this, gets it",
				    format_prefix(&claims[i].prefix, text), first->line);
	}
out:
	free(claims);
}

struct keyed {
	const struct key *key;
	unsigned int line;
};

static int by_key(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;
	int r = memcmp(x->key->b, y->key->b, KEY_LEN);

	return r ? r : (x->line > y->line) - (x->line < y->line);
}

static void lint_same_keys(struct view *v)
{
	const struct wg_iface *wg = &v->conf->wg;
	struct keyed *keys = calloc(wg->n_peers + 1, sizeof(*keys));

	if (!keys) {
		v->f->failed = true;
		return;
	}
	for (size_t i = 0; i < wg->n_peers; i++)
		keys[i] = (struct keyed){ &wg->peers[i].public_key, wg->peers[i].line };
	if (wg->n_peers)
		qsort(keys, wg->n_peers, sizeof(*keys), by_key);
	for (size_t i = 1; i < wg->n_peers; i++)
		if (key_equal(keys[i - 1].key, keys[i].key) && !key_is_zero(keys[i].key))
			finding_add(v->f, FIND_WARNING, keys[i].line, "PublicKey is that of the peer of line %u: this section's AllowedIPs replace that one's", keys[i - 1].line);
	free(keys);
}

static void lint_peer(struct view *v, const struct peer *peer)
{
	const struct endpoint *last = peer->n_endpoints ? &peer->endpoints[peer->n_endpoints - 1] : NULL;
	uint64_t port;

	if (!peer->has_allowed_ips)
		finding_add(v->f, FIND_WARNING, peer->line, "peer without AllowedIPs: nothing is sent to it, and nothing taken from it");
	if (peer->n_endpoints > 1)
		finding_add(v->f, FIND_WARNING, last->line, "Endpoint is set %zu times for this peer: the last one counts", peer->n_endpoints);
	if (last && parse_u64(last->port, UINT16_MAX, &port) == 0 && port == 0)
		finding_add(v->f, FIND_WARNING, last->line, "Endpoint: port 0 cannot be sent to");
	if (peer->has_public_key && key_is_zero(&peer->public_key))
		finding_add(v->f, FIND_WARNING, peer->line, "PublicKey is all zeros: no such peer can answer");
}

static bool a_hook_sets_key(const struct conf *conf)
{
	for (size_t i = 0; i < conf->n_hooks; i++)
		if ((conf->hooks[i].kind == HOOK_PRE_UP || conf->hooks[i].kind == HOOK_POST_UP) && strstr(conf->hooks[i].text, "private-key"))
			return true;
	return false;
}

static void lint_peers(struct view *v)
{
	const struct wg_iface *wg = &v->conf->wg;
	size_t endpoints = 0;

	for (size_t i = 0; i < wg->n_peers; i++) {
		lint_peer(v, &wg->peers[i]);
		endpoints += wg->peers[i].n_endpoints > 0;
	}
	lint_claims(v);
	lint_same_keys(v);
	if (!wg->has_private_key && !a_hook_sets_key(v->conf))
		finding_add(v->f, FIND_WARNING, 0, "no PrivateKey, and no hook that sets one: no peer will answer");
	if (wg->n_peers == 0)
		finding_add(v->f, FIND_WARNING, 0, "no [Peer]: there is nobody to talk to");
	else if (endpoints == 0 && wg->has_listen_port)
		finding_add(v->f, FIND_WARNING, 0,
			    "this looks like a server's file (ListenPort, no Endpoint): its peers reach namespace %s and what runs there, not the host and its networks",
			    v->place->netns);
	else if (endpoints == 0)
		finding_add(v->f, FIND_WARNING, 0, "no peer has an Endpoint: the tunnel waits to be called, at a port that changes");
}

/* ---- the rest ---- */

static void lint_interface(struct view *v)
{
	const struct conf *conf = v->conf;
	char quoted[QUOTED_LEN];

	if (conf->n_addresses == 0)
		finding_add(v->f, FIND_WARNING, 0, "no Address: nothing can be sent through the tunnel, unless a hook adds one");
	if (conf->save_config)
		finding_add(v->f, FIND_NOTE, 0, "SaveConfig: `down' writes this file anew, without its comments");
	if (conf->table == TABLE_NAMED && !uses_common_table(conf))
		finding_add(v->f, FIND_NOTE, conf->table_text.line, "Table: the routes go into table %s of namespace %s; without a rule nothing uses them",
			    conf_quote(conf->table_text.text, quoted), v->place->netns);
	if (conf->wg.has_fwmark && conf->wg.fwmark)
		finding_add(v->f, FIND_NOTE, 0, "FwMark: the mark is on packets in the transport namespace; rules of namespace %s never see it", v->place->netns);
}

void lint(const struct conf *conf, const struct lint_place *place, struct findings *f)
{
	struct view v = { .conf = conf, .place = place, .f = f };

	look(&v);
	lint_interface(&v);
	lint_addresses(&v);
	lint_mtu(&v);
	lint_dns(&v);
	lint_families(&v);
	lint_peers(&v);
	lint_hooks(conf, place, f);
}
