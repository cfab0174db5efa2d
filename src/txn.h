/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * txn.h - a transaction: the steps of a plan, taken one after another in the
 * worker, each noted in the journal before it is taken, and undone in reverse
 * when one fails. undo.c has the way back, also for runs that were killed.
 */
#pragma once

#include "guard.h"
#include "journal.h"
#include "nl.h"
#include "place.h"
#include "plan.h"
#include "wg.h"

/* Where a journal's namespace was found. */
enum target_found {
	TARGET_AS_NOTED, /* by the journal's path, or by who was started in it */
	TARGET_MOVED,	 /* it has another name or path */
	TARGET_NAMELESS, /* only the programs in it keep it */
	TARGET_GONE,	 /* nowhere */
	TARGET_UNSEEN,	 /* nowhere, but not everything could be looked at */
};

struct txn {
	struct conf *conf;	   /* NULL when only undoing */
	const struct plan *plan;   /* likewise */
	const struct place *place; /* likewise */
	struct worker *worker;	   /* NULL: nobody to listen to */
	struct journal journal;
	uint32_t table; /* the number of a named Table */
	enum hooks_mode hooks;
	unsigned int hook_timeout; /* s; 0: none */
	bool shares_key;     /* another device may have the same */
	bool require_ipv6;   /* fail rather than leave IPv6 out */
	bool ipv6_off;	     /* the target has none: what the file wants of it is left out */
	enum keep_mode keep; /* KEEP_UNSET: as the namespace's record says */

	int target_fd;	  /* -1: gone, or not made yet */
	enum target_found found;
	int transport_fd; /* never -1 once started: with self it is the target */
	int room_fd;
	struct strv host_names; /* under /run/netns when the room was made */
	struct rt *target;
	struct rt *transport;
};

/* ip(8)'s exit status when the kernel refuses. */
#define EXIT_KERNEL 2

#define TXN_INIT (struct txn){ .target_fd = -1, .transport_fd = -1, .room_fd = -1 }

static inline enum wg_backend txn_backend(const struct txn *txn)
{
	return txn->journal.userspace ? WG_USERSPACE : WG_KERNEL;
}

/* Tells `INTERFACE: …', and answers the status. */
__attribute__((format(printf, 3, 4))) int txn_fail(int status, const struct txn *txn, const char *fmt, ...);
/* The end of the worker's work, as the supervisor sees it. 0, or 1: it is to be undone, told. */
int txn_close(struct txn *txn);

/* Takes the plan's steps. 0, or the exit status of what failed, which was told. */
int txn_up(struct txn *txn);
int txn_down(struct txn *txn);

/* Opens what a journal names, as far as it is still there. */
int txn_open_journal(struct txn *txn);
void txn_free(struct txn *txn);
/* The mount namespace for hooks, noted and kept. 0 or an exit status. */
int txn_make_room(struct txn *txn);

/* Undoes what is noted, in reverse, of the kinds in the mask (1 << UNDO_…); -errno of the first that failed. */
int txn_undo(struct txn *txn, unsigned int kinds);
#define UNDO_ALL (~0U)
#define UNDO_DEVICE (1U << UNDO_LINK | 1U << UNDO_USERSPACE | 1U << UNDO_RULE_MARK | 1U << UNDO_RULE_MAIN | 1U << UNDO_FIREWALL)

/* resolv.conf of the journal's namespace from all tunnels in it; `without` (may be NULL) is left out. `record` NULL: they are only counted. */
int txn_write_dns(struct ns_record *record, ns_cookie cookie, const struct journal *without, size_t *ret_tunnels);
/* Tells that somebody else's namespace takes no search domains alone. `netns` is what to call it. */
void txn_warn_no_server(const struct txn *txn, const char *netns);

/* keep.c: whether the namespace of this record, whose last tunnel goes, is left for the programs in it. Tells. */
bool namespace_stays(const struct txn *txn, const struct ns_record *record);
/*
 * Whether the resolver files of its name are another record's: the name leads elsewhere now, and that one has it since. Of two
 * that are gone, the first leaves them to the other; one that is `being_made` has no name yet, and leaves them only to one
 * that has it. 1, 0 or -errno.
 */
int namespace_is_superseded(struct ns_record *record, bool being_made);
/* Takes back what is recorded of a namespace without tunnels. Goes on after errors, and answers the first. */
int namespace_leave(struct ns_record *record, bool superseded);
/* The tunnel is undone in a namespace that lives on only for the programs in it, its name deleted by hand: tells of them. */
void namespace_tell_nameless(const struct txn *txn);
/* Those that were left for programs which have ended meanwhile. */
void namespace_sweep(void);

/* route.c: the routes step. 0 or an exit status. */
int txn_routes(struct txn *txn);
/* Whether it is a default route that needs wg-quick's table and rules in the target. */
int txn_needs_rules(const struct txn *txn, const struct prefix *route);
/*
 * Sets src_valid_mark back to what the record says it was, once no rule in the target asks by a mark, be it ours or another's.
 * Under the shared lock. -errno.
 */
int txn_leave_src_valid_mark(const struct txn *txn, struct ns_record *record);
/* A mark without effect on the transport's rules, 0 (told): there is none. -errno. */
int txn_pick_mark(struct txn *txn, uint32_t *ret_mark);

/* userspace.c: starts the implementation, and moves its TUN to the target. 0 or an exit status. */
int userspace_start(struct txn *txn, unsigned int mtu);
/* Whether there is a fallback at all: its name, or NULL. */
const char *userspace_program(void);
int userspace_undo(struct txn *txn, const struct undo *undo);

#define MIN_IPV6_MTU 1280 /* RFC 8200, section 5: below it, the kernel takes IPv6 from a device */

/* mtu.c: the automatic MTU for these peers (spec C.5), looked up in the transport namespace; it may be negative, when nothing is left. -errno. */
int txn_auto_mtu(struct txn *txn, const struct wg_iface *wg, int *ret_mtu);
/* The same, if what the file and these peers want fits through. 0, or an exit status, told. */
int txn_choose_mtu(struct txn *txn, const struct wg_iface *wg, unsigned int *ret_mtu);
/* Finds out txn->ipv6_off: a kernel without IPv6 has no such setting for the device. -ENOMEM. */
int txn_learn_ipv6(struct txn *txn);
/* Whether the file's addresses, or the routes for these peers, are of IPv6. */
bool txn_uses_ipv6(const struct conf *conf, const struct wg_iface *wg);
