/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The .conf parser and writer. The names of the tests are those of the
 * compatibility vectors: S strip, W wg's grammar, A addresses, N DNS, D saving.
 */
#include <arpa/inet.h>
#include <time.h>

#include "conf.h"
#include "resolve.h"
#include "tap.h"
#include "uapi.h"

#define K "oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM="
#define K_CLAMPED "oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrUM="
#define P "GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU="
#define Q "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define ZERO "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define I "[Interface]\nPrivateKey = " K "\n"
#define R "[Peer]\nPublicKey = " P "\n"

static struct conf conf;
static struct conf_error error;
static struct buf warnings;

static void warn(unsigned int line, const char *text)
{
	buf_fmt(&warnings, "%u: %s\n", line, text);
}

static void reset(void)
{
	conf_free(&conf);
	buf_free(&warnings);
	error = (struct conf_error){ 0 };
}

static int parse_quick_n(const char *text, size_t len)
{
	reset();
	return conf_parse_quick(&conf, text, len, &error);
}

static int parse_quick(const char *text)
{
	return parse_quick_n(text, strlen(text));
}

static int parse(const char *text)
{
	int r = parse_quick(text);

	return r < 0 ? r : conf_parse_wg(&conf, warn, &error);
}

/* strip: S1 to S14 */

static void strip_n(const char *id, const char *text, size_t len, const char *expected)
{
	int r = parse_quick_n(text, len);

	is_num(r, 0, "%s: accepted", id);
	is(conf.stripped.data, expected, "%s: what is left for wg", id);
}

static void strip(const char *id, const char *text, const char *expected)
{
	strip_n(id, text, strlen(text), expected);
}

static void test_strip(void)
{
	strip("S1", "", "");
	strip("S2", "\n", "\n");
	strip("S3", "[Interface]\nListenPort=1", "[Interface]\nListenPort=1\n");
	strip("S4",
	      "# top\n[Interface] # c\n  Address = 1.2.3.4/24  # x\n\tPrivateKey  =  K # pk  \n\n;semi\nDNS=1.1.1.1\nMTU=5\n"
	      "Table=off\nPreUp=a\nPostUp=b\nPreDown=c\nPostDown=d\nSaveConfig=false\nFwMark=1\n[Peer]\nAddress=9\n"
	      "  # indented\nPublicKey=P\n",
	      "# top\n[Interface] # c\nPrivateKey  =  K # pk\n\n;semi\nFwMark=1\n[Peer]\nAddress=9\n# indented\nPublicKey=P\n");
	strip("S5", "[Interface]\r\nAddress=1.2.3.4\r\nListenPort=1\r\n\r\n", "[Interface]\r\nListenPort=1\r\n\r\n");
	strip("S6", "\xef\xbb\xbf[Interface]\nAddress=1.2.3.4\n", "\xef\xbb\xbf[Interface]\nAddress=1.2.3.4\n");
	strip_n("S7", "[Interface]\nListenPort=1\0002\n", 26, "[Interface]\nListenPort=12\n");
	strip("S8", "[Interface]\nAddress=1\n[Peer]\nAddress=2\n[interface]\naddress=3\n",
	      "[Interface]\n[Peer]\nAddress=2\n[interface]\n");
	strip("S9", "[Interface]=x\nAddress=1\n", "[Interface]=x\n");
	strip("S10", "[Interface]\nMTU=1\n[Foo]\nMTU=2\n", "[Interface]\n[Foo]\nMTU=2\n");
	strip("S10, open bracket", "[Interface]\nMTU=1\n[Interfac\nMTU=2\n", "[Interface]\n[Interfac\nMTU=2\n");
	strip("S11", "[Interface]\nMTU x=1\nMTU\t=1\nM TU=1\n", "[Interface]\nMTU x=1\nM TU=1\n");
	strip("S12", "[Interface]\nMTU#=5\n", "[Interface]\n");
	is(conf.mtu.text, "MTU", "S12: the value is the key");
	strip("S13", "[Interface]\n\vMTU\f=1\v\n\vListenPort=5\f\n", "[Interface]\n\vListenPort=5\f\n");
	is(conf.mtu.text, "1", "S13: the value without VT and FF");
	strip("blanks without a line end", "[Interface]\n \t", "[Interface]\n");
	strip("blanks with a line end", "[Interface]\n \t\n", "[Interface]\n\n");
}

static void test_save_config(void)
{
	is_num(parse_quick("\n[Interface]\nSaveConfig=maybe\n"), -EINVAL, "S14: refused");
	ok(strncmp(error.text, "`maybe' is neither true nor false", 33) == 0, "S14: wg-quick's words come first");
	is_num(error.line, 3, "S14: the line");
	is_num(parse_quick("[Interface]\nSaveConfig =\n"), -EINVAL, "S14: empty is refused");
	ok(strncmp(error.text, "`' is neither", 13) == 0, "S14: the empty value is quoted");
	is_num(parse_quick("[Interface]\nSaveConfig = 1\n"), -EINVAL, "S14: 1 is refused");
	is_num(parse_quick("[Interface]\nSaveConfig = TRUE # yes\n"), 0, "S14: TRUE # yes is accepted");
	ok(conf.save_config, "S14: and is true");
	is_num(parse_quick("[Interface]\nSaveConfig = true\nsaveconfig = False\n"), 0, "S14: twice is accepted");
	ok(!conf.save_config, "S14: the last one wins");
	strip("S14, elsewhere", "[Peer]\nSaveConfig=maybe\n", "[Peer]\nSaveConfig=maybe\n");
}

/* wg: W2 to W42 */

static const char *key_letter(const struct key *key)
{
	char text[KEY_TEXT_LEN];

	format_key(key, text);
	return strcmp(text, K) == 0   ? "K" :
	       strcmp(text, P) == 0   ? "P" :
	       strcmp(text, Q) == 0   ? "Q" :
	       strcmp(text, ZERO) == 0 ? "0" :
					 "?";
}

