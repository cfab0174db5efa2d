/* SPDX-License-Identifier: GPL-2.0-or-later */
/* import-json.c - the report for programs. */
#include <jansson.h>

#include "import-rows.h"
#include "log.h"
#include "out.h"

/* Nothing of the file's that is no UTF-8, and no key. */
static json_t *shown_name(const char *name)
{
	_cleanup_buf_ struct buf shown = { 0 };

	return import_show_name(name, &shown) == 0 ? json_string(shown.data) : NULL;
}

static json_t *list_findings(const struct findings *f, enum severity severity, const char *key, json_t *list)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->items[i].severity == severity)
			json_array_append_new(list, json_pack("{s:I, s:o}", "line", (json_int_t)f->items[i].line, key, shown_name(f->items[i].text)));
	return list;
}

static json_t *list_hooks(const struct import *im)
{
	static const char *const fates[HOOK_FATES] = {
		[HOOK_FATE_DROPPED] = "dropped",
		[HOOK_FATE_KILL_SWITCH] = "kill-switch",
		[HOOK_FATE_KEPT] = "kept",
	};
	json_t *list = json_array();

	for (size_t i = 0; i < im->n_hooks; i++) {
		const struct import_hook *hook = &im->hooks[i];
		_cleanup_buf_ struct buf shown = { 0 };

		if (import_show(hook->text, &shown) == 0)
			json_array_append_new(list, json_pack("{s:I, s:s, s:s, s:s}", "line", (json_int_t)hook->line, "kind", hook_names[hook->kind], "text", shown.data, "fate",
							      fates[hook->fate]));
	}
	return list;
}

static json_t *list_items(const struct item *items, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, shown_name(items[i].text));
	return list;
}

static json_t *describe_row(const struct import_row *row, const struct import_choice *choice)
{
	const struct import *im = &row->file->record.import;
	json_t *warnings = list_findings(&im->findings, FIND_WARNING, "text", json_array());
	const char *provider = im->provider ? provider_name(im->provider) : NULL;

	list_findings(&row->findings, FIND_WARNING, "text", warnings);
	return json_pack("{s:s, s:o, s:s, s:s?, s:s?, s:s?, s:s?, s:o, s:o, s:o, s:o, s:o, s:o}", "name", row->name, "source", shown_name(row->file->path), "state",
			 import_state_name(row, choice), "provider", provider, "country", row->place.country ? row->place.country->name : NULL, "country_code",
			 row->place.country ? row->place.country->code : NULL, "city", row->place.city ? row->place.city->name : NULL, "endpoint", shown_name(import_endpoint(row)),
			 "addresses", list_items(im->conf.addresses, im->conf.n_addresses), "dns", list_items(im->conf.dns, im->conf.n_dns), "changes",
			 list_findings(&im->findings, FIND_NOTE, "text", json_array()), "warnings", warnings, "hooks", list_hooks(im));
}

static json_t *list_refusals(const struct import_table *table)
{
	const struct import_batch *batch = table->batch;
	json_t *list = json_array();

	for (size_t i = 0; i < batch->n_refusals; i++)
		json_array_append_new(list, json_pack("{s:o, s:I, s:o}", "source", shown_name(batch->refusals[i].path), "line", (json_int_t)batch->refusals[i].line, "error",
						      shown_name(batch->refusals[i].why)));
	return list;
}

int import_report_json(const struct import_table *table, const struct import_choice *choice)
{
	json_t *rows = json_array(), *root;
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < table->n; i++)
		json_array_append_new(rows, describe_row(&table->rows[i], choice));
	root = json_pack("{s:i, s:b, s:s, s:o, s:o, s:o, s:I}", "version", 1, "dry_run", choice->dry_run, "map", IMPORT_DIR "/" IMPORT_MAP, "files", rows, "refused", list_refusals(table), "warnings",
			 list_findings(&table->warnings, FIND_WARNING, "text", list_findings(&table->warnings, FIND_NOTE, "text", json_array())), "others",
			 (json_int_t)table->batch->others);
	/* An element that could not be made is missing, and a root that could not be is NULL. */
	text = root && json_array_size(rows) == table->n ? json_dumps(root, JSON_INDENT(2)) : NULL;
	json_decref(root);
	if (!text) {
		log_error("out of memory");
		return -ENOMEM;
	}
	puts(text);
	return out_flush();
}
