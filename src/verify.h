/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify.h - the proof that a running tunnel confines: point by point, by looking and by one probe, without asking anybody outside. */
#pragma once

#include "report.h"

struct verify_point {
	const char *name;
	bool holds;
	char *text; /* what was found */
};

struct verify {
	struct verify_point *points;
	size_t n;
};

/* Looks at everything, whatever fails. `mask_bus`: the settings hide D-Bus. -ENOMEM. */
int verify_run(const struct report_tunnel *tunnel, bool mask_bus, struct verify *ret_verify);
void verify_free(struct verify *verify);
#define _cleanup_verify_ CLEANUP(verify_free)
bool verify_holds(const struct verify *verify);

/* ---- verify-probe.c ---- */

struct probe {
	int transport_fd, target_fd;
	unsigned int ifindex; /* of the tunnel; what passes there is not looked at when the two are one namespace */
	uint16_t listen_port; /* of the tunnel, host byte order */
	const struct wg_iface *wg;
};

struct probe_result {
	char to[INET6_ADDRSTRLEN]; /* where it went; empty: no allowed IP of that family, or none routed to the tunnel */
	unsigned int wrapped;	   /* packets of the tunnel with the probe's size that left */
	unsigned int bare;	   /* packets with the probe in them, or to where it went, that were seen in the transport namespace */
	unsigned int lost;	   /* packets that could not be looked at */
	int error;		   /* it could not be sent: -errno */
};

/*
 * Sends one small packet of IPv4 and one of IPv6 into the tunnel, with a time to live of one hop, to
 * an address that nobody has (or the peer's own), and listens to all links of the transport namespace
 * meanwhile. Takes up to 5 s if the peer does not answer. -errno: nothing could be looked at.
 */
int probe_run(const struct probe *probe, struct rt *target, struct probe_result ret_results[static 2]);
