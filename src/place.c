/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "place.h"

#include <limits.h>
#include <sys/stat.h>

#include "atomic.h"
#include "journal.h"

/* Of a namespace that tunnels are made in: files are named after it, somebody's saved resolv.conf (dns.c) the longest. */
#define TARGET_NAME_MAX (NAME_MAX - (sizeof(".resolv.conf" ATOMIC_TMP) - 1))

const char *place_target(const struct place *place)
{
	return place->name ? place->name : place->path ? place->path : "(unnamed)";
}

void place_free(struct place *place)
{
	close_fd(place->host_fd);
	close_fd(place->target_fd);
	close_fd(place->transport_fd);
	free(place->name);
	free(place->path);
	free(place->transport);
	*place = (struct place){ .host_fd = -1, .target_fd = -1, .transport_fd = -1 };
}

int place_open_transport(const char *transport, int *ret_fd)
{
	if (strcmp(transport, "self") == 0) {
		*ret_fd = -1;
		return 0;
	}
	return strcmp(transport, "host") == 0 ? ns_open_host(ret_fd) : ns_open(transport, ret_fd);
}

int place_open_transport_of(const struct journal *j, int *ret_fd)
{
	_cleanup_fd_ int fd = -1;
	ns_cookie cookie = 0;
	int r = place_open_transport(j->transport ? j->transport : "host", &fd);

	if (r == 0 && fd >= 0 && j->transport_cookie)
		r = ns_get_cookie(fd, &cookie);
	if (r == 0 && fd >= 0 && j->transport_cookie && cookie != j->transport_cookie)
		r = -ESTALE;
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

const char *place_resolver_name(const char *transport, const char *target_name)
{
	if (strcmp(transport, "self") == 0)
		return target_name;
	return strcmp(transport, "host") == 0 || strchr(transport, '/') ? NULL : transport;
}

static int duplicate(const char *text, char **ret_copy)
{
	*ret_copy = strdup(text);
	return *ret_copy ? 0 : -ENOMEM;
}

/* Anything but the empty file that a killed publication leaves. */
static bool is_somebodys_file(const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), NETNS_RUN_DIR "/%s", name);
	return lstat(path, &st) == 0 && (!S_ISREG(st.st_mode) || st.st_size != 0);
}

static int named_target(struct place *p, const char *netns, char *error)
{
	int r = ns_open(netns, &p->target_fd);

	if (strchr(netns, '/')) {
		if (r < 0) {
			snprintf(error, 512, "`%s' is not a network namespace: %s; expected a name or the path of one", netns, strerror(-r));
			return -EINVAL;
		}
		/* What later runs open must not depend on where, or who, this one is. */
		r = ns_find_name(p->target_fd, &p->name);
		if (r == 0)
			return duplicate(p->name, &p->path);
		if (r != -ENOENT) {
			snprintf(error, 512, "cannot look at the names in " NETNS_RUN_DIR ": %s", strerror(-r));
			return -EINVAL;
		}
		if (strncmp(netns, "/proc/", 6) != 0)
			p->path = realpath(netns, NULL);
		return 0;
	}
	if (!ns_name_valid(netns)) {
		snprintf(error, 512, "`%s' cannot be a namespace's name; expected one without blanks or slashes that does not begin with - or .", netns);
		return -EINVAL;
	}
	if (r == -EINVAL && is_somebodys_file(netns)) {
		snprintf(error, 512, "`" NETNS_RUN_DIR "/%s' is not a network namespace; expected one, or nothing", netns);
		return -EINVAL;
	}
	/* The empty file is taken over. */
	p->create = r == -ENOENT || r == -EINVAL;
	if (r < 0 && !p->create) {
		snprintf(error, 512, "cannot open namespace `%s': %s", netns, strerror(-r));
		return -EINVAL;
	}
	r = duplicate(netns, &p->name);
	return r < 0 ? r : duplicate(netns, &p->path);
}

static int find_target(struct place *p, const char *netns, const char *iface, char *error)
{
	_cleanup_fd_ int own = -1;
	int r;

	if (netns)
		return named_target(p, netns, error);
	r = ns_open_current(&own);
	if (r < 0) {
		snprintf(error, 512, "cannot open /proc/thread-self/ns/net: %s", strerror(-r));
		return -EINVAL;
	}
	if (ns_same(own, p->host_fd))
		return named_target(p, iface, error);
	p->target_fd = take_fd(&own);
	p->inside = true;
	r = ns_find_name(p->target_fd, &p->name);
	if (r == 0)
		return duplicate(p->name, &p->path);
	if (r == -ENOENT)
		return 0;
	snprintf(error, 512, "cannot look at the names in " NETNS_RUN_DIR ": %s", strerror(-r));
	return -EINVAL;
}

