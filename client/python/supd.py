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

A job of run() dies with its connection; one of start() lives on. What a subscriber is slow to take (follow, events) is
bounded: what does not fit is asked for again from where it was, and whatever is not kept any more comes as a Gap.
"""

import asyncio
import base64
import collections
import concurrent.futures
import contextlib
import json
import os
import signal as signals
import socket
import stat
import struct
from typing import NamedTuple, Optional

SYSTEM_SOCKET = "/run/supd/socket"
FDS_ROOM = socket.CMSG_LEN(3 * struct.calcsize("i"))  # for the descriptors of one message
NOTES_MAX = 64  # notifications of one subscription that wait here to be taken
INPUT_PIECE = 1 << 20  # bytes in one request
INLINE_BYTES = 4 << 20  # of each stream in a Result, at most: what the protocol allows

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

    @property
    def is_whole(self):
        """Whether stdout and stderr are all that was printed; else job["stdout"]["cut"] and ["gaps"] say what is missing."""
        return not any(self.job[name].get("cut") or self.job[name]["gaps"] for name in ("stdout", "stderr"))


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


def places_of(path=None):
    """Where to look for a daemon, and whether what is found there is to be checked: paths that one was given are not."""
    explicit = path or os.environ.get("SUPD_SOCKET")
    if explicit:
        return [explicit], False
    if os.geteuid() == 0:
        return [SYSTEM_SOCKET], True
    run = os.environ.get("XDG_RUNTIME_DIR", "")
    user = f"{run}/supd/socket" if run.startswith("/") else f"/tmp/supd-{os.geteuid()}/socket"
    return [user, SYSTEM_SOCKET], True


def check_directory(path):
    """/tmp is everybody's, and a socket of another user might hold whoever connects to it."""
    found = os.lstat(os.path.dirname(path))
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (0, os.geteuid()):
        raise PermissionError(f"{os.path.dirname(path)} belongs to another user")


def check_peer(sock, path):
    """Whoever answers must be this user's daemon or root's."""
    _pid, uid, _gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid not in (0, os.geteuid()):
        raise PermissionError(f"{path} belongs to another user's daemon")


def connected_to(path, is_checked, is_blocking=True):
    if is_checked:
        check_directory(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(is_blocking)
        sock.connect(path)
        if is_checked:
            check_peer(sock, path)
    except BaseException:
        sock.close()
        raise
    return sock


def connected(paths, is_checked, is_blocking=True):
    """A connection to the first that can be had, and its path. One whose queue is full is waited for, or a BlockingIOError."""
    *others, last = paths
    for path in others:
        try:
            return connected_to(path, is_checked, is_blocking), path
        except BlockingIOError:
            raise
        except OSError:
            pass
    return connected_to(last, is_checked, is_blocking), last


def default_socket():
    """$SUPD_SOCKET, else the socket of the user's daemon where that answers, else the system's; root's is the system's."""
    paths, is_checked = places_of()
    for path in paths[:-1]:
        with contextlib.suppress(OSError):
            connected_to(path, is_checked).close()
            return path
    return paths[-1]


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


class Descriptor:
    """An open file by its number, closed when nobody holds this any more."""

    def __init__(self, number):
        self._number = number

    def __del__(self):
        if self._number is not None:
            os.close(self._number)

    def fileno(self):
        return self._number

    def take(self):
        """Its number, closed by whoever takes it."""
        number, self._number = self._number, None
        return number


def spec_of(argv, params):
    """argv and params as a spec, and the files for it; `stdin` as bytes or str is data, in memory that is handed over where it is much."""
    spec, files = {"argv": argv, **params}, []
    stdin = spec.get("stdin")
    if isinstance(stdin, str) and stdin not in ("null", "stream", "fd"):
        stdin = stdin.encode()
    if isinstance(stdin, (bytes, bytearray, memoryview)) and len(stdin) > INPUT_PIECE:
        spec["stdin"] = Descriptor(os.memfd_create("stdin"))
        with open(spec["stdin"].fileno(), "wb", closefd=False) as file:
            file.write(stdin)
            file.seek(0)
    elif isinstance(stdin, (bytes, bytearray, memoryview)):
        spec["stdin"] = {"data": base64.b64encode(stdin).decode(), "encoding": "base64"}
    for name in ("stdin", "stdout", "stderr"):
        if hasattr(spec.get(name), "fileno"):
            files.append(spec[name])
            spec[name] = "fd"
    return encode(spec), files


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


def targets(jobs):
    return target(jobs[0]) if len(jobs) == 1 else {"ids": [target(job).get("id", job) for job in jobs]}


def inputs_of(job, data, eof):
    """The params of the calls that give it: pieces of what one request may hold."""
    data = data.encode() if isinstance(data, str) else bytes(data)
    for at in range(0, max(len(data), 1), INPUT_PIECE):
        piece = base64.b64encode(data[at:at + INPUT_PIECE]).decode()
        yield {**target(job), "data": piece, "encoding": "base64", "eof": eof and at + INPUT_PIECE >= len(data)}


def numbers_of(fds):
    numbers = [each.fileno() if hasattr(each, "fileno") else each for each in fds]
    for number in numbers:
        os.get_inheritable(number)  # fails for what is none, before anything is sent
    return numbers


def line_of(method, params, **more):
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}).encode() + b"\n"


