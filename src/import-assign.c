/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "import-assign.h"

#include <search.h>

/* ---- the map ---- */

static int add_entry(struct import_map *map, const char *name, const char *identity, size_t len)
{
	struct import_map_entry *entry = GROW(map->entries, map->n);

	if (!entry)
		return -ENOMEM;
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	entry->identity = strndup(identity, len);
	return entry->identity ? 0 : -ENOMEM;
}

static int parse_line(struct import_map *map, const char *line, size_t len)
{
	const char *tab = memchr(line, '\t', len);
	char name[IFNAMSIZ];

	if (!len || *line == '#')
		return 0;
	if (!tab || tab == line || (size_t)(tab - line) >= sizeof(name) || tab + 1 == line + len || memchr(line, '\0', len))
		return -EINVAL;
	memcpy(name, line, (size_t)(tab - line));
	name[tab - line] = '\0';
	return import_name_good(name) ? add_entry(map, name, tab + 1, (size_t)(line + len - tab - 1)) : -EINVAL;
}

int import_map_parse(const char *text, size_t len, struct import_map *map, unsigned int *ret_line)
{
	const char *end = text + len;
	unsigned int line = 0;
	int r = 0;

	while (text < end && r == 0) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		stop = stop ? stop : end;
		line++;
		r = parse_line(map, text, (size_t)(stop - text));
		text = stop < end ? stop + 1 : end;
	}
	if (r == -EINVAL)
		*ret_line = line;
	return r;
}

int import_map_write(const struct import_map *map, struct buf *ret_text)
{
	buf_str(ret_text, "# Names that `wg-nsquick import' gave, and the files that they came from.\n"
			  "# A file whose name stands here gets the same interface's name again.\n");
	for (size_t i = 0; i < map->n; i++)
		buf_fmt(ret_text, "%s\t%s\n", map->entries[i].name, map->entries[i].identity);
	return ret_text->failed ? -ENOMEM : 0;
}

int import_map_set(struct import_map *map, const char *name, const char *identity)
{
	/* It may be one of those that go. */
	_cleanup_free_ char *copy = strdup(identity);
	size_t n = 0;

	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < map->n; i++) {
		if (strcmp(map->entries[i].name, name) == 0 || strcmp(map->entries[i].identity, copy) == 0)
			free(map->entries[i].identity);
		else
			map->entries[n++] = map->entries[i];
	}
	/* Fewer may be a power of two, at which the array would be taken for full: then it only grows early. */
	map->n = n;
	return add_entry(map, name, copy, strlen(copy));
}

void import_map_free(struct import_map *map)
{
	for (size_t i = 0; i < map->n; i++)
		free(map->entries[i].identity);
	free(map->entries);
	*map = (struct import_map){ 0 };
}

/* ---- identities ---- */

