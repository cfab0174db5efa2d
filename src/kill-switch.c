/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kill-switch.h"

static bool is_one_of(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

static bool has(const struct strv *words, const char *word)
{
	return is_one_of(word, (const char *const *)words->v, words->n);
}

/* Whether `first` and `second` stand beside each other. */
static bool has_pair(const struct strv *words, const char *first, const char *second)
{
	for (size_t i = 0; i + 1 < words->n; i++)
		if (strcmp(words->v[i], first) == 0 && strcmp(words->v[i + 1], second) == 0)
			return true;
	return false;
}

bool hook_names_link(const char *word, const char *iface)
{
	return strcmp(word, iface) == 0 || strcmp(word, "%i") == 0 || strcmp(word, "$INTERFACE") == 0 || strcmp(word, "${INTERFACE}") == 0;
}

bool firewall_command(const struct shell_command *command)
{
	static const char *const programs[] = { "iptables", "ip6tables", "iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy", "nft", "iptables-restore",
						"ip6tables-restore", "ebtables", "ipset" };

	return is_one_of(shell_program(command), programs, ARRAY_SIZE(programs));
}

static bool is_nft(const struct shell_command *command)
{
	return strcmp(shell_program(command), "nft") == 0;
}

/* nft takes its words in one argument or in many, and sets in braces: they become words of their own. */
static int flatten(const struct shell_command *command, struct strv *ret_words)
{
	static const char separators[] = " \t\n,;\"'";

	for (size_t i = 0; i < command->words.n; i++) {
		const char *p = command->words.v[i];

		while (*(p += strspn(p, separators))) {
			size_t n = *p == '{' || *p == '}' ? 1 : strcspn(p, " \t\n,;\"'}");

			/* ${INTERFACE} has braces of its own. */
			if (strncmp(p, "${", 2) == 0 && strchr(p, '}'))
				n = (size_t)(strchr(p, '}') + 1 - p);
			if (strv_add(ret_words, p, n) < 0)
				return -ENOMEM;
			p += n;
		}
	}
	return 0;
}

static bool drops(const struct strv *words)
{
	return has(words, "REJECT") || has(words, "DROP") || has(words, "reject") || has(words, "drop");
}

static bool is_out(const char *word)
{
	static const char *const words[] = { "-o", "--out-interface", "oif", "oifname" };

	return is_one_of(word, words, ARRAY_SIZE(words));
}

/* `not`: by any link but the tunnel; else: by the tunnel. */
static bool leaves(const struct strv *words, const char *iface, bool not)
{
	for (size_t i = 0; i + 1 < words->n; i++) {
		bool negated = i && strcmp(words->v[i - 1], "!") == 0;
		size_t next = i + 1;

		if (!is_out(words->v[i]))
			continue;
		if (strcmp(words->v[next], "!=") == 0 || strcmp(words->v[next], "!") == 0) {
			negated = true;
			next++;
		}
		if (negated != not)
			continue;
		if (next < words->n && strcmp(words->v[next], "{") == 0) {
			for (next++; next < words->n && strcmp(words->v[next], "}") != 0; next++)
				if (hook_names_link(words->v[next], iface))
					return true;
		} else if (next < words->n && hook_names_link(words->v[next], iface)) {
			return true;
		}
	}
	return false;
}

bool kill_switch_command(const struct shell_command *command, const char *iface)
{
	struct strv words = { 0 };
	bool found;

	if (!firewall_command(command))
		return false;
	found = flatten(command, &words) == 0 && drops(&words) && leaves(&words, iface, true);
	strv_free(&words);
	return found;
}

/* ---- all hooks of a file ---- */

struct look {
	const char *iface;
	struct strv names; /* of tables and chains that the hooks make */
	bool closes;	   /* everything that leaves is dropped, */
	bool opens;	   /* but not by the tunnel */
	bool any;	   /* there is a kill-switch */
	bool torn;	   /* a hook of other purpose needs what the kill-switch's make */
};

/* What makes no difference to what a hook is. */
static bool is_harmless(const struct shell_command *command)
{
	static const char *const programs[] = { "true", ":" };

	return is_one_of(shell_program(command), programs, ARRAY_SIZE(programs)) || (strcmp(shell_program(command), "wg") == 0 && shell_has(command, "show"));
}

/* Everything that leaves: an OUTPUT policy. */
static bool is_policy(const struct strv *words)
{
	return has_pair(words, "OUTPUT", "DROP") || (has_pair(words, "hook", "output") && has_pair(words, "policy", "drop"));
}

static bool accepts(const struct strv *words)
{
	return has(words, "ACCEPT") || has(words, "accept");
}

/* What comes in, goes through, or is changed on its way is no matter of a kill-switch. */
static bool is_other(const struct strv *words)
{
	static const char *const others[] = { "INPUT",	"FORWARD", "PREROUTING", "POSTROUTING", "input", "forward", "prerouting", "postrouting",
					      "-i",	"iif",	   "iifname",	 "nat",		"mangle", "raw" };

	for (size_t i = 0; i < words->n; i++)
		if (is_one_of(words->v[i], others, ARRAY_SIZE(others)))
			return true;
	return false;
}

/* `nft add table inet NAME`, `iptables -N NAME` */
static int add_names(const struct shell_command *command, const struct strv *words, struct look *look)
{
	const char *name = NULL;

	for (size_t i = 0; i + 2 < words->n; i++)
		if (is_nft(command) && (strcmp(words->v[i], "add") == 0 || strcmp(words->v[i], "create") == 0) && strcmp(words->v[i + 1], "table") == 0)
			name = i + 3 < words->n ? words->v[i + 3] : words->v[i + 2];
	for (size_t i = 0; i + 1 < words->n; i++)
		if (!is_nft(command) && (strcmp(words->v[i], "-N") == 0 || strcmp(words->v[i], "--new-chain") == 0))
			name = words->v[i + 1];
	return name ? strv_add(&look->names, name, strlen(name)) : 0;
}

static bool mentions_name(const struct strv *words, const struct look *look)
{
	for (size_t i = 0; i < look->names.n; i++)
		if (has(words, look->names.v[i]))
			return true;
	return false;
}

enum pass {
	PASS_LEARN, /* what the hooks of the file make and do together */
	PASS_FIND,  /* whether there is a kill-switch */
	PASS_JUDGE, /* which hooks are of it alone */
	PASS_TORN,  /* whether others need it */
};

static bool is_core(const struct strv *words, const struct look *look)
{
	return (drops(words) && leaves(words, look->iface, true)) || (look->closes && look->opens && is_policy(words));
}

/* 1: of a kill-switch, 0: makes no difference, -1: something else, -ENOMEM. */
static int look_at(const struct shell_command *command, enum pass pass, struct look *look)
{
	struct strv words = { 0 };
	int r = -1;

	if (is_harmless(command))
		return 0;
	if (!firewall_command(command))
		return -1;
	if (flatten(command, &words) < 0 || (pass == PASS_LEARN && add_names(command, &words, look) < 0)) {
		strv_free(&words);
		return -ENOMEM;
	}
	if (pass == PASS_LEARN) {
		look->closes |= is_policy(&words);
		look->opens |= leaves(&words, look->iface, false) && accepts(&words);
	} else if (pass == PASS_FIND) {
		look->any |= is_core(&words, look);
	} else if (pass == PASS_JUDGE) {
		if (is_core(&words, look) || (!is_other(&words) && (mentions_name(&words, look) || (!is_nft(command) && has(&words, "OUTPUT")))))
			r = 1;
	} else {
		look->torn |= mentions_name(&words, look);
	}
	strv_free(&words);
	return r;
}

static int look_at_hook(struct kill_switch_hook *hook, enum pass pass, struct look *look)
{
	struct shell_text split = { 0 };
	bool other = false, part = false;
	int r = shell_split(hook->text, &split);

	for (size_t i = 0; i < split.n && r == 0; i++) {
		int is = look_at(&split.commands[i], pass, look);

		if (is == -ENOMEM)
			r = is;
		other |= is == -1;
		part |= is == 1;
	}
	shell_text_free(&split);
	if (r == 0 && pass == PASS_JUDGE)
		hook->found = part && !other;
	return r;
}

int kill_switch_find(struct kill_switch_hook *hooks, size_t n, const char *iface)
{
	struct look look = { .iface = iface };
	int r = 0;

	for (size_t i = 0; i < n; i++)
		hooks[i].found = false;
	for (enum pass pass = PASS_LEARN; pass <= PASS_TORN && r == 0; pass++)
		/* Without a kill-switch nothing is a part of one. */
		for (size_t i = 0; i < n && r == 0 && (pass <= PASS_FIND || look.any); i++)
			if (pass != PASS_TORN || !hooks[i].found)
				r = look_at_hook(&hooks[i], pass, &look);
	for (size_t i = 0; i < n && (look.torn || r < 0); i++)
		hooks[i].found = false;
	strv_free(&look.names);
	return r;
}
