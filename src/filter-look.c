/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "filter-look.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

void closed_add(struct closed *closed, int ns_fd, int target_fd, const char *name)
{
	struct stat st, target;

	if (ns_fd < 0 || fstat(ns_fd, &st) < 0)
		return;
	if (target_fd >= 0 && fstat(target_fd, &target) == 0 && target.st_dev == st.st_dev && target.st_ino == st.st_ino)
		return;
	for (size_t i = 0; i < closed->n; i++)
		if (closed->ns[i].dev == st.st_dev && closed->ns[i].ino == st.st_ino)
			return;
	closed->ns[closed->n++] = (struct closed_ns){ st.st_dev, st.st_ino, name };
}

/* The identity of a file that another process has open, without asking its file system, which may be slow. */
static const struct closed_ns *find(const struct closed *closed, int proc, const char *path)
{
	struct statx st;

	if (statx(proc, path, AT_STATX_DONT_SYNC, STATX_INO, &st) < 0)
		return NULL;
	for (size_t i = 0; i < closed->n; i++)
		if (closed->ns[i].ino == st.stx_ino && closed->ns[i].dev == makedev(st.stx_dev_major, st.stx_dev_minor))
			return &closed->ns[i];
	return NULL;
}

static FILE *open_below(int proc, const char *path)
{
	int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;

	if (!file)
		close_fd(fd);
	return file;
}

long look_field(int proc, const char *path, const char *name)
{
	_cleanup_file_ FILE *file = open_below(proc, path);
	size_t len = strlen(name);
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, len) == 0 && line[len] == ':')
			return strtol(line + len + 1, NULL, 10);
	return -1;
}

const struct closed_ns *look_wanted(const struct closed *closed, int proc, int fd, int type)
{
	char path[64], link[64];
	ssize_t n;
	long pid;

	snprintf(path, sizeof(path), "fd/%d", fd);
	n = readlinkat(proc, path, link, sizeof(link) - 1);
	/* No such descriptor: the kernel will say so. */
	if (n < 0)
		return NULL;
	link[n] = '\0';
	if (strcmp(link, "anon_inode:[pidfd]") != 0)
		return find(closed, proc, path);
	/* A process instead of a namespace: with type 0 that is an error of its own. */
	if (!(type & CLONE_NEWNET))
		return NULL;
	snprintf(path, sizeof(path), "fdinfo/%d", fd);
	pid = look_field(proc, path, "Pid");
	if (pid <= 0)
		return NULL;
	snprintf(path, sizeof(path), "/proc/%ld/ns/net", pid);
	return find(closed, AT_FDCWD, path);
}

bool look_is_ourselves(int proc)
{
	struct stat ours, theirs;

	return stat("/proc/self/exe", &ours) == 0 && fstatat(proc, "exe", &theirs, 0) == 0 && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

void look_command(int proc, char ret_text[static WHO_COMMAND_LEN])
{
	_cleanup_fd_ int fd = openat(proc, "cmdline", O_RDONLY | O_CLOEXEC);
	char raw[4096];
	ssize_t n = fd >= 0 ? read(fd, raw, sizeof(raw) - 1) : 0;

	who_format_command(raw, n > 0 ? (size_t)n : 0, n == (ssize_t)sizeof(raw) - 1, ret_text);
}
