"""Records that are hard to archive, erase and replay: synced, archived, verified, replayed, erased, replayed again.

Usage: python -m tests.stress.hard_records [--records 100000] [--each 200] [--seed 1]

Hypothesis draws the records of an account for two days: halves of surrogate pairs, bytes that are no UTF-8, numbers
beyond any float, names in escapes and twice, unknown fields, white space. Each archive must verify with its head and
replay to the same chain heads; after one number was erased from warehouse and archive, the archive must verify with the
earlier head, have none of its content, and replay to a history that differs only in the erased content.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from etl.archive.checking import check_archive
from etl.archive.erasing import erase_number as erase_from_archive
from etl.archive.heads import ArchiveHead
from etl.archive.layout import existing
from etl.archive.objects import Objects
from etl.erasure.warehouse import erase_number
from etl.replay.outcome import Replayed
from etl.replay.rebuild import chosen, replay
from etl.replay.restate import restate
from etl.sandbox.world import CustomerPlan, World
from etl.store import migrations
from etl.store.engine import open_warehouse
from tests.support.rig import Rig

PARTS = st.sampled_from(
    [b"a", b"\\ud800", b"\\udc00x", b"\\ud83d\\ude00", b"\\u0000", b"\\u2400", b"\xe2\x90\x80", b"\xff", b"\xc3",
     b'\\"', b"\\\\", b"\\/", b"\\u0041", b"\\n", "ж".encode(), b"},{", b'\\"data\\":[', b'],\\"id\\":7', b" "]
)  # fmt: skip
TEXT = st.lists(PARTS, max_size=5).map(lambda parts: b'"' + b"".join(parts) + b'"')
NUMBER = st.sampled_from([b"0", b"-0", b"7", b"1.10", b"1E2", b"1e400", b"-1e-400", b"12345678901234567890123", b"0.1"])
SCALAR = TEXT | NUMBER | st.sampled_from([b"null", b"true", b"[]", b"{}"])
SPACE = st.sampled_from([b"", b"", b"", b" ", b"\n", b"\t "])
VALUE = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda v: b"[" + b",".join(v) + b"]")
        | st.lists(st.tuples(TEXT, inner), max_size=3).map(lambda v: b"{" + b",".join(b":".join(m) for m in v) + b"}")
    ),
    max_leaves=4,
)
PLAIN = {
    b"status": b'"active"', b"category": b'"usual"', b"type": b'"va"', b"activation_date": b'"2024-01-05 10:00:00"',
    b"campaigns": b"[]", b"scenarios": b"[]", b"child_customer_id": b"null",
}  # fmt: skip
PERSONAL = [b"virtual_phone_number", b"redirection_phone_number", b"comment", b"name"]
SHAPES = 24
"""The count of different records that Hypothesis draws for one account."""
UNKNOWN = [b"\\u0063omment2", b"new", b"\xff", b"\\ud800", b"i\\u0064x"]


@dataclass(frozen=True)
class Shape:
    """A record without its id and its secret."""

    members: tuple[tuple[bytes, bytes], ...]
    space: bytes

    def of(self, number_id: int) -> bytes:
        """The record's bytes; each personal text contains the number's id."""
        secret = b'"' + secret_of(number_id)
        colon, comma = self.space + b":" + self.space, self.space + b"," + self.space
        told = [
            (name, b"%d" % number_id if value == b"ID" else value.replace(b'"SECRET', secret))
            for name, value in self.members
        ]
        return b"{" + comma.join(b'"' + name + b'"' + colon + value for name, value in told) + b"}"


def secret_of(number_id: int) -> bytes:
    return b"secret-%d-" % number_id


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Shapes that are mostly usable records, and some that are not."""
    members = [(draw(st.sampled_from([b"id", b"id", b"\\u0069d", b"i\\u0064"])), b"ID")]
    for name in draw(st.permutations([*PLAIN, *PERSONAL])):
        if name in PLAIN:
            members.append((name, PLAIN[name]))
        else:
            members.append((name, b'"SECRET' + draw(TEXT)[1:]))
    for name in draw(st.lists(st.sampled_from([*UNKNOWN, b"comment"]), max_size=2)):
        members.append((name, draw(VALUE) if draw(st.booleans()) else b'["SECRET"]'))
    place = draw(st.integers(0, len(members) - 1))
    members.insert(place, members.pop(0))
    return Shape(tuple(members), draw(SPACE))


