/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "keyset.h"

/* Keys may be small numbers: they are spread before they are used as places. */
static size_t place(uint64_t key, size_t size)
{
	key = (key ^ (key >> 32)) * 0x9e3779b97f4a7c15u;
	return (size_t)(key >> 20) & (size - 1);
}

/* Where it is, or where it would be. */
static size_t find(const struct key_set *s, uint64_t key)
{
	size_t at = place(key, s->size);

	while (s->slots[at] && s->slots[at] != key)
		at = (at + 1) & (s->size - 1);
	return at;
}

bool key_set_has(const struct key_set *s, uint64_t key)
{
	if (key == 0)
		return s->zero;
	return s->n && s->slots[find(s, key)] == key;
}

static int grow(struct key_set *s)
{
	struct key_set grown = { .size = s->size ? s->size * 2 : 64, .n = s->n, .zero = s->zero };

	grown.slots = calloc(grown.size, sizeof(*grown.slots));
	if (!grown.slots)
		return -ENOMEM;
	for (size_t i = 0; i < s->size; i++)
		if (s->slots[i])
			grown.slots[find(&grown, s->slots[i])] = s->slots[i];
	free(s->slots);
	*s = grown;
	return 0;
}

int key_set_add(struct key_set *s, uint64_t key)
{
	size_t at;

	if (key == 0) {
		s->zero = true;
		return 0;
	}
	/* At most half full. */
	if (s->n * 2 >= s->size && grow(s) < 0)
		return -ENOMEM;
	at = find(s, key);
	s->n += s->slots[at] == 0;
	s->slots[at] = key;
	return 0;
}

void key_set_clear(struct key_set *s)
{
	free(s->slots);
	*s = (struct key_set){ 0 };
}
