"""E04, E05: records and answers that need much memory, and texts too long for an index: all else is synced."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, Text

from etl.domain.bounds import LARGEST_RECORD, MOST_VALUES
from etl.domain.excess import KEPT
from etl.domain.tables import BY_NAME, LONGEST_INDEXED, TABLES, Kind, Table
from etl.domain.text import original
from etl.errors import BeyondServer, SourceUnusable
from etl.extract.answers import Result
from etl.extract.page import read_page
from etl.replay.rebuild import chosen, replay
from etl.sandbox.api import Api
from etl.sandbox.world import CustomerPlan, World
from etl.store import schema
from etl.store.driver_errors import translated
from etl.transform.extras import CHILDREN
from etl.transform.records import Number
from tests.stress.hostile_answers import HOSTILE, Hostile, stage
from tests.support.data_case import DataCase
from tests.support.peaks import MOST
from tests.support.raw_server import serving
from tests.support.rig import Rig
from tests.support.secrets import CANARY


@pytest.fixture
def case(warehouse: Engine) -> DataCase:
    """One synced account."""
    return DataCase(warehouse)


# -- records


def _values(record: bytes) -> int:
    """The count of values in a record, as Python's decoder reads them."""

    def inside(value: object) -> int:
        items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        return len(items) + sum(map(inside, items))

    return inside(json.loads(record))


