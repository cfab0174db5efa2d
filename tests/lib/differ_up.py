# SPDX-License-Identifier: GPL-2.0-or-later
"""Tunnels compared: wg-nsquick up and down against the installed wg-quick's.

Three namespaces have the same uplinks: the pretended host's, `quick`, where
wg-quick runs, and `self`, where ours runs with --transport self and must do as
wg-quick does, rules and all. One after the other each brings the file's tunnel
up, is looked at, takes it down, and must leave nothing.

A rule is one known, deliberate difference. It changes exactly the lines or
values it is about, on the way from wg-quick's to ours.
"""
import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter

from differ_text import Difference, LINE, Text, check_readable, lines_of, show, words_match

FOLDER = "/run/differ.up"
NAME = "x"
HOOK = re.compile(rb"\A(PreUp|PostUp|PreDown|PostDown) = (.*?)\r?\Z")
# Where a shell says that a word is from: the script of wg-quick, or a bash of the hook's own.
SHELL = re.compile(rb"\A(?:\S*/wg-quick|bash): (?:eval: |-c: )?line \d+: ")
NFT = b"[#] nft -f /dev/fd/63"
RULE_DELETE = re.compile(rb"\[#\] ip -[46] rule delete table ")
BOX = b"\xe2\x94"  # wireguard-go draws one
RESOLVCONF = b"""#!/bin/sh
echo "$*" >> /run/differ.up/resolvconf
[ "$1" != -a ] || cat >> /run/differ.up/resolvconf
"""


def call(*argv, stdin=None, check=True):
    done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{argv}: {done.stderr!r}")
    return done.stdout


def uplinks(namespace):
    """The same for everybody who sends encrypted packets; nobody answers."""
    at = ["-n", namespace] if namespace else []
    for n, addresses, mtu in ((0, ("192.0.2.2/24", "2001:db8::2/64"), 1500), (1, ("198.51.100.2/24",), 1400)):
        peer = f"{namespace or 'host'}{n}"
        call("ip", *at, "link", "add", f"veth{n}", "mtu", str(mtu), "type", "veth", "peer", "name", peer, "netns", "prov")
        call("ip", "-n", "prov", "link", "set", peer, "up")
        call("ip", *at, "link", "set", f"veth{n}", "addrgenmode", "none")
        for address in addresses:
            call("ip", *at, "addr", "add", address, "dev", f"veth{n}", *(["nodad"] if ":" in address else []))
        call("ip", *at, "link", "set", f"veth{n}", "up")
    call("ip", *at, "link", "set", "lo", "up")
    call("ip", *at, "route", "add", "default", "via", "192.0.2.1")
    call("ip", *at, "-6", "route", "add", "default", "via", "2001:db8::1")
    call("ip", *at, "route", "add", "203.0.113.0/24", "via", "192.0.2.1", "mtu", "1370")
    call("ip", *at, "route", "add", "203.0.114.0/24", "via", "192.0.2.1", "mtu", "1300")


