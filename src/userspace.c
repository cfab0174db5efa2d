/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * userspace.c - wireguard-go and its like, for kernels without WireGuard: the
 * program is started in the transport namespace, where its UDP socket stays;
 * its TUN is then moved to the target. From its creation to its move the TUN
 * stands in the transport namespace, down: the one thing that ever does.
 *
 * The name that the program starts under is the name of its socket, which is
 * one for the whole host: two tunnels of one name cannot be had this way.
 */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "log.h"
#include "spawn.h"
#include "txn.h"

const char *userspace_program(void)
{
	const char *name = getenv("WG_QUICK_USERSPACE_IMPLEMENTATION");

	if (!name || !*name)
		name = "wireguard-go";
	return spawn_in_path(name) ? name : NULL;
}

struct start_wait {
	struct worker *worker;
	struct spawn_deadline deadline;
};

/* One that stays in the foreground would be waited for for ever. */
static int on_word(void *arg, pid_t pid)
{
	struct start_wait *wait = arg;

	(void)pid;
	worker_listen(wait->worker);
	if ((wait->worker->aborts || wait->worker->orphaned) && !wait->deadline.at)
		wait->deadline.at = now_ms();
	return wait->worker->orphaned;
}

/* In the transport namespace; the program goes to the background by itself once its socket listens. Its exit status, or -errno; -ECANCELED: it did not, and was ended. */
static int start(const struct txn *txn, const char *program)
{
	struct start_wait wait = { .worker = txn->worker };
	struct spawn spawn;
	pid_t pid = spawn_fork(&spawn);
	int status;

	if (pid < 0)
		return (int)pid;
	if (pid == 0) {
		const char *argv[] = { program, txn->conf->iface, NULL };
		int r = ns_enter(txn->transport_fd);

		if (r < 0)
			spawn_fail(&spawn, r);
		/* It goes to the background without leaving our session: the end of a terminal (sudo's, ssh's) would end it. */
		setsid();
		if (putenv(txn->journal.mark) != 0)
			spawn_fail(&spawn, -ENOMEM);
		spawn_reset(txn->worker->mask);
		execvp(program, (char *const *)argv);
		spawn_fail(&spawn, -errno);
	}
	spawn_attend(&spawn, &wait.deadline, txn->worker->control, on_word, &wait);
	status = spawn_wait(&spawn);
	return wait.deadline.expired ? -ECANCELED : status;
}

static int refuse(const struct txn *txn, int status, const char *what, const char *why)
{
	log_error("%s: %s: %s", txn->conf->iface, what, why);
	return status;
}

static bool asleep(pid_t pid, const char *thread)
{
	char path[64], text[512], *p;
	_cleanup_file_ FILE *f = NULL;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/stat", pid, thread);
	f = fopen(path, "re");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[n] = '\0';
	/* The state follows the name (proc(5)). A thread that is gone does not run either. */
	p = strrchr(text, ')');
	return !p || strncmp(p, ") R", 3) != 0;
}

static bool idle(pid_t pid)
{
	const struct dirent *thread;
	bool all = true;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return true;
	while (all && (thread = readdir(dir)))
		all = thread->d_name[0] == '.' || asleep(pid, thread->d_name);
	closedir(dir);
	return all;
}

/*
 * The program was told of the new MTU, but asks for it by the TUN's name, which
 * is gone once it is moved; then it pads packets to more than fits. It has asked
 * when all of its threads are asleep again. That is worth a tenth of a second,
 * not more.
 */
static void let_read_mtu(pid_t daemon)
{
	for (int tries = 0, quiet = 0; daemon && tries < 100 && quiet < 2; tries++) {
		quiet = idle(daemon) ? quiet + 1 : 0;
		sleep_ms(1);
	}
}

