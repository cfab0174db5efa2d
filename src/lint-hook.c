/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lint-hook.c - findings about hooks: what they touch in a namespace, and what
 * they were written to touch. It goes by the words a person would go by; a hook
 * that is a script of its own is opaque.
 */
#include <arpa/inet.h>
#include <ctype.h>

#include "conf-error.h"
#include "kill-switch.h"
#include "lint.h"
#include "settings.h"
#include "shell-words.h"

struct hook_view {
	const struct conf *conf;
	const struct lint_place *place;
	const struct hook *hook;
	const struct shell_command *command;
	struct findings *f;
	unsigned int told; /* a bit of enum topic: each is told once for a hook */
};

enum topic {
	TOPIC_MOVE,
	TOPIC_NAMESPACE,
	TOPIC_OTHER_NAMESPACE,
	TOPIC_HOST_NAMESPACE,
	TOPIC_RESOLVER,
	TOPIC_HOST_LINK,
	TOPIC_KILL_SWITCH,
	TOPIC_FIREWALL,
	TOPIC_FIREWALL_DAEMON,
	TOPIC_SYSCTL,
	TOPIC_MACHINE_SYSCTL,
	TOPIC_GATEWAY,
	TOPIC_RULES,
	TOPIC_SERVICES,
	TOPIC_NETWORK_DAEMON,
	TOPIC_WG_QUICK,
};

/* True the first time that this hook is about `topic`. */
static bool tell(struct hook_view *v, enum topic topic)
{
	bool first = !(v->told & 1U << topic);

	v->told |= 1U << topic;
	return first;
}

#define FIND(v, topic, severity, ...)                                                         \
	do {                                                                                  \
		if (tell(v, topic))                                                           \
			finding_add((v)->f, severity, (v)->hook->line, __VA_ARGS__);          \
	} while (0)

static const char *kind_name(const struct hook_view *v)
{
	return hook_names[v->hook->kind];
}

