"""Fields of a version pair that the source reported for the first time, apart from changed ones. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from etl.domain import tables as declared
from etl.read.change_kinds import Pair

EXTRA = "extra"


def newly_known(pair: Pair) -> tuple[dict[str, Any], dict[str, Any]]:
    """(newly known values of a changed pair, by field; its `after` without them)."""
    return known_values(declared.BY_NAME[pair.table], pair.before or {}, pair.after or {}, pair.reported)


def known_values(
    table: declared.Table, before: Mapping[str, Any], after: Mapping[str, Any], reported: Collection[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """As `newly_known`, for two states of a row. `reported`: paths that the later observation reported first.

    A value is newly known if it was empty before (null, or 0 in a key) and its field is among `reported`. Undocumented
    fields have their names within `extra`.
    """
    known: dict[str, Any] = {}
    if not reported:
        return known, dict(after)
    for column in table.columns:
        name, empty = column.name, 0 if column in table.key else None
        if before.get(name) == empty != after.get(name) and table.path_of(name) in reported:
            known[name] = after[name]
    had, has = before.get(EXTRA) or {}, after.get(EXTRA) or {}
    known |= {name: value for name, value in has.items() if name not in had and table.path_of(name) in reported}
    return known, without(after, known) | dict.fromkeys(known.keys() & set(table.key_names), 0)


def without(values: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """A row's values with null for the fields `known`; those within `extra` are left out."""
    rest = {name: None if name in known else value for name, value in values.items()}
    if extra := rest.get(EXTRA):
        rest[EXTRA] = {name: value for name, value in extra.items() if name not in known} or None
    return rest
