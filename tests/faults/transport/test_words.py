"""H12, H15, H16, H19, H22: answers that are not the API's, too deep, too long, or meant for another request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine

from etl.errors import Misconfigured, NotAllowed, SessionExpired, SourceUnusable, TooMuchAsked, Transient, VnsyncError
from etl.extract.retry import TRIES
from tests.support.calling import calling, connected
from tests.support.raw_server import Exchange, Script, message, serving
from tests.support.secrets import CANARY, in_exception
from tests.support.source_case import how_it_ends, new_case

DEEP = b"[" * 100_000 + b"]" * 100_000
LONG = b"9" * 5000


def _sends(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> Script:
    """A script that sends this body, in which ID is replaced by the request's id."""
    return lambda e: e.send(message(body.replace(b"ID", b"%d" % e.request.decoded["id"]), *headers, status=status))


def _error(script: Script) -> tuple[VnsyncError, int]:
    """The error of a call, and its count of requests."""
    with calling(script) as caller:
        with pytest.raises(VnsyncError) as caught:
            caller.account()
        return caught.value, caller.api.requests


# -- H12


@pytest.mark.parametrize("value", [DEEP, b'{"a":' * 50_000 + b"1" + b"}" * 50_000, LONG, b"9" * 10**6, b"-" + LONG])
@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":ID,"result":{"data":[],"metadata":%b}}',
        b'{"jsonrpc":"2.0","id":ID,"error":{"code":-32000,"data":{"params":%b}}}',
        b'{"jsonrpc":"2.0","id":%b,"result":{"data":[]}}',
    ],
    ids=["h12-metadata", "h12-error", "h12-id"],
)
@pytest.mark.fault("H12")
def test_in_the_envelope(body: bytes, value: bytes) -> None:
    """A hundred thousand levels, a number of thousands of digits: a typed error at once, exit 65, no crash."""
    error, requests = _error(_sends(body % value))
    assert (type(error), error.exit_code, requests) == (SourceUnusable, 65, 1)
    assert len(str(error)) < 500


@pytest.mark.parametrize("value", [b"1" + b"0" * 400, b"1e308", b"-1e308"])
@pytest.mark.parametrize("name", ["total_items", "day_remaining", "day_reset", "minute_remaining", "minute_reset"])
@pytest.mark.fault("H12")
def test_numbers_beyond_reason(name: str, value: bytes) -> None:
    """A number that is valid JSON and impossible as a count or limit gives no arithmetic error."""
    others = {"day_remaining": 5, "minute_remaining": 0}
    limits = {each: number for each, number in others.items() if each != name} | {name: "HERE"}
    metadata = {"total_items": "HERE"} if name == "total_items" else {"total_items": 1, "limits": limits}
    written = json.dumps(metadata).encode().replace(b'"HERE"', value)
    body = b'{"jsonrpc":"2.0","id":ID,"result":{"data":[{"app_id":1}],"metadata":%b}}' % written
    with calling(_sends(body)) as caller:
        caller.account()
        caller.account()
        assert sum(caller.clock.slept) <= 125


@pytest.mark.parametrize(
    "value", [DEEP, LONG, b"1" * 400, b'"' + b"x" * 10**6 + b'"'], ids=["deep", "digits", "large", "text"]
)
@pytest.mark.fault("H12")
def test_in_a_record(warehouse: Engine, tmp_path: Any, value: bytes) -> None:
    """An extreme record: refused with its answer, or quarantined, and its number's version stays open."""
    with serving() as server:
        case = new_case(tmp_path, warehouse, server)
        number = case.world.numbers(case.rig.only)[3]
        record = next(r for r in case.world.truth(case.rig.only) if r["id"] == number)
        raw = json.dumps({**record, "extra_field": "HERE"}).encode().replace(b'"HERE"', value)
        case.world.put_raw(case.rig.only, number, raw)
        code, _ = how_it_ends(case.sync)
        assert code in (0, 3, 65)
        assert number in {row[0] for row in case.current()["virtual_numbers"]}
        case.world.clear_raw(case.rig.only)
        case.check_recovers()


# -- H15, H16: other statuses


@pytest.mark.parametrize("status", [b"400 A", b"404 B", b"405 C", b"410 D", b"204 E", b"418 F", b"451 G"])
@pytest.mark.fault("H15")
def test_wrong_address(status: bytes) -> None:
    """A status that shows that this is no Data API: no retry, exit 78, and a hint at base URL and version."""
    error, requests = _error(lambda e: e.close(message(b"", status=status)))
    assert (type(error), error.exit_code, requests) == (Misconfigured, 78, 1)
    assert "version of the API URL" in error.remedy


@pytest.mark.parametrize("status", [b"401 A", b"403 B", b"407 C"])
@pytest.mark.parametrize("body", [b"<html>Access denied</html>", b'{"message": "Forbidden"}', b'{"error": "denied"}'])
@pytest.mark.fault("H16")
def test_a_gateway_refuses(status: bytes, body: bytes) -> None:
    """A gateway before the API refuses, in HTML or its own JSON: exit 77, and the token is not blamed."""
    error, requests = _error(_sends(body, b"Content-Type: application/json", status=status))
    assert (type(error), error.exit_code, requests) == (NotAllowed, 77, 1)
    assert "not the token" in error.remedy


