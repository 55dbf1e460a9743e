"""A01: two installations of the API and one warehouse: it belongs to the first that filled it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from etl.domain.ports import Report
from etl.errors import OtherInstallation, TryLater, Usage
from etl.extract.credentials import PermanentKey
from etl.extract.jsonrpc import open_api
from etl.replay.rebuild import chosen, replay
from etl.sandbox.faults import Body, error
from etl.sandbox.transport import SandboxTransport
from etl.sandbox.world import CustomerPlan, World
from etl.store import runs, schema
from etl.store.engine import begin_writing
from etl.store.installations import Installation, rebind, rebinding
from etl.sync.context import SyncOptions
from etl.sync.plan import plan
from etl.verify.warehouse import verify_warehouse
from tests.support import oracle
from tests.support.archive_rebuilding import rebuilt, same
from tests.support.protocol_case import equals_truth
from tests.support.rig import TOKEN, URL, FakeClock, Rig
from tests.support.source_case import how_it_ends, one_customer

OTHER = "https://other.example/v2.0"
ORIGIN, OTHER_ORIGIN = "https://dataapi.example", "https://other.example"


def _image(engine: Engine) -> dict[str, list[Any]]:
    """Every row of every table."""
    with engine.connect() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(table.select())), key=str)
            for table in schema.metadata.sorted_tables
        }


def _another(world: World, rig: Rig) -> Rig:
    """Another installation over the same warehouse."""
    return Rig(world, rig.engine, clock=rig.clock, random=rig.random, url=OTHER)


def _origins(engine: Engine) -> list[tuple[int, str]]:
    with engine.connect() as connection:
        rows = connection.execute(text("select binding_id, origin from installations order by binding_id"))
        return [tuple(row) for row in rows]


def _problems(engine: Engine) -> list[tuple[str | None, str]]:
    found = verify_warehouse(engine, [], lambda _: None).problems
    return [(p.table, p.what) for p in found]


FOREIGN: dict[str, Callable[[], World]] = {
    "the same numbers": one_customer,
    "one number": lambda: World(seed=5, customers=[CustomerPlan(numbers=1)], role="customer"),
    "other customers": lambda: _without_the_first(World(seed=9, customers=[CustomerPlan(numbers=2)] * 3)),
}


def _without_the_first(world: World) -> World:
    world.remove_customer(world.customer_ids[0])
    return world


@pytest.mark.parametrize("world", FOREIGN)
@pytest.mark.fault("A01")
def test_another_installation_is_refused_before_it_is_asked(warehouse: Engine, world: str) -> None:
    """Exit 78, both are named, no request is sent and no row changes, for any number of common ids."""
    rig = Rig(one_customer(), warehouse)
    assert rig.sync().exit_code == 0
    before, other = _image(warehouse), _another(FOREIGN[world](), rig)
    with pytest.raises(OtherInstallation) as caught:
        other.sync()
    assert caught.value.exit_code == 78
    assert ORIGIN in str(caught.value)
    assert OTHER_ORIGIN in str(caught.value)
    assert f"db rebind --to {OTHER_ORIGIN} --yes" in caught.value.remedy
    assert (other.api.requests, _image(warehouse)) == ([], before)
    assert rig.sync().exit_code == 0
    equals_truth(rig)


@pytest.mark.fault("A01")
def test_a_plan_of_another_installation_is_refused_too(warehouse: Engine) -> None:
    """A plan is refused like a sync, and sends no request."""
    rig = Rig(one_customer(), warehouse)
    assert rig.sync().exit_code == 0
    other = _another(one_customer(), rig)
    report: Report = other.events.append
    told: dict[str, Any] = {"clock": rig.clock, "report": report}
    transport = SandboxTransport(other.api)
    opened = open_api(OTHER, PermanentKey(TOKEN), random=rig.random, transport=transport, **told)
    with opened as api, pytest.raises(OtherInstallation, match=OTHER_ORIGIN):
        plan(api, warehouse, options=SyncOptions(), **told)
    assert other.api.requests == []


@pytest.mark.parametrize("url", ["https://DataAPI.Example/v2.0", "HTTPS://dataapi.example:443/v2.0"])
@pytest.mark.fault("A01")
def test_one_installation_has_many_spellings(warehouse: Engine, url: str) -> None:
    """Case and the scheme's default port do not make another installation."""
    rig = Rig(one_customer(), warehouse)
    assert rig.sync().exit_code == 0
    rig.url = url
    assert rig.sync().exit_code == 0
    assert _origins(warehouse) == [(1, ORIGIN)]
    assert _problems(warehouse) == []


