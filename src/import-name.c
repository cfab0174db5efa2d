/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "import-name.h"

#include <strings.h>

#include "conf.h"

#define MAX_TOKENS 24
#define TOKEN_LEN 32
#define NAME_LEN (IFNAMSIZ - 1)
#define HASH_LEN 4   /* characters, five bits each */
#define ROOM_FOR_HASH (NAME_LEN - HASH_LEN - 1) /* what may stand before its `-` */
#define SHORTEST 3   /* of a word that was cut */
#define MAX_PHRASE 4 /* words of a country's, a city's or a provider's name */

enum kind {
	WORD,
	NUMBER,	 /* digits are in it: it tells siblings apart */
	PROVIDER, /* the same in all of a provider's files, and no part of the server's name */
	NOISE,	 /* tells little, but may be part of it: se-got-wg-001 */
	COUNTRY, /* by name */
	CITY,
	CODE,	 /* short already */
};

struct token {
	char text[TOKEN_LEN];
	enum kind kind;
	bool small;    /* small letters are in it */
	const struct country *country;
	const struct city *city;
};

struct tokens {
	struct token v[MAX_TOKENS];
	size_t n;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

/* ---- text to tokens ---- */

/* The base letters of U+00C0 to U+017F; a blank is none. */
static const char base_letters[] = "AAAAAAACEEEEIIIIDNOOOOO OUUUUYTsaaaaaaaceeeeiiiidnooooo ouuuuyty"
				   "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiJjJjKkkLlLlLlLlLlNnNnNnnNn"
				   "OoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";
_Static_assert(sizeof(base_letters) - 1 == 0x180 - 0xc0, "a letter for each");

/* The next character as an ASCII letter or digit, or '\0' when it is neither. */
static char next_plain(const char **p)
{
	unsigned char c = (unsigned char)*(*p)++;
	unsigned int code;

	if (is_digit((char)c) || is_upper((char)c) || is_lower((char)c))
		return (char)c;
	/* Two bytes of UTF-8 are all that Latin letters need. */
	if ((c & 0xe0) != 0xc0 || ((unsigned char)**p & 0xc0) != 0x80)
		return '\0';
	code = (c & 0x1fU) << 6 | ((unsigned char)*(*p)++ & 0x3fU);
	if (code < 0xc0 || code >= 0x180 || base_letters[code - 0xc0] == ' ')
		return '\0';
	return base_letters[code - 0xc0];
}

static struct token *add_token(struct tokens *t)
{
	if (t->n == MAX_TOKENS)
		return NULL;
	t->v[t->n] = (struct token){ 0 };
	return &t->v[t->n++];
}

/* At everything but letters and digits, and where a capital follows a small letter. */
static void split(const char *text, struct tokens *ret_tokens)
{
	struct tokens t = { 0 };
	struct token *token = NULL;
	size_t len = 0;
	char before = '\0';

	while (*text) {
		char c = next_plain(&text);

		if (c && (!token || (is_upper(c) && is_lower(before)))) {
			token = add_token(&t);
			len = 0;
			if (!token)
				break;
		}
		if (!c)
			token = NULL;
		else if (len + 1 < TOKEN_LEN)
			token->text[len++] = is_upper(c) ? (char)(c | 0x20) : c;
		if (token && is_digit(c))
			token->kind = NUMBER;
		if (token && is_lower(c))
			token->small = true;
		before = c;
	}
	*ret_tokens = t;
}

/* ---- what the tokens are ---- */

static bool is_one_of(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

static bool is_provider(const char *letters)
{
	static const char *const words[] = { "mullvad", "proton", "protonvpn", "ivpn", "airvpn", "windscribe", "surfshark", "privatevpn", "nordvpn", "pia", "privateinternetaccess",
					     "cloudflare", "prod", "com", "net", "org", "www", "relays" };

	return is_one_of(letters, words, ARRAY_SIZE(words));
}

static bool is_noise(const char *letters)
{
	static const char *const words[] = { "wireguard", "wg", "conf", "config", "profile", "vpn", "server", "udp", "tcp", "mh" };

	return is_one_of(letters, words, ARRAY_SIZE(words));
}

/* Marshall Islands, Tonga and Samoa have no servers; multi-hop, `to` and Windscribe do. None of these is in the table. */
static const struct country *code_of(const char *text)
{
	char code[3] = { text[0], text[0] ? text[1] : '\0' };

	/* us1234 */
	return strlen(code) == 2 && !text[2 + strspn(text + 2, "0123456789")] ? country_by_code(code) : NULL;
}

/* Joins `n` tokens from `first` on; false when they hold digits. */
static bool join_letters(const struct tokens *t, size_t first, size_t n, char ret_letters[static MAX_PHRASE * TOKEN_LEN])
{
	size_t len = 0;

	if (first + n > t->n)
		return false;
	for (size_t i = first; i < first + n; i++) {
		if (t->v[i].kind == NUMBER)
			return false;
		strcpy(ret_letters + len, t->v[i].text);
		len += strlen(t->v[i].text);
	}
	return true;
}

/* The tokens that are one name become one token. */
static void merge(struct tokens *t, size_t first, size_t n, struct token merged)
{
	t->v[first] = merged;
	memmove(&t->v[first + 1], &t->v[first + n], (t->n - first - n) * sizeof(*t->v));
	t->n -= n - 1;
}

/* `los`, `angeles` → one token `los-angeles`; false when the phrase is nothing that is known. */
static bool classify_phrase(struct tokens *t, size_t first, size_t n)
{
	char letters[MAX_PHRASE * TOKEN_LEN];
	struct token merged = { 0 };

	if (!join_letters(t, first, n, letters))
		return false;
	merged.country = country_by_letters(letters);
	merged.city = merged.country ? NULL : city_by_letters(letters);
	if (is_provider(letters))
		merged.kind = PROVIDER;
	else if (is_noise(letters))
		merged.kind = NOISE;
	else if (merged.country)
		merged.kind = COUNTRY;
	else if (merged.city)
		merged.kind = CITY;
	else
		return false;
	for (size_t i = first, len = 0; i < first + n && len < TOKEN_LEN - 1; i++)
		len += (size_t)snprintf(merged.text + len, TOKEN_LEN - len, "%s%s", i > first ? "-" : "", t->v[i].text);
	merge(t, first, n, merged);
	return true;
}

/* `my-server` is no server in Malaysia, and hide.me's in Amsterdam none in Montenegro; `my-kul` is, and so are MY-1 and my1. */
static bool is_plain_word(const struct tokens *t, size_t i)
{
	static const char *const words[] = { "am", "at", "be", "by", "do", "in", "is", "it", "me", "my", "no", "so" };
	const struct token *token = &t->v[i];
	const struct city *city;

	if (!token->small || !is_one_of(token->text, words, ARRAY_SIZE(words)))
		return false;
	if (i + 1 == t->n)
		return true;
	city = city_by_letters(t->v[i + 1].text);
	return t->v[i + 1].kind != NUMBER && !city_by_code(t->v[i + 1].text, token->text) && !(city && strcmp(city->country, token->text) == 0);
}

/* A bare code: of a country anywhere, of a city behind its country. */
static void classify_code(struct tokens *t, size_t i, const struct country *country)
{
	struct token *token = &t->v[i];

	token->country = is_plain_word(t, i) ? NULL : code_of(token->text);
	if (token->country) {
		if (token->kind == WORD)
			token->kind = CODE;
		return;
	}
	token->city = country && token->kind == WORD ? city_by_code(token->text, country->code) : NULL;
	if (token->city)
		token->kind = CODE;
}

/* AirVPN's UDP-1637-Entry3 */
static bool is_way_in(const struct tokens *t, size_t i)
{
	static const char *const protocols[] = { "udp", "tcp" };

	return strncmp(t->v[i].text, "entry", 5) == 0 || (i && t->v[i].kind == NUMBER && is_one_of(t->v[i - 1].text, protocols, ARRAY_SIZE(protocols)));
}

static void classify(struct tokens *t)
{
	const struct country *country = NULL;

	for (size_t i = 0; i < t->n; i++) {
		size_t n = MAX_PHRASE;

		while (n && !classify_phrase(t, i, n))
			n--;
		if (!n && is_way_in(t, i))
			t->v[i].kind = NOISE;
		else if (!n)
			classify_code(t, i, country);
		if (!country)
			country = t->v[i].country;
	}
}

struct import_place import_place(const char *text)
{
	struct import_place place = { 0 };
	struct tokens t;

	split(text, &t);
	classify(&t);
	for (size_t i = 0; i < t.n; i++) {
		if (!place.country)
			place.country = t.v[i].country;
		if (!place.city)
			place.city = t.v[i].city;
	}
	if (place.city && !place.country)
		place.country = country_by_code(place.city->country);
	/* Of two countries (multi-hop) the city may be in the other. */
	if (place.city && strcmp(place.city->country, place.country->code) != 0)
		place.city = NULL;
	return place;
}

/* ---- tokens to a name ---- */

/* Cut where it is too long; false then, and when the name is not good. */
static bool join(const struct tokens *t, char ret_name[static IFNAMSIZ])
{
	size_t len = 0;

	*ret_name = '\0';
	for (size_t i = 0; i < t->n && len <= NAME_LEN; i++)
		len += (size_t)snprintf(ret_name + len, IFNAMSIZ - len, "%s%s", i ? "-" : "", t->v[i].text);
	return len <= NAME_LEN && import_name_good(ret_name);
}

static void drop(struct tokens *t, enum kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].kind != kind)
			t->v[n++] = t->v[i];
	/* `WireGuard Config` is better than nothing. */
	if (n)
		t->n = n;
}

