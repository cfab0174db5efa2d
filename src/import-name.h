/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * import-name.h - from a provider's file name to an interface's. The name is a
 * function of the file's name alone: the same on every run and every machine.
 * Pure.
 */
#pragma once

#include <net/if.h>

#include "country.h"
#include "util.h"

/* Where a tunnel ends, as far as a text tells. */
struct import_place {
	const struct country *country; /* NULL: not told */
	const struct city *city;
};

/*
 * The file's name without its folder, its extensions (.conf, also with .txt
 * behind it) and the ` (1)` of a browser that had the file already. -ENOMEM.
 */
int import_stem(const char *path, char **ret_stem);

/*
 * A stem that is a good interface name stays as it is. Else: letters and digits
 * joined by `-`, with the country; if that is too long, without the provider and
 * what is the same in all of its files;
 * countries and cities as codes; and at last cut short. Never more than is needed.
 */
void import_name(const char *stem, char ret_name[static IFNAMSIZ]);
/* For two files whose name would be one: its beginning, or country and city if these come later, and a hash of `identity`; another for every `attempt`. */
void import_name_hashed(const char *stem, const char *identity, unsigned int attempt, char ret_name[static IFNAMSIZ]);

/* The first country and the first city that a file's name, a host's or a comment has. */
struct import_place import_place(const char *text);

/* Whether an interface may be called so here: legal, and not what the kernel or a person would misread. */
bool import_name_good(const char *name);
