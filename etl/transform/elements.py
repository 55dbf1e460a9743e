"""Unusable elements of a record: taken out of it, so that the number and its other rows are still recorded.

A record is split into elements only after it was refused as a whole, so well-formed records cost nothing.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from etl.domain import tables
from etl.domain.json_spans import DEEPEST
from etl.transform.check import UNREADABLE, checked
from etl.transform.extras import CHILDREN
from etl.transform.records import Campaign, Number, Scenario, SiteBlock
from etl.transform.repeats import members

_LEVELS = 2
"""Levels of nesting between an object and an element of it: the array and the element itself."""
_KEPT_OPEN: dict[type[msgspec.Struct], tuple[str, ...]] = {
    Campaign: (tables.NUMBER_CAMPAIGNS.name, tables.NUMBER_SITE_BLOCKS.name),
    SiteBlock: (tables.NUMBER_SITE_BLOCKS.name,),
    Scenario: (tables.NUMBER_SCENARIOS.name,),
}
_elements = msgspec.json.Decoder(list[msgspec.Raw])
_encode = msgspec.json.Encoder().encode


class RefusedElement(Struct, frozen=True, kw_only=True):
    """Element that cannot be used: its path in the record, msgspec's message, and its JSON as sent.

    `keeps_open`: tables in which it may stand for any row of the number, so rows not seen again stay open.
    """

    path: str
    message: str
    sent: bytes
    keeps_open: tuple[str, ...]


def without_refused(record: bytes) -> tuple[bytes, list[RefusedElement]]:
    """The record's JSON without its unusable elements, and a list of these. Raises one of `UNREADABLE`."""
    refused: list[RefusedElement] = []
    return _without(record, Number, "$", DEEPEST, refused), refused


def _without(sent: bytes, kind: type[msgspec.Struct], path: str, deepest: int, refused: list[RefusedElement]) -> bytes:
    fields = members(sent)
    for name, child in CHILDREN.get(kind, ()):
        array = bytes(fields.get(name, b""))
        if array[:1] == b"[":
            elements = enumerate(map(bytes, _elements.decode(array)))
            kept = (_usable(e, child, f"{path}.{name}[{i}]", deepest - _LEVELS, refused) for i, e in elements)
            fields[name] = msgspec.Raw(b"[" + b",".join(e for e in kept if e is not None) + b"]")
    return _encode(fields)


def _usable(
    sent: bytes, kind: type[msgspec.Struct], path: str, deepest: int, refused: list[RefusedElement]
) -> bytes | None:
    """The element as sent, or without its own unusable elements; None if it was refused."""
    within: list[RefusedElement] = []
    try:
        usable = _checked_in_parts(sent, kind, path, deepest, within)
    except UNREADABLE as exc:
        message = str(exc).replace(" - at `$", f" - at `{path}")
        message = message if f" - at `{path}" in message else f"{message} - at `{path}`"
        refused.append(RefusedElement(path=path, message=message, sent=sent, keeps_open=_KEPT_OPEN[kind]))
        return None
    refused += within
    return usable


def _checked_in_parts(
    sent: bytes, kind: type[msgspec.Struct], path: str, deepest: int, refused: list[RefusedElement]
) -> bytes:
    try:
        checked(sent, kind, deepest)
    except UNREADABLE:
        if kind not in CHILDREN:
            raise
        sent = _without(sent, kind, path, deepest, refused)
        checked(sent, kind, deepest)
    return sent
