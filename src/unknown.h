/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unknown.h - tunnels whose journal could not be read. It was set aside, and its
 * name is all that is known: the interface's, and the namespace's cookie. Such a tunnel
 * is not taken down, as that would be guessed; its namespace is not taken from
 * under it; and once its interface is gone, what bears its name goes as well.
 */
#pragma once

#include "journal.h"

/* Whether what may be one is in this namespace, which no other tunnel is: 1 (told), 0 or -errno. */
int unknown_is_in(int ns_fd, const struct ns_record *record);
/* Tells how the one of that name is taken away, where its interface still is. `ns_fd` -1: in any namespace that has a name, and the caller's. */
void unknown_tell_way_out(const char *iface, int ns_fd);

/* Whether something may be left of one that was in this namespace: 1, 0 or -errno. */
int unknown_was_in(const struct ns_record *record);
/* Whether none is up any more. False, too, when that cannot be seen. */
bool unknown_is_gone(const struct ns_record *record);
/* Takes away what bears their names, once they are gone: rooms, outlines, and the journals set aside; tells what cannot be. Goes on after errors, and answers the first. */
int unknown_leave(const struct ns_record *record);
/*
 * The same, told, of a namespace that goes on: as any that lost its last tunnel, for programs may be inside for long.
 * `superseded`: see namespace_is_superseded().
 */
void unknown_sweep(struct ns_record *record, bool superseded);
