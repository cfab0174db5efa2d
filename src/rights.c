/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rights.h"

#include <cap-ng.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

void user_free(struct user *user)
{
	free(user->groups);
	free(user->name);
	free(user->home);
	free(user->shell);
	*user = (struct user){ 0 };
}

static int add_groups(struct user *user)
{
	int n = 32;

	for (;;) {
		gid_t *groups = reallocarray(user->groups, (size_t)n, sizeof(*groups));
		int had = n;

		if (!groups)
			return -ENOMEM;
		user->groups = groups;
		if (getgrouplist(user->name, user->gid, groups, &n) >= 0) {
			user->n_groups = (size_t)n;
			return 0;
		}
		/* glibc says how many there are. */
		n = n > had ? n : 2 * had;
	}
}

static bool is(const struct user *user)
{
	uid_t real, effective, saved;
	gid_t g_real, g_effective, g_saved;

	return getresuid(&real, &effective, &saved) == 0 && getresgid(&g_real, &g_effective, &g_saved) == 0 && real == user->uid &&
	       effective == user->uid && saved == user->uid && g_real == user->gid && g_effective == user->gid && g_saved == user->gid;
}

static int from_entry(const struct passwd *entry, struct user *ret_user)
{
	struct user user = { .uid = entry->pw_uid, .gid = entry->pw_gid };
	int r;

	user.name = strdup(entry->pw_name);
	user.home = strdup(entry->pw_dir);
	user.shell = strdup(*entry->pw_shell ? entry->pw_shell : "/bin/sh");
	r = user.name && user.home && user.shell ? 0 : -ENOMEM;
	/* Whose process this is keeps its groups: the slowest question to the user database is not asked for nothing. */
	if (r == 0 && !is(&user))
		r = add_groups(&user);
	if (r < 0)
		user_free(&user);
	else
		*ret_user = user;
	return r;
}

/* A number that the user database does not know: it and the group, and nothing else. */
static int from_numbers(uid_t uid, gid_t gid, struct user *ret_user)
{
	struct user user = { .uid = uid, .gid = gid };

	user.groups = malloc(sizeof(*user.groups));
	if (!user.groups)
		return -ENOMEM;
	user.groups[0] = gid;
	user.n_groups = 1;
	*ret_user = user;
	return 0;
}

static const struct passwd *entry_of_number(const char *text)
{
	uint64_t uid;

	return parse_u64(text, UINT32_MAX - 1, &uid) == 0 ? getpwuid((uid_t)uid) : NULL;
}

int user_find(const char *name_or_uid, struct user *ret_user)
{
	const struct passwd *entry = getpwnam(name_or_uid);

	if (!entry)
		entry = entry_of_number(name_or_uid);
	return entry ? from_entry(entry, ret_user) : -ENOENT;
}

void user_find_self(struct user *ret_user)
{
	*ret_user = (struct user){ .uid = getuid(), .gid = getgid() };
}

int user_find_invoking(struct user *ret_user, const char **ret_variable)
{
	static const struct {
		const char *user, *group;
	} notes[] = { { "SUDO_UID", "SUDO_GID" }, { "PKEXEC_UID", NULL }, { "DOAS_USER", NULL } };

	for (size_t i = 0; i < ARRAY_SIZE(notes); i++) {
		const char *text = getenv(notes[i].user), *group = notes[i].group ? getenv(notes[i].group) : NULL;
		const struct passwd *entry;
		uint64_t uid, gid;
		int r;

		if (!text)
			continue;
		*ret_variable = notes[i].user;
		entry = strcmp(notes[i].user, "DOAS_USER") == 0 ? getpwnam(text) : entry_of_number(text);
		if (entry)
			r = from_entry(entry, ret_user);
		else if (group && parse_u64(text, UINT32_MAX - 1, &uid) == 0 && parse_u64(group, UINT32_MAX - 1, &gid) == 0)
			r = from_numbers((uid_t)uid, (gid_t)gid, ret_user);
		else
			return -EINVAL;
		if (r == 0 && ret_user->uid == 0) {
			user_free(ret_user);
			r = -ENOENT;
		}
		return r;
	}
	return -ENOENT;
}

static bool has_any(void)
{
	static const capng_type_t sets[] = { CAPNG_EFFECTIVE, CAPNG_PERMITTED, CAPNG_INHERITABLE, CAPNG_AMBIENT };

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		for (unsigned int cap = 0; cap <= CAP_LAST_CAP; cap++)
			if (capng_have_capability(sets[i], cap))
				return true;
	return false;
}

static int drop_capabilities(void)
{
	if (capng_get_caps_process() < 0)
		return -EPERM;
	capng_clear(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT);
	if (capng_apply(CAPNG_SELECT_AMBIENT) < 0 || capng_apply(CAPNG_SELECT_CAPS) < 0)
		return -EPERM;
	/* What the kernel says, not what was asked for. */
	if (capng_get_caps_process() < 0 || has_any())
		return -ENOTRECOVERABLE;
	return 0;
}

int rights_become(const struct user *user)
{
	int r;

	/* Who runs as that user already may not be allowed to set groups, and need not. */
	if (!is(user) && (setgroups(user->n_groups, user->groups) < 0 || setresgid(user->gid, user->gid, user->gid) < 0 ||
			  setresuid(user->uid, user->uid, user->uid) < 0))
		return -errno;
	if (!is(user))
		return -ENOTRECOVERABLE;
	if (user->uid == 0)
		return 0;
	r = drop_capabilities();
	if (r == 0 && (setuid(0) == 0 || (user->gid != 0 && setgid(0) == 0)))
		r = -ENOTRECOVERABLE;
	return r;
}

int rights_set_environment(const struct user *user)
{
	static const char *const of_helpers[] = { "SUDO_COMMAND", "SUDO_GID", "SUDO_UID", "SUDO_USER", "SUDO_HOME", "PKEXEC_UID", "DOAS_USER", "MAIL" };
	_cleanup_free_ char *runtime = NULL;
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(of_helpers); i++)
		unsetenv(of_helpers[i]);
	if (user->name && (setenv("HOME", user->home, 1) < 0 || setenv("USER", user->name, 1) < 0 || setenv("LOGNAME", user->name, 1) < 0 ||
			   setenv("SHELL", user->shell, 1) < 0))
		return -errno;
	if (asprintf(&runtime, "/run/user/%u", user->uid) < 0) {
		runtime = NULL;
		return -ENOMEM;
	}
	/* Of another user it is of no use, and a danger: files made there would be in that user's way. */
	if (stat(runtime, &st) < 0 || st.st_uid != user->uid)
		return unsetenv("XDG_RUNTIME_DIR") < 0 ? -errno : 0;
	return setenv("XDG_RUNTIME_DIR", runtime, 1) < 0 ? -errno : 0;
}

bool rights_suffice(void)
{
	return capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN) &&
	       (capng_have_capability(CAPNG_EFFECTIVE, CAP_DAC_OVERRIDE) || capng_have_capability(CAPNG_EFFECTIVE, CAP_DAC_READ_SEARCH));
}
