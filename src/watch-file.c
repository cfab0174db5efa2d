/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch-file.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/fanotify.h>
#include <sys/stat.h>

#include "close-later.h"

#define MAX_SIZE (1U << 20)

/* Read by every program that is started (ld.so(8)), when it has its command line and has done nothing yet. */
#define LD_SO_CACHE "/etc/ld.so.cache"

/* A file as it was: what it says, and what it is. */
struct state {
	bool there;
	char *link; /* the target, if it is a symlink */
	char *text;
	size_t len;
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

struct watch_file {
	char *path;
	char name[2][NAME_MAX + 1]; /* in the folder of the path, and in that of what it leads to */
	struct state before;
	int fan;
	pid_t opener;
	bool ours;
	struct requester by;
};

static void free_state(struct state *s)
{
	free(s->link);
	free(s->text);
	*s = (struct state){ 0 };
}

static int read_state(const char *path, struct state *ret_state)
{
	struct state s = { 0 };
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;
	int r;

	n = readlink(path, target, sizeof(target) - 1);
	if (n >= 0) {
		target[n] = '\0';
		s.link = strdup(target);
		if (!s.link)
			return -ENOMEM;
	}
	r = read_file(path, MAX_SIZE, &s.text, &s.len);
	if (r == 0 && stat(path, &st) == 0) {
		s.there = true;
		s.mode = st.st_mode & 07777;
		s.uid = st.st_uid;
		s.gid = st.st_gid;
	} else if (r < 0 && r != -ENOENT) {
		free_state(&s);
		return r;
	}
	*ret_state = s;
	return 0;
}

static bool same_state(const struct state *a, const struct state *b)
{
	if (a->there != b->there || !a->link != !b->link || (a->link && strcmp(a->link, b->link) != 0))
		return false;
	return !a->there || (a->len == b->len && memcmp(a->text, b->text, a->len) == 0);
}

/* Folders by name for replacement, the file itself for writing: a bind mount's folder is another. */
static int listen_at(struct watch_file *f, const char *path, char ret_name[static NAME_MAX + 1])
{
	const uint64_t in_folder = FAN_MODIFY | FAN_CREATE | FAN_DELETE | FAN_MOVED_TO | FAN_MOVED_FROM | FAN_EVENT_ON_CHILD;
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(ret_name, NAME_MAX + 1, "%.*s", NAME_MAX, basename(copy));
	snprintf(copy, sizeof(copy), "%s", path);
	return fanotify_mark(f->fan, FAN_MARK_ADD, in_folder, AT_FDCWD, dirname(copy)) < 0 ? -errno : 0;
}

static void listen_for(struct watch_file *f)
{
	const unsigned int flags = FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE;
	char real[PATH_MAX];

	/* With a queue that no flood fills; and who may not have that is not told who writes, either. */
	f->fan = fanotify_init(flags | FAN_REPORT_DFID_NAME, O_RDONLY | O_CLOEXEC);
	if (f->fan < 0)
		return;
	/* Not every file system has names for folders that hold (overlayfs; btrfs before Linux 6.8): there only writing is told. */
	if (listen_at(f, f->path, f->name[0]) < 0) {
		close_fd(f->fan);
		f->fan = fanotify_init(flags, O_RDONLY | O_CLOEXEC);
	} else if (realpath(f->path, real) && strcmp(real, f->path) != 0) {
		(void)listen_at(f, real, f->name[1]);
	}
	(void)fanotify_mark(f->fan, FAN_MARK_ADD, FAN_MODIFY, AT_FDCWD, f->path);
}

int watch_file_open(const char *path, bool listen, struct watch_file **ret_file)
{
	struct watch_file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->fan = -1;
	f->opener = getpid();
	f->path = strdup(path);
	r = f->path ? read_state(path, &f->before) : -ENOMEM;
	if (r < 0) {
		watch_file_close(f);
		return r;
	}
	if (listen)
		listen_for(f);
	*ret_file = f;
	return 0;
}

void watch_file_hear_starts(struct watch_file *f)
{
	if (f->fan >= 0)
		(void)fanotify_mark(f->fan, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, LD_SO_CACHE);
}

void watch_file_close(struct watch_file *f)
{
	if (!f)
		return;
	/* A child's copy is not the last one. */
	if (f->opener == getpid())
		close_later(f->fan);
	else
		close_fd(f->fan);
	free_state(&f->before);
	free(f->path);
	free(f);
}

int watch_file_fd(const struct watch_file *f)
{
	return f->fan;
}

/* The name stands behind the folder's file handle (fanotify(7)). */
static bool is_about(const struct watch_file *f, const struct fanotify_event_metadata *m)
{
	const char *end = (const char *)m + m->event_len;
	const struct fanotify_event_info_fid *info = (const struct fanotify_event_info_fid *)(const void *)(m + 1);
	const struct file_handle *handle = (const struct file_handle *)(const void *)info->handle;
	const char *name;

	/* Without a name: of the file itself, which alone is marked besides folders. */
	if ((const char *)(info + 1) > end || info->hdr.info_type != FAN_EVENT_INFO_TYPE_DFID_NAME)
		return true;
	name = (const char *)handle->f_handle + handle->handle_bytes;
	return name < end && (strcmp(name, f->name[0]) == 0 || (*f->name[1] && strcmp(name, f->name[1]) == 0) || strcmp(name, ".") == 0);
}

/* True: it is about the file. */
static bool hear(struct watch_file *f, struct whois *w, const struct fanotify_event_metadata *m)
{
	struct requester by;

	if (m->fd >= 0)
		close(m->fd);
	if (m->mask & FAN_OPEN)
		who_note_start(w, m->pid);
	if (m->mask == FAN_OPEN || m->pid == getpid() || !is_about(f, m))
		return false;
	if (f->ours || m->pid <= 0)
		return true;
	f->ours = who_is(w, m->pid, &by) == WHO_OURS;
	f->by = by;
	return true;
}

bool watch_file_read(struct watch_file *f, struct whois *w)
{
	bool about = false;
	char buf[8192];
	/* With a name an event's length is a multiple of 4, so that the next one may lie askew. */
	_Alignas(struct fanotify_event_metadata) char one[sizeof(buf)];
	ssize_t n;

	while (f->fan >= 0 && (n = read(f->fan, buf, sizeof(buf))) > 0) {
		struct fanotify_event_metadata head;

		for (size_t at = 0, len = (size_t)n; len - at >= sizeof(head); at += head.event_len) {
			memcpy(&head, buf + at, sizeof(head));
			if (head.event_len < sizeof(head) || head.event_len > len - at)
				break;
			memcpy(one, buf + at, head.event_len);
			about |= hear(f, w, (const struct fanotify_event_metadata *)(const void *)one);
		}
	}
	return about;
}

static int write_text(const char *path, const struct state *s, int flags)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, s->text, s->len);
	if (r == 0 && (fchown(fd, s->uid, s->gid) < 0 || fchmod(fd, s->mode) < 0))
		r = -errno;
	return r;
}

