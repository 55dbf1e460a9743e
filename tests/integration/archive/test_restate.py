"""Comparison of an archive with a warehouse, also of an agency: differences, and erasures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from etl.archive import erasing
from etl.archive.pruning import prune
from etl.erasure.warehouse import erase_number
from etl.errors import Unavailable
from etl.replay.rebuild import chosen
from etl.replay.restate import restate
from etl.sandbox.world import CustomerPlan, World
from etl.sync import viewer
from tests.support import oracle
from tests.support.archive_folders import archived
from tests.support.archive_rebuilding import days, histories, rebuilt
from tests.support.rig import Rig


def test_diff_finds_what_was_edited_and_writes_nothing(warehouse: Engine, tmp_path: Path) -> None:
    """Versions are counted by table: an edited one is on both sides, a deleted one on one side."""
    rig = archived(warehouse, tmp_path / "a", customers=2)
    days(rig, 3)
    assert restate(chosen(tmp_path / "a"), warehouse, report=rig.events.append).differing == []
    with warehouse.begin() as connection:
        where = "where account_id = 12001 and virtual_number_id = (select min(virtual_number_id) from virtual_numbers)"
        connection.execute(text(f"update virtual_numbers set comment = 'edited' {where}"))
        connection.execute(text("delete from virtual_number_campaigns_closed"))
    before = histories(warehouse)
    found = restate(chosen(tmp_path / "a"), warehouse, report=rig.events.append)
    edited, *deleted = found.differing
    assert (edited.table, edited.only_warehouse, edited.only_replay) == ("virtual_numbers", 1, 1)
    assert {(d.table, d.only_warehouse) for d in deleted} == {("virtual_number_campaigns", 0)}
    assert histories(warehouse) == before


def test_diff_compares_the_time_that_both_know(warehouse: Engine, tmp_path: Path) -> None:
    """An archive begun later, and a warehouse that continued without it: no difference in the time that both cover."""
    rig = archived(warehouse, tmp_path / "a")
    rig.archive = None
    days(rig, 2)
    rig.archive = tmp_path / "a"
    days(rig, 2)
    rig.archive = None
    days(rig, 2)
    found = restate(chosen(tmp_path / "a"), warehouse, report=rig.events.append)
    assert found.differing == []
    assert sum(t.same for t in found.tables) > 100


def _agency_archived_late(warehouse: Engine, folder: Path, *, pruned: bool) -> Rig:
    """An agency whose archive lacks its first runs, in which the accounts' time zones were requested."""
    rig = archived(warehouse, folder, customers=2)
    rig.archive = folder if pruned else None
    days(rig, 2)
    rig.archive = folder
    days(rig, 2)
    if pruned:
        done = prune(folder, before=rig.clock.now() - timedelta(days=1, hours=1), now=rig.clock.now())
        assert len(done.runs) == 2
    return rig


@pytest.mark.parametrize("pruned", [True, False], ids=["pruned", "begun_later"])
def test_agents_archive_without_its_first_runs(
    warehouse: Engine, tmp_path: Path, target: Callable[..., Engine], pruned: bool
) -> None:
    """Name and time zone, which later runs do not request, are taken from the publications: it replays and compares."""
    rig = _agency_archived_late(warehouse, tmp_path / "a", pruned=pruned)
    found = restate(chosen(tmp_path / "a"), warehouse, report=rig.events.append)
    assert (found.differing, found.failed) == ([], [])
    assert {t.account_id for t in found.tables if t.same} == set(rig.world.customer_ids)
    engine = target()
    done = rebuilt(rig, engine)
    assert (done.runs, done.failed) == (2, [])
    assert {d.what for d in done.mismatches.values()} == {"the observation that it follows is not in the archive"}
    for account_id in rig.world.customer_ids:
        assert not oracle.differences(oracle.current(engine, account_id), oracle.current(warehouse, account_id))
    facts = "select account_id, account_name, timezone, listed_by_user_id from accounts order by 1"
    assert Rig(rig.world, engine).rows(facts) == rig.rows(facts)


