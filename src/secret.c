/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "secret.h"

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "util.h"

/* In a user namespace the right to exceed the limit is worth nothing: memory would seem to be out. */
static bool may_lock_all(void)
{
	_cleanup_free_ char *map = NULL;
	struct rlimit limit;
	unsigned int inner, outer, count;
	size_t len;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
		return true;
	if (geteuid() != 0 || prctl(PR_CAPBSET_READ, CAP_IPC_LOCK) != 1)
		return false;
	return read_file("/proc/self/uid_map", 4096, &map, &len) == 0 && sscanf(map, "%u %u %u", &inner, &outer, &count) == 3 && inner == 0 && outer == 0 &&
	       count == UINT32_MAX;
}

void secret_protect(void)
{
	/* A limit of 0 would not do: it does not count where dumps go to a program, and hooks would inherit it. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	/* As it is touched: a page that is never used is none to lock. */
	if (may_lock_all())
		(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}
