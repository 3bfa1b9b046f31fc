"""Where supd keeps its things: nobody else may put theirs in place of them."""

import os
import pwd
import shutil
import socket

from harness import ANN, GUARD, SystemDaemon, acting_as, text


def refused(daemon, *words):
    """It does not start, and says why."""
    assert daemon.spawn().wait(timeout=GUARD) == 1, daemon.errors()
    said = daemon.errors().decode()
    assert all(word in said for word in words), said


def cleared(daemon):
    shutil.rmtree(daemon.directory)


def of_ann(path, mode=0o755):
    record = pwd.getpwnam(ANN)
    os.makedirs(path, exist_ok=True)
    os.chown(path, record.pw_uid, record.pw_gid)
    os.chmod(path, mode)
    return path


def each_directory():
    for name in ("state", "run"):
        daemon = SystemDaemon()
        try:
            yield daemon, getattr(daemon, name)
        finally:
            cleared(daemon)


def test_one_of_another_user_is_refused():
    for daemon, path in each_directory():
        of_ann(path, 0o700)
        refused(daemon, path, "another user")


def test_one_that_others_can_write_to_is_refused():
    """What is in it may be theirs: a history, a lock, a socket."""
    for mode in (0o777, 0o1777, 0o770):
        for daemon, path in each_directory():
            os.mkdir(path)
            os.chmod(path, mode)
            refused(daemon, path, "others can write")


def test_one_that_everybody_may_look_into_becomes_supds_alone():
    daemon = SystemDaemon()
    os.mkdir(daemon.state, 0o755)
    with daemon:
        assert text(daemon.client().run(["echo", "there"])) == "there\n"
        assert os.stat(daemon.state).st_mode & 0o777 == 0o700


def test_a_link_is_refused():
    for daemon, path in each_directory():
        os.mkdir(path + ".real", 0o700)
        os.symlink(path + ".real", path)
        refused(daemon, path, "symbolic link")


def test_one_below_a_directory_of_another_user_is_refused():
    for name in ("state", "run"):
        daemon = SystemDaemon()
        theirs = of_ann(os.path.join(daemon.directory, "theirs"))
        setattr(daemon, name, os.path.join(theirs, name))
        if name == "run":
            daemon.socket = os.path.join(daemon.run, "socket")
        refused(daemon, theirs, "another user")
        cleared(daemon)


def test_one_below_a_directory_that_others_can_write_to_is_refused():
    daemon = SystemDaemon()
    theirs = os.path.join(daemon.directory, "everybody's")
    os.mkdir(theirs)
    os.chmod(theirs, 0o777)
    daemon.state = os.path.join(theirs, "state")
    refused(daemon, theirs, "others can write")
    os.chmod(theirs, 0o1777)  # as /tmp is: nobody renames what is not theirs
    with daemon:
        assert text(daemon.client().run(["echo", "there"])) == "there\n"


def test_what_is_no_socket_stays_where_it_is():
    for make in (lambda path: open(path, "x", encoding="utf-8").close(), lambda path: os.symlink("/etc/passwd", path), os.mkdir):
        daemon = SystemDaemon()
        os.mkdir(daemon.run, 0o700)
        make(daemon.socket)
        before = os.lstat(daemon.socket)
        refused(daemon, daemon.socket)
        after = os.lstat(daemon.socket)
        assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)
        cleared(daemon)


def test_a_socket_that_nobody_listens_on_makes_place():
    daemon = SystemDaemon()
    os.mkdir(daemon.run, 0o755)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(daemon.socket)
    with daemon:
        assert text(daemon.client().run(["echo", "there"])) == "there\n"


def test_a_user_sees_the_socket_and_nothing_else():
    with SystemDaemon() as daemon:
        daemon.client().run(["sh", "-c", "seq 100000"])
        with acting_as(ANN):
            assert os.path.exists(daemon.socket)
            for path in (daemon.state, os.path.join(daemon.run, "output")):
                try:
                    raise AssertionError(f"{path}: {os.listdir(path)}")
                except (PermissionError, FileNotFoundError):
                    pass
            for name in os.listdir(daemon.run):
                path = os.path.join(daemon.run, name)
                assert path == daemon.socket or not os.access(path, os.W_OK, effective_ids=True), path
                assert path == daemon.socket or not os.path.isfile(path) or not os.access(path, os.R_OK, effective_ids=True), path
