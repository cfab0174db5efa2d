/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * who.h - who asked for a change of the host's network: from the port id in a netlink
 * notification to a process, and from there up to us, to a daemon of the host, or to
 * nobody we know. By /proc, at the moment of the event: a process that is gone is
 * nobody we know, and counts as ours (guard-evidence 2.1).
 */
#pragma once

#include <sys/types.h>

#include "util.h"

enum who {
	WHO_UNKNOWN, /* gone, or with no tie to us and not on the list */
	WHO_KERNEL,  /* port 0: the kernel itself, or a request that is notified that way (links, ioctl) */
	WHO_OURS,    /* descends from this run */
	WHO_FOREIGN, /* a listed daemon of the host that was there before us, or a child of one */
};

#define WHO_COMMAND_LEN 160

struct requester {
	enum who who;
	pid_t pid; /* 0: not found */
	char command[WHO_COMMAND_LEN]; /* its command line, printable, without keys; "" when unknown */
	char below[WHO_COMMAND_LEN];   /* of ours: the hook or the command that it belongs to; "" when that is itself */
	char daemon[16];	       /* of a foreign one: the daemon's name */
	bool guessed;		       /* by who_suspect() */
};

struct whois;

/*
 * `root` is the process whose descendants are ours. `foreign` has names of daemons
 * (comm, as in /proc/PID/comm; a trailing `*` matches any rest). -ENOMEM.
 */
int who_open(pid_t root, const struct strv *foreign, struct whois **ret_who);
void who_close(struct whois *w);

/* The process behind a port id. Fast for one that was seen before as ours. */
enum who who_asked(struct whois *w, uint32_t port, struct requester *ret_requester);
/* The same for a process. */
enum who who_is(struct whois *w, pid_t pid, struct requester *ret_requester);

/*
 * For a change whose notice does not say who asked for it: a process of a hook's that has a socket
 * for such requests in the host's namespace at this moment or is, or was a moment ago, an `ip' that reaches
 * other namespaces, or else the hook that runs. True: it is
 * such a process, and nobody else who came to be during this run has such a socket. `*ret_requester`
 * has .pid 0 when there is no such process, and .below "" when there is no hook.
 */
bool who_suspect(struct whois *w, struct requester *ret_requester);

/*
 * A process has just been started, and can still be looked at: one of a hook's that may make a link on the
 * host is remembered for who_suspect(), as it may be gone when the link is noticed.
 */
void who_note_start(struct whois *w, pid_t pid);

/* Whether a listed daemon of the host, there before us, is at work: it may have asked for what nobody is known for. */
bool who_has_daemon(struct whois *w);

/* A process's command line for messages: printable, shortened, what looks like a key hidden. False: it is gone. */
bool who_command(pid_t pid, char ret_command[static WHO_COMMAND_LEN]);

/*
 * The same from the text of /proc/PID/cmdline, which is changed on the way and must have room for
 * one more byte; `cut`: it is not all of it.
 */
void who_format_command(char *raw, size_t len, bool cut, char ret_command[static WHO_COMMAND_LEN]);
