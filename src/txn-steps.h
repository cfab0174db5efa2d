/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * txn-steps.h - between txn.c and the files that hold its steps: each takes one
 * step of the plan in the worker, and answers 0, or the exit status of what
 * failed, which it has told.
 */
#pragma once

#include "txn.h"

/* txn-netns.c */
int step_netns(struct txn *txn, struct step *step);
int step_publish(struct txn *txn, struct step *step);
int step_dns(struct txn *txn, struct step *step);

/* txn-link.c */
int step_link(struct txn *txn, struct step *step);
int step_wg(struct txn *txn, struct step *step);
int step_address(struct txn *txn, struct step *step);
int step_link_up(struct txn *txn, struct step *step);

/* The line that wg-quick's trace has for a step. */
void txn_trace(const struct txn *txn, const struct step *step);
