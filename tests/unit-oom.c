/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every allocation of the pure layer fails once: the work ends with -ENOMEM (or
 * says that it is incomplete), and nothing leaks or is read after it was freed
 * (the sanitizers' build sees that). The linker puts the functions below in
 * front of the C library's: see tests_unit_oom_LDFLAGS in Makefile.am.
 */
#include <fcntl.h>
#include <stdarg.h>

#include "conf.h"
#include "conffile.h"
#include "import-assign.h"
#include "import-wire.h"
#include "keymap.h"
#include "lint.h"
#include "plan.h"
#include "settings.h"
#include "tap.h"
#include "uapi.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
int __real_vasprintf(char **ret, const char *fmt, va_list ap);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
int __wrap_vasprintf(char **ret, const char *fmt, va_list ap);
int __wrap_asprintf(char **ret, const char *fmt, ...);
int __wrap___vasprintf_chk(char **ret, int flag, const char *fmt, va_list ap);
int __wrap___asprintf_chk(char **ret, int flag, const char *fmt, ...);

static size_t allocations, fail_at; /* 0: none */

static bool fails(void)
{
	if (++allocations != fail_at)
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return fails() ? NULL : __real_strndup(s, n);
}

int __wrap_vasprintf(char **ret, const char *fmt, va_list ap)
{
	return fails() ? -1 : __real_vasprintf(ret, fmt, ap);
}

int __wrap_asprintf(char **ret, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = fails() ? -1 : __real_vasprintf(ret, fmt, ap);
	va_end(ap);
	return r;
}

int __wrap___vasprintf_chk(char **ret, int flag, const char *fmt, va_list ap)
{
	(void)flag;
	return fails() ? -1 : __real_vasprintf(ret, fmt, ap);
}

int __wrap___asprintf_chk(char **ret, int flag, const char *fmt, ...)
{
	va_list ap;
	int r;

	(void)flag;
	va_start(ap, fmt);
	r = fails() ? -1 : __real_vasprintf(ret, fmt, ap);
	va_end(ap);
	return r;
}

#define K "oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM="
#define P "GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU="
#define Q "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="

static const char file[] = "[Interface]\nPrivateKey = " K "\nAddress = 10.0.0.2/24, fd00::2/64\nDNS = 10.0.0.1, corp.example\nMTU = 1400\nTable = 7\n"
			   "Address = 10.1.0.1, 10.2.0.1, 10.3.0.1, 10.4.0.1, 10.5.0.1, 10.6.0.1\n"
			   "PostUp = a\nPostUp = b\nPostUp = c\nPreUp = a\nPreUp = b\nPreUp = c\nPreDown = a\nPreDown = b\nPreDown = c\nPostDown = a\nPostDown = b\n"
			   "PreUp = echo %i $(wg show %i) \"`id`\" <(x)\nPostUp = bash -c 'ip link set %i netns vpn' # c\nPreDown = a; b\nPostDown =\nSaveConfig = true\n"
			   "ListenPort = 7\nFwMark = 0x7\n"
			   "[Peer]\nPublicKey = " P "\nPresharedKey = " Q "\nAllowedIPs = 10.7.0.1/16, fd07::/64\nEndpoint = localhost:5\nPersistentKeepalive = 25\n"
			   "[Peer]\nPublicKey = " Q "\nAllowedIPs = +10.8.0.0/16, -10.9.0.0/16\nEndpoint = 192.0.2.1:5\n";

/* Each piece of work answers 0, or -ENOMEM when memory was out; anything else is a mistake. */

static int parse(struct conf *conf)
{
	struct conf_error error = { 0 };
	int r = conf_parse_quick(conf, file, sizeof(file) - 1, &error);

	return r < 0 ? r : conf_parse_wg(conf, NULL, &error);
}

static int work_parse(void)
{
	struct conf conf = { .iface = "wg0" };
	int r = parse(&conf);

	conf_free(&conf);
	return r;
}

static int work_plan(void)
{
	static const struct plan_place place = { .netns = "wg0", .create = true, .transport = "host" };
	struct conf conf = { .iface = "wg0" };
	struct conf_error error = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	struct plan up = { 0 }, down = { 0 };
	int status, r = parse(&conf);

	if (r == 0)
		r = plan_up(&conf, &up, &error, &status);
	if (r == 0)
		r = plan_down(&conf, &down);
	if (r == 0) {
		plan_print(&up, &conf, &place, &text);
		plan_print(&down, &conf, &place, &text);
	}
	if (r == 0 && text.failed)
		r = -ENOMEM;
	plan_free(&up);
	plan_free(&down);
	conf_free(&conf);
	return r;
}

static int work_lint(void)
{
	static const struct lint_place place = { .netns = "wg0", .create = true };
	struct conf conf = { .iface = "wg0" };
	struct findings f = { 0 };
	int r = parse(&conf);

	if (r == 0) {
		lint(&conf, &place, &f);
		findings_sort(&f);
		r = f.failed ? -ENOMEM : 0;
	}
	findings_free(&f);
	conf_free(&conf);
	return r;
}

static int work_save(void)
{
	struct conf conf = { .iface = "wg0" };
	struct conf_live live = { .wg = &conf.wg };
	_cleanup_buf_ struct buf text = { 0 };
	int r = parse(&conf);

	if (r == 0)
		r = conf_write(&conf, &live, &text);
	conf_free(&conf);
	return r;
}

static int work_uapi(void)
{
	static const char good[] = "listen_port=7\nfwmark=3\npublic_key=1ad2fb7d973f6cb9ea6657695687cc083ea10e3acadbc4ac74bc5ebc9faab4a5\n"
				   "endpoint=192.0.2.1:5\nallowed_ip=10.0.0.0/8\nallowed_ip=fd00::/8\nerrno=0\n\n";
	struct wg_iface wg = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	int r = uapi_parse_get(good, sizeof(good) - 1, &wg);

	if (r == 0) {
		uapi_format_set(&wg, &text);
		r = text.failed ? -ENOMEM : 0;
		wg_iface_free(&wg);
	}
	return r;
}

static char config_path[64], settings_path[64];

static int work_file(void)
{
	struct conf conf = { 0 };
	struct conf_error error = { 0 };
	int r = conffile_load(config_path, &conf, &error);

	conf_free(&conf);
	return r;
}

static int work_settings(void)
{
	struct settings s = { 0 };
	char error[512];
	int r = settings_load(&s, settings_path, error);

	settings_free(&s);
	return r;
}

static void every_allocation(const char *name, int (*work)(void))
{
	size_t total, wrong = 0;

	fail_at = 0;
	allocations = 0;
	ok(work() == 0, "%s: works with memory", name);
	total = allocations;
	for (size_t i = 1; i <= total; i++) {
		int r;

		fail_at = i;
		allocations = 0;
		r = work();
		fail_at = 0;
		if (r != -ENOMEM) {
			diag("%s: allocation %zu of %zu failed, and the answer is %d", name, i, total, r);
			wrong++;
		}
	}
	ok(total > 0 && wrong == 0, "%s: each of its %zu allocations fails once: -ENOMEM", name, total);
}

static int work_keymap(void)
{
	struct key_map m = { 0 };
	int r = 0;

	for (uint64_t i = 1; i < 200 && r == 0; i++)
		r = key_map_set(&m, i, 1);
	key_map_clear(&m);
	return r;
}

/* A provider's file with something of all that is mended, told or dropped. */
static const char provider_file[] = "\xef\xbb\xbf# Key for laptop\r\n[interface]\r\n# NetShield = 1\r\nprivatekey = " K "\r\nAddress = 10.66.1.2, fd00::2/128\r\n"
				    "DNS = 10.64.0.1, 1.1.1.1, 8.8.8.8, 9.9.9.9\r\nSaveConfig = true\r\nJc = 0\r\nMTU = 1320\r\n"
				    "PostUp = iptables -I OUTPUT ! -o %i -m mark ! --mark $(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT && ip6tables -I OUTPUT ! -o %i -j REJECT\r\n"
				    "PreDown = iptables -D OUTPUT ! -o %i -j REJECT\r\nPostUp = echo " K "\t\r\n"
				    "[Peer]\r\n# SE-FREE#12\r\nPublicKey = " P "\r\nPresharedKey = " Q "\r\nAllowedIPs = 0.0.0.0/0,::0\r\nAllowedIPs = 0.0.0.0/0\r\n"
				    "Endpoint = se1.mullvad.net:51820\r\nPersistentKeepalive = 25s\r\n";

static int work_import(void)
{
	struct import_record record = { .kind = RECORD_FILE, .path = (char *)"a/se-got.conf", .message = (char *)"" }, seen = { 0 };
	_cleanup_buf_ struct buf data = { 0 };
	int r = import_text("se-got.conf", provider_file, sizeof(provider_file) - 1, true, &record.import);

	if (r == 0)
		r = import_record_encode(&record, &data);
	if (r == 0)
		r = import_record_decode(data.data, data.len, &seen);
	if (r == 0)
		r = import_record_check(&seen, true);
	import_record_free(&seen);
	import_free(&record.import);
	return r;
}

/* As Windows writes it. */
static int work_utf16(void)
{
	char text[2 * sizeof(provider_file)] = { '\xff', '\xfe' };
	struct import im = { 0 };
	int r;

	/* Without its mark of three bytes. */
	for (size_t i = 3; i < sizeof(provider_file) - 1; i++)
		text[2 * (i - 2)] = provider_file[i];
	r = import_text("x.conf", text, 2 * (sizeof(provider_file) - 3), false, &im);
	import_free(&im);
	return r;
}

static int work_refuse(void)
{
	static const char bad[] = "[Interface]\nPrivateKey = " K "\nAddress = x\nDNS = ;\n";
	struct import im = { 0 };
	int r = import_text("x.conf", bad, sizeof(bad) - 1, false, &im);

	import_free(&im);
	return r == -EINVAL ? 0 : r == 0 ? -EBADMSG : r;
}

static int work_names(void)
{
	struct import_item items[] = { { .path = "x/udp/us.conf", .text = "1" }, { .path = "x/tcp/us.conf", .text = "2" }, { .path = "y/tcp/us.conf", .text = "3" },
				       { .path = "US-NY 1.conf", .text = "4" },	   { .path = "US-NY#1.conf", .text = "5" },	{ .path = "US-NY 1 (1).conf", .text = "4" } };
	struct import_map map = { 0 }, again = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	unsigned int line;
	int r = import_assign(items, ARRAY_SIZE(items), &map);

	if (r == 0)
		r = import_map_set(&map, "home", "tcp/us");
	if (r == 0)
		r = import_map_write(&map, &text);
	if (r == 0)
		r = import_map_parse(text.data, text.len, &again, &line);
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		free(items[i].identity);
	import_map_free(&map);
	import_map_free(&again);
	return r;
}

static int work_util(void)
{
	_cleanup_free_ char *text = NULL;
	struct strv strings = { 0 };
	size_t len;
	int r = read_file(config_path, 1 << 20, &text, &len);

	if (r == 0)
		r = strv_add(&strings, "a", 1);
	strv_free(&strings);
	return r;
}

static void write_file(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write_all(fd, text, len) < 0)
		ok(false, "cannot write %s", path);
	close_fd(fd);
}

