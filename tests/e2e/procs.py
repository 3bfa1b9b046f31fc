"""What the kernel says about processes, from /proc, and waiting for them to be gone."""

import contextlib
import ctypes
import os
import re
import select
import signal
import time

PR_SET_CHILD_SUBREAPER = 36
GUARD = 30.0  # seconds; a guard against a hang, never a measure


def become_subreaper():
    """What the daemon leaves behind becomes this process's child, so that it can be found."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def files(pid):
    """What a process has open, by descriptor."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found[name] = os.readlink(f"/proc/{pid}/fd/{name}")
    return found


def descriptors(pid):
    """Those that a process has open, but for those of cgroups: the daemon holds the files of some open for the next jobs."""
    return [name for name, file in files(pid).items() if not re.search(r"/supd-[^/]+/j\d+\b", file)]


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def stat(pid):
    """The fields of /proc/PID/stat after the name: state, ppid, pgrp, session…; None for no such process."""
    text = read(pid, "stat")
    return text[text.rindex(b")") + 2:].split() if text else None


def parent(pid):
    fields = stat(pid)
    return int(fields[1]) if fields else None


def alive(pid):
    """Runs; a zombie doesn't."""
    fields = stat(pid)
    return fields is not None and fields[0] not in (b"Z", b"X")


def ended(pid):
    """Gone with all its threads, and so with what it had open: the first thread may be a zombie before the others are."""
    try:
        return not alive(pid) and len(os.listdir(f"/proc/{pid}/task")) <= 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def sleeps_in(pid, numbers):
    """The process's first thread sleeps in one of these system calls, given by machine."""
    text = read(pid, "syscall")
    return text is not None and text.split()[0] in numbers[os.uname().machine]


def in_epoll_wait(pid):
    # epoll_wait, epoll_pwait, epoll_pwait2
    return sleeps_in(pid, {"x86_64": (b"232", b"281", b"441"), "aarch64": (b"22", b"441")})


def in_select(pid):
    # select, pselect6
    return sleeps_in(pid, {"x86_64": (b"23", b"270"), "aarch64": (b"72",)})


def in_open(pid):
    # open, openat, openat2
    return sleeps_in(pid, {"x86_64": (b"2", b"257", b"437"), "aarch64": (b"56", b"437")})


def command(pid):
    text = read(pid, "cmdline")
    return text.rstrip(b"\0").split(b"\0") if text else []


def name(pid):
    text = read(pid, "comm")
    return text.decode(errors="replace").strip() if text else None


def executable(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


def with_argument(token):
    """Live processes one of whose arguments is `token`."""
    token = token.encode()
    return [pid for pid in pids() if token in command(pid) and alive(pid)]


def of_executable(path):
    path = os.path.realpath(path)
    return [pid for pid in pids() if executable(pid) == path and alive(pid)]


def children(pid):
    return [p for p in pids() if parent(p) == pid]


def descendants(pid):
    """The children of the process, and theirs."""
    parents = {p: parent(p) for p in pids()}
    found, more = set(), {pid}
    while more:
        more = {p for p, above in parents.items() if above in more}
        found |= more
    return found


def cpu_seconds(pid):
    """User and system time of all threads of the process."""
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def switches(pid):
    """Context switches of each thread of the process, voluntary and not."""
    counts = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        for line in (read(pid, f"task/{tid}/status") or b"").splitlines():
            if b"ctxt_switches" in line:
                counts[tid] = counts.get(tid, 0) + int(line.split()[1])
    return counts


def status_bytes(pid, field):
    for line in (read(pid, "status") or b"").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no process {pid}")


def resident_bytes(pid):
    return status_bytes(pid, b"VmRSS:")


def peak_bytes(pid):
    return status_bytes(pid, b"VmHWM:")


def wait_gone(pid, seconds=GUARD):
    """Until the process, no child of this one, has ended. True when it has."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        return bool(poller.poll(seconds * 1000)) or not alive(pid)
    finally:
        os.close(fd)


def kill(pid, sig=signal.SIGKILL):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


def reap_orphans(seconds=GUARD):
    """Waits for whatever was left to this process. Returns those that live on, and ends them."""
    until = time.monotonic() + seconds
    for pid in children(os.getpid()):
        wait_gone(pid, max(0.0, until - time.monotonic()))
    left = [(pid, command(pid)) for pid in children(os.getpid()) if alive(pid)]
    for pid, _ in left:
        kill(pid)
        wait_gone(pid)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    return left


def eventually(holds, what, seconds=GUARD):
    """Asks again and again until `holds()` is true; for what no event tells. Returns what it returned."""
    until = time.monotonic() + seconds
    while True:
        value = holds()
        if value:
            return value
        assert time.monotonic() < until, f"after {seconds} s still not: {what}"
        select.select([], [], [], 0.02)
