/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nl-request.h"

#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "ns.h"

struct rt {
	struct nl_sock *sock;
	bool unread;   /* an answer was not read to its end */
	char why[160]; /* the kernel's text for the last failure, or "" */
};

/* -NLE_… to -errno: the one place (libnl keeps only some of the kernel's numbers apart). */
static int from_libnl(int error)
{
	switch (-error) {
	case 0:
		return 0;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_EXIST:
		return -EEXIST;
	case NLE_NODEV:
		return -ENODEV;
	case NLE_OBJ_NOTFOUND:
		return -ENOENT;
	case NLE_OPNOTSUPP:
		return -EOPNOTSUPP;
	case NLE_AF_NOSUPPORT:
		return -EAFNOSUPPORT;
	case NLE_INVAL:
	case NLE_MSG_TOOSHORT:
	case NLE_MSGSIZE:
		return -EINVAL;
	case NLE_BUSY:
		return -EBUSY;
	case NLE_NOACCESS:
	case NLE_PERM:
		return -EPERM;
	case NLE_DUMP_INTR:
	case NLE_INTR:
		return -EINTR;
	case NLE_BAD_SOCK:
		return -EBADF;
	default:
		return -EIO;
	}
}

int rt_open(struct rt **ret_rt)
{
	struct rt *rt = calloc(1, sizeof(*rt));
	int on = 1;
	int r, error;

	if (!rt)
		return -ENOMEM;
	rt->sock = nl_socket_alloc();
	if (!rt->sock) {
		free(rt);
		return -ENOMEM;
	}
	errno = 0;
	r = nl_connect(rt->sock, NETLINK_ROUTE);
	if (r < 0) {
		/* The library has no number for being out of descriptors. */
		error = errno;
		rt_close(rt);
		return r == -NLE_FAILURE && error ? -error : from_libnl(r);
	}
	nl_socket_set_buffer_size(rt->sock, 1 << 20, 1 << 20);
	/* Old kernels know neither; then there is no text, and dumps are filtered here. */
	(void)setsockopt(nl_socket_get_fd(rt->sock), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(nl_socket_get_fd(rt->sock), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	*ret_rt = rt;
	return 0;
}

static int open_here(void *arg)
{
	return rt_open(arg);
}

int rt_open_in(int ns_fd, struct rt **ret_rt)
{
	return ns_call(ns_fd, open_here, ret_rt);
}

void rt_close(struct rt *rt)
{
	if (!rt)
		return;
	nl_socket_free(rt->sock);
	free(rt);
}

const char *rt_why(const struct rt *rt, int error)
{
	return rt->why[0] ? rt->why : strerror(-error);
}

/* The kernel's own number and text out of a negative acknowledgement. */
static int read_error(struct rt *rt, const struct nlmsgerr *err, const struct nlmsghdr *hdr)
{
	size_t skip = sizeof(*err);
	const struct nlattr *attr;
	int left;

	rt->why[0] = '\0';
	if (err->error == 0 || !(hdr->nlmsg_flags & NLM_F_ACK_TLVS))
		return err->error;
	/* Without NLM_F_CAPPED the request comes back in full before the attributes. */
	if (!(hdr->nlmsg_flags & NLM_F_CAPPED))
		skip += err->msg.nlmsg_len - sizeof(err->msg);
	if (NLMSG_ALIGN(skip) >= (size_t)nlmsg_datalen(hdr))
		return err->error;
	left = nlmsg_datalen(hdr) - (int)NLMSG_ALIGN(skip);
	attr = (const void *)((const char *)nlmsg_data(hdr) + NLMSG_ALIGN(skip));
	for (; nla_ok(attr, left); attr = nla_next(attr, &left))
		if (nla_type(attr) == NLMSGERR_ATTR_MSG)
			snprintf(rt->why, sizeof(rt->why), "%.*s", (int)nla_len(attr), (const char *)nla_data(attr));
	return err->error;
}

struct reply {
	struct rt *rt;
	uint32_t first, n;   /* sequence numbers of what was asked */
	unsigned int acks;   /* acknowledgements still to come */
	unsigned int answer; /* the number of the one that came */
	size_t failed;	     /* the first that was negative */
	int error;
	int (*each)(void *arg, const struct nlmsghdr *msg);
	void *arg;
};

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *err, void *arg)
{
	struct reply *reply = arg;
	/* The message that `err` is the payload of. */
	const struct nlmsghdr *hdr = (const void *)((const char *)err - NLMSG_HDRLEN);

	(void)from;
	if (!reply->error) {
		reply->error = read_error(reply->rt, err, hdr);
		reply->failed = reply->answer;
	}
	reply->answer++;
	return --reply->acks ? NL_SKIP : NL_STOP;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct reply *reply = arg;

	(void)msg;
	reply->answer++;
	return --reply->acks ? NL_OK : NL_STOP;
}

static int on_finish(struct nl_msg *msg, void *arg)
{
	struct reply *reply = arg;

	(void)msg;
	reply->acks = 0;
	return NL_STOP;
}

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct reply *reply = arg;

	if (reply->each && !reply->error)
		reply->error = reply->each(reply->arg, nlmsg_hdr(msg));
	return NL_OK;
}

