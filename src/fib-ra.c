/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fib-ra.c - the routes that the kernel itself makes from router advertisements, and their way back.
 *
 * They carry flags (RTF_ADDRCONF and others) that rtnetlink neither tells nor takes.
 * A route put back without them looks the same and is not: the kernel does not find it
 * when the next RA comes, cannot add its own beside it, and gives up on the rest of
 * that RA, until the host's prefixes have run out.
 *
 * What rtnetlink does not tell is read from /proc/net/ipv6_route and kept in the records as
 * FIB_RTM_RA. The way back of such a route:
 *  1. a stopgap: the same gateway and link, a slightly higher metric, an ordinary route;
 *  2. a router solicitation (RFC 4861, 4.1), upon which the kernel makes its route again;
 *  3. should no router answer, the ioctl of old, which does take the flags (but not the
 *     protocol: such a route says "boot").
 * The stopgap goes once the route is there. It has the route's lifetime, so that
 * it goes even if nobody is left to remove it.
 */
#include "fib-msg.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>

/* after glibc's own */
#include <linux/ipv6_route.h>

#include <sys/ioctl.h>
#include <sys/socket.h>

/*
 * A router waits for up to 0.5 s before it answers, and for up to 3 s if it has just
 * told everyone something (RFC 4861, 6.2.6).
 */
#define WAIT_MS 3750
/* When the solicitation is sent again: it, or the answer, may get lost. */
static const int ask_ms[] = { 0, 1000, 2500 };

#define STOPGAP_METRICS 16 /* that are tried above the route's own */

#define USER_HZ 100

/* A line of /proc/net/ipv6_route, all hexadecimal but the last: where the columns begin (net/ipv6/route.c). */
enum {
	COL_DST = 0,
	COL_DST_LEN = 33,
	COL_GATEWAY = 72,
	COL_METRIC = 105,
	COL_FLAGS = 132,
	COL_NAME = 141,
};

struct fib_ra_line {
	uint8_t dst[16], gateway[16];
	uint32_t metric, ifindex, flags;
	uint8_t dst_len;
};

void fib_ra_open(struct fib *f)
{
	const int hops = 255, loop = 0;
	struct icmp6_filter block;

	/* All of it may fail: then the kernel's routes cannot be told from others, and are left to it. */
	f->proc_fd = open("/proc/thread-self/net/ipv6_route", O_RDONLY | O_CLOEXEC);
	f->inet6_fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
	if (f->inet6_fd >= 0) {
		ICMP6_FILTER_SETBLOCKALL(&block);
		f->can_solicit = setsockopt(f->inet6_fd, IPPROTO_ICMPV6, ICMP6_FILTER, &block, sizeof(block)) == 0 &&
				 setsockopt(f->inet6_fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) == 0 &&
				 setsockopt(f->inet6_fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &loop, sizeof(loop)) == 0;
	} else {
		f->inet6_fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	}
	if (f->inet6_fd < 0)
		f->proc_fd = close_fd(f->proc_fd);
}

void fib_while_waiting(struct fib *f, void (*idle)(void *arg), void *arg)
{
	f->idle = idle;
	f->idle_arg = arg;
}

void fib_ra_close(struct fib *f)
{
	close_fd(f->proc_fd);
	close_fd(f->inet6_fd);
	free(f->ra);
}

static bool hex(const char *text, uint8_t *to, size_t n)
{
	for (size_t i = 0; i < 2 * n; i++) {
		char c = text[i];
		int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (digit < 0)
			return false;
		to[i / 2] = (uint8_t)(to[i / 2] << 4 | digit);
	}
	return true;
}

static bool hex32(const char *text, uint32_t *ret_value)
{
	uint8_t b[4] = { 0 };

	if (!hex(text, b, sizeof(b)))
		return false;
	*ret_value = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	return true;
}

static int add_line(struct fib *f, const char *text, size_t len)
{
	struct fib_ra_line l = { 0 }, *added;
	struct ifreq request = { 0 };
	const char *name = text + COL_NAME;

	if (len <= COL_NAME || !hex32(text + COL_FLAGS, &l.flags))
		return -EBADMSG;
	if (!(l.flags & RTF_ADDRCONF))
		return 0;
	if (!hex(text + COL_DST, l.dst, sizeof(l.dst)) || !hex(text + COL_DST_LEN, &l.dst_len, 1) ||
	    !hex(text + COL_GATEWAY, l.gateway, sizeof(l.gateway)) || !hex32(text + COL_METRIC, &l.metric))
		return -EBADMSG;
	while (*name == ' ')
		name++;
	len -= (size_t)(name - text);
	if (len == 0 || len >= sizeof(request.ifr_name))
		return -EBADMSG;
	memcpy(request.ifr_name, name, len);
	/* By the socket: this thread may be in another namespace. */
	if (ioctl(f->inet6_fd, SIOCGIFINDEX, &request) < 0)
		return 0; /* gone or renamed since */
	l.ifindex = (uint32_t)request.ifr_ifindex;
	added = GROW(f->ra, f->n_ra);
	if (!added)
		return -ENOMEM;
	*added = l;
	return 0;
}

