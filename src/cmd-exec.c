/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-exec.c - exec, and recover, which needs no file of its own. */
#include <grp.h>
#include <pwd.h>

#include "cmd.h"
#include "conf.h"
#include "dns.h"
#include "log.h"
#include "room.h"
#include "spawn.h"
#include "tunnel.h"

/* env(1)'s: what failed before COMMAND, COMMAND not executable, COMMAND not found. */
enum { EXIT_CANCELED_EXEC = 125, EXIT_CANNOT_INVOKE = 126, EXIT_NOT_FOUND = 127 };

static int become(const char *name)
{
	const struct passwd *user = getpwnam(name);
	uint64_t uid;

	if (!user && parse_u64(name, UINT32_MAX - 1, &uid) == 0)
		user = getpwuid((uid_t)uid);
	if (!user)
		return -ENOENT;
	if (initgroups(user->pw_name, user->pw_gid) < 0 || setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
		return -errno;
	setenv("HOME", user->pw_dir, 1);
	setenv("USER", user->pw_name, 1);
	setenv("LOGNAME", user->pw_name, 1);
	setenv("SHELL", user->pw_shell, 1);
	return 0;
}

int cmd_exec(const struct options *options, char **args)
{
	_cleanup_free_ char *dir = NULL;
	CLEANUP(txn_free) struct txn txn = TXN_INIT;
	struct room_spec room = { 0 };
	const char *iface = args[0], *what = "";
	char **command = args + 1;
	int r;

	if (*command && strcmp(*command, "--") == 0)
		command++;
	if (!iface_name_valid(iface) || !*command) {
		log_error("expected exec INTERFACE [-u USER] [--] COMMAND…");
		return EXIT_CANCELED_EXEC;
	}
	r = tunnel_find(iface, options->netns, &txn);
	if (r == -ENOTUNIQ)
		return EXIT_CANCELED_EXEC;
	if (r < 0 || txn.target_fd < 0) {
		log_error("`%s' is not up; expected `%s up %s' first", iface, log_program(), iface);
		return EXIT_CANCELED_EXEC;
	}
	dir = dns_dir(txn.journal.ns_name, txn.journal.cookie);
	room.target_fd = txn.target_fd;
	room.etc_dir = dir;
	r = dir ? room_build(&room, &what) : -ENOMEM;
	if (r < 0) {
		log_error("%s: cannot enter its network namespace (%s): %s", iface, what, strerror(-r));
		return EXIT_CANCELED_EXEC;
	}
	if (options->user) {
		r = become(options->user);
		if (r == -ENOENT)
			log_error("`%s' is not a user", options->user);
		else if (r < 0)
			log_error("cannot become `%s': %s", options->user, strerror(-r));
		if (r < 0)
			return EXIT_CANCELED_EXEC;
	}
	spawn_reset(NULL);
	execvp(*command, command);
	r = errno;
	log_error("`%s': %s", *command, strerror(r));
	return r == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_INVOKE;
}

int cmd_recover(const struct options *options, char **args)
{
	int r = journal_prepare();

	(void)options;
	(void)args;
	if (r == 0)
		r = tunnel_recover(NULL, false);
	if (r < 0) {
		log_error("cannot recover: %s", strerror(-r));
		return 1;
	}
	return 0;
}
