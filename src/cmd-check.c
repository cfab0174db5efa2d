/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check: everything that is wrong with a file, or will not do what it reads
 * like, at once. It changes nothing, asks no name server, and needs no root
 * where the file can be read without.
 */
#include <net/if.h>

#include "cmd.h"
#include "conffile.h"
#include "lint.h"
#include "log.h"
#include "out.h"
#include "place.h"

static const char *const severity_names[] = {
	[FIND_ERROR] = "error",
	[FIND_WARNING] = "warning",
	[FIND_NOTE] = "note",
};

static void add_error(const struct conf_error *error, void *arg)
{
	finding_add(arg, FIND_ERROR, error->line, "%s", error->text);
}

/* Names of links of the namespace that this runs in, for when it is the host's. */
static struct if_nameindex *list_links(struct strv *ret_names)
{
	struct if_nameindex *links = if_nameindex();

	for (size_t i = 0; links && links[i].if_name; i++)
		if (strcmp(links[i].if_name, "lo") != 0)
			(void)strv_add(ret_names, links[i].if_name, strlen(links[i].if_name));
	return links;
}

/* The plan finds what no parser looks at: addresses, MTU, table. */
static void try_plan(struct conf *conf, struct conf_error *error)
{
	_cleanup_plan_ struct plan plan = { 0 };
	uint32_t table;
	int status;

	(void)plan_up(conf, &plan, error, &status);
	if (cmd_table(conf, error, &table) < 0)
		conf->table = TABLE_AUTO; /* there is no more to say of it */
}

/* Where `up` would make it; without root as far as names tell. */
static void find_where(const struct options *options, const struct conf *conf, struct findings *f, struct place *place, struct settings *settings)
{
	char error[512];
	int r;

	if (cmd_settings_quiet(options, conf->iface, settings, error) < 0) {
		finding_add(f, FIND_ERROR, 0, "%s", error);
		return;
	}
	if (geteuid() != 0)
		return;
	r = place_find(settings, conf->iface, place, error);
	/* The machine's fault, not the file's. */
	if (r < 0)
		finding_add(f, FIND_WARNING, 0, "%s", r == -EINVAL ? error : strerror(-r));
}

static void lint_there(const struct options *options, const struct conf *conf, struct findings *f)
{
	_cleanup_settings_ struct settings settings = { 0 };
	_cleanup_place_ struct place place = { .host_fd = -1, .target_fd = -1, .transport_fd = -1 };
	struct strv links = { 0 };
	struct lint_place where = { .create = true };
	struct if_nameindex *index = NULL;

	find_where(options, conf, f, &place, &settings);
	if (conf->n_hooks && conf->writers)
		finding_add(f, settings.strict_files ? FIND_ERROR : FIND_WARNING, 0, "it has hooks, and others than root could change them: %s", conf->writers);
	where.netns = settings.netns ? settings.netns : conf->iface;
	if (place.name || place.path || place.inside) {
		where.netns = place_target(&place);
		/* Our own tunnel's namespace counts as made by us: it has nothing else in it. */
		where.create = place.create || (place.name && strcmp(place.name, conf->iface) == 0);
	}
	if (!place.inside)
		index = list_links(&links);
	where.host_links = (const char *const *)links.v;
	where.n_host_links = links.n;
	lint(conf, &where, f);
	if (index)
		if_freenameindex(index);
	strv_free(&links);
}

static void print_count(struct buf *text, size_t n, const char *name)
{
	if (n)
		buf_fmt(text, "%s%zu %s%s", text->len ? ", " : "", n, name, n == 1 ? "" : "s");
}

static int print_findings(const struct conf *conf, struct findings *f)
{
	_cleanup_buf_ struct buf summary = { 0 };

	findings_sort(f);
	for (size_t i = 0; i < f->n; i++) {
		const struct finding *finding = &f->items[i];

		if (finding->line)
			printf("%s:%u: %s: %s\n", conf->path, finding->line, severity_names[finding->severity], finding->text);
		else
			printf("%s: %s: %s\n", conf->path, severity_names[finding->severity], finding->text);
	}
	for (enum severity s = FIND_ERROR; s <= FIND_NOTE; s++)
		print_count(&summary, findings_count(f, s), severity_names[s]);
	printf("%s: %s\n", conf->path, summary.len ? summary.data : "nothing to say");
	if (f->failed)
		log_error("out of memory");
	if (out_flush() < 0 || f->failed)
		return 1;
	return findings_count(f, FIND_ERROR) > 0;
}

int cmd_check(const struct options *options, char **args)
{
	CLEANUP(conf_free) struct conf conf = { 0 };
	CLEANUP(findings_free) struct findings f = { 0 };
	struct conf_error error = { .each = add_error, .arg = &f };
	int r = conffile_load(args[0], &conf, &error);

	if (r == 0 || r == -EINVAL)
		r = conf_parse_wg(&conf, NULL, &error);
	if (r < 0 && r != -EINVAL)
		return 1;
	try_plan(&conf, &error);
	lint_there(options, &conf, &f);
	return print_findings(&conf, &f);
}
