/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of the small files of the pure layer: addr, atomic, conffile, log, uapi, util. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "atomic.h"
#include "conffile.h"
#include "keymap.h"
#include "log.h"
#include "tap.h"
#include "uapi.h"

/* ---- what goes to standard error ---- */

static int saved_stderr = -1;
static char captured[4096];

static void capture_begin(void)
{
	char path[] = "/tmp/unit-pure-err-XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	fflush(stderr);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close_fd(fd);
}

static const char *capture_end(void)
{
	ssize_t n = pread(STDERR_FILENO, captured, sizeof(captured) - 1, 0);

	captured[n > 0 ? n : 0] = '\0';
	dup2(saved_stderr, STDERR_FILENO);
	saved_stderr = close_fd(saved_stderr);
	return captured;
}

static void test_log(void)
{
	log_set_program("/usr/bin/myquick");
	is(log_program(), "myquick", "C18: the program's name is the last part of argv[0]");
	capture_begin();
	errno = 7;
	log_error("a %d", 1);
	log_warn("b %s", "2");
	log_trace("c");
	log_note("d");
	ok(errno == 7, "errno is kept");
	is(capture_end(), "myquick: a 1\nWarning: b 2\n[#] c\n[!] d\n", "the four forms of a line");
	log_set_program("wg-nsquick");
}

/* ---- files ---- */

static char folder[] = "/tmp/unit-pure-XXXXXX";

static const char *in_folder(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write_all(fd, text, strlen(text)) < 0 || fchmod(fd, mode) < 0)
		ok(false, "cannot write %s", name);
	close_fd(fd);
}

static void reads(const char *argument, int expected, const char *message, const char *name)
{
	struct conf conf = { 0 };
	int r;

	capture_begin();
	r = conffile_read(argument, &conf);
	if (r == 0)
		r = conffile_read_wg(&conf);
	capture_end();
	is_num(r, expected, "%s: answer", name);
	if (!ok(message ? strstr(captured, message) != NULL : !*captured, "%s: message", name))
		diag("%s", captured);
	conf_free(&conf);
}

static void reads_to_save(const char *argument, size_t peers, const char *message, const char *name)
{
	struct conf conf = { 0 };
	int r;

	capture_begin();
	r = conffile_read(argument, &conf);
	if (r == 0)
		r = conffile_read_wg_to_save(&conf);
	capture_end();
	is_num(r, 0, "%s: answer", name);
	is_num((int)conf.wg.n_peers, (int)peers, "%s: peers", name);
	if (!ok(message ? strstr(captured, message) != NULL : !*captured, "%s: message", name))
		diag("%s", captured);
	conf_free(&conf);
}

static void test_conffile(void)
{
	char link[256];

	chmod(folder, 0755);
	write_file("good.conf", "[Interface]\nListenPort = 1\n", 0600);
	write_file("open.conf", "[Interface]\n", 0644);
	write_file("quick.conf", "\n[Interface]\nSaveConfig = 1\n", 0600);
	write_file("wg.conf", "[Interface]\nFoo = 1\n", 0600);
	write_file("host.conf", "[Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\nAllowedIPs = 10.0.0.1/8\n", 0600);
	write_file("no-conf", "", 0600);
	mkdir(in_folder("dir.conf"), 0700);
	strcpy(link, in_folder("b.conf"));
	if (symlink("good.conf", link) < 0)
		ok(false, "symlink");
	reads(in_folder("good.conf"), 0, NULL, "C5: a path");
	reads(link, 0, NULL, "C12: a symlink");
	reads(in_folder("open.conf"), 0, "is world accessible", "C14: the warning");
	reads(in_folder("quick.conf"), -1, "quick.conf:3: `1' is neither true nor false", "S14: SaveConfig");
	reads(in_folder("wg.conf"), -1, "wg.conf:2: Line unrecognized: `Foo=1'", "W7: an unknown line");
	reads(in_folder("host.conf"), 0, "Warning: AllowedIP has nonzero host part: 10.0.0.1/8", "W25: host bits");
	reads_to_save(in_folder("wg.conf"), 0, "wg.conf:2: Line unrecognized: `Foo=1'; expected PrivateKey, ListenPort or FwMark (or wg-quick's own keys) in [Interface]; this is not saved\n",
		      "to save: an unknown line");
	reads_to_save(in_folder("host.conf"), 1, NULL, "to save: host bits are nobody's concern");
	reads(in_folder("no-conf"), -1, "must be a valid interface name", "C8: a name without .conf");
	reads(in_folder("nosuch.conf"), -1, "does not exist", "C3: a path to nothing");
	reads("no/such/path/../x.conf", -1, "does not exist", "a folder that is not there");
	reads("nosuch-iface", -1, "`/etc/wireguard/nosuch-iface.conf' does not exist", "C3: a name");
	reads("", -1, "`' does not exist", "C10: nothing");
	reads(in_folder("dir.conf"), -1, "is a directory", "C13: a directory");
	capture_begin();
	conffile_error(&(struct conf){ .path = (char *)"/x.conf" }, &(struct conf_error){ .text = "y" });
	is(capture_end(), "wg-nsquick: /x.conf: y\n", "an error of the file as a whole");
	for (size_t i = 0; i < 7; i++) {
		static const char *const names[] = { "good.conf", "open.conf", "quick.conf", "wg.conf", "host.conf", "no-conf", "b.conf" };

		unlink(in_folder(names[i]));
	}
	rmdir(in_folder("dir.conf"));
}

