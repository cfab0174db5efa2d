/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guard.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "filter.h"
#include "guard-line.h"
#include "journal.h"
#include "lock.h"
#include "log.h"
#include "log-later.h"
#include "rescue.h"
#include "secret.h"
#include "spawn.h"

#define KILL_AFTER_MS 2000 /* SIGTERM, then SIGKILL */
#define KILL_AGAIN_MS 100
#define MESSAGE_PATIENCE_MS 2000 /* with who does not read them, once the user wants an end */

struct guard {
	const struct guarded_work *work;
	struct watch *watch; /* NULL: level off */
	struct rescue rescue; /* for when both of us are killed */
	pid_t worker;
	struct filters *filters; /* hooks that ask before they enter a namespace */
	bool refused; /* level strict: a hook wanted to enter the host's namespace */
	bool committed; /* the closing comparison was equal, and the worker was told so */
	int control;	/* the line to the worker; -1: there is none yet, or any more */
	bool done;	/* the worker came to its own end */
	bool ended;	/* hooks, or the command, were told to end */
	bool asked;	/* the user wants it to end */
	int64_t kill_at; /* when a command that was asked to end is killed, ms; 0: it was not asked */
};

static void say(int control, char byte)
{
	/* A worker that is gone is noticed by its pidfd. */
	(void)line_send(control, byte, MSG_DONTWAIT);
}

static void answer_close(struct guard *g, int control)
{
	if (!g->watch || watch_close(g->watch) == 0) {
		g->committed = true;
		say(control, SAY_COMMIT);
	} else {
		say(control, SAY_ROLL_BACK);
	}
}

/* The host was changed, and is as before again: now whoever did it ends, and then everything of ours is rolled back. */
static void trip(struct guard *g)
{
	if (g->ended || g->control < 0)
		return;
	g->ended = true;
	if (!g->work->policy.command) {
		/* Only the worker knows which of its children are hooks, and which are its own hands. */
		say(g->control, SAY_KILL);
		return;
	}
	/* A command rolls back by itself, if it can: wg-quick does. */
	spawn_kill_below(g->worker, SIGTERM);
	g->kill_at = fib_now() + KILL_AFTER_MS;
}

static void read_all_that_waits(struct guard *g)
{
	bool harm = g->watch && watch_read(g->watch);

	if ((g->watch && watch_read_file(g->watch)) || harm)
		trip(g);
}

/* The supervisor waits for nobody; who can hear no answer shall not wait for one. */
static void answer(int control, char byte, int how)
{
	if (line_send(control, byte, MSG_DONTWAIT) < 0)
		(void)shutdown(control, how);
}

static void hear_worker(struct guard *g, int control)
{
	/* Of a hook's filter this is, too. */
	int byte = filters_recv(g->filters, control);

	if (byte == SAY_CLOSE) {
		watch_hurry(false);
		answer_close(g, control);
		watch_hurry(true);
	} else if (byte == SAY_TRANSIT) {
		if (g->watch)
			watch_expect_transit(g->watch);
		answer(control, SAY_EXPECTED, SHUT_WR);
	} else if (byte == SAY_SETTLE) {
		read_all_that_waits(g);
		/* It must not wait for ever, but can still be heard. */
		answer(control, SAY_SETTLED, SHUT_WR);
	} else if (byte == SAY_DONE) {
		g->done = true;
		/* What it did is in the queue: if it is undone before the worker leaves, there is always one of us to undo it. */
		read_all_that_waits(g);
		/* Who hears nothing takes over, which does no harm. */
		answer(control, SAY_LEAVE, SHUT_RDWR);
	}
}

/* How long to wait, ms; -1: for ever. A command that did not end by then is killed now, however much it does meanwhile. */
static int time_left(struct guard *g)
{
	int64_t left = g->kill_at - fib_now();

	if (!g->kill_at)
		return -1;
	if (left > 0)
		return (int)left;
	spawn_kill_below(g->worker, SIGKILL);
	/* Once more, for those that were just being forked. */
	g->kill_at = fib_now() + KILL_AGAIN_MS;
	return KILL_AGAIN_MS;
}

static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* On a terminal, by a key: all that run in the foreground have it, a command among them. */
static bool is_typed(const struct signalfd_siginfo *info)
{
	return info->ssi_code == SI_KERNEL && (info->ssi_signo == SIGINT || info->ssi_signo == SIGQUIT);
}

