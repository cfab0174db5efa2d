# SPDX-License-Identifier: GPL-2.0-or-later
"""Parsers compared: wg-nsquick's against the installed wg-quick's and wg's.

A rule is one known, deliberate difference. It is counted where it applies, and
where possible proved: the file is changed so that the difference must vanish,
and compared anew.
"""
import os
import re
import socket
import subprocess
import threading
from collections import Counter

LINE = re.compile(rb"\A[^:]+: (?:/[^:]*/x\.conf:(\d+): |/[^:]*/x\.conf: )?(.*)\Z", re.S)
RESOLVER = [b"Name or service not known", b"Temporary failure in name resolution", b"Servname not supported for ai_socktype", b"No address associated with hostname",
            b"Address family for hostname not supported", b"Non-recoverable failure in name resolution", b"ai_family not supported", b"Bad value for ai_flags", b"System error"]
BASE64_RUN = re.compile(rb"[A-Za-z0-9+/_\-\s]{16,}")
SHOWN_KEY = re.compile(rb"[A-Za-z0-9+/]{40,}")
KEY_NAME = re.compile(rb"key|psk|private|preshared|secret|pass", re.I)


class Difference(Exception):
    """`kind` is what stays the same while a file is shrunk; `text` is for people."""

    def __init__(self, kind, text=""):
        super().__init__(kind)
        self.kind, self.text = kind, text


def run(argv, cwd, env=None, stdin=subprocess.DEVNULL, timeout=60):
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise Difference("timeout of " + os.path.basename(argv[0]), f"{argv} took more than {timeout} s") from error
    return done.returncode, done.stdout, done.stderr


class Device:
    """A userspace WireGuard that is none: it keeps the last request and agrees to it."""

    def __init__(self, name):
        self.name, self.request = name, b""
        os.makedirs("/run/wireguard", exist_ok=True)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(f"/run/wireguard/{name}.sock")
        self.server.listen(8)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.server.accept()
            text = b""
            while not text.endswith(b"\n\n"):
                more = client.recv(1 << 20)
                if not more:
                    break
                text += more
            else:
                self.request = text
                client.sendall(b"errno=0\n\n")
            client.close()


def squeeze(line):
    """A line as wg sees it: no comment, no blanks anywhere."""
    return re.sub(rb"[ \t\v\f\r]", b"", line.replace(b"\0", b"").split(b"#")[0])


def show(text, limit=1500):
    text = text if len(text) <= limit else text[:limit] + b"..."
    return "\n".join("    " + repr(line if len(line) < 400 else line[:400] + b"...")[2:-1] for line in text.split(b"\n"))


def quoted(value):
    """As the product shows a value that is no key."""
    shown = bytes(c if 32 <= c <= 126 else 63 for c in value[:64])
    return shown + (b"..." if len(value) > 64 else b"")


def value_matches(words, value, ours, rules):
    """Whether `ours` has these words of wg's, and its value or what stands for it."""
    if words not in ours:
        return False
    if b"`" + value + b"'" in ours:
        return True
    if b"`" + quoted(value) + b"'" in ours:
        rules["value-shortened" if len(value) > 64 else "value-printable"] += 1
        return True
    name, equals, rest = value.partition(b"=")
    secret = BASE64_RUN.search(value)
    if words == b"Key is not the correct length or format" and re.match(rb"(Private|Public|Preshared)Key: ", ours):
        rules["value-hidden"] += 1
        return True
    if b"`(hidden)'" in ours and (secret or KEY_NAME.search(value)):
        rules["value-hidden"] += 1
        return True
    if b"`" + quoted(name) + (b"=(hidden)'" if rest else equals + b"'") in ours and (secret or KEY_NAME.search(value)):
        rules["value-hidden"] += 1
        return True
    return False


def words_match(theirs, ours, rules):
    match = re.match(rb"(.*?): `(.*)'\Z", theirs, re.S)
    if match:
        return value_matches(match[1], match[2], ours, rules)
    match = re.match(rb"`(.*)' (is neither true nor false)\Z", theirs, re.S)
    if match:
        return value_matches(match[2], match[1], ours, rules)
    return theirs in ours


def lines_of(text):
    return text.split(b"\n")[:-1] if text.endswith(b"\n") else text.split(b"\n") if text else []


def check_readable(err):
    """An error of ours: printable, and no key in it."""
    for line in lines_of(err):
        line = LINE.match(line)[2] if LINE.match(line) else line
        if any(c < 32 or c > 126 for c in line):
            raise Difference("an error with bytes that are not printable", show(err))
        if SHOWN_KEY.search(line):
            raise Difference("an error with what may be a key", show(err))


