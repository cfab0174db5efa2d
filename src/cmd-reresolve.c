/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-reresolve.c - endpoint names asked again: an address that changed is set, and nothing else. */
#include "applied.h"
#include "cmd.h"
#include "log.h"
#include "reload.h"
#include "resolve.h"
#include "tunnel.h"

/* sysexits.h: the next try may do better. A unit can tell it from a failure. */
#define EXIT_TEMPFAIL 75

struct job {
	struct txn *txn;
	int *lock;
	struct live live;
	struct live_changes changes;
};

static int read_here(void *arg)
{
	struct job *job = arg;

	return reload_read(job->txn, &job->live);
}

static int apply_here(void *arg)
{
	struct job *job = arg;

	return tunnel_wg_apply(job->txn, &job->changes.wg);
}

static const struct peer *find_peer(const struct wg_iface *wg, const struct key *key)
{
	for (size_t i = 0; i < wg->n_peers; i++)
		if (key_equal(&wg->peers[i].public_key, key))
			return &wg->peers[i];
	return NULL;
}

/* Peers that are not on the device, or have no name, are not asked about. */
static void prepare(struct conf *outline, const struct live *live)
{
	for (size_t i = 0; i < outline->wg.n_peers; i++) {
		struct peer *peer = &outline->wg.peers[i];
		const struct peer *has = find_peer(&live->wg, &peer->public_key);

		/* wg resolves all of them, and the last counts. */
		for (size_t j = 0; j < peer->n_endpoints; j++)
			peer->endpoints[j].known = !has || j + 1 < peer->n_endpoints || resolve_is_literal(&peer->endpoints[j]);
		if (has)
			peer->endpoint = has->endpoint;
	}
}

/* What changes, as peers with an endpoint and nothing else. */
static int collect(const struct conf *outline, const struct live *live, struct wg_iface *ret_changes)
{
	for (size_t i = 0; i < outline->wg.n_peers; i++) {
		const struct peer *peer = &outline->wg.peers[i];
		const struct peer *has = find_peer(&live->wg, &peer->public_key);
		struct peer *change;

		if (!has || peer->endpoint.sa.sa_family == AF_UNSPEC || endpoint_equal(&has->endpoint, &peer->endpoint))
			continue;
		change = wg_iface_add_peer(ret_changes);
		if (!change)
			return -ENOMEM;
		change->public_key = peer->public_key;
		change->has_public_key = change->update_only = true;
		change->endpoint = peer->endpoint;
	}
	return 0;
}

/*
 * A peer that was removed while names were asked must not come back, without its preshared key and
 * allowed IPs. One that was heard from elsewhere by then, or was set by hand, stays there.
 */
static void drop_changed(const struct live *was, const struct live *now, struct wg_iface *changes)
{
	size_t kept = 0;

	for (size_t i = 0; i < changes->n_peers; i++) {
		const struct key *key = &changes->peers[i].public_key;
		const struct peer *had = find_peer(&was->wg, key), *has = find_peer(&now->wg, key);

		if (had && has && endpoint_equal(&had->endpoint, &has->endpoint))
			changes->peers[kept++] = changes->peers[i];
	}
	changes->n_peers = kept;
}

/* Names took seconds: as it is by now. */
static int read_again(struct job *job)
{
	_cleanup_live_ struct live was = job->live;
	int r;

	job->live = (struct live){ 0 };
	r = ns_call(job->txn->target_fd, read_here, job);
	if (r == 0)
		drop_changed(&was, &job->live, &job->changes.wg);
	return r;
}

static bool has_names_to_ask(const struct conf *outline)
{
	for (size_t i = 0; i < outline->wg.n_peers; i++)
		for (size_t j = 0; j < outline->wg.peers[i].n_endpoints; j++)
			if (!outline->wg.peers[i].endpoints[j].known)
				return true;
	return false;
}

