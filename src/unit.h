/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unit.h - units of systemd: what the manager knows of one, and the drop-in that
 * puts a service into a tunnel's namespace. unit-bus.c is the only includer of <systemd/…>.
 */
#pragma once

#include "util.h"

#define UNIT_DROPIN "50-wg-nsquick.conf"
/* The first line of a drop-in of ours. */
#define UNIT_HEADER "# Written by wg-nsquick confine "

struct unit {
	bool found;
	bool private_network;
	bool active;
	char *netns; /* NetworkNamespacePath=; NULL: none */
	struct strv joins;  /* JoinsNamespaceOf= */
	struct strv before; /* Before=, what the unit comes before */
	struct strv sockets; /* .socket units, enabled or active, that start it and listen on ports: "ssh.socket (Stream [::]:22)" */
};

/* Asks the manager about a .service, which it loads if need be. -EOPNOTSUPP: built without; -errno: it cannot be reached. */
int unit_load(const char *name, struct unit *ret_unit);
void unit_free(struct unit *unit);
#define _cleanup_unit_ CLEANUP(unit_free)
/* systemctl daemon-reload */
int unit_manager_reload(void);

/* `web' is `web.service'. -EINVAL: no unit's name. The caller frees. */
int unit_full_name(const char *text, char **ret_name);

struct unit_confinement {
	const char *iface;
	const char *netns;	   /* its name */
	const char *resolv_target; /* where /etc/resolv.conf leads, if elsewhere; NULL */
	bool bind;		   /* the service ends with the tunnel; else it goes on without */
	bool open_network;	   /* it had PrivateNetwork=, which is lifted */
};

/* The text of the drop-in. */
void unit_format_dropin(const struct unit_confinement *c, struct buf *text);
