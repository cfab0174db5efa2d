/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hoststate.h - how the host is reached and whom it reaches, in a few lines that a
 * journal keeps, so that `verify` can say later whether that still is so: its
 * rules, and the ways to the tunnel's endpoints and to the rest of the world.
 */
#pragma once

#include "conf.h"
#include "nl.h"

/* Of the namespace of `rt`, at the end of an up. The caller frees. -errno. */
int hoststate_read(struct rt *rt, const struct wg_iface *wg, struct strv *ret_lines);
/* The same lines, for the destinations that `before` names, as they are now. */
int hoststate_again(struct rt *rt, const struct strv *before, struct strv *ret_lines);

/*
 * What is another now, item by item: `ret_changes` has rules, gateways and tables, `ret_moved` the ways that
 * are others because the host is in another network (a laptop that was carried home). Both stay empty if nothing is.
 */
void hoststate_compare(const struct strv *before, const struct strv *now, struct buf *ret_changes, struct buf *ret_moved);
