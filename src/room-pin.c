/* SPDX-License-Identifier: GPL-2.0-or-later */
/* room-pin.c - rooms kept in PID 1's mount namespace, where every later run finds them. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>

#include "journal-text.h"
#include "lock.h"
#include "room.h"

static int pin_path(const char *iface, ns_cookie cookie, char ret_path[static PATH_MAX])
{
	int n = snprintf(ret_path, PATH_MAX, ROOM_DIR "/%s@%" PRIx64, iface, cookie);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

struct pin {
	char path[PATH_MAX];
	int room_fd;
};

/* A mount namespace cannot be bound into a shared mount: it would hold itself. */
static int private_dir(void)
{
	int r = make_dir(ROOM_DIR, 0700);

	if (r < 0)
		return r;
	if (mount("", ROOM_DIR, "none", MS_PRIVATE, NULL) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	if (mount(ROOM_DIR, ROOM_DIR, "none", MS_BIND, NULL) < 0)
		return -errno;
	return mount("", ROOM_DIR, "none", MS_PRIVATE, NULL) < 0 ? -errno : 0;
}

/* The folder of rooms is made by the first one and goes with the last: who does either is alone meanwhile. (RUN_DIR anybody could lock.) */
static int lock_dir(int *ret_fd)
{
	_cleanup_fd_ int fd = open(LOCK_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : lock_wait(fd, LOCK_DIR);

	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int do_pin(void *arg)
{
	const struct pin *p = arg;
	_cleanup_fd_ int lock = -1;
	_cleanup_fd_ int file = -1;
	char source[64];
	int r;

	r = lock_dir(&lock);
	if (r == 0)
		r = private_dir();
	if (r < 0)
		return r;
	file = open(p->path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0);
	if (file < 0)
		return -errno;
	snprintf(source, sizeof(source), "/proc/self/fd/%d", p->room_fd);
	r = mount(source, p->path, "none", MS_BIND, NULL) < 0 ? -errno : 0;
	if (r < 0)
		unlink(p->path);
	return r;
}

static int do_unpin(void *arg)
{
	const struct pin *p = arg;
	_cleanup_fd_ int lock = -1;
	int r;

	r = lock_dir(&lock);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (umount2(p->path, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		r = -errno;
	if (unlink(p->path) < 0 && errno != ENOENT)
		r = r < 0 ? r : -errno;
	/* The last one out takes the folder's own mount along. */
	if (rmdir(ROOM_DIR) < 0 && errno != ENOENT) {
		CLEANUP(cleanup_dir) DIR *dir = opendir(ROOM_DIR);
		struct dirent *entry;
		bool empty = true;

		if (!dir)
			return r < 0 ? r : -errno;
		errno = 0;
		while ((entry = readdir(dir)))
			if (entry->d_name[0] != '.')
				empty = false;
		if (errno || (empty && (umount2(ROOM_DIR, MNT_DETACH) < 0 || rmdir(ROOM_DIR) < 0)))
			return r < 0 ? r : -errno;
	}
	return r;
}

int room_pin(int room_fd, const char *iface, ns_cookie cookie)
{
	struct pin p = { .room_fd = room_fd };
	int r = pin_path(iface, cookie, p.path);

	return r < 0 ? r : ns_in_host_mounts(do_pin, &p);
}

int room_unpin(const char *iface, ns_cookie cookie)
{
	struct pin p = { .room_fd = -1 };
	int r = pin_path(iface, cookie, p.path);

	return r < 0 ? r : ns_in_host_mounts(do_unpin, &p);
}

int room_open(const char *iface, ns_cookie cookie, int *ret_fd)
{
	char path[PATH_MAX], outer[PATH_MAX + 16];
	int r = pin_path(iface, cookie, path);

	if (r < 0)
		return r;
	/* Through PID 1's root: the caller may be in a unit whose mounts are its own. */
	snprintf(outer, sizeof(outer), "/proc/1/root%s", path);
	r = ns_open_kind(outer, CLONE_NEWNS, ret_fd);
	/* The empty file of a pin that was killed before its mount, or that somebody unmounted. */
	return r == -EINVAL ? -ENOENT : r;
}
