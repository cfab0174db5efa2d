/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ns.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <limits.h>

#include "lock.h"
#include "log.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

int ns_open_kind(const char *path, int kind, int *ret_fd)
{
	/*
	 * O_NONBLOCK: somebody's path may be a fifo, and an open must not wait for its writer. Links are followed: those
	 * of /proc/PID/ns are some, and so are the names in /run/netns that people give to containers.
	 */
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct statfs fs;
	int type;

	if (fd < 0)
		return -errno;
	/* A name that was never mounted, or whose mount is not visible here, is an empty file. */
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	type = fs.f_type == NSFS_MAGIC ? ioctl(fd, NS_GET_NSTYPE) : 0;
	if (type < 0 && errno != ENOTTY)
		return -errno;
	if (type != kind)
		return -EINVAL;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int open_ns_path(const char *path, int *ret_fd)
{
	return ns_open_kind(path, CLONE_NEWNET, ret_fd);
}

int ns_open_current(int *ret_fd)
{
	return open_ns_path("/proc/thread-self/ns/net", ret_fd);
}

int ns_open_host(int *ret_fd)
{
	return open_ns_path("/proc/1/ns/net", ret_fd);
}

int ns_open_outermost(int *ret_fd)
{
	return ns_open_host(ret_fd) == 0 ? 0 : ns_open_current(ret_fd);
}

int ns_open(const char *name_or_path, int *ret_fd)
{
	char path[PATH_MAX];
	int r;

	if (strchr(name_or_path, '/'))
		return open_ns_path(name_or_path, ret_fd);
	if (!ns_name_valid(name_or_path))
		return -EINVAL;
	snprintf(path, sizeof(path), NETNS_RUN_DIR "/%s", name_or_path);
	r = open_ns_path(path, ret_fd);
	if (r == -EINVAL || r == -ENOENT) {
		/* In a unit with mounts of its own the name's mount is not visible; PID 1 sees it. */
		int outer;

		snprintf(path, sizeof(path), "/proc/1/root" NETNS_RUN_DIR "/%s", name_or_path);
		outer = open_ns_path(path, ret_fd);
		if (outer == 0 || is_transient(outer))
			return outer;
	}
	return r;
}

bool ns_same(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

int ns_enter(int ns_fd)
{
	return setns(ns_fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

/* To go on in the wrong namespace is what this program exists to prevent. */
static void come_back(int home)
{
	int r = 0;

	for (int tries = 0; tries < 3; tries++) {
		r = ns_enter(home);
		if (r == 0)
			return;
	}
	log_error("cannot return to the network namespace that it came from: %s", strerror(-r));
	abort();
}

int ns_call(int ns_fd, int (*fn)(void *arg), void *arg)
{
	_cleanup_fd_ int home = -1;
	int r;

	r = ns_open_current(&home);
	if (r < 0)
		return r;
	if (ns_same(home, ns_fd))
		return fn(arg);
	r = ns_enter(ns_fd);
	if (r < 0)
		return r;
	r = fn(arg);
	come_back(home);
	return r;
}

int ns_create(int *ret_fd)
{
	_cleanup_fd_ int home = -1;
	int r;

	r = ns_open_current(&home);
	if (r < 0)
		return r;
	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	r = ns_open_current(ret_fd);
	come_back(home);
	return r;
}

static int read_cookie(void *arg)
{
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(uint64_t);

	if (fd < 0)
		return -errno;
	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, arg, &len) < 0 ? -errno : 0;
}

int ns_get_cookie(int ns_fd, ns_cookie *ret_cookie)
{
	uint64_t cookie = 0;
	struct stat st;
	int r;

	r = ns_call(ns_fd, read_cookie, &cookie);
	if (r == -ENOPROTOOPT) {
		if (fstat(ns_fd, &st) < 0)
			return -errno;
		cookie = (uint64_t)st.st_dev << 40 ^ st.st_ino;
		r = 0;
	}
	if (r < 0)
		return r;
	*ret_cookie = cookie;
	return 0;
}

bool ns_name_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX || name[0] == '-' || name[0] == '.')
		return false;
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == '/' || *p == 0x7f)
			return false;
	return true;
}

