/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watch.c - the order of things, for one event:
 *
 *	beside the snapshot (fib-event.c): is anything different at all?
 *	who asked (who.c), what it means (policy.c)
 *	undone (fib-undo.c), then remembered for the message
 *
 * and when no event waits any more: what one event could not undo is put back by dump
 * and comparison (fib-restore.c), and the messages are printed: a terminal that does
 * not read must not hold up the hand. What is tolerated is remembered by its key, so that
 * the closing comparison knows it again.
 */
#include "watch-state.h"

#include <linux/rtnetlink.h>
#include <sys/resource.h>

#include "journal.h"
#include "log.h"
#include "ns.h"

#define MAX_RESTORES 3	/* in RESTORE_MS: then somebody keeps writing */
#define RESTORE_MS 2000

void watch_keep(struct watch *w, struct key_set *s, uint64_t key)
{
	if (key_set_add(s, key) < 0)
		w->dirty = true;
}

/* The tunnel itself on the host, or a way into its namespace. */
static bool delete_landed(struct watch *w, const struct fib_object *o)
{
	return (policy_is_landing(&w->policy, o) || watch_leads_to_ours(w, o)) && fib_delete_link(w->fib, o->ifindex) == 0;
}

static void undo(struct watch *w, const struct nlmsghdr *event, const struct fib_object *o, const char *why)
{
	struct requester by = { .who = WHO_UNKNOWN };
	const char *end = "put back";
	int r = w->hearing ? 2 : fib_undo(w->fib, w->before, event);

	if (w->on_undone)
		w->on_undone();
	if (!w->hearing)
		(void)fib_drop_unresolved(w->fib, event);
	if (r == 2 && !w->hearing && delete_landed(w, o))
		end = "deleted";
	else if (r != 1)
		w->dirty = true;
	if (r != 1 && w->dirty)
		end = "";
	w->tripped = true;
	/* What the kernel did meanwhile may have been its consequence. */
	key_set_clear(&w->kept[KEPT_KERNEL]);
	(void)who_asked(w->who, event->nlmsg_pid, &by);
	if (by.who == WHO_OURS)
		watch_keep(w, &w->kept[KEPT_OURS], fib_object_key(o));
	watch_tell_object(w, o, &by, why, end);
}

static void on_event(void *arg, const struct nlmsghdr *event)
{
	struct watch *w = arg;
	const char *why;
	struct fib_object o;
	enum who who;
	int r;

	/* The TUN on its way has left; should it come back, it has landed. */
	if (event->nlmsg_type == RTM_DELLINK && w->policy.transit_ifindex && fib_event_ifindex(event) == w->policy.transit_ifindex)
		w->policy.transit_ifindex = 0;
	/* Our own hand. */
	if (event->nlmsg_pid && event->nlmsg_pid == fib_port(w->fib))
		return;
	r = fib_event_object(w->fib, w->before, event, &o);
	if (r < 0)
		w->dirty = true;
	if (r <= 0)
		return;
	if (w->policy.transit && o.kind == FIB_LINK && o.change == FIB_ADDED && policy_is_transit(&w->policy, &o)) {
		w->policy.transit_ifindex = o.ifindex;
		w->policy.transit = false;
	}
	who = who_asked(w->who, event->nlmsg_pid, NULL);
	switch (watch_judge(w, &o, who, &why)) {
	case VERDICT_NOISE:
		break;
	case VERDICT_FOREIGN:
		if (o.kind == FIB_ADDRESS || o.kind == FIB_LINK || o.kind == FIB_NEXTHOP)
			watch_keep(w, &w->touched, o.ifindex);
		watch_keep(w, &w->kept[who == WHO_KERNEL ? KEPT_KERNEL : KEPT_FOREIGN], fib_object_key(&o));
		break;
	case VERDICT_BENIGN:
		/*
		 * A new link is judged again at the end: its first notice does not say where its other end is.
		 * And so is all that a command did: harm that came after it takes it back as well.
		 */
		if (!w->policy.command && (o.kind != FIB_LINK || o.change != FIB_ADDED))
			watch_keep(w, &w->kept[KEPT_FOREIGN], fib_object_key(&o));
		break;
	case VERDICT_CONCERN:
		if (w->policy.level == GUARD_WARN) {
			struct requester by;

			(void)who_asked(w->who, event->nlmsg_pid, &by);
			watch_tell_object(w, &o, &by, why, "level is warn: left as it is");
			watch_keep(w, &w->kept[KEPT_FOREIGN], fib_object_key(&o));
		} else {
			undo(w, event, &o, why);
		}
		break;
	}
}

static bool is_remembered(const struct watch *w, uint64_t key)
{
	return key_set_has(&w->kept[KEPT_OURS], key) || key_set_has(&w->kept[KEPT_FOREIGN], key) || key_set_has(&w->kept[KEPT_KERNEL], key);
}

/* What happened while the dump was made is in it, and its events wait. */
static void hear(struct watch *w)
{
	w->hearing = true;
	if (fib_events_read(w->events, on_event, w) < 0)
		w->dirty = true;
	w->hearing = false;
}

