/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard - how long this host is exposed, and what the guard costs. To be started by
 * tests/private, in whose namespace it makes its own links and routes:
 *
 *	tests/private build/tests/bench/guard [RUNS [ROUTES]]
 *
 * With no RUNS (0), only what the guard costs `up'.
 *
 * Exposure is from before the request of the one who tampers to when the request that puts
 * things back was done; in one run for
 *
 *	bare     a reader that replays the saved message, no policy at all
 *	guard    watch.c with everything: judged, attributed, undone, told
 *	polling  `ip -4 route show default` compared every 100 ms, as in the article
 *
 * The runs of bare and guard take turns in blocks, so that the machine's noise meets both.
 */
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "log.h"
#include "ns.h"
#include "watch.h"

#define BLOCK 250 /* runs of one kind before the other's turn */
#define MAX_WAIT_MS 2000

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void shell(const char *command)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execl("/bin/sh", "sh", "-ec", command, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
		die(command);
}

/* ---- raw requests ---- */

struct request {
	struct nlmsghdr h;
	struct rtmsg r;
	unsigned char attrs[64];
};

static void add_attr(struct request *q, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)((char *)q + NLMSG_ALIGN(q->h.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	q->h.nlmsg_len = (unsigned int)(NLMSG_ALIGN(q->h.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

/* The default route via 192.0.2.1. */
static struct request default_route(unsigned short type, unsigned short flags)
{
	static const unsigned char gateway[] = { 192, 0, 2, 1 };
	struct request q = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)), .nlmsg_type = type, .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags) },
			     .r = { .rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_type = RTN_UNICAST } };

	add_attr(&q, RTA_GATEWAY, gateway, sizeof(gateway));
	return q;
}

static int rt_socket(unsigned int group)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK, .nl_groups = group };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		die("socket");
	return fd;
}

static bool is_default(const struct nlmsghdr *m, unsigned short type)
{
	const struct rtmsg *r = NLMSG_DATA(m);

	return m->nlmsg_type == type && r->rtm_family == AF_INET && r->rtm_dst_len == 0 && r->rtm_table == RT_TABLE_MAIN;
}

/* ---- the two sides ---- */

/* Of the tampering that is under way, in shared memory. */
struct round {
	double start, undone;
};

static struct round *current;

static void note_undone(void)
{
	current->undone = now_us();
}

/* Deletes the default route, and waits until it is there again. Times in shared memory, < 0: it did not come back. */
static void tamper(double *times, int runs)
{
	int ask = rt_socket(0), hear = rt_socket(RTMGRP_IPV4_ROUTE);
	unsigned char buf[8192];

	for (int i = 0; i < runs; i++) {
		struct request q = default_route(RTM_DELROUTE, 0);
		bool back = false;

		/* At rest, as a host is. */
		usleep(300);
		current->undone = 0;
		current->start = now_us();
		if (send(ask, &q, q.h.nlmsg_len, 0) < 0)
			die("send");
		while (!back) {
			struct pollfd p = { .fd = hear, .events = POLLIN };
			ssize_t n = poll(&p, 1, MAX_WAIT_MS) > 0 ? recv(hear, buf, sizeof(buf), 0) : -1;

			if (n < 0)
				break;
			back = is_default((const struct nlmsghdr *)buf, RTM_NEWROUTE);
		}
		/* The notice comes before whoever put it back has looked at the clock. */
		for (int wait = 0; back && !current->undone && wait < 1000; wait++)
			usleep(100);
		times[i] = back && current->undone ? current->undone - current->start : -1;
		if (!back) {
			q = default_route(RTM_NEWROUTE, NLM_F_CREATE);
			(void)!send(ask, &q, q.h.nlmsg_len, 0);
		}
	}
	_exit(0);
}

static pid_t start_tamper(double *times, int runs)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		usleep(20000);
		tamper(times, runs);
	}
	return pid;
}

static void run_bare(double *times, int runs)
{
	int hear = rt_socket(RTMGRP_IPV4_ROUTE), ask = rt_socket(0);
	pid_t pid = start_tamper(times, runs);
	unsigned char buf[8192];
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct pollfd p = { .fd = hear, .events = POLLIN };

		if (poll(&p, 1, 100) <= 0)
			continue;
		if (recv(hear, buf, sizeof(buf), 0) > 0 && is_default((const struct nlmsghdr *)buf, RTM_DELROUTE)) {
			struct request q = default_route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK);

			if (send(ask, &q, q.h.nlmsg_len, 0) < 0 || recv(ask, buf, sizeof(buf), 0) < 0)
				die("replay");
			note_undone();
		}
	}
	close(hear);
	close(ask);
}

static const struct policy policy = { .level = GUARD_DEFAULT, .iface = "wg0" };

static bool hooks; /* as if there were some: then who writes files is heard, too */

static struct watch *open_watch(void)
{
	struct watch_spec spec = { .action = "bench", .policy = &policy, .on_undone = note_undone, .others_run = hooks };
	struct watch *w;
	int r;

	if (ns_open_current(&spec.host_fd) < 0)
		die("namespace");
	r = watch_open(&spec, &w);
	close(spec.host_fd);
	if (r < 0) {
		errno = -r;
		die("watch_open");
	}
	return w;
}

static void run_guard(double *times, int runs)
{
	struct watch *w = open_watch();
	pid_t pid = start_tamper(times, runs);
	int status;

	/* As the supervisor does it. */
	watch_hurry(true);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct pollfd p = { .fd = watch_fd(w), .events = POLLIN };

		if (poll(&p, 1, 100) > 0)
			(void)watch_read(w);
	}
	watch_hurry(false);
	if (watch_close(w) != EXIT_GUARD_RESTORED)
		printf("guard: the closing comparison was not as expected\n");
	watch_free(w);
}

static bool default_is_there(void)
{
	FILE *f = popen("ip -4 route show default", "r");
	char line[256];
	bool there = f && fgets(line, sizeof(line), f);

	if (f)
		pclose(f);
	return there;
}

static void run_polling(double *times, int runs)
{
	pid_t pid = start_tamper(times, runs);
	int ask = rt_socket(0), status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		usleep(100000);
		if (!default_is_there()) {
			struct request q = default_route(RTM_NEWROUTE, NLM_F_CREATE);

			if (send(ask, &q, q.h.nlmsg_len, 0) < 0)
				die("send");
			note_undone();
		}
	}
	close(ask);
}

/* ---- figures ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct figures {
	double min, p50, p95, p99, max;
	int lost;
};

static struct figures sum_up(const char *name, double *times, int n)
{
	struct figures f = { 0 };

	qsort(times, (size_t)n, sizeof(*times), by_value);
	while (f.lost < n && times[f.lost] < 0)
		f.lost++;
	if (f.lost < n) {
		double *good = times + f.lost;
		int m = n - f.lost;

		f.min = good[0];
		f.p50 = good[m / 2];
		f.p95 = good[m * 95 / 100];
		f.p99 = good[m * 99 / 100];
		f.max = good[m - 1];
	}
	printf("%-8s %5d runs, %d not undone: min %.1f, p50 %.1f, p95 %.1f, p99 %.1f, max %.0f us\n", name, n, f.lost, f.min, f.p50, f.p95, f.p99, f.max);
	return f;
}

static bool measure_exposure(int runs)
{
	size_t size = (size_t)runs * sizeof(double);
	double *bare = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double *guard = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double *polling = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct figures b, g, p;
	int polls = runs < 30 ? runs : 30;

	for (int done = 0; done < runs; done += BLOCK) {
		int n = runs - done < BLOCK ? runs - done : BLOCK;

		run_bare(bare + done, n);
		run_guard(guard + done, n);
	}
	run_polling(polling, polls);
	b = sum_up("bare", bare, runs);
	g = sum_up("guard", guard, runs);
	p = sum_up("polling", polling, polls);
	printf("exposure: guard to bare %.2f at p50, %.2f at p99; polling to guard %.0f at p50\n", g.p50 / b.p50, g.p99 / b.p99, p.p50 / g.p50);
	return g.lost == 0 && g.p50 <= 2 * b.p50 && g.p99 <= 2 * b.p99;
}

/* A change and its revert between two looks: seen all the same? */
static bool measure_reverted(int runs)
{
	int seen = 0;

	for (int i = 0; i < runs; i++) {
		struct watch *w = open_watch();
		int ask = rt_socket(0);
		struct request q = default_route(RTM_DELROUTE, 0);

		if (send(ask, &q, q.h.nlmsg_len, 0) < 0)
			die("send");
		usleep(20000);
		q = default_route(RTM_NEWROUTE, NLM_F_CREATE);
		if (send(ask, &q, q.h.nlmsg_len, 0) < 0)
			die("send");
		seen += watch_read(w);
		(void)watch_close(w);
		watch_free(w);
		close(ask);
	}
	printf("reverted after 20 ms: seen in %d of %d\n", seen, runs);
	return seen == runs;
}

/* Of opening and closing, on an ordinary host: what the guard adds to `up`. */
static bool measure_cost(const char *name)
{
	enum { RUNS = 60 };
	double times[RUNS];
	struct figures f;

	for (int i = 0; i < RUNS; i++) {
		double start = now_us();
		struct watch *w = open_watch();

		if (watch_close(w) != 0)
			printf("cost: not the same\n");
		if (hooks && watch_file_descriptor(w) < 0)
			printf("cost: nothing is heard of files\n");
		watch_free(w);
		times[i] = now_us() - start;
		/* What the kernel does after that is not for the next one to wait for. */
		usleep(20000);
	}
	f = sum_up(name, times, RUNS);
	return f.p50 < 2000;
}

static long resident_kb(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long total, resident = 0;

	if (f && fscanf(f, "%ld %ld", &total, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static bool measure_scale(int routes)
{
	char command[256];
	double start, opened, closed;
	struct watch *w;
	long before, kb;

	snprintf(command, sizeof(command),
		 "awk 'BEGIN { for (i = 0; i < %d; i++) printf \"route add %%d.%%d.%%d.%%d/32 dev veth0\\n\", 11 + int(i / 16777216), int(i / 65536) %% 256, int(i / 256) %% 256, i %% 256 }' | ip -batch -",
		 routes);
	shell(command);
	before = resident_kb();
	start = now_us();
	w = open_watch();
	opened = now_us();
	kb = resident_kb();
	if (watch_close(w) != 0)
		printf("scale: not the same\n");
	closed = now_us();
	if (resident_kb() > kb)
		kb = resident_kb();
	watch_free(w);
	printf("scale: %d routes: open %.2f s, close %.2f s, together %.2f s, %.1f MB\n", routes, (opened - start) / 1e6, (closed - opened) / 1e6, (closed - start) / 1e6,
	       (double)(kb - before) / 1024);
	return closed - start <= 1.5e6 && kb - before <= 90 * 1024;
}

int main(int argc, char **argv)
{
	int runs = argc > 1 ? atoi(argv[1]) : 3000, routes = argc > 2 ? atoi(argv[2]) : 1000000;
	bool good = true;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (!getenv("WG_NSQUICK_TEST_PRIVATE")) {
		fprintf(stderr, "to be started by tests/private\n");
		return 2;
	}
	shell("ip link add veth0 type veth peer name veth1; ip addr add 192.0.2.2/24 dev veth0; ip link set veth0 up; ip link set veth1 up; ip route add default via 192.0.2.1;"
	      "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do ip route add 10.$i.0.0/16 via 192.0.2.1; done; sleep 2");
	/* What the guard tells is part of its work, but nobody wants to read it a thousand times. */
	dup2(null, STDERR_FILENO);
	current = mmap(NULL, sizeof(*current), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	good &= measure_cost("cost");
	hooks = true;
	good &= measure_cost("hooks");
	hooks = false;
	if (runs) {
		good &= measure_exposure(runs);
		good &= measure_reverted(40);
	}
	if (routes)
		good &= measure_scale(routes);
	printf("%s\n", good ? "all within the figures wanted" : "NOT within the figures wanted");
	return !good;
}
