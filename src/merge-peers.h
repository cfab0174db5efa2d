/* SPDX-License-Identifier: GPL-2.0-or-later */
/* merge-peers.h - what the rooms of merge share. For merge*.c only. */
#pragma once

#include "merge.h"

/* What WireGuard is to have; routes and addresses are others' work. -ENOMEM. */
int merge_want_wg(const struct merge *m, struct wg_iface *wanted);
