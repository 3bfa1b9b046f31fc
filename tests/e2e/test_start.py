"""job.run and job.start: the process gets what the spec says, and nothing of the daemon's own."""

import os
import pwd

from client import data_of
from harness import PUBLIC_CHILD, Daemon, assert_reason, child, daemon_test, is_sanitized, needs_root, text

BASE = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "SUPD_JOB_ID"}


def environment(job):
    return dict(line.split("=", 1) for line in text(job).splitlines())


@daemon_test
def test_start_answers_with_a_running_job(daemon, client):
    job = client.start(child("sleep", 1000))
    assert job["state"] == "running" and job["pid"] > 0 and job["result"] is None, job
    assert job["attempt"] == 1
    assert job["owner"]["uid"] == os.getuid()
    assert job["owner"]["user"] == pwd.getpwuid(os.getuid()).pw_name
    assert os.readlink(f"/proc/{job['pid']}/exe") == os.path.realpath(PUBLIC_CHILD)
    assert "data" not in job["stdout"]


@daemon_test
def test_start_of_a_missing_program_answers_with_a_final_job(daemon, client):
    job = client.start(["/nonexistent/program"])
    assert_reason(job, "spawn_failed")


@daemon_test
def test_start_has_no_lease_and_run_has_one(daemon, client):
    other = daemon.client()
    started = other.start(child("sleep", 1000))
    other.request("job.run", argv=child("sleep", 1000), name="leased")
    client_job = other.call("job.wait", name="leased", limit=0)["jobs"][0]
    other.close()
    assert_reason(client.wait(client_job), "killed")
    assert client.status(started)["state"] == "running"


@daemon_test
def test_argv_reaches_the_program_as_it_is(daemon, client):
    arguments = ["", " ", "*", "$HOME", "a\nb", "ü€😀", "-x", "'\""]
    job = client.run(child("args", *arguments))
    assert data_of(job["stdout"]).split(b"\0")[:-1] == [a.encode() for a in arguments]
    assert job["argv"] == child("args", *arguments)


@daemon_test
def test_argv_that_is_not_utf8_is_given_as_base64(daemon, client):
    job = client.run([*child("args"), {"data": "//7D", "encoding": "base64"}])
    assert_reason(job, "exited", exit_code=0)
    assert data_of(job["stdout"]) == b"\xff\xfe\xc3\0"
    assert data_of(job["argv"][2]) == b"\xff\xfe\xc3"


@daemon_test
def test_long_argv_arrives_whole(daemon, client):
    arguments = [f"{i:0100d}" for i in range(5000)]
    job = client.run(child("args", *arguments), output={"head_bytes": 1 << 20}, inline_bytes=1 << 20)
    assert data_of(job["stdout"]).split(b"\0")[:-1] == [a.encode() for a in arguments]


@daemon_test
def test_argv_too_long_for_the_kernel_is_e2big(daemon, client):
    job = client.run(["true", "x" * 200_000])
    assert_reason(job, "spawn_failed")
    assert job["result"]["error"] | {"message": ""} == {"stage": "exec", "errno": "E2BIG", "message": ""}


@daemon_test
def test_environment_is_the_plain_one_and_nothing_of_the_daemons(daemon, client):
    job = client.run(child("env"))
    got = environment(job)
    assert set(got) == BASE, got
    assert got["PATH"] == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    user = pwd.getpwuid(os.getuid())
    assert (got["HOME"], got["USER"], got["LOGNAME"]) == (user.pw_dir, user.pw_name, user.pw_name)
    assert got["SHELL"] == user.pw_shell and got["LANG"] == "C.UTF-8"
    assert got["SUPD_JOB_ID"] == str(job["id"])


def test_environment_of_the_daemon_does_not_leak():
    with Daemon(environment={**os.environ, "SECRET_OF_THE_DAEMON": "1"}) as daemon:
        assert "SECRET_OF_THE_DAEMON" not in environment(daemon.client().run(child("env")))


@daemon_test
def test_env_sets_replaces_and_unsets(daemon, client):
    job = client.run(child("env"), env={"A": "1=2", "EMPTY": "", "LANG": "C", "SHELL": None, "ABSENT": None})
    got = environment(job)
    assert got["A"] == "1=2" and got["EMPTY"] == "" and got["LANG"] == "C"
    assert set(got) == BASE - {"SHELL"} | {"A", "EMPTY"}


@daemon_test
def test_env_value_that_is_not_utf8(daemon, client):
    job = client.run(["sh", "-c", 'printf %s "$X"'], env={"X": {"data": "/w==", "encoding": "base64"}})
    assert data_of(job["stdout"]) == b"\xff" and job["stdout"]["encoding"] == "base64"


@daemon_test
def test_cwd_is_the_home_by_default_and_as_given(daemon, client):
    home = pwd.getpwuid(os.getuid()).pw_dir
    job = client.run(child("cwd"))
    assert text(job).strip() == os.path.realpath(home) and job["cwd"] == home
    job = client.run(child("cwd"), cwd=daemon.directory)
    assert text(job).strip() == os.path.realpath(daemon.directory) and job["cwd"] == daemon.directory


@daemon_test
def test_umask_is_022_by_default_and_as_given(daemon, client):
    assert text(client.run(child("umask"))) == "022\n"
    assert text(client.run(child("umask"), umask="077")) == "077\n"
    assert text(client.run(child("umask"), umask="0")) == "000\n"


