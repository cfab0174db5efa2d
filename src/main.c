/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - the command table. A newcomer's map:
 *
 *	text --conffile.c--> struct conf --plan.c--> steps --txn.c--> kernel
 *	                                                guard.c watches the host meanwhile
 */
#include <fcntl.h>
#include <limits.h>

#include "cmd.h"
#include "config.h"
#include "log.h"
#include "out.h"
#include "rights.h"
#include "secret.h"

static const struct command {
	const char *name;
	int (*run)(const struct options *options, char **args);
	int min_args, max_args; /* max -1: any */
	bool wg_quick;		/* one of wg-quick's own */
	bool dry_run;		/* can only print what it would do */
	bool any_user;		/* needs no root */
	bool json;		/* can print for programs */
	bool force;		/* refuses what --force makes it do */
	bool guarded;		/* has hooks, or runs under the guard: --guard, --hooks and --transport have a meaning */
	bool takes_command;	/* all of its arguments are one; exec's begins with the second */
	bool no_keys;		/* never sees a private one */
} commands[] = {
	{ .name = "up", .run = cmd_up, .min_args = 1, .max_args = 1, .wg_quick = true, .guarded = true, .dry_run = true, .force = true },
	{ .name = "down", .run = cmd_down, .min_args = 1, .max_args = 1, .wg_quick = true, .guarded = true, .dry_run = true },
	{ .name = "save", .run = cmd_save, .min_args = 1, .max_args = 1, .wg_quick = true },
	{ .name = "strip", .run = cmd_strip, .min_args = 1, .max_args = 1, .wg_quick = true },
	{ .name = "check", .run = cmd_check, .min_args = 1, .max_args = 1, .guarded = true, .any_user = true },
	{ .name = "exec", .run = cmd_exec, .min_args = 2, .max_args = -1, .no_keys = true },
	{ .name = "guard", .run = cmd_guard, .min_args = 1, .max_args = -1, .guarded = true, .takes_command = true },
	{ .name = "recover", .run = cmd_recover },
	{ .name = "verify", .run = cmd_verify, .min_args = 1, .max_args = 1, .json = true },
	{ .name = "status", .run = cmd_status, .max_args = 1, .json = true },
	{ .name = "reload", .run = cmd_reload, .min_args = 1, .max_args = 1, .guarded = true, .dry_run = true, .force = true },
	{ .name = "confine", .run = cmd_confine, .min_args = 2, .max_args = INT_MAX, .dry_run = true, .force = true },
	{ .name = "release", .run = cmd_release, .min_args = 1, .max_args = INT_MAX, .dry_run = true },
	{ .name = "reresolve", .run = cmd_reresolve, .min_args = 1, .max_args = 1 },
	{ .name = "import", .run = cmd_import, .min_args = 1, .max_args = INT_MAX, .dry_run = true, .json = true, .force = true },
};

static void usage(void)
{
	fprintf(stderr,
		"Usage: %1$s [ up | down | save | strip ] [ CONFIG_FILE | INTERFACE ]\n"
		"       %1$s exec INTERFACE [-u USER] [--] COMMAND...\n"
		"       %1$s check CONFIG_FILE | INTERFACE\n"
		"       %1$s reload CONFIG_FILE | INTERFACE\n"
		"       %1$s reresolve INTERFACE\n"
		"       %1$s confine INTERFACE UNIT...\n"
		"       %1$s release UNIT...\n"
		"       %1$s import [--name NAME] [--keep-hooks] FILE | FOLDER | ARCHIVE | - ...\n"
		"       %1$s guard [--level LEVEL] [--] COMMAND...\n"
		"       %1$s recover\n"
		"       %1$s status [INTERFACE] [--json]\n"
		"       %1$s verify INTERFACE [--json]\n"
		"\n"
		"  CONFIG_FILE is a wg-quick(8) file whose name is the interface's name followed\n"
		"  by `.conf'; INTERFACE stands for /etc/wireguard/INTERFACE.conf. The interface\n"
		"  is made in a network namespace of its name, and nowhere else; this machine's\n"
		"  own links, routes and rules stay as they are. Beyond wg(8)'s keys the file has:\n"
		"\n"
		"  - Address, DNS: lists, separated by commas, may be repeated\n"
		"  - MTU: a number, found out if absent\n"
		"  - Table: a routing table, `auto' or `off'\n"
		"  - PreUp, PostUp, PreDown, PostDown: bash commands, %%i is the interface\n"
		"  - SaveConfig: `true' writes the state back on `down'\n"
		"\n"
		"Options, before or after the command:\n"
		"  --netns NAME|PATH               the namespace for the interface\n"
		"  --transport host|self|NAME|PATH where the encrypted packets leave [host]\n"
		"  --guard off|warn|default|strict what to do when the host's network changes\n"
		"  --hooks guarded|open|none       whether hooks may enter the host's namespace\n"
		"  --force                         do it although there is a reason against it\n"
		"  --keep-running                  confine: the unit goes on without the tunnel\n"
		"  --json                          status, verify, import: for programs\n"
		"  --dry-run                       print the plan, do nothing\n"
		"  --version, --help\n"
		"\n"
		"See wg-nsquick(8) for more, wg-quick(8) for the file.\n",
		log_program());
}

