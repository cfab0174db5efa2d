/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of live.c, merge.c and outline.c: what an edited file asks of a running tunnel. */
#include <fcntl.h>

#include "merge.h"
#include "tap.h"

#define KEY_A "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define KEY_B "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
#define KEY_C "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="
#define KEY_D "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ="

static struct conf parse(const char *text)
{
	struct conf conf = { .iface = "wg0" };
	struct conf_error error = { 0 };

	if (conf_parse_quick(&conf, text, strlen(text), &error) < 0 || conf_parse_wg(&conf, NULL, &error) < 0)
		ok(false, "parses: %s", error.text);
	return conf;
}

static struct conf outline_of(const struct conf *conf)
{
	_cleanup_buf_ struct buf text = { 0 };
	struct conf back = { .iface = "wg0" };

	if (outline_write(conf, &text) < 0 || outline_read(text.data, text.len, &back) < 0)
		ok(false, "outline of: %s", text.data);
	return back;
}

static void lines(void *arg, const char *text)
{
	buf_fmt(arg, "%s\n", text);
}

/* A literal endpoint stands for a resolved one. */
static void resolve(struct wg_iface *wg)
{
	for (size_t i = 0; i < wg->n_peers; i++) {
		struct peer *peer = &wg->peers[i];
		const struct endpoint *ep = peer->n_endpoints ? &peer->endpoints[peer->n_endpoints - 1] : NULL;
		struct prefix p;

		if (!ep || ep->known || parse_allowed_ip(ep->host, &p) < 0)
			continue;
		peer->endpoint.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(ep->port)), .sin_addr = p.v4 };
	}
}

/* A tunnel that has what the file says, and routes in the main table as `up' makes them. */
static struct live live_of(const char *text)
{
	struct conf conf = parse(text), none = parse("[Interface]\n");
	struct live nothing = { 0 }, live = { 0 };
	struct merge merge = { .outline = &none, .conf = &conf, .live = &nothing, .outline_table = 254, .table = 254 };
	struct conf_error error = { 0 };

	resolve(&conf.wg);
	if (merge_wanted(&merge, &live, &error) < 0)
		ok(false, "live: %s", error.text);
	if (!live.mtu)
		live.mtu = 1420;
	conf_free(&conf);
	conf_free(&none);
	return live;
}

/* What a reload from `before` to `after` does to a tunnel that has `has` (NULL: before). */
static void changes(const char *before, const char *after, const char *has, const char *expected, const char *name)
{
	struct conf old = parse(before), conf = parse(after), outline = outline_of(&old);
	struct live live = live_of(has ? has : before), wanted = { 0 };
	struct merge merge = { .outline = &outline, .conf = &conf, .live = &live, .outline_table = 254, .table = 254 };
	struct live_changes c = { 0 };
	struct conf_error error = { 0 };
	_cleanup_buf_ struct buf text = { 0 };

	buf_str(&text, "");
	if (merge_know_endpoints(&outline, &live, &conf) < 0)
		ok(false, "endpoints");
	resolve(&conf.wg);
	if (merge_wanted(&merge, &wanted, &error) < 0)
		buf_fmt(&text, "%u: %s", error.line, error.text);
	else if (live_diff(&live, &wanted, &c) == 0)
		live_changes_print(&c, "wg0", lines, &text);
	is(text.data, expected, "%s", name);
	ok(live_changes_empty(&c) == !*expected || error.line, "%s: emptiness is told", name);
	live_changes_free(&c);
	live_free(&live);
	live_free(&wanted);
	conf_free(&old);
	conf_free(&conf);
	conf_free(&outline);
}

#define HEAD "[Interface]\nPrivateKey = " KEY_D "\nAddress = 10.0.0.1/24\n"
#define PEER_A "[Peer]\nPublicKey = " KEY_A "\nAllowedIPs = 10.1.0.0/16\nEndpoint = 192.0.2.1:1\n"
#define PEER_B "[Peer]\nPublicKey = " KEY_B "\nAllowedIPs = 10.2.0.0/16\nPresharedKey = " KEY_C "\nPersistentKeepalive = 25\n"
#define PEER_C "[Peer]\nPublicKey = " KEY_C "\nAllowedIPs = 10.3.0.0/16\n"

