/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plan.h"

#include "conf-error.h"

static struct step *add(struct plan *plan, enum step_kind kind)
{
	struct step *step = GROW(plan->steps, plan->n);

	if (step)
		step->kind = kind;
	return step;
}

static int add_plain(struct plan *plan, enum step_kind kind)
{
	return add(plan, kind) ? 0 : -ENOMEM;
}

static int add_hooks(struct plan *plan, const struct conf *conf, enum hook_kind kind)
{
	for (size_t i = 0; i < conf->n_hooks; i++) {
		struct step *step;

		if (conf->hooks[i].kind != kind)
			continue;
		step = add(plan, STEP_HOOK);
		if (!step)
			return -ENOMEM;
		step->hook = &conf->hooks[i];
		step->line = conf->hooks[i].line;
	}
	return 0;
}

static int add_addresses(struct plan *plan, const struct conf *conf, struct conf_error *ret_error, int *ret_status)
{
	char quoted[QUOTED_LEN];
	int error = 0;

	for (size_t i = 0; i < conf->n_addresses; i++) {
		const struct item *item = &conf->addresses[i];
		struct prefix address;
		struct step *step;

		if (parse_address(item->text, &address) < 0) {
			*ret_status = 1;
			error = conf_fail(ret_error, item->line, "Address: `%s' is not an IPv4 or IPv6 address; expected ADDRESS or ADDRESS/LENGTH",
					  conf_quote(item->text, quoted));
			if (!conf_goes_on(ret_error, error))
				return error;
			continue;
		}
		step = add(plan, STEP_ADDRESS);
		if (!step)
			return -ENOMEM;
		step->address = address;
		step->text = item->text;
		step->line = item->line;
	}
	return error;
}

static int add_link_up(struct plan *plan, const struct conf *conf, struct conf_error *ret_error, int *ret_status)
{
	char quoted[QUOTED_LEN];
	struct step *step;
	uint64_t mtu = 0;

	if (conf->mtu.text && *conf->mtu.text && parse_cnum(conf->mtu.text, INT32_MAX, &mtu) < 0) {
		const char *number = conf->mtu.text + (*conf->mtu.text == '-');

		/* ip(8)'s, for an argument that it cannot read, or for one that it can and the kernel refuses. */
		*ret_status = parse_cnum(number, INT32_MAX, &mtu) < 0 ? 255 : 2;
		return conf_fail(ret_error, conf->mtu.line, "MTU: `%s' is not a number of bytes; expected one such as 1420, or no MTU line",
				 conf_quote(conf->mtu.text, quoted));
	}
	step = add(plan, STEP_LINK_UP);
	if (!step)
		return -ENOMEM;
	step->mtu = (unsigned int)mtu;
	/* `MTU = 0' is a number like others: the kernel refuses it, or not. */
	step->mtu_set = conf->mtu.text && *conf->mtu.text;
	step->text = step->mtu_set ? conf->mtu.text : NULL;
	step->line = conf->mtu.line;
	return 0;
}

static int build_up(struct plan *plan, const struct conf *conf, struct conf_error *ret_error, int *ret_status)
{
	int r, error;

	if ((r = add_plain(plan, STEP_NETNS)) < 0 || (r = add_plain(plan, STEP_LINK)) < 0)
		return r;
	/* Its resolv.conf must be there before the first hook can read it. */
	if (conf->n_hooks && (r = add_plain(plan, STEP_ROOM)) < 0)
		return r;
	if ((r = add_hooks(plan, conf, HOOK_PRE_UP)) < 0 || (r = add_plain(plan, STEP_WG)) < 0)
		return r;
	error = add_addresses(plan, conf, ret_error, ret_status);
	if (error < 0 && !conf_goes_on(ret_error, error))
		return error;
	r = add_link_up(plan, conf, ret_error, ret_status);
	if (r < 0 || error < 0)
		return r < 0 ? r : error;
	if (conf->n_dns && (r = add_plain(plan, STEP_DNS)) < 0)
		return r;
	if (conf->table != TABLE_OFF && (r = add_plain(plan, STEP_ROUTES)) < 0)
		return r;
	if ((r = add_plain(plan, STEP_PUBLISH)) < 0)
		return r;
	return add_hooks(plan, conf, HOOK_POST_UP);
}

