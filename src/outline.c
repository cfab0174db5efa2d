/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file as it was applied, without its secrets: the base that a reload compares with. */
#include <inttypes.h>

#include "conf-error.h"
#include "merge.h"

/* FNV-1a, 64 bits: enough to notice an edit, and no text of a hook is kept. */
static uint64_t digest(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	return hash;
}

static void write_peer(const struct peer *peer, struct buf *text)
{
	static const struct key nothing;
	char key[KEY_TEXT_LEN], prefix[PREFIX_TEXT_LEN];

	buf_str(text, "[Peer]\n");
	format_key(&peer->public_key, key);
	buf_fmt(text, "PublicKey = %s\n", key);
	if (peer->has_preshared_key) {
		format_key(&nothing, key);
		buf_fmt(text, "PresharedKey = %s\n", key);
	}
	if (peer->has_keepalive)
		buf_fmt(text, "PersistentKeepalive = %u\n", peer->keepalive);
	for (size_t i = 0; i < peer->n_endpoints; i++)
		buf_fmt(text, "Endpoint = %s\n", peer->endpoints[i].text);
	for (size_t i = 0; i < peer->n_allowed_ips; i++) {
		static const char *const sign[] = { [ALLOWED_ADD] = "", [ALLOWED_PLUS] = "+", [ALLOWED_MINUS] = "-" };

		buf_fmt(text, "%s%s%s", i ? "," : "AllowedIPs = ", sign[peer->allowed_ips[i].op], format_prefix(&peer->allowed_ips[i].prefix, prefix));
	}
	buf_str(text, "\n");
}

int outline_write(const struct conf *conf, struct buf *ret_text)
{
	static const struct key nothing;
	char key[KEY_TEXT_LEN];

	buf_str(ret_text, "[Interface]\n");
	for (size_t i = 0; i < conf->n_addresses; i++)
		buf_fmt(ret_text, "Address = %s\n", conf->addresses[i].text);
	for (size_t i = 0; i < conf->n_dns; i++)
		buf_fmt(ret_text, "DNS = %s\n", conf->dns[i].text);
	if (conf->mtu.text && *conf->mtu.text)
		buf_fmt(ret_text, "MTU = %s\n", conf->mtu.text);
	if (conf->table != TABLE_AUTO)
		buf_fmt(ret_text, "Table = %s\n", conf->table == TABLE_OFF ? "off" : conf->table_text.text);
	for (size_t i = 0; i < conf->n_hooks; i++)
		buf_fmt(ret_text, "%s = %016" PRIx64 "\n", hook_names[conf->hooks[i].kind], digest(conf->hooks[i].text));
	if (conf->wg.has_private_key) {
		format_key(&nothing, key);
		buf_fmt(ret_text, "PrivateKey = %s\n", key);
	}
	if (conf->wg.has_listen_port)
		buf_fmt(ret_text, "ListenPort = %u\n", conf->wg.listen_port);
	if (conf->wg.has_fwmark)
		buf_fmt(ret_text, "FwMark = %u\n", conf->wg.fwmark);
	for (size_t i = 0; i < conf->wg.n_peers; i++)
		write_peer(&conf->wg.peers[i], ret_text);
	return ret_text->failed ? -ENOMEM : 0;
}

int outline_read(const char *text, size_t len, struct conf *conf)
{
	struct conf_error error = { 0 };
	int r = conf_parse_quick(conf, text, len, &error);

	if (r == 0)
		r = conf_parse_wg(conf, NULL, &error);
	return r == -EINVAL ? -EBADMSG : r;
}

static bool same_hook(const struct hook *outline, const struct hook *hook)
{
	char text[17];

	snprintf(text, sizeof(text), "%016" PRIx64, digest(hook->text));
	return outline->kind == hook->kind && strcmp(outline->text, text) == 0;
}

int merge_check(const struct conf *outline, const struct conf *conf, struct conf_error *ret_error)
{
	/* What an editor without room on the disk leaves, or one at work. */
	if (!conf->wg.has_private_key && !conf->wg.n_peers && !conf->n_addresses && (outline->wg.n_peers || outline->n_addresses))
		return conf_fail(ret_error, 0, "PrivateKey, Address and [Peer] are all gone; expected a whole file, or `down'");
	for (size_t i = 0; i < conf->n_hooks; i++)
		if (i >= outline->n_hooks || !same_hook(&outline->hooks[i], &conf->hooks[i]))
			return conf_fail(ret_error, conf->hooks[i].line, "%s is new or changed, and a reload runs no hooks; expected `down' and `up', or the hooks as they were",
					 hook_names[conf->hooks[i].kind]);
	if (conf->n_hooks < outline->n_hooks)
		return conf_fail(ret_error, 0, "a %s was taken out, and a reload undoes no hooks; expected `down' and `up', or the hooks as they were",
				 hook_names[outline->hooks[conf->n_hooks].kind]);
	return 0;
}
