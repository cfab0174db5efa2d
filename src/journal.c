/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "journal-text.h"

#include <dirent.h>
#include <inttypes.h>

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

int journal_save(struct journal *j)
{
	_cleanup_buf_ struct buf text = { 0 };
	char key[KEY_TEXT_LEN];
	int r;

	if (!j->file && asprintf(&j->file, TUNNEL_DIR "/%s@%" PRIx64, j->iface, j->cookie) < 0) {
		j->file = NULL;
		return -ENOMEM;
	}
	if (!j->mark && asprintf(&j->mark, "WG_NSQUICK_TUNNEL=%s@%" PRIx64, j->iface, j->cookie) < 0) {
		j->mark = NULL;
		return -ENOMEM;
	}
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
	for (size_t i = 0; i < j->dns.n; i++)
		journal_add_text(&text, "dns", j->dns.v[i]);
	for (size_t i = 0; i < j->host.n; i++)
		journal_add_text(&text, "host", j->host.v[i]);
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

static int parse_journal_field(struct journal *j, const struct journal_field *f)
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
		return journal_text_into(&j->config, f->value);
	if (strcmp(f->name, "ns-name") == 0)
		return journal_text_into(&j->ns_name, f->value);
	if (strcmp(f->name, "ns-path") == 0)
		return journal_text_into(&j->ns_path, f->value);
	if (strcmp(f->name, "transport") == 0)
		return journal_text_into(&j->transport, f->value);
	if (strcmp(f->name, "public-key") == 0)
		return parse_key(f->value, &j->public_key) < 0 ? -EBADMSG : 0;
	if (strcmp(f->name, "dns") == 0 || strcmp(f->name, "host") == 0) {
		_cleanup_free_ char *item = journal_decode(f->value);

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

static int parse_journal_line(void *arg, const struct journal_field *f)
{
	return parse_journal_field(arg, f);
}

static int load_file(const char *path, struct journal *ret_journal)
{
	_cleanup_free_ char *text = NULL;
	struct journal j = { 0 };
	size_t len;
	int r;

	r = read_file(path, JOURNAL_MAX_SIZE, &text, &len);
	if (r < 0)
		return r;
	r = strlen(text) == len ? journal_parse(text, parse_journal_line, &j) : -EBADMSG;
	if (r == 0 && !(j.file = strdup(path)))
		r = -ENOMEM;
	if (r == 0 && asprintf(&j.mark, "WG_NSQUICK_TUNNEL=%s@%" PRIx64, j.iface, j.cookie) < 0) {
		j.mark = NULL;
		r = -ENOMEM;
	}
	if (r < 0) {
		journal_free(&j);
		return r == -EBADMSG ? journal_set_aside(path) : r;
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

	snprintf(tail, sizeof(tail), "@%" PRIx64 JOURNAL_ASIDE, cookie);
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
