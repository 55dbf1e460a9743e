"""Shortcuts change only the cost: with and without them the rows, history, findings and counts are the same."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, text

from etl.domain.runs import AccountResult
from etl.load import incremental
from etl.sandbox.faults import Drop, Duplicate
from etl.sandbox.world import CustomerPlan, World
from etl.transform import decode
from tests.support import oracle
from tests.support.rig import Rig

LIMIT = 40
"""Numbers in one answer: few, so that a small account has many windows."""


@dataclass
class Pair:
    """The same world twice: one warehouse uses shortcuts, the other reads every record every day."""

    short: Rig
    long: Rig

    @property
    def only(self) -> int:
        return self.short.only

    def both(self) -> Iterator[Rig]:
        yield from (self.short, self.long)

    def change(self, act: Callable[..., object], *how: Any, **more: Any) -> None:
        for rig in self.both():
            act(rig.world, *how, **more)

    def sync(self, **options: Any) -> tuple[AccountResult, AccountResult]:
        one = self.short.sync(page_limit=LIMIT, shortcuts=True, **options).accounts[0]
        other = self.long.sync(page_limit=LIMIT, shortcuts=False, **options).accounts[0]
        return one, other


def world(seed: int, numbers: int = 150, edition: Any = "newer") -> World:
    plan = CustomerPlan(numbers=numbers, campaigns=6)
    return World(seed=seed, customers=[plan], role="customer", edition=edition, id_step=9)


def pair(one: Engine, other: Engine, seed: int, **more: Any) -> Pair:
    return Pair(Rig(world(seed, **more), one), Rig(world(seed, **more), other))


def told(engine: Engine) -> dict[str, list[Any]]:
    """The content of a warehouse, without the ids of runs and the number of requests."""
    days = "(select observed_at from account_syncs s where s.run_id = {} and s.account_id = t.account_id)"
    queries = {
        name: f"select {columns}, valid_from, valid_to from {name}_history t"
        for name, columns in oracle.COLUMNS.items()
    }
    queries["drift"] = (
        f"select path, kind, value, {days.format('t.first_run_id')}, {days.format('t.last_run_id')} from source_drift t"
    )
    queries["first reported"] = f"select path, {days.format('t.run_id')} from first_reported t"
    queries["quarantine"] = (
        f"select {days.format('t.run_id')}, virtual_number_id, path, reason, record from quarantine t"
    )
    queries["syncs"] = (
        "select observed_at, status, strategy, reported_total, listed_numbers, unaccounted, suspects, duplicates,"
        " conflicts, quarantined, rows_opened, rows_closed from account_syncs"
    )
    with engine.connect() as connection:
        return {name: sorted(map(repr, connection.execute(text(query)))) for name, query in queries.items()}


def assert_the_same(two: Pair) -> None:
    one, other = told(two.short.engine), told(two.long.engine)
    for name in one:
        assert one[name] == other[name], name


class Days:
    """Random days of a world: both worlds of a pair get the same changes."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.unusable: set[int] = set()

    def pass_one(self, two: Pair) -> None:
        for act in self.dice.sample(self._acts(), 3):
            act(two)

    def _acts(self) -> list[Callable[[Pair], None]]:
        return [self.live, self.live, self.rename, self.spoil, self.mend, self.novelty, self.repeat, self.shrink]

    def _some(self, two: Pair, count: int) -> list[int]:
        ids = sorted(two.short.world.numbers(two.only))
        return self.dice.sample(ids, min(count, len(ids)))

    def live(self, two: Pair) -> None:
        """An ordinary day."""
        two.change(lambda w: w.pass_day(share=0.05))

    def rename(self, two: Pair) -> None:
        """A campaign and a site get another name."""
        campaign = self.dice.choice(two.short.world.campaign_ids(two.only))
        site = self.dice.choice(two.short.world.site_ids(two.only))
        name = f"name {self.dice.randrange(9)}"
        two.change(lambda w: w.rename_campaign(two.only, campaign, name))
        two.change(lambda w: w.rename_site(two.only, site, f"{name}.example"))

    def spoil(self, two: Pair) -> None:
        """A record becomes unusable."""
        for number_id in self._some(two, 1):
            raw = b'{"id": %d, "status": 5}' % number_id
            two.change(World.put_raw, two.only, number_id, raw)
            self.unusable.add(number_id)

    def mend(self, two: Pair) -> None:
        """All records become usable again."""
        two.change(lambda w: w.clear_raw(two.only))
        self.unusable.clear()

    def novelty(self, two: Pair) -> None:
        """Records get an unknown value and an unknown field."""
        for number_id in self._some(two, 2):
            value = f"new {self.dice.randrange(4)}"
            two.change(World.edit, two.only, number_id, status=value, colour=value)

    def repeat(self, two: Pair) -> None:
        """Two numbers get the same phone number."""
        some = self._some(two, 2)
        phone = f"7999000{self.dice.randrange(5)}"
        for number_id in some:
            two.change(World.edit, two.only, number_id, virtual_phone_number=phone)

    def shrink(self, two: Pair) -> None:
        """Some numbers are removed."""
        some = self._some(two, 10)
        for number_id in some:
            two.change(World.remove, two.only, number_id)


