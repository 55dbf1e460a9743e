"""Checks of `vnsync doctor`. Each yields findings; a `VnsyncError` becomes a finding and does not end the command."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from etl.errors import IntegrityBroken, LocalTrouble, NotAllowed, VnsyncError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from etl.config.settings import Loaded


class Finding(Struct, frozen=True, kw_only=True):
    """Result of a check: `found` describes it, `remedy` says how to fix it; `exit_code` is 0 unless it is a `fail`."""

    check: str
    state: Literal["ok", "warn", "fail"]
    found: str
    remedy: str = ""
    exit_code: int = 0


class Reached(Struct):
    """Facts from the checks of the source that the checks of the database need.

    `accounts`: the ids that the token reaches; `credential`: function that names the credentials in use, by one of the
    given names where they are the same; None if the source could not be asked.
    """

    accounts: set[int] = field(default_factory=set)
    credential: Callable[[Sequence[str]], str] | None = None


def failed(check: str, error: VnsyncError) -> Finding:
    """The finding for an error."""
    return Finding(check=check, state="fail", found=str(error), remedy=error.remedy, exit_code=error.exit_code)


def _host(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or ""


def check_settings(loaded: Loaded) -> Iterator[Finding]:
    """Settings: they were loaded, so they are well-formed; warnings are about secrets that other users could read."""
    from etl.config.secret_file import risk_of
    from etl.config.urls import HOSTS, has_password, is_loopback

    now = loaded.settings
    source = f"from {loaded.config_file}, options and environment" if loaded.config_file else "no config file"
    yield Finding(check="settings", state="ok", found=f"all known and well-formed ({source})")
    if now.api_url not in HOSTS.values() and not is_loopback(_host(now.api_url)):
        yield Finding(check="settings", state="warn", found=f"{now.api_url} is not one of the vendor's hosts",
                      remedy="Make sure that the token may be sent there.")  # fmt: skip
    for file in (now.api_token_file, now.api_password_file):
        if file and (risk := risk_of(file, group=True)):
            yield Finding(check="settings", state="warn", found=f"{file} {risk}", remedy=f"chmod 600 {file}")
    if loaded.origins["database_url"].kind == "option" and has_password(now.database_url.get_secret_value()):
        yield Finding(check="settings", state="warn", found="--database-url shows its password in the process list",
                      remedy="Set VNSYNC_DATABASE_URL instead, or keep the password in ~/.pgpass.")  # fmt: skip


def check_archive(loaded: Loaded) -> Iterator[Finding]:
    """Folders of the archive, if it is set and exists: only this user may write to them."""
    from etl.cli.archive_folder import group_writable, refuse_foreign

    if loaded.settings.archive is None or not (folder := loaded.settings.archive.expanduser()).is_dir():
        return
    try:
        refuse_foreign(folder)
        warnings = list(group_writable(folder))
        for warning in warnings:
            cause, _, remedy = warning.partition(": ")
            yield Finding(check="archive", state="warn", found=cause, remedy=remedy)
        if not warnings:
            yield Finding(check="archive", state="ok", found=f"{folder} is this user's alone")
    except VnsyncError as error:
        yield failed("archive", error)


def check_database(loaded: Loaded, reached: Reached) -> Iterator[Finding]:
    """Database: it is reachable, this user may write, and the schema is the one that this vnsync needs.

    Names the accounts of the warehouse that are not `reached`, unless no account is reached at all.
    """
    from etl.cli.connect import is_there, warehouse, warehouse_name
    from etl.store.engine import database_errors

    name = warehouse_name(loaded)
    if not is_there(loaded):
        yield _new_file(loaded)
        return
    try:
        engine = warehouse(loaded)
        with database_errors(), engine.connect() as connection:
            yield Finding(check="database", state="ok", found=f"{name} is reachable")
            yield _rights(connection)
    except VnsyncError as error:
        yield failed("database", error)
        return
    try:
        state = _migrations(engine)
        yield state
        if state.state == "ok":
            yield _installation(engine, loaded.settings.api_url)
            yield from _tables(engine)
            yield from _accounts(engine, reached) if reached.accounts else ()
    except VnsyncError as error:
        yield failed("migrations", error)


def _new_file(loaded: Loaded) -> Finding:
    from sqlalchemy.engine import make_url

    path = Path(str(make_url(loaded.settings.database_url.get_secret_value()).database))
    folder = path.absolute().parent
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return Finding(check="database", state="ok", found=f"{path} does not exist yet; `vnsync sync` creates it")
    error = LocalTrouble(f"the folder {folder} of the database file is missing or not writable")
    return failed("database", error)


def _rights(connection: Connection) -> Finding:
    """Whether this user may create tables, or write rows into existing ones."""
    from sqlalchemy import text

    from etl.config.secret_file import readable_by_others
    from etl.store import migrations, rights
    from etl.store.engine import database_errors

    if connection.dialect.name == "sqlite":
        path = Path(str(connection.engine.url.database))
        if not (os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)):
            return failed("rights", LocalTrouble(f"{path} or its folder is not writable"))
        if readable_by_others(path):
            return Finding(
                check="rights", state="warn", found=f"{path} is readable by other users", remedy=f"chmod 600 {path}"
            )
        return Finding(check="rights", state="ok", found="the file and its folder are writable")
    try:
        with database_errors():
            rights.require_schema(connection)
            if migrations.is_current(connection):
                rights.check(connection)
                return Finding(check="rights", state="ok", found="all that a sync needs")
    except VnsyncError as error:
        return failed("rights", error)
    schema = connection.scalar(text("select current_schema()"))
    if connection.scalar(text("select has_schema_privilege(:s, 'CREATE')"), {"s": schema}):
        return Finding(check="rights", state="ok", found=f'may create tables in the schema "{schema}"')
    refused = NotAllowed(
        f'the database user may not create tables in the schema "{schema}"',
        remedy=f"GRANT CREATE ON SCHEMA; or let the schema's owner run `vnsync db upgrade` ({rights.ROLES})",
    )
    return failed("rights", refused)


def _migrations(engine: Engine) -> Finding:
    from etl.store import migrations

    at, head = migrations.current(engine), migrations.head()
    if at == head:
        return Finding(check="migrations", state="ok", found=f"at version {at}, as this vnsync needs")
    if at is not None and at not in migrations.revisions():
        migrations.check(engine)
    migrations.require_room(engine)
    found = f"at version {at}, this vnsync needs {head}" if at else "no tables yet"
    return Finding(
        check="migrations", state="warn", found=found, remedy="`vnsync sync` or `vnsync db upgrade` fixes that."
    )


def _installation(engine: Engine, url: str) -> Finding:
    """Whether the warehouse belongs to the installation that the API URL names, or to none yet."""
    from etl.store.installations import Installation

    try:
        installation = Installation.required(engine, url)
    except VnsyncError as error:
        return failed("installation", error)
    state = "belongs to" if installation.bound else "belongs to none yet; the first sync binds it to"
    return Finding(check="installation", state="ok", found=f"the warehouse {state} {installation.origin}")


def _tables(engine: Engine) -> Iterator[Finding]:
    """Whether every table, index, constraint and view still is as the migrations created it."""
    from etl.store import comments, inspection, schema_check

    try:
        inspected = inspection.inspect(engine)
        exposed = [inspection.Difference(sentence=exposure) for exposure in inspection.exposures(engine)]
        for each in (*inspected.problems, *exposed):
            remedy = "Run `vnsync db upgrade`, which creates it again." if each.view else _UNDO
            yield failed("tables", IntegrityBroken(each.sentence, remedy=remedy))
        if not inspected.problems and not exposed:
            for warning in schema_check.check(engine):
                yield Finding(check="tables", state="warn", found=warning, remedy="Put the file on a local disk.")
            notes = [*inspected.notes, *comments.notes(engine)]
            also = f" ({'; '.join(notes)})" if notes else ""
            yield Finding(check="tables", state="ok", found=f"every definition is as vnsync creates it{also}")
    except VnsyncError as error:
        yield failed("tables", error)


_UNDO = "Undo the change, or restore a backup."


def _accounts(engine: Engine, reached: Reached) -> Iterator[Finding]:
    """Accounts of the warehouse that the token does not reach, and accounts that another viewer listed last."""
    from etl.clock import SystemClock
    from etl.read.status import read_status
    from etl.report.states import state
    from etl.report.wording import counted, moment

    missed = [a for a in read_status(engine, SystemClock().now()).accounts if a.account_id not in reached.accounts]
    known = [
        f"{a.account_id}: {state(a.status)} since {moment(a.unreachable_since)} UTC" for a in missed if a.is_unreachable
    ]
    others = [str(a.account_id) for a in missed if not a.is_unreachable]
    if known:
        found = f"{counted(len(known), 'account')} not readable for a known reason ({_first(known)}); the rows stay"
        yield Finding(check="accounts", state="ok", found=found)
    if others:
        found = f"{counted(len(others), 'account')} of the warehouse not readable with this token ({_first(others)})"
        remedy = "If no other token syncs it, check that this one is right, and what the agent may access."
        yield Finding(check="accounts", state="warn", found=found, remedy=remedy)
    yield from _viewers(engine, reached)


def _viewers(engine: Engine, reached: Reached) -> Iterator[Finding]:
    """Whether the accounts were last listed through the key or login that is in use now."""
    from etl.report.wording import counted
    from etl.store.accounts import known_accounts

    known = {i: k.viewer.credential for i, k in known_accounts(engine).items() if i in reached.accounts}
    names = sorted({name for name in known.values() if name})
    if not names or reached.credential is None:
        return
    now = reached.credential(names)
    others = [str(i) for i, name in sorted(known.items()) if name and name != now]
    if others:
        found = f"{counted(len(others), 'account')} listed through another key or login until now ({_first(others)})"
        remedy = (
            "Numbers that the new one does not see stay open as suspects until `vnsync sync --approve-close ID`; check"
            " its rights first."
        )
        yield Finding(check="viewer", state="warn", found=found, remedy=remedy)
    else:
        yield Finding(check="viewer", state="ok", found="the same key or login as the last sync's")


def _first(items: Sequence[str]) -> str:
    return ", ".join(items[:5]) + (", ..." if len(items) > 5 else "")
