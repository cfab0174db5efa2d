/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan.h - from a parsed file to the steps that realise it. Pure: what must be
 * known of the system is handed in, nothing is looked up, so that every plan
 * can be tested and printed without root.
 */
#pragma once

#include "step.h"

/*
 * up and down, in wg-quick's order (spec C, D.1). -EINVAL with *ret_error for
 * values that no step could realise (an Address, MTU or Table that ip(8) would
 * refuse); *ret_status is then the exit status that wg-quick ends with.
 * The steps point into `conf`, which must live as long.
 */
int plan_up(const struct conf *conf, struct plan *ret_plan, struct conf_error *ret_error, int *ret_status);
int plan_down(const struct conf *conf, struct plan *ret_plan);
void plan_free(struct plan *plan);
#define _cleanup_plan_ CLEANUP(plan_free)

/* Where a plan will take place, in words, for its print. */
struct plan_place {
	const char *netns;     /* the target's name or path */
	bool create;	       /* it does not exist yet */
	const char *transport; /* "host", "self", a name or a path */
	bool no_hooks;	       /* they are skipped */
};

/* The plan for a person, one step a line. */
void plan_print(const struct plan *plan, const struct conf *conf, const struct plan_place *place, struct buf *text);

/*
 * The routes for a set of allowed IPs (spec C.7): masked, unique, longest
 * prefix first, ties in descending byte order of their text; those that a
 * connected route of the device covers left out when `connected` is given.
 * The caller frees. -ENOMEM.
 */
int plan_routes(const struct prefix *allowed, size_t n_allowed, const struct prefix *connected, size_t n_connected,
		struct prefix **ret_routes, size_t *ret_n);

/* A rule of the transport namespace that looks at marks. */
struct mark_rule {
	uint32_t mark, mask;
};

/* The lowest mark of 1 to 255 for which every rule decides as it does for 0. 0: there is none. */
uint32_t plan_pick_mark(const struct mark_rule *rules, size_t n);

/* Whether a mark must be there though the file sets none: kill-switch hooks ask for it. */
bool plan_wants_mark(const struct conf *conf);

/* The text that a step is traced as after "[#] ", in the words of the command that would do it. */
void step_trace(const struct step *step, const char *iface, struct buf *text);
