"""Pure: fields of a version pair that the source reported for the first time, apart from those that changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from etl.domain import tables as declared
from etl.read.change_kinds import Pair

EXTRA = "extra"


def newly_known(pair: Pair) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values of a changed pair that are known now, by field, and its `after` as it were without them."""
    return known_values(declared.BY_NAME[pair.table], pair.before or {}, pair.after or {}, pair.reported)


def known_values(
    table: declared.Table, before: Mapping[str, Any], after: Mapping[str, Any], reported: Collection[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same of two states of a row. `reported`: paths that the later observation reported for the first time.

    A value is known now where there was none, which is null, or 0 in a key, and its field is among `reported`. Fields
    that are not documented go by their names within `extra`.
    """
    known: dict[str, Any] = {}
    if not reported:
        return known, dict(after)
    for column in table.columns:
        name, nothing = column.name, 0 if column in table.key else None
        if before.get(name) == nothing != after.get(name) and table.path_of(name) in reported:
            known[name] = after[name]
    had, has = before.get(EXTRA) or {}, after.get(EXTRA) or {}
    known |= {name: value for name, value in has.items() if name not in had and table.path_of(name) in reported}
    return known, without(after, known) | dict.fromkeys(known.keys() & set(table.key_names), 0)


def without(values: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """A row's values with null for the fields that are `known`, those within `extra` left out."""
    rest = {name: None if name in known else value for name, value in values.items()}
    if extra := rest.get(EXTRA):
        rest[EXTRA] = {name: value for name, value in extra.items() if name not in known} or None
    return rest
