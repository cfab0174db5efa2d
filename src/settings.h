/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * settings.h - /etc/wg-nsquick.conf and /etc/wg-nsquick.d/IFACE.conf: what a
 * wg-quick file cannot say. INI, read with iniparser, checked by ourselves.
 * Command line beats per-interface beats global.
 */
#pragma once

#include "util.h"

#define SETTINGS_FILE "/etc/wg-nsquick.conf"
#define SETTINGS_DIR "/etc/wg-nsquick.d"

enum guard_level { GUARD_UNSET, GUARD_OFF, GUARD_WARN, GUARD_DEFAULT, GUARD_STRICT };
enum dbus_mode { DBUS_UNSET, DBUS_SHOWN, DBUS_MASKED };
enum keep_mode { KEEP_UNSET, KEEP_AUTO, KEEP_YES, KEEP_NO };
enum hooks_mode { HOOKS_UNSET, HOOKS_GUARDED, HOOKS_OPEN, HOOKS_NONE };

struct settings {
	char *netns;	 /* [tunnel] netns: NAME or PATH; NULL: the default */
	char *transport; /* [tunnel] transport: host, self, NAME or PATH; NULL: host */
	enum guard_level guard; /* [guard] level */
	struct strv foreign; /* [guard] foreign: names of tolerated daemons; empty: the built-in ones */
	enum hooks_mode hooks; /* [hooks] mode; unset: guarded */
	unsigned int hook_timeout; /* [hooks] timeout, s; 0: none */
	bool strict_files;     /* [hooks] strict-files: hooks that others than root may write are refused */
	enum keep_mode keep;   /* [tunnel] keep: whether the namespace outlives its last tunnel; unset: auto */
	bool require_ipv6;     /* [tunnel] ipv6 = require: rather no tunnel than half of one */
	enum dbus_mode dbus;   /* [exec] dbus; unset: shown */
};

/*
 * Adds one file's settings: what it sets replaces what is there. An absent
 * file is fine. -EINVAL: ret_error has "FILE:LINE: what, what was expected".
 */
int settings_load(struct settings *settings, const char *path, char ret_error[static 512]);
void settings_free(struct settings *settings);
#define _cleanup_settings_ CLEANUP(settings_free)

/* -EINVAL when it is not off, warn, default or strict. */
int guard_level_parse(const char *text, enum guard_level *ret_level);
const char *guard_level_name(enum guard_level level);
/* -EINVAL when it is not guarded, open or none. */
int hooks_mode_parse(const char *text, enum hooks_mode *ret_mode);
