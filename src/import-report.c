/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * import-report.c - the report for people: what was changed and dropped, each
 * thing once with the number of files, and a table to choose a tunnel from.
 */
#include "import-rows.h"
#include "log.h"
#include "out.h"

/* One thing that is said of a file. */
struct word {
	int rank; /* in which the kinds of words come */
	const char *before;
	const char *text;
	char *owned; /* `text`, when it was made here */
	const char *path;
	unsigned int line;
	size_t files; /* how many it is said of */
	size_t order;
};

struct words {
	struct word *items;
	size_t n;
	bool failed;
};

static void add_word(struct words *w, struct word word)
{
	struct word *slot = GROW(w->items, w->n);

	if (!slot) {
		w->failed = true;
		free(word.owned);
		return;
	}
	word.order = w->n;
	*slot = word;
}

static void add_findings(struct words *w, const char *path, const struct findings *f)
{
	for (size_t i = 0; i < f->n; i++) {
		bool warning = f->items[i].severity == FIND_WARNING;

		add_word(w, (struct word){ .rank = warning, .before = warning ? "warning: " : "", .text = f->items[i].text, .path = path, .line = f->items[i].line });
	}
}

static void add_hooks(struct words *w, const char *path, const struct import *im)
{
	static const struct {
		int rank;
		const char *before;
	} fates[HOOK_FATES] = {
		[HOOK_FATE_KILL_SWITCH] = { 2, "kill-switch dropped, nothing but the tunnel leads out of its namespace: " },
		[HOOK_FATE_DROPPED] = { 3, "hook dropped: " },
		[HOOK_FATE_KEPT] = { 4, "hook kept: " },
	};

	for (size_t i = 0; i < im->n_hooks; i++) {
		const struct import_hook *hook = &im->hooks[i];
		struct buf text = { 0 }, shown = { 0 };

		if (import_show(hook->text, &shown) < 0)
			w->failed = true;
		buf_str(&text, hook_names[hook->kind]);
		buf_str(&text, " = ");
		buf_str(&text, shown.data ? shown.data : "");
		buf_free(&shown);
		if (text.failed)
			w->failed = true;
		else
			add_word(w, (struct word){ .rank = fates[hook->fate].rank, .before = fates[hook->fate].before, .text = text.data, .owned = text.data, .path = path, .line = hook->line });
	}
}

static void add_same(struct words *w, const struct import_row *row)
{
	struct buf shown = { 0 };

	if (import_show_name(row->same_as, &shown) < 0) {
		buf_free(&shown);
		w->failed = true;
		return;
	}
	add_word(w, (struct word){ .before = "the same as ", .text = shown.data, .owned = shown.data, .path = row->file->path });
}

static int by_text(const void *a, const void *b)
{
	const struct word *x = a, *y = b;
	int r = x->rank - y->rank;

	if (r == 0)
		r = strcmp(x->text, y->text);
	return r ? r : (x->order > y->order) - (x->order < y->order);
}

static int by_order(const void *a, const void *b)
{
	const struct word *x = a, *y = b;
	int r = x->rank - y->rank;

	return r ? r : (x->order > y->order) - (x->order < y->order);
}

static void print_path(const char *path)
{
	_cleanup_buf_ struct buf shown = { 0 };

	if (import_show_name(path, &shown) == 0)
		fputs(shown.data, stdout);
}

/* Equal words become one. */
static void count_words(struct words *w)
{
	size_t n = 0;

	if (w->n)
		qsort(w->items, w->n, sizeof(*w->items), by_text);
	for (size_t i = 0, end; i < w->n; i = end) {
		struct word first = w->items[i];

		first.files = 1;
		for (end = i + 1; end < w->n && w->items[end].rank == first.rank && strcmp(w->items[end].text, first.text) == 0; end++) {
			first.files += strcmp(w->items[end].path, w->items[end - 1].path) != 0;
			free(w->items[end].owned);
		}
		w->items[n++] = first;
	}
	w->n = n;
	if (n)
		qsort(w->items, n, sizeof(*w->items), by_order);
}

/* `FILE:LINE: text`, or `FILE and 411 more: text`. */
static void print_words(const struct words *w)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct word *word = &w->items[i];

		print_path(word->path);
		if (word->files > 1)
			printf(" and %zu more", word->files - 1);
		else if (word->line)
			printf(":%u", word->line);
		printf(": %s%s\n", word->before, word->text);
	}
}

