/* SPDX-License-Identifier: GPL-2.0-or-later */
/* journal-netns.c - the records of namespaces that tunnels of ours live in. */
#include "journal-text.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>

#include "atomic.h"

static int record_path(ns_cookie cookie, char **ret_path)
{
	return asprintf(ret_path, NETNS_DIR "/%" PRIx64, cookie) < 0 ? -ENOMEM : 0;
}

/* All but the name and src-valid-mark, which the previous version had not, are there from the first write on. */
enum field { FIELD_MADE, FIELD_ETC_MADE, FIELD_KEPT, FIELD_KEEP, FIELDS_ALWAYS, FIELD_NAME = FIELDS_ALWAYS, FIELD_SRC_VALID_MARK, FIELDS };

static const char *const field_names[FIELDS] = {
	[FIELD_MADE] = "made", [FIELD_ETC_MADE] = "etc-made", [FIELD_KEPT] = "kept", [FIELD_KEEP] = "keep", [FIELD_NAME] = "name",
	[FIELD_SRC_VALID_MARK] = "src-valid-mark",
};

static int parse_field(struct ns_record *record, enum field field, const char *value)
{
	uint64_t number;

	if (field == FIELD_NAME)
		return journal_text_into(&record->name, value);
	if (parse_u64(value, field == FIELD_KEEP ? KEEP_NO : 1, &number) < 0)
		return -EBADMSG;
	if (field == FIELD_MADE)
		record->made = number;
	else if (field == FIELD_ETC_MADE)
		record->etc_made = number;
	else if (field == FIELD_KEPT)
		record->kept = number;
	else if (field == FIELD_SRC_VALID_MARK)
		record->src_valid_mark = number;
	else
		record->keep = (enum keep_mode)number;
	return 0;
}

/* A record that is read, and which fields it had. */
struct reading {
	struct ns_record record;
	unsigned int seen; /* 1U << enum field */
};

static int parse_line(void *arg, const struct journal_field *f)
{
	struct reading *reading = arg;
	int field = journal_which(f, field_names, FIELDS, FIELDS, &reading->seen);

	return field < 0 ? field : parse_field(&reading->record, (enum field)field, f->value);
}

static int read_record(int fd, struct reading *reading)
{
	const unsigned int always = (1U << FIELDS_ALWAYS) - 1;
	int r = journal_read(fd, parse_line, reading);

	return r == 0 && (reading->seen & always) != always ? -EBADMSG : r;
}

static int load_once(const char *path, struct ns_record *record)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct reading reading = { .record.cookie = record->cookie };
	int r = fd < 0 ? -errno : read_record(fd, &reading);

	if (r < 0) {
		ns_record_free(&reading.record);
		return r == -EBADMSG ? journal_set_aside(fd, path) : r;
	}
	*record = reading.record;
	return 0;
}

int ns_record_load(ns_cookie cookie, struct ns_record *ret_record)
{
	struct ns_record record = { .cookie = cookie };
	_cleanup_free_ char *path = NULL;
	int r = record_path(cookie, &path);

	if (r < 0)
		return r;
	do
		r = load_once(path, &record);
	while (r == -ESTALE);
	if (r == 0)
		*ret_record = record;
	return r;
}

int ns_record_save(const struct ns_record *record)
{
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_free_ char *path = NULL;
	int r;

	r = record_path(record->cookie, &path);
	if (r == 0)
		r = journal_begin(&text);
	if (r < 0)
		return r;
	journal_add_text(&text, "name", record->name);
	buf_fmt(&text, "made %d\netc-made %d\nkept %d\nkeep %d\n", record->made, record->etc_made, record->kept, (int)record->keep);
	if (record->src_valid_mark)
		buf_str(&text, "src-valid-mark 1\n");
	journal_end(&text);
	return atomic_replace(path, &text, 0600, ATOMIC_VOLATILE);
}

static int add_name(void *arg, struct ns_record *record)
{
	return record->name ? strv_add(arg, record->name, strlen(record->name)) : 0;
}

int ns_record_names(struct strv *ret_names)
{
	struct strv names = { 0 };
	int r = ns_record_each(add_name, &names);

	if (r < 0)
		strv_free(&names);
	else
		*ret_names = names;
	return r;
}

int ns_record_remove(ns_cookie cookie)
{
	_cleanup_free_ char *path = NULL;
	int r = record_path(cookie, &path);

	if (r < 0)
		return r;
	atomic_forget(path);
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int only_records(const struct dirent *entry)
{
	return entry->d_name[strspn(entry->d_name, "0123456789abcdef")] == '\0';
}

int ns_record_each(int (*each)(void *arg, struct ns_record *record), void *arg)
{
	struct dirent **names;
	int n, r = 0;

	n = scandir(NETNS_DIR, &names, only_records, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		struct ns_record record = { 0 };
		ns_cookie cookie;

		if (r == 0 && sscanf(names[i]->d_name, "%" SCNx64, &cookie) == 1) {
			r = ns_record_load(cookie, &record);
			/* One that is gone meanwhile, or was set aside, is not in the way of the others. */
			if (r == 0)
				r = each(arg, &record);
			else if (r == -ENOENT || r == -EBADMSG)
				r = 0;
			ns_record_free(&record);
		}
		free(names[i]);
	}
	free(names);
	return r;
}

int ns_record_open(const struct ns_record *record, int *ret_fd)
{
	_cleanup_fd_ int fd = -1;
	ns_cookie cookie;
	int r = ns_open(record->name, &fd);

	if (r < 0)
		return r == -ENOENT || r == -EINVAL ? 0 : r;
	r = ns_get_cookie(fd, &cookie);
	if (r < 0)
		return r;
	if (cookie != record->cookie)
		return 0;
	*ret_fd = take_fd(&fd);
	return 1;
}

void ns_record_free(struct ns_record *record)
{
	free(record->name);
	*record = (struct ns_record){ 0 };
}
