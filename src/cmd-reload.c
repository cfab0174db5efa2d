/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-reload.c - what changed in a file, applied to its running tunnel. */
#include "applied.h"
#include "cmd.h"
#include "conf-error.h"
#include "conffile.h"
#include "log.h"
#include "merge.h"
#include "out.h"
#include "reload.h"
#include "resolve.h"
#include "tunnel.h"

#define EXIT_IP_ARGUMENT 255

struct job {
	struct txn *txn;
	struct reload reload;
	struct live *before, *wanted; /* the same as reload's */
};

static int worker_reload(void *arg, struct worker *w)
{
	struct job *job = arg;
	int r;

	job->txn->worker = w;
	r = ns_enter(job->txn->target_fd);
	if (r < 0) {
		log_error("%s: cannot enter its network namespace: %s", job->txn->conf->iface, strerror(-r));
		return 1;
	}
	return txn_reload(job->txn, &job->reload);
}

static void begun_reload(void *arg)
{
	struct job *job = arg;

	conf_forget_keys(job->txn->conf);
	wg_iface_forget_keys(&job->before->wg);
	wg_iface_forget_keys(&job->wanted->wg);
}

/* The journal that names the new outline is the one that ends it. */
static bool stands_reload(void *arg)
{
	const struct job *job = arg;
	_cleanup_journal_ struct journal now = { 0 };

	if (journal_load(job->txn->journal.iface, job->txn->journal.cookie, &now) < 0 || now.applied == job->txn->journal.applied || reload_interrupted(&now))
		return false;
	applied_sweep(&now);
	return true;
}

static void recover_reload(void *arg)
{
	const struct job *job = arg;

	(void)tunnel_recover(job->txn->conf->iface, true);
}

/* ---- what is refused ---- */

/* In the same words, or in others for the same namespace. */
static bool is_transport(const char *transport, const struct txn *txn)
{
	_cleanup_fd_ int fd = -1;

	if (strcmp(transport, txn->journal.transport) == 0)
		return true;
	if (txn->transport_fd < 0 || place_open_transport(transport, &fd) < 0)
		return false;
	return ns_same(fd >= 0 ? fd : txn->target_fd, txn->transport_fd);
}

static int check_place(const struct txn *txn, const struct options *options, const struct settings *settings)
{
	const struct journal *j = &txn->journal;
	const char *where = j->ns_path ? j->ns_path : "(unnamed)";
	const char *transport = settings->transport ? settings->transport : "host";
	_cleanup_fd_ int fd = -1;
	ns_cookie cookie;

	/* On the command line it says which tunnel is meant. */
	if (settings->netns && !options->netns && (ns_open(settings->netns, &fd) < 0 || ns_get_cookie(fd, &cookie) < 0 || cookie != j->cookie)) {
		log_error("%s: the settings now name network namespace %s, and the tunnel is in %s; a reload moves none: expected `down' and `up'", j->iface,
			  settings->netns, where);
		return 1;
	}
	if ((options->transport || settings->transport) && j->transport && !is_transport(transport, txn)) {
		log_error("%s: the transport now is %s, and the tunnel was made with %s; a reload moves no socket: expected `down' and `up'", j->iface,
			  transport, j->transport);
		return 1;
	}
	return 0;
}

/* ---- what is wanted ---- */

static int want(struct txn *txn, const struct conf *outline, const struct live *before, struct live *ret_wanted, uint32_t *ret_auto_fwmark)
{
	struct merge merge = { .outline = outline, .conf = txn->conf, .live = before, .outline_table = RT_MAIN_TABLE, .table = RT_MAIN_TABLE };
	_cleanup_plan_ struct plan plan = { 0 };
	struct conf_error error = { 0 };
	int r, status = 1;

	/* What `up' could not read, in its words and with its status. */
	if (plan_up(txn->conf, &plan, &error, &status) < 0) {
		if (!error.text[0])
			snprintf(error.text, sizeof(error.text), "out of memory");
		conffile_error(txn->conf, &error);
		return status;
	}
	if (cmd_table(txn->conf, &error, &merge.table) < 0) {
		conffile_error(txn->conf, &error);
		return EXIT_IP_ARGUMENT;
	}
	/* A name that was taken out of rt_tables since leaves its routes where they are. */
	(void)cmd_table(outline, &error, &merge.outline_table);
	r = merge_wanted(&merge, ret_wanted, &error);
	if (r == -EINVAL)
		conffile_error(txn->conf, &error);
	else if (r < 0)
		log_error("%s: cannot compare: %s", txn->conf->iface, strerror(-r));
	return r < 0 ? 1 : reload_complete(txn, before, ret_wanted, ret_auto_fwmark);
}

