"""The other commands of supctl: start, status, logs, wait, kill, forget, info, stats, rpc, help."""

import json
import os
import subprocess

import procs
from harness import GUARD, SUPCTL, assert_reason, child, daemon_test

SETS = "any"
COMMANDS = ("run", "start", "status", "logs", "wait", "kill", "forget", "info", "stats", "rpc")


def lines(done):
    assert done.returncode == 0, done
    return [json.loads(line) for line in done.stdout.splitlines()]


@daemon_test
def test_status_table_and_json(daemon, client):
    first, second = client.run(child("exit", 3), name="first"), client.start(child("sleep", 1000), name="second")
    done = daemon.supctl("status")
    assert done.returncode == 0 and b"first" in done.stdout and b"second" in done.stdout, done
    assert b"\x1b" not in done.stdout, "no colour where there is no terminal"
    assert [job["id"] for job in lines(daemon.supctl("status", "--json"))] == [second["id"], first["id"]]


@daemon_test
def test_status_of_some(daemon, client):
    first, second = client.run(child("exit", 3), name="first"), client.start(child("sleep", 1000))
    done = daemon.supctl("status", "first")
    assert done.returncode == 0 and b"exited" in done.stdout and b"3" in done.stdout, done
    assert [job["id"] for job in lines(daemon.supctl("status", "--json", "first", second["id"]))] == \
        [first["id"], second["id"]]
    done = daemon.supctl("status", "nobody")
    assert done.returncode == 1 and done.stderr.startswith(b"supctl: "), done
    assert daemon.supctl("status", 999).returncode == 1


@daemon_test
def test_status_filters(daemon, client):
    over = client.run(["true"], labels={"kind": "a"})
    live = client.start(child("sleep", 1000), labels={"kind": "b"})
    assert [job["id"] for job in lines(daemon.supctl("status", "--json", "--label", "kind=a"))] == [over["id"]]
    assert {job["id"] for job in lines(daemon.supctl("status", "--json"))} == {over["id"], live["id"]}


@daemon_test
def test_logs(daemon, client):
    job = client.run(child("both", 3), name="printer")
    done = daemon.supctl("logs", job["id"])
    assert (done.stdout, done.stderr) == (b"out 0\nout 1\nout 2\n", b"err 0\nerr 1\nerr 2\n"), done
    assert daemon.supctl("logs", "printer").stdout == done.stdout
    done = daemon.supctl("logs", "--stdout", "printer")
    assert (done.stdout, done.stderr) == (b"out 0\nout 1\nout 2\n", b"")
    done = daemon.supctl("logs", "--stderr", "printer")
    assert (done.stdout, done.stderr) == (b"", b"err 0\nerr 1\nerr 2\n")
    assert daemon.supctl("logs", "nobody").returncode == 1


@daemon_test
def test_logs_of_the_last_lines(daemon, client):
    job = client.run(child("lines", 1000))
    for count in (0, 1, 5, 999):
        done = daemon.supctl("logs", "-n", count, job["id"])
        assert done.stdout == b"".join(b"line %d\n" % i for i in range(1001 - count, 1001)), (count, done)
    assert daemon.supctl("logs", "-n", 5000, job["id"]).stdout.count(b"\n") == 1000
    job = client.run(["printf", "a\nb\nno newline"])
    assert daemon.supctl("logs", "-n", 2, job["id"]).stdout == b"b\nno newline"


@daemon_test
def test_options_may_follow_the_id(daemon, client):
    job = client.run(child("both", 3))
    assert daemon.supctl("logs", job["id"], "--stderr", "-n", 1).stdout == b""
    assert daemon.supctl("logs", job["id"], "-n", 1, "--stdout").stdout == b"out 2\n"
    assert daemon.supctl("status", job["id"], "--json").stdout.startswith(b"{")


@daemon_test
def test_logs_of_a_large_output_are_whole(daemon, client):
    job = client.run(child("flood", 900_000))
    assert daemon.supctl("logs", job["id"]).stdout == b"".join(b"%015d\n" % i for i in range(0, 900_000, 16))


@daemon_test
def test_logs_of_bytes_that_are_no_text(daemon, client):
    job = client.run(child("not-utf8"))
    assert daemon.supctl("logs", job["id"]).stdout[:256] == bytes(range(256))


@daemon_test
def test_logs_follow_to_the_end(daemon, client):
    job = client.start(["sh", "-c", "echo one; sleep 0.3; echo two; sleep 0.3; echo three"])
    assert daemon.supctl("logs", "-f", job["id"]).stdout == b"one\ntwo\nthree\n"


