/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "firewall.h"

#include <arpa/inet.h>
#include <nftables/libnftables.h>
#include <sys/mman.h>

#include "library.h"

static struct {
	__typeof__(nft_ctx_new) *nft_ctx_new;
	__typeof__(nft_ctx_free) *nft_ctx_free;
	__typeof__(nft_ctx_buffer_error) *nft_ctx_buffer_error;
	__typeof__(nft_ctx_get_error_buffer) *nft_ctx_get_error_buffer;
	__typeof__(nft_run_cmd_from_buffer) *nft_run_cmd_from_buffer;
} lib;

static int load_library(void)
{
	static const struct library_symbol symbols[] = {
		LIBRARY_SYMBOL(lib, nft_ctx_new),
		LIBRARY_SYMBOL(lib, nft_ctx_free),
		LIBRARY_SYMBOL(lib, nft_ctx_buffer_error),
		LIBRARY_SYMBOL(lib, nft_ctx_get_error_buffer),
		LIBRARY_SYMBOL(lib, nft_run_cmd_from_buffer),
	};

	return library_load("libnftables.so.1", symbols, ARRAY_SIZE(symbols));
}

struct answer {
	bool given;
	int error;
	char why[256];
};

static void run_commands(const char *text, struct answer *answer)
{
	struct nft_ctx *ctx = lib.nft_ctx_new(NFT_CTX_DEFAULT);
	int r = !ctx || lib.nft_ctx_buffer_error(ctx) < 0 ? -ENOMEM : 0;

	errno = 0;
	/* It tells no more than that it failed; errno is the kernel's, most times. */
	if (r == 0 && lib.nft_run_cmd_from_buffer(ctx, text) != 0)
		r = errno > 0 ? -errno : -EIO;
	if (r < 0 && ctx) {
		const char *why = lib.nft_ctx_get_error_buffer(ctx);

		snprintf(answer->why, sizeof(answer->why), "%.*s", why ? (int)strcspn(why, "\n") : 0, why ? why : "");
	}
	answer->error = r;
	answer->given = true;
}

/* In a child: where the library gets no socket it ends its caller, and nobody would undo the rest. */
static int nft_run(const char *text, char **ret_why)
{
	struct answer *answer;
	int r = load_library(), status;
	pid_t pid;

	if (r < 0)
		return r;
	answer = mmap(NULL, sizeof(*answer), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (answer == MAP_FAILED)
		return -errno;
	pid = fork();
	if (pid == 0) {
		run_commands(text, answer);
		_exit(0);
	}
	r = pid < 0 ? -errno : wait_child(pid, &status);
	if (r == 0)
		r = answer->given ? answer->error : -EIO;
	if (r < 0 && ret_why)
		*ret_why = answer->why[0] ? strdup(answer->why) : NULL;
	munmap(answer, sizeof(*answer));
	return r;
}

/* nft's names take neither `+' nor `='; a slash, which no interface has, they do (its scanner's rule for strings). */
static void put_table(struct buf *text, const char *iface, int family)
{
	buf_fmt(text, "table %s wg-quick-", family == AF_INET6 ? "ip6" : "ip");
	for (const char *p = iface; *p; p++)
		buf_fmt(text, *p == '+' || *p == '=' ? "/%02x" : "%c", *p);
}

static void put_drops(struct buf *text, const char *iface, int family, const struct prefix *addresses, size_t n)
{
	const char *ip = family == AF_INET6 ? "ip6" : "ip";
	char address[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < n; i++)
		if (addresses[i].family == family && inet_ntop(family, addresses[i].bytes, address, sizeof(address)))
			buf_fmt(text, "iifname != \"%s\" %s daddr %s fib saddr type != local drop\n", iface, ip, address);
}

int firewall_add(const char *iface, int family, const struct prefix *addresses, size_t n, uint32_t mark, char **ret_why)
{
	_cleanup_buf_ struct buf text = { 0 };

	put_table(&text, iface, family);
	buf_str(&text, " {\nchain preraw {\ntype filter hook prerouting priority -300\n");
	put_drops(&text, iface, family, addresses, n);
	buf_fmt(&text, "}\nchain premangle {\ntype filter hook prerouting priority -150\nmeta l4proto udp meta mark set ct mark\n}\n"
		       "chain postmangle {\ntype filter hook postrouting priority -150\nmeta l4proto udp mark %u ct mark set mark\n}\n}\n", mark);
	return text.failed ? -ENOMEM : nft_run(text.data, ret_why);
}

static int remove_table(const char *iface, int family)
{
	_cleanup_buf_ struct buf text = { 0 };

	/* In one transaction, so that one that is not there is no error. */
	buf_str(&text, "add ");
	put_table(&text, iface, family);
	buf_str(&text, "\ndelete ");
	put_table(&text, iface, family);
	buf_str(&text, "\n");
	return text.failed ? -ENOMEM : nft_run(text.data, NULL);
}

static int remove_chains(const char *iface, int family)
{
	static const char *const chains[] = { "preraw", "premangle", "postmangle" }, *const verbs[] = { "add", "delete" };
	_cleanup_buf_ struct buf table = { 0 };
	_cleanup_buf_ struct buf text = { 0 };

	put_table(&table, iface, family);
	for (size_t i = 0; i < ARRAY_SIZE(chains) && !table.failed; i++)
		for (size_t j = 0; j < ARRAY_SIZE(verbs); j++)
			buf_fmt(&text, "%s chain %s %s\n", verbs[j], table.data + strlen("table "), chains[i]);
	return table.failed || text.failed ? -ENOMEM : nft_run(text.data, NULL);
}

int firewall_is_there(const char *iface, int family)
{
	_cleanup_buf_ struct buf text = { 0 };
	int r;

	/* In one transaction: it does nothing, or it is refused. */
	buf_str(&text, "create ");
	put_table(&text, iface, family);
	buf_str(&text, "\ndelete ");
	put_table(&text, iface, family);
	buf_str(&text, "\n");
	r = text.failed ? -ENOMEM : nft_run(text.data, NULL);
	return r == -EEXIST ? 1 : r;
}

int firewall_remove(const char *iface, int family, bool shared)
{
	int r;

	if (!shared)
		return remove_table(iface, family);
	r = firewall_is_there(iface, family);
	return r <= 0 ? r : remove_chains(iface, family);
}
