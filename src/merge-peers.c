/* SPDX-License-Identifier: GPL-2.0-or-later */
/* merge-peers.c - the device's own part of a merge: key, port, mark, peers, and whose an allowed IP is. */
#include "merge-peers.h"

/* ---- each side by key ---- */

static int compare_keys(const struct key *a, const struct key *b)
{
	return memcmp(a->b, b->b, KEY_LEN);
}

/* All that the sections of one peer say together: of what is said twice the last counts. Keys stay where they are. */
struct view {
	const struct key *key;
	size_t first, last; /* its sections: indices of peers of the file */
	size_t valid_from;  /* allowed IPs of sections before it were replaced */
	bool has_keepalive;
	const struct key *preshared_key; /* NULL: none */
	uint16_t keepalive;
	const char *endpoint_text;
	union endpoint_addr endpoint;
};

/* An allowed IP belongs to one peer: whoever took it last. */
struct owned {
	struct prefix prefix;
	const struct key *owner; /* NULL: it was taken away */
	size_t order;
	enum allowed_op op;
};

struct side {
	struct view *views; /* by key */
	size_t n_views;
	struct owned *owned; /* by prefix */
	size_t n_owned;
};

static void side_free(struct side *s)
{
	free(s->views);
	free(s->owned);
}
#define _cleanup_side_ CLEANUP(side_free)

static int by_key(const void *a, const void *b)
{
	const struct view *x = a, *y = b;
	int r = compare_keys(x->key, y->key);

	return r ? r : (x->first > y->first) - (x->first < y->first);
}

