/* SPDX-License-Identifier: GPL-2.0-or-later */
/* secret.h - what keeps keys in this process's memory, and nowhere else. */
#pragma once

/*
 * No core dump and, where locking memory is allowed without a limit, no swap has what this
 * process has. Both end with exec, so hooks and programs are as ever; a child needs it anew.
 */
void secret_protect(void);

/*
 * Overwrites what calls that have returned left behind: the stack below the caller, and the
 * vector registers. memcpy() takes a key through these, and the dynamic linker writes them all
 * to the stack when it binds a function at its first call. To be called once the variables that
 * held a key are wiped, and no deeper than where they were.
 */
void secret_scrub(void);
