/* SPDX-License-Identifier: GPL-2.0-or-later */
/* inside.h - the processes that live in a network namespace. */
#pragma once

#include <sys/types.h>

#include "util.h"

struct inside {
	pid_t pid;
	uid_t uid;
	bool is_run; /* another run of this program, on its way in or out */
	char name[16]; /* comm: 15 bytes and the end, of whatever the process likes */
};

/*
 * Those whose main thread is in `ns_fd`, by rising number, but for the caller, its supervisor, and what it started.
 * The caller frees *ret_processes. -errno.
 */
int inside_list(int ns_fd, struct inside **ret_processes, size_t *ret_n);