static int set_identity(struct import_item *item, const char *prefix, size_t len, const char *stem)
{
	char *identity;

	if (asprintf(&identity, "%.*s%s%s", (int)len, prefix, len ? "/" : "", stem) < 0)
		return -ENOMEM;
	/* It is to be one field of one line. */
	for (char *p = identity; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	free(item->identity);
	item->identity = identity;
	return 0;
}

/* The folder in which the file is: the last one of its path, or, `whole`, all of them. */
static int add_folder(struct import_item *item, bool whole)
{
	_cleanup_free_ char *stem = NULL;
	const char *end = strrchr(item->path, '/'), *start = end;
	int r = import_stem(item->path, &stem);

	if (r < 0 || !end)
		return r;
	while (start > item->path && (whole || start[-1] != '/'))
		start--;
	return set_identity(item, start, (size_t)(end - start), stem);
}

struct ordered {
	struct import_item *item;
	size_t index;
	bool fresh; /* the map does not know it */
};

static int by_identity(const void *a, const void *b)
{
	const struct import_item *x = ((const struct ordered *)a)->item, *y = ((const struct ordered *)b)->item;
	int r = strcmp(x->identity, y->identity);

	return r ? r : strcmp(x->path, y->path);
}

/*
 * In each run of one identity: the same text again is marked, other text tells
 * all of the run apart by their folders. `*ret_differ`: there was some.
 */
static int part_runs(struct ordered *order, size_t n, bool whole, bool *ret_differ)
{
	bool differ = false;

	for (size_t i = 0, end; i < n; i = end) {
		bool differs = false;

		for (end = i + 1; end < n && strcmp(order[i].item->identity, order[end].item->identity) == 0; end++)
			differs |= strcmp(order[i].item->text, order[end].item->text) != 0;
		for (size_t j = i; j < end; j++) {
			if (differs && add_folder(order[j].item, whole) < 0)
				return -ENOMEM;
			order[j].item->same_as = !differs && j > i ? order[i].index + 1 : 0;
		}
		differ |= differs;
	}
	*ret_differ = differ;
	return 0;
}

static int identify(struct import_item *items, struct ordered *order, size_t n)
{
	bool differ = true;
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *stem = NULL;

		order[i] = (struct ordered){ .item = &items[i], .index = i };
		r = import_stem(items[i].path, &stem);
		if (r == 0)
			r = set_identity(&items[i], "", 0, stem);
		if (r < 0)
			return r;
	}
	for (int pass = 0; pass < 3 && differ; pass++) {
		qsort(order, n, sizeof(*order), by_identity);
		/* What differs in spite of all its folders is told apart by the hash of its name alone. */
		r = part_runs(order, n, pass > 0, &differ);
		if (r < 0)
			return r;
	}
	qsort(order, n, sizeof(*order), by_identity);
	return 0;
}

/* ---- names ---- */

static int compare_texts(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void keep(void *unused)
{
	(void)unused;
}

struct sets {
	void *names;	  /* a tree of names that are taken */
	void *identities; /* a tree of map entries */
};

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct import_map_entry *)a)->identity, ((const struct import_map_entry *)b)->identity);
}

static const struct import_map_entry *find_entry(const struct sets *sets, char *identity)
{
	const struct import_map_entry key = { .identity = identity };
	struct import_map_entry *const *found = tfind(&key, &sets->identities, compare_entries);

	return found ? *found : NULL;
}

/* Takes a name that nobody has. */
static int take_name(struct sets *sets, struct import_item *item)
{
	_cleanup_free_ char *stem = NULL;
	unsigned int attempt = 0;
	int r = import_stem(item->path, &stem);

	if (r < 0)
		return r;
	import_name(stem, item->name);
	while (tfind(item->name, &sets->names, compare_texts))
		import_name_hashed(stem, item->identity, attempt++, item->name);
	return tsearch(item->name, &sets->names, compare_texts) ? 0 : -ENOMEM;
}

static int name_all(struct ordered *order, size_t n, const struct import_map *map, struct sets *sets)
{
	for (size_t i = 0; i < map->n; i++)
		if (!tsearch(map->entries[i].name, &sets->names, compare_texts) || !tsearch(&map->entries[i], &sets->identities, compare_entries))
			return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct import_item *item = order[i].item;
		const struct import_map_entry *entry = find_entry(sets, item->identity);

		/* Of two that cannot be told apart, the map means the first. */
		if (entry && !(i && strcmp(order[i - 1].item->identity, item->identity) == 0))
			strcpy(item->name, entry->name);
		else if (!item->same_as) {
			order[i].fresh = !entry;
			if (take_name(sets, item) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

int import_assign(struct import_item *items, size_t n, struct import_map *map)
{
	_cleanup_free_ struct ordered *order = calloc(n + 1, sizeof(*order));
	struct sets sets = { 0 };
	int r = order ? identify(items, order, n) : -ENOMEM;

	if (r == 0)
		r = name_all(order, n, map, &sets);
	for (size_t i = 0; i < n && r == 0; i++)
		if (items[i].same_as)
			strcpy(items[i].name, items[items[i].same_as - 1].name);
	for (size_t i = 0; i < n && r == 0; i++)
		if (order[i].fresh)
			r = add_entry(map, order[i].item->name, order[i].item->identity, strlen(order[i].item->identity));
	tdestroy(sets.names, keep);
	tdestroy(sets.identities, keep);
	return r;
}
