"""H05-H11: an answer cut or damaged at any byte is discarded and requested again, without further effect."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest

from etl.errors import SourceUnusable, Transient
from etl.extract.retry import TRIES
from tests.support.calling import Caller, calling, connected
from tests.support.raw_server import Exchange, message
from tests.support.tcp_proxy import Toxic, proxying

Form = Callable[[bytes], bytes]


def _chunked(body: bytes) -> bytes:
    pieces = [body[n : n + 50] for n in range(0, len(body), 50)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


FORMS: dict[str, Form] = {
    "h06-length": message,
    "h07-chunked": _chunked,
    "h08-until_close": lambda body: message(body, length=-1),
    "h09-gzip": lambda body: message(gzip.compress(body, mtime=0), b"Content-Encoding: gzip", length=-1),
}


def _sweep(caller: Caller, form: Form) -> int:
    """Send each proper prefix of the message first, then all of it. Returns the count of prefixes."""
    expected = caller.account()
    at, whole = [0], 10**6

    def cut(exchange: Exchange) -> None:
        nonlocal whole
        reply = form(exchange.body())
        whole = len(reply)
        exchange.close(reply[: at[0]])

    def complete(exchange: Exchange) -> None:
        exchange.close(form(exchange.body()))

    while at[0] < whole:
        before = caller.api.retries
        scripts = [cut, complete]
        caller.server.script = lambda exchange: scripts.pop(0)(exchange)  # noqa: B023 - called before the next turn
        assert caller.account() == expected, at[0]
        assert caller.api.retries > before, at[0]
        at[0] += 1
    return at[0]


@pytest.mark.parametrize("form", FORMS)
def test_cut_at_every_byte(form: str) -> None:
    """For any framing, an answer that ends too early by any number of bytes is discarded completely."""
    with calling() as caller:
        assert _sweep(caller, FORMS[form]) > 150


@pytest.mark.parametrize("toxic", ["limit_data", "reset_peer"])
@pytest.mark.fault("H05")
def test_connection_cut_at_every_byte(toxic: str) -> None:
    """The connection to the server ends, or is reset, after any number of bytes: a retry gives the same answer."""
    with calling() as direct, proxying(direct.server.port) as proxy, connected(direct.server, url=proxy.url) as caller:
        sizes = []

        def answer(exchange: Exchange) -> None:
            reply = message(exchange.body(), b"Connection: close")
            sizes.append(len(reply))
            exchange.close(reply)

        direct.server.script = answer
        expected = direct.account()
        for after in range(sizes[0]):
            proxy.toxics = [Toxic(limit_data=after) if toxic == "limit_data" else Toxic(reset_peer=after)]
            assert caller.account() == expected, after
        assert caller.api.retries >= sizes[0]


@pytest.mark.parametrize("toxic", [Toxic(slicer=1), Toxic(latency=0.001, slicer=7)], ids=["h05-byte_wise", "h05-late"])
def test_a_slow_way_is_no_fault(toxic: Toxic) -> None:
    """An answer that comes in pieces is complete."""
    with calling() as direct, proxying(direct.server.port) as proxy, connected(direct.server, url=proxy.url) as caller:
        proxy.toxics = [toxic]
        assert caller.account() == direct.account()
        assert caller.api.retries == 0


def _flipped(packed: bytes, at: int) -> bytes:
    return packed[:at] + bytes([packed[at] ^ 0xFF]) + packed[at + 1 :]


@pytest.mark.fault("H09")
def test_damaged_gzip_at_every_byte() -> None:
    """An inverted byte anywhere in the compressed data is never accepted: checksum and end are required.

    The header's name, time and system bytes mean nothing and are not covered by the checksum.
    """
    with calling() as caller:
        expected = caller.account()

        def once_damaged(exchange: Exchange) -> None:
            packed = gzip.compress(exchange.body(), mtime=0)
            exchange.close(message(_flipped(packed, at.pop()) if at else packed, b"Content-Encoding: gzip"))

        caller.server.script = once_damaged
        for place in [0, 1, 2, *range(10, 120)]:
            at = [place]
            before = caller.api.retries
            assert caller.account() == expected, place
            assert caller.api.retries > before, place


@pytest.mark.fault("H09")
def test_two_members_are_one_answer() -> None:
    """gzip allows several members; all of them are read."""
    with calling() as caller:
        expected = caller.account()

        def halves(exchange: Exchange) -> None:
            body = exchange.body()
            packed = gzip.compress(body[:40]) + gzip.compress(body[40:])
            exchange.send(message(packed, b"Content-Encoding: gzip"))

        caller.server.script = halves
        assert caller.account() == expected


@pytest.mark.parametrize(
    "tail", [b"x", b"\0" * 9, gzip.compress(b"x" * 99)[:-1]], ids=["h09-byte", "h09-zeros", "h09-half_a_member"]
)
@pytest.mark.fault("H09")
def test_nothing_may_follow(tail: bytes) -> None:
    """Bytes after the compressed answer that are no member of it make the whole answer damaged."""
    with calling(lambda e: e.close(message(gzip.compress(e.body()) + tail, b"Content-Encoding: gzip"))) as caller:
        with pytest.raises(Transient, match="compressed answer"):
            caller.account()
        assert caller.api.retries == TRIES - 1


@pytest.mark.parametrize("encoding", [b"gzip, gzip", b"gzip, deflate", b"br", b"deflate", b"zstd", b"x\xff"])
@pytest.mark.fault("H10")
def test_encodings_not_asked_for(encoding: bytes) -> None:
    """Nested and unknown encodings are refused at once."""
    with calling(lambda e: e.close(message(gzip.compress(e.body()), b"Content-Encoding: " + encoding))) as caller:
        with pytest.raises(SourceUnusable, match="encoding not asked for"):
            caller.account()
        assert caller.api.retries == 0
