"""A job has nothing of what the machine's daemon was started with, however odd that was: it has what it has under another."""

import ctypes
import fcntl
import itertools
import os
import pty
import resource
import shutil
import signal
import struct
import termios

import procs
from harness import ANN, CHILD, SystemDaemon, acting_as, text

SETS = "any"
HEIR = os.path.join(os.path.dirname(CHILD), "heir")
NUMBERS = {"x86_64": {"add_key": 248, "keyctl": 250, "ioprio_set": 251, "capset": 126, "set_mempolicy": 238},
           "aarch64": {"add_key": 217, "keyctl": 219, "ioprio_set": 30, "capset": 91, "set_mempolicy": 237}}
SYS_NICE, SYS_RESOURCE, SYS_TIME = 23, 24, 25
KEY = "of-the-daemon"
ODD_LIMITS = {"RLIMIT_NOFILE": (3000, 4000), "RLIMIT_CORE": (4096, 8192), "RLIMIT_STACK": (4 << 20, 5 << 20),
              "RLIMIT_NPROC": (9000, 9001), "RLIMIT_FSIZE": (1 << 40, 1 << 41), "RLIMIT_MEMLOCK": (1 << 20, 2 << 20),
              "RLIMIT_NICE": (5, 30), "RLIMIT_RTPRIO": (7, 8), "RLIMIT_SIGPENDING": (777, 778),
              "RLIMIT_MSGQUEUE": (1000, 1001), "RLIMIT_CPU": (100_000, 100_001)}


def status_bits(pid, name):
    text = procs.read(pid, "status").decode()
    return next(int(line.split()[1], 16) for line in text.splitlines() if line.startswith(name + ":"))


class Daemon(SystemDaemon):
    """Started as usual."""

    def heir(self):
        """The program that tells, where everybody may execute it."""
        path = os.path.join(self.directory, "heir")
        shutil.copy(HEIR, path)
        os.chmod(path, 0o755)
        return path

    def inheritances(self):
        """What a job of root's has, one of a user's, and that user's of root."""
        path, root, ann = self.heir(), self.client(), self.client_of(ANN)
        jobs = [root.run([path, KEY]), ann.run([path, KEY]), root.run([path, KEY], user=ANN)]
        assert [job["result"]["exit_code"] for job in jobs] == [0, 0, 0], jobs
        return [[line for line in text(job).splitlines() if "SUPD_JOB_ID" not in line] for job in jobs]


class OddDaemon(Daemon):
    """Started with all that a process can inherit other than it should be."""

    def __init__(self, *options):
        super().__init__(options, environment=dict(os.environ, SECRET="of the daemon", HOME="/nowhere", LD_BIND_NOW="1"))
        self.pipe = os.pipe()
        self.terminal = pty.openpty()
        self.may_raise = bool(status_bits(os.getpid(), "CapEff") & 1 << SYS_RESOURCE)  # some containers take it from root

    def spawn(self, **more):
        return super().spawn(pass_fds=(*self.pipe, *self.terminal), **more)

    def remove(self):
        super().remove()
        for fd in (*self.pipe, *self.terminal):
            os.close(fd)
        self.pipe = self.terminal = ()

    def limit(self):
        """In the child, just before it becomes supd."""
        os.umask(0)
        os.setsid()
        fcntl.ioctl(self.terminal[1], termios.TIOCSCTTY, 0)
        os.setgroups([0, 4242, 4243])
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("-321" if self.may_raise else "321")
        for name, (soft, hard) in ODD_LIMITS.items():
            most = resource.getrlimit(getattr(resource, name))[1]
            most = hard if self.may_raise else most  # what was lowered there nobody gets back
            resource.setrlimit(getattr(resource, name), (soft if most == resource.RLIM_INFINITY else min(soft, most), most))
        self.raise_up()
        for number in set(range(1, 65)) - {signal.SIGKILL, signal.SIGSTOP, 32, 33}:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, set(signal.valid_signals()))

    def raise_up(self):
        libc, numbers = ctypes.CDLL(None, use_errno=True), NUMBERS[os.uname().machine]
        def done(result):
            if result < 0:
                raise OSError(ctypes.get_errno(), "in the child")
        done(libc.syscall(numbers["keyctl"], 1, None))  # KEYCTL_JOIN_SESSION_KEYRING
        done(libc.syscall(numbers["add_key"], b"user", KEY.encode(), b"secret", 6, -3))
        done(libc.prctl(24, SYS_TIME, 0, 0, 0))  # PR_CAPBSET_DROP
        low, high = divmod(status_bits(os.getpid(), "CapPrm") & ~(1 << SYS_TIME), 1 << 32)[::-1]
        done(libc.syscall(numbers["capset"], struct.pack("=II", 0x20080522, 0),
                          struct.pack("=6I", low, low, 1 << SYS_NICE, high, high, 0)))
        done(libc.prctl(47, 2, SYS_NICE, 0, 0))  # PR_CAP_AMBIENT_RAISE
        done(libc.prctl(28, 1 << 2, 0, 0, 0))  # PR_SET_SECUREBITS: SECBIT_NO_SETUID_FIXUP
        done(libc.syscall(numbers["ioprio_set"], 1, 0, 1 << 13 | 3))
        done(libc.personality(0x0040000))  # ADDR_NO_RANDOMIZE
        done(libc.prctl(41, 1, 0, 0, 0))  # PR_SET_THP_DISABLE
        done(libc.prctl(29, 777_777, 0, 0, 0))  # PR_SET_TIMERSLACK
        libc.syscall(numbers["set_mempolicy"], 3, ctypes.byref(ctypes.c_ulong(1)), 64)  # MPOL_INTERLEAVE; some kernels have none
        with open("/proc/self/coredump_filter", "w", encoding="ascii") as file:
            file.write("0x7f")
        os.setpriority(os.PRIO_PROCESS, 0, -7)  # whatever these tests have
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))

    def assert_odd(self):
        """So that the test says something."""
        assert b"Groups:\t0 4242 4243" in procs.read(self.worker, "status"), procs.read(self.worker, "status")
        assert status_bits(self.worker, "CapAmb") == 1 << SYS_NICE
        assert not status_bits(self.worker, "CapBnd") & 1 << SYS_TIME
        assert os.sched_getscheduler(self.worker) == os.SCHED_RR and os.getpriority(os.PRIO_PROCESS, self.worker) == -7
        assert resource.prlimit(self.worker, resource.RLIMIT_FSIZE)[0] == 1 << 40
        assert procs.read(self.worker, "oom_score_adj").strip().lstrip(b"-") == b"321"
        assert b"SECRET=of the daemon" in procs.read(self.pid, "environ")
        assert int(procs.read(self.pid, "personality"), 16) == 0x0040000
        assert int(procs.read(self.pid, "coredump_filter"), 16) == 0x7f