/* Collects the kernel's own routes of this moment in f->ra. */
static int read_lines(struct fib *f)
{
	char buf[16384];
	size_t held = 0;

	free(f->ra);
	f->ra = NULL;
	f->n_ra = 0;
	if (f->proc_fd < 0)
		return -ENOENT;
	if (lseek(f->proc_fd, 0, SEEK_SET) < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(f->proc_fd, buf + held, sizeof(buf) - 1 - held);
		char *line = buf, *end;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		held += (size_t)n;
		buf[held] = '\0';
		while ((end = memchr(line, '\n', held - (size_t)(line - buf)))) {
			int r;

			*end = '\0';
			r = add_line(f, line, (size_t)(end - line));
			if (r < 0)
				return r;
			line = end + 1;
		}
		held -= (size_t)(line - buf);
		if (held == sizeof(buf) - 1)
			return -EBADMSG;
		memmove(buf, line, held);
	}
}

static bool same_ip(const uint8_t ip[16], const struct rtattr *a)
{
	static const uint8_t none[16];

	if (a && RTA_PAYLOAD(a) != 16)
		return false;
	return !memcmp(ip, a ? RTA_DATA(a) : none, 16);
}

static uint32_t flags_of(const struct fib *f, const struct nlmsghdr *m, const struct fib_view *v)
{
	for (size_t i = 0; i < f->n_ra; i++) {
		const struct fib_ra_line *l = &f->ra[i];

		if (l->ifindex == v->ifindex && l->metric == v->priority &&
		    l->dst_len == ((const struct rtmsg *)NLMSG_DATA(m))->rtm_dst_len && same_ip(l->dst, v->dst) &&
		    same_ip(l->gateway, v->gateway))
			return l->flags;
	}
	return 0;
}

void fib_ra_dump_begins(struct fib *f)
{
	f->ra_reads = 0;
	f->ra_failed = f->proc_fd < 0;
}

uint32_t fib_ra_mark(struct fib *f, struct nlmsghdr *m, const struct fib_view *v)
{
	struct rtmsg *h = NLMSG_DATA(m);
	const uint8_t *dst = v->dst ? RTA_DATA(v->dst) : NULL;
	uint32_t flags;

	h->rtm_flags &= ~FIB_RTM_RA;
	/* Mostly nothing needs to be read: default routes and RFC 4191's are of proto ra, prefixes of proto kernel. */
	if (f->proc_fd < 0 || h->rtm_type != RTN_UNICAST || h->rtm_src_len || !v->oif || v->multipath || v->nh_id)
		return 0;
	if (h->rtm_protocol == RTPROT_KERNEL && (v->gateway || !dst || dst[0] == 0xfe || dst[0] == 0xff))
		return 0;
	/* Boot: what fib_ra_bring_back() has added by ioctl. */
	if (h->rtm_protocol != RTPROT_RA && h->rtm_protocol != RTPROT_KERNEL && h->rtm_protocol != RTPROT_BOOT)
		return 0;
	if (f->ra_reads == 0) {
		f->ra_reads++;
		f->ra_failed = read_lines(f) < 0;
	}
	if (f->ra_failed)
		return 0;
	flags = flags_of(f, m, v);
	/* It may have come only after the first look. */
	if (!flags && h->rtm_protocol == RTPROT_RA && f->ra_reads == 1) {
		f->ra_reads++;
		f->ra_failed = read_lines(f) < 0;
		flags = flags_of(f, m, v);
	}
	if (flags)
		h->rtm_flags |= FIB_RTM_RA;
	return flags;
}

/* The same destination, gateway, link and table. */
static bool same_way(const struct nlmsghdr *a, const struct fib_view *va, const struct nlmsghdr *b, const struct fib_view *vb)
{
	static const uint8_t none[16];
	const struct rtmsg *ha = NLMSG_DATA(a), *hb = NLMSG_DATA(b);

	return va->kind == FIB_ROUTE && vb->kind == FIB_ROUTE && va->family == vb->family && va->table == vb->table &&
	       va->ifindex == vb->ifindex && ha->rtm_dst_len == hb->rtm_dst_len && ha->rtm_src_len == hb->rtm_src_len &&
	       same_ip(va->dst && RTA_PAYLOAD(va->dst) == 16 ? RTA_DATA(va->dst) : none, vb->dst) &&
	       same_ip(va->gateway && RTA_PAYLOAD(va->gateway) == 16 ? RTA_DATA(va->gateway) : none, vb->gateway);
}

