/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fault-tool - runs a program, follows its processes, and lets one system call of one of
 * them go wrong.
 *
 * usage: fault-tool -o FILE [-p PROCESS -c CALL -n N (-e ERROR | -s SIGNAL | -g SIGNAL | -a)] COMMAND…
 *
 * strace's inject= counts for every process by itself, so that one rule strikes in all
 * of them; here a point is one call in one process. Processes are named by descent: 1
 * is the program, 1.2 its second child. One that executes another program is let go:
 * hooks and daemons are not what is tested.
 *
 * Without a point FILE lists all calls in order, one a line: PROCESS CALL N. With one,
 * FILE says `hit PROCESSES PROGRAMS' if the point was reached: how many had been started by
 * then, as which of two processes comes first is a matter of chance. Not counted is what a
 * program does to see whether a daemon sleeps, /proc/PID/task and its stat files, and of a
 * process's own sleeps (clock_nanosleep) while it waits for something all but the first: how
 * often, is a matter of chance, too. The call, the Nth of its name in that process,
 *   -e  is not made and fails with ERROR, a number (close(2) is made: it never keeps its descriptor)
 *   -s  is preceded by a signal to its process
 *   -g  is preceded by a signal to the process group, as from a terminal
 *   -a  is not made, as SIGKILL ends all of the processes at once
 * Ends when all of the processes have, with the program's status as a shell gives it.
 */
#include <elf.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_PROCESSES 256
#define MAX_CALLS 1024
#define MAX_FILES 256
#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

enum action { ACTION_LIST, ACTION_ERROR, ACTION_SIGNAL, ACTION_GROUP, ACTION_ALL };

struct process {
	pid_t pid;	/* 0: it has ended */
	char name[64];	/* "": its parent has not told yet */
	bool waiting;	/* stopped, until its parent tells */
	bool started;	/* runs the program */
	unsigned int children;
	unsigned int calls[MAX_CALLS];
	long answer;	/* what its call is to return; 0: what the kernel says */
	bool opens_task; /* its call opens what only tells whether another process sleeps */
	bool task[MAX_FILES]; /* descriptors of such */
};

static struct process processes[MAX_PROCESSES];
static size_t n_processes;
static unsigned int n_programs; /* that were let go */
static FILE *out;
static enum action action;
static const char *at_process;
static int at_call = -1;
static unsigned int at_n;
static int number; /* of the error or the signal */

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "fault-tool: %s: %s\n", what, strerror(errno));
	exit(125);
}

static struct process *find(pid_t pid)
{
	for (size_t i = 0; i < n_processes; i++)
		if (processes[i].pid == pid)
			return &processes[i];
	if (n_processes == MAX_PROCESSES) {
		errno = E2BIG;
		die("processes");
	}
	processes[n_processes].pid = pid;
	return &processes[n_processes++];
}

/* The number of the call that a process is about to make; -1: none at all. */
static void set_call(pid_t pid, int call)
{
#if defined(__x86_64__)
	if (ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, orig_rax), (long)call) < 0)
		die("set the call");
#elif defined(__aarch64__)
	struct iovec iov = { &call, sizeof(call) };

	if (ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &iov) < 0)
		die("set the call");
#else
	(void)pid;
	(void)call;
	errno = ENOTSUP;
	die("this processor");
#endif
}

static void set_answer(pid_t pid, long answer)
{
#if defined(__x86_64__)
	if (ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax), answer) < 0)
		die("set the answer");
#elif defined(__aarch64__)
	struct user_regs_struct regs;
	struct iovec iov = { &regs, sizeof(regs) };

	if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov) < 0)
		die("read registers");
	regs.regs[0] = (uint64_t)answer;
	if (ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &iov) < 0)
		die("set the answer");
#else
	(void)pid;
	(void)answer;
#endif
}

static bool all_end, hit;

static void strike(struct process *p)
{
	hit = true;
	fprintf(out, "hit %zu %u\n", n_processes, n_programs);
	fflush(out);
	switch (action) {
	case ACTION_LIST:
		break;
	case ACTION_ERROR:
		if (at_call != SYS_close)
			set_call(p->pid, -1);
		p->answer = -number;
		break;
	case ACTION_SIGNAL:
		kill(p->pid, number);
		break;
	case ACTION_GROUP:
		kill(-processes[0].pid, number);
		break;
	case ACTION_ALL:
		all_end = true;
		for (size_t i = 0; i < n_processes; i++)
			if (processes[i].pid)
				kill(processes[i].pid, SIGKILL);
		break;
	}
}

static bool is_followed(pid_t pid)
{
	for (size_t i = 0; i < n_processes; i++)
		if (processes[i].pid == pid)
			return true;
	return false;
}

/* /proc/PID/task, /proc/PID/task/TID/stat of a process that we do not follow: what is asked of those that we do, has other reasons. */
static bool is_task_path(pid_t pid, unsigned long address)
{
	char path[64] = "";
	struct iovec local = { path, sizeof(path) - 1 }, remote = { (void *)address, sizeof(path) - 1 };
	const char *task;

	/* It may end before a page that is not there; then it is long enough for us. */
	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0)
		return false;
	if (strncmp(path, "/proc/", 6) != 0)
		return false;
	task = strstr(path, "/task");
	return task && !is_followed((pid_t)atol(path + 6)) && (task[5] == '\0' || strcmp(path + strlen(path) - 5, "/stat") == 0);
}

/* Whether a call is one of those that are not counted. */
static bool is_look(struct process *p, const struct __ptrace_syscall_info *info)
{
	unsigned long fd = info->entry.args[0];

	if (info->entry.nr == SYS_clock_nanosleep)
		return p->calls[SYS_clock_nanosleep] > 0;
	if (info->entry.nr == SYS_openat)
		return p->opens_task = is_task_path(p->pid, info->entry.args[1]);
	if (fd >= MAX_FILES || !p->task[fd])
		return false;
	switch (info->entry.nr) {
	case SYS_close: p->task[fd] = false; return true;
	case SYS_read:
	case SYS_getdents64:
	case SYS_newfstatat: return true;
	default: return false;
	}
}

static void on_call(struct process *p)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, p->pid, sizeof(info), &info) < 0)
		return; /* killed meanwhile */
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr < MAX_CALLS && p->started && !is_look(p, &info)) {
		int call = (int)info.entry.nr;
		unsigned int n = ++p->calls[call];

		if (action == ACTION_LIST) {
			char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);

			fprintf(out, "%s %s %u\n", p->name, name ? name : "?", n);
			free(name);
		} else if (call == at_call && n == at_n && strcmp(p->name, at_process) == 0) {
			strike(p);
		}
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
		if (p->opens_task && info.exit.rval >= 0 && info.exit.rval < MAX_FILES)
			p->task[info.exit.rval] = true;
		p->opens_task = false;
		if (p->answer)
			set_answer(p->pid, p->answer);
		p->answer = 0;
	}
}

/* Stops at system calls are dear: only that process has them whose turn it is, until it was. */
static bool has_calls_watched(const struct process *p)
{
	return action == ACTION_LIST || p->answer || (!hit && strcmp(p->name, at_process) == 0);
}

static void go_on(struct process *p, int signal)
{
	/* It may have been killed meanwhile. */
	(void)ptrace(has_calls_watched(p) ? PTRACE_SYSCALL : PTRACE_CONT, p->pid, 0, (long)signal);
}

static void on_birth(struct process *parent)
{
	unsigned long pid = 0;
	struct process *child;

	if (ptrace(PTRACE_GETEVENTMSG, parent->pid, 0, &pid) < 0)
		return;
	child = find((pid_t)pid);
	snprintf(child->name, sizeof(child->name), "%.48s.%u", parent->name, ++parent->children);
	child->started = true;
	if (child->waiting) {
		child->waiting = false;
		go_on(child, 0);
	}
}

static void on_stop(struct process *p, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;

	/* Born at the last moment. */
	if (all_end)
		kill(p->pid, SIGKILL);

	if (signal == (SIGTRAP | 0x80)) {
		on_call(p);
		go_on(p, 0);
	} else if (event == PTRACE_EVENT_EXEC && p->started) {
		n_programs++;
		(void)ptrace(PTRACE_DETACH, p->pid, 0, 0L);
		p->pid = 0;
	} else if (event == PTRACE_EVENT_EXEC) {
		p->started = true;
		go_on(p, 0);
	} else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
		on_birth(p);
		go_on(p, 0);
	} else if (event == PTRACE_EVENT_STOP && !p->name[0]) {
		p->waiting = true;
	} else if (event == PTRACE_EVENT_STOP && (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)) {
		(void)ptrace(PTRACE_LISTEN, p->pid, 0, 0);
	} else {
		go_on(p, event ? 0 : signal);
	}
}

static pid_t start(char **argv)
{
	int ready[2];
	pid_t pid;
	char byte = 0;

	if (pipe(ready) < 0)
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		close(ready[1]);
		setpgid(0, 0);
		(void)!read(ready[0], &byte, 1);
		close(ready[0]);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(ready[0]);
	if (ptrace(PTRACE_SEIZE, pid, 0, OPTIONS) < 0)
		die("follow");
	strcpy(find(pid)->name, "1");
	/* From exec on its calls count. */
	if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
		die("follow");
	(void)!write(ready[1], &byte, 1);
	close(ready[1]);
	return pid;
}

int main(int argc, char **argv)
{
	int option, status, result = 125;
	pid_t program, pid;

	while ((option = getopt(argc, argv, "+o:p:c:n:e:s:g:a")) >= 0)
		switch (option) {
		case 'o': out = fopen(optarg, "we"); break;
		case 'p': at_process = optarg; break;
		case 'c': at_call = seccomp_syscall_resolve_name(optarg); break;
		case 'n': at_n = (unsigned int)atoi(optarg); break;
		case 'e': action = ACTION_ERROR; number = atoi(optarg); break;
		case 's': action = ACTION_SIGNAL; number = atoi(optarg); break;
		case 'g': action = ACTION_GROUP; number = atoi(optarg); break;
		case 'a': action = ACTION_ALL; break;
		default: return 125;
		}
	if (!out || optind >= argc || (action != ACTION_LIST && (!at_process || at_call < 0 || !at_n))) {
		fprintf(stderr, "usage: fault-tool -o FILE [-p PROCESS -c CALL -n N (-e ERROR | -s SIGNAL | -g SIGNAL | -a)] COMMAND...\n");
		return 125;
	}
	program = start(argv + optind);
	while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (pid <= 0)
			continue;
		if (WIFSTOPPED(status)) {
			on_stop(find(pid), status);
			continue;
		}
		find(pid)->pid = 0;
		if (pid == program)
			result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
	if (fclose(out) != 0)
		die("write");
	return result;
}
