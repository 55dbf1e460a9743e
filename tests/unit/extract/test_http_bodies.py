"""Bodies that are cut, damaged, endless, slow or meant to burst: each bounded in bytes and in time."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import pytest

from etl.errors import SourceUnusable, TimedOut, Transient, VnsyncError
from etl.extract.connection import Bounds
from etl.extract.http import HttpClient, new_client
from tests.support.rig import FakeClock
from tests.support.wire import GZIP, SECRET, TEXT, raised, reply


@pytest.mark.parametrize("cut", [0, 1, 20, len(TEXT) - 1])
@pytest.mark.parametrize("form", ["length", "chunked"])
@pytest.mark.fault("H06", "H07")
def test_a_cut_body_is_no_body(form: str, cut: int) -> None:
    """H05-H07: fewer bytes than announced, or no last chunk: the answer is discarded whole and may be asked again."""
    if form == "length":
        answer = reply(TEXT[:cut], length=len(TEXT))
    else:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = head + (b"%x\r\n%b\r\n" % (cut, TEXT[:cut]) if cut else b"")
    assert type(raised(answer)) is Transient


PACKED = gzip.compress(TEXT)


@pytest.mark.parametrize(
    "packed",
    [
        PACKED[:10],
        PACKED[:-9],
        PACKED[:-8],
        PACKED[:-4],
        PACKED[:-1],
        PACKED[:-8] + bytes([PACKED[-8] ^ 1]) + PACKED[-7:],
        b"not gzip at all",
        b"",
    ],
    ids=["header only", "cut", "no trailer", "half a trailer", "a byte short", "bad checksum", "foreign", "empty"],
)
@pytest.mark.fault("H09")
def test_damaged_gzip_is_no_body(packed: bytes) -> None:
    """H09: the end of the stream and its checksum are required; zlib alone would accept the first few."""
    error = raised(reply(packed, GZIP))
    assert type(error) is Transient
    assert "compressed answer" in str(error)


@pytest.mark.fault("H10")
def test_a_bomb_is_stopped_early() -> None:
    """H10: a megabyte that inflates to a gigabyte is stopped while it is still small, whatever the size cap."""
    packed = zlib.compressobj(9, wbits=31)
    megabyte = bytes(2**20)
    bomb = b"".join([*(packed.compress(megabyte) for _ in range(300)), packed.flush()])
    tracemalloc.start()
    error = raised(reply(bomb, GZIP))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (type(error), error.exit_code) == (SourceUnusable, 65)
    assert "far more than it should" in str(error)
    assert peak < 100 * 2**20


@pytest.mark.fault("H10")
def test_an_encoding_not_asked_for_is_refused() -> None:
    """H10: nested or other encodings are not guessed at."""
    assert type(raised(reply(gzip.compress(PACKED), b"Content-Encoding: gzip, gzip"))) is SourceUnusable
    assert type(raised(reply(TEXT, b"Content-Encoding: br"))) is SourceUnusable


@pytest.mark.fault("H11")
def test_a_body_beyond_the_cap_is_refused() -> None:
    """H11: a body that does not end is given up once it is larger than any answer can be."""
    error = raised(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(3 * 2**20), bounds=Bounds(body=2**20))
    assert (type(error), error.exit_code) == (SourceUnusable, 65)
    assert "larger than" in str(error)


class _Slow(httpx.BaseTransport):
    """Sends `chunks` pieces of `piece`, each after `seconds` on the fake clock; headers after `before_headers`."""

    def __init__(self, clock: FakeClock, *, seconds: float = 0.0, before_headers: float = 0.0, packed: bool = False):
        self._clock, self._seconds, self._before, self._packed = clock, seconds, before_headers, packed
        self.sent = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self._clock.pass_time(self._before)
        headers = {"content-encoding": "gzip"} if self._packed else {}
        return httpx.Response(200, headers=headers, stream=_Trickle(self._chunks))

    def _chunks(self) -> Iterator[bytes]:
        if self._packed:
            yield PACKED
        for _ in range(10_000):
            self._clock.pass_time(self._seconds)
            self.sent += 1
            yield b" "


class _Trickle(httpx.SyncByteStream):
    def __init__(self, chunks: Callable[[], Iterator[bytes]]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks()


def _trickled(transport: _Slow, clock: FakeClock) -> VnsyncError:
    with new_client(transport) as client, pytest.raises(VnsyncError) as caught:
        HttpClient(client, "https://dataapi.example/v2.0", clock).post(SECRET)
    return caught.value


@pytest.mark.fault("H04")
def test_a_trickle_ends_at_the_deadline() -> None:
    """H04: a byte a second never runs into a read timeout, but the whole answer has a deadline of 120 s."""
    clock = FakeClock()
    transport = _Slow(clock, seconds=1.0)
    error = _trickled(transport, clock)
    assert type(error) is TimedOut
    assert "120 s" in str(error)
    assert 120 <= transport.sent <= 122


@pytest.mark.fault("H04")
def test_the_wait_for_headers_counts() -> None:
    """H04: the deadline is of the request, so an answer whose headers took 500 s is late already."""
    clock = FakeClock()
    transport = _Slow(clock, before_headers=500.0)
    _trickled(transport, clock)
    assert transport.sent <= 1


@pytest.mark.fault("H11")
def test_endless_bytes_behind_a_compressed_answer() -> None:
    """H11: bytes after the end of the gzip stream are bounded in time and size like all others."""
    clock = FakeClock()
    transport = _Slow(clock, seconds=1.0, packed=True)
    with new_client(transport) as client:
        http_client = HttpClient(client, "https://dataapi.example/v2.0", clock)
        with suppress(VnsyncError):
            http_client.post(SECRET)
    assert transport.sent <= 122
