/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watch-ipv6.c - IPv6 switched off on the host. A common line in hooks (`sysctl -w
 * net.ipv6.conf.all.disable_ipv6=1', against leaks past a tunnel) takes all of a link's IPv6
 * addresses and routes, and refuses their return. Sysctls are not watched: that the addresses are gone shows it.
 */
#include <sys/socket.h>

#include "sysctl.h"
#include "watch-state.h"

/* Of a link, of "all" or of "default". */
static bool is_off(const struct watch *w, const char *link)
{
	char name[64], value[8];

	snprintf(name, sizeof(name), "ipv6/conf/%s/disable_ipv6", link);
	return sysctl_read(w->host_fd, name, value, sizeof(value)) == 0 && strcmp(value, "1") == 0;
}

static bool turn(const struct watch *w, const char *link, bool off)
{
	char name[64];

	snprintf(name, sizeof(name), "ipv6/conf/%s/disable_ipv6", link);
	return sysctl_write(w->host_fd, name, off ? "1" : "0") == 0;
}

void watch_remember_ipv6(struct watch *w)
{
	w->ipv6.all_on = !is_off(w, "all");
	w->ipv6.default_off = is_off(w, "default");
}

static void turn_off_as_before(void *arg, const struct fib_link *link)
{
	if (link->ipv6_off)
		(void)turn(arg, link->name, true);
}

void watch_enable_ipv6(struct watch *w, const struct fib_object *o)
{
	const struct fib_link *link = o->kind == FIB_ADDRESS && o->family == AF_INET6 && o->change == FIB_REMOVED ? fib_snapshot_link(w->before, o->ifindex) : NULL;
	_cleanup_buf_ struct buf line = { 0 };
	const char *which;

	if (!link)
		return;
	/* What is written for all links, each link and those to come have then (net/ipv6/addrconf.c, addrconf_disable_ipv6()). */
	if (w->ipv6.all_on && is_off(w, "all") && turn(w, "all", false)) {
		which = "all";
		if (w->ipv6.default_off)
			(void)turn(w, "default", true);
		fib_snapshot_links(w->before, turn_off_as_before, w);
	} else if (!link->ipv6_off && is_off(w, link->name) && turn(w, link->name, false)) {
		which = link->name;
	} else {
		return;
	}
	buf_fmt(&line, "guard: IPv6 was switched off on the host during `%s' (net.ipv6.conf.%s.disable_ipv6): switched on again", w->action, which);
	if (!line.failed)
		watch_tell(w, line.data);
}
