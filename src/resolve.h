/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolve.h - endpoint names to addresses, with wg's retries and messages
 * (spec E), in the transport namespace: its routes decide the order of the
 * answers and its resolv.conf who is asked.
 */
#pragma once

#include "conf.h"

struct resolve_place {
	int ns_fd;	     /* the transport namespace; -1: where the caller is */
	const char *ns_name; /* whose /etc/netns files count; NULL: the host's */
	bool once;	     /* one try each, RESOLVE_ONCE_MS for all; a name that does not resolve is left unset */
	bool keep;	     /* a peer's endpoint stays if it is one of those that its name leads to */
	unsigned int *failed; /* with `once': names that do not resolve are told, and counted here; NULL: not */
};

/* Somebody waits for `down', perhaps a machine that shuts down, whose network is gone. */
#define RESOLVE_ONCE_MS 5000U

#define RESOLVE_FIRST_WAIT 1000000U
/* Microseconds to wait before the next retry: a fifth more each time, at most 20 seconds. */
static inline unsigned int resolve_next_wait(unsigned int wait_us)
{
	wait_us = wait_us * 6 / 5;
	return wait_us < 20000000 ? wait_us : 20000000;
}

/*
 * Fills peer->endpoint for every peer, in file order. Whoever waits can be
 * interrupted: no signal is held back. -EINVAL with *ret_error; the messages
 * of retries are printed as they come.
 */
int resolve_endpoints(struct wg_iface *wg, const struct resolve_place *place, struct conf_error *ret_error);

/* Whether it is an address and a number, which is nobody's to resolve. */
bool resolve_is_literal(const struct endpoint *ep);
