/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-confine.c - confine and release: drop-ins that put services of systemd into a tunnel's namespace. */
#include <limits.h>

#include "atomic.h"
#include "cmd.h"
#include "conf.h"
#include "log.h"
#include "ns.h"
#include "out.h"
#include "unit.h"

#define SYSTEM_DIR "/etc/systemd/system"

/* ---- what is refused ---- */

static bool in_list(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, list[i]) == 0)
			return true;
	return false;
}

/* A unit that comes before what the tunnel comes after. NULL: there is none such. */
static const char *before_network(const struct unit *unit)
{
	static const char *const early[] = { "network-pre.target", "network.target", "network-online.target", "nss-lookup.target", "basic.target", "sysinit.target" };

	for (size_t i = 0; i < unit->before.n; i++)
		if (in_list(unit->before.v[i], early, ARRAY_SIZE(early)))
			return unit->before.v[i];
	return NULL;
}

static bool is_type(const char *name, const char *type)
{
	const char *dot = strrchr(name, '.');

	return dot && strcmp(dot, type) == 0;
}

/* By the name alone. */
static int check_name(const char *name)
{
	if (!is_type(name, ".service")) {
		log_error("%s: only services can be confined; expected the .service that it stands for", name);
		return 1;
	}
	if (strstr(name, "@.service")) {
		log_error("%s: it is a template, of which systemd cannot say what it does; expected an instance, such as %.*sNAME.service", name,
			  (int)(strlen(name) - strlen(".service")), name);
		return 1;
	}
	if (strncmp(name, "wg-nsquick", 10) == 0 || strncmp(name, "wg-quick", 8) == 0) {
		log_error("%s: tunnels are not confined to tunnels; for a tunnel through another, expected `transport = INTERFACE' in its settings", name);
		return 1;
	}
	return 0;
}

/* 0, or 1, told. What --force overrides comes last. */
static int check_unit(const char *name, const struct unit *unit, const char *netns_path, bool force)
{
	static const char *const logins[] = { "ssh.service", "sshd.service", "dropbear.service", "telnetd.service", "cockpit.service" };

	if (!unit->found) {
		log_error("%s: systemd has no such unit, or it is masked; expected the name of one that `systemctl cat' shows", name);
		return 1;
	}
	if (before_network(unit)) {
		log_error("%s: it comes before %s, and the tunnel after that: neither could start first", name, before_network(unit));
		return 1;
	}
	if (unit->netns && strcmp(unit->netns, netns_path) != 0 && !force) {
		log_error("%s: it is in namespace %s already; expected `%s release %s' or its own NetworkNamespacePath= taken out first (--force: the new one counts)",
			  name, unit->netns, log_program(), name);
		return 1;
	}
	if (force)
		return 0;
	if (in_list(name, logins, ARRAY_SIZE(logins))) {
		log_error("%s: through it one gets into this machine, and no longer would; expected another service (--force does it all the same)", name);
		return 1;
	}
	if (unit->private_network) {
		log_error("%s: PrivateNetwork=yes keeps it off every network, and it would get the tunnel's; expected one without (--force lifts it)", name);
		return 1;
	}
	if (unit->joins.n) {
		log_error("%s: JoinsNamespaceOf=%s puts it into that unit's namespaces, and one network namespace is all that a service can have; expected that "
			  "unit to be confined, too, and the line taken out (--force does this one all the same)",
			  name, unit->joins.v[0]);
		return 1;
	}
	if (unit->sockets.n) {
		log_error("%s: its port is opened by %s, on this machine and before the tunnel is there; expected the service to open it itself, the .socket "
			  "disabled (--force: only what it opens itself is confined)",
			  name, unit->sockets.v[0]);
		return 1;
	}
	return 0;
}

/* ---- files ---- */

