/* SPDX-License-Identifier: GPL-2.0-or-later */
/* unit-bus.c - the manager, asked over its own socket: root needs no message bus for it, and some machines have none. */
#include "config.h"
#include "unit.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-bus.h>

#include "library.h"

#define DESTINATION "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER DESTINATION ".Manager"
#define UNIT_IFACE DESTINATION ".Unit"
#define SERVICE_IFACE DESTINATION ".Service"
#define SOCKET_IFACE DESTINATION ".Socket"

static struct {
	__typeof__(sd_bus_new) *sd_bus_new;
	__typeof__(sd_bus_set_address) *sd_bus_set_address;
	__typeof__(sd_bus_start) *sd_bus_start;
	__typeof__(sd_bus_unref) *sd_bus_unref;
	__typeof__(sd_bus_flush_close_unref) *sd_bus_flush_close_unref;
	__typeof__(sd_bus_call_method) *sd_bus_call_method;
	__typeof__(sd_bus_message_read) *sd_bus_message_read;
	__typeof__(sd_bus_message_unref) *sd_bus_message_unref;
	__typeof__(sd_bus_message_enter_container) *sd_bus_message_enter_container;
	__typeof__(sd_bus_get_property) *sd_bus_get_property;
	__typeof__(sd_bus_get_property_string) *sd_bus_get_property_string;
	__typeof__(sd_bus_get_property_strv) *sd_bus_get_property_strv;
	__typeof__(sd_bus_get_property_trivial) *sd_bus_get_property_trivial;
} lib;

static int load_library(void)
{
	static const struct library_symbol symbols[] = {
		LIBRARY_SYMBOL(lib, sd_bus_new),
		LIBRARY_SYMBOL(lib, sd_bus_set_address),
		LIBRARY_SYMBOL(lib, sd_bus_start),
		LIBRARY_SYMBOL(lib, sd_bus_unref),
		LIBRARY_SYMBOL(lib, sd_bus_flush_close_unref),
		LIBRARY_SYMBOL(lib, sd_bus_call_method),
		LIBRARY_SYMBOL(lib, sd_bus_message_read),
		LIBRARY_SYMBOL(lib, sd_bus_message_unref),
		LIBRARY_SYMBOL(lib, sd_bus_message_enter_container),
		LIBRARY_SYMBOL(lib, sd_bus_get_property),
		LIBRARY_SYMBOL(lib, sd_bus_get_property_string),
		LIBRARY_SYMBOL(lib, sd_bus_get_property_strv),
		LIBRARY_SYMBOL(lib, sd_bus_get_property_trivial),
	};

	return library_load("libsystemd.so.0", symbols, ARRAY_SIZE(symbols));
}

static void cleanup_bus(sd_bus **bus)
{
	if (*bus)
		lib.sd_bus_flush_close_unref(*bus);
}

static void cleanup_message(sd_bus_message **message)
{
	if (*message)
		lib.sd_bus_message_unref(*message);
}

#define _cleanup_bus_ CLEANUP(cleanup_bus)
#define _cleanup_message_ CLEANUP(cleanup_message)

static int connect_manager(sd_bus **ret_bus)
{
	sd_bus *bus = NULL;
	int r = load_library();

	if (r >= 0)
		r = lib.sd_bus_new(&bus);
	if (r >= 0)
		r = lib.sd_bus_set_address(bus, "unix:path=/run/systemd/private");
	if (r >= 0)
		r = lib.sd_bus_start(bus);
	if (r < 0) {
		if (bus)
			lib.sd_bus_unref(bus);
		return r;
	}
	*ret_bus = bus;
	return 0;
}

static int load_path(sd_bus *bus, const char *name, char **ret_path)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *path;
	int r;

	r = lib.sd_bus_call_method(bus, DESTINATION, MANAGER_PATH, MANAGER, "LoadUnit", NULL, &reply, "s", name);
	if (r >= 0)
		r = lib.sd_bus_message_read(reply, "o", &path);
	if (r < 0)
		return r;
	*ret_path = strdup(path);
	return *ret_path ? 0 : -ENOMEM;
}

/* A string property; "" counts as none. */
static int get_text(sd_bus *bus, const char *path, const char *iface, const char *name, char **ret_text)
{
	char *text = NULL;
	int r = lib.sd_bus_get_property_string(bus, DESTINATION, path, iface, name, NULL, &text);

	if (r < 0)
		return r;
	if (!*text) {
		free(text);
		text = NULL;
	}
	*ret_text = text;
	return 0;
}

static int get_list(sd_bus *bus, const char *path, const char *name, struct strv *list)
{
	char **items = NULL;
	int r = lib.sd_bus_get_property_strv(bus, DESTINATION, path, UNIT_IFACE, name, NULL, &items);

	for (char **p = items; p && *p; p++) {
		if (r >= 0)
			r = strv_add(list, *p, strlen(*p));
		free(*p);
	}
	free(items);
	return r < 0 ? r : 0;
}

static bool is_one_of(const char *text, const char *a, const char *b)
{
	return text && (strcmp(text, a) == 0 || strcmp(text, b) == 0);
}