static void test_peers(void)
{
	changes(HEAD PEER_A PEER_B, HEAD PEER_A PEER_B, NULL, "", "the same file changes nothing");
	changes(HEAD PEER_A PEER_B, HEAD "# a comment\n" PEER_B PEER_A, NULL, "", "nor does another order");
	changes(HEAD PEER_A, HEAD PEER_A PEER_C, NULL,
		"wg set wg0 peer " KEY_C " allowed-ips +10.3.0.0/16\nip -4 route add 10.3.0.0/16 dev wg0\n", "a new peer and its route");
	changes(HEAD PEER_A PEER_C, HEAD PEER_A, NULL, "wg set wg0 peer " KEY_C " remove\nip -4 route delete 10.3.0.0/16 dev wg0\n", "a peer that is gone");
	changes(HEAD PEER_A, HEAD PEER_A, HEAD PEER_A PEER_C, "", "a peer that no file had stays");
	changes(HEAD PEER_A, HEAD PEER_A PEER_C, HEAD PEER_A PEER_C, "", "also when the file has it now");
	changes(HEAD PEER_A PEER_C, HEAD PEER_A PEER_C, HEAD PEER_A, "wg set wg0 peer " KEY_C " allowed-ips +10.3.0.0/16\nip -4 route add 10.3.0.0/16 dev wg0\n",
		"a peer that was removed by hand comes back");
	changes(HEAD PEER_B, HEAD "[Peer]\nPublicKey = " KEY_B "\nAllowedIPs = 10.2.0.0/16\n", NULL,
		"wg set wg0 peer " KEY_B " preshared-key /dev/null persistent-keepalive 0\n", "what is taken out of a peer goes");
	changes(HEAD "[Peer]\nPublicKey = " KEY_B "\nAllowedIPs = 10.2.0.0/16\n", HEAD "[Peer]\nPublicKey = " KEY_B "\nAllowedIPs = 10.2.0.0/16\n", HEAD PEER_B, "",
		"a key that a hook set stays");
	changes(HEAD PEER_A, HEAD "[Peer]\nPublicKey = " KEY_A "\nAllowedIPs = 10.1.0.0/16\nEndpoint = 192.0.2.2:1\n", NULL,
		"wg set wg0 peer " KEY_A " endpoint 192.0.2.2:1\n", "an endpoint that changed");
	changes(HEAD PEER_A, HEAD PEER_A "PersistentKeepalive = 5\n", HEAD "[Peer]\nPublicKey = " KEY_A "\nAllowedIPs = 10.1.0.0/16\nEndpoint = 192.0.2.9:9\n",
		"wg set wg0 peer " KEY_A " persistent-keepalive 5\n", "one that roamed stays where it roamed to");
}

/* Peers move between the moment in which they were looked at and the one in which something is done. */
static void test_roaming(void)
{
	struct conf old = parse(HEAD PEER_A PEER_B), conf = parse(HEAD PEER_A PEER_B PEER_C), outline = outline_of(&old);
	struct live before = live_of(HEAD PEER_A PEER_B), wanted = { 0 };
	struct live later = live_of(HEAD "[Peer]\nPublicKey = " KEY_A "\nAllowedIPs = 10.1.0.0/16\nEndpoint = 192.0.2.9:9\n" PEER_B PEER_C);
	struct live gone = live_of(HEAD PEER_B PEER_C);
	struct merge merge = { .outline = &outline, .conf = &conf, .live = &before, .outline_table = 254, .table = 254 };
	struct live_changes c = { 0 };
	struct conf_error error = { 0 };

	ok(merge_know_endpoints(&outline, &before, &conf) == 0 && merge_wanted(&merge, &wanted, &error) == 0, "another peer comes");
	ok(live_diff(&later, &wanted, &c) == 0 && live_changes_empty(&c), "one that has roamed since stays where it roamed to");
	live_changes_free(&c);
	ok(live_diff(&gone, &wanted, &c) == 0 && c.wg.n_peers == 1 && c.wg.peers[0].endpoint.v4.sin_port == htons(1), "one that is gone since comes back with what it had");
	live_changes_free(&c);
	live_free(&before);
	live_free(&later);
	live_free(&gone);
	live_free(&wanted);
	conf_free(&old);
	conf_free(&conf);
	conf_free(&outline);
}

