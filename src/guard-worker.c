/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guard-worker.c - the worker's side of the line: what it asks, and is told. */
#include "guard-line.h"

#include <poll.h>
#include <sys/socket.h>

#include "log-later.h"

/* Neither a signal nor memory that is out for a moment must leave the other side waiting. */
int line_send(int control, char byte, int flags)
{
	for (int tries = 0;; tries++) {
		if (send(control, &byte, 1, MSG_NOSIGNAL | flags) == 1)
			return 0;
		if (!is_transient(-errno) || tries == 100)
			return -errno;
		sleep_ms(1);
	}
}

static bool take_order(struct worker *w, char byte)
{
	bool is_signal = byte > 0 && byte < ' ';

	if (!is_signal && byte != SAY_KILL)
		return false;
	w->aborts++;
	w->signals += is_signal;
	if (is_signal)
		w->signal = byte;
	w->kill |= byte == SAY_KILL;
	return true;
}

/* Nobody but the worker looks after the host now: from here on it must not wait for who reads its messages. */
static void is_orphaned(struct worker *w)
{
	w->orphaned = true;
	log_later();
}

void worker_listen(struct worker *w)
{
	char byte;
	ssize_t n = recv(w->control, &byte, 1, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		is_orphaned(w);
	else if (n == 1)
		(void)take_order(w, byte);
}

/* Asks, and waits for the answer: 0 when nobody is left to give it. An order that crossed the question counts as ever. */
static char converse(struct worker *w, char question)
{
	char byte = question;

	if (line_send(w->control, byte, 0) < 0)
		is_orphaned(w);
	while (!w->orphaned) {
		ssize_t n = recv(w->control, &byte, 1, 0);

		if (n < 0 && is_transient(-errno))
			sleep_ms(1);
		else if (n != 1)
			is_orphaned(w);
		else if (!take_order(w, byte))
			return byte;
	}
	return 0;
}

bool worker_aborted(struct worker *w)
{
	struct pollfd fd = { .fd = w->control, .events = POLLIN };

	while (!w->orphaned && poll(&fd, 1, 0) > 0)
		worker_listen(w);
	return w->aborts || w->orphaned;
}

void worker_turns_back(struct worker *w)
{
	(void)worker_aborted(w);
	w->undoing = true;
	w->excused = w->signals;
}

/* For lock_heed(). A child of the worker that asks takes the word away, and passes it on by its failure. */
bool worker_gives_up(void *arg)
{
	struct worker *w = arg;
	bool aborted = worker_aborted(w);

	/* The guard's word, and the supervisor's end, are reasons to undo, not to leave that. */
	return w->undoing ? w->signals > w->excused : aborted;
}

int worker_close(struct worker *w)
{
	return !worker_aborted(w) && converse(w, SAY_CLOSE) == SAY_COMMIT ? 0 : -ECANCELED;
}

void worker_settle(struct worker *w)
{
	if (!w->orphaned)
		(void)converse(w, SAY_SETTLE);
}

int worker_announce_transit(struct worker *w)
{
	return converse(w, SAY_TRANSIT) == SAY_EXPECTED ? 0 : -EPIPE;
}

/* Done; and it stays until the supervisor has seen all that was done: who is left alone with it takes over. */
void worker_leave(struct worker *w)
{
	(void)converse(w, SAY_DONE);
}
