"""supctl run: output as it comes, exit codes, signals, and what happens when one side goes away."""

import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import time

import procs
from harness import GUARD, assert_reason, child, daemon_test

MIB = 1 << 20


def run(daemon, *words, **more):
    return daemon.supctl("run", *words, **more)


def code(daemon, *words, **more):
    return run(daemon, *words, **more).returncode


def first_line(process):
    """The first line of a running supctl's stdout, as soon as it is there."""
    line = b""
    until = time.monotonic() + GUARD
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(0, until - time.monotonic()))
        assert ready, f"nothing came but {line!r}"
        byte = os.read(process.stdout.fileno(), 1)
        assert byte, f"ended after {line!r}: {process.stderr.read()!r}"
        line += byte
    return line


@daemon_test
def test_output_goes_where_the_job_sent_it(daemon, client):
    done = run(daemon, "--", *child("both", 3))
    assert done.returncode == 0
    assert done.stdout == b"out 0\nout 1\nout 2\n" and done.stderr == b"err 0\nerr 1\nerr 2\n"


@daemon_test
def test_exit_code_is_the_jobs(daemon, client):
    for number in (0, 1, 77, 255):
        assert code(daemon, "--", *child("exit", number)) == number


@daemon_test
def test_signal_is_128_and_its_number(daemon, client):
    assert code(daemon, "--", *child("kill", 9)) == 137
    assert code(daemon, "--", *child("kill", 10)) == 138
    assert code(daemon, "--", *child("kill", 15)) == 143


@daemon_test
def test_timeouts_are_124(daemon, client):
    assert code(daemon, "--timeout", "300ms", "--", *child("sleep", 1000)) == 124
    assert code(daemon, "--timeout", "300ms", "--", *child("signals", 0)) == 124
    assert code(daemon, "--idle-timeout", "0.3s", "--", *child("sleep", 1000)) == 124
    assert code(daemon, "--cpu-timeout", "200ms", "--", *child("spin")) == 124


@daemon_test
def test_what_cannot_be_executed_is_127_or_126(daemon, client):
    done = run(daemon, "--", "/nonexistent/program")
    assert done.returncode == 127 and done.stderr.startswith(b"supctl: "), done
    assert b"/nonexistent/program" in done.stderr
    assert code(daemon, "--", "no-such-program-anywhere") == 127
    assert code(daemon, "--", "/etc/passwd/x") == 127
    assert code(daemon, "--", "/usr") == 126
    plain = os.path.join(daemon.directory, "plain")
    with open(plain, "w", encoding="utf-8") as file:
        file.write("x")
    assert code(daemon, "--", plain) == 126


@daemon_test
def test_failed_launches_elsewhere_are_125(daemon, client):
    assert code(daemon, "--cwd", "/nonexistent", "--", "true") == 125
    assert code(daemon, "--stdout", "/nonexistent/x/y", "--", "true") == 125


@daemon_test
def test_what_supd_refuses_is_125(daemon, client):
    client.start(child("sleep", 1000), name="taken")
    done = run(daemon, "--name", "taken", "--", "true")
    assert done.returncode == 125 and done.stderr.startswith(b"supctl: "), done


@daemon_test
def test_no_daemon_is_125(daemon, client):
    done = subprocess.run([*daemon.supctl_words()[:1], "--socket", daemon.directory + "/none", "run", "--", "true"],
                          capture_output=True, timeout=GUARD, env={**os.environ, "SUPCTL_NO_AUTOSTART": "1"})
    assert done.returncode == 125 and done.stderr.startswith(b"supctl: "), done


@daemon_test
def test_killed_is_never_0(daemon, client):
    process = daemon.supctl_start("run", "--name", "victim", "--", *child("signals", 0))
    assert first_line(process) == b"ready\n"
    client.call("job.kill", name="victim")
    process.communicate(timeout=GUARD)
    assert process.returncode == 143


