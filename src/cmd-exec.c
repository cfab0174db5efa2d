/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-exec.c - exec: a command in the namespace, as its user. */
#include "cmd.h"
#include "conf.h"
#include "dns.h"
#include "log.h"
#include "rights.h"
#include "seal.h"
#include "tunnel.h"

/* Who the command runs as. 0, or -1 with the error told. */
static int find_user(const char *name, struct user *ret_user)
{
	const char *variable = "";
	int r = 0;

	if (name) {
		r = user_find(name, ret_user);
		if (r == -ENOENT)
			log_error("`%s' is not a user; expected the name or number of one", name);
	} else if (getuid() != 0) {
		user_find_self(ret_user);
	} else {
		r = user_find_invoking(ret_user, &variable);
		if (r == -ENOENT) {
			user_find_self(ret_user);
			r = 0;
		}
		if (r == -EINVAL)
			log_error("%s=%s is not a user; expected -u USER, or root's own environment", variable, getenv(variable));
	}
	if (r == -ENOMEM)
		log_error("out of memory");
	return r < 0 ? -1 : 0;
}

/* Whose environment the command gets: it stays the caller's unless somebody else is asked for, or sudo changed it. */
static bool changes_user(const struct options *options, const struct user *user)
{
	return options->user || user->uid != getuid();
}

static int enter(const struct txn *txn, const struct settings *settings, const struct user *user)
{
	_cleanup_free_ char *dir = NULL;
	struct seal_spec seal = { .target_fd = txn->target_fd, .mask_bus = settings->dbus == DBUS_MASKED, .user = user->uid };
	const char *what = "";
	int r = dns_dir_of(&txn->journal, &dir);

	seal.etc_dir = dir;
	if (r == 0)
		r = seal_enter(&seal, &what);
	if (r < 0)
		log_error("%s: cannot enter its network namespace (%s): %s; nothing was run", txn->journal.iface, what, strerror(-r));
	return r;
}

int cmd_exec(const struct options *options, char **args)
{
	_cleanup_settings_ struct settings settings = { 0 };
	_cleanup_user_ struct user user = { 0 };
	CLEANUP(txn_free) struct txn txn = TXN_INIT;
	const char *iface = args[0];
	char **command = args + 1;
	bool new_environment;
	int r;

	if (*command && strcmp(*command, "--") == 0) {
		command++;
	} else if (*command && **command == '-') {
		log_error("`%s' is not an option of exec; expected -u USER, --netns NAME|PATH, or a COMMAND of that name behind --", *command);
		return EXIT_CANCELED_EXEC;
	}
	if (!iface_name_valid(iface) || !*command) {
		log_error("expected exec INTERFACE [-u USER] [--] COMMAND...");
		return EXIT_CANCELED_EXEC;
	}
	/* By the host's user database, and before its sockets are out of sight. */
	if (find_user(options->user, &user) < 0 || cmd_settings(options, iface, &settings) < 0)
		return EXIT_CANCELED_EXEC;
	new_environment = changes_user(options, &user);
	r = tunnel_reach_alive(iface, options->netns, &txn);
	if (r == -ENODEV)
		log_error("`%s' is not up; expected `%s up %s' first", iface, log_program(), iface);
	if (r < 0)
		return EXIT_CANCELED_EXEC;
	if (enter(&txn, &settings, &user) < 0)
		return EXIT_CANCELED_EXEC;
	r = rights_become(&user);
	if (r < 0) {
		log_error("cannot become user %u without any capability: %s; nothing was run", user.uid, strerror(-r));
		return EXIT_CANCELED_EXEC;
	}
	if (new_environment && rights_set_environment(&user) < 0) {
		log_error("out of memory");
		return EXIT_CANCELED_EXEC;
	}
	/* All of ours are closed by exec; descriptors that the caller handed down are the command's, as with env(1). */
	execvp(*command, command);
	r = errno;
	log_error("`%s': %s", *command, strerror(r));
	return r == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_INVOKE;
}
