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
        self.gone = []
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
        return super(OwnDaemon, self).spawn()

    def begin_to_leave(self, client, place, **spec):
        """A job that goes on until it may end, and whose child goes to that cgroup."""
        job = client.start(["sh", "-c", LEAVE, "-", place], stdin="stream", **spec)
        client.wait_text(job, "\n")
        self.gone.append(int(text(client.status(job, inline_bytes=100))))
        return job

    def __exit__(self, *what):
        for pid in self.gone:
            procs.kill(pid, signal.SIGKILL)
        super().__exit__(*what)

    def remove(self):
        super().remove()
        with open(os.path.join(self.place, "cgroup.kill"), "w", encoding="ascii") as file:
            file.write("1")
        for folder, _, _ in sorted(os.walk(self.place), reverse=True):
            procs.eventually(lambda: remove_cgroup(folder), f"{folder} is empty")

    def elsewhere(self, client):
        """Cgroups that a job may go to, and that are no live job's."""
        capabilities = client.call("daemon.info")["capabilities"]
        assert capabilities["tree"] == "cgroup", capabilities
        jobs = capabilities["tree_why"].split()[-1]
        places = [f"{self.place}/away", f"{self.place}/supd-main", f"{jobs}/jx", f"{jobs}/j7777"]
        with open(f"{self.place}/cgroup.subtree_control", encoding="ascii") as file:
            return places if file.read().strip() else [self.place, *places]


def remove_cgroup(path):
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True


def survivors(client, job):
    client.call("job.input", id=job["id"], data="", encoding="utf-8", eof=True)
    job = client.wait(job)
    assert_reason(job, "exited")
    return job["result"]["survivors"]


def test_who_left_is_not_said_to_be_gone():
    with DelegatedDaemon() as daemon:
        client = daemon.client_of(ANN)
        for place in daemon.elsewhere(client):
            job = daemon.begin_to_leave(client, place)
            assert survivors(client, job) is None, place
            job = client.run(["sh", "-c", "setsid sleep 1000 & true"])
            assert job["result"]["survivors"] == [], "who left was another's"


def test_it_may_be_of_any_that_lived():
    """What a look finds at another's end is not forgotten at its own."""
    with DelegatedDaemon() as daemon:
        client = daemon.client_of(ANN)
        beside = client.start(["cat"], stdin="stream")
        kept = daemon.begin_to_leave(client, f"{daemon.place}/away", descendants="keep")
        first = daemon.begin_to_leave(client, f"{daemon.place}/away")
        for job in (first, kept, beside):
            assert survivors(client, job) is None, job


def test_who_left_before_the_workers_death_is_not_forgotten():
    with DelegatedDaemon() as daemon:
        job = daemon.begin_to_leave(daemon.client_of(ANN), f"{daemon.place}/away")
        daemon.kill_worker()
        client = daemon.client_of(ANN)
        assert survivors(client, job) is None
        assert client.run(["true"])["result"]["survivors"] == []


def test_jobs_that_stay_are_known_to_be_gone_after_the_workers_death():
    with DelegatedDaemon() as daemon:
        client = daemon.client_of(ANN)
        jobs = [client.start(["sh", "-c", "setsid sh -c 'sleep 1000 & sleep 1000' & read -r nothing"], stdin="stream")
                for _ in range(3)]
        daemon.kill_worker()
        client = daemon.client_of(ANN)
        assert [survivors(client, job) for job in jobs] == [[], [], []]
