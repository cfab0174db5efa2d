/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolvers.h - what answers names over the file system, whatever the network
 * namespace of who asks: sockets of the host's resolvers, and the folders they
 * are in. One list for hooks, for `exec` and for services of systemd. All NULL-terminated.
 *
 * A socket is made anew when its daemon starts, and what is mounted over the old
 * one goes with it: where programs stay for long, folders are masked, not sockets.
 */
#pragma once

/* Sockets of systemd-resolved (nss-resolve), nscd, avahi-daemon (nss-mdns) and dnsmasq. */
extern const char *const resolver_sockets[];

/* The folders of those. */
extern const char *const resolver_dirs[];

/* Files that the C library goes by, beneath /etc. */
extern const char *const resolver_files[];

/* The system's D-Bus: resolved, avahi and NetworkManager listen there, too, but so does much else. */
#define SYSTEM_BUS_DIR "/run/dbus"
