"""H: faults of HTTP and the transport in a run of the real command: one line, the exit code, nothing half-done."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from etl.extract.retry import TRIES
from tests.support.raw_server import Exchange, Request, Script, message, replying, serving
from tests.support.source_case import Case, check_line, new_case, sqlite_case

HTML = b"<html><body>Sign in to the network</body></html>"


@pytest.fixture
def case(tmp_path: Path, sqlite_template: Path) -> Iterator[Case]:
    """A synced SQLite file, a world that has changed since, and a raw server that serves it."""
    with serving() as server:
        yield sqlite_case(tmp_path, sqlite_template, server)


def _listing(request: Request) -> bool:
    return request.method == "get.virtual_numbers"


def _cut(exchange: Exchange) -> None:
    exchange.close(message(exchange.body())[:-20])


def _reset(exchange: Exchange) -> None:
    exchange.reset(message(exchange.body())[:200])


def _chunked_cut(exchange: Exchange) -> None:
    body = exchange.body()[:50]
    exchange.close(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(body), body))


def _no_length(exchange: Exchange) -> None:
    exchange.close(message(exchange.body()[:-5], length=-1))


def _no_trailer(exchange: Exchange) -> None:
    exchange.close(message(gzip.compress(exchange.body())[:-8], b"Content-Encoding: gzip"))


def _nested(exchange: Exchange) -> None:
    twice = gzip.compress(gzip.compress(exchange.body()))
    exchange.close(message(twice, b"Content-Encoding: gzip, gzip"))


def _deep(exchange: Exchange) -> None:
    exchange.send(message(exchange.result([]).replace(b"[]", b"[" * 100_000 + b"]" * 100_000)))


def _long_integer(exchange: Exchange) -> None:
    exchange.send(message(exchange.result([], total_items=0).replace(b": 0}", b": " + b"9" * 5000 + b"}")))


def _other_request(exchange: Exchange) -> None:
    """A correct answer to another request, as from a proxy that mixes answers up."""
    mine = b'"id":%d' % exchange.request.decoded["id"]
    exchange.send(message(exchange.body().replace(mine, b'"id":1')))


FAULTS: list[tuple[str, Script, int, tuple[str, ...]]] = [
    ("h05-reset", _reset, 69, ("127.0.0.1 is unreachable", "Check the network")),
    ("h06-short_body", _cut, 69, ("127.0.0.1 is unreachable", "Check the network")),
    ("h07-chunked_cut", _chunked_cut, 69, ("127.0.0.1 is unreachable", "Check the network")),
    ("h08-no_length", _no_length, 69, ("not JSON", "Check that the URL")),
    ("h09-no_trailer", _no_trailer, 69, ("cut short", "run again")),
    ("h10-nested", _nested, 65, ("encoding not asked for: gzip, gzip", "Check that the URL")),
    ("h12-deep", _deep, 65, ("nested too deeply",)),
    ("h12-long_integer", _long_integer, 65, ("out of range",)),
    ("h13-429", replying(HTML, b"Retry-After: 3600", status=b"429 Too Many Requests"), 75, ("HTTP 429",)),
    ("h14-503", replying(HTML, status=b"503 Service Unavailable"), 69, ("HTTP 503", "run again")),
    ("h15-404", replying(HTML, status=b"404 Not Found"), 78, ("HTTP 404", "host and version")),
    ("h16-403_html", replying(HTML, status=b"403 Forbidden"), 77, ("HTTP 403", "not the token")),
    ("h19-captive_portal", replying(HTML, b"Content-Type: text/html"), 69, ("not JSON", "Sign in to the network")),
    ("h19-empty", replying(b""), 69, ("it is empty",)),
    ("h22-other_request", _other_request, 69, ("another request",)),
]


@pytest.mark.parametrize(("script", "exit_code", "words"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_h(case: Case, script: Script, exit_code: int, words: tuple[str, ...]) -> None:
    """The account's data does not change, one line gives cause and remedy, and the next clean run catches up."""
    case.server.strike(script, when=_listing)
    check_line(case.command(), exit_code, *words, "(run ")
    case.check_untouched(exit_code)
    case.check_recovers()


PASSING = [f for f in FAULTS if f[2] in (69, 75)]


@pytest.mark.parametrize("script", [f[1] for f in PASSING], ids=[f[0] for f in PASSING])
def test_once(warehouse: Engine, tmp_path: Path, script: Script) -> None:
    """A fault that passes: the page is discarded and requested again, and the run publishes the truth."""
    with serving() as server:
        case = new_case(tmp_path, warehouse, server)
        server.strike(script, when=_listing, times=2)
        result = case.sync()
        assert result.exit_code == 0
        assert 2 <= result.accounts[0].retries <= 4  # a kept connection that the server just closed costs one more
        case.check_recovers()


@pytest.mark.parametrize("script", [f[1] for f in FAULTS[:8]], ids=[f[0] for f in FAULTS[:8]])
def test_for_good(warehouse: Engine, tmp_path: Path, script: Script) -> None:
    """A fault that stays ends the account after bounded tries, and changes neither database."""
    with serving() as server:
        case = new_case(tmp_path, warehouse, server)
        server.strike(script, when=_listing)
        result = case.sync()
        assert result.exit_code in (65, 69)
        assert result.accounts[0].retries <= TRIES
        case.check_untouched(result.exit_code)
        case.check_recovers()


@pytest.mark.parametrize(
    ("url", "word"),
    [("https://no-such-host.invalid/v2.0", "no-such-host.invalid"), ("http://127.0.0.1:1/v2.0", "127.0.0.1")],
    ids=["h01-dns", "h02-refused"],
)
def test_nobody_there(case: Case, url: str, word: str) -> None:
    """A name that does not resolve, a port without a listener: exit 69, and the line names the host."""
    check_line(
        case.command(**case.move_to(url)), 69, f"{word} is unreachable", "Check the network and the URL", "(run "
    )
    case.check_untouched(69)
    case.check_recovers()


def _bomb() -> bytes:
    """A gigabyte of blanks in a megabyte: one block, repeated."""
    pack = zlib.compressobj(9, wbits=31)
    head = pack.compress(b" " * 2**20) + pack.flush(zlib.Z_FULL_FLUSH)
    block = pack.compress(b" " * 2**20) + pack.flush(zlib.Z_FULL_FLUSH)
    return head + block * 1023


def _endless(exchange: Exchange) -> None:
    exchange.send(b'HTTP/1.1 200 OK\r\n\r\n{"result": "')
    while True:
        exchange.send(b"x" * 2**20)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param(
            lambda e: e.close(message(_bomb(), b"Content-Encoding: gzip")), "inflates to far more", id="h10-bomb"
        ),
        pytest.param(_endless, "larger than 48 MiB", id="h11-endless"),
    ],
)
def test_memory_is_bounded(case: Case, script: Script, words: str) -> None:
    """A megabyte that inflates to a gigabyte, a body without an end: exit 65, and less than 256 MiB of memory."""
    assert 2**19 < len(_bomb()) < 2**21
    case.server.strike(script, when=_listing)
    ended = case.command()
    check_line(ended, 65, words, "(run ")
    assert 0 < ended.peak_mib < 256
    case.check_untouched(65)
    case.check_recovers()
