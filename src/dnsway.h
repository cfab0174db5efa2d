/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dnsway.h - which way a name server would be asked from inside a tunnel's namespace. */
#pragma once

#include "conf.h"
#include "nl.h"

/* glibc's MAXNS: later servers are never asked. */
#define DNS_SERVERS_ASKED 3

/*
 * What is wrong with asking `server` there, in words that follow it, or NULL: through the
 * tunnel `ifindex` with these peers, through another tunnel, or in the namespace itself.
 */
const char *dns_server_fault(struct rt *target, unsigned int ifindex, const struct wg_iface *wg, const char *server);
