#!/usr/bin/env python3
"""Checks the house: who includes whom, how long files and functions are. floors.py [TOP]

Prints `floors: ok`, or every violation as FILE:LINE: what; the exit status says which.
"""

import os
import re
import sys

FOLDERS = ("common", "daemon", "client", "tests")
FILE_LINES = 400      # a file has fewer
FUNCTION_LINES = 60   # a function has fewer

FLOORS = [  # the first that matches
    (r"common/", 0),
    (r"daemon/core/", 1),
    (r"daemon/os/", 2),
    (r"daemon/store/", 2),
    (r"daemon/runner(/|\.)", 3),
    (r"daemon/control/", 4),
    (r"daemon/main\.", 6),
    (r"daemon/", 5),
    (r"client/libsup/", 4),
    (r"client/(call|print|terminal)\w*\.", 4),
    (r"client/supctl\.", 6),
    (r"client/", 5),
    (r"tests/", 7),
]
# Whom each part may include besides itself.
PARTS = {"common": {"common"}, "daemon": {"common", "daemon"}, "client": {"common", "client"},
         "tests": {"common", "daemon", "client", "tests"}}

# What makes system calls, runs loops or reads JSON has no place in the core.
IMPURE = re.compile(r"^(ev\.h|jansson\.h|sqlite3\.h|unistd\.h|fcntl\.h|poll\.h|pthread\.h|threads\.h|dirent\.h|"
                    r"sched\.h|spawn\.h|syscall\.h|netdb\.h|pwd\.h|grp\.h|termios\.h|semaphore\.h|mqueue\.h|"
                    r"(linux|arpa|netinet|asm)/.*|sys/(?!types\.h$|queue\.h$).*)$")
GENERATED = re.compile(r"/(version|config)\.h$")  # made by the build
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def floor(path):
    return next(number for pattern, number in FLOORS if re.match(pattern, path))


def sources(top):
    """The C files of the project, by their path from its top."""
    for folder in FOLDERS:
        for where, folders, files in os.walk(os.path.join(top, folder)):
            folders[:] = sorted(f for f in folders if not f.startswith((".", "__")))
            for name in sorted(files):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(where, name), top)


def blank(text):
    """The text without comments, strings and character constants, every newline in its place."""
    def keep_newlines(match):
        return "\n" * match.group().count("\n") or " "
    pattern = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, keep_newlines, text, flags=re.DOTALL)


def without_directives(text):
    def keep_newlines(match):
        return "\n" * match.group().count("\n")
    return re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", keep_newlines, text, flags=re.MULTILINE)


def functions(text):
    """Triples of first line, name and number of lines of every function in a C file."""
    code = without_directives(blank(text))
    depth, start, found = 0, 0, []
    head = None
    for match in re.finditer(r"[{};]", code):
        at, mark = match.start(), match.group()
        if mark == "{":
            if depth == 0:
                before = code[start:at]
                named = re.search(r"(\w+)\s*\([^;{}]*\)\s*(?:__attribute__\s*\(\(.*?\)\)\s*)?$", before, re.DOTALL)
                head = (start + len(before) - len(before.lstrip()), named.group(1)) if named else None
            depth += 1
        elif mark == "}":
            depth -= 1
            if depth == 0:
                if head:
                    first = code.count("\n", 0, head[0]) + 1
                    found.append((first, head[1], code.count("\n", 0, at) + 1 - first + 1))
                head, start = None, at + 1
        elif depth == 0:
            start = at + 1
    return found


class House:
    def __init__(self, top):
        self.top = top
        self.files = {}
        for path in sources(top):
            with open(os.path.join(top, path), encoding="utf-8") as file:
                self.files[path] = file.read()
        self.wrong = []

    def say(self, path, line, what):
        self.wrong.append(f"{path}:{line}: {what}")

    def includes(self, path):
        """Triples of line, project file or None, and name, for each include of a file."""
        for number, line in enumerate(self.files[path].splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                own = match.group(1)
                yield number, own, own or match.group(2)

    def check_includes(self, path):
        part = path.split("/")[0]
        for line, own, name in self.includes(path):
            if path.startswith("daemon/core/") and IMPURE.match(name):
                self.say(path, line, f"the core is pure and can't include {name}")
            if own is None:
                continue
            other = own.split("/")[0]
            if own not in self.files and (other not in PARTS or not GENERATED.search(own)):
                self.say(path, line, f"there is no {own} (paths are from the project's top)")
                continue
            if other not in PARTS[part]:
                self.say(path, line, f"{part} never includes {other}")
            elif floor(own) > floor(path):
                self.say(path, line, f"floor {floor(path)} includes {own} of floor {floor(own)}")

    def reaches(self, path, seen):
        """The system headers that a file gets by way of the project's own."""
        for _, own, name in self.includes(path):
            if own is None:
                yield name
            elif own in self.files and own not in seen:
                seen.add(own)
                yield from self.reaches(own, seen)

    def check_core(self, path):
        for name in sorted(set(self.reaches(path, set())) & {"ev.h", "jansson.h", "sqlite3.h"}):
            self.say(path, 1, f"the core is pure and can't get at {name}, by no way")

    def check_lengths(self, path):
        lines = self.files[path].count("\n")
        if lines >= FILE_LINES:
            self.say(path, lines, f"{lines} lines; a file has fewer than {FILE_LINES}")
        if path.endswith((".c", ".h")):
            for first, name, count in functions(self.files[path]):
                if count >= FUNCTION_LINES:
                    self.say(path, first, f"{name} has {count} lines; a function has fewer than {FUNCTION_LINES}")

    def check(self):
        for path in self.files:
            self.check_includes(path)
            self.check_lengths(path)
            if path.startswith("daemon/core/"):
                self.check_core(path)
        return self.wrong


def main():
    top = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    house = House(top)
    if not any(path.startswith("daemon/") for path in house.files):
        print(f"floors: no sources under {top}", file=sys.stderr)
        return 2
    wrong = house.check()
    print("\n".join(wrong) if wrong else "floors: ok")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
