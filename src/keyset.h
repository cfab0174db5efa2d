/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keyset.h - a set of 64-bit keys, for membership alone: constant time however many there are. Pure. */
#pragma once

#include "util.h"

/* Zeroed: empty. */
struct key_set {
	uint64_t *slots; /* open addressing; 0: free */
	size_t size;	 /* a power of two */
	size_t n;
	bool zero;	 /* whether 0 itself is in it */
};

bool key_set_has(const struct key_set *s, uint64_t key);
/* 0, also when it was there already, or -ENOMEM. */
int key_set_add(struct key_set *s, uint64_t key);
/* Empties it; nothing is left to be freed. */
void key_set_clear(struct key_set *s);
