/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inside.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "spawn.h"
#include "who-proc.h"

struct ours {
	pid_t *pids;
	size_t n;
	bool failed;
};

static void add_ours(void *arg, pid_t pid)
{
	struct ours *ours = arg;
	pid_t *slot = GROW(ours->pids, ours->n);

	if (slot)
		*slot = pid;
	else
		ours->failed = true;
}

static bool is_ours(const struct ours *ours, pid_t pid)
{
	for (size_t i = 0; i < ours->n; i++)
		if (ours->pids[i] == pid)
			return true;
	return false;
}

/* Who is gone meanwhile, or not ours to look at, has no name. */
static void describe(int proc, const char *pid, struct inside *process)
{
	char path[64];
	_cleanup_fd_ int fd = -1;
	struct stat st;
	ssize_t n;

	snprintf(path, sizeof(path), "%.20s/comm", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, process->name, sizeof(process->name) - 1);
	process->name[n < 0 ? 0 : n] = '\0';
	process->name[strcspn(process->name, "\n")] = '\0';
	/* A terminal would obey control characters. */
	for (char *p = process->name; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (fstatat(proc, pid, &st, 0) == 0)
		process->uid = st.st_uid;
}

static int by_pid(const void *a, const void *b)
{
	const struct inside *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

int inside_list(int ns_fd, struct inside **ret_processes, size_t *ret_n)
{
	CLEANUP(cleanup_dir) DIR *proc = opendir("/proc");
	struct ours ours = { 0 };
	struct inside *found = NULL;
	struct dirent *entry;
	struct stat ns, st;
	size_t n = 0;
	int r = 0;

	if (!proc || fstat(ns_fd, &ns) < 0)
		return -errno;
	add_ours(&ours, getpid());
	/* A worker's is its supervisor, which may have been started in there. */
	if (proc_is_ourselves(getppid()))
		add_ours(&ours, getppid());
	spawn_each_descendant(add_ours, &ours);
	while (r == 0 && (errno = 0, entry = readdir(proc))) {
		char path[64];
		struct inside *slot;
		uint64_t pid;

		if (parse_u64(entry->d_name, INT32_MAX, &pid) < 0 || is_ours(&ours, (pid_t)pid))
			continue;
		snprintf(path, sizeof(path), "%.20s/ns/net", entry->d_name);
		if (fstatat(dirfd(proc), path, &st, 0) < 0) {
			/* Others are gone, or not ours to look at. */
			r = is_transient(-errno) ? -errno : 0;
			continue;
		}
		if (st.st_ino != ns.st_ino || st.st_dev != ns.st_dev)
			continue;
		slot = GROW(found, n);
		if (slot) {
			slot->pid = (pid_t)pid;
			slot->is_run = proc_is_ourselves(slot->pid);
			describe(dirfd(proc), entry->d_name, slot);
		} else {
			r = -ENOMEM;
		}
	}
	/* Of a list that is cut off nobody is to be stranded. */
	if (r == 0)
		r = ours.failed ? -ENOMEM : -errno;
	free(ours.pids);
	if (r < 0) {
		free(found);
		return r;
	}
	if (n)
		qsort(found, n, sizeof(*found), by_pid);
	*ret_processes = found;
	*ret_n = n;
	return 0;
}
