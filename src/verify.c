/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verify.h"

#include <arpa/inet.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "dns.h"
#include "dnsway.h"
#include "hoststate.h"
#include "resolvers.h"
#include "seal.h"

#define MAX_SIZE (1 << 20)

struct run {
	const struct report_tunnel *tunnel;
	const struct txn *txn;
	struct verify *verify;
	/* All tunnels of ours in the namespace: their links are no other way out. */
	unsigned int *links;
	size_t n_links;
	bool mask_bus;
	char *etc_dir;
	int error;
};

__attribute__((format(printf, 4, 5))) static void point(struct run *run, const char *name, bool holds, const char *fmt, ...)
{
	struct verify_point *p = GROW(run->verify->points, run->verify->n);
	va_list ap;

	va_start(ap, fmt);
	if (!p || vasprintf(&p->text, fmt, ap) < 0)
		run->error = -ENOMEM;
	va_end(ap);
	if (!p)
		return;
	if (run->error == -ENOMEM)
		p->text = NULL;
	p->name = name;
	p->holds = holds;
}

static bool is_tunnel(const struct run *run, unsigned int ifindex)
{
	for (size_t i = 0; i < run->n_links; i++)
		if (run->links[i] == ifindex)
			return true;
	return false;
}

static int add_tunnel(void *arg, struct journal *j)
{
	struct run *run = arg;
	unsigned int *slot;

	if (j->cookie != run->txn->journal.cookie)
		return 0;
	slot = GROW(run->links, run->n_links);
	if (!slot)
		return -ENOMEM;
	*slot = j->ifindex;
	return 0;
}

static const char *text_of(const struct buf *list)
{
	return list->failed || !list->data ? "" : list->data;
}

/* ---- links and routes ---- */

struct link_search {
	struct run *run;
	struct buf others, tunnels;
};

/* Links that the kernel puts into every namespace for tunnel drivers that are loaded; down, they carry nothing. */
static bool is_fallback(const struct rt_link *link)
{
	static const char *const kinds[] = { "sit", "ipip", "gre", "gretap", "erspan", "ip6tnl", "ip6gre", "vti", "vti6" };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(link->kind, kinds[i]) == 0)
			return !(link->flags & IFF_UP);
	return false;
}

static int look_at_link(void *arg, const struct rt_link *link)
{
	struct link_search *search = arg;

	if (is_tunnel(search->run, link->ifindex))
		buf_list(&search->tunnels, "", link->name);
	else if (!(link->flags & IFF_LOOPBACK) && !is_fallback(link))
		buf_list(&search->others, "", link->name);
	return 0;
}

static void check_links(struct run *run)
{
	struct link_search search = { .run = run };
	int r = rt_links(run->txn->target, look_at_link, &search);

	if (r < 0)
		point(run, "links", false, "cannot be read: %s", strerror(-r));
	else if (search.others.len)
		point(run, "links", false, "besides lo and %s there is another way out: %s", text_of(&search.tunnels), text_of(&search.others));
	else
		point(run, "links", true, "only lo and %s", text_of(&search.tunnels));
	buf_free(&search.others);
	buf_free(&search.tunnels);
}

struct route_search {
	struct run *run;
	unsigned int lo;
	struct buf others;
	bool some[2], all[2]; /* IPv4, IPv6: through a tunnel */
};

static int look_at_route(void *arg, const struct rt_route *route)
{
	struct route_search *search = arg;
	char prefix[PREFIX_TEXT_LEN];

	/* Refusals, and what the kernel keeps for its own addresses. */
	if (route->type != RTN_UNICAST || route->oif == search->lo)
		return 0;
	if (is_tunnel(search->run, route->oif)) {
		search->some[route->dst.family == AF_INET6] = true;
		if (route->dst.len == 0)
			search->all[route->dst.family == AF_INET6] = true;
		return 0;
	}
	buf_list(&search->others, "", format_prefix(&route->dst, prefix));
	return 0;
}

static const char *how_much(const struct route_search *search, bool v6)
{
	return search->all[v6] ? "all" : search->some[v6] ? "some, and the rest nowhere" : "none";
}

