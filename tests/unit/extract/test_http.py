"""One POST over real sockets on loopback: the reactions to statuses, redirects, headers and URLs."""

from __future__ import annotations

import gzip

import pytest

from etl.errors import Misconfigured, NotAllowed, TimedOut, Transient, VnsyncError
from etl.extract.http import HttpClient, TooManyRequests, new_client
from etl.extract.jsonrpc import checked_url
from tests.support.rig import FakeClock
from tests.support.wire import GZIP, SECRET, TEXT, Server, posting, raised, reply


@pytest.mark.parametrize(
    "answer",
    [reply(TEXT), reply(gzip.compress(TEXT), GZIP), reply(gzip.compress(TEXT), b"Content-Encoding: GZip")],
    ids=["plain", "gzip", "gzip in capitals"],
)
def test_a_whole_body_comes_as_it_is(answer: bytes) -> None:
    """The body is given inflated, and the request carried JSON and its length in one POST."""
    with posting(answer) as (post, server):
        assert post() == TEXT
    head, _, body = server.heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v2.0 HTTP/1.1\r\n")
    assert b"content-type: application/json; charset=utf-8" in head.lower()
    assert body == SECRET


@pytest.mark.fault("H19")
def test_an_empty_200_is_an_empty_body() -> None:
    """H19: an empty body is returned as such; its reader judges it."""
    with posting(reply(b"")) as (post, _):
        assert post() == b""


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"303 See", b"307 Temporary", b"308 Permanent"])
@pytest.mark.fault("H17")
def test_a_redirect_is_never_followed(status: bytes) -> None:
    """H17: the token is in the body, so the other host gets not one byte; it is named without its query."""
    with posting(reply(TEXT)) as (_, other):
        target = other.url.replace("/v2.0", "/next?session=s3cret").encode()
        error = raised(reply(b"", b"Location: " + target, status=status))
        assert other.heard == []
    assert (type(error), error.exit_code) == (Misconfigured, 78)
    assert other.url.replace("/v2.0", "/next") in str(error)
    assert "s3cret" not in str(error)


@pytest.mark.fault("H17")
def test_a_redirect_to_an_impossible_address() -> None:
    """H17: a redirect is refused even if its location is no URL: no retry, exit 78."""
    assert raised(reply(b"", b"Location: http://[::1", status=b"302 Found")).exit_code == 78


@pytest.mark.parametrize(
    ("status", "kind", "exit_code"),
    [
        (b"400 Bad Request", Misconfigured, 78),
        (b"404 Not Found", Misconfigured, 78),
        (b"405 Method Not Allowed", Misconfigured, 78),
        (b"410 Gone", Misconfigured, 78),
        (b"204 No Content", Misconfigured, 78),
        (b"401 Unauthorized", NotAllowed, 77),
        (b"403 Forbidden", NotAllowed, 77),
        (b"407 Proxy Authentication Required", NotAllowed, 77),
        (b"408 Request Timeout", TimedOut, 69),
        (b"429 Too Many Requests", TooManyRequests, 75),
        (b"500 Internal Server Error", Transient, 69),
        (b"502 Bad Gateway", Transient, 69),
        (b"503 Service Unavailable", Transient, 69),
        (b"504 Gateway Timeout", TimedOut, 69),
    ],
)
@pytest.mark.fault("H14", "H15", "H16")
def test_what_a_status_asks_for(status: bytes, kind: type[VnsyncError], exit_code: int) -> None:
    """H14-H16: 5xx may pass; 4xx is a wrong URL; 401 and 403 come from a gateway, for the API itself answers 200."""
    body = b"" if status.startswith(b"204") else b"<html>no</html>"
    error = raised(reply(body, b"Content-Type: text/html", status=status))
    assert (type(error), error.exit_code) == (kind, exit_code)
    assert status[:3].decode() in str(error)
    if kind is NotAllowed:
        assert "not the token" in error.remedy


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"7", 7.0), (b"0.5", 0.5), (b"-3", 0.0), (b"999999999", 999999999.0), (b"soon", None)],
)
@pytest.mark.fault("H13")
def test_retry_after_in_seconds(value: bytes, seconds: float | None) -> None:
    """H13: seconds are passed on for the retry policy to cap; a date or nonsense is left to the ordinary backoff."""
    error = raised(reply(b"", b"Retry-After: " + value, status=b"429 Too Many"))
    assert isinstance(error, TooManyRequests)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"", b"Retry-After: " + b"9" * 400, status=b"429 Too Many"),
        reply(b"", b"Retry-After: " + b"[" * 30_000, status=b"503 Busy"),
        reply(b"", b"Date: Mon, 01 Jan 2024 00:00:00 +99999999999999", status=b"502 Bad"),
    ],
    ids=["huge", "deep", "zone"],
)
@pytest.mark.fault("H13")
def test_headers_beyond_reason(answer: bytes) -> None:
    """H13: whatever a header holds, the answer is a transient fault and no bug."""
    assert isinstance(raised(answer), Transient)


@pytest.mark.fault("H02")
def test_a_closed_port_is_a_passing_fault_that_names_the_host() -> None:
    """H02: a refused connection is retried, and the message names the host."""
    server = Server()
    server.close()
    with new_client() as client, pytest.raises(Transient, match=r"127\.0\.0\.1 is unreachable"):
        HttpClient(client, server.url, FakeClock()).post(SECRET)


@pytest.mark.fault("H20")
def test_a_kept_connection_that_was_closed_is_opened_anew() -> None:
    """H20: a server that hangs up between two requests is not an error."""
    kept = reply(TEXT).replace(b"Connection: close", b"Connection: keep-alive")
    with posting(kept, kept) as (post, server):
        assert (post(), post()) == (TEXT, TEXT)
        assert len(server.heard) == 2


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://dataapi.callgear.com/v2.0", True),
        ("http://127.0.0.1:8000/v2.0", True),
        ("http://localhost/v2.0", True),
        ("http://[::1]:80/v2.0", True),
        ("http://dataapi.callgear.com/v2.0", False),
        ("http://localhost.evil.example/", False),
        ("http://127.0.0.1@evil.example/", False),
        ("http://169.254.169.254/latest", False),
        ("ftp://127.0.0.1/", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("dataapi.callgear.com", False),
    ],
)
@pytest.mark.fault("H18", "S12")
def test_plain_http_is_for_loopback_only(url: str, fine: bool) -> None:
    """H18, S12: the token is never sent unencrypted, nor to a host whose name only resembles loopback."""
    if fine:
        assert checked_url(url) == url
    else:
        with pytest.raises(Misconfigured):
            checked_url(url)
