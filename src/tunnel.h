/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tunnel.h - the tunnels that are up, by their journals: finding one, recovering what killed runs left, one key in two places. */
#pragma once

#include "txn.h"

/*
 * The tunnel of that name: in `netns` (a name or path, NULL: not said), else
 * where the caller stands, else the only one there is. Fills txn->journal and
 * opens what it names. 0; -ENOENT: there is none; -ENOTUNIQ: there are
 * several, and the message has been printed; -errno.
 */
int tunnel_find(const char *iface, const char *netns, struct txn *txn);
/* The same for who must enter its namespace: -ENOTUNIQ, too, with the message, when that has no name and is not said. */
int tunnel_reach(const char *iface, const char *netns, struct txn *txn);

/* Whether the device that the journal speaks of is there, by index and kind: 1, 0, or -errno where that cannot be told. */
int tunnel_alive(const struct txn *txn);

/*
 * tunnel_reach() for what needs the device. -ENODEV: it is not up, or what is left of it; each
 * command has words of its own for that. Any other error was told.
 */
int tunnel_reach_alive(const char *iface, const char *netns, struct txn *txn);

/* wg_read() and wg_apply() for its device, also if somebody renamed that. The caller stands in the target namespace. */
int tunnel_wg_read(const struct txn *txn, struct wg_iface *ret_wg);
int tunnel_wg_apply(const struct txn *txn, const struct wg_iface *wg);

/*
 * Undoes what runs left that were killed, and what lost its device: every journal
 * whose lock is free and which is not alive. Says so. `iface` NULL: all of them.
 * `locked`: the caller already holds the lock of `iface`. Returns how many were undone, or -errno.
 */
int tunnel_recover(const char *iface, bool locked);
/* Also what a power cut left in files: resolvers of namespaces that are gone. -errno. */
int tunnel_recover_files(void);

/*
 * The start of every up, down and save: the lock of that name, and what a killed run of it
 * left undone, beside its file `config` (NULL: not known), too. -errno, told: somebody else
 * is at work (-EAGAIN), or /run cannot be written.
 */
int tunnel_lock(const char *iface, const char *config, int *ret_lock);
/* The same for who has no use for the tunnel as it is: a reload that cannot be undone is told, and no error. */
int tunnel_lock_to_leave(const char *iface, const char *config, int *ret_lock);

#define KEY_IN_USE "a device with this public key already exists: %s; two of them take each other's session (--force does it all the same)"

/* Who else on this machine has this public key: *ret_where "wg0 in network namespace x" (the caller frees), or -ENOENT. */
int tunnel_key_in_use(const struct key *public_key, const struct place *place, char **ret_where);
/* The same by the journals alone, those of other runs included; under the shared lock, where each run notes its own. 1 with it, 0 or -errno. */
int tunnel_key_is_noted(const struct key *public_key, char **ret_where);
