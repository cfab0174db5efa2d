/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wg-uapi.c - userspace devices, over the socket that each of them listens on. */
#include <dirent.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "uapi.h"
#include "wg.h"

#define SOCKET_DIR "/var/run/wireguard"

char *wg_userspace_socket(const char *name)
{
	char *path;

	return asprintf(&path, SOCKET_DIR "/%s.sock", name) < 0 ? NULL : path;
}

int wg_userspace_connect(const char *name, int *ret_fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 10 };
	_cleanup_fd_ int fd = -1;
	int n;

	n = snprintf(addr.sun_path, sizeof(addr.sun_path), SOCKET_DIR "/%s.sock", name);
	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Before: a daemon that is stopped lets callers wait for a place in its queue, too. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		/* A socket file that nobody listens on is what a killed daemon leaves. */
		return errno == ENOENT || errno == ECONNREFUSED ? -ENODEV : -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

/* The daemon keeps the connection open: a reply ends with a blank line. */
static int read_reply(int fd, struct buf *reply)
{
	char chunk[8192];
	int r = 0;

	while (reply->len < 2 || memcmp(reply->data + reply->len - 2, "\n\n", 2) != 0) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = n < 0 ? -errno : -EPIPE;
			break;
		}
		buf_add(reply, chunk, (size_t)n);
		if (reply->failed) {
			r = -ENOMEM;
			break;
		}
	}
	explicit_bzero(chunk, sizeof(chunk));
	return r;
}

static int converse(const char *name, const struct buf *request, struct buf *reply)
{
	_cleanup_fd_ int fd = -1;
	int r;

	if (request->failed)
		return -ENOMEM;
	r = wg_userspace_connect(name, &fd);
	if (r < 0)
		return r;
	r = write_all(fd, request->data, request->len);
	if (r < 0)
		return r;
	return read_reply(fd, reply);
}

int wg_userspace_apply(const char *name, const struct wg_iface *wg)
{
	_cleanup_buf_ struct buf request = { 0 };
	_cleanup_buf_ struct buf reply = { 0 };
	int r;

	uapi_format_set(wg, &request);
	r = converse(name, &request, &reply);
	return r < 0 ? r : uapi_parse_set(reply.data, reply.len);
}

int wg_userspace_read(const char *name, struct wg_iface *ret_wg)
{
	_cleanup_buf_ struct buf request = { 0 };
	_cleanup_buf_ struct buf reply = { 0 };
	int r;

	buf_str(&request, "get=1\n\n");
	r = converse(name, &request, &reply);
	if (r < 0)
		return r;
	r = uapi_parse_get(reply.data, reply.len, ret_wg);
	/* The protocol does not tell the public key. */
	if (r == 0 && ret_wg->has_private_key)
		wg_public_key(&ret_wg->private_key, &ret_wg->public_key);
	return r;
}

int wg_userspace_names(struct strv *ret_names)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir(SOCKET_DIR);
	struct strv list = { 0 };
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);
		_cleanup_free_ char *name = NULL;
		_cleanup_fd_ int fd = -1;

		if (len <= 5 || strcmp(entry->d_name + len - 5, ".sock") != 0)
			continue;
		name = strndup(entry->d_name, len - 5);
		if (!name || wg_userspace_connect(name, &fd) < 0)
			continue;
		if (strv_add(&list, name, len - 5) < 0) {
			strv_free(&list);
			return -ENOMEM;
		}
	}
	*ret_names = list;
	return 0;
}
