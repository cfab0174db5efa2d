/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rights.h - becoming another user for good, with no capability left. The only user of libcap-ng. */
#pragma once

#include <sys/types.h>

#include "util.h"

struct user {
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary ones, and gid; none when the calling process has these ids: it keeps its own */
	size_t n_groups;
	char *name, *home, *shell; /* all NULL: the user database does not know this number, or was not asked */
};

/*
 * By name, or by number where there is no such name. Looked up in the caller's
 * namespaces: to be done before they are left. -ENOENT: there is none.
 */
int user_find(const char *name_or_uid, struct user *ret_user);
/*
 * Who asked root to run this program, as sudo(8), doas(1) and pkexec(1) note it in the
 * environment. -ENOENT: nobody, or root; -EINVAL with *ret_variable: the note is not a user.
 */
int user_find_invoking(struct user *ret_user, const char **ret_variable);
/* The calling process's own ids, without asking the user database. */
void user_find_self(struct user *ret_user);
void user_free(struct user *user);
#define _cleanup_user_ CLEANUP(user_free)

/*
 * Groups, ids, and, unless the user is root, no effective, permitted, inheritable or ambient
 * capability; the bounding set stays, as programs like Debian's ping have capabilities on their
 * file. Looked at afterwards: -ENOTRECOVERABLE when the kernel says that something is left.
 */
int rights_become(const struct user *user);

/* HOME, USER, LOGNAME, SHELL and XDG_RUNTIME_DIR; what sudo(8) and its like left in the environment goes. */
int rights_set_environment(const struct user *user);

/* Whether the process may enter namespaces and read our records, though it is not root. */
bool rights_suffice(void);
