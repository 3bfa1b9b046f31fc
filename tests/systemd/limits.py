"""What jobs are held to by the controllers of cgroups, and what these count: in a machine that hands them down."""

import json

MIB = 1 << 20
USER = 1000
WEIGHT, PROCESSES, MEMORY = 50, 20, 64 * MIB
LIMITS = ["--memory", str(MEMORY), "--processes", str(PROCESSES), "--cpu-weight", str(WEIGHT)]
FILES = {"memory.max": MEMORY, "memory.oom.group": 1, "pids.max": PROCESSES, "cpu.weight": WEIGHT}
HOG = "b = bytearray(256 << 20)"
DISK = "/dev/vda"  # of nobody else


def python(script):
    return ["--", "/usr/bin/python3", "-c", script]


class Client:
    """One who asks: root or the user of the machine's daemon, or the user of their own."""

    def __init__(self, machine, user=None, own=False):
        self.machine = machine
        self.user = user
        self.is_own = own
        self.way = [] if own or user is None else ["--system"]

    def supctl(self, *words, check=True):
        return self.machine.run("supctl", *self.way, *words, user=self.user, check=check).stdout.strip()

    def run(self, *words):
        """Runs a job; its record."""
        return json.loads(self.supctl("run", "--json", "-n", *words, check=False).splitlines()[-1])

    def start(self, *words):
        return self.supctl("start", *words)

    def record(self, job):
        return json.loads(self.supctl("status", "--json", job))

    def wait(self, job):
        self.supctl("wait", job, check=False)
        return self.record(job)


def clients(machine):
    return Client(machine), Client(machine, USER), Client(machine, USER, own=True)


def everybody_has_all_of_them(machine):
    for client in clients(machine):
        capabilities = json.loads(client.supctl("info", "--json"))["capabilities"]
        assert capabilities["limits_why"] is None, capabilities
        assert not [name for name in capabilities["unsupported"] if name.startswith("limits.")], capabilities


def they_are_the_kernels(machine):
    for client in clients(machine):
        job = client.start(*LIMITS, "--", "sleep", "1000")
        place = machine.run("cat", f"/proc/{client.record(job)['pid']}/cgroup").stdout.strip().removeprefix("0::")
        for file, value in FILES.items():
            assert machine.run("cat", f"/sys/fs/cgroup{place}/{file}").stdout.strip() == str(value), (place, file)
        client.supctl("kill", job)


def too_much_memory_is_oom(machine):
    for client in clients(machine):
        beside = client.start("--memory", str(MEMORY), "--", "sleep", "1000")
        record = client.run("--memory", str(MEMORY), *python(HOG))
        result = record["result"]
        assert (result["reason"], result["signal"], result["survivors"]) == ("oom", "SIGKILL", []), record
        assert 50 * MIB <= result["usage"]["memory_peak_bytes"] <= MEMORY, record
        assert client.record(beside)["state"] == "running", "a limit is one job's"
        client.supctl("kill", beside)


def a_child_that_takes_it_ends_the_whole_tree(machine):
    client = Client(machine, USER)
    script = f"import os, time\nif os.fork() == 0:\n {HOG}\nif os.fork() == 0:\n time.sleep(1000)\nos.wait()\ntime.sleep(1000)"
    record = client.run("--memory", str(MEMORY), *python(script))
    assert (record["result"]["reason"], record["result"]["survivors"]) == ("oom", []), record


def the_oom_of_another_is_not_told(machine):
    """A job that a user kills, and one that ends by itself, while the kernel kills beside."""
    client = Client(machine, USER)
    killed = client.start("--memory", str(MEMORY), "--", "sleep", "1000")
    assert client.run("--memory", str(MEMORY), *python(HOG))["result"]["reason"] == "oom"
    client.supctl("kill", "-s", "KILL", killed)
    assert client.wait(killed)["result"]["reason"] != "oom", client.record(killed)
    assert client.run("--memory", str(MEMORY), "--", "true")["result"]["reason"] == "exited"


