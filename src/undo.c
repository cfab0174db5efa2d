/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * undo.c - the way back, from the journal alone: the same for a failing `up`,
 * for `down`, and for whoever finds what a killed run left. Every undo first
 * makes sure that what it finds is what was made: by index, kind and cookie,
 * never by name.
 */
#include <inttypes.h>

#include "dns.h"
#include "firewall.h"
#include "log.h"
#include "ns-find.h"
#include "reload.h"
#include "room.h"
#include "txn.h"
#include "unknown.h"

/* What opening a namespace by its name or path answers when it is no more. Anything else leaves the question open. */
static bool is_gone(int r)
{
	return r == -ENOENT || r == -EINVAL || r == -ENOTDIR || r == -ESRCH;
}

/* Takes the descriptor if it is of the journal's namespace: 1, 0 or -errno. */
static int take_target(struct txn *txn, int *fd)
{
	ns_cookie cookie;
	int r = ns_get_cookie(*fd, &cookie);

	if (r < 0 || cookie != txn->journal.cookie)
		return r;
	txn->target_fd = take_fd(fd);
	return 1;
}

/* The slow way, for one that its path does not lead to any more, or that never had a name. */
static int search_target(struct txn *txn)
{
	int r = ns_find(txn->journal.cookie, &txn->target_fd);

	if (is_transient(r))
		return r;
	txn->found = r > 0 ? TARGET_MOVED : r == 0 ? TARGET_NAMELESS : r == -ENOENT ? TARGET_GONE : TARGET_UNSEEN;
	return 0;
}

