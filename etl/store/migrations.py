"""Migrations: the version of the warehouse's schema, and how it is upgraded and downgraded."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

import etl
from etl.errors import IntegrityBroken, Misconfigured, NotAllowed
from etl.store import attached, comments, ddl_comments, home, rights, schema, schema_check, view_upkeep
from etl.store.engine import begin_writing, database_errors
from etl.store.liveness import refuse_while_running
from etl.store.locks import hold_schema
from etl.store.schema import VERSION_TABLE
from etl.store.views import NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.config import Config

_ONE_AT_A_TIME = threading.Lock()
"""Held while alembic works: it keeps its context in a global, so two threads would mix their databases."""
_VIEW_IN_THE_WAY = ("0A000", "2BP01")
"""SQLSTATEs of a change to a table on which a view depends."""


def folder() -> Path:
    """Folder of the revisions: inside an installed package, or at the top of a checkout."""
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
    """The database's revision; None if it has no schema of ours."""
    with database_errors(), engine.connect() as connection:
        return home.version(connection)


def require_room(engine: Engine) -> None:
    """Raise unless there is a warehouse, or all names are free to make one (see `home`)."""
    with database_errors(), engine.connect() as connection:
        if home.version(connection) is None:
            home.require_room(connection)


def check(engine: Engine) -> None:
    """Raise `Misconfigured` unless the database's schema is the one that this program needs."""
    found = current(engine)
    if found != head():
        _refuse_newer(found)
        require_room(engine)
        what = "has no schema yet" if found is None else f"has schema {found}, this vnsync needs {head()}"
        raise Misconfigured(f"the database {what}", remedy="Run `vnsync db upgrade`")


def is_current(connection: Connection) -> bool:
    """Whether the connection's schema is the one that this program needs."""
    return home.version(connection) == head()


def _refuse_newer(found: str | None) -> None:
    if found is not None and found not in revisions():
        raise Misconfigured(
            f"the database has schema {found}, which this vnsync ({etl.__version__}) does not know",
            remedy="Install the newer vnsync that made it",
        )


def upgrade(engine: Engine, *, thorough: bool = False, anew: bool = False) -> bool:
    """Bring the schema to `head()` in one transaction. Returns whether anything had to be done.

    Missing views are made. Views with other definitions are looked for if another version of vnsync made the last run,
    or if `thorough`. Missing comments are written after any such work, or if `thorough`; with `anew` also over others.
    Raises `Misconfigured` if the database is newer than this program or has other objects under vnsync's names,
    `TryLater` while a run is in progress.
    """
    return _migrate(engine, head(), thorough=thorough or anew, anew=anew)


def downgrade(engine: Engine, revision: str) -> None:
    """Bring the schema down to `revision` ("base": nothing left) in one transaction. Raises as `upgrade`."""
    _require_known(revision)
    _migrate(engine, revision)


def would_drop(engine: Engine, revision: str) -> list[home.Owned]:
    """The objects that `downgrade` would drop: all of vnsync's for "base"; none is listed for a later revision."""
    _require_known(revision)
    with database_errors(), engine.connect() as connection:
        found = home.version(connection)
        _refuse_newer(found)
        if found is None or revision != "base":
            return []
        return home.owners(connection, [*schema.metadata.tables, *NAMES])


def _require_known(revision: str) -> None:
    if revision != "base" and revision not in revisions():
        raise Misconfigured(f"there is no revision {revision}", remedy=f"Known are: base, {', '.join(revisions())}")


def _migrate(engine: Engine, target: str, *, thorough: bool = False, anew: bool = False) -> bool:
    with database_errors(), begin_writing(engine) as connection:
        hold_schema(connection)
        found = home.version(connection)
        _refuse_newer(found)
        if found is None and target == "base":
            return False  # other objects may exist, but none is ours
        wrong = _wrong_views(connection, thorough) if found == target else []
        if found == target and not wrong:
            return thorough and comments.write(connection, anew=anew) > 0
        if found == target:
            schema_check.refuse_edited(connection)  # views cannot be made over changed tables
        elif found is None:
            home.require_room(connection)
        if found is not None:
            refuse_while_running(connection)
        if connection.dialect.name == "postgresql":
            schema_check.check_server(connection)
        with _ONE_AT_A_TIME, _owners_work(found, target, wrong):
            _move(connection, found, target, wrong)
            if target != "base":
                comments.write(connection, anew=anew)
    return True


