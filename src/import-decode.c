/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes of a file as text. Windows writes byte order marks, CRLF and
 * UTF-16; web pages add blanks that look like others. What hides text from a
 * reader ends here, with an error.
 */
#include "import.h"

struct decoder {
	struct buf *out;
	struct findings *f;
	unsigned int line;
	unsigned int blanks;	  /* in a row, so far */
	unsigned int empty_lines; /* in a row, so far */
	size_t line_len;
	bool cr, odd_blanks, latin1;
};

static int fail(struct decoder *d, const char *what)
{
	finding_add(d->f, FIND_ERROR, d->line, "%s", what);
	return -EINVAL;
}

/* ---- UTF-16 ---- */

static unsigned int unit(const unsigned char *p, bool big)
{
	return big ? p[0] * 256U + p[1] : p[1] * 256U + p[0];
}

static void add_utf8(struct buf *b, unsigned int c)
{
	char bytes[4];
	size_t n = 0;

	if (c < 0x80) {
		bytes[n++] = (char)c;
	} else if (c < 0x800) {
		bytes[n++] = (char)(0xc0 | c >> 6);
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		bytes[n++] = (char)(0xe0 | c >> 12);
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		bytes[n++] = (char)(0xf0 | c >> 18);
		bytes[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	}
	buf_add(b, bytes, n);
}

static int from_utf16(struct decoder *d, const unsigned char *p, size_t len, bool big, struct buf *ret_text)
{
	buf_str(ret_text, "");
	if (len % 2)
		return fail(d, "UTF-16 text with half a character at its end; expected a whole file");
	for (size_t i = 0; i < len; i += 2) {
		unsigned int c = unit(p + i, big), low;

		if (c >= 0xd800 && c < 0xe000) {
			low = i + 2 < len ? unit(p + i + 2, big) : 0;
			if (c >= 0xdc00 || low < 0xdc00 || low >= 0xe000)
				return fail(d, "UTF-16 text with half of a pair of surrogates; expected a whole file");
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			i += 2;
		}
		add_utf8(ret_text, c);
	}
	return ret_text->failed ? -ENOMEM : 0;
}

/* Without a mark: ASCII in UTF-16 has a NUL in every second byte. */
static bool looks_utf16(const unsigned char *p, size_t len, bool big)
{
	if (len < 8)
		return false;
	for (size_t i = 0; i < 8; i += 2)
		if (p[i + !big] || !p[i + big])
			return false;
	return true;
}

/* ---- UTF-8 ---- */

/* The character at `p`, and its length; 0 when it is none. */
static size_t read_utf8(const unsigned char *p, const unsigned char *end, unsigned int *ret_c)
{
	static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *p < 0x80 ? 1 : (*p & 0xe0) == 0xc0 ? 2 : (*p & 0xf0) == 0xe0 ? 3 : (*p & 0xf8) == 0xf0 ? 4 : 0;
	unsigned int c = n == 1 ? *p : n ? *p & (0x7fU >> n) : 0;

	if (!n || (size_t)(end - p) < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fU);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret_c = c;
	return n;
}

static bool is_utf8(const unsigned char *p, const unsigned char *end)
{
	unsigned int c;

	while (p < end) {
		size_t n = read_utf8(p, end, &c);

		if (!n)
			return false;
		p += n;
	}
	return true;
}

/* Blanks that only look like one: NO-BREAK SPACE, those of typography, the ideographic one. */
static bool is_odd_blank(unsigned int c)
{
	return c == 0xa0 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Characters of no width. */
static bool is_nothing(unsigned int c)
{
	return c == 0xad || (c >= 0x200b && c <= 0x200d) || c == 0x2060 || c == 0xfeff;
}

/* What turns the direction of writing around: text that is not what it looks like. */
static bool is_turn(unsigned int c)
{
	return c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static int end_line(struct decoder *d)
{
	d->line++;
	d->empty_lines = d->line_len ? 0 : d->empty_lines + 1;
	d->line_len = 0;
	d->blanks = 0;
	buf_str(d->out, "\n");
	return 0;
}

static int add_blank(struct decoder *d, char c)
{
	d->blanks++;
	buf_add(d->out, &c, 1);
	return 0;
}

static int add_char(struct decoder *d, unsigned int c)
{
	if (d->blanks > IMPORT_MAX_BLANKS || d->empty_lines > IMPORT_MAX_EMPTY_LINES) {
		finding_add(d->f, FIND_ERROR, d->line, "text is hidden behind %u %s; expected a file that a person can read", d->blanks > IMPORT_MAX_BLANKS ? d->blanks : d->empty_lines,
			    d->blanks > IMPORT_MAX_BLANKS ? "blanks" : "empty lines");
		return -EINVAL;
	}
	d->blanks = 0;
	d->line_len++;
	add_utf8(d->out, c);
	return 0;
}

static int take(struct decoder *d, unsigned int c)
{
	if (c == '\n')
		return end_line(d);
	if (c == ' ' || c == '\t')
		return add_blank(d, (char)c);
	if (c == 0)
		return fail(d, "a NUL byte; expected text");
	if (c < ' ' || (c >= 0x7f && c < 0xa0)) {
		finding_add(d->f, FIND_ERROR, d->line, "control character 0x%02x; expected text", c);
		return -EINVAL;
	}
	if (is_turn(c))
		return fail(d, "a character that turns the direction of writing: the text is not what it looks like");
	if (is_odd_blank(c) || is_nothing(c)) {
		d->odd_blanks = true;
		return is_nothing(c) ? 0 : add_blank(d, ' ');
	}
	return add_char(d, c);
}

static int walk(struct decoder *d, const unsigned char *p, const unsigned char *end)
{
	const unsigned char *line = p;
	int r = 0;

	d->latin1 = !is_utf8(p, end);
	while (p < end && r == 0) {
		unsigned int c = *p;

		p += d->latin1 ? 1 : read_utf8(p, end, &c);
		/* Windows has quotes and dashes there, and nothing that is needed. */
		if (d->latin1 && c >= 0x80 && c < 0xa0)
			c = '?';
		/* CRLF, and the CR alone of very old machines. */
		if (c == '\r') {
			d->cr = true;
			if (p < end && *p == '\n')
				p++;
			c = '\n';
		}
		r = take(d, c);
		if (c == '\n')
			line = p;
		if (r == 0 && (size_t)(p - line) > IMPORT_MAX_LINE) {
			finding_add(d->f, FIND_ERROR, d->line, "a line of more than %u bytes; expected a file that a person can read", IMPORT_MAX_LINE);
			r = -EINVAL;
		}
	}
	return r;
}

int import_decode(const char *text, size_t len, struct buf *ret_text, struct findings *f)
{
	struct decoder d = { .out = ret_text, .f = f, .line = 1 };
	const unsigned char *p = (const unsigned char *)text;
	_cleanup_buf_ struct buf utf8 = { 0 };
	bool bom8 = len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0;
	bool little = len >= 2 && memcmp(p, "\xff\xfe", 2) == 0, big = len >= 2 && memcmp(p, "\xfe\xff", 2) == 0;
	int r;

	if (len > IMPORT_MAX_SIZE) {
		finding_add(f, FIND_ERROR, 0, "larger than %u bytes; expected one of a provider's files", IMPORT_MAX_SIZE);
		return -EINVAL;
	}
	buf_str(ret_text, "");
	if (little || big || looks_utf16(p, len, false) || looks_utf16(p, len, true)) {
		size_t mark = little || big ? 2 : 0;

		big = big || (!mark && looks_utf16(p, len, true));
		r = from_utf16(&d, p + mark, len - mark, big, &utf8);
		if (r < 0)
			return r;
		finding_add(f, FIND_NOTE, 0, "the text was UTF-16: UTF-8 now");
		p = (const unsigned char *)utf8.data;
		len = utf8.len;
	} else if (bom8) {
		finding_add(f, FIND_NOTE, 0, "the byte order mark at the beginning is gone");
		p += 3;
		len -= 3;
	}
	r = walk(&d, p, p + len);
	if (r == 0 && d.latin1)
		finding_add(f, FIND_NOTE, 0, "the text was Latin-1: UTF-8 now");
	if (r == 0 && d.cr)
		finding_add(f, FIND_NOTE, 0, "lines ended as Windows ends them: as everywhere else now");
	if (r == 0 && d.odd_blanks)
		finding_add(f, FIND_NOTE, 0, "blanks that only look like one, or like nothing, are plain ones now, or gone");
	if (r == 0 && ret_text->failed)
		r = -ENOMEM;
	return r;
}

int import_show_name(const char *name, struct buf *ret_shown)
{
	const unsigned char *p = (const unsigned char *)name, *end = p + strlen(name);

	buf_str(ret_shown, "");
	while (p < end) {
		unsigned int c = 0;
		size_t n = read_utf8(p, end, &c);

		if (!n || c < ' ' || (c >= 0x7f && c < 0xa0) || is_turn(c) || is_nothing(c))
			buf_str(ret_shown, "?");
		else
			buf_add(ret_shown, p, n);
		p += n ? n : 1;
	}
	return ret_shown->failed ? -ENOMEM : 0;
}
