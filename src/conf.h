/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf.h - the .conf file: text to struct conf and back. Pure.
 *
 * A wg-quick file is read by two parsers that differ in small ways (spec B):
 * wg-quick takes its own keys out of [Interface] ("quick" below), and wg(8)
 * parses the lines that are left ("wg" below). Both are honoured, with the
 * line numbers of the file.
 */
#pragma once

#include <net/if.h>
#include <stdint.h>
#include <time.h>

#include "addr.h"
#include "key.h"
#include "util.h"

enum allowed_op {
	ALLOWED_ADD = 0, /* plain: part of a list that replaces the peer's allowed IPs */
	ALLOWED_PLUS,	 /* "+": added to what the peer has */
	ALLOWED_MINUS,	 /* "-": removed from what the peer has */
};

struct allowed_ip {
	struct prefix prefix;
	enum allowed_op op;
};

struct endpoint;

struct peer {
	unsigned int line; /* of its [Peer] */
	struct key public_key;
	struct key preshared_key;
	bool has_public_key;
	bool has_preshared_key;
	bool has_keepalive;
	bool has_allowed_ips; /* such a line stands there, right or wrong */
	bool replace_allowed_ips;
	bool remove; /* only when a device is changed: the peer goes */
	bool update_only; /* likewise: one that is gone stays gone; wireguard.c cannot say so to the kernel's */
	bool keeps_endpoint; /* only in what a device is to have: where the peer is there, its endpoint stays what it is by then */
	uint16_t keepalive; /* seconds, 0: off */
	struct allowed_ip *allowed_ips;
	size_t n_allowed_ips;
	/* Every Endpoint line in order; wg resolves all of them and uses the last. */
	struct endpoint *endpoints;
	size_t n_endpoints;
	union endpoint_addr endpoint; /* the resolved last one, or what the device has */
	/* Only when read from a device. */
	int64_t last_handshake; /* seconds since the epoch, 0: never */
	uint64_t rx_bytes, tx_bytes;
};

struct endpoint {
	unsigned int line;
	char *text; /* as in the file, blanks squeezed out: `host:port` */
	char *host; /* without brackets */
	char *port; /* a number or a service's name */
	bool known; /* a reload has no need to resolve it: the text is as it was */
	bool resolved; /* nor this one: it was, before the lock was given back */
};

/* What wg(8) configures: the same for a file and for a device that was read. */
struct wg_iface {
	bool has_private_key;
	bool has_listen_port;
	bool has_fwmark;
	struct key private_key;
	struct key public_key; /* only when read from a device */
	uint16_t listen_port;
	uint32_t fwmark;
	struct peer *peers;
	size_t n_peers;
};

enum hook_kind { HOOK_PRE_UP, HOOK_POST_UP, HOOK_PRE_DOWN, HOOK_POST_DOWN, HOOK_KINDS };

struct hook {
	enum hook_kind kind;
	unsigned int line;
	char *text; /* before %i is replaced */
};

/* One item of an Address, DNS or MTU line. */
struct item {
	unsigned int line;
	char *text;
};

enum conf_table { TABLE_AUTO, TABLE_OFF, TABLE_NAMED };

struct conf {
	char *path; /* canonical, for messages; may be NULL */
	const char *writers; /* NULL: only root may write the file; else how somebody else could, for messages */
	char iface[IFNAMSIZ];
	struct conf_read {
		uint64_t dev, ino, size;
		struct timespec changed;
	} read; /* which state of the file it is */

	/* quick: [Interface] keys that wg-quick takes out */
	struct item *addresses;
	size_t n_addresses;
	struct item *dns; /* as in the file, in order: servers and search domains */
	size_t n_dns;
	struct item mtu; /* text NULL or empty: automatic */
	struct item table_text;
	enum conf_table table;
	struct hook *hooks; /* in file order */
	size_t n_hooks;
	bool save_config;

	struct buf stripped; /* what `strip` prints, without the final extra newline */

	/* wg: filled by conf_parse_wg() */
	struct wg_iface wg;

	/* Where the lines of `stripped` stand in the file. */
	unsigned int *stripped_lines;
	size_t n_stripped_lines;
};

/* To be zeroed by the caller. */
struct conf_error {
	unsigned int line; /* 0: the file as a whole */
	char text[512];	   /* one line: what was wrong, what was expected; never a key */
	/*
	 * Set by who wants all errors and not the first alone: called for each
	 * (line and text are its), and parsing goes on; it still ends with -EINVAL.
	 */
	void (*each)(const struct conf_error *error, void *arg);
	void *arg;
};

/*
 * The first half, wg-quick's: sections, its own keys, and the rest into
 * conf->stripped. It does not look at wg's keys, as `strip` does not.
 * The only thing that can be wrong is SaveConfig (-EINVAL, *ret_error set), or
 * memory (-ENOMEM). On failure the caller still frees with conf_free().
 */
int conf_parse_quick(struct conf *conf, const char *text, size_t len, struct conf_error *ret_error);

/*
 * The second half, wg's: conf->stripped into conf->wg. Endpoints are split into
 * host and port but not resolved. -EINVAL with *ret_error, -ENOMEM.
 * Every AllowedIPs item with host bits is reported through `warn` (may be NULL), with the line.
 */
int conf_parse_wg(struct conf *conf, void (*warn)(unsigned int line, const char *text), struct conf_error *ret_error);

void wg_iface_forget_keys(struct wg_iface *wg);
/* Wipes the keys, and the text that they were read from, once nobody needs them any more; what else it says stays. */
void conf_forget_keys(struct conf *conf);
void conf_free(struct conf *conf);
void wg_iface_free(struct wg_iface *wg);
/* A new zeroed peer at the end; NULL when memory is out. Earlier pointers into wg->peers end here. */
struct peer *wg_iface_add_peer(struct wg_iface *wg);

/* Whether a DNS item is a server for wg-quick (`^[0-9.]+$` or a colon in it); else it is a search domain. */
bool dns_item_is_server(const char *text);

/* ^[a-zA-Z0-9_=+.-]{1,15}$ */
bool iface_name_valid(const char *name);

/* The hook's text with every %i replaced. NULL when memory is out; the caller frees. */
char *hook_expand(const struct hook *hook, const char *iface);

extern const char *const hook_names[HOOK_KINDS]; /* "PreUp"… */

/* What `save` writes: the live tunnel in the file's form. */
struct conf_live {
	const struct wg_iface *wg;
	const struct prefix *addresses; /* IPv4 first */
	size_t n_addresses;
	unsigned int mtu;
	uint32_t auto_fwmark;	  /* set by us, not by the user: not written */
	uint16_t auto_listen_port; /* chosen by the kernel: not written */
};

/*
 * The text that `save` writes (spec D.2), without its defects (spec L): hooks
 * verbatim, search domains kept, host names kept where they were the source
 * of the address in use (the conf's peers must be resolved for that). -ENOMEM.
 */
int conf_write(const struct conf *conf, const struct conf_live *live, struct buf *ret_text);
