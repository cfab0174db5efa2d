/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lock.h"

#include <signal.h>
#include <sys/file.h>

#include "log.h"

/* Most locks are held for a millisecond. */
#define SOON_MS 2
#define POLL_MS 10
#define EAGER_MS 20
#define TELL_AFTER_MS 2000
/* A lock that is not held for longer is waited for, whatever is pending: what it protects shall not be looked at halfway. */
#define PENDING_AFTER_MS 1000

static struct {
	bool (*gives_up)(void *arg);
	void *arg;
} heeded;

void lock_heed(bool (*gives_up)(void *arg), void *arg)
{
	heeded.gives_up = gives_up;
	heeded.arg = arg;
}

static bool signal_waits(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGHUP) == 1 ||
					     sigismember(&pending, SIGQUIT) == 1);
}

int lock_wait(int fd, const char *what)
{
	return lock_wait_for(fd, what, INT64_MAX);
}

int lock_wait_for(int fd, const char *what, int64_t patience)
{
	int64_t begun = now_ms(), waited;
	bool told = false;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return -errno;
		waited = now_ms() - begun;
		if (heeded.gives_up ? heeded.gives_up(heeded.arg) : waited >= PENDING_AFTER_MS && signal_waits()) {
			log_error("interrupted while it waited for %s, which another program has locked", what);
			return -ECANCELED;
		}
		if (waited >= patience)
			return -EAGAIN;
		if (waited >= TELL_AFTER_MS && !told) {
			log_note("waiting for %s, which another program has locked", what);
			told = true;
		}
		sleep_ms(waited < EAGER_MS ? SOON_MS : POLL_MS);
	}
	return 0;
}
