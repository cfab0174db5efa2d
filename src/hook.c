/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "filter.h"
#include "ns.h"
#include "room.h"
#include "spawn.h"

/*
 * wg-quick evaluates a hook in a subshell of itself: its shell options are
 * part of what a hook's author relies on.
 */
static _Noreturn void exec_hook(const struct spawn *spawn, const struct hook_env *env, const char *text)
{
	const char *argv[] = { "bash", "-e", "-o", "pipefail", "-O", "extglob", "-c", text, NULL };
	int r;

	r = ns_enter(env->target_fd);
	if (r == 0)
		r = room_enter(env->room_fd);
	if (r < 0)
		spawn_fail(spawn, r);
	setenv("LC_ALL", "C", 1);
	setenv("INTERFACE", env->iface, 1);
	setenv("CONFIG_FILE", env->config, 1);
	setenv("WG_NSQUICK_NETNS", env->netns, 1);
	if (env->guarded)
		r = filter_install(env->control, env->guarded);
	if (r < 0)
		spawn_fail(spawn, r);
	spawn_reset(env->mask);
	execvp(argv[0], (char *const *)argv);
	spawn_fail(spawn, -errno);
}

int hook_run(const struct hook_env *env, const char *text, int watch_fd, int (*on_watch)(void *arg, pid_t hook), void *arg)
{
	_cleanup_fd_ int pidfd = -1;
	bool watching = watch_fd >= 0;
	struct spawn spawn;
	pid_t pid;

	/* bash is looked for in the room only: what the host has there, the room has too. */
	pid = spawn_fork(&spawn);
	if (pid < 0)
		return (int)pid;
	if (pid == 0)
		exec_hook(&spawn, env, text);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	while (pidfd >= 0) {
		struct pollfd fds[] = { { .fd = pidfd, .events = POLLIN }, { .fd = watching ? watch_fd : -1, .events = POLLIN } };

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			break;
		if (fds[1].revents && on_watch(arg, pid))
			watching = false;
	}
	return spawn_wait(&spawn);
}