def picked(answer, pick):
    """What a call returns of its answer."""
    if "error" in answer:
        raise SupdError(answer["error"])
    return pick(answer["result"]) if pick else answer["result"]


def file_of(answer):
    """The file that came with an answer, and its extents."""
    extents = answer.get("extents")
    if not isinstance(extents, list):  # of a live job whose lease one holds, or of two streams
        raise SupdError({"code": 3, "message": "only one stream of a final job is a file", "data": {"name": "conflict"}})
    return os.fdopen(answer["fds"].pop().take(), "rb"), extents


class Following(collections.deque):
    """Where a follow or a subscription to events stands: what to ask for next, what an answer brings, and the notifications
    that wait to be taken. Where one does not fit it is dropped, as are all after it: they are to be asked for again."""

    def __init__(self, method, params):
        super().__init__()
        self.method, self.params, self.over = method, dict(params), False
        self.subscription, self.dropped, self.waiter = None, False, None
        self.room = None if params.get("hold") else NOTES_MAX

    def put(self, note):
        self.dropped = self.dropped or len(self) == self.room
        if not self.dropped:
            self.append(note)
        self.wake()

    def wake(self):
        if self.waiter and not self.waiter.done():
            self.waiter.set_result(None)

    def take(self, note):
        """What is to be given to whoever follows: of an answer or a notification."""
        if self.method == "event.subscribe":
            self.params["since"] = note["seq"]
            self.params.pop("snapshot", None)
            return [note] if "type" in note else []
        self.over = note["eof"]
        if "id" in note:  # of that name there may be another by and by
            self.params = {**self.params, **target(note["id"])}
            self.params.pop("name", None)
        self.params["offset"] = {name: at for name, at in note["next"].items() if at is not None}
        return list(pieces_of(note))


class Messages:
    """What comes over a connection: messages. Descriptors belong to that with whose first byte they came: a result has them as
    its "fds", and from any other they are closed."""

    def __init__(self, sock):
        self._socket, self._line, self._fds = sock, bytearray(), []

    def receive(self):
        """Takes what is there. Returns the messages that are whole now."""
        data, _none, flags, _address = self._socket.recvmsg(1 << 18, 0, socket.MSG_PEEK)
        size = len(data)
        if flags & socket.MSG_CTRUNC:  # descriptors are on their way, and a receive would not say with which of its bytes
            size = data.find(b"\n") + 1 or size if self._line else 1
        data, along, _flags, _address = self._socket.recvmsg(size, FDS_ROOM, socket.MSG_CMSG_CLOEXEC)
        self._fds += [Descriptor(fd) for _level, _type, fds in along for fd, in struct.iter_unpack("i", fds)]
        if not data:
            raise ConnectionError("supd closed the connection")
        self._line += data
        if b"\n" not in data:
            return []
        *lines, self._line = self._line.split(b"\n")
        try:
            messages = [json.loads(line) for line in lines]
        except ValueError:
            raise ConnectionError("what answers is not supd") from None
        if self._fds and "result" in messages[0]:
            messages[0]["result"]["fds"] = self._fds
        self._fds = []
        return messages


