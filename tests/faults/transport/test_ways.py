"""H17, H18, H21: connections to the source. The token leaves this machine only inside TLS, only for the given host."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.raw_server import replying, serving
from tests.support.secrets import CANARY
from tests.support.source_case import Case, check_line, how_it_ends, sqlite_case


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that no machine trusts by default."""
    return Authority.found(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def case(tmp_path: Path, sqlite_template: Path) -> Iterator[Case]:
    """A synced SQLite file, a world that has changed since, and a raw server that serves it."""
    with serving() as server:
        yield sqlite_case(tmp_path, sqlite_template, server)


def _trusting(authority: Authority) -> dict[str, str]:
    return {"SSL_CERT_FILE": str(authority.certificate)}


# -- redirects


@pytest.mark.parametrize("status", [b"301 A", b"302 B", b"303 C", b"307 D", b"308 E"])
@pytest.mark.fault("H17")
def test_redirect_to_another_host(case: Case, status: bytes) -> None:
    """Exit 78 at once names the target without its query; no byte goes there."""
    with serving() as other:
        location = f"Location: {other.url}/next?access_token={CANARY}#{CANARY}".encode()
        case.server.script = replying(b"", location, status=status)
        code, error = how_it_ends(case.sync)
        assert code == 78
        assert f"redirects (HTTP {status[:3].decode()}) to {other.url}/next." in error
        assert (other.connections, other.received) == (0, 0)
    assert len(case.server.heard) == 1
    case.check_untouched(78)
    case.check_recovers()


@pytest.mark.fault("H17")
def test_by_the_command(case: Case) -> None:
    """The line names the target without its query, and has a remedy."""
    location = f"Location: https://elsewhere.example/v2.0?access_token={CANARY}".encode()
    case.server.script = replying(b"", location, status=b"307 D")
    words = ("redirects (HTTP 307) to https://elsewhere.example/v2.0.", "Redirects are not followed", "(run ")
    check_line(case.command(), 78, *words)
    case.check_untouched(78)


@pytest.mark.parametrize(
    "location", [b"/v3.0", b"http://[::1", b"", b"https://\xff/", b"javascript:alert(1)", b"x" * 30_000]
)
@pytest.mark.fault("H17")
def test_redirect_to_nowhere(case: Case, location: bytes) -> None:
    """A redirect to any target, also an unusable one: no retry, no crash, exit 78."""
    case.server.script = replying(b"", b"Location: " + location, status=b"302 Found")
    assert how_it_ends(case.sync)[0] == 78
    assert len(case.server.heard) == 1
    case.check_untouched(78)


# -- TLS


@pytest.mark.fault("H18")
def test_a_trusted_certificate_is_fine(case: Case, authority: Authority) -> None:
    """With the authority in SSL_CERT_FILE the run succeeds, so the following tests fail for their own reason."""
    with serving(case.server.api, tls=authority.server()) as secure:
        ended = case.command(**case.move_to(secure.url), **_trusting(authority))
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        pytest.param("expired", "certificate has expired", id="h18-expired"),
        pytest.param("other host", "IP address mismatch", id="h18-wrong_host"),
        pytest.param("self-signed", "self-signed certificate", id="h18-self_signed"),
        pytest.param("untrusted", "unable to get local issuer certificate", id="h18-unknown_authority"),
        pytest.param("old", "protocol version", id="h18-downgrade"),
    ],
)
@pytest.mark.fault("H18")
def test_tls_that_cannot_be_trusted(case: Case, authority: Authority, kind: str, words: str) -> None:
    """Exit 78 at once, before a byte of the request is sent: a retry would not help."""
    contexts = {
        "expired": lambda: authority.server(expired=True),
        "other host": lambda: authority.server(host="DNS:elsewhere.example"),
        "self-signed": authority.self_signed,
        "untrusted": authority.server,
        "old": authority.old,
    }
    with serving(case.server.api, tls=contexts[kind]()) as server:
        trust = {} if kind == "untrusted" else _trusting(authority)
        ended = case.command(**case.move_to(server.url), VNSYNC_RETRY_MAX_SECONDS="5", **trust)
        assert (server.heard, server.connections) == ([], 1)
    check_line(ended, 78, "TLS with 127.0.0.1 failed", words, "TLS cannot be turned off", "(run ")
    case.check_untouched(78)


@pytest.mark.fault("H18")
def test_a_server_without_tls(case: Case) -> None:
    """A server that answers TLS's greeting in plain text gets no token: exit 78."""

    def plain() -> None:
        connection, _ = listener.accept()
        with connection:
            heard.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=plain, daemon=True).start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/v2.0"
        case.move_to(url)
        code, error = how_it_ends(lambda: case.sync(url=url))
    assert code == 78
    assert "TLS with 127.0.0.1 failed" in error
    assert CANARY.encode() not in heard[0]


@pytest.mark.fault("H18")
def test_no_switch_turns_verification_off(case: Case, authority: Authority) -> None:
    """Switches that turn verification off in other programs have no effect."""
    switches = ("PYTHONHTTPSVERIFY", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_TLS_REJECT_UNAUTHORIZED")
    with serving(case.server.api, tls=authority.self_signed()) as server:
        ended = case.command(**case.move_to(server.url), **dict.fromkeys(switches, "0"), GIT_SSL_NO_VERIFY="1")
    check_line(ended, 78, "TLS with 127.0.0.1 failed")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://dataapi.callgear.com/v2.0", "https only"),
        ("http://127.0.0.1.example.com/v2.0", "https only"),
        ("ftp://127.0.0.1/v2.0", "neither a URL"),
    ],
)
@pytest.mark.fault("H18")
def test_plain_http_is_refused(case: Case, url: str, words: str) -> None:
    """Plain http is for loopback only, for any similar host name: refused before anything is sent."""
    check_line(case.command(VNSYNC_API_URL=url), 78, words)


