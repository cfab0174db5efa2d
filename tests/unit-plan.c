/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of plan.c, settings.c and uapi.c: the rest of the pure layer. */
#include <sys/stat.h>

#include "plan.h"
#include "settings.h"
#include "tap.h"
#include "uapi.h"

static struct conf parse(const char *text)
{
	struct conf conf = { .iface = "wg0" };
	struct conf_error error = { 0 };

	ok(conf_parse_quick(&conf, text, strlen(text), &error) == 0 && conf_parse_wg(&conf, NULL, &error) == 0, "parses: %s", error.text);
	return conf;
}

static void test_order_up(void)
{
	static const enum step_kind expected[] = { STEP_NETNS, STEP_LINK,    STEP_ROOM, STEP_HOOK,   STEP_WG,	STEP_ADDRESS,
						   STEP_ADDRESS, STEP_LINK_UP, STEP_DNS,	 STEP_ROUTES, STEP_PUBLISH, STEP_HOOK };
	struct conf conf = parse("[Interface]\nPostUp = b\nPreUp = a\nPreDown = c\nAddress = 10.0.0.1/24, fd00::1/64\nDNS = 1.1.1.1\nMTU = 0x500\n");
	struct conf_error error = { 0 };
	struct plan plan;
	int status;

	ok(plan_up(&conf, &plan, &error, &status) == 0, "plan_up");
	ok(plan.n == ARRAY_SIZE(expected), "%zu steps", plan.n);
	for (size_t i = 0; i < plan.n && i < ARRAY_SIZE(expected); i++)
		ok(plan.steps[i].kind == expected[i], "step %zu is %d", i, expected[i]);
	ok(plan.steps[7].mtu_set && plan.steps[7].mtu == 1280, "M1: MTU = 0x500 is 1280");
	plan_free(&plan);
	conf_free(&conf);
}

static void test_order_down(void)
{
	static const enum step_kind expected[] = { STEP_HOOK, STEP_SAVE, STEP_LINK_DELETE, STEP_HOOK, STEP_LEAVE };
	struct conf conf = parse("[Interface]\nPostDown = b\nPreDown = a\nSaveConfig = true\n");
	struct plan plan;

	ok(plan_down(&conf, &plan) == 0 && plan.n == ARRAY_SIZE(expected), "plan_down");
	for (size_t i = 0; i < plan.n && i < ARRAY_SIZE(expected); i++)
		ok(plan.steps[i].kind == expected[i], "down: step %zu is %d", i, expected[i]);
	plan_free(&plan);
	conf_free(&conf);
}

static void refuses(const char *text, unsigned int line, int expected_status, const char *name)
{
	struct conf conf = parse(text);
	struct conf_error error = { 0 };
	struct plan plan;
	int status = 0;

	ok(plan_up(&conf, &plan, &error, &status) == -EINVAL, "%s is refused", name);
	ok(error.line == line && status == expected_status, "%s: line %u, status %d", name, error.line, status);
	conf_free(&conf);
}

static void test_routes(void)
{
	static const char *const in[] = { "10.0.0.0/8", "9.0.0.0/8", "::/0", "0.0.0.0/0", "fd00::/8", "2001:db8::/32", "10.9.1.2/32",
					  "100.64.0.0/10", "fd0a::/48", "10.1.0.0/16", "10.10.0.0/16", "10.1.2.3/16", "1.2.3.4/0" };
	static const char *const out[] = { "fd0a::/48", "2001:db8::/32", "10.9.1.2/32", "10.10.0.0/16", "10.1.0.0/16", "100.64.0.0/10",
					   "fd00::/8", "9.0.0.0/8", "10.0.0.0/8", "::/0", "0.0.0.0/0" };
	struct prefix allowed[ARRAY_SIZE(in)], connected, *routes;
	char text[PREFIX_TEXT_LEN];
	size_t n = 0;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(in); i++)
		parse_allowed_ip(in[i], &allowed[i]);
	r = plan_routes(allowed, ARRAY_SIZE(in), NULL, 0, &routes, &n);
	ok(r == 0 && n == ARRAY_SIZE(out), "R6: %zu routes", n);
	for (size_t i = 0; i < n && i < ARRAY_SIZE(out); i++)
		is(format_prefix(&routes[i], text), out[i], "R6: route %zu", i);
	free(routes);
	parse_allowed_ip("10.0.0.0/8", &connected);
	ok(plan_routes(allowed, ARRAY_SIZE(in), &connected, 1, &routes, &n) == 0 && n == ARRAY_SIZE(out) - 4, "connected routes cover theirs: %zu left", n);
	free(routes);
}

static void test_marks(void)
{
	static const struct mark_rule first[] = { { 1, 0xffffffff }, { 2, 0xffffffff } };
	static const struct mark_rule low_bit[] = { { 1, 1 } };
	static const struct mark_rule not_zero[] = { { 0, 0xff } };
	static const struct mark_rule high[] = { { 0x4000, 0x4000 }, { 51820, 0xffffffff } };

	ok(plan_pick_mark(NULL, 0) == 1, "no rule: 1");
	ok(plan_pick_mark(first, 2) == 3, "1 and 2 are taken: 3");
	ok(plan_pick_mark(low_bit, 1) == 2, "the lowest bit decides: 2");
	ok(plan_pick_mark(not_zero, 1) == 0, "every mark decides otherwise than 0: none");
	ok(plan_pick_mark(high, 2) == 1, "rules on high bits are no matter");
}

