/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * atomic.h - files that are there whole or not at all, whoever is killed and when. What
 * was begun has the file's name with TMP behind it; the next write takes its place. Some
 * stand in folders of the user's, whose own temporary file would be called FILE.tmp.
 */
#pragma once

#include <sys/types.h>

#include "util.h"

#define ATOMIC_TMP ".wg-nsquick.tmp"

/* ATOMIC_DURABLE: over a power cut, too; for files that are not under /run. */
enum atomic_kind { ATOMIC_VOLATILE, ATOMIC_DURABLE };

/* Who reads the file sees the old one or the new one whole. `mode` is exact, whatever the umask. */
int atomic_replace(const char *path, const struct buf *text, mode_t mode, enum atomic_kind kind);
/* A new file, durable. -EEXIST when the name is taken. */
int atomic_create(const char *path, const struct buf *text, mode_t mode);
/* Deletes what a killed write left beside `path`. */
void atomic_forget(const char *path);
/* The same where it may hold secrets: whether there was one, a file of root's. Its path, with room for PATH_MAX, is for telling. */
bool atomic_sweep(const char *path, char *ret_removed);

/*
 * The same in two steps, for many files that are to come together, relative to
 * the folder `dir` (or AT_FDCWD): all are staged, then all are published.
 * `staged` is the caller's choice; what is there by that name goes.
 */
int atomic_stage(int dir, const char *staged, const struct buf *text, mode_t mode, enum atomic_kind kind);
/* Gives it its name, or deletes it. Without `replace` what has the name stays: -EEXIST. The folder is not synced. */
int atomic_publish(int dir, const char *staged, const char *name, bool replace);
