"""E07: other things in place of lock files, key files and database files, and locks held by strangers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text

from etl.store import locks
from etl.store.engine import open_warehouse
from tests.support.running import Run, Source

pytestmark = pytest.mark.usefixtures("clean")

LOCK = "vnsync.db.run-1.lock"
STRANGER = "e07_stranger"


def _put(path: Path, thing: str) -> None:
    if thing == "fifo":
        os.mkfifo(path)
    elif thing == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.parent / "elsewhere")


@pytest.mark.parametrize("thing", ["fifo", "folder", "link", "link to a file"])
@pytest.mark.fault("E07")
def test_anything_else_in_a_locks_place_is_one_line(customer: Source, vnsync: Run, clean: Path, thing: str) -> None:
    """The error names it; nothing is made or changed at a link's target; after its removal runs succeed."""
    assert vnsync("sync", *customer.options).code == 0
    if thing == "link to a file":
        (clean / "elsewhere").write_text("of somebody")
    _put(clean / LOCK, thing.split()[0])
    done = vnsync("sync", *customer.options, "--log-level", "error")
    assert (done.code, LOCK in done.error, "remove it" in done.error) == (74, True, True), done
    kind = {"fifo": "a FIFO", "folder": "a folder"}.get(thing, "a link")
    assert f"it is {kind}, not a file" in done.error
    assert (clean / "elsewhere").exists() == (thing == "link to a file")
    (clean / LOCK).rmdir() if thing == "folder" else (clean / LOCK).unlink()
    assert vnsync("sync", *customer.options).code == 0
    assert not (clean / "elsewhere").exists() or (clean / "elsewhere").read_text() == "of somebody"


@pytest.mark.parametrize("words", ["sync", "doctor", "status"])
@pytest.mark.parametrize("thing", ["fifo", "folder", "device"])
@pytest.mark.parametrize("setting", ["VNSYNC_API_TOKEN_FILE", "VNSYNC_API_PASSWORD_FILE"])
@pytest.mark.fault("E07")
def test_anything_else_in_a_key_files_place_is_one_line(
    vnsync: Run, clean: Path, setting: str, thing: str, words: str
) -> None:
    """No command waits for a FIFO; those that need the key name the thing in its place."""
    path = clean / "key"
    _put(path, "link") if thing == "device" else _put(path, thing)
    if thing == "device":
        (clean / "elsewhere").symlink_to("/dev/zero")
    login = {"VNSYNC_API_LOGIN": "anna"} if setting == "VNSYNC_API_PASSWORD_FILE" else {}
    done = vnsync(words, "--log-level", "error", **login, **{setting: str(path)})
    told = f"cannot be read: it is a {'FIFO' if thing == 'fifo' else thing}, not a file"
    assert words == "status" or (done.code, told in done.out + done.err) == (78, True), done
    assert len(done.err.splitlines()) <= 1


@pytest.mark.fault("E07")
def test_key_file_behind_links_is_read(customer: Source, vnsync: Run, clean: Path) -> None:
    """A cluster's secrets are links to files in a folder that is itself a link."""
    token = Path(customer.options[-1])
    (clean / "now").symlink_to(token.parent)
    (clean / "key").symlink_to(clean / "now" / token.name)
    assert vnsync("sync", *customer.options[:-1], clean / "key").code == 0


@pytest.mark.parametrize("thing", ["fifo", "folder"])
@pytest.mark.parametrize("words", ["sync", "status"])
@pytest.mark.fault("E07")
def test_anything_else_in_the_warehouse_files_place_is_one_line(
    customer: Source, vnsync: Run, clean: Path, thing: str, words: str
) -> None:
    """The error names it, and the command does not wait."""
    _put(clean / "vnsync.db", thing)
    done = vnsync(words, *(customer.options if words == "sync" else ()), "--log-level", "error")
    assert (done.code, "vnsync.db" in done.error) == (74, True)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o622])
@pytest.mark.parametrize("words", ["sync", "doctor"])
@pytest.mark.fault("E07")
def test_key_file_that_others_may_write_is_told(customer: Source, vnsync: Run, words: str, mode: int) -> None:
    """A warning with the command to fix it: another user could exchange the key for that of another account."""
    file = Path(customer.options[-1])
    file.chmod(mode)
    done = vnsync(words, *customer.options)
    assert done.code == 0
    told = " ".join((done.out if words == "doctor" else done.err).split())
    assert "is writable by other users" in told
    assert f"chmod 600 {file}" in told


@pytest.mark.fault("E07")
def test_key_file_of_another_user_is_told(customer: Source, vnsync: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner may write the file at any time: a warning. Files of root, as in a cluster, are trusted."""
    file = Path(customer.options[-1])
    if file.stat().st_uid == 0:
        os.chown(file, 12_345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    done = vnsync("sync", *customer.options)
    assert (done.code, "belongs to another user" in done.err) == (0, True)


# -- locks held by others


@pytest.fixture
def url(postgresql_template: str, new_postgresql: Callable[..., str]) -> str:
    """A migrated warehouse in PostgreSQL."""
    return new_postgresql(postgresql_template)


@contextmanager
def _held_by_a_stranger(url: str, run_id: int) -> Iterator[None]:
    """The lock of a run (0: the schema's), held by a role that may only connect."""
    with open_warehouse(url).connect() as connection:
        key = locks._key(connection, run_id)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"create role {STRANGER} login")
        try:
            theirs = make_url(url).set(username=STRANGER, password=None).render_as_string()
            with psycopg.connect(theirs, autocommit=True, application_name="psql") as stranger:
                stranger.execute("select pg_advisory_lock(%s)", (key,))
                yield
        finally:
            admin.execute(f"drop role {STRANGER}")


@pytest.mark.fault("E07")
def test_stranger_that_holds_the_schemas_lock_is_named(customer: Source, url: str, vnsync: Run) -> None:
    """Any role can take an advisory lock: the error names the process and the role, and says that it has no rights."""
    soon = make_url(url).update_query_dict({"options": "-c lock_timeout=200"}).render_as_string(hide_password=False)
    with _held_by_a_stranger(url, 0):
        done = vnsync("sync", "--database-url", soon, *customer.options, "--log-level", "error")
    assert done.code == 75
    assert "another session holds the warehouse's lock: process " in done.error
    assert f"role '{STRANGER}', application 'psql'" in done.error
    assert "no rights on the warehouse" in done.error
    assert "pg_terminate_backend" in done.error
    assert vnsync("sync", "--database-url", soon, *customer.options).code == 0


@pytest.mark.fault("E07")
def test_stranger_that_holds_a_dead_runs_lock_is_named(customer: Source, url: str, vnsync: Run) -> None:
    """A dead run whose lock is held seems alive: the error names the holder of the lock."""
    assert vnsync("sync", "--database-url", url, *customer.options).code == 0
    (account,) = customer.world.customer_ids
    with open_warehouse(url).begin() as connection:
        (run_id,) = connection.execute(text("update sync_runs set status = 'running', finished_at = null,"
                                            " exit_code = null returning run_id")).one()  # fmt: skip
        connection.execute(text(f"insert into account_claims (account_id, run_id) values ({account}, {run_id})"))
    with _held_by_a_stranger(url, run_id):
        done = vnsync("sync", "--database-url", url, *customer.options, "--log-level", "error")
    assert done.code == 75
    assert f"account {account} is being synced by run {run_id} (its lock is held by process " in done.error
    assert f"'{STRANGER}'" in done.error
    assert vnsync("sync", "--database-url", url, *customer.options).code == 0