static int check_key(const struct conf *conf, const struct live *before, const struct place *place)
{
	if (!conf->wg.has_private_key || key_equal_clamped(&conf->wg.private_key, &before->wg.private_key))
		return 0;
	return cmd_check_key(conf, place);
}

static void print_line(void *arg, const char *text)
{
	(void)arg;
	printf("  %s\n", text);
}

static int print(const struct txn *txn, const struct live *before, const struct live *wanted, bool dns)
{
	_cleanup_live_changes_ struct live_changes changes = { 0 };

	if (live_diff(before, wanted, &changes) < 0) {
		log_error("out of memory");
		return 1;
	}
	if (live_changes_empty(&changes) && !dns)
		printf("%s has what its file says\n", txn->conf->iface);
	else
		printf("%s, in namespace %s:\n", txn->conf->iface, txn->journal.ns_path ? txn->journal.ns_path : "(unnamed)");
	live_changes_print(&changes, txn->conf->iface, print_line, NULL);
	if (dns) {
		printf("  write resolv.conf:");
		for (size_t i = 0; i < txn->conf->n_dns; i++)
			printf(" %s", txn->conf->dns[i].text);
		putchar('\n');
	}
	return out_flush() < 0;
}

static int load_outline(const struct txn *txn, struct conf *outline)
{
	int r = applied_load(&txn->journal, outline);

	strcpy(outline->iface, txn->journal.iface);
	if (r < 0)
		log_error("%s: what was applied last cannot be read: %s; expected a tunnel that this version brought up: `down' and `up'", txn->journal.iface,
			  strerror(-r));
	return r;
}

/* ---- the tunnel, while its lock is held ---- */

struct tunnel {
	struct txn txn;
	struct place place;
	struct conf outline; /* the file as it was applied last */
	struct live before;
	int lock;
};

#define TUNNEL_INIT (struct tunnel){ .txn = TXN_INIT, .place = { .host_fd = -1, .target_fd = -1, .transport_fd = -1 }, .lock = -1 }

static void tunnel_free(struct tunnel *t)
{
	live_free(&t->before);
	conf_free(&t->outline);
	place_free(&t->place);
	txn_free(&t->txn);
	close_fd(t->lock);
	*t = TUNNEL_INIT;
}

static int read_here(void *arg)
{
	struct tunnel *t = arg;

	return reload_read(&t->txn, &t->before);
}

static int read_conf(const char *argument, struct conf *conf)
{
	return conffile_read(argument, conf) < 0 ? -1 : conffile_read_wg(conf);
}

static int find(const struct options *options, const struct settings *settings, struct conf *conf, struct tunnel *t)
{
	int r = tunnel_reach_alive(conf->iface, options->netns, &t->txn);

	if (r == -ENODEV)
		log_error("`%s' is not a WireGuard interface", conf->iface);
	if (r < 0)
		return 1;
	if (check_place(&t->txn, options, settings) != 0)
		return 1;
	if (place_of_journal(&t->txn.journal, t->txn.target_fd, &t->place) < 0) {
		log_error("%s: cannot open the namespaces it was made with (transport %s)", conf->iface, t->txn.journal.transport);
		return 1;
	}
	t->txn.conf = conf;
	t->txn.require_ipv6 = settings->require_ipv6;
	return 0;
}