static void test_allowed_ips(void)
{
	changes(HEAD PEER_A, HEAD PEER_A "AllowedIPs = 10.9.0.0/16\n", NULL,
		"wg set wg0 peer " KEY_A " allowed-ips +10.9.0.0/16\nip -4 route add 10.9.0.0/16 dev wg0\n", "only what is added is sent");
	changes(HEAD PEER_A "AllowedIPs = 10.9.0.0/16\n", HEAD PEER_A, NULL,
		"wg set wg0 peer " KEY_A " allowed-ips 10.1.0.0/16\nip -4 route delete 10.9.0.0/16 dev wg0\n", "a list replaces where one goes");
	changes(HEAD PEER_A PEER_C, HEAD PEER_A PEER_C "AllowedIPs = 10.1.0.0/16\n", NULL,
		"wg set wg0 peer " KEY_A " allowed-ips \"\"\nwg set wg0 peer " KEY_C " allowed-ips +10.1.0.0/16\n", "one that moves to another peer");
	changes(HEAD PEER_A, HEAD PEER_A "[Peer]\nPublicKey = " KEY_A "\nAllowedIPs = +10.8.0.0/16\n", NULL,
		"wg set wg0 peer " KEY_A " allowed-ips +10.8.0.0/16\nip -4 route add 10.8.0.0/16 dev wg0\n", "two sections of one peer, with +");
	changes(HEAD PEER_A "AllowedIPs = 10.8.0.0/16\n", HEAD PEER_A "AllowedIPs = 10.8.0.0/16\n[Peer]\nPublicKey = " KEY_A "\nAllowedIPs = -10.8.0.0/16\n", NULL,
		"wg set wg0 peer " KEY_A " allowed-ips 10.1.0.0/16\nip -4 route delete 10.8.0.0/16 dev wg0\n", "with -");
	changes(HEAD PEER_A, HEAD "[Peer]\nPublicKey = " KEY_A "\nEndpoint = 192.0.2.1:1\nAllowedIPs = 10.0.0.0/25\n", NULL,
		"wg set wg0 peer " KEY_A " allowed-ips 10.0.0.0/25\nip -4 route delete 10.1.0.0/16 dev wg0\n", "no route where an address has one");
	changes(HEAD PEER_A, HEAD PEER_A, HEAD PEER_A "AllowedIPs = 10.9.0.0/16\n", "", "an allowed IP that a hook added stays");
}

static void test_interface(void)
{
	changes(HEAD PEER_A, "[Interface]\nPrivateKey = " KEY_C "\nAddress = 10.0.0.1/24\n" PEER_A, NULL, "wg set wg0 private-key (hidden)\n", "a new key, not told");
	changes(HEAD "ListenPort = 5\nFwMark = 7\n" PEER_A, HEAD PEER_A, NULL, "", "port and mark stay when they are taken out");
	changes(HEAD "ListenPort = 5\n" PEER_A, HEAD "ListenPort = 6\nFwMark = 9\n" PEER_A, NULL, "wg set wg0 listen-port 6 fwmark 9\n", "or are what the file now says");
	changes(HEAD PEER_A, HEAD "ListenPort = 0\n" PEER_A, HEAD "ListenPort = 999\n" PEER_A, "", "any port is the one that it has");
	changes(HEAD, "[Interface]\nPrivateKey = " KEY_D "\nAddress = 10.0.0.2/24, fd00::1/64\n", NULL,
		"ip -4 address add 10.0.0.2/24 dev wg0\nip -6 address add fd00::1/64 dev wg0\nip -4 address delete 10.0.0.1/24 dev wg0\n", "addresses");
	changes(HEAD, HEAD, "[Interface]\nAddress = 10.0.0.1/24, fe80::1/64, 10.7.7.7/32\n", "wg set wg0 private-key (hidden)\n", "addresses of others stay");
	changes(HEAD, HEAD "MTU = 1300\n", NULL, "ip link set mtu 1300 dev wg0\n", "an MTU");
	changes(HEAD, HEAD "MTU = 13x\n", NULL, "4: MTU: `13x' is not a number of bytes; expected one such as 1420, or no MTU line", "no MTU");
	changes(HEAD, HEAD "Address = 10.0.0.x\n", NULL,
		"4: Address: `10.0.0.x' is not an IPv4 or IPv6 address; expected ADDRESS or ADDRESS/LENGTH", "no address");
	changes(HEAD PEER_A, HEAD "Table = off\n" PEER_A, NULL, "ip -4 route delete 10.1.0.0/16 dev wg0\n", "Table = off takes the routes away");
	changes(HEAD "Table = off\n" PEER_A, HEAD PEER_A, NULL, "ip -4 route add 10.1.0.0/16 dev wg0\n", "and auto brings them");
}

