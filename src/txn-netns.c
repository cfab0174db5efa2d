/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * txn-netns.c - the steps that make the namespace, its name and its resolver's
 * files. What it shares with the other tunnels in it is done under the shared lock.
 */
#include "txn-steps.h"

#include "dns.h"
#include "log.h"
#include "room.h"
#include "sysctl.h"
#include "tunnel.h"

static bool has_server(const struct conf *conf)
{
	for (size_t i = 0; i < conf->n_dns; i++)
		if (dns_item_is_server(conf->dns[i].text))
			return true;
	return false;
}

/* As it was read some time ago: its last tunnel may have taken it along meanwhile. */
static bool still_has_name(const struct txn *txn)
{
	_cleanup_fd_ int named = -1;
	int r = ns_open(txn->place->name, &named);

	return r == 0 ? ns_same(named, txn->target_fd) : r != -ENOENT && r != -EINVAL;
}

/* The same of the transport. Once the journal notes it, it stays for the tunnel (keep.c). */
static bool still_is_transport(const struct txn *txn)
{
	_cleanup_fd_ int named = -1;
	int r = place_open_transport(txn->place->transport, &named);

	return r < 0 ? r != -ENOENT && r != -EINVAL : named < 0 || ns_same(named, txn->transport_fd);
}

static int check_places(const struct txn *txn, bool made, const char **ret_what)
{
	bool target = made || !txn->place->name || still_has_name(txn);

	if (target && still_is_transport(txn))
		return 0;
	*ret_what = target ? txn->place->transport : txn->place->name;
	return -ESTALE;
}

/* Whoever had the key when this run began was told; meanwhile, another run may have taken it. Told. */
static int check_key(const struct txn *txn)
{
	_cleanup_free_ char *where = NULL;
	int r;

	if (txn->shares_key || key_is_zero(&txn->journal.public_key))
		return 0;
	r = tunnel_key_is_noted(&txn->journal.public_key, &where);
	if (r <= 0)
		return r;
	(void)txn_fail(1, txn, KEY_IN_USE, where);
	return -EKEYREJECTED;
}

static int is_other(void *arg, struct journal *j)
{
	const struct journal *own = arg;

	return j->cookie == own->cookie && strcmp(j->iface, own->iface) != 0;
}

/* Joins or founds the namespace's record, and makes its resolver files. -ESTALE: one is not there any more; -EKEYREJECTED: its key, told. *ret_what: of what an error is. */
static int join_namespace(struct txn *txn, bool made, const char **ret_what)
{
	struct ns_record record = { .cookie = txn->journal.cookie };
	_cleanup_fd_ int lock = -1;
	bool fresh = false;
	int r;

	*ret_what = RUN_DIR;
	r = journal_lock_shared(&lock);
	if (r < 0)
		return r;
	r = check_places(txn, made, ret_what);
	if (r == 0)
		r = check_key(txn);
	if (r == 0)
		r = journal_note(&txn->journal, UNDO_MEMBER, 0, 0, 0);
	if (r < 0)
		return r;
	r = ns_record_load(txn->journal.cookie, &record);
	if (r == -ENOENT || r == -EBADMSG) {
		record = (struct ns_record){ .cookie = txn->journal.cookie, .made = made };
		if (txn->place->name)
			record.name = strdup(txn->place->name);
		r = txn->place->name && !record.name ? -ENOMEM : journal_each(NULL, is_other, &txn->journal);
		/* Where another tunnel is in it, only its record was lost, and the files are that one's. */
		fresh = r == 0;
		r = r > 0 ? 0 : r;
	}
	if (r == 0) {
		record.keep = txn->keep;
		r = ns_record_save(&record);
		/* Of a namespace that had this name, when the machine went down. */
		if (r == 0 && fresh) {
			*ret_what = NETNS_ETC_DIR;
			r = dns_restore(&record);
		}
	}
	/* Somebody else's namespace without DNS from us keeps the resolver it has. */
	if (r == 0 && (record.made || has_server(txn->conf)))
		r = dns_prepare(&record, ret_what);
	ns_record_free(&record);
	return r;
}

/* A new namespace lets no group ping without privileges; whom the host lets, is let here. Where the kernel forbids it, no harm is done. */
static void allow_ping(const struct txn *txn)
{
	char range[64];

	if (sysctl_read(txn->place->host_fd, "ipv4/ping_group_range", range, sizeof(range)) == 0)
		(void)sysctl_write(txn->target_fd, "ipv4/ping_group_range", range);
}

int step_netns(struct txn *txn, struct step *step)
{
	const char *what = "netlink";
	struct rt_link link;
	int r = 0;

	(void)step;
	if (txn->place->create)
		r = ns_create(&txn->target_fd);
	else if ((txn->target_fd = dup_fd(txn->place->target_fd)) < 0)
		r = -errno;
	if (r == 0)
		r = ns_get_cookie(txn->target_fd, &txn->journal.cookie);
	if (r == 0)
		r = journal_new_run(&txn->journal);
	if (r < 0)
		return txn_fail(1, txn, "cannot %s network namespace %s: %s", txn->place->create ? "make" : "open", place_target(txn->place), strerror(-r));
	txn->transport_fd = dup_fd(txn->place->transport_fd >= 0 ? txn->place->transport_fd : txn->target_fd);
	if (txn->transport_fd < 0)
		return txn_fail(1, txn, "out of descriptors");
	r = rt_open_in(txn->transport_fd, &txn->transport);
	/* The other words for one always mean what they meant. */
	if (r == 0 && txn->place->transport_fd >= 0 && strcmp(txn->place->transport, "host") != 0)
		r = ns_get_cookie(txn->transport_fd, &txn->journal.transport_cookie);
	if (r == 0)
		r = ns_enter(txn->target_fd);
	if (r == 0)
		r = rt_open(&txn->target);
	if (r == 0)
		r = join_namespace(txn, txn->place->create, &what);
	if (r == -EKEYREJECTED)
		return 1;
	if (r == -ESTALE)
		return txn_fail(1, txn, "network namespace %s was taken away meanwhile; expected it to stay", what);
	if (r < 0)
		return txn_fail(1, txn, "cannot set up network namespace %s (%s): %s", place_target(txn->place), what, strerror(-r));
	if (txn->place->create) {
		allow_ping(txn);
		r = rt_link_get(txn->target, "lo", 0, &link);
		if (r == 0)
			r = rt_link_up(txn->target, link.ifindex, NULL);
		if (r < 0)
			return txn_fail(EXIT_KERNEL, txn, "cannot bring up lo in network namespace %s: %s", place_target(txn->place), rt_why(txn->target, r));
	}
	return 0;
}