static bool is_one_of(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

static bool program_is_one_of(const struct hook_view *v, const char *const *words, size_t n)
{
	return is_one_of(shell_program(v->command), words, n);
}

static bool is_own_link(const struct hook_view *v, const char *word)
{
	return hook_names_link(word, v->conf->iface);
}

static bool names_own_link(const struct hook_view *v)
{
	for (size_t i = 0; i < v->command->words.n; i++)
		if (is_own_link(v, v->command->words.v[i]))
			return true;
	return false;
}

/* Whether `word` is `full` or what ip(8) takes for it: any beginning, of at least `least` letters. */
static bool abbreviates(const char *word, const char *full, size_t least)
{
	size_t len = strlen(word);

	return len >= least && strncmp(word, full, len) == 0;
}

/* Where the object of ip(8) stands, behind its options. */
static size_t ip_object(const struct shell_command *command)
{
	static const char *const with_value[] = { "-n", "-netns", "-f", "-family", "-b", "-batch", "-rc", "-rcvbuf", "-l", "-loops" };
	size_t i = 1;

	while (i < command->words.n && *command->words.v[i] == '-')
		i += is_one_of(command->words.v[i], with_value, ARRAY_SIZE(with_value)) ? 2 : 1;
	return i;
}

static bool ip_is_about(const struct hook_view *v, const char *object, size_t least)
{
	size_t i = ip_object(v->command);

	return i < v->command->words.n && abbreviates(v->command->words.v[i], object, least);
}

static bool ip_sets_link(const struct hook_view *v)
{
	size_t i = ip_object(v->command);

	return i + 1 < v->command->words.n && abbreviates(v->command->words.v[i], "link", 1) && abbreviates(v->command->words.v[i + 1], "set", 1);
}

/* ---- namespaces ---- */

static void look_at_move(struct hook_view *v)
{
	const char *to = shell_after(v->command, "netns");
	char quoted[QUOTED_LEN];

	if (!to || !ip_sets_link(v) || !names_own_link(v))
		return;
	conf_quote(to, quoted);
	if (strspn(to, "0123456789") == strlen(to))
		FIND(v, TOPIC_MOVE, FIND_WARNING,
		     "%s: `ip link set %s netns %s' would take the interface out of namespace %s, into that of process %s; remove it, and name the namespace with "
		     "--netns or in " SETTINGS_DIR "/%s.conf",
		     kind_name(v), v->conf->iface, quoted, v->place->netns, quoted, v->conf->iface);
	else
		FIND(v, TOPIC_MOVE, FIND_WARNING,
		     "%s: `ip link set %s netns %s' moves an interface that is made in namespace %s already; remove it, and write `netns = %s' under [tunnel] in "
		     SETTINGS_DIR "/%s.conf",
		     kind_name(v), v->conf->iface, quoted, v->place->netns, quoted, v->conf->iface);
}

static void look_at_netns(struct hook_view *v)
{
	const char *verb = shell_after(v->command, "netns");
	const char *name = verb ? shell_after(v->command, verb) : NULL;
	char quoted[QUOTED_LEN];

	if (!verb || !name || !ip_is_about(v, "netns", 3))
		return;
	conf_quote(name, quoted);
	if (strcmp(verb, "add") == 0 || strncmp(verb, "del", 3) == 0)
		FIND(v, TOPIC_NAMESPACE, FIND_WARNING, "%s: `ip netns %s %s': up makes the tunnel's namespace and down takes it away (now: %s); remove the line unless another is meant",
		     kind_name(v), strcmp(verb, "add") == 0 ? "add" : "del", quoted, v->place->netns);
	else if (strcmp(verb, "exec") == 0 && strcmp(name, v->place->netns) != 0)
		FIND(v, TOPIC_OTHER_NAMESPACE, FIND_WARNING, "%s: `ip netns exec %s' acts on another namespace than the tunnel's, %s; for the tunnel's own nothing need be entered: hooks run in it",
		     kind_name(v), quoted, v->place->netns);
}

static void look_at_ip_n(struct hook_view *v)
{
	const char *name = shell_after(v->command, "-n");
	char quoted[QUOTED_LEN];

	if (!name)
		name = shell_after(v->command, "-netns");
	if (name && strcmp(name, v->place->netns) != 0)
		FIND(v, TOPIC_OTHER_NAMESPACE, FIND_WARNING, "%s: `ip -n %s' acts on another namespace than the tunnel's, %s; for the tunnel's own no -n is needed: hooks run in it",
		     kind_name(v), conf_quote(name, quoted), v->place->netns);
}

/* The namespace's file, of --net=FILE and -nFILE; NULL: none. */
static const char *nsenter_file(const struct hook_view *v)
{
	for (size_t i = 0; i < v->command->words.n; i++) {
		const char *word = v->command->words.v[i];

		if (strncmp(word, "--net=", 6) == 0)
			return word + 6;
		if (strncmp(word, "-n/", 3) == 0)
			return word + 2;
	}
	return NULL;
}

static void look_at_nsenter(struct hook_view *v)
{
	const char *target = shell_after(v->command, "-t"), *file = nsenter_file(v);
	const char *base = file && strrchr(file, '/') ? strrchr(file, '/') + 1 : "";
	char quoted[QUOTED_LEN];

	if (!target)
		target = shell_after(v->command, "--target");
	if (file ? strcmp(file, "/proc/1/ns/net") == 0 : (target && strcmp(target, "1") == 0) || shell_has(v->command, "--target=1") || shell_has(v->command, "-t1"))
		FIND(v, TOPIC_HOST_NAMESPACE, FIND_WARNING,
		     "%s: nsenter goes into the host's namespace, whose network is guarded; what the host needs belongs into ExecStartPre= or ExecStartPost= of a unit", kind_name(v));
	else if (file && strcmp(base, v->place->netns) != 0)
		FIND(v, TOPIC_OTHER_NAMESPACE, FIND_WARNING, "%s: `nsenter --net=%s' acts on another namespace than the tunnel's, %s; for the tunnel's own nothing need be entered: hooks run in it",
		     kind_name(v), conf_quote(file, quoted), v->place->netns);
}

/* ---- the host's links ---- */

/* The names that the kernel and systemd give to links of a machine: files are also written on other machines. */
static bool looks_like_host_link(const char *word)
{
	static const char *const before[] = { "eth", "eno", "ens", "enp", "enx", "wlan", "wlp", "wlo", "wls", "wwan", "br", "br-", "docker", "virbr", "bond", "ppp", "venet", "vmbr" };

	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		size_t len = strlen(before[i]);

		if (strncmp(word, before[i], len) == 0 && isdigit((unsigned char)word[len]) && strlen(word) < IFNAMSIZ)
			return true;
	}
	return false;
}

static bool is_host_link(const struct hook_view *v, const char *word)
{
	if (is_own_link(v, word) || strcmp(word, "lo") == 0)
		return false;
	return is_one_of(word, v->place->host_links, v->place->n_host_links) || looks_like_host_link(word);
}

/* Where a word is a link's name whatever it looks like. */
static bool introduces_link(const char *word)
{
	static const char *const words[] = { "-i", "-o", "--in-interface", "--out-interface", "dev", "iif", "oif", "iifname", "oifname", "--interface", "-I", "set", "show", "master", "link" };

	return is_one_of(word, words, ARRAY_SIZE(words));
}

