/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "atomic.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>

/* ---- in two steps ---- */

int atomic_stage(int dir, const char *staged, const struct buf *text, mode_t mode, enum atomic_kind kind)
{
	_cleanup_fd_ int fd = -1;
	int r;

	if (text->failed)
		return -ENOMEM;
	/* A leftover of a killed run, or somebody's trap: never written through. */
	if (unlinkat(dir, staged, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(dir, staged, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text->data, text->len);
	/* The umask may have taken from 0600, too. */
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && kind == ATOMIC_DURABLE && fsync(fd) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir, staged, 0);
	return r;
}

int atomic_publish(int dir, const char *staged, const char *name, bool replace)
{
	int r;

	if (renameat2(dir, staged, dir, name, replace ? 0 : RENAME_NOREPLACE) == 0)
		return 0;
	r = -errno;
	/* File systems without that flag (NFS) know links, which replace nothing either. */
	if (r == -EINVAL && !replace)
		r = linkat(dir, staged, dir, name, 0) < 0 ? -errno : 0;
	if (unlinkat(dir, staged, 0) < 0 && r == -EEXIST && errno != ENOENT)
		r = -errno;
	return r;
}

/* ---- in one ---- */

static int temporary_path(const char *path, char ret_path[static PATH_MAX])
{
	int n = snprintf(ret_path, PATH_MAX, "%s" ATOMIC_TMP, path);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* The new name, too, has to be on the disk. */
static void sync_folder(const char *path)
{
	char folder[PATH_MAX];
	_cleanup_fd_ int fd = -1;

	snprintf(folder, sizeof(folder), "%s", path);
	fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		(void)fsync(fd);
}

static int write_whole(const char *path, const struct buf *text, mode_t mode, enum atomic_kind kind, bool replace)
{
	char temporary[PATH_MAX];
	int r;

	r = temporary_path(path, temporary);
	if (r == 0)
		r = atomic_stage(AT_FDCWD, temporary, text, mode, kind);
	if (r == 0)
		r = atomic_publish(AT_FDCWD, temporary, path, replace);
	if (r == 0 && kind == ATOMIC_DURABLE)
		sync_folder(path);
	return r;
}

int atomic_replace(const char *path, const struct buf *text, mode_t mode, enum atomic_kind kind)
{
	return write_whole(path, text, mode, kind, true);
}

int atomic_create(const char *path, const struct buf *text, mode_t mode)
{
	return write_whole(path, text, mode, ATOMIC_DURABLE, false);
}

bool atomic_sweep(const char *path, char *ret_removed)
{
	struct stat st;

	return temporary_path(path, ret_removed) == 0 && lstat(ret_removed, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 && unlink(ret_removed) == 0;
}

void atomic_forget(const char *path)
{
	char temporary[PATH_MAX];

	if (temporary_path(path, temporary) == 0)
		unlink(temporary);
}