@daemon_test
def test_killed_by_a_signal_is_128_and_its_number(daemon, client):
    process = daemon.supctl_start("run", "--name", "victim", "--", *child("ignore-term"))
    assert first_line(process) == b"ready\n"
    client.call("job.kill", name="victim", grace=0)
    process.communicate(timeout=GUARD)
    assert process.returncode == 137


@daemon_test
def test_output_limit_is_not_0(daemon, client):
    done = run(daemon, "--output-limit", "1K", "--on-limit", "kill", "--", *child("flood"))
    assert done.returncode == 143, done.returncode
    assert done.stdout[:16] == b"000000000000000\n"


@daemon_test
def test_output_comes_while_the_job_runs(daemon, client):
    process = daemon.supctl_start("run", "--grace", "0", "--", *child("ignore-term"))
    assert first_line(process) == b"ready\n"
    assert process.poll() is None
    process.kill()
    process.communicate()


@daemon_test
def test_64_mib_through_a_pipe_are_lossless(daemon, client):
    argv = child("flood", 64 * MIB)
    with daemon.supctl_start("run", "--", *argv, stderr=subprocess.DEVNULL) as process, \
            subprocess.Popen(argv, stdout=subprocess.PIPE) as plain:
        sums = []
        for source in (process, plain):
            digest, size = hashlib.sha256(), 0
            while data := source.stdout.read(MIB):
                digest.update(data)
                size += len(data)
            sums.append((digest.hexdigest(), size))
    assert sums[0] == sums[1], sums
    assert process.returncode == 0


@daemon_test
def test_bytes_come_through_as_they_are(daemon, client):
    done = run(daemon, "--", *child("not-utf8"))
    assert done.stdout == bytes(range(256)) + b"\xc3\xe2\x82\xed\xa0\x80\xf5\x80\x80\x80"


@daemon_test
def test_job_has_the_callers_cwd_and_environment(daemon, client):
    done = run(daemon, "--", "sh", "-c", 'pwd; echo "$MINE"', cwd=daemon.directory, env={**os.environ, "MINE": "yes"})
    assert done.stdout.decode().splitlines() == [os.path.realpath(daemon.directory), "yes"]
    done = run(daemon, "--env", "MINE=other", "--cwd", "/", "--", "sh", "-c", 'pwd; echo "$MINE"',
               env={**os.environ, "MINE": "yes"})
    assert done.stdout == b"/\nother\n"


@daemon_test
def test_stdin_that_is_no_terminal_is_fed(daemon, client):
    assert run(daemon, "--", "cat", input=b"h\xffllo\n").stdout == b"h\xffllo\n"
    data = os.urandom(1000) * 1000
    assert run(daemon, "--", "wc", "-c", input=data).stdout.strip() == b"1000000"
    assert run(daemon, "-n", "--", "cat", input=b"hello\n").stdout == b""


@daemon_test
def test_stdin_that_stays_open_is_not_waited_for_once_the_job_is_over(daemon, client):
    process = daemon.supctl_start("run", "-n", "--", *child("exit", 5), stdin=subprocess.PIPE)
    assert process.wait(GUARD) == 5
    process.communicate()


@daemon_test
def test_signals_are_forwarded(daemon, client):
    process = daemon.supctl_start("run", "--", *child("signals", 9))
    assert first_line(process) == b"ready\n"
    for name in ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGINT", "SIGQUIT", "SIGWINCH"):
        process.send_signal(getattr(signal, name))
        assert first_line(process) == name.encode() + b"\n"
    process.send_signal(signal.SIGTERM)
    assert first_line(process) == b"SIGTERM\n"
    process.communicate(timeout=GUARD)
    assert process.returncode == 9


@daemon_test
def test_forwarded_signal_that_ends_the_job(daemon, client):
    process = daemon.supctl_start("run", "--", "sh", "-c", "echo ready; exec sleep 1000")
    assert first_line(process) == b"ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=GUARD)
    assert process.returncode == 143