static int fail_taken(const struct txn *txn)
{
	return txn_fail(1, txn, "network namespace %s was made by somebody else meanwhile", txn->place->name);
}

int step_publish(struct txn *txn, struct step *step)
{
	int r;

	(void)step;
	if (!txn->place->create || !txn->place->name)
		return 0;
	r = ns_publish(txn->target_fd, txn->place->name);
	if (r == 0 && txn->room_fd >= 0)
		r = room_published(txn->room_fd, &txn->host_names);
	if (r == -EEXIST)
		return fail_taken(txn);
	if (r < 0)
		return txn_fail(1, txn, "cannot publish the namespace as " NETNS_RUN_DIR "/%s: %s", txn->place->name, strerror(-r));
	return 0;
}

/* ---- DNS ---- */

struct dns_walk {
	ns_cookie cookie;
	const struct journal *without;
	struct strv items;
	size_t tunnels;
};

static int collect_dns(void *arg, struct journal *j)
{
	struct dns_walk *walk = arg;

	if (j->cookie != walk->cookie || (walk->without && strcmp(j->iface, walk->without->iface) == 0))
		return 0;
	walk->tunnels++;
	for (size_t i = 0; i < j->dns.n; i++) {
		int r = strv_add(&walk->items, j->dns.v[i], strlen(j->dns.v[i]));

		if (r < 0)
			return r;
	}
	return 0;
}

/* Somebody else's namespace has the resolver that it had, be it the host's. Programs that have our files bound keep an empty one, or go by his. */
static int leave_resolver(struct ns_record *record)
{
	int r = dns_give_back(record);

	if (r == 0 || r == -ENOENT)
		r = dns_restore(record);
	if (r < 0 || !record->etc_made)
		return r;
	/* The next server makes the folder anew, if nobody else has. */
	record->etc_made = false;
	return ns_record_save(record);
}

/* The items of all. */
static int write_items(struct ns_record *record, const struct strv *items)
{
	int r;

	if (!record->made && !dns_names_server(items))
		return leave_resolver(record);
	r = items->n ? 1 : dns_is_ours(record);
	return r > 0 ? dns_write(record, items) : r;
}

int txn_write_dns(struct ns_record *record, ns_cookie cookie, const struct journal *without, size_t *ret_tunnels)
{
	struct dns_walk walk = { .cookie = cookie, .without = without };
	int r = journal_each(NULL, collect_dns, &walk);

	if (r == 0 && record && (!without || walk.tunnels))
		r = write_items(record, &walk.items);
	strv_free(&walk.items);
	if (r == 0)
		*ret_tunnels = walk.tunnels;
	return r;
}

static int write_dns(struct txn *txn, struct ns_record *record)
{
	const char *what;
	size_t tunnels;
	int r = dns_take_items(txn->conf, &txn->journal.dns);

	if (r == 0)
		r = journal_save(&txn->journal);
	/* In somebody's namespace, the last tunnel with servers may have taken the files along since this one joined. */
	if (r == 0)
		r = dns_prepare(record, &what);
	return r == 0 ? txn_write_dns(record, txn->journal.cookie, NULL, &tunnels) : r;
}

void txn_warn_no_server(const struct txn *txn, const char *netns)
{
	log_warn("%s: DNS names no server, so network namespace %s keeps its resolv.conf; the search domains are left out", txn->conf->iface, netns);
}

int step_dns(struct txn *txn, struct step *step)
{
	_cleanup_free_ char *dir = NULL;
	struct ns_record record = { 0 };
	_cleanup_fd_ int lock = -1, taken = -1;
	int r;

	(void)step;
	r = dns_dir_of(&txn->journal, &dir);
	if (r == 0)
		r = journal_lock_shared(&lock);
	/* Before it is published: a tunnel in there, by now, has the files of that name. */
	if (r == 0 && txn->place->create && txn->place->name && ns_open(txn->place->name, &taken) == 0)
		return fail_taken(txn);
	if (r == 0)
		r = ns_record_load(txn->journal.cookie, &record);
	if (r == 0 && !record.made && !has_server(txn->conf)) {
		txn_warn_no_server(txn, place_target(txn->place));
	} else if (r == 0) {
		log_trace("install -m 644 /dev/fd/63 %s/resolv.conf", dir);
		r = write_dns(txn, &record);
	}
	ns_record_free(&record);
	return r < 0 ? txn_fail(1, txn, "cannot write %s/resolv.conf: %s", dir ? dir : NETNS_ETC_DIR, strerror(-r)) : 0;
}
