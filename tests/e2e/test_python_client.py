"""The Python client: what its user would write, against the real daemon."""

import asyncio
import contextlib
import gc
import hashlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import warnings

import procs
from harness import ANN, BOB, GUARD, TOP, acting_as, child, daemon_test, system_test
from reading import flood

sys.path.insert(0, os.path.join(TOP, "client/python"))
import supd  # noqa: E402

SETS = "any"


def failure_of(call):
    """What it is refused with."""
    try:
        call()
    except supd.SupdError as error:
        return error
    raise AssertionError("not refused")


async def failure_of_async(call):
    try:
        await call
    except supd.SupdError as error:
        return error
    raise AssertionError("not refused")


async def turns():
    """What is to be done now is done."""
    for _ in range(10):
        await asyncio.sleep(0)


def quietly(scene):
    """Runs it to its end, in time, without a complaint to the loop."""
    async def whole():
        complaints = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        result = await asyncio.wait_for(scene, GUARD)
        gc.collect()
        await turns()
        assert not complaints, complaints
        return result
    return asyncio.run(whole())


@contextlib.contextmanager
def interrupting(may):
    """KeyboardInterrupt is raised once may(frame) says so of where the program is."""
    over = threading.Event()

    def ring(_number, frame):
        if not over.is_set() and may(frame):
            over.set()
            raise KeyboardInterrupt

    def ringing():
        while not over.wait(0.01):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
    before, bell = signal.signal(signal.SIGUSR1, ring), threading.Thread(target=ringing)
    bell.start()
    try:
        yield
    except KeyboardInterrupt:
        return
    finally:
        over.set()
        bell.join()
        signal.signal(signal.SIGUSR1, before)
    raise AssertionError("not interrupted")


@contextlib.contextmanager
def listener(directory):
    """A socket that nobody reads from unless the test does, and its path."""
    path = os.path.join(directory, "silent")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        try:
            yield server, path
        finally:
            os.unlink(path)


@daemon_test
def test_run(daemon, client):
    result = supd.run(["sh", "-c", "echo out; echo err >&2; exit 3"], path=daemon.socket, timeout=30)
    assert (result.status, result.stdout, result.stderr, result.timed_out) == (3, b"out\n", b"err\n", False), result
    result = supd.run(["sleep", "5"], path=daemon.socket, timeout=0.2)
    assert result.timed_out and result.status == -signal.SIGTERM
    result = supd.run(["/nonexistent/x"], path=daemon.socket, timeout=3)
    assert result.status is None and result.job["result"]["error"]["errno"] == "ENOENT" and not result.timed_out


@daemon_test
def test_default_socket(daemon, client):
    os.environ["SUPD_SOCKET"] = daemon.socket
    assert supd.run(["cat"], stdin=b"\xff\0x").stdout == b"\xff\0x"
    assert supd.run(["cat"], stdin="text").stdout == b"text"
    assert supd.run(["printf", "%s", b"a\xff"]).stdout == b"a\xff"


@daemon_test
def test_refusals_are_exceptions(daemon, client):
    with supd.Client(daemon.socket) as mine:
        error = failure_of(lambda: mine.status(999))
        assert error.code == 1 and error.name == "not_found"


@daemon_test
def test_follow_is_all_of_it(daemon, client):
    with supd.Client(daemon.socket) as mine:
        job = mine.start(child("lines", 1000))
        data = b"".join(chunk.data for chunk in mine.follow(job))
        assert data == b"".join(b"line %d\n" % i for i in range(1, 1001))
        assert mine.wait(job)[0]["state"] == "final"
        job = mine.start(child("flood", 4 << 20))
        mine.wait(job)
        pieces = list(mine.follow(job))
        gap = next(piece for piece in pieces if isinstance(piece, supd.Gap))
        assert sum(len(piece.data) for piece in pieces if isinstance(piece, supd.Chunk)) + gap.end - gap.start == 4 << 20


