#!/usr/bin/env python3
"""Compares the steps that differ in a replay with those that are known to.

  compare.py REPLAY.json LIST.txt            fails if other steps differ
  compare.py --write REPLAY.json LIST.txt    drops what agrees now from the list, and adds what does not

A line of the list is `scenario/step`, and may go on with a place in the answer (`/body/message`): then only differences there
are known. Both may have wildcards. Lines that begin with # give the reason for those below them.
"""
import fnmatch
import json
import sys


class Rule:
    def __init__(self, line):
        self.line, self.used = line, False
        self.step, _, self.place = line.partition(" ")

    def covers(self, step, place):
        covered = fnmatch.fnmatchcase(step, self.step) and fnmatch.fnmatchcase(place, self.place.strip() or "*")
        self.used |= covered
        return covered


def main():
    arguments = [a for a in sys.argv[1:] if a != "--write"]
    replay, listing = arguments
    failures = json.load(open(replay))["failures"]
    lines = open(listing).read().splitlines()
    rules = {line: Rule(line) for line in lines if line and not line.startswith("#")}
    new = {}
    for failure in failures:
        step = f"{failure['scenario']}/{failure['step']}"
        for difference in failure["differences"]:
            place = difference["at"].rstrip("#")
            # All rules are asked, so that each is known to be used.
            if not any([rule.covers(step, place) for rule in rules.values()]):
                new.setdefault(step, []).append(place)
    if "--write" in sys.argv:
        kept = [line for line in lines if line not in rules or rules[line].used]
        open(listing, "w").write("\n".join(kept + sorted(new)) + "\n")
        return 0
    unused = [rule.line for rule in rules.values() if not rule.used]
    if unused:
        print(f"corpus: {len(unused)} lines of the list are not needed: {', '.join(unused[:5])}")
    for step, places in sorted(new.items()):
        print(f"corpus: differs and is not in the list: {step} {' '.join(places[:3])}")
    print(f"corpus: {len(failures)} steps differ, {len(new)} of them unexpectedly")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
