/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of import*.c, country.c and kill-switch.c: names, cleaning, hooks, the records between two processes, the map. */
#include "import-assign.h"
#include "import-wire.h"
#include "kill-switch.h"
#include "tap.h"

#define K "oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM="
#define P "GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU="
#define IFACE "[Interface]\nPrivateKey = " K "\nAddress = 10.0.0.2/32\n"
#define PEER "\n[Peer]\nPublicKey = " P "\nAllowedIPs = 0.0.0.0/0\nEndpoint = 192.0.2.1:51820\n"

/* ---- names ---- */

static void name_is(const char *file, const char *expected, const char *country)
{
	char name[IFNAMSIZ], *stem = NULL;
	struct import_place place;

	if (import_stem(file, &stem) < 0)
		return;
	/* Whatever stood there before. */
	memset(name, 0, sizeof(name));
	import_name(stem, name);
	is(name, expected, "the name of %s", file);
	memset(name, '1', sizeof(name));
	import_name(stem, name);
	is(name, expected, "and once more");
	place = import_place(stem);
	is(place.country ? place.country->code : NULL, country, "and its country");
	free(stem);
}

static void test_names(void)
{
	name_is("wg0.conf", "wg0", NULL);
	name_is("Mullvad_se-got-wg-001.conf", "se-got-wg-001", "se");
	name_is("/a/b/mullvad-us-nyc-wg-301.conf", "us-nyc-wg-301", "us");
	name_is("AirVPN_NL-Alblasserdam_Alchiba_UDP-1637-Entry3.conf", "nl-alb-alchiba", "nl");
	name_is("Windscribe-AtlantaMountain.conf", "us-atl-mountain", "us");
	name_is("us-nyc.prod.surfshark.com.conf", "us-nyc", "us");
	name_is("Los Angeles (2).conf", "us-los-angeles", "us");
	name_is("Z\303\274rich Nord 12.conf.txt", "ch-zrh-nord-12", "ch");
	name_is("Mullvad-uk-lon.conf", "Mullvad-uk-lon", "gb");
	name_is("mh-SE-Stockholm-US-NewYork.conf", "se-sto-us-nyc", "se");
	name_is("my-server.conf", "my-server", NULL);
	name_is("surfshark_united_states_saint_louis.conf", "us-saint-louis", "us");
	name_is("lo.conf", "lo-6j56", NULL);
	name_is("12.conf", "12-psey", NULL);
	name_is("...", "wg-gctu", NULL);
	name_is("\346\227\245\346\234\254.conf", "wg-zfww", NULL);
	ok(!import_name_good("all") && !import_name_good("-x") && !import_name_good("12") && !import_name_good("a b") && !import_name_good("1234567890abcdef"), "names that are not good");
}

static void test_siblings(void)
{
	static char paths[400][48];
	struct import_item items[400] = { 0 };
	struct import_map map = { 0 };
	bool apart = true;

	for (int i = 0; i < 400; i++) {
		snprintf(paths[i], sizeof(paths[i]), "Mullvad_se-got-wg-%03d.conf", i);
		items[i] = (struct import_item){ .path = paths[i], .text = paths[i] };
	}
	ok(import_assign(items, 400, &map) == 0 && map.n == 400, "400 files get names");
	for (int i = 0; i < 400; i++) {
		char expected[32];

		snprintf(expected, sizeof(expected), "se-got-wg-%03d", i);
		apart &= strcmp(items[i].name, expected) == 0;
		free(items[i].identity);
	}
	ok(apart, "each the one that it would have alone");
	import_map_free(&map);
}

