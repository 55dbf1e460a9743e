"""JSON-RPC 2.0 and HTTP of the vendor's API: parsing of requests, building of replies."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field

from etl.sandbox.failures import Failure
from etl.sandbox.records import encode

PATH = "/v2.0"
JSON = "application/json; charset=UTF-8"
SECRETS = frozenset({"access_token", "login", "password"})


class Reply(Struct, frozen=True):
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes


class Request(Struct):
    """A JSON-RPC request, with the members that could be read; `id`: the bytes to send back."""

    id: bytes = b"null"
    method: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    decoded: dict[str, Any] = field(default_factory=dict)

    @property
    def public_params(self) -> dict[str, Any]:
        """The parameters without secrets."""
        return {name: value for name, value in self.params.items() if name not in SECRETS}


def http_reply(status: int, body: bytes, content_type: str = JSON, **headers: str) -> Reply:
    """A response with its Content-Type and the true Content-Length."""
    return Reply(status, {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}, body)


def refuse_http(method: str, path: str) -> Reply | None:
    """The response to a request that does not reach the API, with a wrong path or a method other than POST."""
    if path.partition("?")[0] != PATH:
        return http_reply(404, b"<html><body><h1>404 Not Found</h1></body></html>", "text/html; charset=UTF-8")
    if method != "POST":
        body = b"<html><body><h1>405 Method Not Allowed</h1></body></html>"
        return http_reply(405, body, "text/html; charset=UTF-8", Allow="POST")
    return None


def read(body: bytes, request: Request) -> None:
    """Fill `request` from a body, in the order of checks, so that an error can return the id. Raises Failure."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Failure("parse_error", helper=str(exc)) from exc
    if isinstance(decoded, list):
        raise Failure("batch_operations_not_supported")
    if not isinstance(decoded, dict):
        raise Failure("invalid_request")
    request.decoded = decoded
    _read_id(body, request)
    _read_call(request)


def write(reply_id: bytes | None, member: str, payload: list[bytes]) -> bytes:
    """The body of a reply with `member` 'result' or 'error', given in parts; an id of None is omitted."""
    echoed = b"" if reply_id is None else b'"id":%b,' % reply_id
    return b"".join([b'{"jsonrpc":"2.0",%b"%b":' % (echoed, member.encode()), *payload, b"}"])


def write_result(data: list[bytes], metadata: dict[str, Any], *, metadata_first: bool = False) -> list[bytes]:
    """The parts of a `result` member. `data` is in parts too, so that megabytes are copied only once."""
    if metadata_first:
        return [b'{"metadata":', encode(metadata), b',"data":', *data, b"}"]
    return [b'{"data":', *data, b',"metadata":', encode(metadata), b"}"]


def _read_id(body: bytes, request: Request) -> None:
    if "id" not in request.decoded:
        raise Failure("notifications_not_supported")
    given = request.decoded["id"]
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise Failure("invalid_request", "id", given)
    request.id = bytes(msgspec.json.decode(body, type=dict[str, msgspec.Raw])["id"]).strip()


def _read_call(request: Request) -> None:
    decoded = request.decoded
    if decoded.get("jsonrpc") != "2.0":
        raise Failure("invalid_request", "jsonrpc", decoded.get("jsonrpc"))
    method, params = decoded.get("method"), decoded.get("params")
    if not isinstance(method, str):
        raise Failure("invalid_request", "method", method)
    if params is not None and not isinstance(params, dict):
        raise Failure("invalid_request", "params")
    request.method, request.params = method, params or {}