/* 1: a socket that nobody listens on, now or after the next boot. */
static int is_off(sd_bus *bus, const char *path)
{
	_cleanup_free_ char *active = NULL, *file = NULL;
	int r;

	r = get_text(bus, path, UNIT_IFACE, "ActiveState", &active);
	if (r >= 0)
		r = get_text(bus, path, UNIT_IFACE, "UnitFileState", &file);
	return r < 0 ? r : is_one_of(active, "inactive", "failed") && (!file || is_one_of(file, "disabled", "masked"));
}

/* Sockets in the file system are the same in every network namespace; others are the host's. */
static int note_ports(sd_bus *bus, const char *name, struct unit *unit)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_free_ char *path = NULL;
	const char *type, *address;
	int r;

	r = load_path(bus, name, &path);
	if (r >= 0)
		r = is_off(bus, path);
	if (r > 0)
		return 0;
	if (r >= 0)
		r = lib.sd_bus_get_property(bus, DESTINATION, path, SOCKET_IFACE, "Listen", NULL, &reply, "a(ss)");
	if (r >= 0)
		r = lib.sd_bus_message_enter_container(reply, 'a', "(ss)");
	while (r >= 0 && (r = lib.sd_bus_message_read(reply, "(ss)", &type, &address)) > 0) {
		_cleanup_free_ char *text = NULL;

		if (*address == '/' || *address == '@')
			continue;
		if (asprintf(&text, "%s (%s %s)", name, type, address) < 0) {
			text = NULL;
			return -ENOMEM;
		}
		r = strv_add(&unit->sockets, text, strlen(text));
	}
	return r < 0 ? r : 0;
}

/*
 * The manager knows who triggers a unit only of those that are in use. One of the same
 * name is looked at in any case: it may be enabled for the next boot.
 */
static int add_own_socket(sd_bus *bus, const char *service, struct strv *triggers)
{
	_cleanup_free_ char *name = NULL, *path = NULL;
	struct strv triggered = { 0 };
	int r;

	if (asprintf(&name, "%.*s.socket", (int)(strlen(service) - strlen(".service")), service) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	r = load_path(bus, name, &path);
	if (r >= 0)
		r = get_list(bus, path, "Triggers", &triggered);
	if (r >= 0 && strv_has(&triggered, service) && !strv_has(triggers, name))
		r = strv_add(triggers, name, strlen(name));
	strv_free(&triggered);
	return r;
}

static int read_service(sd_bus *bus, const char *name, const char *path, struct unit *unit)
{
	struct strv triggers = { 0 };
	int yes = 0, r;

	r = lib.sd_bus_get_property_trivial(bus, DESTINATION, path, SERVICE_IFACE, "PrivateNetwork", NULL, 'b', &yes);
	unit->private_network = yes;
	if (r >= 0)
		r = get_text(bus, path, SERVICE_IFACE, "NetworkNamespacePath", &unit->netns);
	if (r >= 0)
		r = get_list(bus, path, "JoinsNamespaceOf", &unit->joins);
	if (r >= 0)
		r = get_list(bus, path, "Before", &unit->before);
	if (r >= 0)
		r = get_list(bus, path, "TriggeredBy", &triggers);
	if (r >= 0)
		r = add_own_socket(bus, name, &triggers);
	for (size_t i = 0; r >= 0 && i < triggers.n; i++) {
		const char *dot = strrchr(triggers.v[i], '.');

		if (dot && strcmp(dot, ".socket") == 0)
			r = note_ports(bus, triggers.v[i], unit);
	}
	strv_free(&triggers);
	return r;
}

int unit_load(const char *name, struct unit *ret_unit)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_free_ char *path = NULL, *state = NULL, *active = NULL;
	struct unit unit = { 0 };
	int r;

	r = connect_manager(&bus);
	if (r >= 0)
		r = load_path(bus, name, &path);
	if (r >= 0)
		r = get_text(bus, path, UNIT_IFACE, "LoadState", &state);
	if (r >= 0)
		r = get_text(bus, path, UNIT_IFACE, "ActiveState", &active);
	if (r < 0)
		return r;
	unit.found = state && strcmp(state, "loaded") == 0;
	unit.active = active && strcmp(active, "inactive") != 0 && strcmp(active, "failed") != 0;
	if (unit.found)
		r = read_service(bus, name, path, &unit);
	if (r < 0)
		unit_free(&unit);
	else
		*ret_unit = unit;
	return r < 0 ? r : 0;
}

int unit_manager_reload(void)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	int r = connect_manager(&bus);

	if (r >= 0)
		r = lib.sd_bus_call_method(bus, DESTINATION, MANAGER_PATH, MANAGER, "Reload", NULL, NULL, NULL);
	/* As it goes over, the manager may close the line before it answers. */
	return r == -ECONNRESET || r == -ENOTCONN || r >= 0 ? 0 : r;
}

#else

int unit_load(const char *name, struct unit *ret_unit)
{
	(void)name;
	(void)ret_unit;
	return -EOPNOTSUPP;
}

int unit_manager_reload(void)
{
	return -EOPNOTSUPP;
}

#endif