/* Two whose names would be one, and one file twice, in both orders. */
static void test_collisions(void)
{
	struct import_map maps[2] = { 0 }, again = { 0 };
	struct buf text = { 0 };
	char names[2][3][IFNAMSIZ] = { 0 };
	unsigned int line;

	for (int i = 0; i < 2; i++) {
		struct import_item items[] = {
			{ .path = i ? "b/US-NY#1.conf" : "a/US-NY 1.conf", .text = i ? "2" : "1" },
			{ .path = i ? "a/US-NY 1.conf" : "b/US-NY#1.conf", .text = i ? "1" : "2" },
			{ .path = "a/US-NY 1 (1).conf", .text = "1" },
		};

		ok(import_assign(items, 3, &maps[i]) == 0, "names");
		strcpy(names[i][0], items[i].name);
		strcpy(names[i][1], items[1 - i].name);
		strcpy(names[i][2], items[2].name);
		ok((items[2].same_as != 0) != (items[i].same_as != 0), "the copy is known as one");
		for (int j = 0; j < 3; j++)
			free(items[j].identity);
	}
	is(names[0][0], "us-ny-1", "the first has the plain name");
	ok(strncmp(names[0][1], "us-ny-1-", 8) == 0, "the second a hash: %s", names[0][1]);
	ok(memcmp(names[0], names[1], sizeof(names[0])) == 0 || (strcmp(names[0][0], names[1][0]) == 0 && strcmp(names[0][1], names[1][1]) == 0), "in any order");
	ok(import_map_write(&maps[0], &text) == 0 && import_map_parse(text.data, text.len, &again, &line) == 0 && again.n == maps[0].n, "the map is read as it was written");
	ok(import_map_set(&again, "other", again.entries[0].identity) == 0 && again.n == maps[0].n, "a name is changed");
	buf_free(&text);
	import_map_free(&again);
	line = 0;
	ok(import_map_parse("# x\nwg0\tok\nno tab\n", 18, &again, &line) == -EINVAL && line == 3, "a line that is none");
	for (int i = 0; i < 2; i++)
		import_map_free(&maps[i]);
	import_map_free(&again);
}

/* Whose names are one after shortening, as their last letters are all that differs. */
static void test_one_city(void)
{
	static char paths[500][96];
	static struct import_item items[500];
	struct import_map map = { 0 };
	size_t in_city = 0;

	for (int i = 0; i < 500; i++) {
		snprintf(paths[i], sizeof(paths[i]), "Provider-Copenhagen-Superlongwordthatgoesonandon%c%c%c.conf", 'a' + i / 100, 'a' + i / 10 % 10, 'a' + i % 10);
		items[i] = (struct import_item){ .path = paths[i], .text = paths[i] };
	}
	ok(import_assign(items, 500, &map) == 0 && map.n == 500, "500 files of one city get names");
	for (int i = 0; i < 500; i++) {
		struct import_place place = import_place(items[i].name);

		in_city += place.city && strcmp(place.city->name, "Copenhagen") == 0;
		free(items[i].identity);
	}
	is_num((long long)in_city, 500, "which all tell the city: %s", items[0].name);
	import_map_free(&map);
}

/* One stem in two folders, with two texts. */
static void test_folders(void)
{
	struct import_item items[] = { { .path = "x/udp/us.conf", .text = "1" }, { .path = "x/tcp/us.conf", .text = "2" }, { .path = "y/tcp/us.conf", .text = "3" } };
	struct import_map map = { 0 };

	ok(import_assign(items, 3, &map) == 0, "one name in three folders");
	ok(strcmp(items[0].name, items[1].name) != 0 && strcmp(items[1].name, items[2].name) != 0, "three names: %s %s %s", items[0].name, items[1].name, items[2].name);
	is(items[0].identity, "udp/us", "told apart by their folder");
	is(items[2].identity, "y/tcp/us", "or all of them");
	for (int j = 0; j < 3; j++)
		free(items[j].identity);
	import_map_free(&map);
}

/* ---- cleaning ---- */

static void cleans(const char *name, const char *text, const char *words, const char *line)
{
	struct import im = { 0 };
	bool found = false;
	int r = import_text("x.conf", text, strlen(text), false, &im);

	for (size_t i = 0; i < im.findings.n; i++) {
		found |= strstr(im.findings.items[i].text, words) != NULL;
		diag("%s", im.findings.items[i].text);
	}
	ok(r == 0 && found, "%s: \"%s\"", name, words);
	ok(r == 0 && strstr(im.text.data, line), "and written so");
	import_free(&im);
}

