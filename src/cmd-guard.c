/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard: any command under the guard. It may change the host's network as it likes
 * but for what decides how this host is reached (policy.h).
 */
#include <signal.h>
#include <sys/syscall.h>
#include <poll.h>

#include "cmd.h"
#include "guard.h"
#include "log.h"
#include "ns.h"
#include "reach.h"
#include "spawn.h"

#define KILL_AFTER_MS 2000 /* SIGTERM, then SIGKILL */

struct command {
	char **argv;
};

/* The user's signals reach the command: those typed on a terminal by themselves, others through us. */
static int run_command(void *arg, struct worker *w)
{
	const struct command *command = arg;
	struct spawn spawn;
	pid_t pid = spawn_fork(&spawn);
	unsigned int passed_on = 0;
	_cleanup_fd_ int pidfd = -1;
	int64_t kill_at = 0;
	int status;

	if (pid == 0) {
		spawn_reset(w->mask);
		execvp(command->argv[0], command->argv);
		spawn_fail(&spawn, -errno);
	}
	if (pid < 0) {
		log_error("cannot start `%s': %s", command->argv[0], strerror((int)-pid));
		return 125;
	}
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	for (;;) {
		struct pollfd fds[] = { { .fd = pidfd, .events = POLLIN }, { .fd = w->orphaned ? -1 : w->control, .events = POLLIN } };

		if (poll(fds, ARRAY_SIZE(fds), spawn_timeout(pidfd, w->orphaned ? 100 : -1)) < 0) {
			if (errno != EINTR)
				sleep_ms(1);
			continue;
		}
		if (fds[0].revents || (pidfd < 0 && spawn_has_ended(&spawn)))
			break;
		if (fds[1].revents)
			worker_listen(w);
		/* Nobody watches it any more: it ends, and rolls back by itself if it can. */
		if (w->orphaned && !kill_at) {
			log_error("guard: the supervisor is gone: `%s' is ended", command->argv[0]);
			kill_at = fib_now() + KILL_AFTER_MS;
			spawn_kill_below(getpid(), SIGTERM);
		} else if (w->orphaned && fib_now() > kill_at) {
			spawn_kill_below(getpid(), SIGKILL);
		}
		if (w->signals > passed_on) {
			passed_on = w->signals;
			kill(pid, w->signal);
		}
	}
	/* What it did last is read while its process can still be seen. */
	worker_settle(w);
	status = spawn_wait(&spawn);
	if (status == -ENOENT || status == -EACCES) {
		log_error("`%s': %s", command->argv[0], strerror(-status));
		return status == -ENOENT ? 127 : 126;
	}
	if (status < 0) {
		log_error("cannot run `%s': %s", command->argv[0], strerror(-status));
		return 126;
	}
	return status;
}

static void nothing_to_recover(void *arg)
{
	(void)arg;
}

int cmd_guard(const struct options *options, char **args)
{
	_cleanup_settings_ struct settings settings = { 0 };
	_cleanup_reach_ struct reach reach = { 0 };
	_cleanup_fd_ int host = -1;
	struct command command = { .argv = strcmp(args[0], "--") == 0 ? args + 1 : args };
	struct guarded_work work = { .others_run = true, .target_fd = -1, .transport_fd = -1, .action = command.argv[0], .work = run_command, .recover = nothing_to_recover, .arg = &command };
	char error[512];

	if (!command.argv[0]) {
		log_error("guard needs a command; expected guard [--level LEVEL] [--] COMMAND");
		return 1;
	}
	if (command.argv == args && *args[0] == '-') {
		log_error("`%s' is not an option of guard; expected --level off, warn, default or strict, or a COMMAND of that name behind --", args[0]);
		return 1;
	}
	if (cmd_settings_quiet(options, NULL, &settings, error) < 0) {
		log_error("%s", error);
		return 1;
	}
	if (ns_open_outermost(&host) < 0) {
		log_error("cannot see the host's network namespace");
		return 1;
	}
	if (reach_collect(NULL, &reach) < 0) {
		log_error("out of memory");
		return 1;
	}
	work.host_fd = host;
	work.foreign = settings.foreign.n ? &settings.foreign : NULL;
	work.policy = (struct policy){ .level = settings.guard, .command = true, .watched = reach.watched, .n_watched = reach.n_watched,
				       .session = reach.has_session ? &reach.session : NULL };
	return guard_run(&work);
}
