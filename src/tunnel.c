/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tunnel.h"

#include <fcntl.h>

#include "applied.h"
#include "dns.h"
#include "log.h"
#include "reload.h"
#include "save.h"
#include "spawn.h"

/*
 * A run that was killed holds its lock until the last of its processes is gone, which takes a busy
 * machine a moment, and the one that is left undoes its steps first: worth waiting for.
 */
#define LOCK_PATIENCE_MS 2000
#define RECOVER_PATIENCE_MS 1000

static int take_journal(struct txn *txn, struct journal *j)
{
	txn->journal = *j;
	*j = (struct journal){ 0 };
	return txn_open_journal(txn);
}

static int load_in(int ns_fd, const char *iface, struct txn *txn)
{
	struct journal j = { 0 };
	ns_cookie cookie;
	int r;

	r = ns_get_cookie(ns_fd, &cookie);
	if (r == 0)
		r = journal_load(iface, cookie, &j);
	if (r < 0)
		return r;
	/* The journal has no path of one without a name. */
	txn->target_fd = fcntl(ns_fd, F_DUPFD_CLOEXEC, 3);
	return txn->target_fd < 0 ? -errno : take_journal(txn, &j);
}

struct only {
	struct txn *txn;
	unsigned int n;
	int error;
};

static int take_first(void *arg, struct journal *j)
{
	struct only *only = arg;

	if (only->n++ == 0)
		only->error = take_journal(only->txn, j);
	return 0;
}

int tunnel_find(const char *iface, const char *netns, struct txn *txn)
{
	_cleanup_fd_ int fd = -1;
	_cleanup_fd_ int host = -1;
	struct only only = { .txn = txn };
	int r;

	if (netns) {
		r = ns_open(netns, &fd);
		return r < 0 ? -ENOENT : load_in(fd, iface, txn);
	}
	if (ns_open_current(&fd) == 0 && ns_open_host(&host) == 0 && !ns_same(fd, host)) {
		r = load_in(fd, iface, txn);
		if (r != -ENOENT)
			return r;
	}
	r = journal_each(iface, take_first, &only);
	if (r < 0)
		return r;
	if (only.n > 1) {
		log_error("`%s' is up in %u network namespaces; expected --netns to say which", iface, only.n);
		return -ENOTUNIQ;
	}
	return only.n ? only.error : -ENOENT;
}

int tunnel_reach(const char *iface, const char *netns, struct txn *txn)
{
	int r = tunnel_find(iface, netns, txn);

	if (r == 0 && txn->target_fd < 0 && !txn->journal.ns_path && txn->found != TARGET_GONE) {
		log_error("`%s' is up in a network namespace without a name; expected --netns PATH (/proc/PID/ns/net of a program in it)", iface);
		r = -ENOTUNIQ;
	}
	return r;
}

int tunnel_alive(const struct txn *txn)
{
	struct rt_link link;
	int r;

	if (!txn->target || !txn->journal.ifindex)
		return 0;
	r = rt_link_get(txn->target, NULL, txn->journal.ifindex, &link);
	if (r < 0)
		return r == -ENODEV ? 0 : r;
	return strcmp(link.kind, txn->journal.userspace ? "tun" : "wireguard") == 0;
}

int tunnel_reach_alive(const char *iface, const char *netns, struct txn *txn)
{
	int r = tunnel_reach(iface, netns, txn);

	if (r == -ENOTUNIQ)
		return r;
	if (r == 0)
		r = tunnel_alive(txn);
	if (r > 0)
		return 0;
	if (r == 0 || r == -ENOENT)
		return -ENODEV;
	log_error("%s: cannot see whether it is up: %s", iface, strerror(-r));
	return r == -ENODEV ? -EIO : r;
}

/* A userspace one is asked over a socket that keeps the name it was made with. */
static int find_wg_name(const struct txn *txn, char ret_name[static IFNAMSIZ])
{
	struct rt_link link = { 0 };
	int r = 0;

	if (txn->journal.userspace)
		snprintf(link.name, sizeof(link.name), "%s", txn->journal.iface);
	else
		r = txn->target ? rt_link_get(txn->target, NULL, txn->journal.ifindex, &link) : -ENODEV;
	if (r == 0)
		memcpy(ret_name, link.name, IFNAMSIZ);
	return r;
}

int tunnel_wg_read(const struct txn *txn, struct wg_iface *ret_wg)
{
	char name[IFNAMSIZ];
	int r = find_wg_name(txn, name);

	return r < 0 ? r : wg_read(txn_backend(txn), name, ret_wg);
}

int tunnel_wg_apply(const struct txn *txn, const struct wg_iface *wg)
{
	char name[IFNAMSIZ];
	int r = find_wg_name(txn, name);

	return r < 0 ? r : wg_apply(txn_backend(txn), name, wg);
}

/* Who deletes the name of a namespace that we made wants it to go, whoever is in it. Of others a name says nothing. 1, 0 or -errno. */
static int lost_its_name(const struct txn *txn)
{
	struct ns_record record = { 0 };
	bool made;
	int r;

	if (txn->found != TARGET_NAMELESS || !txn->journal.ns_name)
		return 0;
	r = ns_record_load(txn->journal.cookie, &record);
	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? 0 : r;
	made = record.made;
	ns_record_free(&record);
	return made;
}

