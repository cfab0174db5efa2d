/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>

#include "journal.h"
#include "log.h"
#include "ns.h"
#include "watch-state.h"

/* Not while another run's userspace TUN is on its way through the host. */
int watch_take_snapshot(struct watch *w, struct fib_snapshot **ret_snapshot)
{
	_cleanup_fd_ int lock = -1;

	(void)journal_lock_tun(&lock);
	return fib_snapshot_take(w->fib, ret_snapshot);
}

static int open_sockets(void *arg)
{
	struct watch *w = arg;
	int r = fib_events_open(&w->events);

	if (r == 0)
		r = fib_open(&w->fib);
	if (r == 0 && w->policy.level == GUARD_STRICT)
		r = marks_open(&w->marks);
	return r;
}

static int open_who(struct watch *w, const struct strv *foreign)
{
	struct strv standard = { 0 };
	int r = 0;

	for (size_t i = 0; !foreign && policy_foreign_daemons[i] && r == 0; i++)
		r = strv_add(&standard, policy_foreign_daemons[i], strlen(policy_foreign_daemons[i]));
	if (r == 0)
		r = who_open(getpid(), foreign ? foreign : &standard, &w->who);
	strv_free(&standard);
	return r;
}

#define SNAPSHOTS 4 /* for one during which nothing changes */

/* Before anything of ours runs: whoever it was, it was not us. */
static void on_early_event(void *arg, const struct nlmsghdr *event)
{
	struct watch *w = arg;
	struct fib_object o;

	int r = fib_event_object(w->fib, w->before, event, &o);

	w->dirty |= r != 0;
	if (r > 0)
		watch_keep(w, &w->opinions, fib_object_key(&o), OPINION_TOLERATED);
}

/* Events from before the snapshot must not be taken for changes since: it is taken again, or they are known at least. */
static int open_snapshot(struct watch *w)
{
	int r;

	for (int tries = 0; tries < SNAPSHOTS; tries++) {
		fib_snapshot_free(w->before);
		w->before = NULL;
		key_map_clear(&w->opinions);
		w->dirty = false;
		r = watch_take_snapshot(w, &w->before);
		if (r == 0)
			r = fib_snapshot_index(w->before);
		if (r < 0)
			return r;
		if (fib_events_read(w->events, on_early_event, w) == 0 && !w->dirty)
			break;
	}
	w->dirty = false;
	return 0;
}

/* On the old sockets there may be half an answer to somebody else's question. */
int watch_take_over(struct watch *w)
{
	struct fib *fib = w->fib;
	struct fib_events *events = w->events;
	struct marks *marks = w->marks;
	int r;

	w->fib = NULL;
	w->events = NULL;
	w->marks = NULL;
	r = ns_call(w->host_fd, open_sockets, w);
	fib_close(fib);
	fib_events_close(events);
	if (r == 0)
		fib_while_waiting(w->fib, watch_while_waiting, w);
	marks_close(w->marks);
	w->marks = marks;
	return r;
}

/* All but the snapshot. */
static int begin(const struct watch_spec *spec, struct watch **ret_watch)
{
	struct watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->policy = *spec->policy;
	w->policy.alone = !spec->others_run;
	w->others_run = spec->others_run;
	w->host_fd = fcntl(spec->host_fd, F_DUPFD_CLOEXEC, 3);
	w->action = spec->action;
	w->leave = spec->leave ? spec->leave : "level is warn: left as it is";
	w->on_undone = spec->on_undone;
	w->on_wait = spec->on_wait;
	w->arg = spec->arg;
	/* Events first: what happens between is heard. */
	r = w->host_fd < 0 ? -errno : ns_call(spec->host_fd, open_sockets, w);
	if (r == 0)
		fib_while_waiting(w->fib, watch_while_waiting, w);
	if (r == 0)
		r = open_who(w, spec->foreign);
	if (r < 0) {
		watch_free(w);
		return r;
	}
	*ret_watch = w;
	return 0;
}

int watch_open(const struct watch_spec *spec, struct watch **ret_watch)
{
	struct watch *w;
	int r = begin(spec, &w);

	if (r < 0)
		return r;
	r = open_snapshot(w);
	if (r == 0)
		r = watch_remember_ways(w);
	/* Not the guard's first concern: what cannot be read is not watched. */
	if (r == 0)
		(void)watch_file_open(watch_host_resolv_conf(), spec->others_run, &w->resolv_conf);
	/* Whose a new link is counts beside hooks only. */
	if (w->resolv_conf && spec->others_run && !w->policy.command)
		watch_file_hear_starts(w->resolv_conf);
	if (r == 0 && spec->others_run)
		watch_remember_ipv6(w);
	if (r < 0) {
		watch_free(w);
		return r;
	}
	if (!fib_events_roomy(w->events))
		log_note("guard: in this user namespace notices are lost when very many come at once: then the comparison at the end decides");
	if (spec->others_run && watch_file_descriptor(w) < 0)
		log_note("guard: it cannot be seen who writes " RESOLV_CONF " (that takes CAP_SYS_ADMIN in the first user namespace): changes are told, but left");
	*ret_watch = w;
	return 0;
}

void watch_save(const struct watch *w, struct buf *out)
{
	fib_snapshot_save(w->before, out);
}

int watch_resume(const struct watch_spec *spec, const void *saved, size_t len, struct watch **ret_watch)
{
	struct watch *w;
	int r = begin(spec, &w);

	if (r < 0)
		return r;
	r = fib_snapshot_load(saved, len, &w->before);
	if (r == 0)
		r = fib_snapshot_index(w->before);
	if (r < 0) {
		watch_free(w);
		return r;
	}
	*ret_watch = w;
	return 0;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	who_close(w->who);
	marks_close(w->marks);
	watch_file_close(w->resolv_conf);
	fib_events_close(w->events);
	fib_close(w->fib);
	fib_snapshot_free(w->before);
	key_map_clear(&w->opinions);
	key_map_clear(&w->touched);
	key_map_clear(&w->ways);
	key_map_clear(&w->told);
	close_fd(w->host_fd);
	free(w->lookups);
	strv_free(&w->messages);
	strv_free(&w->left);
	free(w);
}