int plan_up(const struct conf *conf, struct plan *ret_plan, struct conf_error *ret_error, int *ret_status)
{
	struct plan plan = { .iface = conf->iface };
	int r = build_up(&plan, conf, ret_error, ret_status);

	if (r < 0)
		plan_free(&plan);
	else
		*ret_plan = plan;
	return r;
}

int plan_down(const struct conf *conf, struct plan *ret_plan)
{
	struct plan plan = { .iface = conf->iface };
	struct step *leave;
	int r;

	if ((r = add_hooks(&plan, conf, HOOK_PRE_DOWN)) < 0)
		goto fail;
	if (conf->save_config && (r = add_plain(&plan, STEP_SAVE)) < 0)
		goto fail;
	if ((r = add_plain(&plan, STEP_LINK_DELETE)) < 0 || (r = add_hooks(&plan, conf, HOOK_POST_DOWN)) < 0)
		goto fail;
	leave = add(&plan, STEP_LEAVE);
	if (!leave) {
		r = -ENOMEM;
		goto fail;
	}
	/* A PostDown that fails ends `down` with its status, but the device is gone: nothing of the rest is kept. */
	leave->always = true;
	*ret_plan = plan;
	return 0;
fail:
	plan_free(&plan);
	return r;
}

void plan_free(struct plan *plan)
{
	free(plan->steps);
	*plan = (struct plan){ 0 };
}

/* ---- routes ---- */

/* wg-quick sorts `sort -nr -k 2 -t /`: by length, then the whole line in byte order, both descending. */
static int by_length_then_text(const void *a, const void *b)
{
	const struct prefix *x = a, *y = b;
	char xt[PREFIX_TEXT_LEN], yt[PREFIX_TEXT_LEN];

	if (x->len != y->len)
		return (int)y->len - (int)x->len;
	return strcmp(format_prefix(y, yt), format_prefix(x, xt));
}

static bool covered(const struct prefix *route, const struct prefix *connected, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_covers(&connected[i], route))
			return true;
	return false;
}

int plan_routes(const struct prefix *allowed, size_t n_allowed, const struct prefix *connected, size_t n_connected,
		struct prefix **ret_routes, size_t *ret_n)
{
	struct prefix *routes = calloc(n_allowed + 1, sizeof(*routes));
	size_t n = 0, kept = 0;

	if (!routes)
		return -ENOMEM;
	for (size_t i = 0; i < n_allowed; i++) {
		struct prefix route = allowed[i];

		prefix_mask(&route);
		if (prefix_is_default(&route) || !covered(&route, connected, n_connected))
			routes[n++] = route;
	}
	qsort(routes, n, sizeof(*routes), by_length_then_text);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || !prefix_equal(&routes[kept - 1], &routes[i]))
			routes[kept++] = routes[i];
	*ret_routes = routes;
	*ret_n = kept;
	return 0;
}

/* ---- marks ---- */

static bool decides_as_zero(uint32_t mark, const struct mark_rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t wanted = rules[i].mark & rules[i].mask;

		if (((mark & rules[i].mask) == wanted) != (wanted == 0))
			return false;
	}
	return true;
}

uint32_t plan_pick_mark(const struct mark_rule *rules, size_t n)
{
	for (uint32_t mark = 1; mark <= 255; mark++)
		if (decides_as_zero(mark, rules, n))
			return mark;
	return 0;
}

bool plan_wants_mark(const struct conf *conf)
{
	for (size_t i = 0; i < conf->n_hooks; i++)
		if (strstr(conf->hooks[i].text, "fwmark"))
			return true;
	return false;
}

/* ---- words ---- */