@daemon_test
def test_follow_that_is_left_is_ended(daemon, client):
    job = client.start(["cat"], stdin="stream")
    client.call("job.input", id=job["id"], data="words\n")

    async def scene():
        async with supd.AsyncClient(daemon.socket) as mine:
            pieces = mine.follow(job)
            assert (await anext(pieces)).data == b"words\n"
            await pieces.aclose()
            assert not mine._follows
            return await failure_of_async(mine.unsubscribe(1))
    assert asyncio.run(scene()).name == "not_found"
    with supd.Client(daemon.socket) as mine:
        for piece in mine.follow(job):
            assert piece.data == b"words\n"
            break
        assert not mine._follows
        assert failure_of(lambda: mine.unsubscribe(1)).name == "not_found"


@daemon_test
def test_follower_that_is_slow_holds_little_and_misses_nothing(daemon, client):
    total, kept = 16 << 20, {"head_bytes": 32 << 20}
    data = flood(0, total)
    with supd.Client(daemon.socket) as mine:
        job = mine.start(child("flood", total), output=kept)
        pieces = mine.follow(job)
        got = [next(pieces).data]
        while not any(notes.dropped for notes in mine._follows.values()):
            mine.info()  # notifications come meanwhile, more than are kept here
        assert max(map(len, mine._follows.values())) == supd.NOTES_MAX
        got += [piece.data for piece in pieces]
        assert b"".join(got) == data and not mine._follows

    async def scene():
        async with supd.AsyncClient(daemon.socket) as mine:
            job = await mine.start(child("flood", total), output=kept)
            got = []
            async for piece in mine.follow(job):
                while len(got) == 1 and not any(notes.dropped for notes in mine._follows.values()):
                    await mine.info()
                got.append(piece.data)
                assert all(len(notes) <= supd.NOTES_MAX for notes in mine._follows.values())
            return b"".join(got)
    assert asyncio.run(scene()) == data


@daemon_test
def test_much_input_goes_in_pieces(daemon, client):
    data = os.urandom(20 << 20)
    digest = hashlib.sha256(data).hexdigest().encode()
    with supd.Client(daemon.socket) as mine:
        assert mine.run(["sha256sum"], stdin=data).stdout.split()[0] == digest
        job = mine.start(["sha256sum"], stdin="stream")
        assert mine.input(job, data, eof=True) == len(data)
        assert mine.wait(job, inline_bytes=100)[0]["stdout"]["data"].split()[0].encode() == digest
        job = mine.start(["head", "-c", str(3 << 20)], stdin="stream", stdout="null")
        error = failure_of(lambda: mine.input(job, data))
        assert error.name == "conflict" and 3 << 20 <= error.data["accepted_bytes"] < len(data), error.data


@daemon_test
def test_all_that_is_kept_is_in_the_result(daemon, client):
    result = supd.run(child("flood", 1 << 20), path=daemon.socket)
    assert result.stdout == flood(0, 1 << 20) and result.is_whole
    assert not supd.run(child("flood", 2 << 20), path=daemon.socket).is_whole


@daemon_test
def test_a_call_that_is_given_up_leaves_no_half_a_line(daemon, client):
    async def scene():
        async with supd.AsyncClient(daemon.socket) as mine:
            job = await mine.start(["cat"], stdin="stream", stdout="null")
            procs.kill(daemon.worker, signal.SIGSTOP)
            giving = asyncio.create_task(mine.input(job, bytes(1 << 20)))
            await turns()
            giving.cancel()
            procs.kill(daemon.worker, signal.SIGCONT)
            assert (await mine.info())["name"] == "supd"
            return await mine.input(job, b"more", eof=True)
    assert asyncio.run(scene()) == 4


