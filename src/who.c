/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "who-state.h"

#include <dirent.h>
#include <poll.h>
#include <sys/syscall.h>

#include "hook.h"
#include "spawn.h"

/* A hook is what follows `bash … -c`. (Or what that shell has become: its last command.) */
void who_hook_text(pid_t pid, char ret_text[static WHO_COMMAND_LEN])
{
	static const char before[] = HOOK_SHELL " ";
	char command[WHO_COMMAND_LEN];

	*ret_text = '\0';
	if (!who_command(pid, command))
		return;
	snprintf(ret_text, WHO_COMMAND_LEN, "%s", strncmp(command, before, sizeof(before) - 1) == 0 ? command + sizeof(before) - 1 : command);
}

static bool listed(const struct whois *w, const char *comm)
{
	for (size_t i = 0; i < w->foreign.n; i++) {
		const char *name = w->foreign.v[i];
		size_t len = strlen(name);

		/* The kernel keeps 15 bytes of a name. */
		if (strncmp(comm, name, len && name[len - 1] == '*' && len - 1 < 15 ? len - 1 : 15) == 0)
			return true;
	}
	return false;
}

static enum who find(struct whois *w, pid_t pid, struct requester *ret_requester, pid_t *ret_hook)
{
	struct requester r = { .who = WHO_UNKNOWN, .pid = pid };
	struct proc_stat stat;
	pid_t at = pid, last = 0, hook = 0; /* below `root` is the worker, and below that a hook, or the command */

	for (int depth = 0; depth < MAX_DEPTH; depth++) {
		/* First of all: in a container we may be process 1 ourselves. */
		if (at == w->root) {
			r.who = WHO_OURS;
			break;
		}
		if (at <= 1) {
			if (*r.daemon)
				r.who = WHO_FOREIGN;
			break;
		}
		/* A chain that breaks off proves nothing. */
		if (!proc_read_stat(at, &stat)) {
			*r.daemon = '\0';
			break;
		}
		if (!*r.daemon && stat.start < w->began && listed(w, stat.comm))
			memcpy(r.daemon, stat.comm, sizeof(r.daemon));
		hook = last;
		last = at;
		at = stat.parent;
	}
	*ret_hook = r.who == WHO_OURS && hook != pid ? hook : 0;
	if (ret_requester) {
		if (*ret_hook)
			who_hook_text(*ret_hook, r.below);
		*ret_requester = r;
		if (pid > 0)
			who_command(pid, ret_requester->command);
	}
	return r.who;
}

enum who who_is(struct whois *w, pid_t pid, struct requester *ret_requester)
{
	pid_t hook;

	return find(w, pid, ret_requester, &hook);
}

static void forget_daemon(struct whois *w, size_t slot)
{
	if (w->daemons[slot].port)
		close_fd(w->daemons[slot].pidfd);
	w->daemons[slot].port = 0;
}

static void remember_daemon(struct whois *w, uint32_t port, pid_t pid)
{
	size_t slot = w->n_daemons++ % KNOWN_DAEMONS;
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	forget_daemon(w, slot);
	/* Only now it is certain that it is still the process that was looked at. */
	if (pidfd < 0 || who_is(w, pid, NULL) != WHO_FOREIGN) {
		close_fd(pidfd);
		return;
	}
	w->daemons[slot].port = port;
	w->daemons[slot].pid = pid;
	w->daemons[slot].pidfd = pidfd;
}

/* 0: it is none, or not any more. */
static pid_t known_daemon(struct whois *w, uint32_t port)
{
	for (size_t i = 0; i < KNOWN_DAEMONS; i++)
		if (w->daemons[i].port == port) {
			struct pollfd alive = { .fd = w->daemons[i].pidfd, .events = POLLIN };

			if (poll(&alive, 1, 0) == 0)
				return w->daemons[i].pid;
			forget_daemon(w, i);
		}
	return 0;
}

static bool is_daemon(const struct whois *w, pid_t pid)
{
	struct proc_stat stat;

	return proc_read_stat(pid, &stat) && stat.start < w->began && listed(w, stat.comm);
}

