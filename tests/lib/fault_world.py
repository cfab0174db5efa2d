# SPDX-License-Identifier: GPL-2.0-or-later
"""The pretended host of tests/faults, and all that a run may leave on it, as a dictionary.

A state is compared with two that were taken when all was well: with no tunnel
(nothing), and with the tunnel up (all).
"""
import json
import os
import re
import signal
import subprocess
import time

RUN_DIR = "/run/wg-nsquick"
SCENARIOS = ("new", "adopted")
LIMIT = 25  # seconds for one run
LISTS = "link show\naddr show\nroute show table all\nrule show\nnexthop show\n"
PRIVATE_KEY = "oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM="
CONFIG = """[Interface]
PrivateKey = {key}
Address = 10.9.0.2/24, fd09::2/64
DNS = 10.9.0.1, example.test
PreUp = :
PostUp = :
PreDown = :
PostDown = :
{more}
[Peer]
PublicKey = GtL7fZc/bLnqZldpVofMCD6hDjrK28SsdLxevJ+qtKU=
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = 192.0.2.1:51820
[Peer]
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
PresharedKey = /UwcSPg38hW/D9Y3tcS1FOV0K1wuURMbS0sesJEP5ak=
AllowedIPs = 10.10.0.0/16
Endpoint = [2001:db8::1]:51821
PersistentKeepalive = 25
"""
# Numbers that differ from run to run.
VOLATILE = ("ifindex", "link_index", "valid_life_time", "preferred_life_time", "expires", "link_netnsid", "num_tx_queues", "num_rx_queues")


class Hang(Exception):
    pass


class Done:
    """A run that ended: its status as a shell gives it, its words, the host after it."""

    def __init__(self, status, err, hit=True, host=None):
        self.status, self.err, self.hit, self.host = status, err, hit, host

    def told(self):
        # The last two are the dynamic loader's, before main().
        return re.search(r"^(wg-nsquick|\S*/wg-nsquick): |shared libraries|TLS data", self.err, re.M) is not None


def call(*argv, text=None):
    return subprocess.run(argv, input=text, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, text=True).stdout


