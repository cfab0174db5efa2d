/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * import-rows.h - what is known of every file once all were read: its name,
 * its place, what to warn of, what became of it. import-report.c and
 * import-json.c print it.
 */
#pragma once

#include "import-read.h"
#include "import-store.h"

struct import_row {
	const struct import_file *file;
	char *origin;	  /* the name of the file that this one, imported before, came from; NULL: it is no such file */
	const char *clean; /* its text without the line that says so */
	char name[IFNAMSIZ];
	const char *same_as; /* the path of a file that has the same name and text; NULL: none */
	struct import_place place;
	struct findings findings; /* warnings that the clean file deserves, by `check` */
	struct buf text;	  /* as it is written: with a line that says where it came from */
	const struct store_file *stored; /* NULL: it is not, see same_as */
};

struct import_table {
	const struct import_batch *batch;
	struct import_row *rows; /* by name */
	size_t n;
	struct store_file *files;
	size_t n_files;
	struct findings warnings; /* about several files */
};

struct import_choice {
	const char *name; /* for the one file; NULL: by its own name */
	bool force, keep_hooks, dry_run, json;
};

/* Names all files of the batch, compares and, unless it is a dry run, writes them. -errno, told; -EINVAL: told, and nothing done. */
int import_rows_make(const struct import_batch *batch, const struct import_choice *choice, struct store *store, struct import_table *ret_table);
void import_table_free(struct import_table *table);

/* Warnings about rows together, and those that are there already. -ENOMEM. */
int import_warn(struct import_table *table, const struct store *store);

/* On standard output. -errno, told. */
int import_report(const struct import_table *table, const struct import_choice *choice);
int import_report_json(const struct import_table *table, const struct import_choice *choice);

/* "new", "same"… */
const char *import_state_name(const struct import_row *row, const struct import_choice *choice);
/* The peer's last endpoint as in the file, or "". */
const char *import_endpoint(const struct import_row *row);
/* Whether an Address of that family is there. */
bool import_has_family(const struct import_row *row, int family);
/* Whether the row is not to be had: another text has its name, or it could not be written. */
bool import_row_refused(const struct import_row *row);
