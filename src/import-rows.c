/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "import-rows.h"

#include "log.h"

#define NETNS "%i" /* in place of a name */

/* ---- one row ---- */

#define FROM "# From "
#define CLEANED ", cleaned by wg-nsquick import.\n"

/* A file that was imported before begins with a line that says from which: it is that one again. */
static int find_origin(struct import_row *row)
{
	const char *text = row->file->record.import.text.data, *name = text + strlen(FROM), *end;

	row->clean = text;
	if (strncmp(text, FROM, strlen(FROM)) != 0)
		return 0;
	end = strstr(name, CLEANED);
	if (!end || memchr(name, '\n', (size_t)(end - name)) || memchr(name, '/', (size_t)(end - name)) || end == name)
		return 0;
	row->origin = strndup(name, (size_t)(end - name));
	row->clean = end + strlen(CLEANED);
	row->clean += *row->clean == '\n';
	return row->origin ? 0 : -ENOMEM;
}

/* What the tunnel is named after. (Standard input has no name.) */
static const char *name_source(const struct import_row *row)
{
	return row->origin && strcmp(row->origin, "-") != 0 ? row->origin : row->file->path;
}

/* `# NL-FREE#12`: in capitals, or words of a sentence would be taken for countries. */
static bool is_place_comment(const char *line)
{
	const char *p = line + 1 + strspn(line + 1, " ");

	return *line == '#' && p[0] >= 'A' && p[0] <= 'Z' && p[1] >= 'A' && p[1] <= 'Z' && (p[2] == '-' || p[2] == '#') && strcspn(p, "\n") < 32;
}

static struct import_place place_of_comment(const char *text)
{
	struct import_place place = { 0 };

	for (const char *line = text; line && !place.country; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		char comment[40];

		if (!is_place_comment(line))
			continue;
		snprintf(comment, sizeof(comment), "%.*s", (int)strcspn(line, "\n"), line);
		place = import_place(comment);
	}
	return place;
}

/* By the file's name, by the server's in a comment, by its host's. */
static int find_place(struct import_row *row)
{
	const struct conf *conf = &row->file->record.import.conf;
	_cleanup_free_ char *stem = NULL;
	int r = import_stem(name_source(row), &stem);

	if (r < 0)
		return r;
	row->place = import_place(stem);
	if (!row->place.country)
		row->place = place_of_comment(row->file->record.import.text.data);
	for (size_t i = 0; i < conf->wg.n_peers && !row->place.country; i++) {
		const struct peer *peer = &conf->wg.peers[i];
		const char *host = peer->n_endpoints ? peer->endpoints[peer->n_endpoints - 1].host : "";

		/* An address has no words, and the last part of a domain is no place. */
		if (strchr(host, ':') || !host[strspn(host, "0123456789.")])
			continue;
		free(stem);
		stem = strndup(host, strcspn(host, "."));
		if (!stem)
			return -ENOMEM;
		row->place = import_place(stem);
	}
	return 0;
}

/* As it is written: with a line that says where it came from. */
static int make_text(struct import_row *row)
{
	const char *base = strrchr(row->file->path, '/');
	_cleanup_buf_ struct buf shown = { 0 };

	if (import_show_name(row->origin ? row->origin : base ? base + 1 : row->file->path, &shown) < 0)
		return -ENOMEM;
	/* What is written is clean itself: an empty line stands before a section. */
	buf_fmt(&row->text, FROM "%s" CLEANED "%s%s", shown.data, *row->clean == '[' ? "\n" : "", row->clean);
	return row->text.failed ? -ENOMEM : 0;
}

/* Of each row in the same words, so that they can be counted: no namespace is named. */
static int add_warning(struct import_row *row, const char *text)
{
	static const char named[] = "namespace " NETNS;
	_cleanup_buf_ struct buf words = { 0 };

	for (const char *at; (at = strstr(text, named)); text = at + strlen(named)) {
		buf_add(&words, text, (size_t)(at - text));
		buf_str(&words, "its namespace");
	}
	buf_str(&words, text);
	if (words.failed)
		return -ENOMEM;
	finding_add(&row->findings, FIND_WARNING, 0, "%s", words.data);
	return row->findings.failed ? -ENOMEM : 0;
}

/* What `check` would say. */
static int check_row(struct import_row *row, struct conf *conf)
{
	const struct lint_place place = { .netns = NETNS, .create = true };
	struct findings f = { 0 };
	int r;

	strcpy(conf->iface, "%i");
	lint(conf, &place, &f);
	r = f.failed ? -ENOMEM : 0;
	for (size_t i = 0; i < f.n && r == 0; i++)
		if (f.items[i].severity == FIND_WARNING)
			r = add_warning(row, f.items[i].text);
	findings_free(&f);
	return r;
}

/* ---- all of them ---- */

static int by_row_name(const void *a, const void *b)
{
	const struct import_row *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	if (r == 0)
		r = (x->same_as != NULL) - (y->same_as != NULL);
	return r ? r : strcmp(x->file->path, y->file->path);
}

