"""supctl run -t, attach and resize, at a terminal."""

import json
import os
import shutil
import signal
import sys
import termios

import procs
from harness import GUARD, SUPCTL, Skip, assert_reason, daemon_test
from terminal import SIZE_ONCE_RESIZED, Terminal


def needs(*programs):
    for program in programs:
        path = shutil.which(program)
        if path:
            return path
    raise Skip(f"needs {programs[0]}")


def attached(name):
    """The process of supctl attach NAME."""
    (pid,) = set(procs.with_argument(name)) & set(procs.of_executable(SUPCTL))
    return pid


def in_foreground(token):
    """Whether a live process with this argument has its terminal: its group is the one in the foreground (proc(5))."""
    return any(fields and fields[2] == fields[5] for fields in map(procs.stat, procs.with_argument(token)))


@daemon_test
def test_shell_with_job_control(daemon, client):
    with Terminal(daemon) as at:
        at.line("supctl run -t -- bash --norc --noprofile")
        at.line("PS1='inner> '; stty size")
        at.shows("24 90")
        first, second = (f"{os.getpid()}.{i}" for i in (1, 2))
        at.line(f"sleep {first} & jobs; fg")
        procs.eventually(lambda: in_foreground(first), "sleep has the terminal")
        at.keys("C-z")
        at.shows("Stopped")
        at.line("kill -9 %1; wait; echo over$((1+1))")
        at.shows("over2")
        at.line(f"sleep {second}; echo interrupted$?")
        procs.eventually(lambda: in_foreground(second), "sleep has the terminal")
        at.keys("C-c")
        at.line("echo code$?")
        at.shows("code130")
        at.line("exit 3")
        at.prompts()
        at.line("echo left$?")
        at.shows("left3")
        at.check_cooked("plain")


@daemon_test
def test_editor_through_detaching_and_resizing(daemon, client):
    vi = needs("vim", "vim.tiny")
    with Terminal(daemon) as at:
        job = client.start([vi, "-u", "NONE", "/etc/passwd"], name="edit", pty={"rows": 24, "cols": 90},
                           env={"TERM": "xterm"})
        at.line("supctl attach edit")
        at.shows("root:")
        at.keys("G", "o")
        at.line("first line")
        at.shows("first line")
        at.resize(70, 15)
        at.keys("Escape")
        at.line(":set columns? lines?")
        at.shows("lines=15")
        at.keys("C-]", "d")
        at.shows("detached from job")
        at.hides("root:")
        at.check_cooked("edited")
        at.line("supctl attach edit")
        at.shows("first line")
        at.line(":q!")
        at.prompts()
        at.line("echo left$?")
        at.shows("left0")
        assert_reason(client.wait(job), "exited", exit_code=0)
        at.check_cooked("quit")


@daemon_test
def test_full_screen_program(daemon, client):
    top = needs("top")
    with Terminal(daemon) as at:
        at.line(f"supctl run -t -- {top} -d 1000")
        at.shows("PID USER")
        at.keys("q")
        at.prompts()
        at.line("echo left$?")
        at.shows("left0")
        at.check_cooked("topped")


@daemon_test
def test_the_detach_key_typed_twice_is_the_jobs(daemon, client):
    job = client.start(["cat", "-v"], pty={})
    with Terminal(daemon) as at:
        at.line(f"supctl attach {job['id']}")
        at.shows("Ctrl-] d detaches")
        at.keys("a", "C-]", "C-]", "b", "C-]", "c", "Enter")
        at.shows("a^]b^]c\na^]b^]c")
        at.keys("C-d")
        at.prompts()
        at.line("echo left$?")
        at.shows("left0")


@daemon_test
def test_terminal_is_restored_however_supctl_ends(daemon, client):
    with Terminal(daemon) as at:
        for number, status in ((signal.SIGTERM, 143), (signal.SIGALRM, 142), (signal.SIGPIPE, 141)):
            job = client.start(["cat"], name=f"n{number}", pty={})
            at.line(f"supctl attach n{number}")
            at.shows(f"attached to job {job['id']}:")  # what was before is still on the screen
            at.line(f"typed{number}")
            at.shows(f"typed{number}\ntyped{number}")
            pid = attached(f"n{number}")
            procs.kill(pid, number)
            at.prompts()
            at.line(f"echo by$? {status}")
            at.shows(f"by{status} {status}")
            at.check_cooked(f"after{number}")
            assert client.status(job)["state"] == "running"


@daemon_test
def test_whatever_signal_ends_supctl_its_terminal_is_as_before(daemon, client):
    """No shell is there that would restore it itself."""
    master, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    before = termios.tcgetattr(terminal)
    client.start(["cat"], name="joined", pty={})
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGPROF, signal.SIGIO, signal.SIGPWR, signal.SIGRTMIN):
        process = daemon.supctl_start("attach", "joined", stdin=terminal)
        procs.eventually(lambda: termios.tcgetattr(terminal) != before, "it is raw")
        process.send_signal(number)
        process.communicate(timeout=GUARD)
        assert process.returncode == -number and termios.tcgetattr(terminal) == before, (number, process.returncode)
    os.close(master)
    os.close(terminal)


@daemon_test
def test_stopped_from_outside_the_shell_gets_its_terminal_back(daemon, client):
    client.start(["cat"], name="stops", pty={})
    with Terminal(daemon) as at:
        at.line("supctl attach stops")
        at.line("once")
        at.shows("once\nonce")
        pid = attached("stops")
        procs.kill(pid, signal.SIGTSTP)
        at.shows("Stopped")
        at.check_cooked("between")
        at.line("fg")
        at.line("again")
        at.shows("again\nagain")