static void describe_peer(const struct peer *peer, struct buf *text)
{
	buf_fmt(text, "| %s ", peer->has_public_key ? key_letter(&peer->public_key) : "-");
	if (peer->has_preshared_key)
		buf_fmt(text, "psk %s ", key_letter(&peer->preshared_key));
	if (peer->has_keepalive)
		buf_fmt(text, "keepalive %u ", peer->keepalive);
	for (size_t i = 0; i < peer->n_endpoints; i++)
		buf_fmt(text, "%s > %s ", peer->endpoints[i].host, peer->endpoints[i].port);
	buf_str(text, peer->replace_allowed_ips ? "replace" : "change");
	for (size_t i = 0; i < peer->n_allowed_ips; i++) {
		static const char *const signs[] = { "", "+", "-" };
		char prefix[PREFIX_TEXT_LEN];

		buf_fmt(text, " %s%s", signs[peer->allowed_ips[i].op],
			format_prefix(&peer->allowed_ips[i].prefix, prefix));
	}
}

/* One line with everything that wg would be told. */
static struct buf describe(const struct wg_iface *wg)
{
	struct buf text = { 0 };

	buf_str(&text, "");
	if (wg->has_private_key)
		buf_fmt(&text, "key %s ", key_letter(&wg->private_key));
	if (wg->has_listen_port)
		buf_fmt(&text, "port %u ", wg->listen_port);
	if (wg->has_fwmark)
		buf_fmt(&text, "mark %u ", wg->fwmark);
	for (size_t i = 0; i < wg->n_peers; i++)
		describe_peer(&wg->peers[i], &text);
	return text;
}

static void accepted(const char *id, const char *text, const char *expected)
{
	_cleanup_buf_ struct buf seen = { 0 };

	is_num(parse(text), 0, "%s: accepted", id);
	if (*error.text)
		diag("%s", error.text);
	seen = describe(&conf.wg);
	is(seen.data, expected, "%s: what it means", id);
}

static void refused(const char *id, const char *text, unsigned int line, const char *words)
{
	is_num(parse(text), -EINVAL, "%s: refused", id);
	is_num(error.line, line, "%s: the line", id);
	if (!ok(strncmp(error.text, words, strlen(words)) == 0, "%s: wg's words come first", id)) {
		diag("expected: %s…", words);
		diag("     got: %s", error.text);
	}
}

static char *join_text(char text[static 4096], const char *start, const char *value)
{
	snprintf(text, 4096, "%s%s", start, value);
	return text;
}

#define ACCEPTED_EACH(id, start, ...)                                                  \
	do {                                                                            \
		static const char *const pairs_[][2] = { __VA_ARGS__ };                 \
		char text_[4096], name_[128];                                           \
		for (size_t i_ = 0; i_ < ARRAY_SIZE(pairs_); i_++) {                    \
			snprintf(name_, sizeof(name_), "%s `%s'", id, pairs_[i_][0]);   \
			accepted(name_, join_text(text_, start, pairs_[i_][0]), pairs_[i_][1]); \
		}                                                                       \
	} while (0)

/* The message quotes the value in all of these. */
#define REFUSED_EACH(id, start, words, ...)                                      \
	do {                                                                      \
		static const char *const values_[] = { __VA_ARGS__ };             \
		char text_[4096], name_[128], message_[256];                      \
		for (size_t i_ = 0; i_ < ARRAY_SIZE(values_); i_++) {             \
			snprintf(name_, sizeof(name_), "%s `%s'", id, values_[i_]); \
			snprintf(message_, sizeof(message_), words, values_[i_]); \
			refused(name_, join_text(text_, start, values_[i_]), 3, message_); \
		}                                                                 \
	} while (0)

static void test_wg_lines(void)
{
	accepted("W1", "", "");
	refused("W2", "PrivateKey = " K, 1, "Line unrecognized: `PrivateKey=(hidden)'; expected PrivateKey in [Interface]");
	accepted("W3", "[INTERFACE]\nPRIVATEKEY=" K "\n[pEER]\npublickey=" P "\nallowedips=10.0.0.0/8",
		 "key K | P replace 10.0.0.0/8");
	accepted("W4", "[ Inter face ]\nPri vate Key = " K, "key K ");
	accepted("W5", "[Interface]\r\nPrivateKey = " K "\r\n\r\n[Peer]\r\nPublicKey = " P "\r\n", "key K | P replace");
	refused("W6", "\xef\xbb\xbf[Interface]\n", 1,
		"Line unrecognized: `???[Interface]'; expected a file without a byte order mark");
	REFUSED_EACH("W7", I, "Line unrecognized: `%s'", ";foo", "[Foo]", "Foo=1", "ListenPort",
		     "[Interface][Peer]", "[Peer", "=", "=5");
	refused("W7, what is expected", I "Foo=1", 3,
		"Line unrecognized: `Foo=1'; expected PrivateKey, ListenPort or FwMark (or wg-quick's own keys) in [Interface]");
	refused("W7, what is expected of a peer", R "Foo=1", 3,
		"Line unrecognized: `Foo=1'; expected PublicKey, PresharedKey, AllowedIPs, Endpoint or PersistentKeepalive in [Peer]");
	REFUSED_EACH("W8", R, "Line unrecognized: `%s'", "Address=10.0.0.1/24", "MTU=5", "PostUp=x");
	refused("W8, blanks in the section", "[ Interface ]\nAddress=10.0.0.1/24", 2,
		"Line unrecognized: `Address=10.0.0.1/24'; expected Address in a section that reads exactly [Interface]");
	REFUSED_EACH("W9", R, "Line unrecognized: `%s'", "ListenPort=5", "FwMark=1");
	REFUSED_EACH("W9", I, "Line unrecognized: `%s'", "AllowedIPs=10.0.0.0/8", "Endpoint=1.2.3.4:5");
	REFUSED_EACH("W10", I, "Line unrecognized: `%s'", "FwMark=", "ListenPort=");
	REFUSED_EACH("W10", R, "Line unrecognized: `%s'", "AllowedIPs=", "Endpoint=", "PersistentKeepalive=");
	refused("W10, blank", R "AllowedIPs = # none", 3, "Line unrecognized: `AllowedIPs='; expected `AllowedIPs = ' and a value");
	refused("W10, key", "[Interface]\nPrivateKey =", 2, "Line unrecognized: `PrivateKey='");
	accepted("W11", R I "ListenPort=1\n[Interface]\nListenPort=2\nFwMark=3", "key K port 2 mark 3 | P replace");
	refused("W12", I "# c\n[Peer]\nAllowedIPs = 10.0.0.0/8\n" R, 4, "A peer is missing a public key");
	accepted("W13",
		 R "AllowedIPs = 10.0.0.0/8\nEndpoint = 1.2.3.4:5\n" R "AllowedIPs = 11.0.0.0/8\n",
		 "| P 1.2.3.4 > 5 replace 10.0.0.0/8| P replace 11.0.0.0/8");
}

