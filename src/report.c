/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "report.h"

#include <net/if.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>

#include "dns.h"

/* How long a first handshake may take before it is missed, in seconds. */
#define FIRST_HANDSHAKE 15

const char *const report_state_names[] = { [REPORT_UP] = "up", [REPORT_DEGRADED] = "degraded", [REPORT_DOWN] = "down" };

const char *report_netns(const struct report_tunnel *tunnel)
{
	const struct journal *j = &tunnel->txn.journal;

	return j->ns_name ? j->ns_name : j->ns_path ? j->ns_path : "(unnamed)";
}

__attribute__((format(printf, 3, 4))) static void worsen(struct report_tunnel *t, enum report_state state, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (state > t->state)
		t->state = state;
	(void)strv_add(&t->why, text, strlen(text));
}

static int read_device(void *arg)
{
	struct report_tunnel *t = arg;

	return tunnel_wg_read(&t->txn, &t->wg);
}

static void judge_peers(struct report_tunnel *t, int64_t now)
{
	for (size_t i = 0; i < t->wg.n_peers; i++) {
		const struct peer *peer = &t->wg.peers[i];
		char endpoint[ENDPOINT_TEXT_LEN];
		int64_t age = now - peer->last_handshake;

		/* Who waits to be called, or has nothing to say, is well without one. */
		if (peer->endpoint.sa.sa_family == AF_UNSPEC || !peer->tx_bytes)
			continue;
		format_endpoint(&peer->endpoint, endpoint);
		if (!peer->last_handshake && now - t->txn.journal.since > FIRST_HANDSHAKE)
			worsen(t, REPORT_DEGRADED, "%s has never answered", endpoint);
		else if (peer->last_handshake && peer->keepalive && age > HANDSHAKE_STALE)
			worsen(t, REPORT_DEGRADED, "%s has not answered for %lld s", endpoint, (long long)age);
	}
}

static void judge_files(struct report_tunnel *t)
{
	_cleanup_free_ char *dir = NULL, *path = NULL;

	if (dns_dir_of(&t->txn.journal, &dir) < 0 || asprintf(&path, "%s/resolv.conf", dir) < 0)
		path = NULL;
	if (path && t->txn.journal.dns.n && access(path, R_OK) < 0)
		worsen(t, REPORT_DEGRADED, "%s is gone", path);
}

static void judge(struct report_tunnel *t, int64_t now)
{
	struct txn *txn = &t->txn;
	_cleanup_fd_ int named = -1;
	struct rt_link link;

	if (!txn->target && t->error < 0) {
		worsen(t, REPORT_DEGRADED, "it cannot be looked at: %s", strerror(-t->error));
		return;
	}
	if (!txn->target) {
		worsen(t, REPORT_DOWN, txn->found != TARGET_UNSEEN || txn->journal.ns_path ? "its network namespace is gone" : "its network namespace can only be seen from inside");
		return;
	}
	if (tunnel_alive(txn) <= 0 || rt_link_get(txn->target, NULL, txn->journal.ifindex, &link) < 0) {
		worsen(t, REPORT_DOWN, "the device is gone");
		return;
	}
	if (txn->journal.state != JOURNAL_UP)
		worsen(t, REPORT_DEGRADED, "a run is bringing it up or down, or was killed while it did");
	if (t->error < 0)
		worsen(t, REPORT_DEGRADED, "its peers cannot be read: %s", strerror(-t->error));
	if (!(link.flags & IFF_UP))
		worsen(t, REPORT_DEGRADED, "the device is down");
	if (txn->journal.ns_name && (ns_open(txn->journal.ns_name, &named) < 0 || !ns_same(named, txn->target_fd)))
		worsen(t, REPORT_DEGRADED, NETNS_RUN_DIR "/%s is another namespace, or none", txn->journal.ns_name);
	judge_files(t);
	judge_peers(t, now);
}

