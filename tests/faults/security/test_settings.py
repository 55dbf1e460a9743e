"""S04, S12, S13: the places to which the key is sent, and the protection on the way."""

from __future__ import annotations

import ast
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest

import etl
from etl.cli.main import COMMANDS, cli
from etl.config.settings import DECLARED
from etl.sandbox import faults
from tests.support.certificates import Authority
from tests.support.running import Run, Source
from tests.support.secrets import CANARY, write_secret

pytestmark = pytest.mark.usefixtures("clean")

PACKAGE = Path(etl.__file__).parent


@dataclass
class Listener:
    """A server that records connections and does not answer."""

    port: int
    visits: list[bytes] = field(default_factory=list)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A listener on every address of this machine, so that it gets any connection to this machine."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        server.settimeout(0.2)
        found = Listener(server.getsockname()[1])
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    found.visits.append(connection.recv(4096))

        thread = threading.Thread(target=serve)
        thread.start()
        yield found
        over.set()
        thread.join()


REFUSED = [
    # plain http to hosts other than the three spellings of this machine
    "http://dataapi.callgear.com/v2.0",
    "http://10.0.0.1:{port}/v2.0",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/",
    "http://127.0.0.2:{port}/v2.0",
    "http://127.1:{port}/v2.0",
    "http://2130706433:{port}/v2.0",
    "http://0x7f000001:{port}/v2.0",
    "http://0177.0.0.1:{port}/v2.0",
    "http://127.0.0.1.:{port}/v2.0",
    "http://localhost.:{port}/v2.0",
    "http://localhost.localdomain:{port}/v2.0",
    "http://0.0.0.0:{port}/v2.0",
    "http://0:{port}/v2.0",
    "http://[::]:{port}/v2.0",
    "http://[::ffff:127.0.0.1]:{port}/v2.0",
    "http://[::1%25lo]:{port}/v2.0",
    "http://127.0.0.1.nip.io:{port}/v2.0",
    "http://①②⑦.⓪.⓪.①:{port}/v2.0",
    # other protocols
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/v2.0",
    "gopher://127.0.0.1:{port}/_POST",
    "unix:///run/docker.sock",
    "javascript:alert(1)",
    "//127.0.0.1:{port}/v2.0",
    "127.0.0.1:{port}/v2.0",
    "httpsx://127.0.0.1:{port}/v2.0",
    # users, passwords, and texts that some readers take for them
    "https://user:{canary}@127.0.0.1:{port}/v2.0",
    "https://{canary}@127.0.0.1:{port}/v2.0",
    "https://@127.0.0.1:{port}/v2.0",
    "https://:@127.0.0.1:{port}/v2.0",
    "http://127.0.0.1@127.0.0.2:{port}/v2.0",
    "https://dataapi.callgear.com\\@127.0.0.1:{port}/v2.0",
    "https://dataapi.callgear.com%40127.0.0.1:{port}/v2.0",
    "http://127.0.0.1:{port}\\.example/v2.0",
    # spellings that readers understand in different ways
    "https://127.1:{port}/v2.0",
    "https://2130706433:{port}/v2.0",
    "https://0x7f.0.0.1:{port}/v2.0",
    "https://0177.0.0.1:{port}/v2.0",
    "https://[::ffff:127.0.0.1]:{port}/v2.0",
    "https://127.0.0.1.:{port}/v2.0",
    "https://dataapi.callgear.com./v2.0",
    "https://dataapi..callgear.com/v2.0",
    "https://dataapi.сallgear.com/v2.0",  # a Cyrillic letter
    "https://dataapi。callgear。com/v2.0",
    "https://dataapi.callgear.com\n.example/v2.0",
    "https://dataapi.\tcallgear.com/v2.0",
    "https://dataapi.callgear.com /v2.0",
    # addresses without a Data API
    "https://169.254.169.254/v2.0",
    "https://[fe80::1]/v2.0",
    "https://127.0.0.2:{port}/v2.0",
    "https://0.0.0.0:{port}/v2.0",
    "https://[::]:{port}/v2.0",
    "https://224.0.0.1/v2.0",
    # incomplete, or more than an address
    "https://",
    "https:///v2.0",
    "https://127.0.0.1:{port}/v2.0?access_token={canary}",
    "https://127.0.0.1:{port}/v2.0#{canary}",
    "https://127.0.0.1:99999/v2.0",
    "https://127.0.0.1:-1/v2.0",
    "https://[::1/v2.0",
]


@pytest.mark.parametrize("source", ["option", "environment", "file"])
@pytest.mark.fault("S12")
def test_urls_that_lead_elsewhere(listener: Listener, vnsync: Run, clean: Path, source: str) -> None:
    """Each is refused as configuration, without its secrets, before a byte is sent and a database is made."""
    token = str(write_secret(clean / "token"))
    for pattern in REFUSED:
        url = pattern.format(port=listener.port, canary=CANARY)
        options, variables = [], {"VNSYNC_API_TOKEN_FILE": token}
        if source == "option":
            options = ["--api-url", url]
        elif source == "environment":
            variables["VNSYNC_API_URL"] = url
        else:
            file = write_secret(clean / "settings", f"api_url = '''{url}'''\n")
            options = ["--config", str(file)]
        done = vnsync("sync", *options, **variables)
        assert done.code == 78, url
        assert done.error.startswith("vnsync: error: "), url
        assert "is refused: " in done.error, url
    assert listener.visits == []
    assert not Path("vnsync.db").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