@pytest.mark.parametrize(
    "url", ["https://dataapi.example:8443/v2.0", "https://dataapi.example.evil/v2.0", "http://127.0.0.1:1/v2.0"]
)
@pytest.mark.fault("A01")
def test_another_port_or_name_is_another_installation(warehouse: Engine, url: str) -> None:
    """Another scheme, host or port is refused, however similar."""
    rig = Rig(one_customer(), warehouse)
    assert rig.sync().exit_code == 0
    rig.url = url
    assert how_it_ends(rig.sync)[0] == 78


@pytest.mark.parametrize("fault", ["access_token_invalid", "forbidden"])
@pytest.mark.fault("A01")
def test_a_first_sync_that_publishes_nothing_binds_nothing(warehouse: Engine, fault: str) -> None:
    """The wrong brand refuses the key: the right one can be used in the next attempt."""
    rig = Rig(one_customer(), warehouse, url=OTHER)
    rig.api.faults.add(error(fault), method=None, times=None)
    assert how_it_ends(rig.sync)[0] == 77
    assert _origins(warehouse) == []
    rig.api.faults.clear()
    rig.url = URL
    assert rig.sync().exit_code == 0
    assert _origins(warehouse) == [(1, ORIGIN)]


@pytest.mark.fault("A01")
def test_the_first_published_account_binds_beside_one_that_fails(warehouse: Engine) -> None:
    """One account of several suffices, with any number of workers; the row names the run."""
    rig = Rig(World(seed=6, customers=[CustomerPlan(numbers=3)] * 6), warehouse)
    rig.api.faults.add(error("account_inactive"), times=1)
    result = rig.sync(concurrency=4)
    assert result.exit_code == 3
    assert rig.rows("select binding_id, origin, run_id from installations") == [(1, ORIGIN, result.run_id)]
    assert _problems(warehouse) == []


@pytest.mark.fault("A01")
def test_a_bound_warehouse_costs_no_statement_an_account(warehouse: Engine) -> None:
    """The binding is read twice in a run: before the first request, and with the run's row."""
    rig = Rig(World(seed=6, customers=[CustomerPlan(numbers=3)] * 5), warehouse)
    assert rig.sync().exit_code == 0
    asked: list[str] = []
    event.listen(warehouse, "before_cursor_execute", lambda *call: asked.append(call[2]))
    assert rig.sync().exit_code == 0
    assert len([statement for statement in asked if "installations" in statement]) == 2


@pytest.mark.fault("A01")
def test_of_two_first_syncs_side_by_side_one_wins(warehouse: Engine) -> None:
    """While one lists, the other publishes: the first is refused at its end, publishes nothing, records no account."""
    first, second = Rig(one_customer(), warehouse), Rig(FOREIGN["other customers"](), warehouse, url=OTHER)
    second.clock.pass_time(7)

    def other_publishes(body: bytes) -> bytes:
        assert second.sync().exit_code == 0
        return body

    first.api.faults.add(Body(other_publishes), times=1)
    code, said = how_it_ends(first.sync)
    assert (code, ORIGIN in said, OTHER_ORIGIN in said) == (78, True, True)
    assert _origins(warehouse) == [(1, OTHER_ORIGIN)]
    assert first.rows("select status from account_syncs where account_id = :mine", mine=first.only) == []
    assert first.rows("select status, exit_code from sync_runs where exit_code <> 0") == [("failed", 78)]
    assert first.rows("select * from account_claims") == []
    equals_truth(second)
    assert _problems(warehouse) == []


@pytest.mark.fault("A01")
def test_two_transactions_that_bind_at_once(warehouse: Engine) -> None:
    """The later one waits until the earlier one is committed, and is then refused, without a database error."""
    run_ids = [_a_run(warehouse, OTHER), _a_run(warehouse, URL)]
    refused: list[OtherInstallation] = []

    def bind_other() -> None:
        with begin_writing(warehouse) as connection:
            try:
                Installation(OTHER).bind(connection, NOW, run_ids[0])
            except OtherInstallation as exc:
                refused.append(exc)

    thread = threading.Thread(target=bind_other)
    with begin_writing(warehouse) as connection:
        Installation(URL).bind(connection, NOW, run_ids[1])
        if warehouse.name == "postgresql":
            thread.start()
            _until_it_waits(connection)
    if warehouse.name == "sqlite":  # one writer at a time: the other waits before it begins
        thread.start()
    thread.join()
    assert len(refused) == 1
    assert _origins(warehouse) == [(1, ORIGIN)]


