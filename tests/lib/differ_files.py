# SPDX-License-Identifier: GPL-2.0-or-later
"""Random configuration files for tests/differ: seed and index say all of a file.

text_file() is for parsers: valid, nearly valid and hostile. up_file() is for
devices: mostly valid, and with at most one thing wrong. Lines stay below 4000 bytes: bash, which is wg-quick,
takes minutes for one of 50,000.
"""
import base64
import random

BLANKS = [b" ", b"\t", b"\v", b"\f", b"\r"]  # the sixth kind ends the line
ODD = [b"\0", b"\xef\xbb\xbf", b"\xc2\xa0", b"#", b"=", b"[", b"]", b",", b";", b"\\", b"'", b'"', b"`", b"$", b"*", b"?", b"%i", b"%", b"\x7f",
       b"\x01", b"\xff", b"\x1b", b"&", b"|", b"~", b"!", b"{", b"(", b"-", b"+", b":", b".", b"/", b"0", b"\r", b"\n", b" ", b"\t", b"\v", b"\f"]
QUICK = [b"Address", b"DNS", b"MTU", b"Table", b"SaveConfig", b"PreUp", b"PostUp", b"PreDown", b"PostDown"]
DEVICE = [b"PrivateKey", b"ListenPort", b"FwMark"]
PEER = [b"PublicKey", b"PresharedKey", b"AllowedIPs", b"Endpoint", b"PersistentKeepalive"]


def key(r):
    return base64.b64encode(r.randbytes(32))


def odd_key(r):
    k = key(r)
    kind = r.randrange(13)
    if kind == 0:
        return k[:r.randrange(45)]
    if kind == 1:
        return k + r.choice([b"A", b"=", b"==", b"AAAA", b"."])
    if kind == 2:
        return k.translate(bytes.maketrans(b"+/", b"-_"))
    if kind == 3:  # padding bits that are not zero
        return k[:42] + bytes([r.choice(b"BCDFGHZabz019+/")]) + b"="
    if kind == 4:
        at = r.randrange(44)
        return k[:at] + r.choice(ODD + BLANKS) + k[at + 1:]
    if kind == 5:
        at = r.randrange(44)
        return k[:at] + r.choice(BLANKS) * r.randrange(1, 3) + k[at:]
    if kind == 6:
        return b"A" * 43 + b"="
    if kind == 7:
        return k[:43] + r.choice([b"A", b"", b".", b" ="])
    if kind == 8:
        return b""
    if kind == 9:
        return k.hex().encode()[:r.choice([64, 44, 43])]
    if kind == 10:
        return b"/" * 42 + b"8="
    if kind == 11:
        return k[:43] + b"#" + k[43:]
    return r.choice([b"(none)", b"off", b"0", b"secret", b"abc"])


NUMBERS = [b"0", b"1", b"5", b"25", b"255", b"256", b"1420", b"51820", b"65534", b"65535", b"65536", b"70000", b"131072", b"00", b"007", b"010",
           b"+5", b"+0", b"-1", b"-0", b"--1", b"+", b"-", b"0x10", b"0X10", b"0x", b"0x0", b"0xffffffff", b"0xFFFFFFFF", b"0x100000000", b"0xg", b"0b1", b"1e3",
           b"2147483647", b"2147483648", b"4294967295", b"4294967296", b"4295032831", b"4295032832", b"18446744073709551615", b"18446744073709551616",
           b"18446744073709551621", b"99999999999999999999999", b"0" * 40 + b"5", b"5" * 40, b"25s", b"25 ", b"2 5", b"5.0", b"5,0", b"\xd9\xa3", b"off", b"OFF", b"oFf",
           b"offf", b"auto", b"none", b"true", b"", b"0x00000000000000001", b"+065", b"0xab cd", b"4294967294", b"1_000"]
SERVICES = [b"domain", b"ntp", b"http", b"snmp", b"DOMAIN", b"tftp", b"nosuch", b"do main", b"domain/udp", b"syslog", b"53/udp"]


def port(r):
    kind = r.random()
    if kind < .5:
        return b"%d" % r.randrange(65536)
    if kind < .85:
        return r.choice(NUMBERS)
    return r.choice(SERVICES)


