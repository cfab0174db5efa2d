/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * embeddable-wg.c - compiles wireguard.c from where wireguard-tools installed
 * it (configure: --with-embeddable-wg) with a free() that wipes: the library
 * gives back blocks that still hold private and preshared keys.
 *
 * The Makefile copies it with one line changed: wg_get_device() tries again where the device
 * changed while it was read, but remembers the first error, and so did for ever. It
 * now answers -EINTR, and wg-kernel.c tries again.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/*
 * Not inlined: where the compiler sees what was asked for, its fortified explicit_bzero()
 * takes the rest of the block, which is ours too, for an overflow.
 */
__attribute__((noinline)) static void wiping_free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

#define free wiping_free
#include <wireguard-once.c>
