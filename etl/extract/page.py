"""Page: one answer of the listing, split into records whose bytes stay as received. Only their ids are decoded."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from etl.domain.bounds import LARGEST_TEXT, MOST_VALUES, UNCOUNTED, text_size
from etl.domain.decimals import decimal, shortest_notation
from etl.domain.excess import stand_in
from etl.domain.fingerprints import DIGEST, Records, WindowPrint
from etl.domain.tables import METHOD
from etl.domain.text import storable
from etl.domain.windows import HIGHEST_ID, LOWEST_ID, Window
from etl.errors import SourceUnusable
from etl.extract.answers import Result, digest_of

CONTROL_IDS = 3
"""How many ids from the beginning of a page may serve as control ids."""
MADE_STORABLE = b"\0"
"""Prefix of the digested bytes of an answer that is readable only in `storable` form: no JSON begins with it."""
MOST_NUMBERS = 50_000_000
"""More numbers than any account has: a larger `total_items` counts as absent."""


class _WithId(msgspec.Struct, gc=False):
    id: int


_split = msgspec.json.Decoder(list[msgspec.Raw])
_ids = msgspec.json.Decoder(list[_WithId])
_id = msgspec.json.Decoder(_WithId)

Record = bytes | msgspec.Raw
"""One record's JSON as the source sent it, with two exceptions: characters that databases cannot hold (`storable`), and
records that are too large to be read (`stand_in`)."""


class Page(Struct, frozen=True):
    """Records of one answer, each number once: `records` by id; `unreadable` those without a usable id.

    `ids`: in the order of the answer; `digests`: of the bytes that were sent for each of them, end to end (or of their
    storable form, see `MADE_STORABLE`). Records with the same bytes as in `before` appear only in `ids` and `digests`;
    `places` identifies them. `is_unchanged`: the whole answer has the same bytes, so none of it was decoded.
    """

    records: dict[int, Record]
    unreadable: list[Record]
    total: int | None
    ids: Sequence[int]
    duplicates: int = 0
    conflicts: int = 0
    window: Window | None = None
    digest: bytes = b""
    digests: bytes = b""
    places: Sequence[int | None] = ()
    """For each of `ids`, if they were compared: the position of its bytes in the records of `before`; None: absent."""
    known: Records | None = None
    """The records of `before`, if any were compared with them."""
    before: WindowPrint | None = None
    is_unchanged: bool = False

    @property
    def rows(self) -> int:
        """How many rows the answer had."""
        return self.before.numbers if self.is_unchanged and self.before else len(self.ids) + len(self.unreadable)

    @property
    def numbers(self) -> int:
        """How many numbers the answer had; a number that came twice counts once."""
        return self.rows if self.is_unchanged else len(self.records) + self.unchanged + len(self.unreadable)

    @property
    def unchanged(self) -> int:
        """How many records are left out because their bytes are unchanged."""
        return len(self.places) - self.places.count(None)

    @property
    def control_ids(self) -> tuple[int, ...]:
        """Some ids of the answer, from its beginning and its end."""
        if self.is_unchanged and self.before:
            return self.before.control_ids
        ids = self.ids
        return (*ids[: CONTROL_IDS * 3 : 3], *ids[-1:])


def read_page(answer: Result, limit: int, before: WindowPrint | None = None) -> Page:
    """The page in an answer to a request for `limit` rows. Records that are unchanged since `before` are not decoded.

    Raises `SourceUnusable` if the answer is no list, or too long.
    """
    data, total = answer.data, read_total(answer.metadata)
    digest = answer.digest or digest_of(MADE_STORABLE + bytes(data) if answer.storable else data)
    if before is not None and before.digest == digest and before.numbers == total and total < limit:
        return Page({}, [], total, [], digest=digest, before=before, is_unchanged=True)
    raws = _records(data)
    if len(raws) > limit:
        raise SourceUnusable(f"{METHOD} answered {len(raws)} rows where at most {limit} were asked for")
    if len(data) > UNCOUNTED and sum(text_size(bytes(raw)) for raw in raws) > LARGEST_TEXT:
        raise SourceUnusable(f"the texts of the answer take more than {LARGEST_TEXT // 2**20} MiB of memory")
    digests = _digests(raws, answer)
    keep = bytes if answer.storable else _kept
    page = _compared(raws, digests, total, before, keep) if before is not None and not before.drift_entries else None
    if page is None:
        sent = bytes(data)
        text = keep(sent)
        kept = raws if text is sent else _records(text)
        ids = _read_ids(text, kept)
        page = _each_once(_bounded(kept, ids), digests, ids, total)
    return replace(page, digest=digest)


def _digests(raws: list[msgspec.Raw], answer: Result) -> list[bytes]:
    sha256 = hashlib.sha256
    if answer.storable:
        return [sha256(MADE_STORABLE + bytes(raw)).digest()[:DIGEST] for raw in raws]
    return [sha256(raw).digest()[:DIGEST] for raw in raws]


def _kept(sent: bytes | msgspec.Raw) -> bytes:
    return storable(bytes(sent))


def _bounded(records: list[msgspec.Raw], ids: Sequence[int | None]) -> list[Record]:
    """The records, with a stand-in for each one that is too large."""
    if max(map(len, records), default=0) <= MOST_VALUES:
        return list(records)
    return [_readable(record, number_id) for record, number_id in zip(records, ids, strict=True)]


def _readable(record: Record, number_id: int | None) -> Record:
    return record if len(record) <= MOST_VALUES else stand_in(bytes(record), number_id) or record


def _records(data: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    try:
        return _split.decode(data)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise SourceUnusable(f"the answer of {METHOD} cannot be read: {exc}") from exc


def read_total(metadata: object) -> int | None:
    """How many rows match, as the answer reports; None if it does not, or not usably."""
    total = metadata.get("total_items") if isinstance(metadata, dict) else None
    usable = isinstance(total, int) and not isinstance(total, bool) and 0 <= total <= MOST_NUMBERS
    return total if usable else None


def _compared(
    raws: list[msgspec.Raw],
    digests: list[bytes],
    total: int | None,
    before: WindowPrint,
    keep: Callable[[msgspec.Raw], bytes],
) -> Page | None:
    """The page without the records whose bytes are unchanged; None if a number may have come twice."""
    known = before.records()
    places = list(map(known.places().get, digests))
    changed = {at: _usable(_read_id(raws[at])) for at, place in enumerate(places) if place is None}
    readable = [at for at in range(len(raws)) if at not in changed or changed[at] is not None]
    if len(readable) < len(raws):
        digests, places = [digests[at] for at in readable], [places[at] for at in readable]
    new = (number_id for number_id in changed.values() if number_id is not None)
    ids = array("q", [known.ids[place] if place is not None else next(new) for place in places])
    if len(set(ids)) < len(ids):
        return None
    return Page(
        records={i: _readable(keep(raws[at]), i) for at, i in changed.items() if i is not None},
        unreadable=[_readable(keep(raws[at]), None) for at, i in changed.items() if i is None],
        total=total,
        ids=ids,
        digests=b"".join(digests),
        places=places,
        known=known,
        before=before,
    )


def _each_once(raws: Sequence[Record], digests: list[bytes], ids: list[int | None], total: int | None) -> Page:
    """The page with each number once: of two records of one number the more complete one, whichever came first."""
    records: dict[int, Record] = {}
    unreadable: list[Record] = []
    duplicates = conflicts = 0
    for number_id, raw in zip(ids, raws, strict=True):
        if number_id is None:
            unreadable.append(raw)
        elif (other := records.setdefault(number_id, raw)) is not raw:
            one, two = _copy(other), _copy(raw)
            same = one.content == two.content
            duplicates, conflicts = duplicates + same, conflicts + (not same)
            records[number_id] = raw if two < one else other
    readable = [i for i in ids if i is not None]
    if unreadable:
        digests = [digest for i, digest in zip(ids, digests, strict=True) if i is not None]
    return Page(records, unreadable, total, readable, duplicates, conflicts, digests=b"".join(digests))


class _Copy(NamedTuple):
    """One of several records of one number. They sort by preference: the lowest is taken.

    `filled`, `reported`: the fields with a value, and all fields, both as negative counts.

    A field with a value is preferred to one that is null or empty, at the top of the record first, then at any depth.
    Of equally complete copies the one whose content sorts first is taken, whichever came first.
    """

    unreadable: bool
    filled: int
    reported: int
    nulls: int
    content: bytes
    """The record in one order of keys and elements: the source may send the same record in another order next time."""
    sent: bytes


def _copy(raw: Record) -> _Copy:
    sent = bytes(raw)
    try:
        fields = _exact.decode(sent)
        content = _encode(_ordered(fields))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Copy(True, 0, 0, 0, sent, sent)
    filled = sum(value is not None and value != [] and value != {} for value in fields.values())
    return _Copy(False, -filled, -len(fields), _nulls(fields), content, sent)


def _nulls(value: object) -> int:
    """How many nulls a value holds, at any depth."""
    if isinstance(value, dict):
        return sum(map(_nulls, value.values()))
    return sum(map(_nulls, value)) if isinstance(value, list) else value is None


def _ordered(value: object) -> object:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return sorted(map(_ordered, value), key=_encode)
    return value


def _shortest(sent: str) -> Decimal:
    return decimal(shortest_notation(sent))


_exact = msgspec.json.Decoder(float_hook=_shortest)
_encode = msgspec.json.Encoder(decimal_format="number").encode


def _read_ids(data: bytes, raws: list[msgspec.Raw]) -> list[int | None]:
    """Each record's id; None if it has none that a 64-bit column can hold."""
    try:
        ids: list[int | None] = [r.id for r in _ids.decode(data)]
    except (msgspec.DecodeError, RecursionError):
        ids = [_read_id(raw) for raw in raws]
    return [_usable(i) for i in ids]


def _usable(number_id: int | None) -> int | None:
    return number_id if number_id is not None and LOWEST_ID <= number_id <= HIGHEST_ID else None


def _read_id(raw: msgspec.Raw) -> int | None:
    try:
        return _id.decode(raw).id
    except (msgspec.DecodeError, RecursionError):
        return None