static void test_util(void)
{
	char *text = NULL;
	size_t len;
	uint64_t n;
	int r;

	write_file("long", "0123456789", 0600);
	r = read_file(in_folder("long"), 5, &text, &len);
	is_num(r, -EFBIG, "read_file: too long");
	r = read_file(in_folder("nosuch"), 5, &text, &len);
	is_num(r, -ENOENT, "read_file: nothing there");
	r = read_file(folder, 5, &text, &len);
	is_num(r, -EISDIR, "read_file: a folder");
	ok(text == NULL, "the output is untouched on failure");
	is_num(write_all(-1, "x", 1), -EBADF, "write_all: an error");
	is_num(make_dir(in_folder("new"), 0700), 0, "make_dir: new");
	is_num(make_dir(in_folder("new"), 0700), 0, "make_dir: there already");
	is_num(make_dir(in_folder("long"), 0700), -ENOTDIR, "make_dir: a file");
	is_num(make_dir(in_folder("no/such"), 0700), -ENOENT, "make_dir: one level only");
	rmdir(in_folder("new"));
	unlink(in_folder("long"));
	ok(parse_cnum("0XaF", 1000, &n) == 0 && n == 0xaf, "parse_cnum: letters of both cases");
	is_num(parse_cnum("0x1g", 1000, &n), -EINVAL, "parse_cnum: junk");
	is_num(parse_cnum("0x3e9", 1000, &n), -ERANGE, "parse_cnum: too much");
	ok(parse_cnum("+017", 1000, &n) == 0 && n == 15, "parse_cnum: a plus");
	is_num(parse_cnum("+", 1000, &n), -EINVAL, "parse_cnum: a plus alone");
	is_num(parse_cnum("0x+1", 1000, &n), -EINVAL, "parse_cnum: a plus inside");
}

static void test_keymap(void)
{
	struct key_map m = { 0 };
	size_t missing = 0, wrong = 0;

	ok(!key_map_get(&m, 0) && !key_map_get(&m, 1), "an empty map has nothing");
	for (uint64_t i = 0; i < 100000; i++)
		missing += key_map_set(&m, i * i, 7) != 0 || key_map_set(&m, i * i, (uint8_t)(1 + i % 3)) != 0;
	for (uint64_t i = 0; i < 100000; i++) {
		missing += key_map_get(&m, i * i) != 1 + i % 3;
		wrong += i > 1 && key_map_get(&m, i * i + 1);
	}
	ok(missing == 0 && wrong == 0 && m.n == 99999, "100,000 keys, each once, with its last value, and no others");
	key_map_replace(&m, 1, 9);
	ok(key_map_get(&m, 0) == 9 && key_map_get(&m, 9) == 9 && key_map_get(&m, 1) == 2, "one value is replaced wherever it is");
	key_map_set(&m, 0, 0);
	key_map_set(&m, 4, 0);
	key_map_set(&m, 5, 0);
	ok(!key_map_get(&m, 0) && !key_map_get(&m, 4) && m.n == 99999, "forgotten; what was never there takes no room");
	key_map_clear(&m);
	ok(!key_map_get(&m, 1) && !key_map_get(&m, 0), "empty again");
}

