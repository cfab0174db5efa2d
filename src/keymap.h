/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keymap.h - a small number for each of many 64-bit keys: constant time however many there are. Pure. */
#pragma once

#include "util.h"

/* Zeroed: empty. */
struct key_map {
	uint64_t *keys; /* open addressing; 0: free */
	uint8_t *values; /* behind the keys, in the same memory */
	size_t size;	 /* a power of two */
	size_t n;
	uint8_t zero; /* the value of key 0 */
};

/* 0: the key is not there. */
uint8_t key_map_get(const struct key_map *m, uint64_t key);
/* Also over an older value; 0 forgets the key. 0 or -ENOMEM. */
int key_map_set(struct key_map *m, uint64_t key, uint8_t value);
/* Whatever has the value `from` has the value `to` from now on. */
void key_map_replace(struct key_map *m, uint8_t from, uint8_t to);
/* Empties it; nothing is left to be freed. */
void key_map_clear(struct key_map *m);
