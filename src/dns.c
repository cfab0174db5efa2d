/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dns.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "atomic.h"
#include "log.h"

/* Over a reboot: the saved file is the only copy of somebody's configuration. */
#define STATE_DIR "/var/lib/wg-nsquick"
#define SAVED_TAIL ".resolv.conf"
#define MAX_SIZE (1 << 20)
#define PAGE 4096

char *dns_dir(const char *ns_name, ns_cookie cookie)
{
	char *dir;
	int n;

	if (ns_name)
		n = asprintf(&dir, NETNS_ETC_DIR "/%s", ns_name);
	else
		n = asprintf(&dir, RUN_DIR "/etc/%" PRIx64, cookie);
	return n < 0 ? NULL : dir;
}

int dns_dir_of(const struct journal *j, char **ret_dir)
{
	struct ns_record record = { 0 };
	char *dir;
	int r = ns_record_load(j->cookie, &record);

	if (r < 0 && r != -ENOENT && r != -EBADMSG)
		return r;
	dir = dns_dir(r == 0 ? record.name : j->ns_name, j->cookie);
	ns_record_free(&record);
	if (!dir)
		return -ENOMEM;
	*ret_dir = dir;
	return 0;
}

/* The names of a namespace's files. */
struct files {
	char dir[PATH_MAX], resolv[PATH_MAX], nsswitch[PATH_MAX];
	char saved[PATH_MAX]; /* somebody's resolv.conf, while ours has its place */
};

__attribute__((format(printf, 2, 3))) static int put_path(char to[static PATH_MAX], const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(to, PATH_MAX, fmt, ap);
	va_end(ap);
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int find_files(const struct ns_record *record, struct files *f)
{
	_cleanup_free_ char *dir = dns_dir(record->name, record->cookie);
	int r = dir ? put_path(f->dir, "%s", dir) : -ENOMEM;

	if (r == 0)
		r = put_path(f->resolv, "%s/resolv.conf", dir);
	if (r == 0)
		r = put_path(f->nsswitch, "%s/nsswitch.conf", dir);
	/* '/' cannot be in a namespace's name. */
	if (r == 0 && record->name)
		r = put_path(f->saved, STATE_DIR "/%s" SAVED_TAIL, record->name);
	else if (r == 0)
		r = put_path(f->saved, STATE_DIR "/%" PRIx64 SAVED_TAIL, record->cookie);
	return r;
}

/* 1, 0, or -errno. */
static int exists(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return 1;
	/* A name that is too long for a file nobody could give one. */
	return errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG ? 0 : -errno;
}

/* ---- whose a file is, is told by its text: no note of it can be lost or outlive it ---- */

/* Without following a link. */
static int read_plain(const char *path, char **ret_text, size_t *ret_len)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd < 0 ? -errno : read_all(fd, MAX_SIZE, ret_text, ret_len);
}

/* 1, 0, or -errno where that cannot be told. */
static int is_ours(const char *path)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = read_plain(path, &text, &len);

	if (is_transient(r))
		return r;
	return r == 0 && dns_text_is_ours(text);
}

/* By its other names, the host's file must not be written either. */
static bool is_hosts(const struct stat *file)
{
	struct stat host;

	return file->st_nlink > 1 || (stat("/proc/1/root/etc/resolv.conf", &host) == 0 && host.st_ino == file->st_ino && host.st_dev == file->st_dev);
}

/*
 * O_NOFOLLOW: a symlink here may lead to the host's own resolv.conf. -EMLINK: it is a file of that kind.
 * Whoever is killed in here leaves a file that has its old beginning, or the new text and perhaps blank lines.
 */
static int write_in_place(const char *path, const struct buf *text, mode_t mode)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_buf_ struct buf padded = { 0 };
	size_t first;
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (is_hosts(&st))
		return -EMLINK;
	buf_add(&padded, text->data, text->len);
	while (padded.len < (size_t)st.st_size && !padded.failed)
		buf_str(&padded, "\n");
	if (text->failed || padded.failed)
		return -ENOMEM;
	if (fchmod(fd, mode) < 0)
		return -errno;
	/* One page is written at once; it comes last. */
	first = padded.len < PAGE ? padded.len : PAGE;
	if (lseek(fd, (off_t)first, SEEK_SET) < 0)
		return -errno;
	r = write_all(fd, padded.data + first, padded.len - first);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		r = write_all(fd, padded.data, first);
	if (r == 0 && ftruncate(fd, (off_t)text->len) < 0)
		r = -errno;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

