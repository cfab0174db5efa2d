/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd.h"
#include "conffile.h"
#include "out.h"

int cmd_strip(const struct options *options, char **args)
{
	CLEANUP(conf_free) struct conf conf = { 0 };

	(void)options;
	if (conffile_read(args[0], &conf) < 0)
		return 1;
	buf_str(&conf.stripped, "\n");
	return out_text(&conf.stripped) < 0;
}
