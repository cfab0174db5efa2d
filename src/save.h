/* SPDX-License-Identifier: GPL-2.0-or-later */
/* save.h - the live tunnel written back to its file. */
#pragma once

#include "txn.h"

/*
 * The calling thread is in the target namespace. The file is replaced
 * atomically, mode 0600; a symlink to it stays. Returns an exit status; what failed was told.
 */
int save_tunnel(const struct txn *txn);

/* Removes what a killed save left beside the file `config`, which has its keys, and says so. The caller holds the lock of `iface`. */
void save_sweep(const char *iface, const char *config);
/* The same for all files in CONFIG_DIR whose tunnels no run is at work on. A power cut leaves no journal that names them. */
void save_sweep_folder(void);
