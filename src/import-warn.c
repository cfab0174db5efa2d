/* SPDX-License-Identifier: GPL-2.0-or-later */
/* import-warn.c - what only shows when all files are looked at together. */
#include "import-rows.h"

/* A file that has a key, an address or a port. */
struct holder {
	struct key key; /* the value, as bytes: of the private key, or of what stands for it */
	char name[IFNAMSIZ];
	bool imported; /* in this run */
};

struct holders {
	struct holder *items;
	size_t n;
	bool failed;
};

static void add_holder(struct holders *h, const struct key *key, const char *name, bool imported)
{
	struct holder *holder = GROW_WIPED(h->items, h->n);

	if (!holder) {
		h->failed = true;
		return;
	}
	holder->key = *key;
	holder->imported = imported;
	snprintf(holder->name, sizeof(holder->name), "%s", name);
}

static int by_key(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;
	int r = memcmp(x->key.b, y->key.b, KEY_LEN);

	if (r == 0)
		r = strcmp(x->name, y->name);
	/* The new file before the old one that it replaces or is. */
	return r ? r : y->imported - x->imported;
}

static void add_existing(void *arg, const char *name, const struct conf *conf)
{
	if (conf->wg.has_private_key)
		add_holder(arg, &conf->wg.private_key, name, false);
}

/* `wg1, wg2, wg3 and 5 more` */
static void list_names(const struct holder *h, size_t n, struct buf *ret_text)
{
	for (size_t i = 0; i < n && i < 3; i++)
		buf_fmt(ret_text, "%s%s", i ? (i + 1 == n ? " and " : ", ") : "", h[i].name);
	if (n > 3)
		buf_fmt(ret_text, " and %zu more", n - 3);
}

/* The holders of one value, each name once, to the front; their number. */
static size_t one_value(struct holder *h, size_t n, bool *ret_imported)
{
	size_t names = 0;

	*ret_imported = false;
	for (size_t i = 0; i < n; i++) {
		*ret_imported |= h[i].imported;
		if (names == 0 || strcmp(h[names - 1].name, h[i].name) != 0)
			h[names++] = h[i];
	}
	return names;
}

static int warn_of_keys(struct import_table *table, struct holders *h)
{
	if (h->n)
		qsort(h->items, h->n, sizeof(*h->items), by_key);
	for (size_t i = 0, end; i < h->n; i = end) {
		_cleanup_buf_ struct buf names = { 0 };
		bool imported;
		size_t n;

		for (end = i + 1; end < h->n && key_equal(&h->items[i].key, &h->items[end].key); end++)
			;
		n = one_value(&h->items[i], end - i, &imported);
		if (n < 2 || !imported)
			continue;
		list_names(&h->items[i], n, &names);
		if (names.failed)
			return -ENOMEM;
		finding_add(&table->warnings, FIND_WARNING, 0, "%s have the same PrivateKey: providers allow a key one connection at a time, so have one of them up at a time", names.data);
	}
	return table->warnings.failed ? -ENOMEM : 0;
}

static int warn_of_same_keys(struct import_table *table, const struct store *store)
{
	struct holders h = { 0 };
	int r;

	for (size_t i = 0; i < table->n; i++)
		if (table->rows[i].stored)
			add_holder(&h, &table->rows[i].file->record.import.conf.wg.private_key, table->rows[i].name, true);
	store_each(store, add_existing, &h);
	r = h.failed ? -ENOMEM : warn_of_keys(table, &h);
	wipe_free(h.items, h.n * sizeof(*h.items));
	return r;
}

/* How many rows share a value with another; h->items are rows' addresses or ports. */
static size_t count_shared(struct holders *h)
{
	size_t shared = 0;

	if (h->n)
		qsort(h->items, h->n, sizeof(*h->items), by_key);
	for (size_t i = 0, end; i < h->n; i = end) {
		bool imported;
		size_t n;

		for (end = i + 1; end < h->n && key_equal(&h->items[i].key, &h->items[end].key); end++)
			;
		n = one_value(&h->items[i], end - i, &imported);
		shared += n > 1 ? n : 0;
	}
	return shared;
}

static int warn_of_same_addresses(struct import_table *table)
{
	struct holders h = { 0 };
	size_t shared;

	for (size_t i = 0; i < table->n; i++) {
		const struct conf *conf = &table->rows[i].file->record.import.conf;
		struct key value = { 0 };
		struct prefix prefix;

		if (!table->rows[i].stored || parse_address(conf->addresses[0].text, &prefix) < 0)
			continue;
		memcpy(value.b, prefix.bytes, prefix.family == AF_INET ? 4 : 16);
		add_holder(&h, &value, table->rows[i].name, true);
	}
	shared = count_shared(&h);
	if (shared)
		finding_add(&table->warnings, FIND_NOTE, 0, "%zu files have an Address that another of them has too: that is fine, each tunnel is in a namespace of its own (but two of them do not fit into one --netns)",
			    shared);
	free(h.items);
	return h.failed || table->warnings.failed ? -ENOMEM : 0;
}

static int warn_of_same_ports(struct import_table *table)
{
	struct holders h = { 0 };
	size_t shared;

	for (size_t i = 0; i < table->n; i++) {
		const struct wg_iface *wg = &table->rows[i].file->record.import.conf.wg;
		struct key value = { .b = { (uint8_t)(wg->listen_port >> 8), (uint8_t)wg->listen_port } };

		if (table->rows[i].stored && wg->has_listen_port && wg->listen_port)
			add_holder(&h, &value, table->rows[i].name, true);
	}
	shared = count_shared(&h);
	if (shared)
		finding_add(&table->warnings, FIND_WARNING, 0, "%zu files have a ListenPort that another of them has too: only one of those can be up at a time; a client needs no ListenPort", shared);
	free(h.items);
	return h.failed || table->warnings.failed ? -ENOMEM : 0;
}

int import_warn(struct import_table *table, const struct store *store)
{
	int r = warn_of_same_keys(table, store);

	if (r == 0)
		r = warn_of_same_addresses(table);
	return r == 0 ? warn_of_same_ports(table) : r;
}
