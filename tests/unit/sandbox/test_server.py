"""The sandbox carried in-process and over loopback."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from threading import Thread
from typing import Any

import httpx
import pytest

from etl.sandbox import faults
from etl.sandbox.server import Server, serve
from etl.sandbox.transport import SandboxTransport

ACCOUNT = {"jsonrpc": "2.0", "id": 1, "method": "get.account", "params": {"access_token": "sandbox-key"}}


@pytest.fixture
def server(caller: Any) -> Iterator[Server]:
    """The small agency on a loopback port."""
    with serve(caller.api) as running:
        yield running


def test_transport(caller: Any) -> None:
    """An httpx client reaches the API in-process, and meets its web server's refusals."""
    with httpx.Client(transport=SandboxTransport(caller.api)) as client:
        assert client.post("https://any.host/v2.0", json=ACCOUNT).json() == caller.call("get.account")
        assert client.get("https://any.host/v2.0").status_code == 405
        assert client.post("https://any.host/v3.0", json=ACCOUNT).status_code == 404


def test_server_answers_as_the_api(caller: Any, server: Server) -> None:
    """The same bytes come over loopback as in-process, in UTF-8 and with a correct length."""
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v2\.0", server.url)
    request = {**ACCOUNT, "method": "get.virtual_numbers"}
    request["params"] = {"access_token": "sandbox-key", "user_id": caller.user()}
    reply = httpx.post(server.url, json=request)
    assert reply.json()["result"]["data"] == caller.api.world.truth(caller.api.world.customer_ids[0])
    assert reply.headers["Content-Length"] == str(len(reply.content))
    assert reply.headers["Content-Type"] == "application/json; charset=UTF-8"


def test_server_refuses_other_methods_and_paths(server: Server) -> None:
    """404 and 405 come over HTTP too."""
    assert [httpx.request(m, server.url).status_code for m in ("GET", "PUT", "DELETE", "OPTIONS")] == [405] * 4
    assert httpx.post(server.url + "/x", json=ACCOUNT).status_code == 404


def test_connections_are_kept_alive(server: Server) -> None:
    """One connection serves many requests, errors and refusals among them."""
    connection = HTTPConnection(server.host, server.port)
    connection.connect()
    first = connection.sock
    for method, path in (("POST", "/v2.0"), ("GET", "/v2.0"), ("POST", "/nowhere"), ("POST", "/v2.0")):
        connection.request(method, path, body=b"{}" if method == "POST" else None)
        assert connection.getresponse().read()
        assert connection.sock is first
    connection.close()


def test_length_is_required(server: Server) -> None:
    """A POST without a Content-Length gets 411, and its connection is closed."""
    with socket.create_connection((server.host, server.port)) as raw:
        raw.sendall(b"POST /v2.0 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.makefile("rb").read().startswith(b"HTTP/1.1 411 Length Required\r\n")


def test_many_callers_at_once(server: Server, caller: Any) -> None:
    """Callers in parallel all get whole answers, and all are counted."""
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: httpx.post(server.url, json=ACCOUNT).json(), range(40)))
    assert all(reply == replies[0] for reply in replies)
    assert caller.api.count("get.account") == 40


def test_gateway_fault_over_http(server: Server, caller: Any) -> None:
    """Statuses and headers of a fault travel as given, odd statuses included."""
    caller.api.faults.add(faults.http(599, b"<html>down</html>", Retry_After="3"), method=None)
    reply = httpx.post(server.url, json=ACCOUNT)
    assert (reply.status_code, reply.headers["Retry-After"], reply.text) == (599, "3", "<html>down</html>")


def test_stop_ends_idle_connections(caller: Any) -> None:
    """Stopping does not wait for clients that keep a connection open; the port is free at once.

    On an address of its own: tests beside it take free ports of 127.0.0.1 at any time.
    """
    address = "127.0.0.23"
    with serve(caller.api, address) as running, socket.create_connection((running.host, running.port)) as idle:
        idle.sendall(b"GET /v2.0 HTTP/1.1\r\nHost: x\r\n\r\n")
        reply = idle.recv(1000)
        while not reply.endswith(b"</html>"):
            reply += idle.recv(1000)
        assert reply.startswith(b"HTTP/1.1 405")
        running.stop()
        assert idle.recv(1) == b""
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((running.host, running.port))
    with serve(caller.api, address, running.port) as again:
        assert again.url == running.url


def test_hangups_are_no_news(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    """A client that breaks off mid-request leaves no trace in the output."""
    for sent in (b"POST /v2.0 HTTP/1.1\r\nContent-Length: 50\r\n\r\n{", b""):
        with socket.create_connection((server.host, server.port)) as raw:
            raw.sendall(sent)
    assert httpx.post(server.url, json=ACCOUNT).status_code == 200
    server.stop()
    assert capfd.readouterr() == ("", "")


def test_forever_ends_with_the_server(server: Server) -> None:
    """forever() blocks until another thread stops the server."""
    waiting = Thread(target=server.forever)
    waiting.start()
    assert waiting.is_alive()
    server.stop()
    waiting.join(5)
    assert not waiting.is_alive()


def test_bugs_in_hooks_are_reported(server: Server, caller: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """An exception in a test's own hook is not hidden: it is printed, and the client sees a broken connection."""

    def broken(request: dict[str, Any]) -> None:
        raise ZeroDivisionError

    caller.api.before_request.append(broken)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(server.url, json=ACCOUNT)
    server.stop()
    assert "ZeroDivisionError" in capfd.readouterr().err
