/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "secret.h"

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "util.h"

/* glibc knows already; to ask the processor takes a virtual machine as long as dozens of system calls. */
#if __has_include(<sys/platform/x86.h>)
#include <sys/platform/x86.h>
#define CPU_HAS_AVX() CPU_FEATURE_ACTIVE(AVX)
#define CPU_HAS_AVX512() CPU_FEATURE_ACTIVE(AVX512F)
#else
#define CPU_HAS_AVX() __builtin_cpu_supports("avx")
#define CPU_HAS_AVX512() __builtin_cpu_supports("avx512f")
#endif

#define SCRUB_BYTES (128 * 1024) /* deeper than any call of ours goes: a resolver's buffers have 64 KiB */

#ifndef __has_attribute
#define __has_attribute(x) 0
#endif
#if __has_attribute(zero_call_used_regs)
#define ZERO_REGISTERS __attribute__((zero_call_used_regs("all"), noinline))
#else
#define ZERO_REGISTERS __attribute__((noinline))
#endif

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

/* The attribute knows the registers that the program is compiled for; the C library uses all that the processor has. */
ZERO_REGISTERS static void scrub_registers(void)
{
#ifdef __x86_64__
	if (CPU_HAS_AVX())
		__asm__ volatile("vzeroall" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
				 "xmm15");
	/* Which no code of ours uses: nothing to declare. */
	if (CPU_HAS_AVX512())
		__asm__ volatile("vpxorq %zmm16, %zmm16, %zmm16\n\tvpxorq %zmm17, %zmm17, %zmm17\n\tvpxorq %zmm18, %zmm18, %zmm18\n\tvpxorq %zmm19, %zmm19, %zmm19\n\t"
				 "vpxorq %zmm20, %zmm20, %zmm20\n\tvpxorq %zmm21, %zmm21, %zmm21\n\tvpxorq %zmm22, %zmm22, %zmm22\n\tvpxorq %zmm23, %zmm23, %zmm23\n\t"
				 "vpxorq %zmm24, %zmm24, %zmm24\n\tvpxorq %zmm25, %zmm25, %zmm25\n\tvpxorq %zmm26, %zmm26, %zmm26\n\tvpxorq %zmm27, %zmm27, %zmm27\n\t"
				 "vpxorq %zmm28, %zmm28, %zmm28\n\tvpxorq %zmm29, %zmm29, %zmm29\n\tvpxorq %zmm30, %zmm30, %zmm30\n\tvpxorq %zmm31, %zmm31, %zmm31");
#endif
}

__attribute__((noinline)) static void scrub_stack(void)
{
	char below[SCRUB_BYTES];

	explicit_bzero(below, sizeof(below));
}

void secret_scrub(void)
{
	/* First, so that what is bound on the way to the stack has none to write. */
	scrub_registers();
	scrub_stack();
}
