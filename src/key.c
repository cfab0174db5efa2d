/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "key.h"

static const char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	return -1;
}

int parse_key(const char *text, struct key *ret_key)
{
	struct key key = { 0 };
	uint32_t bits = 0;
	unsigned int n_bits = 0;
	size_t n = 0;
	int r = -EINVAL;

	/* 43 sextets are 258 bits: 32 bytes and two bits that must be zero, or two texts would be one key. */
	if (strnlen(text, KEY_TEXT_LEN) != KEY_TEXT_LEN - 1 || text[KEY_TEXT_LEN - 2] != '=')
		return -EINVAL;
	for (size_t i = 0; i < KEY_TEXT_LEN - 2; i++) {
		int value = sextet(text[i]);

		if (value < 0)
			goto out;
		bits = bits << 6 | (uint32_t)value;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			key.b[n++] = (uint8_t)(bits >> n_bits);
		}
	}
	if (bits & ((1U << n_bits) - 1))
		goto out;
	*ret_key = key;
	r = 0;
out:
	explicit_bzero(&key, sizeof(key));
	return r;
}

void format_key(const struct key *key, char ret_text[static KEY_TEXT_LEN])
{
	uint32_t bits = 0;
	unsigned int n_bits = 0;
	char *p = ret_text;

	for (size_t i = 0; i < KEY_LEN; i++) {
		bits = bits << 8 | key->b[i];
		n_bits += 8;
		while (n_bits >= 6) {
			n_bits -= 6;
			*p++ = alphabet[bits >> n_bits & 63];
		}
	}
	*p++ = alphabet[bits << (6 - n_bits) & 63];
	*p++ = '=';
	*p = '\0';
}

bool key_is_zero(const struct key *key)
{
	static const struct key zero;

	return key_equal(key, &zero);
}

/* Looks at every byte, so that the time taken says nothing about a private key. */
bool key_equal(const struct key *a, const struct key *b)
{
	unsigned int differs = 0;

	for (size_t i = 0; i < KEY_LEN; i++)
		differs |= a->b[i] ^ b->b[i];
	return differs == 0;
}

static void clamp(struct key *key)
{
	key->b[0] &= 0xf8;
	key->b[KEY_LEN - 1] = (key->b[KEY_LEN - 1] & 0x7f) | 0x40;
}

bool key_equal_clamped(const struct key *a, const struct key *b)
{
	struct key x = *a, y = *b;
	bool equal;

	clamp(&x);
	clamp(&y);
	equal = key_equal(&x, &y);
	explicit_bzero(&x, sizeof(x));
	explicit_bzero(&y, sizeof(y));
	return equal;
}