/*
 * A finished tunnel is dead when its device is gone, or its namespace, or that was
 * deleted by hand. Of one without a name that cannot be seen nobody can tell.
 */
static int dead(const struct txn *txn)
{
	int r;

	if (!txn->target)
		return txn->found == TARGET_GONE || txn->journal.ns_name != NULL;
	if (txn->journal.state != JOURNAL_UP)
		return 1;
	r = lost_its_name(txn);
	if (r != 0)
		return r;
	r = tunnel_alive(txn);
	return r < 0 ? r : !r;
}

struct recovery {
	bool locked;
	bool leaves; /* what stays of a reload is no error: nobody needs that tunnel as one of the files has it */
	int done;
	int error;
};

static int undo_dead(struct txn *txn)
{
	int r;

	if (txn->journal.state == JOURNAL_UP && txn->found == TARGET_NAMELESS && tunnel_alive(txn) > 0)
		namespace_tell_nameless(txn);
	else
		log_note("%s: undoing what an interrupted run left in network namespace %s", txn->journal.iface,
			 txn->journal.ns_path ? txn->journal.ns_path : "(unnamed)");
	/*
	 * Of an `up' or `down' that broke off no hook goes on; what hooks of a finished tunnel started is its user's. Of an up also
	 * what emptied its environment: it made the room, and nobody but hooks is ever in there.
	 */
	if (txn->journal.state != JOURNAL_UP)
		spawn_kill_marked(txn->journal.mark, txn->journal.state == JOURNAL_STARTING ? txn->room_fd : -1, NULL);
	r = txn_undo(txn, UNDO_ALL);
	return r == 0 ? journal_remove(&txn->journal) : r;
}

/* It had not come to anything but its hooks, and the tunnel is whole. Where the journal cannot be written, they are looked for again. */
static void end_interrupted_down(struct txn *txn)
{
	_cleanup_buf_ struct buf names = { 0 };

	spawn_kill_marked(txn->journal.mark, -1, &names);
	if (names.len && !names.failed)
		log_note("%s: undoing what an interrupted down began: of its hooks are ended %.*s", txn->journal.iface, (int)names.len - 2, names.data);
	else
		log_note("%s: undoing what an interrupted down began: of its hooks nothing goes on", txn->journal.iface);
	if (journal_end_down(&txn->journal) == 0)
		(void)journal_save(&txn->journal);
}

static int undo_interrupted_reload(struct txn *txn)
{
	log_note("%s: undoing what an interrupted reload left in network namespace %s", txn->journal.iface,
		 txn->journal.ns_path ? txn->journal.ns_path : "(unnamed)");
	return txn_undo(txn, 1U << UNDO_RELOAD);
}

static int recover_one(void *arg, struct journal *j)
{
	struct recovery *recovery = arg;
	struct txn txn = TXN_INIT;
	_cleanup_fd_ int lock = -1;
	int r, is_dead = 0, is_reload = 0;

	/* It may just be dying, as when a unit's processes are killed. */
	r = recovery->locked ? 0 : journal_lock(j->iface, RECOVER_PATIENCE_MS, &lock);
	/* Somebody is at work on it. */
	if (r == -EAGAIN)
		return 0;
	/* It was read without the lock: what it says may be over. */
	if (r == 0)
		r = journal_load(j->iface, j->cookie, &txn.journal);
	if (r == -ENOENT || r == -EBADMSG)
		return 0;
	if (r == 0 && txn.journal.config)
		save_sweep(j->iface, txn.journal.config);
	if (r == 0)
		r = txn_open_journal(&txn);
	if (r == 0 && txn.journal.state == JOURNAL_UP && txn.journal.down_run)
		end_interrupted_down(&txn);
	if (r == 0)
		r = is_dead = dead(&txn);
	if (is_dead > 0) {
		r = undo_dead(&txn);
	} else if (r == 0 && reload_interrupted(&txn.journal)) {
		is_reload = 1;
		r = undo_interrupted_reload(&txn);
	}
	if (r == 0 && applied_sweep(&txn.journal) && !is_dead && !is_reload)
		log_note("%s: a file that a killed reload left is deleted", txn.journal.iface);
	if (r < 0 && is_reload && recovery->leaves) {
		log_warn("%s: could not undo the reload: %s", j->iface, strerror(-r));
	} else if (r < 0) {
		log_error("%s: could not undo %s: %s%s", j->iface, is_reload ? "the reload" : "everything", strerror(-r),
			  is_reload ? "; expected another try, or `down'" : "");
		recovery->error = r;
	} else if (is_dead || is_reload) {
		recovery->done++;
	}
	txn_free(&txn);
	return 0;
}

static int recover(const char *iface, bool locked, bool leaves)
{
	struct recovery recovery = { .locked = locked, .leaves = leaves };
	int r = journal_each(iface, recover_one, &recovery);

	if (r < 0)
		log_error("cannot read the journals in " RUN_DIR ": %s", strerror(-r));
	else
		r = recovery.error;
	if (!iface || locked)
		journal_sweep(iface);
	return r < 0 ? r : recovery.done;
}

