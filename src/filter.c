/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter.c - theory of operation:
 *
 *  1. A hook's child, in its namespaces and right before exec, loads a filter
 *     that lets everything pass but setns(2) with type 0 or CLONE_NEWNET
 *     (the supervisor is asked) and pidfd_getfd(2) (a netlink socket of the
 *     host's, taken from another process, would act there). All that the hook
 *     starts inherits it. No NO_NEW_PRIVS, which would break sudo and ping.
 *  2. The listener goes to the supervisor. One epoll descriptor stands for all.
 *  3. Asked, the supervisor looks at the requester's descriptor by its /proc
 *     folder, opened once and then confirmed to be that of the requester.
 *  4. Without a listener, setns(2) in the filter fails with ENOSYS. So those
 *     who outlive the supervisor are named when it leaves.
 */
#include "filter.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "filter-look.h"
#include "log.h"
#include "spawn.h"

#define HOOK_LEN 256
/* libseccomp's API level from which on it knows of listeners. */
#define API_NOTIFY 5

enum { SAY_FILTER = 'F', SAY_NO_FILTER = 'U' };

struct word {
	char kind;
	int error; /* SAY_NO_FILTER */
	char hook[HOOK_LEN];
};

/* ---- the hook's side ---- */

/* System calls come in the forms of other architectures too, each with numbers of its own. */
static int add_compat(scmp_filter_ctx ctx)
{
	static const struct {
		uint32_t native, compat;
	} table[] = {
		{ SCMP_ARCH_X86_64, SCMP_ARCH_X86 },	   { SCMP_ARCH_X86_64, SCMP_ARCH_X32 },		 { SCMP_ARCH_AARCH64, SCMP_ARCH_ARM },
		{ SCMP_ARCH_PPC64, SCMP_ARCH_PPC },	   { SCMP_ARCH_S390X, SCMP_ARCH_S390 },		 { SCMP_ARCH_MIPS64, SCMP_ARCH_MIPS },
		{ SCMP_ARCH_MIPS64, SCMP_ARCH_MIPS64N32 }, { SCMP_ARCH_MIPSEL64, SCMP_ARCH_MIPSEL },	 { SCMP_ARCH_MIPSEL64, SCMP_ARCH_MIPSEL64N32 },
		{ SCMP_ARCH_PARISC64, SCMP_ARCH_PARISC },
	};
	uint32_t native = seccomp_arch_native();
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(table) && r == 0; i++)
		if (table[i].native == native)
			r = seccomp_arch_add(ctx, table[i].compat);
	return r;
}

static int add_rules(scmp_filter_ctx ctx)
{
	/* nstype is an int: what the upper half of its register holds does not count. */
	struct scmp_arg_cmp any = SCMP_A1_64(SCMP_CMP_MASKED_EQ, UINT32_MAX, 0);
	struct scmp_arg_cmp net = SCMP_A1_64(SCMP_CMP_MASKED_EQ, CLONE_NEWNET, CLONE_NEWNET);
	int r;

	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_API_SYSRAWRC, 1);
	/* Before Linux 5.16 a filter slows its processes down as if they were not trusted. */
	if (r == 0)
		(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
	if (r == 0)
		r = add_compat(ctx);
	if (r == 0)
		r = seccomp_rule_add_array(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(setns), 1, &any);
	if (r == 0)
		r = seccomp_rule_add_array(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(setns), 1, &net);
	if (r == 0)
		r = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(pidfd_getfd), 0, NULL);
	return r;
}

static int load(int *ret_listener)
{
	scmp_filter_ctx ctx;
	int r;

	/* Without listeners libseccomp would load a filter that fails every setns(2). */
	if (seccomp_api_get() < API_NOTIFY)
		return -EOPNOTSUPP;
	ctx = seccomp_init(SCMP_ACT_ALLOW);
	if (!ctx)
		return -ENOMEM;
	r = add_rules(ctx);
	if (r == 0) {
		/* EBUSY comes out of the library as EFAULT; errno still has it. */
		errno = 0;
		r = seccomp_load(ctx);
		if (r < 0 && errno)
			r = -errno;
	}
	if (r == 0) {
		r = seccomp_notify_fd(ctx);
		if (r >= 0) {
			*ret_listener = r;
			r = 0;
		}
	}
	seccomp_release(ctx);
	return r;
}

