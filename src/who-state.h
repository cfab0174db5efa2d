/* SPDX-License-Identifier: GPL-2.0-or-later */
/* who-state.h - what the rooms of who share. For who*.c only. */
#pragma once

#include "who-proc.h"

#define MAX_DEPTH 64	  /* of a chain of parents */
#define KNOWN_PORTS 64	  /* of processes of ours */
#define KNOWN_DAEMONS 8	  /* sockets of daemons: a routing daemon has a million routes */
#define KNOWN_SENDERS 16  /* hooks' commands that may make links elsewhere */

struct whois {
	pid_t root;
	uint64_t began; /* of `root`, in clock ticks since boot */
	struct strv foreign;
	struct {
		uint32_t port;
		pid_t pid, hook; /* whom it belongs to, should it be gone when that is asked; 0: nobody but itself */
	} ours[KNOWN_PORTS];
	size_t n_ours;
	struct {
		uint32_t port; /* 0: free */
		pid_t pid;
		int pidfd; /* as long as the process is there, nobody else has its port */
	} daemons[KNOWN_DAEMONS];
	size_t n_daemons;
	pid_t any_daemon; /* of the list; 0: not looked for yet; -1: none was there before us */
	struct sender {
		pid_t pid, hook; /* 0: free */
		uint64_t start;	 /* of `pid`, in clock ticks since boot */
		int64_t at;	 /* now_ms() when it was noted */
		char command[WHO_COMMAND_LEN];
	} senders[KNOWN_SENDERS];
	size_t n_senders;
};

/* ---- who.c ---- */

/* The text of a hook, for messages, by the pid of its shell; "": it is gone. */
void who_hook_text(pid_t pid, char ret_text[static WHO_COMMAND_LEN]);
