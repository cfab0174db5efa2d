/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "import-wire.h"

#define MAX_FINDINGS 64U
#define MAX_FINDING_LEN 1024U
#define MAX_MESSAGE_LEN 1024U

/* ---- to bytes: numbers in the machine's own order, texts behind their lengths ---- */

static void put_number(struct buf *b, unsigned int number)
{
	uint32_t n = number;

	buf_add(b, &n, sizeof(n));
}

static void put_text(struct buf *b, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	put_number(b, (unsigned int)len);
	buf_add(b, text ? text : "", len);
}

int import_record_encode(const struct import_record *record, struct buf *ret_data)
{
	const struct import *im = &record->import;

	put_number(ret_data, record->kind);
	put_text(ret_data, record->path);
	put_text(ret_data, record->message);
	put_number(ret_data, record->others);
	put_number(ret_data, (unsigned int)-record->result);
	put_number(ret_data, im->provider);
	put_text(ret_data, record->result == 0 ? im->text.data : NULL);
	put_number(ret_data, (unsigned int)im->findings.n);
	for (size_t i = 0; i < im->findings.n; i++) {
		put_number(ret_data, im->findings.items[i].line);
		put_number(ret_data, im->findings.items[i].severity);
		put_text(ret_data, im->findings.items[i].text);
	}
	put_number(ret_data, (unsigned int)im->n_hooks);
	for (size_t i = 0; i < im->n_hooks; i++) {
		put_number(ret_data, im->hooks[i].kind);
		put_number(ret_data, im->hooks[i].fate);
		put_number(ret_data, im->hooks[i].line);
		put_text(ret_data, im->hooks[i].text);
	}
	return ret_data->failed ? -ENOMEM : 0;
}

/* ---- from bytes ---- */

struct wire {
	const char *p, *end;
	int error;
};

/* A number up to `max`; 0 once something was wrong. */
static unsigned int get_number(struct wire *w, unsigned int max)
{
	uint32_t number = 0;

	if (w->error)
		return 0;
	if ((size_t)(w->end - w->p) < sizeof(number)) {
		w->error = -EBADMSG;
		return 0;
	}
	memcpy(&number, w->p, sizeof(number));
	w->p += sizeof(number);
	if (number > max) {
		w->error = -EBADMSG;
		return 0;
	}
	return number;
}

/* The bytes of a text; NULL once something was wrong. Of `printable` ones no byte is a control character. */
static const char *get_bytes(struct wire *w, size_t max, bool printable, size_t *ret_len)
{
	size_t len = get_number(w, (unsigned int)max);
	const char *bytes = w->p;

	if (!w->error && len > (size_t)(w->end - w->p))
		w->error = -EBADMSG;
	for (size_t i = 0; i < len && !w->error; i++)
		if (!bytes[i] || (printable && ((unsigned char)bytes[i] < ' ' || bytes[i] == 0x7f)))
			w->error = -EBADMSG;
	if (w->error)
		return NULL;
	w->p += len;
	*ret_len = len;
	return bytes;
}

static char *get_text(struct wire *w, size_t max, bool printable)
{
	size_t len = 0;
	const char *bytes = get_bytes(w, max, printable, &len);
	char *text = bytes ? strndup(bytes, len) : NULL;

	if (bytes && !text)
		w->error = -ENOMEM;
	return text;
}

static void get_findings(struct wire *w, struct findings *f)
{
	unsigned int n = get_number(w, MAX_FINDINGS);

	for (unsigned int i = 0; i < n && !w->error; i++) {
		unsigned int line = get_number(w, UINT32_MAX);
		enum severity severity = (enum severity)get_number(w, FIND_NOTE);
		_cleanup_free_ char *text = get_text(w, MAX_FINDING_LEN, true);

		if (text)
			finding_add(f, severity, line, "%s", text);
		if (f->failed)
			w->error = -ENOMEM;
	}
}

static void get_hooks(struct wire *w, struct import *im)
{
	unsigned int n = get_number(w, IMPORT_MAX_HOOKS);

	for (unsigned int i = 0; i < n && !w->error; i++) {
		struct import_hook *hook = GROW(im->hooks, im->n_hooks);

		if (!hook) {
			w->error = -ENOMEM;
			return;
		}
		hook->kind = (enum hook_kind)get_number(w, HOOK_KINDS - 1);
		hook->fate = (enum hook_fate)get_number(w, HOOK_FATES - 1);
		hook->line = get_number(w, UINT32_MAX);
		/* Tabs are right in a hook. */
		hook->text = get_text(w, IMPORT_MAX_LINE, false);
	}
}

int import_record_decode(const char *data, size_t len, struct import_record *ret_record)
{
	struct wire w = { .p = data, .end = data + len };
	struct import_record record = { 0 };
	struct import *im = &record.import;
	const char *text;
	size_t text_len = 0;

	record.kind = (enum record_kind)get_number(&w, RECORD_END);
	record.path = get_text(&w, IMPORT_PATH_MAX, true);
	record.message = get_text(&w, MAX_MESSAGE_LEN, true);
	record.others = get_number(&w, UINT32_MAX);
	record.result = -(int)get_number(&w, ENODATA);
	im->provider = (enum provider)get_number(&w, PROVIDERS - 1);
	text = get_bytes(&w, IMPORT_MAX_SIZE, false, &text_len);
	if (text)
		buf_add(&im->text, text, text_len);
	if (im->text.failed)
		w.error = -ENOMEM;
	get_findings(&w, &im->findings);
	get_hooks(&w, im);
	if (!w.error && (w.p != w.end || (record.result != 0 && record.result != -EINVAL && record.result != -ENODATA)))
		w.error = -EBADMSG;
	/* A refusal has a reason, and nothing else has. */
	if (!w.error && record.kind == RECORD_FILE && (record.result != 0) != (findings_count(&im->findings, FIND_ERROR) > 0))
		w.error = -EBADMSG;
	if (w.error) {
		import_record_free(&record);
		return w.error;
	}
	*ret_record = record;
	return 0;
}

int import_record_check(struct import_record *record, bool keep_hooks)
{
	struct import again = { 0 };
	struct import *im = &record->import;
	int r = import_text(record->path, im->text.data, im->text.len, keep_hooks, &again);
	size_t kept = 0;

	if (r == -EINVAL || r == -ENODATA)
		r = -EBADMSG;
	if (r == 0 && (again.text.len != im->text.len || memcmp(again.text.data, im->text.data, im->text.len) != 0))
		r = -EBADMSG;
	for (size_t i = 0; i < im->n_hooks && r == 0; i++) {
		if (im->hooks[i].fate != HOOK_FATE_KEPT)
			continue;
		if (kept >= again.conf.n_hooks || again.conf.hooks[kept].kind != im->hooks[i].kind || strcmp(again.conf.hooks[kept].text, im->hooks[i].text) != 0)
			r = -EBADMSG;
		kept++;
	}
	if (r == 0 && kept != again.conf.n_hooks)
		r = -EBADMSG;
	if (r == 0) {
		im->conf = again.conf;
		again.conf = (struct conf){ 0 };
	}
	import_free(&again);
	return r;
}

void import_record_free(struct import_record *record)
{
	free(record->path);
	free(record->message);
	import_free(&record->import);
	*record = (struct import_record){ 0 };
}
