/* SPDX-License-Identifier: GPL-2.0-or-later */
/* close-later.h - the end of a descriptor that nobody should have to wait for. */
#pragma once

/*
 * Closes the last descriptor of something whose release takes the kernel long, as fanotify's
 * does: it waits until no processor uses the marks any more, some 10 ms (fs/notify/mark.c).
 * An io_uring takes the descriptor along and is released by a thread of the kernel's, so neither
 * this call nor the process's exit waits, and no process stays behind. Where there is no io_uring,
 * it is closed the slow way. Ignores a negative descriptor; keeps errno.
 */
void close_later(int fd);