@daemon_test
def test_nice_is_0_by_default_and_as_given(daemon, client):
    here = os.getpriority(os.PRIO_PROCESS, 0)
    assert text(client.run(child("nice"))) == f"{here}\n"
    assert text(client.run(child("nice"), nice=7)) == "7\n"


@daemon_test
def test_nice_below_zero_for_root(daemon, client):
    needs_root()
    assert text(client.run(child("nice"), nice=-3)) == "-3\n"


@daemon_test
def test_stdin_is_null_by_default(daemon, client):
    job = client.run(child("cat"))
    assert_reason(job, "exited", exit_code=0)
    assert text(job) == ""
    assert "0 /dev/null" in text(client.run(child("fds"), stdin="null")).splitlines()


@daemon_test
def test_stdin_data_arrives(daemon, client):
    assert text(client.run(child("cat"), stdin={"data": "hällo\n"})) == "hällo\n"
    job = client.run(child("cat"), stdin={"data": "AAH/", "encoding": "base64"})
    assert data_of(job["stdout"]) == b"\x00\x01\xff"
    assert text(client.run(child("cat"), stdin={"data": "", "encoding": "utf-8"})) == ""


@daemon_test
def test_stdin_data_of_1_mib_arrives_whole(daemon, client):
    data = "".join(f"{i:015d}\n" for i in range(65536))
    job = client.run(child("cat"), stdin={"data": data}, output={"head_bytes": 1 << 21}, inline_bytes=1 << 21)
    assert data_of(job["stdout"]) == data.encode()


@daemon_test
def test_stdin_data_that_nobody_reads_delays_nothing(daemon, client):
    job = client.run(child("exit", 3), stdin={"data": "x" * (1 << 20)})
    assert_reason(job, "exited", exit_code=3)
    job = client.start(child("sleep", 1000), stdin={"data": "x" * (1 << 20)})
    assert text(client.run(["echo", "there"])) == "there\n"
    client.kill(job, grace=0)


@daemon_test
def test_only_three_descriptors_are_open_in_the_job(daemon, client):
    quiet = [client.start(child("sleep", 1000)) for _ in range(5)]
    for spec in ({}, {"stdin": {"data": "x"}}, {"stdout": "capture", "stderr": "stdout"}):
        lines = text(client.run(child("fds"), **spec)).splitlines()
        assert sorted(line.split()[0] for line in lines) == ["0", "1", "2"], lines
    assert len(quiet) == 5


@daemon_test
def test_signals_are_neither_blocked_nor_ignored(daemon, client):
    status = dict(line.split(":\t") for line in text(client.run(child("sigs"))).splitlines())
    caught = () if is_sanitized() else ("SigCgt",)  # a sanitized child catches some itself
    for name in ("SigBlk", "SigIgn", "SigPnd", *caught):
        assert int(status[name], 16) == 0, status


@daemon_test
def test_job_has_its_own_session_and_no_terminal(daemon, client):
    job = client.run(child("ids"))
    ids = dict(line.split() for line in text(job).splitlines())
    assert ids["sid"] == ids["pgid"] == ids["pid"] == str(job["pid"]), (ids, job["pid"])
    assert ids["uid"] == str(os.getuid())
    assert text(client.run(child("tty"))) == "0\n0\n0\nno controlling terminal\n"


@daemon_test
def test_exit_codes_and_signals(daemon, client):
    for code in (0, 1, 77, 255):
        assert_reason(client.run(child("exit", code)), "exited", exit_code=code, signal=None)
    for number, name in ((9, "SIGKILL"), (10, "SIGUSR1"), (15, "SIGTERM"), (11, "SIGSEGV")):
        job = client.run(child("kill", number))
        assert_reason(job, "signaled", exit_code=None, signal=name, killed_by=None, core_dumped=False)


@daemon_test
def test_usage_and_times_are_told(daemon, client):
    job = client.run(["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.2"])
    usage = job["result"]["usage"]
    assert usage["user"] + usage["system"] > 0 and usage["max_rss_bytes"] > 100_000, usage
    assert usage["minor_faults"] > 0 and usage["source"] in ("wait4", "cgroup")
    assert 0.2 <= job["elapsed"] < 30 and 0.19 <= job["ended_at"] - job["started_at"] < 30, job


@daemon_test
def test_ids_rise_and_are_never_used_again(daemon, client):
    ids = [client.run(["true"])["id"] for _ in range(5)]
    client.call("job.forget", final=True)
    ids += [client.run(["true"])["id"] for _ in range(5)]
    assert ids == sorted(set(ids)), ids


@daemon_test
def test_inline_bytes_cut_head_and_tail_halves(daemon, client):
    job = client.run(child("flood", 1600), inline_bytes=320)
    data = data_of(job["stdout"])
    start, end = job["stdout"]["cut"]
    whole = b"".join(b"%015d\n" % (16 * i) for i in range(100))
    assert job["stdout"]["bytes"] == 1600 and len(data) == 320
    assert (start, end) == (160, 1440), job["stdout"]["cut"]
    assert data == whole[:160] + whole[1440:]
    job = client.run(child("flood", 1600), inline_bytes=0)
    assert job["stdout"].get("data", "") == "" and job["stdout"]["bytes"] == 1600
