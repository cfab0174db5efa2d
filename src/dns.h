/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dns.h - the resolver files of a namespace: DIR/resolv.conf and
 * DIR/nsswitch.conf, where DIR is /etc/netns/NAME, or a folder under RUN_DIR
 * for a namespace without a name.
 *
 * Programs inside have these files bound over /etc: they are written in place,
 * since a rename would leave those programs with the old ones.
 */
#pragma once

#include "journal.h"

/* The folder. The caller frees; NULL when memory is out. */
char *dns_dir(const char *ns_name, ns_cookie cookie);

/*
 * Makes the folder and the files so that they can be bound: whoever looks a
 * name up before DNS is set gets no answer, never the host's. A resolv.conf of
 * somebody else's stays as it is until dns_write(). Notes in `record` what it made.
 */
int dns_prepare(struct ns_record *record);

/*
 * Writes resolv.conf from the items (servers and search domains, as in DNS
 * lines) of all tunnels in the namespace. Somebody else's file is saved first, once.
 */
int dns_write(struct ns_record *record, const struct strv *items);

/* Takes back what dns_prepare() and dns_write() did. Goes on after errors and answers the first. */
int dns_restore(const struct ns_record *record);

/* Pure: the text of resolv.conf for these items, and nsswitch.conf with lookups of hosts by files and DNS only. */
void dns_format_resolv(const struct strv *items, struct buf *text);
void dns_format_nsswitch(const char *host_text, struct buf *text);
