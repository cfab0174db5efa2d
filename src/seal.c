/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "seal.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "dns.h"
#include "resolvers.h"
#include "room.h"

#define MAX_SIZE (1 << 20)

static int join(const char *dir, const char *name, char ret_path[static PATH_MAX])
{
	int n = snprintf(ret_path, PATH_MAX, "%s/%s", dir, name);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* An entry of a tmpfs of ours, with `from` mounted on it, and all that is mounted there. */
static int bind_new(const char *from, const char *to, bool is_dir)
{
	_cleanup_fd_ int file = -1;

	if (is_dir) {
		if (mkdir(to, 0755) < 0 && errno != EEXIST)
			return -errno;
	} else {
		file = open(to, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);
		if (file < 0)
			return -errno;
	}
	return mount(from, to, "none", MS_BIND | MS_REC, NULL) < 0 ? -errno : 0;
}

/* Two folders, and what of the first one is not to be seen in the second. */
struct mirror {
	const char *from, *to;
	int from_fd, to_fd;
	bool (*left_out)(const void *arg, const char *name);
	const void *arg;
};

static int copy_link(const struct mirror *m, const char *name)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(m->from_fd, name, text, sizeof(text) - 1);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return symlinkat(text, m->to_fd, name) < 0 ? -errno : 0;
}

/* As bind_new(), with the fewest of system calls: there may be hundreds of entries. */
static int bind_entry(const struct mirror *m, const char *name, bool is_dir)
{
	char from[PATH_MAX], to[PATH_MAX];
	int r = join(m->from, name, from);

	if (r == 0)
		r = join(m->to, name, to);
	if (r == 0 && (is_dir ? mkdirat(m->to_fd, name, 0755) : mknodat(m->to_fd, name, S_IFREG | 0444, 0)) < 0)
		r = -errno;
	if (r == 0 && mount(from, to, "none", MS_BIND | MS_REC, NULL) < 0) {
		r = -errno;
		(void)unlinkat(m->to_fd, name, is_dir ? AT_REMOVEDIR : 0);
	}
	return r;
}

