# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests/faults reads of its machine beside the network: processes, files, devices, locks."""
import contextlib
import os
import re
import socket
import subprocess

from fault_net import standing_in

# Of a device's answer, what differs from run to run.
PASSING = ("listen_port", "last_handshake", "tx_bytes", "rx_bytes", "errno")


def call(*argv, text=None):
    return subprocess.run(argv, input=text, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, text=True).stdout


def read(path):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as f:
            return f.read()
    except OSError as error:
        return f"({error.strerror})"


def processes():
    """Those that run, but for this one, by their command lines."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        stat = read(f"/proc/{entry}/stat")
        if stat.startswith("(") or stat.rpartition(")")[2].split()[0] in "ZX":
            continue
        line = read(f"/proc/{entry}/cmdline").replace("\0", " ").strip()
        if line and not line.startswith("("):
            found[int(entry)] = line
    return found


def namespaces_held(pid):
    """By descriptors of a process: neither a mount nor a process that is in one tells of such."""
    held = 0
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                held += os.readlink(f"/proc/{pid}/fd/{fd}").startswith(("net:", "mnt:"))
    return held


def locks():
    """Those on files below /run. One of somebody else's shows up here when who took it is dead, and a process of ours got its number."""
    device = os.stat("/run").st_dev
    place = f" {os.major(device):02x}:{os.minor(device):02x}:"
    return "\n".join(line for line in read("/proc/locks").splitlines() if " FLOCK " in line and place in line)


def files_below(top):
    for folder, folders, names in os.walk(top):
        for name in sorted(folders):
            yield os.path.join(folder, name), True
        for name in sorted(names):
            yield os.path.join(folder, name), False


def anonymous(text):
    """Cookies are new each time, and so is the number of a reload."""
    return re.sub(r"(@|/netns/|/etc/)[0-9a-f]+(?=\.|$|\s)(\.[0-9]+$)?", r"\1COOKIE", text)


def device():
    """What userspace WireGuard says of wg0: its key and its peers."""
    lines = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(5)
        try:
            line.connect("/run/wireguard/wg0.sock")
            line.sendall(b"get=1\n\n")
            with line.makefile() as answer:
                for text in answer:
                    if text == "\n":
                        break
                    if not text.startswith(PASSING):
                        lines.append(text)
        except OSError as error:
            return f"({error.strerror})"
    # Peers come in no order.
    peers = "".join(lines).split("public_key=")
    return "public_key=".join(peers[:1] + sorted(peers[1:]))


def kernel_devices(path):
    """The same of the kernel's devices in a namespace."""
    lines = []
    with standing_in(path):
        text = call("wg", "show", "all", "dump")
    for line in text.splitlines():
        words = line.split("\t")
        # Of a device its port, of a peer its last handshake and its traffic.
        lines.append(" ".join(words[:3] + words[4:] if len(words) == 5 else words[:5] + words[8:]))
    return "\n".join(lines)


def journal_words(path):
    """Which fields a file of ours has, and of those that are the same each time what they say.

    What the host was is for verify, which says so if it could not be read.
    """
    words = []
    for line in read(path).splitlines():
        if line.startswith("host "):
            continue
        same = line.startswith(("wg-nsquick-journal", "state ", "iface ", "dns ", "ns-", "transport ", "public-key ", "undo ", "made ", "etc-"))
        words.append(" ".join(line.split()[:2]) if same else re.match(r"[^\s=]*", line)[0])
        # What a will saves of the host after that is not text.
        if words[-1] == "end":
            break
    return "\n".join(words)
