/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <jansson.h>

#include "json.h"

json_t *json_text(const char *text)
{
	_cleanup_free_ char *copy = NULL;
	json_t *value;

	if (!text)
		return json_null();
	value = json_string(text);
	if (value)
		return value;
	copy = strdup(text);
	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return copy ? json_string(copy) : NULL;
}

json_t *json_texts(const struct strv *texts)
{
	json_t *array = json_array();

	for (size_t i = 0; i < texts->n; i++)
		json_array_append_new(array, json_text(texts->v[i]));
	return array;
}