def v4(r):
    return b".".join(b"%d" % r.choice([0, 1, 10, 127, 128, 172, 192, 224, 254, 255, r.randrange(256)]) for _ in range(4))


def v6(r):
    kind = r.randrange(10)
    words = [b"%x" % r.choice([0, 0, 1, 0xffff, 0xfd00, 0xfe80, r.randrange(65536)]) for _ in range(8)]
    if kind < 3:
        return b":".join(words)
    if kind < 7:
        left, right = r.randrange(5), r.randrange(4)
        return b":".join(words[:left]) + b"::" + b":".join(words[7 - right:7])
    return r.choice([b"::", b"::1", b"fd00::1", b"2001:db8::1", b"FD00::A", b"::ffff:1.2.3.4", b"::1.2.3.4", b"fe80::1", b"ff02::1", b"64:ff9b::192.0.2.1"])


def odd_addr(r):
    return r.choice([b"", b"10", b"10.1", b"10.0.0", b"127.1", b"0x7f.1", b"2130706433", b"010.0.0.1", b"10.0.0.01", b"10.0.0.256", b"10.0.0.1.2", b"10..0.1", b".10.0.0.1",
                     b"10.0.0.1.", b"1:2:3:4:5:6:7", b"1:2:3:4:5:6:7:8:9", b":::", b"1::2::3", b"::g", b"12345::", b"fe80::1%lo", b"fe80::1%eth0", b"[::1]", b"::ffff:1.2.3", b"any", b"all",
                     b"default", b"localhost", b"*", b"::/", b"1.2.3.4:5", b"10.0.0.-1", b"+10.0.0.1", b"-10.0.0.1", b"::00000", b"0:0:0:0:0:0:0:0:", b"1:2:3:4:5:6:7::", b"::2:3:4:5:6:7:8",
                     b"1:2:3:4:5:6:1.2.3.4", b"0x0a000001", b"10.0.0.0x1", b"10.0.0.1a", b"fd00:0:0:0:0:0:0:00001"])


def mask(r, family):
    limit = 32 if family == 4 else 128
    return r.choice([b""] * 4 + [b"/%d" % r.randrange(limit + 1)] * 12 +
                    [b"/0", b"/%d" % limit, b"/%d" % (limit + 1), b"/08", b"/+8", b"/-1", b"/", b"/8/8", b"/255.255.255.0", b"/0x8", b"/ 8", b"/8 ", b"/256", b"/4294967304", b"/a", b"/24a", b"//8",
                     b"/00000000000000000000024", b"/18446744073709551624"])


def addr_item(r):
    kind = r.random()
    if kind < .55:
        return v4(r) + mask(r, 4)
    if kind < .9:
        return v6(r) + mask(r, 6)
    return odd_addr(r) + mask(r, r.choice([4, 6]))


def allowed_ips(r):
    items = []
    for _ in range(r.choice([1, 1, 1, 2, 2, 3, 5, 9])):
        if items and r.random() < .1:
            items.append(r.choice(items))
        elif r.random() < .1:
            items.append(r.choice([b"0.0.0.0/0", b"::/0", b"1.2.3.4/0", b"10.0.0.1/24", b"0.0.0.0/1", b"128.0.0.0/1"]))
        else:
            items.append(addr_item(r))
        if r.random() < .08:
            items[-1] = r.choice([b"+", b"-", b"++", b"+-", b"- ", b"+ ", b" -"]) + items[-1]
        if r.random() < .02:
            items.append(b"")
    return r.choice([b",", b", ", b" , ", b",\t", b", "] if r.random() < .97 else [b" ", b";", b",,", b"\t"]).join(items) + (b"," if r.random() < .02 else b"")


