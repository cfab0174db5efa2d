/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keep.c - namespaces that outlive their tunnel. While programs live in one, `down`
 * leaves it: there is no link in it but lo, so no packet leaves, and the next
 * `up` joins it, so that a restart of the tunnel strands nobody. So it does for a tunnel
 * of another namespace that has its socket in there, its transport. One with a tunnel
 * whose journal could not be read (unknown.h) stays as well, until that is deleted by hand.
 */
#include "dns.h"
#include "inside.h"
#include "log.h"
#include "txn.h"
#include "unknown.h"

/* How many of the programs a message names. */
#define NAMED 4
/* Another run of ours takes its tunnel away at the same time, and is out in a moment; or it comes in, and then waits for us to be done. */
#define RUN_PATIENCE_MS 1000
#define RUN_POLL_MS 10

static bool all_are_runs(const struct inside *processes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!processes[i].is_run)
			return false;
	return n > 0;
}

/* Who lives there, once runs that are on their way out are out. */
static int list_programs(int ns_fd, struct inside **ret_processes, size_t *ret_n)
{
	for (unsigned int waited = 0, tries = 0;; waited += RUN_POLL_MS) {
		struct inside *processes = NULL;
		size_t n = 0;
		int r = inside_list(ns_fd, &processes, &n);

		if (is_transient(r) && ++tries < 3)
			continue;
		if (r < 0 || waited >= RUN_PATIENCE_MS || !all_are_runs(processes, n)) {
			*ret_processes = processes;
			*ret_n = n;
			return r;
		}
		free(processes);
		sleep_ms(RUN_POLL_MS);
	}
}

static void tell(const struct txn *txn, const struct ns_record *record, const char *what, const struct inside *processes, size_t n)
{
	_cleanup_buf_ struct buf text = { 0 };

	for (size_t i = 0; i < n && i < NAMED; i++)
		buf_fmt(&text, "%s%s (%d)", i ? ", " : "", processes[i].name, processes[i].pid);
	if (n > NAMED)
		buf_fmt(&text, " and %zu more", n - NAMED);
	log_note("%s: network namespace %s %s: %s", txn->journal.iface, record->name, what, text.failed ? "" : text.data);
}

/* ---- tunnels of other namespaces with their sockets in there ---- */

struct sockets {
	int ns_fd;
	ns_cookie cookie;
	struct strv ifaces;
	pid_t *daemons; /* userspace ones live where their sockets are */
	size_t n_daemons;
};

static void sockets_free(struct sockets *s)
{
	strv_free(&s->ifaces);
	free(s->daemons);
}

/* 1, 0 or -errno. */
static int is_transport(const struct journal *j, const struct sockets *s)
{
	_cleanup_fd_ int fd = -1;
	int r;

	if (j->transport_cookie || !j->transport)
		return j->transport_cookie == s->cookie;
	r = place_open_transport(j->transport, &fd);
	return is_transient(r) ? r : fd >= 0 && ns_same(fd, s->ns_fd);
}

static int look_at_transport(void *arg, struct journal *j)
{
	struct sockets *s = arg;
	int r = j->cookie != s->cookie ? is_transport(j, s) : 0;

	if (r <= 0)
		return r;
	for (size_t i = 0; i < j->n_undo; i++) {
		pid_t *slot = j->undo[i].kind == UNDO_USERSPACE ? GROW(s->daemons, s->n_daemons) : NULL;

		/* For want of memory it is told as a program, too. */
		if (slot)
			*slot = (pid_t)j->undo[i].arg2;
	}
	return strv_add(&s->ifaces, j->iface, strlen(j->iface));
}

static int find_sockets(int ns_fd, const struct ns_record *record, struct sockets *ret_sockets)
{
	struct sockets s = { .ns_fd = ns_fd, .cookie = record->cookie };
	int r = journal_each(NULL, look_at_transport, &s);

	if (r < 0)
		sockets_free(&s);
	else
		*ret_sockets = s;
	return r;
}