@daemon_test
def test_sigkill_of_supctl_ends_the_job(daemon, client):
    process = daemon.supctl_start("run", "--name", "leased", "--", *child("ignore-term"), stdin=subprocess.DEVNULL)
    assert first_line(process) == b"ready\n"
    job = client.call("job.status", name="leased")["job"]
    process.kill()
    process.communicate()
    procs.eventually(lambda: client.status(job)["state"] == "stopping", "its end was noticed")
    client.kill(job, grace=0)
    job = client.wait(job)
    assert_reason(job, "killed")
    assert job["result"]["killed_by"]["by"] == "lease"


@daemon_test
def test_reader_that_leaves_ends_it_by_sigpipe(daemon, client):
    words = " ".join(daemon.supctl_words("run", "--name", "endless", "--", "yes"))
    done = subprocess.run(["bash", "-c", f"{words} | head -1; echo ${{PIPESTATUS[0]}}"], capture_output=True,
                          timeout=GUARD, stdin=subprocess.DEVNULL)
    assert done.stdout.split() == [b"y", b"141"], done
    assert done.stderr == b"", done
    job = client.call("job.wait", name="endless")["jobs"][0]
    assert_reason(job, "killed")


@daemon_test
def test_json_prints_the_record_instead(daemon, client):
    done = run(daemon, "--json", "--", *child("both", 1))
    job = json.loads(done.stdout)
    assert_reason(job, "exited", exit_code=0)
    assert job["argv"] == child("both", 1) and done.stdout.count(b"\n") == 1
    assert code(daemon, "--json", "--", *child("exit", 6)) == 6


@daemon_test
def test_detached_prints_the_id(daemon, client):
    for words in (("run", "-d"), ("start",)):
        done = daemon.supctl(*words, "--", *child("sleep", 1000))
        assert done.returncode == 0
        job = client.status(int(done.stdout))
        assert job["state"] == "running"
        client.kill(job, grace=0)


@daemon_test
def test_rm_forgets_the_job(daemon, client):
    assert code(daemon, "--rm", "--", "true") == 0
    procs.eventually(lambda: client.call("job.list")["jobs"] == [], "it is forgotten")
    assert code(daemon, "--", "true") == 0
    assert len(client.call("job.list")["jobs"]) == 1