static void drop_provider(struct tokens *t)
{
	drop(t, PROVIDER);
}

static void drop_noise(struct tokens *t)
{
	drop(t, NOISE);
}

/* A city without its country gets it. */
static void add_country(struct tokens *t)
{
	const struct city *city = NULL;

	for (size_t i = 0; i < t->n; i++) {
		if (t->v[i].country)
			return;
		if (!city)
			city = t->v[i].city;
	}
	if (!city || t->n == MAX_TOKENS)
		return;
	memmove(&t->v[1], &t->v[0], t->n++ * sizeof(*t->v));
	t->v[0] = (struct token){ .kind = CODE, .country = country_by_code(city->country) };
	snprintf(t->v[0].text, TOKEN_LEN, "%s", city->country);
}

static void shorten_countries(struct tokens *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].kind == COUNTRY) {
			snprintf(t->v[i].text, TOKEN_LEN, "%s", t->v[i].country->code);
			t->v[i].kind = CODE;
		}
}

static void shorten_cities(struct tokens *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].kind == CITY) {
			snprintf(t->v[i].text, TOKEN_LEN, "%s", t->v[i].city->code);
			t->v[i].kind = CODE;
		}
}

/* The longest word loses its last letter. False when all are short. */
static bool shorten_word(struct tokens *t)
{
	struct token *longest = NULL;
	size_t len = SHORTEST;

	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].kind != NUMBER && strlen(t->v[i].text) > len) {
			longest = &t->v[i];
			len = strlen(longest->text);
		}
	if (longest)
		longest->text[len - 1] = '\0';
	return longest != NULL;
}