@pytest.mark.parametrize("seed", range(4))
def test_random_days_are_the_same_with_and_without(warehouse: Engine, other_warehouse: Engine, seed: int) -> None:
    """Days of edits, renames, unknown values, spoiled records, repeated phones and removals give equal warehouses."""
    two, days = pair(warehouse, other_warehouse, seed), Days(seed)
    for _ in range(8):
        two.sync(max_close_share=0.9)
        assert_the_same(two)
        days.pass_one(two)
    assert oracle.broken_invariants(warehouse) == []


def test_the_older_edition_and_the_change_to_the_newer(warehouse: Engine, other_warehouse: Engine) -> None:
    """Fields that an edition does not report stay known; their appearance and disappearance are reported."""
    two = pair(warehouse, other_warehouse, 3, edition="older")
    for edition in ("older", "older", "newer", "newer", "older", "older"):
        two.change(setattr, "edition", edition)
        two.sync()
        assert_the_same(two)
        two.change(lambda w: w.edit(two.only, sorted(w.numbers(two.only))[7], status="cleaning"))


def test_a_rename_amid_a_listing(warehouse: Engine, other_warehouse: Engine) -> None:
    """A campaign that skipped records name otherwise: the copy that sorts first wins, and one conflict is counted."""
    two = pair(warehouse, other_warehouse, 5)
    two.sync()
    two.sync()
    campaigns = two.short.rows("select campaign_id from virtual_number_campaigns group by 1 order by count(*) desc")
    for name, (campaign,) in zip(("A first", "Я last"), campaigns, strict=False):
        for rig in two.both():
            rename_after_first_window(rig, campaign, name)
        one, other = two.sync()
        assert one.conflicts == other.conflicts == 1
        assert_the_same(two)
    one, other = two.sync()
    assert one.conflicts == other.conflicts == 0
    assert_the_same(two)


def test_an_account_that_must_be_paged_by_offsets(warehouse: Engine, other_warehouse: Engine) -> None:
    """An account without a filter by id has no memory, and its earlier memory is deleted."""
    two = pair(warehouse, other_warehouse, 8)
    two.sync()
    for rig in two.both():
        rig.api.id_filter = False
    for _ in range(2):
        one, _ = two.sync()
        assert one.strategy == "offsets"
        assert_the_same(two)
        two.change(lambda w: w.pass_day(share=0.05))
    assert two.short.rows("select * from listing_windows") == []


def rename_after_first_window(rig: Rig, campaign: int, name: str) -> None:
    """The campaign has its old name in the first window and the new one in all others."""
    count = itertools.count()

    def hook(request: dict[str, Any]) -> None:
        if request["method"] == "get.virtual_numbers" and next(count) == 0:
            rig.world.rename_campaign(rig.only, campaign, name)
            rig.api.after_request.remove(hook)

    rig.api.after_request.append(hook)


@pytest.mark.parametrize("fault", [Drop(1), Duplicate()], ids=["fewer than announced", "one twice"])
def test_answers_that_disagree_with_themselves(warehouse: Engine, other_warehouse: Engine, fault: Any) -> None:
    """A window whose rows and total always differ is handled and counted in the same way."""
    two = pair(warehouse, other_warehouse, 6, numbers=30)
    two.sync()
    for _ in range(3):
        for rig in two.both():
            rig.api.faults.add(fault, times=3)
        two.sync()
        for rig in two.both():
            rig.api.faults.clear()
        assert_the_same(two)


# -- the cost that they save


@pytest.fixture
def rig(warehouse: Engine) -> Rig:
    """An account of several windows that was listed once."""
    rig = Rig(world(9), warehouse)
    sync(rig)
    return rig


