/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shell-words.h - a shell text as the commands a person sees in it. Nothing is
 * expanded or run: for warnings, never for decisions. Pure.
 */
#pragma once

#include "util.h"

/* The words of one simple command, quotes taken off; assignments and words such as `if`, `!` or `sudo` before it left out. */
struct shell_command {
	struct strv words;
};

struct shell_text {
	struct shell_command *commands;
	size_t n;
};

/*
 * Splits at ; & | newlines and parentheses. What backquotes, $( ) and <( ) run,
 * and what `sh -c`, `su -c` or eval are given, are commands too. -ENOMEM.
 * The caller frees.
 */
int shell_split(const char *text, struct shell_text *ret_text);
void shell_text_free(struct shell_text *text);

/* The command's name without its folder; "" when there are no words. */
const char *shell_program(const struct shell_command *command);
/* Whether one of its words is `word`. */
bool shell_has(const struct shell_command *command, const char *word);
/* The word after `option`, or NULL. */
const char *shell_after(const struct shell_command *command, const char *option);
