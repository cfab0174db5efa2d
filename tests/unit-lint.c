/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of lint*.c and shell-words.c: what `check` says, and of what it is silent. */
#include "lint.h"
#include "shell-words.h"
#include "tap.h"

#define K "oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM="
#define P "GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU="
#define Q "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
/* A file without any finding, to which one line is added. */
#define IFACE "[Interface]\nPrivateKey = " K "\nAddress = 10.0.0.2/32, fd00::2/128\nDNS = 10.0.0.1\n"
#define PEER "[Peer]\nPublicKey = " P "\nAllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = 192.0.2.1:51820\n"

static const char *const links[] = { "eth0", "uplink" };

static struct findings run(const char *text, bool create)
{
	const struct lint_place place = { .netns = create ? "wg0" : "vpn", .create = create, .host_links = links, .n_host_links = ARRAY_SIZE(links) };
	struct conf conf = { .iface = "wg0" };
	struct conf_error error = { 0 };
	struct findings f = { 0 };

	if (conf_parse_quick(&conf, text, strlen(text), &error) < 0 || conf_parse_wg(&conf, NULL, &error) < 0)
		ok(false, "parses: %s", error.text);
	lint(&conf, &place, &f);
	findings_sort(&f);
	conf_free(&conf);
	return f;
}

static void show(const struct findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		diag("line %u, severity %d: %s", f->items[i].line, f->items[i].severity, f->items[i].text);
}

/* Exactly one finding, with these words in it. */
static void finds(const char *name, const char *text, unsigned int line, enum severity severity, const char *words)
{
	struct findings f = run(text, true);
	bool found = f.n == 1 && f.items[0].line == line && f.items[0].severity == severity && strstr(f.items[0].text, words);

	if (!ok(found, "%s", name))
		show(&f);
	findings_free(&f);
}

static void finds_in_hook(const char *hook, enum severity severity, const char *words)
{
	char text[1024];

	snprintf(text, sizeof(text), IFACE "PostUp = %s\n" PEER, hook);
	finds(hook, text, 5, severity, words);
}

static void silent(const char *name, const char *text, bool create)
{
	struct findings f = run(text, create);

	if (!ok(f.n == 0, "silent: %s", name))
		show(&f);
	findings_free(&f);
}

static void silent_hook(const char *hook, bool create)
{
	char text[1024];

	snprintf(text, sizeof(text), IFACE "PostUp = %s\n" PEER, hook);
	silent(hook, text, create);
}

static void test_dns(void)
{
	silent("a plain file", IFACE PEER, true);
	finds("no DNS", "[Interface]\nPrivateKey = " K "\nAddress = 10.0.0.2, fd00::2\n" PEER, 0, FIND_WARNING, "no DNS");
	silent("no DNS in a namespace with something else in it", "[Interface]\nPrivateKey = " K "\nAddress = 10.0.0.2, fd00::2\n" PEER, false);
	finds("search domains alone", "[Interface]\nPrivateKey = " K "\nAddress = 10.0.0.2, fd00::2\nDNS = corp.example\n" PEER, 4, FIND_WARNING, "no server to search");
	finds("a port", IFACE "DNS = 1.1.1.1:53\n" PEER, 5, FIND_WARNING, "no address that resolv.conf knows");
	finds("loopback", IFACE "DNS = 127.0.0.53\n" PEER, 5, FIND_WARNING, "own loopback");
	finds("IPv6 loopback", IFACE "DNS = ::1\n" PEER, 5, FIND_WARNING, "own loopback");
	finds("a fourth server", IFACE "DNS = 10.0.0.2, 10.0.0.3, x.example\nDNS = 10.0.0.4, 10.0.0.5\n" PEER, 6, FIND_WARNING, "first 3 servers");
	finds("outside AllowedIPs",
	      "[Interface]\nPrivateKey = " K "\nAddress = 10.0.0.2\nDNS = 10.1.0.1\n[Peer]\nPublicKey = " P "\nAllowedIPs = 10.0.0.0/24\nEndpoint = 192.0.2.1:5\n", 4, FIND_WARNING,
	      "outside all AllowedIPs");
	silent("inside AllowedIPs with host bits",
	       "[Interface]\nPrivateKey = " K "\nAddress = 10.0.0.2\nDNS = 10.0.0.1\n[Peer]\nPublicKey = " P "\nAllowedIPs = 10.0.0.77/24\nEndpoint = 192.0.2.1:5\n", true);
	finds("an IPv6 server for a tunnel without IPv6",
	      "[Interface]\nPrivateKey = " K "\nAddress = 10.0.0.2\nDNS = 10.0.0.1, fd00::1\n[Peer]\nPublicKey = " P "\nAllowedIPs = 0.0.0.0/0\nEndpoint = 192.0.2.1:5\n", 4,
	      FIND_WARNING, "no Address is IPv6");
	finds("no route with Table = off", IFACE "Table = off\n" PEER, 4, FIND_WARNING, "no route of the main table");
	silent("the main table by its number", IFACE "Table = 0xfe\n" PEER, true);
	silent("the main table by its name", IFACE "Table = main\n" PEER, true);
	silent("but the Address's own with Table = off", "[Interface]\nPrivateKey = " K "\nAddress = 10.0.0.2/24, fd00::2\nDNS = 10.0.0.1\nTable = off\n" PEER, true);
}

