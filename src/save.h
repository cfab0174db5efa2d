/* SPDX-License-Identifier: GPL-2.0-or-later */
/* save.h - the live tunnel written back to its file. */
#pragma once

#include "journal.h"
#include "nl.h"

/*
 * The calling thread is in the target namespace, `rt` too. The file is replaced
 * atomically, mode 0600; a symlink to it stays. Returns an exit status; what failed was told.
 */
int save_tunnel(const struct conf *conf, const struct journal *journal, struct rt *rt);
