/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "filter.h"
#include "ns.h"
#include "room.h"
#include "spawn.h"

/* One argument may have this many bytes with its end: MAX_ARG_STRLEN of linux/binfmts.h, with its smallest pages. */
#define MAX_ARGUMENT 131072

/*
 * What bash evaluates instead of a text that is too long for an argument: a file
 * of its own, which is closed before the hook begins. Only good for the next exec.
 */
static int text_by_file(const char *text, char ret_command[static 64])
{
	int fd = memfd_create("hook", MFD_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, text, strlen(text));
	if (r == 0 && fcntl(fd, F_SETFD, 0) < 0)
		r = -errno;
	snprintf(ret_command, 64, "eval \"$(</proc/self/fd/%d)\" %d<&-", fd, fd);
	return r;
}

/*
 * wg-quick evaluates a hook in a subshell of itself: its shell options are
 * part of what a hook's author relies on.
 */
static _Noreturn void exec_hook(const struct spawn *spawn, const struct hook_env *env, const char *text)
{
	const char *argv[] = { "bash", "-e", "-o", "pipefail", "-O", "extglob", "-c", text, NULL };
	char command[64];
	int r;

	r = ns_enter(env->target_fd);
	if (r == 0)
		r = room_enter(env->room_fd, env->etc_dir);
	if (r < 0)
		spawn_fail(spawn, r);
	setenv("LC_ALL", "C", 1);
	setenv("INTERFACE", env->iface, 1);
	setenv("CONFIG_FILE", env->config, 1);
	setenv(HOOK_VARIABLE, env->netns, 1);
	if (env->mark && putenv((char *)env->mark) != 0)
		spawn_fail(spawn, -ENOMEM);
	if (env->guarded)
		r = filter_install(env->control, env->guarded);
	spawn_reset(env->mask);
	if (r == 0 && strlen(text) >= MAX_ARGUMENT) {
		r = text_by_file(text, command);
		argv[ARRAY_SIZE(argv) - 2] = command;
	}
	if (r < 0)
		spawn_fail(spawn, r);
	execvp(argv[0], (char *const *)argv);
	spawn_fail(spawn, -errno);
}

/* SIGTERM when its time is over, SIGKILL when it takes no notice. */
#define KILL_AFTER_MS 2000

struct deadline {
	int64_t at;   /* ms of CLOCK_MONOTONIC; 0: never */
	bool expired; /* it was told so */
};

/* How long to wait, ms; -1: for ever. */
static int time_left(struct deadline *deadline, pid_t pid)
{
	int64_t left = deadline->at - now_ms();
	int signal = deadline->expired ? SIGKILL : SIGTERM;

	if (!deadline->at)
		return -1;
	if (left > 0)
		return (int)left;
	deadline->expired = true;
	deadline->at = now_ms() + KILL_AFTER_MS;
	/* What it waits for first: a shell takes the signal when that has ended. */
	spawn_kill_below(pid, signal);
	kill(pid, signal);
	return KILL_AFTER_MS;
}

int hook_run(const struct hook_env *env, const char *text, int watch_fd, int (*on_watch)(void *arg, pid_t hook), void *arg)
{
	_cleanup_fd_ int pidfd = -1;
	bool watching = watch_fd >= 0;
	struct deadline deadline = { 0 };
	struct spawn spawn;
	pid_t pid;
	int r;

	/* bash is looked for in the room only: what the host has there, the room has too. */
	pid = spawn_fork(&spawn);
	if (pid < 0)
		return (int)pid;
	if (pid == 0)
		exec_hook(&spawn, env, text);
	if (env->timeout)
		deadline.at = now_ms() + (int64_t)env->timeout * 1000;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	for (;;) {
		struct pollfd fds[] = { { .fd = pidfd, .events = POLLIN }, { .fd = watching ? watch_fd : -1, .events = POLLIN } };

		if (poll(fds, ARRAY_SIZE(fds), spawn_timeout(pidfd, time_left(&deadline, pid))) < 0) {
			if (errno != EINTR)
				sleep_ms(1);
			continue;
		}
		if (fds[0].revents || (pidfd < 0 && spawn_has_ended(&spawn)))
			break;
		if (fds[1].revents && on_watch(arg, pid))
			watching = false;
	}
	env->on_end(arg);
	r = spawn_wait(&spawn);
	return deadline.expired ? -ETIME : r;
}