/* net.ipv4.conf.eth0.forwarding, /proc/sys/net/ipv4/conf/eth0/forwarding, /sys/class/net/eth0/mtu */
static bool path_names_host_link(const struct hook_view *v, const char *word, char ret_name[static IFNAMSIZ])
{
	static const char *const marks[] = { ".conf.", "/conf/", ".neigh.", "/neigh/", "/sys/class/net/" };

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		const char *at = strstr(word, marks[i]);
		size_t len;

		if (!at)
			continue;
		at += strlen(marks[i]);
		len = strcspn(at, "./=");
		if (len == 0 || len >= IFNAMSIZ)
			continue;
		memcpy(ret_name, at, len);
		ret_name[len] = '\0';
		if (is_host_link(v, ret_name))
			return true;
	}
	return false;
}

static void tell_host_link(struct hook_view *v, const char *name)
{
	bool here = is_one_of(name, v->place->host_links, v->place->n_host_links);

	if (!v->place->create)
		return;
	FIND(v, TOPIC_HOST_LINK, FIND_WARNING,
	     "%s: %s is %s, and not in namespace %s, where there are only lo and %s: this fails or has no effect; what the host is to do belongs into ExecStartPre= or "
	     "ExecStartPost= of a unit",
	     kind_name(v), name, here ? "a link of the host" : "named as a link of a host", v->place->netns, v->conf->iface);
}

static void look_at_links(struct hook_view *v)
{
	/* Whose words are links' names wherever they stand. */
	static const char *const programs[] = { "ethtool", "ifconfig", "ifup", "ifdown", "brctl", "bridge", "iw", "dhclient", "dhcpcd", "udhcpc", "arping" };
	bool any = program_is_one_of(v, programs, ARRAY_SIZE(programs));
	const struct strv *words = &v->command->words;
	char name[IFNAMSIZ];

	for (size_t i = 0; i < words->n; i++) {
		/* `! -o eth0`, `oifname != "eth0"` */
		size_t before = i && strcmp(words->v[i - 1], "!=") == 0 ? i - 1 : i;

		if (before && (any || introduces_link(words->v[before - 1])) && is_host_link(v, words->v[i]))
			tell_host_link(v, words->v[i]);
		else if (path_names_host_link(v, words->v[i], name))
			tell_host_link(v, name);
	}
}

/* ---- resolvers ---- */

static void look_at_resolver(struct hook_view *v)
{
	static const char *const programs[] = { "resolvectl", "resolvconf", "systemd-resolve", "openresolv" };
	bool daemon = program_is_one_of(v, programs, ARRAY_SIZE(programs));
	char quoted[QUOTED_LEN];

	if (!daemon && strcmp(shell_program(v->command), "ip") == 0)
		return;
	for (size_t i = 0; i < v->command->words.n && !daemon; i++)
		if (strcmp(v->command->words.v[i], "/etc/resolv.conf") == 0 || strstr(v->command->words.v[i], "org.freedesktop.resolve1")) {
			daemon = strstr(v->command->words.v[i], "resolve1") != NULL;
			if (!daemon)
				FIND(v, TOPIC_RESOLVER, FIND_WARNING, "%s: /etc/resolv.conf is here that of namespace %s, and up writes it; name servers and search domains in `DNS = …'",
				     kind_name(v), v->place->netns);
		}
	if (daemon)
		FIND(v, TOPIC_RESOLVER, FIND_WARNING,
		     "%s: %s speaks to the host's resolver, which hooks cannot reach and which does not know the interface; write servers and search domains into `DNS = …' instead",
		     kind_name(v), conf_quote(shell_program(v->command), quoted));
}

/* ---- firewalls ---- */

static void look_at_firewall(struct hook_view *v)
{
	static const char *const daemons[] = { "ufw", "firewall-cmd", "shorewall" };
	bool firewall = firewall_command(v->command);

	if (firewall && kill_switch_command(v->command, v->conf->iface) && v->place->create) {
		/* Its own rules are not worth a second word. */
		v->told |= 1U << TOPIC_FIREWALL;
		FIND(v, TOPIC_KILL_SWITCH, FIND_WARNING, "%s: a kill-switch; in namespace %s it is redundant, since nothing but %s leads out of it: it may stay, or go", kind_name(v),
		     v->place->netns, v->conf->iface);
	} else if (firewall) {
		FIND(v, TOPIC_FIREWALL, FIND_NOTE, "%s: %s acts on the firewall of namespace %s, not on the host's", kind_name(v), shell_program(v->command), v->place->netns);
	}
	if (program_is_one_of(v, daemons, ARRAY_SIZE(daemons)))
		FIND(v, TOPIC_FIREWALL_DAEMON, FIND_WARNING, "%s: %s manages the host's firewall, which the tunnel's packets do not meet; rules for namespace %s are made with nft or iptables",
		     kind_name(v), shell_program(v->command), v->place->netns);
}

/* ---- routes, sysctls, services ---- */

