/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wg's half of the parser: the lines that wg-quick left, as wg(8) reads them.
 */
#include <netdb.h>
#include <strings.h>

#include "conf-error.h"
#include "conf.h"

enum section { SECTION_NONE, SECTION_INTERFACE, SECTION_PEER };

struct reader {
	struct wg_iface *wg;
	struct conf_error *error;
	void (*warn)(unsigned int line, const char *text);
	unsigned int line;
	enum section section;
};

struct peer *wg_iface_add_peer(struct wg_iface *wg)
{
	/* Wiped when it grows: peers hold preshared keys. */
	return GROW_WIPED(wg->peers, wg->n_peers);
}

static struct peer *current_peer(struct reader *r)
{
	return &r->wg->peers[r->wg->n_peers - 1];
}

/* The name alone is told: what stands in a key's place is most likely a key. */
static int read_key(struct reader *r, const char *name, const char *value, struct key *ret_key, bool *ret_has)
{
	/* Also when it is wrong: then it is not missing besides. */
	*ret_has = true;
	if (parse_key(value, ret_key) < 0)
		return conf_fail(r->error, r->line,
				 "%s: Key is not the correct length or format; expected 44 characters of base64", name);
	return 0;
}

static int read_private_key(struct reader *r, char *value)
{
	return read_key(r, "PrivateKey", value, &r->wg->private_key, &r->wg->has_private_key);
}

static int read_public_key(struct reader *r, char *value)
{
	struct peer *peer = current_peer(r);

	return read_key(r, "PublicKey", value, &peer->public_key, &peer->has_public_key);
}

static int read_preshared_key(struct reader *r, char *value)
{
	struct peer *peer = current_peer(r);

	return read_key(r, "PresharedKey", value, &peer->preshared_key, &peer->has_preshared_key);
}

/* A number as getaddrinfo takes one: -EINVAL when it is none (a name), -ERANGE when it is no port. */
static int parse_port(const char *text, uint16_t *ret_port)
{
	uint64_t port;
	int r = parse_u64(*text == '+' ? text + 1 : text, UINT16_MAX, &port);

	if (r < 0)
		return r;
	*ret_port = (uint16_t)port;
	return 0;
}

/* `domain` is 53: the names of /etc/services are allowed. */
static int lookup_service(const char *name, uint16_t *ret_port)
{
	struct addrinfo hints = {
		.ai_family = AF_INET,
		.ai_socktype = SOCK_DGRAM,
		.ai_protocol = IPPROTO_UDP,
		.ai_flags = AI_PASSIVE,
	};
	struct addrinfo *found;

	/* C libraries disagree on `-1`. */
	if (*name == '-' || *name == '+' || getaddrinfo(NULL, name, &hints, &found) != 0)
		return -EINVAL;
	*ret_port = ntohs(((struct sockaddr_in *)(void *)found->ai_addr)->sin_port);
	freeaddrinfo(found);
	return 0;
}

static int port_fail(struct reader *r, const char *value)
{
	char quoted[QUOTED_LEN];

	return conf_fail(r->error, r->line, "Servname not supported for ai_socktype: `%s'; expected a port 0-65535",
			 conf_quote(value, quoted));
}

static int read_listen_port(struct reader *r, char *value)
{
	int error = parse_port(value, &r->wg->listen_port);

	if (error == -EINVAL)
		error = lookup_service(value, &r->wg->listen_port);
	if (error < 0)
		return port_fail(r, value);
	r->wg->has_listen_port = true;
	return 0;
}

static int read_fwmark(struct reader *r, char *value)
{
	char quoted[QUOTED_LEN];
	uint64_t mark = 0;
	int error = 0;

	/* Not parse_cnum alone: `010` is ten here, and `0X10` nothing. */
	if (value[0] == '0' && value[1] == 'x')
		error = parse_cnum(value, UINT32_MAX, &mark);
	else if (strcasecmp(value, "off") != 0)
		error = parse_u64(value, UINT32_MAX, &mark);
	if (error < 0)
		return conf_fail(r->error, r->line,
				 "Fwmark is neither 0/off nor 0-0xffffffff: `%s'; expected off, a decimal number or 0x and a hexadecimal one",
				 conf_quote(value, quoted));
	r->wg->fwmark = (uint32_t)mark;
	r->wg->has_fwmark = true;
	return 0;
}

static int read_keepalive(struct reader *r, char *value)
{
	struct peer *peer = current_peer(r);
	char quoted[QUOTED_LEN];
	uint64_t seconds = 0;

	if (strcasecmp(value, "off") != 0 && parse_u64(value, UINT16_MAX, &seconds) < 0)
		return conf_fail(r->error, r->line,
				 "Persistent keepalive interval is neither 0/off nor 1-65535: `%s'; expected off or seconds, without a unit",
				 conf_quote(value, quoted));
	peer->keepalive = (uint16_t)seconds;
	peer->has_keepalive = true;
	return 0;
}