static int write_settings(const char *text, struct settings *settings, char *error)
{
	char path[] = "/tmp/unit-settings-XXXXXX";
	int fd = mkstemp(path), r;

	(void)!write(fd, text, strlen(text));
	close(fd);
	error[0] = '\0';
	r = settings_load(settings, path, error);
	unlink(path);
	return r;
}

static void test_settings(void)
{
	struct settings s = { 0 };
	char error[512];

	ok(settings_load(&s, "/nonexistent/x.conf", error) == 0, "no file, no settings");
	ok(write_settings("[tunnel]\nnetns = vpn\ntransport=self\n[guard]\nlevel = strict\n", &s, error) == 0, "settings: %s", error);
	is(s.netns, "vpn", "netns");
	is(s.transport, "self", "transport");
	ok(s.guard == GUARD_STRICT, "level");
	ok(write_settings("[guard]\nlevel = off\n", &s, error) == 0 && s.guard == GUARD_OFF && strcmp(s.netns, "vpn") == 0, "a second file adds");
	ok(write_settings("[tunnel]\n\nnetsn = x\n", &s, error) == -EINVAL && strstr(error, ":3: unknown key"), "unknown key: %s", error);
	ok(write_settings("[hooks]\nmode = open\n", &s, error) == 0 && s.hooks == HOOKS_OPEN, "how hooks run");
	ok(write_settings("[hooks]\nmode = shut\n", &s, error) == -EINVAL && strstr(error, ":2: `shut'") && strstr(error, "guarded, open or none"), "bad mode: %s",
	   error);
	ok(write_settings("[guard]\nlevel = loud\n", &s, error) == -EINVAL && strstr(error, ":2: `loud'"), "bad value: %s", error);
	ok(s.foreign.n == 0, "no list of daemons: the built-in one");
	ok(write_settings("[guard]\nforeign =  dhclient,systemd-networkd ,\tbird* , two words\n", &s, error) == 0 && s.foreign.n == 4, "tolerated daemons: %s", error);
	is(s.foreign.n == 4 ? s.foreign.v[0] : NULL, "dhclient", "the first");
	is(s.foreign.n == 4 ? s.foreign.v[1] : NULL, "systemd-networkd", "the second");
	is(s.foreign.n == 4 ? s.foreign.v[2] : NULL, "bird*", "the third");
	is(s.foreign.n == 4 ? s.foreign.v[3] : NULL, "two words", "the last");
	ok(write_settings("[guard]\nforeign = one\n", &s, error) == 0 && s.foreign.n == 1 && strcmp(s.foreign.v[0], "one") == 0, "a second file's list replaces");
	static const char *const no_lists[] = { "", "a,", ",a", "a,,b", ",", "a, *b", "a*b" };
	for (size_t i = 0; i < ARRAY_SIZE(no_lists); i++) {
		char text[64];

		snprintf(text, sizeof(text), "[guard]\nforeign = %s\n", no_lists[i]);
		ok(write_settings(text, &s, error) == -EINVAL && strstr(error, ":2: `") && strstr(error, "of foreign in [guard]; expected names"), "no list: %s", error);
		ok(s.foreign.n == 1, "and the one before stays");
	}
	ok(write_settings("[guard]\nforeign\n", &s, error) == -EINVAL && strstr(error, ":2:"), "no value at all: %s", error);
	ok(write_settings("[other]\na = b\n", &s, error) == -EINVAL && strstr(error, ":1: unknown section"), "unknown section: %s", error);
	ok(write_settings("[tunnel]\n\033[2Jx = 1\n", &s, error) == -EINVAL && !strchr(error, '\033'), "no control characters in an error: %s", error);
	ok(write_settings("[tunnel]\nwhat is this\n", &s, error) == -EINVAL, "no key: %s", error);
	ok(write_settings("[tunnel]\nkeep = no\nipv6 = require\n[exec]\ndbus = masked\n", &s, error) == 0 && s.keep == KEEP_NO && s.require_ipv6 && s.dbus == DBUS_MASKED,
	   "keep, ipv6 and dbus: %s", error);
	ok(write_settings("[tunnel]\nkeep = auto\nipv6 = auto\n", &s, error) == 0 && s.keep == KEEP_AUTO && !s.require_ipv6, "and back: %s", error);
	ok(write_settings("[tunnel]\nkeep = maybe\n", &s, error) == -EINVAL && strstr(error, "expected yes, no or auto"), "bad keep: %s", error);
	ok(write_settings("[hooks]\ntimeout = 90\nstrict-files = yes\n", &s, error) == 0 && s.hook_timeout == 90 && s.strict_files, "timeout and strict-files: %s", error);
	ok(write_settings("[hooks]\nstrict-files = perhaps\n", &s, error) == -EINVAL && strstr(error, "yes or no"), "bad strict-files: %s", error);
	ok(write_settings("[exec]\nkeep = no\n", &s, error) == -EINVAL && strstr(error, "unknown key `keep' in [exec]; expected dbus"), "a key of another section: %s",
	   error);
	ok(write_settings("[other]\na = b\n", &s, error) == -EINVAL && strstr(error, "expected [tunnel], [guard], [hooks] or [exec]"), "all sections: %s", error);
	settings_free(&s);
}

