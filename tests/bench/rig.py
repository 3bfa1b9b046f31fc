"""rig: a private daemon to measure, a connection to it, and where the programs of the benchmark are."""

import itertools
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

DESCRIPTORS = 20000
ANSWER_SECONDS = 120.0


class Skip(Exception):
    """A measurement that can't be made here, and why."""


class Failed(Exception):
    """A measurement that went wrong: what was seen instead."""


class Refused(Failed):
    """An error answered by the daemon."""


class Tools:
    """The programs under test and those of the benchmark, by name."""

    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.supd = self.find("daemon/supd")
        self.supctl = self.find("client/supctl")
        for name in ("tiny", "sleeper", "flood", "limit", "limit_capture", "client", "crowd", "runmany"):
            setattr(self, name, self.find(f"tests/bench/{name}"))

    def find(self, path):
        full = os.path.join(self.build, path)
        if not os.access(full, os.X_OK):
            raise SystemExit(f"bench: {full}: is not built (a build with sanitizers has no benchmark)")
        return full


def job_env():
    """The environment that supd gives a job, so that a limit starts the same program with the same."""
    home = os.path.expanduser("~")
    user = os.environ.get("USER", "root")
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home,
            "USER": user, "LOGNAME": user, "SHELL": "/bin/sh", "LANG": "C.UTF-8", "SUPD_JOB_ID": "1"}


def measure(argv, env=None, timeout=300.0):
    """Runs a program of the benchmark to its end; the line of JSON it printed, as a dict."""
    argv = [str(a) for a in argv]
    done = subprocess.run(argv, env=env or job_env(), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise Failed(f"{os.path.basename(argv[0])}: {done.stderr.strip()[-400:] or done.returncode}")
    return json.loads(done.stdout)


def scratch_dir():
    """A new directory in memory where there is some, so that no disk is measured."""
    shm = "/dev/shm"
    with open("/proc/mounts", encoding="utf-8") as mounts:
        tmpfs = any(line.split()[1:3] == [shm, "tmpfs"] for line in mounts)
    return tempfile.mkdtemp(prefix="supd-bench-", dir=shm if tmpfs and os.access(shm, os.W_OK) else "/tmp")


class Rpc:
    """One connection, requests by method and params."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(ANSWER_SECONDS)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.lines = self.socket.makefile("rb")
        self.ids = itertools.count(1)

    def send(self, method, params):
        number = next(self.ids)
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        return number

    def receive(self):
        """The next answer, whole."""
        line = self.lines.readline()
        if not line:
            raise Failed("the daemon closed the connection")
        return json.loads(line)

    def call(self, method, **params):
        number = self.send(method, params)
        answer = self.receive()
        if answer["id"] != number:
            raise Failed(f"an answer to {answer['id']} instead of {number}")
        return result_of(answer)

    def pipeline(self, method, params, window):
        """Results of one method for each of `params` (an iterator), as they come, `window` at once.

        After a refusal nothing more is sent, what is on its way is still yielded, then the refusal is raised.
        """
        params = iter(params)
        waiting = 0
        refusal = None
        for each in itertools.islice(params, window):
            self.send(method, each)
            waiting += 1
        while waiting:
            answer = self.receive()
            waiting -= 1
            if "error" in answer:
                refusal = refusal or answer
                continue
            yield result_of(answer)
            for each in itertools.islice(params, 0 if refusal else 1):
                self.send(method, each)
                waiting += 1
        if refusal:
            result_of(refusal)

    def close(self):
        self.lines.close()
        self.socket.close()


def result_of(answer):
    if "error" in answer:
        raise Refused(f"the daemon answered {json.dumps(answer['error'])[:300]}")
    return answer["result"]


class Daemon:
    """A supd of its own in a directory of its own. A context manager: leaving ends it and its jobs."""

    def __init__(self, tools, settings=(), descriptors=None):
        self.tools, self.settings, self.descriptors = tools, list(settings), descriptors
        self.dir = scratch_dir()
        self.socket = os.path.join(self.dir, "run", "socket")
        self.quiet = []  # pids of the quiet jobs started
        self.process = self.rpc = self.info = None
        self.refusal = None  # why start_quiet ended early

    def __enter__(self):
        try:
            self.exec()
            self.connect()
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        if self.rpc:
            self.rpc.close()
        if self.process:
            self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def exec(self):
        for part in ("run", "state"):
            os.makedirs(os.path.join(self.dir, part), 0o700, exist_ok=True)
        # A configuration of its own: the user's would change what is measured.
        config = os.path.join(self.dir, "supd.json")
        with open(config, "w", encoding="utf-8") as out:
            out.write("{}\n")
        os.chmod(config, 0o644)
        argv = [self.tools.supd, "--user", "--socket", self.socket, "--config", config]
        argv += ["--state-dir", os.path.join(self.dir, "state")]
        argv += ["--runtime-dir", os.path.join(self.dir, "run")]
        for setting in self.settings:
            argv += ["--set", setting]
        self.log = os.path.join(self.dir, "log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=self.limit_descriptors if self.descriptors else None)

    def limit_descriptors(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

    def connect(self):
        """Connects as soon as the socket takes it; the daemon's first answer is kept in `info`."""
        deadline = time.monotonic() + 10.0
        while self.rpc is None:
            try:
                self.rpc = Rpc(self.socket)
            except OSError as error:
                if self.process.poll() is not None:
                    raise Failed(f"supd left with {self.process.returncode}: {self.said()}") from error
                if time.monotonic() > deadline:
                    raise Failed(f"supd does not listen after 10 s: {self.said()}") from error
                time.sleep(0.0002)
        self.info = self.rpc.call("daemon.info")

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return " / ".join(log.read().strip().splitlines()[-3:]) or "it said nothing"

    def start_quiet(self, specs, refusable=False):
        """Starts a quiet job for each spec, a few at once; their records. `refusable`: may end early."""
        jobs = []
        params = ({"argv": [self.tools.sleeper], **spec} for spec in specs)
        try:
            for result in self.rpc.pipeline("job.start", params, 4):
                job = result["job"]
                self.quiet.append(job["pid"])
                if job["state"] != "running":
                    raise Failed(f"a quiet job is {job['state']}: {json.dumps(job['result'])[:300]}")
                jobs.append(job)
        except Refused as refused:
            if not refusable:
                raise
            self.refusal = str(refused)
        return jobs

    def tree(self):
        """Pids of supd's own processes: the one started, and those below it that run the same program."""
        top, *below = descendants(self.process.pid)
        return [top, *(pid for pid in below if runs(pid, self.tools.supd))]

    def worker(self):
        """The pid of the event loop."""
        return self.tree()[1]

    def rest(self):
        """Waits until the store has nothing more to do."""
        deadline = time.monotonic() + 30.0
        while not self.rpc.call("daemon.stats")["history"]["safe"]:
            if time.monotonic() > deadline:
                raise Failed("the store does not come to rest")
            time.sleep(0.05)

    def restart(self, meanwhile):
        """Ends the daemon and starts another on the same directories; meanwhile(state directory) in between."""
        self.rpc.close()
        self.rpc = None
        self.stop()
        meanwhile(os.path.join(self.dir, "state"))
        self.exec()
        self.connect()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in self.quiet:
            # Only what a daemon that failed left behind is still the sleeper of this build.
            if pid and runs(pid, self.tools.sleeper):
                os.kill(pid, signal.SIGKILL)


def runs(pid, program):
    try:
        return os.path.samefile(f"/proc/{pid}/exe", program)
    except OSError:
        return False


def descendants(root):
    """The process and all below it, by the parents in /proc."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                    parent = int(stat.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found
