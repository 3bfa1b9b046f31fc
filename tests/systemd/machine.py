"""A Debian with a real systemd: booted by systemd-nspawn from a tree of packages, or the one that this runs in."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

PACKAGES = "systemd,systemd-sysv,dbus,libpam-systemd,libev4,libjansson4,libsqlite3-0"
PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
GUARD = 120.0  # seconds; against a hang


class Unavailable(Exception):
    """There can be no such machine here, and why."""


def needed(*programs):
    if os.geteuid() != 0:
        raise Unavailable("needs root")
    for program in programs:
        if not shutil.which(program):
            raise Unavailable(f"{program} is not installed")


def make_tree(tree, suite, packages):
    done = subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", suite, tree],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Unavailable("mmdebstrap: " + " ".join(done.stderr.strip().splitlines()[-1:]))


def install(build, tree):
    subprocess.run(["meson", "install", "-C", build, "--quiet", "--no-rebuild", "--destdir", tree], check=True)


class Machine:
    """The one that this runs in."""

    def words(self, command, user=None):
        """What runs the command in the machine, as root or that user."""
        inside = ["env", "-i", PATH, "HOME=/root"]
        if user:
            inside = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "env", "-i", PATH,
                      "HOME=/home/user", f"XDG_RUNTIME_DIR=/run/user/{user}",
                      f"DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{user}/bus"]
        return [*inside, *command]

    def run(self, *command, check=True, user=None):
        done = subprocess.run(self.words(command, user), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=GUARD)
        assert not check or done.returncode == 0, (command, done.returncode, done.stdout, done.stderr)
        return done

    def start(self, *command, user=None):
        return subprocess.Popen(self.words(command, user), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def eventually(self, holds, what):
        until = time.monotonic() + GUARD
        while not holds():
            assert time.monotonic() < until, f"still not: {what}\n{self.journal()}"
            time.sleep(0.05)

    def knows_ends(self):
        """Whether the kernel tells who is no parent how a process ended (Linux 6.15): of a job that ran over a restart."""
        major, minor = re.match(r"(\d+)\.(\d+)", os.uname().release).groups()
        return (int(major), int(minor)) >= (6, 15)

    def after_restart(self, code):
        """supctl's exit code for such a job."""
        return code if self.knows_ends() else 125

    def journal(self):
        return self.run("journalctl", "-b", "-u", "supd", "--no-pager", "-o", "cat", check=False).stdout[-4000:]

    def main_pid(self):
        return int(self.run("systemctl", "show", "-p", "MainPID", "--value", "supd").stdout)

    def worker(self):
        main = self.main_pid()
        if main == 0:
            return None
        pids = self.run("sh", "-c", f"cat /proc/{main}/task/{main}/children", check=False).stdout.split()
        for pid in pids:
            name = self.run("cat", f"/proc/{pid}/comm", check=False).stdout.strip()
            if name == "supd-worker":
                return int(pid)
        return None

    def remove(self):
        pass


class Booted(Machine):
    """One by systemd-nspawn: of this kernel, its cgroups and their controllers."""

    def __init__(self, build):
        needed("systemd-nspawn", "mmdebstrap", "nsenter")
        self.build = build
        self.directory = tempfile.mkdtemp(prefix="supd-machine-")
        self.tree = os.path.join(self.directory, "tree")
        self.process = self.init = None
        try:
            make_tree(self.tree, "bookworm", PACKAGES)
        except Unavailable:
            self.remove()
            raise
        install(build, self.tree)

    def uninstall(self):
        subprocess.run(["ninja", "-C", self.build, "uninstall"], check=True, capture_output=True)

    def boot(self):
        log = open(os.path.join(self.directory, "console"), "wb")
        self.process = subprocess.Popen(["systemd-nspawn", "-q", "--register=no", "--keep-unit", "-D", self.tree, "-b"],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + GUARD
        while time.monotonic() < until and self.process.poll() is None:
            self.init = self.init or self.child()
            if self.init and self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running",
                                                                                                      "degraded"):
                return
            time.sleep(0.1)
        with open(log.name, encoding="utf-8", errors="replace") as file:
            said = file.read()[-300:]
        self.remove()
        raise Unavailable(f"systemd does not boot here: {said!r}")

    def child(self):
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(path, encoding="utf-8") as file:
            pids = file.read().split()
        return int(pids[0]) if pids else None

    def words(self, command, user=None):
        return ["nsenter", "-t", str(self.init), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w",
                *super().words(command, user)]

    def remove(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
