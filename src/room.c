/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "room.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "dns.h"
#include "resolvers.h"

#define MAX_SIZE (1 << 20)

struct kept {
	char *path;
	int fd;
};

/* The mount points directly or deeper below `top`, outermost first, each with all that is mounted on it. */
static int keep_mounts_below(const char *top, struct kept **ret_kept, size_t *ret_n)
{
	_cleanup_file_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t cap = 0, len = strlen(top);

	if (!f)
		return -errno;
	while (getline(&line, &cap, f) >= 0) {
		char path[PATH_MAX];
		struct kept *slot;
		bool inside = false;
		int fd;

		if (sscanf(line, "%*u %*u %*s %*s %4095s", path) != 1 || strncmp(path, top, len) != 0 || path[len] != '/')
			continue;
		for (size_t i = 0; i < *ret_n && !inside; i++) {
			size_t outer = strlen((*ret_kept)[i].path);

			inside = strncmp(path, (*ret_kept)[i].path, outer) == 0 && (path[outer] == '/' || path[outer] == '\0');
		}
		if (inside)
			continue;
		fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
		if (fd < 0)
			continue; /* hidden under another mount */
		slot = GROW(*ret_kept, *ret_n);
		if (!slot) {
			close_fd(fd);
			return -ENOMEM;
		}
		slot->fd = fd;
		slot->path = strdup(path);
		if (!slot->path)
			return -ENOMEM;
	}
	return 0;
}

int room_mount_sys(bool in_place)
{
	_cleanup_fd_ int old = in_place ? open_tree(AT_FDCWD, "/sys", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE) : -1;
	struct kept *kept = NULL;
	size_t n = 0;
	int r;

	r = keep_mounts_below("/sys", &kept, &n);
	if (r == 0 && old >= 0)
		(void)umount2("/sys", MNT_DETACH);
	if (r == 0 && mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL) < 0)
		r = -errno;
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			(void)move_mount(kept[i].fd, "", AT_FDCWD, kept[i].path, MOVE_MOUNT_F_EMPTY_PATH);
		close_fd(kept[i].fd);
		free(kept[i].path);
	}
	free(kept);
	if (r < 0 && old >= 0)
		(void)move_mount(old, "", AT_FDCWD, "/sys", MOVE_MOUNT_F_EMPTY_PATH);
	return r;
}

static int bind_file(const char *from, const char *to)
{
	return mount(from, to, "none", MS_BIND, NULL) < 0 ? -errno : 0;
}

/* Every file of the namespace's folder over its namesake in /etc, as `ip netns exec` does it. */
static int bind_etc(const char *etc_dir, const char **ret_what)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir(etc_dir);
	struct dirent *entry;

	if (!dir && errno == ENOENT)
		return 0;
	*ret_what = etc_dir;
	while (dir && (errno = 0, entry = readdir(dir))) {
		char from[PATH_MAX], to[PATH_MAX];
		int r;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(from, sizeof(from), "%s/%s", etc_dir, entry->d_name);
		snprintf(to, sizeof(to), "/etc/%s", entry->d_name);
		r = bind_file(from, to);
		/* The resolver's files decide where queries go; of the others, one the host has not is no loss. */
		if (r < 0 && (strcmp(entry->d_name, "resolv.conf") == 0 || (strcmp(entry->d_name, "nsswitch.conf") == 0 && r != -ENOENT))) {
			*ret_what = strcmp(entry->d_name, "resolv.conf") == 0 ? "/etc/resolv.conf" : "/etc/nsswitch.conf";
			return r;
		}
	}
	return -errno;
}

/* Something is mounted there: ours, or a hook's in its place. */
static bool is_mounted(const char *path)
{
	struct statx st;

	return statx(AT_FDCWD, path, 0, STATX_TYPE, &st) == 0 && st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

/* Sockets that are not masked yet. */
static int mask_sockets(const char **ret_what)
{
	/* D-Bus stays: hooks call systemctl. */
	for (size_t i = 0; resolver_sockets[i]; i++) {
		int r = is_mounted(resolver_sockets[i]) ? 0 : bind_file("/dev/null", resolver_sockets[i]);

		if (r < 0 && r != -ENOENT && r != -ENOTDIR) {
			*ret_what = resolver_sockets[i];
			return r;
		}
	}
	return 0;
}

/* Ours, deleted with the last tunnel that needed it; another one's has its place since. The kernel mounts nothing on what is deleted. */
static bool take_off_deleted(const char *from, const char *to)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len;

	if (stat(to, &st) < 0 || st.st_nlink || access(from, F_OK) < 0 || read_file(to, MAX_SIZE, &text, &len) < 0)
		return false;
	return dns_text_is_ours(text) && umount2(to, MNT_DETACH) == 0;
}

/*
 * What the host replaces (a new resolv.conf renamed over the old one, the socket of a daemon that was
 * started again) takes along what was mounted on it, and shows bare. Before each hook that is mended;
 * a file that is gone altogether names no server, and keeps no hook of `down' from running.
 */
