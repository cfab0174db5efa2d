/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sandbox.h - a process that reads what strangers wrote gives up all but reading and writing. */
#pragma once

#include "util.h"

/*
 * From here on the calling process is nobody (where the user namespace has
 * that user), has no capabilities and can get none, opens no file, starts no
 * process, makes no socket: descriptors that it has or is sent are read and
 * written, and memory is asked for. `seconds`: of processor time, then SIGXCPU.
 * -errno: then it must end.
 */
int sandbox_enter(unsigned int seconds);