static void test_addresses(void)
{
	finds("an address twice", IFACE "Address = 10.0.0.3/24, 10.0.0.2\n" PEER, 5, FIND_ERROR, "`10.0.0.2' stands there twice (line 3)");
	finds("an IPv6 address with two lengths", IFACE "Address = fd00:0::2/64\n" PEER, 5, FIND_ERROR, "twice (line 3)");
	finds("an address that is no interface's", IFACE "Address = ff02::1\n" PEER, 5, FIND_ERROR, "`ff02::1' is no interface's");
	silent("an IPv4 address with two lengths", IFACE "Address = 10.0.0.2/24\n" PEER, true);
}

static void test_families(void)
{
	finds("IPv6 left over in AllowedIPs", "[Interface]\nPrivateKey = " K "\nAddress = 10.0.0.2\nDNS = 10.0.0.1\n" PEER, 5, FIND_WARNING, "no Address is IPv6");
	finds("IPv6 not covered", IFACE "[Peer]\nPublicKey = " P "\nAllowedIPs = 0.0.0.0/0\nEndpoint = 192.0.2.1:5\n", 0, FIND_WARNING, "of IPv6 only nothing");
	finds("MTU too small for IPv6", IFACE "MTU = 1200\n" PEER, 5, FIND_WARNING, "below 1280");
	silent("MTU small enough", IFACE "MTU = 1280\n" PEER, true);
}

static void test_peers(void)
{
	finds("the same prefix twice", IFACE PEER "[Peer]\nPublicKey = " Q "\nAllowedIPs = 10.0.0.0/0, 10.7.0.0/16\nEndpoint = h:5\n", 9, FIND_WARNING, "0.0.0.0/0 stands at the peer of line 5");
	finds("the same peer twice", IFACE PEER "[Peer]\nPublicKey = " P "\nAllowedIPs = 10.7.0.0/16\n", 9, FIND_WARNING, "PublicKey is that of the peer of line 5");
	finds("no AllowedIPs", IFACE PEER "[Peer]\nPublicKey = " Q "\nEndpoint = h:5\n", 9, FIND_WARNING, "without AllowedIPs");
	finds("two Endpoints", IFACE PEER "Endpoint = 192.0.2.2:5\n", 9, FIND_WARNING, "2 times");
	finds("port 0", IFACE PEER "[Peer]\nPublicKey = " Q "\nAllowedIPs = 10.7.0.0/16\nEndpoint = 192.0.2.2:0\n", 12, FIND_WARNING, "port 0");
	finds("a key of zeros", IFACE PEER "[Peer]\nPublicKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nAllowedIPs = 10.7.0.0/16\n", 9, FIND_WARNING, "all zeros");
	finds("no key", "[Interface]\nAddress = 10.0.0.2, fd00::2\nDNS = 10.0.0.1\n" PEER, 0, FIND_WARNING, "no PrivateKey");
	silent("a key from a hook", "[Interface]\nAddress = 10.0.0.2, fd00::2\nDNS = 10.0.0.1\nPreUp = wg set %i private-key <(pass vpn)\n" PEER, true);
	finds("a server's file", IFACE "ListenPort = 51820\n[Peer]\nPublicKey = " P "\nAllowedIPs = 0.0.0.0/0, ::/0\n", 0, FIND_WARNING, "a server's file");
	finds("no Endpoint", IFACE "[Peer]\nPublicKey = " P "\nAllowedIPs = 0.0.0.0/0, ::/0\n", 0, FIND_WARNING, "waits to be called");
	finds("no Address", "[Interface]\nPrivateKey = " K "\nDNS = 10.0.0.1\n" PEER, 0, FIND_WARNING, "no Address");
}