#define WITH(addresses) "[Interface]\nAddress = " addresses "\n"

static void test_order(void)
{
	changes(WITH("10.0.0.1/24, 10.0.0.9/24"), WITH("10.0.0.2/24, 10.0.0.9/24"), NULL,
		"ip -4 address add 10.0.0.2/24 dev wg0\nip -4 address delete 10.0.0.1/24 dev wg0\n", "another primary address; the secondary one is secondary");
	changes(WITH("10.0.0.1/24, 10.5.0.1/24"), WITH("10.5.0.1/24, 10.0.0.1/24"), NULL,
		"ip -4 address delete 10.0.0.1/24 dev wg0\nip -4 address add 10.0.0.1/24 dev wg0\n", "the first becomes the last");
	changes(WITH("fd00::1/64, fd00::2/64"), WITH("fd00::2/64, fd00::1/64"), NULL,
		"ip -6 address delete fd00::1/64 dev wg0\nip -6 address add fd00::1/64 dev wg0\n", "also with IPv6");
	changes(WITH("fd00::1/64"), WITH("fd00::1/64, fe80::1/64, fd00::2/64"), NULL,
		"ip -6 address add fd00::2/64 dev wg0\nip -6 address add fe80::1/64 dev wg0\n", "the kernel orders by scope");
	changes(WITH("10.0.0.1/24, fd00::1/64"), WITH("fd00::1/64, 10.0.0.1/24"), NULL, "", "families have nothing to do with each other");
	changes(WITH("10.0.0.1/24, 10.0.0.2/24, 10.5.0.1/24"), WITH("10.0.0.1/24, 10.5.0.1/24, 10.0.0.2/24"), NULL, "", "nor primary ones with secondary ones");
	changes(WITH("10.0.0.1/24, 10.5.0.1/24"), WITH("10.0.0.1/24, 10.5.0.1/24"), WITH("10.5.0.1/24, 10.0.0.1/24"), "", "an order that others made stays with the same file");
	changes(WITH("10.0.0.1/24"), WITH("10.0.0.1/24, 10.5.0.1/24"), WITH("10.0.0.1/24, 10.7.7.7/32"), "ip -4 address add 10.5.0.1/24 dev wg0\n",
		"what others added stays before what is new at the end");
	changes(WITH("10.0.0.1/24"), WITH("10.5.0.1/24, 10.0.0.1/24"), NULL,
		"ip -4 address delete 10.0.0.1/24 dev wg0\nip -4 address add 10.5.0.1/24 dev wg0\nip -4 address add 10.0.0.1/24 dev wg0\n", "a new first one");
	changes(WITH("10.0.0.1/24, 10.5.0.1/24"), WITH("10.0.0.1/24, 10.6.0.1/24, 10.5.0.1/24"), WITH("10.0.0.1/24"), "ip -4 address add 10.6.0.1/24 dev wg0\n",
		"what others took away stays away");
}

