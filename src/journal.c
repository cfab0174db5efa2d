/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "journal-text.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <time.h>

#include "applied.h"
#include "atomic.h"
#include "log.h"

static const char *const state_names[] = { "starting", "up", "stopping" };
static const char *const undo_names[UNDO_KINDS] = {
	[UNDO_MEMBER] = "member",	  [UNDO_LINK] = "link",		    [UNDO_USERSPACE] = "userspace", [UNDO_ROOM] = "room",
	[UNDO_RULE_MARK] = "rule-mark",	  [UNDO_RULE_MAIN] = "rule-main", [UNDO_FIREWALL] = "firewall",
	[UNDO_RELOAD] = "reload",
};

int journal_prepare(void)
{
	static const char *const dirs[] = { RUN_DIR, TUNNEL_DIR, NETNS_DIR, LOCK_DIR, APPLIED_DIR, HOST_DIR };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		int r = make_dir(dirs[i], i == 0 ? 0755 : 0700);

		if (r < 0)
			return r;
	}
	return 0;
}

static int set_mark(struct journal *j)
{
	uint64_t run = j->down_run ? j->down_run : j->run;
	int n = 0;

	if (!j->mark && run)
		n = asprintf(&j->mark, "WG_NSQUICK_TUNNEL=%s@%" PRIx64 ".%" PRIx64, j->iface, j->cookie, run);
	else if (!j->mark)
		n = asprintf(&j->mark, "WG_NSQUICK_TUNNEL=%s@%" PRIx64, j->iface, j->cookie);
	if (n < 0)
		j->mark = NULL;
	return n < 0 ? -ENOMEM : 0;
}

int journal_path(const char *iface, ns_cookie cookie, const char *tail, char **ret_path)
{
	char *path;

	if (asprintf(&path, TUNNEL_DIR "/%s@%" PRIx64 "%s", iface, cookie, tail) < 0)
		return -ENOMEM;
	*ret_path = path;
	return 0;
}

/* The file's path, and the mark of its processes. */
static int name_file(struct journal *j)
{
	int r = j->file ? 0 : journal_path(j->iface, j->cookie, "", &j->file);

	return r < 0 ? r : set_mark(j);
}