void step_trace(const struct step *step, const char *iface, struct buf *text)
{
	_cleanup_free_ char *hook = NULL;

	switch (step->kind) {
	case STEP_LINK:
		buf_fmt(text, "ip link add dev %s type wireguard", iface);
		break;
	case STEP_HOOK:
		hook = hook_expand(step->hook, iface);
		if (hook)
			buf_str(text, hook);
		else
			text->failed = true;
		break;
	case STEP_WG:
		/* Never a file: the words are wg-quick's, which people look for in logs. */
		buf_fmt(text, "wg addconf %s /dev/fd/63", iface);
		break;
	case STEP_ADDRESS:
		buf_fmt(text, "ip -%d address add %s dev %s", step->address.family == AF_INET6 ? 6 : 4, step->text, iface);
		break;
	case STEP_LINK_UP:
		if (step->text)
			buf_fmt(text, "ip link set mtu %s up dev %s", step->text, iface);
		else
			buf_fmt(text, "ip link set mtu %u up dev %s", step->mtu, iface);
		break;
	case STEP_SAVE:
		buf_fmt(text, "wg showconf %s", iface);
		break;
	case STEP_LINK_DELETE:
		buf_fmt(text, "ip link delete dev %s", iface);
		break;
	default:
		break;
	}
}

static void print_routes(const struct conf *conf, struct buf *text)
{
	struct prefix *allowed = NULL, *routes = NULL;
	size_t n = 0, n_routes = 0;

	for (size_t i = 0; i < conf->wg.n_peers; i++)
		for (size_t j = 0; j < conf->wg.peers[i].n_allowed_ips; j++) {
			const struct allowed_ip *item = &conf->wg.peers[i].allowed_ips[j];

			if (item->op != ALLOWED_MINUS && prefix_add(&allowed, &n, &item->prefix) < 0) {
				text->failed = true;
				goto out;
			}
		}
	if (plan_routes(allowed, n, NULL, 0, &routes, &n_routes) < 0) {
		text->failed = true;
		goto out;
	}
	for (size_t i = 0; i < n_routes; i++) {
		char prefix[PREFIX_TEXT_LEN];

		buf_fmt(text, "  ip -%d route add %s dev %s", routes[i].family == AF_INET6 ? 6 : 4, format_prefix(&routes[i], prefix), conf->iface);
		if (conf->table == TABLE_NAMED)
			buf_fmt(text, " table %s", conf->table_text.text);
		else if (!prefix_is_default(&routes[i]))
			buf_str(text, "  (unless an address's own route covers it)");
		buf_str(text, "\n");
	}
out:
	free(allowed);
	free(routes);
}

static void print_step(const struct step *step, const struct conf *conf, const struct plan_place *place, struct buf *text)
{
	static const char *const tense[] = { [false] = "join", [true] = "make" };

	switch (step->kind) {
	case STEP_NETNS:
		buf_fmt(text, "  %s network namespace %s\n", tense[place->create], place->netns);
		return;
	case STEP_ROOM:
		if (!place->no_hooks)
			buf_str(text, "  make the mount namespace that hooks run in\n");
		return;
	case STEP_HOOK:
		buf_fmt(text, "  %s (line %u)%s: ", hook_names[step->hook->kind], step->line, place->no_hooks ? ", skipped" : "");
		break;
	case STEP_LINK_UP:
		if (!step->mtu_set) {
			buf_fmt(text, "  ip link set mtu (automatic) up dev %s\n", conf->iface);
			return;
		}
		buf_str(text, "  ");
		break;
	case STEP_DNS:
		buf_fmt(text, "  write resolv.conf of namespace %s:", place->netns);
		for (size_t i = 0; i < conf->n_dns; i++)
			buf_fmt(text, " %s", conf->dns[i].text);
		buf_str(text, "\n");
		return;
	case STEP_ROUTES:
		print_routes(conf, text);
		return;
	case STEP_PUBLISH:
		if (place->create)
			buf_fmt(text, "  publish the namespace as /run/netns/%s\n", place->netns);
		return;
	case STEP_LEAVE:
		buf_str(text, "  take back DNS, name and namespace, as far as they are ours\n");
		return;
	default:
		buf_str(text, "  ");
		break;
	}
	step_trace(step, conf->iface, text);
	if (step->kind == STEP_LINK)
		buf_fmt(text, "  (born in %s, its UDP socket in %s)", place->netns, place->transport);
	buf_str(text, "\n");
}

void plan_print(const struct plan *plan, const struct conf *conf, const struct plan_place *place, struct buf *text)
{
	buf_fmt(text, "%s, in namespace %s, transport %s:\n", plan->iface, place->netns, place->transport);
	for (size_t i = 0; i < plan->n; i++)
		print_step(&plan->steps[i], conf, place, text);
}