NOW = datetime(2026, 1, 5, tzinfo=UTC)


def _a_run(engine: Engine, url: str) -> int:
    with runs.running(engine, clock=FakeClock(), random=Random(url), source_url=url, version="test") as run_id:
        return run_id


def _until_it_waits(connection: Connection) -> None:
    waits = text("select count(*) from pg_locks where not granted")
    assert any(connection.scalar(waits) for _ in range(20_000)), "nobody waits"


# -- rebind


def _rebound(engine: Engine, now: datetime, url: str = OTHER) -> bool:
    return rebind(engine, url, now=now).changes


@pytest.mark.fault("A01")
def test_a_renamed_host_is_followed_when_it_is_said(warehouse: Engine) -> None:
    """After a rebind the new host is synced and the old one refused; history continues, and both are on record."""
    rig = Rig(one_customer(), warehouse)
    assert rig.sync().exit_code == 0
    before = _image(warehouse)
    assert rebinding(warehouse, OTHER).changes
    assert _image(warehouse) == before
    assert _rebound(warehouse, rig.clock.now())
    after = _image(warehouse)
    assert {name for name in before if before[name] != after[name]} == {"installations"}
    assert how_it_ends(rig.sync)[0] == 78
    rig.url = OTHER
    rig.world.pass_day(share=0.3)
    assert rig.sync().exit_code == 0
    assert rig.rows("select count(distinct account_id) from virtual_numbers_history") == [(1,)]
    assert _origins(warehouse) == [(1, ORIGIN), (2, OTHER_ORIGIN)]
    assert _problems(warehouse) == []
    equals_truth(rig)


@pytest.mark.fault("A01")
def test_a_rebind_to_the_same_installation_changes_nothing(warehouse: Engine) -> None:
    """Another spelling of the bound installation is no change; there and back are two changes, each on record."""
    rig = Rig(one_customer(), warehouse)
    assert rig.sync().exit_code == 0
    assert not _rebound(warehouse, rig.clock.now(), "https://DATAAPI.example:443/v9.9")
    assert _rebound(warehouse, rig.clock.now())
    assert _rebound(warehouse, rig.clock.now(), URL)
    assert rig.sync().exit_code == 0
    assert _origins(warehouse) == [(1, ORIGIN), (2, OTHER_ORIGIN), (3, ORIGIN)]
    assert _problems(warehouse) == []


@pytest.mark.fault("A01")
def test_nothing_is_rebound_under_a_run_or_without_a_binding(warehouse: Engine) -> None:
    """A run in progress would publish another installation's accounts: 75. An empty warehouse is bound by a sync: 2."""
    with pytest.raises(Usage, match="no installation yet"):
        rebind(warehouse, OTHER, now=NOW)
    rig = Rig(one_customer(), warehouse)
    assert rig.sync().exit_code == 0
    running = runs.running(warehouse, clock=rig.clock, random=rig.random, source_url=URL, version="test")
    with running, pytest.raises(TryLater, match="is in progress"):
        rebind(warehouse, OTHER, now=NOW)
    assert _origins(warehouse) == [(1, ORIGIN)]


@pytest.mark.fault("A01")
def test_a_rebind_between_the_check_and_the_run_s_row_is_seen(warehouse: Engine) -> None:
    """The run's row is written under the lock that a rebind takes, and its installation is compared there again."""
    rig = Rig(one_customer(), warehouse)
    assert rig.sync().exit_code == 0
    Installation.required(warehouse, URL)
    assert _rebound(warehouse, rig.clock.now())
    before = _image(warehouse)
    running = runs.running(warehouse, clock=rig.clock, random=rig.random, source_url=URL, version="test")
    with pytest.raises(OtherInstallation), running:
        raise AssertionError("the run began")
    assert _image(warehouse) == before


