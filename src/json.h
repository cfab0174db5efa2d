/* SPDX-License-Identifier: GPL-2.0-or-later */
/* json.h - text of any bytes as JSON, which takes UTF-8 alone. To be included after <jansson.h>. */
#pragma once

#include "util.h"

/* NULL is null; bytes that are no UTF-8 become question marks. NULL when memory is out. */
json_t *json_text(const char *text);
json_t *json_texts(const struct strv *texts);
