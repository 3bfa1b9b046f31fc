"""What supctl makes of a daemon that says much at once."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading

from harness import GUARD, PUBLIC_SUPCTL

SETS = "any"
STREAM = {"bytes": 8, "gaps": [], "eof": False}


class Scripted:
    """Answers each call with lines that are written as one."""

    def __init__(self, script):
        self.directory = tempfile.mkdtemp(prefix="supd-e2e-")
        self.path = os.path.join(self.directory, "socket")
        self.script = script
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        peer, _ = self.listener.accept()
        for line in peer.makefile():
            request = json.loads(line)
            first, *others = self.script[request["method"]]
            lines = [{"jsonrpc": "2.0", "id": request["id"], "result": first},
                     *({"jsonrpc": "2.0", "method": request["method"], "params": params} for params in others)]
            peer.sendall(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.listener.close()
        shutil.rmtree(self.directory)


def piece(text, offset, eof):
    chunk = {"stream": "stdout", "offset": offset, "data": text, "encoding": "utf-8", "at": 1.0}
    return {"subscription": 1, "id": 1, "request": 2, "chunks": [chunk], "gaps": [], "eof": eof,
            "next": {"stdout": offset + len(text), "stderr": 0}}


def test_what_is_told_behind_an_answer_comes_behind_it():
    script = {"job.status": [{"job": {"id": 1, "state": "running", "stdout": STREAM, "stderr": STREAM}}],
              "job.output": [piece("one\n", 0, False), piece("two\n", 4, True)]}
    with Scripted(script) as daemon:
        done = subprocess.run([PUBLIC_SUPCTL, "--socket", daemon.path, "logs", "-f", "1"], capture_output=True,
                              timeout=GUARD, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"one\ntwo\n", b"", 0), done


def test_logs_end_where_the_job_was_though_it_prints_on():
    job = {"id": 1, "state": "running", "stdout": STREAM, "stderr": {**STREAM, "bytes": 0}}
    script = {"job.status": [{"job": job}], "job.output": [piece("12345678", 0, False)]}
    with Scripted(script) as daemon:
        done = subprocess.run([PUBLIC_SUPCTL, "--socket", daemon.path, "logs", "1"], capture_output=True,
                              timeout=GUARD, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"12345678", b"", 0), done