static void test_wg_numbers(void)
{
	ACCEPTED_EACH("W14 ListenPort", I "ListenPort=", { "0", "key K port 0 " }, { "65535", "key K port 65535 " },
		      { "010", "key K port 10 " }, { "+5", "key K port 5 " }, { "5 1 8", "key K port 518 " });
	REFUSED_EACH("W15 ListenPort", I "ListenPort=",
		     "Servname not supported for ai_socktype: `%s'; expected a port 0-65535", "65536", "70000",
		     "99999999999");
	REFUSED_EACH("W16 ListenPort", I "ListenPort=", "Servname not supported for ai_socktype: `%s'", "-1", "0x10",
		     "no-such-service", "=5", "5z", "+", "-");
	ACCEPTED_EACH("W17 FwMark", I "FwMark=", { "off", "key K mark 0 " }, { "OFF", "key K mark 0 " },
		      { "0", "key K mark 0 " }, { "0x10", "key K mark 16 " }, { "010", "key K mark 10 " },
		      { "4294967295", "key K mark 4294967295 " }, { "0xffffffff", "key K mark 4294967295 " });
	REFUSED_EACH("W18 FwMark", I "FwMark=", "Fwmark is neither 0/off nor 0-0xffffffff: `%s'", "0X10", "0x",
		     "0xzz", "10z", "-1", "+1", "4294967296", "0x100000000", "99999999999999999999999");
	ACCEPTED_EACH("W19 PersistentKeepalive", R "PersistentKeepalive=", { "off", "| P keepalive 0 replace" },
		      { "Off", "| P keepalive 0 replace" }, { "0", "| P keepalive 0 replace" },
		      { "65535", "| P keepalive 65535 replace" }, { "010", "| P keepalive 10 replace" },
		      { "2 5", "| P keepalive 25 replace" });
	REFUSED_EACH("W20 PersistentKeepalive", R "PersistentKeepalive=",
		     "Persistent keepalive interval is neither 0/off nor 1-65535: `%s'", "65536", "25s", "-1", "0x19");
}

static void test_wg_service(void)
{
	if (parse(I "ListenPort=domain") < 0)
		skip("W14 ListenPort `domain'", "no such service in /etc/services");
	else
		is_num(conf.wg.listen_port, 53, "W14 ListenPort `domain'");
}

static void test_wg_keys(void)
{
	static const char *const bad[] = {
		"oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQ=",	 /* 43 */
		K "=",						 /* 45 */
		"oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM",	 /* no = */
		"oK56DE9Ue9zK76rAc8pBl6opph-1v36lm7cXXsQKrQM=", "oK56DE9Ue9zK76rAc8pBl6opph_1v36lm7cXXsQKrQM=",
		"oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQN=", /* bits past the 256th */
		"oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQ==", "=", "x", "oK56DE9Ue9z#K76rAc8pBl6opph+1v36lm7cXXsQKrQM=",
	};
	static const char *const names[][2] = {
		{ "[Interface]\nPrivateKey=", "PrivateKey" },
		{ R "PresharedKey=", "PresharedKey" },
		{ "[Peer]\nPublicKey=", "PublicKey" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad) * ARRAY_SIZE(names); i++) {
		const char *const *name = names[i % ARRAY_SIZE(names)];
		char text[512], words[128], id[64];

		snprintf(text, sizeof(text), "%s%s", name[0], bad[i / ARRAY_SIZE(names)]);
		snprintf(words, sizeof(words), "%s: Key is not the correct length or format; expected", name[1]);
		snprintf(id, sizeof(id), "%s %s, form %zu", i / ARRAY_SIZE(names) == 9 ? "W23" : "W21", name[1],
			 i / ARRAY_SIZE(names));
		refused(id, text, i % ARRAY_SIZE(names) == 1 ? 3 : 2, words);
	}
	accepted("W22, blank inside", "[Interface]\nPrivateKey = oK56DE9Ue9zK76r Ac8pBl6opph+1v36lm7cXXsQKrQM =", "key K ");
	accepted("W22, zero", "[Interface]\nPrivateKey=" ZERO "\n[Peer]\nPublicKey=" ZERO "\nPresharedKey=" ZERO,
		 "key 0 | 0 psk 0 replace");
	accepted("W22, the last one wins", I "PrivateKey=" Q "\n" R "PublicKey=" Q, "key Q | Q replace");
}

