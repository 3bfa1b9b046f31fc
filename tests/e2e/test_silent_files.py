"""Descriptors of a user's own file system whose server never says that they may be closed: nobody else waits for it."""

import functools
import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import threading

import procs
from harness import ANN, BOB, Skip, SystemDaemon, assert_reason, text

SETS = "any"
FUSE = os.makedev(10, 229)  # devices.txt
EACH = 16  # closes of a user under way: CLOSER_EACH


def install(daemon):
    """The command that ANN may run, the device, and where it is to be mounted."""
    user, place, device = pwd.getpwnam(ANN), os.path.join(daemon.directory, "silent"), os.path.join(daemon.directory, "fuse")
    os.mkdir(place)
    os.chown(place, user.pw_uid, user.pw_gid)
    script = shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), "silent_files.py"), daemon.directory)
    os.chmod(script, 0o644)
    try:
        os.mknod(device, stat.S_IFCHR | 0o600, FUSE)
        os.chmod(device, 0o666)  # as udev has it
    except OSError as error:
        raise Skip(f"no device of FUSE: {error}") from error
    return [shutil.which("python3", path="/usr/bin") or sys.executable, "-B", script], device, place


class Silent:
    def __init__(self, daemon, for_all=False, overlay=False):
        user = pwd.getpwnam(ANN)
        program, self.device, place = install(daemon)
        command = [*program, daemon.socket, self.device, place] + (["overlay"] if overlay else [])
        whose = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.mounted = place if for_all else None
        if for_all:
            command, whose = command + [str(user.pw_uid)], {}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, **whose)
        self.daemon, self.flushes, self.trouble = daemon, 0, ""
        threading.Thread(target=self.count, daemon=True).start()
        if self.process.stdout.readline() != "ready\n":
            self.process.wait()
            raise Skip(f"no file system of a user's own: {self.trouble[-200:]}")

    def count(self):
        for line in self.process.stderr:
            if line == "flush\n":
                self.flushes += 1
            else:
                self.trouble += line

    def ask(self, method, **params):
        """With a descriptor of its file beside. The answer."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def begin(self):
        """A line that does not end yet, with a descriptor: the daemon has it when this comes back."""
        self.process.stdin.write("{...\n")
        self.process.stdin.flush()
        procs.eventually(self.is_held, "the daemon has it")

    def is_held(self):
        return any(file.endswith("/file") for file in procs.files(self.daemon.worker).values())

    def let_go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def hang(self, count):
        procs.eventually(lambda: self.flushes == count, f"{count} closes wait")

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        if self.mounted:
            subprocess.run(["umount", "--lazy", self.mounted], check=True)


def silent_test(function, **how):
    def test():
        with SystemDaemon() as daemon:
            silent = Silent(daemon, **how)
            try:
                function(daemon, silent, daemon.client_of(BOB))
            finally:
                silent.end()
    test.__name__ = function.__name__
    test.__doc__ = function.__doc__
    test.__module__ = function.__module__
    return test


@silent_test
def test_others_are_served(daemon, silent, bob):
    assert "result" in silent.ask("daemon.info")
    silent.hang(1)
    assert text(bob.run(["echo", "served"])) == "served\n"
    procs.eventually(lambda: procs.in_epoll_wait(daemon.worker), "the loop is at rest")


@silent_test
def test_worker_can_be_killed(daemon, silent, bob):
    silent.ask("daemon.info")
    silent.hang(1)
    daemon.kill_worker()
    with daemon.client_of(BOB) as again:
        assert text(again.run(["echo", "served"])) == "served\n"


@silent_test
def test_worker_can_be_killed_with_one_at_hand(daemon, silent, bob):
    """Nobody had begun to close it."""
    silent.begin()
    daemon.kill_worker()
    with daemon.client_of(BOB) as again:
        assert text(again.run(["echo", "served"])) == "served\n"
    silent.hang(1)


@silent_test
def test_another_program_can_go_on_with_one_at_hand(daemon, silent, bob):
    """The keeper's exec closes nothing that hangs."""
    silent.begin()
    before = daemon.worker
    daemon.client().call("daemon.reexec")
    procs.eventually(lambda: daemon.worker not in (None, before), "another worker is there")
    with daemon.client_of(BOB) as again:
        assert text(again.run(["echo", "served"])) == "served\n"
    silent.hang(1)


def assert_no_job_gets_it(daemon, silent, bob):
    for field in ("stdin", "stdout"):
        error = silent.ask("job.start", argv=["true"], **{field: "fd"})["error"]
        assert error["data"]["field"] == field and "FUSE" in error["message"], error


@silent_test
def test_no_job_gets_it(daemon, silent, bob):
    assert_no_job_gets_it(daemon, silent, bob)


@functools.partial(silent_test, for_all=True)
def test_no_job_gets_one_that_all_may_use(daemon, silent, bob):
    assert_no_job_gets_it(daemon, silent, bob)
    assert text(bob.run(["echo", "served"])) == "served\n"


@functools.partial(silent_test, overlay=True)
def test_no_job_gets_one_of_what_is_mounted_above_it(daemon, silent, bob):
    assert_no_job_gets_it(daemon, silent, bob)
    daemon.kill_worker()
    with daemon.client_of(BOB) as again:
        assert text(again.run(["echo", "served"])) == "served\n"


@silent_test
def test_no_more_are_taken(daemon, silent, bob):
    """While as many as may be are under way; then they are."""
    def refusal():
        return silent.ask("job.start", argv=["true"], stdin="fd")["error"]["message"]

    for _ in range(EACH):
        silent.ask("daemon.info")
    silent.hang(EACH)
    assert "can be kept now" in refusal() and "can be kept now" in refusal()
    assert silent.flushes == EACH
    with open("/dev/null", "rb") as null:  # another user's are
        job = bob.result(bob.request_with([null.fileno()], "job.run", argv=["cat"], stdin="fd"))["job"]
    assert job["result"]["exit_code"] == 0
    silent.let_go()
    procs.eventually(lambda: "FUSE" in refusal(), "they are taken again")
    procs.eventually(lambda: procs.in_epoll_wait(daemon.worker), "the loop is at rest")
    silent.let_go()


def test_a_child_that_hangs_in_its_exec_holds_up_nobody():
    """Not who looks how much of the processor its job has used; nor who kills that."""
    with SystemDaemon() as daemon, daemon.client_of(ANN) as ann, daemon.client_of(BOB) as bob:
        program, device, place = install(daemon)
        job = ann.start([*program, "exec", device, place], cpu_timeout=1)
        if not ann.call("job.wait", ids=[job["id"]], until={"stream": "stderr", "text": "flush\n"})["matched"]:
            raise Skip("no file system of a user's own")
        assert text(bob.run(["echo", "served"])) == "served\n"
        assert_reason(ann.wait(job), "cpu_timeout", timed_out=True, survivors=[])
        assert text(bob.run(["echo", "served"])) == "served\n"