/*
 * Of what was asked before and given up, an answer may still come. The library's own count
 * would never be right again after a request that could not be sent.
 */
static int on_sequence(struct nl_msg *msg, void *arg)
{
	const struct reply *reply = arg;

	return nlmsg_hdr(msg)->nlmsg_seq - reply->first < reply->n ? NL_OK : NL_SKIP;
}

/* Reads until everything that was asked is answered. */
static int receive(struct rt *rt, struct reply *reply)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_CUSTOM);
	int r = 0;

	if (!cb)
		return -ENOMEM;
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, reply);
	nl_cb_set(cb, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, on_sequence, reply);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, reply);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, reply);
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, reply);
	reply->rt = rt;
	while (reply->acks && r >= 0)
		r = nl_recvmsgs(rt->sock, cb);
	rt->unread = r < 0;
	nl_cb_put(cb);
	/* What on_error() kept is the kernel's own number; libnl's knows EADDRINUSE as EEXIST. */
	if (r < 0 && !reply->error)
		return from_libnl(r);
	return reply->error;
}

/* The rest of an answer to one request must not be taken for that to the next. A dump goes on as it is read. */
static void skip_unread(struct rt *rt)
{
	char part[8192];

	if (!rt->unread)
		return;
	while (recv(nl_socket_get_fd(rt->sock), part, sizeof(part), MSG_DONTWAIT) > 0 || errno == EINTR || errno == ENOBUFS)
		;
	rt->unread = false;
}

int rt_request(struct rt *rt, struct nl_msg *msg, int (*each)(void *, const struct nlmsghdr *), void *arg)
{
	struct reply reply = { .acks = 1, .each = each, .arg = arg };
	int r;

	rt->why[0] = '\0';
	skip_unread(rt);
	nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_REQUEST | ((nlmsg_hdr(msg)->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP ? 0 : NLM_F_ACK);
	nl_complete_msg(rt->sock, msg);
	reply.first = nlmsg_hdr(msg)->nlmsg_seq;
	reply.n = 1;
	r = nl_send(rt->sock, msg);
	if (r < 0)
		return from_libnl(r);
	return receive(rt, &reply);
}

struct nl_msg *rt_message(int type, int flags, const void *header, size_t len)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

	if (msg && nlmsg_append(msg, (void *)header, len, NLMSG_ALIGNTO) < 0) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

int rt_dump(struct rt *rt, int type, const void *header, size_t len, int (*each)(void *, const struct nlmsghdr *), void *arg)
{
	_cleanup_msg_ struct nl_msg *msg = rt_message(type, NLM_F_DUMP, header, len);

	return msg ? rt_request(rt, msg, each, arg) : -ENOMEM;
}

int rt_dump_again(struct rt *rt, int type, const void *header, size_t len, int (*each)(void *, const struct nlmsghdr *), void *arg)
{
	int r, tries = 0;

	do
		r = rt_dump(rt, type, header, len, each, arg);
	while (r == -EINTR && ++tries < 20);
	return r;
}

int rt_batch(struct rt *rt, struct nl_msg *(*make)(void *arg, size_t i), void *arg, size_t n, size_t *ret_failed)
{
	/* Acknowledgements wait in our receive buffer (about 1 kB each with the kernel's overhead). */
	enum { BATCH = 256 };
	int first_error = 0;

	rt->why[0] = '\0';
	skip_unread(rt);
	for (size_t done = 0; done < n && !first_error; done += BATCH) {
		struct buf batch = { 0 };
		struct reply reply = { 0 };
		int r = 0;

		for (size_t i = done; i < n && i < done + BATCH; i++) {
			_cleanup_msg_ struct nl_msg *msg = make(arg, i);

			if (!msg) {
				buf_free(&batch);
				return -ENOMEM;
			}
			nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
			nl_complete_msg(rt->sock, msg);
			if (reply.n++ == 0)
				reply.first = nlmsg_hdr(msg)->nlmsg_seq;
			buf_add(&batch, nlmsg_hdr(msg), NLMSG_ALIGN(nlmsg_hdr(msg)->nlmsg_len));
			reply.acks++;
		}
		if (batch.failed)
			r = -ENOMEM;
		else if (nl_sendto(rt->sock, batch.data, batch.len) < 0)
			r = -errno;
		buf_free(&batch);
		if (r == 0)
			r = receive(rt, &reply);
		if (r < 0) {
			*ret_failed = done + reply.failed;
			first_error = r;
		}
	}
	return first_error;
}
