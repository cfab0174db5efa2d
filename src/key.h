/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * key.h - Curve25519 keys as text and bytes. Pure.
 */
#pragma once

#include "util.h"

#define KEY_LEN 32
#define KEY_TEXT_LEN 45 /* base64, with the terminator */

struct key {
	uint8_t b[KEY_LEN];
};

/* -EINVAL unless canonical base64 of 32 bytes. */
int parse_key(const char *text, struct key *ret_key);
void format_key(const struct key *key, char ret_text[static KEY_TEXT_LEN]);

bool key_is_zero(const struct key *key);
bool key_equal(const struct key *a, const struct key *b);
/* Whether two private keys are one after the clamping that every device applies (RFC 7748, section 5). */
bool key_equal_clamped(const struct key *a, const struct key *b);
