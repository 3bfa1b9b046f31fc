"""Jobs of a user's own daemon, who are of one user with what holds their trees, attack that: the daemon goes on, each job ends,
and what is told of its end is no more than is known."""

import os
import signal

import procs
from harness import ANN, OwnDaemon, assert_reason, child, text
from intruding import assailing, exterminate, install, processes

SETS = "any"


class Assailed(OwnDaemon):
    """With a reaper a job, a bystander of the same user, and a second client who is served all the while."""

    def __init__(self, **more):
        super().__init__(ANN, options=["--set", "tree=reaper"], **more)

    def __enter__(self):
        super().__enter__()
        self.path, self.ann = install(self), self.client_of(ANN)
        self.token = f"bystander-{self.pid}"
        self.bystander = self.ann.start(child("bomb", 5, self.token))
        self.ann.wait_text(self.bystander, "ready\n")
        self.others = sorted(procs.with_argument(self.token))
        return self

    def __exit__(self, kind, value, trace):
        try:
            if value is None:
                self.check()
        finally:
            exterminate(self.path)
            super().__exit__(kind, value, trace)

    def check(self):
        assert sorted(procs.with_argument(self.token)) == self.others and len(self.others) == 6, self.others
        assert self.ann.status(self.bystander)["state"] == "running"
        procs.eventually(lambda: processes(self.path) == [], "nobody of the attacked tree is left")
        self.ann.kill_and_wait(self.bystander)
        self.serve()

    def serve(self):
        assert text(self.ann.run(["echo", "served"])) == "served\n"

    def reaper(self, job):
        return procs.parent(job["pid"])


def assail(how, then="stay", killed=True, **expected):
    """The job attacks its reaper in that way. Its end, once it is killed where it has not come by itself."""
    with Assailed() as daemon:
        job = daemon.ann.start([daemon.path, "assail", how, then])
        if killed:
            daemon.ann.wait_text(job, "held\n")
        daemon.serve()
        waiting = daemon.ann.request("job.wait", id=job["id"])
        if killed:
            daemon.ann.kill(job, grace=0)
            daemon.serve()
        final = daemon.ann.result(waiting)["jobs"][0]
        for name, value in expected.items():
            assert final["result"][name] == value, (name, final["result"])
        return final


def test_killed():
    final = assail("kill", killed=False)
    assert final["result"]["survivors"] is None and final["result"]["reason"] in ("signaled", "killed", "lost"), final


def test_stopped_again_and_again():
    final = assail("stop")
    assert_reason(final, "killed")


def test_held_before_it_is_one():
    """What is to be the reaper waits for its leader's exec, and is held by a tracer then: the launch is not over any more."""
    with Assailed() as daemon, daemon.client_of(ANN) as second:
        fifo = os.path.join(daemon.directory, "fifo")  # whoever opens it waits for a reader, before the exec
        os.mkfifo(fifo)
        os.chmod(fifo, 0o666)
        before = set(procs.children(daemon.worker))
        request = daemon.ann.request("job.run", argv=[daemon.path, "sleep"], stdout={"file": fifo})
        holder = procs.eventually(lambda: set(procs.children(daemon.worker)) - before, "its reaper to be").pop()
        procs.eventually(lambda: procs.children(holder), "its leader to be")
        with assailing(daemon.path, ANN, "hold", holder, until=b"interrupt ok\n"):
            with open(fifo, "rb"):
                procs.eventually(lambda: procs.stat(holder)[0] == b"t", "it is held")
                second.call("job.kill", ids=[second.call("job.list", limit=1)["jobs"][0]["id"]], grace=0)
                assert_reason(daemon.ann.result(request)["job"], "killed")


def test_stopped_on_its_last_steps():
    """Nobody lets it go on once the daemon is gone: it is ended with that."""
    with Assailed() as daemon:
        job = daemon.ann.start([daemon.path, "sleep"])
        with assailing(daemon.path, ANN, "stop", daemon.reaper(job)):
            daemon.ann.kill(job, grace=0)
            assert_reason(daemon.ann.wait(job), "killed")


def test_stopped_while_the_leader_ends():
    """Nobody need ask: its parent sees to it that it goes on."""
    with Assailed() as daemon:
        job = daemon.ann.start([daemon.path, "sleep"])
        procs.kill(daemon.reaper(job), signal.SIGSTOP)
        procs.kill(job["pid"])
        assert_reason(daemon.ann.wait(job), "signaled", signal="SIGKILL", survivors=[])


def test_held_by_a_tracer():
    assert_reason(assail("hold"), "killed", survivors=None)


def test_held_by_a_tracer_at_its_end():
    assert_reason(assail("hold-exit"), "killed")


def test_held_by_a_tracer_from_outside():
    """It ends, and is not to be reaped as long as its tracer is there: nobody waits for it."""
    for how in ("hold", "hold-exit", "stop"):
        with Assailed() as daemon:
            job = daemon.ann.start([daemon.path, "sleep"])
            with assailing(daemon.path, ANN, how, daemon.reaper(job)):
                daemon.serve()
                daemon.ann.kill(job, grace=0)
                daemon.serve()
                assert_reason(daemon.ann.wait(job), "killed")
                daemon.serve()


def test_traced_while_it_ends_in_peace():
    """What it says counts; that it stays there is its tracer's business."""
    with Assailed() as daemon:
        job = daemon.ann.start(child("ignore-term"))
        with assailing(daemon.path, ANN, "trace", daemon.reaper(job)):
            procs.kill(job["pid"])
            assert_reason(daemon.ann.wait(job), "signaled", signal="SIGKILL", survivors=[])
            daemon.serve()


def test_nothing_to_look_with():
    """Without descriptors it finds nobody: it gives up, and the daemon ends what it leaves."""
    final = assail("files", survivors=None)
    assert final["result"]["reason"] in ("killed", "signaled"), final["result"]
    assert_reason(assail("files", "exit", killed=False), "exited", exit_code=7)


def test_out_of_its_processor_time():
    final = assail("cpu")
    assert final["state"] == "final", final


def test_somebody_else_speaks_for_it():
    final = assail("forge")
    assert_reason(final, "killed", survivors=[])
    assert final["result"]["signal"] == "SIGKILL", final["result"]


def test_somebody_else_goes_on_speaking_for_it():
    assert_reason(assail("flood"), "killed")


def test_its_socket_is_kept_open_behind_its_end():
    assert_reason(assail("steal"), "killed", survivors=None)


def test_its_socket_is_kept_open_and_nobody_asks():
    """Nothing tells of it but the end of a child."""
    with Assailed() as daemon:
        job = daemon.ann.start([daemon.path, "sleep"])
        with assailing(daemon.path, ANN, "keep", daemon.reaper(job)):
            procs.kill(daemon.reaper(job))
            assert_reason(daemon.ann.wait(job), "signaled", survivors=None)


def test_after_the_death_of_the_worker():
    """The keeper is the parent of reapers then."""
    for how in ("hold", "hold-exit", "stop", "files", "steal", "kill"):
        with Assailed() as daemon:
            job = daemon.ann.start([daemon.path, "sleep"])
            reaper = daemon.reaper(job)
            daemon.kill_worker()
            with assailing(daemon.path, ANN, how, reaper):
                daemon.serve()
                daemon.ann.kill(job, grace=0)
                daemon.serve()
                assert daemon.ann.wait(job)["state"] == "final"
