/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report-json.c - the report for programs. Its members may become more, and never mean something else while "version" is 1. */
#include <jansson.h>
#include <limits.h>

#include "json.h"
#include "report.h"

static json_t *programs(const struct inside *list, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_pack("{s:i, s:I, s:o}", "pid", (int)list[i].pid, "uid", (json_int_t)list[i].uid, "name", json_text(list[i].name)));
	return array;
}

static json_t *peer(const struct peer *p, int64_t now)
{
	char key[KEY_TEXT_LEN], endpoint[ENDPOINT_TEXT_LEN];
	json_t *allowed = json_array();

	for (size_t i = 0; i < p->n_allowed_ips; i++) {
		char prefix[PREFIX_TEXT_LEN];

		json_array_append_new(allowed, json_string(format_prefix(&p->allowed_ips[i].prefix, prefix)));
	}
	format_key(&p->public_key, key);
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:i}", "public_key", key, "endpoint",
			 json_text(p->endpoint.sa.sa_family == AF_UNSPEC ? NULL : format_endpoint(&p->endpoint, endpoint)), "allowed_ips", allowed,
			 "latest_handshake", p->last_handshake ? json_integer(p->last_handshake) : json_null(), "handshake_age",
			 p->last_handshake ? json_integer(now - p->last_handshake) : json_null(), "rx_bytes", (json_int_t)p->rx_bytes, "tx_bytes",
			 (json_int_t)p->tx_bytes, "persistent_keepalive", (int)p->keepalive);
}

static json_t *tunnel(const struct report *report, const struct report_tunnel *t)
{
	static const char *const hooks[] = { [HOOKS_UNSET] = "guarded", [HOOKS_GUARDED] = "guarded", [HOOKS_OPEN] = "open", [HOOKS_NONE] = "none" };
	const struct journal *j = &t->txn.journal;
	json_t *object = json_object(), *list;
	char path[PATH_MAX];

	json_object_set_new(object, "interface", json_string(j->iface));
	json_object_set_new(object, "state", json_string(report_state_names[t->state]));
	json_object_set_new(object, "reasons", json_texts(&t->why));
	snprintf(path, sizeof(path), NETNS_RUN_DIR "/%s", j->ns_name ? j->ns_name : "");
	json_object_set_new(object, "namespace", json_pack("{s:o, s:o}", "name", json_text(j->ns_name), "path", json_text(j->ns_name ? path : j->ns_path)));
	json_object_set_new(object, "transport", json_text(j->transport));
	json_object_set_new(object, "backend", json_string(j->userspace ? "userspace" : "kernel"));
	json_object_set_new(object, "config", json_text(j->config));
	json_object_set_new(object, "since", json_integer(j->since));
	json_object_set_new(object, "listen_port", t->wg.listen_port ? json_integer(t->wg.listen_port) : json_null());
	json_object_set_new(object, "fwmark", json_integer(t->wg.fwmark));
	list = json_array();
	for (size_t i = 0; i < t->n_addresses; i++) {
		char prefix[PREFIX_TEXT_LEN];

		json_array_append_new(list, json_string(format_prefix(&t->addresses[i], prefix)));
	}
	json_object_set_new(object, "addresses", list);
	json_object_set_new(object, "dns", json_texts(&j->dns));
	json_object_set_new(object, "guard", json_string(guard_level_name(t->guard)));
	json_object_set_new(object, "hooks", json_string(hooks[t->hooks]));
	list = json_array();
	for (size_t i = 0; i < t->wg.n_peers; i++)
		json_array_append_new(list, peer(&t->wg.peers[i], report->now));
	json_object_set_new(object, "peers", list);
	json_object_set_new(object, "programs", programs(t->programs, t->n_programs));
	return object;
}

char *report_json(const struct report *report)
{
	json_t *root = json_object(), *tunnels = json_array(), *namespaces = json_array();
	char *text;

	for (size_t i = 0; i < report->n_tunnels; i++)
		json_array_append_new(tunnels, tunnel(report, &report->tunnels[i]));
	for (size_t i = 0; i < report->n_namespaces; i++)
		json_array_append_new(namespaces, json_pack("{s:o, s:o}", "name", json_text(report->namespaces[i].name), "programs",
							    programs(report->namespaces[i].programs, report->namespaces[i].n_programs)));
	json_object_set_new(root, "version", json_integer(1));
	json_object_set_new(root, "state", json_string(report_state_names[report_state(report)]));
	json_object_set_new(root, "tunnels", tunnels);
	json_object_set_new(root, "kept_namespaces", namespaces);
	text = json_dumps(root, JSON_INDENT(2));
	json_decref(root);
	return text;
}