static uint64_t hash(const char *text, unsigned int attempt)
{
	uint64_t h = 0xcbf29ce484222325; /* FNV-1a, 64 bits */

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	h = (h ^ attempt) * 0x100000001b3;
	/* The low bits of FNV mix poorly. */
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93;
	return h ^ h >> 32;
}

/* Without letters that are taken for digits. */
static void add_hash(char name[static IFNAMSIZ], uint64_t h)
{
	static const char alphabet[] = "abcdefghjkmnpqrstuvwxyz023456789";
	size_t len = strlen(name);

	if (len > ROOM_FOR_HASH)
		len = ROOM_FOR_HASH;
	while (len && name[len - 1] == '-')
		len--;
	if (len)
		name[len++] = '-';
	/* A name is not to begin with a digit of the hash. */
	if (len < 2)
		len = (size_t)sprintf(name, "wg-");
	for (size_t i = 0; i < HASH_LEN; i++, h >>= 5)
		name[len++] = alphabet[h & 31];
	name[len] = '\0';
}

/* What is tried, one after the other, until the name fits. */
static void (*const measures[])(struct tokens *t) = { add_country, drop_provider, drop_noise, shorten_countries, shorten_cities };

/* False when there is no good one: then it is the beginning of one, or empty. */
static bool readable_name(const char *stem, char ret_name[static IFNAMSIZ])
{
	struct tokens t;

	if (import_name_good(stem)) {
		strcpy(ret_name, stem);
		return true;
	}
	split(stem, &t);
	classify(&t);
	for (size_t i = 0; i < ARRAY_SIZE(measures); i++) {
		measures[i](&t);
		if (join(&t, ret_name))
			return true;
	}
	while (shorten_word(&t))
		if (join(&t, ret_name))
			return true;
	return join(&t, ret_name);
}

