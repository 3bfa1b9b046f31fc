"""Which daemon supctl finds, and that it stays with it."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile

from harness import ANN, BOB, GUARD, PUBLIC_SUPCTL, OwnDaemon, Skip, SystemDaemon, needs_root

SETS = "any"


class Found:
    """A machine's daemon and a user's own at their default places, for supctl as that user."""

    def __init__(self):
        self.system, self.own = SystemDaemon(), OwnDaemon(ANN)
        self.own.run = os.path.join(self.own.directory, "supd")
        self.own.socket = os.path.join(self.own.run, "socket")

    def __enter__(self):
        if subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            raise Skip("needs mount namespaces")
        self.system.__enter__()
        self.own.start()
        return self

    def __exit__(self, *failure):
        if self.own.process.returncode is None:
            self.own.destroy()
        self.own.remove()
        self.system.__exit__(*failure)

    def start(self, *words):
        """supctl without a word of where supd is. /run is its own: what stands in the real one is nobody's here."""
        place = 'mount -t tmpfs none /run && mkdir /run/supd && mount --bind "$1" /run/supd && shift && exec "$@"'
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", place, "sh", self.system.run, "setpriv", f"--reuid={ANN}",
             f"--regid={self.own.user.pw_gid}", "--clear-groups", "env", "-u", "SUPD_SOCKET",
             f"XDG_RUNTIME_DIR={self.own.directory}", PUBLIC_SUPCTL, "--no-autostart", *words],
            cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_lost_connection_is_made_anew_to_the_same_daemon_alone():
    """The same number is another job elsewhere, whose output, lease and end are not this one's."""
    with Found() as found:
        others = found.system.client_of(ANN)
        other = others.start(["sh", "-c", "echo another; exec sleep 1000"])
        process = found.start("run", "--", "sh", "-c", "echo mine; exec sleep 1000")
        assert process.stdout.readline() == b"mine\n"
        found.own.destroy()
        connected = others.call("daemon.stats")["clients"]["connected"]
        assert process.stderr.readline().endswith(b"waiting for supd to be there again\n")
        assert others.call("daemon.stats")["clients"]["connected"] == connected
        process.terminate()
        assert process.communicate(timeout=GUARD)[0] == b""
        assert others.status(other)["state"] == "running"
        others.kill(other, grace=0)


def test_a_socket_in_a_directory_of_another_user_is_not_asked():
    """A connection to one whose queue is full would wait for ever."""
    needs_root()
    directory = tempfile.mkdtemp(prefix="supd-e2e-")
    os.chmod(directory, 0o755)
    place = os.path.join(directory, "supd")
    os.mkdir(place)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waits:
        listener.bind(os.path.join(place, "socket"))
        os.chmod(os.path.join(place, "socket"), 0o777)
        listener.listen(0)
        waits.connect(listener.getsockname())
        os.chown(place, pwd.getpwnam(BOB).pw_uid, -1)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SUPD_")}
        done = subprocess.run([PUBLIC_SUPCTL, "--user", "--no-autostart", "info"], user=ANN, group=pwd.getpwnam(ANN).pw_gid,
                              extra_groups=[], env={**environment, "XDG_RUNTIME_DIR": directory}, cwd="/",
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=GUARD, check=False)
    shutil.rmtree(directory)
    assert done.returncode == 1 and b"belongs to another user's daemon" in done.stderr, done
