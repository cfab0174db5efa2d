/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ns.h - network and mount namespaces: create, open, identify, enter, publish.
 * Together with room.c and seal.c the only caller of setns(2), unshare(2) and mount(2).
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "util.h"

#define NETNS_RUN_DIR "/run/netns"
#define NETNS_ETC_DIR "/etc/netns"

/*
 * Inode numbers of namespaces are reused at once; the cookie is unique until
 * reboot (SO_NETNS_COOKIE, Linux 5.14). Kernels without it: device and inode
 * number, mixed, which is the best there is.
 */
typedef uint64_t ns_cookie;

/* The calling thread's network namespace. */
int ns_open_current(int *ret_fd);
/* PID 1's network namespace: the host's. -EACCES, -EPERM or -ENOENT where it cannot be seen. */
int ns_open_host(int *ret_fd);
/* The host's, or where that may not be opened the one that we stand in. */
int ns_open_outermost(int *ret_fd);
/*
 * NAME means /run/netns/NAME, anything with a slash is a path. -ENOENT: there
 * is none; -EINVAL: it is not a network namespace (a stale file, another kind).
 */
int ns_open(const char *name_or_path, int *ret_fd);
/* A namespace of a kind (CLONE_NEW…) by its path; -EINVAL: it is none, or of another kind. Only what came through here goes to setns(2). */
int ns_open_kind(const char *path, int kind, int *ret_fd);
/* A new one, without a name, that lives as long as a descriptor or a process holds it. The caller stays where it is. */
int ns_create(int *ret_fd);
int ns_get_cookie(int ns_fd, ns_cookie *ret_cookie);
bool ns_same(int a, int b);

/* The calling (single-threaded) process enters; -errno. */
int ns_enter(int ns_fd);
/* Runs `fn` with the calling thread in `ns_fd`, and comes back. Not coming back is fatal: the process ends. */
int ns_call(int ns_fd, int (*fn)(void *arg), void *arg);

/* Runs `fn` in a child that stands in PID 1's mount namespace; its 0 or -errno is the answer. */
int ns_in_host_mounts(int (*fn)(void *arg), void *arg);

/* A name that is safe as a path, a mount point and an argument: -EINVAL otherwise. */
bool ns_name_valid(const char *name);

/*
 * Publishes under /run/netns by one bind mount, in PID 1's mount namespace, as
 * `ip netns add` does it: the folder locked, shared, the name bound last.
 * -EEXIST when the name is in use by something that is mounted; a stale empty file is taken over.
 */
int ns_publish(int ns_fd, const char *name);
/* The reverse, if the name still is the namespace with this cookie: else -ESTALE, -ENOENT. */
int ns_unpublish(const char *name, ns_cookie cookie);
/* The name under /run/netns of a namespace, or -ENOENT. The caller frees. */
int ns_find_name(int ns_fd, char **ret_name);