def _wrong_views(connection: Connection, thorough: bool) -> list[str]:
    """The views to be made; definitions are compared only if they may be those of another version, or are read anyway.

    Reading the sentences for the comments in SQLite's views takes a few milliseconds, which not every run should spend.
    """
    if thorough or _is_of_another_version(connection):
        return view_upkeep.differing(connection)
    if connection.dialect.name == "sqlite":
        return view_upkeep.differing(connection, comments=False)
    return view_upkeep.missing(connection)


def _is_of_another_version(connection: Connection) -> bool:
    runs = schema.sync_runs
    if not home.owners(connection, [runs.name]):
        return False  # `schema_check` reports it
    last = connection.scalar(select(runs.c.version).order_by(runs.c.run_id.desc()).limit(1))
    return last is not None and last != etl.__version__


@contextlib.contextmanager
def _owners_work(found: str | None, target: str, wrong: Sequence[str]) -> Iterator[None]:
    """Explain that a role which only loads may not change the schema, instead of naming the first refused object."""
    try:
        with database_errors():
            yield
    except NotAllowed as exc:
        if found is None:
            cause = "the tables do not exist yet, and this role may not create them"
        elif found != target:
            cause = f"the tables must go from version {found} to {target}, and this role may not change them"
        else:
            cause = f"the view {wrong[0]} is missing or differs, and this role may not create it"
        raise NotAllowed(
            f"{cause} ({exc})",
            remedy=f"Run `vnsync db upgrade` as the schema's owner ({rights.ROLES}), or grant this role CREATE on it",
        ) from exc
    except IntegrityBroken as exc:
        raise IntegrityBroken(f"the schema cannot go from {found or 'nothing'} to {target}: {exc}") from exc


def _move(connection: Connection, found: str | None, target: str, wrong: Sequence[str]) -> None:
    from alembic import command

    if found == target:
        view_upkeep.make(connection, wrong)
    elif target == "base":
        _drop_all(connection)
    elif found is None:
        with ddl_comments.added(connection):
            command.upgrade(_config(connection), target)
        view_upkeep.make(connection, NAMES)
    else:
        with ddl_comments.added(connection):
            kept = _change(connection, found, target)
        if target == head():
            view_upkeep.make(connection, view_upkeep.differing(connection))
            attached.put_back(connection, kept)


def _drop_all(connection: Connection) -> None:
    from alembic import command

    there = view_upkeep.there(connection)
    attached.refuse_dependents(connection, [*schema.metadata.tables, *there])
    view_upkeep.drop(connection, there)
    command.downgrade(_config(connection), "base")
    if home.version_table_is_there(connection):
        connection.exec_driver_sql(f"drop table {home.qualified(connection, VERSION_TABLE)}")


def _change(connection: Connection, found: str, target: str) -> list[attached.Attached]:
    """Run the revisions between two versions. Views are dropped only if a table cannot be changed under them.

    Returns what others had attached to the dropped views.
    """
    from alembic import command

    run = command.downgrade if target < found else command.upgrade
    if connection.dialect.name == "postgresql":
        savepoint = connection.begin_nested()
        try:
            run(_config(connection), target)
        except DBAPIError as exc:
            savepoint.rollback()
            if getattr(exc.orig, "sqlstate", None) not in _VIEW_IN_THE_WAY:
                raise
        else:
            savepoint.commit()
            return []
    kept = view_upkeep.drop(connection, view_upkeep.there(connection))
    run(_config(connection), target)
    return kept


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["schema"] = None if connection.dialect.name == "sqlite" else home.schema_name(connection)
    return config