const struct nlmsghdr *fib_ra_find(const struct fib_snapshot *s, const struct nlmsghdr *m, const struct fib_view *v)
{
	struct fib_view ra;

	for (size_t i = 0; i < s->n_ra; i++) {
		const struct nlmsghdr *it = record_at(s, s->ra[i].offset);

		if (fib_view(it, &ra) == 0 && ra.priority == v->priority && same_way(it, &ra, m, v))
			return it;
	}
	return NULL;
}

static uint32_t saved_flags(const struct fib_snapshot *s, const struct nlmsghdr *m)
{
	for (size_t i = 0; i < s->n_ra; i++) {
		if (record_at(s, s->ra[i].offset) == m)
			return s->ra[i].flags;
	}
	return 0;
}

bool fib_ra_is_stopgap(const struct fib_snapshot *before, const struct fib_snapshot *now, const struct nlmsghdr *m,
		       const struct fib_view *v)
{
	const struct rtmsg *h = NLMSG_DATA(m);
	struct fib_view ra;

	if (before->n_ra == 0 || v->kind != FIB_ROUTE || h->rtm_protocol != RTPROT_STATIC || (h->rtm_flags & FIB_RTM_RA))
		return false;
	for (size_t i = 0; i < before->n_ra; i++) {
		const struct nlmsghdr *it = record_at(before, before->ra[i].offset);

		if (fib_view(it, &ra) == 0 && v->priority > ra.priority && v->priority - ra.priority <= STOPGAP_METRICS &&
		    same_way(it, &ra, m, v) && !(now && fib_ra_find(now, it, &ra)))
			return true;
	}
	return false;
}

/* RFC 4191's preference as a rank. It is a signed number of 2 bits. */
static int preference(const struct nlmsghdr *m, const struct fib_view *v)
{
	FOR_EACH_ATTR (a, msg_attrs(m, v->head), msg_attrs_len(m, v->head)) {
		if ((a->rta_type & NLA_TYPE_MASK) == RTA_PREF)
			return attr_u8(a) == 1 ? 1 : attr_u8(a) == 3 ? -1 : 0;
	}
	return 0;
}

