/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target for the .conf parser, writer and checker. What must hold:
 * what `strip` prints strips to itself; what was accepted and saved is accepted
 * again, with the same meaning; an error is one short line without a key in it.
 */
#include <arpa/inet.h>

#include "lint.h"

#define CHECK(condition)                                                                   \
	do {                                                                               \
		if (!(condition)) {                                                        \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                           \
		}                                                                          \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void warn(unsigned int line, const char *text)
{
	CHECK(line > 0 && strlen(text) < 128 && !strpbrk(text, "\r\n"));
}

static void check_error(const struct conf_error *error)
{
	size_t run = 0;

	CHECK(*error->text && memchr(error->text, '\0', sizeof(error->text)));
	for (const char *p = error->text; *p; p++) {
		CHECK(*p >= ' ' && *p <= '~');
		run = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", *p) ? run + 1 : 0;
		CHECK(run < 40);
	}
}

static void check_strip(const struct conf *conf)
{
	struct conf again = { 0 };

	CHECK(strlen(conf->stripped.data) == conf->stripped.len);
	CHECK(conf_parse_quick(&again, conf->stripped.data, conf->stripped.len, NULL) == 0);
	CHECK(strcmp(again.stripped.data, conf->stripped.data) == 0);
	CHECK(again.n_stripped_lines == conf->n_stripped_lines);
	CHECK(!again.n_addresses && !again.n_dns && !again.n_hooks && !again.mtu.text && !again.table_text.text);
	conf_free(&again);
}

/* What the device would answer, had the file been applied; all names are one address. */
static void save(struct conf *conf, struct buf *ret_text)
{
	struct prefix *addresses = calloc(conf->n_addresses + 1, sizeof(*addresses));
	struct conf_live live = { .wg = &conf->wg, .addresses = addresses, .mtu = 1420 };

	CHECK(addresses);
	for (size_t i = 0; i < conf->n_addresses; i++)
		live.n_addresses += parse_address(conf->addresses[i].text, &addresses[live.n_addresses]) == 0;
	for (size_t i = 0; i < conf->wg.n_peers; i++) {
		union endpoint_addr ep = { .v4 = { .sin_family = AF_INET, .sin_port = htons(5) } };

		ep.v4.sin_addr.s_addr = htonl(0xc0000201);
		if (conf->wg.peers[i].n_endpoints)
			conf->wg.peers[i].endpoint = ep;
	}
	CHECK(conf_write(conf, &live, ret_text) == 0);
	free(addresses);
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* The hooks of one kind keep their order and their text. */
static void check_hooks(const struct conf *a, const struct conf *b)
{
	CHECK(a->n_hooks == b->n_hooks);
	for (int kind = 0; kind < HOOK_KINDS; kind++) {
		size_t j = 0;

		for (size_t i = 0; i < a->n_hooks; i++) {
			if (a->hooks[i].kind != (enum hook_kind)kind)
				continue;
			while (j < b->n_hooks && b->hooks[j].kind != (enum hook_kind)kind)
				j++;
			CHECK(j < b->n_hooks && strcmp(a->hooks[i].text, b->hooks[j].text) == 0);
			j++;
		}
	}
}

static void check_peer(const struct peer *a, const struct peer *b)
{
	size_t n = 0;

	CHECK(key_equal(&a->public_key, &b->public_key));
	CHECK(key_equal(&a->preshared_key, &b->preshared_key));
	CHECK(a->keepalive == b->keepalive);
	CHECK(!a->n_endpoints == !b->n_endpoints);
	for (size_t i = 0; i < a->n_allowed_ips; i++) {
		if (a->allowed_ips[i].op == ALLOWED_MINUS)
			continue;
		CHECK(n < b->n_allowed_ips);
		CHECK(prefix_equal(&a->allowed_ips[i].prefix, &b->allowed_ips[n++].prefix));
	}
	CHECK(n == b->n_allowed_ips);
}

static void check_same(const struct conf *a, const struct conf *b)
{
	CHECK(a->save_config == b->save_config && a->table == b->table);
	CHECK(same_text(a->table_text.text, b->table_text.text));
	CHECK(key_equal(&a->wg.private_key, &b->wg.private_key));
	CHECK(a->wg.listen_port == b->wg.listen_port && a->wg.fwmark == b->wg.fwmark);
	CHECK(a->wg.n_peers == b->wg.n_peers);
	for (size_t i = 0; i < a->wg.n_peers; i++)
		check_peer(&a->wg.peers[i], &b->wg.peers[i]);
	check_hooks(a, b);
}

static void check_save(struct conf *conf)
{
	struct conf saved = { 0 }, again = { 0 };
	struct buf text = { 0 }, text2 = { 0 }, text3 = { 0 };
	struct conf_error error = { 0 };

	save(conf, &text);
	CHECK(conf_parse_quick(&saved, text.data, text.len, &error) == 0);
	CHECK(conf_parse_wg(&saved, warn, &error) == 0);
	check_same(conf, &saved);
	save(&saved, &text2);
	CHECK(conf_parse_quick(&again, text2.data, text2.len, &error) == 0);
	CHECK(conf_parse_wg(&again, warn, &error) == 0);
	save(&again, &text3);
	CHECK(strcmp(text2.data, text3.data) == 0);
	buf_free(&text);
	buf_free(&text2);
	buf_free(&text3);
	conf_free(&saved);
	conf_free(&again);
}

static void check_each(const struct conf_error *each, void *arg)
{
	check_error(each);
	++*(size_t *)arg;
}

/* What `check` does: every error, with the first alone as the ordinary run saw it, and every finding. */
static void check_all(const uint8_t *data, size_t size, const struct conf_error *first)
{
	static const char *const links[] = { "eth0", "virbr0" };
	const struct lint_place place = { .netns = "wg0", .create = true, .host_links = links, .n_host_links = ARRAY_SIZE(links) };
	struct conf conf = { .iface = "wg0" };
	struct findings f = { 0 };
	size_t errors = 0;
	struct conf_error error = { .each = check_each, .arg = &errors };
	int r = conf_parse_quick(&conf, (const char *)data, size, &error);
	int r2 = conf_parse_wg(&conf, NULL, &error);

	CHECK((r < 0 || r2 < 0) == (errors > 0));
	CHECK((errors > 0) == (*first->text != '\0'));
	lint(&conf, &place, &f);
	findings_sort(&f);
	CHECK(!f.failed);
	for (size_t i = 0; i < f.n; i++)
		CHECK(*f.items[i].text && !strpbrk(f.items[i].text, "\r\n") && (i == 0 || f.items[i - 1].line - 1 <= f.items[i].line - 1));
	findings_free(&f);
	conf_free(&conf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf conf = { 0 };
	struct conf_error error = { 0 };
	int r = conf_parse_quick(&conf, (const char *)data, size, &error);

	if (r == 0) {
		check_strip(&conf);
		r = conf_parse_wg(&conf, warn, &error);
	}
	CHECK(r == 0 || r == -EINVAL);
	if (r == 0)
		check_save(&conf);
	else
		check_error(&error);
	conf_free(&conf);
	check_all(data, size, &error);
	return 0;
}
