/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cmd.h"
#include "conf-error.h"
#include "conffile.h"
#include "log.h"
#include "out.h"
#include "resolve.h"
#include "tunnel.h"
#include "unknown.h"

/* wg-quick ends with ip(8)'s status for an argument that it cannot read. */
#define EXIT_IP_ARGUMENT 255

static int worker_up(void *arg, struct worker *w)
{
	struct txn *txn = arg;
	int status;

	txn->worker = w;
	status = txn_up(txn);
	txn_free(txn);
	return status;
}

static void begun_up(void *arg)
{
	struct txn *txn = arg;

	conf_forget_keys(txn->conf);
}

static int is_same(void *arg, struct journal *j)
{
	const struct txn *txn = arg;
	ns_cookie cookie;

	if (j->state != JOURNAL_UP)
		return 0;
	/* The worker made it, so that its name is all that is known here. One that was there before would have been in the way. */
	if (txn->place->create)
		return j->ns_path && txn->journal.ns_path && strcmp(j->ns_path, txn->journal.ns_path) == 0;
	return ns_get_cookie(txn->place->target_fd, &cookie) == 0 && cookie == j->cookie;
}

static bool stands_up(void *arg)
{
	struct txn *txn = arg;

	return journal_each(txn->conf->iface, is_same, txn) == 1;
}

static void recover_up(void *arg)
{
	const struct txn *txn = arg;

	(void)tunnel_recover(txn->conf->iface, true);
}

int cmd_table(const struct conf *conf, struct conf_error *ret_error, uint32_t *ret_table)
{
	char quoted[QUOTED_LEN];
	int r = conf->table == TABLE_NAMED ? rt_table_number(conf->table_text.text, ret_table) : 0;

	if (r == 0)
		return 0;
	if (r == -ELIBACC)
		return conf_fail(ret_error, conf->table_text.line, "Table: `%s' cannot be looked up without the library libnl-route-3; expected that, or a number",
				 conf_quote(conf->table_text.text, quoted));
	return conf_fail(ret_error, conf->table_text.line,
			 "Table: `%s' is not a routing table; expected auto, off, a number up to 4294967295, or a name from rt_tables",
			 conf_quote(conf->table_text.text, quoted));
}

/* The name in the target, before anything is touched. */
static int check_free(const struct conf *conf, const struct place *place)
{
	_cleanup_rt_ struct rt *target = NULL;
	struct rt_link link;
	/* Also a namespace that is yet to be made will have it. */
	bool taken = strcmp(conf->iface, "lo") == 0;

	if (!taken && place->target_fd >= 0 && rt_open_in(place->target_fd, &target) == 0)
		taken = rt_link_get(target, conf->iface, 0, &link) == 0;
	if (!taken)
		return 0;
	log_error("`%s' already exists", conf->iface);
	unknown_tell_way_out(conf->iface, place->target_fd);
	return 1;
}

/* Started inside a namespace that could reach the endpoint by itself: two meanings, and no way to tell. */
static int check_ambiguous(const struct conf *conf, const struct place *place)
{
	_cleanup_rt_ struct rt *target = NULL;

	if (!place->inside || place->transport_set || rt_open_in(place->target_fd, &target) < 0)
		return 0;
	for (size_t i = 0; i < conf->wg.n_peers; i++) {
		const union endpoint_addr *ep = &conf->wg.peers[i].endpoint;

		if (ep->sa.sa_family == AF_UNSPEC || rt_route_towards(target, ep) < 0)
			continue;
		log_error("%s: network namespace %s has a route of its own to an endpoint; expected --transport self (the tunnel leaves through it) or "
			  "--transport host (it leaves from the host)",
			  conf->iface, place_target(place));
		return 1;
	}
	return 0;
}

int cmd_check_key(const struct conf *conf, const struct place *place)
{
	_cleanup_free_ char *where = NULL;
	struct key public_key;
	int r;

	if (!conf->wg.has_private_key || key_is_zero(&conf->wg.private_key))
		return 0;
	wg_public_key(&conf->wg.private_key, &public_key);
	r = tunnel_key_in_use(&public_key, place, &where);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		log_error("%s: cannot look for other devices with this public key: %s", conf->iface, strerror(-r));
		return 1;
	}
	log_error("%s: " KEY_IN_USE, conf->iface, where);
	return 1;
}