int fib_ra_stopgap(struct fib *f, const struct fib_snapshot *before, const struct nlmsghdr *m)
{
	struct fib_view v, other;
	struct fib_group g;
	struct fib_out out;
	uint32_t metric;
	bool behind = false;

	if (fib_view(m, &v) < 0)
		return -EBADMSG;
	metric = v.priority;
	/* Of several routers the preferred one's comes first: ordinary routes of one metric would share the traffic. */
	for (size_t i = 0; i < before->n_ra; i++) {
		const struct nlmsghdr *it = record_at(before, before->ra[i].offset);

		behind = behind || it == m;
		if (it == m || fib_view(it, &other) < 0 || fib_hash_group(it, &other) != fib_hash_group(m, &v))
			continue;
		if (preference(it, &other) > preference(m, &v) || (preference(it, &other) == preference(m, &v) && !behind))
			metric++;
	}
	other = v;
	do {
		if (++metric - v.priority > STOPGAP_METRICS || metric < v.priority)
			return 0;
		other.priority = metric;
	} while (fib_group_find(before, fib_hash_group(m, &other), &g) == 0);
	fib_scrub(m, &v, FIB_FORM_ADD, fib_now() - before->taken, &out);
	((struct rtmsg *)NLMSG_DATA((struct nlmsghdr *)out.data))->rtm_protocol = RTPROT_STATIC;
	FOR_EACH_ATTR (a, msg_attrs((struct nlmsghdr *)out.data, v.head),
		       msg_attrs_len((struct nlmsghdr *)out.data, v.head)) {
		if ((a->rta_type & NLA_TYPE_MASK) == RTA_PRIORITY)
			memcpy(RTA_DATA(a), &metric, sizeof(metric));
	}
	return fib_queue(f, (struct nlmsghdr *)out.data, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
}

/* Milliseconds that are left of the route's lifetime, `age` ms after the snapshot; INT64_MAX: for ever. */
static int64_t left_ms(const struct fib_view *v, int64_t age)
{
	struct rta_cacheinfo ci;

	if (!v->cacheinfo || RTA_PAYLOAD(v->cacheinfo) < sizeof(ci))
		return INT64_MAX;
	memcpy(&ci, RTA_DATA(v->cacheinfo), sizeof(ci));
	return ci.rta_expires ? (int64_t)ci.rta_expires * (1000 / USER_HZ) - age : INT64_MAX;
}

bool fib_ra_is_due(const struct nlmsghdr *m, int64_t age)
{
	struct fib_view v;

	return fib_view(m, &v) == 0 && left_ms(&v, age) > 0;
}

static int solicit(struct fib *f, const struct fib_link *l)
{
	struct {
		struct nd_router_solicit h;
		struct nd_opt_hdr option;
		uint8_t lladdr[6];
	} m = { .h = { .nd_rs_type = ND_ROUTER_SOLICIT },
		.option = { .nd_opt_type = ND_OPT_SOURCE_LINKADDR, .nd_opt_len = 1 /* units of 8 bytes */ } };
	const struct sockaddr_in6 to = {
		.sin6_family = AF_INET6,
		.sin6_addr = { .s6_addr = { 0xff, 2, [15] = 2 } }, /* all routers of the link */
		.sin6_scope_id = l->index,
	};
	bool with_lladdr = l->lladdr_len == sizeof(m.lladdr);

	memcpy(m.lladdr, l->lladdr, sizeof(m.lladdr));
	/*
	 * The kernel fills in source and checksum. Without a source (no address is past
	 * its duplicate detection) it refuses; afterwards it asks by itself.
	 */
	if (sendto(f->inet6_fd, &m, with_lladdr ? sizeof(m) : sizeof(m.h), 0, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

static void add_by_ioctl(struct fib *f, const struct fib_snapshot *before, const struct nlmsghdr *m, const struct fib_view *v)
{
	int64_t left = left_ms(v, fib_now() - before->taken);
	struct in6_rtmsg request = {
		.rtmsg_flags = saved_flags(before, m),
		.rtmsg_metric = v->priority,
		.rtmsg_ifindex = (int)v->ifindex,
		.rtmsg_dst_len = ((const struct rtmsg *)NLMSG_DATA(m))->rtm_dst_len,
	};

	if (left <= 0)
		return;
	if (request.rtmsg_flags & RTF_EXPIRES)
		request.rtmsg_info = left == INT64_MAX ? 0 : (unsigned long)(left / (1000 / USER_HZ));
	if (v->dst && RTA_PAYLOAD(v->dst) == 16)
		memcpy(&request.rtmsg_dst, RTA_DATA(v->dst), 16);
	if (v->gateway && RTA_PAYLOAD(v->gateway) == 16)
		memcpy(&request.rtmsg_gateway, RTA_DATA(v->gateway), 16);
	/* A refusal shows in the next dump. */
	(void)!ioctl(f->inet6_fd, SIOCADDRT, &request);
}

/* Where the kernel would answer to an RA: there, up, and so configured. */
static const struct fib_link *asks_on(const struct fib *f, const struct fib_snapshot *now, const struct fib_view *v)
{
	const struct fib_link *l = fib_snapshot_link(now, v->ifindex);

	return f->can_solicit && l && (l->flags & IFF_UP) && l->accepts_ra ? l : NULL;
}

/*
 * Sends the solicitations that are due `elapsed` ms after the first, one per link. `asked` is how
 * often that was done for each route. What is refused is tried again next time. Whether any route is awaited.
 */
static bool ask(struct fib *f, const struct fib_snapshot *now, const struct nlmsghdr **wanted, size_t n, uint8_t *asked,
		int64_t elapsed)
{
	bool awaited = false;

	for (size_t i = 0; i < n; i++) {
		const struct fib_link *l;
		struct fib_view v, other;

		if (fib_view(wanted[i], &v) < 0 || flags_of(f, wanted[i], &v))
			continue;
		l = asks_on(f, now, &v);
		if (!l)
			continue;
		awaited = true;
		if (asked[i] >= ARRAY_SIZE(ask_ms) || elapsed < ask_ms[asked[i]] || solicit(f, l) < 0)
			continue;
		for (size_t j = n; j-- > i;) {
			if (fib_view(wanted[j], &other) == 0 && other.ifindex == v.ifindex)
				asked[j] = asked[i] + 1;
		}
	}
	return awaited;
}

int64_t fib_ra_bring_back(struct fib *f, const struct fib_snapshot *before, const struct fib_snapshot *now,
			  const struct nlmsghdr **wanted, size_t n)
{
	_cleanup_free_ uint8_t *asked = calloc(n, 1);
	int64_t start = fib_now(), elapsed = 0;
	unsigned int pause_us = 100;
	struct fib_view v;

	if (!asked)
		return 0;
	for (;; elapsed = fib_now() - start) {
		if (read_lines(f) < 0 || elapsed >= WAIT_MS || !ask(f, now, wanted, n, asked, elapsed))
			break;
		if (f->idle)
			f->idle(f->idle_arg);
		usleep(pause_us);
		if (pause_us < 10000)
			pause_us += pause_us / 2;
	}
	for (size_t i = 0; i < n; i++) {
		if (fib_view(wanted[i], &v) == 0 && !flags_of(f, wanted[i], &v))
			add_by_ioctl(f, before, wanted[i], &v);
	}
	return elapsed;
}
