/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lint.h - what `check` has to say of a file that parses: what will not do in a
 * namespace what its author thinks. Pure: what must be known of this machine is
 * handed in.
 */
#pragma once

#include "conf.h"

enum severity {
	FIND_ERROR,   /* `up` would refuse the file */
	FIND_WARNING, /* something will not work, or not as it reads */
	FIND_NOTE,    /* works; what it touches, or what to know */
};

struct finding {
	unsigned int line; /* 0: the file as a whole */
	enum severity severity;
	size_t order; /* in which it was found */
	char *text;   /* one line, no key in it */
};

struct findings {
	struct finding *items;
	size_t n;
	bool failed; /* memory was out: some are missing */
};

__attribute__((format(printf, 4, 5))) void finding_add(struct findings *f, enum severity severity, unsigned int line, const char *fmt, ...);
/* By line, those of the file as a whole last; on a line in the order in which they were found. */
void findings_sort(struct findings *f);
size_t findings_count(const struct findings *f, enum severity severity);
void findings_free(struct findings *f);

/* Where the tunnel would be. */
struct lint_place {
	const char *netns;		/* the target's name or path */
	bool create;			/* it would be made: only lo and the tunnel are in it */
	const char *const *host_links;	/* names of the host's links */
	size_t n_host_links;
};

/* The warnings and notes for a file; it may have failed to parse in part. */
void lint(const struct conf *conf, const struct lint_place *place, struct findings *f);
/* The part about hooks. */
void lint_hooks(const struct conf *conf, const struct lint_place *place, struct findings *f);