/* Until the worker ends. Returns its wait status. */
static int watch_worker(struct guard *g, int control, int signals)
{
	_cleanup_fd_ int pidfd = (int)syscall(SYS_pidfd_open, g->worker, 0);
	int status = 0;

	for (;;) {
		int timeout = sooner(sooner(time_left(g), rescue_alive(&g->rescue)), log_later_go_on());
		struct pollfd fds[] = {
			{ .fd = g->watch ? watch_fd(g->watch) : -1, .events = POLLIN },
			{ .fd = control, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
			{ .fd = g->watch ? watch_file_descriptor(g->watch) : -1, .events = POLLIN },
			{ .fd = filters_fd(g->filters), .events = POLLIN },
			{ .fd = pidfd, .events = POLLIN },
		};
		struct signalfd_siginfo info;

		/* Blind for a moment is better than for good. */
		if (poll(fds, ARRAY_SIZE(fds), spawn_timeout(pidfd, timeout)) < 0) {
			if (errno != EINTR)
				sleep_ms(1);
			continue;
		}
		/* What the worker announces comes before what the kernel then tells. */
		if (fds[1].revents & POLLIN)
			hear_worker(g, control);
		if (fds[0].revents && watch_read(g->watch))
			trip(g);
		if (fds[3].revents && watch_read_file(g->watch))
			trip(g);
		if (fds[4].revents) {
			filters_answer(g->filters);
			/* At level strict the attempt is enough. */
			if (g->work->policy.level == GUARD_STRICT && filters_refused(g->filters) && !g->refused) {
				g->refused = true;
				trip(g);
			}
		}
		if (fds[2].revents && read(signals, &info, sizeof(info)) == sizeof(info)) {
			g->asked = true;
			if (!g->work->policy.command || !is_typed(&info))
				say(control, (char)info.ssi_signo);
		}
		/* It has ended, though its parent may not learn of it before a debugger has. */
		if (fds[5].revents)
			break;
		if (waitpid(g->worker, &status, WNOHANG) == g->worker)
			return status;
	}
	(void)wait_child(g->worker, &status);
	return status;
}

static void on_wait(void *arg)
{
	struct guard *g = arg;

	trip(g);
}

static int open_guard(struct guard *g)
{
	struct watch_spec spec = { .on_wait = on_wait, .arg = g, .host_fd = g->work->host_fd, .action = g->work->action, .policy = &g->work->policy, .foreign = g->work->foreign,
				   .others_run = g->work->others_run };
	int r;

	r = watch_open(&spec, &g->watch);
	if (r == 0)
		return 0;
	if (g->work->policy.level == GUARD_WARN) {
		log_warn("guard: cannot read the host's routing: %s; nothing is watched (level is warn)", strerror(-r));
		return 0;
	}
	log_error("guard: cannot read the host's routing: %s; nothing was done (--guard off goes on without)", strerror(-r));
	return r;
}

/* Before anything of others runs. */
static void note_rescue(struct guard *g)
{
	const struct guarded_work *work = g->work;
	_cleanup_free_ char *name = NULL;
	int r = -ENOMEM;

	if (!g->watch || !work->others_run || work->policy.level == GUARD_WARN)
		return;
	if (asprintf(&name, "%s%s%s", work->action, work->policy.iface ? " " : "", work->policy.iface ? work->policy.iface : "") >= 0)
		r = rescue_note(g->watch, &work->policy, work->host_fd, name, &g->rescue);
	if (r < 0)
		log_note("guard: how the host is cannot be written down in " RUN_DIR " (%s): should this run be killed as a whole, nobody puts it back",
			 strerror(-r));
}

static int supervise(struct guard *g, int control, int signals)
{
	int wait_status, status, verdict;
	char byte;

	g->control = control;
	watch_hurry(g->watch != NULL);
	wait_status = watch_worker(g, control, signals);
	watch_hurry(false);
	/* What it said last is still to be heard. */
	while (poll(&(struct pollfd){ .fd = control, .events = POLLIN }, 1, 0) > 0 && !g->done && recv(control, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
		hear_worker(g, control);
	g->control = -1;
	status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 1;
	/* A library may end its caller: libnftables does when a netlink call fails. */
	if (WIFSIGNALED(wait_status) || !g->done) {
		if (WIFSIGNALED(wait_status))
			log_error("the worker was killed by signal %d", WTERMSIG(wait_status));
		else
			log_error("the worker broke off with status %d", status);
		if (g->committed && g->work->stands && g->work->stands(g->work->arg)) {
			log_note("but everything had been done by then");
			filters_leave(g->filters);
			return 0;
		}
		status = status ? status : 1;
		/* First, or a surviving hook would hold on to the namespace. */
		spawn_kill_descendants();
		g->work->recover(g->work->arg);
	} else if (status && !g->work->policy.command) {
		spawn_kill_descendants();
	}
	/* After a commit nothing of ours ran any more. */
	filters_leave(g->filters);
	if (!g->watch || (g->committed && !status))
		return status;
	verdict = watch_close(g->watch);
	/* Nobody of ours goes on doing harm when there is nobody left to undo it. */
	if (verdict) {
		spawn_kill_descendants();
		verdict = watch_close(g->watch);
	}
	if (!verdict && g->refused)
		verdict = EXIT_GUARD_RESTORED;
	return verdict ? verdict : status;
}

static void on_failing_write(int sig)
{
	(void)sig;
}

/*
 * A reader of our messages that went away must not end a transaction halfway, nor
 * a limit of the size of files (setrlimit(2)): both have an error for who writes.
 * A handler rather than SIG_IGN: exec resets it, so hooks die of it as ever.
 */
static void survive_failing_writes(void)
{
	static const int signals[] = { SIGPIPE, SIGXFSZ };
	struct sigaction handler = { .sa_handler = on_failing_write, .sa_flags = SA_RESTART }, now;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
			sigaction(signals[i], &handler, NULL);
}

/* What a killed run left must not be taken for how the host is. One that cannot be put back bars nobody from his tunnel. */
static void put_back(const struct guarded_work *work)
{
	int r = rescue_dead(work->host_fd, work->foreign);

	/* Those two were told. */
	if (r < 0 && r != -EREMCHG && r != -EBADMSG)
		log_warn("cannot put back what a killed run did to the host: %s; the host is guarded as it is now, and `%s recover' tries again", strerror(-r),
			 log_program());
}

/* 0, or the status to end with. */
static int begin(struct guard *g)
{
	_cleanup_fd_ int lock = -1;
	int status;

	if (g->work->policy.level == GUARD_OFF)
		return 0;
	status = rescue_begin(&lock) < 0 ? 1 : 0;
	if (!status)
		put_back(g->work);
	if (!status && open_guard(g) < 0)
		status = EXIT_GUARD_BLIND;
	rescue_end(&lock);
	return status;
}

int guard_run(const struct guarded_work *work)
{
	struct guard g = { .work = work, .control = -1, .rescue = RESCUE_NONE };
	_cleanup_fd_ int signals = -1;
	sigset_t handled, before;
	int control[2], status;

	/* What reading the file left, for both processes. */
	secret_scrub();
	survive_failing_writes();
	status = begin(&g);
	if (status)
		return status;
	note_rescue(&g);
	sigemptyset(&handled);
	sigaddset(&handled, SIGINT);
	sigaddset(&handled, SIGTERM);
	sigaddset(&handled, SIGHUP);
	sigaddset(&handled, SIGQUIT);
	if (sigprocmask(SIG_BLOCK, &handled, &before) < 0 || filters_new(work->host_fd, work->target_fd, work->transport_fd, &g.filters) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0) {
		log_error("cannot start: %s", strerror(errno));
		rescue_forget(&g.rescue);
		watch_free(g.watch);
		filters_free(g.filters);
		return 1;
	}
	signals = signalfd(-1, &handled, SFD_CLOEXEC);
	/* Hooks' orphans come to us, and can be ended. */
	g.worker = signals >= 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 ? fork() : -1;
	if (g.worker == 0) {
		struct worker w = { .control = control[1], .mask = &before };

		close_fd(control[0]);
		filters_free(g.filters);
		/* Which a child does not inherit. */
		secret_protect();
		/* If the supervisor dies, the orphans are ours to end. */
		if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
			log_error("cannot start the worker: %s", strerror(errno));
			_exit(1);
		}
		lock_heed(worker_gives_up, &w);
		status = work->work(work->arg, &w);
		if (status && w.orphaned)
			spawn_kill_descendants();
		worker_leave(&w);
		if (w.orphaned && g.watch && watch_take_over(g.watch) == 0 && watch_close(g.watch) != EXIT_GUARD_BLIND)
			rescue_forget(&g.rescue);
		log_later_end(signals, -1);
		_exit(status);
	}
	close_fd(control[1]);
	if (g.worker < 0) {
		log_error("cannot start the worker: %s", strerror(errno));
		status = 1;
	} else {
		if (work->begun)
			work->begun(work->arg);
		secret_scrub();
		log_later();
		status = supervise(&g, control[0], signals);
	}
	close_fd(control[0]);
	/* Who could not see any more leaves it to one who can. */
	if (status == EXIT_GUARD_BLIND && g.rescue.fd >= 0) {
		log_error("guard: how the host was is kept: `%s recover' compares it again, and puts it back within a minute", log_program());
		rescue_leave(&g.rescue);
	} else {
		rescue_forget(&g.rescue);
	}
	log_later_end(signals, g.asked ? MESSAGE_PATIENCE_MS : -1);
	/* What is done is not to look undone by the way in which we end: a signal now came too late. */
	if (status)
		sigprocmask(SIG_SETMASK, &before, NULL);
	watch_free(g.watch);
	filters_free(g.filters);
	return status;
}
