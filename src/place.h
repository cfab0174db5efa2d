/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * place.h - which namespaces a tunnel is about (design section 2): the host's,
 * the target where the interface lives, the transport where its UDP socket is.
 */
#pragma once

#include "ns.h"
#include "settings.h"

struct place {
	int host_fd;
	int target_fd; /* -1: it is to be made */
	bool create;
	bool inside;	 /* the target is where the program was started */
	char *name;	 /* the target's, under /run/netns; NULL: it has none */
	char *path;	 /* how to open it later; NULL: only from inside */
	int transport_fd; /* -1: the target itself */
	char *transport; /* "host", "self", a name or an absolute path */
	bool transport_set; /* by the command line or the settings */
};

/*
 * From the settings (the command line already merged in) and the caller's own
 * namespace. -EINVAL: *ret_error is the message. The caller frees.
 */
int place_find(const struct settings *settings, const char *iface, struct place *ret_place, char ret_error[static 512]);
void place_free(struct place *place);
#define _cleanup_place_ CLEANUP(place_free)
struct journal;
/* The place of a tunnel that is up, from its journal's words and its opened namespace. -errno. The caller frees. */
int place_of_journal(const struct journal *j, int target_fd, struct place *ret_place);
/* The target for messages: its name, its path, or "(unnamed)". */
const char *place_target(const struct place *place);
/* The transport by its text alone, as a journal keeps it. -1 for self. */
int place_open_transport(const char *transport, int *ret_fd);
/* A journal's; -ESTALE: its words lead to another namespace now. */
int place_open_transport_of(const struct journal *j, int *ret_fd);
/* Whose /etc/netns files say whom the transport asks for names: NULL for the host's, or an unnamed one's. Points into its arguments. */
const char *place_resolver_name(const char *transport, const char *target_name);
