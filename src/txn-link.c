/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * txn-link.c - the steps that make the device: the link, its WireGuard
 * configuration, addresses, MTU.
 */
#include "txn-steps.h"

#include <sys/random.h>

#include "log.h"

/*
 * Above TUNNEL_IFINDEX_MIN, so that a tool which takes the number to a daemon on the host
 * finds no link of that number there.
 */
static unsigned int random_ifindex(void)
{
	uint32_t n = 0;

	(void)!getrandom(&n, sizeof(n), 0);
	return TUNNEL_IFINDEX_MIN + n % ((1U << 30) - TUNNEL_IFINDEX_MIN);
}

/*
 * Kernels before 6.15 look for the name in the namespace of the request, not
 * of the device. There, a name that only the transport has is got round by a
 * temporary one.
 */
static int create_renamed(struct txn *txn, unsigned int ifindex)
{
	char name[IFNAMSIZ];
	int r, deleted;

	snprintf(name, sizeof(name), "wgnsq%x", ifindex & 0xffffffff);
	r = rt_link_create(txn->transport, "wireguard", name, ifindex, txn->target_fd);
	if (r < 0)
		return r;
	r = rt_link_rename(txn->target, ifindex, txn->conf->iface);
	if (r == 0)
		return 0;
	deleted = rt_link_delete(txn->target, ifindex);
	/* One that may still be there keeps its note by the error of that. */
	return deleted < 0 && deleted != -ENODEV ? deleted : r;
}

/* *ret_asked: it was the kernel that said no. */
static int create_kernel(struct txn *txn, bool *ret_asked)
{
	struct rt_link link;
	int r = -EBUSY;

	*ret_asked = false;
	for (int tries = 0; tries < 8 && (r == -EBUSY || r == -EEXIST); tries++) {
		unsigned int ifindex = random_ifindex();

		r = journal_note(&txn->journal, UNDO_LINK, ifindex, 0, 0);
		if (r < 0)
			return r;
		*ret_asked = true;
		txn->journal.ifindex = ifindex;
		if (getenv("WG_NSQUICK_TEST_RENAME"))
			r = -EEXIST;
		else
			r = rt_link_create(txn->transport, "wireguard", txn->conf->iface, ifindex, txn->target_fd);
		if (r == -EEXIST && rt_link_get(txn->target, txn->conf->iface, 0, &link) == -ENODEV)
			r = create_renamed(txn, ifindex);
		/* Where only the answer was lost, it may be there all the same: the note stays. */
		if (r == 0 || is_transient(r))
			return r;
		txn->journal.ifindex = 0;
		journal_pop(&txn->journal);
	}
	return r;
}

/* Once the device is there to tell. */
static int settle_ipv6(struct txn *txn)
{
	int r = txn_learn_ipv6(txn);

	if (r < 0)
		return txn_fail(1, txn, "out of memory");
	if (!txn->ipv6_off || !txn_uses_ipv6(txn->conf, &txn->conf->wg))
		return 0;
	if (txn->require_ipv6)
		return txn_fail(EXIT_KERNEL, txn, "IPv6 is disabled in network namespace %s, and the settings say `ipv6 = require'", place_target(txn->place));
	log_warn("%s: IPv6 is disabled in network namespace %s: the file's IPv6 addresses and routes are left out", txn->conf->iface, place_target(txn->place));
	return 0;
}

int step_link(struct txn *txn, struct step *step)
{
	const char *fallback = userspace_program();
	const struct step *link_up = NULL;
	unsigned int mtu;
	bool asked;
	int r;

	txn_trace(txn, step);
	r = create_kernel(txn, &asked);
	if (r == 0)
		return settle_ipv6(txn);
	if (!asked)
		return txn_fail(1, txn, "cannot write the journal: %s", strerror(-r));
	/* Out of memory for a moment is no reason for the slow one. */
	if (is_transient(r))
		return txn_fail(EXIT_KERNEL, txn, "cannot create the WireGuard interface: %s", rt_why(txn->transport, r));
	if (access("/sys/module/wireguard", F_OK) == 0 || !fallback) {
		if (r == -EEXIST)
			return txn_fail(1, txn, "`%s' already exists in network namespace %s", txn->conf->iface, place_target(txn->place));
		if (r == -EOPNOTSUPP)
			return txn_fail(1, txn, "this kernel has no WireGuard (module wireguard), and there is no userspace implementation; expected one of them: install wireguard-go");
		return txn_fail(r == -EPERM ? 1 : EXIT_KERNEL, txn, "cannot create the WireGuard interface: %s", rt_why(txn->transport, r));
	}
	log_note("Missing WireGuard kernel module. Falling back to slow userspace implementation.");
	/* The program reads its MTU where it starts: it must be right before the TUN is moved. */
	for (size_t i = 0; i < txn->plan->n; i++)
		if (txn->plan->steps[i].kind == STEP_LINK_UP)
			link_up = &txn->plan->steps[i];
	if (link_up && link_up->mtu_set) {
		mtu = link_up->mtu;
	} else {
		int automatic = 0;

		/* A first one only; the right one is set later. */
		(void)txn_auto_mtu(txn, &txn->conf->wg, &automatic);
		mtu = automatic >= MIN_IPV6_MTU ? (unsigned int)automatic : 1420;
	}
	r = userspace_start(txn, mtu);
	return r ? r : settle_ipv6(txn);
}

int step_wg(struct txn *txn, struct step *step)
{
	struct rt_link link;
	int r;

	txn_trace(txn, step);
	r = wg_apply(txn_backend(txn), txn->conf->iface, &txn->conf->wg);
	/* A userspace program that is about to end for the loss of its TUN has answers of its own. */
	if (r < 0 && txn->journal.userspace && rt_link_get(txn->target, NULL, txn->journal.ifindex, &link) == -ENODEV)
		r = -ENODEV;
	/* Hooks may run for long. */
	if (r == 0)
		conf_forget_keys(txn->conf);
	return r < 0 ? txn_fail(1, txn, "Unable to modify interface: %s", strerror(-r)) : 0;
}

int step_address(struct txn *txn, struct step *step)
{
	char text[PREFIX_TEXT_LEN];
	int r;

	if (txn->ipv6_off && step->address.family == AF_INET6)
		return 0;
	txn_trace(txn, step);
	r = rt_address_add(txn->target, txn->journal.ifindex, &step->address);
	if (r < 0)
		return txn_fail(EXIT_KERNEL, txn, "%s:%u: cannot add address %s: %s", txn->conf->path, step->line, format_prefix(&step->address, text),
			    rt_why(txn->target, r));
	return 0;
}

int step_link_up(struct txn *txn, struct step *step)
{
	struct step chosen = *step;
	int r;

	if (!chosen.mtu_set) {
		struct wg_iface live = { 0 };

		r = wg_read(txn_backend(txn), txn->conf->iface, &live);
		if (r < 0)
			return txn_fail(1, txn, "Unable to access interface: %s", strerror(-r));
		r = txn_choose_mtu(txn, &live, &chosen.mtu);
		wg_iface_free(&live);
		if (r)
			return r;
	}
	txn_trace(txn, &chosen);
	r = rt_link_up(txn->target, txn->journal.ifindex, &chosen.mtu);
	if (r < 0)
		return txn_fail(EXIT_KERNEL, txn, "cannot bring the interface up with MTU %u: %s", chosen.mtu, rt_why(txn->target, r));
	return 0;
}