static const struct view *find_view(const struct side *s, const struct key *key)
{
	size_t low = 0, high = s->n_views;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_keys(s->views[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->n_views && key_equal(s->views[low].key, key) ? &s->views[low] : NULL;
}

static void view_section(const struct wg_iface *wg, size_t i, struct view *view)
{
	const struct peer *peer = &wg->peers[i];

	*view = (struct view){
		.key = &peer->public_key,
		.first = i,
		.last = i,
		.valid_from = peer->replace_allowed_ips ? i : 0,
		.preshared_key = peer->has_preshared_key ? &peer->preshared_key : NULL,
		.has_keepalive = peer->has_keepalive,
		.keepalive = peer->keepalive,
		.endpoint_text = peer->n_endpoints ? peer->endpoints[peer->n_endpoints - 1].text : NULL,
		.endpoint = peer->endpoint,
	};
}

static void add_section(struct view *to, const struct view *section)
{
	to->last = section->last;
	if (section->valid_from)
		to->valid_from = section->valid_from;
	if (section->preshared_key)
		to->preshared_key = section->preshared_key;
	if (section->has_keepalive) {
		to->has_keepalive = true;
		to->keepalive = section->keepalive;
	}
	if (section->endpoint_text) {
		to->endpoint_text = section->endpoint_text;
		to->endpoint = section->endpoint;
	}
}

static int by_prefix(const void *a, const void *b)
{
	const struct owned *x = a, *y = b;
	int r = prefix_compare(&x->prefix, &y->prefix);

	return r ? r : (x->order > y->order) - (x->order < y->order);
}

static int collect_owned(const struct wg_iface *wg, struct side *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < wg->n_peers; i++) {
		const struct peer *peer = &wg->peers[i];

		if (i < find_view(s, &peer->public_key)->valid_from)
			continue;
		for (size_t j = 0; j < peer->n_allowed_ips; j++) {
			struct owned *slot = GROW(s->owned, s->n_owned);

			if (!slot)
				return -ENOMEM;
			*slot = (struct owned){ peer->allowed_ips[j].prefix, &peer->public_key, s->n_owned, peer->allowed_ips[j].op };
			prefix_mask(&slot->prefix);
		}
	}
	if (s->n_owned)
		qsort(s->owned, s->n_owned, sizeof(*s->owned), by_prefix);
	for (size_t i = 0; i < s->n_owned; i++) {
		struct owned item = s->owned[i];

		if (kept == 0 || prefix_compare(&s->owned[kept - 1].prefix, &item.prefix) != 0)
			s->owned[kept++] = (struct owned){ .prefix = item.prefix };
		if (item.op != ALLOWED_MINUS)
			s->owned[kept - 1].owner = item.owner;
		else if (s->owned[kept - 1].owner && key_equal(s->owned[kept - 1].owner, item.owner))
			s->owned[kept - 1].owner = NULL;
	}
	s->n_owned = kept;
	return 0;
}

/* `ret_side` is to be freed also after a failure. */
static int take_side(const struct wg_iface *wg, struct side *ret_side)
{
	size_t kept = 0;

	ret_side->views = calloc(wg->n_peers + 1, sizeof(*ret_side->views));
	if (!ret_side->views)
		return -ENOMEM;
	for (size_t i = 0; i < wg->n_peers; i++)
		view_section(wg, i, &ret_side->views[i]);
	qsort(ret_side->views, wg->n_peers, sizeof(*ret_side->views), by_key);
	for (size_t i = 0; i < wg->n_peers; i++) {
		if (kept && key_equal(ret_side->views[kept - 1].key, ret_side->views[i].key))
			add_section(&ret_side->views[kept - 1], &ret_side->views[i]);
		else
			ret_side->views[kept++] = ret_side->views[i];
	}
	ret_side->n_views = kept;
	return collect_owned(wg, ret_side);
}

/* ---- three ways ---- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static int want_peer(const struct view *old, const struct view *file, const struct view *live, struct wg_iface *wanted)
{
	struct peer *peer = wg_iface_add_peer(wanted);

	if (!peer)
		return -ENOMEM;
	peer->public_key = *(file ? file->key : live->key);
	peer->has_public_key = true;
	if (live) {
		if (live->preshared_key)
			peer->preshared_key = *live->preshared_key;
		peer->keepalive = live->keepalive;
		peer->endpoint = live->endpoint;
		peer->keeps_endpoint = true;
	}
	if (file && file->preshared_key)
		peer->preshared_key = *file->preshared_key;
	else if (file && old && old->preshared_key)
		peer->preshared_key = (struct key){ 0 };
	if (file && file->has_keepalive && !(live && old && old->has_keepalive && old->keepalive == file->keepalive))
		peer->keepalive = file->keepalive;
	else if (file && !file->has_keepalive && old && old->has_keepalive)
		peer->keepalive = 0;
	if (file && file->endpoint.sa.sa_family != AF_UNSPEC && !(live && old && same_text(old->endpoint_text, file->endpoint_text))) {
		peer->endpoint = file->endpoint;
		peer->keeps_endpoint = false;
	}
	peer->has_preshared_key = !key_is_zero(&peer->preshared_key);
	peer->has_keepalive = peer->keepalive != 0;
	return 0;
}

static int want_peers(const struct side *old, const struct side *file, const struct side *live, struct wg_iface *wanted)
{
	for (size_t i = 0; i < live->n_views; i++) {
		const struct key *key = live->views[i].key;
		const struct view *now = find_view(file, key), *before = find_view(old, key);

		if (before && !now)
			continue;
		if (want_peer(before, now, &live->views[i], wanted) < 0)
			return -ENOMEM;
	}
	for (size_t i = 0; i < file->n_views; i++) {
		const struct key *key = file->views[i].key;

		if (!find_view(live, key) && want_peer(find_view(old, key), &file->views[i], NULL, wanted) < 0)
			return -ENOMEM;
	}
	return 0;
}

struct walk {
	const struct side *side;
	size_t at;
};

/* The owner of this prefix on that side, which is walked along; NULL: nobody. */
static const struct key *owner(struct walk *w, const struct prefix *prefix)
{
	if (w->at >= w->side->n_owned || prefix_compare(&w->side->owned[w->at].prefix, prefix) != 0)
		return NULL;
	return w->side->owned[w->at++].owner;
}

static const struct prefix *least(const struct walk *walks, size_t n)
{
	const struct prefix *found = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct prefix *p = walks[i].at < walks[i].side->n_owned ? &walks[i].side->owned[walks[i].at].prefix : NULL;

		if (p && (!found || prefix_compare(p, found) < 0))
			found = p;
	}
	return found;
}

static bool same_owner(const struct key *a, const struct key *b)
{
	return a && b ? key_equal(a, b) : a == b;
}

static int by_public_key(const void *a, const void *b)
{
	const struct peer *x = *(const struct peer *const *)a, *y = *(const struct peer *const *)b;

	return compare_keys(&x->public_key, &y->public_key);
}

