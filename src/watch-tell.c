/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"
#include "watch-state.h"

#define MAX_MESSAGES 64 /* objects told of one by one */

void watch_tell(struct watch *w, const char *text)
{
	if (w->n_told++ < MAX_MESSAGES)
		(void)strv_add(&w->messages, text, strlen(text));
}

void watch_flush_messages(struct watch *w)
{
	for (size_t i = 0; i < w->messages.n; i++)
		log_error("%s", w->messages.v[i]);
	if (w->n_told > MAX_MESSAGES && w->messages.n)
		log_error("guard: ... and more");
	strv_free(&w->messages);
	w->messages = (struct strv){ 0 };
}

static void tell_requester(struct buf *text, const struct requester *by)
{
	bool known = by->who != WHO_UNKNOWN || by->guessed || *by->command;

	if (by->pid && known)
		buf_fmt(text, "; %s by process %d%s%s%s", by->guessed ? "probably" : "asked for", by->pid, *by->command ? " (" : "", by->command,
			*by->command ? ")" : "");
	else if (by->pid)
		buf_fmt(text, "; asked for by process %d, which is gone", by->pid);
	if (*by->below && by->pid && known)
		buf_fmt(text, " of `%s'", by->below);
	else if (*by->below)
		buf_fmt(text, "; while `%s' ran", by->below);
	else if (by->who == WHO_OURS)
		buf_str(text, " of this run");
}

void watch_tell_object(struct watch *w, const struct fib_object *o, const struct requester *by, const char *why, const char *end)
{
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_buf_ struct buf what = { 0 };
	uint64_t key = fib_object_key(o);
	uint8_t told = key_map_get(&w->told, key);

	if (told & 1 << o->change)
		return;
	watch_keep(w, &w->told, key, (uint8_t)(told | 1 << o->change));
	/* Words take longer to find than things take to be put back. */
	if (w->n_told >= MAX_MESSAGES) {
		w->n_told++;
		return;
	}
	fib_describe(o, &what);
	if (what.failed || strv_has(&w->left, what.data))
		return;
	buf_fmt(&text, "guard: the host's network changed during `%s': %s", w->action, what.data);
	if (by)
		tell_requester(&text, by);
	if (*why)
		buf_fmt(&text, "; %s", why);
	if (*end)
		buf_fmt(&text, "; %s", end);
	if (!text.failed)
		watch_tell(w, text.data);
}

void watch_tell_left(struct watch *w, const char *text)
{
	_cleanup_buf_ struct buf line = { 0 };

	/* Every attempt finds it again. */
	if (strv_has(&w->left, text))
		return;
	if (w->left.n < MAX_MESSAGES)
		(void)strv_add(&w->left, text, strlen(text));
	buf_fmt(&line, "guard: could not be put back: %s", text);
	if (!line.failed)
		watch_tell(w, line.data);
}

void watch_tell_blind(struct watch *w, const char *what, int error)
{
	_cleanup_buf_ struct buf line = { 0 };

	buf_fmt(&line, "guard: %s: %s; from here on the host's network is not watched", what, strerror(-error));
	if (!line.failed)
		watch_tell(w, line.data);
}
