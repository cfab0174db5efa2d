/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "keymap.h"

/* Keys may be small numbers: they are spread before they are used as places. */
static size_t place(uint64_t key, size_t size)
{
	key = (key ^ (key >> 32)) * 0x9e3779b97f4a7c15u;
	return (size_t)(key >> 20) & (size - 1);
}

/* Where it is, or where it would be. */
static size_t find(const struct key_map *m, uint64_t key)
{
	size_t at = place(key, m->size);

	while (m->keys[at] && m->keys[at] != key)
		at = (at + 1) & (m->size - 1);
	return at;
}

uint8_t key_map_get(const struct key_map *m, uint64_t key)
{
	size_t at;

	if (key == 0)
		return m->zero;
	if (m->n == 0)
		return 0;
	at = find(m, key);
	return m->keys[at] ? m->values[at] : 0;
}

static int grow(struct key_map *m)
{
	struct key_map grown = { .size = m->size ? m->size * 2 : 64, .n = m->n, .zero = m->zero };

	grown.keys = calloc(grown.size, sizeof(*grown.keys) + sizeof(*grown.values));
	if (!grown.keys)
		return -ENOMEM;
	grown.values = (uint8_t *)(grown.keys + grown.size);
	for (size_t i = 0; i < m->size; i++)
		if (m->keys[i]) {
			size_t at = find(&grown, m->keys[i]);

			grown.keys[at] = m->keys[i];
			grown.values[at] = m->values[i];
		}
	free(m->keys);
	*m = grown;
	return 0;
}

int key_map_set(struct key_map *m, uint64_t key, uint8_t value)
{
	size_t at;

	if (key == 0) {
		m->zero = value;
		return 0;
	}
	if (value == 0 && key_map_get(m, key) == 0)
		return 0;
	/* At most half full. */
	if (m->n * 2 >= m->size && grow(m) < 0)
		return -ENOMEM;
	at = find(m, key);
	m->n += m->keys[at] == 0;
	m->keys[at] = key;
	m->values[at] = value;
	return 0;
}

void key_map_replace(struct key_map *m, uint8_t from, uint8_t to)
{
	for (size_t i = 0; i < m->size; i++)
		if (m->keys[i] && m->values[i] == from)
			m->values[i] = to;
	if (m->zero == from)
		m->zero = to;
}

void key_map_clear(struct key_map *m)
{
	free(m->keys);
	*m = (struct key_map){ 0 };
}
