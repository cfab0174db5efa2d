/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "country.h"

#include <strings.h>

static const struct country countries[] = {
	{ "ad", "Andorra" }, { "ae", "United Arab Emirates" }, { "af", "Afghanistan" }, { "ag", "Antigua and Barbuda" }, { "al", "Albania" }, { "am", "Armenia" },
	{ "ao", "Angola" }, { "ar", "Argentina" }, { "at", "Austria" }, { "au", "Australia" }, { "aw", "Aruba" }, { "az", "Azerbaijan" },
	{ "ba", "Bosnia and Herzegovina" }, { "bb", "Barbados" }, { "bd", "Bangladesh" }, { "be", "Belgium" }, { "bf", "Burkina Faso" }, { "bg", "Bulgaria" },
	{ "bh", "Bahrain" }, { "bi", "Burundi" }, { "bj", "Benin" }, { "bm", "Bermuda" }, { "bn", "Brunei" }, { "bo", "Bolivia" },
	{ "br", "Brazil" }, { "bs", "Bahamas" }, { "bt", "Bhutan" }, { "bw", "Botswana" }, { "by", "Belarus" }, { "bz", "Belize" },
	{ "ca", "Canada" }, { "cd", "Congo" }, { "ch", "Switzerland" }, { "ci", "Ivory Coast" }, { "cl", "Chile" }, { "cm", "Cameroon" },
	{ "cn", "China" }, { "co", "Colombia" }, { "cr", "Costa Rica" }, { "cu", "Cuba" }, { "cv", "Cape Verde" }, { "cy", "Cyprus" },
	{ "cz", "Czechia" }, { "de", "Germany" }, { "dj", "Djibouti" }, { "dk", "Denmark" }, { "dm", "Dominica" }, { "do", "Dominican Republic" },
	{ "dz", "Algeria" }, { "ec", "Ecuador" }, { "ee", "Estonia" }, { "eg", "Egypt" }, { "er", "Eritrea" }, { "es", "Spain" },
	{ "et", "Ethiopia" }, { "fi", "Finland" }, { "fj", "Fiji" }, { "fo", "Faroe Islands" }, { "fr", "France" }, { "ga", "Gabon" },
	{ "gb", "United Kingdom" }, { "gd", "Grenada" }, { "ge", "Georgia" }, { "gg", "Guernsey" }, { "gh", "Ghana" }, { "gi", "Gibraltar" },
	{ "gl", "Greenland" }, { "gm", "Gambia" }, { "gn", "Guinea" }, { "gr", "Greece" }, { "gt", "Guatemala" }, { "gu", "Guam" },
	{ "gy", "Guyana" }, { "hk", "Hong Kong" }, { "hn", "Honduras" }, { "hr", "Croatia" }, { "ht", "Haiti" }, { "hu", "Hungary" },
	{ "id", "Indonesia" }, { "ie", "Ireland" }, { "il", "Israel" }, { "im", "Isle of Man" }, { "in", "India" }, { "iq", "Iraq" },
	{ "ir", "Iran" }, { "is", "Iceland" }, { "it", "Italy" }, { "je", "Jersey" }, { "jm", "Jamaica" }, { "jo", "Jordan" },
	{ "jp", "Japan" }, { "ke", "Kenya" }, { "kg", "Kyrgyzstan" }, { "kh", "Cambodia" }, { "km", "Comoros" }, { "kr", "South Korea" },
	{ "kw", "Kuwait" }, { "ky", "Cayman Islands" }, { "kz", "Kazakhstan" }, { "la", "Laos" }, { "lb", "Lebanon" }, { "lc", "Saint Lucia" },
	{ "li", "Liechtenstein" }, { "lk", "Sri Lanka" }, { "lr", "Liberia" }, { "ls", "Lesotho" }, { "lt", "Lithuania" }, { "lu", "Luxembourg" },
	{ "lv", "Latvia" }, { "ly", "Libya" }, { "ma", "Morocco" }, { "mc", "Monaco" }, { "md", "Moldova" }, { "me", "Montenegro" },
	{ "mg", "Madagascar" }, { "mk", "North Macedonia" }, { "ml", "Mali" }, { "mm", "Myanmar" }, { "mn", "Mongolia" }, { "mo", "Macau" },
	{ "mr", "Mauritania" }, { "mt", "Malta" }, { "mu", "Mauritius" }, { "mv", "Maldives" }, { "mw", "Malawi" }, { "mx", "Mexico" },
	{ "my", "Malaysia" }, { "mz", "Mozambique" }, { "na", "Namibia" }, { "ne", "Niger" }, { "ng", "Nigeria" }, { "ni", "Nicaragua" },
	{ "nl", "Netherlands" }, { "no", "Norway" }, { "np", "Nepal" }, { "nz", "New Zealand" }, { "om", "Oman" }, { "pa", "Panama" },
	{ "pe", "Peru" }, { "pg", "Papua New Guinea" }, { "ph", "Philippines" }, { "pk", "Pakistan" }, { "pl", "Poland" }, { "pr", "Puerto Rico" },
	{ "pt", "Portugal" }, { "py", "Paraguay" }, { "qa", "Qatar" }, { "ro", "Romania" }, { "rs", "Serbia" }, { "ru", "Russia" },
	{ "rw", "Rwanda" }, { "sa", "Saudi Arabia" }, { "sd", "Sudan" }, { "se", "Sweden" }, { "sg", "Singapore" }, { "si", "Slovenia" },
	{ "sk", "Slovakia" }, { "sm", "San Marino" }, { "sn", "Senegal" }, { "so", "Somalia" }, { "sr", "Suriname" }, { "sv", "El Salvador" },
	{ "sy", "Syria" }, { "td", "Chad" }, { "tg", "Togo" }, { "th", "Thailand" }, { "tj", "Tajikistan" }, { "tm", "Turkmenistan" },
	{ "tn", "Tunisia" }, { "tr", "Turkey" }, { "tt", "Trinidad and Tobago" }, { "tw", "Taiwan" }, { "tz", "Tanzania" }, { "ua", "Ukraine" },
	{ "ug", "Uganda" }, { "us", "United States" }, { "uy", "Uruguay" }, { "uz", "Uzbekistan" }, { "ve", "Venezuela" }, { "vg", "British Virgin Islands" },
	{ "vn", "Vietnam" }, { "ye", "Yemen" }, { "za", "South Africa" }, { "zm", "Zambia" }, { "zw", "Zimbabwe" },
};

