"""Which daemon supctl finds, and that it stays with it."""

import os
import subprocess

from harness import ANN, GUARD, PUBLIC_SUPCTL, OwnDaemon, Skip, SystemDaemon

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
