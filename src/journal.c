/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "journal.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "applied.h"
#include "atomic.h"
#include "log.h"

#define TUNNEL_DIR RUN_DIR "/tunnels"
#define NETNS_DIR RUN_DIR "/netns"
#define LOCK_DIR RUN_DIR "/lock"
#define LOCK_POLL_MS 10
#define MAGIC "wg-nsquick-journal 1"
#define ASIDE ".corrupt"
#define MAX_SIZE (1 << 20)

static const char *const state_names[] = { "starting", "up", "stopping" };
static const char *const undo_names[UNDO_KINDS] = {
	[UNDO_MEMBER] = "member",	  [UNDO_LINK] = "link",		    [UNDO_USERSPACE] = "userspace", [UNDO_ROOM] = "room",
	[UNDO_RULE_MARK] = "rule-mark",	  [UNDO_RULE_MAIN] = "rule-main", [UNDO_FIREWALL] = "firewall",
	[UNDO_RELOAD] = "reload",
};

int journal_prepare(void)
{
	static const char *const dirs[] = { RUN_DIR, TUNNEL_DIR, NETNS_DIR, LOCK_DIR, APPLIED_DIR };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		int r = make_dir(dirs[i], i == 0 ? 0755 : 0700);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- text ---- */

/* A value stays on its line: `%`, controls and blanks at the ends cannot be confused with the form. */
static void add_text(struct buf *b, const char *name, const char *value)
{
	if (!value)
		return;
	buf_fmt(b, "%s ", name);
	for (const char *p = value; *p; p++) {
		if (*p == '%' || (unsigned char)*p < ' ' || *p == 0x7f)
			buf_fmt(b, "%%%02x", (unsigned char)*p);
		else
			buf_add(b, p, 1);
	}
	buf_str(b, "\n");
}

static char *decode_text(const char *value)
{
	char *text = strdup(value), *to = text;

	if (!text)
		return NULL;
	for (const char *p = value; *p; p++) {
		unsigned int byte;

		if (*p == '%' && sscanf(p + 1, "%2x", &byte) == 1 && p[1] && p[2]) {
			*to++ = (char)byte;
			p += 2;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
	return text;
}

static int get_boot_id(const char **ret_id)
{
	static char id[64];
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (!id[0]) {
		r = read_file("/proc/sys/kernel/random/boot_id", 4096, &text, &len);
		if (r < 0)
			return r;
		snprintf(id, sizeof(id), "%.*s", (int)strcspn(text, "\n"), text);
	}
	*ret_id = id;
	return 0;
}

struct field {
	char *name;
	char *value;
};

/* Cuts the next line into name and value; false at the end. A line without a blank has an empty value. */
static bool next_field(char **text, struct field *field)
{
	char *line = *text, *end, *blank;

	if (!*line)
		return false;
	end = strchr(line, '\n');
	if (end)
		*end = '\0';
	*text = end ? end + 1 : line + strlen(line);
	blank = strchr(line, ' ');
	if (blank)
		*blank = '\0';
	field->name = line;
	field->value = blank ? blank + 1 : line + strlen(line);
	return true;
}

static int decode_into(char **slot, const char *value)
{
	free(*slot);
	*slot = decode_text(value);
	return *slot ? 0 : -ENOMEM;
}

static int set_aside(const char *path)
{
	_cleanup_free_ char *aside = NULL;

	if (asprintf(&aside, "%s" ASIDE, path) < 0)
		return -ENOMEM;
	if (rename(path, aside) < 0)
		return -errno;
	log_warn("%s is not a journal that this version can read; expected `%s' of this boot; set aside as %s", path, MAGIC, aside);
	return -EBADMSG;
}

/* ---- tunnels ---- */

int journal_save(struct journal *j)
{
	_cleanup_buf_ struct buf text = { 0 };
	char key[KEY_TEXT_LEN];
	const char *boot;
	int r;

	if (!j->file && asprintf(&j->file, TUNNEL_DIR "/%s@%" PRIx64, j->iface, j->cookie) < 0) {
		j->file = NULL;
		return -ENOMEM;
	}
	if (!j->mark && asprintf(&j->mark, "WG_NSQUICK_TUNNEL=%s@%" PRIx64, j->iface, j->cookie) < 0) {
		j->mark = NULL;
		return -ENOMEM;
	}
	r = get_boot_id(&boot);
	if (r < 0)
		return r;
	buf_fmt(&text, MAGIC "\nboot %s\niface %s\ncookie %" PRIx64 "\nstate %s\n", boot, j->iface, j->cookie, state_names[j->state]);
	add_text(&text, "config", j->config);
	add_text(&text, "ns-name", j->ns_name);
	add_text(&text, "ns-path", j->ns_path);
	add_text(&text, "transport", j->transport);
	buf_fmt(&text, "userspace %d\nifindex %u\nsince %" PRId64 "\n", j->userspace, j->ifindex, j->since);
	if (!key_is_zero(&j->public_key)) {
		format_key(&j->public_key, key);
		buf_fmt(&text, "public-key %s\n", key);
	}
	buf_fmt(&text, "auto-fwmark %u\nauto-listen-port %u\napplied %" PRIu64 "\n", j->auto_fwmark, j->auto_listen_port, j->applied);
	for (size_t i = 0; i < j->dns.n; i++)
		add_text(&text, "dns", j->dns.v[i]);
	for (size_t i = 0; i < j->host.n; i++)
		add_text(&text, "host", j->host.v[i]);
	for (size_t i = 0; i < j->n_undo; i++)
		buf_fmt(&text, "undo %s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", undo_names[j->undo[i].kind], j->undo[i].arg, j->undo[i].arg2,
			j->undo[i].arg3);
	buf_str(&text, "end\n");
	return atomic_replace(j->file, &text, 0600, ATOMIC_VOLATILE);
}

int journal_note(struct journal *j, enum undo_kind kind, uint64_t arg, uint64_t arg2, uint64_t arg3)
{
	struct undo *undo = GROW(j->undo, j->n_undo);
	int r;

	if (!undo)
		return -ENOMEM;
	*undo = (struct undo){ kind, arg, arg2, arg3 };
	r = journal_save(j);
	/* What could not be noted is not made. */
	if (r < 0)
		j->n_undo--;
	return r;
}

int journal_pop(struct journal *j)
{
	if (j->n_undo)
		j->n_undo--;
	return journal_save(j);
}

int journal_remove(struct journal *j)
{
	int r;

	if (!j->file)
		return 0;
	/* The journal goes last: nothing else tells of the others. */
	r = applied_remove(j);
	if (r < 0)
		return r;
	atomic_forget(j->file);
	return unlink(j->file) < 0 && errno != ENOENT ? -errno : 0;
}

void journal_free(struct journal *j)
{
	free(j->file);
	free(j->mark);
	free(j->config);
	free(j->ns_name);
	free(j->ns_path);
	free(j->transport);
	strv_free(&j->dns);
	strv_free(&j->host);
	free(j->undo);
	*j = (struct journal){ 0 };
}

static int parse_undo(struct journal *j, const char *value)
{
	struct undo undo = { 0 }, *slot;
	char name[16];

	if (sscanf(value, "%15s %" SCNu64 " %" SCNu64 " %" SCNu64, name, &undo.arg, &undo.arg2, &undo.arg3) != 4)
		return -EBADMSG;
	for (size_t i = 0; i < UNDO_KINDS; i++) {
		if (strcmp(undo_names[i], name) != 0)
			continue;
		slot = GROW(j->undo, j->n_undo);
		if (!slot)
			return -ENOMEM;
		undo.kind = (enum undo_kind)i;
		*slot = undo;
		return 0;
	}
	return -EBADMSG;
}

static int parse_number(const char *value, uint64_t max, uint64_t *ret_number)
{
	return parse_u64(value, max, ret_number) < 0 ? -EBADMSG : 0;
}

static int parse_state(struct journal *j, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(state_names); i++)
		if (strcmp(value, state_names[i]) == 0) {
			j->state = (enum journal_state)i;
			return 0;
		}
	return -EBADMSG;
}

static int parse_journal_field(struct journal *j, const struct field *f)
{
	uint64_t number = 0;
	int r;

	if (strcmp(f->name, "iface") == 0) {
		if (!iface_name_valid(f->value))
			return -EBADMSG;
		strcpy(j->iface, f->value);
		return 0;
	}
	if (strcmp(f->name, "cookie") == 0)
		return sscanf(f->value, "%" SCNx64, &j->cookie) == 1 ? 0 : -EBADMSG;
	if (strcmp(f->name, "state") == 0)
		return parse_state(j, f->value);
	if (strcmp(f->name, "config") == 0)
		return decode_into(&j->config, f->value);
	if (strcmp(f->name, "ns-name") == 0)
		return decode_into(&j->ns_name, f->value);
	if (strcmp(f->name, "ns-path") == 0)
		return decode_into(&j->ns_path, f->value);
	if (strcmp(f->name, "transport") == 0)
		return decode_into(&j->transport, f->value);
	if (strcmp(f->name, "public-key") == 0)
		return parse_key(f->value, &j->public_key) < 0 ? -EBADMSG : 0;
	if (strcmp(f->name, "dns") == 0 || strcmp(f->name, "host") == 0) {
		_cleanup_free_ char *item = decode_text(f->value);

		return item ? strv_add(*f->name == 'd' ? &j->dns : &j->host, item, strlen(item)) : -ENOMEM;
	}
	if (strcmp(f->name, "undo") == 0)
		return parse_undo(j, f->value);

	r = parse_number(f->value, INT64_MAX, &number);
	if (strcmp(f->name, "userspace") == 0)
		j->userspace = number != 0;
	else if (strcmp(f->name, "ifindex") == 0)
		j->ifindex = (unsigned int)number;
	else if (strcmp(f->name, "since") == 0)
		j->since = (int64_t)number;
	else if (strcmp(f->name, "auto-fwmark") == 0)
		j->auto_fwmark = (uint32_t)number;
	else if (strcmp(f->name, "auto-listen-port") == 0)
		j->auto_listen_port = (uint16_t)number;
	else if (strcmp(f->name, "applied") == 0)
		j->applied = number;
	else
		return -EBADMSG;
	return r;
}

/* Magic and boot id are the first two lines, "end" the last: a file without them is cut or foreign. */
static int parse_file(char *text, int (*parse)(void *arg, const struct field *f), void *arg)
{
	struct field field;
	const char *boot;
	int r;

	/* Not being able to tell is no reason to set one aside. */
	r = get_boot_id(&boot);
	if (r < 0)
		return r;
	if (strncmp(text, MAGIC "\n", strlen(MAGIC) + 1) != 0)
		return -EBADMSG;
	text += strlen(MAGIC) + 1;
	if (!next_field(&text, &field) || strcmp(field.name, "boot") != 0 || strcmp(field.value, boot) != 0)
		return -EBADMSG;
	while (next_field(&text, &field)) {
		if (strcmp(field.name, "end") == 0)
			return 0;
		r = parse(arg, &field);
		if (r < 0)
			return r;
	}
	return -EBADMSG;
}

static int parse_journal_line(void *arg, const struct field *f)
{
	return parse_journal_field(arg, f);
}

static int load_file(const char *path, struct journal *ret_journal)
{
	_cleanup_free_ char *text = NULL;
	struct journal j = { 0 };
	size_t len;
	int r;

	r = read_file(path, MAX_SIZE, &text, &len);
	if (r < 0)
		return r;
	r = strlen(text) == len ? parse_file(text, parse_journal_line, &j) : -EBADMSG;
	if (r == 0 && !(j.file = strdup(path)))
		r = -ENOMEM;
	if (r == 0 && asprintf(&j.mark, "WG_NSQUICK_TUNNEL=%s@%" PRIx64, j.iface, j.cookie) < 0) {
		j.mark = NULL;
		r = -ENOMEM;
	}
	if (r < 0) {
		journal_free(&j);
		return r == -EBADMSG ? set_aside(path) : r;
	}
	*ret_journal = j;
	return 0;
}

int journal_load(const char *iface, ns_cookie cookie, struct journal *ret_journal)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, TUNNEL_DIR "/%s@%" PRIx64, iface, cookie) < 0)
		return -ENOMEM;
	return load_file(path, ret_journal);
}

