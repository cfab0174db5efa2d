/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * applied.h - what a tunnel's file said when it was applied, and during a reload what
 * the tunnel had before: RUN_DIR/applied/IFACE@COOKIE.N, which the journal names by
 * N, and IFACE@COOKIE.before. The second holds keys, and is gone when the reload ends.
 * Both end with the number of their lines, so that one that is lost is missed.
 */
#pragma once

#include "journal.h"
#include "live.h"

#define APPLIED_DIR RUN_DIR "/applied"

/* Writes the outline of a file (merge.h), and the journal so that it is the valid one. */
int applied_save(struct journal *j, const struct conf *conf);
/* -ENOENT: there is none; -EBADMSG: it is not whole. `conf` is freed by the caller also after a failure. */
int applied_load(const struct journal *j, struct conf *conf);

int before_save(const struct journal *j, const struct live *live);
/* -ENOENT: no reload is under way; -EBADMSG: it is not whole. */
int before_load(const struct journal *j, struct live *ret_live);
void before_remove(const struct journal *j);

/* What a reload that was killed at its begin or end left beside the valid outline. The caller holds the tunnel's lock. */
/* True: there was something. */
bool applied_sweep(const struct journal *j);
/* All of them, before the journal. -errno: one is left. */
int applied_remove(const struct journal *j);
/* The same where no journal says which there are. */
int applied_remove_unknown(const char *iface, ns_cookie cookie);
