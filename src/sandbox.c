/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sandbox.h"

#include <cap-ng.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define NOBODY 65534
#define MEMORY (512UL << 20) /* bytes of address space: xz asks for 65 MB, a record has one */
#define DESCRIPTORS 16	     /* standard ones, two channels, one source */

static int drop_privileges(void)
{
	/* nobody is not mapped in every user namespace; without capabilities, root is only the owner of files. */
	bool mapped;

	capng_clear(CAPNG_SELECT_BOTH);
	mapped = capng_change_id(NOBODY, NOBODY, CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING) == 0;
	if (!mapped) {
		capng_clear(CAPNG_SELECT_BOTH);
		if (capng_apply(CAPNG_SELECT_CAPS) != 0)
			return -EPERM;
	}
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int set_limit(int resource, rlim_t value)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return -errno;
	/* Who started us may have set less, and less it stays: to raise a limit is a privilege. */
	if (limit.rlim_max > value)
		limit.rlim_max = value;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(resource, &limit) < 0 ? -errno : 0;
}

static int set_limits(unsigned int seconds)
{
	int r = set_limit(RLIMIT_CPU, seconds);

	if (r == 0)
		r = set_limit(RLIMIT_FSIZE, 0);
	if (r == 0)
		r = set_limit(RLIMIT_CORE, 0);
	if (r == 0)
		r = set_limit(RLIMIT_NOFILE, DESCRIPTORS);
#ifndef __SANITIZE_ADDRESS__
	/* The sanitizer's shadow is larger than any machine. */
	if (r == 0)
		r = set_limit(RLIMIT_AS, MEMORY);
#endif
	return r;
}

/* What is not named fails with EPERM: a library that tries something else goes on, or says so. */
static int filter_calls(void)
{
	static const int allowed[] = {
		SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(lseek), SCMP_SYS(_llseek), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(recvmsg), SCMP_SYS(close),
		SCMP_SYS(fstat), SCMP_SYS(fstat64), SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex),
		SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(sysinfo), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigreturn),
		SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group),
		/* abort(3), so that a defect looks like one */
		SCMP_SYS(rt_sigprocmask), SCMP_SYS(getpid), SCMP_SYS(gettid),
#ifdef __SANITIZE_ADDRESS__
		SCMP_SYS(mprotect), SCMP_SYS(sigaltstack), SCMP_SYS(sched_yield), SCMP_SYS(getrlimit), SCMP_SYS(prlimit64),
#endif
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = filter ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_SIZE(allowed) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	/* fstat(3) is fstatat(2) with an empty path on machines of today. What a path tells is no secret worth more words here. */
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 0);
	if (r == 0)
		r = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	return r;
}

int sandbox_enter(unsigned int seconds)
{
	int r = drop_privileges();

	if (r == 0)
		r = set_limits(seconds);
	return r == 0 ? filter_calls() : r;
}