/* Is /run/netns a mount point that shares its mounts? Otherwise a name would stay in one mount namespace. */
static int share_run_dir(void)
{
	if (mount("", NETNS_RUN_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	if (mount(NETNS_RUN_DIR, NETNS_RUN_DIR, "none", MS_BIND | MS_REC, NULL) < 0)
		return -errno;
	return mount("", NETNS_RUN_DIR, "none", MS_SHARED | MS_REC, NULL) < 0 ? -errno : 0;
}

int ns_in_host_mounts(int (*fn)(void *arg), void *arg)
{
	_cleanup_fd_ int theirs = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
	_cleanup_fd_ int ours = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	pid_t pid;

	if (theirs < 0 || ours < 0)
		return -errno;
	/* A child: setns() into a mount namespace moves root and working directory for good. */
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		if (!ns_same(theirs, ours) && setns(theirs, CLONE_NEWNS) < 0)
			_exit(errno);
		_exit(-fn(arg));
	}
	return wait_errno(pid);
}

/* /run/netns, locked against `ip netns` and ourselves. */
static int lock_run_dir(int *ret_fd)
{
	_cleanup_fd_ int dir = -1;
	int r;

	r = make_dir(NETNS_RUN_DIR, 0755);
	if (r < 0)
		return r;
	dir = open(NETNS_RUN_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	r = lock_wait(dir, NETNS_RUN_DIR);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&dir);
	return 0;
}

struct publication {
	int ns_fd;
	const char *name;
	ns_cookie cookie;
};

static int publish(void *arg)
{
	const struct publication *p = arg;
	char source[64], target[PATH_MAX];
	_cleanup_fd_ int placeholder = -1;
	_cleanup_fd_ int there = -1;
	_cleanup_fd_ int lock = -1;
	struct stat st;
	int r;

	snprintf(source, sizeof(source), "/proc/self/fd/%d", p->ns_fd);
	snprintf(target, sizeof(target), NETNS_RUN_DIR "/%s", p->name);
	r = lock_run_dir(&lock);
	if (r == 0)
		r = share_run_dir();
	if (r < 0)
		return r;
	r = open_ns_path(target, &there);
	if (r == 0 || is_transient(r))
		return r == 0 ? -EEXIST : r;
	placeholder = open(target, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0);
	if (placeholder < 0 && errno != EEXIST)
		return -errno;
	/* What a killed publication left is an empty file; a mount would follow a symbolic link. */
	if (placeholder < 0 && (lstat(target, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != 0))
		return -EEXIST;
	if (mount(source, target, "none", MS_BIND, NULL) < 0) {
		r = -errno;
		if (placeholder >= 0)
			unlink(target);
		return r;
	}
	return 0;
}

int ns_publish(int ns_fd, const char *name)
{
	struct publication p = { .ns_fd = ns_fd, .name = name };

	if (!ns_name_valid(name))
		return -EINVAL;
	return ns_in_host_mounts(publish, &p);
}

static int unpublish(void *arg)
{
	const struct publication *p = arg;
	_cleanup_fd_ int lock = -1;
	_cleanup_fd_ int fd = -1;
	char target[PATH_MAX];
	struct stat st;
	ns_cookie cookie;
	int r;

	snprintf(target, sizeof(target), NETNS_RUN_DIR "/%s", p->name);
	/* What was never published is no reason to wait for anybody. */
	if (lstat(target, &st) < 0 && errno == ENOENT)
		return -ENOENT;
	r = lock_run_dir(&lock);
	if (r < 0)
		return r;
	r = open_ns_path(target, &fd);
	if (r == -EINVAL && lstat(target, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
		/* The placeholder of a publication that was killed before its mount. */
		return unlink(target) < 0 ? -errno : 0;
	if (r < 0)
		return r;
	r = ns_get_cookie(fd, &cookie);
	if (r < 0)
		return r;
	if (cookie != p->cookie)
		return -ESTALE;
	fd = close_fd(fd);
	if (umount2(target, MNT_DETACH) < 0)
		return -errno;
	return unlink(target) < 0 ? -errno : 0;
}

int ns_unpublish(const char *name, ns_cookie cookie)
{
	struct publication p = { .name = name, .cookie = cookie };

	if (!ns_name_valid(name))
		return -EINVAL;
	return ns_in_host_mounts(unpublish, &p);
}

int ns_find_name(int ns_fd, char **ret_name)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir(NETNS_RUN_DIR);
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((errno = 0, entry = readdir(dir))) {
		_cleanup_fd_ int fd = -1;
		char *name;
		int r;

		if (!ns_name_valid(entry->d_name))
			continue;
		r = ns_open(entry->d_name, &fd);
		if (is_transient(r))
			return r;
		if (r < 0 || !ns_same(fd, ns_fd))
			continue;
		name = strdup(entry->d_name);
		if (!name)
			return -ENOMEM;
		*ret_name = name;
		return 0;
	}
	return errno ? -errno : -ENOENT;
}