static int send_word(int control, const struct word *word, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} ancillary = { 0 };
	struct iovec iov = { (void *)word, sizeof(*word) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		msg.msg_control = &ancillary;
		msg.msg_controllen = sizeof(ancillary.space);
		ancillary.header.cmsg_level = SOL_SOCKET;
		ancillary.header.cmsg_type = SCM_RIGHTS;
		ancillary.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&ancillary.header), &fd, sizeof(fd));
	}
	do
		n = sendmsg(control, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int filter_install(int control, const char *hook)
{
	struct word word = { .kind = SAY_FILTER };
	_cleanup_fd_ int listener = -1;
	int r = load(&listener);

	if (r < 0) {
		word.kind = SAY_NO_FILTER;
		word.error = -r;
	}
	snprintf(word.hook, sizeof(word.hook), "%s", hook);
	return send_word(control, &word, listener);
}

/* ---- the supervisor's side ---- */

struct listener {
	struct listener *next;
	int fd;
	char hook[HOOK_LEN];
};

struct filters {
	int epoll;
	struct closed closed;
	struct listener *listeners;
	struct seccomp_notif *request;
	struct seccomp_notif_resp *response;
	bool refused;
	uint32_t last_pid; /* who was refused last, and what it was */
	char last[WHO_COMMAND_LEN];
	bool told; /* that there is no filter */
};

int filters_new(int host_fd, int target_fd, int transport_fd, struct filters **ret_filters)
{
	struct filters *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (f->epoll < 0) {
		r = -errno;
		free(f);
		return r;
	}
	closed_add(&f->closed, host_fd, target_fd, "the host's network namespace");
	closed_add(&f->closed, transport_fd, target_fd, "the transport's network namespace");
	*ret_filters = f;
	return 0;
}

static void drop(struct filters *f, struct listener *gone)
{
	for (struct listener **slot = &f->listeners; *slot; slot = &(*slot)->next)
		if (*slot == gone) {
			*slot = gone->next;
			break;
		}
	/* By name: its descriptor may live on in a child that is about to exec. */
	(void)epoll_ctl(f->epoll, EPOLL_CTL_DEL, gone->fd, NULL);
	close_fd(gone->fd);
	free(gone);
}

void filters_free(struct filters *f)
{
	if (!f)
		return;
	while (f->listeners)
		drop(f, f->listeners);
	if (f->request)
		seccomp_notify_free(f->request, f->response);
	close_fd(f->epoll);
	free(f);
}

int filters_fd(const struct filters *f)
{
	return f ? f->epoll : -1;
}

bool filters_refused(const struct filters *f)
{
	return f && f->refused;
}

/* Takes the descriptor over, also when it fails. */
static int add_listener(struct filters *f, int fd, const char *hook)
{
	struct listener *l = calloc(1, sizeof(*l));
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = l };
	int r = 0;

	if (!l) {
		close_fd(fd);
		return -ENOMEM;
	}
	l->fd = fd;
	l->next = f->listeners;
	f->listeners = l;
	snprintf(l->hook, sizeof(l->hook), "%s", hook);
	if (!f->request)
		r = seccomp_notify_alloc(&f->request, &f->response);
	if (r == 0 && epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		r = -errno;
	if (r < 0)
		drop(f, l);
	return r;
}

static void tell_no_filter(struct filters *f, int error)
{
	const char *why = strerror(error);

	if (f->told)
		return;
	f->told = true;
	if (error == EBUSY)
		why = "another seccomp listener is in place";
	else if (error == EOPNOTSUPP || error == ENOSYS)
		why = "this kernel has no seccomp user notification";
	log_warn("hooks cannot be kept from entering the host's network namespace: %s; the guard alone remains", why);
}

char filters_recv(struct filters *f, int control)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} ancillary;
	struct word word;
	struct iovec iov = { &word, sizeof(word) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof(ancillary.space) };
	ssize_t n = recvmsg(control, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	int fd = -1, r = -EBADMSG;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (n == 1)
		return word.kind;
	if (n != sizeof(word) || !f) {
		close_fd(fd);
		return 0;
	}
	word.hook[HOOK_LEN - 1] = '\0';
	if (word.kind == SAY_NO_FILTER) {
		tell_no_filter(f, word.error);
		return 0;
	}
	if (fd >= 0)
		r = add_listener(f, fd, word.hook);
	if (r < 0)
		log_warn("%s: cannot enter any network namespace: %s", word.hook, strerror(-r));
	return 0;
}

