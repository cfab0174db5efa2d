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

#include "log.h"

#define MAX_RESTORES 3	/* in RESTORE_MS: then somebody keeps writing */
#define RESTORE_MS 2000

void watch_keep(struct watch *w, struct key_map *m, uint64_t key, uint8_t value)
{
	if (key_map_set(m, key, value) < 0)
		w->dirty = true;
}

static void remember(struct watch *w, const struct fib_object *o, enum opinion opinion)
{
	watch_keep(w, &w->opinions, fib_object_key(o), (uint8_t)opinion);
	/* Routes go unseen with what these lose. */
	if (o->kind == FIB_ADDRESS || o->kind == FIB_LINK || o->kind == FIB_NEXTHOP)
		watch_keep(w, &w->touched, o->ifindex, opinion != OPINION_CONCERN);
}

static const struct requester *suspect(struct watch *w)
{
	if (!w->suspect.known) {
		w->suspect.known = true;
		/* Of programs that started. */
		if (w->resolv_conf)
			w->resolv_conf_touched |= watch_file_read(w->resolv_conf, w->who);
		w->suspect.ours = who_suspect(w->who, &w->suspect.by);
	}
	return &w->suspect.by;
}

/* A new one may be anybody's, and its notice does not say whose: a hook's, when one is at such work in that moment. */
static bool is_hooks_link(struct watch *w, const struct fib_object *o)
{
	if (o->kind != FIB_LINK || o->change != FIB_ADDED || !w->others_run || w->policy.command || policy_is_transit(&w->policy, o))
		return false;
	(void)suspect(w);
	return w->suspect.ours;
}

/* Nobody of ours can be seen at it, and before there is harm the kernel does nothing of the kind in consequence. */
static bool is_daemons_work(struct watch *w, const struct fib_object *o)
{
	if (w->tripped || w->policy.command || !policy_is_addition(&w->policy, w->before, o))
		return false;
	(void)suspect(w);
	return !w->suspect.ours && who_has_daemon(w->who);
}

static enum who ask(struct watch *w, uint32_t port)
{
	if (port == 0)
		return WHO_KERNEL;
	if (w->asked.port != port) {
		w->asked.port = port;
		w->asked.details = false;
		w->asked.who = who_asked(w->who, port, NULL);
	}
	return w->asked.who;
}

static const struct requester *ask_details(struct watch *w, uint32_t port)
{
	if (port == 0)
		return suspect(w);
	if (w->asked.port != port || !w->asked.details) {
		w->asked.port = port;
		w->asked.details = true;
		w->asked.who = who_asked(w->who, port, &w->asked.by);
	}
	/* It is gone: what remains is which hook ran in that moment. */
	if (w->asked.who == WHO_UNKNOWN && !*w->asked.by.command && !*w->asked.by.below)
		memcpy(w->asked.by.below, suspect(w)->below, sizeof(w->asked.by.below));
	return &w->asked.by;
}

/* What was asked in the last reading is no longer true. */
static void forget_asked(struct watch *w)
{
	w->asked.port = 0;
	w->suspect.known = false;
}

static void undo(struct watch *w, const struct nlmsghdr *event, const struct fib_object *o, enum who who, const char *why)
{
	const char *end = "put back";
	int r = w->hearing ? 2 : fib_undo(w->fib, w->before, event);

	if (w->on_undone)
		w->on_undone();
	if (!w->hearing)
		(void)fib_drop_unresolved(w->fib, event);
	if (r == 2 && !w->hearing && watch_delete_landed(w, o, who == WHO_OURS))
		end = "deleted";
	else if (r != 1)
		w->dirty = true;
	if (r != 1 && w->dirty) {
		watch_enable_ipv6(w, o);
		end = "";
	}
	/* The rest of it, addresses and routes, by the comparison. */
	if (o->kind == FIB_LINK && o->change == FIB_REMOVED && watch_fetch_link(w, event))
		end = "fetched from the namespace that it was moved to";
	/* What the kernel did meanwhile may have been its consequence; what it does from now on is not remembered. */
	if (!w->tripped)
		key_map_replace(&w->opinions, OPINION_KERNELS, OPINION_NONE);
	w->tripped = true;
	/* It was not as it should be: what else is found may follow from it. */
	w->policy.alone = false;
	remember(w, o, OPINION_CONCERN);
	watch_tell_object(w, o, ask_details(w, event->nlmsg_pid), why, end);
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
	who = ask(w, event->nlmsg_pid);
	if (who == WHO_KERNEL && is_hooks_link(w, &o))
		who = WHO_OURS;
	else if (who == WHO_KERNEL && !o.kernel_managed && is_daemons_work(w, &o))
		who = WHO_FOREIGN;
	switch (watch_judge(w, &o, who, &why)) {
	case VERDICT_NOISE:
		break;
	case VERDICT_FOREIGN:
		/* After harm, what the kernel does may follow from it. */
		if (who != WHO_KERNEL || !w->tripped)
			remember(w, &o, who == WHO_KERNEL ? OPINION_KERNELS : OPINION_TOLERATED);
		watch_renew_ways(w, &o);
		break;
	case VERDICT_BENIGN:
		/*
		 * A new link is judged again at the end: its first notice does not say where its other end is.
		 * And so is all that a command did: harm that came after it takes it back as well.
		 */
		if (!w->policy.command && (o.kind != FIB_LINK || o.change != FIB_ADDED))
			watch_keep(w, &w->opinions, fib_object_key(&o), OPINION_TOLERATED);
		break;
	case VERDICT_CONCERN:
		if (w->policy.level == GUARD_WARN) {
			watch_tell_object(w, &o, ask_details(w, event->nlmsg_pid), why, w->leave);
			watch_keep(w, &w->opinions, fib_object_key(&o), OPINION_TOLERATED);
		} else {
			undo(w, event, &o, who, why);
		}
		break;
	}
}