/* Not the peers themselves: qsort(3) may leave copies of them, with their keys, in memory that it frees. */
static struct peer **sort_peers(const struct wg_iface *wg)
{
	struct peer **sorted = calloc(wg->n_peers, sizeof(struct peer *));

	for (size_t i = 0; sorted && i < wg->n_peers; i++)
		sorted[i] = &wg->peers[i];
	if (sorted)
		qsort(sorted, wg->n_peers, sizeof(*sorted), by_public_key);
	return sorted;
}

static int want_allowed_ips(const struct side *old, const struct side *file, const struct side *live, struct wg_iface *wanted)
{
	struct walk walks[] = { { old, 0 }, { file, 0 }, { live, 0 } };
	_cleanup_free_ struct peer **sorted = NULL;
	const struct prefix *next;

	/* Nobody to own them. */
	if (!wanted->n_peers)
		return 0;
	sorted = sort_peers(wanted);
	if (!sorted)
		return -ENOMEM;
	while ((next = least(walks, ARRAY_SIZE(walks)))) {
		struct prefix prefix = *next;
		const struct key *before = owner(&walks[0], &prefix), *now = owner(&walks[1], &prefix), *has = owner(&walks[2], &prefix), *gets = has;
		struct allowed_ip *slot;
		struct peer like, **peer;

		/* A peer that somebody removed behind our back comes back with all that it had. */
		if (now && (!same_owner(before, now) || !find_view(live, now)))
			gets = now;
		else if (!now && before && same_owner(before, has))
			gets = NULL;
		if (!gets)
			continue;
		like.public_key = *gets;
		peer = bsearch(&(const struct peer *){ &like }, sorted, wanted->n_peers, sizeof(*peer), by_public_key);
		if (!peer)
			continue;
		slot = GROW((*peer)->allowed_ips, (*peer)->n_allowed_ips);
		if (!slot)
			return -ENOMEM;
		slot->prefix = prefix;
	}
	return 0;
}

int merge_want_wg(const struct merge *m, struct wg_iface *wanted)
{
	const struct wg_iface *old = &m->outline->wg, *file = &m->conf->wg, *live = &m->live->wg;
	_cleanup_side_ struct side old_side = { 0 };
	_cleanup_side_ struct side file_side = { 0 };
	_cleanup_side_ struct side live_side = { 0 };
	int r;

	wanted->has_private_key = file->has_private_key || live->has_private_key;
	wanted->private_key = file->has_private_key ? file->private_key : live->private_key;
	/* Port and mark stay, unless the file has another number: 0 is any port. */
	wanted->has_listen_port = wanted->has_fwmark = true;
	wanted->listen_port = live->listen_port;
	if (file->has_listen_port && file->listen_port && !(old->has_listen_port && old->listen_port == file->listen_port))
		wanted->listen_port = file->listen_port;
	wanted->fwmark = live->fwmark;
	if (file->has_fwmark && !(old->has_fwmark && old->fwmark == file->fwmark))
		wanted->fwmark = file->fwmark;

	r = take_side(old, &old_side);
	if (r == 0)
		r = take_side(file, &file_side);
	if (r == 0)
		r = take_side(live, &live_side);
	if (r == 0)
		r = want_peers(&old_side, &file_side, &live_side, wanted);
	return r < 0 ? r : want_allowed_ips(&old_side, &file_side, &live_side, wanted);
}

int merge_know_endpoints(const struct conf *outline, const struct live *live, struct conf *conf)
{
	_cleanup_side_ struct side before = { 0 };
	_cleanup_side_ struct side has = { 0 };
	int r;

	r = take_side(&outline->wg, &before);
	if (r == 0)
		r = take_side(&live->wg, &has);
	for (size_t i = 0; r == 0 && i < conf->wg.n_peers; i++) {
		struct peer *peer = &conf->wg.peers[i];
		const struct view *old = find_view(&before, &peer->public_key);
		bool same = old && peer->n_endpoints && same_text(old->endpoint_text, peer->endpoints[peer->n_endpoints - 1].text);

		for (size_t j = 0; j < peer->n_endpoints; j++)
			peer->endpoints[j].known = peer->endpoints[j].resolved || (same && find_view(&has, &peer->public_key));
	}
	return r;
}