def test_another_user_of_a_customer_is_answered_alike(
    warehouse: Engine, tmp_path: Path, target: Callable[..., Engine]
) -> None:
    """The archive begins when a customer has a user of a lower id: the user that listed does not matter."""
    plans = [CustomerPlan(numbers=60, users=2), CustomerPlan(numbers=60)]
    rig = Rig(World(seed=5, customers=plans), warehouse)
    days(rig, 1)
    with warehouse.begin() as connection:
        for account_id in rig.world.customer_ids:
            last = max(rig.world.user_ids(account_id))
            connection.execute(text(f"update accounts set listed_by_user_id = {last} where account_id = {account_id}"))
    rig.archive = tmp_path / "a"
    days(rig, 2)
    done = rebuilt(rig, target())
    assert (done.runs, done.failed) == (2, [])


def test_account_that_cannot_be_replayed_is_named_and_not_compared(
    warehouse: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync that fails in the replay leaves a gap: its account is left out, the other is compared."""
    rig = archived(warehouse, tmp_path / "a", customers=2)
    days(rig, 3)
    (first, second), real = rig.world.customer_ids, viewer.Users.in_turn

    def fail(users: viewer.Users) -> Iterator[int | None]:
        if users.account.account_id == first:
            raise Unavailable("no")
        return real(users)

    monkeypatch.setattr(viewer.Users, "in_turn", fail)
    found = restate(chosen(tmp_path / "a"), warehouse, report=rig.events.append)
    assert found.failed == [first]
    assert found.replayed.accounts[first].failure == "no. Nothing was lost; run again when it is reachable."
    assert {t.account_id for t in found.tables} == {second}
    assert found.differing == []


def test_customer_that_left_does_not_stop_a_replay(
    warehouse: Engine, tmp_path: Path, target: Callable[..., Engine]
) -> None:
    """The run that recorded it as unreachable is replayed for the others."""
    rig = archived(warehouse, tmp_path / "a", customers=3)
    days(rig, 2)
    rig.world.remove_customer(rig.world.customer_ids[0])
    assert rig.sync().exit_code == 3
    engine = target()
    done = rebuilt(rig, engine)
    assert (done.runs, done.mismatches) == (3, {})
    assert histories(engine) == histories(warehouse)


def _first_number(rig: Rig) -> tuple[int, int]:
    """A number with versions of different content, and its account."""
    account = rig.world.customer_ids[0]
    return account, rig.world.numbers(account)[0]


@pytest.mark.parametrize("also_archive", [False, True], ids=["warehouse_only", "archive_too"])
def test_erased_number_is_told_as_erased_and_is_no_difference(
    warehouse: Engine, tmp_path: Path, also_archive: bool
) -> None:
    """Versions that differ by erased content only are counted separately, also where erased neighbours were merged."""
    rig = archived(warehouse, tmp_path / "a", customers=2)
    account, number = _first_number(rig)
    for day in range(4):
        rig.world.edit(account, number, comment=f"day {day}")
        days(rig, 1)
    erase_number(warehouse, account, number, now=rig.clock.now(), reason=None)
    if also_archive:
        erasing.erase_number(tmp_path / "a", account, number, now=rig.clock.now())
    versions = rig.rows(f"select count(*) from virtual_numbers_history where virtual_number_id = {number}")[0][0]
    assert versions >= 4
    found = restate(chosen(tmp_path / "a"), warehouse, report=rig.events.append)
    assert (found.differing, found.erased, found.erased_archive) == ([], True, also_archive)
    assert [(t.table, t.erased) for t in found.tables if t.erased] == [("virtual_numbers", versions)]


def test_edit_of_an_erased_number_is_a_difference(warehouse: Engine, tmp_path: Path) -> None:
    """A difference beyond the erasure counts: its status, and content in an erased column."""
    rig = archived(warehouse, tmp_path / "a")
    days(rig, 2)
    account, number = _first_number(rig)
    erase_number(warehouse, account, number, now=rig.clock.now(), reason=None)
    for column, value in (("status", "forged"), ("comment", "forged")):
        with warehouse.begin() as connection:
            where = f"where virtual_number_id = {number}"
            before = connection.scalar(text(f"select {column} from virtual_numbers {where}"))
            connection.execute(text(f"update virtual_numbers set {column} = :v {where}"), {"v": value})
        found = restate(chosen(tmp_path / "a"), warehouse, report=rig.events.append)
        assert [t.table for t in found.differing] == ["virtual_numbers"]
        with warehouse.begin() as connection:
            connection.execute(text(f"update virtual_numbers set {column} = :v {where}"), {"v": before})
    assert restate(chosen(tmp_path / "a"), warehouse, report=rig.events.append).differing == []
