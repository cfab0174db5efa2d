/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * addr.h - addresses, prefixes and endpoints as text and bytes. Pure.
 */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "util.h"

/* An IPv4 or IPv6 prefix. Bits past `len` may be set, as in the file: see prefix_mask(). */
struct prefix {
	int family; /* AF_INET or AF_INET6 */
	union {
		struct in_addr v4;
		struct in6_addr v6;
		uint8_t bytes[16];
	};
	uint8_t len;
};

#define PREFIX_TEXT_LEN (INET6_ADDRSTRLEN + 4)

/*
 * An Address item as iproute2 takes it: no mask means /32 or /128, `10.3/24` is
 * padded, a dotted IPv4 mask is a length. An IPv4 number with a leading zero is
 * refused: iproute2 would read it as octal, most people would not. -EINVAL.
 */
int parse_address(const char *text, struct prefix *ret_prefix);
/* An allowed IP without its sign: strict inet_pton, `/N` decimal. -EAFNOSUPPORT: the address, -EINVAL: the mask. */
int parse_allowed_ip(const char *text, struct prefix *ret_prefix);

/* `10.0.0.0/8` */
const char *format_prefix(const struct prefix *prefix, char ret_text[static PREFIX_TEXT_LEN]);
/* The address alone. */
const char *format_prefix_addr(const struct prefix *prefix, char ret_text[static INET6_ADDRSTRLEN]);

/* Clears the bits past prefix->len. */
void prefix_mask(struct prefix *prefix);
bool prefix_equal(const struct prefix *a, const struct prefix *b);
bool prefix_listed(const struct prefix *list, size_t n, const struct prefix *prefix);
/* Appends a copy to a list that the caller frees. -ENOMEM: it is as it was. */
int prefix_add(struct prefix **list, size_t *n, const struct prefix *prefix);
/* An order, for qsort(3) and halving: by family, length, address. Both masked. */
int prefix_compare(const struct prefix *a, const struct prefix *b);
/* Whether `outer` contains or equals `inner`. Both masked. */
bool prefix_covers(const struct prefix *outer, const struct prefix *inner);
/* Whether bits past prefix->len are set. */
bool prefix_has_host_bits(const struct prefix *prefix);
static inline bool prefix_is_default(const struct prefix *p)
{
	return p->len == 0;
}

union endpoint_addr {
	struct sockaddr sa; /* AF_UNSPEC: not (yet) resolved */
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

#define ENDPOINT_TEXT_LEN (INET6_ADDRSTRLEN + 24)
/* `192.0.2.1:51820`, `[fe80::1%2]:51820` as wg prints them; "(none)" when unset. */
const char *format_endpoint(const union endpoint_addr *ep, char ret_text[static ENDPOINT_TEXT_LEN]);
/* Same family, address, port and scope. Two unset ones are equal. */
bool endpoint_equal(const union endpoint_addr *a, const union endpoint_addr *b);