static void refuses(const char *name, const char *text, size_t len, const char *words)
{
	struct import im = { 0 };
	int r = import_text("x.conf", text, len, true, &im);

	ok(r < 0 && findings_count(&im.findings, FIND_ERROR) == 1 && strstr(im.findings.items[im.findings.n - 1].text, words), "%s: \"%s\"", name, words);
	if (im.findings.n)
		diag("%s", im.findings.items[im.findings.n - 1].text);
	import_free(&im);
}

#define TEXT(text) text, strlen(text)

static void test_cleaning(void)
{
	cleans("several [Interface]", IFACE PEER "[Interface]\nAddress = 10.0.0.2/32\nDNS = 10.0.0.1\n", "stands there twice", "DNS = 10.0.0.1\n");
	cleans("the sign of a key", "[Interface]\nPrivateKey = oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM\nAddress = 10.0.0.2/32\n" PEER, "was missing", "PrivateKey = " K "\n");
	cleans("a table in capitals", IFACE "Table = OFF\n" PEER, "would be a table's name", "Table = off\n");
	cleans("MTU 0", IFACE "MTU = 0\n" PEER, "found out", "Address = 10.0.0.2/32\n\n[Peer]");
	cleans("a server with a mask", IFACE "DNS = 10.0.0.1/32, lan, lan\n" PEER, "which a server has not", "DNS = 10.0.0.1, lan\n");
	cleans("loopback", IFACE "[Peer]\nPublicKey = " P "\nAllowedIPs = 0.0.0.0/0\nEndpoint = 127.0.0.1:5\n", "this machine itself", "Endpoint = 127.0.0.1:5\n");
	cleans("two values", IFACE "MTU = 1280\nMTU = 1300\n" PEER, "the last one counts", "MTU = 1280\nMTU = 1300\n");
	cleans("a comment behind a label", IFACE "Name = x # y\n" PEER, "no key of WireGuard's", "# Name = x\n# y\n");
	cleans("a sign", IFACE "[Peer]\nPublicKey = " P "\nAllowedIPs = +10.0.0.1/8\n", "bits behind its mask", "AllowedIPs = +10.0.0.0/8\n");
	cleans("a comment behind a section", IFACE PEER "[Peer] # NL-FREE#12\nPublicKey = " K "\nAllowedIPs = 10.9.0.0/16\n", "an empty line stands before", "[Peer]\n# NL-FREE#12\nPublicKey = ");
	cleans("seconds", IFACE PEER "PersistentKeepalive = 25 Seconds\n", "seconds have no unit", "PersistentKeepalive = 25\n");
	cleans("a short unit", IFACE PEER "PersistentKeepalive = 25sec\n", "seconds have no unit", "PersistentKeepalive = 25\n");
	cleans("blanks in a value", IFACE "[Peer]\nPublicKey = " P "\nAllowedIPs = 0.0.0.0/0\nEndpoint = 192.0.2.1 : 51820\n", "Endpoint: blanks inside of it are gone", "Endpoint = 192.0.2.1:51820\n");
	cleans("blanks in a key", "[Interface]\nPrivateKey = oK56DE9Ue9zK76rAc8pBl6op ph+1v36lm7cXXsQKrQM=\nAddress = 10.0.0.2/32\n" PEER, "PrivateKey: blanks inside of it are gone", "PrivateKey = " K "\n");
	refuses("another unit", TEXT(IFACE PEER "PersistentKeepalive = 1 min\n"), "expected off or seconds");
	refuses("many bytes", IFACE, IMPORT_MAX_SIZE + 1, "larger than");
	refuses("an empty file", TEXT(" \n"), "the file is empty");
	refuses("a web page", TEXT("<!DOCTYPE html><html>"), "was the download refused?");
}

/* A file without anything of WireGuard's may be another program's; what a download left when it failed is not. */
static void test_kinds(void)
{
	static const struct {
		const char *text;
		int r;
	} files[] = { { "", -EINVAL }, { "\n\n", -EINVAL }, { "<html>", -EINVAL }, { "nameserver 192.0.2.1\n", -ENODATA }, { "{}", -ENODATA }, { "client\ndev tun\n", -ENODATA } };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct import im = { 0 };

		is_num(import_text("x.conf", files[i].text, strlen(files[i].text), false, &im), files[i].r, "`%.8s'", files[i].text);
		import_free(&im);
	}
}