def endpoint(r):
    kind = r.random()
    if kind < .35:
        host = v4(r)
    elif kind < .5:
        host = b"[" + v6(r) + b"]"
    elif kind < .62:
        host = v6(r)
    elif kind < .7:
        host = b"[" + v4(r) + b"]"
    elif kind < .8:
        host = r.choice([b"localhost", b"LOCALHOST", b"[localhost]", b"ip6-localhost", b"local host", b"localhost."])
    elif kind < .9:
        host = odd_addr(r)
    else:
        host = r.choice([b"fe80::1%lo", b"[fe80::1%lo]", b"[fe80::1%1]", b"[fe80::1%nosuch]", b"[::1%lo]", b"[::1", b"::1]", b"[]", b"[[::1]]", b"[::1]]", b"", b"1.2.3.4:5",
                         b"[fe80::1%]", b"[2001:db8::1%lo]", b"%lo", b"[fe80::1%99]", b"a" * 300, b"-", b"1.2.3.4%lo", b" ", b"x..y", b"[1.2.3.4%1]"])
    return host + r.choice([b":"] * 40 + [b"", b"::", b" : ", b";", b"/"]) + port(r)


def hook(r):
    return r.choice([b"true", b"echo %i", b"echo 'a # b'", b'echo "a # b" # c', b"iptables -A FORWARD -i %i -j ACCEPT; iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE", b"", b"#", b"# x", b"a=b",
                     b"=", b"echo \\", b"echo $(( 1 + 1 ))", b"[[ a = a ]]", b"[Peer]", b"[Interface]", b"x" * r.randrange(300), b"wg set %i private-key <(cat /x)", b"'", b'"', b"`", b"%", b"%%i%i"])


def items(r, make):
    return r.choice([b",", b", ", b" ", b" , ", b",,", b"\t"]).join(make() for _ in range(r.choice([0, 1, 1, 1, 2, 3])))


def dns_item(r):
    kind = r.random()
    if kind < .4:
        return v4(r)
    if kind < .6:
        return v6(r)
    return r.choice([b"corp.example", b"~.", b"LOCAL", b"1.1", b"300.1.1.1", b"1.1.1.1:53", b"dns.example:853", b"fe80::1%eth0", b"a", b".", b"1.", b"*"])


def value(r, name):
    low = name.lower()
    if low in (b"privatekey", b"publickey", b"presharedkey"):
        return key(r) if r.random() < .8 else odd_key(r)
    if low == b"listenport":
        return port(r)
    if low == b"fwmark":
        return r.choice(NUMBERS) if r.random() < .5 else r.choice([b"%d" % r.randrange(1 << 32), b"0x%x" % r.randrange(1 << 32), b"off"])
    if low == b"persistentkeepalive":
        return r.choice(NUMBERS) if r.random() < .5 else b"%d" % r.randrange(65536)
    if low == b"allowedips":
        return allowed_ips(r)
    if low == b"endpoint":
        return endpoint(r)
    if low == b"address":
        return items(r, lambda: addr_item(r))
    if low == b"dns":
        return items(r, lambda: dns_item(r))
    if low in (b"mtu", b"table"):
        return r.choice(NUMBERS + [b"main", b"auto", b"off", b"1420", b"1500"])
    if low == b"saveconfig":
        return r.choice([b"true", b"false", b"true", b"false", b"TRUE", b"False"] + ([b"yes", b"1", b"", b"true false", b"tru e", b"\xc2\xa0true", b"a" * 80, key(r)] if r.random() < .2 else []))
    return hook(r)


def odd_case(r, name):
    return bytes(c ^ 0x20 if chr(c).isalpha() and r.random() < .5 else c for c in name)


def blanks(r):
    return b"".join(r.choice(BLANKS) for _ in range(r.choice([0, 1, 1, 2, 5])))


def line(r, name, text, neat):
    if neat:
        return name + b" = " + text
    if r.random() < .2:
        name = odd_case(r, name)
    if r.random() < .05:
        at = r.randrange(len(name) + 1)
        name = name[:at] + r.choice(BLANKS) + name[at:]
    out = blanks(r) + name + r.choice([b"=", b" = ", b"\t=\t", blanks(r) + b"=" + blanks(r)] + ([b"", b" ", b"==", b":", b"=#", b"#="] if r.random() < .15 else [])) + text
    if r.random() < .1:
        out += r.choice([b"#", b" # ", b"\t#"]) + r.choice([b"", b"comment", b"[Peer]", b"= 5", b"# x"])
    return out + (blanks(r) if r.random() < .3 else b"")


