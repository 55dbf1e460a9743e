"""B08: a missing right or role is named with its object and its grant, before any request is spent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from etl.errors import NotAllowed
from etl.store import migrations, rights, schema_check
from tests.support.checkout import ROOT
from tests.support.fault_clusters import private
from tests.support.scenes import Scene, scene

ROLES = ROOT / "docs" / "postgresql-roles.sql"


@pytest.fixture(scope="module")
def guarded() -> str:
    """A database with the documented roles."""
    name = private().new_database(migrated=False)
    private().execute(ROLES.read_text(), name)
    migrations.upgrade(private().engine(name, "vnsync_owner"))
    private().execute(ROLES.read_text(), name)
    return name


@pytest.fixture
def loading(guarded: str, tmp_path: Path) -> Iterator[Scene]:
    """A scene whose sync runs as the loader."""
    with scene(tmp_path / "scene", private().url(guarded, "vnsync_loader")) as made:
        made.take_over()
        yield made
        private().execute(ROLES.read_text(), guarded)


@pytest.mark.fault("B08")
def test_each_table_s_rights(guarded: str) -> None:
    """Each right that a sync needs on each table, revoked separately, is named with its object and its grant."""
    loader = private().engine(guarded, "vnsync_loader")
    with psycopg.connect(private().url(guarded), autocommit=True) as admin:
        for table, needed in rights.NEEDED.items():
            for right in needed:
                held = "select" if right == "SELECT" else right
                admin.execute(f"revoke {held} on {table} from vnsync_loader")
                with pytest.raises(NotAllowed) as caught:
                    schema_check.check(loader)
                assert f"lacks {right} on table {table}" in str(caught.value)
                assert f"GRANT {right} ON TABLE {table} TO vnsync_loader" in caught.value.remedy
                admin.execute(f"grant {held} on {table} to vnsync_loader")
    schema_check.check(loader)


@pytest.mark.parametrize(
    ("revoke", "says", "grant"),
    [
        (
            "revoke insert on campaigns_closed from vnsync_loader",
            "lacks INSERT on table campaigns_closed",
            "GRANT INSERT",
        ),
        ("revoke temporary on database {name} from vnsync_loader", "lacks TEMPORARY on database {name}", "GRANT TEMP"),
        (
            "revoke usage on sequence quarantine_quarantine_id_seq from vnsync_loader",
            "lacks USAGE on seq",
            "GRANT USAGE",
        ),
        ("revoke usage on schema public from vnsync_loader, public", "lacks USAGE on schema public", "GRANT USAGE"),
        ("revoke select on vnsync_version from vnsync_loader", "table vnsync_version", "GRANT"),
        (
            "revoke connect on database {name} from vnsync_loader, public",
            "permission denied for database",
            "GRANT CONNECT",
        ),
        ("alter role vnsync_loader nologin", "not permitted to log in", "LOGIN"),
        ("alter role vnsync_loader rename to lost", 'role "vnsync_loader" does not exist', "Create the role"),
    ],
)
@pytest.mark.fault("B08")
def test_right_or_role_lost(revoke: str, says: str, grant: str, guarded: str, loading: Scene) -> None:
    """A run without the right exits with 77 before any request; the line names the object and the remedy."""
    cluster, asked = private(), list[object]()
    loading.api.after_request.append(asked.append)
    cluster.execute(revoke.format(name=guarded), guarded)
    try:
        line = loading.refused(loading.sync(), 77, says=says.format(name=guarded))
    finally:
        if "rename" in revoke:
            cluster.execute("alter role lost rename to vnsync_loader")
        cluster.execute("alter role vnsync_loader login; grant usage on schema public to public", guarded)
        cluster.execute(f"grant connect on database {guarded} to public")
        cluster.execute(ROLES.read_text(), guarded)
    assert grant in line
    assert not asked
    loading.api.after_request.clear()
    loading.recovers()


@pytest.mark.fault("B08")
def test_right_lost_while_running(guarded: str, loading: Scene) -> None:
    """A right revoked while the source is read: exit 77 names the table, and nothing is published."""
    assert loading.sync().code == 0
    loading.a_day_passes()
    before = loading.image()
    loading.api.after_request.append(
        lambda _request: private().execute("revoke insert on virtual_numbers_closed from vnsync_loader", guarded)
    )
    done = loading.sync()
    loading.api.after_request.clear()
    loading.refused(done, 77, says="permission denied for table virtual_numbers_closed")
    assert loading.image() == before
    private().execute(ROLES.read_text(), guarded)
    loading.recovers()
