"""The warehouse's schema version: what it is, and the way up and down."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

import etl
from etl.errors import IntegrityBroken, Misconfigured, NotAllowed
from etl.store import rights, soundness
from etl.store.engine import begin_writing, database_errors
from etl.store.liveness import refuse_while_running
from etl.store.locks import hold_schema
from etl.store.views import NAMES, create_statements, drop_statements

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "alembic_version"


def folder() -> Path:
    """Where the revisions are: inside an installed package, or at the top of a checkout."""
    package = Path(etl.__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def revisions() -> list[str]:
    """All revisions that this program knows, oldest first; their files are named after them."""
    return sorted(path.name.split("_")[0] for path in (folder() / "versions").glob("[0-9]*.py"))


def head() -> str:
    """The newest revision that this program knows."""
    return revisions()[-1]


def current(engine: Engine) -> str | None:
    """The database's revision; None when it has no schema of ours."""
    with database_errors(), engine.connect() as connection:
        return _current(connection)


def _current(connection: Connection) -> str | None:
    if connection.dialect.name == "postgresql":
        rights.require_schema(connection)
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.scalar(text(f"select version_num from {VERSION_TABLE}"))  # noqa: S608 - a constant
    return None if found is None else str(found)


def check(engine: Engine) -> None:
    """Raises `Misconfigured` unless the database's schema is the one that this program needs."""
    found = current(engine)
    if found != head():
        _refuse_newer(found)
        what = "has no schema yet" if found is None else f"has schema {found}, this vnsync needs {head()}"
        raise Misconfigured(f"the database {what}", remedy="Run `vnsync db upgrade`")


def is_current(connection: Connection) -> bool:
    """Whether the schema that the connection looks at is the one that this program needs."""
    return _current(connection) == head()


def _refuse_newer(found: str | None) -> None:
    if found is not None and found not in revisions():
        raise Misconfigured(
            f"the database has schema {found}, which this vnsync ({etl.__version__}) does not know",
            remedy="Install the newer vnsync that made it",
        )


def upgrade(engine: Engine) -> bool:
    """Bring the schema to `head()` in one transaction; whether anything had to be done.

    Raises `Misconfigured` when the database is newer than this program, `TryLater` while a run is on.
    """
    return _migrate(engine, head())


def downgrade(engine: Engine, revision: str) -> None:
    """Bring the schema down to `revision` ("base": nothing left) in one transaction. Raises `TryLater` as `upgrade`."""
    if revision != "base" and revision not in revisions():
        raise Misconfigured(f"there is no revision {revision}", remedy=f"Known are: base, {', '.join(revisions())}")
    _migrate(engine, revision)


def _migrate(engine: Engine, target: str) -> bool:
    with database_errors(), begin_writing(engine) as connection:
        hold_schema(connection)
        found = _current(connection)
        _refuse_newer(found)
        if found == target and _has_views(connection):
            return False
        if found == target:
            soundness.refuse_edited(connection)  # only views are missing: they cannot be made over other tables
        if found is not None:
            refuse_while_running(connection)
        if connection.dialect.name == "postgresql":
            soundness.check_server(connection)
        with _owners_work(found, target):
            _move(connection, found, target)
    return True


@contextlib.contextmanager
def _owners_work(found: str | None, target: str) -> Iterator[None]:
    """A role that only loads may not change the schema: say so, instead of naming the first object it stumbled on."""
    try:
        with database_errors():
            yield
    except NotAllowed as exc:
        way = f"must go from {found or 'nothing'} to {target}" if found != target else "has lost its views"
        raise NotAllowed(
            f"the schema {way}, which this database role may not do ({exc})",
            remedy=f"Run `vnsync db upgrade` as the schema's owner ({rights.ROLES}), or Grant this role CREATE on it",
        ) from exc
    except IntegrityBroken as exc:
        raise IntegrityBroken(f"the schema cannot go from {found or 'nothing'} to {target}: {exc}") from exc


def _has_views(connection: Connection) -> bool:
    return set(NAMES) <= set(inspect(connection).get_view_names())


def _move(connection: Connection, found: str | None, target: str) -> None:
    from alembic import command

    for statement in drop_statements():
        connection.exec_driver_sql(statement)
    down = found is not None and (target == "base" or target < found)
    (command.downgrade if down else command.upgrade)(_config(connection), target)
    if target == head():
        for statement in create_statements(connection.dialect.name):
            connection.exec_driver_sql(statement)


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