@daemon_test
def test_a_refusal_of_the_connection_itself_is_told(daemon, client):
    too_long = "x" * (9 << 20)
    with supd.Client(daemon.socket) as mine:
        assert failure_of(lambda: mine.call("daemon.info", junk=too_long)).code == -32600

    async def scene():
        async with supd.AsyncClient(daemon.socket) as mine:
            return await failure_of_async(mine.call("daemon.info", junk=too_long))
    assert asyncio.run(scene()).code == -32600


@system_test
def test_a_socket_of_somebody_else_is_passed_by(daemon, ann, bob):
    os.environ.pop("SUPD_SOCKET", None)
    os.environ["XDG_RUNTIME_DIR"] = daemon.directory
    supd.SYSTEM_SOCKET = daemon.socket
    path = os.path.join(daemon.directory, "supd/socket")
    os.mkdir(os.path.dirname(path))
    os.chmod(os.path.dirname(path), 0o777)
    for by_root in (False, True):  # who made the directory is trusted, and yet not whoever listens in it
        server, first = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        with acting_as(BOB) as record:
            server.bind(path)
            os.chmod(path, 0o777)
            server.listen(8 if by_root else 0)
            first.connect(path)  # where there is room for no other, whoever connects is held
        os.chown(os.path.dirname(path), 0 if by_root else record.pw_uid, 0)
        with acting_as(ANN):
            with supd.Client() as mine:
                assert mine.info()["socket"] == daemon.socket and supd.default_socket() == daemon.socket

            async def scene():
                async with supd.AsyncClient() as mine:
                    return await mine.info()
            assert asyncio.run(scene())["socket"] == daemon.socket
        server.close()
        first.close()
        os.unlink(path)


@daemon_test
def test_input_there_and_back(daemon, client):
    data = os.urandom(8 << 20)
    with supd.Client(daemon.socket) as mine:
        job = mine.start(["sha256sum"], stdin="stream")
        for at in range(0, len(data), 1 << 20):
            assert mine.input(job, data[at:at + (1 << 20)]) == 1 << 20
        mine.input(job, eof=True)
        mine.wait(job)
        said = b"".join(chunk.data for chunk in mine.follow(job))
        assert said.split()[0].decode() == hashlib.sha256(data).hexdigest()


@daemon_test
def test_events(daemon, client):
    with supd.Client(daemon.socket) as mine:
        mine.run(["true"])
        events = mine.events(since=0)
        assert [next(events)["type"] for _ in range(2)] == ["job.started", "job.final"]
        now = mine.events(types=["job.final"], snapshot=True)
        job = mine.run(["true"]).job
        assert next(now)["id"] == job["id"]


@daemon_test
def test_lease_dies_with_the_connection(daemon, client):
    with supd.Client(daemon.socket) as mine:
        job = mine.lease(mine.start(child("sleep", 1000)))
    procs.eventually(lambda: client.status(job)["state"] == "final", "it was killed")


@daemon_test
def test_asyncio(daemon, client):
    async def scene():
        async with supd.AsyncClient(daemon.socket) as mine:
            results = await asyncio.gather(*(mine.run(["sh", "-c", f"exit {i}"]) for i in range(50)))
            assert [result.status for result in results] == list(range(50))
            job = await mine.start(["cat"], stdin="stream", name="echo")
            await mine.input("echo", "hello\n")
            assert await mine.wait_text("echo", "hello\n")
            await mine.input("echo", b"bye", eof=True)
            assert b"".join([chunk.data async for chunk in mine.follow(job)]) == b"hello\nbye"
            seen = []
            async for event in mine.events(since=0, types=["job.final"]):
                seen.append(event["id"])
                if len(seen) == 51:
                    break
            assert len(set(seen)) == 51
    asyncio.run(scene())


@daemon_test
def test_files_are_handed_over(daemon, client):
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as log:
        given.write(b"from a file\n")
        given.flush()
        for clients in (False, True):
            given.seek(0)
            if clients:
                async def scene():
                    async with supd.AsyncClient(daemon.socket) as mine:
                        return await mine.run(["cat"], stdin=given, stdout=log, stderr="stdout")
                result = asyncio.run(scene())
            else:
                result = supd.run(["cat"], path=daemon.socket, stdin=given, stdout=log, stderr="stdout")
            assert result.status == 0 and result.stdout == b""
        log.seek(0)
        assert log.read() == b"from a file\n" * 2