static void tell_gateway(struct hook_view *v, const char *gateway, const char *device)
{
	/* What a substitution gives is not known. */
	bool known = *gateway != '$';
	char quoted[QUOTED_LEN];

	if ((!device || !is_own_link(v, device)) && v->place->create)
		FIND(v, TOPIC_GATEWAY, FIND_WARNING, "%s: the gateway%s%s is one of the host's network, and not to be reached from namespace %s; the endpoint needs no route of its own here",
		     kind_name(v), known ? " " : "", known ? conf_quote(gateway, quoted) : "", v->place->netns);
}

static void look_at_routing(struct hook_view *v)
{
	const char *gateway = shell_after(v->command, "via");

	if (gateway && ip_is_about(v, "route", 1))
		tell_gateway(v, gateway, shell_after(v->command, "dev"));
	else if (ip_is_about(v, "rule", 2))
		FIND(v, TOPIC_RULES, FIND_NOTE, "%s: the routing rule is made in namespace %s, and decides for programs in it", kind_name(v), v->place->netns);
}

static bool is_setting(const char *word)
{
	return strchr(word, '=') != NULL;
}

static void look_at_sysctl(struct hook_view *v)
{
	bool sysctl = strcmp(shell_program(v->command), "sysctl") == 0;

	for (size_t i = 0; i < v->command->words.n; i++) {
		const char *word = v->command->words.v[i];
		char quoted[QUOTED_LEN];
		bool net;

		if (strncmp(word, "/proc/sys/", 10) == 0)
			net = strncmp(word + 10, "net/", 4) == 0;
		else if (sysctl && i && is_setting(word))
			net = strncmp(word, "net.", 4) == 0 || strncmp(word, "net/", 4) == 0;
		else
			continue;
		conf_quote(word, quoted);
		if (net)
			FIND(v, TOPIC_SYSCTL, FIND_NOTE, "%s: %s is set in namespace %s, not on the host", kind_name(v), quoted, v->place->netns);
		else
			FIND(v, TOPIC_MACHINE_SYSCTL, FIND_WARNING, "%s: %s is no setting of a namespace: it is set for the whole machine, and stays set", kind_name(v), quoted);
	}
}

static void look_at_services(struct hook_view *v)
{
	static const char *const managers[] = { "systemctl", "service", "rc-service", "initctl" };
	static const char *const networks[] = { "nmcli", "networkctl", "connmanctl" };
	static const char *const quick[] = { "wg-quick", "wg-nsquick" };
	const char *program = shell_program(v->command);

	if (program_is_one_of(v, managers, ARRAY_SIZE(managers)))
		FIND(v, TOPIC_SERVICES, FIND_NOTE, "%s: %s acts on services of the machine, which run in the host's namespace", kind_name(v), program);
	if (program_is_one_of(v, networks, ARRAY_SIZE(networks)))
		FIND(v, TOPIC_NETWORK_DAEMON, FIND_WARNING, "%s: %s speaks to a daemon that manages the host's links, and does not see those of namespace %s", kind_name(v), program, v->place->netns);
	if (program_is_one_of(v, quick, ARRAY_SIZE(quick)))
		FIND(v, TOPIC_WG_QUICK, FIND_WARNING, "%s: %s would bring up the other tunnel from inside namespace %s, which is its transport then", kind_name(v), program, v->place->netns);
}

static void look_at_command(struct hook_view *v)
{
	if (strcmp(shell_program(v->command), "ip") == 0) {
		look_at_move(v);
		look_at_netns(v);
		look_at_ip_n(v);
		look_at_routing(v);
	}
	if (strcmp(shell_program(v->command), "route") == 0 && shell_after(v->command, "gw"))
		tell_gateway(v, shell_after(v->command, "gw"), shell_after(v->command, "dev"));
	if (strcmp(shell_program(v->command), "nsenter") == 0)
		look_at_nsenter(v);
	look_at_links(v);
	look_at_resolver(v);
	look_at_firewall(v);
	look_at_sysctl(v);
	look_at_services(v);
}

static void lint_hook(const struct conf *conf, const struct lint_place *place, const struct hook *hook, struct findings *f)
{
	struct hook_view v = { .conf = conf, .place = place, .hook = hook, .f = f };
	_cleanup_free_ char *text = hook_expand(hook, conf->iface);
	struct shell_text split = { 0 };

	if (!text || shell_split(text, &split) < 0) {
		f->failed = true;
		return;
	}
	for (size_t i = 0; i < split.n; i++) {
		v.command = &split.commands[i];
		look_at_command(&v);
	}
	shell_text_free(&split);
}

void lint_hooks(const struct conf *conf, const struct lint_place *place, struct findings *f)
{
	for (size_t i = 0; i < conf->n_hooks; i++)
		lint_hook(conf, place, &conf->hooks[i], f);
}
