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
/* The one of a tunnel's namespace, by its record: a namespace may have two names, or have had none when the first tunnel came. -errno. The caller frees. */
int dns_dir_of(const struct journal *j, char **ret_dir);

/*
 * Makes the folder and the files so that they can be bound: whoever looks a
 * name up before DNS is set gets no answer, never the host's. A resolv.conf of
 * somebody else's stays as it is until dns_write(). Saves `record` before it makes the folder.
 * *ret_what, a constant: the folder that an error is about.
 */
int dns_prepare(struct ns_record *record, const char **ret_what);

/*
 * Writes resolv.conf from the items (servers and search domains, as in DNS
 * lines) of all tunnels in the namespace. Somebody else's file is saved first, once.
 */
int dns_write(const struct ns_record *record, const struct strv *items);
/* Whether resolv.conf is one that we wrote: 1, 0 or -errno. */
int dns_is_ours(const struct ns_record *record);
/*
 * Puts somebody's resolv.conf back, in place: no tunnel in his namespace names a server any more. Programs that have ours bound go by
 * his, or by none where his is a symlink. -ENOENT: there is none to put back.
 */
int dns_give_back(const struct ns_record *record);

/* Takes back what dns_prepare() did beside somebody's resolv.conf, if nothing was written after it. */
int dns_unprepare(const struct ns_record *record);

/* Takes back what dns_prepare() and dns_write() did, or a killed run of them. Goes on after errors and answers the first. */
int dns_restore(const struct ns_record *record);
/* The same for all folders of namespaces that are not known: what a power cut left. The caller holds the shared lock. */
int dns_sweep(const struct strv *known);

/* Pure: the items of a configuration's DNS lines take the place of those in `items`. -ENOMEM: they are as they were. */
int dns_take_items(const struct conf *conf, struct strv *items);
/* Pure: whether one of the items is a server; the others are search domains. */
bool dns_names_server(const struct strv *items);
/* Pure: the text of resolv.conf for these items, and nsswitch.conf with lookups of hosts by files and DNS only. */
void dns_format_resolv(const struct strv *items, struct buf *text);
void dns_format_nsswitch(const char *host_text, struct buf *text);
/* Whether hosts are looked up by files and DNS, whatever their order, and by nobody else. */
bool dns_nsswitch_is_closed(const char *text);
/* Whether it is the text of a file that we wrote. */
bool dns_text_is_ours(const char *text);
