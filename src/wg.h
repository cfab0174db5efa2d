/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wg.h - configuring and reading WireGuard devices, kernel and userspace alike.
 *
 * The kernel's device is looked up by name in the calling thread's network
 * namespace; a userspace one by the name of its socket, which is one for the
 * whole host. The caller says which it wants: a stray socket of the same name
 * must never stand in for a kernel device (spec H).
 */
#pragma once

#include "conf.h"

enum wg_backend { WG_KERNEL, WG_USERSPACE };

/*
 * wg's addconf: what is present is set, peers are added, nothing else is
 * touched. Items with "-" are taken from what the peer has at that moment.
 * -errno, as the kernel or the userspace implementation reported it.
 */
int wg_apply(enum wg_backend backend, const char *name, const struct wg_iface *wg);
/* The caller frees with wg_iface_free(). -ENODEV: there is none. */
int wg_read(enum wg_backend backend, const char *name, struct wg_iface *ret_wg);
/* Kernel devices of the calling thread's network namespace. The caller frees with strv_free(). */
int wg_kernel_names(struct strv *ret_names);
/* The userspace devices of the whole host whose socket answers. */
int wg_userspace_names(struct strv *ret_names);
void wg_public_key(const struct key *private_key, struct key *ret_public_key);

/* The socket of a userspace device. The caller frees; NULL when memory is out. */
char *wg_userspace_socket(const char *name);
/* Connects to it. -ENODEV: nobody listens. */
int wg_userspace_connect(const char *name, int *ret_fd);

/* The two backends; use wg_apply() and wg_read(). */
int wg_kernel_apply(const char *name, const struct wg_iface *wg);
int wg_kernel_read(const char *name, struct wg_iface *ret_wg);
int wg_userspace_apply(const char *name, const struct wg_iface *wg);
int wg_userspace_read(const char *name, struct wg_iface *ret_wg);