static int mend_binds(const char *etc_dir)
{
	const char *what;

	for (size_t i = 0; resolver_files[i]; i++) {
		char from[PATH_MAX], to[PATH_MAX];
		int r;

		snprintf(from, sizeof(from), "%s/%s", etc_dir, resolver_files[i]);
		snprintf(to, sizeof(to), "/etc/%s", resolver_files[i]);
		r = !take_off_deleted(from, to) && is_mounted(to) ? 0 : bind_file(from, to);
		if (r < 0 && r != -ENOENT && r != -ENOTDIR)
			return r;
	}
	return mask_sockets(&what);
}

/* In the host's /run/netns, which is covered by now, or as PID 1 sees it (ns_open()). */
static int open_covered(int dir_fd, const char *name, int *ret_fd)
{
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, name);
	r = ns_open(path, ret_fd);
	if (r != -EINVAL && r != -ENOENT)
		return r;
	snprintf(path, sizeof(path), "/proc/1/root" NETNS_RUN_DIR "/%s", name);
	return ns_open(path, ret_fd);
}

static int show_one(int ns_fd, const char *name)
{
	char path[PATH_MAX], source[64];
	_cleanup_fd_ int file = -1;

	snprintf(path, sizeof(path), NETNS_RUN_DIR "/%s", name);
	snprintf(source, sizeof(source), "/proc/self/fd/%d", ns_fd);
	file = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0444);
	return file < 0 ? -errno : bind_file(source, path);
}

/*
 * /run/netns before publication: a tmpfs of the room's own with the host's
 * names and the one to come. (A bind in the host's shared folder would publish.)
 */
