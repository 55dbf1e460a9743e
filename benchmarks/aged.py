"""A warehouse with a past: one first load, and days of changes written by SQL, as fast as the database takes them.

What a day does: about `share` of the numbers get another comment, move to another campaign or have a rule switched, and
some campaigns are renamed. The rows obey the history's rules; no chain is sealed over them.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text

from etl.clock import SystemClock
from etl.domain.tables import BY_NAME
from etl.extract.credentials import PermanentKey
from etl.extract.jsonrpc import open_api
from etl.sandbox.api import Api
from etl.sandbox.transport import SandboxTransport
from etl.sandbox.world import CustomerPlan, World
from etl.store import migrations
from etl.sync.run import SyncOptions, sync


class Past(SystemClock):
    """The machine's clock, some days back."""

    def __init__(self, days: int) -> None:
        self._back = timedelta(days=days)

    def now(self) -> datetime:
        return super().now() - self._back


def build(engine: Engine, numbers: int, days: int, share: float = 0.01) -> int:
    """Load and let the days pass, the last one today; the account's id."""
    migrations.upgrade(engine)
    world = World(seed=1, customers=[CustomerPlan(numbers=numbers)], role="customer", id_step=37)
    first_load(engine, Api(world, token="benchmark-token"), Past(days))
    (account,) = world.customer_ids
    start = datetime.now(UTC) - timedelta(days=days)
    for day in range(1, days + 1):
        with engine.begin() as connection:
            _pass_day(connection, account, day, start + timedelta(days=day), round(1 / share))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.name == "postgresql":
            connection.exec_driver_sql("vacuum analyze")
    return account


def first_load(engine: Engine, api: Api, clock: SystemClock) -> None:
    """Sync the simulated account into an empty warehouse."""
    dice = random.Random(1)
    with open_api(
        "https://sandbox.example/v2.0",
        PermanentKey(api.token),
        clock=clock,
        random=dice,
        report=lambda _: None,
        transport=SandboxTransport(api),
    ) as source:
        result = sync(source, engine, options=SyncOptions(), clock=clock, random=dice, report=lambda _: None)
    assert result.exit_code == 0, result.error


def _pass_day(connection: Connection, account: int, day: int, at: datetime, one_in: int) -> None:
    run_id = int(f"{at:%y%m%d%H%M%S}0000") + day
    moment: Any = at if connection.dialect.name == "postgresql" else at.strftime("%Y-%m-%d %H:%M:%S.%f")
    told = {"a": account, "at": moment, "run": run_id, "day": day}
    connection.execute(text(_RUN), told)
    chosen = f"account_id = :a and (virtual_number_id + :day) % {one_in}"
    _change(connection, "virtual_numbers", f"{chosen} = 0", "comment = 'comment of day ' || cast(:day as text)", told)
    other = "(select min(c.campaign_id) from campaigns c where c.account_id = :a and c.campaign_id > {0}.campaign_id)"
    target = other.format("virtual_number_campaigns")
    fits = f"exists {other.format('l').replace('min(c.campaign_id)', '1')} and not exists (select 1 from {{0}} o"
    fits = fits.format("virtual_number_campaigns")
    same = (
        "o.account_id = l.account_id and o.virtual_number_id = l.virtual_number_id and o.campaign_id <> l.campaign_id)"
    )
    moving = (
        f"{chosen} = 1 and virtual_number_id in (select l.virtual_number_id from virtual_number_campaigns l"
        f" where l.account_id = :a and {fits} where {same})"
    )
    _change(connection, "virtual_number_campaigns", moving, f"campaign_id = {target}", told)
    switched = f"{chosen} = 2 and is_active is not null"
    _change(connection, "virtual_number_scenarios", switched, "is_active = not is_active", told)
    renamed = f"account_id = :a and (campaign_id + :day) % {2 * one_in} = 0"
    _change(connection, "campaigns", renamed, "campaign_name = 'name of day ' || cast(:day as text)", told)
    connection.execute(text(_SYNC), told)


def _change(connection: Connection, table: str, where: str, change: str, told: dict[str, Any]) -> None:
    """End the chosen rows' versions and open changed ones."""
    names = ", ".join(("account_id", *(c.name for c in BY_NAME[table].columns), "valid_from", "opened_run_id"))
    connection.execute(
        text(
            f"insert into {table}_closed ({names}, valid_to, closed_run_id)"
            f" select {names}, {_param(connection, 'at')}, {_param(connection, 'run')} from {table} where {where}"
        ),
        told,
    )
    connection.execute(text(f"update {table} set {change}, valid_from = :at, opened_run_id = :run where {where}"), told)


def _param(connection: Connection, name: str) -> str:
    kinds = {"at": "timestamptz", "run": "bigint"}
    return f"cast(:{name} as {kinds[name]})" if connection.dialect.name == "postgresql" else f":{name}"


_RUN = """insert into sync_runs (run_id, started_at, finished_at, status, exit_code, source_url, version)
values (:run, :at, :at, 'succeeded', 0, 'https://sandbox.example/v2.0', 'benchmark')"""
_SYNC = """insert into account_syncs (run_id, account_id, status, started_at, observed_at, strategy, requests, retries,
unaccounted, suspects, duplicates, conflicts, quarantined, rows_opened, rows_closed, account_name, timezone)
values (:run, :a, 'succeeded', :at, :at, 'windows', 1, 0, 0, 0, 0, 0, 0, 1, 1, 'Aged', 'Europe/Moscow')"""
