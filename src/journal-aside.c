/* SPDX-License-Identifier: GPL-2.0-or-later */
/* journal-aside.c - journals that could not be read: the files, not what is left of their tunnels (unknown.c). */
#include "journal-text.h"

#include <dirent.h>
#include <inttypes.h>

int journal_set_aside_names(ns_cookie cookie, struct strv *ret_ifaces)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir(TUNNEL_DIR);
	const struct dirent *entry;
	struct strv found = { 0 };
	char tail[64];
	int r = 0;

	snprintf(tail, sizeof(tail), "@%" PRIx64 JOURNAL_ASIDE, cookie);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		size_t len = strlen(entry->d_name), end = strlen(tail);

		if (len > end && strcmp(entry->d_name + len - end, tail) == 0)
			r = strv_add(&found, entry->d_name, len - end);
	}
	if (r == 0)
		r = -errno;
	if (r < 0)
		strv_free(&found);
	else
		*ret_ifaces = found;
	return r;
}

bool journal_was_set_aside(const char *iface, ns_cookie cookie)
{
	_cleanup_free_ char *path = NULL, *aside = NULL;

	/* One of before is history where another tunnel of that name has come up since. */
	if (journal_path(iface, cookie, "", &path) < 0 || access(path, F_OK) == 0)
		return false;
	return journal_path(iface, cookie, JOURNAL_ASIDE, &aside) == 0 && access(aside, F_OK) == 0;
}

int journal_forget_set_aside(const char *iface, ns_cookie cookie)
{
	_cleanup_free_ char *aside = NULL;
	int r = journal_path(iface, cookie, JOURNAL_ASIDE, &aside);

	if (r < 0)
		return r;
	return unlink(aside) < 0 && errno != ENOENT ? -errno : 0;
}
