# SPDX-License-Identifier: GPL-2.0-or-later
"""What a network namespace holds, straight from the kernel, as lines of text: a case of
tests/faults looks at several namespaces, and starting ip(8) for each would cost more than
the case itself."""
import contextlib
import ctypes
import os
import socket
import struct

NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
SOL_NETLINK, GET_STRICT_CHK = 270, 12
REQUEST_DUMP = 0x301
DONE, ERROR = 3, 2
LINK, ADDRESS, ROUTE, RULE, QDISC, NEXTHOP = 16, 20, 24, 32, 36, 104
WORDS = {LINK: "link", ADDRESS: "address", ROUTE: "route", RULE: "rule", QDISC: "qdisc", NEXTHOP: "nexthop"}
# Of a link: address, broadcast, name, MTU, queueing, master, state, mode, kind, group.
LINK_ATTRIBUTES = (1, 2, 3, 4, 6, 10, 16, 17, 18, 27)
AF_SPEC, CONF6, GEN_MODE = 26, 2, 8
# Numbers that differ from run to run: lifetimes (RTA_CACHEINFO, IFA_CACHEINFO), and what went through (TCA_STATS, TCA_XSTATS, TCA_STATS2).
VOLATILE = {ADDRESS: (6,), ROUTE: (12,), RULE: (), QDISC: (3, 4, 7), NEXTHOP: ()}
# Which attribute is a link's number.
OF_LINK = {ADDRESS: (), ROUTE: (4,), RULE: (), QDISC: (), NEXTHOP: (5,)}
HEADERS = {LINK: 16, ADDRESS: 8, ROUTE: 12, RULE: 12, QDISC: 20, NEXTHOP: 8}
TENTATIVE = "tentative"
NFT_TABLES, NFT_CHAINS, NFT_RULES, NFT_GENERATION = 0x0A01, 0x0A04, 0x0A07, 0x0A10
# Of a rule: table, chain, what it does, comment; not its number, which is never used again. Of a chain: table, name, hook, policy, kind.
RULE_ATTRIBUTES, CHAIN_ATTRIBUTES = (1, 2, 4, 7), (1, 3, 4, 5, 7)
# What is set, or would be by mistake.
SYSCTLS = ("ipv4/ping_group_range", "ipv4/ip_forward", "ipv4/conf/default/src_valid_mark", "ipv4/conf/all/src_valid_mark",
           "ipv4/conf/all/rp_filter", "ipv6/conf/all/forwarding", "ipv6/conf/all/disable_ipv6", "ipv6/conf/default/disable_ipv6")

libc = ctypes.CDLL(None, use_errno=True)


def messages(sock, kind, body, flags=REQUEST_DUMP):
    sock.send(struct.pack("=LHHLL", 16 + len(body), kind, flags, 1, 0) + body)
    while True:
        data = sock.recv(1 << 18)
        while data:
            length, what = struct.unpack_from("=LH", data)
            if what in (DONE, ERROR):
                return
            yield data[16:length]
            if flags != REQUEST_DUMP:
                return
            data = data[(length + 3) & ~3:]


def attributes(data):
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            return
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3:]


def value(data):
    """A TUN's link-local address is made from chance."""
    if len(data) == 16 and data[:2] == b"\xfe\x80" and any(data[2:]):
        return "fe80::X"
    text = data.rstrip(b"\0")
    return text.decode() if len(text) > 1 and text.isascii() and text.decode().isprintable() else data.hex()


def link_line(data, names):
    _, kind, index, flags = struct.unpack_from("=HHiI", data)
    found = dict(attributes(data[16:]))
    names[index] = found[3].rstrip(b"\0").decode()
    words = [f"{number}={value(found[number])}" for number in LINK_ATTRIBUTES if number in found]
    for family, spec in attributes(found.get(AF_SPEC, b"")):
        if family == socket.AF_INET6:
            words += [f"conf6-{number}={conf.hex()}" for number, conf in attributes(spec) if number in (CONF6, GEN_MODE)]
        elif family == socket.AF_INET:
            words.append(f"conf={spec.hex()}")
    return f"link {names[index]} type {kind} flags {flags:x} " + " ".join(words)


