/* SPDX-License-Identifier: GPL-2.0-or-later */
/* out.h - standard output: what cannot be written there is told. */
#pragma once

#include "util.h"

/* It was closed when we were started: /dev/null is in its place, so that no descriptor of ours comes there. */
void out_was_closed(void);

/* 0; -EBADF when it was closed; -ENOMEM when the text is not complete; write(2)'s errors. */
int out_text(const struct buf *text);
/* The same for what printf(3) and its like wrote. */
int out_flush(void);
/* It is a terminal that knows them, and nobody said NO_COLOR (no-color.org). */
bool out_wants_colours(void);
