/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hook.h - running the commands of a .conf: bash, in the tunnel's network and
 * mount namespaces, as wg-quick runs them (spec C.1).
 */
#pragma once

#include <signal.h>

#include "util.h"

/* How a hook's text is run, as its command line shows. */
#define HOOK_SHELL "bash -e -o pipefail -O extglob -c"

/* A variable that only hooks have, and what they start. */
#define HOOK_VARIABLE "WG_NSQUICK_NETNS"

struct hook_env {
	const char *iface;
	const char *config;  /* canonical path */
	const char *mark;    /* NAME=VALUE: whose hook it is, for whoever finds it when we are gone */
	const char *netns;   /* name or path, "" when it has neither */
	int target_fd;	     /* network namespace */
	int room_fd;	     /* mount namespace */
	const char *etc_dir; /* its resolv.conf and nsswitch.conf: see room_enter() */
	const char *guarded;  /* "FILE:LINE: PostUp": kept out of the host's namespace, and named so; NULL: it is not */
	int control;	      /* the line to the supervisor, if guarded */
	unsigned int timeout; /* s; 0: for ever */
	const sigset_t *mask; /* the signals that were blocked when the program started */
	/* Called when it has ended and its process can still be seen. */
	void (*on_end)(void *arg);
};

/*
 * Runs one hook to its end. Returns its exit status as a shell would give it
 * (128 + signal), -ETIME when it took too long and was ended, with all that it had
 * started, or -errno when it could not be started (-ENOENT: no bash).
 * While it runs `watch_fd` is watched; `on_watch` is called when it is readable
 * or hung up, with the hook's pid, and says by a non-zero answer to stop watching.
 */
int hook_run(const struct hook_env *env, const char *text, int watch_fd, int (*on_watch)(void *arg, pid_t hook), void *arg);
