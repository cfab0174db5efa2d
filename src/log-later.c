/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log-later.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

#include "log.h"

#define RETRY_MS 50 /* no poll(2) for room: on a terminal there may be some, and not enough */
#define MAX_KEPT (1 << 20)

static struct {
	pid_t owner; /* 0: lines are written as ever */
	bool looked, socket;
	int fd; /* standard error, opened once more, or -1 */
	struct buf kept;
	size_t written; /* of that */
	bool lost;	/* there was too much to keep */
} later = { .fd = -1 };

/*
 * O_NONBLOCK would be everybody's who has this stream: so it is opened once more. But for a pseudo-terminal's
 * other side, of which there would be a new one.
 */
static void look(void)
{
	struct stat st;
	unsigned int number;

	later.looked = true;
	if (fstat(STDERR_FILENO, &st) < 0)
		return;
	later.socket = S_ISSOCK(st.st_mode);
	if (S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(STDERR_FILENO) && ioctl(STDERR_FILENO, TIOCGPTN, &number) < 0))
		later.fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* As write(2): -EAGAIN if it would have to wait. */
static ssize_t write_now(const char *text, size_t len)
{
	struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t n;

	if (!later.looked)
		look();
	if (later.socket)
		n = send(STDERR_FILENO, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (later.fd >= 0)
		n = write(later.fd, text, len);
	/* A file; or what may not be opened: room for a whole line is not certain there, but nearly. */
	else if (poll(&room, 1, 0) == 0)
		return -EAGAIN;
	else
		n = write(STDERR_FILENO, text, len);
	return n < 0 ? -errno : n;
}

/* One line is one write, as long as there is room for it. */
int log_later_go_on(void)
{
	while (later.written < later.kept.len) {
		const char *line = later.kept.data + later.written;
		size_t len = (size_t)((const char *)memchr(line, '\n', later.kept.len - later.written) + 1 - line);
		ssize_t n = write_now(line, len);

		if (n == -EAGAIN)
			return RETRY_MS;
		/* Who cannot be written to at all is written to no more than ever. */
		if (n != -EINTR)
			later.written += n > 0 ? (size_t)n : len;
	}
	if (later.kept.len)
		buf_free(&later.kept);
	later.kept = (struct buf){ 0 };
	later.written = 0;
	return -1;
}

/* Of lines, with their ends. */
static void take(const char *text, size_t len)
{
	ssize_t ignored;

	/* A child has a copy of what is kept, and waits like anybody. */
	if (getpid() != later.owner) {
		ignored = write(STDERR_FILENO, text, len);
		(void)ignored;
		return;
	}
	if (later.kept.len > MAX_KEPT) {
		later.lost = true;
		return;
	}
	buf_add(&later.kept, text, len);
	if (later.kept.failed) {
		later.kept.failed = false;
		later.lost = true;
	}
	(void)log_later_go_on();
}

void log_later(void)
{
	if (later.owner == getpid())
		return;
	if (later.owner)
		log_later_end(-1, 0);
	later.owner = getpid();
	log_divert(take);
}

static bool has_come(int signals, int wait)
{
	struct pollfd fd = { .fd = signals, .events = POLLIN };
	struct signalfd_siginfo info;

	/* Read, or it would kill as soon as it is no longer blocked. */
	return poll(&fd, 1, wait) > 0 && read(signals, &info, sizeof(info)) == sizeof(info);
}

void log_later_end(int signals, int patience)
{
	if (later.owner == getpid()) {
		if (later.lost)
			buf_str(&later.kept, "... and more\n");
		for (int wait, waited = 0; (wait = log_later_go_on()) > 0 && (patience < 0 || waited < patience) && !has_come(signals, wait);)
			waited += wait;
	}
	log_divert(NULL);
	buf_free(&later.kept);
	later.fd = close_fd(later.fd);
	later.owner = 0;
	later.looked = later.socket = later.lost = false;
	later.kept = (struct buf){ 0 };
	later.written = 0;
}