@st.composite
def days(draw: st.DrawFn, count: int) -> list[list[Shape]]:
    """The records of two days: some shapes, which many numbers share."""
    pool = draw(st.lists(shapes(), min_size=min(SHAPES, count), max_size=min(SHAPES, count)))
    dice = draw(st.randoms(use_true_random=False))
    return [[dice.choice(pool) for _ in range(count)] for _ in range(2)]


# -- one account from sync to erasure


def new_warehouse(template: Path, path: Path) -> Engine:
    """A copy of an empty SQLite warehouse."""
    shutil.copy(template, path)
    return open_warehouse(f"sqlite:///{path}")


def live(shapes_by_day: Sequence[Sequence[Shape]], template: Path, folder: Path) -> None:
    """Sync, archive, verify, replay, erase, verify, replay. Raises `AssertionError` when a check fails."""
    archive = folder / "archive"
    count = 2 * len(shapes_by_day[0]) + 2  # an account with mostly unusable records is not published
    world = World(seed=3, customers=[CustomerPlan(numbers=count)], role="customer")
    rig = Rig(world, new_warehouse(template, folder / "lived.db"), archive=archive)
    numbers = sorted(world.numbers(rig.only))[: len(shapes_by_day[0])]
    for shapes_of_day in shapes_by_day:
        for number_id, shape in zip(numbers, shapes_of_day, strict=True):
            world.put_raw(rig.only, number_id, shape.of(number_id))
        result = rig.sync()
        assert result.accounts[0].observed_at is not None, result.accounts[0].error
    head = _verified(archive)
    same = _replayed(archive, new_warehouse(template, folder / "again.db"))
    assert not same.mismatches, same.mismatches
    assert {a.chain_digest == a.archived_digest for a in same.accounts.values()} == {True}
    for number_id in numbers[:2]:
        _erase(rig, archive, number_id, head)
    done = _replayed(archive, new_warehouse(template, folder / "erased.db"))
    assert not done.failed, done.accounts
    assert {"personal content was erased" in d.what for d in done.mismatches.values()} <= {True}, done.mismatches
    restated = restate(chosen(archive), rig.engine, report=rig.events.append)
    assert not restated.differing, restated.differing


def _verified(archive: Path, head: str | None = None) -> str:
    kept = [] if head is None else [ArchiveHead(head.partition(":")[2], int(head.partition(":")[0]))]
    found = check_archive(archive, kept)
    assert not found.problems, found.problems
    assert found.head is not None
    return found.head


def _replayed(archive: Path, engine: Engine) -> Replayed:
    return replay(chosen(archive), engine, report=lambda _: None)


def _erase(rig: Rig, archive: Path, number_id: int, head: str) -> None:
    before = _bodies(archive)
    assert secret_of(number_id) in before
    erase_from_archive(archive, rig.only, number_id, now=rig.clock.now())
    erase_number(rig.engine, rig.only, number_id, now=rig.clock.now(), reason=None)
    after = _bodies(archive)
    assert secret_of(number_id) not in after
    others = [i for i in rig.world.numbers(rig.only) if secret_of(i) in before and i != number_id]
    assert all(before.count(secret_of(i)) == after.count(secret_of(i)) for i in others)
    assert _verified(archive, head) == head


def _bodies(archive: Path) -> bytes:
    layout = existing(archive)
    objects = Objects(layout)
    return b"".join(objects.get(digest) for digest in layout.digests())


def run(records: int, each: int, first: int, template: Path) -> int:
    """Try `records` records, `each` in an account. Returns how many were tried. Raises at the first failure."""
    tried = 0

    @seed(first)
    @settings(
        max_examples=max(1, records // (2 * each)),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(days(each))
    def try_one(drawn: list[list[Shape]]) -> None:
        nonlocal tried
        tried += sum(map(len, drawn))
        with tempfile.TemporaryDirectory(prefix="vnsync-records-") as folder:
            live(drawn, template, Path(folder))

    try_one()
    return tried


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--each", type=int, default=200, help="such records of an account on each of its two days")
    parser.add_argument("--seed", type=int, default=1)
    given_ = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vnsync-records-") as folder:
        template, start = Path(folder) / "template.db", time.monotonic()
        migrations.upgrade(open_warehouse(f"sqlite:///{template}"))
        tried = run(given_.records, given_.each, given_.seed, template)
    print(f"{tried} records synced, archived, replayed and erased from, in {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
