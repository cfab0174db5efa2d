/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watch-judge.c - policy.c's answer for one change, and a second look where it depends
 * on more than the change itself: which way the host sends now, where a new link's other end
 * is, whether anything that matters led over a link.
 */
#include <dirent.h>
#include <fcntl.h>

#include "spawn.h"
#include "watch-state.h"

/* K4: does the host still go the same way to those it must reach? */
static bool ways_changed(struct watch *w)
{
	for (size_t i = 0; w->lookups && i < w->policy.n_watched; i++) {
		const struct prefix *p = &w->policy.watched[i];
		uint64_t hash;

		if (fib_lookup(w->fib, p->family, p->bytes, 0, &hash) == 0 && hash != w->lookups[i])
			return true;
	}
	return false;
}

int watch_remember_ways(struct watch *w)
{
	if (!w->policy.command || w->policy.n_watched == 0)
		return 0;
	w->lookups = calloc(w->policy.n_watched, sizeof(*w->lookups));
	if (!w->lookups)
		return -ENOMEM;
	for (size_t i = 0; i < w->policy.n_watched; i++) {
		const struct prefix *p = &w->policy.watched[i];

		/* A family that is not there has no way, now and later. */
		(void)fib_lookup(w->fib, p->family, p->bytes, 0, &w->lookups[i]);
	}
	return 0;
}

struct nsid_search {
	struct watch *w;
	int32_t nsid;
	bool found;
};

static void compare_path(struct nsid_search *s, const char *path)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int32_t nsid;

	s->found |= fd >= 0 && fib_nsid_of(s->w->fib, fd, &nsid) == 0 && nsid == s->nsid;
}

/* Where a process of ours stands, and which namespaces it holds: the worker holds the target. */
static void compare_nsid(void *arg, pid_t pid)
{
	struct nsid_search *s = arg;
	struct dirent *entry;
	char path[64], target[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	compare_path(s, path);
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = s->found ? NULL : opendir(path);
	while (dir && !s->found && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		if (n < 5 || strncmp(target, "net:[", 5) != 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", pid, entry->d_name);
		compare_path(s, path);
	}
	if (dir)
		closedir(dir);
}

/* K5: the other end of a new link is where a process of ours is. */
bool watch_leads_to_ours(struct watch *w, const struct fib_object *o)
{
	const struct fib_link *l = o->kind == FIB_LINK && o->change == FIB_ADDED ? fib_link(o->after) : NULL;
	struct nsid_search s = { .w = w };

	if (!l || l->netnsid < 0 || w->policy.command)
		return false;
	s.nsid = l->netnsid;
	spawn_each_descendant(compare_nsid, &s);
	return s.found;
}

static void note_way(void *arg, const struct fib_object *o, uint32_t ifindex)
{
	struct watch *w = arg;

	if (policy_is_way(&w->policy, o))
		watch_keep(w, &w->ways, ifindex);
}

/* Did anything that matters lead over this link? */
static bool is_way(struct watch *w, uint32_t ifindex)
{
	if (!w->ways_known)
		fib_snapshot_ways(w->before, note_way, w);
	w->ways_known = true;
	return key_set_has(&w->ways, ifindex);
}

enum verdict watch_judge(struct watch *w, const struct fib_object *o, enum who who, const char **ret_why)
{
	enum verdict verdict = policy_judge(&w->policy, w->before, o, who, ret_why);

	if (verdict == VERDICT_BENIGN && w->policy.command && who != WHO_FOREIGN && ways_changed(w)) {
		*ret_why = "it decides how this host reaches a name server, the SSH client or the rest of the world";
		return VERDICT_CONCERN;
	}
	if (verdict == VERDICT_BENIGN && watch_leads_to_ours(w, o)) {
		*ret_why = "a link into the namespace of this run";
		return VERDICT_CONCERN;
	}
	/* Containers end while we run. A link that is gone could not be put back anyway. */
	if (verdict == VERDICT_CONCERN && !w->policy.command && w->policy.level != GUARD_STRICT && who != WHO_OURS && policy_is_guest(w->before, o) && !is_way(w, o->ifindex))
		return policy_judge_guest(&w->policy, o, !fib_has_link(w->fib, o->ifindex), ret_why);
	return verdict;
}