static void test_addr(void)
{
	union endpoint_addr a = { .v6 = { .sin6_family = AF_INET6, .sin6_port = 5 } }, b = a, c = { .v4 = { .sin_family = AF_INET } }, none = { 0 };
	char text[ENDPOINT_TEXT_LEN];

	ok(endpoint_equal(&a, &b), "IPv6 endpoints are equal");
	b.v6.sin6_scope_id = 2;
	ok(!endpoint_equal(&a, &b) && !endpoint_equal(&a, &c) && endpoint_equal(&none, &none), "or not");
	is(format_endpoint(&none, text), "(none)", "no endpoint");
}

static void bad_reply(const char *text)
{
	struct wg_iface wg = { 0 };

	is_num(uapi_parse_get(text, strlen(text), &wg), -EBADMSG, "no reply: %.60s", text);
}

#define PUBLIC "public_key=1AD2fb65f73f6cb9ea6659569a54c20c83ea0e38cadbc4ac74bc5ebc9faab4a5\n"

static void test_uapi(void)
{
	static const char reply[] = PUBLIC "preshared_key=1ad2fb65f73f6cb9ea6659569a54c20c83ea0e38cadbc4ac74bc5ebc9faab4a5\npersistent_keepalive_interval=25\n"
					   "protocol_version=1\nallowed_ip=10.0.0.0/8\nendpoint=192.0.2.1:5\nerrno=0\n\n";
	struct wg_iface wg = { 0 };
	_cleanup_buf_ struct buf request = { 0 };

	ok(uapi_parse_get(reply, strlen(reply), &wg) == 0 && wg.n_peers == 1, "a reply");
	ok(wg.peers[0].has_preshared_key && wg.peers[0].keepalive == 25, "preshared key and keepalive");
	wg.peers[0].replace_allowed_ips = true;
	wg.peers[0].allowed_ips[0].op = ALLOWED_MINUS;
	wg.peers[0].update_only = true;
	uapi_format_set(&wg, &request);
	is(strstr(request.data, "update_only"),
	   "update_only=true\npreshared_key=1ad2fb65f73f6cb9ea6659569a54c20c83ea0e38cadbc4ac74bc5ebc9faab4a5\nendpoint=192.0.2.1:5\npersistent_keepalive_interval=25\n"
	   "replace_allowed_ips=true\nallowed_ip=-10.0.0.0/8\n\n",
	   "what is set, in wg's order");
	wg_iface_free(&wg);
	bad_reply("nonsense\nerrno=0\n\n");
	bad_reply(PUBLIC "preshared_key=1\nerrno=0\n\n");
	bad_reply(PUBLIC "persistent_keepalive_interval=65536\nerrno=0\n\n");
	bad_reply(PUBLIC "last_handshake_time_sec=x\nerrno=0\n\n");
	bad_reply(PUBLIC "allowed_ip=x\nerrno=0\n\n");
	bad_reply(PUBLIC "endpoint=x\nerrno=0\n\n");
	bad_reply(PUBLIC "endpoint=x:5\nerrno=0\n\n");
	bad_reply(PUBLIC "endpoint=[::1:5\nerrno=0\n\n");
	bad_reply(PUBLIC "endpoint=000000000000000000000000000000000000000000000000000000000000000000000000:5\nerrno=0\n\n");
	bad_reply(PUBLIC "tx_bytes=x\nerrno=0\n\n");
	bad_reply("fwmark=x\nerrno=0\n\n");
	bad_reply("private_key=gad2fb65f73f6cb9ea6659569a54c20c83ea0e38cadbc4ac74bc5ebc9faab4a5\nerrno=0\n\n");
	bad_reply("public_key=\nerrno=0\n\n");
	bad_reply("listen_port=1\n\n");
}

