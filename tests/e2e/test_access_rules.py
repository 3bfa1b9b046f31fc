"""Who gets in to the machine's daemon, and what is said to whoever does not: however they knock."""

import contextlib
import grp
import json
import os
import pwd
import socket
import subprocess

import procs
from client import Client, Closed
from harness import ANN, BOB, GUARD, PERMISSION_DENIED, SUPD, Daemon, SystemDaemon, acting_as, needs_root, text

SETS = "any"
STRANGER = 54321  # a number that nobody has
UID = {user: pwd.getpwnam(user).pw_uid for user in (ANN, BOB)}
GID = {user: pwd.getpwnam(user).pw_gid for user in (ANN, BOB)}
GROUP = {user: grp.getgrgid(GID[user]).gr_name for user in (ANN, BOB)}

# What the setting says, who of ANN and BOB is let in by it, and who administers.
RULES = [
    ({}, (ANN, BOB), ()),
    ({"users": []}, (), ()),
    ({"groups": []}, (), ()),
    ({"admins": []}, (ANN, BOB), ()),
    ({"users": [ANN]}, (ANN,), ()),
    ({"users": [UID[ANN]]}, (ANN,), ()),
    ({"users": [GROUP[BOB], GID[ANN]]}, (), ()),  # a group is no user
    ({"groups": [GROUP[ANN]]}, (ANN,), ()),
    ({"groups": [GID[ANN]]}, (ANN,), ()),
    ({"groups": [UID[ANN]]}, (), ()),
    ({"users": [ANN], "groups": [GROUP[BOB]]}, (ANN, BOB), ()),
    ({"users": ["root", 0], "groups": ["root", 0]}, (), ()),
    ({"admins": [BOB]}, (ANN, BOB), (BOB,)),
    ({"admins": [UID[BOB]]}, (ANN, BOB), (BOB,)),
    ({"admins": [f"%{GROUP[BOB]}"]}, (ANN, BOB), (BOB,)),
    ({"admins": [f"%{GID[BOB]}"]}, (ANN, BOB), (BOB,)),
    ({"admins": [GROUP[BOB]]}, (ANN, BOB), ()),
    ({"users": [ANN], "admins": [f"%{GROUP[BOB]}"]}, (ANN, BOB), (BOB,)),
    ({"users": [], "admins": [ANN]}, (ANN,), (ANN,)),
]


