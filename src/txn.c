/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * txn.c - theory of operation of `up` (design section 4 has the reasons):
 *
 *  1. The supervisor (guard.c) has its snapshot of the host, and forked us, the worker.
 *  2. STEP_NETNS: an unnamed namespace, held by our descriptor only; if
 *     everything dies here, the kernel destroys it. Or the one that exists.
 *  3. STEP_LINK: one RTM_NEWLINK through a socket of the transport namespace.
 *     The device is born in the target; the host never has it.
 *  4. STEP_ROOM, PreUp, STEP_WG, addresses, MTU and up, DNS, routes.
 *  5. STEP_PUBLISH: the name appears under /run/netns. PostUp.
 *  6. The supervisor compares the host with its snapshot. Only then the
 *     journal says "up".
 *
 * Whatever fails: everything noted in the journal is undone in reverse, and
 * the exit status is that of what failed.
 */
#include "txn.h"

#include <stdarg.h>
#include <sys/random.h>
#include <time.h>

#include "applied.h"
#include "dns.h"
#include "dnsway.h"
#include "hook.h"
#include "hoststate.h"
#include "log.h"
#include "room.h"
#include "spawn.h"
#include "save.h"
#include "sysctl.h"

/* ip(8)'s exit status when the kernel refuses. */
#define EXIT_KERNEL 2

static void trace(const struct txn *txn, const struct step *step)
{
	_cleanup_buf_ struct buf text = { 0 };

	step_trace(step, txn->conf->iface, &text);
	log_trace("%s", text.data ? text.data : "");
}

int txn_fail(int status, const struct txn *txn, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	log_error("%s: %s", txn->conf ? txn->conf->iface : txn->journal.iface, text ? text : "out of memory");
	return status;
}

int txn_close(struct txn *txn)
{
	if (worker_close(txn->worker) == 0)
		return 0;
	if (txn->worker->aborts)
		log_error("%s: interrupted", txn->conf->iface);
	else if (txn->worker->orphaned)
		log_error("%s: the supervisor is gone", txn->conf->iface);
	return 1;
}

/* ---- the namespace ---- */

static bool has_server(const struct conf *conf)
{
	for (size_t i = 0; i < conf->n_dns; i++)
		if (dns_item_is_server(conf->dns[i].text))
			return true;
	return false;
}

