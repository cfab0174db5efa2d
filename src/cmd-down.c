/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-down.c - down and save: what is done to a tunnel that is up. */
#include "applied.h"
#include "cmd.h"
#include "conffile.h"
#include "log.h"
#include "out.h"
#include "save.h"
#include "tunnel.h"
#include "unknown.h"
#include "wg.h"

static int worker_down(void *arg, struct worker *w)
{
	struct txn *txn = arg;
	int status = 1, r;

	txn->worker = w;
	r = ns_enter(txn->target_fd);
	if (r < 0)
		log_error("%s: cannot enter its network namespace: %s", txn->conf->iface, strerror(-r));
	else
		status = txn_down(txn);
	return status;
}

static void begun_down(void *arg)
{
	struct txn *txn = arg;

	conf_forget_keys(txn->conf);
}

static void recover_down(void *arg)
{
	const struct txn *txn = arg;

	(void)tunnel_recover(txn->conf->iface, true);
}

/* One that wg-quick made, perhaps, before it was replaced: a WireGuard interface where we were started. */
static bool somebody_elses(const char *iface)
{
	_cleanup_rt_ struct rt *here = NULL;
	_cleanup_fd_ int socket = -1;
	struct rt_link link;

	if (rt_open(&here) < 0 || rt_link_get(here, iface, 0, &link) < 0)
		return false;
	return strcmp(link.kind, "wireguard") == 0 || (strcmp(link.kind, "tun") == 0 && wg_userspace_connect(iface, &socket) == 0);
}

/* Where it was looked for. */
static void tell_unknown(const char *iface, const char *netns)
{
	_cleanup_fd_ int fd = -1;

	if (!netns || ns_open(netns, &fd) == 0)
		unknown_tell_way_out(iface, fd);
}

static int find(struct conf *conf, const struct options *options, struct settings *settings, struct txn *txn)
{
	bool found;
	int r;

	if (cmd_settings(options, conf->iface, settings) < 0)
		return 1;
	/* Where it is, the journal says; the settings only tell where the next one goes. */
	r = tunnel_reach(conf->iface, options->netns, txn);
	if (r == -ENOTUNIQ)
		return 1;
	found = r == 0;
	if (found)
		r = tunnel_alive(txn);
	if (r == 0 || r == -ENOENT) {
		if (!found && somebody_elses(conf->iface))
			log_error("`%s' is a WireGuard interface that %s did not bring up; expected one of its own (`wg-quick down' takes down what wg-quick brought up)",
				  conf->iface, log_program());
		else
			log_error("`%s' is not a WireGuard interface", conf->iface);
		tell_unknown(conf->iface, options->netns);
		return 1;
	}
	if (r < 0) {
		log_error("%s: cannot find its device: %s", conf->iface, strerror(-r));
		return 1;
	}
	txn->conf = conf;
	return 0;
}

static int read_to_save(const char *argument, struct conf *conf)
{
	return conffile_read(argument, conf) < 0 ? -1 : conffile_read_wg_to_save(conf);
}

static int read_to_leave(const char *argument, struct conf *conf)
{
	if (conffile_read(argument, conf) < 0)
		return -1;
	if (conf->save_config)
		return conffile_read_wg_to_save(conf);
	/* Only what is saved is compared with them. */
	conf_forget_keys(conf);
	return 0;
}

int cmd_down(const struct options *options, char **args)
{
	_cleanup_settings_ struct settings settings = { 0 };
	_cleanup_plan_ struct plan plan = { 0 };
	CLEANUP(conf_free) struct conf conf = { 0 };
	struct txn txn = TXN_INIT;
	_cleanup_fd_ int lock = -1;
	_cleanup_fd_ int host = -1;
	struct guarded_work work = { .action = "down", .work = worker_down, .begun = begun_down, .recover = recover_down, .arg = &txn };
	_cleanup_reach_ struct reach reach = { 0 };
	int status;

	if (read_to_leave(args[0], &conf) < 0)
		return 1;
	if (!options->dry_run && (tunnel_lock_to_leave(conf.iface, conf.path, &lock) < 0 || conffile_refresh(args[0], read_to_leave, &conf) < 0))
		return 1;
	if (plan_down(&conf, &plan) < 0) {
		log_error("out of memory");
		return 1;
	}
	status = find(&conf, options, &settings, &txn);
	/* `--hooks none' takes it down all the same. */
	if (!status && conffile_check_writers(&conf, settings.hooks != HOOKS_NONE, settings.strict_files) < 0)
		status = 1;
	if (!status && options->dry_run) {
		struct plan_place where = { .netns = txn.journal.ns_path ? txn.journal.ns_path : "(unnamed)", .transport = txn.journal.transport,
			.no_hooks = settings.hooks == HOOKS_NONE };
		_cleanup_buf_ struct buf text = { 0 };

		plan_print(&plan, &conf, &where, &text);
		status = out_text(&text) < 0;
	} else if (!status) {
		int r = ns_open_outermost(&host);

		if (r < 0) {
			log_error("%s: cannot see the host's network namespace: %s", conf.iface, strerror(-r));
			status = 1;
		}
		/* Hooks that came into the file since `up` have no room yet. */
		if (!status && conf.n_hooks && txn.room_fd < 0 && settings.hooks != HOOKS_NONE)
			status = txn_make_room(&txn);
		txn.plan = &plan;
		txn.hooks = settings.hooks;
		txn.hook_timeout = settings.hook_timeout;
		txn.keep = settings.keep == KEEP_UNSET ? KEEP_AUTO : settings.keep;
		work.foreign = settings.foreign.n ? &settings.foreign : NULL;
		work.policy.level = settings.guard;
		work.policy.iface = conf.iface;
		work.others_run = conf.n_hooks && settings.hooks != HOOKS_NONE;
		if (reach_collect(&conf, &reach) == 0)
			cmd_policy(&work.policy, &reach);
		work.host_fd = host;
		work.target_fd = txn.target_fd;
		work.transport_fd = txn.transport_fd;
		if (!status)
			status = guard_run(&work);
		/* Two that leave at the same time see each other in the namespace, but not when both are out. */
		namespace_sweep();
	}
	txn_free(&txn);
	return status;
}

/* What it wrote counts as applied: a peer that is then taken out of the file goes with the next reload. */
static int note_saved(const char *argument, struct txn *txn)
{
	CLEANUP(conf_free) struct conf saved = { 0 };

	if (conffile_read(argument, &saved) < 0 || conffile_read_wg(&saved) < 0)
		return 1;
	if (applied_save(&txn->journal, &saved) == 0)
		return 0;
	log_error("%s: cannot write the journal", saved.iface);
	return 1;
}

int cmd_save(const struct options *options, char **args)
{
	_cleanup_settings_ struct settings settings = { 0 };
	CLEANUP(conf_free) struct conf conf = { 0 };
	struct txn txn = TXN_INIT;
	_cleanup_fd_ int lock = -1;
	int status, r;

	if (read_to_save(args[0], &conf) < 0 || tunnel_lock(conf.iface, conf.path, &lock) < 0 || conffile_refresh(args[0], read_to_save, &conf) < 0)
		return 1;
	status = find(&conf, options, &settings, &txn);
	r = status ? 0 : ns_enter(txn.target_fd);
	if (r < 0) {
		log_error("%s: cannot enter its network namespace: %s", conf.iface, strerror(-r));
		status = 1;
	}
	if (!status) {
		log_trace("wg showconf %s", conf.iface);
		status = save_tunnel(&txn);
		if (!status)
			status = note_saved(args[0], &txn);
	}
	txn_free(&txn);
	return status;
}