def bounded(lines, bounding):
    """What no process gets back, a job neither: capabilities that are not in the bounding set."""
    changed = []
    for line in lines:
        name, _, value = line.partition(":\t")
        if name in ("CapPrm", "CapEff", "CapBnd"):
            line = f"{name}:\t{int(value, 16) & bounding:016x}"
        changed.append(line)
    return changed


def test_nothing_of_it_reaches_a_job():
    with Daemon() as daemon:
        usual = daemon.inheritances()
    for way, tree in itertools.product(("fast", "plain"), ("auto", "reaper")):
        with OddDaemon("--set", f"spawn={way}", "--set", f"tree={tree}") as daemon:
            daemon.assert_odd()
            bounding = status_bits(daemon.worker, "CapBnd")
            for got, expected in zip(daemon.inheritances(), usual, strict=True):
                expected = bounded(expected, bounding)
                assert got == expected, (way, tree, [pair for pair in zip(got, expected) if pair[0] != pair[1]], got)
            daemon.kill_worker()
            assert daemon.inheritances()[1] == bounded(usual[1], bounding), (way, tree)


def test_what_a_job_has():
    with Daemon() as daemon:
        root, ann, named = ([line.split(":", 1) for line in lines] for lines in daemon.inheritances())
    assert ann == named, (ann, named)
    with acting_as(ANN) as record:
        groups = os.getgroups()
    for lines, groups, uid in ((root, None, 0), (ann, groups, record.pw_uid)):
        told = {name: value.split() for name, value in lines}
        assert told["Uid"] == [str(uid)] * 4, told
        assert groups is None or sorted(map(int, told["Groups"])) == sorted(groups), told
        assert [told[name] for name in ("umask", "terminal", "session", "oom_score_adj", "nice", "policy", "securebits")] == [
            ["022"], ["none"], ["its", "own"], ["0"], ["0"], ["0"], ["0"]], told
        assert [value for name, value in lines if name == "descriptor"] == [" 0", " 1", " 2"], lines
        for name in ("CapInh", "CapAmb", "SigBlk", "SigIgn", "SigCgt", "ShdPnd", "SigPnd"):
            assert int(told[name][0], 16) == 0, (name, told)
        assert int(told["CapEff"][0], 16) == 0 or uid == 0, told
        assert told["key"] == ["none"] and told["session keyring"] == ["to", "be", "used"], told
    assert {value.split("=")[0].strip() for name, value in ann if name == "variable"} == {
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG"}


def test_a_place_in_the_queues_is_what_the_user_may_have():
    with Daemon() as daemon:
        root, ann = daemon.client(), daemon.client_of(ANN)
        for nice in (-1, -20):
            job = ann.run(["true"], nice=nice)
            assert job["result"]["reason"] == "spawn_failed", job["result"]
            assert (job["result"]["error"]["stage"], job["result"]["error"]["errno"]) == ("limits", "EACCES"), job["result"]
        assert text(ann.run(["nice"], nice=5)) == "5\n" and text(root.run(["nice"], nice=-5)) == "-5\n"
