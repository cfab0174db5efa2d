/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nl-request.h - how nl-link.c and nl-route.c ask the kernel: requests, dumps
 * and batches over the socket of a struct rt. For them alone: what others see
 * is nl.h, in which no type of libnl's appears.
 */
#pragma once

#include <linux/rtnetlink.h>
#include <netlink/msg.h>

#include "nl.h"

static inline void cleanup_msg(struct nl_msg **msg)
{
	nlmsg_free(*msg);
}
#define _cleanup_msg_ CLEANUP(cleanup_msg)

/* The length in bytes of an address of that family. */
static inline int rt_address_size(int family)
{
	return family == AF_INET ? (int)sizeof(struct in_addr) : (int)sizeof(struct in6_addr);
}

/* A message with its fixed header, for the caller to append attributes to. NULL: no memory. */
struct nl_msg *rt_message(int type, int flags, const void *header, size_t len);
/*
 * Sends one request and waits for its acknowledgement; replies before it go to
 * `each`, whose first non-zero value is returned. Else 0, or the kernel's -errno.
 */
int rt_request(struct rt *rt, struct nl_msg *msg, int (*each)(void *, const struct nlmsghdr *), void *arg);
/* All objects of one kind. -EINTR: a change interrupted the dump, it may be inconsistent. */
int rt_dump(struct rt *rt, int type, const void *header, size_t len, int (*each)(void *, const struct nlmsghdr *), void *arg);
/*
 * A consistent dump: one that a change interrupted is asked for again, and
 * `each` may then be given an object twice.
 */
int rt_dump_again(struct rt *rt, int type, const void *header, size_t len, int (*each)(void *, const struct nlmsghdr *), void *arg);
/*
 * Many requests in few system calls: `make` gives the one of number i (NULL: no
 * memory). At the first failure nothing behind its batch is sent, and
 * *ret_failed is its number; later ones of that batch may have been carried out.
 */
int rt_batch(struct rt *rt, struct nl_msg *(*make)(void *arg, size_t i), void *arg, size_t n, size_t *ret_failed);
