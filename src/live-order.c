/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * live-order.c - the order of addresses, as it decides from which of them packets come: that in
 * which they were added, and that in which the kernel has them.
 *
 * IPv4 has the primary ones first and then the secondary ones, those whose network an earlier one
 * has, each as they came. IPv6 goes by scope, the widest first, and in it the last that came is the first.
 */
#include "live.h"

enum group { IPV4_PRIMARY, IPV4_SECONDARY, IPV6_GLOBAL, IPV6_SITE, IPV6_LINK, GROUPS };

static bool is_secondary(const struct prefix *list, size_t i)
{
	struct prefix network = list[i];

	prefix_mask(&network);
	for (size_t j = 0; j < i; j++) {
		struct prefix earlier = list[j];

		prefix_mask(&earlier);
		if (prefix_equal(&earlier, &network))
			return true;
	}
	return false;
}

static enum group group_of(const struct prefix *list, size_t i)
{
	const struct prefix *p = &list[i];

	if (p->family == AF_INET)
		return is_secondary(list, i) ? IPV4_SECONDARY : IPV4_PRIMARY;
	if (IN6_IS_ADDR_LINKLOCAL(&p->v6) || IN6_IS_ADDR_LOOPBACK(&p->v6))
		return IPV6_LINK;
	return IN6_IS_ADDR_SITELOCAL(&p->v6) ? IPV6_SITE : IPV6_GLOBAL;
}

/* Those of one group. */
static size_t pick_group(const struct prefix *list, size_t n, enum group group, bool backwards, struct prefix *picked)
{
	size_t n_picked = 0;

	for (size_t i = 0; i < n; i++) {
		size_t at = backwards ? n - 1 - i : i;

		if (group_of(list, at) == group)
			picked[n_picked++] = list[at];
	}
	return n_picked;
}

int live_order_addresses(struct prefix *list, size_t n)
{
	_cleanup_free_ struct prefix *ordered = calloc(n + 1, sizeof(*ordered));
	size_t done = 0;

	if (!ordered)
		return -ENOMEM;
	for (enum group group = 0; group < GROUPS; group++)
		done += pick_group(list, n, group, group >= IPV6_GLOBAL, ordered + done);
	for (size_t i = 0; i < done; i++)
		list[i] = ordered[i];
	return 0;
}

/* The longest beginning of `to` stays that `from` has in that order: what is added comes after it. */
static int diff_group(const struct prefix *from, size_t n_from, const struct prefix *to, size_t n_to, struct live_changes *changes)
{
	size_t next = 0, at = 0;
	int r = 0;

	while (next < n_to && r == 0) {
		size_t same = at;

		while (same < n_from && !prefix_equal(&from[same], &to[next]))
			same++;
		if (same == n_from)
			break;
		while (at < same && r == 0)
			r = prefix_add(&changes->addresses_dropped, &changes->n_addresses_dropped, &from[at++]);
		at = same + 1;
		next++;
	}
	while (at < n_from && r == 0)
		r = prefix_add(&changes->addresses_dropped, &changes->n_addresses_dropped, &from[at++]);
	while (next < n_to && r == 0)
		r = prefix_add(&changes->addresses_added, &changes->n_addresses_added, &to[next++]);
	return r;
}

int live_diff_addresses(const struct live *from, const struct live *to, struct live_changes *changes)
{
	_cleanup_free_ struct prefix *before = calloc(from->n_addresses + 1, sizeof(*before));
	_cleanup_free_ struct prefix *after = calloc(to->n_addresses + 1, sizeof(*after));
	int r = before && after ? 0 : -ENOMEM;

	for (enum group group = 0; r == 0 && group < GROUPS; group++) {
		bool backwards = group >= IPV6_GLOBAL;
		size_t n_before = pick_group(from->addresses, from->n_addresses, group, backwards, before);
		size_t n_after = pick_group(to->addresses, to->n_addresses, group, backwards, after);

		r = diff_group(before, n_before, after, n_after, changes);
	}
	return r;
}

bool live_moves_address(const struct live_changes *changes, const struct prefix *address)
{
	return prefix_listed(changes->addresses_added, changes->n_addresses_added, address) &&
	       prefix_listed(changes->addresses_dropped, changes->n_addresses_dropped, address);
}
