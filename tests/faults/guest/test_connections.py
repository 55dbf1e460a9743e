"""G05: errors in the connection to the database: access refused 77, permanent errors 78, never 69."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from etl.config.urls import database_url
from etl.errors import Misconfigured, NoConnectionFree, NotAllowed, Unavailable, VnsyncError
from etl.store.connecting import refusal
from etl.store.driver_errors import strip, translated
from etl.store.engine import open_warehouse
from tests.support.certificates import Authority
from tests.support.fault_clusters import DEBIAN, Cluster, bundled, needs
from tests.support.scenes import Scene, scene

RULES = """
local peered all peer
local mapped all peer map=nobody
local idented all ident
local worded all scram-sha-256
local rejected all reject
hostssl secured all 127.0.0.1/32 trust
host directory all 127.0.0.1/32 {directory}
host postgres postgres 127.0.0.1/32 trust
local all postgres trust
"""
"""Lines of pg_hba.conf: the name of the database determines the user's authentication method."""


@dataclass(frozen=True)
class Door:
    """A server with those rules: its folder, and its port on loopback and in the socket's name."""

    cluster: Cluster
    port: int

    def local(self, place: str, query: str = "") -> str:
        """The URL of a user and database through the socket."""
        return f"postgresql://{place}?host={self.cluster.folder}&port={self.port}{query and '&'}{query}"

    def loopback(self, query: str = "", database: str = "postgres", host: str = "127.0.0.1") -> str:
        """The URL of a database over TCP."""
        return f"postgresql://postgres@{host}:{self.port}/{database}{query and '?'}{query}"


