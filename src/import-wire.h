/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * import-wire.h - how the child without privileges tells what it read: records
 * of bytes, every length of which is checked before it is believed. Pure.
 */
#pragma once

#include "import.h"

#define IMPORT_RECORD_MAX (1U << 20) /* bytes */
#define IMPORT_PATH_MAX 4096U

enum record_kind {
	RECORD_FILE, /* a file was read: `result` and `import` */
	RECORD_END,  /* a source is done: `message` is empty, or says why all of it is refused */
};

struct import_record {
	enum record_kind kind;
	char *path;	 /* of the file in its source; empty: the source is the file */
	char *message;
	unsigned int others; /* of RECORD_END: what was not looked at, being no .conf */
	int result;	     /* of import_text() */
	struct import import; /* without conf, until import_record_check() */
};

/* -ENOMEM. */
int import_record_encode(const struct import_record *record, struct buf *ret_data);
/* -EBADMSG: nothing that import_record_encode() makes. -ENOMEM. The caller frees. */
int import_record_decode(const char *data, size_t len, struct import_record *ret_record);
/*
 * Cleans a clean file again: it must come out as it went in, with those hooks
 * alone that were named. Fills import.conf. -EBADMSG, -ENOMEM.
 */
int import_record_check(struct import_record *record, bool keep_hooks);
void import_record_free(struct import_record *record);