/* For a difference that no event explains, or one that was not heard yet. */
static bool is_concern(void *arg, const struct fib_object *o)
{
	struct watch *w = arg;
	uint64_t key = fib_object_key(o);
	const char *why;

	if (w->policy.level == GUARD_STRICT)
		return policy_judge(&w->policy, w->before, o, WHO_UNKNOWN, &why) == VERDICT_CONCERN;
	if (!is_remembered(w, key))
		hear(w);
	if (key_set_has(&w->kept[KEPT_OURS], key))
		return true;
	if (key_set_has(&w->kept[KEPT_FOREIGN], key) || key_set_has(&w->kept[KEPT_KERNEL], key))
		return false;
	/* Routes that went with an address that a daemon changed. */
	if (o->kind == FIB_ROUTE && o->ifindex && key_set_has(&w->touched, o->ifindex))
		return false;
	/* Around a command that did harm, all that is not known to be a daemon's goes back. */
	if (w->policy.command && w->tripped)
		return o->kind != FIB_LINK || o->change != FIB_ADDED;
	return watch_judge(w, o, o->kernel_managed && !w->tripped ? WHO_KERNEL : WHO_UNKNOWN, &why) == VERDICT_CONCERN;
}

static void report_left(void *arg, const char *text)
{
	watch_tell_left(arg, text);
}

static int tell_unknown(void *arg, const struct fib_object *o)
{
	struct watch *w = arg;
	const char *why;

	if (!is_concern(w, o))
		return 0;
	(void)watch_judge(w, o, WHO_UNKNOWN, &why);
	watch_tell_object(w, o, NULL, why, w->policy.level == GUARD_WARN ? "level is warn: left as it is" : delete_landed(w, o) ? "deleted" : "");
	if (w->policy.level == GUARD_WARN)
		watch_keep(w, &w->kept[KEPT_FOREIGN], fib_object_key(o));
	else
		w->tripped = true;
	return 0;
}

/* ---- dumps ---- */

/* Not while another run's userspace TUN is on its way through the host. */
static int take_snapshot(struct watch *w, struct fib_snapshot **ret_snapshot)
{
	_cleanup_fd_ int lock = -1;

	(void)journal_lock_tun(&lock);
	return fib_snapshot_take(w->fib, ret_snapshot);
}

static void go_blind(struct watch *w, const char *what, int r)
{
	if (!w->blind)
		watch_tell_blind(w, what, r);
	w->blind = true;
}

/* Dump, compare, put back. */
static void put_back(struct watch *w)
{
	int64_t now = fib_now();
	int r;

	if (now - w->restored_at > RESTORE_MS) {
		w->restored_at = now;
		w->restores = 0;
	}
	if (w->restores++ >= MAX_RESTORES) {
		if (w->restores == MAX_RESTORES + 1)
			watch_tell(w, "guard: somebody keeps changing what is put back: given up until the end");
		return;
	}
	r = fib_restore(w->fib, w->before, is_concern, report_left, w);
	if (r < 0)
		go_blind(w, "cannot read the host's routing", r);
	w->damaged = r == 1;
}

static void check_resolv_conf(struct watch *w)
{
	_cleanup_buf_ struct buf line = { 0 };
	struct requester by = { .who = WHO_UNKNOWN };
	enum watch_file_state state;

	if (!w->resolv_conf)
		return;
	watch_file_read(w->resolv_conf, w->who);
	state = watch_file_check(w->resolv_conf, w->policy.level != GUARD_WARN, &by);
	if (state == FILE_SAME || (state == FILE_FOREIGN && w->resolv_conf_told))
		return;
	w->resolv_conf_told = true;
	buf_fmt(&line, "guard: " RESOLV_CONF " changed during `%s'", w->action);
	if (by.pid)
		buf_fmt(&line, " by process %d%s%s%s", by.pid, *by.command ? " (" : "", by.command, *by.command ? ")" : "");
	buf_fmt(&line, "; %s", state == FILE_FOREIGN ? "not by this run as far as can be seen: left as it is"
			     : state == FILE_DAMAGED  ? "it could not be put back"
			     : w->policy.level == GUARD_WARN ? "level is warn: left as it is"
							     : "put back");
	if (!line.failed)
		watch_tell(w, line.data);
	if (state == FILE_FOREIGN || w->policy.level == GUARD_WARN)
		return;
	w->tripped = true;
	w->file_damaged = state == FILE_DAMAGED;
}

int watch_file_descriptor(const struct watch *w)
{
	return w->resolv_conf ? watch_file_fd(w->resolv_conf) : -1;
}

bool watch_read_file(struct watch *w)
{
	bool before = w->tripped;

	check_resolv_conf(w);
	watch_flush_messages(w);
	return w->tripped && !before;
}

