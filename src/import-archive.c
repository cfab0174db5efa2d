/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "import-archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <stdarg.h>
#include <strings.h>

#include "library.h"

#define RATIO_FROM (1U << 20)
#define BLOCK_LEN 65536U

#define SYMBOLS(X)                                                                                                      \
	X(archive_entry_filetype) \
	X(archive_entry_hardlink) \
	X(archive_entry_is_encrypted) \
	X(archive_entry_pathname) \
	X(archive_entry_pathname_utf8) \
	X(archive_entry_size) \
	X(archive_entry_size_is_set) \
	X(archive_error_string) \
	X(archive_filter_bytes) \
	X(archive_read_data_block) \
	X(archive_read_free) \
	X(archive_read_new) \
	X(archive_read_next_header) \
	X(archive_read_open1) \
	X(archive_read_set_callback_data) \
	X(archive_read_set_read_callback) \
	X(archive_read_set_seek_callback) \
	X(archive_read_support_filter_bzip2) \
	X(archive_read_support_filter_gzip) \
	X(archive_read_support_filter_xz) \
	X(archive_read_support_filter_zstd) \
	X(archive_read_support_format_tar) \
	X(archive_read_support_format_zip) \
	X(archive_set_error)

#define DECLARE(name) __typeof__(&name) name;
#define LIST(name) LIBRARY_SYMBOL(la, name),

static struct {
	SYMBOLS(DECLARE)
} la;

int import_archive_load(void)
{
	static const struct library_symbol symbols[] = { SYMBOLS(LIST) };

	return library_load("libarchive.so.13", symbols, ARRAY_SIZE(symbols));
}

struct reader {
	struct archive *archive;
	struct import_archive source;
	size_t max_size;
	size_t total; /* bytes, unpacked, as far as we saw them */
	unsigned int entries, others, wanted;
	char *why; /* 512 bytes */
	char block[BLOCK_LEN];
};

__attribute__((format(printf, 2, 3))) static int refuse(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, 512, fmt, ap);
	va_end(ap);
	/* Names of entries are the stranger's. */
	for (char *p = r->why; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return -EINVAL;
}