/* Its namespace by path, if it still is the one, or where the caller stands, or else wherever it is. */
static int find_target(struct txn *txn)
{
	struct journal *j = &txn->journal;
	_cleanup_fd_ int named = -1;
	_cleanup_fd_ int own = -1;
	int r;

	if (txn->target_fd >= 0)
		return 0;
	r = j->ns_path ? ns_open(j->ns_path, &named) : -ENOENT;
	if (r < 0 && !is_gone(r))
		return r;
	if (named >= 0) {
		r = take_target(txn, &named);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	r = ns_open_current(&own);
	if (r == 0)
		r = take_target(txn, &own);
	if (r != 0)
		return r < 0 ? r : 0;
	r = search_target(txn);
	if (r == 0 && named >= 0 && txn->target_fd < 0)
		log_warn("network namespace %s is not the one that %s was made in any more; it is left alone", j->ns_path, j->iface);
	return r;
}

int txn_open_journal(struct txn *txn)
{
	struct journal *j = &txn->journal;
	int r;

	r = find_target(txn);
	if (r < 0 && r != -ENOENT)
		return r;
	if (txn->target_fd >= 0) {
		r = rt_open_in(txn->target_fd, &txn->target);
		if (r < 0)
			return r;
	}
	r = j->transport ? place_open_transport_of(j, &txn->transport_fd) : -ENOENT;
	if (is_transient(r))
		return r;
	if (r == 0 && txn->transport_fd < 0 && txn->target_fd >= 0)
		txn->transport_fd = dup_fd(txn->target_fd);
	if (txn->transport_fd >= 0) {
		r = rt_open_in(txn->transport_fd, &txn->transport);
		if (r < 0)
			return r;
	}
	r = room_open(j->iface, j->cookie, &txn->room_fd);
	/* `exec' may be started without the right to see it. */
	return is_transient(r) ? r : 0;
}

void txn_free(struct txn *txn)
{
	rt_close(txn->target);
	rt_close(txn->transport);
	close_fd(txn->target_fd);
	close_fd(txn->transport_fd);
	close_fd(txn->room_fd);
	strv_free(&txn->host_names);
	journal_free(&txn->journal);
	*txn = TXN_INIT;
}

/* -ENODEV: it is not there. */
static int delete_wireguard(const struct txn *txn, struct rt *rt, unsigned int ifindex)
{
	struct rt_link link;
	int r = rt ? rt_link_get(rt, NULL, ifindex, &link) : -ENODEV;

	if (r == 0 && strcmp(link.kind, "wireguard") != 0)
		r = -ENODEV;
	if (r < 0)
		return r;
	log_trace("ip link delete dev %s", txn->journal.iface);
	return rt_link_delete(rt, link.ifindex);
}

/*
 * A hook may have pushed the device out (`ip link set %i netns 1'), and then it does
 * not end with the namespace. The number, random and kept by the move, tells it from others.
 */
static int undo_link(struct txn *txn, const struct undo *undo)
{
	_cleanup_rt_ struct rt *rt = NULL;
	_cleanup_fd_ int host = -1;
	int r;

	r = delete_wireguard(txn, txn->target, (unsigned int)undo->arg);
	if (r == -ENODEV)
		r = delete_wireguard(txn, txn->transport, (unsigned int)undo->arg);
	if (r == -ENODEV) {
		r = ns_open_host(&host);
		/* What cannot be seen (some containers) no hook could reach either. */
		if (r == -EACCES || r == -EPERM)
			return 0;
		if (r == 0)
			r = rt_open_in(host, &rt);
		if (r == 0)
			r = delete_wireguard(txn, rt, (unsigned int)undo->arg);
	}
	return r == -ENODEV ? 0 : r;
}

/* Ours by its preference, at which none of its look was when it was noted. */
static int undo_rule(struct txn *txn, const struct undo *undo, struct rt_rule rule)
{
	uint64_t above = undo->arg >> 32;

	if (!txn->target)
		return -ENOENT;
	rule.priority = above ? (uint32_t)(above - 1) : 0;
	return rt_rule_del(txn->target, &rule, above == 0);
}

static int family_number(int family)
{
	return family == AF_INET6 ? 6 : 4;
}

static int undo_rule_mark(struct txn *txn, const struct undo *undo)
{
	int family = (int)(uint32_t)undo->arg;
	int r = undo_rule(txn, undo, rt_rule_of_mark(family, (uint32_t)undo->arg2, (uint32_t)undo->arg3));

	if (r == 0)
		log_trace("ip -%d rule delete table %" PRIu64, family_number(family), undo->arg3);
	return r == -ENOENT ? 0 : r;
}

static int undo_rule_main(struct txn *txn, const struct undo *undo)
{
	int family = (int)(uint32_t)undo->arg;
	int r = undo_rule(txn, undo, rt_rule_of_main(family));

	if (r == 0)
		log_trace("ip -%d rule delete table main suppress_prefixlength 0", family_number(family));
	return r == -ENOENT ? 0 : r;
}

struct firewall_undo {
	const char *iface;
	int family;
	bool shared;
};

static int remove_firewall(void *arg)
{
	const struct firewall_undo *undo = arg;

	return firewall_remove(undo->iface, undo->family, undo->shared);
}

static int undo_firewall(struct txn *txn, const struct undo *undo)
{
	struct firewall_undo what = { txn->journal.iface, (int)undo->arg, undo->arg2 != 0 };

	if (txn->target_fd < 0)
		return 0;
	log_trace("nft -f /dev/fd/63");
	return ns_call(txn->target_fd, remove_firewall, &what);
}

static int undo_room(struct txn *txn, const struct undo *undo)
{
	(void)undo;
	txn->room_fd = close_fd(txn->room_fd);
	return room_unpin(txn->journal.iface, txn->journal.cookie);
}

/* Who lives there came for a tunnel that stood: the others may only be on their way up, and if they fail, it is his home none the less. */
static void keep_for_residents(const struct txn *txn, struct ns_record *record)
{
	if (txn->journal.state == JOURNAL_STARTING || record->kept)
		return;
	record->kept = true;
	/* Without it, only who fails at this very time strands somebody. */
	(void)ns_record_save(record);
}

/* The last tunnel out takes the namespace along, if we made it. */
static int undo_member(struct txn *txn, const struct undo *undo)
{
	struct ns_record record = { 0 };
	_cleanup_fd_ int lock = -1;
	size_t others = 1; /* unless it is known that there are none */
	int r, first, superseded;

	(void)undo;
	r = journal_lock_shared(&lock);
	if (r < 0)
		return r;
	r = ns_record_load(txn->journal.cookie, &record);
	if (r == -ENOENT || r == -EBADMSG)
		return ns_record_remove(txn->journal.cookie);
	if (r < 0)
		return r;
	if (txn->keep != KEEP_UNSET)
		record.keep = txn->keep;
	superseded = namespace_is_superseded(&record, txn->place && txn->place->create);
	first = superseded < 0 ? superseded : txn_write_dns(superseded ? NULL : &record, txn->journal.cookie, &txn->journal, &others);
	r = txn_leave_src_valid_mark(txn, &record);
	if (r == 0)
		r = others == 0 && txn->target_fd >= 0 ? unknown_is_in(txn->target_fd, &record) : 0;
	if (r < 0) {
		/* When it cannot be known, nobody loses his tunnel, and what the record alone tells of stays told: the next try sees. */
		if (first == 0)
			first = r;
	} else if (r > 0) {
		/* With its resolver as it is; once the other one is gone, any run takes it away. */
		record.kept = true;
		r = ns_record_save(&record);
		if (first == 0)
			first = r;
	} else if (others == 0 && namespace_stays(txn, &record)) {
		const struct strv nothing = { 0 };

		/* Programs inside have the file bound: it stays, and names no server. */
		record.kept = true;
		r = dns_is_ours(&record);
		if (r > 0)
			r = dns_write(&record, &nothing);
		if (r == 0)
			r = ns_record_save(&record);
		if (first == 0)
			first = r;
	} else if (others == 0) {
		r = namespace_leave(&record, superseded);
		if (first == 0)
			first = r;
	} else {
		keep_for_residents(txn, &record);
	}
	ns_record_free(&record);
	return first;
}

static int (*const undo_ops[UNDO_KINDS])(struct txn *txn, const struct undo *undo) = {
	[UNDO_MEMBER] = undo_member,	   [UNDO_LINK] = undo_link,	      [UNDO_USERSPACE] = userspace_undo, [UNDO_ROOM] = undo_room,
	[UNDO_RULE_MARK] = undo_rule_mark, [UNDO_RULE_MAIN] = undo_rule_main, [UNDO_FIREWALL] = undo_firewall,
	[UNDO_RELOAD] = reload_undo,
};

static int undo_once(struct txn *txn, unsigned int kinds, bool last)
{
	struct journal *j = &txn->journal;
	int first = 0, r;

	for (size_t i = j->n_undo; i-- > 0;) {
		if (!(kinds & 1U << j->undo[i].kind))
			continue;
		/* What goes with the namespace's record is seen by what else is gone. */
		if (j->undo[i].kind == UNDO_MEMBER && first < 0 && !last)
			continue;
		r = undo_ops[j->undo[i].kind](txn, &j->undo[i]);
		if (r < 0) {
			if (first == 0)
				first = r;
			continue;
		}
		memmove(&j->undo[i], &j->undo[i + 1], (j->n_undo - i - 1) * sizeof(*j->undo));
		j->n_undo--;
		/* Not being able to shorten the journal only means that it is undone twice. */
		(void)journal_save(j);
	}
	return first;
}

/* A second try is for what was out for a moment: memory, descriptors. Not for what the user will not wait for. */
int txn_undo(struct txn *txn, unsigned int kinds)
{
	int r;

	if (txn->worker)
		worker_turns_back(txn->worker);
	r = undo_once(txn, kinds, false);
	return r < 0 && r != -ECANCELED ? undo_once(txn, kinds, true) : r;
}
