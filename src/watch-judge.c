/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watch-judge.c - policy.c's answer for one change, and a second look where it depends
 * on more than the change itself: which way the host sends now, where a new link's other end
 * is, whether anything that matters led over a link.
 */
#include <sys/socket.h>

#include "watch-state.h"

#define MAX_LOOKUPS 64

/* ---- links ---- */

static void note_way(void *arg, const struct fib_object *o, uint32_t ifindex)
{
	struct watch *w = arg;

	if (policy_is_way(&w->policy, o))
		watch_keep(w, &w->ways, ifindex, 1);
}

/* Did anything that matters lead over this link? */
static bool is_way(struct watch *w, uint32_t ifindex)
{
	if (!w->ways_known)
		fib_snapshot_ways(w->before, note_way, w);
	w->ways_known = true;
	return key_map_get(&w->ways, ifindex);
}

/* K6 and K7 are about links by which this host is reached: not a spare one, nor a tunnel that leads to others. */
static bool may_go(struct watch *w, const struct fib_object *o)
{
	if ((o->kind != FIB_LINK && o->kind != FIB_ADDRESS) || is_way(w, o->ifindex))
		return false;
	return policy_is_virtual(w->before, o) || (o->kind == FIB_LINK && !fib_snapshot_has_address(w->before, o->ifindex));
}

/* ---- K4: does the host still go the same way to those it must reach? ---- */

static uint64_t look_up(struct watch *w, const struct fib_flow *flow)
{
	uint64_t hash = 0;

	/* A family that is not there has no way, now and later. */
	(void)fib_lookup(w->fib, flow, &hash);
	return hash;
}

static int add_way(struct watch *w, const struct fib_flow *flow)
{
	struct way *way = GROW(w->lookups, w->n_lookups);

	if (!way)
		return -ENOMEM;
	*way = (struct way){ *flow, look_up(w, flow) };
	return 0;
}

/* Out of one of the host's own addresses: a server's answers go by it. Not of a tunnel's, which may end. */
static int add_source(void *arg, const struct fib_object *o, const void *address)
{
	struct watch *w = arg;
	size_t len = o->family == AF_INET6 ? 16 : 4;
	struct fib_flow flow = { .family = o->family, .has_from = true };

	if (w->n_lookups >= MAX_LOOKUPS || may_go(w, o))
		return 0;
	memcpy(flow.to, o->family == AF_INET6 ? (const void *)policy_world6 : policy_world4, len);
	memcpy(flow.from, address, len);
	return add_way(w, &flow);
}

int watch_remember_ways(struct watch *w)
{
	const struct session *session = w->policy.session;
	int r = 0;

	if (!w->policy.command)
		return 0;
	for (size_t i = 0; i < w->policy.n_watched && r == 0; i++) {
		struct fib_flow flow = { .family = w->policy.watched[i].family };

		memcpy(flow.to, w->policy.watched[i].bytes, sizeof(flow.to));
		r = add_way(w, &flow);
	}
	if (r == 0 && session) {
		struct fib_flow flow = { .family = session->client.family, .has_from = true, .tcp = true, .sport = session->server_port, .dport = session->client_port };

		memcpy(flow.to, session->client.bytes, sizeof(flow.to));
		memcpy(flow.from, session->server.bytes, sizeof(flow.from));
		r = add_way(w, &flow);
	}
	return r == 0 ? fib_snapshot_addresses(w->before, add_source, w) : r;
}

/* Can this have changed a way? */
static bool decides(const struct watch *w, const struct fib_object *o)
{
	return o->kind != FIB_ROUTE || policy_is_way(&w->policy, o);
}

void watch_renew_ways(struct watch *w, const struct fib_object *o)
{
	if (w->tripped || !decides(w, o))
		return;
	for (size_t i = 0; i < w->n_lookups; i++)
		w->lookups[i].hash = look_up(w, &w->lookups[i].flow);
}

static bool ways_changed(struct watch *w, const struct fib_object *o)
{
	if (!decides(w, o))
		return false;
	for (size_t i = 0; i < w->n_lookups; i++)
		if (look_up(w, &w->lookups[i].flow) != w->lookups[i].hash)
			return true;
	return false;
}

enum verdict watch_judge(struct watch *w, const struct fib_object *o, enum who who, const char **ret_why)
{
	enum verdict verdict = policy_judge(&w->policy, w->before, o, who, ret_why);

	if (verdict == VERDICT_CONCERN && w->policy.command && w->policy.level != GUARD_STRICT && may_go(w, o))
		verdict = VERDICT_BENIGN;
	if (verdict == VERDICT_BENIGN && w->policy.command && who != WHO_FOREIGN && ways_changed(w, o)) {
		*ret_why = "it decides how this host reaches a name server, the SSH client or the rest of the world";
		return VERDICT_CONCERN;
	}
	if (verdict == VERDICT_BENIGN && watch_leads_to_ours(w, o)) {
		*ret_why = "a link into the namespace of this run";
		return VERDICT_CONCERN;
	}
	/* Containers end while we run. A link that is gone could not be put back anyway. */
	if (verdict == VERDICT_CONCERN && !w->policy.command && w->policy.level != GUARD_STRICT && who != WHO_OURS && policy_is_guest(w->before, o) && !is_way(w, o->ifindex))
		return policy_judge_guest(&w->policy, o, !fib_has_link(w->fib, o->ifindex), ret_why);
	return verdict;
}