static int only_journals(const struct dirent *entry)
{
	const char *at = strrchr(entry->d_name, '@');

	return at && at[1] && strspn(at + 1, "0123456789abcdef") == strlen(at + 1);
}

int journal_each(const char *iface, int (*each)(void *arg, struct journal *j), void *arg)
{
	struct dirent **names;
	int n, r = 0;

	n = scandir(TUNNEL_DIR, &names, only_journals, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		size_t len = (size_t)(strrchr(names[i]->d_name, '@') - names[i]->d_name);
		_cleanup_free_ char *path = NULL;
		_cleanup_journal_ struct journal j = { 0 };

		if (r == 0 && (!iface || (strlen(iface) == len && memcmp(iface, names[i]->d_name, len) == 0))) {
			if (asprintf(&path, TUNNEL_DIR "/%s", names[i]->d_name) < 0)
				r = -ENOMEM;
			else
				r = load_file(path, &j);
			/* One that is gone meanwhile, or was set aside, is not in the way of the others. */
			if (r == 0)
				r = each(arg, &j);
			else if (r == -ENOENT || r == -EBADMSG)
				r = 0;
		}
		free(names[i]);
	}
	free(names);
	return r;
}

int journal_set_aside_names(ns_cookie cookie, struct strv *ret_ifaces)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir(TUNNEL_DIR);
	const struct dirent *entry;
	struct strv found = { 0 };
	char tail[64];
	int r = 0;

	snprintf(tail, sizeof(tail), "@%" PRIx64 ASIDE, cookie);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		size_t len = strlen(entry->d_name), end = strlen(tail);

		if (len > end && strcmp(entry->d_name + len - end, tail) == 0)
			r = strv_add(&found, entry->d_name, len - end);
	}
	if (r == 0)
		r = -errno;
	if (r < 0)
		strv_free(&found);
	else
		*ret_ifaces = found;
	return r;
}

