/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "verify.h"

#define PAYLOAD 64
/* WireGuard's message that carries data (its paper, 5.4.6): the type is the first byte. */
#define MESSAGE_DATA 4
#define DATA_OVERHEAD 32
/* How long to listen in all, and once the probe was seen, in milliseconds. */
#define PATIENCE 5000
#define AFTERWARDS 300

static int open_tap(void *arg)
{
	int *ret_fd = arg, size = 16 << 20;
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	*ret_fd = fd;
	return 0;
}

struct shot {
	bool sent;
	union endpoint_addr to;
	uint8_t payload[PAYLOAD];
	size_t inner; /* bytes of the packet in the tunnel, padded */
};

static int shoot(void *arg)
{
	const struct shot *shot = arg;
	bool v6 = shot->to.sa.sa_family == AF_INET6;
	_cleanup_fd_ int fd = socket(shot->to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int hops = 1;

	if (fd < 0 || setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_UNICAST_HOPS : IP_TTL, &hops, sizeof(hops)) < 0)
		return -errno;
	if (sendto(fd, shot->payload, sizeof(shot->payload), MSG_NOSIGNAL, &shot->to.sa, v6 ? sizeof(shot->to.v6) : sizeof(shot->to.v4)) < 0)
		return -errno;
	return 0;
}

static void set_address(const struct prefix *prefix, struct shot *shot)
{
	static const char *const nobody[] = { "198.51.100.254", "100::1" };
	struct prefix address = *prefix;
	bool v6 = prefix->family == AF_INET6;

	shot->to = (union endpoint_addr){ .sa.sa_family = (sa_family_t)prefix->family };
	if (prefix_is_default(prefix)) {
		/* Documentation's (RFC 5737), and the discard prefix (RFC 6666). */
		inet_pton(prefix->family, nobody[v6], address.bytes);
	} else if (prefix->len < (v6 ? 128 : 32)) {
		prefix_mask(&address);
		address.bytes[v6 ? 15 : 3] |= 1;
	}
	if (v6) {
		shot->to.v6.sin6_addr = address.v6;
		shot->to.v6.sin6_port = htons(9);
	} else {
		shot->to.v4.sin_addr = address.v4;
		shot->to.v4.sin_port = htons(9);
	}
}

/* An address that the tunnel takes; false: there is none. */
static bool aim(const struct probe *probe, struct rt *target, int family, struct shot *shot)
{
	for (size_t i = 0; i < probe->wg->n_peers; i++)
		for (size_t j = 0; j < probe->wg->peers[i].n_allowed_ips; j++) {
			const struct prefix *prefix = &probe->wg->peers[i].allowed_ips[j].prefix;
			struct rt_way way;

			if (prefix->family != family || probe->wg->peers[i].endpoint.sa.sa_family == AF_UNSPEC)
				continue;
			set_address(prefix, shot);
			if (rt_way_towards(target, &shot->to, &way) == 0 && way.oif == probe->ifindex)
				return true;
		}
	return false;
}

/* The UDP datagram in an IP packet: false when it is none, or a later fragment. */
static bool find_udp(const uint8_t *packet, size_t len, const uint8_t **ret_udp, size_t *ret_len)
{
	size_t header;

	if (len < sizeof(struct iphdr))
		return false;
	if (packet[0] >> 4 == 4) {
		const struct iphdr *ip = (const void *)packet;

		header = ip->ihl * 4U;
		if (ip->protocol != IPPROTO_UDP || ntohs(ip->frag_off) & IP_OFFMASK)
			return false;
	} else {
		const struct ip6_hdr *ip = (const void *)packet;

		header = sizeof(*ip);
		if (len < header || ip->ip6_nxt != IPPROTO_UDP)
			return false;
	}
	if (len < header + sizeof(struct udphdr))
		return false;
	*ret_udp = packet + header;
	*ret_len = len - header;
	return true;
}

static bool goes_to(const uint8_t *packet, size_t len, const union endpoint_addr *to)
{
	if (to->sa.sa_family == AF_INET)
		return len >= sizeof(struct iphdr) && packet[0] >> 4 == 4 && memcmp(packet + 16, &to->v4.sin_addr, 4) == 0;
	return len >= sizeof(struct ip6_hdr) && packet[0] >> 4 == 6 && memcmp(packet + 24, &to->v6.sin6_addr, 16) == 0;
}

