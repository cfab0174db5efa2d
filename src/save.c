/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "save.h"

#include <limits.h>

#include "atomic.h"
#include "conffile.h"
#include "log.h"
#include "place.h"
#include "resolve.h"
#include "tunnel.h"

/* The kernel's and the TUN's own link-local addresses are nobody's configuration. */
static void drop_automatic(const struct conf *conf, struct prefix *addresses, size_t *n)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		bool automatic = addresses[i].family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&addresses[i].v6);

		for (size_t j = 0; j < conf->n_addresses && automatic; j++) {
			struct prefix item;

			if (parse_address(conf->addresses[j].text, &item) == 0 && prefix_equal(&item, &addresses[i]))
				automatic = false;
		}
		if (!automatic)
			addresses[kept++] = addresses[i];
	}
	*n = kept;
}

static void swap(struct prefix *a, struct prefix *b)
{
	struct prefix c = *a;

	*a = *b;
	*b = c;
}

/*
 * The file's own first, in its order: of equally good ones the kernel takes the
 * first or the last as source. Of IPv6 it lists the latest first: those that were
 * added by hand are turned round, to be added in the order in which they were.
 */
static void order_as_added(const struct conf *conf, struct prefix *addresses, size_t n)
{
	size_t done = 0, v6;

	for (size_t i = 0; i < conf->n_addresses; i++) {
		struct prefix item;

		if (parse_address(conf->addresses[i].text, &item) < 0)
			continue;
		for (size_t j = done; j < n; j++)
			if (prefix_equal(&item, &addresses[j])) {
				/* The rest keeps its order. */
				for (; j > done; j--)
					swap(&addresses[j], &addresses[j - 1]);
				done++;
				break;
			}
	}
	for (v6 = done; v6 < n && addresses[v6].family == AF_INET;)
		v6++;
	for (; n > v6 + 1; v6++, n--)
		swap(&addresses[v6], &addresses[n - 1]);
}

/* Host names are kept where they still lead to the address in use: so they are asked, once. */
static void resolve_file(const struct conf *conf, const struct journal *journal)
{
	const char *transport = journal->transport ? journal->transport : "host";
	struct resolve_place place = { .ns_fd = -1, .ns_name = place_resolver_name(transport, journal->ns_name), .once = true };
	struct conf_error ignored = { 0 };

	if (place_open_transport_of(journal, &place.ns_fd) < 0)
		return;
	(void)resolve_endpoints((struct wg_iface *)&conf->wg, &place, &ignored);
	close_fd(place.ns_fd);
}

void save_sweep(const char *iface, const char *config)
{
	char removed[PATH_MAX];

	if (atomic_sweep(config, removed))
		log_note("%s: removed what an interrupted save left: %s", iface, removed);
}

void save_sweep_folder(void)
{
	static const char tail[] = ".conf" ATOMIC_TMP;
	CLEANUP(cleanup_dir) DIR *dir = opendir(CONFIG_DIR);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name), end = strlen(tail);
		_cleanup_free_ char *iface = NULL, *config = NULL;
		_cleanup_fd_ int lock = -1;

		if (len <= end || strcmp(entry->d_name + len - end, tail) != 0)
			continue;
		iface = strndup(entry->d_name, len - end);
		if (iface && iface_name_valid(iface) && asprintf(&config, CONFIG_DIR "/%s.conf", iface) >= 0 && journal_lock(iface, 0, &lock) == 0)
			save_sweep(iface, config);
	}
}

int save_tunnel(const struct txn *txn)
{
	const struct conf *conf = txn->conf;
	const struct journal *journal = &txn->journal;
	_cleanup_free_ struct prefix *addresses = NULL;
	_cleanup_buf_ struct buf text = { 0 };
	struct wg_iface live = { 0 };
	struct conf_live what = { .wg = &live, .auto_fwmark = journal->auto_fwmark, .auto_listen_port = journal->auto_listen_port };
	struct rt_link link;
	int r;

	/* By index: somebody may have renamed it, or given another link its name. */
	r = tunnel_wg_read(txn, &live);
	if (r == 0)
		r = rt_link_get(txn->target, NULL, journal->ifindex, &link);
	if (r == 0)
		r = rt_addresses(txn->target, link.ifindex, &addresses, &what.n_addresses);
	if (r < 0) {
		log_error("%s: Unable to access interface: %s", conf->iface, strerror(-r));
		wg_iface_free(&live);
		return 1;
	}
	drop_automatic(conf, addresses, &what.n_addresses);
	order_as_added(conf, addresses, what.n_addresses);
	what.addresses = addresses;
	what.mtu = link.mtu;
	resolve_file(conf, journal);
	r = conf_write(conf, &what, &text);
	wg_iface_free(&live);
	if (r == 0)
		r = atomic_replace(conf->path, &text, 0600, ATOMIC_DURABLE);
	if (r < 0) {
		log_error("Could not write configuration file: %s: %s", conf->path, strerror(-r));
		return 1;
	}
	return 0;
}
