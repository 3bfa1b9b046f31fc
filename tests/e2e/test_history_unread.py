"""The disk below the history gives nothing back: what is not known then is no answer, and why is told to administrators only."""

import os

import procs
from client import INTERNAL_ERROR, LIMIT_REACHED
from harness import ANN, CHILD, Skip, SystemDaemon, is_sanitized
from history import at_rest

SETS = "any"
LIBRARY = os.path.join(os.path.dirname(CHILD), "libfaults.so")
UNKNOWN = 4711


class Unreadable(SystemDaemon):
    """Reads from its history fail as long as `broken` is there."""

    def __init__(self):
        if is_sanitized():
            raise Skip("a sanitizer's library wants to be the first")
        assert os.path.exists(LIBRARY), LIBRARY
        super().__init__()
        self.broken = os.path.join(self.directory, "broken")
        self.environment = dict(os.environ, LD_PRELOAD=LIBRARY, SUPD_FAULT_BELOW=self.state, SUPD_FAULT_READS=self.broken)

    def begin(self, root, client):
        """Jobs that memory has let go, and pages that SQLite does not have any more."""
        ids = [client.start(["true"])["id"] for _ in range(100)]
        client.call("job.wait", ids=ids)
        at_rest(root)
        assert len(client.call("job.list", limit=1000)["jobs"]) == 100
        keyed = client.run(["true"], key="once")
        ids += [client.start(["true"])["id"] for _ in range(100)]
        client.call("job.wait", ids=ids)
        at_rest(root)
        client.run(["true"])  # the wait may have read what was written last
        at_rest(root)
        with open(self.broken, "w", encoding="utf-8"):
            return ids, keyed

    def mend(self):
        os.unlink(self.broken)


def refusals(client, ids):
    yield client.refused("job.list", limit=1000)
    yield client.refused("job.status", id=ids[0])
    yield client.refused("job.status", id=UNKNOWN)
    yield client.refused("job.wait", ids=[ids[0], ids[1]])
    yield client.refused("job.status", name="unknown")
    yield client.refused("job.start", argv=["true"], key="once")


def test_what_can_not_be_read_is_an_error():
    with Unreadable() as daemon:
        root, ann = daemon.client(), daemon.client_of(ANN)
        ids, keyed = daemon.begin(root, ann)
        for error in refusals(ann, ids):
            assert (error.code, error.message) == (INTERNAL_ERROR, "the history can't be read now"), error
            assert "disk" not in str(error) and daemon.state not in str(error), error
        for error in refusals(root, ids):
            assert error.code == INTERNAL_ERROR and "disk I/O error" in error.message, error
        assert root.refused("job.forget", final=True).code == INTERNAL_ERROR
        live, mine = ann.start(["sleep", "100"]), root.start(["sleep", "100"])
        assert ann.call("job.status", id=live["id"])["job"]["state"] == "running", "memory has it"
        assert ann.refused("job.status", id=mine["id"]).code == INTERNAL_ERROR, "as one that nobody knows"
        daemon.mend()
        procs.eventually(lambda: root.call("daemon.info")["capabilities"]["store_trouble"] is None, "it is written again")
        assert ann.run(["true"], key="once")["id"] == keyed["id"], "it was not run twice"
        assert ann.call("job.status", id=ids[0])["job"]["id"] == ids[0]
        assert ann.call("job.forget", final=True)["forgotten"] >= 101
        for job in live, mine:
            root.call("job.kill", id=job["id"], grace=0)


def trouble(client):
    return client.call("daemon.info")["capabilities"]["store_trouble"]


def test_why_it_can_not_be_written_is_told_to_administrators():
    with SystemDaemon(["--set", "store_full=refuse"]) as daemon:
        root, ann = daemon.client(), daemon.client_of(ANN)
        outputs = os.path.join(daemon.state, "output")
        os.rmdir(outputs)
        with open(outputs, "w", encoding="utf-8"):
            ann.run(["seq", "1", "20000"])
        procs.eventually(lambda: trouble(root), "it is said")
        assert daemon.state in trouble(root), trouble(root)
        assert trouble(ann) == "administrators are told why"
        for client in root, ann:
            error = client.refused("job.start", argv=["true"])
            assert error.code == LIMIT_REACHED and (daemon.state in error.message) == (client is root), error
        os.unlink(outputs)
        procs.eventually(lambda: trouble(ann) is None, "it works again")
