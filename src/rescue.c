/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rescue.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>

#include "atomic.h"
#include "journal-text.h"
#include "log.h"
#include "log-later.h"
#include "spawn.h"

#define MAX_SIZE (16 << 20)   /* bytes of memory under /run, 250,000 routes */
#define BEAT_MS 10000	      /* far less than RESCUE_LATE_MS */
#define DYING_PATIENCE_MS 1000 /* until the kernel has taken a killed process apart */
#define POLL_MS 10
#define LOCK_PATIENCE_MS 10000 /* longer than any rescue; but who has the lock may be stopped */

static const char end_of_text[] = "\nend";

/* ---- the living ---- */

static int write_down(const struct watch *w, const struct policy *policy, int host_fd, const char *work, struct rescue *rescue)
{
	_cleanup_buf_ struct buf text = { 0 };
	ns_cookie cookie;
	int r;

	r = ns_get_cookie(host_fd, &cookie);
	if (r == 0)
		r = journal_begin(&text);
	if (r < 0)
		return r;
	rescue->said = fib_now();
	rescue->alive_at = (int64_t)text.len + (int64_t)strlen("alive ");
	buf_fmt(&text, "alive %020" PRId64 "\nhost %" PRIx64 "\nlevel %d\ncommand %d\n", rescue->said, cookie, (int)policy->level, policy->command);
	journal_add_text(&text, "iface", policy->iface);
	journal_add_text(&text, "work", work);
	journal_end(&text);
	watch_save(w, &text);
	if (text.failed)
		return -ENOMEM;
	return text.len > MAX_SIZE ? -EFBIG : write_all(rescue->fd, text.data, text.len);
}

/* Locked before it has its name. Until then another run may take it for a dead one's, look at it, and delete it: it is made again. */
static int create(const char *tmp, int *ret_fd)
{
	for (unsigned int waited = 0;; waited += POLL_MS) {
		_cleanup_fd_ int fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
		int r = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : journal_is_named(fd, tmp);

		if (r > 0) {
			*ret_fd = take_fd(&fd);
			return 0;
		}
		if ((r != 0 && r != -EWOULDBLOCK && r != -EINTR) || waited >= DYING_PATIENCE_MS) {
			if (fd >= 0)
				unlink(tmp);
			return r < 0 ? r : -EAGAIN;
		}
		sleep_ms(POLL_MS);
	}
}

int rescue_note(const struct watch *w, const struct policy *policy, int host_fd, const char *work, struct rescue *ret_rescue)
{
	struct rescue rescue = RESCUE_NONE;
	_cleanup_free_ char *tmp = NULL;
	int r;

	if (asprintf(&rescue.path, HOST_DIR "/%d", (int)getpid()) < 0)
		return -ENOMEM;
	if (asprintf(&tmp, "%s" ATOMIC_TMP, rescue.path) < 0) {
		free(rescue.path);
		return -ENOMEM;
	}
	r = create(tmp, &rescue.fd);
	if (r == -ENOENT) {
		r = journal_prepare();
		if (r == 0)
			r = create(tmp, &rescue.fd);
	}
	if (r == 0) {
		r = write_down(w, policy, host_fd, work, &rescue);
		if (r == 0 && rename(tmp, rescue.path) < 0)
			r = -errno;
		if (r < 0)
			unlink(tmp);
	}
	if (r < 0) {
		rescue_leave(&rescue);
		return r;
	}
	*ret_rescue = rescue;
	return 0;
}

int rescue_alive(struct rescue *rescue)
{
	char text[32];
	int64_t now;
	int len;

	if (rescue->fd < 0)
		return -1;
	now = fib_now();
	if (now - rescue->said >= BEAT_MS) {
		rescue->said = now;
		len = snprintf(text, sizeof(text), "%020" PRId64, now);
		/* A beat that is missed only makes it look older. */
		(void)!pwrite(rescue->fd, text, (size_t)len, rescue->alive_at);
	}
	return (int)(rescue->said + BEAT_MS - now);
}

#define REVOKED "revoked\n"

