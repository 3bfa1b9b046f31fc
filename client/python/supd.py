"""A client of supd, the process supervisor daemon: one file, the standard library only.

    import supd
    result = supd.run(["ip", "a"], timeout=3)
    result.status, result.stdout, result.stderr, result.timed_out

With a connection of one's own:

    with supd.Client() as client:
        job = client.start(["make", "test"], name="build", timeout=600)
        for chunk in client.follow(job["id"]):
            print(chunk.stream, chunk.offset, chunk.data)
        job = client.wait(job["id"])[0]

And on asyncio, the same methods, awaited:

    async with supd.AsyncClient() as client:
        result = await client.run(["uname", "-a"])

Params are the protocol's (docs/protocol.md), by their names; bytes may stand wherever a string may. A file, or whatever has
a fileno(), as stdin, stdout or stderr is handed over itself, as a descriptor:

    with open("log", "ab") as log:
        supd.run(["make"], stdout=log, stderr="stdout")

A job of run() dies with its connection; one of start() lives on.
"""

import asyncio
import base64
import collections
import json
import os
import signal as signals
import socket
from typing import NamedTuple, Optional

__all__ = ["AsyncClient", "Chunk", "Client", "Gap", "Result", "SupdError", "default_socket", "run"]


class SupdError(Exception):
    """The daemon refused a call. `code` and `data` are the protocol's, `name` the code's name."""

    def __init__(self, error):
        super().__init__(error.get("message", ""))
        self.code = error.get("code")
        self.data = error.get("data") or {}
        self.name = self.data.get("name")


class Result(NamedTuple):
    """How a job ended. `status` is the exit code, or minus the signal's number; None: it never started, or nobody knows."""

    status: Optional[int]
    stdout: bytes
    stderr: bytes
    timed_out: bool
    job: dict


class Chunk(NamedTuple):
    """A piece of output: `data` is bytes, `offset` that of its first byte in its stream."""

    stream: str
    offset: int
    data: bytes
    at: Optional[float]


class Gap(NamedTuple):
    """A range of a stream that is not kept."""

    stream: str
    start: int
    end: int


def default_socket():
    """$SUPD_SOCKET, else the user's socket if there is one, else the system's."""
    if os.environ.get("SUPD_SOCKET"):
        return os.environ["SUPD_SOCKET"]
    run = os.environ.get("XDG_RUNTIME_DIR", "")
    user = f"{run}/supd/socket" if run.startswith("/") else f"/tmp/supd-{os.geteuid()}/socket"
    return user if os.path.exists(user) else "/run/supd/socket"


