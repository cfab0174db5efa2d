/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target for the settings. What must hold: an error is one line with
 * the file's name; what was accepted has no empty values; a second load over
 * the first changes nothing.
 */
#include <sys/mman.h>

#include "settings.h"

#define CHECK(condition)                                                                   \
	do {                                                                               \
		if (!(condition)) {                                                        \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                           \
		}                                                                          \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings first = { 0 }, second = { 0 };
	char path[64], error[512] = "";
	int fd = memfd_create("settings", MFD_CLOEXEC), r;

	CHECK(fd >= 0 && write_all(fd, data, size) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = settings_load(&first, path, error);
	if (r < 0) {
		CHECK(r == -EINVAL && strncmp(error, path, strlen(path)) == 0);
		for (const char *p = error; *p; p++)
			CHECK((unsigned char)*p >= ' ' && *p != 0x7f);
	} else {
		CHECK(!*error && (!first.netns || *first.netns) && (!first.transport || *first.transport));
		for (size_t i = 0; i < first.foreign.n; i++)
			CHECK(*first.foreign.v[i] && !strchr(first.foreign.v[i], ','));
		CHECK(settings_load(&second, path, error) == 0 && settings_load(&second, path, error) == 0);
		CHECK(same(first.netns, second.netns) && same(first.transport, second.transport) && first.guard == second.guard);
		CHECK(first.foreign.n == second.foreign.n);
		for (size_t i = 0; i < first.foreign.n; i++)
			CHECK(same(first.foreign.v[i], second.foreign.v[i]));
	}
	settings_free(&first);
	settings_free(&second);
	close(fd);
	return 0;
}
