/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watch-file.h - one file of the host under the guard: /etc/resolv.conf. Put back only
 * if a process of this run changed it; who did is heard through fanotify(7).
 */
#pragma once

#include "who.h"

struct watch_file;

/*
 * Remembers the file, which may be a symlink or absent. Where the kernel does not say who
 * writes (no CAP_SYS_ADMIN in the first user namespace), the content is compared all the
 * same, and so without `listen`. -ENOMEM or the error of reading it.
 */
int watch_file_open(const char *path, bool listen, struct watch_file **ret_file);
void watch_file_close(struct watch_file *f);
/* From now on watch_file_read() hears of every program that starts, too, if it hears anything. */
void watch_file_hear_starts(struct watch_file *f);
/* To poll(2); -1: nothing will be heard, as that was not wanted, or there is no right to it. */
int watch_file_fd(const struct watch_file *f);
/*
 * Reads what has happened, and asks `w` who it was, while that can still be found out. True: something
 * happened to the file.
 */
bool watch_file_read(struct watch_file *f, struct whois *w);

enum watch_file_state {
	FILE_SAME,
	FILE_FOREIGN,  /* changed, but not by this run as far as can be seen: left as it is */
	FILE_RESTORED, /* changed by this run, and put back */
	FILE_DAMAGED,  /* changed by this run, and it cannot be put back */
};

/* Compares, and puts back. *ret_by has who changed it; `restore` false: only says so. The error of reading what nobody of ours is known to have changed. */
int watch_file_check(struct watch_file *f, bool restore, enum watch_file_state *ret_state, struct requester *ret_by);
