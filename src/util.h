/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * util.h - what every file of the project may use: cleanup attributes,
 * growing buffers, strict numbers. Pure: no root, no netlink, no output.
 *
 * The error convention of the whole project: a function returns 0 or -errno;
 * its output parameters are called ret_… and are not touched on failure.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CLEANUP(f) __attribute__((cleanup(f)))

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

/* Closes a descriptor, keeps errno, and answers -1 so that `fd = close_fd(fd)` reads well. */
static inline int close_fd(int fd)
{
	if (fd >= 0) {
		int saved = errno;

		close(fd);
		errno = saved;
	}
	return -1;
}

/* dup(2), but closed at exec like all of ours. */
int dup_fd(int fd);

static inline void cleanup_fd(int *fd)
{
	close_fd(*fd);
}

static inline void cleanup_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

/*
 * An error that says nothing about what was asked: memory or descriptors were out, a signal came, a
 * device failed. "Is it there?" must not be answered with no then.
 */
static inline bool is_transient(int r)
{
	return r == -ENOMEM || r == -ENOBUFS || r == -EINTR || r == -EIO || r == -EMFILE || r == -ENFILE;
}

static inline void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Ownership of a descriptor leaves the variable that would close it. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define TAKE_PTR(p)                     \
	({                              \
		__auto_type _taken = p; \
		p = NULL;               \
		_taken;                 \
	})

#define _cleanup_free_ CLEANUP(cleanup_free)
#define _cleanup_fd_ CLEANUP(cleanup_fd)
#define _cleanup_file_ CLEANUP(cleanup_file)

/* Appends one zeroed element to the array *items of *n elements. Returns it, or NULL when memory is out. */
void *grow_array(void *items, size_t *n, size_t size);
#define GROW(items, n) ((__typeof__(items))grow_array(&(items), &(n), sizeof(*(items))))

/* The same for elements that hold keys: a block that was outgrown is wiped before it is freed. */
void *grow_array_wiped(void *items, size_t *n, size_t size);
#define GROW_WIPED(items, n) ((__typeof__(items))grow_array_wiped(&(items), &(n), sizeof(*(items))))

/* A growing string: always terminated once anything was added. */
struct buf {
	char *data;
	size_t len;
	size_t cap;
	bool failed; /* memory was out: the content is not complete */
};

void buf_add(struct buf *b, const void *data, size_t len);
void buf_str(struct buf *b, const char *s);
__attribute__((format(printf, 2, 3))) void buf_fmt(struct buf *b, const char *fmt, ...);
/* One more item of a list: "a, b". `before` stands before the text. */
void buf_list(struct buf *b, const char *before, const char *text);
/* Wipes what was held: buffers carry private keys. */
void buf_free(struct buf *b);
#define _cleanup_buf_ CLEANUP(buf_free)

/* Overwrites before freeing; for text and structures that held a key. */
void wipe_free(void *p, size_t len);

/* A set of strings in order, owned. */
struct strv {
	char **v;
	size_t n;
};

int strv_add(struct strv *s, const char *text, size_t len);
bool strv_has(const struct strv *s, const char *text);
void strv_free(struct strv *s);

/*
 * Strict numbers: digits only (decimal), nothing before or after, no sign, no blank.
 * -EINVAL when it is not a number, -ERANGE when it is above `max`.
 */
int parse_u64(const char *s, uint64_t max, uint64_t *ret_value);

/*
 * The form that iproute2 accepts for MTU and table numbers (C's rules: 0x… is
 * hexadecimal, 0… octal; a plus before it). -EINVAL when it is not a number, -ERANGE above `max`.
 */
int parse_cnum(const char *s, uint64_t max, uint64_t *ret_value);

/* The white space of the C locale, whatever the caller's locale is. */
static inline bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * Reads a whole descriptor from where it stands. The text is terminated (NUL
 * bytes inside are kept), owned by the caller, to be freed with wipe_free
 * when it may hold a key. -EFBIG above `max` bytes, else read(2)'s errors.
 */
int read_all(int fd, size_t max, char **ret_text, size_t *ret_len);
int read_file(const char *path, size_t max, char **ret_text, size_t *ret_len);

/* Writes everything, over short writes and EINTR. */
int write_all(int fd, const void *data, size_t len);

/* mkdir -p of one level, with that mode whatever the umask is: -ENOTDIR when something else has the name. */
int make_dir(const char *path, unsigned int mode);

/* CLOCK_MONOTONIC in milliseconds: to measure with, and to wait until. */
int64_t now_ms(void);
/* Less than a second; a signal ends it early. */
void sleep_ms(unsigned int ms);
/* Waits for a child, which must not go on behind our back: also when waiting fails. 0 with its status, as waitpid(2) has it, or -errno. */
int wait_child(pid_t pid, int *ret_status);
/* The same for one whose exit status is an errno: -errno; -ECHILD, too: it was killed. */
int wait_errno(pid_t pid);
