/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dns-text.c - the texts of resolv.conf and nsswitch.conf: pure. */
#include "dns.h"

/* The first line of what we write: after a power cut it tells whose a file is. */
#define HEADER "# Written by wg-nsquick for this network namespace.\n"
#define HOSTS_LINE "hosts: files dns\n"

int dns_take_items(const struct conf *conf, struct strv *items)
{
	struct strv taken = { 0 };

	for (size_t i = 0; i < conf->n_dns; i++)
		if (strv_add(&taken, conf->dns[i].text, strlen(conf->dns[i].text)) < 0) {
			strv_free(&taken);
			return -ENOMEM;
		}
	strv_free(items);
	*items = taken;
	return 0;
}

bool dns_names_server(const struct strv *items)
{
	for (size_t i = 0; i < items->n; i++)
		if (dns_item_is_server(items->v[i]))
			return true;
	return false;
}

void dns_format_resolv(const struct strv *items, struct buf *text)
{
	bool search = false;

	buf_str(text, HEADER);
	for (size_t i = 0; i < items->n; i++)
		if (dns_item_is_server(items->v[i]))
			buf_fmt(text, "nameserver %s\n", items->v[i]);
	if (!dns_names_server(items))
		/* glibc then asks 127.0.0.1, where nobody answers in a namespace of its own. */
		buf_str(text, "# No DNS server is configured: names do not resolve here.\n");
	for (size_t i = 0; i < items->n; i++)
		if (!dns_item_is_server(items->v[i])) {
			buf_str(text, search ? " " : "search ");
			buf_str(text, items->v[i]);
			search = true;
		}
	if (search)
		buf_str(text, "\n");
}

/* As glibc reads it (process_line() in nss/nss_database.c): blanks may come first, and without its colon it still is one. */
static bool is_about_hosts(const char *line)
{
	while (*line != '\n' && is_space(*line))
		line++;
	return strncmp(line, "hosts", 5) == 0 && (line[5] == ':' || is_space(line[5]));
}

void dns_format_nsswitch(const char *host_text, struct buf *text)
{
	buf_str(text, HEADER);
	for (const char *line = host_text; *line;) {
		const char *end = strchrnul(line, '\n');

		if (!is_about_hosts(line)) {
			buf_add(text, line, (size_t)(end - line));
			buf_str(text, "\n");
		}
		line = *end ? end + 1 : end;
	}
	buf_str(text, HOSTS_LINE);
}

/* Of a line about hosts, from its first letter: the names of services, and actions in brackets, up to a comment. */
static bool asks_others(const char *line)
{
	const char *end = line + strcspn(line, "#\n");
	size_t len;

	for (const char *p = line + strlen("hosts:"); p < end; p += len) {
		len = *p == '[' ? strcspn(p, "]") + 1 : strspn(p, " \t\r\f\v");
		if (len)
			continue;
		len = strcspn(p, " \t\r\f\v[#\n");
		if (!(len == 5 && strncmp(p, "files", 5) == 0) && !(len == 3 && strncmp(p, "dns", 3) == 0))
			return true;
	}
	return false;
}

bool dns_nsswitch_is_closed(const char *text)
{
	for (const char *line = text; *line;) {
		const char *end = strchrnul(line, '\n');

		if (is_about_hosts(line) && asks_others(line + strspn(line, " \t\r\f\v")))
			return false;
		line = *end ? end + 1 : end;
	}
	return true;
}

bool dns_text_is_ours(const char *text)
{
	return strncmp(text, HEADER, strlen(HEADER)) == 0;
}
