/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sysctl.h"

#include <fcntl.h>
#include <limits.h>

#include "ns.h"

struct request {
	const char *name;
	const char *value; /* NULL: read */
	char *text;
	size_t size;
};

/* Which namespace's they are is decided when the name is looked up. */
static int do_request(void *arg)
{
	struct request *request = arg;
	_cleanup_fd_ int fd = -1;
	char path[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", request->name);
	fd = open(path, (request->value ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (request->value)
		return write_all(fd, request->value, strlen(request->value));
	n = read(fd, request->text, request->size);
	if (n < 0)
		return -errno;
	if ((size_t)n == request->size)
		return -EFBIG;
	request->text[n] = '\0';
	request->text[strcspn(request->text, "\n")] = '\0';
	return 0;
}

int sysctl_read(int ns_fd, const char *name, char *ret_text, size_t size)
{
	struct request request = { .name = name, .text = ret_text, .size = size };

	return ns_call(ns_fd, do_request, &request);
}

int sysctl_write(int ns_fd, const char *name, const char *text)
{
	struct request request = { .name = name, .value = text };

	return ns_call(ns_fd, do_request, &request);
}
