/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * library.h - shared libraries that are loaded where they are needed, which is seldom:
 * each start of the program would pay for them, and for all that they bring along.
 */
#pragma once

#include <stddef.h>

struct library_symbol {
	void *to; /* the address of a pointer to the function */
	const char *name;
};

/* A symbol of the same name as the member of `table` that points to it. */
#define LIBRARY_SYMBOL(table, name) { &(table).name, #name }

/* All of them, or -ELIBACC: the library is not there, or lacks one. It stays loaded, and may be asked for again. */
int library_load(const char *soname, const struct library_symbol *symbols, size_t n);
