/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ns-find.h"

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>

struct seen {
	dev_t dev;
	ino_t ino;
};

struct search {
	ns_cookie cookie;
	int fd; /* -1: not found yet */
	int blind; /* why something could not be looked at */
	struct seen *seen; /* others: one stat() tells a process that is in one of them */
	size_t n;
};

static bool was_seen(const struct search *search, const struct stat *st)
{
	for (size_t i = 0; i < search->n; i++)
		if (search->seen[i].ino == st->st_ino && search->seen[i].dev == st->st_dev)
			return true;
	return false;
}

/* Processes end, and mounts go, while they are looked at. */
static int cannot(struct search *search, int r)
{
	if (is_transient(r))
		return r;
	if (r == -EACCES || r == -EPERM)
		search->blind = r;
	return 0;
}

/* 1: it is the one, 0, or -errno, which ends the search. */
static int look(struct search *search, const char *path)
{
	_cleanup_fd_ int fd = -1;
	struct seen *slot;
	ns_cookie cookie;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return cannot(search, -errno);
	if (was_seen(search, &st))
		return 0;
	r = ns_open(path, &fd);
	if (r == 0)
		r = ns_get_cookie(fd, &cookie);
	if (r < 0)
		return cannot(search, r);
	if (cookie == search->cookie) {
		search->fd = take_fd(&fd);
		return 1;
	}
	if (fstat(fd, &st) < 0)
		return -errno;
	slot = GROW(search->seen, search->n);
	if (!slot)
		return -ENOMEM;
	*slot = (struct seen){ st.st_dev, st.st_ino };
	return 0;
}

/* `root`: where the paths of that table begin. */
static int look_at_mounts(struct search *search, const char *table, const char *root)
{
	_cleanup_file_ FILE *f = fopen(table, "re");
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;
	int r = 0;

	if (!f)
		return cannot(search, -errno);
	while (r == 0 && getline(&line, &cap, f) >= 0) {
		char path[PATH_MAX], full[PATH_MAX + 16];

		/* One that is hidden under another mount has another number, or is none. */
		if (sscanf(line, "%*u %*u %*s net:[%*u] %4095s", path) != 1)
			continue;
		snprintf(full, sizeof(full), "%s%s", root, path);
		r = look(search, full);
	}
	return r == 0 && ferror(f) ? -EIO : r;
}

static int look_at_processes(struct search *search)
{
	CLEANUP(cleanup_dir) DIR *proc = opendir("/proc");
	struct dirent *entry;
	int r = 0;

	if (!proc)
		return -errno;
	while (r == 0 && (errno = 0, entry = readdir(proc))) {
		char path[64];
		uint64_t pid;

		if (parse_u64(entry->d_name, INT32_MAX, &pid) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/ns/net", entry->d_name);
		r = look(search, path);
	}
	return r == 0 ? -errno : r;
}

int ns_find(ns_cookie cookie, int *ret_fd)
{
	struct search search = { .cookie = cookie, .fd = -1 };
	bool mounted;
	int r;

	r = look_at_mounts(&search, "/proc/self/mountinfo", "");
	if (r == 0)
		r = look_at_mounts(&search, "/proc/1/mountinfo", "/proc/1/root");
	mounted = r > 0;
	if (r == 0)
		r = look_at_processes(&search);
	free(search.seen);
	if (r < 0)
		return r;
	if (r == 0)
		return search.blind ? search.blind : -ENOENT;
	*ret_fd = search.fd;
	return mounted;
}
