/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "close-later.h"

#include <linux/io_uring.h>
#include <sys/syscall.h>

#include "util.h"

void close_later(int fd)
{
	struct io_uring_params params = { 0 };
	_cleanup_fd_ int ring = -1;
	int saved = errno;

	if (fd < 0)
		return;
	ring = (int)syscall(SYS_io_uring_setup, 1, &params);
	/* As a fixed file it belongs to the ring, whose own end is deferred (io_ring_exit_work in io_uring/io_uring.c). */
	if (ring >= 0)
		(void)syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &fd, 1);
	close_fd(fd);
	errno = saved;
}
