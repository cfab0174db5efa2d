/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "addr.h"

#include <arpa/inet.h>
#include <endian.h>

static unsigned int family_bits(int family)
{
	return family == AF_INET ? 32 : 128;
}

/* `10.3` is 10.3.0.0: the numbers that are missing on the right are zero. */
static int parse_padded_v4(const char *text, uint8_t ret_bytes[static 4])
{
	uint8_t bytes[4] = { 0 };
	const char *p = text;

	for (size_t i = 0; i < 4; i++) {
		unsigned int number = 0;
		const char *start = p;

		while (*p >= '0' && *p <= '9' && p - start < 3)
			number = number * 10 + (unsigned int)(*p++ - '0');
		if (p == start || number > 255 || (*start == '0' && p - start > 1))
			return -EINVAL;
		bytes[i] = (uint8_t)number;
		if (!*p) {
			memcpy(ret_bytes, bytes, sizeof(bytes));
			return 0;
		}
		if (*p++ != '.')
			return -EINVAL;
	}
	return -EINVAL;
}

/* 255.255.255.0 is 24; -EINVAL when the ones are not in one piece. */
static int parse_dotted_mask(const char *text, uint64_t *ret_len)
{
	uint8_t bytes[4];
	uint32_t mask, host;

	if (parse_padded_v4(text, bytes) < 0)
		return -EINVAL;
	memcpy(&mask, bytes, sizeof(mask));
	host = ~be32toh(mask);
	if (host & (host + 1))
		return -EINVAL;
	*ret_len = 32 - (uint64_t)__builtin_popcount(host);
	return 0;
}

static int parse_mask(const char *text, int family, uint64_t *ret_len)
{
	int r = parse_cnum(text, family_bits(family), ret_len);

	/* `/255` is a length out of range, not a mask of one number. */
	if (r == -EINVAL && family == AF_INET)
		r = parse_dotted_mask(text, ret_len);
	return r;
}

/* The text before the first slash. -EINVAL when it is too long to be an address. */
static int copy_addr(const char *text, char ret_addr[static INET6_ADDRSTRLEN])
{
	size_t len = strcspn(text, "/");

	if (len >= INET6_ADDRSTRLEN)
		return -EINVAL;
	memcpy(ret_addr, text, len);
	ret_addr[len] = '\0';
	return 0;
}

int parse_address(const char *text, struct prefix *ret_prefix)
{
	char addr[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	struct prefix prefix = { .family = strchr(text, ':') ? AF_INET6 : AF_INET };
	uint64_t len = family_bits(prefix.family);

	if (copy_addr(text, addr) < 0)
		return -EINVAL;
	if (prefix.family == AF_INET6) {
		if (inet_pton(AF_INET6, addr, &prefix.v6) != 1)
			return -EINVAL;
	} else if (parse_padded_v4(addr, prefix.bytes) < 0) {
		return -EINVAL;
	}
	if (slash && parse_mask(slash + 1, prefix.family, &len) < 0)
		return -EINVAL;
	prefix.len = (uint8_t)len;
	*ret_prefix = prefix;
	return 0;
}

int parse_allowed_ip(const char *text, struct prefix *ret_prefix)
{
	char addr[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	struct prefix prefix = { 0 };
	uint64_t len;

	if (copy_addr(text, addr) < 0)
		return -EAFNOSUPPORT;
	prefix.family = strchr(addr, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(prefix.family, addr, prefix.bytes) != 1)
		return -EAFNOSUPPORT;
	len = family_bits(prefix.family);
	if (slash && parse_u64(slash + 1, len, &len) < 0)
		return -EINVAL;
	prefix.len = (uint8_t)len;
	*ret_prefix = prefix;
	return 0;
}

const char *format_prefix_addr(const struct prefix *prefix, char ret_text[static INET6_ADDRSTRLEN])
{
	return inet_ntop(prefix->family, prefix->bytes, ret_text, INET6_ADDRSTRLEN);
}

const char *format_prefix(const struct prefix *prefix, char ret_text[static PREFIX_TEXT_LEN])
{
	char addr[INET6_ADDRSTRLEN] = "";

	format_prefix_addr(prefix, addr);
	snprintf(ret_text, PREFIX_TEXT_LEN, "%s/%u", addr, prefix->len);
	return ret_text;
}

void prefix_mask(struct prefix *prefix)
{
	unsigned int n = family_bits(prefix->family) / 8;

	for (unsigned int i = prefix->len / 8; i < n; i++) {
		unsigned int kept = i == prefix->len / 8U ? prefix->len % 8 : 0;

		prefix->bytes[i] &= (uint8_t)(0xff00 >> kept);
	}
}

/* Compares the first `bits` bits. */
static bool same_bits(const struct prefix *a, const struct prefix *b, unsigned int bits)
{
	unsigned int rest = bits % 8;

	if (memcmp(a->bytes, b->bytes, bits / 8) != 0)
		return false;
	return !rest || ((a->bytes[bits / 8] ^ b->bytes[bits / 8]) & (0xff00 >> rest) & 0xff) == 0;
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return a->family == b->family && a->len == b->len && same_bits(a, b, family_bits(a->family));
}

bool prefix_listed(const struct prefix *list, size_t n, const struct prefix *prefix)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_equal(&list[i], prefix))
			return true;
	return false;
}

int prefix_add(struct prefix **list, size_t *n, const struct prefix *prefix)
{
	struct prefix *slot = GROW(*list, *n);

	if (!slot)
		return -ENOMEM;
	*slot = *prefix;
	return 0;
}

int prefix_compare(const struct prefix *a, const struct prefix *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return memcmp(a->bytes, b->bytes, family_bits(a->family) / 8);
}

bool prefix_covers(const struct prefix *outer, const struct prefix *inner)
{
	return outer->family == inner->family && outer->len <= inner->len && same_bits(outer, inner, outer->len);
}

bool prefix_has_host_bits(const struct prefix *prefix)
{
	struct prefix masked = *prefix;

	prefix_mask(&masked);
	return !prefix_equal(&masked, prefix);
}

const char *format_endpoint(const union endpoint_addr *ep, char ret_text[static ENDPOINT_TEXT_LEN])
{
	char addr[INET6_ADDRSTRLEN] = "";

	if (ep->sa.sa_family == AF_INET) {
		inet_ntop(AF_INET, &ep->v4.sin_addr, addr, sizeof(addr));
		snprintf(ret_text, ENDPOINT_TEXT_LEN, "%s:%u", addr, ntohs(ep->v4.sin_port));
	} else if (ep->sa.sa_family == AF_INET6) {
		char scope[16] = "";

		inet_ntop(AF_INET6, &ep->v6.sin6_addr, addr, sizeof(addr));
		/* A number, not a name: the name would be of the namespace that asks, not of the socket's. */
		if (ep->v6.sin6_scope_id)
			snprintf(scope, sizeof(scope), "%%%u", ep->v6.sin6_scope_id);
		snprintf(ret_text, ENDPOINT_TEXT_LEN, "[%s%s]:%u", addr, scope, ntohs(ep->v6.sin6_port));
	} else {
		snprintf(ret_text, ENDPOINT_TEXT_LEN, "(none)");
	}
	return ret_text;
}

bool endpoint_equal(const union endpoint_addr *a, const union endpoint_addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	if (a->sa.sa_family == AF_INET6)
		return a->v6.sin6_port == b->v6.sin6_port && a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
		       IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
	return true;
}