/* What happened while the dump was made is in it, and its events wait. */
static void hear(struct watch *w)
{
	w->hearing = true;
	forget_asked(w);
	if (fib_events_read(w->events, on_event, w) < 0)
		w->dirty = true;
	w->hearing = false;
}

/* The hand goes on: who did it may go on, too. */
void watch_while_waiting(void *arg)
{
	struct watch *w = arg;

	if (w->on_wait)
		w->on_wait(w->arg);
	forget_asked(w);
	if (fib_events_read(w->events, on_event, w) < 0)
		w->dirty = true;
}

/*
 * Around a command that did harm, all that is not known to be a daemon's goes back; but for a new link, which
 * the command may take away by itself, and what the kernel keeps for that. In the end a tunnel must be gone.
 */
static bool is_left_over(const struct watch *w, const struct fib_object *o)
{
	if (o->kind == FIB_LINK && o->change == FIB_ADDED)
		return w->closing && policy_is_landing(&w->policy, o);
	return !o->ifindex || fib_snapshot_link(w->before, o->ifindex) || !policy_is_kernels(o);
}

/* For a difference that no event explains, or one that was not heard yet. */
static bool is_concern(void *arg, const struct fib_object *o)
{
	struct watch *w = arg;
	uint64_t key = fib_object_key(o);
	enum opinion opinion;
	const char *why;
	enum who who;

	if (w->policy.level == GUARD_STRICT)
		return policy_judge(&w->policy, w->before, o, WHO_UNKNOWN, &why) == VERDICT_CONCERN;
	if (key_map_get(&w->opinions, key) == OPINION_NONE)
		hear(w);
	opinion = key_map_get(&w->opinions, key);
	if (opinion != OPINION_NONE)
		return opinion == OPINION_CONCERN;
	/* Routes that went with an address that a daemon changed. */
	if (o->kind == FIB_ROUTE && o->ifindex && key_map_get(&w->touched, o->ifindex))
		return false;
	if (w->policy.command && w->tripped)
		return is_left_over(w, o);
	/* There would have been a notice of a request. */
	who = (o->kernel_managed && !w->tripped) || policy_is_consequence(o) ? WHO_KERNEL : WHO_UNKNOWN;
	return watch_judge(w, o, who, &why) == VERDICT_CONCERN;
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
	watch_tell_object(w, o, NULL, why, w->policy.level == GUARD_WARN ? w->leave : watch_delete_landed(w, o, false) ? "deleted" : "");
	if (w->policy.level == GUARD_WARN) {
		watch_keep(w, &w->opinions, fib_object_key(o), OPINION_TOLERATED);
	} else {
		watch_enable_ipv6(w, o);
		w->tripped = true;
	}
	return 0;
}

/* ---- dumps ---- */

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

bool watch_read(struct watch *w)
{
	bool before = w->tripped;
	int r;

	forget_asked(w);
	r = fib_events_read(w->events, on_event, w);

	if (r == -ENOBUFS)
		w->dirty = true;
	else if (r < 0 && r != -EAGAIN)
		go_blind(w, "cannot hear of changes any more", r);
	/* More than once: what comes while it is put back was only heard. */
	for (int round = 0; w->dirty && w->policy.level != GUARD_WARN && round < MAX_RESTORES; round++) {
		_cleanup_fib_snapshot_ struct fib_snapshot *now = NULL;

		w->dirty = false;
		/* Lost events: what did happen is in the comparison alone. */
		if (r == -ENOBUFS && fib_snapshot_take(w->fib, &now) == 0)
			(void)fib_diff_objects(w->before, now, tell_unknown, w);
		if (w->tripped)
			put_back(w);
	}
	/* Heard of when it was looked for who started. */
	if (w->resolv_conf_touched)
		watch_check_resolv_conf(w);
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
	if (w->policy.level == GUARD_WARN)
		return 0;
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
	r = watch_take_snapshot(w, &after);
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

	watch_check_resolv_conf(w);
	w->closing = true;
	if (!w->blind)
		(void)compare(w);
	w->closing = false;
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

int watch_fd(const struct watch *w)
{
	return fib_events_fd(w->events);
}