void rescue_forget(struct rescue *rescue)
{
	/* One that stays all the same has nothing to say: what is changed from now on is others', and rightly. */
	if (rescue->fd >= 0 && unlink(rescue->path) < 0 && pwrite(rescue->fd, REVOKED, strlen(REVOKED), 0) > 0)
		(void)!ftruncate(rescue->fd, (off_t)strlen(REVOKED));
	rescue_leave(rescue);
}

void rescue_leave(struct rescue *rescue)
{
	rescue->fd = close_fd(rescue->fd);
	free(TAKE_PTR(rescue->path));
}

/* ---- the dead ---- */

struct will {
	int64_t alive;
	ns_cookie host;
	struct policy policy;
	char *iface, *work;
	unsigned int seen; /* 1U << enum field */
};

static void cleanup_will(struct will *will)
{
	free(will->iface);
	free(will->work);
}

/* A command around which the guard is has no interface. */
enum field { FIELD_ALIVE, FIELD_HOST, FIELD_LEVEL, FIELD_COMMAND, FIELD_WORK, FIELDS_ALWAYS, FIELD_IFACE = FIELDS_ALWAYS, FIELDS };

static const char *const field_names[FIELDS] = {
	[FIELD_ALIVE] = "alive", [FIELD_HOST] = "host", [FIELD_LEVEL] = "level", [FIELD_COMMAND] = "command", [FIELD_WORK] = "work", [FIELD_IFACE] = "iface",
};

static int parse_number(enum field field, const char *value, uint64_t *ret_number)
{
	char *end;

	if (field == FIELD_HOST) {
		*ret_number = strtoull(value, &end, 16);
		return end == value || *end ? -EBADMSG : 0;
	}
	return parse_u64(value, field == FIELD_LEVEL ? GUARD_STRICT : field == FIELD_COMMAND ? 1 : INT64_MAX, ret_number) < 0 ? -EBADMSG : 0;
}

static int parse_field(void *arg, const struct journal_field *f)
{
	struct will *will = arg;
	int r, field = journal_which(f, field_names, FIELDS, FIELDS, &will->seen);
	uint64_t number;

	if (field < 0)
		return field;
	if (field == FIELD_IFACE)
		return journal_text_into(&will->iface, f->value);
	if (field == FIELD_WORK)
		return journal_text_into(&will->work, f->value);
	r = parse_number((enum field)field, f->value, &number);
	if (r < 0)
		return r;
	if (field == FIELD_ALIVE)
		will->alive = (int64_t)number;
	else if (field == FIELD_HOST)
		will->host = number;
	else if (field == FIELD_LEVEL)
		will->policy.level = (enum guard_level)number;
	else
		will->policy.command = number;
	return 0;
}

/* *ret_saved leads into `text`, which is changed. */
static int parse(char *text, size_t len, struct will *will, const char **ret_saved)
{
	const unsigned int always = (1U << FIELDS_ALWAYS) - 1;
	char *end = memmem(text, len, end_of_text, strlen(end_of_text));
	int r;

	end = end ? memchr(end + 1, '\n', len - (size_t)(end + 1 - text)) : NULL;
	if (!end)
		return -EBADMSG;
	*ret_saved = end + 1;
	r = journal_parse(text, (size_t)(end + 1 - text), parse_field, will);
	if (r == 0 && (will->seen & always) != always)
		r = -EBADMSG;
	will->policy.iface = will->iface;
	return r;
}

static int execute(struct will *will, const char *saved, size_t len, int host_fd, const struct strv *foreign)
{
	_cleanup_free_ char *action = NULL;
	struct watch_spec spec = { .host_fd = host_fd, .policy = &will->policy, .foreign = foreign, .others_run = true,
				   .leave = "that run was killed too long ago: left as it is" };
	int64_t age = fib_now() - will->alive;
	struct watch *w;
	int r;

	if (asprintf(&action, "%s (killed)", will->work) < 0)
		return -ENOMEM;
	spec.action = action;
	if (age < 0 || age > RESCUE_LATE_MS)
		will->policy.level = GUARD_WARN;
	r = watch_resume(&spec, saved, len, &w);
	if (r < 0)
		return r;
	r = watch_close(w);
	watch_free(w);
	return r == 0 || r == EXIT_GUARD_RESTORED ? 0 : -EREMCHG;
}

