/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fib.h - what one network namespace's routing consists of, as the kernel
 * itself says it: a snapshot of raw rtnetlink messages, the comparison of two
 * snapshots, and the way back to one.
 *
 * Raw messages, because a parser that knows every attribute does not exist:
 * what a library drops when it parses (a rule's uidrange, suppress_prefixlength)
 * it also drops when it restores, and then the "restored" rule catches every packet.
 *
 * Compared are links, addresses, nexthop objects, routes (IPv4, IPv6, MPLS, all
 * tables) and rules, each with all its attributes, minus what changes on a host
 * where nothing happens (fib-msg.c says what that is, one by one).
 * Not covered: neighbours, PMTU and redirect exceptions, netfilter, sysctls, tc, xfrm.
 *
 * Not thread-safe: one struct fib per thread, and the first fib_open() before any second thread.
 */
#pragma once

#include "util.h"

struct nlmsghdr;

/* A rtnetlink socket that lives in the network namespace of the thread that opened it. */
struct fib;
/* All objects of a namespace at one moment. Independent of the struct fib it came from. */
struct fib_snapshot;

enum fib_kind {
	FIB_LINK,
	FIB_ADDRESS,
	FIB_NEXTHOP,
	FIB_ROUTE,
	FIB_RULE,
	FIB_KINDS,
};

enum fib_change {
	FIB_REMOVED,
	FIB_ADDED,
	FIB_CHANGED,
	FIB_REORDERED, /* nothing missing, but another route, rule or address of the same key comes first now */
};

/* What of a link changed (FIB_CHANGED), as bits. */
enum fib_link_change {
	FIB_LINK_NAME = 1 << 0,
	FIB_LINK_KIND = 1 << 1,
	FIB_LINK_MASTER = 1 << 2,
	FIB_LINK_MTU = 1 << 3,
	FIB_LINK_UP = 1 << 4,    /* IFF_UP, the administrative state; never the carrier */
	FIB_LINK_NOARP = 1 << 5, /* IFF_NOARP */
	FIB_LINK_GROUP = 1 << 6,
	FIB_LINK_LLADDR = 1 << 7,
	FIB_LINK_NETNSID = 1 << 8, /* the namespace of the other end (veth, tunnels) */
	FIB_LINK_MULTICAST = 1 << 9, /* IFF_MULTICAST */
};

/*
 * One differing object, for whoever decides what to do about it. The fields are
 * those of the message `before`, or of `after` where there is no before; 0 where they make no sense.
 */
struct fib_object {
	enum fib_kind kind;
	enum fib_change change;
	int family;
	uint32_t table;    /* routes, and rules that look up a table */
	uint32_t ifindex;  /* the link itself; an address's link; a route's only outgoing link, 0 with several */
	uint32_t priority; /* a route's metric, a rule's preference */
	uint8_t prefixlen; /* of an address, or a route's destination */
	uint8_t type;      /* RTN_…; a rule's FR_ACT_… */
	uint8_t protocol;  /* RTPROT_…; of an address IFAPROT_… */
	/*
	 * The kernel made it from a router advertisement and will renew or remove it by
	 * itself: default routes, routes of prefixes and of RFC 4191's information, SLAAC and
	 * temporary addresses. A look-alike that somebody else has added is not.
	 */
	bool kernel_managed;
	unsigned int link_changed; /* FIB_LINK_… bits */
	const struct nlmsghdr *before; /* raw; NULL when added. Of a link: see fib_link() */
	const struct nlmsghdr *after;  /* raw; NULL when removed */
	const struct fib_snapshot *in_before, *in_after;
};

/* A link in the reduced form in which snapshots keep it. */
struct fib_link {
	uint32_t index;
	uint32_t flags; /* FIB_LINK_FLAGS only */
	uint32_t mtu;
	uint32_t master;
	uint32_t group;
	int32_t netnsid;	/* -1: none */
	char name[16];		/* terminated */
	char kind[16];		/* terminated; empty for a physical device and for lo */
	uint8_t lladdr[32];
	uint8_t lladdr_len;	/* 0 also for a bridge, bond or team, which takes it from its ports */
	bool accepts_ra;	/* the kernel itself acts on router advertisements here; not compared */
	bool ipv6_off;		/* net.ipv6.conf.IFACE.disable_ipv6; not compared */
	uint8_t pad[1];
};

/* Changes as they happen: a subscribed rtnetlink socket. */
struct fib_events;

/*
 * Opens in the calling thread's network namespace, which the socket keeps. Needs no
 * privilege; fib_restore() needs CAP_NET_ADMIN there. Errors: those of socket(2).
 */
int fib_open(struct fib **ret_fib);
void fib_close(struct fib *f);

static inline void cleanup_fib(struct fib **f)
{
	fib_close(*f);
}
#define _cleanup_fib_ CLEANUP(cleanup_fib)

/*
 * Dumps everything. -EAGAIN when the namespace changes faster than it can be read
 * (NLM_F_DUMP_INTR on every try), else the kernel's own error.
 */
int fib_snapshot_take(struct fib *f, struct fib_snapshot **ret_snapshot);
void fib_snapshot_free(struct fib_snapshot *s);

static inline void cleanup_fib_snapshot(struct fib_snapshot **s)
{
	fib_snapshot_free(*s);
}
#define _cleanup_fib_snapshot_ CLEANUP(cleanup_fib_snapshot)

/* The snapshot as bytes, appended: for another process of this program, on this boot (fib-file.c). */
void fib_snapshot_save(const struct fib_snapshot *s, struct buf *out);
/* The reverse, every record looked at: -EBADMSG when they are not the whole of one. */
int fib_snapshot_load(const void *data, size_t len, struct fib_snapshot **ret_snapshot);

/* How many objects of a kind there are, and how many bytes the messages take. */
size_t fib_snapshot_count(const struct fib_snapshot *s, enum fib_kind kind);
size_t fib_snapshot_bytes(const struct fib_snapshot *s);
/* The link of that index in the snapshot, or NULL. */
const struct fib_link *fib_snapshot_link(const struct fib_snapshot *s, uint32_t ifindex);
/*
 * Calls `each` for every route (as an object that was removed) and every link that it leads to; for a
 * route by a nexthop object, the links of all such objects.
 */
void fib_snapshot_ways(const struct fib_snapshot *s, void (*each)(void *arg, const struct fib_object *o, uint32_t ifindex), void *arg);
/* Calls `each` for every address of global scope. A non-zero answer stops, and is returned. */
int fib_snapshot_addresses(const struct fib_snapshot *s, int (*each)(void *arg, const struct fib_object *o, const void *address), void *arg);
bool fib_snapshot_has_address(const struct fib_snapshot *s, uint32_t ifindex);
/* Calls `each` for every link. */
void fib_snapshot_links(const struct fib_snapshot *s, void (*each)(void *arg, const struct fib_link *link), void *arg);
/* Is this link still there, now? An unclear answer is a yes. */
bool fib_has_link(struct fib *f, uint32_t ifindex);
/* The link of a fib_object's message. NULL if it is no link. */
const struct fib_link *fib_link(const struct nlmsghdr *m);

/*
 * Builds the snapshot's index now rather than within the first fib_diff() or
 * fib_undo() that needs it (8 MB and 0.1 s for a million routes). 0 or -ENOMEM.
 */
int fib_snapshot_index(struct fib_snapshot *s);

/*
 * Dumps everything without keeping it: 1 when the namespace is as in `before`, 0 when
 * it may differ (take a snapshot and compare), -errno when nothing can be said.
 */
int fib_unchanged(struct fib *f, const struct fib_snapshot *before);

/*
 * Compares the 64-bit sums first (keyed per process: not for keeping), then, only if
 * they differ, object by object. Out of memory counts as different.
 */
bool fib_snapshot_equal(const struct fib_snapshot *a, const struct fib_snapshot *b);

/*
 * Calls `report` once per differing object with one line such as "removed: route
 * default via 192.0.2.1 dev eth0 (IPv4, table main)". `report` may be NULL.
 * Returns the number of differing objects, or -ENOMEM.
 */
int fib_diff(const struct fib_snapshot *before, const struct fib_snapshot *after,
	     void (*report)(void *arg, const char *text), void *arg);

/* The same with the objects. A non-zero answer of `each` stops and is returned; else 0, or -ENOMEM. */
int fib_diff_objects(const struct fib_snapshot *before, const struct fib_snapshot *after,
		     int (*each)(void *arg, const struct fib_object *o), void *arg);

/* The line that fib_diff() reports for this object, appended to `out`. */
void fib_describe(const struct fib_object *o, struct buf *out);

/*
 * Puts the namespace back to `before`: dump, compare, delete what is extra, add what
 * is missing, again until nothing differs, nothing moves any more, or 2 s are over
 * (then no further round is begun; a million missing routes take 5 s). Routes that the kernel
 * has from router advertisements take up to 4 s more if no router answers; meanwhile stopgaps
 * do their work: static routes to the same gateway, of a slightly higher metric.
 *
 * `concern` (may be NULL: everything) says whether an object is to be put back;
 * what it declines is left as it is and not reported. It is asked again in every round.
 * Left and reported through `report_left` (may be NULL) are also: deleted and new links,
 * temporary addresses, new routes and addresses that the kernel has from router advertisements, and
 * of its old ones those that had to be added without a router's help (then of proto boot).
 *
 * 0: a fresh dump equals `before` (as far as concerned); 1: something is left;
 * -errno: the namespace could not be read.
 */
int fib_restore(struct fib *f, const struct fib_snapshot *before,
		bool (*concern)(void *arg, const struct fib_object *o),
		void (*report_left)(void *arg, const char *text), void *arg);

/* What to do again and again while fib_restore() waits for routers. It may call fib_undo(). */
void fib_while_waiting(struct fib *f, void (*idle)(void *arg), void *arg);

/*
 * The fast way back for one event (a RTM_NEW… or RTM_DEL… message of a subscribed
 * socket), without any dump: removes what `before` does not have, adds again what it
 * has. Built for the microseconds between the event and the closing fib_restore(),
 * which alone can say that all is well.
 * `event` lies in an 8-byte aligned buffer that holds all of its nlmsg_len.
 * 0: nothing to do, the event left things as in `before`; 1: undone;
 * 2: not to be undone this way (links, ordered groups): call fib_restore(). So also where
 * the kernel's own routes from RAs are gone, which have their stopgaps now; also for the echo of
 * such a stopgap. That a router's farewell takes its routes away looks the same: not for
 * events that are none of our business. -errno: the kernel refused.
 */
int fib_undo(struct fib *f, struct fib_snapshot *before, const struct nlmsghdr *event);

/* ---- events (fib-event.c), questions and requests (fib-ask.c) ---- */

/*
 * Subscribes to links, addresses, nexthop objects, routes and rules of all families.
 * To be opened before the snapshot is taken, in the same namespace. Errors: socket(2)'s.
 */
int fib_events_open(struct fib_events **ret_events);
void fib_events_close(struct fib_events *e);
int fib_events_fd(const struct fib_events *e);
/* Whether the receive buffer has the size that was wanted: not in a user namespace. */
bool fib_events_roomy(const struct fib_events *e);

/*
 * Reads what has come, without waiting, and hands every message to `each`.
 * The kernel's own notifications only. 0: read to the end; -ENOBUFS: events
 * were lost (the rest was read all the same): only a dump tells now; -EAGAIN: more
 * comes than can be dealt with, and after a second the caller has its turn; -errno.
 */
int fib_events_read(struct fib_events *e, void (*each)(void *arg, const struct nlmsghdr *event), void *arg);

/*
 * What an event says, beside the snapshot. 1: *ret_object has it, with pointers into
 * the event, the snapshot, and `f`'s own memory (valid until the next call); 0: after
 * it the object is as in `before`, or it never counted; -errno.
 */
int fib_event_object(struct fib *f, struct fib_snapshot *before, const struct nlmsghdr *event, struct fib_object *ret_object);

/* Of a link event. */
uint32_t fib_event_ifindex(const struct nlmsghdr *event);
/* Was the link moved to another namespace? To which, by this one's number for it, and as what index there. */
bool fib_event_moved(const struct nlmsghdr *event, int32_t *ret_nsid, uint32_t *ret_ifindex);

/* The number that this namespace has for another one (RTM_GETNSID); -1: it has none yet. */
int fib_nsid_of(struct fib *f, int ns_fd, int32_t *ret_nsid);

/*
 * What was sent towards the gateway of a route that stood for a moment waits for its link-layer
 * address, and TCP does not send it again while it waits: 3 s, for a gateway that is
 * not there. Drops it, by deleting the gateway's neighbour entry if it is unresolved. 0 or -errno.
 */
int fib_drop_unresolved(struct fib *f, const struct nlmsghdr *event);

/* RTM_DELLINK by index. */
int fib_delete_link(struct fib *f, uint32_t ifindex);
/*
 * Moves a link of the namespace of `f` to another one, there with the name and the index of
 * `as`. Its addresses stay behind, and it is down. The kernel's error.
 */
int fib_move_link(struct fib *f, uint32_t ifindex, const struct fib_link *as, int ns_fd);

/* CLOCK_BOOTTIME in milliseconds. */
int64_t fib_now(void);

/* The port that the socket's own changes are notified with. */
uint32_t fib_port(const struct fib *f);

/* What the kernel looks the object up by, hashed: the same for an event and for a difference between snapshots. */
uint64_t fib_object_key(const struct fib_object *o);
/* The destination of a route or the address of an address, in network order: its length in bytes (0, 4 or 16; a default has 0). */
size_t fib_object_address(const struct fib_object *o, const void **ret_bytes);

/* What is sent: to an address, and where that is known from which one and between which TCP ports (in the host's order). */
struct fib_flow {
	int family;
	uint8_t to[16], from[16];
	bool has_from, tcp;
	uint16_t sport, dport;
};

/*
 * Which way the namespace would send (RTM_GETROUTE, RTM_F_FIB_MATCH): a hash of the route and
 * table that match; where none does, the kernel's error as a number.
 */
int fib_lookup(struct fib *f, const struct fib_flow *flow, uint64_t *ret_hash);
