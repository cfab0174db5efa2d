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
#include "txn-steps.h"

#include <stdarg.h>
#include <time.h>

#include "applied.h"
#include "dns.h"
#include "dnsway.h"
#include "hook.h"
#include "hoststate.h"
#include "log.h"
#include "reload.h"
#include "room.h"
#include "secret.h"
#include "spawn.h"
#include "save.h"
#include "tunnel.h"

void txn_trace(const struct txn *txn, const struct step *step)
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

/* ---- hooks ---- */

int txn_make_room(struct txn *txn)
{
	_cleanup_free_ char *dir = NULL;
	struct room_spec spec = {
		.target_fd = txn->target_fd,
		.name = txn->place && txn->place->create ? txn->place->name : NULL,
		.names = &txn->host_names,
	};
	const char *what = "";
	int r = dns_dir_of(&txn->journal, &dir);

	spec.etc_dir = dir;
	if (r == 0)
		r = journal_note(&txn->journal, UNDO_ROOM, 0, 0, 0);
	if (r == 0 && spec.name)
		r = room_host_names(&txn->host_names);
	if (r == 0)
		r = room_create(&spec, txn->conf->iface, txn->journal.cookie, &txn->room_fd, &what);
	if (r == -ENOENT && strncmp(what, "/etc/", 5) == 0)
		return txn_fail(1, txn, "%s does not exist, so the namespace's own cannot take its place; expected a file, if only an empty one", what);
	if (r < 0)
		return txn_fail(1, txn, "cannot prepare the mount namespace of the hooks%s%s%s: %s", *what ? " (" : "", what, *what ? ")" : "", strerror(-r));
	return 0;
}

static int do_room(struct txn *txn, struct step *step)
{
	(void)step;
	return txn->hooks == HOOKS_NONE ? 0 : txn_make_room(txn);
}

#define EXIT_TIMEOUT 124 /* timeout(1)'s */

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

/* What it did last is often done by the hook's own process: a shell becomes its last command. */
static void on_end(void *arg)
{
	struct worker *w = arg;

	worker_settle(w);
	if (w->kill)
		spawn_kill_below(getpid(), SIGKILL);
}

static int do_hook(struct txn *txn, struct step *step)
{
	_cleanup_free_ char *text = hook_expand(step->hook, txn->conf->iface);
	_cleanup_free_ char *name = NULL;
	_cleanup_free_ char *dir = NULL;
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
		.timeout = txn->hook_timeout,
		.on_end = on_end,
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
	r = dns_dir_of(&txn->journal, &dir);
	env.etc_dir = dir;
	if (r == 0)
		r = hook_run(&env, text, txn->worker->control, on_word, txn->worker);
	if (r == -ENOENT)
		return txn_fail(127, txn, "%s needs bash, which was not found in PATH; expected the package bash", hook_names[step->hook->kind]);
	if (r == -ETIME) {
		log_error("%s:%u: %s did not end within %u s, and was ended; expected one that does, or another `timeout' in [hooks]", txn->conf->path, step->line,
			  hook_names[step->hook->kind], txn->hook_timeout);
		return EXIT_TIMEOUT;
	}
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
	/* Where that cannot be written down, a tunnel that is said to be up and has no device is undone all the same. */
	(void)journal_save(&txn->journal);
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
	int status;

	if (reload_interrupted(&txn->journal)) {
		log_warn("%s: not saved, as it has some of the file before a reload and some of the one after", txn->conf->iface);
		return 0;
	}
	txn_trace(txn, step);
	status = save_tunnel(txn);
	conf_forget_keys(txn->conf);
	secret_scrub();
	return status;
}

static int do_routes(struct txn *txn, struct step *step)
{
	(void)step;
	return txn_routes(txn);
}

static int (*const step_ops[STEP_KINDS])(struct txn *txn, struct step *step) = {
	[STEP_NETNS] = step_netns,     [STEP_LINK] = step_link,	  [STEP_ROOM] = do_room,   [STEP_HOOK] = do_hook,
	[STEP_WG] = step_wg,	     [STEP_ADDRESS] = step_address, [STEP_LINK_UP] = step_link_up, [STEP_DNS] = step_dns,
	[STEP_ROUTES] = do_routes,   [STEP_PUBLISH] = step_publish, [STEP_SAVE] = do_save,   [STEP_LINK_DELETE] = do_link_delete,
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

/* What `down`, `save`, `status` and `verify` need to know of the finished tunnel. 0 or an exit status. */
static int commit(struct txn *txn)
{
	struct wg_iface live = { 0 };
	int r = tunnel_wg_read(txn, &live);

	/* One that a hook took away, into another namespace perhaps, is the hook's affair, as it is with wg-quick. */
	if (r < 0 && tunnel_alive(txn) != 0)
		return txn_fail(1, txn, "Unable to access interface: %s", strerror(-r));
	if (r == 0) {
		txn->journal.public_key = live.public_key;
		if (!txn->conf->wg.has_listen_port || !txn->conf->wg.listen_port)
			txn->journal.auto_listen_port = live.listen_port;
		check_servers(txn, &live);
	}
	record_host(txn, &live);
	wg_iface_free(&live);
	txn->journal.state = JOURNAL_UP;
	/* With what the file said, for a reload to compare with. */
	r = applied_save(&txn->journal, txn->conf);
	return r < 0 ? txn_fail(1, txn, "cannot write the journal: %s", strerror(-r)) : 0;
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
	if (!status)
		status = commit(txn);
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
	/* What up's hooks started is not this run's to end. */
	bool hooks_first = txn->plan->n && txn->plan->steps[0].kind == STEP_HOOK && txn->hooks != HOOKS_NONE;
	int status;

	txn->journal.state = JOURNAL_UP;
	if (journal_new_down(&txn->journal) < 0)
		return txn_fail(1, txn, "out of memory");
	/* Else it is noted with the step that has no way back. Where it cannot be, nobody ends the hooks of a run that is killed. */
	if (hooks_first)
		(void)journal_save(&txn->journal);
	status = run_steps(txn);
	if (hooks_first && txn->journal.state == JOURNAL_UP && journal_end_down(&txn->journal) == 0)
		(void)journal_save(&txn->journal);
	return status;
}