void import_name_hashed(const char *stem, const char *identity, unsigned int attempt, char ret_name[static IFNAMSIZ])
{
	const struct import_place place = import_place(stem);

	(void)readable_name(stem, ret_name);
	/* The hash is not to take the city's place. */
	ret_name[ROOM_FOR_HASH] = '\0';
	if (place.city && import_place(ret_name).city != place.city)
		snprintf(ret_name, IFNAMSIZ, "%s-%s", place.country->code, place.city->code);
	add_hash(ret_name, hash(identity, attempt));
}

void import_name(const char *stem, char ret_name[static IFNAMSIZ])
{
	/* Nothing but numbers, or of another script, or very many words. */
	if (!readable_name(stem, ret_name))
		import_name_hashed(stem, stem, 0, ret_name);
}

bool import_name_good(const char *name)
{
	static const char *const taken[] = { "lo", "all", "default" };

	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		if (strcasecmp(name, taken[i]) == 0)
			return false;
	/* `-x` is an option, `.x` hidden, `12` an index. */
	return iface_name_valid(name) && (is_upper(*name) || is_lower(*name) || is_digit(*name)) && name[strspn(name, "0123456789")];
}

/* Cuts `ending` off, in any case, if more is left. */
static bool cut(char *text, const char *ending)
{
	size_t len = strlen(text), n = strlen(ending);

	if (len <= n || strcasecmp(text + len - n, ending) != 0)
		return false;
	text[len - n] = '\0';
	return true;
}

/* ` (12)` or `(12)` at the end. */
static void cut_copy(char *text)
{
	size_t len = strlen(text), i;

	if (len < 3 || text[len - 1] != ')')
		return;
	for (i = len - 1; i && is_digit(text[i - 1]); i--)
		;
	if (i < 2 || i == len - 1 || text[i - 1] != '(')
		return;
	for (i--; i > 1 && text[i - 1] == ' '; i--)
		;
	text[i] = '\0';
}

int import_stem(const char *path, char **ret_stem)
{
	const char *base = strrchr(path, '/');
	char *stem = strdup(base ? base + 1 : path);

	if (!stem)
		return -ENOMEM;
	/* x.conf, x.conf.txt, x (1).conf, x.conf (1) */
	cut_copy(stem);
	(void)cut(stem, ".txt");
	(void)cut(stem, ".conf");
	cut_copy(stem);
	*ret_stem = stem;
	return 0;
}
