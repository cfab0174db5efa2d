/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * setns-tool.c - ways into a namespace that no program at hand takes, and
 * surroundings in which a filter of seccomp(2) cannot be put in place.
 *
 *	setns-tool enter pidfd|file|compat PID [COMMAND…]   setns(2) into PID's network namespace
 *	setns-tool getfd PID FD             pidfd_getfd(2)
 *	setns-tool loop N                   N times into its own namespace: "NS ns per call"
 *	setns-tool refuse ERRNO COMMAND…    seccomp(2) answers ERRNO in COMMAND
 *	setns-tool listener COMMAND…        COMMAND has a filter with a listener
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return errno == EPERM ? 77 : 1;
}

static int run(char **command)
{
	if (!*command)
		return 0;
	execvp(*command, command);
	return fail(*command);
}

/* setns(2) of the 32-bit architecture that the kernel understands besides its own. */
static long compat_setns(int fd, int type)
{
#ifdef __x86_64__
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(346L), "b"((long)fd), "c"((long)type) : "memory", "r8", "r9", "r10", "r11");
	if (r < 0) {
		errno = (int)-r;
		return -1;
	}
	return r;
#else
	(void)fd;
	(void)type;
	errno = ENOSYS;
	return -1;
#endif
}

static int enter(const char *how, const char *pid, char **command)
{
	char path[64];
	long r;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/ns/net", pid);
	fd = strcmp(how, "pidfd") == 0 ? (int)syscall(SYS_pidfd_open, atoi(pid), 0) : open(path, O_RDONLY);
	if (fd < 0)
		return fail(how);
	if (strcmp(how, "compat") == 0)
		r = compat_setns(fd, CLONE_NEWNET);
	else
		r = setns(fd, strcmp(how, "pidfd") == 0 ? CLONE_NEWNET : 0);
	return r < 0 ? fail("setns") : run(command);
}

static int getfd(int pid, int fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0)
		return fail("pidfd_open");
	return syscall(SYS_pidfd_getfd, pidfd, fd, 0) < 0 ? fail("pidfd_getfd") : 0;
}

static int loop(long n)
{
	int fd = open("/proc/self/ns/net", O_RDONLY);
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (long i = 0; i < n; i++)
		if (setns(fd, CLONE_NEWNET) < 0)
			return fail("setns");
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%lld ns per call\n", ((b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec) / n);
	return 0;
}

/* One system call of this architecture is answered by `action`. */
static int install(int nr, unsigned int action, unsigned int flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(*code), .filter = code };

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

int main(int argc, char **argv)
{
	if (argc >= 4 && strcmp(argv[1], "enter") == 0)
		return enter(argv[2], argv[3], argv + 4);
	if (argc == 4 && strcmp(argv[1], "getfd") == 0)
		return getfd(atoi(argv[2]), atoi(argv[3]));
	if (argc == 3 && strcmp(argv[1], "loop") == 0)
		return loop(atol(argv[2]));
	if (argc >= 4 && strcmp(argv[1], "refuse") == 0)
		return install(SYS_seccomp, SECCOMP_RET_ERRNO | (unsigned int)atoi(argv[2]), 0) < 0 ? fail("seccomp") : run(argv + 3);
	/* The listener stays open in COMMAND: without one the place would be free. Nobody calls swapoff(2). */
	if (argc >= 3 && strcmp(argv[1], "listener") == 0) {
		int fd = install(SYS_swapoff, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);

		return fd < 0 || fcntl(fd, F_SETFD, 0) < 0 ? fail("seccomp") : run(argv + 2);
	}
	fprintf(stderr, "setns-tool: see the comment in tests/setns-tool.c\n");
	return 2;
}