static void check_routes(struct run *run)
{
	struct route_search search = { .run = run };
	struct rt_link lo;
	int r;

	if (rt_link_get(run->txn->target, "lo", 0, &lo) == 0)
		search.lo = lo.ifindex;
	r = rt_routes(run->txn->target, AF_INET, look_at_route, &search);
	if (r == 0)
		r = rt_routes(run->txn->target, AF_INET6, look_at_route, &search);
	if (r < 0 && r != -EOPNOTSUPP && r != -EAFNOSUPPORT)
		point(run, "routes", false, "cannot be read: %s", strerror(-r));
	else if (search.others.len)
		point(run, "routes", false, "not through the tunnel: %s", text_of(&search.others));
	else
		point(run, "routes", true, "only through the tunnel; of IPv4 %s, of IPv6 %s", how_much(&search, false), how_much(&search, true));
	buf_free(&search.others);
}

/* ---- the socket ---- */

struct port_search {
	uint16_t port;
	bool found;
};

/* /proc/net/udp has the kernel's own sockets, too (proc(5)): "sl local_address:port …", in hexadecimal. */
static int find_port(void *arg)
{
	static const char *const files[] = { "/proc/thread-self/net/udp", "/proc/thread-self/net/udp6" };
	struct port_search *search = arg;

	for (size_t i = 0; i < ARRAY_SIZE(files) && !search->found; i++) {
		_cleanup_file_ FILE *f = fopen(files[i], "re");
		_cleanup_free_ char *line = NULL;
		unsigned int port;
		size_t cap = 0;

		while (f && !search->found && getline(&line, &cap, f) >= 0)
			search->found = sscanf(line, " %*u: %*[0-9A-Fa-f]:%x", &port) == 1 && port == search->port;
	}
	return 0;
}

static void check_socket(struct run *run)
{
	struct port_search transport = { .port = run->tunnel->wg.listen_port }, target = transport;
	const char *where = run->txn->journal.transport;
	bool one = ns_same(run->txn->transport_fd, run->txn->target_fd);

	(void)ns_call(run->txn->transport_fd, find_port, &transport);
	(void)ns_call(run->txn->target_fd, find_port, &target);
	if (!transport.found)
		point(run, "socket", false, "UDP port %u is not open in the transport namespace (%s)", transport.port, where);
	else if (target.found && !one)
		point(run, "socket", false, "UDP port %u is open in the namespace itself", target.port);
	else
		point(run, "socket", true, "UDP port %u is open in the transport namespace (%s)%s", transport.port, where, one ? ", which is this one" : ", not in this one");
}

/* ---- names ---- */

static void check_dns(struct run *run)
{
	_cleanup_buf_ struct buf good = { 0 }, bad = { 0 };
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX], server[128], *save = NULL;
	size_t len;
	int r;

	snprintf(path, sizeof(path), "%s/resolv.conf", run->etc_dir);
	r = read_file(path, MAX_SIZE, &text, &len);
	/* exec shows one without servers then. */
	if (r < 0 && r != -ENOENT) {
		point(run, "dns", false, "%s cannot be read: %s", path, strerror(-r));
		return;
	}
	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		const char *fault;

		if (sscanf(line, " nameserver %127s", server) != 1)
			continue;
		fault = dns_server_fault(run->txn->target, run->txn->journal.ifindex, &run->tunnel->wg, server);
		if (fault) {
			buf_list(&bad, "", server);
			buf_fmt(&bad, " %s", fault);
		} else {
			buf_list(&good, "", server);
		}
	}
	if (bad.len)
		point(run, "dns", false, "%s", text_of(&bad));
	else if (good.len)
		point(run, "dns", true, "only through the tunnel: %s", text_of(&good));
	else
		point(run, "dns", true, "no server: names do not resolve");
}

/* In a child, which is sealed as a command of exec is: what it sees of the host's resolvers, as its exit status. */
enum { SEALED, UNSEALED, OTHER_RESOLV, OTHER_NSSWITCH, SOCKET_SEEN };

static int look_from_inside(const struct run *run)
{
	struct seal_spec seal = { .target_fd = run->txn->target_fd, .etc_dir = run->etc_dir, .mask_bus = run->mask_bus };
	_cleanup_free_ char *text = NULL;
	struct stat own, seen;
	char path[PATH_MAX];
	const char *what;
	size_t len;
	bool has_own;

	snprintf(path, sizeof(path), "%s/resolv.conf", run->etc_dir);
	has_own = stat(path, &own) == 0;
	if (seal_enter(&seal, &what) < 0)
		return UNSEALED;
	if (stat("/etc/resolv.conf", &seen) < 0 || (has_own && (seen.st_ino != own.st_ino || seen.st_dev != own.st_dev)))
		return OTHER_RESOLV;
	if (read_file("/etc/nsswitch.conf", MAX_SIZE, &text, &len) < 0 || !dns_nsswitch_is_closed(text))
		return OTHER_NSSWITCH;
	for (size_t i = 0; resolver_sockets[i]; i++)
		if (access(resolver_sockets[i], F_OK) == 0)
			return SOCKET_SEEN;
	return SEALED;
}

