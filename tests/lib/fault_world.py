# SPDX-License-Identifier: GPL-2.0-or-later
"""The pretended host of tests/faults, and all that a run may leave on it, as a dictionary.

A state is compared with those that were taken when all was well: with no tunnel
("nothing"), with the tunnel up ("up"), and with it reloaded from another file ("changed").
"""
import itertools
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from fault_look import anonymous, call, device, files_below, journal_words, kernel_devices, locks, namespaces_held, processes, read  # noqa: E402
from fault_net import TENTATIVE, Namespace, look_into, sysctls  # noqa: E402

RUN_DIR = "/run/wg-nsquick"
LOCKS = {"wg0", "shared lock", "tun lock", "host lock", "netns wg0", "netns other"}
SCENARIOS = ("new", "adopted")
LIMIT = int(os.environ.get("FAULTS_LIMIT", "25"))  # seconds for one run
# In which state a command begins, and in which it ends when all is well. Before the last two an up is killed: `again' is the next one.
BEGIN = {"up": "nothing", "down": "up", "reload": "up", "guard": "nothing", "harm": "nothing", "recover": "nothing", "again": "nothing"}
END = {"up": "up", "down": "nothing", "reload": "changed", "guard": "nothing", "harm": "nothing", "recover": "nothing", "again": "up"}
AFTER_DEATH = ("recover", "again")
# A command that changes how the host is reached: the guard undoes it.
HARM = ["ip", "route", "replace", "default", "via", "192.0.2.77"]
UNHARM = [*HARM[:-1], "192.0.2.1"]
GUARD_RESTORED = 193
PRIVATE_KEY = "oK56DE9Ue9zK76rAc8pBl6opph+1v36lm7cXXsQKrQM="
CONFIG = """[Interface]
PrivateKey = {key}
Address = 10.9.0.2/24, fd09::2/64
DNS = 10.9.0.1, example.test
PreUp = stay
PostUp = :
PreDown = end
PostDown = :
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
# What `reload' finds: another address, another DNS server, a peer less and one with more.
CHANGES = (("10.9.0.2/24, fd09::2/64", "10.9.0.2/24, 10.9.1.2/32, fd09::2/64"), ("DNS = 10.9.0.1", "DNS = 10.9.0.3"),
           ("10.10.0.0/16", "10.10.0.0/16, 10.12.0.0/16"), ("PersistentKeepalive = 25", "PersistentKeepalive = 20"))
# What runs hooks here, in less time than it takes a real shell. One leaves a process in the background, another takes it away, or it would keep its namespace.
SHELL = """#!/bin/sh
for hook; do :; done
case $hook in
stay) rm -f /run/stayed; (sleep 1000 > /dev/null 2>&1 & echo $! > /run/stayed) ;;
end)
	# What was struck in a hook's own child may have kept its number from us.
	{ read -r pid < /run/stayed && kill "$pid"; } 2> /dev/null || { pkill -xf 'sleep 1000'; exit 0; }
	while read -r _ _ state _ 2> /dev/null < "/proc/$pid/stat" && [ "$state" != Z ]; do :; done
	;;