static void append_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0 || write_all(fd, text, strlen(text)) < 0)
		ok(false, "cannot append to %s", path);
	close_fd(fd);
}

int main(void)
{
	static const char settings[] = "[tunnel]\nnetns = vpn\ntransport = self\n[guard]\nlevel = warn\nforeign = one, two*, three, four, five\n[hooks]\nmode = none\n";
	char folder[] = "/tmp/unit-oom-XXXXXX";

	if (!mkdtemp(folder))
		return 1;
	snprintf(config_path, sizeof(config_path), "%s/wg0.conf", folder);
	snprintf(settings_path, sizeof(settings_path), "%s/settings", folder);
	write_file(config_path, file, sizeof(file) - 1);
	/* More than one buffer of read_all(). */
	for (int i = 0; i < 200; i++)
		append_file(config_path, "# a comment that makes the file long, as those of providers are at times, or longer\n");
	write_file(settings_path, settings, sizeof(settings) - 1);
	every_allocation("parse", work_parse);
	every_allocation("plan", work_plan);
	every_allocation("lint", work_lint);
	every_allocation("save", work_save);
	every_allocation("uapi", work_uapi);
	every_allocation("file", work_file);
	every_allocation("settings", work_settings);
	every_allocation("import", work_import);
	every_allocation("import of UTF-16", work_utf16);
	every_allocation("import refuses", work_refuse);
	every_allocation("import's names", work_names);
	every_allocation("util", work_util);
	every_allocation("keymap", work_keymap);
	unlink(config_path);
	unlink(settings_path);
	rmdir(folder);
	return done_testing();
}