static void tell_sockets(const struct txn *txn, const struct ns_record *record, const char *what, const struct sockets *s)
{
	_cleanup_buf_ struct buf text = { 0 };

	for (size_t i = 0; i < s->ifaces.n; i++)
		buf_fmt(&text, "%s%s", i ? ", " : "", s->ifaces.v[i]);
	if (s->ifaces.n)
		log_note("%s: network namespace %s %s: %s", txn->journal.iface, record->name, what, text.failed ? "" : text.data);
}

static bool is_daemon(const struct sockets *s, pid_t pid)
{
	for (size_t i = 0; i < s->n_daemons; i++)
		if (s->daemons[i] == pid)
			return true;
	return false;
}

/* Leaves those out that are told of as tunnels. */
static size_t without_daemons(struct inside *processes, size_t n, const struct sockets *s)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++)
		if (!is_daemon(s, processes[i].pid))
			processes[left++] = processes[i];
	return left;
}

/* ---- the end of a namespace ---- */

/*
 * Hooks' own end with an up that is undone. Who came in by the name meanwhile (ip-netns(8), `exec') is not ours to end, and a
 * hook's that came the same way, without its environment, cannot be told from a user's program: they are told of.
 */
static void tell_stranded(const struct txn *txn, const struct ns_record *record)
{
	struct inside *processes = NULL;
	size_t n = 0;

	if (record->made && list_programs(txn->target_fd, &processes, &n) == 0 && n > 0 && !all_are_runs(processes, n))
		tell(txn, record, "loses its name, and programs that are not known to be a hook's go on in it without a network", processes, n);
	free(processes);
}

void namespace_tell_nameless(const struct txn *txn)
{
	const struct ns_record record = { .name = txn->journal.ns_name };
	struct inside *processes = NULL;
	size_t n = 0;

	(void)inside_list(txn->target_fd, &processes, &n);
	tell(txn, &record, "has lost its name, so its tunnel is undone, and programs go on in it without a network", processes, n);
	free(processes);
}

static bool stays_for_programs(const struct txn *txn, const struct ns_record *record, const struct sockets *sockets)
{
	struct inside *processes = NULL;
	size_t n = 0;
	int r = list_programs(txn->target_fd, &processes, &n);
	/* When it cannot be known, nobody shall be stranded. */
	bool stays = r < 0 || n > 0;

	if (r < 0)
		log_warn("network namespace %s stays: cannot see whether programs are in it: %s", record->name, strerror(-r));
	n = without_daemons(processes, n, sockets);
	/* Of runs that leave slowly, the last one takes it along. */
	if (n > 0 && record->made && !all_are_runs(processes, n))
		tell(txn, record, "stays for the programs in it, which have no network now", processes, n);
	free(processes);
	return stays;
}

bool namespace_stays(const struct txn *txn, const struct ns_record *record)
{
	CLEANUP(sockets_free) struct sockets sockets = { 0 };
	_cleanup_fd_ int named = -1;
	int r;

	/* Somebody else's stays by itself; but programs in it may have our resolv.conf bound. */
	if (txn->target_fd < 0 || !record->name || !(record->made || (record->keep != KEEP_NO && dns_is_ours(record) != 0)))
		return false;
	for (int tries = 0; is_transient(r = ns_open(record->name, &named)) && tries < 2;)
		tries++;
	if (is_transient(r)) {
		log_warn("network namespace %s stays: cannot look at its name: %s", record->name, strerror(-r));
		return true;
	}
	if (r < 0 || !ns_same(named, txn->target_fd))
		return false;
	r = record->made ? find_sockets(txn->target_fd, record, &sockets) : 0;
	if (record->keep == KEEP_NO) {
		tell_sockets(txn, record, "loses its name, and tunnels whose sockets are in it have no network any more, and are to be brought up anew", &sockets);
		return false;
	}
	/* What a failed `up` leaves is nobody's home, but for a tunnel that came meanwhile. */
	if (txn->journal.state == JOURNAL_STARTING && !record->kept && !sockets.ifaces.n) {
		tell_stranded(txn, record);
		return false;
	}
	if (r < 0)
		log_warn("network namespace %s stays: cannot see whether tunnels have their sockets in it: %s", record->name, strerror(-r));
	tell_sockets(txn, record, "stays for the tunnels whose sockets are in it, which have no network now", &sockets);
	if (record->made && record->keep == KEEP_YES)
		return true;
	return stays_for_programs(txn, record, &sockets) || r < 0 || sockets.ifaces.n;
}

