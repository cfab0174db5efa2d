/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seal.h - the mount namespace of a program that lives in the network namespace
 * for long: what the host does to its own resolver meanwhile does not reach it.
 *
 * A bind mount over /etc/resolv.conf goes when the host replaces that file, and
 * one over a resolver's socket or folder when the daemon restarts: the kernel
 * takes away what is mounted on a name that is deleted or renamed elsewhere. So
 * the names directly in /etc, /run and /run/systemd are the program's own: a
 * tmpfs with the host's entries bound in it, but for the resolvers'. Nobody
 * else can delete what is mounted there.
 *
 * The price: folders are the host's, live and writable as ever, but a file that
 * the host replaces directly in one of the three is seen as it was, and what
 * the host makes there later is not seen. /etc itself is read-only.
 * (An overlay would freeze whole trees, and the kernel promises nothing for one
 * whose lower part changes.)
 */
#pragma once

#include "ns.h"

struct seal_spec {
	int target_fd;	     /* the network namespace */
	const char *etc_dir; /* its files stand in /etc in place of the host's; need not exist */
	bool mask_bus;	     /* D-Bus, the system's and that of `user`, is out of reach, too */
	uid_t user;
};

/*
 * Moves the calling (single-threaded) process into the network namespace and into a
 * new mount namespace. -errno; *ret_what names what failed. Fails rather than leave a way to the host's resolver.
 */
int seal_enter(const struct seal_spec *spec, const char **ret_what);
