/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fib-request.c - the netlink socket, and requests through it: one with its answer, or many at once.
 *
 * Not libnl: its receive path allocates per message, and a million routes have to
 * be read within the time in which a host still answers. netlink(7) is the reference.
 */
#include "fib-msg.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <time.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

#define RECEIVE_BUFFER (4 * 1024 * 1024)

int64_t fib_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int fib_open(struct fib **ret_fib)
{
	const int on = 1, size = RECEIVE_BUFFER;
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct fib *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	fib_hash_init();
	f->buf = malloc(FIB_BUF_SIZE);
	f->out = malloc(FIB_OUT_SIZE);
	f->event = malloc(sizeof(*f->event));
	f->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	fib_ra_open(f);
	if (!f->buf || !f->out || !f->event)
		r = -ENOMEM;
	else if (f->fd < 0)
		r = -errno;
	/*
	 * Strict checking makes the kernel refuse what it does not understand instead of
	 * ignoring it, and keeps cached exceptions (PMTU) out of IPv4 dumps: a must.
	 */
	else if (setsockopt(f->fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) < 0 ||
		 connect(f->fd, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		r = -errno;
	else
		r = 0;
	if (r < 0) {
		fib_close(f);
		return r;
	}
	f->port = getsockname(f->fd, (struct sockaddr *)&kernel, &(socklen_t){ sizeof(kernel) }) == 0 ? kernel.nl_pid : 0;
	/* Nice to have. FORCE passes net.core.rmem_max but needs CAP_NET_ADMIN in the first user namespace. */
	if (setsockopt(f->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(f->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(f->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(f->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	/* Asking for a family that is not there would make the kernel dump all others instead. */
	f->mpls = access("/proc/sys/net/mpls", F_OK) == 0;
	*ret_fib = f;
	return 0;
}

void fib_close(struct fib *f)
{
	if (!f)
		return;
	close_fd(f->fd);
	fib_ra_close(f);
	free(f->buf);
	free(f->out);
	free(f->event);
	free(f);
}

ssize_t fib_receive(struct fib *f, int flags)
{
	struct sockaddr_nl from;
	struct iovec iov = { .iov_base = f->buf, .iov_len = FIB_BUF_SIZE };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_name = &from };

	for (;;) {
		ssize_t n;

		msg.msg_namelen = sizeof(from);
		n = recvmsg(f->fd, &msg, flags);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (from.nl_pid != 0)
			continue; /* any process may send to a netlink socket; only the kernel is port 0 */
		if (msg.msg_flags & MSG_TRUNC)
			return -EMSGSIZE;
		return n;
	}
}

int fib_error_of(const struct nlmsghdr *m)
{
	int error;

	if (m->nlmsg_len < NLMSG_LENGTH(sizeof(error)))
		return m->nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
	memcpy(&error, NLMSG_DATA(m), sizeof(error));
	return error > 0 ? -EBADMSG : error;
}

bool fib_message_fits(const struct nlmsghdr *m, size_t left)
{
	return left >= sizeof(*m) && m->nlmsg_len >= sizeof(*m) && m->nlmsg_len <= left;
}

/* The kernel's refusals of what was sent, as far as they are there. */
static void read_refusals(struct fib *f)
{
	for (;;) {
		ssize_t n = fib_receive(f, MSG_DONTWAIT);

		if (n < 0) /* also ENOBUFS: more refusals than the buffer holds. The next dump tells. */
			return;
		for (const struct nlmsghdr *m = (const struct nlmsghdr *)f->buf; fib_message_fits(m, (size_t)n);) {
			size_t step = record_size(m);

			if (m->nlmsg_type == NLMSG_ERROR && !f->error) {
				int error = fib_error_of(m);

				/* What was to be added is there, what was to be deleted is not: as wished. */
				if (error != -EEXIST && error != -ESRCH && error != -ENOENT)
					f->error = error;
			}
			if (step >= (size_t)n)
				break;
			n -= (ssize_t)step;
			m = (const struct nlmsghdr *)((const char *)m + step);
		}
	}
}

int fib_flush(struct fib *f)
{
	ssize_t n;

	if (f->out_len == 0)
		return 0;
	/*
	 * The kernel works through all requests of a datagram within send(2) and goes on
	 * after one it refuses (netlink_rcv_skb()), so no acknowledgement is waited for.
	 */
	n = send(f->fd, f->out, f->out_len, 0);
	f->out_len = 0;
	if (n < 0)
		return -errno;
	read_refusals(f);
	return 0;
}

int fib_queue(struct fib *f, const struct nlmsghdr *m, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h;
	int r;

	if (FIB_OUT_SIZE - f->out_len < record_size(m)) {
		r = fib_flush(f);
		if (r < 0)
			return r;
	}
	h = (struct nlmsghdr *)(f->out + f->out_len);
	memcpy(h, m, record_size(m));
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++f->seq;
	h->nlmsg_pid = 0;
	f->out_len += record_size(m);
	return 0;
}

/* Sends one request, and reads up to its answer: of that type, or an error's (NLMSG_ERROR; an acknowledgement is one of 0). */
static int transact(struct fib *f, struct nlmsghdr *m, uint16_t type, uint16_t flags, uint16_t answer_type, const struct nlmsghdr **ret_answer)
{
	m->nlmsg_type = type;
	m->nlmsg_flags = NLM_F_REQUEST | flags;
	m->nlmsg_seq = ++f->seq;
	m->nlmsg_pid = 0;
	if (send(f->fd, m, m->nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = fib_receive(f, 0);
		const struct nlmsghdr *answer = (const struct nlmsghdr *)f->buf;

		if (n < 0)
			return (int)n;
		if (!fib_message_fits(answer, (size_t)n) || answer->nlmsg_seq != f->seq)
			continue;
		if (answer->nlmsg_type == NLMSG_ERROR || answer->nlmsg_type == answer_type) {
			*ret_answer = answer;
			return 0;
		}
	}
}

int fib_talk(struct fib *f, struct nlmsghdr *m, uint16_t type, uint16_t flags)
{
	const struct nlmsghdr *answer;
	int r = transact(f, m, type, NLM_F_ACK | flags, NLMSG_ERROR, &answer);

	return r < 0 ? r : fib_error_of(answer);
}

int fib_ask(struct fib *f, struct nlmsghdr *m, uint16_t type, uint16_t answer_type, const struct nlmsghdr **ret_answer)
{
	const struct nlmsghdr *answer;
	int r = transact(f, m, type, 0, answer_type, &answer);

	if (r < 0)
		return r;
	if (answer->nlmsg_type == NLMSG_ERROR)
		return fib_error_of(answer) < 0 ? fib_error_of(answer) : -EBADMSG;
	*ret_answer = answer;
	return 0;
}
