/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "uapi.h"

#include <arpa/inet.h>

static void add_hex_key(struct buf *b, const char *name, const struct key *key)
{
	static const char digits[] = "0123456789abcdef";
	char hex[2 * KEY_LEN];

	for (size_t i = 0; i < KEY_LEN; i++) {
		hex[2 * i] = digits[key->b[i] >> 4];
		hex[2 * i + 1] = digits[key->b[i] & 15];
	}
	buf_fmt(b, "%s=", name);
	buf_add(b, hex, sizeof(hex));
	buf_str(b, "\n");
	explicit_bzero(hex, sizeof(hex));
}

static void add_peer(struct buf *b, const struct peer *peer)
{
	char text[PREFIX_TEXT_LEN], endpoint[ENDPOINT_TEXT_LEN];

	add_hex_key(b, "public_key", &peer->public_key);
	if (peer->remove) {
		buf_str(b, "remove=true\n");
		return;
	}
	if (peer->update_only)
		buf_str(b, "update_only=true\n");
	if (peer->has_preshared_key)
		add_hex_key(b, "preshared_key", &peer->preshared_key);
	if (peer->endpoint.sa.sa_family != AF_UNSPEC)
		buf_fmt(b, "endpoint=%s\n", format_endpoint(&peer->endpoint, endpoint));
	if (peer->has_keepalive)
		buf_fmt(b, "persistent_keepalive_interval=%u\n", peer->keepalive);
	if (peer->replace_allowed_ips)
		buf_str(b, "replace_allowed_ips=true\n");
	for (size_t i = 0; i < peer->n_allowed_ips; i++)
		buf_fmt(b, "allowed_ip=%s%s\n", peer->allowed_ips[i].op == ALLOWED_MINUS ? "-" : "", format_prefix(&peer->allowed_ips[i].prefix, text));
}

