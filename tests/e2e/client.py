"""A client of the protocol: JSON lines over the socket. Every answer is checked against the daemon's own
OpenRPC document, and every job record within against records.py."""

import base64
import collections
import json
import os
import socket
import time

import records

GUARD = 30.0  # seconds; a guard against a hang, never a measure
ERRORS = {1: "not_found", 2: "permission_denied", 3: "conflict", 4: "limit_reached", 5: "shutting_down",
          6: "unsupported"}
NOT_FOUND, PERMISSION_DENIED, CONFLICT, LIMIT_REACHED, SHUTTING_DOWN, UNSUPPORTED = range(1, 7)
INVALID_PARAMS, INTERNAL_ERROR = -32602, -32603


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(f"{error['code']} {error['message']} {error.get('data')}")
        self.code = error["code"]
        self.data = error.get("data") or {}
        self.message = error["message"]


class Closed(Exception):
    """The daemon has closed the connection."""


def data_of(piece):
    """The bytes of anything with data and encoding."""
    if piece["encoding"] == "base64":
        return base64.b64decode(piece["data"], validate=True)
    assert piece["encoding"] == "utf-8", piece["encoding"]
    return piece["data"].encode()


def check_error(error):
    assert set(error) <= {"code", "message", "data"} and {"code", "message"} <= set(error), error
    assert isinstance(error["message"], str) and error["message"], error
    if error["code"] in ERRORS:
        assert error["data"]["name"] == ERRORS[error["code"]], error
    else:
        assert error["code"] in (-32700, -32600, -32601, -32602, -32603), error
    if error["code"] == INVALID_PARAMS:
        assert error["data"]["field"] is not None and error["data"]["why"], error


def check_piece(piece):
    """Bytes of a job go out as UTF-8 exactly when they are that, without NUL."""
    raw = data_of(piece)
    if piece["encoding"] == "utf-8":
        assert b"\0" not in raw
    return raw


