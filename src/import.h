/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * import.h - a VPN provider's file to a clean one, with a word for each change.
 * Pure. The file is of nobody one knows: it is taken apart line by line and put
 * together again from what is understood, and what is not is an error.
 */
#pragma once

#include "conf.h"
#include "lint.h"

/* Providers' files have one to three kilobytes; one peer's lists of excluded addresses may have ten. */
#define IMPORT_MAX_SIZE (128U << 10)  /* of a file, in bytes */
#define IMPORT_MAX_LINE (16U << 10)   /* of a line */
#define IMPORT_MAX_HOOKS 4096U	      /* of a file */
#define IMPORT_MAX_BLANKS 200U	      /* in a row, with text behind them */
#define IMPORT_MAX_EMPTY_LINES 100U   /* the same for lines */

enum provider {
	PROVIDER_UNKNOWN,
	PROVIDER_AIRVPN,
	PROVIDER_IVPN,
	PROVIDER_MULLVAD,
	PROVIDER_NORDVPN,
	PROVIDER_PIA,
	PROVIDER_PRIVATEVPN,
	PROVIDER_PROTON,
	PROVIDER_SURFSHARK,
	PROVIDER_WARP,
	PROVIDER_WINDSCRIBE,
	PROVIDERS,
};

/* "Mullvad"; "" for the unknown one. */
const char *provider_name(enum provider provider);

enum hook_fate {
	HOOK_FATE_DROPPED,     /* by default */
	HOOK_FATE_KILL_SWITCH, /* dropped always: redundant in a namespace */
	HOOK_FATE_KEPT,
	HOOK_FATES,
};

struct import_hook {
	enum hook_kind kind;
	enum hook_fate fate;
	unsigned int line;
	char *text; /* in full, as in the file */
};

struct import {
	struct buf text; /* the clean file */
	struct conf conf; /* it, parsed by the parser that `up` uses; without a path and a name */
	struct findings findings; /* notes: what was changed; warnings: what will not work; errors: why the file is refused */
	struct import_hook *hooks;
	size_t n_hooks;
	enum provider provider;
};

/*
 * `name` is that of the file, and serves to recognise the provider alone.
 * 0; -EINVAL: refused, the findings have errors; -ENODATA: another program's
 * file, the findings have one error; -ENOMEM. The caller frees.
 */
int import_text(const char *name, const char *text, size_t len, bool keep_hooks, struct import *ret);
void import_free(struct import *import);

/*
 * The first step alone: UTF-8 without byte order mark, line ends `\n`, no
 * control characters; findings for what was done. -EINVAL, -ENOMEM.
 */
int import_decode(const char *text, size_t len, struct buf *ret_text, struct findings *f);

/* Decides the fate of each hook, kept or dropped: what is a kill-switch, and what undoes one. -ENOMEM. */
int import_judge_hooks(struct import_hook *hooks, size_t n, const char *iface);

/* By host names, addresses, comments and at last the file's name. */
enum provider import_provider(const char *name, const char *text, const struct conf *conf);

/* Anything of the file's as one printable line: no control or non-ASCII characters (\xNN), no key. -ENOMEM. */
int import_show(const char *text, struct buf *ret_shown);
/* A file's name in UTF-8 for a terminal, a comment or JSON: what is no printable character becomes `?`. -ENOMEM. */
int import_show_name(const char *name, struct buf *ret_shown);
