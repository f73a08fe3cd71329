#!/usr/bin/env python3
"""Compares the steps that differ in a replay with those that are known to.

  compare.py REPLAY.json DIFFERENCES.txt            fails if other steps differ
  compare.py --write REPLAY.json DIFFERENCES.txt    drops what agrees now from the list, and adds what does not

A line of the list is `scenario/step`; lines that begin with # give the reason for those below them.
"""
import json
import sys


def main():
    arguments = [a for a in sys.argv[1:] if a != "--write"]
    replay, listing = arguments
    found = {f"{f['scenario']}/{f['step']}" for f in json.load(open(replay))["failures"]}
    lines = open(listing).read().splitlines()
    known = {line for line in lines if line and not line.startswith("#")}
    if "--write" in sys.argv:
        kept = [line for line in lines if not line or line.startswith("#") or line in found]
        kept += sorted(found - known)
        open(listing, "w").write("\n".join(kept) + "\n")
        return 0
    agree = sorted(known - found)
    if agree:
        print(f"corpus: {len(agree)} steps of the list agree now: {', '.join(agree[:5])}")
    new = sorted(found - known)
    for step in new:
        print(f"corpus: differs and is not in the list: {step}")
    print(f"corpus: {len(found)} steps differ, {len(new)} of them unexpectedly")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