class Client:
    def __init__(self, path, document=None, guard=GUARD):
        self.guard = guard
        self.document = document
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.socket.settimeout(None)  # else a backlog that is full for a moment is EAGAIN (connect(2)), not waited for
        self.socket.connect(path)
        self.socket.settimeout(self.guard)
        self.buffer = bytearray()
        self.scanned = 0
        self.last_id = 0
        self.methods = {}  # of the calls under way, and their params, by id
        self.answers = {}
        self.notifications = collections.deque()
        self.fds = []  # descriptors that came, for the test to take
        self.batches = collections.deque()  # answers to batches that were sent by send()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()

    def close(self):
        self.socket.close()
        for fd in self.take_fds():
            os.close(fd)

    def take_fds(self):
        """The descriptors that have come; to be closed by the caller."""
        fds, self.fds = self.fds, []
        return fds

    def shut_writing(self):
        self.socket.shutdown(socket.SHUT_WR)

    def send_raw(self, data):
        self.socket.settimeout(self.guard)
        self.socket.sendall(data)

    def request_with(self, fds, method, /, **params):
        """Sends a call with descriptors beside its first byte, without waiting. Returns its id."""
        message = self.compose(method, params)
        self.socket.settimeout(self.guard)
        line = json.dumps(message).encode() + b"\n"
        sent = socket.send_fds(self.socket, [line], fds)
        self.socket.sendall(line[sent:])
        return message["id"]

    def send(self, message):
        self.send_raw(json.dumps(message).encode() + b"\n")

    def compose(self, method, params):
        self.last_id += 1
        self.methods[self.last_id] = (method, params)
        return {"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}

    def request(self, method, /, **params):
        """Sends a call without waiting. Returns its id."""
        message = self.compose(method, params)
        self.send(message)
        return message["id"]

    def notify(self, method, /, **params):
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def read_line(self, guard=None):
        """The next line as it came, without the newline. Raises Closed at the end."""
        until = time.monotonic() + (guard or self.guard)
        while True:
            end = self.buffer.find(b"\n", self.scanned)
            if end >= 0:
                line = bytes(self.buffer[:end])
                del self.buffer[:end + 1]
                self.scanned = 0
                return line
            self.scanned = len(self.buffer)
            self.socket.settimeout(max(0.001, until - time.monotonic()))
            try:
                data, fds, _flags, _address = socket.recv_fds(self.socket, 1 << 20, 16)
                self.fds.extend(fds)
            except ConnectionResetError:
                data = b""
            if not data:
                raise Closed(f"closed with {bytes(self.buffer[:200])!r} unfinished" if self.buffer else "closed")
            self.buffer += data

    def recv(self, guard=None):
        """The next message, checked."""
        message = json.loads(self.read_line(guard))
        for member in message if isinstance(message, list) else [message]:
            self.check(member)
        return message

    def expect_closed(self):
        """The daemon closes the connection and sends nothing more before it."""
        try:
            line = self.read_line()
        except Closed:
            return
        raise AssertionError(f"not closed but {line[:200]!r}")

    def check(self, message):
        assert message["jsonrpc"] == "2.0", message
        if "method" in message:
            assert set(message) == {"jsonrpc", "method", "params"}, message
            self.check_notification(message["method"], message["params"])
            return
        assert set(message) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"}), message
        if "error" in message:
            check_error(message["error"])
            return
        records.check_all(message["result"])
        known = self.methods.get(message["id"]) if isinstance(message["id"], int) else None
        if self.document and known:
            method, params = known
            self.document.check_result(method, message["result"])
            self.document.check_params(method, params)

    def check_notification(self, method, params):
        if method == "job.started":
            assert set(params) >= {"request", "job"}, params
            records.check_job(params["job"])
        elif method == "job.output":
            assert set(params) >= {"subscription", "request", "id", "chunks", "next", "gaps", "eof"}, params
            assert set(params["next"]) == {"stdout", "stderr"}, params["next"]
        else:
            assert method == "event", f"unknown notification {method}"
        if self.document:
            self.document.check_notification(method, params)

    def pump(self, guard=None):
        """Takes one message and puts it where it belongs."""
        message = self.recv(guard)
        if isinstance(message, list):
            self.batches.append(message)
            return
        if "method" in message:
            self.notifications.append(message)
            return
        if message["id"] is None and "error" in message and None not in self.methods:
            raise RpcError(message["error"])  # about the connection
        assert message["id"] not in self.answers, f"answered twice: {message['id']}"
        assert message["id"] in self.methods, f"an answer to no question: {message}"
        self.answers[message["id"]] = message

    def answer(self, request):
        """The whole answer to a request, whenever it comes; other messages are kept."""
        while request not in self.answers:
            self.pump()
        del self.methods[request]
        return self.answers.pop(request)

    def result(self, request):
        message = self.answer(request)
        if "error" in message:
            raise RpcError(message["error"])
        return message["result"]

    def call(self, method, /, **params):
        return self.result(self.request(method, **params))

    def refused(self, method, /, **params):
        """Calls what must be refused. Returns the error."""
        try:
            result = self.call(method, **params)
        except RpcError as error:
            return error
        raise AssertionError(f"{method}({params}) was not refused but answered {result}")

    def notification(self, method=None, guard=None):
        """The next notification's params, in order."""
        while not self.notifications:
            self.pump(guard)
        message = self.notifications.popleft()
        assert method is None or message["method"] == method, message
        return message["params"]

    def batch(self, calls):
        """Sends the calls, pairs of method and params, in one batch. Returns the answers by id, in a dict."""
        messages = [self.compose(method, params) for method, params in calls]
        self.send(messages)
        answer = self.recv()
        assert isinstance(answer, list) and len(answer) == len(messages), answer
        return {message["id"]: message for message in answer}

    # Short words for what most tests do.

    def run(self, argv, /, **spec):
        """job.run, its job."""
        return self.call("job.run", argv=argv, **spec)["job"]

    def start(self, argv, /, **spec):
        return self.call("job.start", argv=argv, **spec)["job"]

    def wait(self, job, /, **params):
        """job.wait for one job: until it is final."""
        answer = self.call("job.wait", ids=[job["id"] if isinstance(job, dict) else job], **params)
        assert answer["done"] is True, answer
        return answer["jobs"][0]

    def wait_text(self, job, text, stream="stdout"):
        """Until a live job has printed the text."""
        answer = self.call("job.wait", ids=[job["id"]], until={"stream": stream, "text": text})
        assert answer["matched"], f"ended without printing {text!r}: {answer}"
        return answer["jobs"][0]

    def status(self, job, /, **params):
        return self.call("job.status", id=job["id"] if isinstance(job, dict) else job, **params)["job"]

    def kill(self, job, /, **params):
        return self.call("job.kill", id=job["id"] if isinstance(job, dict) else job, **params)["jobs"][0]

    def kill_and_wait(self, job):
        self.kill(job, grace=0)
        return self.wait(job)

    def output(self, job, /, **params):
        return self.call("job.output", id=job["id"] if isinstance(job, dict) else job, **params)

    def first_line(self, job, stream="stdout"):
        """What a live job has printed as its first line."""
        self.wait_text(job, "\n", stream)
        return data_of(self.status(job, inline_bytes=65536)[stream]).split(b"\n")[0].decode()