static void test_wg_allowed_ips(void)
{
	ACCEPTED_EACH("W24", R "AllowedIPs=", { "10.0.0.1", "| P replace 10.0.0.1/32" }, { "::", "| P replace ::/128" });
	ACCEPTED_EACH("W25", R "AllowedIPs=", { "10.0.0.1/8", "| P replace 10.0.0.1/8" },
		      { "fd00::1/64", "| P replace fd00::1/64" }, { "1.2.3.4/0", "| P replace 1.2.3.4/0" });
	parse(R "AllowedIPs=10.0.0.1/8, 10.0.0.0/8, -fd00::1/64\nAllowedIPs=1.2.3.4/0,10.0.0.1");
	is(warnings.data,
	   "3: AllowedIP has nonzero host part: 10.0.0.1/8\n3: AllowedIP has nonzero host part: fd00::1/64\n"
	   "4: AllowedIP has nonzero host part: 1.2.3.4/0\n",
	   "W25: the warnings");
	accepted("W26", R "AllowedIPs = 10.0.0.0/8, fd00::/8 ,::/0\nAllowedIPs = 11.0.0.0/8",
		 "| P replace 10.0.0.0/8 fd00::/8 ::/0 11.0.0.0/8");
	for (size_t i = 0; i < 5; i++) {
		static const char *const lists[] = { "10.0.0.0/8,", ",10.0.0.0/8", "10.0.0.0/8,,11.0.0.0/8", "/8", "," };
		char text[4096];

		refused("W27", join_text(text, R "AllowedIPs=", lists[i]), 3, "Unable to parse IP address: `'");
	}
	for (size_t i = 0; i < 8; i++) {
		static const char *const addrs[] = { "10",	   "10.0.0",	"010.0.0.1", "example.com",
						     "fe80::1%lo", "[fd00::1]", "300.1.1.1", "::1::" };
		char text[256], words[128];

		snprintf(text, sizeof(text), R "AllowedIPs=10.0.0.0/8,%s/24", addrs[i]);
		snprintf(words, sizeof(words), "Unable to parse IP address: `%s'; expected", addrs[i]);
		refused("W28", text, 3, words);
	}
	REFUSED_EACH("W29", R "AllowedIPs=", "AllowedIP is not in the correct format: `%s'", "10.0.0.0/33", "fd00::/129",
		     "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/-8", "10.0.0.0/8/8", "10.0.0.0/255.0.0.0",
		     "10.0.0.0/18446744073709551624", "10.0.0.0/8;11.0.0.0/8", "-10.0.0.0/33");
	refused("W29, blank", R "AllowedIPs=10.0.0.0/8 11.0.0.0/8", 3,
		"AllowedIP is not in the correct format: `10.0.0.0/811.0.0.0/8'");
	accepted("W30", R "AllowedIPs=10.0.0.0/08,10.0.0.0/8", "| P replace 10.0.0.0/8 10.0.0.0/8");
	accepted("W31", R "AllowedIPs=+10.0.0.0/8,-11.0.0.0/8,12.0.0.0/8",
		 "| P change +10.0.0.0/8 -11.0.0.0/8 12.0.0.0/8");
	accepted("W32", R "AllowedIPs=+10.0.0.0/8\nAllowedIPs=11.0.0.0/8", "| P replace +10.0.0.0/8 11.0.0.0/8");
	accepted("W32, the other way round", R "AllowedIPs=11.0.0.0/8\nAllowedIPs=+10.0.0.0/8",
		 "| P change 11.0.0.0/8 +10.0.0.0/8");
	refused("W28, longer than an address", R "AllowedIPs=192.172.254;128.192.172.254;0:f211:0:0::fd00:fe8", 3,
		"Unable to parse IP address: `192.172.254;128.192.172.254;0:f211:0:0::fd00:fe8'");
	refused("W33", R "AllowedIPs=++10.0.0.0/8", 3, "Unable to parse IP address: `+10.0.0.0'");
	accepted("no AllowedIPs", R, "| P replace");
}

static void test_wg_endpoints(void)
{
	REFUSED_EACH("W34", R "Endpoint=", "Unable to find port of endpoint: `%s'", "1.2.3.4", "1.2.3.4:", "[::1]",
		     "[::1]:", "[::1]x:5");
	REFUSED_EACH("W35", R "Endpoint=", "Unable to find matching brace of endpoint: `%s'", "[::1", "[");
	ACCEPTED_EACH("W36", R "Endpoint=", { "fd00::1:51820", "| P fd00::1 > 51820 replace" },
		      { "::1:51820", "| P ::1 > 51820 replace" });
	ACCEPTED_EACH("W37", R "Endpoint=", { "[1.2.3.4]:5", "| P 1.2.3.4 > 5 replace" },
		      { "[localhost]:5", "| P localhost > 5 replace" },
		      { "[::ffff:1.2.3.4]:5", "| P ::ffff:1.2.3.4 > 5 replace" },
		      { "[fe80::1%lo]:5", "| P fe80::1%lo > 5 replace" }, { "fe80::1%lo:5", "| P fe80::1%lo > 5 replace" });
	REFUSED_EACH("W38", R "Endpoint=", "Name or service not known: `%s'", ":51820", "[]:5");
	ACCEPTED_EACH("W39", R "Endpoint=", { "1.2.3.4:0", "| P 1.2.3.4 > 0 replace" },
		      { "1.2.3.4:+5", "| P 1.2.3.4 > +5 replace" }, { "1.2.3.4:domain", "| P 1.2.3.4 > domain replace" });
	REFUSED_EACH("W39", R "Endpoint=", "Servname not supported for ai_socktype: `%s'; expected a port 0-65535",
		     "1.2.3.4:65536", "vpn.example.com:99999", "[::1]:99999999999999999999", "1.2.3.4:-1", "1.2.3.4:-0", "[::1]:-4294967295");
	ACCEPTED_EACH("W40", R "Endpoint=", { "127.1:5", "| P 127.1 > 5 replace" },
		      { "2130706433:5", "| P 2130706433 > 5 replace" });
	accepted("W41", R "Endpoint=a.example:1\nEndpoint = b.example : 2", "| P a.example > 1 b.example > 2 replace");
	is(conf.wg.peers[0].endpoints[1].text, "b.example:2", "W41: the text without blanks");
	is_num(conf.wg.peers[0].endpoints[1].line, 4, "W41: the line");
}

static void test_wg_long_line(void)
{
	_cleanup_buf_ struct buf text = { 0 };

	buf_str(&text, "[Interface]\n#");
	for (size_t i = 0; i < 20000; i++)
		buf_str(&text, "xxxxxxxxxx");
	buf_str(&text, "\nListenPort=7\n");
	accepted("W42", text.data, "port 7 ");
}

/* wg-quick's keys */

static void join(struct buf *text, const struct item *items, size_t n)
{
	buf_free(text);
	buf_str(text, "");
	for (size_t i = 0; i < n; i++)
		buf_fmt(text, "%s<%s>", i ? " " : "", items[i].text);
}

static void test_lists(void)
{
	_cleanup_buf_ struct buf text = { 0 };

	parse_quick("[Interface]\nAddress = 10.0.0.3/24 10.0.1.3/24,,10.0.2.3/24,\n[Peer]\n[Interface]\nADDRESS=fd00::1 # c\n");
	join(&text, conf.addresses, conf.n_addresses);
	is(text.data, "<10.0.0.3/24> <10.0.1.3/24> <10.0.2.3/24> <fd00::1>", "A2: split at commas and blanks");
	is_num(conf.n_addresses ? conf.addresses[3].line : 0, 5, "A2: the line");
	parse_quick("[Interface]\nAddress\n");
	join(&text, conf.addresses, conf.n_addresses);
	is(text.data, "<Address>", "A4: a bare key is its own value");
	parse_quick("[Interface]\nAddress =\nAddress = ,, ,\nAddress = # c");
	is_num((long long)conf.n_addresses, 0, "A6: empty is nothing");
	parse_quick("[Interface]\nAddress = *, 10.0.0.1\r\n");
	join(&text, conf.addresses, conf.n_addresses);
	is(text.data, "<*> <10.0.0.1>", "no file names, no CR");
	parse_quick("[Interface]\nDNS = 1.1.1.1:53, fe80::1%eth0,~., dns.example:853 , 300.1.1.1,LOCAL, 8.8.8.8\ndns=9.9.9.9\n");
	join(&text, conf.dns, conf.n_dns);
	is(text.data,
	   "<1.1.1.1:53> <fe80::1%eth0> <~.> <dns.example:853> <300.1.1.1> <LOCAL> <8.8.8.8> <9.9.9.9>",
	   "N2: all in the order of the file");
}