def sync(rig: Rig, **options: Any) -> AccountResult:
    return rig.sync(page_limit=LIMIT, **options).accounts[0]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The count of records that each call decodes."""
    counts: list[int] = []

    def counting(records: Any, drift: Any) -> decode.Decoded:
        counts.append(len(records))
        return decode.decode(records, drift)

    monkeypatch.setattr("etl.transform.page_rows.decode", counting)
    return counts


def test_a_quiet_day_decodes_nothing(rig: Rig, decoded: list[int]) -> None:
    """If every window is unchanged, no record is decoded or staged, and no number is requested by id."""
    requests = sync(rig).requests
    assert decoded == []
    assert requests == len(rig.rows("select * from listing_windows"))


def test_one_changed_record_is_the_only_one_that_is_decoded(rig: Rig, decoded: list[int]) -> None:
    """The other records of its window are recognized by their bytes, in any order."""
    rig.world.edit(rig.only, sorted(rig.world.numbers(rig.only))[60], comment="other")
    result = sync(rig)
    assert (decoded, result.rows_opened, result.rows_closed) == ([1], 1, 1)


def test_without_shortcuts_every_record_is_decoded(rig: Rig, decoded: list[int]) -> None:
    """The option reads every record; they are remembered all the same."""
    sync(rig, shortcuts=False)
    assert sum(decoded) == 150
    decoded.clear()
    sync(rig)
    assert decoded == []


@pytest.mark.parametrize(
    "forgotten",
    [
        "update listing_states set version = '0'",
        "update listing_states set run_id = (select min(run_id) from account_syncs)",
        "update listing_states set observed_at = (select min(observed_at) from account_syncs)",
        "delete from listing_states",
        "delete from listing_windows",
        "delete from listing_windows where upto_id is null",
    ],
)
def test_a_memory_of_another_state_is_not_believed(rig: Rig, decoded: list[int], forgotten: str) -> None:
    """A memory of another version or sync, or with parts missing: every record is read and remembered again."""
    sync(rig)
    with rig.engine.begin() as connection:
        connection.execute(text(forgotten))
    sync(rig)
    assert sum(decoded) == 150
    decoded.clear()
    sync(rig)
    assert decoded == []


OF_ANOTHER_SHAPE = {
    "sqlite": [
        "windows set ids = 'text'", "windows set digests = substr(digests, 2)", "windows set numbers = 'many'",
        "windows set control_ids = x'00'", "windows set upto_id = 'far' where upto_id is not null",
        "windows set drift_entries = cast(x'ff' as text)", "windows set digest = 'x'", "states set drift_entries = '['",
        "states set version = x'ff'",
    ],
    "postgresql": [
        "windows set ids = '\\x00'", "windows set digests = ids", "windows set phones = ''",
        "windows set numbers = numbers + 1", "windows set control_ids = '\\x00'", "states set drift_entries = '['",
        """windows set drift_entries = '[["$", "no such kind", ""]]'""", "windows set drift_entries = '[1]'",
    ],
}  # fmt: skip


@pytest.mark.fault("E08")
def test_a_memory_of_another_shape_is_dropped(rig: Rig, decoded: list[int], database: str) -> None:
    """Values of another type, length or content: no error; every record is read and remembered again."""
    sync(rig)
    for edit in OF_ANOTHER_SHAPE[database]:
        with rig.engine.begin() as connection:
            if database == "sqlite":
                connection.exec_driver_sql("pragma ignore_check_constraints = on")
            connection.exec_driver_sql(f"update listing_{edit}")
        assert sync(rig).status == "succeeded"
        assert (sum(decoded), edit) == (150, edit)
        decoded.clear()
        sync(rig)
        assert decoded == []


def test_another_version_of_the_rows_reads_everything(
    rig: Rig, decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade that makes other rows from the same bytes, no record counts as known."""
    monkeypatch.setattr(incremental, "VERSION", "next")
    sync(rig)
    assert sum(decoded) == 150


def test_an_unusable_record_is_read_every_day(rig: Rig, decoded: list[int]) -> None:
    """Each run quarantines the record again, and the number's last version stays open."""
    number_id = sorted(rig.world.numbers(rig.only))[3]
    rig.world.put_raw(rig.only, number_id, b'{"id": %d}' % number_id)
    assert [sync(rig).quarantined for _ in range(3)] == [1, 1, 1]
    assert rig.rows("select count(*) from virtual_numbers where virtual_number_id = :n", n=number_id) == [(1,)]


def test_a_sync_that_fails_leaves_the_memory_as_it_was(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fingerprints are written in the data's transaction, so an unpublished sync is not remembered."""
    before = rig.rows("select * from listing_states"), rig.rows("select * from listing_windows order by after_id")
    rig.world.edit(rig.only, sorted(rig.world.numbers(rig.only))[60], comment="other")
    monkeypatch.setattr("etl.store.runs.record", _disk_full)
    with pytest.raises(RuntimeError):
        sync(rig)
    after = rig.rows("select * from listing_states"), rig.rows("select * from listing_windows order by after_id")
    assert before == after
    monkeypatch.undo()
    assert sync(rig).rows_opened == 1


def _disk_full(*_: object) -> None:
    raise RuntimeError("planted")


def test_contradicting_records_are_not_remembered(rig: Rig) -> None:
    """All records decide which of two copies of a campaign wins, so all of them are read the next time."""
    rename_after_first_window(rig, rig.rows("select min(campaign_id) from virtual_number_campaigns")[0][0], "other")
    result = sync(rig)
    assert result.conflicts == 1
    assert rig.rows("select * from listing_windows") == rig.rows("select * from listing_states") == []


def test_windows_are_used_again_while_they_fit(rig: Rig) -> None:
    """An account that shrinks to a fraction gets a new plan, instead of one request for each old window."""
    before = len(rig.rows("select * from listing_windows"))
    for number_id in sorted(rig.world.numbers(rig.only))[10:]:
        rig.world.remove(rig.only, number_id)
    sync(rig, max_close_share=1.0)
    sync(rig)
    assert len(rig.rows("select * from listing_windows")) == 1 < before


def test_missing_ids_are_found_in_kept_windows_too() -> None:
    """An open number that was not in the records of an unchanged window is missing again."""
    assert incremental._absent([3, 5, 9], [9, 3]) == [5]
