/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kill-switch.h - firewall commands that drop what would leave by any link but
 * the tunnel. In a namespace they are redundant: no other link leads out. By
 * words, like all that is said of hooks. Pure.
 */
#pragma once

#include "shell-words.h"

/* Whether a hook's word is the tunnel's interface: its name, %i, or the variable that hooks have. */
bool hook_names_link(const char *word, const char *iface);

/* iptables and its family, nft, ebtables, ipset. */
bool firewall_command(const struct shell_command *command);

/* A firewall's command that drops what leaves, but not by the tunnel: `! -o wg0 … -j REJECT`, `oifname != "wg0" drop`. */
bool kill_switch_command(const struct shell_command *command, const char *iface);

/* One hook, for kill_switch_find(). */
struct kill_switch_hook {
	const char *text; /* %i may stand in it */
	bool found;	  /* set: part of a kill-switch, and of nothing else */
};

/*
 * Which of all hooks of a file do nothing but make a kill-switch, allow
 * exceptions from it, or undo it. Those that do other things too are not. -ENOMEM.
 */
int kill_switch_find(struct kill_switch_hook *hooks, size_t n, const char *iface);