@pytest.mark.parametrize(
    ("status", "mnemonic", "kind", "requests"),
    [
        (b"401 Unauthorized", "access_token_expired", SessionExpired, 1),
        (b"400 Bad Request", "invalid_parameter_value", TooMuchAsked, 1),
        (b"500 Internal Server Error", "internal_error", Transient, TRIES),
    ],
)
@pytest.mark.fault("H16")
def test_the_api_itself_under_another_status(
    status: bytes, mnemonic: str, kind: type[VnsyncError], requests: int
) -> None:
    """A JSON-RPC error comes from the API itself, with any HTTP status."""
    data = {"mnemonic": mnemonic, "metadata": {}}
    body = b'{"jsonrpc":"2.0","id":ID,"error":{"code":-32000,"message":"no","data":%b}}' % json.dumps(data).encode()
    error, made = _error(_sends(body, b"Content-Type: application/json; charset=UTF-8", status=status))
    assert (type(error), made) == (kind, requests)
    assert mnemonic in str(error)


# -- H19

PAGES = {
    "h19-html": "<!doctype html><title>Вход</title>".encode(),
    "h19-latin1": "<html>Accès refusé</html>".encode("latin-1"),
    "h19-bom": b'\xef\xbb\xbf{"jsonrpc":"2.0","id":ID,"result":{"data":[]}}',
    "h19-utf16": '{"jsonrpc":"2.0"}'.encode("utf-16"),
    "h19-empty": b"",
    "h19-blank": b" \r\n ",
    "h19-nul": b"\0" * 100,
    "h19-text": b"OK",
    "h19-twice": b'{"id":ID}{"id":ID',
    "h19-escapes": b"\x1b]0;owned\x07\x1b[2J\r\nvnsync: error: none",
    "h19-endless_line": b"x" * 10**6,
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.fault("H19")
def test_not_the_api(page: str) -> None:
    """A 200 that is not JSON may be a network's sign-in page: retried, then exit 69 with its first characters."""
    error, requests = _error(_sends(PAGES[page], b"Content-Type: text/html"))
    assert (type(error), error.exit_code, requests) == (Transient, 69, TRIES)
    assert "not JSON" in str(error)
    assert len(str(error)) < 400
    assert str(error).isprintable()


def _echo(exchange: Exchange) -> None:
    exchange.send(message(b"<pre>" + exchange.request.body + b"</pre>"))


def _echo_in_a_message(exchange: Exchange) -> None:
    words = json.dumps(f"wrong key {CANARY} " * 30).encode()
    _sends(b'{"jsonrpc":"2.0","id":ID,"error":{"code":-32001,"message":%b}}' % words)(exchange)


def _echo_in_the_status(exchange: Exchange) -> None:
    exchange.close(b"HTTP/1.1 nonsense " + exchange.request.body + b"\r\n\r\n")


def _echo_in_a_field(exchange: Exchange) -> None:
    data = {"mnemonic": "invalid_parameter_value", "field": CANARY, "value": CANARY}
    _sends(b'{"jsonrpc":"2.0","id":ID,"error":{"code":-32602,"data":%b}}' % json.dumps(data).encode())(exchange)


def _echo_in_the_address(exchange: Exchange) -> None:
    data = {"mnemonic": "ip_not_whitelisted", "params": {"ip": CANARY}}
    _sends(b'{"jsonrpc":"2.0","id":ID,"error":{"code":-32003,"data":%b}}' % json.dumps(data).encode())(exchange)


def _echo_in_a_type(exchange: Exchange) -> None:
    exchange.send(message(exchange.request.body))


@pytest.mark.parametrize(
    "script",
    [_echo, _echo_in_a_message, _echo_in_the_status, _echo_in_a_field, _echo_in_the_address, _echo_in_a_type],
    ids=["h19-page", "h19-message", "h19-status_line", "h19-field", "h19-address", "h19-request"],
)
@pytest.mark.fault("H19")
def test_what_echoes_the_token(warehouse: Engine, tmp_path: Any, script: Script) -> None:
    """A source that echoes the request: neither the token nor a part of it is in an error, an event or a row."""
    with serving() as server:
        case = new_case(tmp_path, warehouse, server)
        server.strike(script)
        code, error = how_it_ends(case.sync)
        assert code in (65, 69, 77)
        with connected(server) as caller, pytest.raises(VnsyncError) as caught:
            caller.account()
        assert not in_exception(caught.value)
        pieces = [CANARY[n : n + 8] for n in range(len(CANARY) - 8)]
        told = error + str(case.rig.events) + str(case.rig.rows("select * from sync_runs"))
        assert not [piece for piece in pieces if piece in told]
        case.check_untouched(code)


# -- H22


@pytest.mark.fault("H22")
def test_one_answer_late() -> None:
    """On a connection each answer belongs to the previous request: it is closed, and a new one is used."""
    with calling() as caller:
        expected = caller.account()
        before: list[bytes] = []

        def late(exchange: Exchange) -> None:
            before.append(exchange.body())
            exchange.send(message(before[-2] if len(before) > 1 else exchange.result([], total_items=0)))

        connections = caller.server.connections
        caller.server.strike(late, times=3)
        caller.account()
        assert caller.account() == expected
        assert caller.server.connections > connections


@pytest.mark.fault("H22")
def test_two_clients_swapped() -> None:
    """Two clients behind a proxy that mixes answers up: neither accepts the other's answer, although both count ids."""
    with calling() as one, connected(one.server, seed=2) as other:
        kept: list[bytes] = []

        def keep(exchange: Exchange) -> None:
            kept.append(exchange.body())
            exchange.send(message(kept[0]))

        one.server.script = keep
        one.account()
        one.server.script = lambda e: e.send(message(kept[0]))
        with pytest.raises(Transient, match="another request"):
            other.account()
        assert other.api.requests == TRIES
