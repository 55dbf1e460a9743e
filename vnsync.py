"""vnsync from Python: sync an account into a warehouse, and ask the warehouse, without the command line.

Each function does what the command of its name does. Nothing is printed, no signal handler and no other state of the
process is changed, and a function may be called from any thread. An argument that is not given is taken from the
environment or `vnsync.toml`, as by the command; docs/settings.md says what the values mean.

Errors are `VnsyncError` and its subclasses, one for each exit code of the command; each has `remedy`, `code`,
`exit_code` and `run_id`. docs/python.md has examples.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime, timedelta
    from pathlib import Path

    from etl.domain.events import Event as Event
    from etl.domain.runs import AccountResult as AccountResult
    from etl.domain.runs import AccountStatus as AccountStatus
    from etl.domain.runs import RunResult as RunResult
    from etl.domain.runs import RunStatus as RunStatus
    from etl.domain.runs import TableChange as TableChange
    from etl.errors import Incomplete as Incomplete
    from etl.errors import IntegrityBroken as IntegrityBroken
    from etl.errors import LocalTrouble as LocalTrouble
    from etl.errors import Misconfigured as Misconfigured
    from etl.errors import NotAllowed as NotAllowed
    from etl.errors import SourceUnusable as SourceUnusable
    from etl.errors import TryLater as TryLater
    from etl.errors import Unavailable as Unavailable
    from etl.errors import Usage as Usage
    from etl.errors import VnsyncError as VnsyncError
    from etl.extract.accounts import Account as Account
    from etl.extract.accounts import Roster as Roster
    from etl.read.change_kinds import ChangeEvent as ChangeEvent
    from etl.read.change_kinds import Kind as Kind
    from etl.read.change_kinds import Thing as Thing
    from etl.read.changes import Change as Change
    from etl.read.history import NumberHistory as NumberHistory
    from etl.read.history import NumberMove as NumberMove
    from etl.read.status import AccountState as AccountState
    from etl.read.status import LastRun as LastRun
    from etl.read.status import Status as Status
    from etl.read.timeline import Gap as Gap
    from etl.read.timeline import Span as Span

_HOMES = {
    "etl.domain.events": ("Event",),
    "etl.domain.runs": ("AccountResult", "AccountStatus", "RunResult", "RunStatus", "TableChange"),
    "etl.errors": (
        "Incomplete", "IntegrityBroken", "LocalTrouble", "Misconfigured", "NotAllowed", "SourceUnusable", "TryLater",
        "Unavailable", "Usage", "VnsyncError",
    ),
    "etl.extract.accounts": ("Account", "Roster"),
    "etl.read.change_kinds": ("ChangeEvent", "Kind", "Thing"),
    "etl.read.changes": ("Change",),
    "etl.read.history": ("NumberHistory", "NumberMove"),
    "etl.read.status": ("AccountState", "LastRun", "Status"),
    "etl.read.timeline": ("Gap", "Span"),
}  # fmt: skip
"""Modules of the names that are imported when they are first used: those above, which are for type checkers."""
_FUNCTIONS = ("accounts", "changes", "history", "main", "status", "sync")

__all__ = sorted([*(name for names in _HOMES.values() for name in names), *_FUNCTIONS])

_MARK = '"""vnsync: '
"""First characters of the `etl/__init__.py` that belongs to this module."""


def sync(
    *,
    api_url: str | None = None,
    api_token: str | None = None,
    api_token_file: str | Path | None = None,
    api_login: str | None = None,
    api_password: str | None = None,
    api_password_file: str | Path | None = None,
    database_url: str | None = None,
    database_schema: str | None = None,
    archive: str | Path | None = None,
    max_close_share: float | None = None,
    retry_max_seconds: float | None = None,
    concurrency: int | None = None,
    share_points: bool | None = None,
    users: Mapping[int, int] | None = None,
    accounts: Collection[int] = (),
    shard: str | None = None,
    older_than: timedelta | None = None,
    approve_close: Collection[int] = (),
    upgrade: bool = True,
    shortcuts: bool = True,
    report: Callable[[Event], None] | None = None,
) -> RunResult:
    """Read every number from the API and publish what changed, with its history, as `vnsync sync` does.

    `accounts`, `shard` ("2/4") and `older_than` choose accounts; empty and None: all that the token reaches.
    `approve_close`: accounts whose mass close is published. `upgrade`: bring an empty or older warehouse up to date.
    `shortcuts`: do not decode records whose bytes did not change. `report`: is called with each event, from the
    threads of the sync.

    Returns the result of a run that published every account whole. Raises the error of any other, which has the same
    result as `error.run` if the run began: `Incomplete` if some accounts failed or are held and the others are
    published; `TryLater` for a limit or a lock; `NotAllowed` for the token; `Misconfigured` for a setting;
    `SourceUnusable`, `Unavailable`, `IntegrityBroken`, `LocalTrouble` as in the README's table of exit codes; `Usage`
    for an account that the token cannot read.
    """
    _refuse_stranger()
    from etl.cli.call import arguments, call
    from etl.cli.call import shard as parsed
    from etl.cli.call_sync import Chosen, run

    given = arguments(
        api_url=api_url,
        api_token=api_token,
        api_token_file=api_token_file,
        api_login=api_login,
        api_password=api_password,
        api_password_file=api_password_file,
        database_url=database_url,
        database_schema=database_schema,
        archive=archive,
        max_close_share=max_close_share,
        retry_max_seconds=retry_max_seconds,
        concurrency=concurrency,
        share_points=share_points,
        users=users,
    )
    del api_token, api_password, database_url  # a traceback with local variables would show them
    chosen = Chosen(frozenset(accounts), parsed(shard), older_than, frozenset(approve_close), upgrade, shortcuts)
    with call(given) as loaded:
        return run(loaded, chosen, report)


