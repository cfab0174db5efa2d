/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "import-child.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <locale.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "import-archive.h"
#include "import-wire.h"
#include "sandbox.h"

#define SECONDS 30 /* of processor time for all files: a thousand take a tenth of one */
#define OUT_OF_MEMORY 12 /* the child's exit status */
#define NO_SANDBOX 13

enum { FILES = 3, RECORDS = 4 }; /* the child's descriptors */

struct child {
	bool keep_hooks;
	const char *name; /* of the source */
};

/* ---- in the child ---- */

static _Noreturn void give_up(void)
{
	_exit(OUT_OF_MEMORY);
}

static void send_record(const struct import_record *record)
{
	_cleanup_buf_ struct buf data = { 0 };
	uint32_t len;

	if (import_record_encode(record, &data) < 0)
		give_up();
	len = (uint32_t)data.len;
	if (write_all(RECORDS, &len, sizeof(len)) < 0 || write_all(RECORDS, data.data, data.len) < 0)
		_exit(1);
}

static void send_end(const char *message, unsigned int others)
{
	const struct import_record record = { .kind = RECORD_END, .message = (char *)message, .others = others };

	send_record(&record);
}

static int take_text(void *arg, const char *path, const char *text, size_t len)
{
	const struct child *child = arg;
	struct import_record record = { .kind = RECORD_FILE, .path = (char *)path };

	record.result = import_text(*path ? path : child->name, text, len, child->keep_hooks, &record.import);
	if (record.result == -ENOMEM)
		give_up();
	send_record(&record);
	import_free(&record.import);
	return 0;
}

static void take_archive(struct child *child, const struct import_archive *source)
{
	char why[512] = "";
	unsigned int others = 0;
	int r = import_archive_read(source, IMPORT_MAX_SIZE, take_text, child, &others, why);

	if (r == -ENOMEM)
		give_up();
	send_end(why, others);
}

/* Reads up to `max` bytes more; false when that failed, which is told. */
static bool read_more(int fd, struct buf *text, size_t max)
{
	char block[4096];

	while (text->len < max) {
		size_t want = max - text->len < sizeof(block) ? max - text->len : sizeof(block);
		ssize_t n = read(fd, block, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			char why[128];

			snprintf(why, sizeof(why), "cannot be read: %s", strerror(errno));
			send_end(why, 0);
			return false;
		}
		if (n == 0)
			break;
		buf_add(text, block, (size_t)n);
	}
	explicit_bzero(block, sizeof(block));
	if (text->failed)
		give_up();
	return true;
}

static void take_source(struct child *child, int fd)
{
	_cleanup_buf_ struct buf text = { 0 };
	struct import_archive source = { .fd = fd };
	int archive;

	buf_str(&text, "");
	if (!read_more(fd, &text, IMPORT_PROBE_LEN))
		return;
	archive = import_archive_probe(text.data, text.len);
	if (archive > 0) {
		source.seekable = lseek(fd, 0, SEEK_SET) == 0;
		source.begin = text.data;
		source.begin_len = source.seekable ? 0 : text.len;
		take_archive(child, &source);
	} else if (archive < 0) {
		send_end("of a kind that is not read; expected a .conf file, a folder, a .zip or a .tar.*", 0);
	} else if (read_more(fd, &text, IMPORT_MAX_SIZE + 1)) {
		(void)take_text(child, "", text.data, text.len);
		send_end("", 0);
	}
}

/* The next source: its descriptor, or -1 when there is none. */
static int receive(char *name, size_t size)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = { name, size - 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *header;
	ssize_t n;
	int fd;

	do
		n = recvmsg(FILES, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return -1;
	name[n] = '\0';
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* Nothing is left open but the channels, and (for a sanitizer's last words) standard error. */
static void keep_channels(int files, int records)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* Out of the way of each other's places. */
	int high_files = fcntl(files, F_DUPFD_CLOEXEC, 10), high_records = fcntl(records, F_DUPFD_CLOEXEC, 10);

	if (null < 0 || high_files < 0 || high_records < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		_exit(NO_SANDBOX);
#ifndef __SANITIZE_ADDRESS__
	if (dup2(null, STDERR_FILENO) < 0)
		_exit(NO_SANDBOX);
#endif
	if (dup2(high_files, FILES) < 0 || dup2(high_records, RECORDS) < 0 || close_range(RECORDS + 1, UINT_MAX, 0) < 0)
		_exit(NO_SANDBOX);
}

static _Noreturn void run(bool keep_hooks, int files, int records)
{
	char name[IMPORT_PATH_MAX];
	struct child child = { .keep_hooks = keep_hooks, .name = name };
	int fd;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Names in archives are UTF-8, or are taken for it. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	(void)import_archive_load();
	keep_channels(files, records);
	if (sandbox_enter(SECONDS) < 0)
		_exit(NO_SANDBOX);
	while ((fd = receive(name, sizeof(name))) >= 0) {
		take_source(&child, fd);
		close_fd(fd);
	}
	_exit(0);
}

/* ---- in the parent ---- */

int import_child_start(bool keep_hooks, struct import_child *ret_child)
{
	int files[2], records[2];
	pid_t pid;
	int r = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, files) < 0)
		return -errno;
	if (pipe2(records, O_CLOEXEC) < 0) {
		r = -errno;
		goto fail;
	}
	pid = fork();
	if (pid == 0)
		run(keep_hooks, files[1], records[1]);
	r = pid < 0 ? -errno : 0;
	close_fd(records[1]);
	if (r == 0) {
		close_fd(files[1]);
		*ret_child = (struct import_child){ .pid = pid, .files = files[0], .records = records[0] };
		return 0;
	}
	close_fd(records[0]);
fail:
	close_fd(files[0]);
	close_fd(files[1]);
	return r;
}

int import_child_send(const struct import_child *child, int fd, const char *name)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	size_t len = strlen(name) < IMPORT_PATH_MAX - 1 ? strlen(name) : IMPORT_PATH_MAX - 1;
	struct iovec part = { (void *)name, len };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	while (sendmsg(child->files, &message, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int import_child_stop(struct import_child *child)
{
	int status = 0, r;

	child->files = close_fd(child->files);
	child->records = close_fd(child->records);
	r = wait_child(child->pid, &status);
	if (r < 0)
		return r;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL))
		return -ETIME;
	if (WIFEXITED(status) && WEXITSTATUS(status) == OUT_OF_MEMORY)
		return -ENOMEM;
	return WIFEXITED(status) && WEXITSTATUS(status) == NO_SANDBOX ? -EPERM : -EBADMSG;
}