class Text:
    mode = "text"

    def __init__(self, build, worker):
        self.build = build
        self.folder = f"/run/differ.{worker}"
        os.makedirs(self.folder)
        self.device = Device(f"d{worker}")
        self.env = dict(os.environ, WG_ENDPOINT_RESOLUTION_RETRIES="0", LC_ALL="C")

    def write(self, text, mode, folder_mode):
        path = self.folder + "/x.conf"
        with open(path, "wb") as file:
            file.write(text)
        os.chmod(path, mode)
        os.chmod(self.folder, folder_mode)

    def compare(self, case):
        """The counts of the rules that were needed. Raises Difference."""
        text, mode, folder_mode = case
        rules = Counter()
        for _ in range(500):
            self.write(text, mode, folder_mode)
            stripped, changed = self.compare_strip(text, rules)
            if stripped is not None:
                changed = self.compare_wg(text, stripped, rules)
            if not changed:
                return rules
            text = changed
        raise Difference("rules without end")

    def compare_strip(self, text, rules):
        """What wg shall read, if anything, or a changed text."""
        status, out, err = run(["wg-quick", "strip", "./x.conf"], self.folder, self.env)
        our_status, our_out, our_err = run([self.build + "/wg-nsquick", "strip", "./x.conf"], self.folder, self.env)
        both = "  wg-quick:\n" + show(err) + "\n  wg-nsquick:\n" + show(our_err)
        check_readable(our_err)
        if status != our_status:
            raise Difference(f"strip: status {status}, ours {our_status}", both)
        if out != our_out and b"\1" in text and out.count(b"\n") == our_out.count(b"\n"):
            rules["byte-1"] += 1  # bash uses it for itself, and loses it at a line's end
            return None, text.replace(b"\1", b"x")
        if out != our_out:
            raise Difference("strip: standard output", f"  wg-quick:\n{show(out)}\n  wg-nsquick:\n{show(our_out)}")
        theirs, ours = lines_of(err), lines_of(our_err)
        if len(theirs) != len(ours):
            raise Difference("strip: other messages", both)
        for a, b in zip(theirs, ours):
            if a.startswith(b"wg-quick: "):
                match = LINE.match(b)
                if not match or not match[1] or not words_match(a[len(b"wg-quick: "):], match[2], rules):
                    raise Difference("strip: other words", both)
            elif a != b:
                raise Difference("strip: other messages", both)
        return (out, None) if status == 0 else (None, None)

    def compare_wg(self, text, stripped, rules):
        """None if all is well, or the changed text to prove a rule with."""
        with open(self.folder + "/stripped", "wb") as file:
            file.write(stripped)
        self.device.request = b""
        status, _, err = run(["wg", "addconf", self.device.name, "stripped"], self.folder, self.env)
        request = self.device.request
        our_status, our_request, our_err = run([self.build + "/tests/differ-tool", "./x.conf"], self.folder, self.env)
        both = "  wg:\n" + show(err) + "\n  wg-nsquick:\n" + show(our_err)
        check_readable(our_err)
        if our_status not in (0, 1):
            raise Difference(f"wg: status {our_status}", both)
        theirs, ours = lines_of(err), [line for line in lines_of(our_err) if not line.endswith(b"is world accessible")]
        error = b""
        if status:
            if not theirs or theirs[-1] not in (b"Configuration parsing error", b"Invalid configuration"):
                theirs.append(b"")
            error = theirs[-2] if len(theirs) > 1 else b""
            theirs = theirs[:-2]
        our_error = LINE.match(ours.pop()) if our_status else None
        changed = self.known(text, error, our_error, our_request, len(ours) > len(theirs), rules)
        if changed:
            return changed
        if status != our_status:
            raise Difference(f"wg: status {status}, ours {our_status}: " + re.sub(r"`.*'", "", (error or (our_error[2] if our_error else b"")).decode("latin1"), flags=re.S)[:60], both)
        if status and not words_match(error, our_error[2], rules):
            raise Difference("wg: other words", both)
        if len(theirs) != len(ours) or any(not self.same_warning(a, b, rules) for a, b in zip(theirs, ours)):
            raise Difference("wg: other warnings", both)
        if not status and b"%lo]:" in request:
            # By number: a name would be of the namespace that asks, not of the socket's.
            rules["zone-number"] += 1
            request = re.sub(rb"(?m)^(endpoint=\[.*)%lo\]:", rb"\1%1]:", request)
        if not status and request != our_request:
            raise Difference("wg: payload", f"  wg:\n{show(request)}\n  wg-nsquick:\n{show(our_request)}")
        return None

    @staticmethod
    def same_warning(theirs, ours, rules):
        if theirs == ours:
            return True
        # The length may have any number of leading zeros.
        if ours.startswith(b"Warning: AllowedIP") and len(ours) > 75 and theirs.startswith(ours):
            rules["value-shortened"] += 1
            return True
        return False

    def known(self, text, error, our_error, our_request, more_warnings, rules):
        """The text without a known difference, when there is one."""
        changed = None
        if our_error and our_error[1] and our_error[2].startswith(b"Servname not supported for ai_socktype"):
            changed = self.wrap_port(text, int(our_error[1]), rules)
        words = error[:error.find(b": `")]
        if not changed and words in RESOLVER and (not our_error or more_warnings or not words_match(error, our_error[2], Counter())):
            changed = self.resolve_last(text, error, rules)
        if not changed and re.match(rb"Unable to parse IP address: `[+-]", error):
            changed = self.without_signs(text, our_error, our_request, rules)
        return changed

    @staticmethod
    def wrap_port(text, number, rules):
        """A port above 65535 or with a minus is refused; wg takes what is left of it in 16 bits."""
        lines = text.split(b"\n")
        match = re.match(rb"(listenport=|endpoint=.*:)([+-]?)(\d+)\Z", squeeze(lines[number - 1]), re.I | re.S)
        if not match or (int(match[3]) <= 65535 and match[2] != b"-"):
            return None
        port = min(int(match[3]), (1 << 64) - 1)
        if match[2] == b"-" and port < (1 << 64) - 1:
            port = -port
        port &= 0xffffffff
        if port >= 1 << 31:  # the C library takes it for a service's name
            return None
        rules["ports"] += 1
        lines[number - 1] = match[1] + b"%d" % (port & 0xffff)
        return b"\n".join(lines)

    @staticmethod
    def resolve_last(text, error, rules):
        """Everything is parsed before a name is resolved: here the name is put right."""
        value = re.match(rb".*?: `(.*)'\Z", error, re.S)[1]
        lines = text.split(b"\n")
        for n, line in enumerate(lines):
            name, _, rest = squeeze(line).partition(b"=")
            if name.lower() == b"endpoint" and rest == value:
                lines[n] = b"Endpoint=192.0.2.1:1"
                rules["resolve-last"] += 1
                return b"\n".join(lines)
        return None

    def without_signs(self, text, our_error, our_request, rules):
        """wg of 2021 has no + and -. Without them the rest must be the same, and with them the request as told."""
        lines, peers = text.split(b"\n"), []
        changed = False
        for n, line in enumerate(lines):
            name, _, rest = squeeze(line).partition(b"=")
            if name.lower() == b"[peer]":
                peers.append({"replace": True, "signs": []})
            if name.lower() != b"allowedips" or not rest:
                continue
            signs = [item[:1] if item[:1] in (b"+", b"-") else b"" for item in rest.split(b",")]
            if peers:
                peers[-1]["replace"] = not any(signs)
                peers[-1]["signs"] += signs
            if any(signs):
                changed = True
                lines[n] = b"AllowedIPs=" + b",".join(item[len(sign):] for item, sign in zip(rest.split(b","), signs))
        if not changed:
            return None
        text = b"\n".join(lines)
        rules["F-allowedips-incremental"] += 1
        if our_error is None:
            self.write(text, 0o600, 0o700)
            status, plain, _ = run([self.build + "/tests/differ-tool", "./x.conf"], self.folder, self.env)
            if status or self.signed(plain, peers) != our_request:
                raise Difference("wg: payload with + or -", f"  without:\n{show(plain)}\n  with:\n{show(our_request)}")
        return text

    @staticmethod
    def signed(request, peers):
        out, peer, signs = [], None, iter(())
        peers = iter(peers)
        for line in lines_of(request):
            if line.startswith(b"public_key="):
                peer = next(peers)
                signs = iter(peer["signs"])
            if line == b"replace_allowed_ips=true" and not peer["replace"]:
                continue
            if line.startswith(b"allowed_ip=") and next(signs) == b"-":
                line = line.replace(b"=", b"=-", 1)
            out.append(line)
        return b"".join(line + b"\n" for line in out)