class Result:
    """What a program did: its status, its words, and the device."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def words(self):
        err = b"\n".join(line for line in self.err.split(b"\n") if not line.startswith(BOX))
        return f"    status {self.status}\n{show(self.out)}\n{show(err, 3000)}"


class Up:
    mode = "up"

    def __init__(self, build, _worker):
        self.build = build
        os.makedirs(FOLDER + "/bin")
        self.path = FOLDER + f"/{NAME}.conf"
        with open(FOLDER + "/bin/resolvconf", "wb") as file:
            file.write(RESOLVCONF)
        os.chmod(FOLDER + "/bin/resolvconf", 0o755)
        os.chmod(FOLDER, 0o700)
        for namespace in ("prov", "quick", "self"):
            call("ip", "netns", "add", namespace)
        for namespace in ("", "quick", "self"):
            uplinks(namespace)
        self.settle()
        self.env = dict(os.environ, WG_ENDPOINT_RESOLUTION_RETRIES="0", LC_ALL="C", PATH=f"{FOLDER}/bin:{build}:{os.environ['PATH']}")
        self.env.pop("LOG_LEVEL", None)
        self.rules_before = {family: self.ip("quick", family, "rule show")[0] for family in ("-4", "-6")}

    @staticmethod
    def settle():
        """A link that has just come up gets routes a while later; the guard would see them."""
        before, since = None, time.monotonic()
        while time.monotonic() - since < 3:
            now = call("ip", "-6", "route", "show", "table", "all") + call("ip", "-6", "addr")
            if now != before:
                before, since = now, time.monotonic()
            time.sleep(.2)

    # ---- running ----

    def run(self, *argv):
        """To files: a daemon that a hook left must not be waited for."""
        with open(FOLDER + "/in", "wb") as file:
            file.write(b"first\nsecond\nthird\n")
        with open(FOLDER + "/in", "rb") as stdin, open(FOLDER + "/out", "w+b") as out, open(FOLDER + "/err", "w+b") as err:
            try:
                status = subprocess.run(argv, cwd=FOLDER, env=self.env, stdin=stdin, stdout=out, stderr=err, timeout=100, check=False).returncode
            except subprocess.TimeoutExpired as error:
                raise Difference("timeout of " + os.path.basename(argv[-3]), f"{argv}") from error
            out.seek(0)
            err.seek(0)
            return Result(status, out.read(), err.read())

    def write(self, text):
        with open(self.path, "wb") as file:
            file.write(text)
        os.chmod(self.path, 0o600)

    @staticmethod
    def ip(namespace, family, *queries):
        """The answers of ip(8), one for each query; empty when it refuses."""
        text = call("ip", "-n", namespace, family, "-j", "-force", "-batch", "-", stdin="\n".join(queries).encode(), check=False).decode()
        decoder, at, found = json.JSONDecoder(), 0, []
        while at < len(text):
            if text[at].isspace():
                at += 1
                continue
            value, at = decoder.raw_decode(text, at)
            found.append([item for item in value if item])
        return found + [[]] * (len(queries) - len(found))

    def look(self, namespace, text):
        """The device: its keys and peers, links, addresses, routes, and the rules around it."""
        state = {"wg": self.showconf(namespace, text)}
        for family in ("-4", "-6"):
            queries = [f"addr show dev {NAME}", f"route show table all dev {NAME}", "rule show"] + [f"link show dev {NAME}"] * (family == "-4")
            links, routes, rules, *link = self.ip(namespace, family, *queries)
            for one in link and link[0]:
                state["link"] = {"mtu": one["mtu"], "flags": sorted(one["flags"]), "operstate": one["operstate"]}
            state["addresses" + family] = [{k: v for k, v in a.items() if "life_time" not in k and k != "tentative"} for link in links for a in link.get("addr_info", [])]
            state["routes" + family] = sorted((json.dumps({k: v for k, v in route.items() if k != "dev"}, sort_keys=True) for route in routes))
            state["rules" + family] = [{k: v for k, v in rule.items() if k != "priority"} for rule in rules if rule not in self.rules_before[family]]
        if b"/0" in text:
            # But for a TUN's address, which is another one each time.
            ruleset = call("ip", "netns", "exec", namespace, "nft", "list", "ruleset").decode()
            state["firewall"] = [line for line in ruleset.splitlines() if " daddr fe80:" not in line]
        return state

    @staticmethod
    def showconf(namespace, text):
        device, peers, peer = {}, {}, None
        for line in call("ip", "netns", "exec", namespace, "wg", "showconf", NAME, check=False).decode().splitlines():
            name, _, value = line.partition(" = ")
            if line == "[Peer]":
                peer = {}
            elif name == "PublicKey":
                peers[value] = peer
            elif name == "AllowedIPs":
                peer[name] = sorted(value.split(", "))
            elif name and line != "[Interface]":
                (device if peer is None else peer)[name] = value
        # A port that the kernel chose is another one each time.
        if not re.search(rb"(?m)^ListenPort = 0*[1-9]", text):
            device.pop("ListenPort", None)
        return {"device": device, "peers": peers}

    # ---- one file ----

    def compare(self, case):
        text, place = case
        rules = Counter()
        for _ in range(50):
            changed = self.compare_text(text, place, rules)
            if not changed:
                return rules
            text = changed
        raise Difference("rules without end")

    def compare_text(self, text, place, rules):
        """None if all is well, or a changed text to prove a rule with."""
        valid = text.count(b"\n") % 2 == 0  # as good as a coin, and the same each time
        if place == "self" and b"/0" in text:
            call("ip", "netns", "exec", "self", "sysctl", "-qw", f"net.ipv4.conf.all.src_valid_mark={int(valid)}")
        try:
            os.unlink(FOLDER + "/resolvconf")
        except FileNotFoundError:
            pass
        theirs_text, self.hooks = self.hooks_with_hash(text, rules)
        ours, theirs = {}, {}
        try:
            self.write(theirs_text)
            self.both_ways(theirs, "quick", ["ip", "netns", "exec", "quick", "wg-quick"], [], text)
            theirs["dns"] = self.resolvconf()
            # Not for files that are refused: then nobody asks.
            theirs["mtus"] = self.mtus_of_endpoints(text) if b"] ip link set mtu" in theirs["up"].err else []
            self.write(text)
            if place == "self":
                self.both_ways(ours, "self", ["ip", "netns", "exec", "self", "wg-nsquick"], ["--transport", "self"], text)
            else:
                self.both_ways(ours, NAME, ["wg-nsquick"], [], text)
        except BaseException:
            self.clean()
            raise
        if ours["left"] or theirs["left"]:
            self.clean()
        check_readable(b"".join(line + b"\n" for line in lines_of(ours["up"].err) if line.startswith(b"wg-nsquick: ")))
        return Compare(self, text, place, ours, theirs, valid, rules).all()

    def both_ways(self, into, namespace, program, options, text):
        into["up"] = self.run(*program, "up", f"./{NAME}.conf", *options)
        if into["up"].status == 0:
            into["state"] = self.look(namespace, text)
            if namespace != "quick":
                into["dns"] = self.resolv_conf(namespace)
            into["down"] = self.run(*program, "down", f"./{NAME}.conf")
            if into["down"].status and self.link_exists(namespace):
                # A PreDown that fails leaves it up. It goes without hooks.
                into["kept"] = True
                self.write(b"[Interface]\n")
                self.run(*program, "down", f"./{NAME}.conf")
                self.write(text)
        into["left"] = self.left(namespace)
        if b"/0" in text:
            where = namespace if namespace == "quick" else "self"
            into["left"] += call("ip", "netns", "exec", where, "nft", "list", "tables").decode().splitlines()

    @staticmethod
    def link_exists(namespace):
        return subprocess.run(["ip", "-n", namespace, "link", "show", "dev", NAME], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0

    @staticmethod
    def mtus_of_endpoints(text):
        """The MTU towards each peer's endpoint, as wg-quick asks; `self` has no tunnel while it is asked."""
        endpoints, key, mtus = {}, b"", []
        for line in text.split(b"\n"):
            name, _, value = line.strip().partition(b" = ")
            key = value if name == b"PublicKey" else key
            if name == b"Endpoint":
                endpoints[key] = value
        for value in endpoints.values():
            host = value.rpartition(b":")[0].strip(b"[]").decode()
            address = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0][4][0]
            route = call("ip", "-n", "self", "route", "get", address, check=False).decode()
            found = re.search(r"mtu ([0-9]+)", route)
            if not found and re.search(r"dev ([^ ]+)", route):
                found = re.search(r"mtu ([0-9]+)", call("ip", "-n", "self", "link", "show", "dev", re.search(r"dev ([^ ]+)", route)[1]).decode())
            if found:
                mtus.append(int(found[1]))
        return mtus

    @staticmethod
    def resolvconf():
        try:
            with open(FOLDER + "/resolvconf", encoding="latin1") as file:
                return [line for line in file.read().splitlines() if not line.startswith("-")]
        except FileNotFoundError:
            return []

    @staticmethod
    def resolv_conf(namespace):
        try:
            with open(f"/etc/netns/{namespace}/resolv.conf", encoding="latin1") as file:
                return [line for line in file.read().splitlines() if not line.startswith("#")]
        except FileNotFoundError:
            return []

    def left(self, namespace):
        """What should not be there any more."""
        left = []
        if namespace == "quick":
            # wg-quick's daemon needs up to a second to see that its device is gone, and our own is next.
            self.end_daemons()
        for folder in ("/run/wg-nsquick/tunnels", "/run/wg-nsquick/netns", "/run/wg-nsquick/room", "/etc/netns", "/var/lib/wg-nsquick", "/run/wireguard", "/run/netns"):
            if os.path.isdir(folder):
                left += [f"{folder}/{name}" for name in os.listdir(folder) if not (folder == "/run/netns" and name in ("prov", "quick", "self"))]
        left += [f"process {pid}" for pid in self.daemons()]
        where = namespace if namespace == "quick" else "self"
        for family in ("-4", "-6"):
            rules, links = self.ip(where, family, "rule show", "link show")
            left += [f"rule in {where}: {rule}" for rule in rules if rule not in self.rules_before[family]]
            left += [f"link in {where}" for link in links if link["ifname"] == NAME]
        return left

    @staticmethod
    def daemons():
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if file.read().split(b"\0")[:2] == [b"wireguard-go", NAME.encode()]:
                        found.append(int(pid))
            except OSError:
                pass
        return found

    def end_daemons(self):
        for pid in self.daemons():
            os.kill(pid, signal.SIGKILL)
        for _ in range(500):
            if not self.daemons():
                break
            time.sleep(.005)
        try:
            os.unlink(f"/run/wireguard/{NAME}.sock")
        except FileNotFoundError:
            pass

    def clean(self):
        """For the next file, whatever this one did."""
        for namespace in ("quick", "self"):
            subprocess.run(["ip", "-n", namespace, "link", "del", "dev", NAME], stderr=subprocess.DEVNULL, check=False)
            for family in ("-4", "-6"):
                for rule in self.ip(namespace, family, "rule show")[0]:
                    if rule not in self.rules_before[family]:
                        call("ip", "-n", namespace, family, "rule", "del", "pref", str(rule["priority"]), check=False)
        call("ip", "netns", "exec", "quick", "nft", "flush", "ruleset", check=False)
        if os.path.exists(f"/run/netns/{NAME}"):
            self.write(b"[Interface]\n")
            self.run("wg-nsquick", "down", f"./{NAME}.conf")
        self.end_daemons()
        shutil.rmtree(f"/etc/netns/{NAME}", ignore_errors=True)

    @staticmethod
    def hooks_with_hash(text, rules):
        """wg-quick of 2021 cuts hooks at a #: it gets them in base64, and its trace is read back."""
        lines, names, interface = text.split(b"\n"), {}, False
        for n, line in enumerate(lines):
            if line.startswith(b"["):
                interface = line.startswith(b"[Interface]")
            match = HOOK.match(line)
            if interface and match and b"#" in match[2]:
                rules["F-hook-hash"] += 1
                hook = match[2].replace(b"%i", NAME.encode())
                hidden = b'eval "$(base64 -d <<<' + base64.b64encode(hook) + b')"'
                names[b"[#] " + hidden] = b"[#] " + hook
                lines[n] = match[1] + b" = " + hidden
        return b"\n".join(lines), names


