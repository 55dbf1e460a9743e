"""H02-H04, H13, H14, H20: slow, silent and overloaded sources are waited for and retried within bounds."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from etl.domain.events import Waiting
from etl.errors import Transient, TryLater, VnsyncError
from etl.extract.connection import Bounds, new_client
from etl.extract.http import HttpClient, TooManyRequests
from etl.extract.retry import LONGEST_WAIT, TRIES
from tests.support.calling import Caller, calling, connected
from tests.support.raw_server import Exchange, message, serving
from tests.support.rig import FakeClock
from tests.support.tcp_proxy import Toxic, proxying

SLOW = Bounds(connect=0.2, read=0.2, whole=0.5)


def _seconds(caller: Caller, match: str) -> float:
    """Real seconds of a call, with all its tries, until it fails with this error."""
    start = time.monotonic()
    with pytest.raises(Transient, match=match):
        caller.account()
    return time.monotonic() - start


@pytest.mark.fault("H02")
def test_connect_timeout() -> None:
    """A host that accepts no connection is given up after the connect timeout, and named."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = []
        for _ in range(3):  # the queue of connections is full now: the next one is not answered
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(full.getsockname())
            waiting.append(one)
        with (
            calling() as direct,
            connected(direct.server, url=f"http://127.0.0.1:{full.getsockname()[1]}/v2.0", bounds=SLOW) as caller,
        ):
            assert _seconds(caller, "127.0.0.1 is unreachable") < TRIES * 1.0
        for one in waiting:
            one.close()


@pytest.mark.parametrize("way", ["server", "proxy"])
@pytest.mark.fault("H03")
def test_silence_after_the_request(way: str) -> None:
    """A server that never answers: the read timeout ends each try, and each try is the same harmless request."""
    with calling() as direct, proxying(direct.server.port) as proxy:
        if way == "server":
            direct.server.script = Exchange.hold
            url = direct.server.url
        else:
            proxy.toxics = [Toxic(timeout=True)] * TRIES
            url = proxy.url
        with connected(direct.server, url=url, bounds=SLOW) as caller:
            assert _seconds(caller, "is unreachable") < TRIES * 1.0
            assert caller.api.retries == TRIES - 1
            assert {request.method for request in direct.server.heard} <= {"get.account"}


def _trickle(data: bytes) -> Callable[[Exchange], None]:
    """Send `data`, and then endlessly a blank every 20 ms."""

    def script(exchange: Exchange) -> None:
        exchange.send(data)
        while not exchange.pause(0.02):
            exchange.send(b" ")
        exchange.close()

    return script


