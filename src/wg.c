/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wg.h"

#include "secret.h"

static int apply(enum wg_backend backend, const char *name, const struct wg_iface *wg)
{
	return backend == WG_KERNEL ? wg_kernel_apply(name, wg) : wg_userspace_apply(name, wg);
}

int wg_read(enum wg_backend backend, const char *name, struct wg_iface *ret_wg)
{
	int r = backend == WG_KERNEL ? wg_kernel_read(name, ret_wg) : wg_userspace_read(name, ret_wg);

	secret_scrub();
	return r;
}

static bool removes(const struct peer *peer)
{
	for (size_t i = 0; i < peer->n_allowed_ips; i++)
		if (peer->allowed_ips[i].op == ALLOWED_MINUS)
			return true;
	return false;
}

static void drop_allowed_ip(struct peer *peer, const struct prefix *prefix)
{
	for (size_t i = 0; i < peer->n_allowed_ips; i++)
		if (prefix_equal(&peer->allowed_ips[i].prefix, prefix)) {
			peer->allowed_ips[i--] = peer->allowed_ips[--peer->n_allowed_ips];
		}
}

/*
 * Neither the library nor kernels before 6.16 can remove one allowed IP. So
 * the list that the peer would have in the end is computed, and sent as one
 * that replaces.
 */
static int resolve_removals(enum wg_backend backend, const char *name, const struct peer *peer, struct peer *ret_peer)
{
	struct peer final = *peer;
	struct wg_iface live = { 0 };
	int r;

	final.allowed_ips = NULL;
	final.n_allowed_ips = 0;
	if (!peer->replace_allowed_ips) {
		r = wg_read(backend, name, &live);
		if (r < 0)
			return r;
		for (size_t i = 0; i < live.n_peers; i++)
			if (key_equal(&live.peers[i].public_key, &peer->public_key)) {
				final.allowed_ips = TAKE_PTR(live.peers[i].allowed_ips);
				final.n_allowed_ips = live.peers[i].n_allowed_ips;
			}
		wg_iface_free(&live);
	}
	for (size_t i = 0; i < peer->n_allowed_ips; i++) {
		struct allowed_ip item = peer->allowed_ips[i], *slot;

		prefix_mask(&item.prefix);
		drop_allowed_ip(&final, &item.prefix);
		if (item.op == ALLOWED_MINUS)
			continue;
		/* Not GROW: the taken list's capacity is not ours to know. */
		slot = reallocarray(final.allowed_ips, final.n_allowed_ips + 1, sizeof(*slot));
		if (!slot) {
			free(final.allowed_ips);
			return -ENOMEM;
		}
		final.allowed_ips = slot;
		item.op = ALLOWED_ADD;
		final.allowed_ips[final.n_allowed_ips++] = item;
	}
	final.replace_allowed_ips = true;
	*ret_peer = final;
	return 0;
}

int wg_apply(enum wg_backend backend, const char *name, const struct wg_iface *wg)
{
	struct wg_iface part = *wg;
	size_t done = 0;
	int r;

	for (size_t i = 0; i < wg->n_peers; i++) {
		struct wg_iface alone = { 0 };
		struct peer final;

		if (!removes(&wg->peers[i]))
			continue;
		/* What stands before it goes first: it may be the same peer. */
		part.peers = wg->peers + done;
		part.n_peers = i - done;
		r = apply(backend, name, &part);
		if (r < 0)
			return r;
		part = (struct wg_iface){ 0 };
		r = resolve_removals(backend, name, &wg->peers[i], &final);
		if (r < 0)
			return r;
		alone.peers = &final;
		alone.n_peers = 1;
		r = apply(backend, name, &alone);
		free(final.allowed_ips);
		explicit_bzero(&final, sizeof(final));
		if (r < 0)
			return r;
		done = i + 1;
	}
	part.peers = wg->peers + done;
	part.n_peers = wg->n_peers - done;
	r = apply(backend, name, &part);
	explicit_bzero(&part, sizeof(part));
	secret_scrub();
	return r;
}