@daemon_test
def test_the_end_of_the_daemon_restores_too(daemon, client):
    with Terminal(daemon) as at:
        at.line("supctl run -t -- cat")
        at.line("here")
        at.shows("here\nhere")
        client.call("daemon.stop")
        at.shows("supctl:")
        at.check_cooked("gone")


@daemon_test
def test_while_a_daemon_that_is_gone_is_waited_for(daemon, client):
    with Terminal(daemon) as at:
        client.start(["cat"], name="first", pty={})
        at.line("supctl attach first")
        at.line("here")
        at.shows("here\nhere")
        pid = attached("first")
        daemon.destroy()
        at.shows("waiting for supd")
        procs.kill(pid, signal.SIGTERM)
        at.prompts()
        at.line("echo by$?")
        at.shows("by143")
        at.check_cooked("gone")
    daemon.expect_clean = False
    procs.reap_orphans(seconds=0)


@daemon_test
def test_a_job_that_ignores_its_terminals_end_ends_with_supctl(daemon, client):
    with Terminal(daemon) as at:
        at.line("supctl run -t --grace 0 --name deaf -- sh -c 'trap \"\" HUP; echo up$((1+1)); exec sleep 1000'")
        at.shows("up2")
        job = client.call("job.status", name="deaf")["job"]
    assert_reason(client.wait(job), "killed", signal="SIGKILL")


@daemon_test
def test_attach_to_a_job_without_a_terminal(daemon, client):
    job = client.start(["sh", "-c", "read a; echo got $a; exit 4"], name="plain", stdin="stream")
    with Terminal(daemon) as at:
        at.line("supctl attach plain")
        at.shows("Ctrl-C detaches")
        at.keys("C-c")
        at.shows("detached from job")
        assert client.status(job)["state"] == "running"
        at.line("supctl attach plain")
        at.line("words")
        at.shows("got words")
        at.prompts()
        at.line("echo left$?")
        at.shows("left4")


@daemon_test
def test_attach_without_a_terminal(daemon, client):
    client.start(["sh", "-c", "read a; echo got $a; exit 4"], name="piped", pty={})
    done = daemon.supctl("attach", "piped", input=b"words\n")
    assert done.returncode == 4, done
    assert b"got words\r\n" in done.stdout, done.stdout


@daemon_test
def test_attach_shows_what_comes_while_input_of_another_waits(daemon, client):
    job = client.start(["sh", "-c", "echo here; exec sleep 1000"], stdin="stream")
    client.request("job.input", id=job["id"], data="x" * 500_000)
    process = daemon.supctl_start("attach", job["id"])
    assert process.stdout.readline() == b"here\n"
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=GUARD)[1]
    assert process.returncode == 0 and b"attached to job" in err and b"takes no input" not in err, err
    silent = client.start(["sleep", "1000"])
    process = daemon.supctl_start("attach", silent["id"])
    assert b"attached to job" in process.stderr.readline() and b"takes no input" in process.stderr.readline()
    client.kill(silent, grace=0)
    process.communicate(timeout=GUARD)
    assert process.returncode == 137


@daemon_test
def test_attach_prints_the_record_instead(daemon, client):
    client.start(["sh", "-c", "read a; echo got $a; exit 4"], name="piped", stdin="stream")
    done = daemon.supctl("attach", "--json", "piped", input=b"words\n")
    record, = map(json.loads, done.stdout.splitlines())
    assert done.returncode == record["result"]["exit_code"] == 4, done
    assert record["stdout"]["data"] == "got words\n", record


@daemon_test
def test_run_with_a_terminal_and_piped_stdin(daemon, client):
    done = daemon.supctl("run", "-t", "--", "cat", input=b"typed\nhalf")
    assert done.returncode == 0 and done.stdout.endswith(b"half"), done
    assert daemon.supctl("run", "-t", "-n", "--", "tty").stdout.startswith(b"/dev/pts/")


@daemon_test
def test_resize(daemon, client):
    job = client.start([sys.executable, "-c", SIZE_ONCE_RESIZED], pty={})
    client.wait_text(job, "ready")
    done = daemon.supctl("resize", "--json", job["id"], 33, 44)
    assert done.returncode == 0 and done.stdout == b"{}\n", done
    assert "33 44" in client.wait(job, inline_bytes=100)["stdout"]["data"]
    assert daemon.supctl("resize", job["id"], 33, 44).returncode == 1
    assert daemon.supctl("resize", job["id"]).returncode == 2
    assert daemon.supctl("resize", job["id"], 0, 44).returncode == 2
    assert daemon.supctl("resize", job["id"], 33).returncode == 2


@daemon_test
def test_kill_of_an_interactive_shell_does_not_wait_for_the_grace(daemon, client):
    number = daemon.supctl("start", "-t", "--grace", "1h", "--", "bash", "-i").stdout.decode().strip()
    client.call("job.input", id=int(number), data="echo up$((1+1))\n")
    pid = client.wait_text({"id": int(number)}, "up2")["pid"]
    # A signal between readline's last look for one and its sleep is dealt with at the next key (bash 5.2).
    procs.eventually(lambda: procs.in_select(pid), "the shell waits for a key")
    assert daemon.supctl("kill", number).returncode == 0
    assert_reason(client.wait({"id": int(number)}), "killed", signal="SIGHUP")