static bool are_namesakes(const struct ns_record *one, const struct ns_record *other)
{
	return one->cookie != other->cookie && one->name && other->name && strcmp(one->name, other->name) == 0;
}

static int look_for_namesake(void *arg, struct ns_record *other)
{
	return are_namesakes(arg, other);
}

static int look_for_holder(void *arg, struct ns_record *other)
{
	_cleanup_fd_ int fd = -1;

	return are_namesakes(arg, other) ? ns_record_open(other, &fd) : 0;
}

int namespace_is_superseded(struct ns_record *record, bool being_made)
{
	_cleanup_fd_ int fd = -1;
	int r = record->name ? ns_record_open(record, &fd) : 1;

	if (r < 0)
		return r;
	return r > 0 ? 0 : ns_record_each(being_made ? look_for_holder : look_for_namesake, record);
}

/* What the files are to become once the other one goes. */
static int hand_over(void *arg, struct ns_record *other)
{
	const struct ns_record *record = arg;
	int r;

	if (!are_namesakes(record, other))
		return 0;
	if (!record->etc_made || other->etc_made)
		return 1;
	other->etc_made = true;
	r = ns_record_save(other);
	return r < 0 ? r : 1;
}

int namespace_leave(struct ns_record *record, bool superseded)
{
	int first = superseded ? ns_record_each(hand_over, record) : dns_restore(record), r;

	if (first > 0)
		first = 0;
	r = unknown_leave(record);
	if (first == 0)
		first = r;
	if (record->made && record->name) {
		r = ns_unpublish(record->name, record->cookie);
		if (r == -ESTALE)
			log_warn(NETNS_RUN_DIR "/%s is not the namespace that was made any more; it is left alone", record->name);
		else if (r < 0 && r != -ENOENT && first == 0)
			first = r;
	}
	if (first == 0)
		first = ns_record_remove(record->cookie);
	return first;
}

/* ---- those that were left ---- */

static int is_of(void *arg, struct journal *j)
{
	const struct ns_record *record = arg;

	return j->cookie == record->cookie;
}

static bool is_over(const struct ns_record *record)
{
	CLEANUP(sockets_free) struct sockets sockets = { 0 };
	struct inside *processes = NULL;
	_cleanup_fd_ int fd = -1;
	size_t n = 0;
	int r;

	/* Without a record of being left, a run may be at work on it. */
	if (!record->kept || !record->name)
		return false;
	r = ns_record_open(record, &fd);
	if (r <= 0)
		return r == 0;
	if (record->made && record->keep == KEEP_YES)
		return false;
	r = inside_list(fd, &processes, &n);
	free(processes);
	if (r == 0 && n == 0 && record->made)
		r = find_sockets(fd, record, &sockets);
	return r == 0 && n == 0 && !sockets.ifaces.n;
}

static int sweep(void *arg, struct ns_record *record)
{
	int unknown, superseded;

	(void)arg;
	if (journal_each(NULL, is_of, record) != 0)
		return 0;
	unknown = unknown_was_in(record);
	superseded = unknown > 0 || record->kept ? namespace_is_superseded(record, false) : 0;
	if (unknown < 0 || superseded < 0 || (unknown && !unknown_is_gone(record)))
		return 0;
	if (unknown)
		unknown_sweep(record, superseded);
	if (is_over(record))
		(void)namespace_leave(record, superseded);
	return 0;
}

void namespace_sweep(void)
{
	_cleanup_fd_ int lock = -1;

	if (journal_lock_shared(&lock) == 0)
		(void)ns_record_each(sweep, NULL);
}