@daemon_test
def test_stored_output_as_a_file(daemon, client):
    big = b"".join(b"%d\n" % i for i in range(1, 150001))
    with supd.Client(daemon.socket) as mine:
        job = mine.run(["seq", "1", "150000"]).job
        file, extents = mine.stored(job)
        with file:
            assert file.read() == big and extents == [[0, len(big)]]
        assert b"".join(chunk.data for chunk in mine.output(job, limit_bytes=4 << 20)) == big

        async def scene():
            async with supd.AsyncClient(daemon.socket) as other:
                file, _extents = await other.stored(job)
                with file:
                    return file.read()
        assert asyncio.run(scene()) == big


@daemon_test
def test_a_daemon_that_goes_is_an_error(daemon, client):
    async def scene():
        async with supd.AsyncClient(daemon.socket) as mine:
            waiting = asyncio.create_task(mine.run(child("sleep", 1000)))
            await mine.call("daemon.info")
            daemon.destroy()
            try:
                await waiting
            except ConnectionError:
                return
            raise AssertionError("an answer from nobody")
    daemon.expect_clean = False
    asyncio.run(scene())
    procs.reap_orphans(seconds=0)


@daemon_test
def test_descriptors_belong_to_the_answer_that_they_came_with(daemon, client):
    with supd.Client(daemon.socket) as mine:
        one, other = mine.run(["sh", "-c", "echo one; echo err >&2"]).job, mine.run(["echo", "other"]).job
        leased = mine.start(child("sleep", 1000), lease=True)
        before = len(procs.descriptors(os.getpid()))
        mine.call("job.output", id=one["id"], fd=True)
        mine.call("job.run", argv=["echo", "live"], follow=True, fd=True)
        for refused in (lambda: mine.stored(one, stream="both"), lambda: mine.stored(leased)):
            assert failure_of(refused).name == "conflict"
        gc.collect()
        assert len(procs.descriptors(os.getpid())) == before
        file, _extents = mine.stored(other)
        with file:
            assert file.read() == b"other\n" and not os.get_inheritable(file.fileno())

    async def scene():
        async with supd.AsyncClient(daemon.socket) as mine:
            given_up = asyncio.create_task(mine.stored(one))
            await turns()
            given_up.cancel()
            files = [(await mine.stored(other))[0]]
            files += [file for file, _extents in await asyncio.gather(*(mine.stored(each) for each in (one, other) * 8))]
            texts = [file.read() for file in files]
            for file in files:
                file.close()
            return texts
    assert quietly(scene()) == [b"other\n"] + [b"one\n", b"other\n"] * 8


@daemon_test
def test_whoever_waits_is_told_that_the_connection_is_gone(daemon, client):
    def scene(path, end):
        async def going():
            mine = await supd.AsyncClient(path).connect()
            calls = [asyncio.create_task(call) for call in (mine.run(["cat"], stdin=bytes(900000)), mine.info())]
            await turns()
            await end(mine)
            gone = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(each, ConnectionError) for each in gone), gone
            await mine.close()
            async with supd.AsyncClient(daemon.socket) as mine:
                await mine.run(["cat"], stdin=bytes(900000))
        return going()

    async def hang_up(_mine):
        server.accept()[0].close()
    with listener(daemon.directory) as (server, path):
        quietly(scene(path, supd.AsyncClient.close))
        server.accept()[0].close()
        quietly(scene(path, hang_up))


