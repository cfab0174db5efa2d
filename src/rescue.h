/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rescue.h - the guard's will. When both processes of a run are killed in one instant (the OOM
 * killer, a unit's cgroup), nobody is left to put the host back. So what the host was is written
 * down before others' code runs, in RUN_DIR/host, locked as long as one of the two lives; the next
 * run or `recover` (the unit's ExecStopPost) finds it without its lock, and does what they would have done.
 *
 * Somebody may have changed the host since, and rightly: what is older than RESCUE_LATE_MS is told, and left.
 */
#pragma once

#include "watch.h"

#define RESCUE_LATE_MS (60 * 1000)

struct rescue {
	int fd; /* -1: nothing is written down */
	char *path;
	int64_t alive_at; /* offset in the file */
	int64_t said;	  /* when, CLOCK_BOOTTIME ms */
};
#define RESCUE_NONE { .fd = -1 }

/*
 * Writes down what `w` compares with. `work` is told in messages: "up wg0". 0 or -errno;
 * a host with so many routes that it would take more than 16 MiB is not written down: -EFBIG.
 */
int rescue_note(const struct watch *w, const struct policy *policy, int host_fd, const char *work, struct rescue *ret_rescue);
/* From time to time: still here. Within how many ms it is due again. */
int rescue_alive(struct rescue *rescue);
/* All is well, or as well as it can be. */
void rescue_forget(struct rescue *rescue);
/* The other process keeps it. */
void rescue_leave(struct rescue *rescue);

/*
 * Around rescue_dead(), and the snapshot after it: another run's must not see the host half put back, nor take what this one
 * puts back for harm. Nothing that takes its time belongs in between, and messages wait for their readers until the end
 * (log-later.h). 0; *ret_lock may stay -1: then there is no such lock, or who has it does not let go, which is told.
 * -ECANCELED: the user wants no more of it, told.
 */
int rescue_begin(int *ret_lock);
void rescue_end(int *lock);
/*
 * Puts the host back to how it was before runs that are dead. 0: there was nothing, or it was put
 * back; -EREMCHG: something of it stays, -EBADMSG: a note was set aside, and all of that was told;
 * else -errno, not told: one cannot be looked for.
 */
int rescue_dead(int host_fd, const struct strv *foreign);
