/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd.h"
#include "conffile.h"
#include "log.h"

int cmd_strip(const struct options *options, char **args)
{
	CLEANUP(conf_free) struct conf conf = { 0 };
	int r;

	(void)options;
	if (conffile_read(args[0], &conf) < 0)
		return 1;
	buf_str(&conf.stripped, "\n");
	r = conf.stripped.failed ? -ENOMEM : write_all(STDOUT_FILENO, conf.stripped.data, conf.stripped.len);
	if (r < 0)
		log_error("cannot write to standard output: %s", strerror(-r));
	return r < 0;
}
