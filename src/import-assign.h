/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * import-assign.h - which file gets which interface's name, and the map that
 * keeps it so: lines of NAME, a tab, and what the name was given to. Pure.
 */
#pragma once

#include "import-name.h"

struct import_map_entry {
	char name[IFNAMSIZ];
	char *identity;
};

struct import_map {
	struct import_map_entry *entries; /* in the file's order */
	size_t n;
};

/* -EINVAL: `*ret_line` is no line of a map. -ENOMEM. The caller frees in any case. */
int import_map_parse(const char *text, size_t len, struct import_map *map, unsigned int *ret_line);
/* -ENOMEM. */
int import_map_write(const struct import_map *map, struct buf *ret_text);
/* This name is this identity's from now on, and no other's. -ENOMEM. */
int import_map_set(struct import_map *map, const char *name, const char *identity);
void import_map_free(struct import_map *map);

/* A file that is to get a name. */
struct import_item {
	const char *path; /* where it was found; `/` separates folders */
	const char *text; /* what is in it, cleaned */
	char *identity;	  /* set: the file's stem, or folder/stem where two of a stem differ; owned */
	char name[IFNAMSIZ];
	size_t same_as;	  /* set: 1 + the index of a file with the same stem and text; 0: none */
};

/*
 * Names for all, whatever their order. What the map knows keeps its name, and
 * the map learns the rest. -ENOMEM.
 */
int import_assign(struct import_item *items, size_t n, struct import_map *map);
