/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spawn.h - what every child needs before it becomes another program, and how it ended. */
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "util.h"

/* A child on its way to become another program. */
struct spawn {
	pid_t pid;
	int report[2]; /* the child's errno, should it fail before; closed by a successful exec */
};

/*
 * fork(2): the child's pid, 0 in the child, or -errno. The child ends in
 * execve(2) or spawn_fail(); the parent must call spawn_wait().
 */
pid_t spawn_fork(struct spawn *ret_spawn);
/* In the child: ends it, with -errno `error` as the answer of spawn_wait(). */
_Noreturn void spawn_fail(const struct spawn *spawn, int error);
/* Waits: the program's exit status as a shell gives it, or -errno if it never began. */
int spawn_wait(struct spawn *spawn);

/*
 * For who polls a child's pidfd beside other things: there may be no descriptor left for one (-1), and then
 * the child is looked for a hundred times a second. How long to poll, ms, when it would be `timeout` (-1: for ever).
 */
int spawn_timeout(int pidfd, int timeout);
/* Whether it has ended; it is still to be waited for. */
bool spawn_has_ended(const struct spawn *spawn);

/* SIGTERM when a child's time is over, also to what it waits for, and SIGKILL when it takes no notice. */
struct spawn_deadline {
	int64_t at;   /* ms of CLOCK_MONOTONIC; 0: never */
	bool expired; /* it was told so */
};

/*
 * Until the child has ended; spawn_wait() is still to be called. Meanwhile `fd` (-1: none) is watched: when it is readable
 * or hung up `on_word` is called, which may set the deadline, and says by a non-zero answer to stop watching.
 */
void spawn_attend(const struct spawn *spawn, struct spawn_deadline *deadline, int fd, int (*on_word)(void *arg, pid_t pid), void *arg);

/* In the child: default signals, the mask that we were started with, no descriptor beyond 2 left open by exec. */
void spawn_reset(const sigset_t *mask);

/* Whether execvp() would find an executable of that name. */
bool spawn_in_path(const char *name);

/* Whether a process was started with this variable in its environment. */
bool spawn_has_variable(pid_t pid, const char *name);

/* A child of the caller that is still there (the newest), 0: none. With PR_SET_CHILD_SUBREAPER, orphans are children. */
pid_t spawn_child(void);
/* A signal to the process of both, -errno if it is gone. As pidfd_send_signal(2), which valgrind and some sandboxes do not know: then by number. */
int spawn_signal(pid_t pid, int pidfd, int signal);
/*
 * Ends every process, but the caller, that was started with this NAME=VALUE in its environment or stands in this
 * mount namespace (-1: none), until there is none.
 * One that the kernel does not let go of (in an uninterruptible wait) is left after ten seconds.
 * Which they were is added to `names` (NULL: nobody asks) as "sleep (123), ".
 */
void spawn_kill_marked(const char *mark, int room_fd, struct buf *names);
/* When a process started, in clock ticks since boot: with its pid an identity. 0: it is gone. */
uint64_t spawn_start_time(pid_t pid);
/* The same, but 0 also for one that is dead, and that only nobody has waited for. */
uint64_t spawn_lives_since(pid_t pid);

/* A signal to every process below `pid`, but not to it. Returns how many there were. */
unsigned int spawn_kill_below(pid_t pid, int signal);

/* Calls `fn` with every process that descends from the caller. */
void spawn_each_descendant(void (*fn)(void *arg, pid_t pid), void *arg);

/*
 * Every process that descends from the caller, killed and reaped, until none is left, or for ten seconds, which is told.
 * With PR_SET_CHILD_SUBREAPER that includes those who double-forked away. Returns how many there were.
 */
unsigned int spawn_kill_descendants(void);
