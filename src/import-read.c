/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "import-read.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "import-archive.h"
#include "import-child.h"

#define MAX_FILES 5000U	       /* of one folder */
#define MAX_TEXT (256UL << 20) /* bytes of all clean files */

struct reading {
	struct import_batch *batch;
	struct import_child child;
	bool keep_hooks;
	const char *source;  /* the argument */
	size_t first;	     /* of its files in the batch */
	size_t first_refusal; /* and of its refusals */
	char *at;	     /* what the child reads or read last */
	size_t text;	     /* bytes, so far */
	bool dead;	     /* the child gives no more answers */
};

int import_refuse(struct import_batch *batch, const char *path, unsigned int line, const char *why)
{
	struct import_refusal *refusal = GROW(batch->refusals, batch->n_refusals);

	if (!refusal)
		return -ENOMEM;
	refusal->path = strdup(path);
	refusal->why = strdup(why);
	refusal->line = line;
	return refusal->path && refusal->why ? 0 : -ENOMEM;
}

static void free_file(struct import_file *file)
{
	free(file->path);
	import_record_free(&file->record);
}

/* All or nothing: what was read of this source before is forgotten. */
static int refuse_source(struct reading *r, const char *why)
{
	struct import_batch *batch = r->batch;

	while (batch->n_files > r->first)
		free_file(&batch->files[--batch->n_files]);
	return import_refuse(batch, r->source, 0, why);
}

static bool found_nothing(const struct reading *r)
{
	return r->batch->n_files == r->first && r->batch->n_refusals == r->first_refusal;
}

/* ---- records ---- */