/* A first write that was killed before its rename: nothing but the temporary file tells of it. */
static void sweep_tunnel(const char *name, const char *iface)
{
	_cleanup_free_ char *path = NULL, *whose = NULL;
	const char *at = strrchr(name, '@');
	size_t len = strlen(name), tail = strlen(ATOMIC_TMP);
	_cleanup_fd_ int lock = -1;

	if (!at || len < tail || strcmp(name + len - tail, ATOMIC_TMP) != 0)
		return;
	whose = strndup(name, (size_t)(at - name));
	if (!whose || (iface ? strcmp(whose, iface) != 0 : journal_lock(whose, 0, &lock) < 0))
		return;
	if (asprintf(&path, TUNNEL_DIR "/%s", name) < 0)
		path = NULL;
	else if (unlink(path) == 0)
		log_note("%s: undoing what a killed run had only begun to write", whose);
}

void journal_sweep(const char *iface)
{
	struct dirent **names;
	int n = scandir(TUNNEL_DIR, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		sweep_tunnel(names[i]->d_name, iface);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

/* ---- namespaces ---- */

static int record_path(ns_cookie cookie, char **ret_path)
{
	return asprintf(ret_path, NETNS_DIR "/%" PRIx64, cookie) < 0 ? -ENOMEM : 0;
}

static int parse_keep(struct ns_record *record, const char *value)
{
	uint64_t mode;

	if (parse_u64(value, KEEP_NO, &mode) < 0)
		return -EBADMSG;
	record->keep = (enum keep_mode)mode;
	return 0;
}

static int parse_record_line(void *arg, const struct field *f)
{
	struct ns_record *record = arg;
	bool value = strcmp(f->value, "1") == 0;

	if (strcmp(f->name, "name") == 0)
		return decode_into(&record->name, f->value);
	if (strcmp(f->name, "made") == 0)
		record->made = value;
	else if (strcmp(f->name, "etc-made") == 0)
		record->etc_made = value;
	else if (strcmp(f->name, "kept") == 0)
		record->kept = value;
	else if (strcmp(f->name, "keep") == 0)
		return parse_keep(record, f->value);
	else
		return -EBADMSG;
	return 0;
}

int ns_record_load(ns_cookie cookie, struct ns_record *ret_record)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	struct ns_record record = { .cookie = cookie };
	size_t len;
	int r;

	r = record_path(cookie, &path);
	if (r == 0)
		r = read_file(path, MAX_SIZE, &text, &len);
	if (r < 0)
		return r;
	r = parse_file(text, parse_record_line, &record);
	if (r < 0) {
		ns_record_free(&record);
		return r == -EBADMSG ? set_aside(path) : r;
	}
	*ret_record = record;
	return 0;
}

int ns_record_save(const struct ns_record *record)
{
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_free_ char *path = NULL;
	const char *boot;
	int r;

	r = record_path(record->cookie, &path);
	if (r == 0)
		r = get_boot_id(&boot);
	if (r < 0)
		return r;
	buf_fmt(&text, MAGIC "\nboot %s\n", boot);
	add_text(&text, "name", record->name);
	buf_fmt(&text, "made %d\netc-made %d\nkept %d\nkeep %d\nend\n", record->made, record->etc_made, record->kept, (int)record->keep);
	return atomic_replace(path, &text, 0600, ATOMIC_VOLATILE);
}

static int add_name(void *arg, struct ns_record *record)
{
	return record->name ? strv_add(arg, record->name, strlen(record->name)) : 0;
}

int ns_record_names(struct strv *ret_names)
{
	struct strv names = { 0 };
	int r = ns_record_each(add_name, &names);

	if (r < 0)
		strv_free(&names);
	else
		*ret_names = names;
	return r;
}

int ns_record_remove(ns_cookie cookie)
{
	_cleanup_free_ char *path = NULL;
	int r = record_path(cookie, &path);

	if (r < 0)
		return r;
	atomic_forget(path);
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int only_records(const struct dirent *entry)
{
	return entry->d_name[strspn(entry->d_name, "0123456789abcdef")] == '\0';
}

int ns_record_each(int (*each)(void *arg, struct ns_record *record), void *arg)
{
	struct dirent **names;
	int n, r = 0;

	n = scandir(NETNS_DIR, &names, only_records, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		struct ns_record record = { 0 };
		ns_cookie cookie;

		if (r == 0 && sscanf(names[i]->d_name, "%" SCNx64, &cookie) == 1) {
			r = ns_record_load(cookie, &record);
			/* One that is gone meanwhile, or was set aside, is not in the way of the others. */
			if (r == 0)
				r = each(arg, &record);
			else if (r == -ENOENT || r == -EBADMSG)
				r = 0;
			ns_record_free(&record);
		}
		free(names[i]);
	}
	free(names);
	return r;
}

void ns_record_free(struct ns_record *record)
{
	free(record->name);
	*record = (struct ns_record){ 0 };
}

/* ---- locks ---- */

static int open_lock(const char *path, int operation, int *ret_fd)
{
	struct stat opened, named;

	for (;;) {
		_cleanup_fd_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0)
			return -errno;
		if (flock(fd, operation) < 0) {
			if (errno == EINTR)
				continue;
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
		}
		/* Who held it may have deleted the file: then this lock is on nothing. */
		if (fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_ino == named.st_ino && opened.st_dev == named.st_dev) {
			*ret_fd = take_fd(&fd);
			return 0;
		}
	}
}

int journal_lock(const char *iface, unsigned patience_ms, int *ret_fd)
{
	_cleanup_free_ char *path = NULL;
	int r;

	if (asprintf(&path, LOCK_DIR "/%s", iface) < 0)
		return -ENOMEM;
	for (unsigned waited = 0;; waited += LOCK_POLL_MS) {
		r = open_lock(path, LOCK_EX | LOCK_NB, ret_fd);
		if (r != -EAGAIN || waited >= patience_ms)
			return r;
		nanosleep(&(struct timespec){ .tv_nsec = LOCK_POLL_MS * 1000 * 1000 }, NULL);
	}
}

int journal_lock_shared(int *ret_fd)
{
	/* No interface can have this name. */
	return open_lock(LOCK_DIR "/shared lock", LOCK_EX, ret_fd);
}

int journal_lock_tun(int *ret_fd)
{
	return open_lock(LOCK_DIR "/tun lock", LOCK_EX, ret_fd);
}

int journal_lock_netns(const char *name, int *ret_fd)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, LOCK_DIR "/netns %s", name) < 0)
		return -ENOMEM;
	return open_lock(path, LOCK_EX | LOCK_NB, ret_fd);
}
