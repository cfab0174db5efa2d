/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journal-text.h - the form of the files under RUN_DIR: the version, the boot's id, a line for each
 * field, "end" with the number of lines before it. For journal*.c and rescue.c alone.
 */
#pragma once

#include "journal.h"

#define TUNNEL_DIR RUN_DIR "/tunnels"
#define NETNS_DIR RUN_DIR "/netns"
#define LOCK_DIR RUN_DIR "/lock"
#define HOST_DIR RUN_DIR "/host" /* rescue.h */

#define JOURNAL_ASIDE ".corrupt"

struct journal_field {
	char *name;
	char *value; /* as it stands there, not decoded */
};

/* The first two lines, version and boot. -errno: the boot's id cannot be read. */
int journal_begin(struct buf *text);
/* The last line, so that one that is lost is missed. */
void journal_end(struct buf *text);
/* A value stays on its line: `%`, controls and blanks at the ends cannot be confused with the form. NULL: no line. */
void journal_add_text(struct buf *b, const char *name, const char *value);
/* The text that was added. NULL: no memory. The caller frees. */
char *journal_decode(const char *value);
/* The decoded value in place of what *slot had. -ENOMEM. */
int journal_text_into(char **slot, const char *value);
/*
 * Calls `parse` with each field, until it answers with an error. -EBADMSG: the first two lines are not
 * those of this version and boot, "end" is not the last, or lines are missing, so that it is cut or foreign.
 * Changes `text`.
 */
int journal_parse(char *text, size_t len, int (*parse)(void *arg, const struct journal_field *f), void *arg);
/* The same with a whole file, from where it stands; -EBADMSG, too: it is larger than any of ours. Else read(2)'s errors. */
int journal_read(int fd, int (*parse)(void *arg, const struct journal_field *f), void *arg);
/*
 * Which of `names` a field is, noted in *seen (1U << number). -EBADMSG: none of them, or once more one
 * of the first `once`, which a file has once. For the callbacks of journal_parse.
 */
int journal_which(const struct journal_field *f, const char *const names[], int n, int once, unsigned int *seen);
/* Who held a lock before may have deleted the file: then what is locked now has no name, and the lock is on nothing. 1: it has, 0, or -errno. */
int journal_is_named(int fd, const char *path);
/* A tunnel's file, with JOURNAL_ASIDE or another tail. -ENOMEM. The caller frees. */
int journal_path(const char *iface, ns_cookie cookie, const char *tail, char **ret_path);
/*
 * Out of the way, and told. -EBADMSG; -ESTALE: the path does not name what was opened any more, so that it is to be
 * read again; or the error of that.
 */
int journal_set_aside(int fd, const char *path);