static void test_hooks(void)
{
	finds_in_hook("ip link set %i netns vpn", FIND_WARNING, "write `netns = vpn' under [tunnel] in /etc/wg-nsquick.d/wg0.conf");
	finds_in_hook("ip link set dev $INTERFACE netns vpn", FIND_WARNING, "netns = vpn");
	finds_in_hook("/sbin/ip link set wg0 netns vpn", FIND_WARNING, "netns = vpn");
	finds_in_hook("ip link set %i netns 1", FIND_WARNING, "out of namespace wg0");
	finds_in_hook("ip -4 l s %i netns vpn", FIND_WARNING, "netns = vpn");
	finds_in_hook("ip li se netns vpn dev %i", FIND_WARNING, "netns = vpn");
	finds_in_hook("ip netns add vpn || true", FIND_WARNING, "up makes the tunnel's namespace");
	finds_in_hook("ip netns delete vpn", FIND_WARNING, "down takes it away");
	finds_in_hook("ip netns exec vpn true", FIND_WARNING, "another namespace than the tunnel's");
	finds_in_hook("ip -n vpn addr add 10.0.0.2/32 dev %i", FIND_WARNING, "another namespace than the tunnel's");
	finds_in_hook("nsenter --net --target 1 true", FIND_WARNING, "the host's namespace");
	finds_in_hook("nsenter --net -t 1 true", FIND_WARNING, "the host's namespace");
	finds_in_hook("nsenter --net=/proc/1/ns/net true", FIND_WARNING, "the host's namespace");
	finds_in_hook("nsenter -n/run/netns/vpn true", FIND_WARNING, "`nsenter --net=/run/netns/vpn' acts on another namespace");
	silent_hook("nsenter --net=/run/netns/wg0 true", true);
	finds_in_hook("ip link set %i master br0", FIND_WARNING, "br0 is named as a link of a host");
	finds_in_hook("brctl addif br0 %i", FIND_WARNING, "br0 is named as a link of a host");
	finds_in_hook("ip link add link eth0 name mv0 type macvlan", FIND_WARNING, "eth0 is a link of the host");
	finds_in_hook("ethtool -K uplink gro off", FIND_WARNING, "uplink is a link of the host");
	finds_in_hook("nmcli device set %i managed no", FIND_WARNING, "nmcli speaks to a daemon");
	finds_in_hook("ip r add 192.0.2.1 via 192.168.1.1", FIND_WARNING, "gateway 192.168.1.1");
	finds_in_hook("ip ro add 192.0.2.1 via $(cat gateway)", FIND_WARNING, "the gateway is one of the host's network");
	finds_in_hook("route add -host 192.0.2.1 gw 192.168.1.1", FIND_WARNING, "gateway 192.168.1.1");
	finds_in_hook("ip -6 ru add from fd00::2 lookup 100", FIND_NOTE, "routing rule");
	finds_in_hook("resolvectl dns %i 10.0.0.1; resolvectl domain %i '~.'", FIND_WARNING, "resolvectl speaks to the host's resolver");
	finds_in_hook("printf 'nameserver 10.0.0.1' | resolvconf -a tun.%i -m 0 -x", FIND_WARNING, "resolvconf speaks to the host's resolver");
	finds_in_hook("echo nameserver 10.0.0.1 > /etc/resolv.conf", FIND_WARNING, "/etc/resolv.conf is here that of namespace wg0");
	finds_in_hook("busctl call org.freedesktop.resolve1 /x y z", FIND_WARNING, "the host's resolver");
	finds_in_hook("ping -I uplink -c 1 192.0.2.1", FIND_WARNING, "uplink is a link of the host");
	finds_in_hook("tc qdisc add dev enp3s0 root fq", FIND_WARNING, "enp3s0 is named as a link of a host");
	finds_in_hook("sysctl net.ipv4.conf.eth0.forwarding", FIND_WARNING, "eth0 is a link of the host");
	finds_in_hook("ip route add 192.0.2.1 via 192.168.1.1", FIND_WARNING, "gateway 192.168.1.1");
	finds_in_hook("ip rule add from 10.0.0.2 lookup 100", FIND_NOTE, "routing rule");
	finds_in_hook("sysctl -w net.ipv4.ip_forward=1", FIND_NOTE, "set in namespace wg0, not on the host");
	finds_in_hook("echo 1 > /proc/sys/net/ipv4/ip_forward", FIND_NOTE, "set in namespace wg0");
	finds_in_hook("sysctl -q vm.swappiness=1", FIND_WARNING, "whole machine");
	finds_in_hook("if true; then ufw allow 22; fi", FIND_WARNING, "ufw manages the host's firewall");
	finds_in_hook("systemctl restart transmission", FIND_NOTE, "services of the machine");
	finds_in_hook("wg-quick up wg1", FIND_WARNING, "the other tunnel");
	finds_in_hook("nft add table inet x", FIND_NOTE, "not on the host's");
	silent_hook("ping -c 1 10.0.0.1", true);
	silent_hook("ip route add 10.7.0.0/16 dev %i", true);
	silent_hook("ip netns exec wg0 true", true);
	silent_hook("echo 'ip link set wg0 netns vpn' # ip netns add x; resolvectl", true);
	silent_hook("ip addr add 10.0.0.9/32 dev %i && wg set %i fwmark 0", true);
	/* A namespace with more in it may well have an eth0 and a gateway. */
	silent_hook("ip route add 192.0.2.1 via 192.168.1.1 dev eth0", false);
}