static int dropin_paths(const char *name, char ret_dir[static PATH_MAX], char ret_file[static PATH_MAX])
{
	int n = snprintf(ret_dir, PATH_MAX, SYSTEM_DIR "/%s.d", name);

	if (n < 0 || n >= PATH_MAX)
		return -ENAMETOOLONG;
	n = snprintf(ret_file, PATH_MAX, "%s/" UNIT_DROPIN, ret_dir);
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int write_dropin(const char *name, const struct buf *text)
{
	char dir[PATH_MAX], file[PATH_MAX];
	int r = dropin_paths(name, dir, file);

	if (r == 0)
		r = make_dir(SYSTEM_DIR, 0755);
	if (r == 0)
		r = make_dir(dir, 0755);
	if (r < 0)
		return r;
	r = atomic_replace(file, text, 0644, ATOMIC_DURABLE);
	/* Not empty: it has other drop-ins. */
	if (r < 0)
		(void)rmdir(dir);
	return r;
}

static bool ours(const char *file)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	return read_file(file, 65536, &text, &len) == 0 && strncmp(text, UNIT_HEADER, strlen(UNIT_HEADER)) == 0;
}

/* `n`: how many drop-ins came or went. */
static int reload_manager(unsigned int n)
{
	int r = n ? unit_manager_reload() : 0;

	if (r < 0)
		log_error("systemd cannot be told of it: %s; expected `systemctl daemon-reload' to work", strerror(-r));
	return r < 0 ? 1 : 0;
}

/* ---- the commands ---- */

static int full_name(const char *text, char **ret_name)
{
	int r = unit_full_name(text, ret_name);

	if (r < 0)
		log_error("`%s' is not the name of a unit; expected one such as web.service", text);
	return r;
}

static int look_at(const char *name, struct unit *ret_unit)
{
	int r = unit_load(name, ret_unit);

	if (r == -EOPNOTSUPP)
		log_error("confine was left out of this build (--without-systemd)");
	else if (r < 0)
		log_error("%s: systemd does not answer: %s; expected it to be running", name, strerror(-r));
	return r;
}

static int confine_one(const struct options *options, struct unit_confinement c, const char *text)
{
	_cleanup_buf_ struct buf dropin = { 0 };
	_cleanup_free_ char *name = NULL;
	_cleanup_unit_ struct unit unit = { 0 };
	char path[PATH_MAX], dir[PATH_MAX], file[PATH_MAX];
	int r;

	if (full_name(text, &name) < 0 || check_name(name) != 0 || look_at(name, &unit) < 0 || dropin_paths(name, dir, file) < 0)
		return 1;
	snprintf(path, sizeof(path), NETNS_RUN_DIR "/%s", c.netns);
	/* Our own drop-in of before is replaced. */
	if (ours(file) && unit.netns) {
		free(unit.netns);
		unit.netns = NULL;
	}
	if (check_unit(name, &unit, path, options->force) != 0)
		return 1;
	c.open_network = unit.private_network;
	unit_format_dropin(&c, &dropin);
	if (dropin.failed) {
		log_error("out of memory");
		return 1;
	}
	if (options->dry_run) {
		printf("# %s\n%s\n", file, dropin.data);
		return out_flush() < 0;
	}
	r = write_dropin(name, &dropin);
	if (r < 0) {
		log_error("cannot write %s: %s", file, strerror(-r));
		return 1;
	}
	log_trace("install -m 644 /dev/fd/63 %s", file);
	if (unit.active)
		log_note("%s runs as before until it is restarted: systemctl restart %s", name, name);
	return 0;
}

static int check_user(const struct options *options)
{
	if (!options->user_manager)
		return 0;
	log_error("a user's own manager may not enter a network namespace; expected a service of the system with User=NAME, "
		  "all that a user runs (confine INTERFACE user@UID.service), or `ExecStart=sudo %s exec INTERFACE -- COMMAND' in the user's unit",
		  log_program());
	return 1;
}