/* Runs of one name follow each other, and no journal outlives a boot. */
static uint64_t number_run(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int change_mark(struct journal *j)
{
	free(j->mark);
	j->mark = NULL;
	return set_mark(j);
}

int journal_new_run(struct journal *j)
{
	j->run = number_run();
	return change_mark(j);
}

int journal_new_down(struct journal *j)
{
	j->down_run = number_run();
	return change_mark(j);
}

int journal_end_down(struct journal *j)
{
	j->down_run = 0;
	return change_mark(j);
}

int journal_save(struct journal *j)
{
	_cleanup_buf_ struct buf text = { 0 };
	char key[KEY_TEXT_LEN];
	int r;

	r = name_file(j);
	if (r == 0)
		r = journal_begin(&text);
	if (r < 0)
		return r;
	buf_fmt(&text, "iface %s\ncookie %" PRIx64 "\nstate %s\n", j->iface, j->cookie, state_names[j->state]);
	journal_add_text(&text, "config", j->config);
	journal_add_text(&text, "ns-name", j->ns_name);
	journal_add_text(&text, "ns-path", j->ns_path);
	journal_add_text(&text, "transport", j->transport);
	buf_fmt(&text, "userspace %d\nifindex %u\nsince %" PRId64 "\n", j->userspace, j->ifindex, j->since);
	if (!key_is_zero(&j->public_key)) {
		format_key(&j->public_key, key);
		buf_fmt(&text, "public-key %s\n", key);
	}
	buf_fmt(&text, "auto-fwmark %u\nauto-listen-port %u\napplied %" PRIu64 "\n", j->auto_fwmark, j->auto_listen_port, j->applied);
	if (j->run)
		buf_fmt(&text, "run %" PRIu64 "\n", j->run);
	if (j->down_run)
		buf_fmt(&text, "down-run %" PRIu64 "\n", j->down_run);
	if (j->transport_cookie)
		buf_fmt(&text, "transport-cookie %" PRIu64 "\n", j->transport_cookie);
	for (size_t i = 0; i < j->dns.n; i++)
		journal_add_text(&text, "dns", j->dns.v[i]);
	for (size_t i = 0; i < j->host.n; i++)
		journal_add_text(&text, "host", j->host.v[i]);
	for (size_t i = 0; i < j->n_undo; i++)
		buf_fmt(&text, "undo %s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", undo_names[j->undo[i].kind], j->undo[i].arg, j->undo[i].arg2,
			j->undo[i].arg3);
	journal_end(&text);
	return atomic_replace(j->file, &text, 0600, ATOMIC_VOLATILE);
}

bool journal_has(const struct journal *j, enum undo_kind kind)
{
	for (size_t i = 0; i < j->n_undo; i++)
		if (j->undo[i].kind == kind)
			return true;
	return false;
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

enum field {
	FIELD_IFACE, FIELD_COOKIE, FIELD_STATE, FIELD_CONFIG, FIELD_TRANSPORT, FIELD_USERSPACE, FIELD_IFINDEX, FIELD_SINCE, FIELD_AUTO_FWMARK,
	FIELD_AUTO_LISTEN_PORT, FIELD_APPLIED,
	FIELDS_ALWAYS, /* from the first write on */
	FIELD_NS_NAME = FIELDS_ALWAYS, FIELD_NS_PATH, FIELD_PUBLIC_KEY,
	FIELD_RUN, FIELD_DOWN_RUN, FIELD_TRANSPORT_COOKIE, /* the previous version had none */
	FIELDS_ONCE,
	FIELD_DNS = FIELDS_ONCE, FIELD_HOST, FIELD_UNDO,
	FIELDS,
};

static const char *const field_names[FIELDS] = {
	[FIELD_IFACE] = "iface",	 [FIELD_COOKIE] = "cookie",	[FIELD_STATE] = "state",       [FIELD_CONFIG] = "config",
	[FIELD_TRANSPORT] = "transport", [FIELD_USERSPACE] = "userspace", [FIELD_IFINDEX] = "ifindex",   [FIELD_SINCE] = "since",
	[FIELD_AUTO_FWMARK] = "auto-fwmark", [FIELD_AUTO_LISTEN_PORT] = "auto-listen-port", [FIELD_APPLIED] = "applied",
	[FIELD_NS_NAME] = "ns-name",	 [FIELD_NS_PATH] = "ns-path",	[FIELD_PUBLIC_KEY] = "public-key", [FIELD_RUN] = "run",
	[FIELD_DOWN_RUN] = "down-run", [FIELD_TRANSPORT_COOKIE] = "transport-cookie",
	[FIELD_DNS] = "dns",		 [FIELD_HOST] = "host",		[FIELD_UNDO] = "undo",
};

static int parse_number(const char *value, uint64_t max, uint64_t *ret_number)
{
	return parse_u64(value, max, ret_number) < 0 ? -EBADMSG : 0;
}

static int parse_iface(struct journal *j, const char *value)
{
	if (!iface_name_valid(value))
		return -EBADMSG;
	strcpy(j->iface, value);
	return 0;
}

/* The file's name has it again, and is compared. */
static int parse_cookie(struct journal *j, const char *value)
{
	char *end;

	errno = 0;
	j->cookie = strtoull(value, &end, 16);
	return errno || end == value || *end ? -EBADMSG : 0;
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

static int parse_undo(struct journal *j, const char *value)
{
	struct undo undo = { 0 }, *slot;
	char name[16], again[96];

	if (sscanf(value, "%15s %" SCNu64 " %" SCNu64 " %" SCNu64, name, &undo.arg, &undo.arg2, &undo.arg3) != 4)
		return -EBADMSG;
	/* scanf(3) takes signs, and leaves out what follows. */
	snprintf(again, sizeof(again), "%s %" PRIu64 " %" PRIu64 " %" PRIu64, name, undo.arg, undo.arg2, undo.arg3);
	if (strcmp(again, value) != 0)
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

static int parse_item(struct strv *items, const char *value)
{
	_cleanup_free_ char *item = journal_decode(value);

	return item ? strv_add(items, item, strlen(item)) : -ENOMEM;
}

static int parse_field(struct journal *j, enum field field, const char *value)
{
	uint64_t number = 0;
	int r = 0;

	switch (field) {
	case FIELD_IFACE:
		return parse_iface(j, value);
	case FIELD_COOKIE:
		return parse_cookie(j, value);
	case FIELD_STATE:
		return parse_state(j, value);
	case FIELD_CONFIG:
		return journal_text_into(&j->config, value);
	case FIELD_NS_NAME:
		return journal_text_into(&j->ns_name, value);
	case FIELD_NS_PATH:
		return journal_text_into(&j->ns_path, value);
	case FIELD_TRANSPORT:
		return journal_text_into(&j->transport, value);
	case FIELD_PUBLIC_KEY:
		return parse_key(value, &j->public_key) < 0 ? -EBADMSG : 0;
	case FIELD_DNS:
		return parse_item(&j->dns, value);
	case FIELD_HOST:
		return parse_item(&j->host, value);
	case FIELD_UNDO:
		return parse_undo(j, value);
	case FIELD_USERSPACE:
		r = parse_number(value, 1, &number);
		j->userspace = number != 0;
		break;
	case FIELD_IFINDEX:
		r = parse_number(value, INT32_MAX, &number);
		j->ifindex = (unsigned int)number;
		break;
	case FIELD_SINCE:
		r = parse_number(value, INT64_MAX, &number);
		j->since = (int64_t)number;
		break;
	case FIELD_AUTO_FWMARK:
		r = parse_number(value, UINT32_MAX, &number);
		j->auto_fwmark = (uint32_t)number;
		break;
	case FIELD_AUTO_LISTEN_PORT:
		r = parse_number(value, UINT16_MAX, &number);
		j->auto_listen_port = (uint16_t)number;
		break;
	case FIELD_APPLIED:
		r = parse_number(value, UINT64_MAX, &j->applied);
		break;
	case FIELD_DOWN_RUN:
		r = parse_number(value, UINT64_MAX, &j->down_run);
		break;
	case FIELD_TRANSPORT_COOKIE:
		r = parse_number(value, UINT64_MAX, &j->transport_cookie);
		break;
	case FIELD_RUN:
		r = parse_number(value, UINT64_MAX, &j->run);
		break;
	default:
		return -EBADMSG;
	}
	return r;
}

/* A journal that is read, and which fields it had. */
struct reading {
	struct journal j;
	unsigned int seen; /* 1U << enum field */
};

static int parse_line(void *arg, const struct journal_field *f)
{
	struct reading *reading = arg;
	int field = journal_which(f, field_names, FIELDS, FIELDS_ONCE, &reading->seen);

	return field < 0 ? field : parse_field(&reading->j, (enum field)field, f->value);
}

static int read_journal(int fd, const char *path, struct reading *reading)
{
	const unsigned int always = (1U << FIELDS_ALWAYS) - 1;
	int r = journal_read(fd, parse_line, reading);

	if (r == 0 && (reading->seen & always) != always)
		r = -EBADMSG;
	if (r == 0)
		r = name_file(&reading->j);
	/* A copy, or what another tunnel's became. */
	return r == 0 && strcmp(reading->j.file, path) != 0 ? -EBADMSG : r;
}

static int load_once(const char *path, struct journal *ret_journal)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct reading reading = { 0 };
	int r = fd < 0 ? -errno : read_journal(fd, path, &reading);

	if (r < 0) {
		journal_free(&reading.j);
		return r == -EBADMSG ? journal_set_aside(fd, path) : r;
	}
	*ret_journal = reading.j;
	return 0;
}

static int load_file(const char *path, struct journal *ret_journal)
{
	int r;

	do
		r = load_once(path, ret_journal);
	while (r == -ESTALE);
	return r;
}

int journal_load(const char *iface, ns_cookie cookie, struct journal *ret_journal)
{
	_cleanup_free_ char *path = NULL;
	int r = journal_path(iface, cookie, "", &path);

	return r < 0 ? r : load_file(path, ret_journal);
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
