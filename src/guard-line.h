/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guard-line.h - the line between the supervisor and its worker. For guard*.c only. */
#pragma once

#include "guard.h"

/* What goes over the line: one byte a message. The user's signal is its number: he wants an end. */
enum { SAY_CLOSE = 'C', SAY_COMMIT = 'Y', SAY_ROLL_BACK = 'N', SAY_KILL = 'K', SAY_TRANSIT = 'T', SAY_EXPECTED = 'E', SAY_SETTLE = 'S', SAY_SETTLED = 's', SAY_DONE = 'D', SAY_LEAVE = 'L' };

/* 0 or -errno. `flags`: beyond MSG_NOSIGNAL. */
int line_send(int control, char byte, int flags);

/* For lock_heed(). A child of the worker that asks takes the word away, and passes it on by its failure. */
bool worker_gives_up(void *worker);
/* Done; and it stays until the supervisor has seen all that was done: who is left alone with it takes over. */
void worker_leave(struct worker *w);