void uapi_format_set(const struct wg_iface *wg, struct buf *request)
{
	buf_str(request, "set=1\n");
	if (wg->has_private_key)
		add_hex_key(request, "private_key", &wg->private_key);
	if (wg->has_listen_port)
		buf_fmt(request, "listen_port=%u\n", wg->listen_port);
	if (wg->has_fwmark)
		buf_fmt(request, "fwmark=%u\n", wg->fwmark);
	for (size_t i = 0; i < wg->n_peers; i++)
		add_peer(request, &wg->peers[i]);
	buf_str(request, "\n");
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int parse_hex_key(const char *text, struct key *ret_key)
{
	if (strlen(text) != 2 * KEY_LEN)
		return -EBADMSG;
	for (size_t i = 0; i < KEY_LEN; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EBADMSG;
		ret_key->b[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

/* `192.0.2.1:5` or `[fe80::1%2]:5`, as format_endpoint() writes it; a zone is a number. */
static int parse_numeric_endpoint(const char *text, union endpoint_addr *ret_endpoint)
{
	union endpoint_addr ep = { 0 };
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 16];
	uint64_t port, zone;
	size_t len;
	char *percent;

	if (!colon || parse_u64(colon + 1, UINT16_MAX, &port) < 0)
		return -EBADMSG;
	if (text[0] == '[') {
		if (colon == text || colon[-1] != ']')
			return -EBADMSG;
		text++;
		len = (size_t)(colon - 1 - text);
	} else {
		len = (size_t)(colon - text);
	}
	if (len >= sizeof(host))
		return -EBADMSG;
	memcpy(host, text, len);
	host[len] = '\0';
	percent = strchr(host, '%');
	if (percent) {
		*percent++ = '\0';
		/* wireguard-go prints names of links of its own namespace; they mean nothing here. */
		if (parse_u64(percent, UINT32_MAX, &zone) == 0)
			ep.v6.sin6_scope_id = (uint32_t)zone;
	}
	if (inet_pton(AF_INET6, host, &ep.v6.sin6_addr) == 1) {
		ep.v6.sin6_family = AF_INET6;
		ep.v6.sin6_port = htons((uint16_t)port);
	} else {
		ep = (union endpoint_addr){ 0 };
		if (inet_pton(AF_INET, host, &ep.v4.sin_addr) != 1)
			return -EBADMSG;
		ep.v4.sin_family = AF_INET;
		ep.v4.sin_port = htons((uint16_t)port);
	}
	*ret_endpoint = ep;
	return 0;
}

static int parse_peer_line(struct peer *peer, const char *key, const char *value)
{
	uint64_t number;
	int r;

	if (strcmp(key, "preshared_key") == 0) {
		r = parse_hex_key(value, &peer->preshared_key);
		if (r == 0)
			peer->has_preshared_key = !key_is_zero(&peer->preshared_key);
		return r;
	}
	if (strcmp(key, "endpoint") == 0)
		return parse_numeric_endpoint(value, &peer->endpoint);
	if (strcmp(key, "allowed_ip") == 0) {
		struct allowed_ip *slot, item = { 0 };

		if (parse_allowed_ip(value, &item.prefix) < 0)
			return -EBADMSG;
		slot = GROW(peer->allowed_ips, peer->n_allowed_ips);
		if (!slot)
			return -ENOMEM;
		*slot = item;
		return 0;
	}
	if (strcmp(key, "persistent_keepalive_interval") == 0) {
		if (parse_u64(value, UINT16_MAX, &number) < 0)
			return -EBADMSG;
		peer->keepalive = (uint16_t)number;
		peer->has_keepalive = number != 0;
		return 0;
	}
	if (strcmp(key, "last_handshake_time_sec") == 0) {
		if (parse_u64(value, INT64_MAX, &number) < 0)
			return -EBADMSG;
		peer->last_handshake = (int64_t)number;
		return 0;
	}
	if (strcmp(key, "rx_bytes") == 0)
		return parse_u64(value, UINT64_MAX, &peer->rx_bytes) < 0 ? -EBADMSG : 0;
	if (strcmp(key, "tx_bytes") == 0)
		return parse_u64(value, UINT64_MAX, &peer->tx_bytes) < 0 ? -EBADMSG : 0;
	return 0;
}

static int parse_device_line(struct wg_iface *wg, const char *key, const char *value)
{
	uint64_t number;
	int r;

	if (strcmp(key, "private_key") == 0) {
		r = parse_hex_key(value, &wg->private_key);
		if (r == 0)
			wg->has_private_key = !key_is_zero(&wg->private_key);
		return r;
	}
	if (strcmp(key, "listen_port") == 0) {
		if (parse_u64(value, UINT16_MAX, &number) < 0)
			return -EBADMSG;
		wg->listen_port = (uint16_t)number;
		wg->has_listen_port = true;
		return 0;
	}
	if (strcmp(key, "fwmark") == 0) {
		if (parse_u64(value, UINT32_MAX, &number) < 0)
			return -EBADMSG;
		wg->fwmark = (uint32_t)number;
		wg->has_fwmark = true;
	}
	return 0;
}

struct reader {
	struct wg_iface wg;
	struct peer *peer; /* that the lines belong to, NULL: the device */
	bool ended;	   /* errno= was seen */
};

static int parse_line(struct reader *reader, char *line)
{
	char *value = strchr(line, '=');
	uint64_t number;

	if (!value)
		return -EBADMSG;
	*value++ = '\0';
	if (strcmp(line, "errno") == 0) {
		reader->ended = true;
		/* A negative number as wireguard-go sends it; others leave the sign out. */
		if (*value == '-')
			value++;
		return parse_u64(value, 4095, &number) < 0 ? -EBADMSG : -(int)number;
	}
	if (strcmp(line, "public_key") == 0) {
		struct key key;

		if (parse_hex_key(value, &key) < 0)
			return -EBADMSG;
		reader->peer = wg_iface_add_peer(&reader->wg);
		if (!reader->peer)
			return -ENOMEM;
		reader->peer->public_key = key;
		reader->peer->has_public_key = true;
		return 0;
	}
	return reader->peer ? parse_peer_line(reader->peer, line, value) : parse_device_line(&reader->wg, line, value);
}

static int parse_reply(const char *text, size_t len, struct reader *reader)
{
	char *copy = malloc(len + 1), *line, *next;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, len);
	copy[len] = '\0';
	for (line = copy; r == 0 && *line && *line != '\n'; line = next) {
		char *end = strchr(line, '\n');

		next = end ? end + 1 : line + strlen(line);
		if (end)
			*end = '\0';
		r = parse_line(reader, line);
	}
	wipe_free(copy, len + 1);
	if (r == 0 && !reader->ended)
		r = -EBADMSG;
	return r;
}

int uapi_parse_get(const char *text, size_t len, struct wg_iface *ret_wg)
{
	struct reader reader = { 0 };
	int r = parse_reply(text, len, &reader);

	if (r < 0)
		wg_iface_free(&reader.wg);
	else
		*ret_wg = reader.wg;
	return r;
}

int uapi_parse_set(const char *text, size_t len)
{
	struct reader reader = { 0 };
	int r = parse_reply(text, len, &reader);

	wg_iface_free(&reader.wg);
	return r;
}
