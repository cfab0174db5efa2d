/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "marks.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "fib-msg.h"

struct look {
	bool has_generation;
	uint32_t generation;
	uint64_t netconf[2]; /* IPv4, IPv6: the sum of the answers' hashes */
};

struct marks {
	int nft;  /* -1: this kernel has no nftables */
	int route;
	struct look first;
};

static int open_netlink(int protocol)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		fd = close_fd(fd);
	return fd;
}

static void look_at_generation(int fd, struct look *look)
{
	struct {
		struct nlmsghdr h;
		struct nfgenmsg g;
	} request = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg)),
			     .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
			     .nlmsg_flags = NLM_F_REQUEST,
			     .nlmsg_seq = 1 } };
	_Alignas(8) unsigned char buf[8192];
	const struct nlmsghdr *m = (const struct nlmsghdr *)buf;
	ssize_t n;

	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
		return;
	n = recv(fd, buf, sizeof(buf), 0);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct nfgenmsg)) || m->nlmsg_len > (size_t)n || m->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN))
		return;
	FOR_EACH_ATTR (a, msg_attrs(m, sizeof(struct nfgenmsg)), msg_attrs_len(m, sizeof(struct nfgenmsg))) {
		if ((a->rta_type & NLA_TYPE_MASK) == NFTA_GEN_ID) {
			look->generation = attr_u32(a);
			look->has_generation = true;
		}
	}
}

/* What the tunnel's own TUN had on its way through is gone with it; all that stays is compared. */
static void look_at_netconf(int fd, int family, uint64_t *ret_sum)
{
	struct {
		struct nlmsghdr h;
		struct netconfmsg c;
	} request = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct netconfmsg)),
			     .nlmsg_type = RTM_GETNETCONF,
			     .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			     .nlmsg_seq = 1 },
		      .c = { .ncm_family = (unsigned char)family } };
	_Alignas(8) unsigned char buf[65536];
	uint64_t sum = 0;
	bool done = send(fd, &request, request.h.nlmsg_len, 0) < 0;

	while (!done) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		done = n <= 0;
		for (const struct nlmsghdr *m = (const struct nlmsghdr *)buf; n >= (ssize_t)sizeof(*m) && m->nlmsg_len >= sizeof(*m) && m->nlmsg_len <= (size_t)n;) {
			size_t step = NLMSG_ALIGN(m->nlmsg_len);

			if (m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR)
				done = true;
			else if (m->nlmsg_type == RTM_NEWNETCONF)
				sum += fib_hash(NLMSG_DATA(m), m->nlmsg_len - NLMSG_HDRLEN);
			if (step >= (size_t)n)
				break;
			n -= (ssize_t)step;
			m = (const struct nlmsghdr *)((const char *)m + step);
		}
	}
	*ret_sum = sum;
}

static void look(struct marks *m, struct look *ret_look)
{
	struct look now = { 0 };

	look_at_generation(m->nft, &now);
	look_at_netconf(m->route, AF_INET, &now.netconf[0]);
	look_at_netconf(m->route, AF_INET6, &now.netconf[1]);
	*ret_look = now;
}

int marks_open(struct marks **ret_marks)
{
	struct marks *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	fib_hash_init();
	m->nft = open_netlink(NETLINK_NETFILTER);
	m->route = open_netlink(NETLINK_ROUTE);
	if (m->route < 0) {
		int r = -errno;

		marks_close(m);
		return r;
	}
	look(m, &m->first);
	*ret_marks = m;
	return 0;
}

void marks_close(struct marks *m)
{
	if (!m)
		return;
	close_fd(m->nft);
	close_fd(m->route);
	free(m);
}

int marks_compare(struct marks *m, void (*report)(void *arg, const char *text), void *arg)
{
	static const char *const names[] = { "settings of links for IPv4 (net.ipv4.conf)", "settings of links for IPv6 (net.ipv6.conf)" };
	struct look now;
	int changed = 0;

	look(m, &now);
	/* Without nftables at the first look, to have it now is a change. */
	if (now.has_generation && (!m->first.has_generation || now.generation != m->first.generation)) {
		report(arg, "the packet filter's rules (nftables)");
		changed++;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (now.netconf[i] != m->first.netconf[i]) {
			report(arg, names[i]);
			changed++;
		}
	return changed;
}
