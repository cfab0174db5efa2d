/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a configuration file as `up` does, endpoints and all, and prints what
 * would be asked of the device, for tests/differ. Status, warnings and errors
 * are the product's.
 *
 *	differ-tool FILE
 */
#include "conffile.h"
#include "log.h"
#include "resolve.h"
#include "uapi.h"

int main(int argc, char **argv)
{
	CLEANUP(conf_free) struct conf conf = { 0 };
	_cleanup_buf_ struct buf request = { 0 };
	const struct resolve_place here = { .ns_fd = -1 };
	struct conf_error error = { 0 };
	int r;

	log_set_program(argv[0]);
	if (argc != 2) {
		fprintf(stderr, "usage: differ-tool FILE\n");
		return 2;
	}
	if (conffile_read(argv[1], &conf) < 0 || conffile_read_wg(&conf) < 0)
		return 1;
	r = resolve_endpoints(&conf.wg, &here, &error);
	if (r < 0) {
		conffile_error(&conf, &error);
		return 1;
	}
	uapi_format_set(&conf.wg, &request);
	return request.failed || write_all(STDOUT_FILENO, request.data, request.len) < 0;
}
