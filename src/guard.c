/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guard.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "fib.h"
#include "journal.h"
#include "log.h"
#include "ns.h"
#include "spawn.h"

/* What goes over the line: one byte a message. */
enum { SAY_CLOSE = 'C', SAY_COMMIT = 'Y', SAY_ROLL_BACK = 'N', SAY_ABORT = 'A' };

/* ---- the worker's side ---- */

void worker_listen(struct worker *w)
{
	char byte;
	ssize_t n = recv(w->control, &byte, 1, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		w->orphaned = true;
	else if (n == 1 && byte == SAY_ABORT)
		w->aborts++;
}

bool worker_aborted(struct worker *w)
{
	struct pollfd fd = { .fd = w->control, .events = POLLIN };

	while (!w->orphaned && poll(&fd, 1, 0) > 0)
		worker_listen(w);
	return w->aborts || w->orphaned;
}

int worker_close(struct worker *w)
{
	char byte = SAY_CLOSE;

	if (worker_aborted(w) || send(w->control, &byte, 1, MSG_NOSIGNAL) != 1)
		return -ECANCELED;
	for (;;) {
		ssize_t n = recv(w->control, &byte, 1, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n != 1) {
			w->orphaned = true;
			return -ECANCELED;
		}
		if (byte == SAY_COMMIT)
			return 0;
		if (byte == SAY_ROLL_BACK)
			return -ECANCELED;
		/* An abort that crossed our question: the answer still comes. */
		w->aborts++;
	}
}

/* ---- the supervisor's side ---- */

struct guard {
	const struct guarded_work *work;
	struct fib *fib;
	struct fib_snapshot *before;
	bool committed; /* the closing comparison was equal, and the worker was told so */
	int verdict;	/* EXIT_GUARD_…, 0 while nothing was seen */
};

/* Not while another run's userspace TUN is on its way through the host. */
static int take_snapshot(struct guard *g, struct fib_snapshot **ret_snapshot)
{
	_cleanup_fd_ int lock = -1;

	(void)journal_lock_tun(&lock);
	return fib_snapshot_take(g->fib, ret_snapshot);
}

static int open_fib(void *arg)
{
	return fib_open(arg);
}

static void report_change(void *arg, const char *text)
{
	const struct guard *g = arg;

	log_error("guard: the host's network changed during `%s': %s", g->work->action, text);
}

static void report_left(void *arg, const char *text)
{
	(void)arg;
	log_error("guard: could not be put back: %s", text);
}

/* Compares the host with what it was. Whether it is the same; what differs is told, and put back unless the level is warn. */
static bool host_unchanged(struct guard *g)
{
	_cleanup_fib_snapshot_ struct fib_snapshot *after = NULL;
	int r;

	if (!g->before)
		return true;
	r = take_snapshot(g, &after);
	if (r < 0) {
		log_error("guard: cannot read the host's routing any more: %s", strerror(-r));
		g->verdict = EXIT_GUARD_BLIND;
		return false;
	}
	if (fib_snapshot_equal(g->before, after))
		return true;
	fib_diff(g->before, after, report_change, g);
	if (g->work->level == GUARD_WARN) {
		log_note("guard: level is warn: nothing was put back");
		return true;
	}
	r = fib_restore(g->fib, g->before, NULL, report_left, g);
	if (r == 0) {
		log_error("guard: the host is as it was before `%s'", g->work->action);
		if (!g->verdict)
			g->verdict = EXIT_GUARD_RESTORED;
	} else {
		log_error("guard: the host is not as it was before `%s'", g->work->action);
		g->verdict = r < 0 ? EXIT_GUARD_BLIND : EXIT_GUARD_DAMAGED;
	}
	return false;
}

static void say(int control, char byte)
{
	/* A worker that is gone is noticed by its pidfd. */
	(void)!send(control, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void answer_close(struct guard *g, int control)
{
	if (host_unchanged(g)) {
		g->committed = true;
		say(control, SAY_COMMIT);
	} else {
		say(control, SAY_ROLL_BACK);
	}
}

/* Until the worker ends. Returns its wait status. */
static int watch(struct guard *g, pid_t worker, int control, int signals)
{
	_cleanup_fd_ int pidfd = (int)syscall(SYS_pidfd_open, worker, 0);
	int status = 0;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = pidfd, .events = POLLIN },
			{ .fd = control, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
		};
		struct signalfd_siginfo info;
		char byte;

		if (poll(fds, ARRAY_SIZE(fds), pidfd < 0 ? 10 : -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents & POLLIN && recv(control, &byte, 1, MSG_DONTWAIT) == 1 && byte == SAY_CLOSE)
			answer_close(g, control);
		if (fds[2].revents && read(signals, &info, sizeof(info)) == sizeof(info))
			say(control, SAY_ABORT);
		if (waitpid(worker, &status, WNOHANG) == worker)
			return status;
	}
	while (waitpid(worker, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static int open_guard(struct guard *g)
{
	int r;

	if (g->work->level == GUARD_OFF)
		return 0;
	r = ns_call(g->work->host_fd, open_fib, &g->fib);
	if (r == 0)
		r = take_snapshot(g, &g->before);
	if (r < 0)
		log_error("guard: cannot read the host's routing: %s; nothing was done (--guard off goes on without)", strerror(-r));
	return r;
}

static int supervise(struct guard *g, pid_t worker, int control, int signals)
{
	int wait_status = watch(g, worker, control, signals);
	int status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 1;

	if (WIFSIGNALED(wait_status)) {
		log_error("the worker was killed by signal %d", WTERMSIG(wait_status));
		/* First, or a surviving hook would hold on to the namespace. */
		spawn_kill_descendants();
		g->work->recover(g->work->arg);
	} else if (status) {
		spawn_kill_descendants();
	}
	/* After a commit nothing of ours ran any more. */
	if (!g->committed || status)
		host_unchanged(g);
	return g->verdict ? g->verdict : status;
}

static void on_pipe(int sig)
{
	(void)sig;
}

/*
 * A reader of our messages that went away must not end a transaction halfway.
 * A handler rather than SIG_IGN: exec resets it, so hooks die of it as ever.
 */
static void survive_closed_pipes(void)
{
	struct sigaction handler = { .sa_handler = on_pipe, .sa_flags = SA_RESTART }, now;

	if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
		sigaction(SIGPIPE, &handler, NULL);
}

int guard_run(const struct guarded_work *work)
{
	struct guard g = { .work = work };
	_cleanup_fd_ int signals = -1;
	sigset_t handled, before;
	int control[2], status;
	pid_t pid;

	if (open_guard(&g) < 0)
		return EXIT_GUARD_BLIND;
	survive_closed_pipes();
	sigemptyset(&handled);
	sigaddset(&handled, SIGINT);
	sigaddset(&handled, SIGTERM);
	sigaddset(&handled, SIGHUP);
	sigaddset(&handled, SIGQUIT);
	if (sigprocmask(SIG_BLOCK, &handled, &before) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0) {
		log_error("cannot start: %s", strerror(errno));
		fib_snapshot_free(g.before);
		fib_close(g.fib);
		return 1;
	}
	signals = signalfd(-1, &handled, SFD_CLOEXEC);
	/* Hooks' orphans come to us, and can be ended. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = fork();
	if (pid == 0) {
		struct worker w = { .control = control[1], .mask = &before };

		close_fd(control[0]);
		fib_close(g.fib);
		/* If the supervisor dies, the orphans are ours to end. */
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		status = work->work(work->arg, &w);
		if (status && w.orphaned)
			spawn_kill_descendants();
		_exit(status);
	}
	close_fd(control[1]);
	if (pid < 0) {
		log_error("cannot start the worker: %s", strerror(errno));
		status = 1;
	} else {
		status = supervise(&g, pid, control[0], signals);
	}
	close_fd(control[0]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	fib_snapshot_free(g.before);
	fib_close(g.fib);
	return status;
}