def encode(value):
    """Bytes as the protocol has them: text where they are UTF-8 without NUL, else base64; recursively."""
    if isinstance(value, bytes):
        try:
            text = value.decode()
            if "\0" not in text:
                return text
        except UnicodeDecodeError:
            pass
        return {"data": base64.b64encode(value).decode(), "encoding": "base64"}
    if isinstance(value, os.PathLike):
        return encode(os.fspath(value))
    if isinstance(value, dict):
        return {key: encode(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(each) for each in value]
    return value


def decode(piece):
    """The bytes of {data, encoding}."""
    data = piece.get("data", "")
    return base64.b64decode(data) if piece.get("encoding") == "base64" else data.encode("utf-8", "surrogatepass")


def spec_of(argv, params):
    """argv and params as a spec, and the descriptors for it; `stdin` as bytes or str is data."""
    spec, fds = {"argv": argv, **params}, []
    for name in ("stdin", "stdout", "stderr"):
        if hasattr(spec.get(name), "fileno"):
            fds.append(spec[name].fileno())
            spec[name] = "fd"
    stdin = spec.get("stdin")
    if isinstance(stdin, bytes):
        spec["stdin"] = {"data": base64.b64encode(stdin).decode(), "encoding": "base64"}
    elif isinstance(stdin, str) and stdin not in ("null", "stream", "fd"):
        spec["stdin"] = {"data": stdin}
    return encode(spec), fds


def result_of(job):
    """A final record, with its inline output, as a Result."""
    end = job["result"]
    status = end["exit_code"]
    if end["signal"]:
        number = getattr(signals, end["signal"], None) or int(end["signal"][3:])
        status = -int(number)
    return Result(status, decode(job["stdout"]), decode(job["stderr"]), end["timed_out"], job)


def pieces_of(answer):
    """The chunks and gaps of an answer or notification, in order."""
    gaps = [Gap(gap["stream"], gap["start"], gap["end"]) for gap in answer["gaps"]]
    for chunk in answer["chunks"]:
        for gap in [gap for gap in gaps if gap.stream == chunk["stream"] and gap.end == chunk["offset"]]:
            gaps.remove(gap)
            yield gap
        yield Chunk(chunk["stream"], chunk["offset"], decode(chunk), chunk["at"])
    yield from gaps


def target(job):
    """A job by id, name, or its record."""
    if isinstance(job, dict):
        job = job["id"]
    return {"id": job} if isinstance(job, int) else {"name": job}


def input_of(data, eof):
    if isinstance(data, str):
        data = data.encode()
    return {"data": base64.b64encode(data).decode(), "encoding": "base64", "eof": eof}


class Calls:
    """The methods of both clients: each is one call, whose answer `_call` gives or promises."""

    def _call(self, method, params, pick=None, fds=()):
        raise NotImplementedError

    def call(self, method, *, fds=(), **params):
        """Any method of the protocol, with descriptors beside it. Returns its result."""
        return self._call(method, encode(params), None, fds)

    def run(self, argv, **params):
        """Runs a job to its end. Returns a Result; what was printed beyond inline_bytes is cut."""
        spec, fds = spec_of(argv, params)
        return self._call("job.run", spec, lambda answer: result_of(answer["job"]), fds)

    def start(self, argv, **params):
        """Starts a job. Returns its record."""
        spec, fds = spec_of(argv, params)
        return self._call("job.start", spec, lambda answer: answer["job"], fds)

    def output(self, job, **params):
        """What is stored of its output, from `offset` (0) on, as Chunks and Gaps in a list."""
        return self._call("job.output", {**target(job), **params}, lambda answer: list(pieces_of(answer)))

    def stored(self, job, stream="stdout"):
        """What is kept of a final job's stream, as a file opened for reading, and the ranges [start, end) that stand in it
        one after another."""
        return self._call("job.output", {**target(job), "stream": stream, "fd": True},
                          lambda answer: (os.fdopen(self._fds.popleft(), "rb"), answer["extents"]))

    def status(self, job, **params):
        return self._call("job.status", {**target(job), **params}, lambda answer: answer["job"])

    def wait(self, *jobs, **params):
        """Waits for jobs, by their ids. Returns their records."""
        ids = [job["id"] if isinstance(job, dict) else job for job in jobs]
        return self._call("job.wait", {"ids": ids, **params}, lambda answer: answer["jobs"])

    def wait_text(self, job, text, **params):
        """Waits until a job has printed the text. Returns whether it has."""
        return self._call("job.wait", {**target(job), "until": {"text": text}, **params},
                          lambda answer: answer["matched"])

    def kill(self, job, **params):
        return self._call("job.kill", {**target(job), **params}, lambda answer: answer["jobs"][0])

    def signal(self, job, signal, **params):
        return self._call("job.signal", {**target(job), "signal": signal, **params})

    def input(self, job, data=b"", eof=False):
        """Gives bytes to the stdin of a job started with stdin="stream". Returns how many, once the pipe took them."""
        return self._call("job.input", {**target(job), **input_of(data, eof)}, lambda answer: answer["accepted_bytes"])

    def update(self, job, **params):
        return self._call("job.update", {**target(job), **params}, lambda answer: answer["job"])

    def lease(self, job):
        return self._call("job.lease", target(job), lambda answer: answer["job"])

    def forget(self, *jobs):
        ids = [job["id"] if isinstance(job, dict) else job for job in jobs]
        return self._call("job.forget", {"ids": ids}, lambda answer: answer["forgotten"])


class Lines:
    """What comes over a connection: lines, and the descriptors beside them in order."""

    def __init__(self):
        self._buffer, self._scanned = bytearray(), 0
        self.fds = collections.deque()

    def receive(self, sock):
        """Takes what is there. Returns whether the connection goes on."""
        data, fds, _flags, _address = socket.recv_fds(sock, 1 << 18, 8)
        self.fds.extend(fds)
        self._buffer += data
        return bool(data)

    def take(self):
        """The next whole line, or None."""
        end = self._buffer.find(b"\n", self._scanned)
        if end < 0:
            self._scanned = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[:end + 1]
        self._scanned = 0
        return line

    def close(self):
        while self.fds:
            os.close(self.fds.popleft())


class Client(Calls):
    """A connection, blocking. Not for several threads at once."""

    def __init__(self, path=None):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path or default_socket())
        except OSError:
            self._socket.close()
            raise
        self._last = 0
        self._lines = Lines()
        self._fds = self._lines.fds
        self._answers = {}
        self._notes = collections.defaultdict(collections.deque)

    def close(self):
        self._socket.close()
        self._lines.close()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()

    def _receive(self):
        while (line := self._lines.take()) is None:
            if not self._lines.receive(self._socket):
                raise ConnectionError("supd closed the connection")
        message = json.loads(line)
        if "method" in message:
            self._notes[message["params"].get("subscription")].append(message["params"])
        else:
            self._answers[message["id"]] = message

    def _call(self, method, params, pick=None, fds=()):
        self._last += 1
        call = {"jsonrpc": "2.0", "id": self._last, "method": method, "params": params}
        line = json.dumps(call).encode() + b"\n"
        sent = socket.send_fds(self._socket, [line], fds) if fds else 0
        self._socket.sendall(line[sent:])
        while self._last not in self._answers:
            self._receive()
        answer = self._answers.pop(self._last)
        if "error" in answer:
            raise SupdError(answer["error"])
        return pick(answer["result"]) if pick else answer["result"]

    def _notifications(self, subscription):
        while True:
            while not self._notes[subscription]:
                self._receive()
            yield self._notes[subscription].popleft()

    def follow(self, job, **params):
        """Yields Chunks and Gaps from `offset` (0) on until the output ends."""
        answer = self._call("job.output", {**target(job), "follow": True, **params})
        yield from pieces_of(answer)
        if answer["eof"]:
            return
        for note in self._notifications(answer["subscription"]):
            yield from pieces_of(note)
            if note["eof"]:
                return

    def events(self, **params):
        """Yields events as they come; params as of event.subscribe."""
        answer = self._call("event.subscribe", params)
        yield from self._notifications(answer["subscription"])


