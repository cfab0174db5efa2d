/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolve.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include "conf-error.h"
#include "log.h"
#include "room.h"

/* What a child found out about one endpoint. */
struct answer {
	int error; /* -EINVAL: `reason` says why */
	union endpoint_addr addr;
	char reason[160];
};

/* N, "infinity" or -EINVAL. Looked at only when there is an endpoint, as in wg. */
static int retries(unsigned int *ret_retries)
{
	const char *text = getenv("WG_ENDPOINT_RESOLUTION_RETRIES");
	unsigned long n;
	char *end;

	if (!text) {
		*ret_retries = 15;
		return 0;
	}
	if (strcmp(text, "infinity") == 0) {
		*ret_retries = UINT_MAX;
		return 0;
	}
	n = strtoul(text, &end, 10);
	if (*end || n > INT_MAX)
		return -EINVAL;
	*ret_retries = (unsigned int)n;
	return 0;
}

/* EAI_NODATA is a GNU name; it and these two say that asking again is no use. */
static bool permanent(int error)
{
	return error == EAI_NONAME || error == EAI_FAIL || error == EAI_NODATA;
}

static int take_addr(const struct addrinfo *found, union endpoint_addr *ret_addr)
{
	union endpoint_addr addr = { 0 };

	if (found->ai_family == AF_INET && found->ai_addrlen == sizeof(addr.v4))
		memcpy(&addr.v4, found->ai_addr, sizeof(addr.v4));
	else if (found->ai_family == AF_INET6 && found->ai_addrlen == sizeof(addr.v6))
		memcpy(&addr.v6, found->ai_addr, sizeof(addr.v6));
	else
		return -EINVAL;
	*ret_addr = addr;
	return 0;
}

/* Of several addresses of a name any one is right: the one in use stays. */
static bool among(const struct addrinfo *found, const union endpoint_addr *addr)
{
	union endpoint_addr one;

	for (; found && addr->sa.sa_family != AF_UNSPEC; found = found->ai_next)
		if (take_addr(found, &one) == 0 && endpoint_equal(&one, addr))
			return true;
	return false;
}

/* With answer->addr set, that one is kept if the name still leads to it. */
static void look_up(const struct endpoint *ep, unsigned int max_retries, struct answer *answer)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_protocol = IPPROTO_UDP };
	unsigned int wait_us = RESOLVE_FIRST_WAIT;
	char quoted[QUOTED_LEN];

	for (unsigned int tries = 0;; tries++) {
		struct addrinfo *found = NULL;
		int r = getaddrinfo(ep->host, ep->port, &hints, &found);
		const char *reason;

		if (r == 0) {
			if (!among(found, &answer->addr))
				answer->error = take_addr(found, &answer->addr);
			freeaddrinfo(found);
			return;
		}
		reason = r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r);
		if (permanent(r) || tries >= max_retries) {
			answer->error = -EINVAL;
			snprintf(answer->reason, sizeof(answer->reason), "%s", reason);
			return;
		}
		fprintf(stderr, "%s: `%s'. Trying again in %.2f seconds...\n", reason, conf_quote(ep->text, quoted), wait_us / 1000000.0);
		nanosleep(&(struct timespec){ .tv_sec = wait_us / 1000000, .tv_nsec = (long)(wait_us % 1000000) * 1000 }, NULL);
		wait_us = resolve_next_wait(wait_us);
	}
}

/* A literal address needs no lookup, no place and no process. */
static bool literal(const struct endpoint *ep, union endpoint_addr *ret_addr)
{
	union endpoint_addr addr = { 0 };
	uint64_t port;

	if (parse_u64(ep->port, UINT16_MAX, &port) < 0)
		return false;
	if (inet_pton(AF_INET, ep->host, &addr.v4.sin_addr) == 1) {
		addr.v4.sin_family = AF_INET;
		addr.v4.sin_port = htons((uint16_t)port);
	} else if (inet_pton(AF_INET6, ep->host, &addr.v6.sin6_addr) == 1) {
		addr.v6.sin6_family = AF_INET6;
		addr.v6.sin6_port = htons((uint16_t)port);
	} else {
		return false;
	}
	*ret_addr = addr;
	return true;
}

