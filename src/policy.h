/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy.h - what a change of the host's network means (guard-evidence 2.3): nothing,
 * somebody else's business, or a concern of ours. Decides, touches nothing.
 */
#pragma once

#include "addr.h"
#include "fib.h"
#include "settings.h"
#include "who.h"

/* The numbers of our WireGuard links are from here on (txn-link.c): the kernel gives others out from 1. */
#define TUNNEL_IFINDEX_MIN (1U << 20)

enum verdict {
	VERDICT_NOISE,	 /* no change to speak of */
	VERDICT_BENIGN,	 /* a change that has nothing to do with how this host is reached: logged at most */
	VERDICT_FOREIGN, /* a daemon of the host at its work: never undone */
	VERDICT_CONCERN, /* to be undone */
};

/* A session over which the caller sits at this host: its TCP connection, ports in the host's order. */
struct session {
	struct prefix client, server;
	uint16_t client_port, server_port;
};

struct policy {
	enum guard_level level;
	/*
	 * Around a command of the user's (`guard -- COMMAND`): it may change what it likes but
	 * what decides how this host is reached (K3, K4, K6, K7).
	 */
	bool command;
	/*
	 * Nothing of ours runs but the program itself, which changes nothing on the host: without hooks, who
	 * changes it must be somebody else, also where a notice does not say who asked (links, IPv6
	 * addresses), or where whoever asked is gone already.
	 */
	bool alone;
	const char *iface;	    /* of the tunnel, NULL: none. It must not land on the host */
	uint32_t transit_ifindex; /* the userspace TUN on its way through, 0: none */
	bool transit;		    /* such a one may come: by the tunnel's name, of kind tun */
	/* K7, K8: the tunnel's own addresses and allowed IPs, and its endpoints. */
	const struct prefix *addresses, *allowed;
	size_t n_addresses, n_allowed;
	/* K4: whom this host must go on reaching: endpoints, SSH client, name servers. Full length. */
	const struct prefix *watched;
	size_t n_watched;
	const struct session *session; /* NULL: none */
};

/* An address of the wide world in each family: no packet is sent there, only the way is looked up. */
extern const uint8_t policy_world4[4], policy_world6[16];

/*
 * `before` is the snapshot that the object is compared with. `*ret_why` is set to a few words
 * for the message when the answer is VERDICT_CONCERN.
 */
enum verdict policy_judge(const struct policy *p, const struct fib_snapshot *before, const struct fib_object *o, enum who who, const char **ret_why);

/*
 * K5: the tunnel came to stand on the host, by whatever name: a link that is moved keeps its number. Not a
 * WireGuard link of the host's own, as wg-quick or systemd-networkd may be making beside us.
 */
bool policy_is_landing(const struct policy *p, const struct fib_object *o);
/* The userspace TUN on its way. */
bool policy_is_transit(const struct policy *p, const struct fib_object *o);

/* A route that a guest's link does not have: to everywhere, or to somebody whom this host must reach. */
bool policy_is_way(const struct policy *p, const struct fib_object *route);
/*
 * A second opinion on a concern, for a change that nobody we know did: of a link that was there
 * before but is of the kind that containers and virtual machines bring and take with them. `gone`:
 * the link is there no more.
 */
bool policy_is_guest(const struct fib_snapshot *before, const struct fib_object *o);
enum verdict policy_judge_guest(const struct policy *p, const struct fib_object *o, bool gone, const char **ret_why);

/*
 * Something more on a link that was there before, of what is notified without a word of who asked: it comes
 * up, or has one more IPv6 address. A daemon that manages the network does so whenever it likes, a router speaking up for one.
 */
bool policy_is_addition(const struct policy *p, const struct fib_snapshot *before, const struct fib_object *o);

/* A link that leads to others than those by whom this host is reached: a tunnel, or what guests use. */
bool policy_is_virtual(const struct fib_snapshot *before, const struct fib_object *o);
/* A route or an address that the kernel made by itself, for a link. */
bool policy_is_kernels(const struct fib_object *o);
/* A route that the kernel keeps for an address of the host's own, and takes away with it. */
bool policy_is_consequence(const struct fib_object *o);

/* The daemons that are tolerated unless the settings say otherwise. */
extern const char *const policy_foreign_daemons[];