@pytest.mark.fault("H18")
def test_certificates_that_cannot_be_read(case: Case) -> None:
    """A missing SSL_CERT_FILE is a wrong setting, not a bug."""
    check_line(case.command(**case.move_to("https://127.0.0.1:1/"), SSL_CERT_FILE="/no/such/file"), 78, "SSL_CERT_FILE")


# -- proxies and netrc


class Tunnel:
    """An HTTP proxy: it answers each CONNECT with `status`, and relays bytes if that is 200."""

    def __init__(self, status: bytes = b"200 OK") -> None:
        self._status = status
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.heads: list[bytes] = []
        self.carried = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536)
            self.heads.append(head)
            client.sendall(b"HTTP/1.1 " + self._status + b"\r\n\r\n")
            if not self._status.startswith(b"200"):
                return
            host, _, port = head.split()[1].decode().rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
                back.start()
                self._pump(client, server, keep=True)

    def _pump(self, source: socket.socket, sink: socket.socket, *, keep: bool = False) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                self.carried += piece if keep else b""
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def tunnel() -> Iterator[Tunnel]:
    """A proxy that relays everything."""
    one = Tunnel()
    yield one
    one.close()


PROXY_PASSWORD = "pr0xy-p4ssword"


@pytest.mark.fault("H21")
def test_https_goes_through_the_proxy_in_a_tunnel(case: Case, authority: Authority, tunnel: Tunnel) -> None:
    """HTTPS_PROXY is used; the proxy gets its own password, and no byte of the token unencrypted."""
    with serving(case.server.api, tls=authority.server()) as secure:
        proxy = f"http://user:{PROXY_PASSWORD}@{tunnel.address}"
        ended = case.command(**case.move_to(secure.url), HTTPS_PROXY=proxy, **_trusting(authority))
    assert (ended.code, ended.err) == (0, "")
    assert tunnel.heads
    assert all(head.startswith(b"CONNECT ") for head in tunnel.heads)
    assert base64.b64encode(f"user:{PROXY_PASSWORD}".encode()) in tunnel.heads[0]
    assert CANARY.encode() not in b"".join(tunnel.heads) + tunnel.carried


@pytest.mark.parametrize(
    ("status", "exit_code", "words"),
    [
        (b"407 Proxy Authentication Required", 77, "HTTP 407 before the API was reached"),
        (b"403 Forbidden", 77, "HTTP 403 before the API was reached"),
        (b"502 Bad Gateway", 69, "the proxy refuses the connection: 502"),
    ],
    ids=["h21-407", "h21-403", "h21-502"],
)
@pytest.mark.fault("H21")
def test_the_proxy_refuses(case: Case, status: bytes, exit_code: int, words: str) -> None:
    """A refusal by the proxy is reported as that, not as one of the token; the proxy's password is not shown."""
    tunnel = Tunnel(status)
    with contextlib.closing(tunnel):
        proxy = f"http://user:{PROXY_PASSWORD}@{tunnel.address}"
        ended = case.command(
            **case.move_to("https://dataapi.example/v2.0"), HTTPS_PROXY=proxy, VNSYNC_LOG_LEVEL="debug"
        )
    (line,) = [each for each in ended.err.splitlines() if each.startswith("vnsync: error: ")]
    assert ended.code == exit_code
    assert words in line
    assert PROXY_PASSWORD not in ended.err + ended.out
    assert base64.b64encode(f"user:{PROXY_PASSWORD}".encode()).decode() not in ended.err
    case.check_untouched(exit_code)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", f"gopher://user:{PROXY_PASSWORD}@127.0.0.1", "http://[::1"])
@pytest.mark.fault("H21")
def test_a_proxy_that_cannot_be_used(case: Case, proxy: str) -> None:
    """A proxy of an unsupported kind or form is a wrong setting."""
    ended = case.command(**case.move_to("https://dataapi.example/v2.0"), HTTPS_PROXY=proxy)
    check_line(ended, 78, "HTTPS_PROXY")
    assert PROXY_PASSWORD not in ended.err


@pytest.mark.fault("H21")
def test_plain_http_on_loopback_goes_to_no_proxy(case: Case, tunnel: Tunnel) -> None:
    """A proxy could read a token sent by plain http, so loopback is reached directly, for any proxy variables."""
    names = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    ended = case.command(**dict.fromkeys(names, f"http://{tunnel.address}"))
    assert (ended.code, ended.err) == (0, "")
    assert tunnel.heads == []


@pytest.mark.fault("H21")
def test_netrc_is_not_read(case: Case) -> None:
    """A .netrc for the host adds no Authorization header: the token in the body is the only credential."""
    netrc = case.folder / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login somebody password {PROXY_PASSWORD}\ndefault login a password b\n")
    netrc.chmod(0o600)
    ended = case.command(NETRC=str(netrc))
    assert ended.code == 0
    assert not [request for request in case.server.heard if b"authorization" in request.head.lower()]