/*
 * Whether who wrote this down lives. The pid may by now be another process's, which began after the last word, or
 * a dead one's whom its parent has not waited for.
 */
static bool author_lives(int fd, pid_t pid)
{
	uint64_t start = spawn_lives_since(pid);
	const char *alive;
	char text[256];
	ssize_t n;

	if (!start)
		return false;
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	alive = strstr(text, "\nalive ");
	return !alive || start * 1000 / (uint64_t)sysconf(_SC_CLK_TCK) <= strtoull(alive + strlen("\nalive "), NULL, 10);
}

/* 0: it is ours now, and is what the path names; -EAGAIN: its run lives, or has ended; -EBUSY: it was killed, but another process has the lock. */
static int lock_dead(const char *path, pid_t pid, int *ret_fd)
{
	_cleanup_fd_ int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	for (unsigned int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += POLL_MS) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return -errno;
		if (author_lives(fd, pid))
			return -EAGAIN;
		if (waited >= DYING_PATIENCE_MS)
			return -EBUSY;
		sleep_ms(POLL_MS);
	}
	r = journal_is_named(fd, path);
	if (r <= 0)
		return r < 0 ? r : -EAGAIN;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int rescue_one(const char *name, pid_t pid, ns_cookie host, int host_fd, const struct strv *foreign)
{
	CLEANUP(cleanup_will) struct will will = { 0 };
	_cleanup_free_ char *path = NULL, *text = NULL;
	_cleanup_fd_ int fd = -1;
	const char *saved;
	size_t len;
	int r;

	/* It may not have its lock yet. */
	if (strchr(name, '.') && spawn_lives_since(pid))
		return 0;
	if (asprintf(&path, HOST_DIR "/%s", name) < 0)
		return -ENOMEM;
	r = lock_dead(path, pid, &fd);
	if (r == -EBUSY) {
		log_note("guard: process %d was killed, but a process of its run lives, or one that was putting the host back: what was done to the host is left to that one",
			 pid);
		return 0;
	}
	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	/* Killed while it wrote: nothing of others had run. */
	if (strchr(name, '.'))
		return unlink(path) < 0 ? -errno : 0;
	r = read_all(fd, MAX_SIZE, &text, &len);
	if (r == 0 && strcmp(text, REVOKED) == 0)
		return unlink(path) < 0 ? -errno : 0;
	if (r == 0)
		r = parse(text, len, &will, &saved);
	/* Another host's, seen through a shared /run. */
	if (r == 0 && will.host != host)
		return 0;
	if (r == 0)
		r = execute(&will, saved, len - (size_t)(saved - text), host_fd, foreign);
	if (r == -EBADMSG || r == -EFBIG)
		return journal_set_aside(fd, path);
	/* What could not be done now is not tried again and again. */
	if ((r == 0 || r == -EREMCHG) && unlink(path) < 0)
		return -errno;
	return r;
}

int rescue_begin(int *ret_lock)
{
	int r;

	log_later();
	r = journal_lock_host(LOCK_PATIENCE_MS, ret_lock);
	if (r == -ENOENT && journal_prepare() == 0)
		r = journal_lock_host(LOCK_PATIENCE_MS, ret_lock);
	if (r == -EAGAIN)
		log_note("guard: other runs have been looking at the host for %d seconds, and one may be stopped: they are not waited for any longer", LOCK_PATIENCE_MS / 1000);
	return r == -ECANCELED ? r : 0;
}

void rescue_end(int *lock)
{
	*lock = close_fd(*lock);
	log_later_end(-1, -1);
}

int rescue_dead(int host_fd, const struct strv *foreign)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir(HOST_DIR);
	struct dirent *entry;
	ns_cookie host = 0;
	int result = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((errno = 0, entry = readdir(dir))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		int r = 0;

		if (pid <= 0 || (*end && strcmp(end, ATOMIC_TMP) != 0))
			continue;
		if (!host)
			r = ns_get_cookie(host_fd, &host);
		if (r == 0)
			r = rescue_one(entry->d_name, (pid_t)pid, host, host_fd, foreign);
		/* One of those that still are to be told. */
		if (r < 0 && (result == 0 || result == -EREMCHG || result == -EBADMSG))
			result = r;
	}
	return errno ? -errno : result;
}