/* A program that was not started by exec, such as by ip-netns(8), may see the host's. */
static bool program_sees_host(const struct run *run, pid_t pid, char *ret_what, size_t size)
{
	char path[PATH_MAX];
	struct stat own, seen;

	for (size_t i = 0; resolver_sockets[i]; i++) {
		snprintf(path, sizeof(path), "/proc/%d/root%s", pid, resolver_sockets[i]);
		if (stat(path, &seen) == 0 && S_ISSOCK(seen.st_mode)) {
			snprintf(ret_what, size, "%s", resolver_sockets[i]);
			return true;
		}
	}
	snprintf(path, sizeof(path), "%s/resolv.conf", run->etc_dir);
	if (stat(path, &own) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/root/etc/resolv.conf", pid);
	snprintf(ret_what, size, "another resolv.conf");
	return stat(path, &seen) == 0 && (seen.st_ino != own.st_ino || seen.st_dev != own.st_dev);
}

static void check_resolvers(struct run *run)
{
	static const char *const faults[] = {
		[UNSEALED] = "the mount namespace of exec cannot be made",
		[OTHER_RESOLV] = "a program of exec sees another resolv.conf",
		[OTHER_NSSWITCH] = "a program of exec sees an nsswitch.conf that asks others for hosts than files and DNS",
		[SOCKET_SEEN] = "a program of exec sees a socket of the host's resolvers",
	};
	_cleanup_buf_ struct buf seers = { 0 };
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(look_from_inside(run));
	status = pid > 0 && wait_child(pid, &status) == 0 && WIFEXITED(status) && WEXITSTATUS(status) <= SOCKET_SEEN ? WEXITSTATUS(status) : UNSEALED;
	for (size_t i = 0; i < run->tunnel->n_programs; i++) {
		const struct inside *program = &run->tunnel->programs[i];
		char what[128];

		if (!program_sees_host(run, program->pid, what, sizeof(what)))
			continue;
		buf_list(&seers, "", program->name);
		buf_fmt(&seers, " (%d) sees %s", program->pid, what);
	}
	if (status != SEALED)
		point(run, "resolvers", false, "%s", faults[status]);
	else if (seers.len)
		point(run, "resolvers", false, "%s; expected programs that exec started", text_of(&seers));
	else
		point(run, "resolvers", true, "systemd-resolved, nscd, avahi and dnsmasq are out of sight, for exec and the %zu programs inside", run->tunnel->n_programs);
}

/* ---- the host ---- */

static void check_host(struct run *run)
{
	_cleanup_buf_ struct buf changes = { 0 }, moved = { 0 };
	_cleanup_rt_ struct rt *rt = NULL;
	_cleanup_fd_ int host = -1;
	struct strv now = { 0 };
	struct rt_link link;
	int r = ns_open_host(&host);

	if (r == 0)
		r = rt_open_in(host, &rt);
	if (r == 0)
		r = hoststate_again(rt, &run->txn->journal.host, &now);
	if (r < 0) {
		point(run, "host", false, "cannot be read: %s", strerror(-r));
		return;
	}
	hoststate_compare(&run->txn->journal.host, &now, &changes, &moved);
	strv_free(&now);
	if (rt_link_get(rt, NULL, run->txn->journal.ifindex, &link) == 0 && !ns_same(host, run->txn->target_fd))
		buf_list(&changes, "the tunnel's device stands there: ", link.name);
	if (!run->txn->journal.host.n)
		point(run, "host", false, "nothing was recorded when the tunnel came up");
	else if (changes.len)
		point(run, "host", false, "not as it was when the tunnel came up: %s", text_of(&changes));
	else if (moved.len)
		point(run, "host", true, "its rules are as recorded when the tunnel came up; it is in another network since: %s", text_of(&moved));
	else
		point(run, "host", true, "its rules and its ways to the endpoints and everywhere else are as recorded when the tunnel came up");
}

/* ---- the probe ---- */

static bool probe_fault(const struct probe_result *result, struct buf *text)
{
	if (result->error < 0)
		buf_fmt(text, "could not be sent: %s", strerror(-result->error));
	else if (result->bare)
		buf_fmt(text, "to %s was seen outside the tunnel, %u times", result->to, result->bare);
	else if (!result->wrapped)
		buf_fmt(text, "to %s did not leave: the peer does not answer; nothing of it was seen elsewhere", result->to);
	else if (result->lost)
		buf_fmt(text, "to %s left as the tunnel's UDP, but %u packets could not be looked at; try again", result->to, result->lost);
	else
		return false;
	return true;
}

static void check_probe(struct run *run)
{
	static const struct {
		const char *name, *point;
	} families[] = { { "IPv4", "probe-ipv4" }, { "IPv6", "probe-ipv6" } };
	struct probe probe = {
		.transport_fd = run->txn->transport_fd,
		.target_fd = run->txn->target_fd,
		.ifindex = run->txn->journal.ifindex,
		.listen_port = run->tunnel->wg.listen_port,
		.wg = &run->tunnel->wg,
	};
	struct probe_result results[ARRAY_SIZE(families)] = { 0 };
	bool any = false;
	int r = probe_run(&probe, run->txn->target, results);

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		_cleanup_buf_ struct buf fault = { 0 };
		struct probe_result *result = &results[i];

		if (r < 0)
			result->error = r;
		/* A route without an address to send from is no way out either. */
		if (result->error == -EADDRNOTAVAIL || result->error == -EAFNOSUPPORT || (!result->error && !*result->to))
			continue;
		any = true;
		if (probe_fault(result, &fault))
			point(run, families[i].point, false, "an %s packet %s", families[i].name, text_of(&fault));
		else
			point(run, families[i].point, true, "an %s packet to %s left the transport namespace as the tunnel's UDP, and as nothing else", families[i].name, result->to);
	}
	if (!any)
		point(run, "probe-ipv4", false, "no peer with an endpoint takes packets: nothing to send it to");
}

