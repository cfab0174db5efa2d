/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "journal-text.h"

#include <stdio.h>

#include "log.h"

#define MAGIC "wg-nsquick-journal 1"

void journal_add_text(struct buf *b, const char *name, const char *value)
{
	if (!value)
		return;
	buf_fmt(b, "%s ", name);
	for (const char *p = value; *p; p++) {
		if (*p == '%' || (unsigned char)*p < ' ' || *p == 0x7f)
			buf_fmt(b, "%%%02x", (unsigned char)*p);
		else
			buf_add(b, p, 1);
	}
	buf_str(b, "\n");
}

char *journal_decode(const char *value)
{
	char *text = strdup(value), *to = text;

	if (!text)
		return NULL;
	for (const char *p = value; *p; p++) {
		unsigned int byte;

		if (*p == '%' && sscanf(p + 1, "%2x", &byte) == 1 && p[1] && p[2]) {
			*to++ = (char)byte;
			p += 2;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
	return text;
}

static int get_boot_id(const char **ret_id)
{
	static char id[64];
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (!id[0]) {
		r = read_file("/proc/sys/kernel/random/boot_id", 4096, &text, &len);
		if (r < 0)
			return r;
		snprintf(id, sizeof(id), "%.*s", (int)strcspn(text, "\n"), text);
	}
	*ret_id = id;
	return 0;
}

/* Cuts the next line into name and value; false at the end, or when it is no whole line. Without a blank the value is empty. */
static bool next_field(char **text, const char *end, struct journal_field *field)
{
	char *line = *text, *stop = memchr(line, '\n', (size_t)(end - line)), *blank;

	if (!stop)
		return false;
	*stop = '\0';
	*text = stop + 1;
	blank = strchr(line, ' ');
	if (blank)
		*blank = '\0';
	field->name = line;
	field->value = blank ? blank + 1 : line + strlen(line);
	return true;
}

int journal_text_into(char **slot, const char *value)
{
	free(*slot);
	*slot = journal_decode(value);
	return *slot ? 0 : -ENOMEM;
}

int journal_set_aside(int fd, const char *path)
{
	_cleanup_free_ char *aside = NULL;
	int r;

	if (asprintf(&aside, "%s" JOURNAL_ASIDE, path) < 0)
		return -ENOMEM;
	/* Who reads without a lock may have been slow. */
	r = journal_is_named(fd, path);
	if (r <= 0)
		return r < 0 ? r : -ESTALE;
	if (rename(path, aside) < 0)
		return -errno;
	log_warn("%s is not a journal that this version can read; expected `%s' of this boot; set aside as %s", path, MAGIC, aside);
	return -EBADMSG;
}

/* Earlier programs of this version wrote no number: their tunnels may be up. */
static bool is_count(const char *value, uint64_t lines)
{
	uint64_t number = 0;

	return !*value || (parse_u64(value, UINT64_MAX, &number) == 0 && number == lines);
}

int journal_parse(char *text, size_t len, int (*parse)(void *arg, const struct journal_field *f), void *arg)
{
	const char *boot, *end = text + len;
	struct journal_field field;
	int r;

	/* Not being able to tell is no reason to set one aside. */
	r = get_boot_id(&boot);
	if (r < 0)
		return r;
	if (memchr(text, '\0', len) || len <= strlen(MAGIC) || memcmp(text, MAGIC "\n", strlen(MAGIC) + 1) != 0)
		return -EBADMSG;
	text += strlen(MAGIC) + 1;
	if (!next_field(&text, end, &field) || strcmp(field.name, "boot") != 0 || strcmp(field.value, boot) != 0)
		return -EBADMSG;
	for (uint64_t lines = 2; next_field(&text, end, &field); lines++) {
		if (strcmp(field.name, "end") == 0)
			return text == end && is_count(field.value, lines) ? 0 : -EBADMSG;
		r = parse(arg, &field);
		if (r < 0)
			return r;
	}
	return -EBADMSG;
}

#define MAX_SIZE (1 << 20) /* bytes of a file that can be one of ours */

int journal_read(int fd, int (*parse)(void *arg, const struct journal_field *f), void *arg)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = read_all(fd, MAX_SIZE, &text, &len);

	if (r == -EFBIG)
		return -EBADMSG;
	return r < 0 ? r : journal_parse(text, len, parse, arg);
}

int journal_which(const struct journal_field *f, const char *const names[], int n, int once, unsigned int *seen)
{
	for (int i = 0; i < n; i++) {
		if (strcmp(f->name, names[i]) != 0)
			continue;
		if (i < once && *seen & 1U << i)
			return -EBADMSG;
		*seen |= 1U << i;
		return i;
	}
	return -EBADMSG;
}

int journal_begin(struct buf *text)
{
	const char *boot;
	int r = get_boot_id(&boot);

	if (r == 0)
		buf_fmt(text, MAGIC "\nboot %s\n", boot);
	return r;
}

void journal_end(struct buf *text)
{
	size_t lines = 0;

	for (size_t i = 0; i < text->len; i++)
		lines += text->data[i] == '\n';
	buf_fmt(text, "end %zu\n", lines);
}
