/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * who-suspect.c - who may have asked for a change whose notice does not say: of links the kernel
 * tells no requester. Those in question are processes of hooks that can be seen at it.
 */
#include "who-state.h"

#include <sys/stat.h>

#include "hook.h"
#include "spawn.h"

/* From when a command begins that is gone in a few: by then the notice of what it did has been read on a busy machine, too. */
#define SENDER_MS 250

struct suspicion {
	struct whois *w;
	pid_t pid, hook; /* 0: none */
	bool others;
	const struct sender *noted; /* NULL: `pid` was found just now */
};

/* Below `root` is the worker, and below that a hook. What another run of this program does there has a guard of its own. */
static bool belongs_to_hook(struct suspicion *s, pid_t pid)
{
	struct proc_stat stat = { 0 };
	pid_t at = pid, last = 0, hook = 0;

	for (int depth = 0; depth < MAX_DEPTH && at > 1 && at != s->w->root && proc_read_stat(at, &stat); depth++) {
		if (hook && proc_is_ourselves(hook))
			return false;
		hook = last;
		last = at;
		at = stat.parent;
	}
	if (at != s->w->root || !hook || proc_is_ourselves(hook) || !spawn_has_variable(hook, HOOK_VARIABLE))
		return false;
	s->hook = hook;
	return true;
}

static bool suspect_socket(void *arg, const struct proc_socket *socket)
{
	pid_t pid = (pid_t)(socket->port & LIBNL_PID_MASK);
	struct suspicion *s = arg;
	struct proc_stat stat;

	/* Who listens is there to stay, as a hook's own userspace WireGuard is. */
	if (pid == 0 || socket->listens || pid == s->w->root || !proc_read_stat(pid, &stat))
		return true;
	if (!s->pid && belongs_to_hook(s, pid))
		s->pid = pid;
	else if (stat.start >= s->w->began && who_is(s->w, pid, NULL) != WHO_OURS)
		s->others = true;
	return true;
}

/* `ip link add … netns 1' makes a link there from where it stands; and what a batch holds, nobody knows. */
static bool reaches_elsewhere(const char *command)
{
	if (strncmp(command, "ip ", 3) != 0 || strncmp(command, "ip netns ", 9) == 0)
		return false;
	return strstr(command, " netns ") || strstr(command, " -b") || strstr(command, " -n");
}

static bool stands_on_host(pid_t pid)
{
	struct stat host, here;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	return stat("/proc/1/ns/net", &host) == 0 && stat(path, &here) == 0 && host.st_ino == here.st_ino && host.st_dev == here.st_dev;
}

void who_note_start(struct whois *w, pid_t pid)
{
	struct suspicion s = { .w = w };
	char command[WHO_COMMAND_LEN];
	struct proc_stat stat;
	struct sender *sender;

	if (!proc_read_stat(pid, &stat) || strcmp(stat.comm, "ip") != 0 || !who_command(pid, command))
		return;
	/* A zombie has no words any more. It is let go: hooks run `ip' for their own namespace all the time, and a container may begin beside them. */
	if (!(reaches_elsewhere(command) || stands_on_host(pid)) || !belongs_to_hook(&s, pid))
		return;
	sender = &w->senders[w->n_senders++ % KNOWN_SENDERS];
	*sender = (struct sender){ .pid = pid, .hook = s.hook, .start = stat.start, .at = now_ms() };
	memcpy(sender->command, command, sizeof(sender->command));
}

static void suspect_noted(struct suspicion *s)
{
	int64_t now = now_ms();
	struct proc_stat stat;

	for (size_t i = 0; i < KNOWN_SENDERS && !s->pid; i++) {
		const struct sender *sender = &s->w->senders[i];

		if (!sender->pid)
			continue;
		/* Once it is gone, what it did is read at once. */
		if (now - sender->at > SENDER_MS && (!proc_read_stat(sender->pid, &stat) || stat.start != sender->start))
			continue;
		s->pid = sender->pid;
		s->hook = sender->hook;
		s->noted = sender;
	}
}

static void suspect_sender(void *arg, pid_t pid)
{
	char command[WHO_COMMAND_LEN];
	struct suspicion *s = arg;

	if (!s->pid && who_command(pid, command) && reaches_elsewhere(command) && belongs_to_hook(s, pid))
		s->pid = pid;
}

static void suspect_hook(void *arg, pid_t pid)
{
	struct suspicion *s = arg;

	/* The outermost comes first. */
	if (!s->hook)
		(void)belongs_to_hook(s, pid);
}

bool who_suspect(struct whois *w, struct requester *ret_requester)
{
	struct suspicion s = { .w = w };
	struct requester r = { .who = WHO_UNKNOWN, .guessed = true };

	proc_each_socket(suspect_socket, &s);
	if (!s.pid)
		suspect_noted(&s);
	if (!s.pid)
		spawn_each_descendant(suspect_sender, &s);
	if (!s.hook)
		spawn_each_descendant(suspect_hook, &s);
	if (s.noted)
		memcpy(r.command, s.noted->command, sizeof(r.command));
	if (s.noted || (s.pid && who_command(s.pid, r.command)))
		r.pid = s.pid;
	if (s.hook && s.hook != s.pid)
		who_hook_text(s.hook, r.below);
	*ret_requester = r;
	return s.pid && !s.others;
}