/* In place if there is a place. */
static int write_file(const char *path, const struct buf *text, mode_t mode)
{
	struct stat st;

	if (lstat(path, &st) == 0 ? !S_ISREG(st.st_mode) : errno == ENOENT)
		return atomic_replace(path, text, mode, ATOMIC_DURABLE);
	return write_in_place(path, text, mode);
}

/* A symlink with the target of another. */
static int copy_link(const char *from, const char *to)
{
	char target[PATH_MAX], temporary[PATH_MAX];
	ssize_t n = readlink(from, target, sizeof(target) - 1);
	int r;

	if (n < 0)
		return -errno;
	target[n] = '\0';
	atomic_forget(to);
	r = put_path(temporary, "%s" ATOMIC_TMP, to);
	if (r < 0)
		return r;
	return symlink(target, temporary) < 0 || rename(temporary, to) < 0 ? -errno : 0;
}

/* ---- setting up ---- */

static int make_dirs(struct ns_record *record, const char *dir, const char **ret_what)
{
	struct stat st;
	int r;

	*ret_what = record->name ? NETNS_ETC_DIR : RUN_DIR;
	r = make_dir(record->name ? NETNS_ETC_DIR : RUN_DIR "/etc", 0755);
	if (r < 0)
		return r;
	if (lstat(dir, &st) == 0)
		/* A link may lead to the host's own files. */
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	if (errno != ENOENT)
		return -errno;
	record->etc_made = true;
	r = ns_record_save(record);
	if (r < 0) {
		*ret_what = RUN_DIR;
		return r;
	}
	return make_dir(dir, 0755);
}

static int prepare_nsswitch(const char *path)
{
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_free_ char *host = NULL;
	size_t len;
	int r;

	/* Without one, glibc itself goes by files and DNS only. */
	r = read_file("/etc/nsswitch.conf", MAX_SIZE, &host, &len);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	dns_format_nsswitch(host, &text);
	r = atomic_create(path, &text, 0644);
	return r == -EEXIST ? 0 : r;
}

int dns_prepare(struct ns_record *record, const char **ret_what)
{
	_cleanup_buf_ struct buf text = { 0 };
	const struct strv nothing = { 0 };
	struct files f;
	int r;

	r = find_files(record, &f);
	if (r == 0)
		r = make_dirs(record, f.dir, ret_what);
	if (r < 0)
		return r;
	dns_format_resolv(&nothing, &text);
	r = atomic_create(f.resolv, &text, 0644);
	return r < 0 && r != -EEXIST ? r : prepare_nsswitch(f.nsswitch);
}

int dns_is_ours(const struct ns_record *record)
{
	struct files f;
	int r = find_files(record, &f);

	return r < 0 ? r : is_ours(f.resolv);
}