@daemon_test
def test_logs_follow_shows_what_comes_while_it_comes(daemon, client):
    job = client.start(child("signals", 0))
    client.wait_text(job, "ready\n")
    process = daemon.supctl_start("logs", "-f", job["id"])
    assert process.stdout.readline() == b"ready\n"
    client.call("job.signal", id=job["id"], signal="SIGUSR1")
    assert process.stdout.readline() == b"SIGUSR1\n"
    process.kill()
    process.communicate()
    assert client.status(job)["state"] == "running", "a follower's end is not the job's"


@daemon_test
def test_logs_follow_goes_on_within_a_line(daemon, client):
    job = client.start(["sh", "-c", r"printf 'one\nabc'; read go; printf 'def\n'; echo end"], stdin="stream")
    client.wait_text(job, "abc")
    process = daemon.supctl_start("logs", "-f", "-n", 5, job["id"])
    assert process.stdout.readline() == b"one\n"
    client.call("job.input", id=job["id"], data="go\n")
    with process:
        assert process.stdout.read() == b"abcdef\nend\n"


@daemon_test
def test_logs_with_timestamps(daemon, client):
    job = client.run(child("lines", 3))
    out = daemon.supctl("logs", "--timestamps", job["id"]).stdout.splitlines()
    assert len(out) == 3 and all(line.endswith(b"line %d" % (i + 1)) for i, line in enumerate(out)), out
    assert all(line[:2] == b"20" and len(line) > 20 for line in out), out


@daemon_test
def test_wait_codes(daemon, client):
    jobs = [client.run(child("exit", code))["id"] for code in (0, 3, 4)]
    assert daemon.supctl("wait", jobs[0]).returncode == 0
    assert daemon.supctl("wait", jobs[2]).returncode == 4
    assert daemon.supctl("wait", *jobs).returncode == 3
    assert daemon.supctl("wait", jobs[2], jobs[1], jobs[0]).returncode == 4
    assert daemon.supctl("wait", client.run(child("kill", 9))["id"]).returncode == 137
    assert daemon.supctl("wait", client.run(["/nonexistent/x"])["id"]).returncode == 127
    assert daemon.supctl("wait", client.run(child("sleep", 9), timeout=0.1)["id"]).returncode == 124
    assert daemon.supctl("wait", 99999).returncode in (1, 125)


@daemon_test
def test_wait_really_waits(daemon, client):
    job = client.start(child("signals", 8), name="waited")
    client.wait_text(job, "ready\n")
    process = daemon.supctl_start("wait", "waited")
    procs.eventually(lambda: client.call("daemon.stats")["clients"]["connected"] >= 2, "supctl is there")
    client.call("job.signal", id=job["id"], signal="SIGTERM")
    process.communicate(timeout=GUARD)
    assert process.returncode == 8


@daemon_test
def test_wait_any_and_limit(daemon, client):
    live, over = client.start(child("sleep", 1000)), client.run(child("exit", 5))
    assert daemon.supctl("wait", "--any", live["id"], over["id"]).returncode == 5
    done = daemon.supctl("wait", "--limit", "100ms", live["id"])
    assert done.returncode == 124 and done.stderr.startswith(b"supctl: "), done


@daemon_test
def test_wait_until(daemon, client):
    job = client.start(child("ignore-term"), grace=0)
    assert daemon.supctl("wait", "--until", "ready", job["id"]).returncode == 0
    assert client.status(job)["state"] == "running"
    assert daemon.supctl("wait", "--until", "never", client.run(child("exit", 0))["id"]).returncode == 1
    assert daemon.supctl("wait", "--until", "never", client.run(child("exit", 6))["id"]).returncode == 6
    assert daemon.supctl("wait", "--until", "x", "--limit", "100ms", job["id"]).returncode == 124


@daemon_test
def test_kill(daemon, client):
    job = client.start(child("sleep", 1000), name="victim")
    assert daemon.supctl("kill", "victim").returncode == 0
    assert_reason(client.wait(job), "killed", signal="SIGTERM")
    job = client.start(child("ignore-term"))
    client.wait_text(job, "ready\n")
    assert daemon.supctl("kill", "--grace", "100ms", job["id"]).returncode == 0
    assert_reason(client.wait(job), "killed", signal="SIGKILL")
    assert daemon.supctl("kill", "nobody").returncode == 1


@daemon_test
def test_kill_several(daemon, client):
    jobs = [client.start(child("sleep", 1000)) for _ in range(3)]
    assert daemon.supctl("kill", *(job["id"] for job in jobs)).returncode == 0
    for job in jobs:
        assert_reason(client.wait(job), "killed")