@pytest.mark.parametrize("hours", [-48, 0, 48])
@pytest.mark.fault("A01")
def test_whatever_the_clock_does_after_a_rebind(warehouse: Engine, hours: int) -> None:
    """No observation of the new host is older than the rebind, so each one has its installation."""
    rig = Rig(one_customer(), warehouse)
    assert rig.sync().exit_code == 0
    assert _rebound(warehouse, rig.clock.now() + timedelta(hours=1))
    rig.clock.pass_time(hours * 3600)
    rig.url = OTHER
    rig.world.pass_day(share=0.3)
    assert rig.sync().exit_code == 0
    assert _problems(warehouse) == []
    assert oracle.broken_invariants(warehouse) == []


# -- verify


EDITS = {
    "delete from installations": ("installations", "no installation is on record"),
    "delete from installations where binding_id = 1": ("installations", "an earlier binding is missing"),
    "update installations set origin = 'https://evil.example' where binding_id = 1": ("sync_runs", "was not bound"),
    "update installations set origin = 'HTTPS://other.example' where binding_id = 2": (
        "installations",
        "is not the origin",
    ),
    "update installations set bound_at = '2020-01-01 00:00:00.000000' where binding_id = 2": (
        "sync_runs",
        "was not bound",
    ),
    "update sync_runs set source_url = 'https://evil.example/v2.0'": ("sync_runs", "read https://evil.example"),
    "update sync_runs set source_url = 'sent by mail'": ("sync_runs", "no URL of an API"),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.fault("A01")
def test_verify_compares_runs_with_bindings(warehouse: Engine, edit: str) -> None:
    """Published runs read the installation to which the warehouse was bound then; an edited binding is found."""
    rig = Rig(one_customer(), warehouse)
    assert rig.sync().exit_code == 0
    assert _rebound(warehouse, rig.clock.now())
    rig.url = OTHER
    assert rig.sync().exit_code == 0
    assert _problems(warehouse) == []
    with warehouse.begin() as connection:
        connection.execute(text(edit))
    table, what = EDITS[edit]
    assert [t for t, said in _problems(warehouse) if what in said] != []
    assert {t for t, said in _problems(warehouse) if what in said} == {table}


# -- replay


def _archived(warehouse: Engine, folder: Path) -> Rig:
    """Two days at one host, two at its new name."""
    rig = Rig(one_customer(), warehouse, archive=folder)
    for url in (URL, OTHER):
        if url == OTHER:
            assert _rebound(warehouse, rig.clock.now())
        rig.url = url
        for _ in range(2):
            assert rig.sync().exit_code == 0
            rig.world.pass_day(share=0.2)
    return rig


@pytest.mark.fault("A01")
def test_a_replay_follows_the_archive_to_another_host(
    warehouse: Engine, new_warehouse: Callable[[], Engine], tmp_path: Path
) -> None:
    """The rebuilt warehouse has the bindings of the original, also when it is replayed run by run."""
    rig = _archived(warehouse, tmp_path / "archive")
    whole, (last, *_) = new_warehouse(), rig.rows("select run_id from sync_runs order by run_id desc")
    assert rebuilt(rig, whole).error() is None
    same(rig, whole)
    assert _origins(whole) == [(1, ORIGIN), (2, OTHER_ORIGIN)]
    assert _problems(whole) == []
    parts = new_warehouse()
    run_ids = sorted(run_id for (run_id,) in rig.rows("select run_id from sync_runs"))
    for run_id in run_ids:
        assert rebuilt(rig, parts, runs=[run_id]).error() is None
    same(rig, parts)
    assert (_origins(parts), run_ids[-1]) == (_origins(whole), last[0])


@pytest.mark.parametrize("bound_to", ["https://third.example/v2.0", OTHER])
@pytest.mark.fault("A01")
def test_a_replay_into_another_installation_s_warehouse_writes_nothing(
    warehouse: Engine, new_warehouse: Callable[[], Engine], tmp_path: Path, bound_to: str
) -> None:
    """A host unknown to the archive, or one of a later time than its first runs: 78, no row."""
    rig = _archived(warehouse, tmp_path / "archive")
    foreign = new_warehouse()
    other = Rig(_without_the_first(World(seed=9, customers=[CustomerPlan(numbers=2)] * 2)), foreign, url=bound_to)
    other.clock.pass_time(30 * 86_400)
    assert other.sync().exit_code == 0
    before = _image(foreign)
    with pytest.raises(OtherInstallation, match="the archive continues with those of"):
        replay(chosen(tmp_path / "archive"), foreign, report=rig.events.append)
    assert _image(foreign) == before
