/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>

#include "ns.h"
#include "spawn.h"
#include "watch-state.h"

/* For the namespace that the host has this number for. */
struct search {
	struct watch *w;
	int32_t nsid;
	int fd; /* -1: not found */
};

static bool compare_path(struct search *s, const char *path)
{
	_cleanup_fd_ int fd = s->fd < 0 ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	int32_t nsid;

	if (fd >= 0 && fib_nsid_of(s->w->fib, fd, &nsid) == 0 && nsid == s->nsid) {
		s->fd = fd;
		fd = -1;
	}
	return s->fd >= 0;
}

/* Where a process of ours stands, and which namespaces it holds: the worker holds the target. */
static void compare_process(void *arg, pid_t pid)
{
	struct search *s = arg;
	struct dirent *entry;
	char path[64], target[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	if (compare_path(s, path))
		return;
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && s->fd < 0 && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		if (n < 5 || strncmp(target, "net:[", 5) != 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", pid, entry->d_name);
		compare_path(s, path);
	}
	if (dir)
		closedir(dir);
}

static void compare_named(struct search *s)
{
	struct dirent *entry;
	char path[sizeof(NETNS_RUN_DIR) + NAME_MAX + 1];
	DIR *dir = opendir(NETNS_RUN_DIR);

	while (dir && s->fd < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), NETNS_RUN_DIR "/%s", entry->d_name);
		if (*entry->d_name != '.')
			compare_path(s, path);
	}
	if (dir)
		closedir(dir);
}

bool watch_leads_to_ours(struct watch *w, const struct fib_object *o)
{
	const struct fib_link *l = o->kind == FIB_LINK && o->change == FIB_ADDED ? fib_link(o->after) : NULL;
	struct search s = { .w = w, .fd = -1 };
	bool found;

	if (!l || l->netnsid < 0 || w->policy.command)
		return false;
	s.nsid = l->netnsid;
	spawn_each_descendant(compare_process, &s);
	found = s.fd >= 0;
	close_fd(s.fd);
	return found;
}

bool watch_delete_landed(struct watch *w, const struct fib_object *o, bool ours)
{
	int r;

	if (o->kind != FIB_LINK || o->change != FIB_ADDED)
		return false;
	if (!ours && !policy_is_landing(&w->policy, o) && !watch_leads_to_ours(w, o))
		return false;
	r = fib_delete_link(w->fib, o->ifindex);
	/* With the other one of a pair it may have gone already. */
	return r == 0 || r == -ENODEV;
}

static int open_there(void *arg)
{
	return fib_open(arg);
}

bool watch_fetch_link(struct watch *w, const struct nlmsghdr *event)
{
	const struct fib_link *before = fib_snapshot_link(w->before, fib_event_ifindex(event));
	struct search s = { .w = w, .fd = -1 };
	_cleanup_fib_ struct fib *there = NULL;
	uint32_t ifindex;
	int r;

	if (!before || !fib_event_moved(event, &s.nsid, &ifindex))
		return false;
	spawn_each_descendant(compare_process, &s);
	if (s.fd < 0)
		compare_named(&s);
	if (s.fd < 0)
		return false;
	r = ns_call(s.fd, open_there, &there);
	if (r == 0)
		r = fib_move_link(there, ifindex, before, w->host_fd);
	close_fd(s.fd);
	return r == 0;
}
