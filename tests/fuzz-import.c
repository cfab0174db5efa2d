/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target for the import of providers' files. What must hold: a file
 * is refused with an error, or what is written is accepted again without a
 * change; no hook comes through that was not asked for; nothing that is said
 * has a control character or a key in it; any file name becomes a good interface's;
 * what the reading child sends arrives as it was, and any other bytes are refused.
 */
#include "import-assign.h"
#include "import-wire.h"

#define CHECK(condition)                                                                   \
	do {                                                                               \
		if (!(condition)) {                                                        \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                           \
		}                                                                          \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_findings(const struct import *im, bool refused)
{
	CHECK(!im->findings.failed);
	CHECK((findings_count(&im->findings, FIND_ERROR) > 0) == refused);
	for (size_t i = 0; i < im->findings.n; i++) {
		size_t run = 0;

		for (const char *p = im->findings.items[i].text; *p; p++) {
			CHECK((unsigned char)*p >= ' ' && *p != 0x7f);
			run = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", *p) ? run + 1 : 0;
			CHECK(run < 40);
		}
	}
}

static void check_hooks(const struct import *im, bool keep)
{
	size_t kept = 0;

	for (size_t i = 0; i < im->n_hooks; i++) {
		struct buf shown = { 0 };

		CHECK(import_show(im->hooks[i].text, &shown) == 0);
		for (const char *p = shown.data; *p; p++)
			CHECK(*p >= ' ' && *p <= '~');
		buf_free(&shown);
		if (im->hooks[i].fate == HOOK_FATE_KEPT) {
			CHECK(keep);
			CHECK(strcmp(im->conf.hooks[kept++].text, im->hooks[i].text) == 0);
		}
	}
	CHECK(kept == im->conf.n_hooks);
}

static void check_again(const struct import *im, bool keep)
{
	struct import again = { 0 };

	CHECK(import_text("x.conf", im->text.data, im->text.len, keep, &again) == 0);
	CHECK(again.text.len == im->text.len && strcmp(again.text.data, im->text.data) == 0);
	CHECK(findings_count(&again.findings, FIND_NOTE) == 0);
	CHECK(again.n_hooks == im->conf.n_hooks);
	import_free(&again);
}

/* To bytes and back; then with a byte less, which is no record. */
static void check_wire(const struct import *im, int result, bool keep)
{
	struct import_record record = { .kind = RECORD_FILE, .path = (char *)"a/x.conf", .result = result, .import = *im }, again = { 0 };
	struct buf data = { 0 };

	CHECK(import_record_encode(&record, &data) == 0 && data.len <= IMPORT_RECORD_MAX);
	CHECK(import_record_decode(data.data, data.len, &again) == 0);
	CHECK(strcmp(again.path, record.path) == 0 && again.result == result && again.import.n_hooks == im->n_hooks && again.import.findings.n == im->findings.n);
	if (result == 0) {
		CHECK(strcmp(again.import.text.data, im->text.data) == 0);
		CHECK(import_record_check(&again, keep) == 0);
	}
	import_record_free(&again);
	CHECK(import_record_decode(data.data, data.len - 1, &again) == -EBADMSG);
	buf_free(&data);
}

/* The input itself as a record, and as a map. */
static void check_strangers(const char *text, size_t len)
{
	struct import_record record = { 0 };
	struct import_map map = { 0 }, map2 = { 0 };
	struct buf written = { 0 };
	unsigned int line = 0;

	if (import_record_decode(text, len, &record) == 0) {
		(void)import_record_check(&record, true);
		import_record_free(&record);
	}
	if (import_map_parse(text, len, &map, &line) == 0) {
		CHECK(import_map_write(&map, &written) == 0);
		CHECK(import_map_parse(written.data, written.len, &map2, &line) == 0 && map2.n == map.n);
	} else {
		CHECK(line > 0);
	}
	buf_free(&written);
	import_map_free(&map);
	import_map_free(&map2);
}

static void check_import(const char *text, size_t len, bool keep)
{
	struct import im = { 0 };
	int r = import_text("x.conf", text, len, keep, &im);

	CHECK(r == 0 || r == -EINVAL || r == -ENODATA);
	check_findings(&im, r < 0);
	if (r == 0) {
		CHECK(im.conf.wg.has_private_key && im.conf.wg.n_peers && im.conf.n_addresses && !im.conf.save_config);
		CHECK(im.provider < PROVIDERS);
		check_hooks(&im, keep);
		check_again(&im, keep);
	}
	check_wire(&im, r, keep);
	import_free(&im);
}

/* The first line is a file's name. */
static void check_name(const char *text, size_t len)
{
	char path[256], name[IFNAMSIZ], hashed[IFNAMSIZ], *stem = NULL;
	size_t n = 0;

	while (n < len && n + 1 < sizeof(path) && text[n] && text[n] != '\n') {
		path[n] = text[n];
		n++;
	}
	path[n] = '\0';
	CHECK(import_stem(path, &stem) == 0);
	import_name(stem, name);
	CHECK(import_name_good(name));
	import_name_hashed(stem, path, 1, hashed);
	CHECK(import_name_good(hashed) && strcmp(name, hashed) != 0);
	(void)import_place(path);
	free(stem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_import((const char *)data, size, false);
	check_import((const char *)data, size, true);
	check_name((const char *)data, size);
	check_strangers((const char *)data, size);
	return 0;
}
