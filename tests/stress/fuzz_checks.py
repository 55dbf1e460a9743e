"""Checks of the outcome of a spoiled answer: correct rows, a quarantined record with a reason, or a `VnsyncError`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

import msgspec

from etl.domain.json_spans import DEEPEST
from etl.domain.tables import TABLES, Kind, Table
from etl.errors import VnsyncError
from etl.extract import answers
from etl.extract.accounts import discover
from etl.extract.answers import Result
from etl.extract.api_errors import day_limit
from etl.extract.listing import Listing
from etl.extract.page import Page, Record
from etl.extract.points import Points, minute_pause
from etl.transform.decode import Decoded, Rejected, decode
from etl.transform.drift import LONGEST_VALUE, DriftLog
from etl.transform.normalize import Normalizer
from etl.transform.records import EXTRA
from tests.stress.fuzz_inputs import REQUEST_ID

MOST_REQUESTS = 400
LARGEST = 2**63
LONGEST_REASON = 600
LONGEST_WHOLE = 4_300
"""Digits of the longest whole number that Python reads."""


class Source:
    """Source that gives the same answer to every call, if vnsync accepts it."""

    def __init__(self, body: bytes) -> None:
        self._body, self.asked, self.points = body, 0, Points()

    def call(self, _method: str, _params: dict[str, Any] | None = None, *, known: bytes = b"") -> Result:
        """The result, decoded by the product's decoder."""
        self.asked += 1
        assert self.asked <= MOST_REQUESTS, "it asks for ever"
        result = answers.decode(self._body, REQUEST_ID, known=known)
        if isinstance(result.metadata, dict):
            self._hear(result.metadata.get("limits"))
        return result

    def _hear(self, limits: object) -> None:
        points = Points()
        points.received(limits)
        _ = points.left, points.day_left(), points.before_request()
        if isinstance(limits, dict):
            minute_pause(limits.get("minute_reset"))
            day_limit(limits.get("day_reset"))

    def afford(self, _requests: int) -> None:
        """Allow every request: there are always points."""

    def notice(self, message: str) -> None:
        """Ignore a notice."""
        _storable_text(message, "a notice")


Decoder = Callable[[Collection[Record], DriftLog], Decoded]


def examine(body: bytes, decoder: Decoder = decode) -> str:
    """Outcome of an answer, in a word or two. Exceptions that must not occur are let through."""
    source: Any = Source(body)  # used in place of a DataApi
    for other in (lambda: discover(source), lambda: answers.decode_login(body, REQUEST_ID)):
        try:
            other()
        except VnsyncError as exc:
            _check_error(exc)
    try:
        return _listed(body, decoder)
    except VnsyncError as exc:
        _check_error(exc)
        return f"refused: {type(exc).__name__}"


def _check_error(exc: VnsyncError) -> None:
    _storable_text(str(exc), "an error")
    _storable_text(exc.remedy, "a remedy")
    assert len(str(exc)) < 2000, "an error as long as the answer"


def _listed(body: bytes, decoder: Decoder) -> str:
    listing = Listing(Source(body), user_id=None, known=[])  # type: ignore[arg-type]  # a stand-in
    drift = DriftLog()
    normalizer = Normalizer(drift)
    usable = rejected = 0
    for page in listing.pages():
        decoded = decoder([*page.records.values(), *page.unreadable], drift)
        _check_decoded(decoded, page)
        _check_rows(normalizer.rows(decoded.numbers))
        usable, rejected = usable + len(decoded.numbers), rejected + len(decoded.rejected)
    listing.prove([1, 2, 3])
    _check_rows(normalizer.shared_rows())
    _check_drift(drift)
    kept_out = ("all kept out" if not usable else "some kept out") if rejected else "read"
    return kept_out if usable or rejected else "empty"


# -- records


def _check_decoded(decoded: Decoded, page: Page) -> None:
    whole = [r for r in decoded.rejected if r.whole]
    assert len(decoded.numbers) + len(whole) == len(page.records) + len(page.unreadable), "a record is lost"
    refused: dict[int | None, list[Rejected]] = {}
    for rejected in decoded.rejected:
        refused.setdefault(rejected.virtual_number_id, []).append(rejected)
        _check_rejected(rejected)
    for number in decoded.numbers:
        _check_faithful(number, _usable_part(bytes(page.records[number.id]), refused.get(number.id, ())))


class _Twice(dict[str, Any]):
    """An object with a key that comes twice."""


def _usable_part(record: bytes, refused: Iterable[Rejected]) -> dict[str, Any]:
    """The record as Python reads it, without the refused elements; no key comes twice in the rest."""
    sent = json.loads(record.decode("utf-8", "replace"), object_pairs_hook=_pairs, parse_constant=_no, parse_int=_whole)
    for rejected in refused:
        found = _PLACE.match(rejected.path)
        assert found is not None, f"{rejected.path} is the place of no element"
        array, at, blocks, block = found.groups()
        if blocks is None:
            sent[array][int(at)] = _REFUSED
        else:
            sent[array][int(at)][blocks][int(block)] = _REFUSED
    usable: dict[str, Any] = _without_refused(sent)
    return usable