static int allowed_ip_fail(struct reader *r, const char *item, int error)
{
	char quoted[QUOTED_LEN], addr[2 * QUOTED_LEN] = "(hidden)";

	if (error == -EINVAL)
		return conf_fail(r->error, r->line,
				 "AllowedIP is not in the correct format: `%s'; expected /0 to /32 after an IPv4 address, /0 to /128 after an IPv6 one",
				 conf_quote(item, quoted));
	/* Only the address is quoted, but a key with a `/` in it is judged as a whole. */
	if (*item == '+' || *item == '-')
		item++;
	if (!conf_looks_secret(item))
		snprintf(addr, sizeof(addr), "%.*s", (int)strcspn(item, "/"), item);
	return conf_fail(r->error, r->line,
			 "Unable to parse IP address: `%s'; expected a full IPv4 or IPv6 address, as in 10.0.0.0/8 or fd00::/64",
			 conf_quote(addr, quoted));
}

static void warn_host_bits(struct reader *r, const char *item, const struct prefix *prefix)
{
	char text[128];

	if (!r->warn || !prefix_has_host_bits(prefix))
		return;
	/* The length is cut: it may have any number of leading zeros. */
	snprintf(text, sizeof(text), "AllowedIP has nonzero host part: %.*s", INET6_ADDRSTRLEN + 4, item);
	r->warn(r->line, text);
}

static int read_allowed_ip(struct reader *r, const char *item)
{
	struct peer *peer = current_peer(r);
	struct allowed_ip allowed = { .op = ALLOWED_ADD };
	const char *text = item;
	struct allowed_ip *slot;
	int error;

	if (*text == '+' || *text == '-') {
		allowed.op = *text++ == '+' ? ALLOWED_PLUS : ALLOWED_MINUS;
		peer->replace_allowed_ips = false;
	}
	error = parse_allowed_ip(text, &allowed.prefix);
	if (error < 0)
		return allowed_ip_fail(r, item, error);
	warn_host_bits(r, text, &allowed.prefix);
	slot = GROW(peer->allowed_ips, peer->n_allowed_ips);
	if (!slot)
		return -ENOMEM;
	*slot = allowed;
	return 0;
}

static int read_allowed_ips(struct reader *r, char *value)
{
	int error = 0;

	/* Every line starts anew: a `+` on an earlier one no longer counts. */
	current_peer(r)->replace_allowed_ips = true;
	current_peer(r)->has_allowed_ips = true;
	while (value) {
		int item_error = read_allowed_ip(r, strsep(&value, ","));

		if (item_error < 0 && !conf_goes_on(r->error, item_error))
			return item_error;
		error = item_error < 0 ? item_error : error;
	}
	return error;
}

static int endpoint_fail(struct reader *r, const char *what, const char *value)
{
	char quoted[QUOTED_LEN];

	return conf_fail(r->error, r->line, "%s: `%s'; expected HOST:PORT or [IPV6]:PORT", what,
			 conf_quote(value, quoted));
}

/* `[host]:port` is cut at the bracket, anything else at the last colon: so `fd00::1:51820` works. */
static int read_endpoint(struct reader *r, char *value)
{
	struct peer *peer = current_peer(r);
	bool bracket = *value == '[';
	char *host = value + bracket;
	char *stop = bracket ? strchr(value, ']') : strrchr(value, ':');
	char *port = bracket && stop ? stop + 1 : stop;
	struct endpoint *endpoint;
	uint16_t number;

	if (bracket && !stop)
		return endpoint_fail(r, "Unable to find matching brace of endpoint", value);
	if (!port || *port != ':' || !*++port)
		return endpoint_fail(r, "Unable to find port of endpoint", value);
	if (host == stop)
		return endpoint_fail(r, "Name or service not known", value);
	/* A minus is no service's name either, but some C libraries wrap it round: `-4294967295' is port 1. */
	if (*port == '-' || parse_port(port, &number) == -ERANGE)
		return port_fail(r, value);

	endpoint = GROW(peer->endpoints, peer->n_endpoints);
	if (!endpoint)
		return -ENOMEM;
	endpoint->line = r->line;
	endpoint->text = strdup(value);
	endpoint->host = strndup(host, (size_t)(stop - host));
	endpoint->port = strdup(port);
	return endpoint->text && endpoint->host && endpoint->port ? 0 : -ENOMEM;
}

static int start_peer(struct reader *r)
{
	struct peer *peer = wg_iface_add_peer(r->wg);

	if (!peer)
		return -ENOMEM;
	peer->line = r->line;
	/* Also without any AllowedIPs: a [Peer] says all that its peer is allowed. */
	peer->replace_allowed_ips = true;
	r->section = SECTION_PEER;
	return 0;
}