def _headers_for_ever(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\n")
    while not exchange.pause(0.02):
        exchange.send(b"X-Again: 1\r\n")
    exchange.close()


def _informational(exchange: Exchange) -> None:
    while not exchange.pause(0.02):
        exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    exchange.close()


def _chunk_extensions(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
    while not exchange.pause(0.02):
        exchange.send(b"x")
    exchange.close()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(_trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"), id="h04-body"),
        pytest.param(_trickle(b"HTTP/1.1 200 OK\r\n\r\n"), id="h04-body_without_length"),
        pytest.param(_trickle(b"HTTP/1.1 200 OK\r\nX-Long: "), id="h04-one_header"),
        pytest.param(_trickle(b"HT"), id="h04-status_line"),
        pytest.param(_headers_for_ever, id="h04-headers"),
        pytest.param(_informational, id="h04-informational"),
        pytest.param(_chunk_extensions, id="h04-chunk_size"),
    ],
)
@pytest.mark.fault("H04")
def test_a_trickle_does_not_outlive_the_deadline(script: Callable[[Exchange], None]) -> None:
    """Each byte comes within the read timeout, but the whole request, with its headers, has a deadline."""
    assert "not complete within" in str(_post(script, b"{}"))


@pytest.mark.fault("H04")
def test_a_trickle_under_an_error() -> None:
    """The body of a 404 is not waited for; the status decides."""
    script = _trickle(b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n\r\n")
    assert "HTTP 404" in str(_post(script, b"{}"))


@pytest.mark.fault("H04")
def test_a_request_that_is_not_read() -> None:
    """A server that does not read the request is cut off, too."""
    assert isinstance(_post(None, bytes(2**24)), Transient)


def _post(script: Callable[[Exchange], None] | None, body: bytes) -> VnsyncError:
    """The error of one POST to a server of this script, or to one that reads nothing; it must come in time."""
    start = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as deaf, serving(None, script or Exchange.hold) as server:
        url = server.url if script else f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        with new_client(url=url, bounds=SLOW) as client, pytest.raises(VnsyncError) as caught:
            HttpClient(client, url, FakeClock(), bounds=SLOW).post(body)
    assert time.monotonic() - start < 3.0
    return caught.value


@pytest.mark.fault("H04")
def test_after_the_deadline_the_next_request_is_served() -> None:
    """The cut connection is replaced; the same call asks a recovered source again."""
    with calling(_trickle(b"HTTP/1.1 200 OK\r\n\r\n"), bounds=SLOW) as caller:
        caller.server.strike(caller.server.script, times=1)
        assert b"app_id" in caller.account()
        assert caller.api.retries == 1


# -- overload


def _once(caller: Caller, *headers: bytes, status: bytes) -> list[float]:
    """The pauses of a call that gets this status once."""
    caller.server.strike(lambda e: e.close(message(b"<html>", *headers, status=status)), times=1)
    assert b"app_id" in caller.account()
    return caller.clock.slept


@pytest.mark.parametrize("status", [b"500 A", b"502 B", b"503 C", b"504 D", b"408 E"])
@pytest.mark.fault("H14")
def test_once(status: bytes) -> None:
    """A server's fault is retried after a pause with jitter."""
    with calling() as caller:
        (pause,) = _once(caller, status=status)
        assert 0.25 <= pause <= 0.5


@pytest.mark.parametrize("status", [b"500 A", b"502 B", b"503 C", b"504 D"])
@pytest.mark.fault("H14")
def test_for_good(status: bytes) -> None:
    """Tries and time are bounded, the pauses grow, and each is reported."""
    with calling(lambda e: e.send(message(b"<html>", status=status))) as caller:
        with pytest.raises(Transient, match=f"HTTP {status[:3].decode()}"):
            caller.account()
        assert caller.api.requests == TRIES
        assert caller.clock.slept == sorted(caller.clock.slept)
        assert sum(isinstance(event, Waiting) for event in caller.events) == TRIES - 1


def _in(seconds: int) -> bytes:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True).encode()


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        pytest.param([], 0.25, 0.5, id="h13-absent"),
        pytest.param([b"Retry-After: 7"], 7, 7, id="h13-seconds"),
        pytest.param([b"Retry-After: " + _in(20), b"Date: " + _in(0)], 19, 21, id="h13-date"),
        pytest.param([b"Retry-After: " + _in(-3600), b"Date: " + _in(0)], 0, 0, id="h13-past"),
        pytest.param([b"Retry-After: " + _in(10**8), b"Date: " + _in(0)], LONGEST_WAIT, LONGEST_WAIT, id="h13-year"),
        pytest.param([b"Retry-After: 86400"], LONGEST_WAIT, LONGEST_WAIT, id="h13-day"),
        pytest.param([b"Retry-After: -1"], 0, 0, id="h13-negative"),
        pytest.param([b"Retry-After: " + b"9" * 400], 0.25, 0.5, id="h13-huge"),
        pytest.param([b"Retry-After: 1e999"], 0.25, 0.5, id="h13-infinite"),
        pytest.param([b"Retry-After: soon"], 0.25, 0.5, id="h13-word"),
        pytest.param([b"Retry-After: " + b"[" * 30_000], 0.25, 0.5, id="h13-deep"),
        pytest.param([b"Retry-After: Mon, 01 Jan 2024 00:00:00 +99999999999999"], 0.25, 0.5, id="h13-zone"),
    ],
)
@pytest.mark.fault("H13")
def test_retry_after(headers: list[bytes], low: float, high: float) -> None:
    """`Retry-After` is used in seconds and as a date, up to a minute; for other values the ordinary pause applies."""
    with calling() as caller:
        (pause,) = _once(caller, *headers, status=b"429 Too Many Requests")
        assert low <= pause <= high


@pytest.mark.parametrize("seconds", [b"0", b"-5", b"99999999"])
@pytest.mark.fault("H13")
def test_for_good_time(seconds: bytes) -> None:
    """A source that always asks to slow down: bounded tries, then exit 75, try later."""
    with calling(lambda e: e.send(message(b"", b"Retry-After: " + seconds, status=b"429 Too Many"))) as caller:
        with pytest.raises(TooManyRequests) as caught:
            caller.account()
        assert caught.value.exit_code == TryLater.exit_code
        assert caller.api.requests <= TRIES


# -- kept connections


@pytest.mark.fault("H20")
def test_closed_between_requests() -> None:
    """A server closes each kept connection after its answer, without notice: every request is still answered."""
    with calling(lambda e: e.close(message(e.body()))) as caller:
        answers = {caller.account() for _ in range(20)}
        assert len(answers) == 1
        assert caller.server.connections >= 20


@pytest.mark.fault("H20")
def test_kept_connections_are_kept() -> None:
    """All requests use one connection if the server keeps it."""
    with calling() as caller:
        assert len({caller.account() for _ in range(20)}) == 1
        assert (caller.server.connections, caller.api.retries) == (1, 0)


@pytest.mark.fault("H14")
def test_a_wait_for_points_is_no_retry() -> None:
    """The minute waited for points does not count towards the time in which a request may be retried."""
    empty = {"limits": {"minute_remaining": 0, "minute_reset": 59}}
    with calling(patience=10.0) as caller:
        caller.server.strike(lambda e: e.send(message(e.result([{"app_id": 1}], **empty))), times=1)
        caller.account()
        caller.server.strike(lambda e: e.close(message(b"", status=b"502 Bad")), times=1)
        caller.account()
        assert caller.clock.slept[0] == 60.0
        assert caller.api.retries == 1
