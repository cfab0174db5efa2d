/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reload.h - from what a running tunnel has to what its edited file wants, in
 * the worker, all or nothing: what it had is written down first, and restored
 * when a step fails, the guard is tripped, or whoever did it is killed.
 */
#pragma once

#include "live.h"
#include "txn.h"

struct reload {
	const struct live *before;
	const struct live *wanted;
	bool dns;	     /* the DNS items of txn->conf are new */
	uint32_t auto_fwmark; /* for the journal: the mark that nobody asked for, 0: none */
};

/* What the tunnel of txn->journal has. The caller frees with live_free(). -errno. */
int reload_read(struct txn *txn, struct live *ret_live);

/*
 * Completes what merge_wanted() made of the file: an automatic MTU, a mark for a default
 * route that is new. 0, or an exit status, told: it takes more than a reload.
 */
int reload_complete(struct txn *txn, const struct live *before, struct live *wanted, uint32_t *ret_auto_fwmark);

/* 0, or an exit status, told and undone. The caller stands in the target namespace. */
int txn_reload(struct txn *txn, const struct reload *reload);

/* Whether a reload of that tunnel was cut off. */
bool reload_interrupted(const struct journal *j);
int reload_undo(struct txn *txn, const struct undo *undo);
