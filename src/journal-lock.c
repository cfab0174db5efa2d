/* SPDX-License-Identifier: GPL-2.0-or-later */
/* journal-lock.c - the locks by which runs keep out of each other's way. */
#include "journal-text.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "lock.h"

#define LOCK_POLL_MS 10

int journal_is_named(int fd, const char *path)
{
	struct stat opened, named;

	if (fstat(fd, &opened) < 0)
		return -errno;
	if (stat(path, &named) < 0)
		return errno == ENOENT ? 0 : -errno;
	return opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

#define FOR_EVER INT64_MAX

/* `patience`, ms: how long to wait for whoever has it; then -EAGAIN. */
static int open_lock(const char *path, int64_t patience, int *ret_fd)
{
	for (;;) {
		_cleanup_fd_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		int r = 0;

		if (fd < 0)
			return -errno;
		if (patience)
			r = lock_wait_for(fd, path, patience);
		else if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			r = errno == EWOULDBLOCK ? -EAGAIN : -errno;
		if (r == -EINTR)
			continue;
		if (r == 0)
			r = journal_is_named(fd, path);
		if (r < 0)
			return r;
		if (r > 0) {
			*ret_fd = take_fd(&fd);
			return 0;
		}
	}
}

int journal_lock(const char *iface, unsigned patience_ms, int *ret_fd)
{
	_cleanup_free_ char *path = NULL;
	int r;

	if (asprintf(&path, LOCK_DIR "/%s", iface) < 0)
		return -ENOMEM;
	for (unsigned waited = 0;; waited += LOCK_POLL_MS) {
		r = open_lock(path, 0, ret_fd);
		if (r != -EAGAIN || waited >= patience_ms)
			return r;
		sleep_ms(LOCK_POLL_MS);
	}
}

int journal_lock_shared(int *ret_fd)
{
	/* No interface can have this name. */
	return open_lock(LOCK_DIR "/shared lock", FOR_EVER, ret_fd);
}

int journal_lock_tun(int *ret_fd)
{
	return open_lock(LOCK_DIR "/tun lock", FOR_EVER, ret_fd);
}

int journal_lock_host(int64_t patience, int *ret_fd)
{
	return open_lock(LOCK_DIR "/host lock", patience, ret_fd);
}

int journal_lock_netns(const char *name, int *ret_fd)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, LOCK_DIR "/netns %s", name) < 0)
		return -ENOMEM;
	return open_lock(path, 0, ret_fd);
}
