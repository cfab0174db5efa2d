/* SPDX-License-Identifier: GPL-2.0-or-later */
/* import-read.h - from the arguments of import to clean files: folders are walked here, all that is in files is the child's to read. */
#pragma once

#include "import-wire.h"

struct import_file {
	char *path; /* as messages have it: the source's, and what it is called in there */
	struct import_record record;
};

/* A source, or a part of one, that is not imported. */
struct import_refusal {
	char *path;
	unsigned int line; /* 0: none */
	char *why;
};

struct import_batch {
	struct import_file *files; /* every one of them is to be written */
	size_t n_files;
	struct import_refusal *refusals;
	size_t n_refusals;
	unsigned int others; /* files that were not looked at */
	void (*progress)(size_t n, const char *path); /* may be NULL */
};

/* `-` is standard input. 0, also when some or all are refused; -errno when nothing could be read at all. The caller frees. */
int import_read(char **paths, bool keep_hooks, struct import_batch *batch);
void import_batch_free(struct import_batch *batch);
int import_refuse(struct import_batch *batch, const char *path, unsigned int line, const char *why);