int tunnel_recover(const char *iface, bool locked)
{
	return recover(iface, locked, false);
}

/* A namespace whose record could not be read has its resolver's files all the same while a tunnel is in it. */
static int add_ns_name(void *arg, struct journal *j)
{
	return j->ns_name ? strv_add(arg, j->ns_name, strlen(j->ns_name)) : 0;
}

int tunnel_recover_files(void)
{
	struct strv names = { 0 };
	_cleanup_fd_ int lock = -1;
	int r;

	save_sweep_folder();
	namespace_sweep();
	r = journal_lock_shared(&lock);

	if (r == 0)
		r = ns_record_names(&names);
	if (r == 0)
		r = journal_each(NULL, add_ns_name, &names);
	if (r == 0)
		r = dns_sweep(&names);
	strv_free(&names);
	return r;
}

static int take_lock(const char *iface, const char *config, bool leaves, int *ret_lock)
{
	int r;

	/* Names for wg-quick's rules, but folders for ours, and no interface can have them. */
	if (strcmp(iface, ".") == 0 || strcmp(iface, "..") == 0) {
		log_error("`%s' cannot be the name of an interface; expected another one", iface);
		return -EINVAL;
	}
	r = journal_prepare();
	if (r == 0)
		r = journal_lock(iface, LOCK_PATIENCE_MS, ret_lock);
	if (r == -EAGAIN)
		log_error("`%s' is being brought up or down by another run", iface);
	else if (r < 0)
		log_error("cannot write to " RUN_DIR ": %s; expected a writable /run", strerror(-r));
	if (r == 0 && config)
		save_sweep(iface, config);
	if (r == 0)
		r = recover(iface, true, leaves);
	if (r >= 0)
		namespace_sweep();
	else
		*ret_lock = close_fd(*ret_lock);
	return r < 0 ? r : 0;
}

int tunnel_lock(const char *iface, const char *config, int *ret_lock)
{
	return take_lock(iface, config, false, ret_lock);
}

int tunnel_lock_to_leave(const char *iface, const char *config, int *ret_lock)
{
	return take_lock(iface, config, true, ret_lock);
}

/* ---- one key, two devices ---- */

struct key_search {
	const struct key *key;
	const char *place;
	char *where;
};

static int found(struct key_search *search, const char *name)
{
	return asprintf(&search->where, "`%s' in %s", name, search->place) < 0 ? -ENOMEM : 1;
}

static int search_names(struct key_search *search, enum wg_backend backend, const struct strv *names)
{
	for (size_t i = 0; i < names->n; i++) {
		struct wg_iface wg = { 0 };
		bool same;

		int r = wg_read(backend, names->v[i], &wg);

		if (is_transient(r))
			return r;
		if (r < 0)
			continue;
		same = key_equal(&wg.public_key, search->key);
		wg_iface_free(&wg);
		if (same)
			return found(search, names->v[i]);
	}
	return 0;
}

static int search_kernel(void *arg)
{
	struct strv names = { 0 };
	int r = wg_kernel_names(&names);

	if (r == 0)
		r = search_names(arg, WG_KERNEL, &names);
	strv_free(&names);
	/* A kernel without WireGuard has no device with the key. */
	return r < 0 && !is_transient(r) ? 0 : r;
}

static int compare_journal(void *arg, struct journal *j)
{
	struct key_search *search = arg;

	if (!key_equal(&j->public_key, search->key))
		return 0;
	search->place = j->ns_path ? j->ns_path : "an unnamed network namespace";
	return found(search, j->iface);
}

static int search_journals(struct key_search *search)
{
	int r = journal_each(NULL, compare_journal, search);

	if (r <= 0)
		return r;
	/* Perhaps only what a killed run left: then it goes, and is no obstacle. */
	if (tunnel_recover(NULL, false) <= 0)
		return r;
	free(search->where);
	search->where = NULL;
	return journal_each(NULL, compare_journal, search);
}

int tunnel_key_is_noted(const struct key *public_key, char **ret_where)
{
	struct key_search search = { .key = public_key };
	int r = journal_each(NULL, compare_journal, &search);

	if (r > 0)
		*ret_where = search.where;
	return r;
}

int tunnel_key_in_use(const struct key *public_key, const struct place *place, char **ret_where)
{
	struct key_search search = { .key = public_key, .place = "the host's network namespace" };
	struct strv names = { 0 };
	int r;

	r = ns_call(place->host_fd, search_kernel, &search);
	if (r == 0 && place->transport_fd >= 0 && !ns_same(place->transport_fd, place->host_fd)) {
		search.place = "the transport namespace";
		r = ns_call(place->transport_fd, search_kernel, &search);
	}
	if (r == 0)
		r = search_journals(&search);
	if (r == 0 && wg_userspace_names(&names) == 0) {
		search.place = "userspace";
		r = search_names(&search, WG_USERSPACE, &names);
		strv_free(&names);
	}
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_where = search.where;
	return 0;
}
