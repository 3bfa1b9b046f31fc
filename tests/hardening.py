#!/usr/bin/env python3
"""Whether the programs are built to be hard to attack: hardening.py BUILD. Reads what the linker made, by readelf(1)."""

import subprocess
import sys

# What a program must have, and what shows it.
DYNAMIC = ["position independent", "stack that is not executed", "relocations read-only", "bound at its start",
           "stack protector", "fortified calls"]
STATIC = ["stack that is not executed", "relocations read-only", "stack protector"]
PROGRAMS = {"daemon/supd": DYNAMIC, "client/supctl": DYNAMIC, "daemon/os/supd-reaper": STATIC}


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], check=True, capture_output=True, text=True).stdout


def found(path):
    header, segments = readelf("-h", path), readelf("-l", path).splitlines()
    dynamic, symbols = readelf("-d", path), readelf("-s", path)
    stack = [line.split()[-2] for line in segments if "GNU_STACK" in line]
    return {
        "position independent": "DYN (Position-Independent Executable" in header,
        "stack that is not executed": bool(stack) and "E" not in stack[0],
        "relocations read-only": any("GNU_RELRO" in line for line in segments),
        "bound at its start": "BIND_NOW" in dynamic,
        "stack protector": "__stack_chk_fail" in symbols,
        "fortified calls": "_chk@" in symbols,
        "writable and executable": any("LOAD" in line and "RWE" in line for line in segments),
    }


def main():
    bad = []
    for program, wanted in PROGRAMS.items():
        has = found(f"{sys.argv[1]}/{program}")
        bad += [f"{program}: not: {name}" for name in wanted if not has[name]]
        if has["writable and executable"]:
            bad.append(f"{program}: has memory that is writable and executable")
    print("\n".join(bad) or "hardening: ok")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
