"""What a job may use, and what it used: limits of each process, of the whole tree, usage."""

import resource

import procs
from harness import UNSUPPORTED, Daemon, Skip, assert_reason, assert_refused, child, daemon_test, system_test, text

MIB = 1 << 20
CAP_SYS_RESOURCE = 24
PROCESS_LIMITS = {"address_space_bytes": ("RLIMIT_AS", 1 << 40), "open_files": ("RLIMIT_NOFILE", 77),
                  "file_size_bytes": ("RLIMIT_FSIZE", 12345), "core_bytes": ("RLIMIT_CORE", 4096),
                  "cpu_seconds": ("RLIMIT_CPU", 50)}
TREE_LIMITS = {"memory_bytes": 64 * MIB, "processes": 20, "cpu_weight": 50}


def python(script, *words):
    return ["/usr/bin/python3", "-c", script, *words]


def can(client, name):
    """Whether this machine enforces a limit of trees; where not it must be refused by name."""
    if f"limits.{name}" not in client.call("daemon.info")["capabilities"]["unsupported"]:
        return True
    error = client.refused("job.start", argv=["true"], limits={name: TREE_LIMITS[name]})
    assert_refused(error, UNSUPPORTED, f"limits.{name}")
    return False


@daemon_test
def test_each_limit_of_processes_is_set(daemon, client):
    script = "import resource, sys; print(*resource.getrlimit(getattr(resource, sys.argv[1])))"
    for name, (resource, value) in PROCESS_LIMITS.items():
        job = client.run(python(script, resource), limits={name: value})
        assert_reason(job, "exited", exit_code=0)
        soft, hard = map(int, text(job).split())
        assert soft == value and hard == value + (name == "cpu_seconds"), (name, soft, hard)


@daemon_test
def test_all_of_them_together_and_after_the_worker_died(daemon, client):
    limits = {name: value for name, (_, value) in PROCESS_LIMITS.items()}
    job = client.start(["sleep", "1000"], limits=limits)
    daemon.kill_worker()
    with open(f"/proc/{job['pid']}/limits", encoding="ascii") as file:
        lines = file.read()
    for words in ("Max open files            77 ", "Max file size             12345 ", "Max cpu time              50 "):
        assert words in lines, lines
    client.kill_and_wait(job)


@daemon_test
def test_what_passes_a_limit_of_its_process_is_told_by_the_signal(daemon, client):
    job = client.run(["sh", "-c", "exec head -c 100000 /dev/zero >big"], cwd=daemon.directory,
                     limits={"file_size_bytes": 5000})
    assert_reason(job, "signaled", signal="SIGXFSZ")
    job = client.run(child("spin"), limits={"cpu_seconds": 1})
    assert_reason(job, "signaled", signal="SIGXCPU")


@daemon_test
def test_a_file_that_the_job_itself_is_given_counts_too(daemon, client):
    path = f"{daemon.directory}/out"
    job = client.run(["head", "-c", "100000", "/dev/zero"], stdout={"file": path}, limits={"file_size_bytes": 5000})
    assert_reason(job, "signaled", signal="SIGXFSZ")


def may_raise(pid):
    """Whether the process may set limits beyond its own (capabilities(7), CAP_SYS_RESOURCE)."""
    status = procs.read(pid, "status").decode()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> CAP_SYS_RESOURCE & 1)


@system_test
def test_no_limit_gives_a_user_more_than_they_have(daemon, ann, bob):
    assert_reason(ann.run(["true"], limits={"open_files": 64}), "exited", exit_code=0)
    if not may_raise(daemon.worker):
        raise Skip("root may not raise limits here either: it would be refused whoever sets them")
    with open("/proc/sys/fs/nr_open", encoding="ascii") as file:
        more = int(file.read())
    job = ann.run(["true"], limits={"open_files": more})
    assert_reason(job, "spawn_failed")
    error = job["result"]["error"]
    assert (error["stage"], error["errno"]) == ("limits", "EPERM"), error


@system_test
def test_a_limit_that_was_refused_is_named(daemon, ann, bob):
    most = resource.prlimit(daemon.worker, resource.RLIMIT_NOFILE)[1]
    for spec, name in (({"limits": {"core_bytes": 0, "open_files": max(most + 1, 1 << 40)}}, "limits.open_files"),
                       ({"nice": -5}, "nice")):
        job = ann.run(["true"], **spec)
        error = job["result"]["error"]
        assert error["stage"] == "limits" and error["message"].startswith(f"{name}: "), error
        assert ann.status(job)["result"]["error"] == error


@daemon_test
def test_limits_are_checked_by_name(daemon, client):
    for name, value in (("memory_bytes", 0), ("processes", 0), ("cpu_weight", 10001), ("cpu_seconds", 0),
                        ("open_files", -1), ("core_bytes", 1.5), ("file_size_bytes", "1M")):
        assert_refused(client.refused("job.start", argv=["true"], limits={name: value}), -32602, f"limits.{name}")
    assert_refused(client.refused("job.start", argv=["true"], limits={"unknown": 1}), -32602, "limits.unknown")
    assert client.call("job.list")["jobs"] == []


