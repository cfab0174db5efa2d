/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spawn.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "log.h"

/* What the kernel takes for arguments and environment is less, by default. */
#define MAX_ENVIRON (8U << 20)

void spawn_reset(const sigset_t *mask)
{
	/* Handlers of ours end with exec; what the caller ignored (nohup) stays ignored. */
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
			/* Whose end cannot be waited for must not go on. */
			kill(spawn->pid, SIGKILL);
			(void)waitpid(spawn->pid, &status, 0);
			break;
		}
	/* What it wrote is there by now; nobody else holds the other end. */
	if (error == 0) {
		ssize_t n;

		do
			n = read(spawn->report[0], &error, sizeof(error));
		while (n < 0 && errno == EINTR);
		if (n != sizeof(error))
			error = n < 0 ? -errno : 0;
	}
	spawn->report[0] = close_fd(spawn->report[0]);
	if (error < 0)
		return error;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

#define LOOK_AGAIN_MS 10
/* What a process gets to be gone after SIGKILL. */
#define KILL_PATIENCE_MS 10000

int spawn_timeout(int pidfd, int timeout)
{
	return pidfd < 0 && (timeout < 0 || timeout > LOOK_AGAIN_MS) ? LOOK_AGAIN_MS : timeout;
}

bool spawn_has_ended(const struct spawn *spawn)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)spawn->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == spawn->pid;
}

#define KILL_AFTER_MS 2000

/* How long to wait, ms; -1: for ever. */
static int time_left(struct spawn_deadline *deadline, pid_t pid)
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

void spawn_attend(const struct spawn *spawn, struct spawn_deadline *deadline, int fd, int (*on_word)(void *arg, pid_t pid), void *arg)
{
	_cleanup_fd_ int pidfd = (int)syscall(SYS_pidfd_open, spawn->pid, 0);

	for (;;) {
		struct pollfd fds[] = { { .fd = pidfd, .events = POLLIN }, { .fd = fd, .events = POLLIN } };

		if (poll(fds, ARRAY_SIZE(fds), spawn_timeout(pidfd, time_left(deadline, spawn->pid))) < 0) {
			if (errno != EINTR)
				sleep_ms(1);
			continue;
		}
		if (fds[0].revents || (pidfd < 0 && spawn_has_ended(spawn)))
			return;
		if (fds[1].revents && on_word(arg, spawn->pid))
			fd = -1;
	}
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

/* Whether one begins with the `len` bytes of `entry`. */
static bool has_env(const char *pid, const char *entry, size_t entry_len)
{
	char path[64], *text;
	bool found = false;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%.16s/environ", pid);
	if (read_file(path, MAX_ENVIRON, &text, &len) < 0)
		return false;
	for (const char *p = text; p < text + len && !found; p += strlen(p) + 1)
		found = strncmp(p, entry, entry_len) == 0;
	/* It is somebody's, and may have secrets. */
	wipe_free(text, len);
	return found;
}

bool spawn_has_variable(pid_t pid, const char *name)
{
	char number[16], entry[64];

	snprintf(number, sizeof(number), "%d", pid);
	snprintf(entry, sizeof(entry), "%s=", name);
	return has_env(number, entry, strlen(entry));
}

static bool is_marked(const char *pid, const char *mark, const struct stat *room)
{
	char path[64];
	struct stat st;

	if (has_env(pid, mark, strlen(mark) + 1))
		return true;
	snprintf(path, sizeof(path), "/proc/%.16s/ns/mnt", pid);
	return room && stat(path, &st) == 0 && st.st_dev == room->st_dev && st.st_ino == room->st_ino;
}

int spawn_signal(pid_t pid, int pidfd, int signal)
{
	if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0)
		return 0;
	return errno == ENOSYS && kill(pid, signal) == 0 ? 0 : -errno;
}

