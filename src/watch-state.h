/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch-state.h - what the rooms of watch share. For watch*.c only. */
#pragma once

#include "keymap.h"
#include "marks.h"
#include "watch-file.h"
#include "watch.h"

#define RESOLV_CONF "/etc/resolv.conf"

/*
 * What was thought of an object when last something happened to it: the closing comparison knows it
 * again by its key. The last word counts: what a daemon did before the harm does not hide the harm,
 * and what it did after stands.
 */
enum opinion {
	OPINION_NONE,
	OPINION_TOLERATED, /* a daemon's, or benign */
	OPINION_KERNELS,   /* tolerated while nothing of ours can have caused it */
	OPINION_CONCERN,
};

struct watch {
	struct policy policy;
	const char *action;
	const char *leave; /* at level warn: how a message ends */
	void (*on_undone)(void);
	void (*on_wait)(void *arg);
	void *arg;
	int host_fd;
	struct fib *fib;
	struct fib_events *events;
	struct fib_snapshot *before;
	struct whois *who;
	struct marks *marks; /* only at level strict */
	struct watch_file *resolv_conf; /* NULL: cannot be read */
	struct key_map opinions; /* by fib_object_key() */
	struct key_map touched;	 /* links on which a daemon changed addresses: routes go with them unseen */
	struct key_map ways;	 /* links to those whom this host must reach */
	struct key_map told; /* a bit for each fib_change */
	bool ways_known;
	struct {
		uint32_t port; /* 0: none */
		enum who who;
		bool details;
		struct requester by;
	} asked; /* the last one in this reading: who does much is not looked for again and again */
	struct {
		bool known, ours;
		struct requester by;
	} suspect; /* the same for notices that do not say who asked */
	struct strv messages; /* that wait */
	struct strv left; /* that was told of */
	size_t n_told;
	struct way {
		struct fib_flow flow;
		uint64_t hash;
	} *lookups; /* K4, only around a command */
	size_t n_lookups;
	struct {
		bool all_on;	  /* net.ipv6.conf.all.disable_ipv6 was 0 */
		bool default_off; /* …default.disable_ipv6 was 1 */
	} ipv6;
	bool others_run;
	bool hearing;	   /* in the midst of a comparison: what comes now is judged, and undone later */
	bool closing;	   /* in the closing comparison */
	bool dirty;	   /* only a dump tells how things are */
	bool tripped;	   /* something was a concern */
	bool blind;
	bool damaged;
	bool file_damaged;
	bool marked; /* strict: something changed that cannot be put back */
	bool resolv_conf_touched; /* and not compared since */
	bool resolv_conf_told;
	int said; /* the verdict that was told */
	int64_t restored_at;
	unsigned int restores;
};

/* ---- watch.c ---- */

/* Remembers; where there is no memory for it, the comparison will see it as unknown, and so as ours. */
void watch_keep(struct watch *w, struct key_map *m, uint64_t key, uint8_t value);

/* What goes on while routers are waited for: the hand does. */
void watch_while_waiting(void *arg);

/* ---- watch-open.c ---- */

/* Not while another run's userspace TUN is on its way through the host. */
int watch_take_snapshot(struct watch *w, struct fib_snapshot **ret_snapshot);

/* ---- watch-resolv.c: the host's own resolv.conf, wherever we stand ---- */

const char *watch_host_resolv_conf(void);
/* Reads what was heard of it, compares, puts back what a process of ours did, and tells. */
void watch_check_resolv_conf(struct watch *w);

/* ---- watch-tell.c: what the messages say. They are printed when nothing else waits. ---- */

void watch_tell(struct watch *w, const char *text);
void watch_tell_object(struct watch *w, const struct fib_object *o, const struct requester *by, const char *why, const char *end);
/* `text` as fib_restore() reports what it had to leave. */
void watch_tell_left(struct watch *w, const char *text);
/* The host's routing cannot be read any more. */
void watch_tell_blind(struct watch *w, const char *what, int error);
void watch_flush_messages(struct watch *w);

/* ---- watch-judge.c: what a change means, with what only a look at the host can tell. ---- */

/* K4: which ways the host has now to those it must reach. -ENOMEM. */
int watch_remember_ways(struct watch *w);
/* The same once more, after somebody who may do so has changed them. */
void watch_renew_ways(struct watch *w, const struct fib_object *o);
enum verdict watch_judge(struct watch *w, const struct fib_object *o, enum who who, const char **ret_why);

/* ---- watch-ipv6.c ---- */

void watch_remember_ipv6(struct watch *w);
/* If this is an IPv6 address that is gone because IPv6 was switched off on its link: it is switched on again, which is told. */
void watch_enable_ipv6(struct watch *w, const struct fib_object *o);

/* ---- watch-link.c: links that come from our namespaces, lead there, or went there. ---- */

/* K5: the other end of a new link is where a process of ours is. */
bool watch_leads_to_ours(struct watch *w, const struct fib_object *o);
/* The tunnel itself on the host, a way into its namespace, or `ours`, a hook's: deleted. False: it is none, or that failed. */
bool watch_delete_landed(struct watch *w, const struct fib_object *o, bool ours);
/* A link of the host that was moved to a namespace of ours, or to a named one, is fetched. False: it is elsewhere, or gone. */
bool watch_fetch_link(struct watch *w, const struct nlmsghdr *event);
