/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fib-tool - the guard's snapshot and restoration on their own, for the tests.
 *
 *   fib-tool watch COMMAND…  snapshot, run COMMAND, report, restore, report what is left.
 *                            0: untouched, 3: restored, 4: not fully, 5: blind, 1: the tool failed
 *   fib-tool bench [N]       N times: two snapshots and their comparison
 *   fib-tool latency [N]     N times: a route is deleted by another socket; event to undone
 *   fib-tool ra [N]          N times: the first default route from a router advertisement is deleted, or
 *                            every other time replaced, by another socket; from there to the stopgap, and
 *                            to the kernel's own again
 */
#include "fib-msg.h"
#include "log.h"

#include <linux/rtnetlink.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

static void say(void *arg, const char *text)
{
	printf("%s%s\n", (const char *)arg, text);
}

static double time_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int run(char **argv)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int watch(char **argv)
{
	_cleanup_fib_ struct fib *f = NULL;
	_cleanup_fib_snapshot_ struct fib_snapshot *before = NULL, *after = NULL;
	char left[] = "left: ", none[] = "";
	double start;
	int r;

	r = fib_open(&f);
	if (r == 0)
		r = fib_snapshot_take(f, &before);
	if (r < 0) {
		log_error("snapshot: %s", strerror(-r));
		return 5;
	}
	r = run(argv);
	if (r != 0) {
		log_error("the command failed (%d)", r);
		return 1;
	}
	r = fib_unchanged(f, before);
	if (r == 1)
		return 0;
	if (r == 0)
		r = fib_snapshot_take(f, &after);
	if (r == 0)
		r = fib_diff(before, after, say, none);
	if (r < 0) {
		log_error("compare: %s", strerror(-r));
		return 5;
	}
	if ((r == 0) != fib_snapshot_equal(before, after)) {
		log_error("fib_diff() and fib_snapshot_equal() disagree");
		return 1;
	}
	if (r == 0)
		return 0;
	start = time_ms();
	r = fib_restore(f, before, NULL, say, left);
	if (r < 0) {
		log_error("restore: %s", strerror(-r));
		return 5;
	}
	printf("restored in %.2f ms\n", time_ms() - start);
	return r == 0 ? 3 : 4;
}