int userspace_start(struct txn *txn, unsigned int mtu)
{
	const char *program = userspace_program(), *iface = txn->conf->iface;
	_cleanup_fd_ int socket = -1;
	_cleanup_fd_ int on_host = -1;
	struct wg_iface answer = { 0 };
	struct rt_link link;
	pid_t daemon = 0;
	int r;

	if (wg_userspace_connect(iface, &socket) == 0)
		return refuse(txn, 1, "userspace WireGuard of this name already runs on this machine", "its control socket is shared by all namespaces; expected another name");
	if (rt_link_get(txn->transport, iface, 0, &link) == 0)
		return refuse(txn, 1, "the transport namespace has a link of this name", "userspace WireGuard needs it there for a moment; expected another name");
	txn->journal.userspace = true;
	txn->journal.ifindex = 0;
	r = journal_note(&txn->journal, UNDO_USERSPACE, 0, 0, 0);
	if (r < 0)
		return refuse(txn, 1, "cannot write the journal", strerror(-r));
	/* Until it is moved, nobody else compares the host with anything. */
	r = journal_lock_tun(&on_host);
	if (r == -ECANCELED)
		return refuse(txn, 1, "interrupted", "another run's interface has not left the transport namespace yet");
	r = worker_announce_transit(txn->worker);
	if (r < 0)
		return refuse(txn, 1, "cannot tell the supervisor", strerror(-r));
	/* An order that came before the answer is read by now: while the program runs, only the next one would be heard. */
	if (worker_aborted(txn->worker))
		return refuse(txn, 1, program, "interrupted before it was started");
	log_trace("%s %s", program, iface);
	r = start(txn, program);
	if (r == -ECANCELED)
		return refuse(txn, 1, program, "interrupted; it had not gone to the background, as userspace WireGuard does once its interface is there");
	if (r != 0)
		return r < 0 ? refuse(txn, 1, program, strerror(-r)) : r;
	r = rt_link_get(txn->transport, iface, 0, &link);
	if (r < 0)
		return refuse(txn, 1, program, "it ended well, but there is no interface");
	/*
	 * The socket listens before the program has looked its TUN up by name; moved
	 * before that, it would be lost. An answer means that the program is ready.
	 */
	r = wg_userspace_read(iface, &answer);
	wg_iface_free(&answer);
	if (r < 0)
		return refuse(txn, 1, program, "its control socket does not answer");
	/* It went to the background, and so became a child of this subreaper: the only one before any hook. */
	daemon = spawn_child();
	txn->journal.undo[txn->journal.n_undo - 1] = (struct undo){ UNDO_USERSPACE, link.ifindex, (uint64_t)daemon, spawn_start_time(daemon) };
	r = journal_save(&txn->journal);
	if (r == 0) {
		/* Not less than IPv6 needs: its addresses are yet to come, as they are with the kernel's device. */
		r = rt_link_set_mtu(txn->transport, link.ifindex, mtu < 1280 ? 1280 : mtu);
		/* One that is out of range is told when its turn comes, as it is with the kernel's device. */
		if (r < 0 && r != -EINVAL)
			return refuse(txn, 2, "cannot set the MTU of the interface", rt_why(txn->transport, r));
		r = 0;
		let_read_mtu(daemon);
	}
	if (r == 0 && !ns_same(txn->transport_fd, txn->target_fd))
		r = rt_link_move(txn->transport, link.ifindex, txn->target_fd, 0);
	if (r < 0)
		return refuse(txn, 2, "cannot move the interface to its namespace", rt_why(txn->transport, r));
	r = rt_link_get(txn->target, iface, 0, &link);
	if (r < 0)
		return refuse(txn, 2, "the interface did not arrive in its namespace", strerror(-r));
	txn->journal.ifindex = link.ifindex;
	r = journal_save(&txn->journal);
	return r < 0 ? refuse(txn, 1, "cannot write the journal", strerror(-r)) : 0;
}

/* The TUN where it may be: its index moves with it unless it was taken there. */
static int delete_tun(struct rt *rt, unsigned int ifindex, const char *name)
{
	struct rt_link link;
	int r;

	if (!rt || !ifindex)
		return 0;
	r = rt_link_get(rt, NULL, ifindex, &link);
	if (r < 0)
		return r == -ENODEV ? 0 : r;
	if (strcmp(link.kind, "tun") != 0 || strcmp(link.name, name) != 0)
		return 0;
	log_trace("ip link delete dev %s", name);
	r = rt_link_delete(rt, ifindex);
	return r == -ENODEV ? 0 : r;
}

/* Ends the process that was started then within a few seconds; `patience` (ms) is what it gets to end by itself. */
static void end_process(pid_t pid, uint64_t start_time, int patience)
{
	_cleanup_fd_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };

	/* Asked once it is held: before that the number may go to another process. */
	if (pidfd < 0 || spawn_start_time(pid) != start_time || (patience && poll(&fd, 1, patience) != 0))
		return;
	(void)spawn_signal(pid, pidfd, SIGTERM);
	if (poll(&fd, 1, 3000) != 0)
		return;
	(void)spawn_signal(pid, pidfd, SIGKILL);
	poll(&fd, 1, 1000);
}

/* A killed one leaves its socket's file behind, and may take a moment to let go of the socket. */
static int forget_socket(const char *iface)
{
	_cleanup_free_ char *path = wg_userspace_socket(iface);

	if (!path)
		return -ENOMEM;
	for (int tries = 0; tries < 20; tries++) {
		_cleanup_fd_ int socket = -1;

		if (wg_userspace_connect(iface, &socket) == -ENODEV)
			return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
		sleep_ms(10);
	}
	return 0;
}

static int end_daemon(const struct journal *j, const struct undo *undo)
{
	pid_t daemon = (pid_t)undo->arg2;

	/* wireguard-go takes the end of its TUN for its own, but may need a second to see it. */
	if (daemon && undo->arg3)
		end_process(daemon, undo->arg3, 20);
	else if (!daemon)
		/* Killed before it was noted, and so with its TUN where it was made. */
		spawn_kill_marked(j->mark, -1, NULL);
	return forget_socket(j->iface);
}

int userspace_undo(struct txn *txn, const struct undo *undo)
{
	int r = delete_tun(txn->target, txn->journal.ifindex, txn->journal.iface), ended;

	if (r == 0)
		r = delete_tun(txn->transport, (unsigned int)undo->arg, txn->journal.iface);
	ended = end_daemon(&txn->journal, undo);
	return r < 0 ? r : ended;
}