def accounts(
    *,
    api_url: str | None = None,
    api_token: str | None = None,
    api_token_file: str | Path | None = None,
    api_login: str | None = None,
    api_password: str | None = None,
    api_password_file: str | Path | None = None,
    retry_max_seconds: float | None = None,
) -> Roster:
    """The accounts that the token reaches: under an agent's token, all its customers, without time zones.

    Raises `NotAllowed` for the token, `Misconfigured` for a setting, `SourceUnusable`, `Unavailable` and `TryLater` for
    the source.
    """
    _refuse_stranger()
    from etl.cli.call import arguments, call
    from etl.cli.call_sync import roster

    given = arguments(
        api_url=api_url,
        api_token=api_token,
        api_token_file=api_token_file,
        api_login=api_login,
        api_password=api_password,
        api_password_file=api_password_file,
        retry_max_seconds=retry_max_seconds,
    )
    del api_token, api_password
    with call(given) as loaded:
        return roster(loaded)


def history(
    number: str | int,
    *,
    accounts: Collection[int] = (),
    as_of: datetime | str | None = None,
    database_url: str | None = None,
    database_schema: str | None = None,
) -> list[NumberHistory]:
    """The histories of the numbers that match: an id, or a phone or redirection number in any usual spelling.

    `as_of`: as known then; an aware datetime, or a text in ISO 8601. Ordered by account and id.

    Raises `Usage` if no number matches, or for a moment that has no answer; `Misconfigured` if there is no warehouse;
    `Unavailable`, `NotAllowed`, `IntegrityBroken`, `LocalTrouble` for the database.
    """
    _refuse_stranger()
    from etl.cli.call import arguments, call, instant
    from etl.cli.reading import readable, refuse_later
    from etl.read.history import read_histories

    given = arguments(database_url=database_url, database_schema=database_schema)
    del database_url
    with call(given) as loaded:
        moment = refuse_later(instant(as_of, "as_of"), "as_of")
        chosen = frozenset(accounts)
        return read_histories(readable(loaded), str(number), moment=moment, accounts=chosen, name="as_of")


def changes(
    *,
    start: datetime | str | None = None,
    end: datetime | str | None = None,
    accounts: Collection[int] = (),
    database_url: str | None = None,
    database_schema: str | None = None,
) -> list[Change]:
    """What changed, in the users' words: numbers added, removed and moved, rules switched, campaigns renamed.

    `start` and `end`: observations after `start` (None: all) and not later than `end` (None: now). Ordered by account
    and observation. Raises as `history`; `Usage` if `start` is not before `end`.
    """
    _refuse_stranger()
    from etl.cli.call import arguments, call, instant
    from etl.cli.reading import time_range
    from etl.read.changes import read_changes

    given = arguments(database_url=database_url, database_schema=database_schema)
    del database_url
    with call(given) as loaded:
        bounds = instant(start, "start"), instant(end, "end")
        with time_range(loaded, *bounds, accounts, names=("start", "end")) as (connection, window):
            return list(read_changes(connection, window))


def status(
    *,
    as_of: datetime | str | None = None,
    database_url: str | None = None,
    database_schema: str | None = None,
) -> Status:
    """How fresh each account is, and how the last run ended; empty if the warehouse has no tables yet.

    `as_of`: as known then. Raises as `history`.
    """
    _refuse_stranger()
    from etl.cli.call import arguments, call, instant
    from etl.cli.reading import read_status_of

    given = arguments(database_url=database_url, database_schema=database_schema)
    del database_url
    with call(given) as loaded:
        return read_status_of(loaded, instant(as_of, "as_of"), "as_of")


def main() -> None:
    """Run the command line of this process and exit with its code."""
    stranger = _stranger()
    if stranger is not None:
        if sys.stderr is not None:
            sys.stderr.write(f"vnsync: error: {_about(stranger)} (exit 78)\n")
        sys.exit(78)
    importlib.import_module("etl.__main__").main()  # it sees to the path before it imports anything


# -- the package etl beside this module, and others of that name


def _stranger() -> str | None:
    """The file of another package `etl` that Python finds instead of the one beside this module; None if there is none.

    Empty if it finds none at all.
    """
    own = os.path.join(os.path.dirname(os.path.abspath(__file__)), "etl", "__init__.py")
    loaded = sys.modules.get("etl")
    spec = find_spec("etl") if loaded is None else None
    found = getattr(loaded, "__file__", None) or getattr(spec, "origin", None) or ""
    return None if os.path.realpath(found) == os.path.realpath(own) and _is_ours(own) else found


def _is_ours(file: str) -> bool:
    """Whether the file is of vnsync: an installation of another `etl` into the same folder replaces it."""
    with open(file, encoding="utf-8", errors="replace") as stream:
        return stream.read(len(_MARK)) == _MARK


def _about(stranger: str) -> str:
    found = f"another package named etl hides vnsync's own: {stranger}" if stranger else "vnsync's package etl is gone"
    return (
        f"{found}. Install vnsync into an environment of its own (uv tool install, pipx), or take the other one off"
        " PYTHONPATH and out of the current folder."
    )


def _refuse_stranger() -> None:
    """Raise `ImportError` if another package `etl` hides vnsync's own."""
    stranger = _stranger()
    if stranger is not None:
        raise ImportError(_about(stranger))


if not TYPE_CHECKING:  # a type checker would take every name for one of this module's

    def __getattr__(name: str) -> object:
        """A type or an error of vnsync, imported when it is first used."""
        for home, names in _HOMES.items():
            if name in names:
                _refuse_stranger()
                return getattr(importlib.import_module(home), name)
        raise AttributeError(f"module 'vnsync' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, for completion."""
    return list(__all__)
