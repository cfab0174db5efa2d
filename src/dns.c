/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dns.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>

/* Over a reboot: the saved file is the only copy of somebody's configuration. */
#define STATE_DIR "/var/lib/wg-nsquick"
#define MAX_SIZE (1 << 20)
/* The first line of what we write: after a power cut it tells whose a file is. */
#define HEADER "# Written by wg-nsquick for this network namespace.\n"

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

void dns_format_resolv(const struct strv *items, struct buf *text)
{
	bool search = false, server = false;

	buf_str(text, HEADER);
	for (size_t i = 0; i < items->n; i++)
		if (dns_item_is_server(items->v[i])) {
			buf_fmt(text, "nameserver %s\n", items->v[i]);
			server = true;
		}
	if (!server)
		/* glibc then asks 127.0.0.1, where nobody answers in a namespace of its own. */
		buf_str(text, "# No DNS server is configured: names do not resolve here.\n");
	for (size_t i = 0; i < items->n; i++)
		if (!dns_item_is_server(items->v[i])) {
			buf_str(text, search ? " " : "search ");
			buf_str(text, items->v[i]);
			search = true;
		}
	if (search)
		buf_str(text, "\n");
}

void dns_format_nsswitch(const char *host_text, struct buf *text)
{
	bool done = false;

	buf_str(text, HEADER);
	for (const char *line = host_text; *line;) {
		const char *end = strchrnul(line, '\n');

		if (strncmp(line, "hosts:", 6) == 0) {
			buf_str(text, "hosts: files dns\n");
			done = true;
		} else {
			buf_add(text, line, (size_t)(end - line));
			buf_str(text, "\n");
		}
		line = *end ? end + 1 : end;
	}
	if (!done)
		buf_str(text, "hosts: files dns\n");
}

static int make_dirs(const struct ns_record *record, const char *dir, bool *ret_made)
{
	struct stat st;
	int r;

	r = make_dir(record->name ? NETNS_ETC_DIR : RUN_DIR "/etc", 0755);
	if (r < 0)
		return r;
	*ret_made = lstat(dir, &st) < 0;
	/* A link may lead to the host's own files. */
	if (!*ret_made && !S_ISDIR(st.st_mode))
		return -ENOTDIR;
	return make_dir(dir, 0755);
}

/* By its other names, the host's file must not be written either. */
static bool is_hosts(const struct stat *file)
{
	struct stat host;

	return file->st_nlink > 1 || (stat("/proc/1/root/etc/resolv.conf", &host) == 0 && host.st_ino == file->st_ino && host.st_dev == file->st_dev);
}

static bool is_ours(const char *path)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	return read_file(path, MAX_SIZE, &text, &len) == 0 && strncmp(text, HEADER, strlen(HEADER)) == 0;
}

/* O_NOFOLLOW: a symlink here may lead to the host's own resolv.conf. -EMLINK: it is a file of that kind. */
static int write_in_place(const char *path, const struct buf *text, bool exclusive)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (exclusive ? O_EXCL : 0), 0644);
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	if (text->failed)
		return -ENOMEM;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (is_hosts(&st))
		return -EMLINK;
	if (fchmod(fd, 0644) < 0)
		return -errno;
	/* Shorter or longer, at no moment does the file lack its beginning. */
	r = write_all(fd, text->data, text->len);
	if (r == 0 && ftruncate(fd, (off_t)text->len) < 0)
		r = -errno;
	return r;
}