/* ---- files that are there whole or not at all ---- */

static void holds(const char *path, const char *expected, mode_t mode, const char *what)
{
	_cleanup_free_ char *text = NULL;
	struct stat st = { 0 };
	size_t len = 0;

	ok(read_file(path, 1000, &text, &len) == 0 && stat(path, &st) == 0 && (st.st_mode & 07777) == mode, "%s: there, with mode %04o", what, mode);
	is(text, expected, "%s: its text", what);
}

static void test_atomic(void)
{
	struct buf one = { .data = (char *)"one", .len = 3 }, two = { .data = (char *)"two", .len = 3 }, failed = { .failed = true };
	char path[256], beside[280], long_path[5000];
	struct stat st;
	int dir;

	snprintf(path, sizeof(path), "%s", in_folder("x"));
	snprintf(beside, sizeof(beside), "%s" ATOMIC_TMP, path);
	umask(0277);
	ok(atomic_create(path, &one, 0640) == 0, "a new file");
	umask(022);
	holds(path, "one", 0640, "whatever the umask");
	ok(atomic_create(path, &two, 0600) == -EEXIST, "which is not made a second time");
	holds(path, "one", 0640, "the first stays");
	/* Somebody's trap where the new text would be written. */
	ok(symlink(path, beside) == 0 && atomic_replace(path, &two, 0600, ATOMIC_DURABLE) == 0, "another text, with a link in the way");
	holds(path, "two", 0600, "the second");
	ok(atomic_replace(path, &one, 0600, ATOMIC_VOLATILE) == 0 && lstat(path, &st) == 0 && S_ISREG(st.st_mode), "and back, without the disk");
	ok(atomic_replace(path, &failed, 0600, ATOMIC_DURABLE) == -ENOMEM && atomic_create(path, &failed, 0600) == -ENOMEM, "a text that is not complete is not written");
	holds(path, "one", 0600, "what was there stays");
	ok(mkdir(beside, 0700) == 0 && atomic_replace(path, &two, 0600, ATOMIC_DURABLE) == -EISDIR && rmdir(beside) == 0, "a folder in the way is an error");
	ok(atomic_replace(in_folder("none/x"), &two, 0600, ATOMIC_DURABLE) == -ENOENT, "so is no folder");
	ok(atomic_replace(folder, &two, 0600, ATOMIC_DURABLE) == -EISDIR, "a folder is no file that can be replaced");
	snprintf(beside, sizeof(beside), "%s" ATOMIC_TMP, folder);
	ok(access(beside, F_OK) < 0, "and nothing is left beside it");
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	ok(atomic_replace(long_path, &two, 0600, ATOMIC_DURABLE) == -ENAMETOOLONG, "a name that is too long");
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ok(atomic_stage(dir, ".y", &two, 0600, ATOMIC_DURABLE) == 0 && access(in_folder("y"), F_OK) < 0, "in two steps: first it is staged");
	ok(atomic_publish(dir, ".y", "x", false) == -EEXIST && access(in_folder(".y"), F_OK) < 0, "whose name is taken: deleted");
	holds(path, "one", 0600, "nothing else happened");
	ok(atomic_stage(dir, ".y", &two, 0600, ATOMIC_VOLATILE) == 0 && atomic_publish(dir, ".y", "x", true) == 0, "then it gets its name");
	holds(path, "two", 0600, "in another's place");
	close_fd(dir);
	snprintf(beside, sizeof(beside), "%s" ATOMIC_TMP, path);
	ok(symlink("/", beside) == 0, "what a killed one leaves");
	atomic_forget(path);
	ok(lstat(beside, &st) < 0, "is forgotten");
	unlink(path);
}

int main(void)
{
	if (!mkdtemp(folder))
		return 1;
	test_log();
	test_conffile();
	test_atomic();
	test_util();
	test_keymap();
	test_addr();
	test_uapi();
	rmdir(folder);
	return done_testing();
}
