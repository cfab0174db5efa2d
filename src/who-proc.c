/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "who-proc.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "conf-error.h"

static ssize_t read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[48];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	close_fd(fd);
	text[n > 0 ? n : 0] = '\0';
	return n;
}

bool proc_read_stat(pid_t pid, struct proc_stat *ret_stat)
{
	char text[1024];
	char *open_paren, *close_paren;
	unsigned long long start;
	int parent;

	if (read_proc(pid, "stat", text, sizeof(text)) <= 0)
		return false;
	/* The name may hold anything; it ends at the last parenthesis (proc(5)). */
	open_paren = strchr(text, '(');
	close_paren = strrchr(text, ')');
	if (!open_paren || !close_paren ||
	    sscanf(close_paren + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &parent, &start) != 2)
		return false;
	*close_paren = '\0';
	snprintf(ret_stat->comm, sizeof(ret_stat->comm), "%.15s", open_paren + 1);
	ret_stat->parent = parent;
	ret_stat->start = start;
	return true;
}

void who_format_command(char *raw, size_t len, bool cut, char ret_command[static WHO_COMMAND_LEN])
{
	size_t at = 0;

	/* A word that the buffer cuts might be half a key. */
	while (cut && len > 0 && raw[len - 1] && !is_space(raw[len - 1]))
		len--;
	raw[len] = '\0';
	*ret_command = '\0';
	for (char *word = raw, *end = raw + len; word < end;) {
		char *next = word, *shown = word;
		int written;

		while (next < end && *next && !is_space(*next))
			next++;
		*next = '\0';
		for (char *p = word; *p; p++)
			if (*p < ' ' || *p > '~')
				*p = '?';
		/* A path may be long enough to look like a key; the program's name is what counts. */
		if (at == 0 && strrchr(word, '/'))
			shown = strrchr(word, '/') + 1;
		if (conf_looks_secret(shown))
			shown = (char *)"(hidden)";
		word = next + 1;
		if (!*shown)
			continue;
		written = snprintf(ret_command + at, WHO_COMMAND_LEN - at, "%s%s", at ? " " : "", shown);
		if ((size_t)written >= WHO_COMMAND_LEN - at) {
			strcpy(ret_command + WHO_COMMAND_LEN - 4, "...");
			return;
		}
		at += (size_t)written;
	}
}

bool who_command(pid_t pid, char ret_command[static WHO_COMMAND_LEN])
{
	char text[2048], quoted[QUOTED_LEN];
	ssize_t n = read_proc(pid, "cmdline", text, sizeof(text));
	struct proc_stat stat;

	*ret_command = '\0';
	if (n <= 0) {
		/* A zombie has no command line any more, but a name. */
		if (!proc_read_stat(pid, &stat))
			return false;
		snprintf(ret_command, WHO_COMMAND_LEN, "%s", conf_quote(stat.comm, quoted));
		return true;
	}
	who_format_command(text, (size_t)n, n == (ssize_t)sizeof(text) - 1, ret_command);
	return true;
}

bool proc_is_ourselves(pid_t pid)
{
	struct stat ours, theirs;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return stat("/proc/self/exe", &ours) == 0 && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

bool proc_holds_socket(pid_t pid, unsigned long inode)
{
	char path[64], target[64], wanted[64];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		target[n > 0 ? n : 0] = '\0';
		found = strcmp(target, wanted) == 0;
	}
	if (dir)
		closedir(dir);
	return found;
}

void proc_each_socket(bool (*each)(void *arg, const struct proc_socket *s), void *arg)
{
	_cleanup_file_ FILE *f = fopen("/proc/1/net/netlink", "re");
	char line[256];

	if (!f)
		f = fopen("/proc/self/net/netlink", "re");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned int protocol, groups;
		struct proc_socket s;

		/* sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode */
		if (sscanf(line, "%*x %u %u %x %*d %*d %*d %*d %*d %lu", &protocol, &s.port, &groups, &s.inode) != 4 || protocol != 0)
			continue;
		s.listens = groups;
		if (!each(arg, &s))
			break;
	}
}

static bool compare_port(void *arg, const struct proc_socket *s)
{
	struct proc_socket *wanted = arg;

	if (s->port == wanted->port)
		wanted->inode = s->inode;
	return s->port != wanted->port;
}

unsigned long proc_find_socket(uint32_t port)
{
	struct proc_socket s = { .port = port };

	proc_each_socket(compare_port, &s);
	return s.inode;
}

pid_t proc_find_owner(uint32_t port)
{
	pid_t candidate = (pid_t)(port & LIBNL_PID_MASK), owner = 0;
	unsigned long inode = proc_find_socket(port);
	struct dirent *entry;
	DIR *proc;

	if (!inode)
		return 0;
	if (proc_holds_socket(candidate, inode))
		return candidate;
	proc = opendir("/proc");
	while (proc && !owner && (entry = readdir(proc))) {
		pid_t pid = isdigit((unsigned char)*entry->d_name) ? (pid_t)strtol(entry->d_name, NULL, 10) : 0;

		if (pid > 0 && proc_holds_socket(pid, inode))
			owner = pid;
	}
	if (proc)
		closedir(proc);
	return owner;
}