static const struct field {
	const char *name;
	enum section section;
	int (*read)(struct reader *r, char *value);
} fields[] = {
	{ "PrivateKey", SECTION_INTERFACE, read_private_key },
	{ "ListenPort", SECTION_INTERFACE, read_listen_port },
	{ "FwMark", SECTION_INTERFACE, read_fwmark },
	{ "PublicKey", SECTION_PEER, read_public_key },
	{ "PresharedKey", SECTION_PEER, read_preshared_key },
	{ "AllowedIPs", SECTION_PEER, read_allowed_ips },
	{ "Endpoint", SECTION_PEER, read_endpoint },
	{ "PersistentKeepalive", SECTION_PEER, read_keepalive },
};

static const struct field *find_field(const char *line)
{
	size_t len = strcspn(line, "=");

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (strlen(fields[i].name) == len && strncasecmp(line, fields[i].name, len) == 0)
			return &fields[i];
	return NULL;
}

static bool is_quick_key(const char *line)
{
	static const char *const names[] = { "Address", "DNS", "MTU", "Table", "SaveConfig" };
	size_t len = strcspn(line, "=");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == len && strncasecmp(line, names[i], len) == 0)
			return true;
	for (size_t i = 0; i < HOOK_KINDS; i++)
		if (strlen(hook_names[i]) == len && strncasecmp(line, hook_names[i], len) == 0)
			return true;
	return false;
}

static const char *section_name(enum section section)
{
	return section == SECTION_INTERFACE ? "[Interface]" : "[Peer]";
}

/* What would have been right where `line` stands. */
static void describe_expected(const struct reader *r, const char *line, const struct field *field,
			      char ret_text[static 128])
{
	if (strncmp(line, "\xef\xbb\xbf", 3) == 0)
		snprintf(ret_text, 128, "a file without a byte order mark");
	else if (field && field->section == r->section)
		snprintf(ret_text, 128, "`%s = ' and a value", field->name);
	else if (field)
		snprintf(ret_text, 128, "%s in %s", field->name, section_name(field->section));
	else if (is_quick_key(line))
		snprintf(ret_text, 128, "%.*s in a section that reads exactly [Interface]", (int)strcspn(line, "="),
			 line);
	else if (*line == '[' || r->section == SECTION_NONE)
		snprintf(ret_text, 128, "[Interface] or [Peer]");
	else if (r->section == SECTION_INTERFACE)
		snprintf(ret_text, 128, "PrivateKey, ListenPort or FwMark (or wg-quick's own keys) in [Interface]");
	else
		snprintf(ret_text, 128,
			 "PublicKey, PresharedKey, AllowedIPs, Endpoint or PersistentKeepalive in [Peer]");
}

static int read_line(struct reader *r, char *line)
{
	const struct field *field;
	char quoted[QUOTED_LEN], expected[128];
	size_t name_len;

	if (!*line)
		return 0;
	if (strcasecmp(line, "[Peer]") == 0)
		return start_peer(r);
	if (strcasecmp(line, "[Interface]") == 0) {
		r->section = SECTION_INTERFACE;
		return 0;
	}
	field = find_field(line);
	name_len = strcspn(line, "=");
	if (field && field->section == r->section && line[name_len] && line[name_len + 1])
		return field->read(r, line + name_len + 1);
	describe_expected(r, line, field, expected);
	return conf_fail(r->error, r->line, "Line unrecognized: `%s'; expected %s", conf_quote_line(line, quoted),
			 expected);
}

/*
 * Copies the line at `p` to `line` without its comment and without any white
 * space: wg ignores that even inside of names and values. Returns the next line.
 */
static const char *squeeze_line(const char *p, char *line)
{
	const char *end = strchrnul(p, '\n');

	for (const char *c = p; c < end && *c != '#'; c++)
		if (!is_space(*c))
			*line++ = *c;
	*line = '\0';
	return *end ? end + 1 : end;
}

static int check_peers(struct reader *r)
{
	int error = 0;

	for (size_t i = 0; i < r->wg->n_peers && (error == 0 || conf_goes_on(r->error, error)); i++)
		if (!r->wg->peers[i].has_public_key)
			error = conf_fail(r->error, r->wg->peers[i].line,
					  "A peer is missing a public key; expected `PublicKey = ' and a key in this [Peer]");
	return error;
}

int conf_parse_wg(struct conf *conf, void (*warn)(unsigned int line, const char *text), struct conf_error *ret_error)
{
	struct reader r = { .wg = &conf->wg, .error = ret_error, .warn = warn };
	size_t size = conf->stripped.len + 1;
	const char *p = conf->stripped.data ? conf->stripped.data : "";
	char *line = malloc(size);
	int error = 0;

	if (!line)
		return -ENOMEM;
	for (size_t i = 0; i < conf->n_stripped_lines && (error == 0 || conf_goes_on(ret_error, error)); i++) {
		int line_error;

		r.line = conf->stripped_lines[i];
		p = squeeze_line(p, line);
		line_error = read_line(&r, line);
		error = line_error < 0 ? line_error : error;
	}
	if (error == 0 || conf_goes_on(ret_error, error)) {
		int peers_error = check_peers(&r);

		error = peers_error < 0 ? peers_error : error;
	}
	wipe_free(line, size);
	return error;
}
