/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <fcntl.h>
#include <sys/mman.h>

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

int hook_run(const struct hook_env *env, const char *text, int watch_fd, int (*on_watch)(void *arg, pid_t hook), void *arg)
{
	struct spawn_deadline deadline = { 0 };
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
	spawn_attend(&spawn, &deadline, watch_fd, on_watch, arg);
	env->on_end(arg);
	r = spawn_wait(&spawn);
	return deadline.expired ? -ETIME : r;
}