/* Names took seconds, in which nobody was barred: the tunnel must still be the one whose file was read. 0 or an exit status, told. */
static int lock_again(struct job *job)
{
	const struct journal *was = &job->txn->journal;
	_cleanup_journal_ struct journal now = { 0 };
	int r = tunnel_lock(was->iface, NULL, job->lock);

	if (r < 0)
		return r == -EAGAIN ? EXIT_TEMPFAIL : 1;
	r = journal_load(was->iface, was->cookie, &now);
	if (r == -ENOENT) {
		log_error("`%s' is not a WireGuard interface", was->iface);
		return 1;
	}
	if (r < 0 || now.run != was->run || now.ifindex != was->ifindex || now.applied != was->applied) {
		log_note("%s: it was changed while its names were asked; the next try may do better", was->iface);
		return EXIT_TEMPFAIL;
	}
	return 0;
}

static void trace_line(void *arg, const char *text)
{
	(void)arg;
	log_trace("%s", text);
}

static int reresolve(struct job *job, struct conf *outline, const struct place *place)
{
	bool named = strcmp(place->transport, "host") != 0 && strcmp(place->transport, "self") != 0 && !strchr(place->transport, '/');
	unsigned int failed = 0;
	struct resolve_place where = {
		.ns_fd = place->transport_fd >= 0 ? place->transport_fd : place->target_fd,
		.ns_name = named ? place->transport : strcmp(place->transport, "self") == 0 ? place->name : NULL,
		.once = true,
		.keep = true,
		.failed = &failed,
	};
	struct conf_error error = { 0 };
	int r, status;

	r = ns_call(job->txn->target_fd, read_here, job);
	if (r < 0) {
		log_error("%s: Unable to access interface: %s", job->txn->journal.iface, strerror(-r));
		return 1;
	}
	prepare(outline, &job->live);
	if (has_names_to_ask(outline)) {
		*job->lock = close_fd(*job->lock);
		r = resolve_endpoints(&outline->wg, &where, &error);
		status = lock_again(job);
		if (status)
			return status;
	}
	if (r == 0)
		r = collect(outline, &job->live, &job->changes.wg);
	if (r == 0 && job->changes.wg.n_peers)
		r = read_again(job);
	if (r == 0)
		live_changes_print(&job->changes, job->txn->journal.iface, trace_line, NULL);
	if (r == 0 && job->changes.wg.n_peers)
		r = ns_call(job->txn->target_fd, apply_here, job);
	if (r < 0) {
		log_error("%s: cannot set endpoints: %s", job->txn->journal.iface, strerror(-r));
		return 1;
	}
	return failed ? EXIT_TEMPFAIL : 0;
}

int cmd_reresolve(const struct options *options, char **args)
{
	_cleanup_place_ struct place place = { .host_fd = -1, .target_fd = -1, .transport_fd = -1 };
	CLEANUP(conf_free) struct conf outline = { 0 };
	CLEANUP(txn_free) struct txn txn = TXN_INIT;
	_cleanup_fd_ int lock = -1;
	struct job job = { .txn = &txn, .lock = &lock };
	const char *iface = args[0];
	int status, r;

	if (!iface_name_valid(iface)) {
		log_error("`%s' is not an interface's name; expected reresolve INTERFACE", iface);
		return 1;
	}
	r = tunnel_lock(iface, NULL, &lock);
	if (r < 0)
		return r == -EAGAIN ? EXIT_TEMPFAIL : 1;
	r = tunnel_reach_alive(iface, options->netns, &txn);
	if (r == -ENODEV)
		log_error("`%s' is not a WireGuard interface", iface);
	if (r < 0)
		return 1;
	if (place_of_journal(&txn.journal, txn.target_fd, &place) < 0) {
		log_error("%s: cannot open the namespaces it was made with (transport %s)", iface, txn.journal.transport);
		return 1;
	}
	if (applied_load(&txn.journal, &outline) < 0) {
		log_error("%s: its journal does not say what its endpoints are; expected a tunnel that this version brought up", iface);
		return 1;
	}
	strcpy(outline.iface, iface);
	status = reresolve(&job, &outline, &place);
	live_free(&job.live);
	live_changes_free(&job.changes);
	return status;
}