def scrub(value):
    if isinstance(value, dict):
        return {key: scrub(item) for key, item in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [scrub(item) for item in value]
    return value


def network(namespace=None):
    """Links, addresses, routes, rules and nexthops, each a line; order means nothing to the kernel's dumps."""
    lines = []
    for family in "-4", "-6":
        text = call("ip", *(["-n", namespace] if namespace else []), family, "-d", "-j", "-batch", "-", text=LISTS)
        for answer in text.splitlines():
            lines += sorted(json.dumps(scrub(item), sort_keys=True) for item in json.loads(answer))
    # A TUN's link-local address is made from chance.
    return re.sub(r"fe80::[0-9a-f:]+", "fe80::X", "\n".join(lines))


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


def files_below(top):
    for folder, folders, names in os.walk(top):
        for name in sorted(folders):
            yield os.path.join(folder, name), True
        for name in sorted(names):
            yield os.path.join(folder, name), False


def anonymous(text):
    """Cookies are new each time."""
    return re.sub(r"(@|/netns/|/etc/)[0-9a-f]+(?=\.|$|\s)", r"\1COOKIE", text)


def journal_words(path):
    """What a journal says that is the same each time."""
    words = []
    for line in read(path).splitlines():
        if line.startswith(("wg-nsquick-journal", "state ", "iface ", "dns ", "ns-", "transport ", "undo ", "made ", "etc-", "resolv-", "nsswitch-", "end")):
            words.append(" ".join(line.split()[:2]))
    return "\n".join(words)


class World:
    def __init__(self, build):
        self.program = os.path.join(build, "wg-nsquick")
        self.tool = os.path.join(build, "tests", "fault-tool")
        os.environ["PATH"] = build + ":" + os.environ["PATH"]
        self.scenario = None
        self.up = False
        self.others = set()
        call("ip", "netns", "add", "prov")
        call("ip", "link", "add", "veth0", "mtu", "1400", "type", "veth", "peer", "name", "eth0", "netns", "prov")
        call("ip", "link", "set", "veth0", "addrgenmode", "none")
        call("ip", "addr", "add", "192.0.2.2/24", "dev", "veth0")
        call("ip", "-6", "addr", "add", "2001:db8::2/64", "dev", "veth0", "nodad")
        call("ip", "link", "set", "veth0", "up")
        call("ip", "-n", "prov", "link", "set", "eth0", "up")
        call("ip", "route", "add", "default", "via", "192.0.2.1")
        time.sleep(0.3)
        self.sysctls = self.read_sysctls()
        self.before = None
        # Folders and the shared mount of /run/netns come with the first run and stay.
        self.choose("new")
        self.run("up")
        self.run("down")
        self.scenario = None
        self.host = self.host_state()

    # ---- states ----

    @staticmethod
    def read_sysctls():
        text = call("sysctl", "-a", "--pattern", "^net\\.")
        return "\n".join(sorted(line for line in text.splitlines() if not re.search("conntrack_count|conntrack_buckets|flowcache|rand|stat", line)))

    @staticmethod
    def host_state():
        return network() + call("nft", "list", "ruleset") + read("/etc/resolv.conf")

    def state(self):
        found = {}
        for name in sorted(os.listdir("/run/netns")):
            if name != "prov":
                found[f"/run/netns/{name}"] = network(name)
        for top in RUN_DIR, "/etc/netns", "/var/lib/wg-nsquick", "/run/wireguard", "/etc/wireguard":
            for path, folder in files_below(top):
                if path.startswith(RUN_DIR + "/lock/") or path in (RUN_DIR + "/lock", RUN_DIR + "/tunnels", RUN_DIR + "/netns", RUN_DIR + "/applied"):
                    continue
                if folder:
                    found[anonymous(path)] = "folder"
                elif "/room/" in path or top == "/run/wireguard":
                    found[anonymous(path)] = "file"
                elif path.startswith(RUN_DIR):
                    found[anonymous(path)] = journal_words(path)
                else:
                    found[path] = read(path)
        for line in read("/proc/1/mountinfo").splitlines():
            words = line.split()
            found[f"mount {anonymous(words[4])} {words[words.index('-') + 1]}"] = "mounted"
        for pid, line in processes().items():
            if pid not in self.others:
                found[f"process {line}"] = "runs"
        if "FLOCK" in read("/proc/locks"):
            found["lock"] = read("/proc/locks")
        for family in "udp", "udp6":
            found[f"{family} sockets"] = str(len(read(f"/proc/net/{family}").splitlines()) - 1)
        return found

    def compare(self, state):
        if state == self.nothing:
            return "nothing"
        return "all" if state == self.all else "neither"

    def settle(self):
        """The state once it is one of the two, or after a while: a daemon takes its time to end.
        Where a journal stands, the next run has to do something first."""
        for i in range(40):
            state = self.state()
            what = self.compare(state)
            waits = [key for key in state if key not in self.nothing and key.startswith(("process ", "/run/wireguard"))]
            if what != "neither" or (i and not waits) or any(key.startswith(RUN_DIR + "/tunnels") for key in state):
                break
            time.sleep(0.05)
        self.up = what == "all"
        return state, what

    def differ(self, state, up):
        """In which items a state is not what it should be."""
        want = self.all if up else self.nothing
        items = []
        for key in sorted(set(want) | set(state)):
            if want.get(key) != state.get(key):
                short = "is missing" if key not in state else "is there" if key not in want else "differs"
                if short == "differs":
                    old, new = want[key].splitlines(), state[key].splitlines()
                    short += ": " + "; ".join([f"-{line}" for line in old if line not in new][:3] + [f"+{line}" for line in new if line not in old][:3])
                items.append(f"{key} {short}")
        return "; ".join(items) or "nothing"

    def journalled(self, left):
        return RUN_DIR + "/tunnels/" in left

    # ---- scenarios ----

    def choose(self, scenario):
        if scenario == self.scenario:
            return
        self.clean()
        self.scenario = scenario
        self.options = {"new": [], "adopted": ["--netns", "other"]}[scenario]
        self.unmake_other()
        if scenario == "adopted":
            self.make_other()
        self.write_config()
        self.others = set(processes())
        self.host = self.host_state()
        self.nothing = self.state()
        self.all = None
        done = self.run("up")
        if done.status:
            raise SystemExit(f"up fails without any fault: {done.err}")
        self.all = self.state()
        self.up = True
        self.stand(False)

    @staticmethod
    def make_other():
        """Somebody's namespace, with a way out and a resolver of its own."""
        call("ip", "netns", "add", "other")
        call("ip", "link", "add", "veth1", "address", "02:00:00:00:01:01", "type", "veth",
             "peer", "name", "eth0", "address", "02:00:00:00:01:02", "netns", "other")
        call("ip", "-n", "other", "addr", "add", "198.51.100.2/24", "dev", "eth0")
        call("ip", "-n", "other", "link", "set", "eth0", "addrgenmode", "none")
        call("ip", "-n", "other", "link", "set", "eth0", "up")
        call("ip", "link", "set", "veth1", "addrgenmode", "none")
        call("ip", "link", "set", "veth1", "up")
        call("ip", "-n", "other", "route", "add", "default", "via", "198.51.100.1")
        os.makedirs("/etc/netns/other", exist_ok=True)
        with open("/etc/netns/other/resolv.conf", "w", encoding="utf-8") as f:
            f.write("nameserver 203.0.113.1\n")
        time.sleep(0.3)

    @staticmethod
    def unmake_other():
        call("ip", "link", "del", "veth1")
        call("ip", "netns", "del", "other")
        call("rm", "-rf", "/etc/netns/other")

    def write_config(self):
        # SaveConfig writes the file anew on the way down; whole, or not at all.
        more = "SaveConfig = true" if self.scenario == "saved" else ""
        with open("/etc/wireguard/wg0.conf", "w", encoding="utf-8") as f:
            f.write(CONFIG.format(key=PRIVATE_KEY, more=more))
        os.chmod("/etc/wireguard/wg0.conf", 0o600)

    def stand(self, up):
        """Up or down, as a case begins."""
        if self.up == up:
            return
        command = "up" if up else "down"
        done = self.run(command)
        _, what = self.settle()
        if done.status or what != ("all" if up else "nothing"):
            state = self.state()
            self.clean()
            raise Hang(f"{command} without a fault ended with {done.status}, and {self.differ(state, up)}: {done.err}")

    def clean(self):
        """After a defect: whatever it left must not be counted twice."""
        self.run("down")
        self.run("recover")
        for pid in processes():
            if pid not in self.others and self.others:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
        self.reap()
        for line in read("/proc/1/mountinfo").splitlines():
            if RUN_DIR in line:
                call("umount", "-l", line.split()[4])
        call("ip", "netns", "del", "wg0")
        for folder in RUN_DIR + "/tunnels", RUN_DIR + "/netns", RUN_DIR + "/room", RUN_DIR + "/applied", "/run/netns/wg0", "/etc/netns/wg0", "/run/wireguard", "/var/lib/wg-nsquick/*":
            call("sh", "-c", f"rm -rf {folder}")
        call("ip", "link", "del", "wg0")
        if self.scenario == "adopted":
            self.unmake_other()
            self.make_other()
        self.up = False

    # ---- runs ----

    def reap(self):
        """In a PID namespace of its own this process is the one that orphans fall to."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    def start(self, argv):
        self.reap()
        with open("/run/faults.err", "wb") as err:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=err, stderr=err)
            try:
                status = child.wait(LIMIT)
            except subprocess.TimeoutExpired:
                tree = "\n".join(f"{pid} {line} wchan={read(f'/proc/{pid}/wchan')}" for pid, line in processes().items())
                child.kill()
                child.wait()
                time.sleep(0.2)
                raise Hang(f"{' '.join(argv)} does not end: {tree}\n{read('/run/faults.err')}") from None
        return 128 - status if status < 0 else status

    def run(self, command):
        argv = [self.program, command]
        if command != "recover":
            argv += ["wg0"] + (self.options if command == "up" else [])
        status = self.start(argv)
        return Done(status, read("/run/faults.err"))

    def listed(self, command):
        status = self.start([self.tool, "-o", "/run/faults.out", self.program, command, "wg0"] + (self.options if command == "up" else []))
        if status:
            raise SystemExit(f"{command} fails without any fault: {read('/run/faults.err')}")
        self.settle()
        return read("/run/faults.out").splitlines()

    def strike(self, command, point, fault):
        process, name, n = point
        status = self.start([self.tool, "-o", "/run/faults.out", "-p", process, "-c", name, "-n", n, *fault, self.program, command, "wg0"]
                            + (self.options if command == "up" else []))
        return Done(status, read("/run/faults.err"), "hit" in read("/run/faults.out"), self.host_state())

    def end(self):
        self.choose("new")
        if self.read_sysctls() != self.sysctls:
            print("# the host's sysctls changed")
            raise SystemExit(1)
