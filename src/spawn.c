/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spawn.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

void spawn_reset(const sigset_t *mask)
{
	struct sigaction standard = { .sa_handler = SIG_DFL };

	/* SIGPIPE and job control signals that we ignore or catch must not be inherited that way. */
	for (int sig = 1; sig < NSIG; sig++) {
		struct sigaction now;

		/* What the caller ignored (nohup) stays ignored; a handler of ours does not. */
		if (sigaction(sig, NULL, &now) == 0 && now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN)
			sigaction(sig, &standard, NULL);
	}
	if (mask)
		sigprocmask(SIG_SETMASK, mask, NULL);
	/* A netlink socket of the host's namespace would act there, wherever its holder stands. */
	(void)close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
}

pid_t spawn_fork(struct spawn *ret_spawn)
{
	struct spawn spawn;

	if (pipe2(spawn.report, O_CLOEXEC) < 0)
		return -errno;
	spawn.pid = fork();
	if (spawn.pid < 0) {
		int r = -errno;

		close_fd(spawn.report[0]);
		close_fd(spawn.report[1]);
		return r;
	}
	if (spawn.pid > 0)
		spawn.report[1] = close_fd(spawn.report[1]);
	*ret_spawn = spawn;
	return spawn.pid;
}

void spawn_fail(const struct spawn *spawn, int error)
{
	(void)write_all(spawn->report[1], &error, sizeof(error));
	_exit(127);
}

int spawn_wait(struct spawn *spawn)
{
	int status, error = 0;

	while (waitpid(spawn->pid, &status, 0) < 0)
		if (errno != EINTR) {
			error = -errno;
			break;
		}
	/* What it wrote is there by now; nobody else holds the other end. */
	if (error == 0 && read(spawn->report[0], &error, sizeof(error)) != sizeof(error))
		error = 0;
	spawn->report[0] = close_fd(spawn->report[0]);
	if (error < 0)
		return error;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool spawn_in_path(const char *name)
{
	const char *path = getenv("PATH");
	char file[PATH_MAX];
	struct stat st;

	if (strchr(name, '/'))
		return access(name, X_OK) == 0;
	while (path && *path) {
		size_t len = strcspn(path, ":");

		snprintf(file, sizeof(file), "%.*s/%s", len ? (int)len : 1, len ? path : ".", name);
		if (access(file, X_OK) == 0 && stat(file, &st) == 0 && S_ISREG(st.st_mode))
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

pid_t spawn_child(void)
{
	char path[64];
	_cleanup_file_ FILE *f = NULL;
	long child, last = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	f = fopen(path, "re");
	while (f && fscanf(f, "%ld", &child) == 1)
		last = child;
	return (pid_t)last;
}

uint64_t spawn_start_time(pid_t pid)
{
	char path[64], text[1024];
	_cleanup_file_ FILE *f = NULL;
	unsigned long long start;
	const char *p;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[n] = '\0';
	/* Field 22 (proc(5)); the second is the name, which may hold anything but ends at the last `)'. */
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &start) != 1)
		return 0;
	return start;
}

static void each_child_of(pid_t pid, void (*fn)(void *arg, pid_t pid), void *arg)
{
	char path[64];
	_cleanup_file_ FILE *f = NULL;
	long child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	while (f && fscanf(f, "%ld", &child) == 1) {
		fn(arg, (pid_t)child);
		each_child_of((pid_t)child, fn, arg);
	}
}

void spawn_each_descendant(void (*fn)(void *arg, pid_t pid), void *arg)
{
	each_child_of(getpid(), fn, arg);
}

unsigned int spawn_kill_below(pid_t pid, int signal)
{
	char path[64], text[4096];
	_cleanup_file_ FILE *f = NULL;
	unsigned int killed = 0;
	long child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	setvbuf(f, text, _IOFBF, sizeof(text));
	while (fscanf(f, "%ld", &child) == 1) {
		/* Children first stopped from making more: the parent dies before its children are visited. */
		if (kill((pid_t)child, signal) == 0)
			killed++;
		killed += spawn_kill_below((pid_t)child, signal);
	}
	return killed;
}

unsigned int spawn_kill_descendants(void)
{
	unsigned int total = 0;

	/* Orphans come to us as they are made; a few rounds catch those that were just being forked. */
	for (int round = 0; round < 1000; round++) {
		unsigned int killed = spawn_kill_below(getpid(), SIGKILL);
		pid_t pid;

		if (round == 0)
			total = killed;
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0 && errno == ECHILD)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 200 * 1000 }, NULL);
	}
	return total;
}
