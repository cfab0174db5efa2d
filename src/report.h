/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report.h - what is up, and how it does: journals, and what the kernel says of
 * what they name. Collected once, shown as a table or as JSON.
 */
#pragma once

#include "inside.h"
#include "settings.h"
#include "tunnel.h"

enum report_state { REPORT_UP, REPORT_DEGRADED, REPORT_DOWN };

/* A handshake that is older keeps no session (WireGuard's REJECT_AFTER_TIME), in seconds. */
#define HANDSHAKE_STALE 180

struct report_tunnel {
	struct txn txn; /* the journal, and what of it could be opened */
	enum report_state state;
	struct strv why;    /* what is not as it should be, in words */
	struct wg_iface wg; /* no peers when it could not be read */
	int error;	    /* -errno: why it could not be read; 0 */
	struct prefix *addresses;
	size_t n_addresses;
	struct inside *programs;
	size_t n_programs;
	enum guard_level guard; /* of the settings, as the next run will read them */
	enum hooks_mode hooks;
};

/* A namespace that outlived its tunnels. */
struct report_namespace {
	char *name;
	struct inside *programs;
	size_t n_programs;
};

struct report {
	int64_t now; /* seconds since the epoch */
	struct report_tunnel *tunnels;
	size_t n_tunnels;
	struct report_namespace *namespaces;
	size_t n_namespaces;
};

/* One tunnel. `netns` as for tunnel_find(), which it answers like, also with -ENOENT: that one is not up. */
int report_tunnel(const char *iface, const char *netns, struct report *report);
/* All that are up, and all namespaces that were left. -errno. */
int report_all(struct report *report);
void report_free(struct report *report);
#define _cleanup_report_ CLEANUP(report_free)

/* The worst of them; REPORT_DOWN when there is none, REPORT_DEGRADED when only some are down. */
enum report_state report_state(const struct report *report);
extern const char *const report_state_names[];
/* The namespace's name or path, or "(unnamed)". */
const char *report_netns(const struct report_tunnel *tunnel);

/* For a person; `limit` is how many peers of a tunnel are shown at most, 0: all. */
void report_print(const struct report *report, bool colours, size_t limit, struct buf *text);
/* For a program: the schema is in the manual page. The caller frees; NULL when memory is out. */
char *report_json(const struct report *report);