static bool is_endpoint(const struct wg_iface *wg, const uint8_t *packet, size_t len, const struct udphdr *udp)
{
	for (size_t i = 0; i < wg->n_peers; i++) {
		const union endpoint_addr *ep = &wg->peers[i].endpoint;
		uint16_t port = ep->sa.sa_family == AF_INET6 ? ep->v6.sin6_port : ep->v4.sin_port;

		if (ep->sa.sa_family != AF_UNSPEC && udp->dest == port && goes_to(packet, len, ep))
			return true;
	}
	return false;
}

static void look(const struct probe *probe, const struct shot *shot, const uint8_t *packet, size_t len, struct probe_result *result)
{
	const uint8_t *udp;
	size_t n;

	if (goes_to(packet, len, &shot->to) || memmem(packet, len, shot->payload, sizeof(shot->payload))) {
		result->bare++;
		return;
	}
	if (!find_udp(packet, len, &udp, &n) || ((const struct udphdr *)udp)->source != htons(probe->listen_port) ||
	    !is_endpoint(probe->wg, packet, len, (const void *)udp))
		return;
	n -= sizeof(struct udphdr);
	udp += sizeof(struct udphdr);
	/* Of the probe's size: other programs may send meanwhile. */
	if (n == shot->inner + DATA_OVERHEAD && udp[0] == MESSAGE_DATA)
		result->wrapped++;
}

/* Until all that were sent have been seen, and a little longer. */
static void listen_to_all(const struct probe *probe, const struct shot shots[2], int tap, struct probe_result results[2])
{
	static uint8_t packet[65536];
	bool one = ns_same(probe->transport_fd, probe->target_fd), all = false;
	int64_t end = now_ms() + PATIENCE;

	for (int64_t left = PATIENCE; left > 0; left = end - now_ms()) {
		struct pollfd poll_fd = { .fd = tap, .events = POLLIN };
		struct sockaddr_ll from;
		socklen_t size = sizeof(from);
		ssize_t n;

		if (poll(&poll_fd, 1, (int)left) < 0 && errno != EINTR)
			break;
		n = recvfrom(tap, packet, sizeof(packet), MSG_DONTWAIT, (struct sockaddr *)&from, &size);
		if (n <= 0 || (one && (unsigned int)from.sll_ifindex == probe->ifindex))
			continue;
		for (size_t i = 0; i < 2; i++)
			if (shots[i].sent)
				look(probe, &shots[i], packet, (size_t)n, &results[i]);
		if (!all && (!shots[0].sent || results[0].wrapped) && (!shots[1].sent || results[1].wrapped)) {
			all = true;
			end = now_ms() + AFTERWARDS;
		}
	}
}

static int prepare(const struct probe *probe, struct rt *target, int family, struct shot *shot, struct probe_result *result)
{
	size_t headers = (family == AF_INET6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr)) + sizeof(struct udphdr);

	if (!aim(probe, target, family, shot))
		return 0;
	if (getrandom(shot->payload, sizeof(shot->payload), 0) != sizeof(shot->payload))
		return -EIO;
	/* WireGuard pads to 16 bytes: those of the two families differ. */
	shot->inner = (headers + PAYLOAD + 15) / 16 * 16;
	inet_ntop(family, family == AF_INET6 ? (const void *)&shot->to.v6.sin6_addr : &shot->to.v4.sin_addr, result->to, sizeof(result->to));
	result->error = ns_call(probe->target_fd, shoot, shot);
	shot->sent = result->error == 0;
	return 0;
}

int probe_run(const struct probe *probe, struct rt *target, struct probe_result ret_results[static 2])
{
	struct probe_result results[2] = { 0 };
	struct tpacket_stats stats = { 0 };
	socklen_t size = sizeof(stats);
	_cleanup_fd_ int tap = -1;
	struct shot shots[2] = { 0 };
	int r = ns_call(probe->transport_fd, open_tap, &tap);

	if (r == 0)
		r = prepare(probe, target, AF_INET, &shots[0], &results[0]);
	if (r == 0)
		r = prepare(probe, target, AF_INET6, &shots[1], &results[1]);
	if (r < 0)
		return r;
	if (shots[0].sent || shots[1].sent)
		listen_to_all(probe, shots, tap, results);
	if (getsockopt(tap, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0)
		results[0].lost = results[1].lost = stats.tp_drops;
	memcpy(ret_results, results, sizeof(results));
	return 0;
}