def free_port() -> int:
    """A port without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def opened(bin: Path, *, directory: str, more: str = "") -> Door:
    """A server of these programs that is stopped, with its rules and files in place."""
    port = free_port()
    cluster = Cluster(bin, conf=f"listen_addresses = '127.0.0.1'\nport = {port}\n")
    cluster.stop("fast")
    (cluster.data / "pg_hba.conf").write_text(RULES.format(directory=directory))
    with (cluster.data / "postgresql.conf").open("a") as conf:
        conf.write(more.format(folder=cluster.folder))
    return Door(cluster, port)


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    """A server without TLS, on its socket and on loopback."""
    door = opened(bundled(16), directory="reject")
    door.cluster.start()
    yield door
    door.cluster.destroy()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Door, Path]]:
    """Debian's server, built with TLS and LDAP, with a certificate for 127.0.0.1; and its authority's certificate."""
    needs(DEBIAN, "PostgreSQL 15")
    authority = Authority.found(tmp_path_factory.mktemp("authority"))
    authority.server()
    ldap = f'ldap ldapserver=127.0.0.1 ldapport={free_port()} ldapprefix="cn="'
    tls = "ssl = on\nssl_cert_file = '{folder}/server.pem'\nssl_key_file = '{folder}/server.key'\n"
    door = opened(DEBIAN, directory=ldap, more=tls)
    for suffix in ("pem", "key"):
        file = door.cluster.folder / f"server.{suffix}"
        shutil.copy(authority.folder / f"IP-127.0.0.1.{suffix}", file)
        file.chmod(0o600)
        if door.cluster.user:
            shutil.chown(file, door.cluster.user)
    door.cluster.start()
    yield door, authority.certificate
    door.cluster.destroy()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Scene]:
    """A source; each test names its database."""
    with scene(tmp_path / "scene", f"sqlite:///{tmp_path / 'warehouse.db'}") as made:
        yield made


@pytest.mark.parametrize(
    ("place", "says", "remedy"),
    [
        ("nobody@/peered", "Peer authentication failed", "system user"),
        ("postgres@/mapped", "Peer authentication failed", "system user"),
        ("nobody@/idented", "authentication failed", "pg_hba.conf"),
        ("postgres:wrong@/worded", "password authentication failed", "user and password"),
        ("postgres@/worded", "no password supplied", "user and password"),
        ("postgres@/rejected", "pg_hba.conf rejects", "pg_hba.conf"),
        ("nobody@/unheard", "no pg_hba.conf entry", "pg_hba.conf"),
    ],
)
@pytest.mark.fault("G05")
def test_who_is_not_let_in_gets_77_postgresql(place: str, says: str, remedy: str, door: Door, stage: Scene) -> None:
    """Each refusal of a user ends with 77, before any request; no password is shown."""
    asked = list[object]()
    stage.api.before_request.append(asked.append)
    line = stage.refused(stage.sync(url=door.local(place)), 77, says=says)
    assert remedy in line
    assert "wrong" not in line
    assert not asked


@pytest.mark.fault("G05")
def test_only_tls_is_let_in_postgresql(door: Door, stage: Scene) -> None:
    """If pg_hba.conf admits only TLS, the line says how to request it."""
    url = door.loopback("sslmode=disable", database="secured")
    line = stage.refused(stage.sync(url=url), 77, says="no pg_hba.conf entry")
    assert "?sslmode=require" in line


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("pgbouncer=true", "no connection option 'pgbouncer'"),
        ("autocommit=true", "no connection option 'autocommit'"),
        ("sslmode=often", 'invalid sslmode value: "often"'),
        ("sslmode=require", "does not support SSL"),
        ("sslrootcert=system&sslmode=require", "weak sslmode"),
        ("channel_binding=require", "channel binding required"),
        ("require_auth=scram-sha-256", "authentication method requirement"),
        ("gssencmode=require", "GSSAPI encryption required"),
        ("connect_timeout=soon", "bad value for connect_timeout"),
        ("target_session_attrs=any-old", "invalid target_session_attrs value"),
        ("options=-c%20nosuch=1", 'unrecognized configuration parameter "nosuch"'),
        ("options=-c%20work_mem=lots", 'invalid value for parameter "work_mem"'),
        ("service=nosuch", 'definition of service "nosuch" not found'),
        ("hostaddr=nowhere", "could not parse network address"),
        ("keepalives=x", 'invalid integer value "x"'),
        ("ssl_min_protocol_version=x", 'invalid "ssl_min_protocol_version" value'),
        ("port=99999", 'invalid port number: "99999"'),
        ("port=some", "the database URL cannot be read"),
    ],
)
@pytest.mark.fault("G05")
def test_what_a_url_asks_for_in_vain_gets_78_postgresql(query: str, says: str, door: Door, stage: Scene) -> None:
    """Permanent errors end with 78, and the line names the setting to correct."""
    line = stage.refused(stage.sync(url=door.loopback(query)), 78, says=says)
    assert "VNSYNC_DATABASE_URL" in line


@pytest.mark.parametrize(
    ("query", "host", "code", "says"),
    [
        ("sslmode=verify-full&sslrootcert=/nowhere/ca.pem", "127.0.0.1", 78, "does not exist"),
        ("sslmode=verify-full&sslrootcert={ca}", "localhost", 78, "does not match host name"),
        ("sslmode=verify-full&sslrootcert=system", "127.0.0.1", 78, "certificate verify failed"),
        ("sslmode=require&sslcert=/nowhere/me.pem", "127.0.0.1", 0, ""),
        ("sslmode=verify-full&sslrootcert={ca}", "127.0.0.1", 0, ""),
    ],
)
@pytest.mark.fault("G05")
def test_tls_postgresql(query: str, host: str, code: int, says: str, secured: tuple[Door, Path], stage: Scene) -> None:
    """A missing root certificate, a wrong one, and a certificate for another name: 78."""
    door, authority = secured
    done = stage.call("db", "upgrade", url=door.loopback(query.format(ca=authority), host=host))
    if code:
        line = stage.refused(done, code, says=says)
        assert "VNSYNC_DATABASE_URL" in line
    else:
        assert done.code == 0, done.err


@pytest.mark.fault("G05")
def test_a_directory_that_refuses_is_77_postgresql(secured: tuple[Door, Path], stage: Scene) -> None:
    """LDAP that refuses or cannot be reached: the server only says that the user is not admitted."""
    url = secured[0].loopback(database="directory").replace("postgres@", "postgres:wrong@")
    assert "LDAP authentication failed" in stage.refused(stage.sync(url=url), 77)


SOCKET = 'connection failed: connection to server on socket "/run/.s.PGSQL.5432" failed: '
SERVER = 'connection failed: connection to server at "db" (10.0.0.9), port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f'{SERVER}FATAL:  LDAP authentication failed for user "etl"', NotAllowed),
        (f'{SERVER}FATAL:  PAM authentication failed for user "etl"', NotAllowed),
        (f'{SERVER}FATAL:  GSSAPI authentication failed for user "etl"', NotAllowed),
        (f'{SERVER}FATAL:  certificate authentication failed for user "etl"', NotAllowed),
        (f"{SERVER}FATAL:  connection requires a valid client certificate", NotAllowed),
        (f"{SERVER}SSL error: tlsv13 alert certificate required", NotAllowed),
        (f'{SERVER}FATAL:  database "x" is not currently accepting connections', NotAllowed),
        (f"{SOCKET}Permission denied", NotAllowed),
        (f"{SERVER}FATAL:  no such user: etl", NotAllowed),
        (f"{SERVER}FATAL:  no such database: calls", Misconfigured),
        (f'{SERVER}private key file "k" has group or world access; file must have permissions', Misconfigured),
        (f'{SERVER}server certificate for "a" (and 2 other names) does not match host name "b"', Misconfigured),
        (f"{SERVER}SSL error: wrong version number", Misconfigured),
        ("connection is bad: an option of a libpq to come has no such value", Misconfigured),
        (f"{SERVER}SSL error: unexpected eof while reading", Unavailable),
        (f"{SERVER}SSL SYSCALL error: Connection reset by peer", Unavailable),
        (f"{SERVER}FATAL:  the database system is starting up", Unavailable),
        (f"{SERVER}session is read-only", Unavailable),
        (f"{SERVER}Connection refused", Unavailable),
        ("connection timeout expired", Unavailable),
        ("failed to resolve host 'db': [Errno -3] Temporary failure in name resolution", Unavailable),
        ("consuming input failed: server closed the connection unexpectedly", Unavailable),
        (f"{SERVER}FATAL:  sorry, too many clients already", NoConnectionFree),
        (f'{SERVER}FATAL:  too many connections for role "etl"', NoConnectionFree),
        (f"{SERVER}FATAL:  remaining connection slots are reserved for roles with the SUPERUSER", NoConnectionFree),
        (f"{SERVER}FATAL:  no more connections allowed (max_client_conn)", NoConnectionFree),
        (f"{SERVER}FATAL:  Max client connections reached", NoConnectionFree),
    ],
)
@pytest.mark.fault("G05")
def test_each_text_has_its_class(text: str, kind: type[VnsyncError]) -> None:
    """Messages of servers, poolers and libpq during a connection, classified by their remedy."""
    assert type(refusal(text)) is kind


@pytest.mark.fault("G05")
def test_a_sqlstate_goes_before_words() -> None:
    """In a message with a SQLSTATE, words chosen by a user do not matter."""
    error = psycopg.errors.UndefinedTable('relation "too many connections" does not exist')
    assert translated(error).exit_code == 70
    pooled = psycopg.errors.ProtocolViolation("query_wait_timeout")
    assert type(translated(pooled)) is NoConnectionFree


@pytest.mark.parametrize(("query", "expected"), [("?connect_timeout=60", "60"), ("", 10)])
@pytest.mark.fault("G05")
def test_connect_timeout_of_the_url(query: str, expected: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value of the URL or the environment is used; otherwise ten seconds."""
    given = list[object]()

    def connect(*_words: object, **options: object) -> None:
        given.append(options.get("connect_timeout"))
        raise psycopg.OperationalError("connection timeout expired")

    for variable, then in (("PGHOST", expected), ("PGCONNECT_TIMEOUT", "60" if query else None)):
        monkeypatch.setenv(variable, "33")
        engine = open_warehouse(f"postgresql://etl@127.0.0.1/calls{query}")
        monkeypatch.setattr(engine.dialect, "connect", connect)
        with pytest.raises(OperationalError):
            engine.connect()
        assert given == [then]
        given.clear()