_PLACE = re.compile(r"^\$\.(campaigns|scenarios)\[(\d+)\](?:\.(site_blocks)\[(\d+)\])?")
_REFUSED = object()


def _without_refused(value: Any) -> Any:
    assert not isinstance(value, _Twice), "a key that came twice was accepted"
    if isinstance(value, dict):
        return {name: _without_refused(item) for name, item in value.items()}
    return [_without_refused(i) for i in value if i is not _REFUSED] if isinstance(value, list) else value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(pairs) if len({name for name, _ in pairs}) == len(pairs) else _Twice(pairs)


def _whole(digits: str) -> int | str:
    """A number as an int. With more digits than Python reads, a text: only a refused element can have it."""
    return digits if len(digits) > LONGEST_WHOLE else int(digits)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({name for name, _ in pairs}) == len(pairs), "a key that came twice was accepted"
    return dict(pairs)


def _no(constant: str) -> None:
    raise AssertionError(f"{constant} was accepted")


def _check_faithful(struct: Any, sent: dict[str, Any]) -> None:
    """Each field has the value and type that were sent; fields that were not sent are unset; the rest is in `extra`."""
    rest = dict(sent)
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        if field.encode_name == EXTRA:
            continue
        if field.encode_name not in sent:
            assert value is msgspec.UNSET, f"{field.name} is invented"
            continue
        wanted = rest.pop(field.encode_name)
        assert type(value) is type(wanted), f"{field.name}: {wanted!r} became {value!r}"
        if isinstance(value, list):
            for inner, its in zip(value, wanted, strict=True):
                _check_faithful(inner, its)
        else:
            assert value == wanted, f"{field.name}: {wanted!r} became {value!r}"
    assert _same(struct.extra or {}, rest), "unknown fields are not kept"


def _same(kept: Any, sent: Any) -> bool:
    """Whether the values are equal. 1e300 may have become a whole number: the same double, or the same int."""
    if isinstance(kept, dict) and isinstance(sent, dict):
        return kept.keys() == sent.keys() and all(_same(kept[name], sent[name]) for name in kept)
    if isinstance(kept, list) and isinstance(sent, list):
        return len(kept) == len(sent) and all(map(_same, kept, sent))
    if isinstance(sent, float):
        return not isinstance(kept, bool) and float(kept) == sent
    return type(kept) is type(sent) and bool(kept == sent)


def _check_rejected(rejected: Rejected) -> None:
    assert rejected.path, "kept out without a place"
    assert rejected.reason, "kept out without a reason"
    assert len(rejected.reason) < LONGEST_REASON, "a reason as long as the record"
    for text in (rejected.path, rejected.reason, rejected.record.decode("utf-8", "backslashreplace")):
        _storable_text(text, "what is kept in quarantine")
    number_id = rejected.virtual_number_id
    assert number_id is None or -LARGEST <= number_id < LARGEST, "an id that no column holds"


# -- rows

_BY_NAME = {table.name: table for table in TABLES}


def _check_rows(tables: dict[str, list[tuple[Any, ...]]]) -> None:
    for name, rows in tables.items():
        table = _BY_NAME[name]
        keys = [row[: len(table.key)] for row in rows]
        assert len(keys) == len(set(keys)), f"{name}: a key comes twice"
        for row in rows:
            _check_row(table, row)


def _check_row(table: Table, row: tuple[Any, ...]) -> None:
    values: Collection[Any] = row
    if table.values:
        *values, missing = row
        assert type(missing) is int, "the bits of what is missing"
    for column, value in zip(table.columns, values, strict=True):
        if value is None:
            assert column not in table.key, f"{table.name}.{column.name} is null"
        else:
            _KINDS[column.kind](value, f"{table.name}.{column.name}")


def _integer(value: object, where: str) -> None:
    assert type(value) is int, f"{where}: {value!r}"
    assert -LARGEST <= value < LARGEST, f"{where} is beyond 64 bits"


def _storable_text(value: object, where: str) -> None:
    assert type(value) is str, f"{where}: {value!r}"
    value.encode()
    assert "\0" not in value, f"U+0000 in {where}"


def _boolean(value: object, where: str) -> None:
    assert type(value) is bool, f"{where}: {value!r}"


def _json(value: object, where: str) -> None:
    _storable_text(value, where)
    assert isinstance(value, str)
    assert _depth(json.loads(value, object_pairs_hook=_once, parse_constant=_no)) <= DEEPEST, f"{where} is too deep"


def _depth(value: Any) -> int:
    inner: Iterable[Any] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return int(isinstance(value, dict | list)) + max(map(_depth, inner), default=0)


_KINDS = {Kind.INTEGER: _integer, Kind.TEXT: _storable_text, Kind.BOOLEAN: _boolean, Kind.JSON: _json}


def _check_drift(drift: DriftLog) -> None:
    for seen in drift.seen:
        for text in (seen.path, seen.value):
            _storable_text(text, "the drift")
            assert len(text) <= LONGEST_VALUE, "too long for an index"