struct handshakes {
	const struct txn *txn;
	struct wg_iface wg;
};

static int read_handshakes(void *arg)
{
	struct handshakes *h = arg;

	return tunnel_wg_read(h->txn, &h->wg);
}

/* After the probe, which makes one where there was none. */
static void check_handshake(struct run *run)
{
	struct handshakes h = { .txn = run->txn };
	struct timespec now;
	int64_t newest = 0;
	int r = ns_call(run->txn->target_fd, read_handshakes, &h);

	clock_gettime(CLOCK_REALTIME, &now);
	for (size_t i = 0; i < h.wg.n_peers; i++)
		if (h.wg.peers[i].last_handshake > newest)
			newest = h.wg.peers[i].last_handshake;
	if (r < 0)
		point(run, "handshake", false, "the device cannot be read: %s", strerror(-r));
	else if (!newest)
		point(run, "handshake", false, "no peer has ever answered");
	else if (now.tv_sec - newest > HANDSHAKE_STALE)
		point(run, "handshake", false, "the last was %lld s ago; expected %d at most", (long long)(now.tv_sec - newest), HANDSHAKE_STALE);
	else
		point(run, "handshake", true, "%lld s ago", (long long)(now.tv_sec - newest < 0 ? 0 : now.tv_sec - newest));
	wg_iface_free(&h.wg);
}

int verify_run(const struct report_tunnel *tunnel, bool mask_bus, struct verify *ret_verify)
{
	struct run run = { .tunnel = tunnel, .txn = &tunnel->txn, .verify = ret_verify, .mask_bus = mask_bus };

	run.error = dns_dir_of(&tunnel->txn.journal, &run.etc_dir);
	if (run.error == 0)
		run.error = journal_each(NULL, add_tunnel, &run);
	if (run.error == 0) {
		check_links(&run);
		check_routes(&run);
		check_socket(&run);
		check_dns(&run);
		check_resolvers(&run);
		check_host(&run);
		check_probe(&run);
		check_handshake(&run);
	}
	free(run.links);
	free(run.etc_dir);
	return run.error;
}

void verify_free(struct verify *verify)
{
	for (size_t i = 0; i < verify->n; i++)
		free(verify->points[i].text);
	free(verify->points);
	*verify = (struct verify){ 0 };
}

bool verify_holds(const struct verify *verify)
{
	for (size_t i = 0; i < verify->n; i++)
		if (!verify->points[i].holds)
			return false;
	return verify->n > 0;
}
