/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a configuration file as the product does, and prints what it would ask
 * of a device, for tests/23-vectors-wg.bats. Status, warnings and errors are
 * the product's. An endpoint that is a number in any of the resolver's forms
 * stands in the request; names are left out: nothing is asked of the network.
 *
 *	conf-tool payload FILE
 */
#include <fcntl.h>
#include <netdb.h>

#include "conf.h"
#include "conffile.h"
#include "log.h"
#include "uapi.h"

static void set_numeric_endpoint(struct peer *peer, const struct endpoint *ep)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST };
	struct addrinfo *found;

	if (getaddrinfo(ep->host, ep->port, &hints, &found) != 0)
		return;
	memcpy(&peer->endpoint, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
}

static void warn_line(unsigned int line, const char *text)
{
	(void)line;
	log_warn("%s", text);
}

/* Not conffile_read(): that one is about names and modes, which the tests of the program itself try. */
static int read_conf(const char *path, struct conf *conf)
{
	_cleanup_free_ char *text = NULL;
	struct conf_error error = { 0 };
	size_t len;
	int r = read_file(path, 1U << 24, &text, &len);

	if (r < 0) {
		log_error("%s: %s", path, strerror(-r));
		return r;
	}
	conf->path = strdup(path);
	r = conf_parse_quick(conf, text, len, &error);
	if (r == 0)
		r = conf_parse_wg(conf, warn_line, &error);
	if (r < 0)
		conffile_error(conf, &error);
	return r;
}

static int payload(const char *path)
{
	CLEANUP(conf_free) struct conf conf = { 0 };
	_cleanup_buf_ struct buf request = { 0 };

	if (read_conf(path, &conf) < 0)
		return 1;
	for (size_t i = 0; i < conf.wg.n_peers; i++) {
		struct peer *peer = &conf.wg.peers[i];

		for (size_t j = 0; j < peer->n_endpoints; j++)
			set_numeric_endpoint(peer, &peer->endpoints[j]);
	}
	uapi_format_set(&conf.wg, &request);
	return request.failed || write_all(STDOUT_FILENO, request.data, request.len) < 0;
}

int main(int argc, char **argv)
{
	log_set_program(argv[0]);
	if (argc == 3 && strcmp(argv[1], "payload") == 0)
		return payload(argv[2]);
	fprintf(stderr, "usage: conf-tool payload FILE\n");
	return 2;
}