static int show_name(const struct room_spec *spec)
{
	_cleanup_fd_ int covered = -1;
	int r = make_dir(NETNS_RUN_DIR, 0755);

	if (r < 0)
		return r;
	covered = open(NETNS_RUN_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (covered < 0 || mount("netns", NETNS_RUN_DIR, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=1m") < 0)
		return -errno;
	for (size_t i = 0; r == 0 && i < spec->names->n; i++) {
		_cleanup_fd_ int fd = -1;

		r = open_covered(covered, spec->names->v[i], &fd);
		if (r == 0)
			r = show_one(fd, spec->names->v[i]);
		else if (!is_transient(r))
			r = 0; /* One that is gone meanwhile is not shown. */
	}
	return r == 0 ? show_one(spec->target_fd, spec->name) : r;
}

/*
 * The host's /run/netns, to be attached elsewhere: what is mounted in it then reaches the host.
 * From PID 1's mount namespace, as that of the caller may be a unit's own, into which mounts
 * come and out of which none go. Leaves the working directory at the root.
 */
static int clone_run_dir(int *ret_fd)
{
	_cleanup_fd_ int host = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
	_cleanup_fd_ int ours = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	bool away = host >= 0 && ours >= 0 && !ns_same(host, ours) && setns(host, CLONE_NEWNS) == 0;
	int fd = open_tree(AT_FDCWD, NETNS_RUN_DIR, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE), r;

	r = fd < 0 ? -errno : 0;
	if (away && setns(ours, CLONE_NEWNS) < 0)
		r = -errno;
	if (r < 0)
		close_fd(fd);
	else
		*ret_fd = fd;
	return r;
}

int room_build(const struct room_spec *spec, const char **ret_what)
{
	_cleanup_fd_ int shared = -1;
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	int r;

	*ret_what = "mount namespace";
	r = ns_enter(spec->target_fd);
	if (r < 0)
		return r;
	/* What hooks mount here (`ip netns add`) reaches the host. A host without the folder has nothing to show. */
	if (!spec->name)
		(void)clone_run_dir(&shared);
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	if (mount("", "/", "none", MS_SLAVE | MS_REC, NULL) < 0)
		return -errno;
	/* Without the right to (some containers), the host's links show in /sys: a blemish, no leak. */
	(void)room_mount_sys(true);
	r = bind_etc(spec->etc_dir, ret_what);
	if (r < 0)
		return r;
	r = mask_sockets(ret_what);
	if (r < 0)
		return r;
	*ret_what = NETNS_RUN_DIR;
	if (spec->name)
		r = show_name(spec);
	else if (shared >= 0 && move_mount(shared, "", AT_FDCWD, NETNS_RUN_DIR, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		r = -errno;
	if (r < 0)
		return r;
	if (!cwd || chdir(cwd) < 0)
		(void)!chdir("/");
	return 0;
}

int room_enter_resolver(int ns_fd, const char *ns_name)
{
	_cleanup_fd_ int host = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
	_cleanup_fd_ int ours = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	char dir[PATH_MAX];
	const char *what;
	int r;

	if (ns_fd >= 0) {
		r = ns_enter(ns_fd);
		if (r < 0)
			return r;
	}
	if (host >= 0 && ours >= 0 && !ns_same(host, ours) && setns(host, CLONE_NEWNS) < 0)
		return -errno;
	if (!ns_name)
		return 0;
	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", "none", MS_SLAVE | MS_REC, NULL) < 0)
		return -errno;
	snprintf(dir, sizeof(dir), NETNS_ETC_DIR "/%s", ns_name);
	return bind_etc(dir, &what);
}

/* `cpu` -1: any. */
static int create_on(int cpu, const struct room_spec *spec, int *ret_fd, const char **ret_what)
{
	struct answer {
		long error;	  /* as wide as the pointer, as the whole goes through a pipe: no gap without a value */
		const char *what; /* the child is a copy of us: the pointer means the same here */
	} answer = { -ECHILD, "mount namespace" };
	int ready[2], leave[2];
	char path[64];
	pid_t pid;
	int r, fd;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(leave, O_CLOEXEC) < 0) {
		r = -errno;
		close_fd(ready[0]);
		close_fd(ready[1]);
		return r;
	}
	pid = fork();
	if (pid == 0) {
		char byte;

		close_fd(ready[0]);
		close_fd(leave[1]);
		if (cpu >= 0) {
			cpu_set_t one;

			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			(void)sched_setaffinity(0, sizeof(one), &one);
		}
		answer.error = room_build(spec, &answer.what);
		/* Stays until the parent has opened the room. */
		if (write_all(ready[1], &answer, sizeof(answer)) == 0)
			(void)!read(leave[0], &byte, 1);
		_exit(0);
	}
	r = pid < 0 ? -errno : 0;
	close_fd(ready[1]);
	close_fd(leave[0]);
	if (r == 0) {
		if (read(ready[0], &answer, sizeof(answer)) != sizeof(answer))
			answer.error = -ECHILD;
		r = (int)answer.error;
		*ret_what = answer.what;
	}
	if (r == 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			r = -errno;
		else
			*ret_fd = fd;
	}
	close_fd(ready[0]);
	close_fd(leave[1]);
	if (pid > 0)
		(void)wait_errno(pid);
	return r;
}

int room_enter(int room_fd, const char *etc_dir)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	int r;

	if (setns(room_fd, CLONE_NEWNS) < 0)
		return -errno;
	r = etc_dir ? mend_binds(etc_dir) : 0;
	/* setns(2) leaves the process at the root. */
	if (!cwd || chdir(cwd) < 0)
		(void)!chdir("/");
	return r;
}

struct publication {
	int room_fd;
	const struct strv *names;
};

/*
 * In the room: names that hooks made in its own /run/netns, handed to the host; then the host's folder.
 * What was the host's before is not: somebody may have deleted it there, and it must not come back.
 */
static int hand_over_names(const struct publication *p)
{
	CLEANUP(cleanup_dir) DIR *dir = NULL;
	_cleanup_fd_ int shared = -1;
	struct dirent *entry;
	int r;

	r = clone_run_dir(&shared);
	if (r == 0)
		r = room_enter(p->room_fd, NULL);
	if (r < 0)
		return r;
	dir = opendir(NETNS_RUN_DIR);
	while (dir && (errno = 0, entry = readdir(dir))) {
		_cleanup_fd_ int fd = -1;

		if (!ns_name_valid(entry->d_name) || strv_has(p->names, entry->d_name))
			continue;
		r = ns_open(entry->d_name, &fd);
		if (r == 0)
			r = ns_publish(fd, entry->d_name);
		/* Known ones answer -EEXIST. Whoever gave up waiting has taken the word to end away: that must not get lost. */
		if (r == -ECANCELED || is_transient(r))
			return r;
	}
	/* One that was not seen would go with what it is mounted in. */
	if (is_transient(-errno))
		return -errno;
	if (umount2(NETNS_RUN_DIR, MNT_DETACH) < 0)
		return -errno;
	return move_mount(shared, "", AT_FDCWD, NETNS_RUN_DIR, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

int room_published(int room_fd, const struct strv *names)
{
	const struct publication p = { room_fd, names };
	/* It changes mount namespaces for good. */
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(-hand_over_names(&p));
	return wait_errno(pid);
}

int room_host_names(struct strv *ret_names)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir(NETNS_RUN_DIR);
	struct strv names = { 0 };
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((errno = 0, entry = readdir(dir))) {
		if (!ns_name_valid(entry->d_name))
			continue;
		if (strv_add(&names, entry->d_name, strlen(entry->d_name)) < 0) {
			errno = ENOMEM;
			break;
		}
	}
	if (errno) {
		int r = -errno;

		strv_free(&names);
		return r;
	}
	*ret_names = names;
	return 0;
}

int room_create(const struct room_spec *spec, const char *iface, ns_cookie cookie, int *ret_fd, const char **ret_what)
{
	_cleanup_fd_ int fd = -1;
	int r, cpu = -1;

	/*
	 * A mount namespace can only be bound in an older one. Linux 6.18 takes the
	 * age from a number that every CPU draws from a batch of its own, so a new
	 * namespace may look older than PID 1's (EINVAL); made on the right CPU it does not.
	 */
	do {
		fd = close_fd(fd);
		r = create_on(cpu, spec, &fd, ret_what);
		if (r < 0)
			return r;
		*ret_what = ROOM_DIR;
		r = room_pin(fd, iface, cookie);
	} while (r == -EINVAL && ++cpu < CPU_SETSIZE && cpu < (int)sysconf(_SC_NPROCESSORS_CONF));
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}