@daemon_test
def test_a_tree_that_takes_too_much_memory_is_ended_as_oom(daemon, client):
    if not can(client, "memory_bytes"):
        raise Skip("no controller of memory here: it is refused as unsupported")
    script = "import os\nif os.fork() == 0:\n b = bytearray(256 << 20)\nos.wait()\nprint('lived')"
    job = client.run(python(script), limits={"memory_bytes": TREE_LIMITS["memory_bytes"]})
    assert_reason(job, "oom", signal="SIGKILL")
    assert text(job) == ""
    assert job["result"]["usage"]["memory_peak_bytes"] >= 50 * MIB, job["result"]["usage"]
    job = client.run(["true"], limits={"memory_bytes": TREE_LIMITS["memory_bytes"]})
    assert_reason(job, "exited", exit_code=0)


@daemon_test
def test_a_tree_has_no_more_processes_than_it_may(daemon, client):
    if not can(client, "processes"):
        raise Skip("no controller of processes here: it is refused as unsupported")
    script = ("import os, signal\nn = 0\ntry:\n while n < 100:\n  if os.fork() == 0: signal.pause()\n  n += 1\n"
              "except BlockingIOError: pass\nprint(n)")
    job = client.run(python(script), limits={"processes": TREE_LIMITS["processes"]})
    assert_reason(job, "exited", exit_code=0)
    assert int(text(job)) == TREE_LIMITS["processes"] - 1, text(job)


@daemon_test
def test_a_tree_has_its_weight(daemon, client):
    if not can(client, "cpu_weight"):
        raise Skip("no controller of the processors here: it is refused as unsupported")
    job = client.start(child("sleep", 1000), limits={"cpu_weight": TREE_LIMITS["cpu_weight"]})
    with open(f"/proc/{job['pid']}/cgroup", encoding="ascii") as file:
        place = next(line.strip()[3:] for line in file if line.startswith("0::"))
    with open("/proc/self/mountinfo", encoding="ascii") as file:
        mount = next(line.split()[4] for line in file if " - cgroup2 " in line)
    with open(f"{mount}{place}/cpu.weight", encoding="ascii") as file:
        assert int(file.read()) == TREE_LIMITS["cpu_weight"]
    client.kill_and_wait(job)


@daemon_test
def test_usage_is_the_whole_trees_where_a_cgroup_holds_it(daemon, client):
    # The leader waits for nobody: only a cgroup knows what its child burnt.
    script = ("import os, signal, time\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nif os.fork() == 0:\n"
              " while time.process_time() < 0.3: pass\n os._exit(0)\ntry: os.wait()\nexcept ChildProcessError: pass")
    for _ in range(3):  # cgroups are used again: each tells of its own job
        usage = client.run(python(script))["result"]["usage"]
        if client.call("daemon.info")["capabilities"]["tree"] == "cgroup":
            assert usage["source"] == "cgroup" and 0.3 <= usage["user"] + usage["system"] < 20, usage
        else:
            assert usage["source"] == "wait4" and usage["user"] + usage["system"] < 0.3, usage
    usage = client.run(["true"])["result"]["usage"]
    assert 0 <= usage["user"] + usage["system"] < 0.3 and usage["max_rss_bytes"] > 0, usage


@daemon_test
def test_usage_outlives_the_worker(daemon, client):
    job = client.start(child("sleep", 1000))
    daemon.kill_worker()
    client.call("job.kill", id=job["id"], grace=0)
    usage = client.wait(job)["result"]["usage"]
    way = client.call("daemon.info")["capabilities"]["tree"]
    assert usage["source"] == ("cgroup" if way == "cgroup" else "wait4"), usage


@daemon_test
def test_options_of_supctl(daemon, client):
    done = daemon.supctl("run", "-n", "--open-files", "55", "--file-size", "2K", "--cpu-seconds", "9", "--core-size", "0",
                         "--address-space", "8G", "--", "sh", "-c", "ulimit -n; ulimit -f; ulimit -t; ulimit -c; ulimit -v")
    assert done.stdout.split() == [b"55", b"4", b"9", b"0", b"8388608"], (done.stdout, done.stderr)
    for option in ("--memory", "--processes", "--cpu-weight"):
        assert option.encode() in daemon.supctl("run", "--help").stdout
    if not can(client, "memory_bytes"):
        done = daemon.supctl("run", "-n", "--memory", "64M", "--", "true")
        assert done.returncode == 125 and b"limits.memory_bytes" in done.stderr, done.stderr


def test_usage_is_kept_in_the_history():
    with Daemon() as daemon:
        job = daemon.client().call("job.run", argv=["sh", "-c", "true & wait"])["job"]
        daemon.terminate()
        with Daemon(directory=daemon.directory) as second:
            assert second.client().status(job)["result"]["usage"] == job["result"]["usage"]
