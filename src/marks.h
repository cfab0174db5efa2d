/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * marks.h - signs of changes that are no routing: what level strict compares besides.
 * They tell that something changed, not what, and cannot be put back.
 */
#pragma once

#include "util.h"

struct marks;

/* Sockets in the calling thread's network namespace, and a first look. */
int marks_open(struct marks **ret_marks);
void marks_close(struct marks *m);

/*
 * Looks again, and calls `report` for each thing that is not as at the first look: the
 * packet filter's rule set (nftables' generation), the settings of links
 * (forwarding, rp_filter and the like: net.ipv4.conf, net.ipv6.conf). Returns how many.
 */
int marks_compare(struct marks *m, void (*report)(void *arg, const char *text), void *arg);
