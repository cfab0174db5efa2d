/* SPDX-License-Identifier: GPL-2.0-or-later */
/* import-value.c - what stands behind the `=`, cleaned. What is right stays letter by letter. */
#include <strings.h>

#include "conf-error.h"
#include "import-clean.h"

#define SERVERS 3 /* MAXNS of resolv.h */

/* The next item of a list; false at its end. `*ret_comma`: a comma stands before it, or it is the first. */
static bool next_item(const char **p, char *item, size_t size, bool *ret_comma)
{
	const char *start = *p + strspn(*p, " \t,");
	size_t len = strcspn(start, " \t,");

	if (!len)
		return false;
	*ret_comma = memchr(*p, ',', (size_t)(start - *p)) != NULL;
	/* Too long for an address is no address, cut or not. */
	snprintf(item, size, "%.*s", (int)(len < size ? len : size - 1), start);
	*p = start + len;
	return true;
}

static void add_item(struct buf *list, const char *item)
{
	buf_fmt(list, "%s%s", list->len ? ", " : "", item);
}

/* What was written twice is dropped. */
static bool is_repeated(struct cleaner *c, enum field field, const char *name, const char *canonical)
{
	if (!cleaner_seen(c, field, canonical))
		return false;
	cleaner_tell(c, CHANGE_REPEATED_ITEM, FIND_NOTE, "%s: %s stands there twice: once now", name, canonical);
	return true;
}

/* ---- Address ---- */

static int clean_address(struct cleaner *c, const char *item, struct buf *list)
{
	char quoted[QUOTED_LEN], canonical[PREFIX_TEXT_LEN];
	struct prefix prefix;

	if (parse_address(item, &prefix) < 0)
		return cleaner_fail(c, "Address: `%s' is no address; expected one as in 10.2.0.2/32 or fd00::2/128", conf_quote(item, quoted));
	format_prefix(&prefix, canonical);
	if (is_repeated(c, FIELD_ADDRESS, "Address", canonical))
		return 0;
	if (strchr(item, '/')) {
		add_item(list, item);
	} else {
		cleaner_tell(c, CHANGE_NO_MASK, FIND_NOTE, "Address: %s had no mask: /%u now, which it meant", item, prefix.len);
		add_item(list, canonical);
	}
	return 0;
}

/* ---- DNS ---- */

