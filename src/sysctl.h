/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sysctl.h - settings of one network namespace, under /proc/sys/net (Documentation/networking/ip-sysctl). */
#pragma once

#include "util.h"

/* `name` is a path beneath /proc/sys/net. The text without its newline; -EFBIG when it does not fit; open(2)'s errors. */
int sysctl_read(int ns_fd, const char *name, char *ret_text, size_t size);
int sysctl_write(int ns_fd, const char *name, const char *text);