bool watch_read(struct watch *w)
{
	bool before = w->tripped;
	int r = fib_events_read(w->events, on_event, w);

	if (r == -ENOBUFS)
		w->dirty = true;
	else if (r < 0)
		go_blind(w, "cannot hear of changes any more", r);
	if (w->dirty && w->policy.level != GUARD_WARN) {
		_cleanup_fib_snapshot_ struct fib_snapshot *now = NULL;

		w->dirty = false;
		/* Lost events: what did happen is in the comparison alone. */
		if (r == -ENOBUFS && fib_snapshot_take(w->fib, &now) == 0)
			(void)fib_diff_objects(w->before, now, tell_unknown, w);
		if (w->tripped)
			put_back(w);
	}
	watch_flush_messages(w);
	return w->tripped && !before;
}

void watch_hurry(bool on)
{
	static int before;

	if (on)
		before = getpriority(PRIO_PROCESS, 0);
	(void)setpriority(PRIO_PROCESS, 0, on ? -20 : before);
}

void watch_expect_transit(struct watch *w)
{
	w->policy.transit = true;
}

static int verdict(const struct watch *w)
{
	if (w->blind)
		return EXIT_GUARD_BLIND;
	if (w->damaged || w->file_damaged || w->marked)
		return EXIT_GUARD_DAMAGED;
	return w->tripped ? EXIT_GUARD_RESTORED : 0;
}

/* Events that wait, then the dump: what came before it is in it, what comes during it is read after. */
static int compare(struct watch *w)
{
	_cleanup_fib_snapshot_ struct fib_snapshot *after = NULL;
	int r;

	(void)watch_read(w);
	w->policy.transit = false;
	w->policy.transit_ifindex = 0;
	r = take_snapshot(w, &after);
	if (r < 0) {
		go_blind(w, "cannot read the host's routing any more", r);
		return r;
	}
	if (fib_snapshot_equal(w->before, after)) {
		w->damaged = false;
		return 0;
	}
	r = fib_diff_objects(w->before, after, tell_unknown, w);
	if (r < 0) {
		go_blind(w, "cannot compare the host's routing", r);
		return r;
	}
	if (w->tripped && w->policy.level != GUARD_WARN) {
		w->restores = 0;
		put_back(w);
	}
	return 0;
}

static void report_mark(void *arg, const char *text)
{
	struct watch *w = arg;
	_cleanup_buf_ struct buf line = { 0 };

	buf_fmt(&line, "guard: changed during `%s', and cannot be put back: %s; level strict", w->action, text);
	if (!line.failed)
		watch_tell(w, line.data);
}

static void check_marks(struct watch *w)
{
	if (!w->marks || w->marked || marks_compare(w->marks, report_mark, w) == 0)
		return;
	w->marked = true;
	w->tripped = true;
}

int watch_close(struct watch *w)
{
	int result;

	check_resolv_conf(w);
	if (!w->blind)
		(void)compare(w);
	check_marks(w);
	/* Of the dump's own time. */
	if (!w->blind)
		(void)watch_read(w);
	watch_flush_messages(w);
	result = verdict(w);
	if (result == w->said)
		return result;
	if (result == EXIT_GUARD_RESTORED)
		log_error("guard: the host is as it was before `%s'", w->action);
	else if (result == EXIT_GUARD_DAMAGED)
		log_error("guard: the host is not as it was before `%s'", w->action);
	w->said = result;
	return result;
}

/* ---- opening ---- */

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
		watch_keep(w, &w->kept[KEPT_FOREIGN], fib_object_key(&o));
}

/* Events from before the snapshot must not be taken for changes since: it is taken again, or they are known at least. */
static int open_snapshot(struct watch *w)
{
	int r;

	for (int tries = 0; tries < SNAPSHOTS; tries++) {
		fib_snapshot_free(w->before);
		w->before = NULL;
		key_set_clear(&w->kept[KEPT_FOREIGN]);
		w->dirty = false;
		r = take_snapshot(w, &w->before);
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

int watch_open(const struct watch_spec *spec, struct watch **ret_watch)
{
	struct watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->policy = *spec->policy;
	w->action = spec->action;
	w->on_undone = spec->on_undone;
	/* Events first: what happens between is heard. */
	r = ns_call(spec->host_fd, open_sockets, w);
	if (r == 0)
		r = open_who(w, spec->foreign);
	if (r == 0)
		r = open_snapshot(w);
	if (r == 0)
		r = watch_remember_ways(w);
	/* Not the guard's first concern: what cannot be read is not watched. */
	if (r == 0)
		(void)watch_file_open(RESOLV_CONF, spec->others_run, &w->resolv_conf);
	if (r < 0) {
		watch_free(w);
		return r;
	}
	if (!fib_events_roomy(w->events))
		log_note("guard: in this user namespace notices are lost when very many come at once, and it cannot be seen who writes " RESOLV_CONF
			 ": the comparison at the end decides");
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
	for (size_t i = 0; i < MEMORIES; i++)
		key_set_clear(&w->kept[i]);
	key_set_clear(&w->touched);
	key_set_clear(&w->ways);
	free(w->lookups);
	strv_free(&w->messages);
	free(w);
}

int watch_fd(const struct watch *w)
{
	return fib_events_fd(w->events);
}