class AsyncClient(Calls):
    """A connection on asyncio: calls may be under way at once. `async with`, or connect() and close()."""

    def __init__(self, path=None):
        self._path = path or default_socket()
        self._last = 0
        self._waiting = {}
        self._notes = collections.defaultdict(asyncio.Queue)
        self._lines = Lines()
        self._fds = self._lines.fds
        self._socket = self._sending = None

    async def connect(self):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._sending = asyncio.Lock()
        await asyncio.get_running_loop().sock_connect(self._socket, self._path)
        asyncio.get_running_loop().add_reader(self._socket, self._receive)
        return self

    async def close(self):
        self._lost()
        self._lines.close()

    async def __aenter__(self):
        return await self.connect()

    async def __aexit__(self, *failure):
        await self.close()

    def _lost(self):
        """Nothing more comes: whoever waits is told."""
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._socket = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionError("supd closed the connection"))
        for queue in self._notes.values():
            queue.put_nowait(None)

    def _receive(self):
        try:
            goes_on = self._lines.receive(self._socket)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            goes_on = False
        while (line := self._lines.take()) is not None:
            self._take(json.loads(line))
        if not goes_on:
            self._lost()

    def _take(self, message):
        if "method" in message:
            self._notes[message["params"].get("subscription")].put_nowait(message["params"])
        elif (waiting := self._waiting.pop(message["id"], None)) and not waiting.done():
            waiting.set_result(message)

    async def _writable(self):
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.add_writer(self._socket, lambda: future.done() or future.set_result(None))
        try:
            await future
        finally:
            loop.remove_writer(self._socket)

    async def _send(self, line, fds):
        async with self._sending:
            while fds:
                try:
                    line, fds = line[socket.send_fds(self._socket, [line], fds):], ()
                except (BlockingIOError, InterruptedError):
                    await self._writable()
            await asyncio.get_running_loop().sock_sendall(self._socket, line)

    async def _call(self, method, params, pick=None, fds=()):
        if self._socket is None:
            raise ConnectionError("not connected to supd")
        self._last += 1
        future = self._waiting[self._last] = asyncio.get_running_loop().create_future()
        call = {"jsonrpc": "2.0", "id": self._last, "method": method, "params": params}
        await self._send(json.dumps(call).encode() + b"\n", fds)
        answer = await future
        if "error" in answer:
            raise SupdError(answer["error"])
        return pick(answer["result"]) if pick else answer["result"]

    async def _notifications(self, subscription):
        while (note := await self._notes[subscription].get()) is not None:
            yield note
        raise ConnectionError("supd closed the connection")

    async def follow(self, job, **params):
        """Yields Chunks and Gaps from `offset` (0) on until the output ends."""
        answer = await self._call("job.output", {**target(job), "follow": True, **params})
        for piece in pieces_of(answer):
            yield piece
        if answer["eof"]:
            return
        async for note in self._notifications(answer["subscription"]):
            for piece in pieces_of(note):
                yield piece
            if note["eof"]:
                return

    async def events(self, **params):
        """Yields events as they come; params as of event.subscribe."""
        answer = await self._call("event.subscribe", params)
        async for note in self._notifications(answer["subscription"]):
            yield note


def run(argv, path=None, **params):
    """Runs one job over a connection of its own. Returns a Result."""
    with Client(path) as client:
        return client.run(argv, **params)