/* In place where it still is the same kind of thing: whoever has it open, or bound elsewhere, keeps it. */
static int put_back(const char *path, const struct state *before, const struct state *now)
{
	char temporary[PATH_MAX];
	int r;

	if (before->there && now->there && !before->link == !now->link && (!before->link || strcmp(before->link, now->link) == 0))
		return write_text(path, before, O_TRUNC);
	if (!before->there && !before->link)
		return unlink(path) < 0 ? -errno : 0;
	snprintf(temporary, sizeof(temporary), "%s.wg-nsquick", path);
	unlink(temporary);
	if (before->link)
		r = symlink(before->link, temporary) < 0 ? -errno : 0;
	else
		r = write_text(temporary, before, O_CREAT | O_EXCL | O_NOFOLLOW);
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(temporary);
	return r;
}

int watch_file_check(struct watch_file *f, bool restore, enum watch_file_state *ret_state, struct requester *ret_by)
{
	struct state now = { 0 };
	int r = read_state(f->path, &now);

	if (r < 0 && !f->ours)
		return r;
	*ret_by = f->by;
	if (r == 0 && same_state(&f->before, &now)) {
		*ret_state = FILE_SAME;
	} else if (!f->ours) {
		*ret_state = FILE_FOREIGN;
	} else {
		if (r == 0 && restore)
			r = put_back(f->path, &f->before, &now);
		*ret_state = r == 0 ? FILE_RESTORED : FILE_DAMAGED;
	}
	free_state(&now);
	return 0;
}
