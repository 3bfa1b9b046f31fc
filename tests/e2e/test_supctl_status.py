"""supctl status: what people look for."""

import contextlib
import json
import os
import re

from harness import child, daemon_test

SETS = "any"


def report(daemon, job):
    """The fields that are shown of a job, and what comes behind them."""
    done = daemon.supctl("status", job["id"])
    assert done.returncode == 0 and done.stderr == b"", done
    head, _, last = done.stdout.decode().partition("\n\n")
    return dict(re.split(r"\s+", line, maxsplit=1) for line in head.splitlines()), last


def row(daemon, job):
    """Its row of the table, by column."""
    heads, *rows = daemon.supctl("status").stdout.decode().splitlines()
    (line,) = [each for each in rows if each.split()[0] == str(job["id"])]
    return dict(zip(heads.split(), line.split()))


@daemon_test
def test_a_live_job(daemon, client):
    job = client.start(child("sleep", 1000), name="build", timeout=3600, idle_timeout=60, labels={"kind": "a b"})
    shown, last = report(daemon, job)
    assert shown["job"] == f"{job['id']}: build" and shown["state"].startswith("running for "), shown
    assert shown["pid"] == str(job["pid"]) and shown["label"] == "kind='a b'", shown
    assert shown["left"].endswith("of the idle_timeout") and last == "", shown
    assert "reason" not in shown and "survivors" not in shown and "ended" not in shown
    columns = row(daemon, job)
    assert columns["STATE"] == "running" and columns["RESULT"] == "-" and re.match(r"\d+s$", columns["AGE"]), columns
    assert re.match(r"5\d\.\d+s$|60\.00s$", columns["LEFT"]), columns


@daemon_test
def test_a_good_end_says_nothing_more(daemon, client):
    shown, last = report(daemon, client.run(["echo", "fine"]))
    assert re.match(r"final: exit 0 after \S+, \S+ ago$", shown["state"]) and shown["reason"] == "exited", shown
    assert shown["stdout"] == "5 bytes" and "stderr" not in shown and last == ""


@daemon_test
def test_the_last_lines_of_a_failure(daemon, client):
    job = client.run(["sh", "-c", "echo out; seq 1 30 >&2; printf unended >&2; exit 3"])
    shown, last = report(daemon, job)
    assert shown["state"].startswith("final: exit 3"), shown
    assert last.splitlines() == ["the last of its stderr:", *map(str, range(22, 31)), "unended"], last
    _, last = report(daemon, client.run(["sh", "-c", "echo only out; exit 1"]))
    assert last.splitlines() == ["the last of its stdout:", "only out"]


@daemon_test
def test_reasons(daemon, client):
    shown, _ = report(daemon, client.run(child("sleep", 1000), timeout=0.05))
    assert shown["reason"].startswith("timeout: after "), shown
    job = client.start(child("sleep", 1000))
    client.kill(job)
    shown, _ = report(daemon, client.wait(job))
    assert shown["reason"].startswith("killed: by a client of uid "), shown
    shown, _ = report(daemon, client.run(["/nonexistent"]))
    assert shown["reason"] == "spawn_failed: /nonexistent: No such file or directory", shown
    assert "started" not in shown and "pid" not in shown


@daemon_test
def test_a_job_can_not_drive_the_terminal(daemon, client):
    job = client.run(["sh", "-c", r"printf 'a\033[31mb\302\233c\n\302\265\n' >&2; exit 1", "\033[1m"], cwd="/")
    done = daemon.supctl("status", job["id"])
    assert b"\x1b" not in done.stdout and b"\xc2\x9b" not in done.stdout, done.stdout
    assert rb"a\x1b[31mb\u009bc" in done.stdout and "µ".encode() in done.stdout, done.stdout


@daemon_test
def test_nor_can_what_a_job_was_given(daemon, client):
    evil = "/\033]0;title\007\u009b31m"
    failed, over = client.run([evil]), client.run(["true", evil], labels={"of": evil}, cwd="/")
    for words in (["status"], ["status", failed["id"]], ["status", over["id"]], ["run", evil]):
        done = daemon.supctl(*words)
        shown = done.stdout + done.stderr
        assert b"\x1b" not in shown and b"\x07" not in shown and b"\xc2\x9b" not in shown, (words, shown)
        assert rb"\x1b]0;title\x07\u009b31m" in shown, (words, shown)


@daemon_test
def test_what_is_no_text_can_not_either(daemon, client):
    job = client.run([{"data": "m5vp", "encoding": "base64"}])  # 9b 9b e9: as it is in Latin-1
    done = daemon.supctl("status", job["id"])
    assert rb"command    \x9b\x9b\xe9" in done.stdout and b"\x9b" not in done.stdout, done.stdout


@daemon_test
def test_json_is_the_record_alone(daemon, client):
    job = client.run(["sh", "-c", "echo out; exit 1"])
    shown = json.loads(daemon.supctl("status", "--json", job["id"]).stdout)
    assert "data" not in shown["stdout"] and shown["id"] == job["id"]


@daemon_test
def test_nor_can_its_record_as_json(daemon, client):
    evil = "\u009b31m\033"
    job = client.run(["true", evil], cwd="/")
    near, far = os.openpty()
    process, shown = daemon.supctl_start("status", "--json", job["id"], stdout=far), b""
    os.close(far)
    with contextlib.suppress(OSError):  # EIO: nobody has it open any more
        while piece := os.read(near, 4096):
            shown += piece
    os.close(near)
    with process:
        assert process.stderr.read() == b""
    assert b"\xc2" not in shown and b"\033" not in shown, shown
    assert json.loads(shown)["argv"] == ["true", evil]
    assert "\u009b".encode() in daemon.supctl("status", "--json", job["id"]).stdout, "programs get it as it is"
