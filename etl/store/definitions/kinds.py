"""What a look at a database's definitions gives."""

from __future__ import annotations

from dataclasses import dataclass

Definitions = dict[tuple[str, str], str]
"""Definition by kind and name, of what vnsync makes."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """`harmful`: additions of others that can make what vnsync reads or writes wrong; `harmless`: their others."""

    definitions: Definitions
    harmful: tuple[str, ...]
    harmless: tuple[str, ...]
