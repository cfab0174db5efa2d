/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "atomic.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>

static int temporary_path(const char *path, char ret_path[static PATH_MAX])
{
	int n = snprintf(ret_path, PATH_MAX, "%s" ATOMIC_TMP, path);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int write_temporary(const char *path, const struct buf *text, mode_t mode, enum atomic_kind kind)
{
	_cleanup_fd_ int fd = -1;
	int r;

	if (text->failed)
		return -ENOMEM;
	/* A leftover of a killed run, or somebody's trap: never written through. */
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text->data, text->len);
	if (r == 0 && mode != 0600 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && kind == ATOMIC_DURABLE && fsync(fd) < 0)
		r = -errno;
	if (r < 0)
		unlink(path);
	return r;
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

int atomic_replace(const char *path, const struct buf *text, mode_t mode, enum atomic_kind kind)
{
	char temporary[PATH_MAX];
	int r;

	r = temporary_path(path, temporary);
	if (r == 0)
		r = write_temporary(temporary, text, mode, kind);
	if (r < 0)
		return r;
	if (rename(temporary, path) < 0) {
		r = -errno;
		unlink(temporary);
		return r;
	}
	if (kind == ATOMIC_DURABLE)
		sync_folder(path);
	return 0;
}

int atomic_create(const char *path, const struct buf *text, mode_t mode)
{
	char temporary[PATH_MAX];
	int r;

	r = temporary_path(path, temporary);
	if (r == 0)
		r = write_temporary(temporary, text, mode, ATOMIC_DURABLE);
	if (r < 0)
		return r;
	if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return 0;
	r = -errno;
	/* File systems without it (NFS) know links. */
	if (r == -EINVAL)
		r = link(temporary, path) < 0 ? -errno : 0;
	if (unlink(temporary) < 0 && r == -EEXIST && errno != ENOENT)
		r = -errno;
	return r;
}

void atomic_forget(const char *path)
{
	char temporary[PATH_MAX];

	if (temporary_path(path, temporary) == 0)
		unlink(temporary);
}
