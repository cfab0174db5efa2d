/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "applied.h"

#include <inttypes.h>
#include <limits.h>

#include "atomic.h"
#include "merge.h"

/* A peer takes some 200 bytes: more than any device has. */
#define MAX_SIZE (256 << 20)

/* Both are comments to who reads an outline as a file. */
#define FIRST_LINE "# wg-nsquick-applied 1\n"
#define LAST_LINE "# end "

static size_t count_lines(const char *text, size_t len)
{
	size_t lines = 0;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

static void add_end(struct buf *text)
{
	buf_fmt(text, LAST_LINE "%zu\n", count_lines(text->data, text->len));
}

/* Takes the last line off. -EBADMSG: lines are missing; -ENODATA: they were not counted. */
static int take_end(const char *text, size_t *len)
{
	const char *last = *len > 1 ? memrchr(text, '\n', *len - 1) : NULL;
	size_t rest = last ? (size_t)(last + 1 - text) : 0;
	char line[64];

	if (memchr(text, '\0', *len))
		return -EBADMSG;
	if (*len - rest < strlen(LAST_LINE) || memcmp(text + rest, LAST_LINE, strlen(LAST_LINE)) != 0)
		return -ENODATA;
	snprintf(line, sizeof(line), LAST_LINE "%zu\n", count_lines(text, rest));
	if (*len - rest != strlen(line) || memcmp(text + rest, line, strlen(line)) != 0)
		return -EBADMSG;
	*len = rest;
	return 0;
}

static int path_of(const struct journal *j, const char *suffix, char ret_path[static PATH_MAX])
{
	int n = snprintf(ret_path, PATH_MAX, APPLIED_DIR "/%s@%" PRIx64 ".%s", j->iface, j->cookie, suffix);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int numbered_path(const struct journal *j, uint64_t number, char ret_path[static PATH_MAX])
{
	char suffix[24];

	snprintf(suffix, sizeof(suffix), "%" PRIu64, number);
	return path_of(j, suffix, ret_path);
}

int applied_save(struct journal *j, const struct conf *conf)
{
	_cleanup_buf_ struct buf text = { 0 };
	char path[PATH_MAX];
	int r;

	buf_str(&text, FIRST_LINE);
	r = outline_write(conf, &text);
	add_end(&text);
	if (r == 0)
		r = numbered_path(j, j->applied + 1, path);
	if (r == 0)
		r = atomic_replace(path, &text, 0600, ATOMIC_VOLATILE);
	if (r < 0)
		return r;
	/* The one step that makes it valid is the journal's. */
	j->applied++;
	r = journal_save(j);
	if (r < 0) {
		j->applied--;
		unlink(path);
		return r;
	}
	if (numbered_path(j, j->applied - 1, path) == 0)
		unlink(path);
	return 0;
}

int applied_load(const struct journal *j, struct conf *conf)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t len;
	int r;

	if (!j->applied)
		return -ENOENT;
	r = numbered_path(j, j->applied, path);
	if (r == 0)
		r = read_file(path, MAX_SIZE, &text, &len);
	if (r < 0)
		return r;
	r = take_end(text, &len);
	/* Earlier programs, whose tunnels may be up, wrote neither of the two lines. */
	if (r == -ENODATA)
		r = len && strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) != 0 ? 0 : -EBADMSG;
	return r < 0 ? r : outline_read(text, len, conf);
}

int before_save(const struct journal *j, const struct live *live)
{
	_cleanup_buf_ struct buf text = { 0 };
	char path[PATH_MAX];
	int r = path_of(j, "before", path);

	live_format(live, &text);
	add_end(&text);
	return r < 0 ? r : atomic_replace(path, &text, 0600, ATOMIC_VOLATILE);
}

int before_load(const struct journal *j, struct live *ret_live)
{
	char path[PATH_MAX], *text;
	size_t len, kept;
	int r = path_of(j, "before", path);

	if (r == 0)
		r = read_file(path, MAX_SIZE, &text, &len);
	if (r < 0)
		return r;
	kept = len;
	r = take_end(text, &kept);
	/* Or by an earlier program; that it is not cut, its reader sees. */
	if (r == 0 || r == -ENODATA)
		r = live_parse(text, kept, ret_live);
	wipe_free(text, len);
	return r;
}

/* Also what a save that was killed left beside it. */
static int remove_file(const char *path)
{
	atomic_forget(path);
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

void before_remove(const struct journal *j)
{
	char path[PATH_MAX];

	/* It may have keys: once more, if it could not be deleted. */
	if (path_of(j, "before", path) == 0 && remove_file(path) < 0)
		(void)remove_file(path);
}

/* One before and one after the valid one: a save that was killed leaves either. */
static int remove_numbered(const struct journal *j, bool valid)
{
	char path[PATH_MAX];
	int first = 0;

	for (uint64_t number = j->applied ? j->applied - 1 : 0; number <= j->applied + 1; number++)
		if ((valid || number != j->applied) && numbered_path(j, number, path) == 0) {
			int r = remove_file(path);

			if (first == 0)
				first = r;
		}
	return first;
}

bool applied_sweep(const struct journal *j)
{
	char path[PATH_MAX];
	bool left = path_of(j, "before", path) == 0 && access(path, F_OK) == 0;

	before_remove(j);
	(void)remove_numbered(j, false);
	return left;
}

int applied_remove(const struct journal *j)
{
	before_remove(j);
	return remove_numbered(j, true);
}

int applied_remove_unknown(const char *iface, ns_cookie cookie)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir(APPLIED_DIR);
	const struct dirent *entry;
	char prefix[IFNAMSIZ + 24];
	int first = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	snprintf(prefix, sizeof(prefix), "%s@%" PRIx64 ".", iface, cookie);
	while ((errno = 0, entry = readdir(dir)))
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && unlinkat(dirfd(dir), entry->d_name, 0) < 0 && errno != ENOENT && first == 0)
			first = -errno;
	return errno ? -errno : first;
}