def line_of(kind, data, names):
    if kind == LINK:
        return link_line(data, names)
    header = bytearray(data[:HEADERS[kind]])
    owner = ""
    if kind in (ADDRESS, QDISC):
        owner = names.get(struct.unpack_from("=I", header, 4)[0], "?") + " "
        header[4:8] = bytes(4)
    if kind == QDISC:
        # How often it is held.
        header[16:20] = bytes(4)
    # Its duplicates are still looked for, and its route is yet to come.
    words = [TENTATIVE] if kind == ADDRESS and header[2] & 0x40 else []
    for number, content in attributes(data[HEADERS[kind]:]):
        if number in OF_LINK[kind] and len(content) == 4:
            words.append(f"dev={names.get(struct.unpack('=I', content)[0], '?')}")
        elif number not in VOLATILE[kind]:
            words.append(f"{number}={value(content)}")
    return f"{WORDS[kind]} {owner}{header.hex()} " + " ".join(words)


class Namespace:
    """Sockets that look into one network namespace, wherever their owner goes."""

    def __init__(self):
        self.route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
        self.route.setsockopt(SOL_NETLINK, GET_STRICT_CHK, 1)
        self.filter = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        self.route.bind((0, 0))
        self.filter.bind((0, 0))

    def close(self):
        self.route.close()
        self.filter.close()

    def network(self):
        """Links, addresses, routes of all tables, rules, nexthops and queueing, each a line; order means nothing to the kernel's dumps."""
        names, lines = {}, []
        for kind in LINK, ADDRESS, ROUTE, RULE, NEXTHOP, QDISC:
            for family in (socket.AF_UNSPEC,) if kind in (LINK, NEXTHOP, QDISC) else (socket.AF_INET, socket.AF_INET6):
                body = bytes([family]) + bytes(HEADERS[kind] - 1)
                lines += sorted(line_of(kind, data, names) for data in messages(self.route, kind + 2, body))
        return "\n".join(lines)

    def firewall(self):
        """Tables by name, chains and rules."""
        tables = sorted(value(dict(attributes(data[4:])).get(1, b"")) for data in messages(self.filter, NFT_TABLES, bytes(4)))
        lines = [" ".join(tables)]
        for kind, wanted in (NFT_CHAINS, CHAIN_ATTRIBUTES), (NFT_RULES, RULE_ATTRIBUTES):
            for data in messages(self.filter, kind, bytes(4)):
                lines.append(" ".join(value(content) for number, content in attributes(data[4:]) if number in wanted))
        return "\n".join(lines)

    def generation(self):
        """Changes with every change of the firewall, also with one that was taken back."""
        return "".join(value(content) for data in messages(self.filter, NFT_GENERATION, bytes(4), 1) for number, content in attributes(data[4:]) if number == 1)


@contextlib.contextmanager
def standing_in(path):
    """Within: in the network namespace of this path."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.setns(there, 0x40000000) < 0:
                raise OSError(ctypes.get_errno(), "setns", path)
        finally:
            os.close(there)
        yield
    finally:
        libc.setns(home, 0x40000000)
        os.close(home)


def sysctls():
    """Some of those of the namespace that the caller stands in."""
    words = []
    for name in SYSCTLS:
        with open("/proc/sys/net/" + name, encoding="ascii") as f:
            words.append(f"{name}={' '.join(f.read().split())}")
    return "sysctls: " + " ".join(words)


def look_into(path):
    """Network, firewall and some sysctls of a namespace that has a name; why not, where it is none."""
    try:
        with standing_in(path):
            namespace = Namespace()
            settings = sysctls()
    except OSError as error:
        return f"({error.strerror})"
    try:
        return f"{namespace.network()}\n{settings}\nfirewall: {namespace.firewall()}"
    finally:
        namespace.close()
