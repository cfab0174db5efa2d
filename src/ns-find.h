/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ns-find.h - a network namespace by its cookie alone, for one whose name or path does not lead to it any more. */
#pragma once

#include "ns.h"

/*
 * Looks at what is mounted anywhere (every name is a mount), here and where PID 1 is, and then at what processes are in.
 * 1: it has a name or path; 0: only programs are in it; -ENOENT: it is nowhere, and so is no more; -errno, also when
 * it was not found, and something could not be looked at. It takes its time: a look at every process.
 */
int ns_find(ns_cookie cookie, int *ret_fd);