static long rss_kib(void)
{
	_cleanup_file_ FILE *file = fopen("/proc/self/statm", "re");
	long size, resident;

	if (!file || fscanf(file, "%ld %ld", &size, &resident) != 2)
		return 0;
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static int bench(int n)
{
	_cleanup_fib_ struct fib *f = NULL;
	int r = fib_open(&f);

	for (int i = 0; r == 0 && i < n; i++) {
		_cleanup_fib_snapshot_ struct fib_snapshot *a = NULL, *b = NULL;
		long rss = rss_kib(), rss_one;
		double t[6];
		int same, differences;

		t[0] = time_ms();
		r = fib_snapshot_take(f, &a);
		if (r < 0)
			break;
		t[1] = time_ms();
		rss_one = rss_kib() - rss;
		same = fib_unchanged(f, a);
		t[2] = time_ms();
		r = fib_snapshot_take(f, &b);
		if (r < 0)
			break;
		t[3] = time_ms();
		differences = fib_diff(a, b, NULL, NULL);
		t[4] = time_ms();
		r = fib_snapshot_index(a);
		if (r < 0)
			break;
		t[5] = time_ms();
		printf("%zu routes, %zu links, %zu bytes: snapshot %.2f ms (+%ld KiB), unchanged() = %d %.2f ms, "
		       "snapshot %.2f ms, diff = %d %.3f ms, index %.2f ms (+%ld KiB in all)\n",
		       fib_snapshot_count(a, FIB_ROUTE), fib_snapshot_count(a, FIB_LINK), fib_snapshot_bytes(a),
		       t[1] - t[0], rss_one, same, t[2] - t[1], t[3] - t[2], differences, t[4] - t[3], t[5] - t[4],
		       rss_kib() - rss);
	}
	if (r < 0)
		log_error("%s", strerror(-r));
	return r < 0 ? 5 : 0;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Deletes 198.51.100.0/24 (which must be there) through a socket of its own, n times. */
static int latency(int n)
{
	const int timeout_s = 2;
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_ROUTE };
	struct timeval timeout = { .tv_sec = timeout_s };
	struct {
		struct nlmsghdr h;
		struct rtmsg r;
		struct rtattr a;
		uint8_t dst[4];
	} m = { .h = { .nlmsg_len = sizeof(m), .nlmsg_type = RTM_DELROUTE, .nlmsg_flags = NLM_F_REQUEST },
		.r = { .rtm_family = AF_INET, .rtm_dst_len = 24, .rtm_table = RT_TABLE_MAIN, .rtm_scope = RT_SCOPE_NOWHERE },
		.a = { .rta_len = 8, .rta_type = RTA_DST },
		.dst = { 198, 51, 100, 0 } };
	_cleanup_fib_ struct fib *f = NULL;
	_cleanup_fib_snapshot_ struct fib_snapshot *before = NULL;
	_cleanup_fd_ int events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	_cleanup_fd_ int attacker = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	_cleanup_free_ double *us = calloc((size_t)n, sizeof(*us));
	int r = fib_open(&f);

	if (r == 0)
		r = fib_snapshot_take(f, &before);
	if (r == 0)
		r = fib_snapshot_index(before);
	if (r < 0 || !us || bind(events, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    setsockopt(events, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		return 5;
	for (int i = 0; i < n; i++) {
		_Alignas(8) char buf[8192];
		double start = time_ms();

		if (send(attacker, &m, sizeof(m), 0) < 0)
			return 1;
		for (;;) { /* also the echoes of our own undoing */
			if (recv(events, buf, sizeof(buf), 0) < 0) {
				log_error("no event");
				return 1;
			}
			r = fib_undo(f, before, (struct nlmsghdr *)buf);
			if (r == 1)
				break;
			if (r != 0) {
				log_error("undo: %d", r);
				return 1;
			}
		}
		us[i] = (time_ms() - start) * 1e3;
	}
	qsort(us, (size_t)n, sizeof(*us), by_size);
	printf("deleted to undone: min %.1f p50 %.1f p95 %.1f p99 %.1f max %.1f us; unchanged() = %d\n", us[0], us[n / 2],
	       us[n * 95 / 100], us[n * 99 / 100], us[n - 1], fib_unchanged(f, before));
	return 0;
}

/* The first default route that the kernel has from an RA. */
static const struct nlmsghdr *ra_default(const struct fib_snapshot *s)
{
	for (size_t i = 0; i < s->n_ra; i++) {
		const struct nlmsghdr *m = record_at(s, s->ra[i].offset);

		if (((const struct rtmsg *)NLMSG_DATA(m))->rtm_dst_len == 0)
			return m;
	}
	return NULL;
}

static void print_us(const char *what, double *us, int n)
{
	qsort(us, (size_t)n, sizeof(*us), by_size);
	printf("%s: min %.1f p50 %.1f p95 %.1f max %.1f us\n", what, us[0], us[n / 2], us[n * 95 / 100], us[n - 1]);
}

/* As `ip -6 route replace` with a gateway that leads nowhere. */
static int replace(struct fib *attacker, const struct nlmsghdr *m)
{
	static const uint8_t nowhere[16] = { 0xfe, 0x80, [15] = 0x99 };
	struct fib_out out;
	struct fib_view v;

	if (fib_view(m, &v) < 0)
		return -EBADMSG;
	fib_scrub(m, &v, FIB_FORM_ADD, 0, &out);
	((struct rtmsg *)NLMSG_DATA((struct nlmsghdr *)out.data))->rtm_protocol = RTPROT_BOOT;
	if (fib_view((struct nlmsghdr *)out.data, &v) < 0 || !v.gateway)
		return -EBADMSG;
	memcpy(RTA_DATA(v.gateway), nowhere, sizeof(nowhere));
	return fib_queue(attacker, (struct nlmsghdr *)out.data, RTM_NEWROUTE, NLM_F_REPLACE);
}

static bool has_way(struct fib *f, const struct nlmsghdr *lost)
{
	_cleanup_fib_snapshot_ struct fib_snapshot *now = NULL;
	struct fib_view v, want;

	if (fib_snapshot_take(f, &now) < 0 || fib_view(lost, &want) < 0)
		return false;
	for (size_t at = now->start[FIB_ROUTE]; at < now->start[FIB_ROUTE + 1]; at += record_size(record_at(now, at))) {
		const struct nlmsghdr *m = record_at(now, at);

		/* The first default route there is. */
		if (fib_view(m, &v) == 0 && v.family == AF_INET6 && !v.dst && v.table == want.table)
			return v.gateway && !memcmp(RTA_DATA(v.gateway), RTA_DATA(want.gateway), 16);
	}
	return false;
}

static int ra(int n)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_groups = 1 << (RTNLGRP_IPV6_ROUTE - 1) };
	struct timeval timeout = { .tv_sec = 2 };
	_cleanup_fib_ struct fib *f = NULL, *attacker = NULL;
	_cleanup_fib_snapshot_ struct fib_snapshot *before = NULL;
	_cleanup_free_ double *stopgap = calloc((size_t)n, sizeof(double)), *own = calloc((size_t)n, sizeof(double));
	char left[] = "left: ";
	int r = fib_open(&f);

	if (r == 0)
		r = fib_open(&attacker);
	if (r == 0)
		r = fib_snapshot_take(f, &before);
	if (r == 0)
		r = fib_snapshot_index(before);
	if (r < 0 || !stopgap || !own)
		return 5;
	if (!ra_default(before)) {
		log_error("no default route from a router advertisement");
		return 1;
	}
	for (int i = 0; i < n; i++) {
		_cleanup_fd_ int events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
		_Alignas(8) char buf[8192];
		double start;

		if (bind(events, (struct sockaddr *)&to, sizeof(to)) < 0 ||
		    setsockopt(events, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
			return 5;
		start = time_ms();
		r = i % 2 ? replace(attacker, ra_default(before)) : fib_send(attacker, ra_default(before), 0, false);
		if (r < 0 || fib_flush(attacker) < 0)
			return 1;
		if (recv(events, buf, sizeof(buf), 0) < 0) {
			log_error("no event");
			return 1;
		}
		r = fib_undo(f, before, (struct nlmsghdr *)buf);
		stopgap[i] = (time_ms() - start) * 1e3;
		if (r != 2 || !has_way(attacker, ra_default(before))) {
			log_error("undo: %d; there is no stopgap", r);
			return 1;
		}
		/* The echoes are not to be undone. */
		while (recv(events, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			fib_undo(f, before, (struct nlmsghdr *)buf);
		if (!has_way(attacker, ra_default(before))) {
			log_error("the stopgap was undone");
			return 1;
		}
		r = fib_restore(f, before, NULL, say, left);
		own[i] = (time_ms() - start) * 1e3;
		if (r != 0) {
			log_error("restore: %d", r);
			return 1;
		}
	}
	print_us("deleted to stopgap", stopgap, n);
	print_us("deleted to restored", own, n);
	return fib_unchanged(f, before) == 1 ? 0 : 1;
}

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[2]) : 1;

	log_set_program(argv[0]);
	if (argc > 2 && !strcmp(argv[1], "watch"))
		return watch(argv + 2);
	if (argc > 1 && n > 0 && !strcmp(argv[1], "bench"))
		return bench(n);
	if (argc > 1 && n > 0 && !strcmp(argv[1], "latency"))
		return latency(n);
	if (argc > 1 && n > 0 && !strcmp(argv[1], "ra"))
		return ra(n);
	fprintf(stderr, "usage: fib-tool watch COMMAND... | bench [N] | latency [N] | ra [N]\n");
	return 1;
}
