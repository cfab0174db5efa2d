/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text that `save` writes: what the file says for wg-quick's keys, what
 * the device says for wg's.
 */
#include <arpa/inet.h>

#include "conf.h"

/* The conf's peers ordered by key, so that saving many peers stays fast. */
struct peer_index {
	const struct peer **peers;
	size_t n;
};

static int compare_keys(const struct peer *a, const struct peer *b)
{
	return memcmp(a->public_key.b, b->public_key.b, KEY_LEN);
}

static int compare_peers(const void *a, const void *b)
{
	const struct peer *x = *(const struct peer *const *)a, *y = *(const struct peer *const *)b;
	int r = compare_keys(x, y);

	/* Of two sections for one peer the later one counts: it comes first. (They are of one array.) */
	return r ? r : (y > x) - (y < x);
}

/* Only peers with an endpoint are of interest. */
static int index_peers(const struct wg_iface *wg, struct peer_index *ret_index)
{
	struct peer_index index = { .peers = calloc(wg->n_peers + 1, sizeof(*index.peers)) };

	if (!index.peers)
		return -ENOMEM;
	for (size_t i = 0; i < wg->n_peers; i++)
		if (wg->peers[i].n_endpoints)
			index.peers[index.n++] = &wg->peers[i];
	qsort(index.peers, index.n, sizeof(*index.peers), compare_peers);
	*ret_index = index;
	return 0;
}

/* The last section of the file that gives this peer an endpoint; NULL if none does. */
static const struct peer *find_peer(const struct peer_index *index, const struct peer *live)
{
	size_t low = 0, high = index->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_keys(index->peers[middle], live) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < index->n && compare_keys(index->peers[low], live) == 0 ? index->peers[low] : NULL;
}

/*
 * Whether the file's text says more than the address does. A number that only
 * the resolver takes for one (`127.1`) does, and so does a zone: the device
 * knows its index alone, which the next boot may give to another link.
 */
static bool host_is_name(const char *host)
{
	struct in6_addr addr;

	return inet_pton(AF_INET, host, &addr) != 1 && inet_pton(AF_INET6, host, &addr) != 1;
}

static void write_endpoint(struct buf *text, const struct peer_index *index, const struct peer *live)
{
	const struct peer *peer = find_peer(index, live);
	const struct endpoint *last = peer ? &peer->endpoints[peer->n_endpoints - 1] : NULL;
	char numeric[ENDPOINT_TEXT_LEN];

	if (live->endpoint.sa.sa_family == AF_UNSPEC)
		return;
	if (last && host_is_name(last->host) && endpoint_equal(&peer->endpoint, &live->endpoint))
		buf_fmt(text, "Endpoint = %s\n", last->text);
	else
		buf_fmt(text, "Endpoint = %s\n", format_endpoint(&live->endpoint, numeric));
}

static void write_key(struct buf *text, const char *name, const struct key *key)
{
	char encoded[KEY_TEXT_LEN];

	format_key(key, encoded);
	buf_fmt(text, "%s = %s\n", name, encoded);
	explicit_bzero(encoded, sizeof(encoded));
}

static void write_allowed_ips(struct buf *text, const struct peer *live)
{
	const char *before = "AllowedIPs = ";
	char prefix[PREFIX_TEXT_LEN];

	for (size_t i = 0; i < live->n_allowed_ips; i++) {
		if (live->allowed_ips[i].op == ALLOWED_MINUS)
			continue;
		buf_fmt(text, "%s%s", before, format_prefix(&live->allowed_ips[i].prefix, prefix));
		before = ", ";
	}
	if (*before == ',')
		buf_str(text, "\n");
}

static void write_peer(struct buf *text, const struct peer_index *index, const struct peer *live)
{
	buf_str(text, "\n[Peer]\n");
	write_key(text, "PublicKey", &live->public_key);
	if (live->has_preshared_key && !key_is_zero(&live->preshared_key))
		write_key(text, "PresharedKey", &live->preshared_key);
	write_allowed_ips(text, live);
	write_endpoint(text, index, live);
	if (live->keepalive)
		buf_fmt(text, "PersistentKeepalive = %u\n", live->keepalive);
}

static void write_private_key(struct buf *text, const struct conf *conf, const struct wg_iface *live)
{
	const struct key *key = &live->private_key;

	if (!live->has_private_key || key_is_zero(key))
		return;
	/* Devices clamp; the user keeps the text that was in the file. */
	if (conf->wg.has_private_key && key_equal_clamped(key, &conf->wg.private_key))
		key = &conf->wg.private_key;
	write_key(text, "PrivateKey", key);
}

static void write_hooks(struct buf *text, const struct conf *conf, enum hook_kind kind)
{
	for (size_t i = 0; i < conf->n_hooks; i++) {
		if (conf->hooks[i].kind != kind)
			continue;
		/* Not through a format: a hook's text may be long, and is taken as it is. */
		buf_str(text, hook_names[kind]);
		buf_str(text, *conf->hooks[i].text ? " = " : " =");
		buf_str(text, conf->hooks[i].text);
		buf_str(text, "\n");
	}
}

/* wg-quick's keys. */
static void write_quick(struct buf *text, const struct conf *conf, const struct conf_live *live)
{
	char prefix[PREFIX_TEXT_LEN];

	for (size_t i = 0; i < live->n_addresses; i++)
		buf_fmt(text, "Address = %s\n", format_prefix(&live->addresses[i], prefix));
	for (size_t i = 0; i < conf->n_dns; i++)
		buf_fmt(text, "DNS = %s\n", conf->dns[i].text);
	if (conf->mtu.text && *conf->mtu.text)
		buf_fmt(text, "MTU = %u\n", live->mtu);
	if (conf->table_text.text && *conf->table_text.text)
		buf_fmt(text, "Table = %s\n", conf->table_text.text);
	if (conf->save_config)
		buf_str(text, "SaveConfig = true\n");
	write_hooks(text, conf, HOOK_PRE_UP);
	write_hooks(text, conf, HOOK_POST_UP);
	write_hooks(text, conf, HOOK_PRE_DOWN);
	write_hooks(text, conf, HOOK_POST_DOWN);
}

int conf_write(const struct conf *conf, const struct conf_live *live, struct buf *ret_text)
{
	struct peer_index index;
	int r = index_peers(&conf->wg, &index);

	if (r < 0)
		return r;
	buf_str(ret_text, "[Interface]\n");
	write_quick(ret_text, conf, live);
	if (live->wg->listen_port && live->wg->listen_port != live->auto_listen_port)
		buf_fmt(ret_text, "ListenPort = %u\n", live->wg->listen_port);
	if (live->wg->fwmark && live->wg->fwmark != live->auto_fwmark)
		buf_fmt(ret_text, "FwMark = 0x%x\n", live->wg->fwmark);
	write_private_key(ret_text, conf, live->wg);
	for (size_t i = 0; i < live->wg->n_peers; i++)
		write_peer(ret_text, &index, &live->wg->peers[i]);
	free(index.peers);
	return ret_text->failed ? -ENOMEM : 0;
}