@contextlib.contextmanager
def being(uid):
    """Of a number that need be nobody's."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def standing(client):
    """"out", "user" or "admin"."""
    try:
        return "admin" if client.call("daemon.stats")["memory"]["rss_bytes"] else "user"
    except Exception as error:
        assert getattr(error, "code", None) == PERMISSION_DENIED or isinstance(error, (Closed, BrokenPipeError)), error
        return "out"


def turned_away(connection):
    """Told so in one line, and closed."""
    connection.settimeout(GUARD)
    data = b""
    with contextlib.suppress(ConnectionResetError):  # closed with what it had sent unread
        while piece := connection.recv(65536):
            data += piece
    assert data.count(b"\n") == 1 and data.endswith(b"\n"), data
    told = json.loads(data)
    assert told["id"] is None and told["error"]["code"] == PERMISSION_DENIED, told
    assert told["error"]["data"] == {"name": "permission_denied"} and "access" in told["error"]["message"], told


def knock(daemon, user):
    connection = socket.socket(socket.AF_UNIX)
    with acting_as(user):
        connection.connect(daemon.socket)
    return connection


def test_users_groups_and_administrators_by_name_and_number():
    with SystemDaemon() as daemon:
        root = daemon.client()
        for access, users, admins in RULES:
            daemon.configure(access)
            root.call("daemon.reload")
            for user in (ANN, BOB):
                expected = "admin" if user in admins else "user" if user in users else "out"
                client = daemon.client_of(user)
                assert standing(client) == expected, (access, user, expected)
                client.close()
        assert standing(root) == "admin" and standing(daemon.client()) == "admin"


def test_whom_the_database_does_not_know():
    with SystemDaemon() as daemon:
        with being(STRANGER):
            client = daemon.client()
        assert standing(client) == "out"
        daemon.configure({"users": [STRANGER]})
        daemon.client().call("daemon.reload")
        with being(STRANGER):
            client = daemon.client()
        assert standing(client) == "user"
        job = client.run(["id"])
        assert text(job).split() == [f"uid={STRANGER}", f"gid={STRANGER}", f"groups={STRANGER}"], text(job)
        assert job["owner"] == {"uid": STRANGER, "user": str(STRANGER)} and job["cwd"] == "/", job


def test_who_may_not_is_told_and_closed_whatever_they_send():
    whole = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "job.start", "params": {"argv": ["true"]}}).encode() + b"\n"
    read, write = os.pipe()
    with SystemDaemon(access={"users": [ANN]}) as daemon:
        root, ann = daemon.client(), daemon.client_of(ANN)
        for sent in (b"", whole, whole[:20], whole * 1000, b"\n", b"\0\xff" * 1000, b"x" * (20 << 20)):
            with knock(daemon, BOB) as connection:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(sent)
                turned_away(connection)
            assert text(ann.run(["echo", "served"])) == "served\n"
        with knock(daemon, BOB) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(connection, [whole], [write])
            turned_away(connection)
        os.close(write)
        assert os.read(read, 1) == b"", "who was turned away left a descriptor"  # would wait for ever
        os.close(read)
        assert {job["owner"]["user"] for job in root.call("job.list")["jobs"]} == {ANN}
        assert daemon.errors().count(b"refused a client of uid") == 1, daemon.errors()


def test_1000_who_may_not_cost_nothing():
    with SystemDaemon(access={"users": [ANN]}) as daemon:
        root, ann = daemon.client(), daemon.client_of(ANN)
        with knock(daemon, BOB) as connection:
            turned_away(connection)
        def held():
            return len(procs.descriptors(daemon.worker))
        before = held()
        for number in range(1000):
            with knock(daemon, BOB) as connection:
                if number % 10 == 0:
                    turned_away(connection)
            if number % 100 == 0:
                assert text(ann.run(["echo", "served"])) == "served\n"
        procs.eventually(lambda: root.call("daemon.stats")["clients"]["refused"] == 1001, "all were told")
        procs.eventually(lambda: root.call("daemon.stats")["clients"]["connected"] == 2, "all are gone")
        procs.eventually(lambda: held() <= before, "their descriptors are closed")
        assert ann.call("daemon.stats")["clients"]["refused"] == 0
        assert daemon.errors().count(b"refused a client of uid") == 1, daemon.errors()


def refused_settings():
    """What access may not be, and what names it."""
    return [(7, "access"), ([], "access"), ({"user": [ANN]}, "access.user"), ({"users": ANN}, "access.users"),
            ({"users": [""]}, "access.users"), ({"users": [-1]}, "access.users"), ({"users": [1 << 32]}, "access.users"),
            ({"users": [1.5]}, "access.users"), ({"users": [None]}, "access.users"), ({"groups": [True]}, "access.groups"),
            ({"groups": [{}]}, "access.groups"), ({"admins": ["%"]}, "access.admins"),
            ({"admins": [[ANN]]}, "access.admins"),
            ({"users": [f"%{GROUP[ANN]}"]}, "access.users"), ({"groups": [f"%{GROUP[ANN]}"]}, "access.groups"),
            ({"admins": [f"%{1 << 32}"]}, "access.admins"), ({"users": ["1001"]}, "access.users"),
            ({"groups": ["27"]}, "access.groups"), ({"admins": ["1001"]}, "access.admins"), ({"admins": ["%99999999999"]}, "access.admins"), ({"users": ["x" * 64]}, "access.users"),
            ({"users": list(range(1, 200))}, "access")]


def test_a_setting_that_says_nothing_is_refused_at_the_start():
    needs_root()
    with SystemDaemon() as daemon:
        for access, name in refused_settings():
            os.makedirs(os.path.join(daemon.directory, "other"), exist_ok=True)
            other = SystemDaemon(access=access, directory=os.path.join(daemon.directory, "other"))
            other.spawn().wait(GUARD)
            assert other.process.returncode == 2 and name in other.errors().decode(), (access, other.errors())
            check = subprocess.run([*other.command(), "--check"], capture_output=True, text=True, timeout=GUARD)
            assert check.returncode == 2 and name in check.stderr, (access, check)
            assert not os.path.exists(other.socket)


def test_a_setting_that_says_nothing_changes_nothing_when_it_is_read_again():
    with SystemDaemon(access={"users": [ANN]}) as daemon:
        root, ann = daemon.client(), daemon.client_of(ANN)
        for access, name in refused_settings():
            daemon.configure(access)
            error = root.refused("daemon.reload")
            assert name in error.message and "supd.json" in error.message, (access, error)
            assert standing(ann) == "user" and standing(daemon.client_of(BOB)) == "out", access
        done = daemon.supctl("daemon", "reload")
        assert done.returncode == 1 and b"access" in done.stderr, done
        os.kill(daemon.pid, 1)
        procs.eventually(lambda: b"the settings stay as they are" in daemon.errors(), "it is said")
        assert standing(ann) == "user" and standing(daemon.client_of(BOB)) == "out"


def test_a_file_that_others_can_write_to_names_nobody():
    with SystemDaemon(access={"users": [ANN]}) as daemon:
        root = daemon.client()
        own = os.geteuid()
        for uid, mode, word in ((UID[BOB], 0o644, f"uid {UID[BOB]}"), (own, 0o666, "0666"), (own, 0o664, "0664"),
                                (own, 0o646, "0646")):
            daemon.configure({"admins": [BOB]})
            os.chown(daemon.config, uid, -1)
            os.chmod(daemon.config, mode)
            error = root.refused("daemon.reload")
            assert daemon.config in error.message and word in error.message, (word, error)
            assert standing(daemon.client_of(BOB)) == "out", word
            check = subprocess.run([*daemon.command(), "--check"], capture_output=True, text=True, timeout=GUARD)
            assert check.returncode == 2 and daemon.config in check.stderr and word in check.stderr, check


def test_a_check_tells_of_names_that_nobody_has():
    with SystemDaemon(access={"users": [ANN, "no-such-user", 54321], "admins": ["%no-such-group", "%root"]}) as daemon:
        check = subprocess.run([*daemon.command(), "--check"], capture_output=True, text=True, timeout=GUARD)
        assert check.returncode == 0, check
        assert check.stderr.splitlines() == ["supd: warning: access: no user is called no-such-user here",
                                             "supd: warning: access: no group is called no-such-group here"], check


def test_a_users_own_daemon_reads_a_file_that_is_roots_or_that_users():
    needs_root()
    with OwnDaemon() as daemon:
        for uid, is_taken in ((UID[ANN], True), (0, True), (UID[BOB], False)):
            os.chown(daemon.config, uid, -1)
            check = subprocess.run([*daemon.command(), "--check"], capture_output=True, text=True, timeout=GUARD,
                                   user=UID[ANN], group=GID[ANN], extra_groups=[])
            assert (check.returncode == 0) is is_taken, (uid, check)


def test_a_users_own_daemon_lets_in_that_user_alone():
    needs_root()
    with OwnDaemon() as daemon:
        assert standing(daemon.client_of(ANN)) == "admin"
        for user in (BOB, "root"):
            with knock(daemon, user) as connection:
                connection.settimeout(GUARD)
                told = json.loads(connection.makefile().readline())
                assert told["error"]["code"] == PERMISSION_DENIED, (user, told)
                assert "own user only" in told["error"]["message"], (user, told)
                assert connection.recv(1) == b""
        assert daemon.errors().count(b"refused a client of uid") == 2, daemon.errors()


def test_access_is_no_setting_of_a_users_own_daemon():
    with Daemon() as daemon:
        with open(daemon.config, "w", encoding="utf-8") as file:
            json.dump({"access": {"users": [0]}}, file)
        error = daemon.client().refused("daemon.reload")
        assert "access" in error.message and "user's daemon" in error.message, error
        done = subprocess.run([SUPD, "--user", "--check", "--config", daemon.config], capture_output=True, text=True)
        assert done.returncode == 2 and "access" in done.stderr, done


class OwnDaemon(Daemon):
    """A user's own, whose directory is then opened, as if everybody could get to its socket."""

    def spawn(self, **more):
        record = pwd.getpwnam(ANN)
        os.chown(self.directory, record.pw_uid, record.pw_gid)
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("{}\n")
        return super().spawn(user=record.pw_uid, group=record.pw_gid, extra_groups=[], **more)

    def connect_once_up(self):
        procs.eventually(lambda: os.path.exists(self.socket) or self.process.poll() is not None, "it listens")
        for path, mode in ((self.directory, 0o755), (self.run, 0o755), (self.socket, 0o777)):
            os.chmod(path, mode)
        with acting_as(ANN):
            return Client(self.socket)
