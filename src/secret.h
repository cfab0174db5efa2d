/* SPDX-License-Identifier: GPL-2.0-or-later */
/* secret.h - what keeps keys in this process's memory, and nowhere else. */
#pragma once

/*
 * No core dump and, where locking memory is allowed without a limit, no swap has what this
 * process has. Both end with exec, so hooks and programs are as ever; a child needs it anew.
 */
void secret_protect(void);
