# SPDX-License-Identifier: GPL-2.0-or-later
"""wg-nsquick compared with itself: a file's tunnel is brought up and saved, and
brought up from what was saved. Device, addresses, routes, rules, MTU, DNS and
hooks must be the same, and so must be what a second save writes.
"""
import re
from collections import Counter

from differ_text import Difference, lines_of, show
from differ_up import HOOK, NAME, Compare, Up

LISTS = re.compile(rb"(Address|DNS) = (.*?)\r?\Z")


class Save(Up):
    mode = "save"

    def compare(self, case):
        text, place = case
        rules = Counter()
        try:
            first, saved = self.round(text, place, text)
            if first is None:
                rules["not-up"] += 1
            else:
                self.same_words(text, saved)
                second, again = self.round(saved, place, text)
                if second is None:
                    raise Difference("save: its file does not come up", show(saved) + "\n  " + self.last)
                self.same_state(first, second, place, rules)
                # A TUN's peers come in any order.
                if sorted(lines_of(saved)) != sorted(lines_of(again)):
                    raise Difference("save: a second save is another", show(saved) + "\n  and then\n" + show(again))
        finally:
            left = self.left(NAME if place == "host" else "self")
            if left:
                self.clean()
        if left:
            raise Difference(f"save: left: {left}")
        return rules

    def round(self, text, place, original):
        """Up, looked at, saved and down. (None, None) if it does not come up."""
        namespace, options = (NAME, []) if place == "host" else ("self", ["--netns", "self", "--transport", "self"])
        if place == "self":
            self.reset_sysctl()
        self.write(text)
        result = self.run("wg-nsquick", "up", f"./{NAME}.conf", *options)
        self.last = result.words()
        if result.status:
            return None, None
        state = self.look(namespace, original)
        state["dns"] = self.resolv_conf(namespace)
        result = self.run("wg-nsquick", "save", f"./{NAME}.conf")
        with open(self.path, "rb") as file:
            saved = file.read()
        self.write(b"[Interface]\n")
        down = self.run("wg-nsquick", "down", f"./{NAME}.conf")
        if result.status or down.status:
            raise Difference("save: status", result.words() + "\n" + down.words())
        return state, saved

    @staticmethod
    def reset_sysctl():
        from differ_up import call
        call("ip", "netns", "exec", "self", "sysctl", "-qw", "net.ipv4.conf.all.src_valid_mark=0")

    @staticmethod
    def same_words(text, saved):
        """Hooks as they were, in their order of each kind; DNS items, in their order."""
        words = []
        for lines in (text.split(b"\n"), saved.split(b"\n")):
            found, interface = {}, False
            for line in lines:
                if line.startswith(b"["):
                    interface = line.startswith(b"[Interface]")
                hook, items = HOOK.match(re.sub(rb" ?=\Z", b" = ", line)), LISTS.match(line)
                if interface and hook:
                    found.setdefault(hook[1], []).append(hook[2].strip())
                elif interface and items and items[1] == b"DNS":
                    found.setdefault(b"DNS", []).extend(item for item in re.split(rb"[, \t]+", items[2]) if item)
            words.append({name: values for name, values in found.items() if values})
        if words[0] != words[1]:
            raise Difference("save: hooks or DNS", f"  {words[0]}\n  {words[1]}\n" + show(saved))

    def same_state(self, first, second, place, rules):
        compare = Compare(self, b"", place, {}, {}, False, rules)
        for state in (first, second):
            compare.without_link_local(state, "-6")
        for name in first:
            if first[name] != second[name]:
                raise Difference(f"save: state: {name}", f"  first:\n    {first[name]}\n  from the saved file:\n    {second[name]}")
