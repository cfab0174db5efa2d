/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard.h - the supervisor: it watches the host's routing (watch.h) while a worker
 * does the work, and has the last word (design sections 4 and 6).
 *
 * Two processes, so that either can put things right when the other dies. The
 * supervisor never enters another namespace and changes nothing but what it
 * restores; the worker touches nothing on the host but a device of ours that a
 * hook pushed there.
 */
#pragma once

#include <signal.h>

#include "watch.h"

/* The worker's end of its line to the supervisor. */
struct worker {
	int control;
	const sigset_t *mask; /* the signals blocked when the program started: hooks get it back */
	unsigned int aborts;  /* how often the user, or the guard, asked to stop */
	unsigned int signals; /* of these, the user */
	int signal;	      /* the last one that he used */
	unsigned int excused; /* of these, those that have led to what is being done now */
	bool undoing;	      /* see worker_turns_back() */
	bool kill;	      /* the guard was tripped: hooks end at once */
	bool orphaned;	      /* the supervisor is gone */
};

/* Whether to stop: a signal came, or the supervisor died. Does not wait. */
bool worker_aborted(struct worker *w);
/*
 * From here on what was done is undone. A lock that somebody holds is waited for until the user asks to stop once
 * more; the rest stays in the journal.
 */
void worker_turns_back(struct worker *w);
/* Reads what the supervisor says, when poll(2) says that there is something. */
void worker_listen(struct worker *w);
/*
 * Everything is in place: asks for the closing comparison. 0: it stands;
 * -ECANCELED: the host differs, or somebody wants it undone: roll back.
 */
int worker_close(struct worker *w);

/*
 * Waits until the supervisor has read all that has happened so far: while a process has not been waited
 * for, it can be seen who asked for what.
 */
void worker_settle(struct worker *w);

/*
 * The worker is about to start a userspace implementation: its TUN will pass through the host. Returns once the guard
 * expects it: under noise it reads of the link before it hears a word that was only sent. -EPIPE: nobody is left to.
 */
int worker_announce_transit(struct worker *w);

struct guarded_work {
	struct policy policy;
	const struct strv *foreign; /* names of daemons that are tolerated; NULL: the standard ones */
	int host_fd;		    /* the namespace to watch */
	int target_fd;	    /* -1: yet to be made; hooks may not enter the host's or the transport's unless it is this one */
	int transport_fd;   /* -1: the target */
	bool others_run;    /* hooks, or a command */
	const char *action; /* "up", "down": for messages */
	/* In the worker: 0 when the work stands, else the exit status, everything rolled back. */
	int (*work)(void *arg, struct worker *w);
	/* In the supervisor, once the worker has its copy of everything: it needs no keys any more. NULL: it has none. */
	void (*begun)(void *arg);
	/* In the supervisor, when the worker was killed after its success was agreed on: whether by the journal all had been done. NULL: never. */
	bool (*stands)(void *arg);
	/* In the supervisor, when the worker was killed: undo by the journal. */
	void (*recover)(void *arg);
	void *arg;
};

/*
 * Runs the work under the guard. Returns the exit status of the program. After 0 the signals that would end it are
 * still blocked: all had been done when they came.
 */
int guard_run(const struct guarded_work *work);