bool resolve_is_literal(const struct endpoint *ep)
{
	union endpoint_addr addr;

	return literal(ep, &addr);
}

/* What is left until then, for poll(2). For ever if `until_ms` is 0. */
static int left_ms(int64_t until_ms)
{
	int64_t left = until_ms - now_ms();

	return until_ms == 0 ? -1 : left < 0 ? 0 : (int)left;
}

static int look_up_there(const struct endpoint *ep, unsigned int max_retries, int64_t until_ms, const struct resolve_place *place, struct answer *answer)
{
	struct pollfd answered = { .events = POLLIN };
	int ends[2], status, r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	/* A child: getaddrinfo(3) has no limit in time, and mount namespaces are entered for good. */
	pid = fork();
	if (pid == 0) {
		close_fd(ends[0]);
		/* Retries may go on for ever: not longer than who waits for them. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		r = room_enter_resolver(place->ns_fd, place->ns_name);
		if (r < 0) {
			answer->error = -EINVAL;
			snprintf(answer->reason, sizeof(answer->reason), "cannot enter the transport namespace: %s", strerror(-r));
		} else {
			look_up(ep, max_retries, answer);
		}
		_exit(write_all(ends[1], answer, sizeof(*answer)) < 0);
	}
	r = pid < 0 ? -errno : 0;
	close_fd(ends[1]);
	answered.fd = ends[0];
	while (r == 0 && poll(&answered, 1, left_ms(until_ms)) <= 0)
		if (until_ms && left_ms(until_ms) == 0)
			r = -ETIMEDOUT;
	if (r == 0 && read(ends[0], answer, sizeof(*answer)) != sizeof(*answer))
		r = -ECHILD;
	if (r == -ETIMEDOUT)
		kill(pid, SIGKILL);
	close_fd(ends[0]);
	if (pid > 0)
		(void)wait_child(pid, &status);
	return r;
}

/* Who asks once goes on without an answer. */
static void go_without(struct peer *peer, const struct endpoint *ep, const char *reason, const struct resolve_place *place)
{
	char quoted[QUOTED_LEN];

	if (!place->keep)
		memset(&peer->endpoint, 0, sizeof(peer->endpoint));
	if (!place->failed)
		return;
	log_error("%s: `%s'; the endpoint stays", reason, conf_quote(ep->text, quoted));
	++*place->failed;
}

static int resolve_endpoint(struct peer *peer, const struct endpoint *ep, int64_t until_ms, const struct resolve_place *place, struct conf_error *ret_error)
{
	struct answer answer = { 0 };
	unsigned int max_retries = 0;
	char quoted[QUOTED_LEN];
	int r;

	if (!place->once && retries(&max_retries) < 0)
		return conf_fail(ret_error, ep->line, "Unable to parse WG_ENDPOINT_RESOLUTION_RETRIES: `%s'; expected a number or infinity",
				 conf_quote(getenv("WG_ENDPOINT_RESOLUTION_RETRIES"), quoted));
	if (ep->known || literal(ep, &peer->endpoint))
		return 0;
	if (place->keep)
		answer.addr = peer->endpoint;
	r = look_up_there(ep, max_retries, until_ms, place, &answer);
	if (place->once && (r < 0 || answer.error)) {
		go_without(peer, ep, r < 0 ? strerror(-r) : answer.reason, place);
		return 0;
	}
	if (r < 0)
		return r;
	if (answer.error)
		return conf_fail(ret_error, ep->line, "%s: `%s'; expected an endpoint that resolves in the transport namespace", answer.reason, conf_quote(ep->text, quoted));
	peer->endpoint = answer.addr;
	return 0;
}

int resolve_endpoints(struct wg_iface *wg, const struct resolve_place *place, struct conf_error *ret_error)
{
	int64_t until_ms = place->once ? now_ms() + RESOLVE_ONCE_MS : 0;
	int r = 0;

	for (size_t i = 0; i < wg->n_peers && r == 0; i++)
		for (size_t j = 0; j < wg->peers[i].n_endpoints && r == 0; j++)
			r = resolve_endpoint(&wg->peers[i], &wg->peers[i].endpoints[j], until_ms, place, ret_error);
	return r;
}
