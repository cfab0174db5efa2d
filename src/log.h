/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.h - everything the program says on standard error, in wg-quick's forms.
 * No key material may ever be passed to these functions.
 */
#pragma once

#include <stddef.h>

/* The name that messages begin with: the basename of argv[0], as wg-quick's. Kept, not copied. */
void log_set_program(const char *name);
const char *log_program(void);

/* "PROGRAM: MESSAGE": one line that ends the run. */
__attribute__((format(printf, 1, 2))) void log_error(const char *fmt, ...);
/* "Warning: MESSAGE": wg-quick prints its one warning without the program's name. */
__attribute__((format(printf, 1, 2))) void log_warn(const char *fmt, ...);
/* "[#] COMMAND": what is about to be done, in the words of the command that would do it. */
__attribute__((format(printf, 1, 2))) void log_trace(const char *fmt, ...);
/* "[!] NOTE": wg-quick's form for the userspace fallback; ours for what the guard has to say. */
__attribute__((format(printf, 1, 2))) void log_note(const char *fmt, ...);

/* Where this process's lines go in place of standard error, whole and with their ends. NULL: nowhere else. See log-later.h. */
void log_divert(void (*take)(const char *text, size_t len));
