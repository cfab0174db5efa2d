/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report-print.c - the report as a table: columns as wide as what is in them. */
#include "report.h"

#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define RED "\033[31m"
#define BOLD "\033[1m"
#define PLAIN "\033[0m"

/* How many programs a row names. */
#define NAMED 3

enum column { INTERFACE, STATE, NAMESPACE, TRANSPORT, UP_FOR, PEER, HANDSHAKE, RECEIVED, SENT, GUARD, PROGRAMS, COLUMNS };

static const char *const headings[COLUMNS] = { "INTERFACE", "STATE",    "NAMESPACE", "TRANSPORT", "UP FOR",  "PEER",
					       "HANDSHAKE", "RECEIVED", "SENT",      "GUARD",     "PROGRAMS" };

struct row {
	char *cell[COLUMNS]; /* NULL: empty */
	enum report_state state;
};

struct table {
	struct row *rows;
	size_t n;
	bool failed;
};

/* Names and paths may hold anything, and a terminal would obey it. */
static void set(struct table *table, struct row *row, enum column column, const char *text)
{
	char *copy = strdup(text);

	if (!copy) {
		table->failed = true;
		return;
	}
	for (char *p = copy; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	free(row->cell[column]);
	row->cell[column] = copy;
}

static void format_age(int64_t seconds, char ret_text[static 32])
{
	long long s = seconds < 0 ? 0 : seconds;

	if (s < 60)
		snprintf(ret_text, 32, "%lld s", s);
	else if (s < 3600)
		snprintf(ret_text, 32, "%lld min", s / 60);
	else if (s < 86400)
		snprintf(ret_text, 32, "%lld h %lld min", s / 3600, s % 3600 / 60);
	else
		snprintf(ret_text, 32, "%lld d %lld h", s / 86400, s % 86400 / 3600);
}

static void format_bytes(uint64_t bytes, char ret_text[static 32])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1024;
		unit++;
	}
	snprintf(ret_text, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static void set_peer(struct table *table, struct row *row, const struct peer *peer, int64_t now)
{
	char endpoint[ENDPOINT_TEXT_LEN], text[64], age[32];

	set(table, row, PEER, peer->endpoint.sa.sa_family == AF_UNSPEC ? "(no endpoint)" : format_endpoint(&peer->endpoint, endpoint));
	if (peer->last_handshake) {
		format_age(now - peer->last_handshake, age);
		snprintf(text, sizeof(text), "%s ago", age);
		set(table, row, HANDSHAKE, text);
	} else {
		set(table, row, HANDSHAKE, "never");
	}
	format_bytes(peer->rx_bytes, text);
	set(table, row, RECEIVED, text);
	format_bytes(peer->tx_bytes, text);
	set(table, row, SENT, text);
}

static void name_programs(const struct inside *programs, size_t n, struct buf *text)
{
	if (n == 0)
		buf_str(text, "none");
	for (size_t i = 0; i < n && i < NAMED; i++)
		buf_fmt(text, "%s%s", i ? ", " : "", programs[i].name);
	if (n > NAMED)
		buf_fmt(text, " and %zu more", n - NAMED);
}

static struct row *add_row(struct table *table, enum report_state state)
{
	struct row *row = GROW(table->rows, table->n);

	if (row)
		row->state = state;
	else
		table->failed = true;
	return row;
}

static void add_tunnel(struct table *table, const struct report *report, const struct report_tunnel *t, size_t limit)
{
	struct row *row = add_row(table, t->state);
	_cleanup_buf_ struct buf programs = { 0 };
	char text[64];

	if (!row)
		return;
	set(table, row, INTERFACE, t->txn.journal.iface);
	set(table, row, STATE, report_state_names[t->state]);
	set(table, row, NAMESPACE, report_netns(t));
	set(table, row, TRANSPORT, t->txn.journal.transport ? t->txn.journal.transport : "?");
	format_age(report->now - t->txn.journal.since, text);
	set(table, row, UP_FOR, text);
	set(table, row, GUARD, guard_level_name(t->guard));
	name_programs(t->programs, t->n_programs, &programs);
	set(table, row, PROGRAMS, programs.failed ? "?" : programs.data);
	for (size_t i = 0; i < t->wg.n_peers; i++) {
		if (i > 0 && limit && i == limit) {
			row = add_row(table, t->state);
			snprintf(text, sizeof(text), "and %zu more", t->wg.n_peers - i);
			if (row)
				set(table, row, PEER, text);
			return;
		}
		/* The pointer to an earlier row may be stale by now. */
		row = i == 0 ? row : add_row(table, t->state);
		if (!row)
			return;
		set_peer(table, row, &t->wg.peers[i], report->now);
	}
}

static const char *colour(enum report_state state)
{
	return state == REPORT_UP ? GREEN : state == REPORT_DEGRADED ? YELLOW : RED;
}

/* In characters of a terminal, as far as one byte in UTF-8 begins each. */
static size_t width(const char *text)
{
	size_t n = 0;

	for (; text && *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void print_cell(const char *text, size_t wide, bool last, struct buf *out)
{
	buf_str(out, text ? text : "");
	if (!last)
		buf_fmt(out, "%*s", (int)(wide - width(text) + 2), "");
}

/* The last column that has something: no blanks at the end of a line. */
static enum column last_of(const struct row *row)
{
	unsigned int column = COLUMNS - 1;

	while (column > 0 && !row->cell[column])
		column--;
	return (enum column)column;
}

static void print_table(const struct table *table, bool colours, struct buf *out)
{
	size_t wide[COLUMNS];

	for (unsigned int c = 0; c < COLUMNS; c++) {
		wide[c] = width(headings[c]);
		for (size_t i = 0; i < table->n; i++)
			if (width(table->rows[i].cell[c]) > wide[c])
				wide[c] = width(table->rows[i].cell[c]);
	}
	buf_str(out, colours ? BOLD : "");
	for (unsigned int c = 0; c < COLUMNS; c++)
		print_cell(headings[c], wide[c], c + 1 == COLUMNS, out);
	buf_str(out, colours ? PLAIN "\n" : "\n");
	for (size_t i = 0; i < table->n; i++) {
		const struct row *row = &table->rows[i];

		for (unsigned int c = 0; c <= last_of(row); c++) {
			if (c == STATE && row->cell[c])
				buf_str(out, colours ? colour(row->state) : "");
			print_cell(row->cell[c], wide[c], c == last_of(row), out);
			if (c == STATE && row->cell[c])
				buf_str(out, colours ? PLAIN : "");
		}
		buf_str(out, "\n");
	}
}

static void free_table(struct table *table)
{
	for (size_t i = 0; i < table->n; i++)
		for (unsigned int c = 0; c < COLUMNS; c++)
			free(table->rows[i].cell[c]);
	free(table->rows);
}

void report_print(const struct report *report, bool colours, size_t limit, struct buf *text)
{
	CLEANUP(free_table) struct table table = { 0 };

	for (size_t i = 0; i < report->n_tunnels; i++)
		add_tunnel(&table, report, &report->tunnels[i], limit);
	if (report->n_tunnels)
		print_table(&table, colours, text);
	for (size_t i = 0; i < report->n_tunnels; i++)
		for (size_t j = 0; j < report->tunnels[i].why.n; j++)
			buf_fmt(text, "%s: %s\n", report->tunnels[i].txn.journal.iface, report->tunnels[i].why.v[j]);
	for (size_t i = 0; i < report->n_namespaces; i++) {
		buf_fmt(text, "network namespace %s is kept, without a tunnel; programs: ", report->namespaces[i].name);
		name_programs(report->namespaces[i].programs, report->namespaces[i].n_programs, text);
		buf_str(text, "\n");
	}
	text->failed |= table.failed;
}