static void test_dns_items(void)
{
	static const char *const servers[] = { "10.0.0.53", "fd00::53",	 "1.1",	   "1.1.1.1:53", "fe80::1%eth0",
					       "dns.example:853", "300.1.1.1", "8.8.8.8", ".",	":" };
	static const char *const domains[] = { "corp.example", "foo.example", "~.", "LOCAL", "1.1.1.1a", "" };

	for (size_t i = 0; i < ARRAY_SIZE(servers); i++)
		ok(dns_item_is_server(servers[i]), "N1, N2: `%s' is a server", servers[i]);
	for (size_t i = 0; i < ARRAY_SIZE(domains); i++)
		ok(!dns_item_is_server(domains[i]), "N1, N2: `%s' is a search domain", domains[i]);
}

static void test_values(void)
{
	parse_quick("[Interface]\nMTU = 1400\nmtu=1401 # c\n");
	is(conf.mtu.text, "1401", "M1: the last MTU wins");
	is_num(conf.mtu.line, 3, "M1: the line");
	parse_quick("[Interface]\nMTU = 1400\nMTU =\n");
	is(conf.mtu.text, "", "M1: empty is automatic");
	parse_quick("");
	is(conf.mtu.text, NULL, "M1: absent");
	is_num(conf.table, TABLE_AUTO, "T1: absent is automatic");
	parse_quick("[Interface]\nTable = off\n");
	is_num(conf.table, TABLE_OFF, "T1: off");
	parse_quick("[Interface]\nTable = off\nTable = auto\n");
	is_num(conf.table, TABLE_AUTO, "T1: auto, the last one wins");
	parse_quick("[Interface]\nTable = off\nTable =\n");
	is_num(conf.table, TABLE_AUTO, "T1: empty is automatic");
	parse_quick("[Interface]\nTable = OFF\n");
	is_num(conf.table, TABLE_NAMED, "T2: OFF is a name");
	parse_quick("[Interface]\nTable = Auto\n");
	is_num(conf.table, TABLE_NAMED, "T2: Auto is a name");
	parse_quick("[Interface]\nTable = 0x10\n");
	is(conf.table_text.text, "0x10", "T5: verbatim");
}

static void hook_is(const char *id, const char *line, const char *expected)
{
	char text[256];

	snprintf(text, sizeof(text), "[Interface]\n%s\n", line);
	parse_quick(text);
	is(conf.n_hooks == 1 ? conf.hooks[0].text : NULL, expected, "%s", id);
}

static void test_hooks(void)
{
	_cleanup_free_ char *expanded = NULL;
	struct hook hook = { .text = (char[]){ "echo %i-%I-%%i-%%-\\%i%" } };

	hook_is("U8: a bare key is its own value", "PostUp", "PostUp");
	hook_is("U9: empty", "PostUp =", "");
	hook_is("U10: a # inside quotes", "PostUp = echo \"a # b\"", "echo \"a # b\"");
	hook_is("U11: a comment is the shell's", "PostUp = echo x # y", "echo x # y");
	hook_is("U13: later = are the value's", "PostUp = A=1 B=2 env", "A=1 B=2 env");
	hook_is("U14: backslashes", "PostUp =\t echo a\\ b \\\\ \"x\\ty\" \\", "echo a\\ b \\\\ \"x\\ty\" \\");
	hook_is("no & and no ; is special", "predown = a && b; c & d", "a && b; c & d");
	hook_is("CR goes", "PostUp = a\r", "a");
	hook_is("a key cut at #", "PostUp # = foo", "foo");
	hook_is("a commented hook", "# PostUp = foo", NULL);
	expanded = hook_expand(&hook, "wg0");
	is(expanded, "echo wg0-%I-%wg0-%%-\\wg0%", "U12: only %%i is replaced");
	parse_quick("[Interface]\nPostUp=1\nPreUp=2\nPostDown=3\nPostUp=4\nPreDown=5\n[Peer]\nPostUp=6\n");
	is_num((long long)conf.n_hooks, 5, "hooks of [Interface] only");
	ok(conf.n_hooks == 5 && conf.hooks[3].kind == HOOK_POST_UP && strcmp(conf.hooks[3].text, "4") == 0 &&
		   conf.hooks[3].line == 5 && conf.hooks[4].kind == HOOK_PRE_DOWN,
	   "hooks are kept in order, with their lines");
}

