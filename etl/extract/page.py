"""One answer of the listing, split into records whose bytes stay as they came: no more of it is read than each id."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from etl.errors import SourceUnusable

METHOD = "get.virtual_numbers"
MOST_NUMBERS = 50_000_000
"""More than any account holds: a larger `total_items` is none."""


class _WithId(msgspec.Struct, gc=False):
    id: int


_split = msgspec.json.Decoder(list[msgspec.Raw])
_ids = msgspec.json.Decoder(list[_WithId])
_id = msgspec.json.Decoder(_WithId)

Record = bytes | msgspec.Raw
"""One record's JSON as the source sent it."""


@dataclass(frozen=True)
class Page:
    """Records of one answer, each number once: `records` by id, `unreadable` those without a usable id."""

    records: dict[int, Record]
    unreadable: list[Record]
    total: int | None
    ids: list[int]
    duplicates: int = 0
    conflicts: int = 0

    @property
    def rows(self) -> int:
        """How many rows the answer had."""
        return len(self.ids) + len(self.unreadable)


def read_page(data: msgspec.Raw, metadata: object, limit: int) -> Page:
    """The page in an answer to a request for `limit` rows. Raises `SourceUnusable` when it is no list, or too long."""
    try:
        raws = _split.decode(data)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise SourceUnusable(f"{METHOD} answered what cannot be read: {exc}") from exc
    if len(raws) > limit:
        raise SourceUnusable(f"{METHOD} answered {len(raws)} rows where at most {limit} were asked for")
    total = metadata.get("total_items") if isinstance(metadata, dict) else None
    usable = isinstance(total, int) and not isinstance(total, bool) and 0 <= total <= MOST_NUMBERS
    return _each_once(raws, _read_ids(data, raws), total if usable else None)


def _each_once(raws: list[msgspec.Raw], ids: list[int | None], total: int | None) -> Page:
    """The page with each number once: of two records of one number, the one that sorts first, in any order."""
    records: dict[int, Record] = {}
    unreadable: list[Record] = []
    duplicates = conflicts = 0
    for number_id, raw in zip(ids, raws, strict=True):
        if number_id is None:
            unreadable.append(raw)
        elif (other := records.setdefault(number_id, raw)) is not raw:
            one, two = _canonical(other), _canonical(raw)
            same = one == two
            duplicates, conflicts = duplicates + same, conflicts + (not same)
            records[number_id] = raw if two < one else other
    return Page(records, unreadable, total, [i for i in ids if i is not None], duplicates, conflicts)


def _canonical(raw: Record) -> bytes:
    """A record's content in one order of keys and elements: the source may send the same in another one tomorrow."""
    try:
        return _encode(_ordered(msgspec.json.decode(raw)))
    except (msgspec.DecodeError, RecursionError):
        return bytes(raw)


def _ordered(value: object) -> object:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return sorted(map(_ordered, value), key=_encode)
    return value


_encode = msgspec.json.Encoder().encode
_LARGEST = 2**63


def _read_ids(data: msgspec.Raw, raws: list[msgspec.Raw]) -> list[int | None]:
    """Each record's id; None where there is none that a 64-bit column can hold."""
    try:
        ids: list[int | None] = [r.id for r in _ids.decode(data)]
    except (msgspec.DecodeError, RecursionError):
        ids = [_read_id(raw) for raw in raws]
    return [i if i is not None and -_LARGEST <= i < _LARGEST else None for i in ids]


def _read_id(raw: msgspec.Raw) -> int | None:
    try:
        return _id.decode(raw).id
    except (msgspec.DecodeError, RecursionError):
        return None
