/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter.h - hooks are kept out of the host's and the transport's network
 * namespace: a seccomp filter asks the supervisor about every setns(2) into a
 * network namespace (design section 5). The only includer of <seccomp.h>.
 *
 * Against mistakes, not malice: a second thread may swap the descriptor between
 * question and answer, and a daemon that is asked to do it is not filtered.
 */
#pragma once

#include "util.h"

/*
 * In a hook's child, before exec: installs the filter, and hands its listener to the supervisor
 * over `control`. `hook` is what messages call it ("FILE:LINE: PostUp"). Where there can be no
 * filter the supervisor says so, and the answer is 0 all the same; -errno: nobody listens, so the
 * hook must not start.
 */
int filter_install(int control, const char *hook);

/* ---- the supervisor's side ---- */

struct filters;

/*
 * Entering the host's and the transport's namespace is refused, unless it is the target (-1: the
 * target is yet to be made, the transport is the target). The descriptors stay the caller's, and open.
 */
int filters_new(int host_fd, int target_fd, int transport_fd, struct filters **ret_filters);
void filters_free(struct filters *filters);

/* To be polled for POLLIN; then filters_answer() has something to do. It does not wait. */
int filters_fd(const struct filters *filters);
void filters_answer(struct filters *filters);

/* Reads one message from the worker or a hook's child: a byte of the worker's; 0: it was for us, or there is none. */
char filters_recv(struct filters *filters, int control);

/* Whether anything was refused. */
bool filters_refused(const struct filters *filters);

/* Before the supervisor goes, and the answers with it: names every descendant that still asks. */
void filters_leave(struct filters *filters);
