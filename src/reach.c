/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reach.h"

#include <arpa/inet.h>
#include <inttypes.h>

#define MAX_ANCESTORS 16

/* Text that is no address is passed over. */
static int add_host(struct reach *r, const char *text)
{
	struct prefix p;

	if (parse_allowed_ip(text, &p) < 0)
		return 0;
	return prefix_add(&r->watched, &r->n_watched, &p);
}

static int add_endpoint(struct reach *r, const union endpoint_addr *ep)
{
	struct prefix p = { .family = ep->sa.sa_family };

	if (p.family == AF_INET) {
		p.v4 = ep->v4.sin_addr;
		p.len = 32;
	} else if (p.family == AF_INET6) {
		p.v6 = ep->v6.sin6_addr;
		p.len = 128;
	} else {
		return 0;
	}
	return prefix_add(&r->watched, &r->n_watched, &p);
}

static pid_t parent_of(pid_t pid)
{
	char path[48], text[1024];
	_cleanup_file_ FILE *f = NULL;
	const char *p;
	size_t n;
	int parent;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[n] = '\0';
	p = strrchr(text, ')');
	return p && sscanf(p + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

/* "SSH_CONNECTION=CLIENT PORT SERVER PORT" */
static int add_ssh_client(struct reach *r, const char *value)
{
	char client[INET6_ADDRSTRLEN + 1], server[INET6_ADDRSTRLEN + 1];
	struct session *s = &r->session;

	snprintf(client, sizeof(client), "%.*s", (int)strcspn(value, " "), value);
	if (sscanf(value, "%*s %" SCNu16 " %46s %" SCNu16, &s->client_port, server, &s->server_port) == 3)
		r->has_session = parse_allowed_ip(client, &s->client) == 0 && parse_allowed_ip(server, &s->server) == 0 && s->client.family == s->server.family;
	return add_host(r, client);
}

static int collect_ssh(struct reach *r)
{
	static const char name[] = "SSH_CONNECTION=";
	const char *own = getenv("SSH_CONNECTION");
	pid_t pid = getppid();

	if (own)
		return add_ssh_client(r, own);
	for (int i = 0; i < MAX_ANCESTORS && pid > 1; i++, pid = parent_of(pid)) {
		char path[48], *text;
		bool found = false;
		size_t len;
		int error = 0;

		snprintf(path, sizeof(path), "/proc/%d/environ", pid);
		if (read_file(path, 1 << 20, &text, &len) < 0)
			continue;
		for (const char *p = text; p < text + len && !found; p += strlen(p) + 1) {
			found = strncmp(p, name, sizeof(name) - 1) == 0;
			if (found)
				error = add_ssh_client(r, p + sizeof(name) - 1);
		}
		/* Somebody's environment may have secrets, too. */
		wipe_free(text, len);
		if (found)
			return error;
	}
	return 0;
}

static int collect_servers(struct reach *r)
{
	_cleanup_file_ FILE *f = fopen("/etc/resolv.conf", "re");
	char line[512], address[64];
	int error = 0;

	while (f && error == 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, " nameserver %63s", address) == 1)
			error = add_host(r, address);
	return error;
}

static int add_world(struct reach *r)
{
	struct prefix v4 = { .family = AF_INET, .len = 32 }, v6 = { .family = AF_INET6, .len = 128 };
	int error;

	memcpy(v4.bytes, policy_world4, sizeof(policy_world4));
	memcpy(v6.bytes, policy_world6, sizeof(policy_world6));
	error = prefix_add(&r->watched, &r->n_watched, &v4);
	return error == 0 ? prefix_add(&r->watched, &r->n_watched, &v6) : error;
}

static int collect_conf(struct reach *r, const struct conf *conf)
{
	int error = 0;

	for (size_t i = 0; i < conf->n_addresses && error == 0; i++) {
		struct prefix p;

		if (parse_address(conf->addresses[i].text, &p) == 0)
			error = prefix_add(&r->addresses, &r->n_addresses, &p);
	}
	for (size_t i = 0; i < conf->wg.n_peers && error == 0; i++) {
		const struct peer *peer = &conf->wg.peers[i];

		error = add_endpoint(r, &peer->endpoint);
		for (size_t j = 0; j < peer->n_allowed_ips && error == 0; j++) {
			struct prefix p = peer->allowed_ips[j].prefix;

			prefix_mask(&p);
			if (peer->allowed_ips[j].op != ALLOWED_MINUS)
				error = prefix_add(&r->allowed, &r->n_allowed, &p);
		}
	}
	return error;
}

int reach_collect(const struct conf *conf, struct reach *ret_reach)
{
	struct reach r = { 0 };
	int error = collect_ssh(&r);

	if (error == 0)
		error = collect_servers(&r);
	if (error == 0)
		error = add_world(&r);
	if (error == 0 && conf)
		error = collect_conf(&r, conf);
	if (error < 0)
		reach_free(&r);
	else
		*ret_reach = r;
	return error;
}

void reach_free(struct reach *reach)
{
	free(reach->watched);
	free(reach->addresses);
	free(reach->allowed);
	*reach = (struct reach){ 0 };
}