def no_more_processes_than_it_may(machine):
    script = ("import os, signal\nn = 0\ntry:\n while n < 100:\n  if os.fork() == 0: signal.pause()\n  n += 1\n"
              "except BlockingIOError: pass\nos._exit(n)")
    for client in clients(machine):
        record = client.run("--processes", str(PROCESSES), *python(script))
        assert record["result"]["exit_code"] == PROCESSES - 1, record
        assert record["result"]["survivors"] == [], record


WAITING_HOG = f"import os, sys\nos.mkfifo(sys.argv[1], 0o666)\nopen(sys.argv[1]).read()\n{HOG}\nopen(sys.argv[1] + '-passed', 'w')"


def start_waiting(machine, client, gate):
    job = client.start(*LIMITS, *python(WAITING_HOG), gate)
    machine.eventually(lambda: machine.run("test", "-p", gate, check=False).returncode == 0, "it runs")
    return job


def they_outlive_the_worker(machine):
    for number, client in enumerate(clients(machine)[:2]):
        gate = f"/tmp/worker{number}"
        job = start_waiting(machine, client, gate)
        worker = machine.worker()
        machine.run("sh", "-c", f"kill -9 {worker}")
        machine.eventually(lambda: machine.worker() not in (None, worker), "another worker is there")
        machine.run("sh", "-c", f"exec >{gate}", user=client.user)
        record = client.wait(job)
        assert record["result"]["reason"] == "oom", record
        assert client.run(*LIMITS, "--", "true")["result"]["reason"] == "exited", "jobs have limits as before"


def they_outlive_supd(machine):
    for number, client in enumerate(clients(machine)):
        gate = f"/tmp/supd{number}"
        job = start_waiting(machine, client, gate)
        scope = ["--user"] if number == 2 else []
        machine.run("systemctl", *scope, "restart", "supd", user=client.user if scope else None)
        machine.run("sh", "-c", f"exec >{gate}", user=client.user)
        record = client.wait(job)
        assert record["result"]["reason"] == ("oom" if machine.knows_ends() else "lost"), record
        assert machine.run("test", "-e", f"{gate}-passed", check=False).returncode == 1, "it was held to its limit"
        assert record["result"]["survivors"] == (None if client.is_own else []), record
        assert client.run(*LIMITS, "--", "true")["result"]["reason"] == "exited", "jobs have limits as before"


def what_it_read_and_wrote_is_counted(machine):
    client = Client(machine)
    record = client.run("--", "sh", "-c", f"dd if=/dev/zero of={DISK} bs=1M count=8 oflag=direct; "
                        f"dd if={DISK} of=/dev/null bs=1M count=4 iflag=direct")
    usage = record["result"]["usage"]
    assert (usage["read_bytes"], usage["written_bytes"]) == (4 * MIB, 8 * MIB), record
    usage = client.run("--", "true")["result"]["usage"]
    assert (usage["read_bytes"], usage["written_bytes"]) == (0, 0), usage


def what_it_took_of_memory_is_counted(machine):
    for client in clients(machine):
        large = client.run(*python("b = bytearray(100 << 20)"))["result"]["usage"]
        small = client.run("--", "true")["result"]["usage"]
        assert 100 * MIB <= large["memory_peak_bytes"] < 200 * MIB and large["source"] == "cgroup", large
        assert 0 < small["memory_peak_bytes"] < 20 * MIB, small


SCENES = [everybody_has_all_of_them, they_are_the_kernels, too_much_memory_is_oom,
          a_child_that_takes_it_ends_the_whole_tree, the_oom_of_another_is_not_told, no_more_processes_than_it_may,
          they_outlive_the_worker, they_outlive_supd, what_it_read_and_wrote_is_counted, what_it_took_of_memory_is_counted]