int cmd_resolve(struct conf *conf, const struct place *place)
{
	struct resolve_place where = {
		.ns_fd = place->transport_fd >= 0 ? place->transport_fd : place->target_fd,
		.ns_name = place_resolver_name(place->transport, place->name),
	};
	struct conf_error error = { 0 };
	int r;

	r = resolve_endpoints(&conf->wg, &where, &error);
	if (r == -EINVAL)
		conffile_error(conf, &error);
	else if (r < 0)
		log_error("%s: cannot resolve endpoints: %s", conf->iface, strerror(-r));
	return r < 0 ? 1 : 0;
}

static int print_plan(const struct conf *conf, const struct plan *plan, const struct place *place, const struct settings *settings)
{
	struct plan_place where = {
		.netns = place_target(place),
		.create = place->create,
		.transport = place->transport,
		.no_hooks = settings->hooks == HOOKS_NONE,
	};
	_cleanup_buf_ struct buf text = { 0 };

	plan_print(plan, conf, &where, &text);
	return out_text(&text) < 0;
}

static int copy_text(const char *from, char **ret_to)
{
	*ret_to = from ? strdup(from) : NULL;
	return from && !*ret_to ? -ENOMEM : 0;
}

static int start_journal(struct txn *txn)
{
	struct journal *j = &txn->journal;
	int r;

	strcpy(j->iface, txn->conf->iface);
	if (txn->conf->wg.has_private_key && !key_is_zero(&txn->conf->wg.private_key))
		wg_public_key(&txn->conf->wg.private_key, &j->public_key);
	r = copy_text(txn->conf->path, &j->config);
	if (r == 0)
		r = copy_text(txn->place->name, &j->ns_name);
	if (r == 0)
		r = copy_text(txn->place->path, &j->ns_path);
	return r == 0 ? copy_text(txn->place->transport, &j->transport) : r;
}

void cmd_policy(struct policy *policy, const struct reach *reach)
{
	policy->watched = reach->watched;
	policy->n_watched = reach->n_watched;
	policy->addresses = reach->addresses;
	policy->n_addresses = reach->n_addresses;
	policy->allowed = reach->allowed;
	policy->n_allowed = reach->n_allowed;
}

static int bring_up(const struct options *options, const struct settings *settings, struct conf *conf, const struct plan *plan, const struct place *place,
		    uint32_t table)
{
	struct txn txn = TXN_INIT;
	_cleanup_reach_ struct reach reach = { 0 };
	struct guarded_work work = {
		.others_run = conf->n_hooks && settings->hooks != HOOKS_NONE,
		.policy = { .level = settings->guard, .iface = conf->iface },
		.foreign = settings->foreign.n ? &settings->foreign : NULL,
		.host_fd = place->host_fd,
		.target_fd = place->target_fd,
		.transport_fd = place->transport_fd,
		.action = "up",
		.work = worker_up,
		.begun = begun_up,
		.stands = stands_up,
		.recover = recover_up,
		.arg = &txn,
	};
	int status;

	txn.conf = conf;
	txn.plan = plan;
	txn.place = place;
	txn.table = table;
	txn.hooks = settings->hooks;
	txn.hook_timeout = settings->hook_timeout;
	txn.shares_key = options->force;
	txn.require_ipv6 = settings->require_ipv6;
	txn.keep = settings->keep == KEEP_UNSET ? KEEP_AUTO : settings->keep;
	status = check_free(conf, place);
	if (!status)
		status = cmd_resolve(conf, place);
	if (!status)
		status = check_ambiguous(conf, place);
	if (!status && !options->force)
		status = cmd_check_key(conf, place);
	if (!status && start_journal(&txn) < 0) {
		log_error("out of memory");
		status = 1;
	}
	/* With the endpoints' addresses. */
	if (!status && reach_collect(conf, &reach) < 0) {
		log_error("out of memory");
		status = 1;
	}
	cmd_policy(&work.policy, &reach);
	if (!status)
		status = guard_run(&work);
	txn_free(&txn);
	return status;
}

