"""Kinds of definitions that are found in a database."""

from __future__ import annotations

from msgspec import Struct

Definitions = dict[tuple[str, str], str]
"""Definitions of vnsync's objects, by kind and name."""


class Found(Struct, frozen=True, kw_only=True):
    """Definitions found. `harmful`: others' additions that can make vnsync's data wrong; `harmless`: other triggers."""

    definitions: Definitions
    harmful: tuple[str, ...]
    harmless: tuple[str, ...]