class Calls:
    """The methods of both clients: each is one call, whose answer `_call` gives or promises."""

    _last = 0  # the id of a call; none has another's, whatever the connection

    def _begin(self, sock):
        """A connection with nothing on it yet."""
        self._socket, self._messages = sock, Messages(sock)
        self._waiting, self._follows = {}, {}

    def _call(self, method, params, pick=None, fds=(), following=None):
        raise NotImplementedError

    def _send(self, line):
        raise NotImplementedError

    def _take(self, message):
        """Gives it to whom it is for; a subscription for which nobody waits any more is ended."""
        if "method" in message:
            following = self._follows.get(message["params"].get("subscription"))
            if following is not None:
                following.put(message["params"])
        elif message["id"] is None:  # about the connection itself
            self._fail(SupdError(message["error"]))
        else:
            future, following = self._waiting.pop(message["id"], (None, None))
            subscription = message.get("result", {}).get("subscription")
            if future is None or future.done():
                if subscription:
                    self._unsubscribe(subscription)
                return
            if subscription and following is not None:
                following.subscription, following.dropped = subscription, False
                self._follows[subscription] = following
            future.set_result(message)

    def _fail(self, error):
        """Tells whoever waits for an answer."""
        for future, _following in self._waiting.values():
            if not future.done():
                future.set_exception(error)

    def _unsubscribe(self, subscription):
        self._send(line_of("event.unsubscribe", {"subscription": subscription}))

    def _end(self, following):
        """It is not wanted any more."""
        if self._follows.get(following.subscription) is following:
            del self._follows[following.subscription]
            if not following.over:
                self._unsubscribe(following.subscription)

    def call(self, method, *, fds=(), **params):
        """Any method of the protocol, with descriptors beside it. Returns its result; those that come along are its "fds", each
        with a fileno(), and closed when it is dropped."""
        return self._call(method, encode(params), fds=fds)

    def run(self, argv, **params):
        """Runs a job to its end. Returns a Result; what is kept of the output beyond inline_bytes (4 MiB) is cut."""
        spec, fds = spec_of(argv, {"inline_bytes": INLINE_BYTES, **params})
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
        return self._call("job.output", {**target(job), "stream": stream, "fd": True}, file_of)

    def status(self, job, **params):
        return self._call("job.status", {**target(job), **params}, lambda answer: answer["job"])

    def wait(self, *jobs, **params):
        """Waits for one job, or for several by their ids. Returns their records; those not final yet where limit passed."""
        return self._call("job.wait", {**targets(jobs), **params}, lambda answer: answer["jobs"])

    def wait_text(self, job, text, **params):
        """Waits until a job has printed the text. Returns whether it has."""
        return self._call("job.wait", {**target(job), "until": {"text": text}, **params},
                          lambda answer: answer["matched"])

    def kill(self, job, **params):
        return self._call("job.kill", {**target(job), **params}, lambda answer: answer["jobs"][0])

    def signal(self, job, signal, **params):
        return self._call("job.signal", {**target(job), "signal": signal, **params})

    def resize(self, job, rows, cols):
        return self._call("job.resize", {**target(job), "rows": rows, "cols": cols})

    def unsubscribe(self, subscription):
        return self._call("event.unsubscribe", {"subscription": subscription})

    def update(self, job, **params):
        return self._call("job.update", {**target(job), **params}, lambda answer: answer["job"])

    def lease(self, job):
        return self._call("job.lease", target(job), lambda answer: answer["job"])

    def forget(self, *jobs):
        return self._call("job.forget", targets(jobs), lambda answer: answer["forgotten"])

    def list(self, **filters):
        """The newest jobs' records (100; params as of job.list)."""
        return self._call("job.list", filters, lambda answer: answer["jobs"])

    def info(self):
        return self._call("daemon.info", {})


class Client(Calls):
    """A connection, blocking. Not for several threads at once."""

    def __init__(self, path=None):
        self._begin(connected(*places_of(path))[0])

    def close(self):
        self._socket.close()
        self._begin(self._socket)  # and whoever follows has nothing to end

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()

    def _receive(self):
        for message in self._messages.receive():
            self._take(message)

    def _send(self, line, numbers=()):
        try:
            sent = socket.send_fds(self._socket, [line], numbers)
            self._socket.sendall(line[sent:])
        except ConnectionError:
            pass  # why is still to be read
        except BaseException:  # an interrupt, say: half of it may have gone
            self.close()
            raise

    def _call(self, method, params, pick=None, fds=(), following=None):
        self._last += 1
        call, numbers, future = self._last, numbers_of(fds), concurrent.futures.Future()
        line = line_of(method, params, id=call)
        self._waiting[call] = future, following
        try:
            self._send(line, numbers)
            while not future.done():
                self._receive()
        finally:
            self._waiting.pop(call, None)
        return picked(future.result(), pick)

    def input(self, job, data=b"", eof=False):
        """Gives bytes to the stdin of a job started with stdin="stream". Returns how many, once the pipe took them."""
        taken = 0
        for params in inputs_of(job, data, eof):
            try:
                taken += self._call("job.input", params)["accepted_bytes"]
            except SupdError as error:
                error.data["accepted_bytes"] = taken + error.data.get("accepted_bytes", 0)
                raise
        return taken

    def _subscribe(self, following):
        return following.take(self._call(following.method, following.params, following=following))

    def _follow(self, following):
        try:
            pieces = self._subscribe(following)
            yield  # subscribed, and to be ended from here on, even if nobody takes a step
            while True:
                yield from pieces
                if following.over:
                    return
                while not following and not following.dropped:
                    self._receive()
                if following:
                    pieces = following.take(following.popleft())
                    continue
                self._end(following)
                pieces = self._subscribe(following)
        finally:
            self._end(following)

    def _followed(self, following):
        pieces = self._follow(following)
        next(pieces)
        return pieces

    def follow(self, job, **params):
        """Yields Chunks and Gaps from `offset` (0) on until the output ends."""
        return self._followed(Following("job.output", {**target(job), "follow": True, **params}))

    def events(self, **params):
        """Yields events as they come, from now on; params as of event.subscribe."""
        return self._followed(Following("event.subscribe", params))


