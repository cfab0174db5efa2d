/* SPDX-License-Identifier: GPL-2.0-or-later */
/* who-proc.h - what /proc says of a process, and of whose a netlink socket is. For who*.c only. */
#pragma once

#include "who.h"

#define LIBNL_PID_MASK 0x3fffffu /* libnl's port ids: the pid, and above it a number for each socket */

/* What /proc/PID/stat has of use. */
struct proc_stat {
	char comm[16];
	pid_t parent;
	uint64_t start;
};

/* False: it is gone. */
bool proc_read_stat(pid_t pid, struct proc_stat *ret_stat);

/* Another one of this very program. */
bool proc_is_ourselves(pid_t pid);

/* A rtnetlink socket in the host's namespace. */
struct proc_socket {
	uint32_t port;
	unsigned long inode;
	bool listens; /* it is subscribed to notices */
};

bool proc_holds_socket(pid_t pid, unsigned long inode);
/* Calls `each` for every one, until it answers false. */
void proc_each_socket(bool (*each)(void *arg, const struct proc_socket *s), void *arg);
/* The inode of the rtnetlink socket with this port id in the host's namespace, 0: none. */
unsigned long proc_find_socket(uint32_t port);
/* A process's second socket has a port id that says nothing: the slow way, by what everybody has open. 0: not found. */
pid_t proc_find_owner(uint32_t port);
