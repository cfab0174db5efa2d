/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conffile.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>

#include "log.h"

/* A file of 10,000 peers has 3 MB. */
#define MAX_SIZE (256U << 20)

void conffile_error(const struct conf *conf, const struct conf_error *error)
{
	if (error->line)
		log_error("%s:%u: %s", conf->path, error->line, error->text);
	else
		log_error("%s: %s", conf->path, error->text);
}

/* The interface's name comes from the path as it was given, symlinks not followed. */
static int name_of(const char *path, char ret_name[static IFNAMSIZ])
{
	const char *base = strrchr(path, '/');
	size_t len;

	base = base ? base + 1 : path;
	len = strlen(base);
	if (len < 6 || len - 5 >= IFNAMSIZ || strcmp(base + len - 5, ".conf") != 0)
		return -EINVAL;
	memcpy(ret_name, base, len - 5);
	ret_name[len - 5] = '\0';
	return iface_name_valid(ret_name) ? 0 : -EINVAL;
}

static void warn_if_open(const char *path, const struct stat *file)
{
	char folder[PATH_MAX];
	struct stat dir;

	snprintf(folder, sizeof(folder), "%s", path);
	if (stat(dirname(folder), &dir) == 0 && file->st_mode & dir.st_mode & 0007)
		log_warn("`%s' is world accessible", path);
}

/* Of a user namespace's root the files are its own. */
static bool roots(uid_t owner)
{
	return owner == 0 || owner == geteuid();
}

/* Who may write a folder may put another file in a file's place, unless the sticky bit forbids it. */
static const char *folder_writers(const char *path)
{
	char folder[PATH_MAX];
	struct stat st;

	snprintf(folder, sizeof(folder), "%s", path);
	while (strcmp(dirname(folder), "/") != 0) {
		if (stat(folder, &st) < 0)
			continue;
		if (!roots(st.st_uid))
			return "a folder that it lies in is not root's";
		if (!(st.st_mode & S_ISVTX) && (st.st_mode & S_IWOTH || (st.st_mode & S_IWGRP && st.st_gid != 0)))
			return "a folder that it lies in can be written by others";
	}
	return NULL;
}

static const char *find_writers(const char *path, const struct stat *file)
{
	if (!roots(file->st_uid))
		return "its owner is not root";
	if (file->st_mode & S_IWOTH)
		return "everybody may write it";
	if (file->st_mode & S_IWGRP && file->st_gid != 0)
		return "its group may write it";
	return folder_writers(path);
}

int conffile_check_writers(const struct conf *conf, bool run_hooks, bool strict)
{
	if (!conf->n_hooks || !run_hooks || !conf->writers)
		return 0;
	if (strict) {
		log_error("%s: has hooks, and others than root could change them: %s; expected a file and folders that only root may write (strict-files = yes)",
			  conf->path, conf->writers);
		return -1;
	}
	log_warn("`%s' has hooks, and others than root could change them: %s", conf->path, conf->writers);
	return 0;
}

static char *path_of(const char *argument)
{
	char *path;

	return asprintf(&path, iface_name_valid(argument) ? CONFIG_DIR "/%s.conf" : "%s", argument) < 0 ? NULL : path;
}

static struct conf_read state_of(const struct stat *st)
{
	return (struct conf_read){ .dev = st->st_dev, .ino = st->st_ino, .size = (uint64_t)st->st_size, .changed = st->st_ctim };
}

int conffile_load(const char *argument, struct conf *conf, struct conf_error *ret_error)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	_cleanup_fd_ int fd = -1;
	struct stat st;
	size_t len = 0;
	bool named;
	int r;

	path = path_of(argument);
	if (!path) {
		log_error("out of memory");
		return -ENOMEM;
	}
	/* What has another name is not opened: it may be no file, and make us wait. */
	named = name_of(path, conf->iface) == 0;
	if (named ? (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0 : access(path, F_OK) < 0) {
		if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENAMETOOLONG)
			log_error("`%s' does not exist", path);
		else
			log_error("`%s' cannot be read: %s", path, strerror(errno));
		return -ENOENT;
	}
	if (!named) {
		log_error("The config file must be a valid interface name, followed by .conf");
		return -ENOENT;
	}
	conf->path = realpath(path, NULL);
	if (!conf->path || fstat(fd, &st) < 0) {
		log_error("`%s' cannot be read: %s", path, strerror(errno));
		return -ENOENT;
	}
	if (S_ISDIR(st.st_mode)) {
		log_error("`%s' is a directory; expected a configuration file", conf->path);
		return -ENOENT;
	}
	warn_if_open(conf->path, &st);
	conf->writers = find_writers(conf->path, &st);
	conf->read = state_of(&st);
	r = read_all(fd, MAX_SIZE, &text, &len);
	if (r < 0) {
		log_error("`%s' cannot be read: %s", conf->path, strerror(-r));
		return r == -ENOMEM ? -ENOMEM : -ENOENT;
	}
	r = conf_parse_quick(conf, text, len, ret_error);
	explicit_bzero(text, len);
	if (r == -ENOMEM)
		log_error("%s: out of memory", conf->path);
	return r;
}

int conffile_read(const char *argument, struct conf *conf)
{
	struct conf_error error = { 0 };
	int r = conffile_load(argument, conf, &error);

	if (r == -EINVAL)
		conffile_error(conf, &error);
	return r < 0 ? -1 : 0;
}

bool conffile_changed(const char *argument, const struct conf *conf)
{
	_cleanup_free_ char *path = path_of(argument);
	const struct conf_read *was = &conf->read;
	struct conf_read now;
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return true;
	/* A pipe gives its text once, and is another by having been read. */
	if (!S_ISREG(st.st_mode))
		return false;
	now = state_of(&st);
	return now.dev != was->dev || now.ino != was->ino || now.size != was->size || now.changed.tv_sec != was->changed.tv_sec ||
	       now.changed.tv_nsec != was->changed.tv_nsec;
}

int conffile_refresh(const char *argument, int (*read)(const char *argument, struct conf *conf), struct conf *conf)
{
	if (!conffile_changed(argument, conf))
		return 0;
	conf_free(conf);
	return read(argument, conf);
}

static void warn_line(unsigned int line, const char *text)
{
	(void)line; /* wg's own words, which have no line */
	log_warn("%s", text);
}

int conffile_read_wg(struct conf *conf)
{
	struct conf_error error = { 0 };
	int r = conf_parse_wg(conf, warn_line, &error);

	if (r < 0) {
		if (r == -ENOMEM)
			snprintf(error.text, sizeof(error.text), "out of memory");
		conffile_error(conf, &error);
	}
	return r < 0 ? -1 : 0;
}

static void warn_not_saved(const struct conf_error *error, void *path)
{
	log_warn("%s:%u: %s; this is not saved", (const char *)path, error->line, error->text);
}

int conffile_read_wg_to_save(struct conf *conf)
{
	struct conf_error error = { .each = warn_not_saved, .arg = conf->path };
	int r = conf_parse_wg(conf, NULL, &error);

	if (r == -ENOMEM)
		log_error("%s: out of memory", conf->path);
	return r == -ENOMEM ? -1 : 0;
}
