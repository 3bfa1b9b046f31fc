"""The program that tries what a user without privileges may try, for tests with several users."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess

import procs
from harness import CHILD, acting_as

INTRUDER = os.path.join(os.path.dirname(CHILD), "intruder")


def install(daemon):
    """A copy that everybody may execute and that nobody else's processes are of. Returns its path."""
    path = os.path.join(daemon.directory, "intruder")
    shutil.copy(INTRUDER, path)
    os.chmod(path, 0o755)
    return path


def intruding(path, user, *words):
    """Run by that user outside of any job: what it tried, and how that ended."""
    with acting_as(user) as record:
        groups = os.getgroups()
    done = subprocess.run([path, *map(str, words)], stdout=subprocess.PIPE, text=True, check=True, cwd="/",
                          user=record.pw_uid, group=record.pw_gid, extra_groups=groups)
    return outcomes(done.stdout)


@contextlib.contextmanager
def assailing(path, user, how, pid, until=b"held\n"):
    """That user's process attacks another one from outside of any job, until this is left. Begins once it has said `until`."""
    record = pwd.getpwnam(user)
    process = subprocess.Popen([path, "assail-from-outside", how, str(pid)], stdout=subprocess.PIPE, cwd="/",
                               user=record.pw_uid, group=record.pw_gid, extra_groups=[])
    try:
        while process.stdout.readline() not in (until, b""):  # it has begun, or was quick
            pass
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def outcomes(text):
    return dict(line.split() for line in text.splitlines() if " " in line)


def processes(path):
    """All that run that program, in whatever namespace."""
    return procs.of_executable(path)


def exterminate(path):
    """After a failure: stopped first, as whoever is killed makes room for others."""
    for _ in range(100):
        running = [pid for pid in processes(path) if (procs.stat(pid) or [b"Z"])[0] not in (b"T", b"t")]
        for pid in running:
            procs.kill(pid, signal.SIGSTOP)
        if not running:
            break
    for pid in sorted(processes(path), reverse=True):
        procs.kill(pid)


def refuse(user, *tried):
    """Nothing of it worked."""
    assert tried and all(outcome in ("EPERM", "EACCES") for outcome in tried), (user, tried)