@pytest.mark.parametrize(
    ("value", "host", "port"),
    [
        ("postgresql://etl@h1:1,h2/calls", "h1,h2", "1,"),
        ("postgresql://etl:a%2Cb@h1,h2:2/calls?sslmode=require", "h1,h2", ",2"),
        ("postgresql://[::1]:5,h2:6/calls", "::1,h2", "5,6"),
    ],
)
@pytest.mark.fault("G05")
def test_several_hosts_keep_their_ports(value: str, host: str, port: str) -> None:
    """libpq's form with several hosts is read as by libpq: each host with its own port."""
    url = make_url(database_url(value))
    assert (url.query["host"], url.query["port"], url.database) == (host, port, "calls")


@pytest.mark.fault("G05")
def test_several_hosts_are_tried_in_turn_postgresql(door: Door, stage: Scene) -> None:
    """A host that is down is skipped; if all fail, the error that can be corrected is reported."""
    down = f"127.0.0.1:{free_port()}"
    both = f"postgresql://postgres@{down},127.0.0.1:{door.port}/postgres"
    done = stage.sync(url=both)
    assert done.code == 0, done.err
    refused = f"postgresql://nobody@127.0.0.1:{door.port},{down}/postgres"
    stage.refused(stage.sync(url=refused), 77, says="no pg_hba.conf entry")
    line = stage.refused(stage.sync(url=f"postgresql://postgres@{down},{down}/postgres"), 69, says="Connection refused")
    assert "password" not in line


@pytest.mark.fault("G05")
def test_the_telling_attempt_survives_stripping() -> None:
    """Text that may quote rows is removed before the error is reported, and the most useful attempt is kept."""
    attempts = [f"- host: 'a', port: '1', hostaddr: '::1': {SERVER}FATAL:  role \"etl\" does not exist"]
    attempts += [f"- host: 'b', port: '1', hostaddr: '::1': {SERVER}Connection refused"]
    error = psycopg.OperationalError(
        "\n".join([f"{SERVER}Connection refused", "Multiple connection attempts failed. All failures were:", *attempts])
    )
    strip(error)
    assert isinstance(translated(error), NotAllowed)