static void refuses(const char *before, const char *after, unsigned int line, const char *word)
{
	struct conf old = parse(before), conf = parse(after), outline = outline_of(&old);
	struct conf_error error = { 0 };
	int r = merge_check(&outline, &conf, &error);

	ok(word ? r == -EINVAL && error.line == line && strstr(error.text, word) : r == 0, "hooks: line %u: %s", error.line, error.text);
	conf_free(&old);
	conf_free(&conf);
	conf_free(&outline);
}

static void test_hooks(void)
{
	refuses(HEAD "PostUp = a %i # b\nPreDown = c\n", HEAD "PostUp = a %i # b\nPreDown = c\n", 0, NULL);
	refuses(HEAD "PostUp = a\n", HEAD "PostUp = b\n", 4, "PostUp is new or changed");
	refuses(HEAD, HEAD "\nPreDown = b\n", 5, "PreDown is new or changed");
	refuses(HEAD "PostUp = a\nPostDown = b\n", HEAD "PostUp = a\n", 0, "PostDown was taken out");
}

static void test_outline(void)
{
	struct conf conf = parse("[Interface]\nPrivateKey = " KEY_A "\nAddress = 10.0.0.1/24,fd00::1\nDNS = 1.1.1.1, a.example\nMTU = 0x500\nTable = 77\nPostUp = secret " KEY_B
				 "\nListenPort = 5\nFwMark = 0x7\n[Peer]\nPublicKey = " KEY_C "\nPresharedKey = " KEY_D
				 "\nEndpoint = a.example:5\nEndpoint = [fd00::1]:6\nAllowedIPs = +10.0.0.0/8, -10.1.0.0/16\nPersistentKeepalive = off\n"),
		    back = outline_of(&conf), again = outline_of(&back);
	_cleanup_buf_ struct buf one = { 0 };
	_cleanup_buf_ struct buf two = { 0 };

	ok(outline_write(&conf, &one) == 0 && !strstr(one.data, KEY_A) && !strstr(one.data, KEY_B) && !strstr(one.data, KEY_D), "an outline has no secret");
	ok(strstr(one.data, KEY_C) && strstr(one.data, "a.example:5"), "but public keys and names");
	/* Hooks are numbers of numbers by then. */
	ok(back.n_hooks == 1 && again.n_hooks == 1 && back.wg.n_peers == 1 && back.wg.peers[0].n_endpoints == 2 && back.wg.peers[0].n_allowed_ips == 2, "it comes back");
	ok(back.wg.peers[0].allowed_ips[1].op == ALLOWED_MINUS && back.wg.has_fwmark && back.wg.fwmark == 7 && back.wg.peers[0].has_keepalive, "with all that it had");
	ok(!merge_dns_changed(&back, &conf), "DNS is the same");
	outline_write(&again, &two);
	ok(two.len == one.len, "to the same length");
	conf_free(&conf);
	conf_free(&back);
	conf_free(&again);
}

static void test_text(void)
{
	struct live live = live_of(HEAD "ListenPort = 5\nFwMark = 9\n" PEER_A PEER_B "AllowedIPs = fd00::/64\n"), back = { 0 };
	struct live_route special = { .table = 254, .metric = 7, .special = true, .more = true, .protocol = 4, .scope = 253 };
	struct live_changes c = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	size_t cut, good = 0;

	parse_address("192.0.2.0/24", &special.dst);
	parse_address("10.0.0.9", &special.gateway);
	parse_address("10.0.0.1", &special.source);
	live_put_route(&live, &special);
	live_format(&live, &text);
	ok(strstr(text.data, "\nroute 254 10.1.0.0/16\n"), "a route as up makes it, as earlier programs wrote and read it");
	ok(live_parse(text.data, text.len, &back) == 0 && back.n_routes == live.n_routes, "all routes come back from the text");
	special = (struct live_route){ 0 };
	for (size_t i = 0; i < back.n_routes; i++)
		if (back.routes[i].special)
			special = back.routes[i];
	ok(special.special && special.more && special.metric == 7 && special.protocol == 4 && special.scope == 253 && special.gateway.v4.s_addr == htonl(0x0a000009) &&
		   special.source.v4.s_addr == htonl(0x0a000001),
	   "somebody's own as it was");
	live_free(&back);
	ok(live_parse(text.data, text.len, &back) == 0 && live_diff(&live, &back, &c) == 0 && live_changes_empty(&c), "a live state comes back from its text");
	live_changes_free(&c);
	live_free(&back);
	for (cut = 0; cut < text.len - 1; cut++)
		if (live_parse(text.data, cut, &back) == 0) {
			live_free(&back);
			good++;
		}
	/* The last is the blank line behind errno=0. */
	ok(good <= 1, "cut anywhere it is refused (%zu were not)", good);
	live_free(&live);
}

