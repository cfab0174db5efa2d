/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include "ns.h"
#include "resolvers.h"

void unit_free(struct unit *unit)
{
	free(unit->netns);
	strv_free(&unit->joins);
	strv_free(&unit->before);
	strv_free(&unit->sockets);
	*unit = (struct unit){ 0 };
}

int unit_full_name(const char *text, char **ret_name)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@");
	bool whole = strchr(text, '.') != NULL;
	char *name;

	if (!len || text[len] || len > 240 || *text == '.' || *text == '-')
		return -EINVAL;
	if (asprintf(&name, "%s%s", text, whole ? "" : ".service") < 0)
		return -ENOMEM;
	*ret_name = name;
	return 0;
}

static bool below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return path && strncmp(path, dir, len) == 0 && path[len] == '/';
}

void unit_format_dropin(const struct unit_confinement *c, struct buf *text)
{
	buf_fmt(text, UNIT_HEADER "%s; `wg-nsquick release' takes it away.\n", c->iface);
	buf_str(text, "[Unit]\n");
	buf_fmt(text, "%s=wg-nsquick@%s.service\nAfter=wg-nsquick@%s.service\n", c->bind ? "BindsTo" : "Wants", c->iface, c->iface);
	buf_str(text, "\n[Service]\n");
	if (c->open_network)
		buf_str(text, "PrivateNetwork=no\n");
	buf_fmt(text, "NetworkNamespacePath=" NETNS_RUN_DIR "/%s\n", c->netns);
	for (size_t i = 0; resolver_dirs[i]; i++) {
		if (!below(c->resolv_target, resolver_dirs[i])) {
			buf_fmt(text, "InaccessiblePaths=-%s\n", resolver_dirs[i]);
			continue;
		}
		/* /etc/resolv.conf leads into it: the folder is empty then but for that file. */
		buf_fmt(text, "TemporaryFileSystem=%s:ro\n", resolver_dirs[i]);
	}
	buf_fmt(text, "BindReadOnlyPaths=" NETNS_ETC_DIR "/%s/resolv.conf:%s\n", c->netns, c->resolv_target ? c->resolv_target : "/etc/resolv.conf");
	buf_fmt(text, "BindReadOnlyPaths=-" NETNS_ETC_DIR "/%s/nsswitch.conf:/etc/nsswitch.conf\n", c->netns);
}