@daemon_test
def test_a_connection_begins_anew(daemon, client):
    async def serve(reader, writer):
        asked = json.loads(await reader.readline())
        answer = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": {"whole": True}}).encode() + b"\n"
        writer.write(replies.pop(0) or answer)
        await writer.drain()
        writer.close()

    async def scene():
        path = os.path.join(daemon.directory, "halves")
        async with await asyncio.start_unix_server(serve, path):
            mine = supd.AsyncClient(path)
            while replies:
                async with mine:
                    try:
                        assert (await mine.info())["whole"] and not replies
                    except ConnectionError:
                        assert replies
    replies = [b'{"jsonrpc": "2.0", "id": 1, "re', b"{nonsense}\n", None]
    quietly(scene())


@daemon_test
def test_follow_that_is_never_begun_is_ended(daemon, client):
    job = client.start(["cat"], stdin="stream")
    with supd.Client(daemon.socket) as mine:
        mine.follow(job)
        assert failure_of(lambda: mine.unsubscribe(1)).name == "not_found"

    async def scene():
        async with supd.AsyncClient(daemon.socket) as mine:
            pieces = mine.follow(job)
            first = asyncio.create_task(anext(pieces))
            await turns()
            first.cancel()
            await asyncio.wait([first])
            await mine.info()
            return await failure_of_async(mine.unsubscribe(1))
    assert quietly(scene()).name == "not_found"


@daemon_test
def test_what_is_held_is_not_dropped(daemon, client):
    """Notifications that come together with the answer, more than others' followers are kept."""
    def output(offset, **more):
        chunk = {"stream": "stdout", "offset": offset, "data": "x", "at": None}
        return {"chunks": [chunk], "gaps": [], "next": {"stdout": offset + 1}, "eof": offset == total - 1, **more}

    async def serve(reader, writer):
        asked = json.loads(await reader.readline())
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": output(0, subscription=1)}
        notes = [{"jsonrpc": "2.0", "method": "job.output", "params": output(at, id=1, subscription=1)}
                 for at in range(1, total)]
        writer.write(b"".join(json.dumps(each).encode() + b"\n" for each in [answer, *notes]))
        await writer.drain()
        assert not await reader.read()
        writer.close()

    async def scene():
        path = os.path.join(daemon.directory, "holding")
        async with await asyncio.start_unix_server(serve, path), supd.AsyncClient(path) as mine:
            return [piece.offset async for piece in mine.follow(1, hold=True)]
    total = 2 * supd.NOTES_MAX
    assert quietly(scene()) == list(range(total))


@daemon_test
def test_params_that_are_no_json_leave_nothing_behind(daemon, client):
    async def scene():
        async with supd.AsyncClient(daemon.socket) as mine:
            try:
                await mine.call("daemon.info", junk=object())
            except TypeError:
                return not mine._waiting
    assert quietly(scene())


@daemon_test
def test_input_in_memory_is_closed(daemon, client):
    with warnings.catch_warnings(record=True) as said, supd.Client(daemon.socket) as mine:
        warnings.simplefilter("always")
        before = len(procs.descriptors(os.getpid()))
        mine.run(["cat"], stdin=bytes(2 << 20), stdout="null")
        gc.collect()
        assert not said and len(procs.descriptors(os.getpid())) == before, [str(each.message) for each in said]


@daemon_test
def test_an_interrupted_call_spoils_no_other(daemon, client):
    with listener(daemon.directory) as (server, path), supd.Client(path) as mine:
        peer = server.accept()[0]

        def half_is_sent(_frame):
            try:
                return peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
        with peer, interrupting(half_is_sent):
            mine.run(["cat"], stdin=bytes(900000))
        try:
            mine.kill(1)
        except OSError:
            pass
        else:
            raise AssertionError("a call was glued to half of another")
    with supd.Client(daemon.socket) as mine:
        job = mine.start(child("sleep", 1000))
        with interrupting(lambda frame: "recv" in frame.f_code.co_name or frame.f_code.co_name == "receive"):
            mine.wait(job)
        mine.kill(job)
        assert mine.wait(job)[0]["state"] == "final"
        mine.info()
        assert not mine._waiting