int import_archive_probe(const char *begin, size_t len)
{
	static const struct {
		size_t at, len;
		const char *magic;
		bool read;
	} magics[] = {
		{ 0, 4, "PK\3\4", true },	 { 0, 4, "PK\5\6", true },	   { 0, 2, "\x1f\x8b", true }, { 0, 3, "BZh", true },
		{ 0, 6, "\xfd" "7zXZ\0", true }, { 0, 4, "\x28\xb5\x2f\xfd", true }, { 257, 5, "ustar", true }, { 0, 6, "7z\xbc\xaf\x27\x1c", false },
		{ 0, 4, "Rar!", false },	 { 0, 4, "MSCF", false },	   { 0, 5, "%PDF-", false },	{ 0, 4, "\4\x22\x4d\x18", false },
		{ 0, 3, "\x5d\0\0", false },	 { 0, 4, "LZIP", false },	   { 0, 2, "\x1f\x9d", false }, { 0, 5, "07070", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		if (len >= magics[i].at + magics[i].len && memcmp(begin + magics[i].at, magics[i].magic, magics[i].len) == 0)
			return magics[i].read ? 1 : -EOPNOTSUPP;
	return 0;
}

bool import_wanted_name(const char *name)
{
	const char *base = strrchr(name, '/');
	size_t len;

	base = base ? base + 1 : name;
	len = strlen(base);
	/* ._x.conf is how a Macintosh keeps a file's properties. */
	if (*base == '.')
		return false;
	return (len > 5 && strcasecmp(base + len - 5, ".conf") == 0) || (len > 9 && strcasecmp(base + len - 9, ".conf.txt") == 0);
}

/* ---- the source: what was read before, then the descriptor ---- */

static la_ssize_t on_read(struct archive *archive, void *arg, const void **ret_block)
{
	struct reader *r = arg;
	ssize_t n;

	if (r->source.begin_len) {
		*ret_block = r->source.begin;
		n = (ssize_t)r->source.begin_len;
		r->source.begin_len = 0;
		return n;
	}
	do
		n = read(r->source.fd, r->block, sizeof(r->block));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		la.archive_set_error(archive, errno, "cannot be read: %s", strerror(errno));
	*ret_block = r->block;
	return n;
}

static la_int64_t on_seek(struct archive *archive, void *arg, la_int64_t offset, int whence)
{
	struct reader *r = arg;
	off_t at = lseek(r->source.fd, offset, whence);

	if (at < 0)
		la.archive_set_error(archive, errno, "cannot be read: %s", strerror(errno));
	return at < 0 ? ARCHIVE_FATAL : at;
}

static int open_archive(struct reader *r)
{
	struct archive *a = r->archive;

	/* No others: none that run programs, and no more code than is needed. */
	la.archive_read_support_format_zip(a);
	la.archive_read_support_format_tar(a);
	la.archive_read_support_filter_gzip(a);
	la.archive_read_support_filter_bzip2(a);
	la.archive_read_support_filter_xz(a);
	la.archive_read_support_filter_zstd(a);
	la.archive_read_set_read_callback(a, on_read);
	if (r->source.seekable)
		la.archive_read_set_seek_callback(a, on_seek);
	la.archive_read_set_callback_data(a, r);
	return la.archive_read_open1(a) == ARCHIVE_OK ? 0 : refuse(r, "no archive that can be read: %s", la.archive_error_string(a));
}

/* ---- entries ---- */

/* Windows' archives have backslashes. */
static int check_path(struct reader *r, char *path)
{
	unsigned int depth = 0;

	for (char *p = path; *p; p++)
		if (*p == '\\')
			*p = '/';
	if (*path == '/' || (path[0] && path[1] == ':'))
		return refuse(r, "`%s' in it is an absolute path; expected paths inside of the archive", path);
	for (char *p = path; *p;) {
		size_t len = strcspn(p, "/");

		if (len == 2 && strncmp(p, "..", 2) == 0)
			return refuse(r, "`%s' in it leads out of the archive; expected paths inside", path);
		if (p[len] && p[len + 1] && ++depth > IMPORT_MAX_DEPTH)
			return refuse(r, "folders in it are nested more than %u deep", IMPORT_MAX_DEPTH);
		p += len + strspn(p + len, "/");
	}
	for (char *p = path; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return refuse(r, "`%s' in it has a control character in its name", path);
	return 0;
}

static int check_ratio(struct reader *r)
{
	la_int64_t packed = la.archive_filter_bytes(r->archive, -1), unpacked = la.archive_filter_bytes(r->archive, 0);

	/* A .tar.gz is unpacked as a whole, a .zip file by file. */
	if (unpacked < (la_int64_t)r->total)
		unpacked = (la_int64_t)r->total;
	if (unpacked > IMPORT_MAX_TOTAL)
		return refuse(r, "it unpacks to more than %u MiB", IMPORT_MAX_TOTAL >> 20);
	if (unpacked > RATIO_FROM && packed > 0 && unpacked / packed > IMPORT_MAX_RATIO)
		return refuse(r, "it unpacks to more than %u times its size", IMPORT_MAX_RATIO);
	return 0;
}

/* All of an entry, wanted or not: skipping would unpack it out of sight. */
static int read_entry(struct reader *r, const char *path, bool wanted, struct buf *ret_text)
{
	const void *block;
	la_int64_t offset, expected = 0;
	size_t len;
	int status;

	buf_str(ret_text, "");
	while ((status = la.archive_read_data_block(r->archive, &block, &len, &offset)) == ARCHIVE_OK) {
		int error;

		/* A hole in the file. */
		if (offset != expected)
			return refuse(r, "`%s' in it is a sparse file", path);
		expected += (la_int64_t)len;
		r->total += len;
		error = check_ratio(r);
		if (error < 0)
			return error;
		if (wanted && (size_t)expected > r->max_size)
			return refuse(r, "`%s' in it is larger than %zu bytes; expected a provider's files", path, r->max_size);
		if (wanted)
			buf_add(ret_text, block, len);
	}
	if (status != ARCHIVE_EOF)
		return refuse(r, "`%s' in it cannot be unpacked: %s", path, la.archive_error_string(r->archive));
	return ret_text->failed ? -ENOMEM : 0;
}

static int check_entry(struct reader *r, struct archive_entry *entry, const char *path)
{
	if (++r->entries > IMPORT_MAX_ENTRIES)
		return refuse(r, "it has more than %u entries", IMPORT_MAX_ENTRIES);
	if (la.archive_entry_hardlink(entry) || la.archive_entry_filetype(entry) == AE_IFLNK)
		return refuse(r, "`%s' in it is a link; expected files and folders alone", path);
	if (la.archive_entry_filetype(entry) != AE_IFREG && la.archive_entry_filetype(entry) != AE_IFDIR)
		return refuse(r, "`%s' in it is no file; expected files and folders alone", path);
	if (la.archive_entry_is_encrypted(entry))
		return refuse(r, "it is encrypted; unpack it, and import the folder");
	/* Said in advance, it need not be unpacked to be seen. */
	if (la.archive_entry_size_is_set(entry) && la.archive_entry_size(entry) > (la_int64_t)(import_wanted_name(path) ? r->max_size : IMPORT_MAX_TOTAL))
		return refuse(r, "`%s' in it is larger than %zu bytes; expected a provider's files", path, import_wanted_name(path) ? r->max_size : (size_t)IMPORT_MAX_TOTAL);
	return 0;
}

static int take_entry(struct reader *r, struct archive_entry *entry, int (*each)(void *arg, const char *path, const char *text, size_t len), void *arg)
{
	const char *name = la.archive_entry_pathname_utf8(entry);
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct buf text = { 0 };
	bool wanted;
	int error;

	if (!name)
		name = la.archive_entry_pathname(entry);
	if (!name || !*name || strlen(name) > 1024)
		return refuse(r, "an entry in it has no name, or one of more than 1024 bytes");
	path = strdup(name);
	if (!path)
		return -ENOMEM;
	error = check_path(r, path);
	if (error == 0)
		error = check_entry(r, entry, path);
	if (error < 0 || la.archive_entry_filetype(entry) == AE_IFDIR)
		return error;
	wanted = import_wanted_name(path);
	error = read_entry(r, path, wanted, &text);
	if (error < 0)
		return error;
	if (!wanted) {
		r->others++;
		return 0;
	}
	r->wanted++;
	return each(arg, path, text.data, text.len);
}

static int walk(struct reader *r, int (*each)(void *arg, const char *path, const char *text, size_t len), void *arg)
{
	struct archive_entry *entry;
	int error = open_archive(r), status = ARCHIVE_EOF;

	while (error == 0 && (status = la.archive_read_next_header(r->archive, &entry)) == ARCHIVE_OK)
		error = take_entry(r, entry, each, arg);
	if (error == 0 && status != ARCHIVE_EOF)
		return refuse(r, "it cannot be unpacked: %s", la.archive_error_string(r->archive));
	if (error == 0 && !r->wanted)
		return refuse(r, "no .conf file is in it");
	return error;
}

int import_archive_read(const struct import_archive *source, size_t max_size, int (*each)(void *arg, const char *path, const char *text, size_t len), void *arg,
		       unsigned int *ret_others, char ret_why[static 512])
{
	struct reader *r = calloc(1, sizeof(*r));
	int error = -ENOMEM;

	if (!r)
		return -ENOMEM;
	if (!la.archive_read_new) {
		snprintf(ret_why, 512, "an archive, and libarchive is not installed; unpack it, and import the folder");
		free(r);
		return -EINVAL;
	}
	r->archive = la.archive_read_new();
	r->source = *source;
	r->max_size = max_size;
	r->why = ret_why;
	if (r->archive)
		error = walk(r, each, arg);
	if (r->archive)
		la.archive_read_free(r->archive);
	*ret_others = r->others;
	/* It held keys. */
	wipe_free(r, sizeof(*r));
	return error;
}