class Compare:
    """Two runs of one file. Lines of wg-quick's are turned into ours, rule by rule."""

    def __init__(self, up, text, place, ours, theirs, valid, rules):
        self.up, self.text, self.place, self.ours, self.theirs, self.valid, self.rules = up, text, place, ours, theirs, valid, rules
        self.failed_rules = []
        self.mark = re.search(rb"(?m)^FwMark = (\S+)", text)
        self.marked = bool(self.mark) and self.mark[1] not in (b"off", b"0")

    def both(self, name="up"):
        return f"  place {self.place}\n  wg-quick {name}:\n{self.theirs[name].words()}\n  wg-nsquick {name}:\n{self.ours[name].words()}"

    def fail(self, kind, text=None):
        raise Difference(kind, text if text is not None else self.both())

    def all(self):
        ours, theirs = self.ours["up"], self.theirs["up"]
        error = LINE.match(next((line for line in reversed(lines_of(ours.err)) if line.startswith(b"wg-nsquick: ")), b""))
        if ours.status and error and error[1] and b"[#]" not in ours.err:
            if error[2].startswith(b"Servname not supported") and not re.search(rb"Servname not supported", theirs.err):
                changed = Text.wrap_port(self.text, int(error[1]), self.rules)
                if changed:
                    return changed
            if error[2].startswith(b"Table: ") and not theirs.status and not re.search(rb"(?m)^\[#\] ip -[46] route add ", theirs.err):
                # wg-quick looks at Table only when there is a route: here is one.
                self.rules["table-unused"] += 1
                return self.text + b"\n[Peer]\nPublicKey = " + b"A" * 42 + b"E=\nAllowedIPs = 10.77.0.0/16\n"
            if re.match(rb"MTU: `[-+0x]*' ", error[2]) and not theirs.status:
                self.rules["mtu-zero"] += 1
                return re.sub(rb"(?m)^MTU ?= ?[-+0x]*(?=\r?$)", b"MTU = 70000000000", self.text)
            return self.refused_first(error[2])
        elif self.place == "host" and re.search(rb"(?m)^\[#\] ip -[46] route add (0\.0\.0\.0|::)/0 dev x table (main|unspec|0|254)\nRTNETLINK answers: File exists\n", theirs.err):
            # In a namespace of its own no other default route is in the way of one in table main.
            self.rules["namespace-main"] += 1
            return re.sub(rb"(?m)^Table ?= ?(main|unspec|0|254)\b", b"Table = 1234", self.text)
        elif ours.status and error and b"the automatic MTU is" in error[2] and b"IPv6 needs 1280" in error[2]:
            self.mtu_refused(error[2])
        else:
            self.same_run("up", self.up_lines(), lines_of(ours.err))
            if ours.status == 0:
                self.same_state()
                self.same_dns()
                self.same_run("down", self.down_lines(), lines_of(self.ours["down"].err))
                if self.ours.get("kept") != self.theirs.get("kept"):
                    self.fail("down: one keeps the device", self.both("down"))
        return self.nothing_left()

    # ---- refusals ----

    def refused_first(self, error):
        """Ours looks at everything first. wg-quick must have failed at the step that is about the same thing."""
        theirs = self.theirs["up"]
        if self.ours["up"].out:
            self.fail("up: output of a refusal")
        lines = lines_of(theirs.err)
        if b"SaveConfig" in error:
            if theirs.status != self.ours["up"].status or not words_match(lines[-1].partition(b": ")[2], error, self.rules):
                self.fail("up: other words or status for SaveConfig")
            return self.nothing_left()
        self.rules["refused-first"] += 1
        steps = [line for line in lines if line.startswith(b"[#] ")]
        while steps and re.match(rb"\[#\] (ip link delete dev |ip -[46] rule delete |nft -f |resolvconf -d )", steps[-1]):
            steps.pop()
        last = steps[-1] if steps else b""
        changed = self.without_other_fault(error, last)
        if changed:
            return changed
        if self.ours["up"].status != theirs.status:
            self.fail(f"up: status {theirs.status}, ours {self.ours['up'].status}")
        match = re.match(rb"(Address|MTU|Table): `(.*?)'", error)
        if match:
            word = match[2]
            wanted = {b"Address": rb"\[#\] ip -[46] address add " + re.escape(word) + rb" dev x\Z", b"MTU": rb"\[#\] ip link set mtu " + re.escape(word) + rb" up dev x\Z",
                      b"Table": rb"\[#\] ip -[46] route add \S+ dev x table " + re.escape(word) + rb"\Z"}[match[1]]
            if not re.match(wanted, last):
                self.fail(f"up: refused for {match[1].decode()}, and wg-quick failed elsewhere")
        elif last != b"[#] wg setconf x /dev/fd/63":
            self.fail("up: refused, and wg-quick failed elsewhere")
        elif not any(words_match(line, error, self.rules) for line in lines):
            self.fail("up: other words")
        return self.nothing_left()

    def nothing_left(self):
        for name, left in (("wg-quick", self.theirs["left"]), ("wg-nsquick", self.ours["left"])):
            if left:
                self.fail(f"{name} leaves: {left}")

    def without_other_fault(self, error, last):
        """A file with two faults, of which wg-quick met the other: the text without that one."""
        address = re.match(rb"\[#\] ip -[46] address add (\S+) dev x\Z", last)
        if address and not error.startswith(b"Address: `" + address[1] + b"'"):
            at = self.text.rindex(address[1])
            return self.text[:at] + self.text[at + len(address[1]):]
        if last.startswith(b"[#] ip link set mtu ") and not error.startswith(b"MTU: "):
            return re.sub(rb"(?m)^MTU ?= ?.*?$", b"", self.text)
        return None

    def mtu_refused(self, error):
        """An automatic MTU below 1280 with an IPv6 address: the number must be right."""
        mtu = int(re.search(rb"automatic MTU is (-?\d+)", error)[1])
        steps = re.findall(rb"(?m)^\[#\] ip link set mtu (-?\d+) up", self.theirs["up"].err)
        expected = {int(steps[0])} | ({min(self.theirs["mtus"]) - 80} if self.theirs["mtus"] else set()) if steps else set()
        if mtu not in expected:
            self.fail("up: refused for an MTU that is not wg-quick's")
        if mtu != int(steps[0]):
            self.rules["F-mtu-smallest"] += 1
        self.rules["mtu-ipv6-refused"] += 1

    # ---- traces and words ----

    def common(self, lines):
        """Both programs' lines without what the userspace program and the shell say about themselves."""
        out = []
        for line in lines:
            if line.startswith(BOX) or line == b"Error: Unknown device type.":  # the latter is ip(8)'s, before the [!] that says it
                continue
            if re.match(rb"\S*/wg-quick: line \d+: +\d+ Killed +\( eval ", line):
                self.rules["hook-shell"] += 1
                continue
            if SHELL.match(line):
                self.rules["hook-shell"] += 1
                line = b"shell: " + SHELL.sub(b"", line)
            out.append(line)
        return out

    def up_lines(self):
        lines = [self.up.hooks.get(line, line) for line in self.common(lines_of(self.theirs["up"].err))]
        lines = self.preup_after_create(lines)
        out, n = [], 0
        while n < len(lines):
            line = lines[n]
            rule = re.match(rb"\[#\] ip (-[46]) route add (\S+) dev x table (\d+)\Z", line)
            if line == b"[#] ip link add x type wireguard":
                self.rules["F-dev-keyword"] += 1
                out.append(b"[#] ip link add dev x type wireguard")
            elif line == b"[#] wg setconf x /dev/fd/63":
                self.rules["F-addconf"] += 1
                out.append(b"[#] wg addconf x /dev/fd/63")
            elif line == b"[#] resolvconf -a x -m 0 -x":
                self.rules["dns-resolvconf"] += 1
                out.append(b"[#] install -m 644 /dev/fd/63 /etc/netns/%s/resolv.conf" % self.netns())
            elif rule and n + 2 < len(lines) and lines[n + 1] == b"[#] ip %s rule add not fwmark %s table %s" % (rule[1], rule[3], rule[3]):
                n += self.default_route(lines, n, out)
                continue
            elif rule and rule[2] in (b"0.0.0.0/0", b"::/0") and not re.search(rb"(?m)^Table ?= ?[^\sa]", self.text) and self.theirs["up"].status:
                self.failed_default(rule, out)
            elif re.match(rb"\[#\] wg set x fwmark \d+\Z", line) and self.place == "host" and not self.marked:
                self.rules["auto-fwmark"] += 1
            elif line == NFT and self.place == "host":
                self.rules["firewall"] += 1
            elif line == b"[#] resolvconf -d x -f":
                self.rules["dns-resolvconf"] += 1
            elif self.place == "host" and RULE_DELETE.match(line):
                self.rules["routes-default"] += 1
            else:
                out.append(line)
            n += 1
        return out

    def netns(self):
        return b"self" if self.place == "self" else b"x"

    def preup_after_create(self, lines):
        """wg-quick of 2021 runs PreUp before it makes the device."""
        create = b"[#] ip link add x type wireguard"
        if create not in lines:
            return lines
        at = lines.index(create)
        end = at + 1
        while end < len(lines) and (lines[end].startswith(b"[!] Missing") or lines[end] == b"[#] wireguard-go x"):
            end += 1
        if at:
            self.rules["F-preup-after-create"] += 1
        return lines[at:end] + lines[:at] + lines[end:]

    def default_route(self, lines, n, out):
        """wg-quick's table and rules: a plain route, or in `self` the same with the route last. How many lines it took."""
        route = re.match(rb"\[#\] ip (-[46]) route add (\S+) dev x table (\d+)\Z", lines[n])
        size = 3
        rules = lines[n + 1:n + 3]
        if rules[1] != b"[#] ip %s rule add table main suppress_prefixlength 0" % route[1]:
            self.fail("up: a default route in another way")
        sysctl = n + size < len(lines) and lines[n + size].startswith(b"[#] sysctl -q ")
        size += sysctl
        if self.place == "host":
            self.rules["routes-default"] += 1
            out.append(b"[#] ip %s route add %s dev x" % (route[1], route[2]))
            return size
        self.rules["F-route-after-rules"] += 1
        out += rules + [lines[n]]
        if sysctl and not self.valid:
            out.append(lines[n + 3])
        elif sysctl:
            self.rules["F-sysctl"] += 1
        self.valid |= sysctl
        return size

    def failed_default(self, rule, out):
        """The same when the route fails: wg-quick of 2021 has not come to the rules yet."""
        if self.place == "host":
            self.rules["routes-default"] += 1
            out.append(b"[#] ip %s route add %s dev x" % (rule[1], rule[2]))
            return
        self.rules["F-route-after-rules"] += 1
        out += [b"[#] ip %s rule add not fwmark %s table %s" % (rule[1], rule[3], rule[3]), b"[#] ip %s rule add table main suppress_prefixlength 0" % rule[1], rule[0]]
        self.failed_rules = [b"[#] ip %s rule delete table %s" % (rule[1], rule[3]), b"[#] ip %s rule delete table main suppress_prefixlength 0" % rule[1]]

    def our_lines(self, lines):
        out = []
        for line in self.common(lines):
            mark = re.match(rb"\[#\] wg set x fwmark (\d+)\Z", line)
            if mark and self.auto_mark() and 1 <= int(mark[1]) <= 255:
                self.rules["auto-fwmark"] += 1
                continue
            # wg-quick hands servers to resolvconf unseen: that one is out of reach, of a shape nobody knows, or past the third, is said here.
            if line.startswith((b"Warning: x: DNS server", b"Warning: x: the C library asks the first")):
                self.rules["dns-warned"] += 1
                continue
            if line.startswith(b"Warning: x: DNS names no server") and self.place == "self":
                self.rules["dns-search"] += 1
                continue
            out.append(line)
        return out

    def auto_mark(self):
        """Ours sets a mark of its own for a plain /0, and for hooks that ask for one."""
        if self.marked or b"[#] wg set x fwmark " in self.theirs["up"].err and self.place == "self":
            return False
        return re.search(rb"(?m)^(Pre|Post)(Up|Down) = .*fwmark", self.text) or (self.place == "host" and b"/0" in self.text)

    def down_lines(self):
        out = []
        for line in (self.up.hooks.get(line, line) for line in self.common(lines_of(self.theirs["down"].err))):
            if line == NFT and self.place == "host":
                self.rules["firewall"] += 1
            elif line == b"[#] resolvconf -d x -f":
                self.rules["dns-resolvconf"] += 1
            elif self.place == "host" and RULE_DELETE.match(line):
                self.rules["routes-default"] += 1
            else:
                out.append(line)
        return out

    def same_run(self, name, theirs, ours):
        our, their = self.ours[name], self.theirs[name]
        ours = self.our_lines(ours)
        if our.status != their.status and not self.preup_failed(name):
            self.fail(f"{name}: status {their.status}, ours {our.status}", self.both(name))
        if our.out != their.out:
            self.fail(f"{name}: standard output", self.both(name))
        told = [line for line in ours if line.startswith(b"wg-nsquick: ")]
        ours = [line for line in ours if not line.startswith(b"wg-nsquick: ")]
        errors = [line for line in theirs if re.match(rb"(RTNETLINK answers|Error|wg-quick): |Unable to |Cannot find device|Dump terminated", line)]
        theirs = [line for line in theirs if line not in errors]
        # A device that was never made cannot be deleted, and wg cannot be asked about it.
        if self.preup_failed(name):
            theirs = [b"[#] ip link add dev x type wireguard"] + self.userspace_lines(ours) + theirs
        elif our.status:
            self.same_error(name, told, errors)
        elif told or errors:
            self.fail(f"{name}: errors of a success", self.both(name))
        theirs, ours = self.warnings_first(name, theirs, ours)
        theirs, ours = self.rules_undone(name, theirs, ours)
        theirs, ours = self.dns_search_only(theirs, ours)
        theirs, ours = self.mtu_smallest(theirs, ours)
        theirs, ours = self.batched(theirs, ours, our.status)
        if theirs != ours:
            n = next((n for n, (a, b) in enumerate(zip(theirs + [b""], ours + [b""])) if a != b), 0)
            pair = [re.sub(rb"[0-9a-f:./]{2,}", b"N", x[n])[:40].decode("latin1") if n < len(x) else "" for x in (theirs, ours)]
            self.fail(f"{name}: trace: {pair[0]!r}, ours {pair[1]!r}", self.both(name))

    @staticmethod
    def userspace_lines(ours):
        return [line for line in ours if line.startswith(b"[!] Missing") or line == b"[#] wireguard-go x"]

    def preup_failed(self, name):
        if name == "up" and self.theirs["up"].status == 1 and self.ours["up"].status and b"[#] ip link add" not in self.theirs["up"].err and b": PreUp ended with status " in self.ours["up"].err:
            self.rules["F-preup-after-create"] += 1
            return True
        return False

    def same_error(self, name, told, errors):
        """wg-quick has the words of the tool that failed; ours has them in a line of its own."""
        if any(b" ended with status %d (" % self.ours[name].status in line for line in told):
            self.rules["error-hook"] += 1
            return
        for line in errors:
            match = re.match(rb"(?:RTNETLINK answers|Error): (.*?)\.?\Z", line)
            if match and told and match[1] in told[-1]:
                self.rules["error-words"] += 1
                return
        self.fail(f"{name}: other words", self.both(name))

    def warnings_first(self, name, theirs, ours):
        """Everything is parsed first, so wg's warnings come first."""
        warnings = [[line for line in lines if line.startswith(b"Warning: AllowedIP has")] for lines in (theirs, ours)]
        # In the same order, but where wg-quick never came to it.
        if warnings[0] != warnings[1] and not (self.preup_failed(name) and not warnings[0]):
            self.fail(f"{name}: other warnings", self.both(name))
        if warnings[1]:
            self.rules["parsed-first"] += 1
        return [[line for line in lines if not line.startswith(b"Warning: AllowedIP has")] for lines in (theirs, ours)]

    def firewall_undone(self, name, theirs, ours):
        """wg-quick's goes in one piece, for both families; ours with the rules of each."""
        both = []
        for lines in (theirs, ours):
            first = next((n for n, line in enumerate(lines) if RULE_DELETE.match(line)), len(lines))
            start = 0 if name == "down" else first - 1 if 0 < first < len(lines) and lines[first - 1] == NFT else first
            both.append((lines[:start] + [line for line in lines[start:] if line != NFT], NFT in lines[start:]))
        if both[0][1] != both[1][1]:
            self.fail(f"{name}: only one takes a firewall away", self.both(name))
        self.rules["undo-order"] += both[0][1]
        return both[0][0], both[1][0]

    def rules_undone(self, name, theirs, ours):
        """What was made last goes first; wg-quick has an order of its own."""
        for line in self.failed_rules:
            if line in ours:
                ours.remove(line)
        if self.place == "self":
            theirs, ours = self.firewall_undone(name, theirs, ours)
        deletes = [[line for line in lines if RULE_DELETE.match(line)] for lines in (theirs, ours)]
        if deletes[0] != deletes[1] and sorted(deletes[0]) == sorted(deletes[1]):
            self.rules["undo-order"] += 1
            at = theirs.index(deletes[0][0])
            theirs = [line for line in theirs if not RULE_DELETE.match(line)]
            theirs[at:at] = deletes[1]
        return theirs, ours

    def dns_search_only(self, theirs, ours):
        install = b"[#] install -m 644 /dev/fd/63 /etc/netns/%s/resolv.conf" % self.netns()
        if install in ours and install not in theirs and self.place == "host" and self.search_only():
            self.rules["dns-search"] += 1
            ours = [line for line in ours if line != install]
        return theirs, ours

    def search_only(self):
        found = re.findall(rb"(?m)^DNS = (.*?)\r?$", self.text)
        items = [item for line in found for item in re.split(rb"[, \t]+", line) if item]
        return bool(items) and not any(re.match(rb"[0-9.]+\Z", item) or b":" in item for item in items)

    def mtu_smallest(self, theirs, ours):
        """wg-quick of 2021 takes the largest MTU towards an endpoint."""
        mtus = self.theirs["mtus"]
        if not mtus or min(mtus) == max(mtus):
            return theirs, ours
        largest, smallest = (b"[#] ip link set mtu %d up dev x" % (f(mtus) - 80) for f in (max, min))
        if largest in theirs and smallest in ours:
            self.rules["F-mtu-smallest"] += 1
            theirs = [smallest if line == largest else line for line in theirs]
        return theirs, ours

    def batched(self, theirs, ours, status):
        """Ours sends routes in one piece: what it meant to add is told before one fails."""
        if status and theirs[:-1] and theirs[-1] == b"[#] ip link delete dev x" and re.match(rb"\[#\] ip -[46] route add ", theirs[-2]):
            extra = ours[len(theirs) - 1:-1]
            if extra and all(re.match(rb"\[#\] ip -[46] route add \S+ dev x( table \S+)?\Z", line) for line in extra):
                self.rules["routes-batch"] += 1
                ours = ours[:len(theirs) - 1] + ours[-1:]
        return theirs, ours

    # ---- the device ----

    def same_state(self):
        theirs, ours = self.theirs["state"], self.ours["state"]
        for state in (theirs, ours):
            for name in ("-4", "-6"):
                self.without_link_local(state, name)
        if self.auto_mark():
            for state in (theirs, ours):
                if state["wg"]["device"].pop("FwMark", None):
                    self.rules["auto-fwmark"] += 1
        if self.place == "host":
            self.plain_default(theirs, ours)
            if theirs.pop("firewall", None):
                self.rules["firewall"] += 1
            if ours.pop("firewall", None):
                self.fail("up: a firewall in a namespace of its own")
        mtus = self.theirs["mtus"]
        if mtus and theirs["link"]["mtu"] == max(mtus) - 80 and ours["link"]["mtu"] == min(mtus) - 80:
            theirs["link"]["mtu"] = ours["link"]["mtu"]
        for name in theirs:
            if theirs[name] != ours.get(name):
                self.fail(f"up: state: {name}", self.both() + f"\n  wg-quick:\n    {theirs[name]}\n  wg-nsquick:\n    {ours.get(name)}")

    def without_link_local(self, state, family):
        """A TUN gets an IPv6 address from the kernel, another one each time."""
        if family != "-6":
            return
        for address in list(state["addresses-6"]):
            if address.get("stable-privacy") or address.get("protocol") == "kernel_ll":
                self.rules["tun-link-local"] += 1
                state["addresses-6"].remove(address)
                for route in list(state["routes-6"]):
                    value = json.loads(route)
                    if value["dst"] == address["local"] or (value["dst"] == "fe80::/64" and value.get("protocol") == "kernel"):
                        state["routes-6"].remove(route)

    def plain_default(self, theirs, ours):
        """A default route is a plain one here, and no rules are needed."""
        for family in ("-4", "-6"):
            rules = theirs["rules" + family]
            if not rules:
                continue
            marks = [rule for rule in rules if rule.get("not") is None and "fwmark" in rule and "not" in rule]
            suppress = [rule for rule in rules if rule.get("suppress_prefixlen") == 0 and rule.get("table") == "main"]
            if len(marks) != 1 or len(suppress) != 1 or len(rules) != 2:
                continue
            self.rules["routes-default"] += 1
            theirs["rules" + family] = []
            routes = [json.loads(route) for route in theirs["routes" + family]]
            for route in routes:
                if route["dst"] == "default" and str(route.get("table")) == str(marks[0]["table"]):
                    del route["table"]
            theirs["routes" + family] = sorted(json.dumps(route, sort_keys=True) for route in routes)

    def same_dns(self):
        theirs, ours = self.theirs["dns"], self.ours["dns"]
        if self.search_only() and not theirs:
            self.rules["dns-search"] += 1
            items = [item.decode("latin1") for line in re.findall(rb"(?m)^DNS = (.*?)\r?$", self.text) for item in re.split(rb"[, \t]+", line) if item]
            theirs = ["search " + " ".join(items)] if self.place == "host" else []
        if theirs != ours:
            self.fail("up: DNS", f"  wg-quick:\n    {theirs}\n  wg-nsquick:\n    {ours}")