static int name_rows(const struct import_batch *batch, const char *name, struct store *store, struct import_table *table, struct import_item *items)
{
	int r = 0;

	for (size_t i = 0; i < batch->n_files && r == 0; i++) {
		struct import_row *row = &table->rows[i];

		row->file = &batch->files[i];
		r = find_origin(row);
		items[i].path = name_source(row);
		items[i].text = row->clean;
	}
	if (r == 0 && name && batch->n_files == 1)
		strcpy(items[0].name, name);
	else if (r == 0)
		r = import_assign(items, batch->n_files, &store->map);
	for (size_t i = 0; i < batch->n_files && r == 0; i++) {
		struct import_row *row = &table->rows[i];

		strcpy(row->name, items[i].name);
		row->same_as = items[i].same_as ? batch->files[items[i].same_as - 1].path : NULL;
		r = find_place(row);
		if (r == 0)
			r = make_text(row);
		if (r == 0)
			r = check_row(row, (struct conf *)&batch->files[i].record.import.conf);
		free(items[i].identity);
	}
	if (r == 0 && batch->n_files)
		qsort(table->rows, batch->n_files, sizeof(*table->rows), by_row_name);
	return r;
}

static void list_files(struct import_table *table)
{
	for (size_t i = 0; i < table->n; i++) {
		if (table->rows[i].same_as)
			continue;
		table->rows[i].stored = &table->files[table->n_files];
		table->files[table->n_files++] = (struct store_file){ .name = table->rows[i].name, .text = &table->rows[i].text };
	}
}

/* A name that was not given in the end is not to be remembered. */
static void forget_refused(struct import_table *table, struct import_map *map, size_t known)
{
	size_t n = known < map->n ? known : map->n;

	for (size_t i = n; i < map->n; i++) {
		bool refused = false;

		for (size_t j = 0; j < table->n_files && !refused; j++)
			refused = table->files[j].state == STORE_EXISTS && strcmp(table->files[j].name, map->entries[i].name) == 0;
		if (refused)
			free(map->entries[i].identity);
		else
			map->entries[n++] = map->entries[i];
	}
	map->n = n;
}

static int remember_given(const struct import_table *table, const char *name, struct import_map *map)
{
	const char *source = name_source(&table->rows[0]);
	_cleanup_free_ char *stem = NULL;
	int r;

	/* Standard input comes from elsewhere every time. */
	if (table->files[0].state == STORE_EXISTS || strcmp(source, "-") == 0)
		return 0;
	r = import_stem(source, &stem);
	return r < 0 ? r : import_map_set(map, name, stem);
}

int import_rows_make(const struct import_batch *batch, const struct import_choice *choice, struct store *store, struct import_table *ret_table)
{
	struct import_table table = { .batch = batch };
	_cleanup_free_ struct import_item *items = calloc(batch->n_files + 1, sizeof(*items));
	size_t known = store->map.n;
	int r = -ENOMEM;

	table.rows = calloc(batch->n_files + 1, sizeof(*table.rows));
	table.files = calloc(batch->n_files + 1, sizeof(*table.files));
	table.n = batch->n_files;
	if (items && table.rows && table.files)
		r = name_rows(batch, choice->name, store, &table, items);
	if (r == 0) {
		list_files(&table);
		store_compare(store, table.files, table.n_files, choice->force);
		r = import_warn(&table, store);
	}
	if (r == 0 && table.n_files && choice->name)
		r = remember_given(&table, choice->name, &store->map);
	else if (r == 0)
		forget_refused(&table, &store->map, known);
	if (r == -ENOMEM)
		log_error("out of memory");
	if (r == 0 && !choice->dry_run && table.n_files)
		r = store_write(store, table.files, table.n_files);
	*ret_table = table;
	return r;
}

void import_table_free(struct import_table *table)
{
	for (size_t i = 0; i < table->n && table->rows; i++) {
		findings_free(&table->rows[i].findings);
		buf_free(&table->rows[i].text);
		free(table->rows[i].origin);
	}
	free(table->rows);
	free(table->files);
	findings_free(&table->warnings);
	*table = (struct import_table){ 0 };
}

const char *import_state_name(const struct import_row *row, const struct import_choice *choice)
{
	if (!row->stored)
		return "same";
	switch (row->stored->state) {
	case STORE_NEW:
		return choice->dry_run ? "would be new" : "new";
	case STORE_SAME:
		return "same";
	case STORE_REPLACES:
		return choice->dry_run ? "would replace" : "replaced";
	case STORE_EXISTS:
		return "exists";
	default:
		return "failed";
	}
}

bool import_row_refused(const struct import_row *row)
{
	return row->stored && (row->stored->state == STORE_EXISTS || row->stored->state == STORE_FAILED);
}

const char *import_endpoint(const struct import_row *row)
{
	const struct wg_iface *wg = &row->file->record.import.conf.wg;

	for (size_t i = 0; i < wg->n_peers; i++)
		if (wg->peers[i].n_endpoints)
			return wg->peers[i].endpoints[wg->peers[i].n_endpoints - 1].text;
	return "";
}

bool import_has_family(const struct import_row *row, int family)
{
	const struct conf *conf = &row->file->record.import.conf;
	struct prefix prefix;

	for (size_t i = 0; i < conf->n_addresses; i++)
		if (parse_address(conf->addresses[i].text, &prefix) == 0 && prefix.family == family)
			return true;
	return false;
}
