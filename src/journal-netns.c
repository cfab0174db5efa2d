/* SPDX-License-Identifier: GPL-2.0-or-later */
/* journal-netns.c - the records of namespaces that tunnels of ours live in. */
#include "journal-text.h"

#include <dirent.h>
#include <inttypes.h>

#include "atomic.h"

static int record_path(ns_cookie cookie, char **ret_path)
{
	return asprintf(ret_path, NETNS_DIR "/%" PRIx64, cookie) < 0 ? -ENOMEM : 0;
}

static int parse_keep(struct ns_record *record, const char *value)
{
	uint64_t mode;

	if (parse_u64(value, KEEP_NO, &mode) < 0)
		return -EBADMSG;
	record->keep = (enum keep_mode)mode;
	return 0;
}

static int parse_record_line(void *arg, const struct journal_field *f)
{
	struct ns_record *record = arg;
	bool value = strcmp(f->value, "1") == 0;

	if (strcmp(f->name, "name") == 0)
		return journal_text_into(&record->name, f->value);
	if (strcmp(f->name, "made") == 0)
		record->made = value;
	else if (strcmp(f->name, "etc-made") == 0)
		record->etc_made = value;
	else if (strcmp(f->name, "kept") == 0)
		record->kept = value;
	else if (strcmp(f->name, "keep") == 0)
		return parse_keep(record, f->value);
	else
		return -EBADMSG;
	return 0;
}

int ns_record_load(ns_cookie cookie, struct ns_record *ret_record)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	struct ns_record record = { .cookie = cookie };
	size_t len;
	int r;

	r = record_path(cookie, &path);
	if (r == 0)
		r = read_file(path, JOURNAL_MAX_SIZE, &text, &len);
	if (r < 0)
		return r;
	r = journal_parse(text, parse_record_line, &record);
	if (r < 0) {
		ns_record_free(&record);
		return r == -EBADMSG ? journal_set_aside(path) : r;
	}
	*ret_record = record;
	return 0;
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
	buf_fmt(&text, "made %d\netc-made %d\nkept %d\nkeep %d\nend\n", record->made, record->etc_made, record->kept, (int)record->keep);
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

void ns_record_free(struct ns_record *record)
{
	free(record->name);
	*record = (struct ns_record){ 0 };
}