static void test_hook_forms(void)
{
	/* The pair that Mullvad, IVPN and others hand out: mark in a substitution, two commands. */
	finds_in_hook("iptables -I OUTPUT ! -o %i -m mark ! --mark $(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT && "
		      "ip6tables -I OUTPUT ! -o %i -m mark ! --mark $(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT",
		      FIND_WARNING, "redundant");
	finds_in_hook("nft add rule inet f out oifname != \"%i\" drop", FIND_WARNING, "redundant");
	finds_in_hook("iptables -A FORWARD -i %i -j DROP", FIND_NOTE, "not on the host's");
	finds_in_hook("bash -c \"resolvectl dns %i 1.1.1.1\"", FIND_WARNING, "resolvectl");
	finds_in_hook("sudo sh -ec 'sudo resolvectl dns %i 1.1.1.1'", FIND_WARNING, "resolvectl");
	finds_in_hook("X=1 /usr/bin/resolvectl revert %i", FIND_WARNING, "resolvectl");
	finds_in_hook("a=$(resolvectl status)", FIND_WARNING, "resolvectl");
	finds_in_hook("echo \"`resolvectl status`\"", FIND_WARNING, "resolvectl");
	finds_in_hook("cat <(resolvectl status)", FIND_WARNING, "resolvectl");
	finds_in_hook("( true; ! resolvectl status )", FIND_WARNING, "resolvectl");
	finds_in_hook("eval 'resolvectl status'", FIND_WARNING, "resolvectl");
	finds_in_hook("x=$(echo \\) ')' \"(\" (a) ); resolvectl status", FIND_WARNING, "resolvectl");
	finds_in_hook("echo \"a\\\"b\" $(resolvectl", FIND_WARNING, "resolvectl");
	finds_in_hook("sh -c 'sh -c \"$(sh -c \\\"resolvectl\\\")\"'", FIND_WARNING, "resolvectl");
	silent_hook("sh -c $(a $(b $(c $(d $(e $(resolvectl))))))", true);
	silent_hook("echo resolvectl \\; \"; resolvectl\" '$(resolvectl)'", true);
}

static void test_rest(void)
{
	struct findings f = { 0 };

	finds("no control characters", IFACE "PostUp = x\033org.freedesktop.resolve1\r y\n" PEER, 5, FIND_WARNING, "x?org.freedesktop.resolve1 speaks");
	finds("SaveConfig", IFACE "SaveConfig = true\n" PEER, 0, FIND_NOTE, "without its comments");
	finds("FwMark", IFACE "FwMark = 7\n" PEER, 0, FIND_NOTE, "transport namespace");
	finding_add(&f, FIND_NOTE, 0, "d");
	finding_add(&f, FIND_NOTE, 7, "b");
	finding_add(&f, FIND_ERROR, 7, "c");
	finding_add(&f, FIND_WARNING, 2, "a");
	findings_sort(&f);
	ok(*f.items[0].text == 'a' && *f.items[1].text == 'b' && *f.items[2].text == 'c' && *f.items[3].text == 'd', "findings by line, the whole file last");
	ok(findings_count(&f, FIND_NOTE) == 2 && findings_count(&f, FIND_ERROR) == 1, "and counted");
	findings_free(&f);
}

static size_t n_errors;

static void count(const struct conf_error *error, void *arg)
{
	diag("%u: %s", error->line, error->text);
	n_errors += arg == &n_errors;
}

static void test_all_errors(void)
{
	static const char text[] = "[Interface]\nSaveConfig = 1\nFoo = 1\nSaveConfig = 2\nPrivateKey = x\n[Peer]\nAllowedIPs = 1, 2, 10.0.0.1/33\n[Peer]\nPublicKey = y\nEndpoint = z\n";
	struct conf_error error = { .each = count, .arg = &n_errors };
	struct conf conf = { 0 };

	ok(conf_parse_quick(&conf, text, strlen(text), &error) == -EINVAL, "wg-quick's half goes on to the end");
	ok(n_errors == 2, "and tells 2 errors");
	n_errors = 0;
	ok(conf_parse_wg(&conf, NULL, &error) == -EINVAL, "wg's half goes on to the end");
	ok(n_errors == 8, "and tells 8 errors (%zu)", n_errors);
	conf_free(&conf);
}

int main(void)
{
	test_dns();
	test_addresses();
	test_families();
	test_peers();
	test_hooks();
	test_hook_forms();
	test_rest();
	test_all_errors();
	return done_testing();
}
