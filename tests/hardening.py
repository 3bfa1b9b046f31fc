#!/usr/bin/env python3
"""Whether the programs are built to be hard to attack: hardening.py BUILD. Reads what the linker made, by readelf(1).

Then each promise is broken on purpose, in a small program of its own, to see that it would be found.
"""

import os
import re
import subprocess
import sys
import tempfile

EVERY = ["position independent", "stack that is not executed", "relocations read-only", "nothing writable and executable",
         "stack protector", "fortified calls", "branch targets marked"]
DYNAMIC = EVERY + ["bound at its start"]  # of a static program nothing is bound later
PROGRAMS = {"daemon/supd": DYNAMIC, "client/supctl": DYNAMIC, "daemon/os/supd-reaper": EVERY}
ENDBR64 = b"\xf3\x0f\x1e\xfa"

# What the compiler is told to leave out, and what is then to be missed.
GOOD = ["-O2", "-fPIE", "-pie", "-fstack-protector-strong", "-fcf-protection", "-D_FORTIFY_SOURCE=2", "-Wl,-z,relro",
        "-Wl,-z,now", "-Wl,-z,noexecstack"]
BROKEN = {
    "position independent": ["-no-pie", "-fno-pie"],
    "stack that is not executed": ["-Wl,-z,execstack"],
    "relocations read-only": ["-Wl,-z,norelro"],
    "nothing writable and executable": ["-DMIXED"],
    "stack protector": ["-fno-stack-protector"],
    "fortified calls": ["-U_FORTIFY_SOURCE"],
    "branch targets marked": ["-fcf-protection=none"],
    "bound at its start": ["-Wl,-z,lazy"],
}
SOURCE = """#include <stdio.h>
#include <string.h>
#ifdef MIXED
__asm__(".section .mixed,\\"awx\\",@progbits; .byte 1; .previous");
#endif
int main(int count, char **words) { char text[100]; snprintf(text, count * 9, "%s", words[0]);
    memcpy(text + count, words[0], count); return puts(text); }
"""


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], check=True, capture_output=True, text=True).stdout


def starts_marked(path, segments, symbols):
    """Of main the first instruction says that it may be jumped to. (The mark of a whole file needs a libc that has it too.)"""
    found = re.search(r"^\s*\d+: ([0-9a-f]+)\s+\d+ FUNC\s+\w+\s+\w+\s+\d+ main$", symbols, re.MULTILINE)
    if os.uname().machine != "x86_64" or not found:
        return os.uname().machine != "x86_64"
    address = int(found.group(1), 16)
    for line in segments:
        fields = line.split()
        if fields[:1] == ["LOAD"]:
            offset, start, size = int(fields[1], 16), int(fields[2], 16), int(fields[4], 16)
            if start <= address < start + size:
                with open(path, "rb") as file:
                    file.seek(offset + address - start)
                    return file.read(4) == ENDBR64
    return False


def found(path):
    header, segments = readelf("-h", path), readelf("-l", path).splitlines()
    dynamic, symbols = readelf("-d", path), readelf("-s", path)
    flags = {line.split()[0]: line.split()[6:-1] for line in segments if "GNU_STACK" in line}
    loads = ["".join(line.split()[6:-1]) for line in segments if line.split()[:1] == ["LOAD"]]
    return {
        "position independent": "DYN (Position-Independent Executable" in header,
        "stack that is not executed": "E" not in "".join(flags.get("GNU_STACK", ["E"])),
        "relocations read-only": any("GNU_RELRO" in line for line in segments),
        "bound at its start": "BIND_NOW" in dynamic,
        "stack protector": "__stack_chk_fail" in symbols,
        "fortified calls": re.search(r" __\w+_chk(@|$)", symbols, re.MULTILINE) is not None,
        "nothing writable and executable": not any("W" in load and "E" in load for load in loads),
        "branch targets marked": starts_marked(path, segments, symbols),
    }


def unnoticed():
    """What is broken and not found to be."""
    missed = []
    with tempfile.TemporaryDirectory(prefix="supd-hardening-") as directory:
        source, program = os.path.join(directory, "x.c"), os.path.join(directory, "x")
        with open(source, "w", encoding="utf-8") as file:
            file.write(SOURCE)

        def has(options):
            subprocess.run([os.environ.get("CC", "gcc"), source, "-w", "-o", program, *GOOD, *options], check=True,
                           capture_output=True)
            return found(program)

        missed += [f"a good program is said not to be: {name}" for name, there in has([]).items() if not there]
        missed += [f"it is not noticed where there is no: {name}" for name, options in BROKEN.items() if has(options)[name]]
    return missed


def main():
    bad = []
    for program, wanted in PROGRAMS.items():
        has = found(f"{sys.argv[1]}/{program}")
        bad += [f"{program}: not: {name}" for name in wanted if not has[name]]
    bad += unnoticed()
    print("\n".join(bad) or "hardening: ok")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