@daemon_test
def test_spec_from_a_file_and_from_stdin(daemon, client):
    spec = {"argv": ["sh", "-c", "echo $A; exit 4"], "env": {"A": "spec"}, "labels": {"from": "spec"}}
    path = os.path.join(daemon.directory, "spec.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(spec, file)
    done = run(daemon, "--spec", path)
    assert (done.returncode, done.stdout) == (4, b"spec\n"), done
    done = run(daemon, "--spec", "-", input=json.dumps(spec).encode())
    assert (done.returncode, done.stdout) == (4, b"spec\n"), done
    assert {job["labels"].get("from") for job in client.call("job.list")["jobs"]} == {"spec"}
    done = run(daemon, "--spec", "/nonexistent")
    assert (done.returncode, done.stderr) == (125, b"supctl: run: --spec: /nonexistent: No such file or directory\n"), done


@daemon_test
def test_options_mirror_the_spec(daemon, client):
    done = daemon.supctl("start", "--name", "web", "--label", "a=1", "--label", "b=2", "--timeout", "2h",
                         "--idle-timeout", "90m", "--cpu-timeout", "1d", "--grace", "0", "--umask", "077",
                         "--nice", "3", "--env", "X=y=z", "--cwd", "/", "--", "sh", "-c", "umask; nice; echo $X; sleep 1000")
    assert done.returncode == 0, done
    job = client.call("job.status", name="web")["job"]
    assert job["labels"] == {"a": "1", "b": "2"} and job["cwd"] == "/"
    assert 7000 < job["deadlines"]["timeout"] <= 7200 and 5300 < job["deadlines"]["idle_timeout"] <= 5400
    assert 86000 < job["deadlines"]["cpu_timeout"] <= 86400
    client.wait_text(job, "y=z\n")
    assert client.status(job, inline_bytes=100)["stdout"]["data"].split() == ["0077", "3", "y=z"]


@daemon_test
def test_double_dash_may_be_left_out_and_options_end_at_the_command(daemon, client):
    assert run(daemon, "echo", "-n", "--timeout").stdout == b"--timeout"


@daemon_test
def test_closed_standard_streams_are_nobodys(daemon, client):
    """A connection that got the number of a closed stdout would be written to."""
    words = " ".join(daemon.supctl_words("run", "--name", "mute", "--", "sh", "-c", "'cat; echo x; echo y >&2; exit 7'"))
    done = subprocess.run(["bash", "-c", f"{words} <&- >&- 2>&-"], timeout=GUARD)
    assert done.returncode == 7
    job = client.call("job.status", name="mute", inline_bytes=100)["job"]
    assert (job["stdout"]["data"], job["stderr"]["data"]) == ("x\n", "y\n")


@daemon_test
def test_pipe_hands_over_its_own_three(daemon, client):
    done = run(daemon, "--pipe", "--", "sh", "-c", "cat; echo error >&2; exit 9", input=b"given\n")
    assert done.returncode == 9 and done.stdout == b"given\n" and done.stderr == b"error\n", done
    (job,) = client.call("job.list")["jobs"]
    assert job["stdout"]["bytes"] == 0 and job["stderr"]["bytes"] == 0
    done = run(daemon, "--pipe", "--stderr", "stdout", "-n", "--", "sh", "-c", "cat; echo error >&2", input=b"given\n")
    assert done.returncode == 0 and done.stdout == b"error\n" and done.stderr == b"", done
    assert code(daemon, "--pipe", "-t", "--", "true") == 2


@daemon_test
def test_pipe_with_a_file_and_a_socket(daemon, client):
    near, far = socket.socketpair()
    with near, far, open(os.path.join(daemon.directory, "in"), "w+b") as file:
        file.write(b"from a file")
        file.seek(0)
        process = daemon.supctl_start("run", "--pipe", "--", "cat", stdin=file, stdout=far)
        assert process.wait(GUARD) == 0
        assert near.recv(100) == b"from a file"


@daemon_test
def test_start_with_pipe_leaves_the_job_its_streams(daemon, client):
    reader, writer = os.pipe()
    process = daemon.supctl_start("start", "--pipe", "--stdout", "capture", "--", "sh", "-c", "cat; echo later >&2",
                                  stdin=reader)
    number = first_line(process)
    assert process.wait(GUARD) == 0
    os.write(writer, b"text")
    os.close(writer)
    os.close(reader)
    job = client.wait({"id": int(number)}, inline_bytes=100)
    assert job["stdout"]["data"] == "text" and process.stderr.read() == b"later\n"


@daemon_test
def test_pipe_forwards_signals_and_dies_with_its_job(daemon, client):
    process = daemon.supctl_start("run", "--pipe", "--", "sh", "-c", "trap 'exit 7' INT; echo up; sleep 1000 & wait")
    first_line(process)
    process.send_signal(signal.SIGINT)  # its own where it comes before supctl knows of the start
    assert process.wait(GUARD) in (7, -signal.SIGINT)


@daemon_test
def test_what_the_job_leaves_of_stdin_is_the_next_ones(daemon, client):
    words = " ".join(daemon.supctl_words("run", "--", "sh", "-c", "'read a; echo $a'"))
    done = subprocess.run(["sh", "-c", f"{words}; {words}; cat"], input=b"one\ntwo\nthree\n", capture_output=True,
                          timeout=GUARD, check=False)
    assert done.stdout == b"one\ntwo\nthree\n", done


@daemon_test
def test_stdin_of_any_length_for_a_job_that_is_left_running(daemon, client):
    with tempfile.TemporaryFile() as file:
        file.truncate(20 << 20)
        number = daemon.supctl("start", "--", "wc", "-c", stdin=file)
        assert client.wait({"id": int(number.stdout)}, inline_bytes=100)["stdout"]["data"] == f"{20 << 20}\n"