/* As many as the parent takes from the child. */
static void test_many_hooks(void)
{
	struct buf text = { 0 };

	buf_str(&text, IFACE);
	for (int i = 0; i < 5000; i++)
		buf_str(&text, "PostUp=:\n");
	buf_str(&text, PEER);
	refuses("many hooks", text.data, text.len, "more than 4096 hooks");
	buf_free(&text);
}

static void test_long(void)
{
	char *text = calloc(1, IMPORT_MAX_SIZE + 1);
	size_t len = strlen(IFACE);

	if (!text)
		return;
	memcpy(text, IFACE, len);
	memset(text + len, 'x', IMPORT_MAX_LINE + 2);
	refuses("a long line", text, len + IMPORT_MAX_LINE + 2, "a line of more than");
	/* One that becomes too long. */
	len = strlen(IFACE PEER);
	memcpy(text, IFACE PEER, len);
	len += (size_t)sprintf(text + len, "AllowedIPs = ");
	for (int i = 0; i < 1500; i++)
		len += (size_t)sprintf(text + len, "%d.%d.0.1,", 1 + i / 250, i % 250);
	refuses("a line that cleaning makes too long", text, len, "a line of more than");
	free(text);
}

/* ---- hooks ---- */

static void fates(const char *name, const char *const *hooks, size_t n, const char *expected)
{
	struct kill_switch_hook looks[8] = { 0 };
	char seen[9] = "";

	for (size_t i = 0; i < n; i++)
		looks[i].text = hooks[i];
	if (kill_switch_find(looks, n, "wg0") == 0)
		for (size_t i = 0; i < n; i++)
			seen[i] = looks[i].found ? 'k' : '-';
	is(seen, expected, "%s", name);
}

#define FATES(name, expected, ...) fates(name, (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), expected)

static void test_kill_switches(void)
{
	FATES("the common pair", "kk", "iptables -I OUTPUT ! -o %i -m mark ! --mark $(wg show %i fwmark) -j REJECT && ip6tables -I OUTPUT ! -o %i -j REJECT", "iptables -D OUTPUT ! -o %i -j REJECT");
	FATES("the old negation", "k", "iptables -A OUTPUT -o ! wg0 -j DROP");
	FATES("by policy", "kk", "iptables -P OUTPUT DROP; iptables -A OUTPUT -o %i -j ACCEPT", "iptables -P OUTPUT ACCEPT");
	FATES("a policy without a way out is something else", "-", "iptables -P OUTPUT DROP");
	FATES("nft in pieces", "kkkk", "nft add table inet x", "nft add chain inet x o '{ type filter hook output priority 0; }'", "nft add rule inet x o oifname != { lo, ${INTERFACE} } drop",
	      "nft delete table inet x");
	FATES("a chain of its own", "kk", "iptables -N VPN; iptables -A VPN ! -o %i -j DROP; iptables -A OUTPUT -j VPN", "iptables -D OUTPUT -j VPN; iptables -F VPN; iptables -X VPN");
	FATES("one that does more", "-", "iptables -I OUTPUT ! -o %i -j REJECT; iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE");
	FATES("incoming packets are another matter", "k-", "iptables -I OUTPUT ! -o %i -j REJECT", "iptables -A INPUT -i %i -j DROP");
	FATES("a table that others need stays", "---", "nft add table inet x", "nft add rule inet x o oifname != %i drop", "nft add rule inet x i iifname %i drop");
	FATES("others", "---", "resolvectl dns %i 1.1.1.1", "true", "iptables -A FORWARD -i %i -j ACCEPT");
}

