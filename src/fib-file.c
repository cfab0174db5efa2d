/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fib-file.c - a snapshot as bytes, for another process of this program on this boot. */
#include "fib-msg.h"

struct saved {
	uint64_t size; /* of one of these: a program of another form is none of ours */
	uint64_t start[FIB_KINDS + 1];
	uint64_t count[FIB_KINDS];
	uint64_t n_ra;
	int64_t taken;
	uint64_t ra_known;
};

struct saved_ra {
	uint64_t offset;
	uint64_t flags;
};

void fib_snapshot_save(const struct fib_snapshot *s, struct buf *out)
{
	struct saved head = { .size = sizeof(head), .n_ra = s->n_ra, .taken = s->taken, .ra_known = s->ra_known };

	for (int kind = 0; kind <= FIB_KINDS; kind++)
		head.start[kind] = s->start[kind];
	for (int kind = 0; kind < FIB_KINDS; kind++)
		head.count[kind] = s->count[kind];
	buf_add(out, &head, sizeof(head));
	for (size_t i = 0; i < s->n_ra; i++) {
		struct saved_ra ra = { s->ra[i].offset, s->ra[i].flags };

		buf_add(out, &ra, sizeof(ra));
	}
	buf_add(out, s->data, s->len);
}

/* fib_view() has seen that it is all there. */
static bool is_sound(const struct fib_link *l)
{
	return memchr(l->name, 0, sizeof(l->name)) && memchr(l->kind, 0, sizeof(l->kind)) && l->lladdr_len <= sizeof(l->lladdr);
}

/* The sums are keyed by process, so they are made anew; and so every record is looked at. */
static int add_records(struct fib_snapshot *s, enum fib_kind kind)
{
	size_t offset = s->start[kind], end = s->start[kind + 1];
	struct fib_sum sum = { 0 };

	while (offset < end) {
		const struct nlmsghdr *m = record_at(s, offset);
		struct fib_view v;

		if (!fib_message_fits(m, end - offset) || record_size(m) > end - offset || fib_view(m, &v) < 0 || v.kind != kind)
			return -EBADMSG;
		if (kind == FIB_LINK && !is_sound(fib_link(m)))
			return -EBADMSG;
		fib_sum_add(&sum, m, &v);
		offset += record_size(m);
	}
	s->sum += sum.sum;
	return sum.count == s->count[kind] ? 0 : -EBADMSG;
}

/* They are used as offsets of records. */
static bool is_record(const struct fib_snapshot *s, size_t wanted)
{
	for (size_t offset = s->start[FIB_ROUTE]; offset < s->start[FIB_ROUTE + 1] && offset <= wanted; offset += record_size(record_at(s, offset)))
		if (offset == wanted)
			return true;
	return false;
}

static int load(struct fib_snapshot *s, const struct saved *head, const unsigned char *data, size_t len)
{
	if (head->n_ra > len / sizeof(struct saved_ra))
		return -EBADMSG;
	s->len = s->cap = len - head->n_ra * sizeof(struct saved_ra);
	s->taken = head->taken;
	s->ra_known = head->ra_known;
	s->data = malloc(s->len + 1);
	s->ra = calloc(head->n_ra + 1, sizeof(*s->ra));
	if (!s->data || !s->ra)
		return -ENOMEM;
	memcpy(s->data, data + head->n_ra * sizeof(struct saved_ra), s->len);
	for (int kind = 0; kind <= FIB_KINDS; kind++) {
		s->start[kind] = head->start[kind];
		if (s->start[kind] > s->len || s->start[kind] % NLMSG_ALIGNTO || (kind && s->start[kind] < s->start[kind - 1]))
			return -EBADMSG;
	}
	if (s->start[0] != 0 || s->start[FIB_KINDS] != s->len)
		return -EBADMSG;
	for (int kind = 0; kind < FIB_KINDS; kind++) {
		int r;

		s->count[kind] = head->count[kind];
		r = add_records(s, (enum fib_kind)kind);
		if (r < 0)
			return r;
	}
	for (; s->n_ra < head->n_ra; s->n_ra++) {
		struct saved_ra ra;

		memcpy(&ra, data + s->n_ra * sizeof(ra), sizeof(ra));
		s->ra[s->n_ra] = (struct fib_ra){ ra.offset, (uint32_t)ra.flags };
		if (!is_record(s, ra.offset))
			return -EBADMSG;
	}
	return 0;
}

int fib_snapshot_load(const void *data, size_t len, struct fib_snapshot **ret_snapshot)
{
	_cleanup_fib_snapshot_ struct fib_snapshot *s = calloc(1, sizeof(*s));
	struct saved head;
	int r;

	if (!s)
		return -ENOMEM;
	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, data, sizeof(head));
	if (head.size != sizeof(head))
		return -EBADMSG;
	fib_hash_init();
	r = load(s, &head, (const unsigned char *)data + sizeof(head), len - sizeof(head));
	if (r < 0)
		return r;
	*ret_snapshot = TAKE_PTR(s);
	return 0;
}
