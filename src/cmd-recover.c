/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-recover.c - recover: what killed runs left is undone. */
#include "cmd.h"
#include "journal.h"
#include "log.h"
#include "ns.h"
#include "rescue.h"
#include "tunnel.h"

/* What was done to the host, once the tunnels' own are ended and undone. */
static int recover_host(const struct options *options)
{
	_cleanup_settings_ struct settings settings = { 0 };
	_cleanup_fd_ int host = -1, lock = -1;
	int r;

	/* Settings that cannot be read were told; that is no reason to leave the host as it is. */
	(void)cmd_settings(options, NULL, &settings);
	r = ns_open_outermost(&host);
	if (r < 0)
		return r;
	r = rescue_begin(&lock);
	if (r == 0)
		r = rescue_dead(host, settings.foreign.n ? &settings.foreign : NULL);
	rescue_end(&lock);
	return r;
}

int cmd_recover(const struct options *options, char **args)
{
	int r = journal_prepare(), status = 0;

	(void)args;
	if (r < 0) {
		log_error("cannot write to " RUN_DIR ": %s; expected a writable /run", strerror(-r));
		return 1;
	}
	/* What one of them cannot do, it tells, and keeps no other from what it can. */
	if (tunnel_recover(NULL, false) < 0)
		status = 1;
	r = recover_host(options);
	if (r < 0 && r != -EREMCHG)
		log_error("cannot put back what was done to the host: %s", strerror(-r));
	status |= r < 0;
	r = tunnel_recover_files();
	if (r < 0)
		log_error("cannot put back the files of namespaces that are gone: %s", strerror(-r));
	return status | (r < 0);
}
