"""Every call of the store and of the logs fails, one after another: never a crash, never a wrong result."""

import errno
import os

import procs
from client import data_of
from harness import CHILD, Daemon, Skip, assert_reason, is_sanitized

SETS = "any"  # the files are the same in every way of starting and holding jobs
LIBRARY = os.path.join(os.path.dirname(CHILD), "libfaults.so")
SIZES = (0, 6, 20000, 588895)


def expected(size):
    return {0: b"", 6: b"small\n", 20000: b"x" * 20000, 588895: b"".join(b"%d\n" % i for i in range(1, 100001))}[size]


def argv(size, code):
    return ["sh", "-c", {0: "", 6: "echo small; ", 20000: "printf %020000d 0 | tr 0 x; ",
                         588895: "seq 1 100000; "}[size] + f"exit {code}"]


def check(client, id_, size, code, may_miss=True):
    """What is kept is right, what is not is told as a gap."""
    job = client.call("job.status", id=id_)["job"]
    assert_reason(job, "exited", exit_code=code)
    assert job["stdout"]["bytes"] == size and (may_miss or not job["stdout"]["gaps"]), job["stdout"]
    at, whole = 0, expected(size)
    while at < size:
        answer = client.call("job.output", id=id_, stream="stdout", offset=at, limit_bytes=1 << 20)
        for chunk in answer["chunks"]:
            data = data_of(chunk)
            assert whole[chunk["offset"]:chunk["offset"] + len(data)] == data, (size, chunk["offset"])
        assert answer["next"]["stdout"] > at
        at = answer["next"]["stdout"]


def scene(at, times, error):
    daemon = Daemon()
    daemon.environment = dict(os.environ, LD_PRELOAD=LIBRARY, SUPD_FAULT_AT=str(at), SUPD_FAULT_TIMES=str(times),
                              SUPD_FAULT_ERRNO=str(error), SUPD_FAULT_BELOW=f"{daemon.state}:{daemon.run}:/dev/shm/supd")
    with daemon:
        client = daemon.client()
        ids = [(client.run(argv(size, n))["id"], size, n) for n, size in enumerate(SIZES)]
        for id_, size, code in ids:
            check(client, id_, size, code)
        if client.call("daemon.info")["capabilities"]["store"] == "memory":
            return  # it was told at the start: what is final is known to this worker alone
        daemon.kill_worker()
        client = daemon.client()
        for id_, size, code in ids:
            check(client, id_, size, code)
        procs.eventually(lambda: client.call("daemon.stats")["history"]["waiting"] == 0, "all is written")


def needed():
    if is_sanitized():
        raise Skip("a sanitizer's library wants to be the first")
    assert os.path.exists(LIBRARY), LIBRARY


def sweep(error, times, points):
    needed()
    for at in points:
        try:
            scene(at, times, error)
        except BaseException:
            print(f"call {at} and {times - 1} more with {errno.errorcode.get(error, 'a short write')}")
            raise


def test_no_space():
    sweep(errno.ENOSPC, 1, range(2, 70, 3))


def test_input_output_errors():
    sweep(errno.EIO, 1, range(3, 70, 3))


def test_short_writes():
    sweep(0, 1, range(4, 70, 3))


def test_no_space_for_a_while():
    sweep(errno.ENOSPC, 12, range(4, 60, 8))


def test_a_signal_costs_no_output():
    """The end of a job is a signal, which comes while its output is stored."""
    needed()
    daemon = Daemon()
    daemon.environment = dict(os.environ, LD_PRELOAD=LIBRARY, SUPD_FAULT_SIGNALS="1",
                              SUPD_FAULT_BELOW=f"{daemon.state}:{daemon.run}:/dev/shm/supd")
    with daemon:
        client = daemon.client()
        for code, size in enumerate(SIZES):
            id_ = client.run(argv(size, code))["id"]
            check(client, id_, size, code, may_miss=False)
            procs.eventually(lambda: client.call("daemon.stats")["history"]["waiting"] == 0, "it is written")
            check(client, id_, size, code, may_miss=False)