/* A path in words that mean the same to later runs, wherever, and whoever, these are. */
static int settle_transport(struct place *p, char *error)
{
	_cleanup_free_ char *typed = p->transport, *cwd = NULL;
	int r;

	p->transport = NULL;
	r = ns_find_name(p->transport_fd, &p->transport);
	if (r < 0 && r != -ENOENT)
		snprintf(error, 512, "cannot look at the names in " NETNS_RUN_DIR ": %s", strerror(-r));
	if (r != -ENOENT)
		return r;
	if (strncmp(typed, "/proc/self/", 11) == 0 || strncmp(typed, "/proc/thread-self/", 18) == 0) {
		if (p->target_fd >= 0 && ns_same(p->transport_fd, p->target_fd))
			return duplicate("self", &p->transport);
		snprintf(error, 512, "transport `%s' is another namespace for every program; expected host, self, a name, or a path that stays", typed);
		return -EINVAL;
	}
	if (*typed == '/')
		return duplicate(typed, &p->transport);
	cwd = getcwd(NULL, 0);
	return !cwd || asprintf(&p->transport, "%s/%s", cwd, typed) < 0 ? -ENOMEM : 0;
}

static int find_transport(struct place *p, const char *transport, char *error)
{
	int r;

	p->transport_set = transport != NULL;
	r = duplicate(transport ? transport : "host", &p->transport);
	if (r < 0)
		return r;
	r = place_open_transport(p->transport, &p->transport_fd);
	if (r < 0) {
		snprintf(error, 512, "transport `%s' is not a network namespace: %s; expected host, self, a name or a path", p->transport, strerror(-r));
		return -EINVAL;
	}
	return strchr(p->transport, '/') ? settle_transport(p, error) : 0;
}

int place_find(const struct settings *settings, const char *iface, struct place *ret_place, char ret_error[static 512])
{
	struct place p = { .host_fd = -1, .target_fd = -1, .transport_fd = -1 };
	int r;

	r = ns_open_host(&p.host_fd);
	if (r < 0) {
		snprintf(ret_error, 512, "cannot see the host's network namespace (/proc/1/ns/net): %s; name the namespaces with --netns and --transport", strerror(-r));
		if (!settings->netns || !settings->transport)
			return -EINVAL;
		/* What cannot be seen cannot be watched; the caller's own is the best there is. */
		r = ns_open_current(&p.host_fd);
		if (r < 0)
			return -EINVAL;
	}
	r = find_target(&p, settings->netns, iface, ret_error);
	if (r == 0 && p.target_fd >= 0 && ns_same(p.target_fd, p.host_fd)) {
		snprintf(ret_error, 512, "`%s' is the host's own network namespace: the tunnel would land there; expected another one", settings->netns ? settings->netns : "");
		r = -EINVAL;
	}
	if (r == 0 && p.name && strlen(p.name) > TARGET_NAME_MAX) {
		snprintf(ret_error, 512, "`%s' cannot be a namespace's name; expected one of up to %zu bytes", p.name, TARGET_NAME_MAX);
		r = -EINVAL;
	}
	if (r == 0)
		r = find_transport(&p, settings->transport, ret_error);
	if (r < 0) {
		if (r == -ENOMEM)
			snprintf(ret_error, 512, "out of memory");
		place_free(&p);
		return -EINVAL;
	}
	*ret_place = p;
	return 0;
}

int place_of_journal(const struct journal *j, int target_fd, struct place *ret_place)
{
	struct place p = { .host_fd = -1, .target_fd = dup_fd(target_fd), .transport_fd = -1, .transport_set = true };
	int r = p.target_fd < 0 ? -errno : 0;

	if (r == 0 && ns_open_host(&p.host_fd) < 0)
		r = ns_open_current(&p.host_fd);
	if (r == 0)
		r = duplicate(j->transport ? j->transport : "host", &p.transport);
	if (r == 0)
		r = place_open_transport_of(j, &p.transport_fd);
	if (r == 0 && j->ns_name)
		r = duplicate(j->ns_name, &p.name);
	if (r == 0 && j->ns_path)
		r = duplicate(j->ns_path, &p.path);
	if (r < 0)
		place_free(&p);
	else
		*ret_place = p;
	return r;
}
