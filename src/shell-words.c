/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shell-words.h"

#define MAX_DEPTH 4 /* of texts in texts: `sh -c` in `$( )` */

/* One text; what is run inside of it has a lexer of its own. */
struct lexer {
	struct shell_text *out;
	struct shell_command command;
	struct buf word;
	bool in_word;
	int depth;
};

static int split(struct shell_text *out, const char *text, size_t len, int depth);

/* What stands before a command's name and is not it. */
static bool precedes(const char *word)
{
	static const char *const words[] = { "!", "if", "then", "elif", "else", "while", "until", "do", "{", "time", "sudo", "exec", "command", "nohup", "env", "builtin" };
	const char *equals = strchr(word, '=');

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	/* NAME=value */
	return equals && equals > word && strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == (size_t)(equals - word);
}

static int end_word(struct lexer *l)
{
	int r = 0;

	if (!l->in_word)
		return 0;
	if (l->command.words.n || !precedes(l->word.data))
		r = strv_add(&l->command.words, l->word.data, l->word.len);
	buf_free(&l->word);
	buf_str(&l->word, "");
	l->in_word = false;
	return l->word.failed ? -ENOMEM : r;
}

static bool is_shell(const char *word)
{
	const char *slash = strrchr(word, '/');

	word = slash ? slash + 1 : word;
	return strcmp(word, "sh") == 0 || strcmp(word, "bash") == 0 || strcmp(word, "dash") == 0 || strcmp(word, "su") == 0;
}

/* The text that a command hands to a shell, or NULL. */
static const char *inner_text(const struct shell_command *command)
{
	bool shell = false;

	if (command->words.n == 2 && strcmp(command->words.v[0], "eval") == 0)
		return command->words.v[1];
	for (size_t i = 0; i + 1 < command->words.n; i++) {
		shell |= is_shell(command->words.v[i]);
		/* -c, -ec, -lc */
		if (shell && command->words.v[i][0] == '-' && strchr(command->words.v[i], 'c'))
			return command->words.v[i + 1];
	}
	return NULL;
}

static int end_command(struct lexer *l)
{
	struct shell_command *slot;
	const char *inner;
	int r = end_word(l);

	if (r < 0 || l->command.words.n == 0)
		return r;
	slot = GROW(l->out->commands, l->out->n);
	if (!slot)
		return -ENOMEM;
	*slot = l->command;
	l->command = (struct shell_command){ 0 };
	inner = inner_text(slot);
	return inner ? split(l->out, inner, strlen(inner), l->depth + 1) : 0;
}

static void add_char(struct lexer *l, char c)
{
	buf_add(&l->word, &c, 1);
	l->in_word = true;
}

/* Where the text that began at `p` with a parenthesis or a backquote ends. */
static const char *find_end(const char *p, const char *end, char close)
{
	int open = 1;
	char quote = '\0';

	for (; p < end; p++) {
		if (quote)
			quote = *p == quote ? '\0' : quote;
		else if (*p == '\\' && p + 1 < end)
			p++;
		else if (*p == '\'' || *p == '"')
			quote = *p;
		else if (close == ')' && *p == '(')
			open++;
		else if (*p == close && --open == 0)
			return p;
	}
	return end;
}

/* `…`, $(…), <(…), >(…): commands of their own, and one word here. Returns where they end, or NULL: out of memory. */
static const char *substitution(struct lexer *l, const char *p, const char *end)
{
	const char *start = *p == '`' ? p + 1 : p + 2;
	const char *stop = find_end(start, end, *p == '`' ? '`' : ')');

	if (split(l->out, start, (size_t)(stop - start), l->depth + 1) < 0)
		return NULL;
	add_char(l, '$');
	return stop < end ? stop : end - 1;
}

static int lex(struct lexer *l, const char *p, const char *end)
{
	char quote = '\0';
	int r = 0;

	for (; p < end && r == 0; p++) {
		char next = p + 1 < end ? p[1] : '\0';
		bool runs = quote != '\'' && (*p == '`' || (*p == '$' && next == '('));

		if (runs || (!quote && strchr("<>", *p) && next == '(')) {
			p = substitution(l, p, end);
			if (!p)
				return -ENOMEM;
		} else if (quote) {
			if (*p == quote)
				quote = '\0';
			else if (quote == '"' && *p == '\\' && next)
				add_char(l, *++p);
			else
				add_char(l, *p);
		} else if (*p == '\'' || *p == '"') {
			quote = *p;
			l->in_word = true;
		} else if (*p == '\\' && next) {
			add_char(l, *++p);
		} else if (*p == '#' && !l->in_word) {
			while (p + 1 < end && p[1] != '\n')
				p++;
		} else if (strchr(";&|\n()", *p)) {
			r = end_command(l);
		} else if (is_space(*p) || *p == '<' || *p == '>') {
			/* What is read or written is a word like others: /etc/resolv.conf */
			r = end_word(l);
		} else {
			add_char(l, *p);
		}
	}
	return r < 0 ? r : end_command(l);
}

static int split(struct shell_text *out, const char *text, size_t len, int depth)
{
	struct lexer l = { .out = out, .depth = depth };
	int r;

	if (depth > MAX_DEPTH)
		return 0;
	buf_str(&l.word, "");
	r = l.word.failed ? -ENOMEM : lex(&l, text, text + len);
	strv_free(&l.command.words);
	buf_free(&l.word);
	return r;
}

int shell_split(const char *text, struct shell_text *ret_text)
{
	struct shell_text out = { 0 };
	int r = split(&out, text, strlen(text), 0);

	if (r < 0)
		shell_text_free(&out);
	else
		*ret_text = out;
	return r;
}

void shell_text_free(struct shell_text *text)
{
	for (size_t i = 0; i < text->n; i++)
		strv_free(&text->commands[i].words);
	free(text->commands);
	*text = (struct shell_text){ 0 };
}

const char *shell_program(const struct shell_command *command)
{
	const char *name = command->words.n ? command->words.v[0] : "";
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

bool shell_has(const struct shell_command *command, const char *word)
{
	return strv_has(&command->words, word);
}

const char *shell_after(const struct shell_command *command, const char *option)
{
	for (size_t i = 0; i + 1 < command->words.n; i++)
		if (strcmp(command->words.v[i], option) == 0)
			return command->words.v[i + 1];
	return NULL;
}