def _with_values(case: DataCase, number_id: int, count: int) -> bytes:
    """Serve the number's record with an unknown field, so that it holds `count` values."""
    count -= _values(case.send(number_id, weights=[]))
    return case.send(number_id, weights=[{}, [], 0, "a,b", -1.5] * (count // 5) + [7] * (count % 5))


@pytest.mark.fault("E04")
def test_record_of_too_many_values_is_kept_out(case: DataCase) -> None:
    """100 000 values are stored; a record with one more is quarantined: its rows stay, and the others are synced."""
    most, more, edited = case.numbers[:3]
    before = case.image_of(more)
    assert _values(_with_values(case, most, MOST_VALUES)) == MOST_VALUES
    record = _with_values(case, more, MOST_VALUES + 1)
    case.send(edited, comment="edited")
    case.ends(3, quarantined=1)
    assert len(case.extra(most)["weights"]) > MOST_VALUES / 2
    assert case.image_of(more) == before
    assert case.stored(edited).comment == "edited"
    (row,) = case.quarantined()
    assert (row.virtual_number_id, row.path) == (more, "$")
    assert row.reason == f"the record holds more than {MOST_VALUES} values"
    assert row.record == record[:KEPT].decode()
    case.ends(3, quarantined=1)
    case.honest()


@pytest.mark.fault("E04")
def test_source_cannot_send_a_stand_in(case: DataCase) -> None:
    """A record that imitates the replacement of a large one is an ordinary record: quarantined as sent."""
    number_id = case.numbers[0]
    forged = f'{{"␀excess":"no reason","␀beginning":"","id":{number_id}}}'
    case.send_raw(number_id, forged.encode())
    case.ends(3, quarantined=1)
    (row,) = case.quarantined()
    assert row.virtual_number_id == number_id
    assert original(row.record) == forged
    assert row.reason != "no reason"
    case.honest()


@pytest.mark.soak
@pytest.mark.fault("E04")
def test_record_of_too_many_bytes_is_kept_out(case: DataCase) -> None:
    """16 MiB are stored; of a record with one more byte only the beginning is kept, in quarantine."""
    most, more = case.numbers[:2]
    room = LARGEST_RECORD - len(case.send(most, comment=""))
    assert len(case.send(most, comment="x" * room)) == LARGEST_RECORD
    room = LARGEST_RECORD - len(case.send(more, comment=""))
    record = case.send(more, comment="x" * (room + 1))
    case.ends(3, quarantined=1)
    stored = len(case.stored(most).comment)
    (row,) = case.quarantined()
    assert (row.virtual_number_id, row.reason) == (more, f"the record has more than {LARGEST_RECORD} bytes")
    assert row.record == record[:KEPT].decode()
    assert stored > LARGEST_RECORD - 2000
    case.honest()


@pytest.mark.fault("E04")
def test_commas_and_brackets_in_a_text_are_no_values(case: DataCase) -> None:
    """A comment of nothing but commas, brackets, quotes and backslashes is stored to the byte."""
    comment = '[{"\\,' * MOST_VALUES
    case.send(case.numbers[0], comment=comment)
    case.ends(0)
    assert case.stored(case.numbers[0]).comment == comment
    case.is_quiet()
    case.honest()


@pytest.mark.fault("E04")
def test_record_is_kept_out_on_every_way(case: DataCase) -> None:
    """A large record is quarantined also in a run without shortcuts, sent twice, and without a readable id."""
    first, second, third = case.numbers[:3]
    _with_values(case, first, MOST_VALUES + 1)
    case.send_raw(second, _with_values(case, second, MOST_VALUES + 1).replace(b'"id": ', b'"id": "x", "no": ', 1))
    twice = _with_values(case, third, MOST_VALUES + 1)
    case.send_raw(third, twice + b"," + twice)
    case.ends(3, quarantined=3, shortcuts=False)
    assert [row.virtual_number_id for row in case.quarantined()] == [first, third, None]
    assert {row.reason for row in case.quarantined()} == {f"the record holds more than {MOST_VALUES} values"}
    case.honest()


@pytest.mark.fault("E04")
def test_first_load_keeps_a_large_record_out(warehouse: Engine) -> None:
    """An account whose first listing holds one: the other numbers are stored, and it is quarantined."""
    world = World(seed=3, customers=[CustomerPlan(numbers=5)], role="customer", id_step=7)
    rig = Rig(world, warehouse)
    first = world.truth(rig.only)[0]
    world.put_raw(rig.only, first["id"], json.dumps(first | {"weights": [0] * MOST_VALUES}).encode())
    assert rig.sync().exit_code == 3
    assert rig.rows("select virtual_number_id from quarantine") == [(first["id"],)]
    assert rig.rows("select count(*) from virtual_numbers") == [(4,)]
    world.clear_raw(rig.only)
    assert rig.sync().exit_code == 0


@pytest.mark.fault("E04")
def test_large_record_replays(tmp_path: Path, new_warehouse: Callable[[], Engine], warehouse: Engine) -> None:
    """A replay of the archive quarantines the same records and gives the same heads."""
    archive = tmp_path / "kept"
    case = DataCase(warehouse, archive=archive)
    _with_values(case, case.numbers[0], MOST_VALUES + 1)
    case.ends(3, quarantined=1)
    heads = "select run_id, chain_digest, quarantined from account_syncs order by run_id"
    again = new_warehouse()
    replay(chosen(archive), again, report=lambda _: None)
    with again.connect() as connection:
        assert list(connection.exec_driver_sql(heads)) == case.rows(heads)


# -- answers


@pytest.mark.parametrize(
    ("text", "width"),
    [(b"x", 1), ("ж".encode(), 2), (b"\\u0436", 2), ("\U0001f600".encode(), 4), (b"\\ud83d\\ude00", 4)],
    ids=["ascii", "cyrillic", "escaped", "emoji", "escaped_emoji"],
)
@pytest.mark.fault("E04")
def test_texts_are_bounded_by_what_they_take_in_memory(text: bytes, width: int) -> None:
    """One wide character makes a whole text wide: 64 MiB in memory are read, a little more is refused."""
    comment = b"x" * (8 * 2**20) + text
    records = [b'{"id":%d,"comment":"%b"}' % (n, comment) for n in range(8 // width)]
    assert read_page(_answered(records[:-1]), 10).rows == 8 // width - 1
    with pytest.raises(SourceUnusable, match="more than 64 MiB of memory"):
        read_page(_answered(records), 10)


def _answered(records: list[bytes]) -> Result:
    return Result(msgspec.Raw(b"[" + b",".join(records) + b"]"), {"total_items": len(records)})


BY_PROCESS = (
    "objects in an unknown field", "zeros for records", "metadata", "error.data", "users of an agent",
    "8 MB of site blocks in all", "9 MB of halves of characters", "16 MB of comments with an emoji",
)  # fmt: skip


QUICK = ("objects in an unknown field", "metadata")
"""Hostile answers that every run of the tests sends."""


@pytest.mark.soak
@pytest.mark.parametrize(
    "hostile",
    [pytest.param(h, marks=[] if h.name in QUICK else pytest.mark.soak) for h in HOSTILE if h.name in BY_PROCESS],
    ids=lambda h: h.name,
)
@pytest.mark.fault("E04")
def test_hostile_answer_takes_little_memory(hostile: Hostile, warehouse: Engine, tmp_path: Path) -> None:
    """The sync's memory stays below the limit, and its last line states the error."""
    url = warehouse.url.render_as_string(hide_password=False)
    world = World(seed=5, customers=[CustomerPlan(numbers=5)], role="customer", id_step=7)
    with serving(Api(world, token=CANARY)) as server:
        done = stage(tmp_path, server, url).sync(hostile)
    assert done.code == hostile.code, done
    assert done.memory < MOST, done
    assert [line for line in done.errors if line.startswith("vnsync: error: ")] == done.errors[-1:], done


# -- texts in indexes


def _indexed() -> list[tuple[str, str]]:
    """Text columns of the warehouse that an index or a primary key covers."""
    found = []
    for table in schema.metadata.tables.values():
        covering = [table.primary_key.columns, *(index.columns for index in table.indexes)]
        covered = {c.name for columns in covering for c in columns if isinstance(c.type, Text)}
        found += [(table.name, name) for name in sorted(covered)]
    return found


def _indexed_text(table: Table) -> set[str]:
    """Names of the declared text columns that an index or the primary key covers."""
    references = [name for reference in table.references for name in reference.columns]
    covered = {*table.key_names, *table.sought, *table.followed, *references}
    return {column.name for column in table.columns if column.kind is Kind.TEXT and column.name in covered}


OWN_WORDS = {
    ("chain_sections", "table_name"), ("chain_sections", "change"), ("source_drift", "kind"),
    ("source_drift", "path"), ("source_drift", "value"), ("first_reported", "path"), ("point_budgets", "credential"),
}  # fmt: skip
"""vnsync's own names, and texts that `DriftLog` cuts to 200 characters."""


@pytest.mark.fault("E05")
def test_every_indexed_text_has_a_bound() -> None:
    """Each text column that an index covers is declared as such, and the records' fields have its limit."""
    declared = {(name, column) for t in TABLES for name in (t.name, f"{t.name}_closed") for column in _indexed_text(t)}
    assert set(_indexed()) - OWN_WORDS == declared
    assert ("virtual_numbers", "virtual_phone_number") in declared
    for table in TABLES:
        kind: type[msgspec.Struct] = Number
        for name in table.path.replace("[]", "").split(".")[1:]:
            kind = dict(CHILDREN[kind])[name]
        held = {field.name for field in msgspec.structs.fields(kind) if _longest(field.type) == LONGEST_INDEXED}
        assert _indexed_text(table) <= held, f"give these fields of {kind.__name__} the type Indexed"


def _longest(kind: object) -> int | None:
    """The limit of characters of a field's text; None if there is none."""
    found = msgspec.inspect.type_info(kind)
    kinds = found.types if isinstance(found, msgspec.inspect.UnionType) else (found,)
    return next((one.max_length for one in kinds if isinstance(one, msgspec.inspect.StrType)), None)


def _noise(characters: int) -> str:
    """Incompressible text of four bytes a character."""
    dice = random.Random(1)
    return "".join(chr(dice.randrange(0x10000, 0x10FFFF)) for _ in range(characters))


@pytest.mark.parametrize("column", sorted(_indexed_text(BY_NAME["virtual_numbers"])))
@pytest.mark.fault("E05")
def test_text_too_long_for_an_index_is_kept_out(case: DataCase, column: str) -> None:
    """600 characters of four bytes are stored, also in the history; with 601 the record is quarantined."""
    fits, longer = case.numbers[:2]
    before = case.image_of(longer)
    case.send(fits, **{column: _noise(LONGEST_INDEXED)})
    case.send(longer, **{column: _noise(LONGEST_INDEXED + 1)})
    case.ends(3, quarantined=1)
    assert getattr(case.stored(fits), column) == _noise(LONGEST_INDEXED)
    assert case.image_of(longer) == before
    (row,) = case.quarantined()
    assert (row.virtual_number_id, row.path) == (longer, f"$.{column}")
    assert row.reason == "Expected `str` of length <= 600"
    case.send(longer, **{column: "7" * 3000})
    case.ends(3, quarantined=1)
    case.honest()
    assert len(case.versions(fits, column)) == 3


@pytest.mark.fault("E05")
def test_an_index_of_ones_own_has_its_message(case: DataCase) -> None:
    """A user's own index on a column of long texts: SQLite accepts them, PostgreSQL's error names index and remedy."""
    with case.engine.begin() as connection:
        connection.exec_driver_sql("create index mine on virtual_numbers (comment)")
    before = case.image()
    case.send(case.numbers[0], comment=_noise(1000))
    if case.engine.dialect.name == "sqlite":
        case.ends(0)
        return
    error = case.ends(78).error or ""
    assert '"mine"' in error
    assert "drop it" in error
    assert "backup" not in error
    assert case.image() == before
    with case.engine.begin() as connection:
        connection.exec_driver_sql("drop index mine")
    case.ends(0)
    case.honest()


@pytest.mark.fault("E05")
def test_value_beyond_sqlite_has_its_message() -> None:
    """SQLite's "too big" becomes the same error as PostgreSQL's program limits."""
    connection = sqlite3.connect(":memory:")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000)
    with pytest.raises(sqlite3.Error) as caught:
        connection.execute("select ?", ("x" * 2000,))
    connection.close()
    error = translated(caught.value)
    assert isinstance(error, BeyondServer)
    assert error.exit_code == 78
