/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reach.h - whom this host must go on reaching, come what may: the guard watches the ways there. */
#pragma once

#include "conf.h"
#include "policy.h"

struct reach {
	struct prefix *watched; /* full length: hosts */
	size_t n_watched;
	struct prefix *addresses, *allowed; /* of the tunnel */
	size_t n_addresses, n_allowed;
	bool has_session;
	struct session session;
};

/*
 * The SSH client that the caller sits at (SSH_CONNECTION, here or in a process above:
 * sudo takes it out of the environment), the name servers of /etc/resolv.conf, an address
 * of the wide world in each family; and of `conf` (may be NULL) its endpoints, which must be
 * resolved, addresses and allowed IPs. -ENOMEM. The caller frees.
 */
int reach_collect(const struct conf *conf, struct reach *ret_reach);
void reach_free(struct reach *reach);
#define _cleanup_reach_ CLEANUP(reach_free)