static void test_uapi(void)
{
	static const char reply[] =
		"private_key=a0ae7a0c4f547bdccaefa69c03ca5a0d5ee8a6987ed6fdfae9b99b5d7b10ab50\nlisten_port=51820\nfwmark=7\n"
		"public_key=1ad2fb65f73f6cb9ea6659569a54c20c83ea0e38cadbc4ac74bc5ebc9faab4a5\nendpoint=[fe80::1%2]:5\nallowed_ip=10.0.0.0/8\n"
		"allowed_ip=fd00::/8\nlast_handshake_time_sec=5\ntx_bytes=1\nrx_bytes=2\nunknown_key=x\nerrno=0\n\n";
	struct wg_iface wg = { 0 };
	struct buf request = { 0 };
	char text[ENDPOINT_TEXT_LEN];

	ok(uapi_parse_get(reply, strlen(reply), &wg) == 0, "a reply to get");
	ok(wg.listen_port == 51820 && wg.fwmark == 7 && wg.n_peers == 1 && wg.peers[0].n_allowed_ips == 2, "its values");
	is(format_endpoint(&wg.peers[0].endpoint, text), "[fe80::1%2]:5", "its endpoint");
	uapi_format_set(&wg, &request);
	ok(strncmp(request.data, "set=1\nprivate_key=a0ae7a0c", 26) == 0 && strstr(request.data, "allowed_ip=fd00::/8\n\n"), "what was read can be set");
	buf_free(&request);
	wg_iface_free(&wg);
	ok(uapi_parse_set("errno=-98\n\n", 11) == -98, "an error of the other side");
	ok(uapi_parse_set("errno=0\n\n", 9) == 0, "no error");
	ok(uapi_parse_set("", 0) == -EBADMSG, "nothing is no reply");
	ok(uapi_parse_get("listen_port=70000\nerrno=0\n\n", 27, &wg) == -EBADMSG, "a port that is none");
	ok(uapi_parse_get("public_key=12\nerrno=0\n\n", 23, &wg) == -EBADMSG, "a key that is none");
}

static void test_wants_mark(void)
{
	struct conf with = parse("[Interface]\nPostUp = a\nPostUp = wg show %i fwmark\n"), without = parse("[Interface]\nPostUp = a\n");

	ok(plan_wants_mark(&with) && !plan_wants_mark(&without), "a mark for hooks that ask for it");
	conf_free(&with);
	conf_free(&without);
}

static void test_print(void)
{
	static const struct plan_place place = { .netns = "wg0", .create = true, .transport = "host" };
	struct conf conf = parse("[Interface]\nAddress = 10.0.0.2/24\nDNS = 10.0.0.1\nPreUp = a %i\n[Peer]\n"
				 "PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\nAllowedIPs = 10.0.0.0/16, -10.2.0.0/16, ::/0\n");
	struct conf_error error = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	struct plan plan;
	int status;

	ok(plan_up(&conf, &plan, &error, &status) == 0, "a plan to print");
	plan_print(&plan, &conf, &place, &text);
	is(text.data,
	   "wg0, in namespace wg0, transport host:\n"
	   "  make network namespace wg0\n"
	   "  ip link add dev wg0 type wireguard  (born in wg0, its UDP socket in host)\n"
	   "  make the mount namespace that hooks run in\n"
	   "  PreUp (line 4): a wg0\n"
	   "  wg addconf wg0 /dev/fd/63\n"
	   "  ip -4 address add 10.0.0.2/24 dev wg0\n"
	   "  ip link set mtu (automatic) up dev wg0\n"
	   "  write resolv.conf of namespace wg0: 10.0.0.1\n"
	   "  ip -4 route add 10.0.0.0/16 dev wg0  (unless an address's own route covers it)\n"
	   "  ip -6 route add ::/0 dev wg0\n"
	   "  publish the namespace as /run/netns/wg0\n",
	   "the plan as --dry-run prints it");
	plan_free(&plan);
	conf_free(&conf);
}

int main(void)
{
	test_wants_mark();
	test_print();
	is(guard_level_name(GUARD_UNSET), "default", "a level's name");
	test_order_up();
	test_order_down();
	refuses("[Interface]\nAddress = 10.0.0.300/24\n", 2, 1, "A4: an Address");
	refuses("[Interface]\nMTU = abc\n", 2, 255, "M2: an MTU");
	refuses("[Interface]\nMTU = 99999999999\n", 2, 255, "an MTU that is no int");
	refuses("[Interface]\nMTU = -1\n", 2, 2, "an MTU that ip(8) reads and the kernel refuses");
	test_routes();
	test_marks();
	test_settings();
	test_uapi();
	return done_testing();
}
