/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-status.c - status: what is up, and how it does. */
#include "cmd.h"
#include "log.h"
#include "out.h"
#include "report.h"

/* As systemctl(1) has it for what does not run. */
enum { EXIT_DEGRADED = 2, EXIT_DOWN = 3 };

/* How many peers of each tunnel a table of all tunnels shows. */
#define PEERS_SHOWN 5

static int collect(const char *iface, const char *netns, struct report *report)
{
	_cleanup_free_ char *file = NULL;
	int r;

	if (!iface)
		return report_all(report);
	r = report_tunnel(iface, netns, report);
	if (r != -ENOENT)
		return r;
	/* One that could be is down; of one that nobody knows nothing can be said. */
	if (asprintf(&file, "/etc/wireguard/%s.conf", iface) < 0)
		return -ENOMEM;
	return access(file, F_OK) == 0 ? 0 : -ENOENT;
}

static int show(const struct report *report, const char *iface, bool json)
{
	_cleanup_free_ char *document = json ? report_json(report) : NULL;
	_cleanup_buf_ struct buf text = { 0 };

	if (document)
		buf_fmt(&text, "%s\n", document);
	else if (json)
		text.failed = true;
	else
		report_print(report, out_wants_colours(), iface ? 0 : PEERS_SHOWN, &text);
	if (!json && !report->n_tunnels && iface)
		buf_fmt(&text, "%s is down\n", iface);
	else if (!json && !report->n_tunnels)
		buf_str(&text, "no tunnel is up\n");
	return out_text(&text);
}

int cmd_status(const struct options *options, char **args)
{
	_cleanup_report_ struct report report = { 0 };
	const char *iface = args[0];
	int r;

	if (iface && !iface_name_valid(iface)) {
		log_error("`%s' is not the name of an interface", iface);
		return 1;
	}
	if (!iface && options->netns) {
		log_error("--netns says which INTERFACE of several is meant; expected status INTERFACE --netns %s", options->netns);
		return 1;
	}
	r = collect(iface, options->netns, &report);
	if (r == -ENOENT)
		log_error("`%s' is not up, and there is no /etc/wireguard/%s.conf", iface, iface);
	else if (r < 0 && r != -ENOTUNIQ)
		log_error("cannot read the journals in " RUN_DIR ": %s", strerror(-r));
	if (r < 0 || show(&report, iface, options->json) < 0)
		return 1;
	switch (report_state(&report)) {
	case REPORT_UP:
		return 0;
	case REPORT_DEGRADED:
		return EXIT_DEGRADED;
	default:
		return EXIT_DOWN;
	}
}
