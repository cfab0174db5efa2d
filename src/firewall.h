/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * firewall.h - the packet filter that wg-quick makes with a default route in a table
 * of its own (spec C.8), in the namespace that the calling thread stands in; nothing else
 * needs one. The only user of libnftables.
 *
 * It does two things. A packet for the tunnel's own address that comes in over another link is
 * dropped: a neighbour could otherwise find out what is inside. And the mark of the
 * encrypted packets is put on their answers, without which a strict reverse path filter
 * looks for them behind the tunnel, and drops them.
 */
#pragma once

#include "conf.h"

/*
 * The table for one family: AF_INET or AF_INET6. Addresses of the other family are skipped.
 * One transaction: all of it or nothing. -errno; *ret_why (may be NULL; the caller frees) then has nftables' own
 * words, if it had any. -ELIBACC: there is no libnftables.
 */
int firewall_add(const char *iface, int family, const struct prefix *addresses, size_t n, uint32_t mark, char **ret_why);
/* Whether a table of that name is there: then firewall_add() adds to it, as wg-quick does. 1, 0, or -errno as above. */
int firewall_is_there(const char *iface, int family);
/* Takes it away; 0 also if there is none. With `shared' the chains alone, as the table was there before. */
int firewall_remove(const char *iface, int family, bool shared);
