"""Described tables and views: names, types and sentences, as `relations` gathers them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct
from sqlalchemy.types import TypeEngine

from etl.domain.meaning import Meaning


class RelationKind(StrEnum):
    """Kinds of tables and views. `service`: tables that say how rows came, and that the next run needs."""

    ACCOUNTS = "accounts"
    CURRENT = "current"
    ANSWERS = "answers"
    HISTORY = "history"
    CLOSED = "closed"
    SERVICE = "service"


class RelationColumn(Struct, frozen=True, kw_only=True):
    """Column of a relation; `key`: whether it is a part of the primary key."""

    name: str
    type: TypeEngine[Any]
    meaning: Meaning
    key: bool = False


class Link(Struct, frozen=True, kw_only=True):
    """Reference of columns to the columns of another table; enforced by the database or proved by `verify`."""

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]


class Relation(Struct, frozen=True, kw_only=True):
    """Table or view; `sentence`: about its rows."""

    name: str
    kind: RelationKind
    sentence: str
    columns: tuple[RelationColumn, ...]
    links: tuple[Link, ...] = ()

    @property
    def is_view(self) -> bool:
        """Whether it is a view."""
        return self.kind in (RelationKind.HISTORY, RelationKind.ANSWERS)