/* The tunnel, and its namespace's name, in words that systemd reads as they are. 0, or 1, told. */
static int check_tunnel(const struct unit_confinement *c, bool force)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=+.,@-";
	const char *odd = strpbrk(c->iface, "=+");
	char file[PATH_MAX];

	if (odd) {
		log_error("`%s': a unit of systemd cannot have `%c' in its name, so there is no wg-nsquick@%s.service; expected an interface without", c->iface, *odd,
			  c->iface);
		return 1;
	}
	if (!ns_name_valid(c->netns)) {
		log_error("%s: its namespace is the path `%s', where no resolv.conf can be found for it; expected one with a name", c->iface, c->netns);
		return 1;
	}
	if (c->netns[strspn(c->netns, plain)]) {
		log_error("%s: its namespace is called `%s', which systemd reads in a way of its own; expected letters, digits and _=+.,@-", c->iface, c->netns);
		return 1;
	}
	snprintf(file, sizeof(file), "/etc/wireguard/%s.conf", c->iface);
	if (!force && access(file, F_OK) < 0) {
		log_error("`%s': %s: %s, and what is confined to it could not start; expected an interface with a file (--force does it all the same)", c->iface, file,
			  strerror(errno));
		return 1;
	}
	return 0;
}

/* By its path, too, if that is the one of a name. */
static const char *name_of(const char *netns)
{
	const size_t len = strlen(NETNS_RUN_DIR "/");

	return strncmp(netns, NETNS_RUN_DIR "/", len) == 0 ? netns + len : netns;
}

int cmd_confine(const struct options *options, char **args)
{
	_cleanup_settings_ struct settings settings = { 0 };
	_cleanup_free_ char *resolv = realpath("/etc/resolv.conf", NULL);
	struct unit_confinement c = { .iface = args[0], .netns = args[0], .bind = !options->keep_running };
	unsigned int n = 0;
	int status = 0;

	if (!iface_name_valid(args[0])) {
		log_error("`%s' is not an interface's name; expected confine INTERFACE UNIT...", args[0]);
		return 1;
	}
	if (check_user(options) || cmd_settings(options, args[0], &settings) < 0)
		return 1;
	if (settings.netns)
		c.netns = name_of(settings.netns);
	if (check_tunnel(&c, options->force) != 0)
		return 1;
	if (resolv && strcmp(resolv, "/etc/resolv.conf") != 0)
		c.resolv_target = resolv;
	for (char **unit = args + 1; *unit; unit++) {
		int failed = confine_one(options, c, *unit);

		status |= failed;
		n += !failed && !options->dry_run;
	}
	return status | reload_manager(n);
}

static int release_one(const struct options *options, const char *text)
{
	_cleanup_free_ char *name = NULL;
	char dir[PATH_MAX], file[PATH_MAX];
	_cleanup_unit_ struct unit unit = { 0 };

	if (full_name(text, &name) < 0 || dropin_paths(name, dir, file) < 0)
		return 1;
	if (!ours(file)) {
		log_error("%s is not confined: there is no %s of ours", name, file);
		return 1;
	}
	if (options->dry_run) {
		printf("rm %s\n", file);
		return out_flush() < 0;
	}
	log_trace("rm %s", file);
	if (unlink(file) < 0) {
		log_error("cannot delete %s: %s", file, strerror(errno));
		return 1;
	}
	/* Not empty: it has other drop-ins. */
	(void)rmdir(dir);
	if (unit_load(name, &unit) == 0 && unit.active)
		log_note("%s stays in the tunnel's namespace until it is restarted: systemctl restart %s", name, name);
	return 0;
}

int cmd_release(const struct options *options, char **args)
{
	unsigned int n = 0;
	int status = 0;

	if (check_user(options))
		return 1;
	for (char **unit = args; *unit; unit++) {
		int failed = release_one(options, *unit);

		status |= failed;
		n += !failed && !options->dry_run;
	}
	return status | reload_manager(n);
}
