"""JSON-RPC and HTTP as the vendor speaks them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.sandbox.api import Api
from etl.sandbox.world import CustomerPlan, World


def body(**members: Any) -> bytes:
    """A request that is right but for the members given; None of a member's value stays null."""
    given = {"jsonrpc": "2.0", "id": 1, "method": "get.account", "params": {"access_token": "sandbox-key"}}
    return json.dumps({**given, **members}).encode()


@pytest.mark.parametrize(
    ("sent", "code", "mnemonic"),
    [
        (b"{", -32700, "parse_error"),
        (b"", -32700, "parse_error"),
        (b'"\xff"', -32700, "parse_error"),
        (b'{"id":NaN}', -32700, "parse_error"),
        (b"[" * 100_000, -32700, "parse_error"),
        (b"7", -32600, "invalid_request"),
        (body(jsonrpc="1.0"), -32600, "invalid_request"),
        (body(method=None), -32600, "invalid_request"),
        (body(method=5), -32600, "invalid_request"),
        (body(params=[1]), -32600, "invalid_request"),
        (body(id=None), -32600, "invalid_request"),
        (body(id=True), -32600, "invalid_request"),
        (body(id={}), -32600, "invalid_request"),
        (body(method="get.nothing"), -32601, "method_not_found"),
        (b"[" + body() + b"]", -32099, "batch_operations_not_supported"),
        (b"[]", -32099, "batch_operations_not_supported"),
        (b'{"jsonrpc":"2.0","method":"get.account"}', -32099, "notifications_not_supported"),
    ],
)
def test_wrong_envelopes(caller: Any, sent: bytes, code: int, mnemonic: str) -> None:
    """A request that is not JSON-RPC 2.0 as the vendor wants it gets an error that names the fault."""
    failure = caller.send(sent)["error"]
    assert (failure["code"], failure["data"]["mnemonic"]) == (code, mnemonic)


@settings(max_examples=300, deadline=None)
@given(sent=st.binary(max_size=30) | st.text('{}[]",:0123456789truefalsn idparmthjoc.', max_size=60).map(str.encode))
def test_any_bytes_get_a_reply(sent: bytes) -> None:
    """Whatever bytes are posted, the reply is a JSON-RPC error with status 200."""
    reply = Api(World(1, [CustomerPlan(numbers=1)])).handle(sent)
    assert reply.status == 200
    assert json.loads(reply.body)["error"]["code"] in (-32700, -32600, -32601, -32099)


def test_huge_numbers_are_no_trouble(caller: Any) -> None:
    """A number of thousands of digits, as an id or a limit, gets a reply in JSON."""
    digits = "9" * 6000
    for sent in (
        body().replace(b'"id": 1', b'"id": ' + digits.encode()),
        body(params={"access_token": "sandbox-key", "limit": 0}).replace(b'"limit": 0', b'"limit": ' + digits.encode()),
    ):
        assert caller.api.handle(sent).body.startswith(b'{"jsonrpc":"2.0","id":')


@pytest.mark.parametrize("sent", ["7", '"a b"', "-1.50", "12345678901234567890123", '"\\u0416"', "1e2"])
def test_id_comes_back_unchanged(caller: Any, sent: str) -> None:
    """The id of a request is echoed byte for byte, in results and in errors."""
    for method in ("get.account", "get.nothing"):
        request = body(method=method).replace(b'"id": 1', b'"id": ' + sent.encode())
        assert caller.api.handle(request).body.startswith(b'{"jsonrpc":"2.0","id":' + sent.encode() + b",")


def test_replies_are_http_200_json(caller: Any) -> None:
    """Results and errors come with HTTP 200, the JSON content type, and a length in bytes."""
    for sent in (body(), b"{"):
        reply = caller.api.handle(sent)
        assert reply.status == 200
        assert reply.headers == {
            "Content-Type": "application/json; charset=UTF-8",
            "Content-Length": str(len(reply.body)),
        }


def test_order_of_a_result(caller: Any) -> None:
    """A result holds data and then metadata, or the other way round when asked."""
    assert list(caller.result("get.account")) == ["data", "metadata"]
    caller.api.metadata_first = True
    assert list(caller.result("get.account")) == ["metadata", "data"]


def test_http_before_the_api(caller: Any) -> None:
    """Only POST at /v2.0 reaches the API: 404 elsewhere, 405 for other methods."""
    assert caller.api.http("POST", "/v2.0", body()).status == 200
    assert caller.api.http("POST", "/v2.0?x=1", body()).status == 200
    assert caller.api.http("POST", "/v1.0", body()).status == 404
    refused = caller.api.http("GET", "/v2.0", b"")
    assert (refused.status, refused.headers["Allow"]) == (405, "POST")
    assert len(caller.api.requests) == 2