/* An option that is one word. */
static bool read_flag(const char *word, struct options *options)
{
	static const struct {
		const char *name;
		size_t offset;
	} flags[] = {
		{ "--force", offsetof(struct options, force) },
		{ "--keep-hooks", offsetof(struct options, keep_hooks) },
		{ "--json", offsetof(struct options, json) },
		{ "--dry-run", offsetof(struct options, dry_run) },
		{ "--keep-running", offsetof(struct options, keep_running) },
		{ "--user", offsetof(struct options, user_manager) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (strcmp(word, flags[i].name) == 0) {
			*(bool *)((char *)options + flags[i].offset) = true;
			return true;
		}
	return false;
}

/* 0, or -1, told. */
static int set_value(struct options *options, size_t offset, const char *value)
{
	if (offset == offsetof(struct options, guard)) {
		if (guard_level_parse(value, &options->guard) < 0) {
			log_error("`%s' is not a guard level; expected off, warn, default or strict", value);
			return -1;
		}
	} else if (offset == offsetof(struct options, hooks)) {
		if (hooks_mode_parse(value, &options->hooks) < 0) {
			log_error("`%s' is not a way to run hooks; expected guarded, open or none", value);
			return -1;
		}
	} else {
		*(const char **)((char *)options + offset) = value;
	}
	return 0;
}

/* How many words an option at argv[0] takes; 0: it is none; -1: it is wrong, and that was told. */
static int read_option(char **argv, struct options *options)
{
	static const struct {
		const char *name;
		size_t offset;
	} texts[] = {
		{ "--netns", offsetof(struct options, netns) },
		{ "--transport", offsetof(struct options, transport) },
		{ "--guard", offsetof(struct options, guard) },
		{ "--level", offsetof(struct options, guard) }, /* guard's own name for it */
		{ "--hooks", offsetof(struct options, hooks) },
		{ "--name", offsetof(struct options, name) },
	};

	if (read_flag(argv[0], options))
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t len = strlen(texts[i].name);
		const char *value;

		if (strncmp(argv[0], texts[i].name, len) != 0 || (argv[0][len] && argv[0][len] != '='))
			continue;
		value = argv[0][len] ? argv[0] + len + 1 : argv[1];
		if (!value || !*value) {
			log_error("%s needs a value", texts[i].name);
			return -1;
		}
		if (set_value(options, texts[i].offset, value) < 0)
			return -1;
		return argv[0][len] ? 1 : 2;
	}
	return 0;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* exec's -u, before or after its INTERFACE. */
static bool is_user_option(const struct command *command, const char *word)
{
	return command->run == cmd_exec && strcmp(word, "-u") == 0;
}

/*
 * Words to command, options and arguments. With exactly wg-quick's two words
 * nothing is an option: `up --force` is about an interface of that name.
 * Returns 0, or -1 (usage) or -2 (told); *ret_command is set as soon as it is known.
 */
static int read_words(int argc, char **argv, const struct command **ret_command, struct options *options, char **args)
{
	const struct command *command = NULL;
	int n = 0;

	if (argc == 3 && (command = find_command(argv[1])) && command->wg_quick) {
		args[0] = argv[2];
		*ret_command = command;
		return 0;
	}
	command = NULL;
	for (int i = 1; i < argc; i++) {
		int words = 0;

		if (command && is_user_option(command, argv[i])) {
			options->user = argv[++i];
			if (!options->user) {
				log_error("-u needs a value");
				return -2;
			}
			continue;
		}
		/* Everything from its COMMAND on, is left alone. */
		if (command && command->max_args < 0 && n == !command->takes_command) {
			if (strcmp(argv[i], "--") == 0 || argv[i][0] != '-')
				while (i < argc)
					args[n++] = argv[i++];
		}
		if (i >= argc)
			break;
		if (command && command->max_args == INT_MAX && strcmp(argv[i], "--") == 0) {
			while (++i < argc)
				args[n++] = argv[i];
			break;
		}
		words = read_option(&argv[i], options);
		if (words < 0)
			return -2;
		if (words) {
			i += words - 1;
			continue;
		}
		if (!command) {
			command = *ret_command = find_command(argv[i]);
			if (!command)
				return -1;
		} else if (command->max_args == INT_MAX && argv[i][0] == '-' && argv[i][1]) {
			log_error("`%s' is no option of %s; words behind -- are taken as they are", argv[i], command->name);
			return -2;
		} else {
			args[n++] = argv[i];
		}
	}
	if (!command || n < command->min_args || (command->max_args >= 0 && n > command->max_args))
		return -1;
	*ret_command = command;
	return 0;
}

/*
 * The words of exec in one order, with `--' right behind INTERFACE unless an option is: what
 * a rule of sudoers(5) may allow without allowing -u root (contrib/sudoers has one).
 */
static void exec_words(const struct options *options, char **args, char **words)
{
	size_t n = 0;

	words[n++] = (char *)"exec";
	words[n++] = args[0];
	if (options->user) {
		words[n++] = (char *)"-u";
		words[n++] = (char *)options->user;
	}
	if (options->netns) {
		words[n++] = (char *)"--netns";
		words[n++] = (char *)options->netns;
	}
	words[n++] = (char *)"--";
	for (args += strcmp(args[1], "--") == 0 ? 2 : 1; *args; args++)
		words[n++] = *args;
}

/* wg-quick runs itself again under sudo; so do we, under the name that we were called by. */
static int become_root(int argc, char **argv, const struct command *command, const struct options *options, char **args)
{
	_cleanup_free_ char *prompt = NULL;
	_cleanup_free_ char **words = calloc((size_t)argc + 12, sizeof(*words));
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len < 0 || !words || asprintf(&prompt, "%s must be run as root. Please enter the password for %%u to continue: ", log_program()) < 0) {
		log_error("must be run as root");
		return 1;
	}
	self[len] = '\0';
	words[0] = (char *)"sudo";
	words[1] = (char *)"-p";
	words[2] = prompt;
	words[3] = (char *)"--";
	/* A path leads to the same file, and keeps a symlink's name. */
	words[4] = strchr(argv[0], '/') ? argv[0] : self;
	if (command->run == cmd_exec)
		exec_words(options, args, words + 5);
	else
		for (int i = 1; i < argc; i++)
			words[4 + i] = argv[i];
	execvp("sudo", words);
	log_error("must be run as root, and sudo cannot be run: %s", strerror(errno));
	return 127;
}

/* Hooks find a wg(8) that stands beside this program first, and the C locale. */
static void set_environment(void)
{
	_cleanup_free_ char *joined = NULL;
	const char *path = getenv("PATH");
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	setenv("LC_ALL", "C", 1);
	if (len < 0)
		return;
	self[len] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return;
	*slash = '\0';
	/* Without one, a shell has a path of its own. */
	if (asprintf(&joined, "%s:%s", self, path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") < 0) {
		joined = NULL;
		return;
	}
	setenv("PATH", joined, 1);
}

int cmd_settings_quiet(const struct options *options, const char *iface, struct settings *ret_settings, char ret_error[static 512])
{
	_cleanup_free_ char *path = NULL;

	if (iface && asprintf(&path, SETTINGS_DIR "/%s.conf", iface) < 0) {
		path = NULL;
		snprintf(ret_error, 512, "out of memory");
		return -1;
	}
	if (settings_load(ret_settings, SETTINGS_FILE, ret_error) < 0 || (path && settings_load(ret_settings, path, ret_error) < 0))
		return -1;
	if (options->netns) {
		free(ret_settings->netns);
		ret_settings->netns = strdup(options->netns);
	}
	if (options->transport) {
		free(ret_settings->transport);
		ret_settings->transport = strdup(options->transport);
	}
	if (options->guard != GUARD_UNSET)
		ret_settings->guard = options->guard;
	if (options->hooks != HOOKS_UNSET)
		ret_settings->hooks = options->hooks;
	if ((options->netns && !ret_settings->netns) || (options->transport && !ret_settings->transport)) {
		snprintf(ret_error, 512, "out of memory");
		return -1;
	}
	return 0;
}

int cmd_settings(const struct options *options, const char *iface, struct settings *ret_settings)
{
	char error[512];

	if (cmd_settings_quiet(options, iface, ret_settings, error) == 0)
		return 0;
	log_error("%s", error);
	return -1;
}

/* A closed standard descriptor would become one of ours, and messages go into it. Answers which were, as bits. */
static unsigned int open_standard(void)
{
	unsigned int closed = 0;
	int fd;

	while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
		closed |= 1U << fd;
	close_fd(fd);
	return closed;
}

/* Of these a program that takes our place finds none, as with env(1). */
static void close_on_exec(unsigned int descriptors)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (descriptors & 1U << fd)
			(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* The status for wrong words: exec's own failures are told from its COMMAND's. */
static int failure(const struct command *command)
{
	return command && command->run == cmd_exec ? EXIT_CANCELED_EXEC : 1;
}

/* Options that mean nothing to the command are refused, and told: who gave them expected something. */
static bool options_fit(const struct command *command, const struct options *options)
{
	if (options->json && !command->json)
		log_error("%s has nothing to print as JSON; expected status, verify or import", command->name);
	else if ((options->keep_hooks || options->name) && command->run != cmd_import)
		log_error("%s is an option of import, not of %s", options->name ? "--name" : "--keep-hooks", command->name);
	else if (options->keep_running && command->run != cmd_confine)
		log_error("--keep-running is an option of confine, not of %s", command->name);
	else if (options->user_manager && command->run != cmd_confine && command->run != cmd_release)
		log_error("--user is an option of confine and release, not of %s%s", command->name, command->run == cmd_exec ? "; expected -u USER" : "");
	else if (!command->guarded && (options->transport || options->guard != GUARD_UNSET || options->hooks != HOOKS_UNSET))
		log_error("--transport, --guard and --hooks are options of up, down, reload, check and guard, not of %s", command->name);
	else if (options->force && !command->force)
		log_error("%s has nothing to force; expected up, reload, confine or import", command->name);
	else if (options->dry_run && !command->dry_run)
		log_error("%s has no dry run; expected up, down, reload, confine, release or import", command->name);
	else
		return true;
	return false;
}

int main(int argc, char **argv)
{
	const struct command *command = NULL;
	struct options options = { 0 };
	_cleanup_free_ char **args = calloc((size_t)argc + 1, sizeof(*args));
	unsigned int closed;

	if (argc < 1 || !args)
		return 1;
	closed = open_standard();
	if (closed & 1U << STDOUT_FILENO)
		out_was_closed();
	log_set_program(argv[0]);
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)) {
		usage();
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts(PACKAGE_STRING);
		return out_flush() < 0;
	}
	switch (read_words(argc, argv, &command, &options, args)) {
	case 0:
		break;
	case -1:
		usage();
		return failure(command);
	default:
		return failure(command);
	}
	if (!options_fit(command, &options))
		return failure(command);
	if (getuid() != 0 && !command->any_user && !(command->run == cmd_exec && rights_suffice()))
		return become_root(argc, argv, command, &options, args);
	/* exec is to start a program as fast as it can. */
	if (!command->no_keys)
		secret_protect();
	/* exec's command has the environment of who started it, and the descriptors. */
	if (command->wg_quick)
		set_environment();
	if (command->run == cmd_exec)
		close_on_exec(closed);
	return command->run(&options, args);
}