/* A big tunnel, every second peer gone: no time that grows with the square. */
static void test_scale(void)
{
	enum { N = 20000 };
	struct live from = { 0 }, to = { 0 };
	struct live_changes c = { 0 };

	for (unsigned int i = 0; i < N; i++) {
		struct peer *a = wg_iface_add_peer(&from.wg), *b = i % 2 ? wg_iface_add_peer(&to.wg) : NULL;
		struct prefix p = { .family = AF_INET, .v4.s_addr = htonl(0x0a000000 + i), .len = 32 };

		memcpy(a->public_key.b, &i, sizeof(i));
		GROW(a->allowed_ips, a->n_allowed_ips)->prefix = p;
		live_add_route(&from, &p, 254);
		if (!b)
			continue;
		b->public_key = a->public_key;
		GROW(b->allowed_ips, b->n_allowed_ips)->prefix = p;
		live_add_route(&to, &p, 254);
	}
	ok(live_diff(&from, &to, &c) == 0 && c.wg.n_peers == N / 2 && c.n_routes_dropped == N / 2 && !c.n_routes_added, "20,000 peers");
	live_changes_free(&c);
	live_free(&from);
	live_free(&to);
}

/* Whether 32 bytes of 0x5a, as one key alone has them, are on the heap. */
static bool heap_has_key(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	static char line[512];
	static uint8_t page[4096];
	bool found = false;

	while (maps && fd >= 0 && fgets(line, sizeof(line), maps)) {
		unsigned long from, to;
		unsigned int run = 0;

		if (!strstr(line, "[heap]") || sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		for (; from < to && pread(fd, page, sizeof(page), (off_t)from) == sizeof(page); from += sizeof(page))
			for (size_t i = 0; i < sizeof(page); i++) {
				run = page[i] == 0x5a ? run + 1 : 0;
				found |= run == 32;
			}
	}
	close(fd);
	if (maps)
		fclose(maps);
	return found;
}

/* Of several sections of a peer, and of as many peers as qsort(3) takes memory for. */
static void test_secrets(void)
{
	struct conf conf, outline;
	struct live has, wanted = { 0 };
	struct conf_error error = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	struct merge merge = { .outline = &outline, .conf = &conf, .live = &has, .outline_table = 254, .table = 254 };

	buf_str(&text, "[Interface]\nPrivateKey = " KEY_A "\n");
	for (int i = 0; i < 40; i++)
		buf_fmt(&text, "[Peer]\nPublicKey = AwMDAw%02dAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=\nPresharedKey = WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n", i % 35);
	conf = parse(text.data);
	outline = outline_of(&conf);
	has = live_of(text.data);
	/* Those that watch the memory have a heap of their own. */
	if (!heap_has_key())
		printf("# the heap is not where keys can be looked for\n");
	ok(merge_know_endpoints(&outline, &has, &conf) == 0 && merge_wanted(&merge, &wanted, &error) == 0 && wanted.wg.n_peers == 35, "35 peers");
	live_free(&wanted);
	live_free(&has);
	conf_free(&conf);
	conf_free(&outline);
	ok(!heap_has_key(), "preshared keys are nowhere once all is freed");
}

int main(void)
{
	test_peers();
	test_roaming();
	test_allowed_ips();
	test_interface();
	test_order();
	test_hooks();
	test_outline();
	test_text();
	test_scale();
	test_secrets();
	return done_testing();
}