static void say_where(const struct conf *conf, const struct place *place)
{
	if (isatty(STDERR_FILENO))
		log_note("%s is up in network namespace %s; this host's own traffic does not use it. A program in it: %s exec %s COMMAND", conf->iface,
			 place_target(place), log_program(), conf->iface);
}

/*
 * Two runs may want to make one namespace: the second waits a while for the
 * first, then joins what it made.
 */
static int find_place(const struct options *options, const struct settings *settings, const char *iface, struct place *place, int *ret_lock)
{
	char text[512];

	for (int tries = 0;; tries++) {
		int r;

		if (place_find(settings, iface, place, text) < 0) {
			log_error("%s", text);
			return -1;
		}
		if (options->dry_run || !place->create || *ret_lock >= 0)
			return 0;
		r = journal_lock_netns(place->name, ret_lock);
		if (r < 0 && (r != -EAGAIN || tries == 300)) {
			if (r == -EAGAIN)
				log_error("network namespace %s is being made by another run", place->name);
			else
				log_error("cannot lock network namespace %s in " RUN_DIR ": %s", place->name, strerror(-r));
			return -1;
		}
		/* With the lock, look once more: it may have been made meanwhile. */
		if (r == -EAGAIN)
			sleep_ms(100);
		place_free(place);
	}
}

/* What the file asks for. 0 or an exit status, told. */
static int read_plan(const char *argument, struct conf *conf, struct plan *plan, uint32_t *ret_table)
{
	struct conf_error error = { 0 };
	int status = 1;

	if (conffile_read(argument, conf) < 0 || conffile_read_wg(conf) < 0)
		return 1;
	if (plan_up(conf, plan, &error, &status) < 0) {
		if (!error.text[0])
			snprintf(error.text, sizeof(error.text), "out of memory");
		conffile_error(conf, &error);
		return status;
	}
	*ret_table = 0;
	if (cmd_table(conf, &error, ret_table) < 0) {
		conffile_error(conf, &error);
		return EXIT_IP_ARGUMENT;
	}
	return 0;
}

int cmd_up(const struct options *options, char **args)
{
	_cleanup_settings_ struct settings settings = { 0 };
	_cleanup_place_ struct place place = { .host_fd = -1, .target_fd = -1, .transport_fd = -1 };
	_cleanup_plan_ struct plan plan = { 0 };
	CLEANUP(conf_free) struct conf conf = { 0 };
	_cleanup_fd_ int netns_lock = -1;
	_cleanup_fd_ int lock = -1;
	uint32_t table;
	int status = read_plan(args[0], &conf, &plan, &table);

	if (status)
		return status;
	if (cmd_settings(options, conf.iface, &settings) < 0)
		return 1;
	if (conffile_check_writers(&conf, settings.hooks != HOOKS_NONE, settings.strict_files) < 0)
		return 1;
	/* Before the namespaces are looked at: a killed run's may still have its name. */
	if (!options->dry_run && tunnel_lock_to_leave(conf.iface, conf.path, &lock) < 0)
		return 1;
	/* The run that it waited for may have saved it. */
	if (!options->dry_run && conffile_changed(args[0], &conf)) {
		plan_free(&plan);
		conf_free(&conf);
		status = read_plan(args[0], &conf, &plan, &table);
		if (status)
			return status;
		if (conffile_check_writers(&conf, settings.hooks != HOOKS_NONE, settings.strict_files) < 0)
			return 1;
	}
	if (find_place(options, &settings, conf.iface, &place, &netns_lock) < 0)
		return 1;
	if (options->dry_run)
		return print_plan(&conf, &plan, &place, &settings);
	status = bring_up(options, &settings, &conf, &plan, &place, table);
	if (!status)
		say_where(&conf, &place);
	return status;
}
