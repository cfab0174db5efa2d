/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * import-archive.h - the files of a .zip or .tar.* one after the other, none of
 * them written anywhere. To be called in a process without privileges only.
 */
#pragma once

#include "util.h"

#define IMPORT_MAX_ENTRIES 5000U
#define IMPORT_MAX_DEPTH 8U		   /* folders in folders */
#define IMPORT_MAX_TOTAL (64U << 20)	   /* bytes, unpacked */
#define IMPORT_MAX_RATIO 200U		   /* unpacked to packed, from 1 MiB on */
#define IMPORT_PROBE_LEN 512U

/* Before the process gives up its right to open files. -ELIBACC: without the library archives are refused, with a word. */
int import_archive_load(void);

/* Whether the beginning of a file is one of an archive; -EOPNOTSUPP: of one that is not read here. */
int import_archive_probe(const char *begin, size_t len);

/* Whether this name is that of a provider's file: .conf, .conf.txt, and not hidden. */
bool import_wanted_name(const char *name);

struct import_archive {
	int fd;		   /* read from where it stands */
	bool seekable;	   /* a .zip's list of files at its end tells more than what stands before each */
	const char *begin; /* if not: bytes that were read from it before, and cannot be read again */
	size_t begin_len;
};

/*
 * Calls `each` for every wanted file; its negative answer ends all. -EINVAL:
 * the archive is refused as a whole, ret_why says why. -ENOMEM. `*ret_others`:
 * how many files were not wanted.
 */
int import_archive_read(const struct import_archive *source, size_t max_size, int (*each)(void *arg, const char *path, const char *text, size_t len), void *arg,
		       unsigned int *ret_others, char ret_why[static 512]);
