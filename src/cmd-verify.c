/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-verify.c - verify: the proof, point by point. */
#include <jansson.h>

#include "cmd.h"
#include "json.h"
#include "log.h"
#include "out.h"
#include "verify.h"

static void print_points(const struct verify *verify, struct buf *text)
{
	bool colours = out_wants_colours();

	for (size_t i = 0; i < verify->n; i++) {
		const struct verify_point *p = &verify->points[i];

		if (colours)
			buf_str(text, p->holds ? "\033[32m" : "\033[31m");
		buf_str(text, p->holds ? "\u2713" : "\u2717");
		if (colours)
			buf_str(text, "\033[0m");
		buf_fmt(text, " %-10s %s\n", p->name, p->text);
	}
}

static int print_json(const struct verify *verify, const char *iface, struct buf *text)
{
	_cleanup_free_ char *document = NULL;
	json_t *points = json_array(), *root;

	for (size_t i = 0; i < verify->n; i++)
		json_array_append_new(points, json_pack("{s:s, s:b, s:o}", "name", verify->points[i].name, "holds", verify->points[i].holds, "text",
							json_text(verify->points[i].text)));
	root = json_pack("{s:i, s:s, s:b, s:o}", "version", 1, "interface", iface, "holds", verify_holds(verify), "points", points);
	document = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
	json_decref(root);
	if (!document)
		return -ENOMEM;
	buf_fmt(text, "%s\n", document);
	return 0;
}

int cmd_verify(const struct options *options, char **args)
{
	_cleanup_settings_ struct settings settings = { 0 };
	_cleanup_report_ struct report report = { 0 };
	_cleanup_verify_ struct verify verify = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	const char *iface = args[0];
	int r;

	if (!iface_name_valid(iface)) {
		log_error("`%s' is not the name of an interface", iface);
		return 1;
	}
	if (cmd_settings(options, iface, &settings) < 0)
		return 1;
	r = report_tunnel(iface, options->netns, &report);
	if (r == -ENOTUNIQ)
		return 1;
	if (r < 0 && r != -ENOENT) {
		log_error("%s: cannot see whether it is up: %s", iface, strerror(-r));
		return 1;
	}
	if (r < 0 || report.tunnels[0].state == REPORT_DOWN) {
		log_error("`%s' is not up; expected `%s up %s' first", iface, log_program(), iface);
		return 1;
	}
	if (report.tunnels[0].txn.transport_fd < 0) {
		log_error("%s: its transport namespace (%s) cannot be opened any more", iface, report.tunnels[0].txn.journal.transport);
		return 1;
	}
	r = verify_run(&report.tunnels[0], settings.dbus == DBUS_MASKED, &verify);
	if (r == 0 && options->json)
		r = print_json(&verify, iface, &text);
	else if (r == 0)
		print_points(&verify, &text);
	if (r < 0) {
		log_error("out of memory");
		return 1;
	}
	if (out_text(&text) < 0)
		return 1;
	return verify_holds(&verify) ? 0 : 1;
}
