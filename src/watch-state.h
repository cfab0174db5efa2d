/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch-state.h - what the rooms of watch share. For watch*.c only. */
#pragma once

#include "keyset.h"
#include "marks.h"
#include "watch-file.h"
#include "watch.h"

#define RESOLV_CONF "/etc/resolv.conf"

enum memory {
	KEPT_FOREIGN, /* tolerated: a daemon's, or benign */
	KEPT_KERNEL,  /* tolerated while nothing of ours can have caused it */
	KEPT_OURS,    /* a concern whatever it touches */
	KEPT_TOLD,    /* told already */
	MEMORIES,
};

struct watch {
	struct policy policy;
	const char *action;
	void (*on_undone)(void);
	struct fib *fib;
	struct fib_events *events;
	struct fib_snapshot *before;
	struct whois *who;
	struct marks *marks; /* only at level strict */
	struct watch_file *resolv_conf; /* NULL: cannot be read */
	struct key_set kept[MEMORIES];
	struct key_set touched; /* links on which a daemon changed addresses: routes go with them unseen */
	struct key_set ways; /* links to those whom this host must reach */
	bool ways_known;
	struct strv messages;
	size_t told;
	uint64_t *lookups; /* K4: which way to policy.watched[i]; only around a command */
	bool hearing;	   /* in the midst of a comparison: what comes now is judged, and undone later */
	bool dirty;	   /* only a dump tells how things are */
	bool tripped;	   /* something was a concern */
	bool blind;
	bool damaged;
	bool file_damaged;
	bool marked; /* strict: something changed that cannot be put back */
	bool resolv_conf_told;
	int said; /* the verdict that was told */
	int64_t restored_at;
	unsigned int restores;
};

/* Remembers; where there is no memory for it, the comparison will see it as unknown, and so as ours. */
void watch_keep(struct watch *w, struct key_set *s, uint64_t key);

/* ---- watch-tell.c: what the messages say. They are printed when nothing else waits. ---- */

void watch_tell(struct watch *w, const char *text);
void watch_tell_object(struct watch *w, const struct fib_object *o, const struct requester *by, const char *why, const char *end);
/* `text` as fib_restore() reports what it had to leave. */
void watch_tell_left(struct watch *w, const char *text);
/* The host's routing cannot be read any more. */
void watch_tell_blind(struct watch *w, const char *what, int error);
void watch_flush_messages(struct watch *w);

/* ---- watch-judge.c: what a change means, with what only a look at the host can tell. ---- */

/* Which ways the host has now to those it must reach. -ENOMEM. */
int watch_remember_ways(struct watch *w);
enum verdict watch_judge(struct watch *w, const struct fib_object *o, enum who who, const char **ret_why);
/* K5: the other end of a new link is where a process of ours is. */
bool watch_leads_to_ours(struct watch *w, const struct fib_object *o);