static void test_show(void)
{
	struct buf shown = { 0 };

	ok(import_show("wg set %i private-key <(echo " K ") # \033[2J /usr/local/share/wireguard/scripts/of/the/provider\n", &shown) == 0, "shown");
	is(shown.data, "wg set %i private-key <(echo (hidden)=) # \\x1b[2J /usr/local/share/wireguard/scripts/of/the/provider\\x0a", "without key and control characters");
	buf_free(&shown);
	ok(import_show_name("a\033b\xff\xe2\x80\xae" "c\303\274", &shown) == 0, "a name");
	is(shown.data, "a?b??c\303\274", "in UTF-8");
	buf_free(&shown);
}

static void test_keep_hooks(void)
{
	static const char text[] = IFACE "PostUp = echo a # b\nPostUp = iptables -I OUTPUT ! -o %i -j REJECT\nPreDown = echo c\n" PEER;
	struct import im = { 0 };

	ok(import_text("x", text, strlen(text), true, &im) == 0 && im.conf.n_hooks == 2, "two of three hooks are kept");
	ok(im.n_hooks == 3 && im.hooks[1].fate == HOOK_FATE_KILL_SWITCH && strstr(im.text.data, "PostUp = echo a # b\n"), "but not the kill-switch");
	import_free(&im);
}

/* ---- records ---- */

static void test_records(void)
{
	static const char text[] = IFACE "PostUp = echo a\n" PEER;
	struct import_record record = { .kind = RECORD_FILE, .path = (char *)"d/x.conf" }, seen = { 0 };
	struct buf data = { 0 };
	size_t accepted = 0;

	ok(import_text("x", text, strlen(text), false, &record.import) == 0 && import_record_encode(&record, &data) == 0, "a record");
	ok(import_record_decode(data.data, data.len, &seen) == 0 && import_record_check(&seen, false) == 0, "arrives, and stands the check");
	is(seen.path, "d/x.conf", "with its path");
	import_record_free(&seen);
	for (size_t len = 0; len < data.len; len++)
		accepted += import_record_decode(data.data, len, &seen) == 0;
	is_num((long long)accepted, 0, "cut anywhere, it is none");
	/* Hooks that were dropped come back in the text: a child that lies. */
	buf_free(&record.import.text);
	buf_str(&record.import.text, IFACE "PostUp = echo a\n" PEER);
	buf_free(&data);
	ok(import_record_encode(&record, &data) == 0 && import_record_decode(data.data, data.len, &seen) == 0, "a record that lies about its hooks");
	ok(import_record_check(&seen, false) == -EBADMSG && import_record_check(&seen, true) == -EBADMSG, "does not stand the check");
	import_record_free(&seen);
	buf_free(&record.import.text);
	buf_str(&record.import.text, "[Interface]\n");
	buf_free(&data);
	ok(import_record_encode(&record, &data) == 0 && import_record_decode(data.data, data.len, &seen) == 0 && import_record_check(&seen, false) == -EBADMSG, "nor does one that would be refused");
	import_record_free(&seen);
	import_free(&record.import);
	buf_free(&data);
}

static void test_places(void)
{
	struct import_place place = import_place("us8362");

	ok(place.country && strcmp(place.country->name, "United States") == 0, "us8362");
	place = import_place("Czech Republic, Prague");
	ok(place.city && strcmp(place.city->code, "prg") == 0 && strcmp(place.country->code, "cz") == 0, "Prague");
	place = import_place("se-nyc");
	ok(place.country && !place.city, "a city's code counts behind its country alone");
	place = import_place("hide.me Amsterdam");
	ok(place.city && strcmp(place.country->code, "nl") == 0, "a word before another country's city is no country");
	place = import_place("at-vienna");
	ok(place.city && strcmp(place.country->code, "at") == 0, "before its own it is");
	place = import_place("PIA-swiss");
	ok(place.country && strcmp(place.country->code, "ch") == 0, "swiss");
}

int main(void)
{
	test_names();
	test_siblings();
	test_collisions();
	test_one_city();
	test_folders();
	test_cleaning();
	test_kinds();
	test_many_hooks();
	test_long();
	test_kill_switches();
	test_show();
	test_keep_hooks();
	test_records();
	test_places();
	return done_testing();
}
