/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sys/stat.h>

#include "watch-state.h"

/* `ip netns exec' binds another one over it, which may be our own tunnel's: that is no file of the host's. */
const char *watch_host_resolv_conf(void)
{
	static const char host[] = "/proc/1/root" RESOLV_CONF;
	struct stat there, here;

	if (stat(host, &there) < 0 || (stat(RESOLV_CONF, &here) == 0 && here.st_ino == there.st_ino && here.st_dev == there.st_dev))
		return RESOLV_CONF;
	return host;
}

void watch_check_resolv_conf(struct watch *w)
{
	_cleanup_buf_ struct buf line = { 0 };
	struct requester by = { .who = WHO_UNKNOWN };
	enum watch_file_state state;
	int r;

	if (!w->resolv_conf)
		return;
	(void)watch_file_read(w->resolv_conf, w->who);
	w->resolv_conf_touched = false;
	r = watch_file_check(w->resolv_conf, w->policy.level != GUARD_WARN, &state, &by);
	if (r < 0) {
		if (!w->resolv_conf_told)
			buf_fmt(&line, "guard: cannot read " RESOLV_CONF " any more: %s; it is not known whether it changed during `%s'", strerror(-r), w->action);
		if (line.len && !line.failed)
			watch_tell(w, line.data);
		w->resolv_conf_told = true;
		return;
	}
	if (state == FILE_SAME || (state == FILE_FOREIGN && w->resolv_conf_told))
		return;
	w->resolv_conf_told = true;
	buf_fmt(&line, "guard: " RESOLV_CONF " changed during `%s'", w->action);
	if (by.pid)
		buf_fmt(&line, " by process %d%s%s%s", by.pid, *by.command ? " (" : "", by.command, *by.command ? ")" : "");
	buf_fmt(&line, "; %s", state == FILE_FOREIGN ? "not by this run as far as can be seen: left as it is"
			     : state == FILE_DAMAGED  ? "it could not be put back"
			     : w->policy.level == GUARD_WARN ? "level is warn: left as it is"
							     : "put back");
	if (!line.failed)
		watch_tell(w, line.data);
	if (state == FILE_FOREIGN || w->policy.level == GUARD_WARN)
		return;
	w->tripped = true;
	w->file_damaged = state == FILE_DAMAGED;
}

int watch_file_descriptor(const struct watch *w)
{
	return w->resolv_conf ? watch_file_fd(w->resolv_conf) : -1;
}

bool watch_read_file(struct watch *w)
{
	bool before = w->tripped;

	if (w->resolv_conf)
		w->resolv_conf_touched |= watch_file_read(w->resolv_conf, w->who);
	if (w->resolv_conf_touched)
		watch_check_resolv_conf(w);
	watch_flush_messages(w);
	return w->tripped && !before;
}
