/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

void *grow_array(void *items, size_t *n, size_t size)
{
	char **array = items;
	char *grown;

	/* Capacity is the next power of two of the count, so it need not be stored. */
	if ((*n & (*n - 1)) == 0) {
		size_t cap = *n ? *n * 2 : 1;

		grown = reallocarray(*array, cap, size);
		if (!grown)
			return NULL;
		*array = grown;
	}
	grown = *array + *n * size;
	memset(grown, 0, size);
	(*n)++;
	return grown;
}

void *grow_array_wiped(void *items, size_t *n, size_t size)
{
	char **array = items;
	char *grown;

	if ((*n & (*n - 1)) == 0) {
		/* Not realloc: it may leave a copy of a key behind in the freed block. */
		grown = reallocarray(NULL, *n ? *n * 2 : 1, size);
		if (!grown)
			return NULL;
		if (*n)
			memcpy(grown, *array, *n * size);
		wipe_free(*array, *n * size);
		*array = grown;
	}
	grown = *array + *n * size;
	memset(grown, 0, size);
	(*n)++;
	return grown;
}

static bool buf_room(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 256;
	char *grown;

	if (b->failed)
		return false;
	if (b->len + more < b->cap)
		return true;
	while (cap <= b->len + more)
		cap *= 2;
	/* Not realloc: it may leave a copy of a key behind in the freed block. */
	grown = malloc(cap);
	if (!grown) {
		b->failed = true;
		return false;
	}
	if (b->len)
		memcpy(grown, b->data, b->len);
	wipe_free(b->data, b->cap);
	b->data = grown;
	b->cap = cap;
	return true;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (!buf_room(b, len + 1))
		return;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !buf_room(b, (size_t)n + 1))
		return;
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void buf_list(struct buf *b, const char *before, const char *text)
{
	buf_fmt(b, "%s%s%s", b->len ? ", " : "", before, text);
}

int dup_fd(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

void buf_free(struct buf *b)
{
	wipe_free(b->data, b->cap);
	*b = (struct buf){ 0 };
}

void wipe_free(void *p, size_t len)
{
	if (!p)
		return;
	explicit_bzero(p, len);
	free(p);
}

int strv_add(struct strv *s, const char *text, size_t len)
{
	_cleanup_free_ char *copy = strndup(text, len);
	char **slot;

	if (!copy)
		return -ENOMEM;
	slot = GROW(s->v, s->n);
	if (!slot)
		return -ENOMEM;
	*slot = TAKE_PTR(copy);
	return 0;
}

bool strv_has(const struct strv *s, const char *text)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i], text) == 0)
			return true;
	return false;
}

void strv_free(struct strv *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct strv){ 0 };
}

static int parse_base(const char *s, unsigned int base, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;
	bool over = false;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		unsigned int digit;

		if (*s >= '0' && *s <= '9')
			digit = (unsigned int)(*s - '0');
		else if (*s >= 'a' && *s <= 'f')
			digit = (unsigned int)(*s - 'a') + 10;
		else if (*s >= 'A' && *s <= 'F')
			digit = (unsigned int)(*s - 'A') + 10;
		else
			return -EINVAL;
		if (digit >= base)
			return -EINVAL;
		if (value > (UINT64_MAX - digit) / base)
			over = true;
		else
			value = value * base + digit;
	}
	if (over || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int parse_u64(const char *s, uint64_t max, uint64_t *ret_value)
{
	return parse_base(s, 10, max, ret_value);
}

int parse_cnum(const char *s, uint64_t max, uint64_t *ret_value)
{
	s += *s == '+';
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		return parse_base(s + 2, 16, max, ret_value);
	if (s[0] == '0' && s[1])
		return parse_base(s + 1, 8, max, ret_value);
	return parse_base(s, 10, max, ret_value);
}

int read_all(int fd, size_t max, char **ret_text, size_t *ret_len)
{
	size_t cap = 4096, len = 0;
	char *text = malloc(cap);

	if (!text)
		return -ENOMEM;
	for (;;) {
		ssize_t n;

		if (len + 1 == cap) {
			char *grown = malloc(cap * 2);

			if (!grown) {
				wipe_free(text, cap);
				return -ENOMEM;
			}
			memcpy(grown, text, len);
			wipe_free(text, cap);
			text = grown;
			cap *= 2;
		}
		n = read(fd, text + len, cap - len - 1);
		if (n < 0) {
			int error = errno;

			if (error == EINTR)
				continue;
			wipe_free(text, cap);
			return -error;
		}
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max) {
			wipe_free(text, cap);
			return -EFBIG;
		}
	}
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	return 0;
}

int read_file(const char *path, size_t max, char **ret_text, size_t *ret_len)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return read_all(fd, max, ret_text, ret_len);
}

int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int make_dir(const char *path, unsigned int mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return chmod(path, mode) < 0 ? -errno : 0;
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int wait_child(pid_t pid, int *ret_status)
{
	int status;

	/* Only that there is none is an answer. */
	for (int tries = 0; waitpid(pid, &status, 0) < 0;)
		if (errno == ECHILD || (errno != EINTR && ++tries == 100))
			return -errno;
	*ret_status = status;
	return 0;
}

int wait_errno(pid_t pid)
{
	int status = 0, r = wait_child(pid, &status);

	if (r < 0)
		return r;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

void sleep_ms(unsigned int ms)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000L }, NULL);
}