/* Other names that are in use. */
static const struct country other_names[] = {
	{ "ae", "uae" }, { "au", "aus" }, { "ch", "Swiss" }, { "cz", "Czech Republic" }, { "gb", "uk" }, { "gb", "England" }, { "gb", "Great Britain" }, { "kr", "Korea" }, { "mk", "Macedonia" },
	{ "mo", "Macao" }, { "nl", "Holland" }, { "tr", "Turkiye" }, { "us", "usa" }, { "us", "United States of America" }, { "us", "America" }, { "vn", "Viet Nam" },
};

static const struct city cities[] = {
	{ "abq", "us", "Albuquerque" }, { "adl", "au", "Adelaide" }, { "akl", "nz", "Auckland" }, { "ala", "kz", "Almaty" }, { "alb", "nl", "Alblasserdam" },
	{ "ams", "nl", "Amsterdam" }, { "anr", "be", "Antwerp" }, { "asu", "py", "Asuncion" }, { "ath", "gr", "Athens" }, { "atl", "us", "Atlanta" },
	{ "bah", "bh", "Manama" }, { "bak", "az", "Baku" }, { "bcn", "es", "Barcelona" }, { "beg", "rs", "Belgrade" }, { "ber", "de", "Berlin" },
	{ "bey", "lb", "Beirut" }, { "bfs", "gb", "Belfast" }, { "bhx", "gb", "Birmingham" }, { "bkk", "th", "Bangkok" }, { "blr", "in", "Bangalore" },
	{ "bne", "au", "Brisbane" }, { "bod", "fr", "Bordeaux" }, { "bog", "co", "Bogota" }, { "bom", "in", "Mumbai" }, { "bos", "us", "Boston" },
	{ "bru", "be", "Brussels" }, { "bts", "sk", "Bratislava" }, { "bud", "hu", "Budapest" }, { "bue", "ar", "Buenos Aires" }, { "buf", "us", "Buffalo" },
	{ "buh", "ro", "Bucharest" }, { "cai", "eg", "Cairo" }, { "cas", "ma", "Casablanca" }, { "cbr", "au", "Canberra" }, { "ccs", "ve", "Caracas" },
	{ "chi", "us", "Chicago" }, { "cle", "us", "Cleveland" }, { "clt", "us", "Charlotte" }, { "cmb", "lk", "Colombo" }, { "cmh", "us", "Columbus" },
	{ "cph", "dk", "Copenhagen" }, { "cpt", "za", "Cape Town" }, { "dac", "bd", "Dhaka" }, { "dal", "us", "Dallas" }, { "del", "in", "New Delhi" },
	{ "den", "us", "Denver" }, { "det", "us", "Detroit" }, { "dub", "ie", "Dublin" }, { "dus", "de", "Dusseldorf" }, { "dxb", "ae", "Dubai" },
	{ "edi", "gb", "Edinburgh" }, { "evn", "am", "Yerevan" }, { "fra", "de", "Frankfurt" }, { "glw", "gb", "Glasgow" }, { "got", "se", "Gothenburg" },
	{ "gua", "gt", "Guatemala City" }, { "gva", "ch", "Geneva" }, { "ham", "de", "Hamburg" }, { "han", "vn", "Hanoi" }, { "hel", "fi", "Helsinki" },
	{ "hkg", "hk", "Hong Kong" }, { "hnl", "us", "Honolulu" }, { "hou", "us", "Houston" }, { "iad", "us", "Ashburn" }, { "iev", "ua", "Kyiv" },
	{ "ind", "us", "Indianapolis" }, { "ist", "tr", "Istanbul" }, { "jkt", "id", "Jakarta" }, { "jnb", "za", "Johannesburg" }, { "khi", "pk", "Karachi" },
	{ "kiv", "md", "Chisinau" }, { "ktm", "np", "Kathmandu" }, { "kul", "my", "Kuala Lumpur" }, { "las", "us", "Las Vegas" }, { "lax", "us", "Los Angeles" },
	{ "lim", "pe", "Lima" }, { "lis", "pt", "Lisbon" }, { "lju", "si", "Ljubljana" }, { "lon", "gb", "London" }, { "los", "ng", "Lagos" },
	{ "lys", "fr", "Lyon" }, { "mad", "es", "Madrid" }, { "mel", "au", "Melbourne" }, { "mex", "mx", "Mexico City" }, { "mia", "us", "Miami" },
	{ "mil", "it", "Milan" }, { "mkc", "us", "Kansas City" }, { "mma", "se", "Malmo" }, { "mnc", "gb", "Manchester" }, { "mnl", "ph", "Manila" },
	{ "mow", "ru", "Moscow" }, { "mrs", "fr", "Marseille" }, { "msp", "us", "Minneapolis" }, { "msq", "by", "Minsk" }, { "mtr", "ca", "Montreal" },
	{ "muc", "de", "Munich" }, { "mvd", "uy", "Montevideo" }, { "nbo", "ke", "Nairobi" }, { "nic", "cy", "Nicosia" }, { "nue", "de", "Nuremberg" },
	{ "nyc", "us", "New York" }, { "nyc", "us", "New York City" }, { "okc", "us", "Oklahoma City" }, { "oma", "us", "Omaha" }, { "orl", "us", "Orlando" },
	{ "osa", "jp", "Osaka" }, { "osl", "no", "Oslo" }, { "par", "fr", "Paris" }, { "pdx", "us", "Portland" }, { "per", "au", "Perth" },
	{ "phl", "us", "Philadelphia" }, { "phx", "us", "Phoenix" }, { "pit", "us", "Pittsburgh" }, { "pmo", "it", "Palermo" }, { "prg", "cz", "Prague" },
	{ "pty", "pa", "Panama City" }, { "qro", "mx", "Queretaro" }, { "rag", "us", "Raleigh" }, { "rix", "lv", "Riga" }, { "rkv", "is", "Reykjavik" },
	{ "rom", "it", "Rome" }, { "rtm", "nl", "Rotterdam" }, { "sao", "br", "Sao Paulo" }, { "scl", "cl", "Santiago" }, { "sea", "us", "Seattle" },
	{ "sel", "kr", "Seoul" }, { "sfo", "us", "San Francisco" }, { "sgn", "vn", "Ho Chi Minh City" }, { "sjc", "us", "San Jose" }, { "sjj", "ba", "Sarajevo" },
	{ "skg", "gr", "Thessaloniki" }, { "skp", "mk", "Skopje" }, { "slc", "us", "Salt Lake City" }, { "sof", "bg", "Sofia" }, { "stl", "us", "St Louis" },
	{ "sto", "se", "Stockholm" }, { "svg", "no", "Stavanger" }, { "syd", "au", "Sydney" }, { "tbs", "ge", "Tbilisi" }, { "tgd", "me", "Podgorica" },
	{ "tia", "al", "Tirana" }, { "tll", "ee", "Tallinn" }, { "tlv", "il", "Tel Aviv" }, { "tor", "ca", "Toronto" }, { "tpa", "us", "Tampa" },
	{ "tpe", "tw", "Taipei" }, { "txc", "us", "McAllen" }, { "tyo", "jp", "Tokyo" }, { "uio", "ec", "Quito" }, { "uyk", "us", "Secaucus" },
	{ "van", "ca", "Vancouver" }, { "vie", "at", "Vienna" }, { "vlc", "es", "Valencia" }, { "vno", "lt", "Vilnius" }, { "was", "us", "Washington" },
	{ "waw", "pl", "Warsaw" }, { "wlg", "nz", "Wellington" }, { "yyc", "ca", "Calgary" }, { "zag", "hr", "Zagreb" }, { "zrh", "ch", "Zurich" },
};

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whether the letters of `name`, in lowercase, are `letters`. */
static bool has_letters(const char *name, const char *letters)
{
	if ((*name | 0x20) != *letters)
		return false;
	for (; *name; name++)
		if (is_letter(*name) && (*name | 0x20) != *letters++)
			return false;
	return !*letters;
}

static const struct country *find_code(const char *code)
{
	for (size_t i = 0; i < ARRAY_SIZE(countries); i++)
		if (strcasecmp(countries[i].code, code) == 0)
			return &countries[i];
	return NULL;
}

const struct country *country_by_code(const char *code)
{
	return find_code(strcasecmp(code, "uk") == 0 ? "gb" : code);
}

const struct country *country_by_letters(const char *letters)
{
	for (size_t i = 0; i < ARRAY_SIZE(countries); i++)
		if (has_letters(countries[i].name, letters))
			return &countries[i];
	for (size_t i = 0; i < ARRAY_SIZE(other_names); i++)
		if (has_letters(other_names[i].name, letters))
			return find_code(other_names[i].code);
	return NULL;
}

const struct city *city_by_letters(const char *letters)
{
	for (size_t i = 0; i < ARRAY_SIZE(cities); i++)
		if (has_letters(cities[i].name, letters))
			return &cities[i];
	return NULL;
}

const struct city *city_by_code(const char *code, const char *country)
{
	for (size_t i = 0; i < ARRAY_SIZE(cities); i++)
		if (strcasecmp(cities[i].code, code) == 0 && strcmp(cities[i].country, country) == 0)
			return &cities[i];
	return NULL;
}
