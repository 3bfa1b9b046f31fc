"""The history of several users: a share for each, and who has most goes first where all of it is too much."""

import procs
from harness import ANN, BOB, SETTINGS, Skip, SystemDaemon, text

COUNTS = {"owner_history_jobs": 5, "history_jobs": 8}


def daemon_with(**settings):
    if SETTINGS:
        raise Skip("the history is the same in every way of starting and holding jobs")
    return SystemDaemon([word for name, value in settings.items() for word in ("--set", f"{name}={value}")])


def run(client, count):
    return [client.run(["true"])["id"] for _ in range(count)]


def known(client):
    return sorted(job["id"] for job in client.call("job.list", limit=1000)["jobs"])


def keeps(root, client, ids):
    """That, and nothing else, is what the history keeps in the end."""
    procs.eventually(lambda: root.call("daemon.stats")["history"]["waiting"] == 0 and known(client) == ids,
                     f"{ids} is what is left")


def test_the_oldest_of_a_user_with_too_many_go():
    with daemon_with(**COUNTS) as daemon:
        root, ann, bob = daemon.client(), daemon.client_of(ANN), daemon.client_of(BOB)
        first, theirs = run(bob, 2), run(ann, 9)
        keeps(root, ann, theirs[-5:])
        keeps(root, bob, first)
        assert known(root) == sorted(first + theirs[-5:])


def test_where_all_are_too_many_who_has_most_gives_way():
    with daemon_with(**COUNTS) as daemon:
        root, ann, bob = daemon.client(), daemon.client_of(ANN), daemon.client_of(BOB)
        own, first = run(root, 6), run(bob, 2)
        theirs = run(ann, 2)
        keeps(root, bob, first)
        keeps(root, ann, theirs)
        keeps(root, root, sorted(own[-4:] + first + theirs))


def test_shares_are_counted_over_a_restart():
    with daemon_with(owner_history_jobs=5) as daemon:
        root, ann = daemon.client(), daemon.client_of(ANN)
        theirs = run(ann, 4)
        keeps(root, ann, theirs)
        assert daemon.terminate() == 0
        daemon.start()
        root, ann, bob = daemon.client(), daemon.client_of(ANN), daemon.client_of(BOB)
        theirs += run(ann, 3)
        keeps(root, ann, theirs[-5:])
        assert [job["owner"]["user"] for job in ann.call("job.list")["jobs"]] == [ANN] * 5
        assert run(bob, 1) == known(bob)


def test_without_a_store_who_has_most_gives_way():
    with daemon_with(store="none", history_jobs=8) as daemon:
        root, ann, bob = daemon.client(), daemon.client_of(ANN), daemon.client_of(BOB)
        first, theirs = run(bob, 2), run(ann, 9)
        assert known(root) == sorted(first + theirs[-6:])


def test_labels_that_come_later_take_room_too():
    large = {f"label{n}": "x" * 1000 for n in range(60)}
    with daemon_with(store="none", history_bytes=1000000) as daemon:
        ann, bob = daemon.client_of(ANN), daemon.client_of(BOB)
        first, theirs = run(bob, 2), run(ann, 20)
        for each in theirs:
            ann.call("job.update", id=each, labels=large)
        assert ann.status(theirs[-1])["labels"] == large
        assert known(bob) == first
        left = known(ann)
        assert left == theirs[-len(left):] and 2 <= len(left) <= 1000000 // 60000, left


def test_what_memory_has_no_room_for_is_still_in_the_history():
    """However many jobs that are soon forgotten somebody else has there."""
    most, at_once = 10000, 500
    with daemon_with() as daemon:
        ann, bob = daemon.client_of(ANN), daemon.client_of(BOB)
        job = ann.run(["echo", "hers"], retain=3599)
        first = bob.run(["true"], retain=3599)
        for _ in range(0, most, at_once):
            bob.send_raw(b'{"jsonrpc":"2.0","id":0,"method":"job.run","params":{"argv":["/nowhere"],"retain":3599}}\n' *
                         at_once)
            for _ in range(at_once):
                bob.read_line()
        assert text(ann.status(job, inline_bytes=100)) == "hers\n"
        assert bob.status(first)["state"] == "final"