static void read_settings(struct report_tunnel *t)
{
	_cleanup_settings_ struct settings settings = { 0 };
	_cleanup_free_ char *path = NULL;
	char error[512];

	if (asprintf(&path, SETTINGS_DIR "/%s.conf", t->txn.journal.iface) < 0)
		path = NULL;
	if (!path || settings_load(&settings, SETTINGS_FILE, error) < 0 || settings_load(&settings, path, error) < 0)
		return;
	t->guard = settings.guard;
	t->hooks = settings.hooks;
}

/* Of a tunnel whose journal is opened. What cannot be read stays empty: the rest is shown all the same. */
static void fill(struct report_tunnel *t, int64_t now)
{
	if (t->txn.target_fd >= 0) {
		if (t->error == 0)
			t->error = ns_call(t->txn.target_fd, read_device, t);
		(void)inside_list(t->txn.target_fd, &t->programs, &t->n_programs);
	}
	if (t->txn.target)
		(void)rt_addresses(t->txn.target, t->txn.journal.ifindex, &t->addresses, &t->n_addresses);
	read_settings(t);
	judge(t, now);
}

static void set_now(struct report *report)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	report->now = now.tv_sec;
}

static struct report_tunnel *add_tunnel(struct report *report)
{
	struct report_tunnel *t = GROW(report->tunnels, report->n_tunnels);

	if (t)
		t->txn = TXN_INIT;
	return t;
}

int report_tunnel(const char *iface, const char *netns, struct report *report)
{
	struct report_tunnel *t = add_tunnel(report);
	int r;

	if (!t)
		return -ENOMEM;
	set_now(report);
	r = tunnel_find(iface, netns, &t->txn);
	if (r == 0) {
		fill(t, report->now);
	} else {
		txn_free(&t->txn);
		report->n_tunnels--;
	}
	return r;
}

static int add_journal(void *arg, struct journal *j)
{
	struct report *report = arg;
	struct report_tunnel *t = add_tunnel(report);

	if (!t)
		return -ENOMEM;
	t->txn.journal = *j;
	*j = (struct journal){ 0 };
	t->error = txn_open_journal(&t->txn);
	fill(t, report->now);
	return 0;
}

static int add_namespace(void *arg, struct ns_record *record)
{
	struct report *report = arg;
	struct report_namespace *left;
	_cleanup_fd_ int fd = -1;
	ns_cookie cookie;

	for (size_t i = 0; i < report->n_tunnels; i++)
		if (report->tunnels[i].txn.journal.cookie == record->cookie)
			return 0;
	if (!record->kept || !record->name || ns_open(record->name, &fd) < 0 || ns_get_cookie(fd, &cookie) < 0 || cookie != record->cookie)
		return 0;
	left = GROW(report->namespaces, report->n_namespaces);
	if (!left)
		return -ENOMEM;
	left->name = TAKE_PTR(record->name);
	(void)inside_list(fd, &left->programs, &left->n_programs);
	return 0;
}

int report_all(struct report *report)
{
	int r;

	set_now(report);
	r = journal_each(NULL, add_journal, report);
	return r < 0 ? r : ns_record_each(add_namespace, report);
}

void report_free(struct report *report)
{
	for (size_t i = 0; i < report->n_tunnels; i++) {
		struct report_tunnel *t = &report->tunnels[i];

		txn_free(&t->txn);
		strv_free(&t->why);
		wg_iface_free(&t->wg);
		free(t->addresses);
		free(t->programs);
	}
	for (size_t i = 0; i < report->n_namespaces; i++) {
		free(report->namespaces[i].name);
		free(report->namespaces[i].programs);
	}
	free(report->tunnels);
	free(report->namespaces);
	*report = (struct report){ 0 };
}

enum report_state report_state(const struct report *report)
{
	size_t down = 0, degraded = 0;

	for (size_t i = 0; i < report->n_tunnels; i++) {
		down += report->tunnels[i].state == REPORT_DOWN;
		degraded += report->tunnels[i].state == REPORT_DEGRADED;
	}
	if (down == report->n_tunnels)
		return REPORT_DOWN;
	return down || degraded ? REPORT_DEGRADED : REPORT_UP;
}
