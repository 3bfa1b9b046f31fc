"""Jobs of a user's own daemon, which may write to the hierarchy of cgroups that was delegated to it."""

import os
import signal

import procs
from harness import PUBLIC_SUPD, SETTINGS, OwnDaemon, Skip, assert_reason, cgroup_writable, needs_root, text

ANN = "daemon"
LEAVE = ('mkdir -p "$1" && setsid sh -c \'echo $$ >"$1/cgroup.procs" && echo $$ && exec sleep 1000 >/dev/null 2>&1\' - "$1" & '
         "read -r nothing")


def own_place():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mount = next(line.split()[4] for line in file if " - cgroup2 " in line)
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        own = next(line.strip()[3:] for line in file if line.startswith("0::"))
    return mount + own.rstrip("/")


class DelegatedDaemon(OwnDaemon):
    """What a service manager does for a user: the daemon in a cgroup that is its user's."""

    def __init__(self):
        needs_root()
        if SETTINGS.get("tree", "cgroup") != "cgroup" or not cgroup_writable():
            raise Skip("needs cgroups")
        super().__init__(ANN)
        self.place = f"{own_place()}/delegated-{os.path.basename(self.directory)}"
        os.mkdir(self.place)
        for name in ("", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
            os.chown(os.path.join(self.place, name), self.user.pw_uid, self.user.pw_gid)

    def command(self):
        script = f'echo $$ >{self.place}/cgroup.procs && exec setpriv --reuid {self.user.pw_uid} --regid {self.user.pw_gid} ' \
                 '--clear-groups "$@"'
        return ["sh", "-c", script, "-", *super().command()]

    def spawn(self, **more):
        self.program = PUBLIC_SUPD
        os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)
        return super(OwnDaemon, self).spawn()

    def remove(self):
        super().remove()
        for folder, _, _ in sorted(os.walk(self.place), reverse=True):
            procs.eventually(lambda: remove_cgroup(folder), f"{folder} is empty")


def remove_cgroup(path):
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True


def leave(client, place):
    """A job whose child goes to that cgroup, and lives on. Its record, and the child's pid."""
    job = client.start(["sh", "-c", LEAVE, "-", place], stdin="stream")
    client.wait_text(job, "\n")
    client.call("job.input", id=job["id"], data="", encoding="utf-8", eof=True)
    return client.wait(job), int(text(client.status(job, inline_bytes=100)))


def test_who_left_is_not_said_to_be_gone():
    with DelegatedDaemon() as daemon:
        client = daemon.client_of(ANN)
        assert client.call("daemon.info")["capabilities"]["tree"] == "cgroup"
        for place in ("away", "", "supd-main"):
            job, pid = leave(client, os.path.join(daemon.place, place))
            assert_reason(job, "exited")
            assert job["result"]["survivors"] is None, job["result"]
            job = client.run(["sh", "-c", "setsid sleep 1000 & true"])
            assert job["result"]["survivors"] == [], "who left was another's"
            procs.kill(pid, signal.SIGKILL)
        assert client.run(["true"])["result"]["survivors"] == []


def test_who_left_before_the_workers_death_is_not_forgotten():
    with DelegatedDaemon() as daemon:
        client = daemon.client_of(ANN)
        job = client.start(["sh", "-c", LEAVE, "-", os.path.join(daemon.place, "away")], stdin="stream")
        client.wait_text(job, "\n")
        pid = int(text(client.status(job, inline_bytes=100)))
        daemon.kill_worker()
        client = daemon.client_of(ANN)
        client.call("job.input", id=job["id"], data="", encoding="utf-8", eof=True)
        assert client.wait(job)["result"]["survivors"] is None
        procs.kill(pid, signal.SIGKILL)
