"""Customer of the world: its numbers in heap order, and the changes that can be made to them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from random import Random
from typing import Any

import msgspec

from etl.sandbox import names
from etl.sandbox.catalog import Catalog, NextId, Sizes
from etl.sandbox.records import (
    CATEGORIES,
    STATUSES,
    TYPES,
    Edition,
    Head,
    Row,
    Stamp,
    default_fields,
    encode,
    encode_row,
    select,
)

HEAP_CHUNK = 500  # numbers of one chunk; the chunks are out of order, and so are the numbers in each chunk
BATCHES = 400  # activation times: numbers are bought in batches
EDITABLE = frozenset(Head.__struct_fields__) - {"id"}

NextPhone = Callable[[str], str]
"""Function that returns an unused phone number with the digits of an area in front."""


class Customer:
    """The numbers, users and shared objects of one customer.

    Lookups raise KeyError for an id that is not this customer's.
    """

    def __init__(self, rng: Random, sizes: Sizes, next_id: NextId, next_phone: NextPhone, until: datetime) -> None:
        self.id = next_id("customer")
        self.name = ""
        self.timezone = ""
        self.user_ids: list[int] = []
        self.hidden: dict[int, frozenset[int]] = {}  # user id -> numbers that this user may not see
        self.child_customer_id: int | None = self.id  # the field of its records: null under a customer's own token
        self.rng = rng
        self.catalog = Catalog(rng, sizes, next_id)
        self._next_id, self._next_phone = next_id, next_phone
        self._area = rng.choice(names.AREAS)
        self._batches = [_moment(rng, until) for _ in range(BATCHES)]
        self._rows: dict[int, Row] = {}  # in heap order
        self._sorted: list[int] = []
        self._raw: dict[int, bytes] = {}
        self._replaced: dict[int, dict[str, Any]] = {}
        self._writes = 0

    # --- reading

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, number_id: object) -> bool:
        return number_id in self._rows

    def ids(self) -> list[int]:
        """The ids of the numbers, in heap order."""
        return list(self._rows)

    def rows(self) -> list[Row]:
        """All rows, in heap order."""
        return list(self._rows.values())

    def row(self, number_id: int) -> Row:
        """The row of a number."""
        return self._rows[number_id]

    def between(self, low: float, high: float) -> list[Row]:
        """The rows with low <= id <= high, in heap order."""
        return self.chosen(self._sorted[bisect_left(self._sorted, low) : bisect_right(self._sorted, high)])

    def chosen(self, ids: Iterable[int]) -> list[Row]:
        """The existing rows with these ids, in heap order; the ids must differ from each other."""
        rows = [self._rows[i] for i in ids if i in self._rows]
        rows.sort(key=attrgetter("position"))
        return rows

    def encode(self, rows: Sequence[Row], edition: Edition, fields: tuple[str, ...] | None = None) -> list[bytes]:
        """The records of `rows` as JSON, with the named fields or the edition's own."""
        stamp: Stamp = (self.catalog.renames, edition)
        if fields is not None and set(fields) != set(default_fields(edition)):
            return [self._partial(row, stamp, fields) for row in rows]
        if self._raw or self._replaced:
            return [self._special(row, stamp) for row in rows]
        return [encode_row(row, stamp) for row in rows]

    def _special(self, row: Row, stamp: Stamp) -> bytes:
        raw, replaced = self._raw.get(row.head.id), self._replaced.get(row.head.id)
        if raw is not None:
            return raw
        if replaced is None:
            return encode_row(row, stamp)
        return encode(select(row, stamp, default_fields(stamp[1])) | replaced)

    def _partial(self, row: Row, stamp: Stamp, fields: tuple[str, ...]) -> bytes:
        raw, replaced = self._raw.get(row.head.id), self._replaced.get(row.head.id, {})
        if raw is not None:
            return raw
        return encode(select(row, stamp, fields) | {k: v for k, v in replaced.items() if k in fields})

    # --- changing numbers

    def add(self, count: int) -> list[int]:
        """Add new numbers at the end of the heap. Returns their ids."""
        ids = [self._next_id("number") for _ in range(count)]
        self._insert(ids)
        return ids

    def fill(self, count: int) -> None:
        """Add the first numbers, in a heap that is out of order."""
        ids = [self._next_id("number") for _ in range(count)]
        chunks = [ids[n : n + HEAP_CHUNK] for n in range(0, count, HEAP_CHUNK)]
        self.rng.shuffle(chunks)
        for chunk in chunks:
            self.rng.shuffle(chunk)
        self._insert([number_id for chunk in chunks for number_id in chunk])

    def remove(self, number_id: int) -> None:
        """Remove the number: the customer has given it back, and no record of it is left."""
        del self._rows[number_id]
        del self._sorted[bisect_left(self._sorted, number_id)]
        self._raw.pop(number_id, None)
        self._replaced.pop(number_id, None)

    def edit(self, number_id: int, fields: dict[str, Any]) -> None:
        """Give fields new values, of any JSON type; names that a record does not have are added to it."""
        row = self._touch(number_id)
        for name, value in fields.items():
            if name in EDITABLE:
                setattr(row.head, name, value)
            else:
                self._replaced.setdefault(number_id, {})[name] = value

    def move(self, number_id: int, campaign_id: int | None) -> None:
        """Put the number into one campaign, or into none."""
        bundle = self.catalog.campaign_bundle(self.rng, campaign_id)
        self._touch(number_id).campaigns = bundle
        self._restore(number_id, "campaigns")

    def switch_rule(self, number_id: int, is_active: bool) -> None:
        """Turn the rule of the number's first scenario on or off; its place in the heap does not change."""
        row = self._rows[number_id]
        row.scenarios = self.catalog.switched(row.scenarios, is_active)

    def put_raw(self, number_id: int, raw: bytes) -> None:
        """Serve these bytes as the number's record, whichever fields are requested; they need not be JSON."""
        self._raw[self._rows[number_id].head.id] = raw

    def clear_raw(self, number_id: int | None = None) -> None:
        """Serve the true record of one number, or of all numbers, again."""
        for key in list(self._raw) if number_id is None else [number_id]:
            self._raw.pop(key, None)

    def truth(self, edition: Edition) -> list[dict[str, Any]]:
        """The decoded records, in heap order. Raises msgspec.DecodeError when raw bytes are not JSON."""
        return [msgspec.json.decode(record) for record in self.encode(self.rows(), edition)]

    def _touch(self, number_id: int) -> Row:
        row = self._rows.pop(number_id)
        self._rows[number_id] = row
        row.position = self._written()
        return row

    def _restore(self, number_id: int, name: str) -> None:
        replaced = self._replaced.get(number_id, {})
        replaced.pop(name, None)
        if not replaced:
            self._replaced.pop(number_id, None)

    def _written(self) -> int:
        self._writes += 1
        return self._writes

    def _insert(self, ids: list[int]) -> None:
        for number_id in ids:
            self._rows[number_id] = self._new_row(number_id)
        self._sorted += ids
        self._sorted.sort()

    def _new_row(self, number_id: int) -> Row:
        rng, chance = self.rng, self.rng.random()
        toll_free = chance < 0.1
        phone = self._next_phone(names.TOLL_FREE if toll_free else self._area)
        head = Head(
            id=number_id,
            child_customer_id=self.child_customer_id,
            virtual_phone_number=phone,
            redirection_phone_number=self._next_phone(self._area) if toll_free or chance > 0.95 else None,
            activation_date=None if chance > 0.98 else rng.choice(self._batches),
            status="active" if rng.random() < 0.92 else rng.choice(STATUSES),
            category="usual" if rng.random() < 0.8 else rng.choice(CATEGORIES),
            type=rng.choice(TYPES),
            comment=rng.choice(names.COMMENTS) if rng.random() < 0.2 else None,
            name=rng.choice(names.LABELS) if rng.random() < 0.3 else None,
        )
        return Row(head, self.catalog.draw_campaigns(rng), self.catalog.draw_scenarios(rng), self._written())


def _moment(rng: Random, until: datetime) -> str:
    return (until - timedelta(seconds=rng.randrange(10 * 365 * 86_400))).strftime("%Y-%m-%d %H:%M:%S")
