"""peers: other programs that do such work, each measured where it is installed. Skip says why one is not."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

from rig import Skip, measure

TRUE = "/bin/true"


def find(program, package):
    path = shutil.which(program)
    if not path:
        raise Skip(f"not installed ({package})")
    return path


def tornado_python():
    """The Python that has Tornado: Debian's, since the package installs it there."""
    python = "/usr/bin/python3"
    if not os.access(python, os.X_OK):
        raise Skip(f"no {python}")
    if subprocess.run([python, "-c", "import tornado"], capture_output=True, check=False).returncode != 0:
        raise Skip("not installed (python3-tornado)")
    return python


def systemd_run(runmany, count):
    program = find("systemd-run", "systemd")
    if not os.path.isdir("/run/systemd/system"):
        raise Skip("no systemd runs here")
    scope = [] if os.geteuid() == 0 else ["--user"]
    argv = [runmany, count, program, *scope, "--wait", "--quiet", TRUE]
    return measure(argv, env=dict(os.environ))["median_us"]


def task_spooler(runmany, count):
    """task-spooler: tsp -n -f /bin/true, one after another"""
    program = find("tsp", "task-spooler")
    with tempfile.TemporaryDirectory() as directory:
        env = dict(os.environ, TS_SOCKET=os.path.join(directory, "socket"), TMPDIR=directory)
        run = {"env": env, "stdout": subprocess.DEVNULL, "check": True}
        subprocess.run([program, "-S", "1"], **run)
        try:
            return measure([runmany, count, program, "-n", "-f", TRUE], env=env)["median_us"]
        finally:
            subprocess.run([program, "-K"], **run)


def nq(runmany, count):
    """nq: nq /bin/true, one after another, then nq -w: a job's share"""
    program = find("nq", "nq")
    with tempfile.TemporaryDirectory() as directory:
        env = dict(os.environ, NQDIR=directory)
        start = time.monotonic()
        measure([runmany, count, program, "-q", TRUE], env=env)
        subprocess.run([program, "-w"], env=env, check=True)
        return (time.monotonic() - start) / count * 1e6


class Child:
    """A peer that runs for a while; `pid` is None and `why` says the reason where it is not there."""

    pid = why = process = None

    def start(self, argv, **options):
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **options)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            with self.process:
                self.process.terminate()


class Ticker(Child):
    """A process that wakes once a second: what a count of wake-ups has to see."""

    def __init__(self):
        self.start([sys.executable, "-c", "import time\nprint(flush=True)\nwhile True: time.sleep(1)"],
                   stdout=subprocess.PIPE)
        self.process.stdout.readline()


class Supervisor(Child):
    """supervisord with no program to run."""

    def __init__(self):
        program = find("supervisord", "supervisor")
        self.directory = tempfile.TemporaryDirectory()
        config = os.path.join(self.directory.name, "supervisord.conf")
        pidfile = os.path.join(self.directory.name, "pid")
        with open(config, "w", encoding="utf-8") as out:
            out.write(f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n"
                      f"pidfile={pidfile}\n")
        self.start([program, "-n", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10.0
        while not os.path.exists(pidfile):
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise Skip("supervisord does not start")
            time.sleep(0.01)

    def __exit__(self, *_):
        super().__exit__()
        self.directory.cleanup()


def optional(kind):
    """A peer of this kind, or one that is not there and says why."""
    try:
        return kind()
    except Skip as skipped:
        child = Child()
        child.why = str(skipped)
        return child
