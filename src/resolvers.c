/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolvers.h"

#include <stddef.h>

const char *const resolver_sockets[] = {
	"/run/systemd/resolve/io.systemd.Resolve",
	"/run/systemd/resolve/io.systemd.Resolve.Monitor",
	"/run/nscd/socket",
	"/run/avahi-daemon/socket",
	"/run/dnsmasq/dnsmasq.sock",
	NULL,
};

const char *const resolver_dirs[] = {
	"/run/systemd/resolve",
	"/run/nscd",
	"/run/avahi-daemon",
	"/run/dnsmasq",
	NULL,
};

const char *const resolver_files[] = { "resolv.conf", "nsswitch.conf", NULL };
