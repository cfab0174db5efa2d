/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "import-store.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "atomic.h"
#include "log.h"

#define STAGED ".import"
#define STAGED_MAP "." IMPORT_MAP STAGED
#define MAX_MAP (4U << 20)  /* bytes */
#define MAX_CONF (4U << 20) /* bytes of a file that is there; larger ones are no provider's */
#define SYNC_EACH 16	    /* from so many files on the file system is synced as a whole */

/* ---- open ---- */

static int read_map(struct store *store)
{
	_cleanup_fd_ int fd = openat(store->dir, IMPORT_MAP, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	unsigned int line = 0;
	size_t len = 0;
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	r = fd < 0 ? -errno : read_all(fd, MAX_MAP, &text, &len);
	if (r < 0) {
		log_error(IMPORT_DIR "/" IMPORT_MAP " cannot be read: %s", strerror(-r));
		return r;
	}
	r = import_map_parse(text, len, &store->map, &line);
	if (r == -EINVAL)
		log_error(IMPORT_DIR "/" IMPORT_MAP ":%u: no line of the map; expected an interface's name, a tab, and a file's name", line);
	return r;
}

static int open_folder(struct store *store)
{
	struct stat st;

	if (!store->dry_run) {
		int r = make_dir(IMPORT_DIR, 0700);

		if (r < 0) {
			log_error(IMPORT_DIR " cannot be made: %s", strerror(-r));
			return r;
		}
	}
	store->dir = open(IMPORT_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir < 0 && errno == ENOENT && store->dry_run)
		return 0;
	if (store->dir < 0 || fstat(store->dir, &st) < 0) {
		int r = -errno;

		log_error(IMPORT_DIR " cannot be opened: %s", strerror(errno));
		return r;
	}
	/* Whoever can write there can put a link in a file's place. */
	if (st.st_uid != geteuid() || st.st_mode & 022) {
		log_error(IMPORT_DIR " can be written by others than root; expected a folder of root's with mode 0700 or 0755");
		return -EPERM;
	}
	if (flock(store->dir, store->dry_run ? LOCK_SH : LOCK_EX) < 0) {
		int r = -errno;

		log_error(IMPORT_DIR " cannot be locked: %s", strerror(errno));
		return r;
	}
	return 0;
}

static bool is_staged(const char *name)
{
	size_t len = strlen(name), tail = strlen(STAGED);

	return *name == '.' && len > tail + 1 && strcmp(name + len - tail, STAGED) == 0;
}

/* What a run that was killed left. Nobody else has any: we have the lock. */
static void sweep(const struct store *store)
{
	CLEANUP(cleanup_dir) DIR *folder = opendir(IMPORT_DIR);
	const struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		if (is_staged(entry->d_name))
			(void)unlinkat(store->dir, entry->d_name, 0);
}

int store_open(struct store *store, bool dry_run)
{
	int r;

	*store = (struct store){ .dir = -1, .dry_run = dry_run };
	r = open_folder(store);
	if (r < 0 || store->dir < 0)
		return r;
	if (!dry_run)
		sweep(store);
	return read_map(store);
}

void store_close(struct store *store)
{
	store->dir = close_fd(store->dir);
	import_map_free(&store->map);
}

/* ---- compare ---- */

static void conf_name(const char *name, char ret_file[static IFNAMSIZ + 8])
{
	snprintf(ret_file, IFNAMSIZ + 8, "%s.conf", name);
}

/* 1: it has this text, 0: another, -errno. */
static int has_text(int fd, const struct buf *text)
{
	_cleanup_free_ char *there = NULL;
	size_t len = 0;
	int r = read_all(fd, text->len, &there, &len), same;

	if (r < 0)
		return r == -EFBIG ? 0 : r;
	same = len == text->len && memcmp(there, text->data, len) == 0;
	explicit_bzero(there, len);
	return same;
}

static void compare_file(const struct store *store, struct store_file *file, bool force)
{
	char name[IFNAMSIZ + 8];
	_cleanup_fd_ int fd = -1;
	struct stat st;
	int r;

	conf_name(file->name, name);
	file->state = STORE_NEW;
	if (store->dir < 0)
		return;
	fd = openat(store->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return;
	file->state = force ? STORE_REPLACES : STORE_EXISTS;
	/* A link, or what cannot be read, is another text. */
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	r = has_text(fd, file->text);
	if (r <= 0)
		return;
	file->state = STORE_SAME;
	if ((st.st_mode & 077 || st.st_uid != geteuid()) && !store->dry_run)
		file->mode_mended = fchown(fd, geteuid(), getegid()) == 0 && fchmod(fd, 0600) == 0;
}

void store_compare(const struct store *store, struct store_file *files, size_t n, bool force)
{
	for (size_t i = 0; i < n; i++)
		compare_file(store, &files[i], force);
}

/* ---- write ---- */

/* Hidden, and no .conf: nobody takes it for a tunnel's. */
static void staged_name(const char *name, char ret_file[static IFNAMSIZ + 16])
{
	snprintf(ret_file, IFNAMSIZ + 16, ".%s" STAGED, name);
}

static bool to_write(const struct store_file *file)
{
	return file->state == STORE_NEW || file->state == STORE_REPLACES;
}

static int stage_map(struct store *store)
{
	_cleanup_fd_ int there = openat(store->dir, IMPORT_MAP, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	_cleanup_buf_ struct buf text = { 0 };
	int r = import_map_write(&store->map, &text);

	/* Nothing new is nothing to write: the folder may be read-only. */
	if (r == 0 && there >= 0 && has_text(there, &text) == 1)
		return 0;
	if (r == 0)
		r = atomic_stage(store->dir, STAGED_MAP, &text, 0600, ATOMIC_DURABLE);
	store->map_staged = r == 0;
	if (r < 0)
		log_error(IMPORT_DIR "/" IMPORT_MAP " cannot be written: %s; nothing was written", strerror(-r));
	return r;
}

static int stage_all(struct store *store, struct store_file *files, size_t n)
{
	char staged[IFNAMSIZ + 16];
	size_t written = 0;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		written += to_write(&files[i]);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (!to_write(&files[i]))
			continue;
		staged_name(files[i].name, staged);
		r = atomic_stage(store->dir, staged, files[i].text, 0600, written < SYNC_EACH ? ATOMIC_DURABLE : ATOMIC_VOLATILE);
		files[i].staged = r == 0;
		if (r < 0)
			log_error(IMPORT_DIR "/%s.conf cannot be written: %s; nothing was written", files[i].name, strerror(-r));
	}
	if (r == 0)
		r = stage_map(store);
	if (r == 0 && written >= SYNC_EACH && syncfs(store->dir) < 0) {
		r = -errno;
		log_error(IMPORT_DIR " cannot be synced: %s; nothing was written", strerror(errno));
	}
	for (size_t i = 0; i < n && r < 0; i++) {
		if (!files[i].staged)
			continue;
		staged_name(files[i].name, staged);
		(void)unlinkat(store->dir, staged, 0);
	}
	if (r < 0)
		(void)unlinkat(store->dir, STAGED_MAP, 0);
	return r;
}

static void publish_all(const struct store *store, struct store_file *files, size_t n)
{
	char staged[IFNAMSIZ + 16], name[IFNAMSIZ + 8];

	for (size_t i = 0; i < n; i++) {
		int r;

		if (!files[i].staged)
			continue;
		staged_name(files[i].name, staged);
		conf_name(files[i].name, name);
		r = atomic_publish(store->dir, staged, name, files[i].state == STORE_REPLACES);
		if (r == -EEXIST)
			files[i].state = STORE_EXISTS;
		else if (r < 0)
			files[i].state = STORE_FAILED;
		files[i].error = r;
	}
}

static int publish_map(const struct store *store)
{
	int r = store->map_staged ? atomic_publish(store->dir, STAGED_MAP, IMPORT_MAP, true) : 0;

	if (r < 0)
		log_error(IMPORT_DIR "/" IMPORT_MAP " cannot be written: %s", strerror(-r));
	return r;
}

int store_write(struct store *store, struct store_file *files, size_t n)
{
	sigset_t signals, before;
	int r;

	/* Between two files is no good moment to go: it takes a fraction of a second. */
	sigfillset(&signals);
	sigprocmask(SIG_BLOCK, &signals, &before);
	r = stage_all(store, files, n);
	if (r == 0) {
		publish_all(store, files, n);
		r = publish_map(store);
		(void)fsync(store->dir);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}

/* ---- what is there ---- */

static void load(const struct store *store, const char *file, void (*each)(void *arg, const char *name, const struct conf *conf), void *arg)
{
	_cleanup_fd_ int fd = openat(store->dir, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL, *name = NULL;
	CLEANUP(conf_free) struct conf conf = { 0 };
	size_t len = 0;

	name = strndup(file, strlen(file) - strlen(".conf"));
	if (fd < 0 || !name || read_all(fd, MAX_CONF, &text, &len) < 0)
		return;
	if (conf_parse_quick(&conf, text, len, NULL) == 0 && conf_parse_wg(&conf, NULL, NULL) == 0)
		each(arg, name, &conf);
	explicit_bzero(text, len);
}

void store_each(const struct store *store, void (*each)(void *arg, const char *name, const struct conf *conf), void *arg)
{
	struct dirent **names = NULL;
	int n = store->dir < 0 ? 0 : scandirat(store->dir, ".", &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		size_t len = strlen(names[i]->d_name);

		if (len > 5 && strcmp(names[i]->d_name + len - 5, ".conf") == 0)
			load(store, names[i]->d_name, each, arg);
		free(names[i]);
	}
	free(names);
}
