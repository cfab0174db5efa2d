/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * import: providers' files, folders and archives → /etc/wireguard. They are
 * read by a child without privileges (import-child.c), cleaned by a pure parser
 * (import.c), named (import-assign.c), and written as root's (import-store.c).
 */
#include "cmd.h"
#include "import-rows.h"
#include "log.h"

static bool progress_shown;

/* One line that is written over, on a terminal, when there is much to read. */
static void show_progress(size_t n, const char *path)
{
	(void)path;
	if (n % 50 != 0 || n == 0)
		return;
	fprintf(stderr, "\r%zu files read…", n);
	progress_shown = true;
}

static void end_progress(void)
{
	if (progress_shown)
		fprintf(stderr, "\r\033[K");
}

static void tell_refusals(const struct import_batch *batch)
{
	for (size_t i = 0; i < batch->n_refusals; i++) {
		const struct import_refusal *refusal = &batch->refusals[i];
		_cleanup_buf_ struct buf path = { 0 };

		if (import_show_name(strcmp(refusal->path, "-") == 0 ? "standard input" : refusal->path, &path) < 0)
			continue;
		if (refusal->line)
			log_error("%s:%u: %s", path.data, refusal->line, refusal->why);
		else
			log_error("%s: %s", path.data, refusal->why);
	}
}

/* Whether any was refused, which is told. */
static bool tell_rows(const struct import_table *table)
{
	bool refused = false;

	for (size_t i = 0; i < table->n; i++) {
		const struct import_row *row = &table->rows[i];

		refused |= import_row_refused(row);
		if (row->stored && row->stored->state == STORE_EXISTS)
			log_error(IMPORT_DIR "/%s.conf exists, with another text; --force replaces it, --name gives another name", row->name);
		else if (row->stored && row->stored->state == STORE_FAILED)
			log_error(IMPORT_DIR "/%s.conf cannot be written: %s", row->name, strerror(-row->stored->error));
		if (row->stored && row->stored->mode_mended)
			log_note(IMPORT_DIR "/%s.conf could be read by others: it is root's alone now", row->name);
	}
	return refused;
}

static int check_words(const struct options *options, char **args)
{
	if (options->name && !import_name_good(options->name)) {
		log_error("`%s' is no name for an interface; expected 1 to 15 letters, digits and _=+.-", options->name);
		return -1;
	}
	if (options->name && args[1]) {
		log_error("--name is for one file");
		return -1;
	}
	return 0;
}

/* What only shows when all were read. */
static int check_batch(const struct import_choice *choice, const struct import_batch *batch)
{
	if (choice->name && batch->n_files > 1) {
		log_error("--name is for one file, and there are %zu", batch->n_files);
		return -1;
	}
	for (size_t i = 0; i < batch->n_files; i++)
		if (strcmp(batch->files[i].path, "-") == 0 && !choice->name) {
			log_error("what comes over standard input has no name; --name NAME gives it one");
			return -1;
		}
	return 0;
}

static int import_batch(const struct import_choice *choice, const struct import_batch *batch)
{
	CLEANUP(store_close) struct store store = { .dir = -1 };
	CLEANUP(import_table_free) struct import_table table = { 0 };
	bool refused;
	int r;

	if (check_batch(choice, batch) < 0 || store_open(&store, choice->dry_run) < 0)
		return 1;
	r = import_rows_make(batch, choice, &store, &table);
	if (r < 0)
		return 1;
	refused = tell_rows(&table);
	r = choice->json ? import_report_json(&table, choice) : import_report(&table, choice);
	return r < 0 || refused || batch->n_refusals > 0;
}

int cmd_import(const struct options *options, char **args)
{
	const struct import_choice choice = {
		.name = options->name,
		.force = options->force,
		.keep_hooks = options->keep_hooks,
		.dry_run = options->dry_run,
		.json = options->json,
	};
	CLEANUP(import_batch_free) struct import_batch batch = { .progress = isatty(STDERR_FILENO) ? show_progress : NULL };
	int r;

	if (check_words(options, args) < 0)
		return 1;
	r = import_read(args, choice.keep_hooks, &batch);
	end_progress();
	if (r < 0) {
		log_error("nothing can be read: %s", strerror(-r));
		return 1;
	}
	tell_refusals(&batch);
	return import_batch(&choice, &batch);
}
