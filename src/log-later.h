/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log-later.h - messages of a process that must not wait for who reads them: a terminal that was stopped, a pager,
 * a connection that stalls. What cannot be written at once is kept, in order, and written when there is room.
 */
#pragma once

#include "util.h"

/* From here on this process (not its children) never waits for standard error. Again: no change. */
void log_later(void);
/* Writes what can be written now. How long until there is something to try again, ms; -1: nothing is kept. */
int log_later_go_on(void);
/*
 * Writes the rest, and waits for its reader, until one of the signals of `signals` (signalfd(2); -1: none) comes, or as many
 * ms as `patience` have passed (-1: for ever). What is left then is lost. From here on lines are written as ever.
 */
void log_later_end(int signals, int patience);
