/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * merge.h - what an edited file asks of a running tunnel: the file as it was
 * when it was last applied, the file as it is, and what the tunnel has. What
 * did not change in the file stays as the tunnel has it, so that what hooks or
 * people set since is not lost. Pure.
 */
#pragma once

#include "live.h"

/*
 * The file as it is applied, for the next reload to compare with: in the file's own
 * form, without secrets (keys are zero, hooks are told by a number). -ENOMEM.
 */
int outline_write(const struct conf *conf, struct buf *ret_text);
/* Back. -EBADMSG. The caller frees with conf_free(), also after a failure. */
int outline_read(const char *text, size_t len, struct conf *conf);

/*
 * What no reload does: take everything away (that is a file that was cut off); hooks that changed (they are not run), a Table whose rules are
 * in use. `outline` is from outline_read(). -EINVAL with *ret_error.
 */
int merge_check(const struct conf *outline, const struct conf *conf, struct conf_error *ret_error);

/*
 * Marks the endpoints that need not be resolved: those of the device's peers whose text is as it was, and
 * those that were. -ENOMEM.
 */
int merge_know_endpoints(const struct conf *outline, const struct live *live, struct conf *conf);

struct merge {
	const struct conf *outline;
	const struct conf *conf; /* the endpoints left in it are resolved */
	const struct live *live;
	uint32_t outline_table, table; /* numbers, where the files name one; else the main table */
};

/*
 * The state that the tunnel is to have. `mtu` is 0 if it is to be found out anew: MTU was
 * taken out of the file. -ENOMEM; -EINVAL with *ret_error for an Address or MTU that is none.
 */
int merge_wanted(const struct merge *merge, struct live *ret_wanted, struct conf_error *ret_error);
bool merge_dns_changed(const struct conf *outline, const struct conf *conf);
