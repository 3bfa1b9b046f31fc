"""Putting output together from chunks, and what must hold of every chunk."""

from client import data_of


def flood(start, end):
    """The bytes from start to end of what `child flood` writes."""
    first, last = start // 16, -(-end // 16)
    whole = b"".join(b"%015d\n" % (16 * i) for i in range(first, last))
    return whole[start - 16 * first:end - 16 * first]


def check_encoding(piece):
    """Bytes go out as UTF-8 exactly when they are valid UTF-8 without NUL."""
    raw = data_of(piece)
    try:
        raw.decode()
        plain = b"\0" not in raw
    except UnicodeDecodeError:
        plain = False
    assert (piece["encoding"] == "utf-8") == plain, piece
    return raw


class Reader:
    """What came of a job's streams: the pieces as (offset, bytes), and the gaps, without a hole or an overlap."""

    def __init__(self, forced=False):
        self.forced = forced
        self.at = {"stdout": 0, "stderr": 0}
        self.pieces = {"stdout": [], "stderr": []}
        self.gaps = {"stdout": [], "stderr": []}
        self.order = []
        self.eof = False
        self.last_instant = 0.0

    def take(self, answer):
        """Adds an answer of job.output or a notification."""
        assert not self.eof, "something after eof"
        gaps = [gap for gap in answer["gaps"]]
        for chunk in answer["chunks"]:
            name = chunk["stream"]
            self.skip(gaps, name, chunk["offset"])
            assert chunk["offset"] == self.at[name], f"{name} goes on at {chunk['offset']} after {self.at[name]}"
            data = data_of(chunk) if self.forced else check_encoding(chunk)
            assert data, f"an empty chunk: {chunk}"
            assert chunk["at"] is None or chunk["at"] >= self.last_instant - 1e-6, chunk
            self.last_instant = chunk["at"] or self.last_instant
            self.pieces[name].append((self.at[name], data))
            self.order.append((name, data))
            self.at[name] += len(data)
        for name in ("stdout", "stderr"):
            self.skip(gaps, name, None)
            if answer["next"][name] is not None and (self.at[name] or self.pieces[name]):
                assert answer["next"][name] == self.at[name], f"next of {name}: {answer['next']}, {self.at}"
        assert not gaps, f"gaps that touch nothing: {gaps}"
        self.eof = answer["eof"]

    def skip(self, gaps, name, upto):
        for gap in list(gaps):
            if gap["stream"] == name and gap["start"] == self.at[name] and (upto is None or gap["start"] < upto):
                assert gap["start"] < gap["end"], gap
                self.gaps[name].append([gap["start"], gap["end"]])
                self.at[name] = gap["end"]
                gaps.remove(gap)

    def bytes(self, name="stdout"):
        return b"".join(data for _, data in self.pieces[name])


def read_all(client, job, /, **params):
    """Reads stored output from the start, page by page, until eof."""
    reader = Reader(forced=params.get("encoding") == "base64")
    offset = 0
    while not reader.eof:
        answer = client.output(job, offset=offset, **params)
        reader.take(answer)
        offset = {name: at for name, at in answer["next"].items() if at is not None}
        assert answer["chunks"] or answer["gaps"] or answer["eof"], f"nothing more and no eof: {answer}"
    return reader


def follow_run(client, argv, /, **spec):
    """job.run with follow. Returns its job, the job of job.started, and the reader."""
    request = client.request("job.run", argv=argv, follow=True, **spec)
    started = client.notification("job.started")
    assert started["request"] == request
    reader = Reader()
    while request not in client.answers or client.notifications:
        if not client.notifications:
            client.pump()
            continue
        assert request not in client.answers, "output after the answer"
        note = client.notification("job.output")
        assert note["request"] == request and note["id"] == started["job"]["id"]
        reader.take(note)
    return client.result(request)["job"], started["job"], reader