class AsyncClient(Calls):
    """A connection on asyncio: calls may be under way at once. `async with`, or connect() and close()."""

    def __init__(self, path=None):
        self._paths, self._is_checked = places_of(path)
        self._unsent = collections.deque()  # lines, the descriptors beside them, and the future of a call not begun to be sent
        self._socket = None

    async def connect(self):
        while True:
            try:
                sock, path = connected(self._paths, self._is_checked, False)
                break
            except BlockingIOError:
                await asyncio.sleep(0.05)  # of room in a queue nothing tells
        self._paths = [path]  # not another daemon's, another time
        self._begin(sock)
        asyncio.get_running_loop().add_reader(self._socket, self._receive)
        return self

    async def close(self):
        self._lost(ConnectionError("the connection is closed"))

    async def __aenter__(self):
        return await self.connect()

    async def __aexit__(self, *failure):
        await self.close()

    def _lost(self, error):
        """Nothing more comes: whoever waits is told."""
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        asyncio.get_running_loop().remove_writer(self._socket)
        self._socket.close()
        self._unsent.clear()
        self._fail(error)
        follows = self._follows.values()
        self._begin(None)
        for following in follows:
            following.wake()

    def _receive(self):
        try:
            messages = self._messages.receive()
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(error)
            return
        for message in messages:
            self._take(message)

    def _send(self, line, numbers=(), future=None):
        """As soon as there is room; a call whose future is cancelled before that is none."""
        self._unsent.append((line, numbers, future))
        self._write()

    def _write(self):
        while self._unsent:
            line, numbers, future = self._unsent.popleft()
            if future and future.cancelled():
                continue
            try:
                sent = socket.send_fds(self._socket, [line], numbers)
            except BlockingIOError:
                self._unsent.appendleft((line, numbers, future))
                asyncio.get_running_loop().add_writer(self._socket, self._write)
                return
            except ConnectionError:
                self._unsent.clear()  # why is still to be read
            except OSError as error:  # nothing went
                if future:
                    future.set_exception(error)
            else:
                if sent < len(line):
                    self._unsent.appendleft((memoryview(line)[sent:], (), None))
        asyncio.get_running_loop().remove_writer(self._socket)

    async def _call(self, method, params, pick=None, fds=(), following=None):
        if self._socket is None:
            raise ConnectionError("not connected to supd")
        self._last += 1
        call, numbers, future = self._last, numbers_of(fds), asyncio.get_running_loop().create_future()
        line = line_of(method, params, id=call)
        self._waiting[call] = future, following
        try:
            self._send(line, numbers, future)
            return picked(await future, pick)
        finally:
            self._waiting.pop(call, None)

    async def input(self, job, data=b"", eof=False):
        """Gives bytes to the stdin of a job started with stdin="stream". Returns how many, once the pipe took them."""
        taken = 0
        for params in inputs_of(job, data, eof):
            try:
                taken += (await self._call("job.input", params))["accepted_bytes"]
            except SupdError as error:
                error.data["accepted_bytes"] = taken + error.data.get("accepted_bytes", 0)
                raise
        return taken

    async def _subscribe(self, following):
        return following.take(await self._call(following.method, following.params, following=following))

    async def _more(self, following):
        """Waits until there is something of it."""
        while not following and not following.dropped:
            if self._follows.get(following.subscription) is not following:
                raise ConnectionError("supd closed the connection")
            following.waiter = asyncio.get_running_loop().create_future()
            await following.waiter

    async def _follow(self, following):
        try:
            pieces = await self._subscribe(following)
            while True:
                for piece in pieces:
                    yield piece
                if following.over:
                    return
                await self._more(following)
                if following:
                    pieces = following.take(following.popleft())
                    continue
                self._end(following)
                pieces = await self._subscribe(following)
        finally:
            self._end(following)

    def follow(self, job, **params):
        """Yields Chunks and Gaps from `offset` (0) on until the output ends."""
        return self._follow(Following("job.output", {**target(job), "follow": True, **params}))

    def events(self, **params):
        """Yields events as they come, from the first step on; params as of event.subscribe."""
        return self._follow(Following("event.subscribe", params))


def run(argv, path=None, **params):
    """Runs one job over a connection of its own. Returns a Result."""
    with Client(path) as client:
        return client.run(argv, **params)