static void test_iface_names(void)
{
	static const char *const good[] = { "wg0", "a", "a+b", "a=b", "-h", ".", "abcdefghijklmno", "wg0.conf", "_" };
	static const char *const bad[] = { "", "abcdefghijklmnop", "a b", "a/b", "a@b", "\xc3\xa4", "a:b", "a\n" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ok(iface_name_valid(good[i]), "C9: `%s' is a name", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ok(!iface_name_valid(bad[i]), "C8: `%s' is no name", strchr(bad[i], '\n') ? "a\\n" : bad[i]);
}

/* Addresses and prefixes */

static void address_is(const char *text, const char *expected)
{
	char seen[PREFIX_TEXT_LEN];
	struct prefix prefix;
	int r = parse_address(text, &prefix);

	is(r < 0 ? NULL : format_prefix(&prefix, seen), expected, "address `%s'", text);
}

static void test_addresses(void)
{
	static const char *const bad[] = { "10.0.0.300/24", "10.0.0.3/33", "localhost/32", "Address", "", "/", "any",
					   "10.0.0.3/",	    "10.0.0.3/8/8", "10.0.0.3/-1", "10.0.0.3/++8", "010.0.0.1", "0x0a.0.0.1",
					   "10.0.0.1.",	    "10..1", ".10", "1.2.3.4.5", "10.0.0.1/255", "10.0.0.1/255.0.255.0",
					   "10.0.0.1/08",   "fd00::1/129", "fd00::1%lo/64", "fd00::/ffff::", "10.0.0.1 ", "::1::",
					   "1111:2222:3333:4444:5555:6666:7777:8888:9999/64", "4294967306.0.0.1" };

	address_is("10.0.0.3", "10.0.0.3/32"); /* A1 */
	address_is("fd00::3", "fd00::3/128");
	address_is("10.0.0.3/255.255.255.0", "10.0.0.3/24"); /* A3 */
	address_is("10.3/24", "10.3.0.0/24");
	address_is("10.4", "10.4.0.0/32");
	address_is("0/0", "0.0.0.0/0");
	address_is("11.0.0.1/0x18", "11.0.0.1/24");
	address_is("12.0.0.1/255.255", "12.0.0.1/16");
	address_is("12.0.0.1/0.0.0.0", "12.0.0.1/0");
	address_is("10.0.0.3/255.255.255.255", "10.0.0.3/32");
	address_is("fd00::4/0x40", "fd00::4/64");
	address_is("::ffff:1.2.3.4/96", "::ffff:1.2.3.4/96");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) /* A4 */
		address_is(bad[i], NULL);
}

static void masked_is(const char *text, const char *expected)
{
	char seen[PREFIX_TEXT_LEN];
	struct prefix prefix;

	parse_address(text, &prefix);
	prefix_mask(&prefix);
	is(format_prefix(&prefix, seen), expected, "`%s' masked", text);
}

static bool covers(const char *outer, const char *inner)
{
	struct prefix a, b;

	parse_address(outer, &a);
	parse_address(inner, &b);
	return prefix_covers(&a, &b);
}

static void test_prefixes(void)
{
	struct prefix a, b;

	masked_is("10.255.255.255/8", "10.0.0.0/8");
	masked_is("10.255.255.255/31", "10.255.255.254/31");
	masked_is("10.255.255.255/32", "10.255.255.255/32");
	masked_is("1.2.3.4/0", "0.0.0.0/0"); /* R11 */
	masked_is("fd00:ffff:ffff::1/33", "fd00:ffff:8000::/33");
	masked_is("fd00::1/128", "fd00::1/128");
	masked_is("fd00::1/0", "::/0");
	ok(covers("10.0.0.0/8", "10.1.0.0/16"), "covers: a longer prefix inside");
	ok(covers("10.0.0.0/8", "10.0.0.0/8"), "covers: itself");
	ok(covers("0.0.0.0/0", "10.0.0.0/8"), "covers: the default covers all");
	ok(covers("10.128.0.0/9", "10.200.0.1/32"), "covers: across a byte");
	ok(!covers("10.128.0.0/9", "10.100.0.1/32"), "covers: not the other half");
	ok(!covers("10.1.0.0/16", "10.0.0.0/8"), "covers: not the other way round");
	ok(!covers("0.0.0.0/0", "fd00::/8"), "covers: not the other family");
	/* The bytes that IPv4 does not use may hold anything. */
	memset(&a, 0xaa, sizeof(a));
	memset(&b, 0x55, sizeof(b));
	a.family = b.family = AF_INET;
	a.len = b.len = 8;
	a.v4.s_addr = b.v4.s_addr = htonl(0x0a000000);
	ok(prefix_equal(&a, &b), "equal: unused bytes don't count");
	b.len = 9;
	ok(!prefix_equal(&a, &b), "equal: the length counts");
}

static void test_format_endpoint(void)
{
	union endpoint_addr ep = { 0 };
	char text[ENDPOINT_TEXT_LEN];

	is(format_endpoint(&ep, text), "(none)", "an endpoint that is unset");
	ep.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(51820) };
	ep.v4.sin_addr.s_addr = htonl(0xc0000201);
	is(format_endpoint(&ep, text), "192.0.2.1:51820", "an IPv4 endpoint");
	ep.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(1), .sin6_scope_id = 2 };
	inet_pton(AF_INET6, "fe80::1", &ep.v6.sin6_addr);
	is(format_endpoint(&ep, text), "[fe80::1%2]:1", "an IPv6 endpoint with a zone");
}

/* Secrecy */

/* Whether a good part of `key` stands in `text`. */
static bool leaks(const char *text, const char *key)
{
	char part[17] = "";

	for (size_t i = 0; i + 16 <= strlen(key); i++) {
		memcpy(part, key + i, 16);
		if (strstr(text, part))
			return true;
	}
	return false;
}

static size_t longest_base64(const char *text)
{
	size_t longest = 0;

	while (*text) {
		size_t run = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_");

		longest = run > longest ? run : longest;
		text += run + !!text[run];
	}
	return longest;
}

