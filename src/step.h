/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * step.h - the vocabulary of what `up` and `down` do. plan.c decides which
 * steps there are and in which order; txn.c knows how to take each of them.
 */
#pragma once

#include "conf.h"

enum step_kind {
	STEP_NETNS,	  /* make the target namespace, or join the one that exists */
	STEP_LINK,	  /* the device, born in the target with its socket in the transport namespace */
	STEP_ROOM,	  /* the mount namespace that hooks run in */
	STEP_HOOK,	  /* one PreUp, PostUp, PreDown or PostDown */
	STEP_WG,	  /* keys and peers */
	STEP_ADDRESS,	  /* one Address item */
	STEP_LINK_UP,	  /* MTU and up */
	STEP_DNS,	  /* resolv.conf of the namespace */
	STEP_ROUTES,	  /* a route for every allowed IP of the device */
	STEP_PUBLISH,	  /* the namespace's name */
	STEP_SAVE,	  /* down: SaveConfig */
	STEP_LINK_DELETE, /* down: the device, and the rules that lead to it */
	STEP_LEAVE,	  /* down: DNS, name and namespace, as far as they are ours */
	STEP_KINDS,
};

struct step {
	enum step_kind kind;
	const struct hook *hook;   /* STEP_HOOK; owned by the conf */
	struct prefix address;	   /* STEP_ADDRESS */
	const char *text;	   /* STEP_ADDRESS, STEP_LINK_UP: as in the file, for the trace; owned by the conf */
	unsigned int line;	   /* of the file, 0: none */
	unsigned int mtu;	   /* STEP_LINK_UP */
	bool mtu_set;		   /* STEP_LINK_UP; else it is automatic, found out when its turn comes */
	bool always;		   /* down: taken although a step failed, once the device is deleted */
};

struct plan {
	const char *iface;
	struct step *steps;
	size_t n;
};
