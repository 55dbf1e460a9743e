"""Bad input, one table: each gets one clear line with cause and remedy, and the right exit code."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer
from threading import Thread

import psycopg
import pytest

from tests.support.running import TOKEN, Run, Source


class _WebPage(BaseHTTPRequestHandler):
    """A web server that is no API: its answer depends on the path."""

    def do_POST(self) -> None:
        """HTML with 200, a 404, or a redirect."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "https://elsewhere.example/login?secret=1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = b"<html><body>Please log in to the Wi-Fi</body></html>"
        self.send_response(404 if self.path == "/v1.0" else 200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def web() -> Iterator[str]:
    """The address of that web server."""
    with TCPServer(("127.0.0.1", 0), _WebPage) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@dataclass
class Setup:
    """Parts that a case may spoil: the source, the folder, a database server."""

    source: Source
    folder: Path
    web: str
    request: pytest.FixtureRequest

    @property
    def options(self) -> list[str]:
        """The options that lead to the source."""
        return list(self.source.options)

    def to(self, url: str) -> list[str]:
        """The options that lead elsewhere, with the same token."""
        return ["--api-url", url, *self.options[2:]]

    def wrong_token(self) -> list[str]:
        (self.folder / "token").write_text("not-the-token")
        return self.options

    def not_whitelisted(self) -> list[str]:
        self.source.world.block(self.source.world.customer_ids[0], "ip_not_whitelisted")
        return self.options

    def unreachable(self) -> list[str]:
        return self.to("http://127.0.0.1:9/v2.0")

    def unknown_host(self) -> list[str]:
        return self.to("https://no-such-host.invalid/v2.0")

    def in_the_clear(self) -> list[str]:
        return self.to("http://dataapi.callgear.com/v2.0")

    def html(self) -> list[str]:
        return self.to(f"{self.web}/v2.0")

    def wrong_path(self) -> list[str]:
        return self.to(f"{self.web}/v1.0")

    def redirect(self) -> list[str]:
        return self.to(f"{self.web}/elsewhere")

    def unknown_key(self) -> list[str]:
        (self.folder / "vnsync.toml").write_text("log_levle = 'info'\n")
        return self.options

    def missing_config(self) -> list[str]:
        return ["--config", "no-such.toml", *self.options]

    def missing_token_file(self) -> list[str]:
        return ["--api-url", self.source.url, "--api-token-file", "no-such-token"]

    def no_token(self) -> list[str]:
        return ["--api-url", self.source.url]

    def unknown_account(self) -> list[str]:
        return ["--account", "424242", *self.options]

    def folder_is_missing(self) -> list[str]:
        return ["--database-url", "sqlite:///no/such/folder/x.db", *self.options]

    def file_is_a_folder(self) -> list[str]:
        (self.folder / "x.db").mkdir()
        return ["--database-url", "sqlite:///x.db", *self.options]

    def not_a_database(self) -> list[str]:
        (self.folder / "x.db").write_bytes(b"my notes, which are longer than a header" * 100)
        return ["--database-url", "sqlite:///x.db", *self.options]

    def newer_schema(self) -> list[str]:
        from etl.store import migrations
        from etl.store.engine import open_warehouse

        migrations.upgrade(open_warehouse("sqlite:///x.db"))
        with closing(sqlite3.connect("x.db")) as connection, connection:
            connection.execute("update vnsync_version set version_num = '9999'")
        return ["--database-url", "sqlite:///x.db", *self.options]

    def empty_schema_and_no_upgrade(self) -> list[str]:
        return ["--no-upgrade", *self.options]

    def database_down(self) -> list[str]:
        return ["--database-url", "postgresql://etl@127.0.0.1:9/calls", *self.options]

    def no_such_database(self) -> list[str]:
        url = self.request.getfixturevalue("new_postgresql")()
        return ["--database-url", url.replace("/test_", "/gone_"), *self.options]

    def no_rights(self) -> list[str]:
        make: Callable[..., str] = self.request.getfixturevalue("new_postgresql")
        url = make()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("drop role if exists stranger")
            connection.execute("create role stranger login")
            connection.execute("revoke create on schema public from public")
        return ["--database-url", url.replace("//postgres", "//stranger", 1), *self.options]


@dataclass(frozen=True)
class Case:
    """A fault, its exit code, and the cause and remedy in the error line."""

    bend: Callable[[Setup], list[str]]
    code: int
    cause: str
    remedy: str

    @property
    def name(self) -> str:
        """The test's id."""
        return self.bend.__name__


CASES = [
    Case(Setup.wrong_token, 77, "access_token_invalid", "token file holds the whole key"),
    Case(Setup.not_whitelisted, 77, "ip_not_whitelisted", "whitelist in the client area"),
    Case(Setup.unreachable, 69, "127.0.0.1", "."),
    Case(Setup.unknown_host, 69, "no-such-host.invalid", "."),
    Case(Setup.in_the_clear, 78, "--api-url is refused: http:// would send the token in the clear", "https URL"),
    Case(Setup.html, 69, "not JSON: '<html><body>Please log in", "URL is the Data API's"),
    Case(Setup.wrong_path, 78, "404", "/v2.0"),
    Case(Setup.redirect, 78, "elsewhere.example", "."),
    Case(Setup.unknown_key, 78, "unknown setting log_levle in vnsync.toml", "`vnsync config`"),
    Case(Setup.missing_config, 78, "no-such.toml cannot be read", "Check its path"),
    Case(Setup.missing_token_file, 78, "no-such-token cannot be read", "The file holds the secret alone"),
    Case(Setup.no_token, 78, "no API token is set", "VNSYNC_API_TOKEN_FILE"),
    Case(Setup.unknown_account, 2, "cannot read account 424242", "`vnsync accounts`"),
    Case(Setup.folder_is_missing, 74, "no/such/folder/x.db: No such file or directory", "permissions"),
    Case(Setup.file_is_a_folder, 74, "x.db: it is a folder, not a file", "permissions"),
    Case(Setup.not_a_database, 70, "not a database", "restore a backup"),
    Case(Setup.newer_schema, 78, "schema 9999", "newer vnsync"),
    Case(Setup.empty_schema_and_no_upgrade, 78, "no schema yet", "`vnsync db upgrade`"),
    Case(Setup.database_down, 69, "PostgreSQL: ", "Check that the server runs"),
    Case(Setup.no_such_database, 78, "does not exist", "Create the database"),
    Case(Setup.no_rights, 77, "permission denied", "grant this role CREATE"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_gets_one_line(
    case: Case, customer: Source, clean: Path, web: str, vnsync: Run, request: pytest.FixtureRequest
) -> None:
    """One line on stderr with cause, remedy and exit code, nothing secret in it; stdout holds no half result."""
    arguments = case.bend(Setup(customer, clean, web, request))
    done = vnsync("sync", "--log-level", "error", "--retry-max-seconds", "0.01", *arguments)
    line = done.error
    assert done.code == case.code
    assert line.startswith("vnsync: error: ")
    assert line.endswith(f"exit {case.code})")
    assert case.cause in line
    assert case.remedy in line
    assert TOKEN not in done.out + done.err
    assert "Traceback" not in done.err
    assert "secret=1" not in done.err


@pytest.mark.parametrize("command", ["accounts", "doctor", "sync"])
def test_each_command_refuses_a_wrong_token(command: str, customer: Source, clean: Path, vnsync: Run) -> None:
    """Whatever asks the source, a wrong token is exit 77."""
    (clean / "token").write_text("not-the-token")
    assert vnsync(command, *customer.options).code == 77


@pytest.mark.parametrize("command", ["status", "db upgrade", "db current", "sync"])
def test_each_command_refuses_a_file_that_is_no_database(
    command: str, customer: Source, clean: Path, vnsync: Run
) -> None:
    """Whatever opens the warehouse, a file that is no database is exit 70, and is left as it is."""
    path = clean / "vnsync.db"
    path.write_bytes(b"my notes, which are longer than a header" * 100)
    before = path.read_bytes()
    options = customer.options if command == "sync" else ()
    assert vnsync(*command.split(), *options).code == 70
    assert path.read_bytes() == before
