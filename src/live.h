/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * live.h - what a tunnel has at a moment, as data: compared with what it is to
 * have, written down before a reload touches it, and read back to undo. Pure.
 */
#pragma once

#include "conf.h"

/* A route over the tunnel's device that the kernel did not make by itself. */
struct live_route {
	struct prefix dst; /* masked */
	uint32_t table;
	uint32_t metric; /* 0: that of `up'. With these three one is told from others. */
	bool special;	 /* not as `up' makes them: somebody's own, which no reload deletes. The rest is of these only. */
	uint8_t protocol, scope;
	bool more;			/* has what is not kept here */
	struct prefix gateway, source; /* family 0: none */
};

struct live {
	struct wg_iface wg;
	struct prefix *addresses; /* in the kernel's order */
	size_t n_addresses;
	struct live_route *routes;
	size_t n_routes;
	unsigned int mtu;
};

void live_free(struct live *live);
#define _cleanup_live_ CLEANUP(live_free)

/* Adds a route unless it is there. -ENOMEM. */
int live_put_route(struct live *live, const struct live_route *route);
/* One as `up' makes them. */
int live_add_route(struct live *live, const struct prefix *dst, uint32_t table);
bool live_has_route(const struct live *live, const struct live_route *route);

/*
 * The text of a live state and back. It holds keys: for files of mode 0600 alone.
 * -ENOMEM; -EBADMSG when it is not such a text, or cut.
 */
void live_format(const struct live *live, struct buf *text);
int live_parse(const char *text, size_t len, struct live *ret_live);

/* What leads from one state to another, and no more. */
struct live_changes {
	struct wg_iface wg; /* for wg_apply(): peers to change, to add, to remove */
	bool wg_changed;
	struct prefix *addresses_added, *addresses_dropped; /* both in the order in which they were, or are to be, added; IPv4 first */
	size_t n_addresses_added, n_addresses_dropped;
	struct live_route *routes_added, *routes_dropped;
	size_t n_routes_added, n_routes_dropped;
	unsigned int mtu; /* 0: it stays */
};

/*
 * Peers that are the same in both do not appear, so that their sessions and counters
 * stay; of the others only what differs. An endpoint that is to go stays: no device
 * can lose one. -ENOMEM. The caller frees.
 */
int live_diff(const struct live *from, const struct live *to, struct live_changes *ret_changes);
/* Its part about addresses. One that is to come after others is dropped and added. */
int live_diff_addresses(const struct live *from, const struct live *to, struct live_changes *changes);
bool live_moves_address(const struct live_changes *changes, const struct prefix *address);
/* From the order in which addresses are added to that in which the kernel has them then. -ENOMEM. */
int live_order_addresses(struct prefix *list, size_t n);
bool live_changes_empty(const struct live_changes *changes);
void live_changes_free(struct live_changes *changes);
#define _cleanup_live_changes_ CLEANUP(live_changes_free)

/* One line for each change, in the words of the command that would do it, without keys that are secret. */
void live_changes_print(const struct live_changes *changes, const char *iface, void (*line)(void *arg, const char *text), void *arg);