@pytest.mark.fault("S12")
def test_loopback_is_reached(listener: Listener, vnsync: Run, clean: Path, host: str) -> None:
    """The allowed spellings reach the listener, so the test above would have noticed a connection."""
    url = f"http://{host}:{listener.port}/v2.0"
    token = str(write_secret(clean / "token"))
    done = vnsync("accounts", "--api-url", url, "--api-token-file", token, "--retry-max-seconds", "0.01")
    assert done.code == 69
    assert CANARY.encode() in listener.visits[0] or listener.visits[0].startswith(b"POST /v2.0")


# -- S13


@pytest.mark.fault("S13")
def test_nothing_to_switch_off() -> None:
    """No setting, option or variable of vnsync names TLS, certificates or verification."""
    options = {n for name in COMMANDS for n in _options(cli.get_command(click.Context(cli), name))}
    words = ("tls", "ssl", "verify", "insecure", "cert", "trust", "http2", "proxy", "redirect")
    assert len(options) > 20
    assert [n for n in {*options, *DECLARED} if any(word in n.lower() for word in words)] == []


def _options(command: click.Command | None) -> set[str]:
    assert command is not None
    context = click.Context(command)
    below = [command.get_command(context, n) for n in command.commands] if isinstance(command, click.Group) else []
    return {o for p in command.params for o in p.opts}.union(*(_options(each) for each in below))


WEAK = {"CERT_NONE", "CERT_OPTIONAL", "_create_unverified_context", "_create_default_https_context", "PROTOCOL_TLSv1"}
LOOSE = {("verify", "False"), ("verify", "None"), ("verify", "0"), ("follow_redirects", "True")}


def loosened(tree: ast.AST) -> list[str]:
    """Places in a module that would weaken TLS: verification False, hostnames unchecked, old protocols."""
    nodes = list(ast.walk(tree))
    assigned = [ast.unparse(target) for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
    given = [(node.arg, ast.unparse(node.value)) for node in nodes if isinstance(node, ast.keyword)]
    named = [node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "") for node in nodes]
    return [
        *(name for name in assigned if name.endswith((".check_hostname", ".verify_mode"))),
        *(f"{name}={value}" for name, value in given if (name, value) in LOOSE),
        *(name for name in named if name in WEAK),
    ]


@pytest.mark.fault("S13")
def test_no_line_loosens_tls() -> None:
    """No module passes verify=False, leaves hostnames unchecked, accepts old protocols, or follows redirects."""
    assert {path: loosened(ast.parse(path.read_text())) for path in PACKAGE.rglob("*.py")} == {
        path: [] for path in PACKAGE.rglob("*.py")
    }
    for line in ("f(verify=False)", "c.check_hostname = False", "ssl.CERT_NONE", "f(follow_redirects=True)"):
        assert loosened(ast.parse(line))


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"PYTHONHTTPSVERIFY": "0"},
        {"CURL_CA_BUNDLE": "", "REQUESTS_CA_BUNDLE": "", "GIT_SSL_NO_VERIFY": "1", "NODE_TLS_REJECT_UNAUTHORIZED": "0"},
    ],
    ids=["plain", "python", "others"],
)
@pytest.mark.fault("S13")
def test_unverified_server_hears_nothing(vnsync: Run, clean: Path, variables: dict[str, str]) -> None:
    """A server with an unverified certificate gets no request, for any environment: exit 78."""
    context = Authority(clean).self_signed()
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                with context.wrap_socket(server.accept()[0], server_side=True) as connection:
                    heard.append(connection.recv(4096))
            except OSError:  # the client ends the handshake
                return

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}/v2.0"
        token = str(write_secret(clean / "token"))
        done = vnsync("sync", "--log-level", "error", "--api-url", url, "--api-token-file", token, **variables)
        thread.join()
    assert done.code == 78
    assert "TLS with 127.0.0.1 failed" in done.error
    assert [data for data in heard if data] == []


# -- S04


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.fault("S04", "H17")
def test_redirect_is_not_followed(customer: Source, vnsync: Run, status: int, host: str) -> None:
    """Exit 78 names the redirect's target without its query, and no byte is sent there."""
    with socket.create_server((host, 0)) as other:
        other.setblocking(False)
        target = f"http://{host}:{other.getsockname()[1]}"
        customer.api.faults.add(faults.redirect(f"{target}/v2.0?key={CANARY}&s=1", status), times=None, method=None)
        done = vnsync("sync", "--log-level", "error", *customer.options)
        with pytest.raises(BlockingIOError):
            other.accept()
    assert done.code == 78
    assert f"{target}/v2.0. " in done.error
    assert "s=1" not in done.error


@pytest.mark.fault("S04")
def test_key_goes_to_one_place(customer: Source, vnsync: Run, clean: Path) -> None:
    """Neither proxy variables nor .netrc make the run send anything to another host."""
    write_secret(clean / ".netrc", f"machine 127.0.0.1 login me password {CANARY}\n")
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.setblocking(False)
        url = f"http://127.0.0.1:{other.getsockname()[1]}"
        proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), url)
        done = vnsync("sync", *customer.options, HOME=str(clean), NETRC=str(clean / ".netrc"), **proxies)
        with pytest.raises(BlockingIOError):
            heads.append(other.accept()[0].recv(1))
    assert (done.code, heads) == (0, [])