/* Whole and on the disk before the original is touched. A symlink is kept as a symlink. */
static int save_foreign(const struct files *f)
{
	_cleanup_free_ char *text = NULL;
	struct buf copy = { 0 };
	struct stat st;
	int r;

	if (lstat(f->resolv, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISLNK(st.st_mode) && is_hosts(&st))
		return -EMLINK;
	r = make_dir(STATE_DIR, 0700);
	if (r < 0)
		return r;
	if (S_ISLNK(st.st_mode))
		return copy_link(f->resolv, f->saved);
	r = read_plain(f->resolv, &text, &copy.len);
	if (r < 0)
		return r;
	copy.data = text;
	return atomic_replace(f->saved, &copy, st.st_mode & 07777, ATOMIC_DURABLE);
}

int dns_write(const struct ns_record *record, const struct strv *items)
{
	_cleanup_buf_ struct buf text = { 0 };
	struct files f;
	int r;

	r = find_files(record, &f);
	if (r < 0)
		return r;
	r = is_ours(f.resolv);
	if (r == 0)
		r = save_foreign(&f);
	if (r < 0)
		return r;
	dns_format_resolv(items, &text);
	return write_file(f.resolv, &text, 0644);
}

/* ---- the way back ---- */

static void keep_first(int *first, int r)
{
	if (*first == 0 && r < 0 && r != -ENOENT)
		*first = r;
}

/* Whether what stands there may go: it is ours, or half of what is put back. Anything else, somebody has put there since. */
static int may_go(const char *path, const struct buf *saved)
{
	_cleanup_free_ char *now = NULL;
	size_t len;
	int r = exists(path);

	if (r <= 0)
		return r < 0 ? r : 1;
	r = is_ours(path);
	if (r != 0 || !saved)
		return r;
	r = read_plain(path, &now, &len);
	if (is_transient(r))
		return r;
	return r == 0 && len >= saved->len && memcmp(now, saved->data, saved->len) == 0;
}

/* The saved one goes last: until then all of this can be done again. */
static int put_back(const struct files *f)
{
	_cleanup_free_ char *text = NULL;
	struct buf copy = { 0 };
	struct stat st;
	int r;

	if (lstat(f->saved, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode)) {
		r = may_go(f->resolv, NULL);
		if (r > 0)
			r = copy_link(f->saved, f->resolv);
	} else {
		r = read_plain(f->saved, &text, &copy.len);
		copy.data = text;
		if (r == 0)
			r = may_go(f->resolv, &copy);
		if (r > 0)
			r = write_file(f->resolv, &copy, st.st_mode & 07777);
	}
	return r < 0 || unlink(f->saved) == 0 ? r : -errno;
}

static int delete_ours(const char *path)
{
	int r = is_ours(path);

	return r > 0 && unlink(path) < 0 ? -errno : r;
}

/* Programs that have it bound go on with it. In somebody else's namespace they have another way out, and must find no server to ask there. */
static int empty_ours(const char *path)
{
	_cleanup_buf_ struct buf text = { 0 };
	const struct strv nothing = { 0 };
	int r = is_ours(path);

	if (r <= 0)
		return r;
	dns_format_resolv(&nothing, &text);
	return write_file(path, &text, 0644);
}

int dns_give_back(const struct ns_record *record)
{
	struct files f;
	int r = find_files(record, &f);

	if (r == 0 && (exists(f.saved) == 0 || exists(f.dir) == 0))
		r = -ENOENT;
	/* A symlink takes the place of ours, which then must not name servers that are gone. */
	if (r == 0)
		r = empty_ours(f.resolv);
	return r < 0 ? r : put_back(&f);
}

int dns_unprepare(const struct ns_record *record)
{
	struct files f;
	int r = find_files(record, &f);

	if (r == 0)
		r = exists(f.saved);
	if (r == 0)
		r = is_ours(f.resolv);
	if (r == 0)
		r = delete_ours(f.nsswitch);
	return r < 0 ? r : 0;
}

static int restore_resolv(const struct files *f, bool joined)
{
	int saved = exists(f->saved), dir = exists(f->dir), r;

	if (saved < 0 || dir < 0)
		return saved < 0 ? saved : dir;
	if (saved && dir)
		return put_back(f);
	/* Whoever took the folder away took his file away. */
	if (saved && unlink(f->saved) < 0)
		return -errno;
	r = joined ? empty_ours(f->resolv) : 0;
	return r < 0 ? r : delete_ours(f->resolv);
}

int dns_restore(const struct ns_record *record)
{
	struct files f;
	int first = find_files(record, &f);

	if (first < 0)
		return first;
	keep_first(&first, restore_resolv(&f, !record->made));
	keep_first(&first, delete_ours(f.nsswitch));
	atomic_forget(f.resolv);
	atomic_forget(f.nsswitch);
	atomic_forget(f.saved);
	/* Not empty: somebody put a file of theirs beside ours. */
	if (first == 0 && record->etc_made && exists(f.dir) != 0 && rmdir(f.dir) < 0 && errno != ENOTEMPTY)
		keep_first(&first, -errno);
	return first;
}

/* Of folders that are gone themselves, only these tell. */
static int sweep_saved(const struct strv *known)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir(STATE_DIR);
	const struct dirent *entry;
	int first = 0;

	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name), tail = strlen(SAVED_TAIL);
		_cleanup_free_ char *name = len > tail && strcmp(entry->d_name + len - tail, SAVED_TAIL) == 0 ? strndup(entry->d_name, len - tail) : NULL;
		const struct ns_record record = { .name = name };
		struct files f;

		if (!name || strv_has(known, name) || !ns_name_valid(name) || find_files(&record, &f) < 0 || exists(f.dir) != 0)
			continue;
		log_note("%s is gone, and so goes what was saved of it in " STATE_DIR, f.dir);
		keep_first(&first, dns_restore(&record));
	}
	return first;
}

int dns_sweep(const struct strv *known)
{
	DIR *dir = opendir(NETNS_ETC_DIR);
	const struct dirent *entry;
	int first = 0;

	while (dir && (entry = readdir(dir))) {
		struct ns_record record = { .name = (char *)entry->d_name, .etc_made = true };
		struct files f;

		if (strv_has(known, entry->d_name) || !ns_name_valid(entry->d_name) || find_files(&record, &f) < 0)
			continue;
		if (is_ours(f.resolv) == 0 && is_ours(f.nsswitch) == 0 && exists(f.saved) == 0)
			continue;
		log_note("%s: putting back what was there before a tunnel that is gone", f.dir);
		keep_first(&first, dns_restore(&record));
	}
	if (dir)
		closedir(dir);
	keep_first(&first, sweep_saved(known));
	return first;
}