/* Locks and reads it, the file too, and finds out which of its endpoints are known. 0 or 1, told. */
static int take(const char *argument, const struct options *options, const struct settings *settings, struct conf *conf, struct tunnel *t)
{
	struct conf_error error = { 0 };
	int r;

	if (tunnel_lock(conf->iface, conf->path, &t->lock) < 0 || conffile_refresh(argument, read_conf, conf) < 0)
		return 1;
	if (find(options, settings, conf, t) != 0 || load_outline(&t->txn, &t->outline) < 0)
		return 1;
	if (merge_check(&t->outline, conf, &error) < 0) {
		conffile_error(conf, &error);
		return 1;
	}
	r = ns_call(t->txn.target_fd, read_here, t);
	if (r == 0)
		r = merge_know_endpoints(&t->outline, &t->before, conf);
	if (r < 0)
		log_error("%s: Unable to access interface: %s", conf->iface, strerror(-r));
	return r < 0;
}

static bool has_names_to_ask(const struct conf *conf)
{
	for (size_t i = 0; i < conf->wg.n_peers; i++)
		for (size_t j = 0; j < conf->wg.peers[i].n_endpoints; j++)
			if (!conf->wg.peers[i].endpoints[j].known && !resolve_is_literal(&conf->wg.peers[i].endpoints[j]))
				return true;
	return false;
}

static void mark_resolved(struct conf *conf)
{
	for (size_t i = 0; i < conf->wg.n_peers; i++)
		for (size_t j = 0; j < conf->wg.peers[i].n_endpoints; j++)
			conf->wg.peers[i].endpoints[j].resolved = !conf->wg.peers[i].endpoints[j].known || conf->wg.peers[i].endpoints[j].resolved;
}

/*
 * Names may take long to resolve, even for ever: meanwhile others may do to the tunnel what
 * they like, `down' included, and what is compared in the end is what they left.
 */
static int take_resolved(const char *argument, const struct options *options, const struct settings *settings, struct conf *conf, struct tunnel *t)
{
	int status = take(argument, options, settings, conf, t);

	while (!status && has_names_to_ask(conf)) {
		t->lock = close_fd(t->lock);
		status = cmd_resolve(conf, &t->place);
		mark_resolved(conf);
		tunnel_free(t);
		if (!status)
			status = take(argument, options, settings, conf, t);
	}
	/* Those that are addresses. */
	return status ? status : cmd_resolve(conf, &t->place);
}

static int reload(const struct options *options, const struct settings *settings, struct conf *conf, struct tunnel *t)
{
	_cleanup_live_ struct live wanted = { 0 };
	_cleanup_reach_ struct reach reach = { 0 };
	struct job job = { .txn = &t->txn, .reload = { .before = &t->before, .wanted = &wanted }, .before = &t->before, .wanted = &wanted };
	struct guarded_work work = {
		.policy = { .level = settings->guard, .iface = conf->iface },
		.foreign = settings->foreign.n ? &settings->foreign : NULL,
		.host_fd = t->place.host_fd,
		.target_fd = t->txn.target_fd,
		.transport_fd = t->txn.transport_fd,
		.action = "reload",
		.work = worker_reload,
		.begun = begun_reload,
		.stands = stands_reload,
		.recover = recover_reload,
		.arg = &job,
	};
	int status = options->force ? 0 : check_key(conf, &t->before, &t->place);

	if (!status)
		status = want(&t->txn, &t->outline, &t->before, &wanted, &job.reload.auto_fwmark);
	if (status)
		return status;
	job.reload.dns = merge_dns_changed(&t->outline, conf);
	if (options->dry_run)
		return print(&t->txn, &t->before, &wanted, job.reload.dns);
	if (reach_collect(conf, &reach) < 0) {
		log_error("out of memory");
		return 1;
	}
	cmd_policy(&work.policy, &reach);
	return guard_run(&work);
}

int cmd_reload(const struct options *options, char **args)
{
	_cleanup_settings_ struct settings settings = { 0 };
	CLEANUP(conf_free) struct conf conf = { 0 };
	CLEANUP(tunnel_free) struct tunnel tunnel = TUNNEL_INIT;
	int status;

	if (read_conf(args[0], &conf) < 0 || cmd_settings(options, conf.iface, &settings) < 0)
		return 1;
	status = take_resolved(args[0], options, &settings, &conf, &tunnel);
	return status ? status : reload(options, &settings, &conf, &tunnel);
}