static int read_exactly(int fd, void *data, size_t len)
{
	char *p = data;

	while (len) {
		ssize_t n = read(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* One record, believed only as far as it was checked. */
static int receive(struct reading *r, struct import_record *ret_record)
{
	uint32_t len;
	char *data;
	int error = read_exactly(r->child.records, &len, sizeof(len));

	if (error < 0)
		return error;
	if (len > IMPORT_RECORD_MAX)
		return -EBADMSG;
	data = malloc(len + 1);
	if (!data)
		return -ENOMEM;
	error = read_exactly(r->child.records, data, len);
	if (error == 0)
		error = import_record_decode(data, len, ret_record);
	wipe_free(data, len);
	return error;
}

/* `path`: the file's, if it is one of a folder or the source itself. */
static int take_file(struct reading *r, struct import_record *record, const char *path, bool wanted)
{
	struct import_file *file;
	_cleanup_free_ char *full = NULL;
	int error;

	if (asprintf(&full, "%s%s%s", path, *record->path ? "/" : "", record->path) < 0) {
		full = NULL;
		return -ENOMEM;
	}
	/* Other programs have .conf files too. */
	if (record->result == -ENODATA && !wanted) {
		r->batch->others++;
		return 0;
	}
	if (record->result < 0) {
		const struct findings *f = &record->import.findings;

		for (size_t i = 0; i < f->n; i++)
			if (f->items[i].severity == FIND_ERROR)
				return import_refuse(r->batch, full, f->items[i].line, f->items[i].text);
		return -EBADMSG;
	}
	error = import_record_check(record, r->keep_hooks);
	r->text += record->import.text.len;
	if (error == 0 && r->text > MAX_TEXT)
		error = -EFBIG;
	file = error == 0 ? GROW(r->batch->files, r->batch->n_files) : NULL;
	if (!file)
		return error < 0 ? error : -ENOMEM;
	file->path = TAKE_PTR(full);
	file->record = *record;
	*record = (struct import_record){ 0 };
	return 0;
}

/* What the child has to say of one file that it was sent. `wanted`: it was named, so that it is an error if it is something else. */
static int take_records(struct reading *r, const char *path, bool wanted)
{
	bool end = false;
	int error = 0;

	while (!end && error == 0) {
		struct import_record record = { 0 };

		error = receive(r, &record);
		if (error < 0)
			break;
		end = record.kind == RECORD_END;
		if (!end) {
			error = take_file(r, &record, path, wanted && !*record.path);
		} else {
			r->batch->others += record.others;
			/* Nothing of an archive is taken that is not all that it should be. */
			if (*record.message)
				error = refuse_source(r, record.message);
			else if (wanted && found_nothing(r))
				error = refuse_source(r, "no WireGuard .conf file is in it");
		}
		import_record_free(&record);
		if (!end && r->batch->progress)
			r->batch->progress(r->batch->n_files, path);
	}
	return error;
}

static int read_open_file(struct reading *r, int fd, const char *path, bool wanted)
{
	int error;

	free(r->at);
	r->at = strdup(path);
	error = r->at ? import_child_send(&r->child, fd, path) : -ENOMEM;
	return error < 0 ? error : take_records(r, path, wanted);
}

/* ---- folders ---- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_folder(struct reading *r, int fd, const char *path, unsigned int depth);

/* A file of a folder: opened without following links, and looked at before it is read. */
static int read_entry(struct reading *r, int folder, const char *name, const char *path, unsigned int depth)
{
	_cleanup_fd_ int fd = -1;
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return import_refuse(r->batch, path, 0, strerror(errno));
	if (S_ISLNK(st.st_mode) && import_wanted_name(name))
		return import_refuse(r->batch, path, 0, "a link; expected a file (name what it points to, if it is to be imported)");
	if (S_ISDIR(st.st_mode) ? *name == '.' : !S_ISREG(st.st_mode) || !import_wanted_name(name)) {
		r->batch->others++;
		return 0;
	}
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | (S_ISDIR(st.st_mode) ? O_DIRECTORY : 0));
	if (fd < 0 || fstat(fd, &st) < 0)
		return import_refuse(r->batch, path, 0, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return read_folder(r, fd, path, depth + 1);
	if (!S_ISREG(st.st_mode))
		return import_refuse(r->batch, path, 0, "no file any more");
	if (r->batch->n_files - r->first >= MAX_FILES)
		return -E2BIG;
	return read_open_file(r, fd, path, false);
}

/* -E2BIG, -ELOOP: the folder is refused as a whole. */
static int read_folder(struct reading *r, int fd, const char *path, unsigned int depth)
{
	struct dirent **names = NULL;
	int n, error = 0;

	if (depth > IMPORT_MAX_DEPTH)
		return -ELOOP;
	n = scandirat(fd, ".", &names, NULL, by_name);
	if (n < 0)
		return import_refuse(r->batch, path, 0, strerror(errno));
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		_cleanup_free_ char *full = NULL;

		if (error == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			if (asprintf(&full, "%s/%s", path, name) < 0) {
				full = NULL;
				error = -ENOMEM;
			} else {
				error = read_entry(r, fd, name, full, depth);
			}
		}
		free(names[i]);
	}
	free(names);
	return error;
}

/* ---- arguments ---- */

static int read_named_folder(struct reading *r, int fd)
{
	_cleanup_free_ char *path = strdup(r->source);
	int error;

	if (!path)
		return -ENOMEM;
	for (size_t len = strlen(path); len > 1 && path[len - 1] == '/'; len--)
		path[len - 1] = '\0';
	error = read_folder(r, fd, path, 0);
	if (error == -E2BIG)
		return refuse_source(r, "more than 5000 .conf files are in it; expected a provider's");
	if (error == -ELOOP)
		return refuse_source(r, "folders in it are nested more than 8 deep");
	if (error == 0 && found_nothing(r))
		return import_refuse(r->batch, r->source, 0, "no WireGuard .conf file is in it; an archive in a folder is imported when it is named itself");
	return error;
}

static int read_source(struct reading *r, const char *source)
{
	_cleanup_fd_ int fd = -1;
	struct stat st;

	r->source = source;
	free(r->at);
	r->at = NULL;
	r->first = r->batch->n_files;
	r->first_refusal = r->batch->n_refusals;
	if (strcmp(source, "-") == 0)
		return read_open_file(r, STDIN_FILENO, source, true);
	fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return import_refuse(r->batch, source, 0, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return read_named_folder(r, fd);
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		return import_refuse(r->batch, source, 0, "neither a file nor a folder");
	/* Whoever writes to a pipe may take his time, to come and then. */
	(void)poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, -1);
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return read_open_file(r, fd, source, true);
}

static const char *death(int error)
{
	switch (error) {
	case -ETIME:
		return "reading it took too long, and was ended";
	case -EPERM:
		return "the process that reads it could not give up its rights";
	case -ENOMEM:
		return "out of memory";
	case -EFBIG:
		return "more than 256 MiB of files";
	default:
		return "the process that reads it broke off, or sent what no file can become";
	}
}

/* The child broke off: which file it was that did it is worth to know, of a thousand. */
static int refuse_dead(struct reading *r, int error)
{
	_cleanup_buf_ struct buf why = { 0 }, at = { 0 };

	buf_str(&why, death(error));
	if (r->at && strcmp(r->at, r->source) != 0 && import_show_name(r->at, &at) == 0)
		buf_fmt(&why, ": it was at %s", at.data);
	return why.failed ? -ENOMEM : refuse_source(r, why.data);
}

int import_read(char **paths, bool keep_hooks, struct import_batch *batch)
{
	struct reading r = { .batch = batch, .keep_hooks = keep_hooks, .dead = true };
	int error = 0;

	/* A new one after one that broke off: the other sources are not to suffer. */
	for (size_t i = 0; paths[i] && error == 0; i++) {
		int stopped;

		if (r.dead)
			error = import_child_start(keep_hooks, &r.child);
		if (error < 0)
			break;
		error = read_source(&r, paths[i]);
		r.dead = error < 0;
		if (!r.dead)
			continue;
		stopped = import_child_stop(&r.child);
		error = refuse_dead(&r, (error == -EBADMSG || error == -EPIPE) && stopped ? stopped : error);
	}
	free(r.at);
	if (!r.dead)
		(void)import_child_stop(&r.child);
	return error;
}

void import_batch_free(struct import_batch *batch)
{
	for (size_t i = 0; i < batch->n_files; i++)
		free_file(&batch->files[i]);
	free(batch->files);
	for (size_t i = 0; i < batch->n_refusals; i++) {
		free(batch->refusals[i].path);
		free(batch->refusals[i].why);
	}
	free(batch->refusals);
	*batch = (struct import_batch){ 0 };
}