/* Joins or founds the namespace's record, and makes its resolver files. */
static int join_namespace(struct txn *txn, bool made)
{
	struct ns_record record = { .cookie = txn->journal.cookie };
	_cleanup_fd_ int lock = -1;
	bool fresh = false;
	int r;

	r = journal_lock_shared(&lock);
	if (r < 0)
		return r;
	r = journal_note(&txn->journal, UNDO_MEMBER, 0, 0, 0);
	if (r < 0)
		return r;
	r = ns_record_load(txn->journal.cookie, &record);
	if (r == -ENOENT || r == -EBADMSG) {
		record = (struct ns_record){ .cookie = txn->journal.cookie, .made = made };
		if (txn->place->name)
			record.name = strdup(txn->place->name);
		r = txn->place->name && !record.name ? -ENOMEM : 0;
		fresh = true;
	}
	if (r == 0) {
		record.keep = txn->keep;
		r = ns_record_save(&record);
		/* Of a namespace that had this name, when the machine went down. */
		if (r == 0 && fresh)
			r = dns_restore(&record);
	}
	/* Somebody else's namespace without DNS from us keeps the resolver it has. */
	if (r == 0 && (record.made || has_server(txn->conf)))
		r = dns_prepare(&record);
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

static int do_netns(struct txn *txn, struct step *step)
{
	struct rt_link link;
	int r = 0;

	(void)step;
	if (txn->place->create)
		r = ns_create(&txn->target_fd);
	else if ((txn->target_fd = dup(txn->place->target_fd)) < 0)
		r = -errno;
	if (r == 0)
		r = ns_get_cookie(txn->target_fd, &txn->journal.cookie);
	if (r < 0)
		return txn_fail(1, txn, "cannot %s network namespace %s: %s", txn->place->create ? "make" : "open", place_target(txn->place), strerror(-r));
	txn->transport_fd = dup(txn->place->transport_fd >= 0 ? txn->place->transport_fd : txn->target_fd);
	if (txn->transport_fd < 0)
		return txn_fail(1, txn, "out of descriptors");
	r = rt_open_in(txn->transport_fd, &txn->transport);
	if (r == 0)
		r = ns_enter(txn->target_fd);
	if (r == 0)
		r = rt_open(&txn->target);
	if (r == 0)
		r = join_namespace(txn, txn->place->create);
	if (r < 0)
		return txn_fail(1, txn, "cannot set up network namespace %s: %s", place_target(txn->place), strerror(-r));
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

static int do_publish(struct txn *txn, struct step *step)
{
	int r;

	(void)step;
	if (!txn->place->create || !txn->place->name)
		return 0;
	r = ns_publish(txn->target_fd, txn->place->name);
	if (r == 0 && txn->room_fd >= 0)
		r = room_published(txn->room_fd);
	if (r == -EEXIST)
		return txn_fail(1, txn, "network namespace %s was made by somebody else meanwhile", txn->place->name);
	if (r < 0)
		return txn_fail(1, txn, "cannot publish the namespace as " NETNS_RUN_DIR "/%s: %s", txn->place->name, strerror(-r));
	return 0;
}

/* ---- the device ---- */

/*
 * Above 2^20, so that a tool which takes the number to a daemon on the host
 * finds no link of that number there.
 */
static unsigned int random_ifindex(void)
{
	uint32_t n = 0;

	(void)!getrandom(&n, sizeof(n), 0);
	return (1U << 20) + n % ((1U << 30) - (1U << 20));
}

/*
 * Kernels before 6.15 look for the name in the namespace of the request, not
 * of the device. There, a name that only the transport has is got round by a
 * temporary one.
 */
static int create_renamed(struct txn *txn, unsigned int ifindex)
{
	char name[IFNAMSIZ];
	int r;

	snprintf(name, sizeof(name), "wgnsq%x", ifindex & 0xffffffff);
	r = rt_link_create(txn->transport, "wireguard", name, ifindex, txn->target_fd);
	if (r < 0)
		return r;
	r = rt_link_rename(txn->target, ifindex, txn->conf->iface);
	if (r < 0)
		(void)rt_link_delete(txn->target, ifindex);
	return r;
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

static int do_link(struct txn *txn, struct step *step)
{
	const char *fallback = userspace_program();
	const struct step *link_up = NULL;
	unsigned int mtu;
	bool asked;
	int r;

	trace(txn, step);
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

static int do_wg(struct txn *txn, struct step *step)
{
	struct rt_link link;
	int r;

	trace(txn, step);
	r = wg_apply(txn_backend(txn), txn->conf->iface, &txn->conf->wg);
	/* A userspace program that is about to end for the loss of its TUN has answers of its own. */
	if (r < 0 && txn->journal.userspace && rt_link_get(txn->target, NULL, txn->journal.ifindex, &link) == -ENODEV)
		r = -ENODEV;
	return r < 0 ? txn_fail(1, txn, "Unable to modify interface: %s", strerror(-r)) : 0;
}

static int do_address(struct txn *txn, struct step *step)
{
	char text[PREFIX_TEXT_LEN];
	int r;

	if (txn->ipv6_off && step->address.family == AF_INET6)
		return 0;
	trace(txn, step);
	r = rt_address_add(txn->target, txn->journal.ifindex, &step->address);
	if (r < 0)
		return txn_fail(EXIT_KERNEL, txn, "%s:%u: cannot add address %s: %s", txn->conf->path, step->line, format_prefix(&step->address, text),
			    rt_why(txn->target, r));
	return 0;
}

static int do_link_up(struct txn *txn, struct step *step)
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
	trace(txn, &chosen);
	r = rt_link_up(txn->target, txn->journal.ifindex, &chosen.mtu);
	if (r < 0)
		return txn_fail(EXIT_KERNEL, txn, "cannot bring the interface up with MTU %u: %s", chosen.mtu, rt_why(txn->target, r));
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

int txn_write_dns(struct ns_record *record, ns_cookie cookie, const struct journal *without, size_t *ret_tunnels)
{
	struct dns_walk walk = { .cookie = cookie, .without = without };
	int r = journal_each(NULL, collect_dns, &walk);

	if (r == 0 && (!without || walk.tunnels)) {
		r = walk.items.n ? 1 : dns_is_ours(record);
		if (r > 0)
			r = dns_write(record, &walk.items);
	}
	strv_free(&walk.items);
	if (r == 0)
		*ret_tunnels = walk.tunnels;
	return r;
}

static int write_dns(struct txn *txn, struct ns_record *record)
{
	size_t tunnels;
	int r = 0;

	for (size_t i = 0; i < txn->conf->n_dns && r == 0; i++)
		r = strv_add(&txn->journal.dns, txn->conf->dns[i].text, strlen(txn->conf->dns[i].text));
	if (r == 0)
		r = journal_save(&txn->journal);
	return r == 0 ? txn_write_dns(record, txn->journal.cookie, NULL, &tunnels) : r;
}

static int do_dns(struct txn *txn, struct step *step)
{
	_cleanup_free_ char *dir = dns_dir(txn->place->name, txn->journal.cookie);
	struct ns_record record = { 0 };
	_cleanup_fd_ int lock = -1;
	int r;

	(void)step;
	r = dir ? journal_lock_shared(&lock) : -ENOMEM;
	if (r == 0)
		r = ns_record_load(txn->journal.cookie, &record);
	if (r == 0 && !record.made && !has_server(txn->conf)) {
		log_warn("%s: DNS names no server, so network namespace %s keeps its resolv.conf; the search domains are left out", txn->conf->iface,
			 place_target(txn->place));
	} else if (r == 0) {
		log_trace("install -m 644 /dev/fd/63 %s/resolv.conf", dir);
		r = write_dns(txn, &record);
	}
	ns_record_free(&record);
	return r < 0 ? txn_fail(1, txn, "cannot write %s/resolv.conf: %s", dir ? dir : "", strerror(-r)) : 0;
}

/* ---- hooks ---- */

int txn_make_room(struct txn *txn)
{
	_cleanup_free_ char *dir = dns_dir(txn->journal.ns_name, txn->journal.cookie);
	struct room_spec spec = {
		.target_fd = txn->target_fd,
		.etc_dir = dir,
		.name = txn->place && txn->place->create ? txn->place->name : NULL,
	};
	const char *what = "";
	int r;

	if (!dir)
		return txn_fail(1, txn, "out of memory");
	r = journal_note(&txn->journal, UNDO_ROOM, 0, 0, 0);
	if (r == 0)
		r = room_create(&spec, txn->conf->iface, txn->journal.cookie, &txn->room_fd, &what);
	if (r == -ENOENT && strncmp(what, "/etc/", 5) == 0)
		return txn_fail(1, txn, "%s does not exist, so the namespace's own cannot take its place; expected a file, if only an empty one", what);
	if (r < 0)
		return txn_fail(1, txn, "cannot prepare the mount namespace of the hooks (%s): %s", what, strerror(-r));
	return 0;
}

static int do_room(struct txn *txn, struct step *step)
{
	(void)step;
	return txn->hooks == HOOKS_NONE ? 0 : txn_make_room(txn);
}

/* As a shell does it, a first signal lets the hook finish; who insists, ends it. */
static int on_word(void *arg, pid_t hook)
{
	struct worker *w = arg;

	worker_listen(w);
	/* With all that hooks started; while one runs, nothing else is below us but userspace WireGuard. */
	if (w->kill)
		spawn_kill_below(getpid(), SIGKILL);
	if (w->orphaned || w->aborts > 2)
		kill(hook, SIGKILL);
	else if (w->aborts == 2)
		kill(hook, SIGTERM);
	return w->orphaned;
}

static int do_hook(struct txn *txn, struct step *step)
{
	_cleanup_free_ char *text = hook_expand(step->hook, txn->conf->iface);
	_cleanup_free_ char *name = NULL;
	const char *netns = txn->journal.ns_path ? txn->journal.ns_path : "";
	struct hook_env env = {
		.iface = txn->conf->iface,
		.config = txn->conf->path,
		.mark = txn->journal.mark,
		.netns = netns,
		.target_fd = txn->target_fd,
		.room_fd = txn->room_fd,
		.control = txn->worker->control,
		.mask = txn->worker->mask,
	};
	int r;

	if (asprintf(&name, "%s:%u: %s", txn->conf->path, step->line, hook_names[step->hook->kind]) < 0)
		name = NULL;
	if (!text || !name)
		return txn_fail(1, txn, "out of memory");
	if (txn->hooks == HOOKS_NONE) {
		log_note("%s: skipped, as hooks are set to none", name);
		return 0;
	}
	if (txn->hooks != HOOKS_OPEN)
		env.guarded = name;
	log_trace("%s", text);
	r = hook_run(&env, text, txn->worker->control, on_word, txn->worker);
	if (r == -ENOENT)
		return txn_fail(127, txn, "%s needs bash, which was not found in PATH; expected the package bash", hook_names[step->hook->kind]);
	if (r < 0)
		return txn_fail(1, txn, "cannot run %s: %s", hook_names[step->hook->kind], strerror(-r));
	if (r > 0)
		log_error("%s:%u: %s ended with status %d (it ran in network namespace %s, where the host's links and resolver are not)", txn->conf->path,
			  step->line, hook_names[step->hook->kind], r, *netns ? netns : "(unnamed)");
	return r;
}

/* ---- down ---- */

static int do_link_delete(struct txn *txn, struct step *step)
{
	int r;

	/* Traced as it goes, like the rules that go before it. */
	(void)step;
	/* From here on there is no way back but to the end: whoever finds the journal goes on. */
	txn->journal.state = JOURNAL_STOPPING;
	r = journal_save(&txn->journal);
	if (r == 0)
		r = txn_undo(txn, UNDO_DEVICE);
	return r < 0 ? txn_fail(EXIT_KERNEL, txn, "cannot delete the interface: %s", strerror(-r)) : 0;
}

static int do_leave(struct txn *txn, struct step *step)
{
	int r;

	(void)step;
	r = txn_undo(txn, UNDO_ALL);
	if (r == 0)
		r = journal_remove(&txn->journal);
	return r < 0 ? txn_fail(1, txn, "cannot clean up network namespace %s: %s", txn->journal.ns_path ? txn->journal.ns_path : "(unnamed)", strerror(-r)) : 0;
}

static int do_save(struct txn *txn, struct step *step)
{
	trace(txn, step);
	return save_tunnel(txn->conf, &txn->journal, txn->target);
}

static int do_routes(struct txn *txn, struct step *step)
{
	(void)step;
	return txn_routes(txn);
}

static int (*const step_ops[STEP_KINDS])(struct txn *txn, struct step *step) = {
	[STEP_NETNS] = do_netns,     [STEP_LINK] = do_link,	  [STEP_ROOM] = do_room,   [STEP_HOOK] = do_hook,
	[STEP_WG] = do_wg,	     [STEP_ADDRESS] = do_address, [STEP_LINK_UP] = do_link_up, [STEP_DNS] = do_dns,
	[STEP_ROUTES] = do_routes,   [STEP_PUBLISH] = do_publish, [STEP_SAVE] = do_save,   [STEP_LINK_DELETE] = do_link_delete,
	[STEP_LEAVE] = do_leave,
};

/* ---- running ---- */

static int run_steps(struct txn *txn)
{
	bool deleted = false;
	int status = 0;

	for (size_t i = 0; i < txn->plan->n; i++) {
		struct step *step = &txn->plan->steps[i];
		bool owed = step->always && deleted;
		int r;

		if (status && !owed)
			continue;
		if (!status && !owed && worker_aborted(txn->worker)) {
			log_error("%s: interrupted", txn->conf->iface);
			status = 1;
			continue;
		}
		r = step_ops[step->kind](txn, step);
		if (!status)
			status = r;
		if (txn->journal.state == JOURNAL_STOPPING)
			deleted = true;
	}
	if (!status && worker_aborted(txn->worker)) {
		log_error("%s: interrupted", txn->conf->iface);
		status = 1;
	}
	return status;
}

/* For `verify`, which says so where there is no such record. */
static void record_host(struct txn *txn, const struct wg_iface *live)
{
	_cleanup_rt_ struct rt *host = NULL;

	strv_free(&txn->journal.host);
	if (rt_open_in(txn->place->host_fd, &host) == 0)
		(void)hoststate_read(host, live, &txn->journal.host);
}

/* Servers that nobody will answer for, or that would be asked past the tunnel: said, as nothing else shows it. */
static void check_servers(const struct txn *txn, const struct wg_iface *live)
{
	size_t servers = 0;

	for (size_t i = 0; i < txn->journal.dns.n; i++) {
		const char *server = txn->journal.dns.v[i], *fault;

		if (!dns_item_is_server(server))
			continue;
		if (++servers == DNS_SERVERS_ASKED + 1)
			log_warn("%s: the C library asks the first %d DNS servers only; %s and later ones are not used", txn->conf->iface, DNS_SERVERS_ASKED, server);
		fault = dns_server_fault(txn->target, txn->journal.ifindex, live, server);
		if (fault)
			log_warn("%s: DNS server %s %s", txn->conf->iface, server, fault);
	}
}

/* What `down`, `save`, `status` and `verify` need to know of the finished tunnel. */
static int commit(struct txn *txn)
{
	struct wg_iface live = { 0 };
	int r = wg_read(txn_backend(txn), txn->conf->iface, &live);

	if (r == 0) {
		txn->journal.public_key = live.public_key;
		if (!txn->conf->wg.has_listen_port || !txn->conf->wg.listen_port)
			txn->journal.auto_listen_port = live.listen_port;
	} else if (is_transient(r)) {
		return r;
	}
	if (r == 0)
		check_servers(txn, &live);
	record_host(txn, &live);
	wg_iface_free(&live);
	txn->journal.state = JOURNAL_UP;
	/* With what the file said, for a reload to compare with. */
	return applied_save(&txn->journal, txn->conf);
}

int txn_up(struct txn *txn)
{
	struct timespec now;
	int status, r;

	clock_gettime(CLOCK_REALTIME, &now);
	txn->journal.since = now.tv_sec;
	status = run_steps(txn);
	if (!status)
		status = txn_close(txn);
	if (!status) {
		r = commit(txn);
		if (r < 0)
			status = txn_fail(1, txn, "cannot write the journal: %s", strerror(-r));
	}
	if (status) {
		r = txn_undo(txn, UNDO_ALL);
		if (r == 0)
			r = journal_remove(&txn->journal);
		if (r < 0)
			log_error("%s: could not undo everything: %s; `%s recover' tries again", txn->conf->iface, strerror(-r), log_program());
	}
	return status;
}

int txn_down(struct txn *txn)
{
	txn->journal.state = JOURNAL_UP;
	return run_steps(txn);
}
