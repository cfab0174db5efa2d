/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * country.h - countries and cities as providers' file names have them: what a
 * glance at a list of tunnels should tell. Compiled in, so that a name is the
 * same on every machine. Pure.
 */
#pragma once

#include "util.h"

struct country {
	const char *code; /* ISO 3166-1 alpha-2, in lowercase */
	const char *name; /* the short English one */
};

struct city {
	const char *code;    /* three letters: IATA's, for the airport or the whole city */
	const char *country; /* its code */
	const char *name;
};

/* By code, in any case; `uk` is known too. NULL: there is none. */
const struct country *country_by_code(const char *code);
/* By name; `letters` are its letters alone, in lowercase: `unitedstates`. */
const struct country *country_by_letters(const char *letters);
/* The same for cities. */
const struct city *city_by_letters(const char *letters);
/* By code, which means little without its country: `mad` may be a mood. */
const struct city *city_by_code(const char *code, const char *country);
