/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watch.h - the eye and the hand of the guard: every change of one namespace's
 * routing is judged as it happens, undone within microseconds if it is a concern,
 * told afterwards, and the whole compared with what it was at the end.
 */
#pragma once

#include "policy.h"

/* Beyond wg-quick's own statuses; hooks do not use these. */
enum {
	EXIT_GUARD_RESTORED = 193, /* the host was changed and is as before again */
	EXIT_GUARD_DAMAGED = 194,  /* …and is not: what differs was listed */
	EXIT_GUARD_BLIND = 195,	   /* the host's routing could not be read */
};

struct watch_spec {
	int host_fd;			/* the namespace to watch */
	const char *action;		/* "up", "down": for messages */
	const struct policy *policy;	/* copied, but not what it points to */
	const struct strv *foreign;	/* NULL: policy_foreign_daemons */
	void (*on_undone)(void);	/* NULL, or called when an event was undone: to measure */
	/* NULL, or called when what is being put back takes seconds: whoever did it should be ended before that. More than once. */
	void (*on_wait)(void *arg);
	void *arg;
	const char *leave;		/* NULL, or at level warn: why nothing is put back, for messages */
	bool others_run;		/* hooks, or a command: who writes files must be heard, and what nobody is known for may be theirs */
};

struct watch;

/*
 * Subscribes, then takes the snapshot; nothing that happens after this returns is missed.
 * The caller's descendants are "ours". Errors are those of the sockets and dumps.
 */
int watch_open(const struct watch_spec *spec, struct watch **ret_watch);
void watch_free(struct watch *w);

/* What it compares with, as bytes, appended. */
void watch_save(const struct watch *w, struct buf *out);
/*
 * In place of one whose process is gone: compares with what that had saved. For watch_close(),
 * before anything of ours runs. -EBADMSG, else as watch_open().
 */
int watch_resume(const struct watch_spec *spec, const void *saved, size_t len, struct watch **ret_watch);

/* To poll(2) for POLLIN. */
int watch_fd(const struct watch *w);

/* Deals with what has happened. True when something was a concern and was not let pass: what did it is to be ended. */
bool watch_read(struct watch *w);

/* The same for /etc/resolv.conf: -1 where nothing can be heard of it before the end. */
int watch_file_descriptor(const struct watch *w);
bool watch_read_file(struct watch *w);

/*
 * The least niceness, so that what is undone is undone at once on a busy machine too, and
 * whoever asked for it is still there to be seen. (No real-time class: the median doubles,
 * as whoever waits for the outcome is held up.) For the waiting only: dumps may take long.
 * Where it is refused, things are as they would be anyway.
 */
void watch_hurry(bool on);

/* In a child of who opened it, once that is gone: from now on it is this process that looks and undoes. -errno of the sockets. */
int watch_take_over(struct watch *w);

/* A userspace TUN of the tunnel's name will be made now, and moved away again. */
void watch_expect_transit(struct watch *w);

/*
 * The closing comparison: what is not as it was and is a concern is told and put back.
 * 0: the host is as it was, as far as it concerns us; else EXIT_GUARD_…, also for what
 * was seen and put back before. May be called again.
 */
int watch_close(struct watch *w);