esac
exit 0
"""
STAYED = "process sleep 1000"
# What is left of a note of the host that could not be deleted (76-rescue.bats): the next recover does.
REVOKED = "revoked\n"
CONFIG_FILE = "/etc/wireguard/wg0.conf"


class Hang(Exception):
    pass


class Done:
    """A run that ended: its status as a shell gives it, its words, what fault-tool said, the host after it."""

    def __init__(self, status, err, report="hit 0 0", host=None):
        self.status, self.err, self.host = status, err, host
        self.hit = bool(report)
        self.processes, self.programs = [int(word) for word in report.split()[1:]] or [0, 0]

    def told(self):
        # The last two are the dynamic loader's, before main().
        return re.search(r"^(wg-nsquick|\S*/wg-nsquick): |shared libraries|TLS data", self.err, re.M) is not None


def carrier(link, netns="host"):
    """The kernel notices it, at either end, some time after both ends of a pair are up."""
    at = [] if netns == "host" else ["-n", netns]
    deadline = time.monotonic() + 20
    while "state UP" not in call("ip", *at, "link", "show", link):
        if time.monotonic() > deadline:
            raise SystemExit(f"{link} ({netns}) has no carrier within 20 s")
        time.sleep(0.05)


class World:
    def __init__(self, build):
        self.program = os.path.join(build, "wg-nsquick")
        self.tool = os.path.join(build, "tests", "fault-tool")
        os.makedirs("/run/bin")
        with open("/run/bin/bash", "w", encoding="utf-8") as f:
            f.write(SHELL)
        os.chmod("/run/bin/bash", 0o755)
        os.environ["PATH"] = f"{build}:/run/bin:" + os.environ["PATH"]
        self.scenario = None
        self.options = []
        self.configs = []
        self.host = self.harmed = None
        self.now = None  # in which of the known states the world is
        self.states = {}
        self.programs = {}
        self.commit = None  # the last point of `up' at which all can be lost
        self.others = set()
        call("ip", "netns", "add", "prov")
        call("ip", "link", "add", "veth0", "mtu", "1400", "type", "veth", "peer", "name", "eth0", "netns", "prov")
        call("ip", "link", "set", "veth0", "addrgenmode", "none")
        call("ip", "addr", "add", "192.0.2.2/24", "dev", "veth0")
        call("ip", "-6", "addr", "add", "2001:db8::2/64", "dev", "veth0", "nodad")
        call("ip", "link", "set", "veth0", "up")
        call("ip", "-n", "prov", "link", "set", "eth0", "up")
        call(*UNHARM)
        carrier("veth0")
        self.sight = Namespace()
        self.sysctls = self.read_sysctls()
        # Folders and the shared mount of /run/netns come with the first run and stay.
        self.choose("new")
        self.run("up")
        self.run("down")
        self.scenario = None

    # ---- states ----

    @staticmethod
    def read_sysctls():
        text = call("sysctl", "-a", "--pattern", "^net\\.")
        return {line for line in text.splitlines() if not re.search("conntrack_count|conntrack_buckets|flowcache|rand|stat", line)}

    def changed_sysctls(self):
        """Gone, changed, or a link's. A module of the kernel's that is loaded meanwhile brings some of its own."""
        now = self.read_sysctls()
        known = {line.split(" = ")[0] for line in self.sysctls}
        new = {line for line in now - self.sysctls if line.split(" = ")[0] in known or re.match(r"net\.ipv[46]\.(conf|neigh)\.", line)}
        return sorted(self.sysctls - now) + sorted(new)

    def host_state(self):
        return f"{self.sight.network()}\n{sysctls()}\nfirewall: {self.sight.generation()}\n{read('/etc/resolv.conf')}"

    def state(self):
        found = {}
        for name in sorted(os.listdir("/run/netns")):
            if name != "prov":
                path = f"/run/netns/{name}"
                found[path] = look_into(path)
                if b"wireguard".hex() in found[path]:
                    found[f"{path} device"] = kernel_devices(path)
        for top in RUN_DIR, "/etc/netns", "/var/lib/wg-nsquick", "/run/wireguard", "/etc/wireguard":
            for path, folder in files_below(top):
                if path.startswith(RUN_DIR + "/lock/") or path in (RUN_DIR + "/lock", RUN_DIR + "/tunnels", RUN_DIR + "/netns", RUN_DIR + "/applied"):
                    continue
                if path.startswith(RUN_DIR + "/host/") and read(path) == REVOKED:
                    continue
                if folder:
                    found[anonymous(path)] = "folder"
                elif "/room/" in path or top == "/run/wireguard":
                    found[anonymous(path)] = "file"
                elif path.startswith(RUN_DIR):
                    found[anonymous(path)] = journal_words(path)
                elif path == CONFIG_FILE:
                    # Which of the two is the test's own doing.
                    found[path] = "whole" if read(path) in self.configs else read(path)
                else:
                    found[path] = read(path)
        if os.path.exists("/run/wireguard/wg0.sock"):
            found["device"] = device()
        for line in read("/proc/1/mountinfo").splitlines():
            words = line.split()
            found[f"mount {anonymous(words[4])} {words[words.index('-') + 1]}"] = "mounted"
        ours = {pid: line for pid, line in processes().items() if pid not in self.others}
        for line in ours.values():
            found[f"process {line}"] = "runs"
        found["namespaces held by processes"] = str(sum(namespaces_held(pid) for pid in ours))
        held = locks()
        if held:
            found["lock"] = held
        for family in "udp", "udp6":
            found[f"{family} sockets"] = str(len(read(f"/proc/net/{family}").splitlines()) - 1)
        return found

    def compare(self, state):
        for name, known in self.states.items():
            if state == known:
                return name
        return "neither"

    def settle(self, may_lack=False):
        """The state once it is a known one, or after a while: a daemon takes its time to end.
        Where a journal stands, the next run has to do something first. `may_lack': of a tunnel that is up
        what a hook had left in the background may be gone, as PreDown has run, or a signal came to all."""
        pause = 0.003
        deadline = time.monotonic() + 3
        while True:
            state = self.state()
            what = self.compare(state)
            lacks = False
            if may_lack and what == "neither" and STAYED not in state:
                what = self.compare({**state, STAYED: "runs"})
                lacks = what != "neither"
                if lacks:
                    state[STAYED] = "runs"
            # A daemon that ends closes its socket, and then is a process for a moment still.
            waits = [key for key in state if key not in self.states["nothing"] and key.startswith(("process ", "/run/wireguard", "device", "lock"))] \
                or [key for key in state if TENTATIVE in state[key]]
            # A journal that says up, too, is a known state but for what has to settle.
            unfinished = any(key.startswith(RUN_DIR + "/tunnels") and "state up" not in state[key] for key in state)
            if what != "neither" or (pause > 0.003 and not waits) or unfinished:
                break
            if time.monotonic() > deadline:
                break
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)
        self.now = None if what == "neither" or lacks else what
        return state, what

    def differ(self, state, name):
        """In which items a state is not what it should be."""
        want = self.states[name]
        items = []
        for key in sorted(set(want) | set(state)):
            if want.get(key) != state.get(key):
                short = "is missing" if key not in state else "is there" if key not in want else "differs"
                if short == "differs":
                    old, new = want[key].splitlines(), state[key].splitlines()
                    short += ": " + "; ".join([f"-{line}" for line in old if line not in new][:3] + [f"+{line}" for line in new if line not in old][:3])
                items.append(f"{key} {short}")
        return "; ".join(items) or "nothing"

    def host_differs(self, host):
        old, new = self.host.splitlines(), host.splitlines()
        return "; ".join([f"-{line}" for line in old if line not in new] + [f"+{line}" for line in new if line not in old])

    @staticmethod
    def journalled(left):
        return RUN_DIR + "/tunnels/" in left

    # ---- scenarios ----

    def choose(self, scenario):
        if scenario == self.scenario:
            return
        self.clean()
        self.scenario = scenario
        self.options = {"new": [], "adopted": ["--netns", "other"]}[scenario]
        self.commit = None
        self.unmake_other()
        if scenario == "adopted":
            self.make_other()
        whole = CONFIG.format(key=PRIVATE_KEY)
        other = whole
        for old, new in CHANGES:
            assert old in other
            other = other.replace(old, new)
        self.configs = [whole, other]
        self.write_config(0)
        self.others = set(processes())
        self.host = self.host_state()
        self.states = {"nothing": self.state()}
        for command, name in ("up", "up"), ("reload", "changed"), ("reload", "up"), ("down", "nothing"):
            self.write_config(name == "changed")
            done = self.run(command)
            if done.status:
                raise SystemExit(f"{command} fails without any fault: {done.err}")
            if name in self.states:
                state, what = self.settle()
                if what != name:
                    raise SystemExit(f"{command} without any fault: {self.differ(state, name)}")
            else:
                time.sleep(0.1)
                while TENTATIVE in str(self.state()):
                    time.sleep(0.1)
                self.states[name] = self.state()
        if self.host_state() != self.host:
            raise SystemExit("the host changes without any fault")
        call(*HARM)
        self.harmed = self.host_state()
        call(*UNHARM)
        # Other programs that each starts: hooks, of which one is the last, and a daemon.
        for command in "up", "down":
            self.stand(BEGIN[command])
            calls = [line.split() for line in self.listed(command)]
            self.programs[command] = len({process for process, name, _ in calls if name == "execve" and process != "1"})

    def is_early(self, command, done):
        """Whether the fault came clearly before all had been done: before the last hook began, or a worker."""
        if command == "again":
            command = "up"
        if command in self.programs:
            return done.hit and done.programs < self.programs[command]
        return command == "reload" and done.hit and done.processes == 1

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
        carrier("veth1")
        carrier("eth0", "other")

    @staticmethod
    def unmake_other():
        call("ip", "link", "del", "veth1")
        call("ip", "netns", "del", "other")
        call("rm", "-rf", "/etc/netns/other")

    def write_config(self, which):
        with open(CONFIG_FILE, "w", encoding="utf-8") as f:
            f.write(self.configs[which])
        os.chmod(CONFIG_FILE, 0o600)

    def stand(self, name):
        """In this state, as a case begins."""
        if self.now == name:
            return
        # From one to the other by way of what there is.
        ways = {("nothing", "up"): ("up",), ("up", "nothing"): ("down",), ("changed", "nothing"): ("down",), ("changed", "up"): ("reload",)}
        self.write_config(0)
        for command in ways.get((self.now, name), ("down", "up") if name == "up" else ("down",)):
            done = self.run(command)
        state, what = self.settle()
        if done.status or what != name:
            difference = self.differ(state, name)
            self.clean()
            raise Hang(f"{command} without a fault ended with {done.status}, and {difference}: {done.err}")

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
        self.now = None
        call(*UNHARM)
        if self.states:
            self.host = self.host_state()
            self.settle()

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

    def argv(self, command):
        up = ["up", "wg0", *self.options]
        words = {"up": up, "again": up, "recover": ["recover"], "guard": ["guard", "--", "true"], "harm": ["guard", "--", *HARM]}
        return [self.program] + words.get(command, [command, "wg0"])

    def run(self, command):
        status = self.start(self.argv(command))
        return Done(status, read("/run/faults.err"))

    def kill_up(self):
        """What `recover' and the next `up' are to find: all is made, the journal was to say so, and nobody of ours lives."""
        for _ in range(3):
            if not self.commit:
                saves = [line for line in self.listed("up") if re.match(r"1\.1 rename", line)]
                self.commit = saves[-1].split()
                self.stand("nothing")
            process, name, n = self.commit
            status = self.start([self.tool, "-o", "/run/faults.out", "-p", process, "-c", name, "-n", n, "-a", *self.argv("up")])
            self.now = None
            if status == 128 + signal.SIGKILL and read("/run/faults.out"):
                return
            # How many there are may depend on who was quicker.
            self.commit = None
            self.settle()
            self.stand("nothing")
        raise Hang(f"an up that is to be killed ended with {status}: {read('/run/faults.err')}")

    def prepare(self, command):
        self.write_config(command == "reload")
        if command in AFTER_DEATH:
            self.kill_up()

    def listed(self, command):
        self.prepare(command)
        status = self.start([self.tool, "-o", "/run/faults.out", *self.argv(command)])
        if status != (GUARD_RESTORED if command == "harm" else 0):
            raise SystemExit(f"{command} fails without any fault: {read('/run/faults.err')}")
        self.settle()
        lines = read("/run/faults.out").splitlines()
        if command == "again":
            # From the first program that it starts on it is an up like any other.
            lines = list(itertools.takewhile(lambda line: not re.match(r"1\.\S+ execve ", line), lines))
        return lines

    def strike(self, command, point, fault):
        process, name, n = point
        self.prepare(command)
        status = self.start([self.tool, "-o", "/run/faults.out", "-p", process, "-c", name, "-n", n, *fault, *self.argv(command)])
        return Done(status, read("/run/faults.err"), read("/run/faults.out"), self.host_state())

    def end(self):
        self.choose("new")
        changed = self.changed_sysctls()
        if changed:
            print("# the host's sysctls changed: " + "; ".join(changed))
            raise SystemExit(1)
        # They stay, one for each name.
        locks_left = set(os.listdir(RUN_DIR + "/lock")) - LOCKS
        if locks_left:
            print("# there are locks for what nobody brought up: " + "; ".join(sorted(locks_left)))
            raise SystemExit(1)
