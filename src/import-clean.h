/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * import-clean.h - between import.c, which has the file as a whole,
 * import-line.c, which has one line, and import-value.c, which has what stands
 * behind its `=`.
 */
#pragma once

#include "import.h"

/* Changes of one kind are told once, with a count: a file may have a thousand. */
enum change {
	CHANGE_SPELLING,
	CHANGE_SPACING,
	CHANGE_QUOTES,
	CHANGE_EMPTY_LINE,
	CHANGE_COMMENT_SIGN,
	CHANGE_PSEUDO_KEY,
	CHANGE_LABEL,
	CHANGE_EMPTY_VALUE,
	CHANGE_REPEATED_LINE,
	CHANGE_REPEATED_ITEM,
	CHANGE_REPEATED_PEER,
	CHANGE_CONTRADICTION,
	CHANGE_SAVE_CONFIG,
	CHANGE_NO_MASK,
	CHANGE_EVERYTHING,
	CHANGE_HOST_BITS,
	CHANGE_SEPARATOR,
	CHANGE_DNS_MASK,
	CHANGE_DNS_COUNT,
	CHANGE_MTU,
	CHANGE_TABLE,
	CHANGE_BRACKETS,
	CHANGE_KEY_PADDING,
	CHANGE_SECONDS,
	CHANGE_INNER_BLANKS,
	CHANGE_APPLICATIONS,
	CHANGE_CLIENT_ID,
	CHANGE_LOOPBACK,
	CHANGES,
};

enum field {
	FIELD_NONE, /* of no parser */
	FIELD_PRIVATE_KEY,
	FIELD_LISTEN_PORT,
	FIELD_FWMARK,
	FIELD_ADDRESS,
	FIELD_DNS,
	FIELD_MTU,
	FIELD_TABLE,
	FIELD_SAVE_CONFIG,
	FIELD_HOOK, /* and those behind it, as enum hook_kind */
	FIELD_HOOK_LAST = FIELD_HOOK + HOOK_KINDS - 1,
	FIELD_PUBLIC_KEY,
	FIELD_PRESHARED_KEY,
	FIELD_ALLOWED_IPS,
	FIELD_ENDPOINT,
	FIELD_KEEPALIVE,
};

struct cleaner {
	struct findings *f;
	unsigned int line;
	struct told {
		unsigned int count;
		size_t finding;
	} told[CHANGES];
	void *seen[2];	  /* trees of what stood in all [Interface] sections, and in this [Peer]: see cleaner_seen() */
	bool in_peer;
	size_t n_servers; /* of DNS, so far */
	bool failed;	  /* memory was out */
};

enum section { SECTION_NONE, SECTION_INTERFACE, SECTION_PEER };

/* A line to be written. */
struct out_line {
	char *text;	   /* freed with import_free_line() */
	unsigned int line; /* in the source */
	size_t section;	   /* the running number of its section; 0: before the first */
	size_t hook;	   /* 1 + the hook's index; 0: none */
	bool comment, gone;
};

struct walk {
	struct cleaner c;
	struct import *im;
	bool keep_hooks;
	enum section section;
	size_t n_sections;
	struct out_line *lines;
	size_t n_lines;
	bool empty_line;	  /* one stands before this line in the source */
	unsigned int obfuscation; /* the line of AmneziaWG's first key; 0: none */
	bool obfuscated;	  /* and with values that plain WireGuard does not answer */
};

/* Tells a change; of each kind the first alone. */
__attribute__((format(printf, 4, 5))) void cleaner_tell(struct cleaner *c, enum change change, enum severity severity, const char *fmt, ...);
/* Tells an error with the line. Answers -EINVAL. */
__attribute__((format(printf, 2, 3))) int cleaner_fail(struct cleaner *c, const char *fmt, ...);
/* Whether this stood in the section before; from now on it did. */
bool cleaner_seen(struct cleaner *c, enum field field, const char *text);

/*
 * The value of a field as it is to be written; nothing when the line is to go.
 * `value` has no blanks around it and no comment. -EINVAL (told), -ENOMEM.
 */
int import_clean_value(struct cleaner *c, enum field field, const char *name, const char *value, struct buf *ret_value);

/* One line of the source, without its end, into w->lines. It is written over. -EINVAL (told), -ENOMEM. */
int import_take_line(struct walk *w, char *line);
/* Wipes and frees: some lines hold keys. */
void import_free_line(void *text);
