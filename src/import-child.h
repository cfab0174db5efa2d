/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * import-child.h - the process that reads what strangers wrote. It gets open
 * files over one channel, and answers with records over the other.
 */
#pragma once

#include <sys/types.h>

#include "util.h"

struct import_child {
	pid_t pid;
	int files;   /* to it: one message for each source, its name with its descriptor */
	int records; /* from it: the length of a record, the record */
};

/* Starts it. -errno. */
int import_child_start(bool keep_hooks, struct import_child *ret_child);
/* A source: `name` is for messages and to recognise the provider. The descriptor stays the caller's. */
int import_child_send(const struct import_child *child, int fd, const char *name);
/* Ends it and waits. 0, or why it ended otherwise: -ETIME after too much time, -ENOMEM, -EBADMSG. */
int import_child_stop(struct import_child *child);
