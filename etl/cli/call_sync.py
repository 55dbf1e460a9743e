"""Calls from Python that ask the API: a sync, and the roster of a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from datetime import timedelta

    from etl.config.settings import Loaded
    from etl.domain.events import Event
    from etl.domain.ports import Report
    from etl.domain.runs import RunResult
    from etl.domain.shards import Shard
    from etl.extract.accounts import Roster


class Chosen(Struct, frozen=True):
    """Arguments of a sync that are no settings, as the options of the command `sync`."""

    accounts: frozenset[int]
    shard: Shard | None
    older_than: timedelta | None
    approve_close: frozenset[int]
    upgrade: bool
    shortcuts: bool


def run(loaded: Loaded, chosen: Chosen, report: Report | None) -> RunResult:
    """Sync once. Returns the result of a run that succeeded; raises the error of any other, with its result."""
    from etl.cli.commands.sync import failure, prepare
    from etl.cli.connect import credentials, warehouse
    from etl.cli.run_once import run_alone
    from etl.clock import SystemClock
    from etl.sync.run import SyncOptions

    now = loaded.settings
    options = SyncOptions(
        accounts=chosen.accounts,
        shard=chosen.shard,
        older_than=chosen.older_than,
        approve_close=chosen.approve_close,
        max_close_share=now.max_close_share,
        concurrency=now.concurrency,
        shortcuts=chosen.shortcuts,
        users=now.users,
    )
    credentials(now)  # refused here, before the database is touched
    engine = warehouse(loaded)
    prepare(engine, upgrade=chosen.upgrade)
    result = run_alone(loaded, engine, chosen=options, clock=SystemClock(), outlet=report or _silent)
    if result.exit_code:
        error = failure(result)
        error.run = result
        raise error
    return result


def roster(loaded: Loaded) -> Roster:
    """The accounts that the token reaches, with the users that the settings name."""
    from etl.cli.connect import data_api
    from etl.clock import SystemClock
    from etl.extract.accounts import discover

    with data_api(loaded, clock=SystemClock(), report=_silent) as api:
        return discover(api).given(loaded.settings.users)


def _silent(_event: Event) -> None:
    """Leave the event out."""