static void test_secrecy(void)
{
	static const char *const starts[] = {
		"", "PrivateKey", "PrivateKey=", "PublicKey=", "PresharedKey=", "Private_Key=", "PrivteKye=", "psk=", "secret=",
		"FwMark=", "ListenPort=", "AllowedIPs=", "AllowedIPs=10.0.0.0/8,", "AllowedIPs=10.0.0.0/", "AllowedIPs=+",
		"Endpoint=", "Endpoint=[", "Endpoint=1.2.3.4:", "PersistentKeepalive=", "SaveConfig=", "Foo=", "[", ";", "=",
		"Foo", "PrivateKey: ", "PrivateKey = \"", "wg set wg0 private-key ", "ListenPort=1=", "[Peer]", "\x01", "=",
	};
	static const char *const secrets[] = {
		K, K "=", K K, "oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM", "oK56DE9Ue9zK76rAc8pBl6",
		"opph+1v36lm7cXXsQKrQM=x", "oK56DE9Ue9zK 76rAc8pBl6opph+1v36 lm7cXXsQKrQM=", K "\"", K "\r",
		"oK56DE9Ue9zK76rAc8pBl6opph-1v36lm7cXXsQKrQM_", P, Q, "oK56DE9Ue9zK76rAc8pBl6opph+1v#36lm7cXXsQKrQM=",
		"a0ae7a0c4f547bdccaefaac073ca4197aa29a61fb5bf7ea59bb7175ec40aad03",
	};
	static const char *const sections[] = { "", "[Interface]\n", "[Peer]\n", R };
	size_t n = 0, leaked = 0, many_lines = 0;

	for (size_t i = 0; i < ARRAY_SIZE(starts) * ARRAY_SIZE(secrets) * ARRAY_SIZE(sections); i++) {
		const char *start = starts[i % ARRAY_SIZE(starts)];
		const char *secret = secrets[i / ARRAY_SIZE(starts) % ARRAY_SIZE(secrets)];
		char text[1024];

		snprintf(text, sizeof(text), "%s%s%s\n", sections[i / ARRAY_SIZE(starts) / ARRAY_SIZE(secrets)], start, secret);
		if (parse(text) == 0)
			continue;
		n++;
		many_lines += strpbrk(error.text, "\n\r\x01") != NULL;
		if (leaks(error.text, K) || leaks(error.text, P) || leaks(error.text, Q) || leaks(error.text, secret) ||
		    longest_base64(error.text) >= 40) {
			leaked++;
			diag("after `%s': %s", start, error.text);
		}
	}
	diag("%zu malformed lines", n);
	ok(n > 1000, "secrecy: there are errors to look at");
	is_num((long long)leaked, 0, "secrecy: no key in any message");
	is_num((long long)many_lines, 0, "secrecy: every message is one line of printable text");
	parse("[Interface]\nFoo=1111 2222 3333 4444,5555 6666 7777 8888,9999 0000 1111 2222,3333 4444 5555 6666");
	ok(strstr(error.text, "...'") && strlen(error.text) < 250, "a long value is cut");
}

/* Saving: D7 to D11 and the way back */

static void resolve(struct wg_iface *wg, const char *addr, uint16_t port)
{
	for (size_t i = 0; i < wg->n_peers; i++) {
		union endpoint_addr ep = { .v4 = { .sin_family = AF_INET, .sin_port = htons(port) } };

		inet_pton(AF_INET, addr, &ep.v4.sin_addr);
		if (wg->peers[i].n_endpoints)
			wg->peers[i].endpoint = ep;
	}
}

static const char save_file[] =
	"# gone\n[Interface]\nPostDown = d\nPostUp = true && true; echo \"a # b\" \\\\ x=y &\nAddress = 10.9.0.2/24\n"
	"MTU = 1400\nTable = off\nDNS = 10.0.0.53, corp.example\nDNS = fd00::53\nPreUp = p\nPostUp =\nPostUp = third\n"
	"SaveConfig = true\nPreDown = e\nPrivateKey = " K "\nFwMark = 77\nListenPort = 12345\n"
	"[Peer]\nPublicKey = " P "\nPresharedKey = " Q "\nEndpoint = vpn.example.com:51820\nAllowedIPs = 10.0.0.0/8,fd00::/8\n"
	"PersistentKeepalive = 25\n[Peer]\nPublicKey = " Q "\nEndpoint = 192.0.2.1:5\n";

static const char saved_file[] =
	"[Interface]\nAddress = 10.9.0.2/24\nAddress = fd09::2/64\nDNS = 10.0.0.53\nDNS = corp.example\nDNS = fd00::53\n"
	"MTU = 1399\nTable = off\nSaveConfig = true\nPreUp = p\nPostUp = true && true; echo \"a # b\" \\\\ x=y &\nPostUp =\n"
	"PostUp = third\nPreDown = e\nPostDown = d\nListenPort = 12345\nFwMark = 0x4d\nPrivateKey = " K "\n\n"
	"[Peer]\nPublicKey = " P "\nPresharedKey = " Q "\nAllowedIPs = 10.0.0.0/8, fd00::/8\nEndpoint = vpn.example.com:51820\n"
	"PersistentKeepalive = 25\n\n[Peer]\nPublicKey = " Q "\nEndpoint = 192.0.2.1:51820\n";

static struct conf_live make_live(const struct wg_iface *wg)
{
	static struct prefix addresses[2];

	parse_address("10.9.0.2/24", &addresses[0]);
	parse_address("fd09::2/64", &addresses[1]);
	return (struct conf_live){ .wg = wg, .addresses = addresses, .n_addresses = 2, .mtu = 1399 };
}

static void test_save(void)
{
	_cleanup_buf_ struct buf text = { 0 }, again = { 0 }, clamped = { 0 };
	struct conf_live live = make_live(&conf.wg);
	struct key file_key;

	is_num(parse(save_file), 0, "save: the file is accepted");
	resolve(&conf.wg, "192.0.2.1", 51820);
	is_num(conf_write(&conf, &live, &text), 0, "save: written");
	is(text.data, saved_file, "D7, D8, D11: hooks, DNS, host name and order");
	is_num(parse(text.data), 0, "save: what was written is accepted");
	resolve(&conf.wg, "192.0.2.1", 51820);
	conf_write(&conf, &live, &again);
	is(again.data, saved_file, "save: the second time the same");

	/* The device answers with the clamped key. */
	file_key = conf.wg.private_key;
	parse_key(K_CLAMPED, &conf.wg.private_key);
	ok(key_equal_clamped(&file_key, &conf.wg.private_key) && !key_equal(&file_key, &conf.wg.private_key),
	   "D7: the clamped key is another text");
	conf_write(&conf, &live, &clamped);
	ok(strstr(clamped.data, "PrivateKey = " K_CLAMPED "\n"), "D7: a clamped file is saved clamped");
}

