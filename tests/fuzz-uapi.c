/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer target for the parser of what a userspace implementation answers: what it takes can be said again. */
#include "uapi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wg_iface wg = { 0 };
	struct buf request = { 0 };

	if (uapi_parse_get((const char *)data, size, &wg) == 0) {
		uapi_format_set(&wg, &request);
		if (request.failed || strncmp(request.data, "set=1\n", 6) != 0)
			abort();
		buf_free(&request);
		wg_iface_free(&wg);
	}
	(void)uapi_parse_set((const char *)data, size);
	return 0;
}
