/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journal.h - what `up` made, by identity and before it makes it, so that
 * `down`, a later `up` or `recover` undoes exactly that and nothing else.
 *
 * One file a tunnel, RUN_DIR/tunnels/IFACE@COOKIE (a namespace's cookie is
 * unique until reboot), and one a namespace that tunnels of ours live in,
 * RUN_DIR/netns/COOKIE. Text, versioned, mode 0600, replaced by rename. One that
 * is not whole, or is another's by its name, is set aside and never guessed at.
 */
#pragma once

#include <sys/types.h>

#include "conf.h"
#include "ns.h"
#include "settings.h"

#define RUN_DIR "/run/wg-nsquick"
#define ROOM_DIR RUN_DIR "/room" /* see room.h */

enum undo_kind {
	UNDO_MEMBER,	/* the tunnel is one of the namespace's: DNS and, for the last one, the namespace's own undoing */
	UNDO_LINK,	/* arg: ifindex in the target namespace */
	UNDO_USERSPACE, /* arg: ifindex in the transport namespace, 0 while unknown; arg2, arg3: the daemon's pid and start time, 0 while unknown */
	UNDO_ROOM,	/* the pinned mount namespace of the hooks */
	UNDO_RULE_MARK, /* arg: journal_rule_arg(), arg2: mark, arg3: table; in the target */
	UNDO_RULE_MAIN, /* arg: journal_rule_arg(); `table main suppress_prefixlength 0` in the target */
	UNDO_FIREWALL,	/* arg: family; the nftables table of wg-quick's form, in the target; arg2: it was there before */
	UNDO_RELOAD,	/* what the tunnel had before a reload stands in its file (applied.h) */
	UNDO_KINDS,
};

struct undo {
	enum undo_kind kind;
	uint64_t arg, arg2, arg3;
};

/*
 * A rule's family, and above it its preference and one: 0 there is of a version that left the choice to the kernel, and the first
 * rule of that look is taken for it.
 */
static inline uint64_t journal_rule_arg(int family, uint32_t priority)
{
	return (uint64_t)(uint32_t)family | ((uint64_t)priority + 1) << 32;
}

enum journal_state { JOURNAL_STARTING, JOURNAL_UP, JOURNAL_STOPPING };

struct journal {
	char *file; /* its path; NULL until it was saved or loaded */
	char *mark; /* in the environment of what the run starts for the tunnel: whose it is, should nobody live to note its number */
	uint64_t run; /* which up's the mark is; 0: of a version that had one mark for all */
	uint64_t down_run; /* which down's it is, once one has begun; 0: none has, or one of a version that noted it in `run' */
	char iface[IFNAMSIZ];
	ns_cookie cookie;
	enum journal_state state;
	char *config;	 /* canonical path of the .conf */
	char *ns_name;	 /* its name under /run/netns, NULL: unnamed */
	char *ns_path;	 /* how to open it again, NULL: by what is in it alone (ns-find.h) */
	char *transport; /* "host", "self", a name or a path */
	ns_cookie transport_cookie; /* 0: not known */
	bool userspace;
	unsigned int ifindex;
	struct key public_key; /* all zero: not known */
	uint32_t auto_fwmark;
	uint16_t auto_listen_port;
	int64_t since; /* seconds since the epoch */
	struct strv dns; /* items as in the file */
	struct strv host; /* hoststate.h: the host when the tunnel had come up */
	uint64_t applied; /* which file of applied.h is the valid one, 0: none */
	struct undo *undo; /* in the order they were made */
	size_t n_undo;
};

/* The namespace's own record. */
struct ns_record {
	ns_cookie cookie;
	char *name; /* NULL: unnamed */
	bool made;  /* by us: it goes with the last tunnel */
	bool etc_made; /* /etc/netns/NAME did not exist */
	enum keep_mode keep; /* the settings' word of the last up or down */
	bool kept;	    /* it has outlived its last tunnel once */
	bool src_valid_mark; /* the sysctl was 0 before a tunnel of ours set it, in a namespace that is not */
};

/* Makes RUN_DIR and its folders. -errno. */
int journal_prepare(void);

/* An up of this namespace's tunnel begins: from here on it has a mark of its own, which the next save notes. -ENOMEM. */
int journal_new_run(struct journal *j);
/* The same for a down, beside up's; and it did not come to pass, so that the mark is up's again. */
int journal_new_down(struct journal *j);
int journal_end_down(struct journal *j);
/* Writes the file anew, atomically. */
int journal_save(struct journal *j);
/* Notes what is about to be made, then saves. */
int journal_note(struct journal *j, enum undo_kind kind, uint64_t arg, uint64_t arg2, uint64_t arg3);
/* Whether something of this kind is noted. */
bool journal_has(const struct journal *j, enum undo_kind kind);
/* Takes the last note back, once it is undone, and saves. */
int journal_pop(struct journal *j);
/* Deletes the file. */
int journal_remove(struct journal *j);
void journal_free(struct journal *j);
#define _cleanup_journal_ CLEANUP(journal_free)

/* -ENOENT; -EBADMSG when it is not a journal of this boot and version (it is set aside, and that is said). */
int journal_load(const char *iface, ns_cookie cookie, struct journal *ret_journal);

/* The interfaces of that namespace whose journals were set aside: nothing else is known of them. */
int journal_set_aside_names(ns_cookie cookie, struct strv *ret_ifaces);
/* Whether that one's was, and it has no other since. */
bool journal_was_set_aside(const char *iface, ns_cookie cookie);
/* Deletes that one, once nothing is left of the tunnel. -errno. */
int journal_forget_set_aside(const char *iface, ns_cookie cookie);

/* Deletes what killed runs had begun to write. `iface` NULL: for all that no other run is at work on. */
void journal_sweep(const char *iface);

/* Calls `each` with every journal that can be read; ends early with its non-zero answer. `iface` NULL: all. */
int journal_each(const char *iface, int (*each)(void *arg, struct journal *j), void *arg);

int ns_record_load(ns_cookie cookie, struct ns_record *ret_record);
int ns_record_save(const struct ns_record *record);
/* The names of all namespaces that have a record. */
int ns_record_names(struct strv *ret_names);
int ns_record_remove(ns_cookie cookie);
/* Calls `each` with every record that can be read; ends early with its non-zero answer. */
int ns_record_each(int (*each)(void *arg, struct ns_record *record), void *arg);
/*
 * What the record's name leads to, where that is its namespace still: 1, 0 (it is gone, or another one has the name) or -errno.
 * The record has a name.
 */
int ns_record_open(const struct ns_record *record, int *ret_fd);
void ns_record_free(struct ns_record *record);

/*
 * The lock of one interface name: -EAGAIN when another up or down of that name
 * is still under way after `patience_ms` milliseconds. Closing the descriptor (in
 * all processes) releases it.
 */
int journal_lock(const char *iface, unsigned patience_ms, int *ret_fd);
/* The lock for what tunnels share: names, DNS, membership. Waits, unless the user has enough (-ECANCELED); held only for moments. */
int journal_lock_shared(int *ret_fd);
/* The lock for the time in which a userspace TUN stands in the transport namespace. Waits likewise. */
int journal_lock_tun(int *ret_fd);
/* Held while the host is put back, or remembered (rescue_begin()). Waits so many ms at most, then -EAGAIN. */
int journal_lock_host(int64_t patience, int *ret_fd);
/* The lock for making a namespace of that name: -EAGAIN when another run is making it. */
int journal_lock_netns(const char *name, int *ret_fd);