@daemon_test
def test_kill_with_a_signal_delivers_it(daemon, client):
    job = client.start(child("signals", 3))
    client.wait_text(job, "ready\n")
    for words, name in ((("-s", "USR1"), "SIGUSR1"), (("-HUP",), "SIGHUP"), (("-s", "SIGUSR2"), "SIGUSR2"),
                        (("-2",), "SIGINT")):
        assert daemon.supctl("kill", *words, job["id"]).returncode == 0, words
        client.wait_text(job, name + "\n")
    assert daemon.supctl("kill", "-s", "TERM", job["id"]).returncode == 0
    assert_reason(client.wait(job), "exited", exit_code=3)


@daemon_test
def test_kill_9_is_grace_0(daemon, client):
    for words in (("-9",), ("-KILL",), ("-s", "KILL")):
        job = client.start(child("sleep", 1000))
        assert daemon.supctl("kill", *words, job["id"]).returncode == 0
        assert_reason(client.wait(job), "killed", signal="SIGKILL")


@daemon_test
def test_forget(daemon, client):
    jobs = [client.run(["true"], name=f"n{i}")["id"] for i in range(4)]
    live = client.start(child("sleep", 1000))["id"]
    assert daemon.supctl("forget", jobs[0], "n1").returncode == 0
    assert {job["id"] for job in client.call("job.list")["jobs"]} == {jobs[2], jobs[3], live}
    assert daemon.supctl("forget", live).returncode == 1
    assert daemon.supctl("forget", "--final").returncode == 0
    assert [job["id"] for job in client.call("job.list")["jobs"]] == [live]
    assert daemon.supctl("forget").returncode == 2


@daemon_test
def test_info_and_stats(daemon, client):
    done = daemon.supctl("info")
    assert done.returncode == 0 and str(daemon.pid).encode() in done.stdout, done
    assert lines(daemon.supctl("info", "--json"))[0]["pid"] == daemon.pid
    assert daemon.supctl("stats").returncode == 0
    assert "jobs" in lines(daemon.supctl("stats", "--json"))[0]


@daemon_test
def test_rpc(daemon, client):
    assert lines(daemon.supctl("rpc", "daemon.info"))[0]["pid"] == daemon.pid
    answer = lines(daemon.supctl("rpc", "job.run", '{"argv": ["echo", "x"]}'))[0]
    assert answer["job"]["stdout"]["data"] == "x\n"
    done = daemon.supctl("rpc", "job.status", '{"id": 99}')
    assert done.returncode == 1 and b"not_found" in done.stdout + done.stderr, done
    assert daemon.supctl("rpc", "no.such").returncode == 1
    assert daemon.supctl("rpc", "daemon.info", "{nonsense").returncode == 2


@daemon_test
def test_words_that_are_not_utf8_name_nothing(daemon, client):
    client.start(child("sleep", 1000))
    word = os.fsdecode(b"\xff")
    for command in ("rpc", "status", "kill", "logs", "forget", "wait", "send"):
        done = daemon.supctl(command, word)
        assert done.returncode in (1, 125) and done.stdout == b"", (command, done)
        assert done.stderr.startswith(rb"supctl: \xff: ") and b"not UTF-8" in done.stderr, (command, done)


@daemon_test
def test_values_that_are_not_utf8_are_wrong_usage(daemon, client):
    for command, option, value in (("status", "--name", b"\xff"), ("status", "--state", b"\xff"),
                                   ("status", "--label", b"a=\xff"), ("events", "--type", b"\xff"),
                                   ("wait", "--until", b"\xff"), ("logs", "--since", b"\xff")):
        done = daemon.supctl(command, option, os.fsdecode(value), "1")
        assert done.returncode == 2 and done.stdout == b"", (command, done)
        shown = value.replace(b"\xff", rb"\xff").decode()
        assert done.stderr.decode() == f"supctl: {command}: {shown}: is not UTF-8 (see supctl {command} --help)\n", done


@daemon_test
def test_rpc_that_follows_tells_an_end_from_a_loss(daemon, client):
    job = client.start(["sh", "-c", "echo x; read a"], stdin="stream")
    words = ("rpc", "job.output", json.dumps({"id": job["id"], "follow": True}))
    whole, cut = daemon.supctl_start(*words), daemon.supctl_start("rpc", "event.subscribe")
    for process in (whole, cut):
        assert b"subscription" in process.stdout.readline()
    client.call("job.input", id=job["id"], eof=True)
    out, err = whole.communicate(timeout=GUARD)
    assert whole.returncode == 0 and err == b"" and json.loads(out.splitlines()[-1])["params"]["eof"], (out, err)
    client.call("daemon.stop")
    err = cut.communicate(timeout=GUARD)[1]
    assert cut.returncode == 1 and err == b"supctl: event.subscribe: supd closed the connection\n", (cut.returncode, err)


