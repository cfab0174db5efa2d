/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lock.h - waiting for a lock (flock(2)) that somebody else may hold for as long as he likes. */
#pragma once

#include "util.h"

/*
 * Takes the lock of an open file for the caller alone, and waits for whoever has it; after a while it says for `what`.
 * 0; -ECANCELED: the user wants no more of it, told; -errno.
 */
int lock_wait(int fd, const char *what);
/* The same, but not for longer than `patience` ms: -EAGAIN. */
int lock_wait_for(int fd, const char *what, int64_t patience);

/*
 * Who learns of the user's signals by other ways than by dying of them: `gives_up` is asked while one waits. Without
 * it a signal counts that is blocked and pending.
 */
void lock_heed(bool (*gives_up)(void *arg), void *arg);