def section(r, name, neat):
    if neat or r.random() < .7:
        return b"[" + name + b"]"
    return r.choice([b"[" + odd_case(r, name) + b"]", blanks(r) + b"[" + name + b"]" + blanks(r), b"[ " + name + b" ]", b"[" + name, name + b"]", b"[" + name + b"] # c", b"[" + name + b"]=x",
                     b"[" + name + b"]x", b"[[" + name + b"]]", b"[" + name + b"s]", b"[" + name[:3] + b" " + name[3:] + b"]", b"#[" + name + b"]", b"[Foo]", b"[]", b"["])


def filler(r):
    return r.choice([b"", b"", b"# comment", b"#", b" ", b"\t", b";x", b"# [Peer]", b"#Address = 10.0.0.1", b"  # PrivateKey = x", b"\r", b"\v"])


def some(r, names, chances):
    return [n for n, c in zip(names, chances) if r.random() < c]


def device_lines(r, neat):
    names = some(r, DEVICE, [.9, .5, .3]) + some(r, QUICK, [.8, .4, .3, .2, .1, .2, .2, .2, .2])
    if not neat:
        names += r.choices(DEVICE + QUICK + (PEER if r.random() < .1 else []), k=r.choice([0, 0, 0, 1, 2]))
        r.shuffle(names)
    return [line(r, n, value(r, n) if not neat else fair_value(r, n), neat) for n in names]


def peer_lines(r, neat):
    names = ([b"PublicKey"] if neat or r.random() < .97 else []) + some(r, PEER[1:], [.3, .85, .6, .3])
    if not neat:
        names += r.choices(PEER + (DEVICE + QUICK if r.random() < .15 else []), k=r.choice([0, 0, 0, 1, 2]))
        r.shuffle(names)
    return [line(r, n, value(r, n) if not neat else fair_value(r, n), neat) for n in names]


def fair_value(r, name):
    """One that is meant to be accepted."""
    if name.endswith(b"Key"):
        return key(r)
    if name == b"ListenPort":
        return b"%d" % r.randrange(65536)
    if name == b"FwMark":
        return r.choice([b"off", b"0", b"%d" % r.randrange(1 << 32), b"0x%x" % r.randrange(1 << 32), b"010"])
    if name == b"PersistentKeepalive":
        return r.choice([b"off", b"25", b"0", b"65535", b"%d" % r.randrange(65536)])
    if name == b"AllowedIPs":
        return b", ".join(v4(r) + b"/%d" % r.randrange(33) if r.random() < .6 else b"fd00:%x::%x/%d" % (r.randrange(65536), r.randrange(65536), r.randrange(129)) for _ in range(r.randrange(1, 6)))
    if name == b"Endpoint":
        return r.choice([b"%s:%d" % (v4(r), r.randrange(65536)), b"[fd00::%x]:%d" % (r.randrange(65536), r.randrange(65536)), b"localhost:%d" % r.randrange(65536), b"127.1:53", b"fd00::%x:53" % r.randrange(65536)])
    if name == b"SaveConfig":
        return r.choice([b"true", b"false"])
    return value(r, name)


def mutate(r, text):
    for _ in range(r.choice([1, 1, 2, 3])):
        at = r.randrange(len(text) + 1)
        lines = text.split(b"\n")
        n = r.randrange(len(lines))
        kind = r.randrange(11)
        if kind == 0:
            text = text[:at] + r.choice(ODD) + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + 1:]
        elif kind == 2:
            text = text[:at] + r.choice(ODD + BLANKS) + text[at + 1:]
        elif kind == 3:
            lines.insert(r.randrange(len(lines)), lines[n])
            text = b"\n".join(lines)
        elif kind == 4:
            m = r.randrange(len(lines))
            lines[n], lines[m] = lines[m], lines[n]
            text = b"\n".join(lines)
        elif kind == 5:
            lines[n] = lines[n].replace(b"=", b"", 1)
            text = b"\n".join(lines)
        elif kind == 6:
            lines[n] = odd_case(r, lines[n])
            text = b"\n".join(lines)
        elif kind == 7:
            lines[n] = lines[n].split(b"=")[0] + b"="
            text = b"\n".join(lines)
        elif kind == 8:
            del lines[n]
            text = b"\n".join(lines)
        elif kind == 9:
            text = text[:at]
        else:
            lines[n] += r.choice(BLANKS + ODD)
            text = b"\n".join(lines)
    return text