/* Once, in however many rounds it is met. */
static void add_name(struct buf *names, const char *pid)
{
	_cleanup_free_ char *comm = NULL, *entry = NULL;
	char path[64];
	size_t len;

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	if (read_file(path, 64, &comm, &len) < 0 || asprintf(&entry, "%.*s (%s), ", (int)strcspn(comm, "\n"), comm, pid) < 0)
		return;
	/* A terminal would obey control characters. */
	for (char *p = entry; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (!names->data || !strstr(names->data, entry))
		buf_str(names, entry);
}

/* Returns how many there were, the caller not counted; one that is gone meanwhile is none. */
static int kill_marked(const char *mark, const struct stat *room, struct buf *names)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir("/proc");
	const struct dirent *process;
	int found = 0;

	if (!dir)
		return -errno;
	while ((errno = 0, process = readdir(dir))) {
		_cleanup_fd_ int pidfd = -1;
		uint64_t pid;

		if (parse_u64(process->d_name, INT32_MAX, &pid) < 0 || pid == (uint64_t)getpid() || !is_marked(process->d_name, mark, room))
			continue;
		found++;
		pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
		/* The number may have gone to another process since. */
		if (pidfd < 0 || !is_marked(process->d_name, mark, room))
			continue;
		if (names)
			add_name(names, process->d_name);
		(void)spawn_signal((pid_t)pid, pidfd, SIGKILL);
	}
	return errno ? -errno : found;
}

void spawn_kill_marked(const char *mark, int room_fd, struct buf *names)
{
	struct stat st, *room = room_fd >= 0 && fstat(room_fd, &st) == 0 ? &st : NULL;
	int64_t end = now_ms() + KILL_PATIENCE_MS;

	/* A parent may be about to make a child, and in the middle of execve(2) there is no environment to see: look twice. */
	for (int none = 0; none < 2 && now_ms() < end;) {
		none = kill_marked(mark, room, names) == 0 ? none + 1 : 0;
		if (none < 2)
			sleep_ms(2);
	}
}

static uint64_t start_time(pid_t pid, char *ret_state)
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
	if (!p || sscanf(p + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", ret_state, &start) != 2)
		return 0;
	return start;
}

uint64_t spawn_start_time(pid_t pid)
{
	char state;

	return start_time(pid, &state);
}

uint64_t spawn_lives_since(pid_t pid)
{
	char state;
	uint64_t start = start_time(pid, &state);

	return start && strchr("ZXx", state) ? 0 : start;
}

/* A child belongs to the thread that made it. */
static void each_child_of(pid_t pid, void (*fn)(void *arg, pid_t pid), void *arg)
{
	CLEANUP(cleanup_dir) DIR *tasks = NULL;
	const struct dirent *task;
	char path[64], text[4096];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	while (tasks && (task = readdir(tasks))) {
		_cleanup_file_ FILE *f = NULL;
		long child;

		if (*task->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/children", pid, task->d_name);
		f = fopen(path, "re");
		if (f)
			setvbuf(f, text, _IOFBF, sizeof(text));
		while (f && fscanf(f, "%ld", &child) == 1)
			fn(arg, (pid_t)child);
	}
}

struct visit {
	void (*fn)(void *arg, pid_t pid);
	void *arg;
};

static void visit_child(void *arg, pid_t pid)
{
	const struct visit *visit = arg;

	visit->fn(visit->arg, pid);
	each_child_of(pid, visit_child, arg);
}

void spawn_each_descendant(void (*fn)(void *arg, pid_t pid), void *arg)
{
	struct visit visit = { fn, arg };

	each_child_of(getpid(), visit_child, &visit);
}

struct killing {
	int signal;
	unsigned int killed;
};

static void kill_child(void *arg, pid_t pid)
{
	struct killing *killing = arg;

	/* Children first stopped from making more: the parent dies before its children are visited. */
	if (kill(pid, killing->signal) == 0)
		killing->killed++;
	each_child_of(pid, kill_child, arg);
}

unsigned int spawn_kill_below(pid_t pid, int signal)
{
	struct killing killing = { .signal = signal };

	each_child_of(pid, kill_child, &killing);
	return killing.killed;
}

unsigned int spawn_kill_descendants(void)
{
	int64_t end = now_ms() + KILL_PATIENCE_MS;
	unsigned int total = 0;
	bool first = true;
	pid_t pid;

	/* Orphans come to us as they are made; further rounds catch those that were just being forked. */
	do {
		unsigned int killed = spawn_kill_below(getpid(), SIGKILL);

		if (first)
			total = killed;
		first = false;
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0 && errno == ECHILD)
			return total;
		nanosleep(&(struct timespec){ .tv_nsec = 200 * 1000 }, NULL);
	} while (now_ms() < end);
	log_warn("processes that a hook or a command started do not end when they are killed");
	return total;
}
