/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd.h - the commands. Each gets the options and its own arguments, and answers with the exit status. */
#pragma once

#include "conf.h"
#include "place.h"
#include "plan.h"
#include "policy.h"
#include "reach.h"
#include "settings.h"

struct options {
	enum guard_level guard; /* GUARD_UNSET: not said */
	const char *netns;
	const char *transport;
	enum hooks_mode hooks;
	bool force;
	bool dry_run;
	bool keep_hooks;  /* import's */
	const char *name; /* import's: for its one file */
	bool json;
	bool keep_running; /* confine: Wants= in place of BindsTo= */
	bool user_manager; /* confine, release: --user, as systemctl has it */
	const char *user; /* exec's -u */
};

/* env(1)'s, for exec: what failed before COMMAND, COMMAND not executable, COMMAND not found. */
enum { EXIT_CANCELED_EXEC = 125, EXIT_CANNOT_INVOKE = 126, EXIT_NOT_FOUND = 127 };

int cmd_up(const struct options *options, char **args);
int cmd_down(const struct options *options, char **args);
int cmd_save(const struct options *options, char **args);
int cmd_strip(const struct options *options, char **args);
int cmd_check(const struct options *options, char **args);
int cmd_exec(const struct options *options, char **args);
int cmd_guard(const struct options *options, char **args);
int cmd_status(const struct options *options, char **args);
int cmd_verify(const struct options *options, char **args);
int cmd_import(const struct options *options, char **args);
int cmd_recover(const struct options *options, char **args);
int cmd_confine(const struct options *options, char **args);
int cmd_release(const struct options *options, char **args);
int cmd_reload(const struct options *options, char **args);
int cmd_reresolve(const struct options *options, char **args);

/* The settings of both files for this interface (NULL: of the one for all), the command line on top. 0, or -1 with the error told. */
int cmd_settings(const struct options *options, const char *iface, struct settings *ret_settings);
/* The same without a word: -1 with the error in ret_error. */
int cmd_settings_quiet(const struct options *options, const char *iface, struct settings *ret_settings, char ret_error[static 512]);
/* The number of the conf's Table, untouched if it has none. 0 or -EINVAL with *ret_error. */
int cmd_table(const struct conf *conf, struct conf_error *ret_error, uint32_t *ret_table);
/* Resolves the conf's endpoints as the transport sees them. 0, or an exit status with the error told. */
int cmd_resolve(struct conf *conf, const struct place *place);
/* Whether another device has the conf's key: 0, or an exit status with the error told. */
int cmd_check_key(const struct conf *conf, const struct place *place);
/* What the guard must know of the tunnel and of this host's surroundings. */
void cmd_policy(struct policy *policy, const struct reach *reach);