@daemon_test
def test_without_a_reader_nothing_is_told_for_ever(daemon, client):
    """Where SIGPIPE is ignored, only the write says so."""
    job = client.start(["cat"], stdin="stream")

    def told(process):
        client.call("job.input", id=job["id"], data="x\n")
        client.run(["true"])
        return process.poll() is not None

    for words in (["events", "--since", 0], ["rpc", "event.subscribe"], ["logs", "-f", "--json", job["id"]]):
        process = daemon.supctl_start(*words, restore_signals=False)  # Python ignores it
        process.stdout.readline()
        process.stdout.close()
        procs.eventually(lambda p=process: told(p), "it has ended")
        assert process.returncode == 1 and b"Broken pipe" in process.stderr.read(), (words, process.returncode)


@daemon_test
def test_environment_names_the_socket(daemon, client):
    done = subprocess.run([SUPCTL, "info", "--json"], capture_output=True, timeout=GUARD,
                          env={**os.environ, "SUPD_SOCKET": daemon.socket})
    assert json.loads(done.stdout)["pid"] == daemon.pid, done


def test_help_of_each_command():
    for words in (["--help"], ["help"], *([command, "--help"] for command in COMMANDS),
                  *(["help", command] for command in COMMANDS)):
        done = subprocess.run([SUPCTL, *words], capture_output=True, timeout=GUARD)
        assert done.returncode == 0 and len(done.stdout) > 80 and done.stderr == b"", (words, done)
        if words[-1] in COMMANDS:
            assert words[-1].encode() in done.stdout
    every = subprocess.run([SUPCTL, "--help"], capture_output=True, timeout=GUARD).stdout
    for command in COMMANDS:
        assert command.encode() in every, command


def test_version():
    done = subprocess.run([SUPCTL, "--version"], capture_output=True, timeout=GUARD)
    assert done.returncode == 0 and done.stdout.startswith(b"supctl "), done


def test_help_of_run_knows_the_spec():
    said = subprocess.run([SUPCTL, "run", "--help"], capture_output=True, timeout=GUARD).stdout.decode()
    for option in ("--timeout", "--idle-timeout", "--cpu-timeout", "--grace", "--name", "--env", "--cwd", "--label",
                   "--spec", "--json", "--rm", "--key", "--umask", "--nice", "--descendants"):
        assert option in said, option


@daemon_test
def test_usage_errors_are_2(daemon, client):
    for words in ([], ["no-such-command"], ["run"], ["start"], ["run", "--no-such-option", "--", "true"],
                  ["run", "--timeout", "soon", "--", "true"], ["run", "--timeout"], ["wait"], ["kill"], ["logs"],
                  ["logs", "-n", "x", "1"], ["kill", "-s", "NONE", "1"], ["run", "--label", "x", "--", "true"],
                  ["run", "--output-limit", "5Q", "--", "true"], ["--no-such-option"]):
        done = daemon.supctl(*words)
        assert done.returncode == 2 and done.stderr.startswith(b"supctl: ") and done.stdout == b"", (words, done)
    assert client.call("job.list")["jobs"] == []


@daemon_test
def test_logs_of_one_stream_are_the_stored_bytes(daemon, client):
    big = b"".join(b"%d\n" % i for i in range(1, 150001))
    job = client.run(["seq", "1", "150000"])
    assert daemon.supctl("logs", job["id"]).stdout == big
    job = client.run(["sh", "-c", "seq 1 150000 >&2; echo out"])
    done = daemon.supctl("logs", "--stderr", job["id"])
    assert done.stderr == big and done.stdout == b""
    job = client.run(["seq", "1", "150000"], output={"head_bytes": 1000, "tail_bytes": 2000})
    done = daemon.supctl("logs", job["id"])
    assert done.stdout == big[:1000] + big[-2000:]
    assert b"%d bytes are not kept (from 1000 to %d)" % (len(big) - 3000, len(big) - 2000) in done.stderr, done.stderr
    done = daemon.supctl("logs", "-n", 3, job["id"])
    assert (done.stdout, done.stderr) == (b"149998\n149999\n150000\n", b""), "what is missing was before"
    done = daemon.supctl("logs", "-n", 1000, job["id"])
    assert b"bytes are not kept (from 1000" in done.stderr and done.stdout == big[:1000] + big[-2000:], done.stderr
    job = client.run(["seq", "1", "150000"], output={"limit_bytes": 10})
    done = daemon.supctl("logs", "-n", 3, job["id"])
    assert done.stdout == big[4:10] and b"(from 10 to %d)" % len(big) in done.stderr, done
    done = daemon.supctl("logs", job["id"])
    assert done.stdout == big[:10] and b"(from 10 to %d)" % len(big) in done.stderr, done