bool who_has_daemon(struct whois *w)
{
	const struct dirent *entry;
	uint64_t pid;
	DIR *dir;

	if (w->any_daemon < 0 || (w->any_daemon > 0 && is_daemon(w, w->any_daemon)))
		return w->any_daemon > 0;
	w->any_daemon = -1;
	dir = opendir("/proc");
	while (dir && w->any_daemon < 0 && (entry = readdir(dir)))
		if (parse_u64(entry->d_name, INT32_MAX, &pid) == 0 && is_daemon(w, (pid_t)pid))
			w->any_daemon = (pid_t)pid;
	if (dir)
		closedir(dir);
	return w->any_daemon > 0;
}

/*
 * A port that is a daemon's pid need not be the daemon's: in a process namespace of its own a
 * process has another number. As long as the socket is there, its owner can be seen.
 */
static enum who confirm_daemon(struct whois *w, uint32_t port, pid_t pid, struct requester *ret_requester)
{
	unsigned long inode = proc_find_socket(port);
	pid_t owner = inode && !proc_holds_socket(pid, inode) ? proc_find_owner(port) : pid;

	/* Closed meanwhile: then there is nothing against it, but the next one to have the port may be anybody. */
	if (owner == 0)
		return WHO_FOREIGN;
	if (owner != pid)
		return who_is(w, owner, ret_requester);
	if (inode)
		remember_daemon(w, port, pid);
	return WHO_FOREIGN;
}

static enum who remember(struct whois *w, uint32_t port, pid_t pid, pid_t hook, enum who who)
{
	/* To take a stranger for ours by mistake is safe, so this is not looked at again. */
	if (who == WHO_OURS) {
		size_t slot = w->n_ours++ % KNOWN_PORTS;

		w->ours[slot].port = port;
		w->ours[slot].pid = pid;
		w->ours[slot].hook = hook;
	}
	return who;
}

enum who who_asked(struct whois *w, uint32_t port, struct requester *ret_requester)
{
	struct proc_stat stat;
	pid_t pid, hook;
	enum who who;

	if (port == 0) {
		if (ret_requester)
			*ret_requester = (struct requester){ .who = WHO_KERNEL };
		return WHO_KERNEL;
	}
	for (size_t i = 0; i < w->n_ours && i < KNOWN_PORTS; i++)
		if (w->ours[i].port == port) {
			if (ret_requester) {
				*ret_requester = (struct requester){ .who = WHO_OURS, .pid = w->ours[i].pid };
				who_command(w->ours[i].pid, ret_requester->command);
				if (w->ours[i].hook)
					who_hook_text(w->ours[i].hook, ret_requester->below);
			}
			return WHO_OURS;
		}
	pid = known_daemon(w, port);
	if (pid > 0)
		return ret_requester ? who_is(w, pid, ret_requester) : WHO_FOREIGN;
	pid = (pid_t)port;
	/* A process's first socket is bound to its pid. */
	if (pid < 0 || !proc_read_stat(pid, &stat))
		pid = proc_find_owner(port);
	if (pid == 0) {
		if (ret_requester)
			*ret_requester = (struct requester){ .who = WHO_UNKNOWN };
		return WHO_UNKNOWN;
	}
	who = find(w, pid, ret_requester, &hook);
	return who == WHO_FOREIGN ? confirm_daemon(w, port, pid, ret_requester) : remember(w, port, pid, hook, who);
}

int who_open(pid_t root, const struct strv *foreign, struct whois **ret_who)
{
	struct whois *w = calloc(1, sizeof(*w));
	struct proc_stat stat;

	if (!w)
		return -ENOMEM;
	w->root = root;
	w->began = proc_read_stat(root, &stat) ? stat.start : 0;
	for (size_t i = 0; i < foreign->n; i++)
		if (strv_add(&w->foreign, foreign->v[i], strlen(foreign->v[i])) < 0) {
			who_close(w);
			return -ENOMEM;
		}
	*ret_who = w;
	return 0;
}

void who_close(struct whois *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < KNOWN_DAEMONS; i++)
		forget_daemon(w, i);
	strv_free(&w->foreign);
	free(w);
}
