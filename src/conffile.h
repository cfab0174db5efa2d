/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conffile.h - from wg-quick's CONFIG_FILE | INTERFACE argument to an opened, read file (spec A.2, A.3). */
#pragma once

#include "conf.h"

#define CONFIG_DIR "/etc/wireguard"

/*
 * Finds, opens once and reads the file, warns as wg-quick does when it is
 * world accessible, and takes wg-quick's half of the parse. Fills conf->path
 * and conf->iface. -EINVAL: the text is wrong, *ret_error says how. Other
 * errors are told. The caller frees with conf_free().
 */
int conffile_load(const char *argument, struct conf *conf, struct conf_error *ret_error);
/* The same with every error told: 0 or -1. */
int conffile_read(const char *argument, struct conf *conf);
/*
 * For who read a file, and then had to wait for its tunnel's lock: whether it was changed since,
 * so that no older text is applied, or written over a newer one.
 */
bool conffile_changed(const char *argument, const struct conf *conf);
/* With `read' once more if it was. 0 or -1, told. */
int conffile_refresh(const char *argument, int (*read)(const char *argument, struct conf *conf), struct conf *conf);
/* wg's half. The same answers. */
int conffile_read_wg(struct conf *conf);
/*
 * The same for who is about to write the file anew from the device, as wg-quick
 * does whatever is in it: what is wrong is warned of, and left out. -1: no memory.
 */
int conffile_read_wg_to_save(struct conf *conf);
/*
 * Hooks run as root: a file of hooks that others may write is refused (strict: -1, told), or
 * warned of. `run_hooks': whether they are going to be run at all.
 */
int conffile_check_writers(const struct conf *conf, bool run_hooks, bool strict);
/* "PROGRAM: FILE:LINE: text" */
void conffile_error(const struct conf *conf, const struct conf_error *error);