static int join(const char *dir, const char *name, char ret_path[static PATH_MAX])
{
	int n = snprintf(ret_path, PATH_MAX, "%s/%s", dir, name);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int prepare_nsswitch(struct ns_record *record, const char *dir)
{
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_free_ char *host = NULL;
	char path[PATH_MAX];
	size_t len;
	int r;

	/* Without one, glibc itself goes by files and DNS only. */
	if (read_file("/etc/nsswitch.conf", MAX_SIZE, &host, &len) < 0)
		return 0;
	dns_format_nsswitch(host, &text);
	r = join(dir, "nsswitch.conf", path);
	if (r == 0)
		r = write_in_place(path, &text, true);
	if (r == -EEXIST && !is_ours(path))
		return 0;
	if (r == 0 || r == -EEXIST)
		record->nsswitch_ours = true;
	return r == -EEXIST ? 0 : r;
}

/* The saved file's name; '/' cannot be in a namespace's name. */
static int saved_path(const struct ns_record *record, char ret_path[static PATH_MAX])
{
	int n;

	if (record->name)
		n = snprintf(ret_path, PATH_MAX, STATE_DIR "/%s.resolv.conf", record->name);
	else
		n = snprintf(ret_path, PATH_MAX, STATE_DIR "/%" PRIx64 ".resolv.conf", record->cookie);
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int put_back(const struct ns_record *record, const char *path);

/* A file of ours without a record of it: the machine went down while a tunnel was up. */
static int reclaim(struct ns_record *record, const char *path)
{
	char saved[PATH_MAX];
	struct stat st;
	int r = saved_path(record, saved);

	if (r < 0 || record->resolv_ours || record->resolv_saved || !is_ours(path))
		return r;
	if (lstat(saved, &st) == 0)
		return put_back(record, path);
	record->resolv_ours = true;
	return 0;
}

int dns_prepare(struct ns_record *record)
{
	_cleanup_free_ char *dir = dns_dir(record->name, record->cookie);
	_cleanup_buf_ struct buf text = { 0 };
	const struct strv nothing = { 0 };
	char path[PATH_MAX];
	bool made = false;
	int r;

	if (!dir)
		return -ENOMEM;
	r = make_dirs(record, dir, &made);
	if (r < 0)
		return r;
	record->etc_made |= made;
	r = join(dir, "resolv.conf", path);
	if (r < 0)
		return r;
	dns_format_resolv(&nothing, &text);
	r = write_in_place(path, &text, true);
	if (r == 0)
		record->resolv_ours = true;
	else if (r == -EEXIST)
		r = reclaim(record, path);
	if (r < 0 && r != -ELOOP)
		return r;
	return prepare_nsswitch(record, dir);
}

static int copy_file(const char *from, const char *to)
{
	_cleanup_buf_ struct buf copy = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = read_file(from, MAX_SIZE, &text, &len);
	if (r < 0)
		return r;
	buf_add(&copy, text, len);
	return write_in_place(to, &copy, false);
}

/* A symlink is kept as a symlink, and its place taken by a file. */
static int save_foreign(struct ns_record *record, const char *path)
{
	char saved[PATH_MAX], link[PATH_MAX];
	ssize_t n;
	int r;

	r = make_dir(STATE_DIR, 0700);
	if (r == 0)
		r = saved_path(record, saved);
	if (r < 0)
		return r;
	n = readlink(path, link, sizeof(link) - 1);
	if (n >= 0) {
		link[n] = '\0';
		unlink(saved);
		if (symlink(link, saved) < 0 || unlink(path) < 0)
			return -errno;
	} else {
		unlink(saved);
		r = copy_file(path, saved);
		if (r < 0)
			return r;
	}
	record->resolv_saved = true;
	return ns_record_save(record);
}

int dns_write(struct ns_record *record, const struct strv *items)
{
	_cleanup_free_ char *dir = dns_dir(record->name, record->cookie);
	_cleanup_buf_ struct buf text = { 0 };
	char path[PATH_MAX];
	int r;

	if (!dir)
		return -ENOMEM;
	r = join(dir, "resolv.conf", path);
	if (r < 0)
		return r;
	if (!record->resolv_ours && !record->resolv_saved) {
		r = save_foreign(record, path);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	dns_format_resolv(items, &text);
	return write_in_place(path, &text, false);
}

static void keep_first(int *first, int r)
{
	if (*first == 0 && r < 0 && r != -ENOENT)
		*first = r;
}

static int put_back(const struct ns_record *record, const char *path)
{
	char saved[PATH_MAX], link[PATH_MAX];
	ssize_t n;
	int r = saved_path(record, saved);

	if (r < 0)
		return r;
	n = readlink(saved, link, sizeof(link) - 1);
	if (n >= 0) {
		link[n] = '\0';
		if (unlink(path) < 0 && errno != ENOENT)
			return -errno;
		r = symlink(link, path) < 0 ? -errno : 0;
	} else {
		r = copy_file(saved, path);
	}
	if (r == 0)
		unlink(saved);
	return r;
}

int dns_restore(const struct ns_record *record)
{
	_cleanup_free_ char *dir = dns_dir(record->name, record->cookie);
	char path[PATH_MAX];
	int first = 0;

	if (!dir)
		return -ENOMEM;
	if (join(dir, "resolv.conf", path) == 0) {
		if (record->resolv_saved)
			keep_first(&first, put_back(record, path));
		else if (record->resolv_ours && unlink(path) < 0)
			keep_first(&first, -errno);
	}
	if (record->nsswitch_ours && join(dir, "nsswitch.conf", path) == 0 && unlink(path) < 0)
		keep_first(&first, -errno);
	/* Not empty: somebody put a file of theirs beside ours. */
	if (record->etc_made && rmdir(dir) < 0 && errno != ENOTEMPTY)
		keep_first(&first, -errno);
	return first;
}