static int clean_dns(struct cleaner *c, const char *item, struct buf *list)
{
	char quoted[QUOTED_LEN], canonical[PREFIX_TEXT_LEN];
	struct prefix prefix;

	if (parse_allowed_ip(item, &prefix) < 0) {
		/* A search domain, for wg-quick; but nothing that was meant to be an address or a URL. */
		if (dns_item_is_server(item) || strspn(item, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~") != strlen(item))
			return cleaner_fail(c, "DNS: `%s' is neither an address nor a domain; expected one as in 10.2.0.1", conf_quote(item, quoted));
		if (cleaner_seen(c, FIELD_DNS, item))
			cleaner_tell(c, CHANGE_REPEATED_ITEM, FIND_NOTE, "DNS: %s stands there twice: once now", conf_quote(item, quoted));
		else
			add_item(list, item);
		return 0;
	}
	format_prefix_addr(&prefix, canonical);
	if (is_repeated(c, FIELD_DNS, "DNS", canonical))
		return 0;
	if (strchr(item, '/')) {
		cleaner_tell(c, CHANGE_DNS_MASK, FIND_NOTE, "DNS: %s had a mask, which a server has not", canonical);
		item = canonical;
	}
	if (++c->n_servers > SERVERS) {
		cleaner_tell(c, CHANGE_DNS_COUNT, FIND_NOTE, "DNS: %s is left out: the C library asks the first %d servers only", canonical, SERVERS);
		return 0;
	}
	add_item(list, item);
	return 0;
}

/* ---- AllowedIPs ---- */

static int clean_allowed_ip(struct cleaner *c, const char *item, struct buf *list)
{
	static const char *const everything[][2] = { { "::0", "::/0" }, { "::", "::/0" }, { "::0/0", "::/0" }, { "0.0.0.0", "0.0.0.0/0" } };
	char quoted[QUOTED_LEN], canonical[PREFIX_TEXT_LEN + 1] = "";
	size_t sign = *item == '+' || *item == '-';
	const char *addr = item + sign;
	struct prefix prefix;
	bool changed = false;

	for (size_t i = 0; i < ARRAY_SIZE(everything); i++)
		if (strcmp(addr, everything[i][0]) == 0) {
			cleaner_tell(c, CHANGE_EVERYTHING, FIND_NOTE, "AllowedIPs: `%s' is %s now, which it meant", addr, everything[i][1]);
			addr = everything[i][1];
			changed = true;
		}
	if (parse_allowed_ip(addr, &prefix) < 0)
		return cleaner_fail(c, "AllowedIPs: `%s' is no prefix; expected one as in 0.0.0.0/0 or ::/0", conf_quote(item, quoted));
	if (!strchr(addr, '/')) {
		cleaner_tell(c, CHANGE_NO_MASK, FIND_NOTE, "AllowedIPs: %s had no mask: /%u now, which it meant", addr, prefix.len);
		changed = true;
	}
	if (prefix_has_host_bits(&prefix)) {
		prefix_mask(&prefix);
		cleaner_tell(c, CHANGE_HOST_BITS, FIND_NOTE, "AllowedIPs: %s had bits behind its mask: %s now, which it meant", addr, format_prefix(&prefix, canonical));
		changed = true;
	}
	canonical[0] = *item;
	format_prefix(&prefix, canonical + sign);
	if (!is_repeated(c, FIELD_ALLOWED_IPS, "AllowedIPs", canonical))
		add_item(list, changed ? canonical : item);
	return 0;
}

static int clean_list(struct cleaner *c, const char *name, const char *value, bool commas, int (*clean)(struct cleaner *c, const char *item, struct buf *list), struct buf *ret_value)
{
	char item[256];
	bool comma;
	int r = 0;

	for (bool first = true; r == 0 && next_item(&value, item, sizeof(item), &comma); first = false) {
		if (commas && !first && !comma)
			cleaner_tell(c, CHANGE_SEPARATOR, FIND_NOTE, "%s: a comma was missing", name);
		r = clean(c, item, ret_value);
	}
	return r;
}

/* ---- Endpoint ---- */

static bool host_valid(const char *host, size_t len)
{
	struct prefix prefix;
	char text[256];

	if (!len || len >= sizeof(text))
		return false;
	snprintf(text, sizeof(text), "%.*s", (int)len, host);
	/* What looks like an IPv4 address must be one. */
	if (!text[strspn(text, "0123456789.")])
		return parse_allowed_ip(text, &prefix) == 0;
	return !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")] && *text != '-' && *text != '.';
}

static bool is_v6(const char *text, size_t len)
{
	struct prefix prefix;
	char addr[INET6_ADDRSTRLEN];

	if (len >= sizeof(addr) || memchr(text, '/', len))
		return false;
	snprintf(addr, sizeof(addr), "%.*s", (int)len, text);
	return strchr(addr, ':') && parse_allowed_ip(addr, &prefix) == 0;
}

static bool is_loopback(const char *host, size_t len)
{
	return (len > 4 && strncmp(host, "127.", 4) == 0) || (len == 3 && strncmp(host, "::1", 3) == 0) || (len == 9 && strncasecmp(host, "localhost", 9) == 0);
}

static int clean_endpoint(struct cleaner *c, const char *value, struct buf *ret_value)
{
	bool bracket = *value == '[';
	const char *host = value + bracket;
	const char *stop = bracket ? strchr(value, ']') : strrchr(value, ':');
	const char *port = stop ? stop + 1 + bracket : NULL;
	char quoted[QUOTED_LEN];
	uint64_t number;
	bool v6;

	conf_quote(value, quoted);
	if (!stop || (bracket && stop[1] != ':') || !*port)
		return cleaner_fail(c, "Endpoint: `%s' has no port; expected HOST:PORT or [IPV6]:PORT", quoted);
	v6 = is_v6(host, (size_t)(stop - host));
	/* The last part of an IPv6 address is no port, if what is before it is no address. */
	if (!bracket && !v6 && is_v6(value, strlen(value)))
		return cleaner_fail(c, "Endpoint: `%s' has no port; expected [IPV6]:PORT", quoted);
	if (parse_u64(port, UINT16_MAX, &number) < 0 || number == 0)
		return cleaner_fail(c, "Endpoint: `%s' has no port of 1 to 65535; expected HOST:PORT or [IPV6]:PORT", quoted);
	if (bracket ? !v6 : !v6 && !host_valid(host, (size_t)(stop - host)))
		return cleaner_fail(c, "Endpoint: `%s' has no host; expected a name or an address", quoted);
	if (is_loopback(host, (size_t)(stop - host)))
		cleaner_tell(c, CHANGE_LOOPBACK, FIND_WARNING, "Endpoint: %s is this machine itself: a program that takes the packets on must run here", quoted);
	if (v6 && !bracket) {
		cleaner_tell(c, CHANGE_BRACKETS, FIND_NOTE, "Endpoint: %s had no brackets around the IPv6 address", quoted);
		buf_fmt(ret_value, "[%.*s]:%s", (int)(stop - host), host, port);
	} else {
		buf_str(ret_value, value);
	}
	return 0;
}

/* ---- the rest ---- */

static int clean_key(struct cleaner *c, const char *name, const char *value, struct buf *ret_value)
{
	static const char *const placeholders[] = { "<", "your", "insert", "replace", "xxxx", "placeholder", "private", "..." };
	char padded[KEY_TEXT_LEN];
	struct key key;
	int r = 0;

	if (parse_key(value, &key) < 0) {
		for (size_t i = 0; i < ARRAY_SIZE(placeholders); i++)
			if (strcasestr(value, placeholders[i]) && strlen(value) < 40)
				return cleaner_fail(c, "%s holds words where a key belongs; expected the key that the provider gave you", name);
		/* The sign at the end is lost when a double click selects the key. */
		snprintf(padded, sizeof(padded), "%.43s=", value);
		if (strlen(value) == KEY_TEXT_LEN - 2 && parse_key(padded, &key) == 0) {
			cleaner_tell(c, CHANGE_KEY_PADDING, FIND_NOTE, "%s: the `=' at the key's end was missing", name);
			value = padded;
		} else {
			r = cleaner_fail(c, "%s: Key is not the correct length or format; expected 44 characters of base64", name);
		}
	}
	if (r == 0)
		buf_str(ret_value, value);
	explicit_bzero(&key, sizeof(key));
	explicit_bzero(padded, sizeof(padded));
	return r;
}

static int clean_mtu(struct cleaner *c, const char *value, struct buf *ret_value)
{
	char quoted[QUOTED_LEN];
	uint64_t mtu;

	if (parse_u64(value, UINT16_MAX, &mtu) < 0)
		return cleaner_fail(c, "MTU: `%s' is no number of bytes; expected one as in 1420", conf_quote(value, quoted));
	if (mtu == 0)
		cleaner_tell(c, CHANGE_MTU, FIND_NOTE, "MTU = 0 is gone: it is found out");
	else
		buf_str(ret_value, value);
	return 0;
}

static int clean_table(struct cleaner *c, const char *value, struct buf *ret_value)
{
	char quoted[QUOTED_LEN];

	if (strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != strlen(value) || strlen(value) > 64)
		return cleaner_fail(c, "Table: `%s' is no table; expected auto, off, a number or a name", conf_quote(value, quoted));
	for (const char *const *word = (const char *const[]){ "auto", "off", NULL }; *word; word++)
		if (strcasecmp(value, *word) == 0 && strcmp(value, *word) != 0) {
			cleaner_tell(c, CHANGE_TABLE, FIND_NOTE, "Table: `%s' would be a table's name: `%s' now", value, *word);
			value = *word;
		}
	buf_str(ret_value, value);
	return 0;
}

/* `25s` */
static int clean_keepalive(struct cleaner *c, const char *value, struct buf *ret_value)
{
	static const char *const units[] = { "s", "sec", "secs", "second", "seconds" };
	size_t digits = strspn(value, "0123456789");
	bool unit = false;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		unit |= strcasecmp(value + digits, units[i]) == 0;
	if (digits && unit) {
		cleaner_tell(c, CHANGE_SECONDS, FIND_NOTE, "PersistentKeepalive: seconds have no unit");
		buf_add(ret_value, value, digits);
	} else {
		buf_str(ret_value, value);
	}
	return 0;
}

/* wg leaves out the blanks in a value. Those in a list separate its items here, and hide a comma that is missing. */
static bool squeezes(enum field field)
{
	return field != FIELD_ADDRESS && field != FIELD_DNS && field != FIELD_ALLOWED_IPS && field != FIELD_MTU && field != FIELD_TABLE;
}

static void squeeze(struct cleaner *c, const char *name, const char *value, struct buf *ret_value)
{
	bool blanks = false;

	buf_str(ret_value, "");
	for (; *value; value++)
		if (is_space(*value))
			blanks = true;
		else
			buf_add(ret_value, value, 1);
	if (blanks)
		cleaner_tell(c, CHANGE_INNER_BLANKS, FIND_NOTE, "%s: blanks inside of it are gone, which WireGuard leaves out too", name);
}

int import_clean_value(struct cleaner *c, enum field field, const char *name, const char *value, struct buf *ret_value)
{
	_cleanup_buf_ struct buf squeezed = { 0 };
	int r = 0;

	buf_str(ret_value, "");
	if (squeezes(field)) {
		squeeze(c, name, value, &squeezed);
		value = squeezed.data;
	}
	if (ret_value->failed || squeezed.failed)
		return -ENOMEM;
	switch (field) {
	case FIELD_ADDRESS:
		r = clean_list(c, name, value, false, clean_address, ret_value);
		break;
	case FIELD_DNS:
		r = clean_list(c, name, value, false, clean_dns, ret_value);
		break;
	case FIELD_ALLOWED_IPS:
		r = clean_list(c, name, value, true, clean_allowed_ip, ret_value);
		break;
	case FIELD_ENDPOINT:
		r = clean_endpoint(c, value, ret_value);
		break;
	case FIELD_PRIVATE_KEY:
	case FIELD_PUBLIC_KEY:
	case FIELD_PRESHARED_KEY:
		r = clean_key(c, name, value, ret_value);
		break;
	case FIELD_MTU:
		r = clean_mtu(c, value, ret_value);
		break;
	case FIELD_TABLE:
		r = clean_table(c, value, ret_value);
		break;
	case FIELD_KEEPALIVE:
		r = clean_keepalive(c, value, ret_value);
		break;
	default:
		buf_str(ret_value, value);
	}
	if (r == 0 && (ret_value->failed || c->failed))
		r = -ENOMEM;
	return r;
}
