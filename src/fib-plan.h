/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fib-plan.h - what is to be deleted and added in one round of the way back. For fib-plan.c and fib-restore.c only. */
#pragma once

#include "fib-msg.h"

/* One request to come: a message of a snapshot, and how old that is. */
struct action {
	const struct nlmsghdr *m;
	int64_t ms;
};

/* In the order in which they are sent. */
enum phase {
	DELETE_RULES, /* first what does most harm: a rule catches every packet */
	DELETE_ADDRESSES,
	DELETE_ROUTES,
	DELETE_NEXTHOPS,
	ADD_ADDRESSES4, /* in the order of the dump: the first of a subnet is the primary one */
	ADD_ADDRESSES6, /* in reverse: the kernel puts a new one first */
	ADD_NEXTHOPS,
	ADD_NEXTHOP_GROUPS,
	ADD_ROUTES, /* without a gateway */
	ADD_GATEWAY_ROUTES,
	ADD_RULES,
	PHASES,
};

struct wanted {
	const struct nlmsghdr *m;
	int64_t ms;
	size_t now; /* its index among the members there are, or SIZE_MAX */
};

struct restore {
	struct fib *f;
	const struct fib_snapshot *before, *now;
	bool (*concern)(void *arg, const struct fib_object *o);
	void *arg;
	int round;
	int64_t age; /* of `before`, ms */
	size_t differences; /* that are a concern */
	bool unsettled; /* a link or an address is wrong: kernel routes will follow */
	size_t awaited; /* host routes of IPv6 addresses that the kernel has yet to add */
	bool impatient; /* it has not, for long enough */
	struct {
		struct action *v;
		size_t n;
	} todo[PHASES];
	struct {
		const struct fib_link *before, *now;
		unsigned int changed;
	} *links;
	size_t n_links;
	struct wanted *wanted;
	size_t n_wanted;
	void (*report)(void *arg, const char *text);
	const struct nlmsghdr **ra; /* of the kernel's own routes, the missing ones */
	size_t n_ra;
};

/* For fib_diff_pairs() with a struct restore: adds to it what this group needs in this round. */
int fib_plan_pair(void *arg, const struct fib_pair *p);