def text_file(seed, index):
    """The bytes, the file's mode and its folder's mode."""
    r = random.Random(f"text {seed} {index}")
    style = r.choices(["neat", "loose", "near", "hostile", "noise", "many"], [15, 30, 25, 22, 6, 2])[0]
    neat = style in ("neat", "near", "many")
    out = []
    if style == "noise":
        out = [b"".join(r.choice(ODD + BLANKS + QUICK + DEVICE + PEER + [b"[Interface]", b"[Peer]", b"\n", b"=", b"\n"]) for _ in range(r.randrange(40)))]
    elif style == "many":
        out = [section(r, b"Interface", True)] + device_lines(r, True)
        for _ in range(r.choice([20, 50, 200])):
            out += [b"[Peer]"] + peer_lines(r, True)
    else:
        peers = r.choice([0, 1, 1, 1, 2, 3])
        blocks = [("Interface", device_lines(r, neat))] + [("Peer", peer_lines(r, neat)) for _ in range(peers)]
        if style == "hostile":
            blocks += [("Interface", device_lines(r, neat))] * r.choice([0, 0, 1])
            if r.random() < .3:
                r.shuffle(blocks)
        for name, lines in blocks:
            if r.random() < .97 or neat:
                out.append(section(r, name.encode(), neat or r.random() < .7))
            for text in lines:
                if r.random() < .1:
                    out.append(filler(r))
                out.append(text)
        if style == "hostile" and r.random() < .05:
            out.insert(r.randrange(len(out) + 1), b"#" + b"x" * r.choice([500, 3000]))
        if style == "hostile" and r.random() < .05:
            out.append(b"AllowedIPs = " + b", ".join(b"10.%d.%d.0/24" % (n // 256, n % 256) for n in range(r.choice([20, 150]))))
    end = b"\r\n" if r.random() < .1 else b"\n"
    text = end.join(out) + (end if r.random() < .85 else b"")
    if style in ("near", "hostile"):
        text = mutate(r, text)
    if r.random() < .02:
        text = b"\xef\xbb\xbf" + text
    return text, r.choice([0o600] * 5 + [0o644, 0o604, 0o601, 0o640]), r.choice([0o700, 0o755, 0o755, 0o711])


# ---- files for devices ----

HOOKS = [b"true", b"echo %i", b"echo %i-%%i-%I", b'echo "a # b"', b"echo x # y", b"echo 'it is # here' # not here", b"echo a\\ b \\\\ \"x\\ty\"", b'echo "$INTERFACE $CONFIG_FILE $LC_ALL"',
         b'read -r a; echo "got [$a]"', b"X=5; cd /", b'echo "[${X-}] $PWD"', b"", b"cat <(echo hi)", b"[[ abc == @(abc|d) ]] && echo ext", b"x=(1 2); echo ${x[@]}", b"false || echo or",
         b"shopt -o errexit pipefail; shopt extglob", b"A=1 B=2 bash -c 'echo $A $B'", b"echo $((1 + 1)) | cat", b"echo to-error >&2", b"printf '%s|' a 'b c' \"d\" $'e\\tf'; echo", b"umask",
         b"for i in 1 2; do echo $i; done", b"echo a;echo b", b"echo 'x=y'", b"a=b", b"test -t 0 || echo no-terminal", b"echo \xc3\xa4",
         b"{ echo a; } && (echo b)", b"trap 'echo bye' EXIT", b"echo *.conf", b"echo $USER_OF_NOTHING.", b'echo "`echo back`"', b"exit 0", b"set +e; false; echo on"]
DEVICE_HOOKS = [b"wg show %i fwmark > /dev/null", b"[ -e /sys/class/net/%i ] || echo none", b"wg show %i peers | sort", b"ip -o -4 addr show dev %i | wc -l", b"ip -4 route show dev %i | grep -v ^default | sort",
                b"wg show %i private-key", b"cat /sys/class/net/%i/type"]
FAILING_HOOKS = [b"exit 7", b"false; echo continued", b"false | true", b"nosuchcommand", b"kill -9 $BASHPID", b'echo "open', b"exit 255", b"set -u; echo $NOPE", b"exec false", b"[[ a == b ]]", b"(exit 4)"]


def up_value_address(r):
    return r.choice([b"10.9.%d.%d/%d" % (r.randrange(4), r.randrange(1, 255), r.choice([8, 16, 24, 30, 32])), b"10.9.0.%d" % r.randrange(1, 255), b"10.3/24", b"10.0.0.3/255.255.255.0", b"172.16.1/20",
                     b"192.168.7.%d/0x18" % r.randrange(1, 255), b"fd09::%x/64" % r.randrange(1, 65536), b"fd09:%x::1/%d" % (r.randrange(65536), r.choice([48, 64, 126, 128])), b"FD09::ABCD",
                     b"fd09::1.2.3.4/96", b"fe80::%x/64" % r.randrange(1, 65536), b"10.8.0.1/31", b"10.9.9.9/032", b"10.9.5.5/+24"])


def up_value_allowed(r):
    return r.choice([b"10.%d.0.0/16" % r.randrange(4, 20), b"10.9.%d.0/24" % r.randrange(4), b"10.9.0.%d/32" % r.randrange(256), b"10.9.1.%d" % r.randrange(256), b"172.16.0.0/12", b"192.168.0.0/16",
                     b"10.0.0.0/8", b"10.1.2.3/%d" % r.randrange(8, 33), b"fd09::/64", b"fd09::%x/128" % r.randrange(65536), b"fd0a:%x::/32" % r.randrange(65536), b"fd09:%x::1/%d" % (r.randrange(65536), r.randrange(16, 129)),
                     b"fd00::/8", b"224.0.0.0/4", b"0.0.0.0/1", b"128.0.0.0/1", b"fd09::5"])


def up_value_endpoint(r):
    port = r.randrange(1, 65536)
    return b"%s:%d" % (r.choice([b"192.0.2.1", b"192.0.2.77", b"198.51.100.9", b"203.0.113.5", b"203.0.113.200", b"8.8.8.8", b"[2001:db8::1]", b"[2001:db9::1]", b"2001:db8::7", b"[192.0.2.1]", b"198.18.0.1"] +
                                [b"127.1", b"0xc0000201", b"3221225985", b"203.0.114.9"] * (r.random() < .3)), port)


def up_file(seed, index):
    """The bytes, and where ours shall be: in a namespace of its own, or in one like wg-quick's, with rules."""
    r = random.Random(f"up {seed} {index}")
    place = "self" if r.random() < .3 else "host"
    first = [b"PrivateKey = " + key(r)] if r.random() < .97 else []
    for _ in range(r.choice([0, 1, 1, 1, 1, 2])):
        first.append(b"Address = " + b", ".join(up_value_address(r) for _ in range(r.choice([1, 1, 2, 3]))))
    if r.random() < .5:
        first.append(b"ListenPort = %d" % r.choice([0, r.randrange(20000, 60000), r.randrange(20000, 60000)]))
    if r.random() < .2:
        first.append(b"FwMark = " + r.choice([b"0x1234", b"51820", b"off", b"0", b"99", b"0xca6c", b"4294967295"]))
    if r.random() < .3:
        first.append(b"MTU = " + r.choice([b"1280", b"1400", b"1420", b"1500", b"9000", b"0x500", b"02400", b"1300", b"", b"576", b"+1400", b"0X5DC"]))
    if r.random() < .35:
        first.append(b"Table = " + r.choice([b"auto", b"off", b"1234", b"0x4d2", b"010", b"main", b"default", b"local", b"4294967295", b"", b"300", b"0", b"unspec", b"+300"]))
    if r.random() < .4:
        first.append(b"DNS = " + b", ".join(dns_item(r) for _ in range(r.choice([1, 1, 2, 3]))).replace(b"*", b"star"))
    if r.random() < .15:
        first.append(b"SaveConfig = false")
    if r.random() < .5:
        for _ in range(r.choice([1, 1, 2, 4])):
            name = r.choice([b"PreUp", b"PostUp", b"PostUp", b"PreDown", b"PostDown"])
            first.append(name + b" = " + r.choice(HOOKS + (DEVICE_HOOKS if name in (b"PostUp", b"PreDown") else [])))
    peers = [[b"PublicKey = " + key(r)] for _ in range(r.choice([0, 1, 1, 1, 1, 2, 3, 3] + [30] * (r.random() < .1)))]
    for peer in peers:
        if r.random() < .03 and peer is not peers[0]:
            peer[0] = peers[0][0]
        if r.random() < .2:
            peer.append(b"PresharedKey = " + key(r))
        for _ in range(r.choice([0, 1, 1, 1, 2])):
            peer.append(b"AllowedIPs = " + b", ".join(up_value_allowed(r) for _ in range(r.choice([1, 1, 2, 4]))))
        if r.random() < .12:
            peer.append(b"AllowedIPs = " + r.choice([b"0.0.0.0/0", b"::/0", b"0.0.0.0/0, ::/0", b"0.0.0.0/0, ::/0", b"1.2.3.4/0"]))
        if r.random() < .7:
            peer.append(b"Endpoint = " + up_value_endpoint(r))
        if r.random() < .3:
            peer.append(b"PersistentKeepalive = " + r.choice([b"25", b"off", b"0", b"65535"]))
    if r.random() < .3:
        up_fault(r, first, peers)
    if r.random() < .3:
        r.shuffle(first)
    lines = [b"[Interface]"] + first
    for peer in peers:
        lines += r.choice([[], [b""], [b"# a peer"]]) + [b"[Peer]"] + peer
    end = b"\r\n" if r.random() < .05 else b"\n"
    return end.join(lines) + (end if r.random() < .95 else b""), place


def up_fault(r, first, peers):
    def put(name, text):
        first[:] = [line for line in first if not line.startswith(name + b" =")] + [name + b" = " + text]

    kind = r.randrange(10)
    if kind == 0:
        first.append(b"Address = " + r.choice([b"10.0.0.1/33", b"10.0.0.256", b"nohost", b"fd00::1/129", b"10.0.0.1/", b"fd00::g", b"10.0.0.1/8/8", b"1.2.3.4.5", b"10.0.0.1/-1", b"::1::", b"10.0.0.1/255.0.255.0"]))
    elif kind == 1:
        first += [b"Address = 10.9.3.3/24"] * 2
    elif kind == 2:
        put(b"MTU", r.choice([b"abc", b"0", b"-1", b"1420x", b"70000", b"67", b"0x", b"99999999999", b"14 20", b"1420,", b"1.5"]))
    elif kind == 3:
        put(b"Table", r.choice([b"OFF", b"Auto", b"nosuch", b"-1", b"4294967296", b"1 2", b"0x", b"254x"]))
    elif kind == 4:
        first.append(r.choice([b"Adress = 10.0.0.1", b"PrivateKey = short", b"FwMark = -1", b"ListenPort = -1", b"ListenPort =", b"[Foo]", b"PublicKey = x", b"ListenPort = 70000", b"MTU x = 1"]))
    elif kind == 5 and peers:
        r.choice(peers).append(r.choice([b"AllowedIPs = 10.0.0.0/33", b"AllowedIPs = 10.0.0", b"AllowedIPs = 10.0.0.0/8,", b"Endpoint = 192.0.2.1", b"Endpoint = [::1", b"PersistentKeepalive = 65536", b"MTU = 1400",
                                         b"Endpoint = 192.0.2.1:70000", b"PresharedKey = x", b"AllowedIPs ="]))
    elif kind == 6 and peers:
        del r.choice(peers)[0]
    elif kind == 7:
        put(b"SaveConfig", r.choice([b"yes", b"1", b"", b"on"]))
    else:
        first.append(r.choice([b"PostUp", b"PostUp", b"PreUp", b"PreDown", b"PostDown"]) + b" = " + r.choice(FAILING_HOOKS))