static int report_words(const struct import_table *table)
{
	struct words w = { 0 };

	for (size_t i = 0; i < table->n; i++) {
		const struct import_row *row = &table->rows[i];

		add_findings(&w, row->file->path, &row->file->record.import.findings);
		add_findings(&w, row->file->path, &row->findings);
		add_hooks(&w, row->file->path, &row->file->record.import);
		if (row->same_as)
			add_same(&w, row);
	}
	count_words(&w);
	print_words(&w);
	for (size_t i = 0; i < w.n; i++)
		free(w.items[i].owned);
	free(w.items);
	for (size_t i = 0; i < table->warnings.n; i++)
		printf("%s%s\n", table->warnings.items[i].severity == FIND_WARNING ? "warning: " : "", table->warnings.items[i].text);
	return w.failed ? -ENOMEM : 0;
}

/* ---- the table ---- */

enum { NAME, STATE, PROVIDER, PLACE, ENDPOINT, FAMILIES, DNS, WARNINGS, COLUMNS };

#define CELL_LEN 64

static void fill_cells(const struct import_row *row, const struct import_choice *choice, char cells[COLUMNS][CELL_LEN])
{
	const struct import *im = &row->file->record.import;
	bool v4 = import_has_family(row, AF_INET), v6 = import_has_family(row, AF_INET6);
	size_t warnings = findings_count(&im->findings, FIND_WARNING) + findings_count(&row->findings, FIND_WARNING);

	snprintf(cells[NAME], CELL_LEN, "%s", row->name);
	snprintf(cells[STATE], CELL_LEN, "%s", import_state_name(row, choice));
	snprintf(cells[PROVIDER], CELL_LEN, "%s", im->provider ? provider_name(im->provider) : "-");
	snprintf(cells[PLACE], CELL_LEN, "%s%s%s", row->place.country ? row->place.country->name : "-", row->place.city ? ", " : "", row->place.city ? row->place.city->name : "");
	snprintf(cells[ENDPOINT], CELL_LEN, "%s", *import_endpoint(row) ? import_endpoint(row) : "-");
	snprintf(cells[FAMILIES], CELL_LEN, "%s", v4 && v6 ? "4+6" : v6 ? "6" : "4");
	if (im->conf.n_dns > 1)
		snprintf(cells[DNS], CELL_LEN, "%.40s +%zu", im->conf.dns[0].text, im->conf.n_dns - 1);
	else
		snprintf(cells[DNS], CELL_LEN, "%s", im->conf.n_dns ? im->conf.dns[0].text : "none");
	if (warnings)
		snprintf(cells[WARNINGS], CELL_LEN, "%zu", warnings);
	else
		snprintf(cells[WARNINGS], CELL_LEN, "-");
}

static void print_cells(char cells[COLUMNS][CELL_LEN], const int widths[COLUMNS], const char *path)
{
	for (int i = 0; i < COLUMNS; i++)
		printf("%-*s  ", widths[i], cells[i]);
	print_path(path);
	putchar('\n');
}

static void report_table(const struct import_table *table, const struct import_choice *choice)
{
	char heads[COLUMNS][CELL_LEN] = { "NAME", "STATE", "PROVIDER", "PLACE", "ENDPOINT", "IP", "DNS", "WARNINGS" }, cells[COLUMNS][CELL_LEN];
	int widths[COLUMNS];

	if (!table->n)
		return;
	for (int i = 0; i < COLUMNS; i++)
		widths[i] = (int)strlen(heads[i]);
	for (size_t i = 0; i < table->n; i++) {
		fill_cells(&table->rows[i], choice, cells);
		for (int j = 0; j < COLUMNS; j++)
			if ((int)strlen(cells[j]) > widths[j])
				widths[j] = (int)strlen(cells[j]);
	}
	print_cells(heads, widths, "FILE");
	for (size_t i = 0; i < table->n; i++) {
		fill_cells(&table->rows[i], choice, cells);
		print_cells(cells, widths, table->rows[i].file->path);
	}
}

static void report_counts(const struct import_table *table, const struct import_choice *choice)
{
	size_t written = 0, same = 0, refused = table->batch->n_refusals;

	for (size_t i = 0; i < table->n; i++) {
		const struct store_file *stored = table->rows[i].stored;

		written += stored && (stored->state == STORE_NEW || stored->state == STORE_REPLACES);
		same += !stored || stored->state == STORE_SAME;
		refused += import_row_refused(&table->rows[i]);
	}
	printf("%zu %s, %zu the same as before, %zu refused", written, choice->dry_run ? "to be imported" : "imported", same, refused);
	if (table->batch->others)
		printf(", %u other file%s not looked at", table->batch->others, table->batch->others == 1 ? "" : "s");
	putchar('\n');
}

int import_report(const struct import_table *table, const struct import_choice *choice)
{
	int r = report_words(table);

	report_table(table, choice);
	report_counts(table, choice);
	if (r < 0)
		log_error("the report is not complete: %s", strerror(-r));
	return out_flush() < 0 ? -EIO : r;
}
