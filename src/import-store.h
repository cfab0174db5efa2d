/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * import-store.h - the folder of configurations: what is there already, and how
 * new files come there: each whole or not at all, root's alone, nothing
 * overwritten that was not to be.
 */
#pragma once

#include "conf.h"
#include "import-assign.h"

#define IMPORT_DIR "/etc/wireguard"
#define IMPORT_MAP "import.map" /* in it */

enum store_state {
	STORE_NEW,
	STORE_SAME,	/* the file is there, with this text */
	STORE_REPLACES, /* another text is there, and goes (--force) */
	STORE_EXISTS,	/* another text is there, and stays */
	STORE_FAILED,
};

struct store {
	int dir; /* -1: there is no such folder yet, and none is to be made */
	bool dry_run;
	struct import_map map;
	bool map_staged; /* internal */
};

struct store_file {
	const char *name; /* the interface's */
	const struct buf *text;
	enum store_state state; /* set */
	int error;		/* set with STORE_FAILED: -errno */
	bool mode_mended;	/* set: it was open to others */
	bool staged;		/* internal */
};

/* Opens, locks (another import waits), deletes what a killed one left, reads the map. -errno, the error told. */
int store_open(struct store *store, bool dry_run);
/* Sets what would become of each file. */
void store_compare(const struct store *store, struct store_file *files, size_t n, bool force);
/*
 * Writes those that are new or replace another, and the map. All are on disk
 * before the first gets its name; -errno (told) if that fails, and nothing is
 * written then.
 */
int store_write(struct store *store, struct store_file *files, size_t n);
/* Calls `each` with every configuration in the folder that can be read. */
void store_each(const struct store *store, void (*each)(void *arg, const char *name, const struct conf *conf), void *arg);
void store_close(struct store *store);