/* ---- one question ---- */

static void refuse(struct filters *f, const struct listener *l, const struct closed_ns *ns, int proc)
{
	char command[WHO_COMMAND_LEN];

	look_command(proc, command);
	f->refused = true;
	/* nsenter(1) always tries twice. */
	if (f->last_pid == f->request->pid && strcmp(f->last, command) == 0)
		return;
	f->last_pid = f->request->pid;
	strcpy(f->last, command);
	log_error("%s: `%s' may not enter %s; expected hooks to stay in the tunnel's (--hooks open lets them go)", l->hook, command, ns->name);
}

/* Answers one question. False: the listener is of no more use. */
static bool answer(struct filters *f, const struct listener *l)
{
	struct seccomp_notif *req = f->request;
	struct seccomp_notif_resp *resp = f->response;
	const struct closed_ns *ns;
	_cleanup_fd_ int proc = -1;
	char path[32];
	int r;

	/* The kernel takes nothing else, and the library does not see to it. */
	memset(req, 0, sizeof(*req));
	if (seccomp_notify_receive(l->fd, req) < 0)
		return errno == ENOENT || errno == EINTR;
	snprintf(path, sizeof(path), "/proc/%u", req->pid);
	proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* Only now it is certain that the folder is not a successor's. */
	if (seccomp_notify_id_valid(l->fd, req->id) < 0)
		return true;
	resp->id = req->id;
	resp->val = 0;
	resp->error = 0;
	resp->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	ns = proc >= 0 ? look_wanted(&f->closed, proc, (int)req->data.args[0], (int)req->data.args[1]) : NULL;
	if (ns && !look_is_ourselves(proc)) {
		if (seccomp_notify_id_valid(l->fd, req->id) == 0)
			refuse(f, l, ns, proc);
		resp->error = -EPERM;
		resp->flags = 0;
	}
	r = seccomp_notify_respond(l->fd, resp);
	/* Who was killed meanwhile needs no answer; everybody else must not wait for ever. */
	return r == 0 || seccomp_notify_id_valid(l->fd, req->id) < 0;
}

void filters_answer(struct filters *f)
{
	struct epoll_event event;

	/* A few at a time: there are other things to watch. */
	for (int i = 0; f && i < 16 && epoll_wait(f->epoll, &event, 1, 0) == 1; i++) {
		struct listener *l = event.data.ptr;

		/* Hung up: nobody is left who could ask. EPOLLERR alone may pass. */
		if (event.events & EPOLLIN ? !answer(f, l) : event.events & EPOLLHUP)
			drop(f, l);
	}
}

/* ---- leaving ---- */

static void name_survivor(void *arg, pid_t pid)
{
	const long *ours = arg;
	char path[32], command[WHO_COMMAND_LEN];
	_cleanup_fd_ int proc = -1;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* The userspace WireGuard is no hook's. */
	if (proc < 0 || look_field(proc, "status", "Seccomp_filters") <= *ours)
		return;
	look_command(proc, command);
	/* A zombie has no command line. */
	if (command[0])
		log_warn("process %d of a hook stays (`%s'), and can enter no namespace any more: setns(2) fails with ENOSYS (--hooks open avoids that)", pid, command);
}

void filters_leave(struct filters *f)
{
	long ours;

	filters_answer(f);
	if (!f || !f->listeners)
		return;
	ours = look_field(AT_FDCWD, "/proc/self/status", "Seccomp_filters");
	spawn_each_descendant(name_survivor, &ours);
}