/* A device that differs from its file. */
static void test_save_live(void)
{
	_cleanup_buf_ struct buf text = { 0 };
	struct allowed_ip allowed = { 0 };
	struct peer peers[2] = { 0 };
	struct wg_iface wg = { .has_private_key = true, .peers = peers, .n_peers = 2, .listen_port = 40000, .fwmark = 5 };
	struct conf_live live = { .wg = &wg, .auto_listen_port = 40000, .auto_fwmark = 5, .mtu = 1420 };

	parse(I R "Endpoint = vpn.example.com:51820\n" R "Endpoint = other.example.com:1\n" R "[Peer]\nPublicKey=" Q "\nEndpoint=[fe80::1%eth0]:5");
	resolve(&conf.wg, "192.0.2.9", 51820);
	parse_key(K_CLAMPED, &wg.private_key);
	parse_key(P, &peers[0].public_key);
	parse_key(Q, &peers[1].public_key);
	peers[0].endpoint = peers[1].endpoint = conf.wg.peers[0].endpoint;
	parse_allowed_ip("10.0.0.0/8", &allowed.prefix);
	peers[0].allowed_ips = &allowed;
	peers[0].n_allowed_ips = 1;
	peers[0].has_preshared_key = true;
	conf_write(&conf, &live, &text);
	is(text.data,
	   I "\n" R "AllowedIPs = 10.0.0.0/8\nEndpoint = other.example.com:1\n\n[Peer]\nPublicKey = " Q
	     "\nEndpoint = [fe80::1%eth0]:5\n",
	   "save: automatic port and mark left out, the file's key, the later section's host, the zone's name");

	/* Roamed: the address in use counts. */
	peers[0].endpoint.v4.sin_port = htons(7);
	buf_free(&text);
	conf_write(&conf, &live, &text);
	ok(strstr(text.data, "Endpoint = 192.0.2.9:7\n"), "save: an endpoint that moved is numeric");

	/* Another key than the file's. */
	parse_key(Q, &wg.private_key);
	live.auto_listen_port = 0;
	live.auto_fwmark = 0;
	buf_free(&text);
	conf_write(&conf, &live, &text);
	ok(strstr(text.data, "PrivateKey = " Q "\n"), "save: a key that was changed is saved");
	ok(strstr(text.data, "ListenPort = 40000\nFwMark = 0x5\n"), "save: port and mark of the user");
}

/* Time */

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Parse, write, parse: all of it within the limit. */
static void timed(const char *what, const struct buf *text)
{
	_cleanup_buf_ struct buf written = { 0 }, before = { 0 }, after = { 0 };
	struct conf_live live = { .wg = &conf.wg, .mtu = 1420 };
	double start = seconds(), taken;
	/* In the virtual machine and under valgrind every instruction costs many times as much. */
	int limit = getenv("WG_NSQUICK_VM") ? 100 : 2;

	is_num(parse(text->data), 0, "%s: accepted", what);
	before = describe(&conf.wg);
	resolve(&conf.wg, "192.0.2.1", 51820);
	is_num(conf_write(&conf, &live, &written), 0, "%s: written", what);
	is_num(parse(written.data), 0, "%s: accepted again", what);
	taken = seconds() - start;
	ok(taken < limit, "%s: within %d s", what, limit);
	diag("%.2f s for %zu bytes", taken, text->len);
	after = describe(&conf.wg);
	ok(strcmp(before.data, after.data) == 0, "%s: the same as before", what);
}

static void test_time(void)
{
	_cleanup_buf_ struct buf peers = { 0 }, line = { 0 }, lines = { 0 };

	buf_str(&peers, I);
	for (unsigned int i = 0; i < 10000; i++) {
		struct key key = { .b = { i & 0xff, i >> 8, 1 } };
		char text[KEY_TEXT_LEN];

		format_key(&key, text);
		buf_fmt(&peers, "[Peer]\nPublicKey = %s\nEndpoint = vpn%u.example.com:51820\nAllowedIPs = 10.%u.%u.0/24\n", text, i,
			i >> 8, i & 0xff);
	}
	timed("10,000 peers", &peers);
	buf_str(&line, I R "AllowedIPs = 10.0.0.0/8");
	while (line.len < 10 << 20)
		buf_str(&line, ", 10.0.0.0/8");
	timed("a line of 10 MB", &line);
	buf_str(&lines, "[Interface]\n");
	while (lines.len < 10 << 20)
		buf_str(&lines, "#\nPostUp=a\nDNS=1.1.1.1\nMTU=5\n \n");
	timed("10 MB of short lines", &lines);
}

/* W31: the request says what the file says; who cannot send a removal must see to it before. */
static void test_request(void)
{
	struct buf request = { 0 };

	parse(R "AllowedIPs = +10.0.0.0/8, -11.0.0.0/8\n");
	uapi_format_set(&conf.wg, &request);
	is(request.data ? strstr(request.data, "allowed_ip=") : NULL, "allowed_ip=10.0.0.0/8\nallowed_ip=-11.0.0.0/8\n\n",
	   "W31: a removal in a request");
	buf_free(&request);
}

/* W46: the waits between tries, up to the 15 that are wg's when nothing is set. */
static void test_retry_waits(void)
{
	static const unsigned int first[] = { 1000000, 1200000, 1440000, 1728000, 2073600 };
	unsigned int wait = RESOLVE_FIRST_WAIT, sum = 0;

	for (size_t i = 0; i < 19; i++) {
		if (i < ARRAY_SIZE(first))
			is_num(wait, first[i], "W46: wait %zu", i + 1);
		if (i < 15)
			sum += wait;
		if (i == 16)
			ok(wait < 20000000, "W46: wait 17 is below the limit");
		if (i >= 17)
			is_num(wait, 20000000, "W46: wait %zu is at the limit", i + 1);
		wait = resolve_next_wait(wait);
	}
	is_num(sum / 1000, 72035, "W46: 15 waits, in milliseconds");
}

/* An output parameter of a function that failed is as it was. */
static void test_untouched(void)
{
	struct prefix prefix = { .len = 77 };
	struct key key = { .b = { 7 } };

	parse_key(K "=", &key);
	parse_address("10.0.0.0/33", &prefix);
	parse_allowed_ip("10.0.0.0/33", &prefix);
	is_num(key.b[0], 7, "a key that is none leaves the output alone");
	is_num(prefix.len, 77, "a prefix that is none leaves the output alone");
	is_num(parse_allowed_ip("10/8", &prefix), -EAFNOSUPPORT, "an allowed IP: the address is wrong");
	is_num(parse_allowed_ip("10.0.0.0/33", &prefix), -EINVAL, "an allowed IP: the mask is wrong");
}

int main(void)
{
	test_strip();
	test_save_config();
	test_wg_lines();
	test_wg_numbers();
	test_wg_service();
	test_wg_keys();
	test_wg_allowed_ips();
	test_wg_endpoints();
	test_wg_long_line();
	test_lists();
	test_dns_items();
	test_values();
	test_hooks();
	test_iface_names();
	test_addresses();
	test_prefixes();
	test_format_endpoint();
	test_secrecy();
	test_save();
	test_save_live();
	test_request();
	test_retry_waits();
	test_untouched();
	test_time();
	reset();
	return done_testing();
}
