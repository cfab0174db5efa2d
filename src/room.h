/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * room.h - the mount namespace that hooks run in: the namespace's
 * resolv.conf and nsswitch.conf in place of the host's, its own /sys, the
 * host's resolver sockets masked. (seal.h has that of `exec`.) With ns.c and
 * seal.c the only caller of setns(2), unshare(2) and mount(2).
 */
#pragma once

#include "ns.h"

struct room_spec {
	int target_fd;	     /* the network namespace whose /sys is shown */
	const char *etc_dir; /* its files are bound over those of /etc */
	const char *name;    /* shown under /run/netns though it is not published yet; NULL: nothing to show */
	const struct strv *names; /* with `name`: the host's own names (room_host_names()), which are shown besides */
};

/*
 * Moves the calling (single-threaded) process into a new room and into the
 * target network namespace. -errno; *ret_what names the path that failed.
 * Fails rather than leave the host's resolv.conf in place.
 */
int room_build(const struct room_spec *spec, const char **ret_what);

/*
 * The calling process's /sys becomes that of its network namespace, with what the host has mounted in
 * it (cgroup, bpf…) where it was. `in_place`: of the host's, not upon it, so that `ip netns exec`, which
 * takes one away, does not lay that bare; the kernel takes its time for it.
 */
int room_mount_sys(bool in_place);

/*
 * For looking names up: the calling process enters `ns_fd` (-1: stays) and sees the
 * resolv.conf of /etc/netns/NAME, or with no name PID 1's own files (`ip netns exec`
 * binds others).
 */
int room_enter_resolver(int ns_fd, const char *ns_name);

/*
 * Builds one in a child, for a descriptor of it, and keeps it beyond the process under
 * RUN_DIR/room/IFACE@COOKIE; the caller stays where it is.
 */
int room_create(const struct room_spec *spec, const char *iface, ns_cookie cookie, int *ret_fd, const char **ret_what);

/*
 * The calling process enters, and keeps its working directory if there is one of that name. What the host
 * replaced since, and so laid bare, gets its cover back: `etc_dir` as in room_spec; NULL: it stays as it is.
 */
int room_enter(int room_fd, const char *etc_dir);

/*
 * After the target's name was published: /run/netns becomes the host's own
 * again, and namespaces that hooks named meanwhile are named on the host too: all but `names`,
 * as in room_spec.
 */
int room_published(int room_fd, const struct strv *names);

/* The names under /run/netns; none where there is no such folder. The caller frees. */
int room_host_names(struct strv *ret_names);

/* ---- room-pin.c: rooms that are kept in PID 1's mount namespace ---- */

/* -EINVAL: the kernel takes it for older than PID 1's; see room_create(). */
int room_pin(int room_fd, const char *iface, ns_cookie cookie);
/* The one that was kept. -ENOENT: there is none. */
int room_open(const char *iface, ns_cookie cookie, int *ret_fd);
int room_unpin(const char *iface, ns_cookie cookie);
