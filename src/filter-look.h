/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter-look.h - what a process that asks before setns(2) holds in its hands, by its folder
 * in /proc, opened once (`proc`). For filter.c only.
 */
#pragma once

#include "who.h"

/* Namespaces that may not be entered: the host's and the transport's. */
struct closed {
	struct closed_ns {
		dev_t dev;
		ino_t ino;
		const char *name;
	} ns[2];
	size_t n;
};

/* Unless it is the target's, there already, or no descriptor (-1). */
void closed_add(struct closed *closed, int ns_fd, int target_fd, const char *name);

/* Which closed namespace the process would enter with this descriptor and type; NULL: none. */
const struct closed_ns *look_wanted(const struct closed *closed, int proc, int fd, int type);
/* A wg-nsquick that a hook started goes to the host to watch it; what it runs inherits the filter. */
bool look_is_ourselves(int proc);
/* A number from one of its files of "Name:\tvalue" lines, -1 if there is none. */
long look_field(int proc, const char *path, const char *name);
/*
 * The command line of the process as a message may show it: printable, short, no word
 * that may be a key. Empty for one that is gone.
 */
void look_command(int proc, char ret_text[static WHO_COMMAND_LEN]);