static int mirror_entry(const struct mirror *m, const struct dirent *entry)
{
	unsigned char type = entry->d_type;
	struct stat st;
	int r;

	if (type == DT_UNKNOWN) {
		if (fstatat(m->from_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT ? 0 : -errno;
		type = S_ISLNK(st.st_mode) ? DT_LNK : S_ISDIR(st.st_mode) ? DT_DIR : DT_REG;
	}
	r = type == DT_LNK ? copy_link(m, entry->d_name) : bind_entry(m, entry->d_name, type == DT_DIR);
	/* One that is gone meanwhile, or another thing, is no loss. */
	return r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

/* The entries of m->from in m->to, but for those that are left out. */
static int mirror(struct mirror *m)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir(m->from);
	_cleanup_fd_ int to = open(m->to, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	if (to < 0)
		return -errno;
	m->from_fd = dirfd(dir);
	m->to_fd = to;
	while (r == 0 && (errno = 0, entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && !m->left_out(m->arg, entry->d_name))
			r = mirror_entry(m, entry);
	return r < 0 ? r : -errno;
}

/* Where the new folders are filled: it exists everywhere, and nothing in them leads there. */
#define STAGE "/sys"

static int stage(const char *options)
{
	return mount("wg-nsquick", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0 ? -errno : 0;
}

static int unveil(const char *top)
{
	return mount(STAGE, top, "none", MS_MOVE, NULL) < 0 ? -errno : 0;
}

/* ---- /etc ---- */

static bool is_resolver_file(const char *name)
{
	for (size_t i = 0; resolver_files[i]; i++)
		if (strcmp(name, resolver_files[i]) == 0)
			return true;
	return false;
}

/* `arg`: the names of the namespace's own files, a strv. */
static bool not_in_etc(const void *arg, const char *name)
{
	return strv_has(arg, name) || is_resolver_file(name);
}

static int list_own(const char *etc_dir, struct strv *ret_own)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir(etc_dir);
	const struct dirent *entry;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (r == 0 && (errno = 0, entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			r = strv_add(ret_own, entry->d_name, strlen(entry->d_name));
	return r < 0 ? r : -errno;
}

/* A file that the namespace's folder lacks: no servers, and nobody but files and DNS asked for hosts. */
static int write_resolver_file(const char *name, const char *path)
{
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_free_ char *host = NULL;
	const struct strv nothing = { 0 };
	_cleanup_fd_ int fd = -1;
	size_t len;

	if (strcmp(name, "resolv.conf") == 0)
		dns_format_resolv(&nothing, &text);
	else
		dns_format_nsswitch(read_file("/etc/nsswitch.conf", MAX_SIZE, &host, &len) == 0 ? host : "", &text);
	if (text.failed)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || fchmod(fd, 0644) < 0)
		return -errno;
	return write_all(fd, text.data, text.len);
}

static int bind_own(const char *etc_dir, const struct strv *own)
{
	for (size_t i = 0; i < own->n; i++) {
		char source[PATH_MAX], target[PATH_MAX];
		struct stat st;
		int r = join(etc_dir, own->v[i], source);

		if (r == 0)
			r = join(STAGE, own->v[i], target);
		if (r == 0 && stat(source, &st) < 0)
			r = -errno;
		if (r == 0)
			r = bind_new(source, target, S_ISDIR(st.st_mode));
		if (r < 0)
			return r;
	}
	return 0;
}

static int seal_etc(const struct seal_spec *spec, const char **ret_what)
{
	CLEANUP(strv_free) struct strv own = { 0 };
	struct mirror m = { .from = "/etc", .to = STAGE, .left_out = not_in_etc, .arg = &own };
	int r;

	*ret_what = spec->etc_dir;
	r = list_own(spec->etc_dir, &own);
	if (r < 0)
		return r;
	*ret_what = "/etc";
	r = stage("mode=0755,size=4m");
	if (r == 0)
		r = mirror(&m);
	if (r < 0)
		return r;
	*ret_what = spec->etc_dir;
	r = bind_own(spec->etc_dir, &own);
	for (size_t i = 0; r == 0 && resolver_files[i]; i++) {
		char path[PATH_MAX];

		r = join(STAGE, resolver_files[i], path);
		if (r == 0 && access(path, F_OK) < 0)
			r = write_resolver_file(resolver_files[i], path);
	}
	if (r == 0)
		r = unveil("/etc");
	/* What is made here would be lost without a word. */
	if (r == 0 && mount("", "/etc", "none", MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0)
		r = -errno;
	return r;
}

/* ---- /run ---- */

/* `dir` ends with `/`. */
static bool is_resolver_dir(const char *dir, const char *name)
{
	size_t len = strlen(dir);

	for (size_t i = 0; resolver_dirs[i]; i++)
		if (strncmp(resolver_dirs[i], dir, len) == 0 && strcmp(resolver_dirs[i] + len, name) == 0)
			return true;
	return false;
}

static bool not_in_run(const void *arg, const char *name)
{
	const struct seal_spec *spec = arg;

	return is_resolver_dir("/run/", name) || strcmp(name, "systemd") == 0 || (spec->mask_bus && strcmp(name, SYSTEM_BUS_DIR + strlen("/run/")) == 0);
}

static bool not_in_run_systemd(const void *arg, const char *name)
{
	(void)arg;
	return is_resolver_dir("/run/systemd/", name);
}

/* Programs that read resolved's own files, past /etc, find the namespace's. */
static int seal_resolved(void)
{
	static const char *const files[] = { STAGE "/systemd/resolve/resolv.conf", STAGE "/systemd/resolve/stub-resolv.conf" };
	int r = make_dir(STAGE "/systemd/resolve", 0755);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(files); i++)
		r = bind_new("/etc/resolv.conf", files[i], false);
	return r;
}

static int mask_session_bus(uid_t user)
{
	char path[64];

	snprintf(path, sizeof(path), "/run/user/%u/bus", user);
	return mount("/dev/null", path, "none", MS_BIND, NULL) < 0 && errno != ENOENT ? -errno : 0;
}

/* After seal_etc(). */
static int seal_run(const struct seal_spec *spec, const char **ret_what)
{
	struct mirror run = { .from = "/run", .to = STAGE, .left_out = not_in_run, .arg = spec };
	struct mirror systemd = { .from = "/run/systemd", .to = STAGE "/systemd", .left_out = not_in_run_systemd };
	int r;

	*ret_what = "/run";
	r = stage("mode=0755");
	if (r == 0)
		r = mirror(&run);
	if (r == 0)
		r = make_dir(STAGE "/systemd", 0755);
	if (r == 0)
		r = mirror(&systemd);
	if (r == 0)
		r = seal_resolved();
	if (r == 0)
		r = unveil("/run");
	if (r == 0 && spec->mask_bus) {
		*ret_what = "the session's D-Bus";
		r = mask_session_bus(spec->user);
	}
	return r;
}

int seal_enter(const struct seal_spec *spec, const char **ret_what)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	_cleanup_fd_ int shared = -1;
	int r;

	*ret_what = "network namespace";
	r = ns_enter(spec->target_fd);
	if (r < 0)
		return r;
	*ret_what = "mount namespace";
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	/* Taken before everything turns slave: `ip netns add` in here does what it does on the host. */
	shared = open_tree(AT_FDCWD, NETNS_RUN_DIR, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (mount("", "/", "none", MS_SLAVE | MS_REC, NULL) < 0)
		return -errno;
	/*
	 * First, while there are few mounts to look through. Without the right to (some containers), the host's
	 * links show in /sys: a blemish, no leak.
	 */
	(void)room_mount_sys(false);
	r = seal_etc(spec, ret_what);
	if (r == 0)
		r = seal_run(spec, ret_what);
	if (r == 0 && shared >= 0 && move_mount(shared, "", AT_FDCWD, NETNS_RUN_DIR, MOVE_MOUNT_F_EMPTY_PATH) < 0) {
		*ret_what = NETNS_RUN_DIR;
		r = -errno;
	}
	if (r < 0)
		return r;
	/* The names may lead to other folders now. */
	if (cwd && chdir(cwd) < 0)
		(void)!chdir("/");
	return 0;
}
