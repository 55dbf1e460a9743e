"""Fields of each listing: their types, whether they can be filtered and sorted, and how they are read."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter, itemgetter
from typing import Any, Literal

from msgspec import Struct

from etl.sandbox.records import CATEGORIES, STATUSES, TYPES, Edition

Kind = Literal["number", "text", "date", "enum", "array"]


class Column(Struct, frozen=True):
    """A field of a listing. `read` returns its value in a row of that listing."""

    name: str
    kind: Kind
    read: Callable[[Any], Any]
    filter: bool = True
    sort: bool = False
    values: tuple[str, ...] = ()  # of an enum


Columns = dict[str, Column]


def _head(name: str, kind: Kind, *, sort: bool = False, values: tuple[str, ...] = ()) -> Column:
    return Column(name, kind, attrgetter(f"head.{name}"), sort=sort, values=values)


def _item(name: str, kind: Kind) -> Column:
    return Column(name, kind, itemgetter(name), sort=kind != "array")


def _by_name(*columns: Column) -> Columns:
    return {column.name: column for column in columns}


_NEWER = _by_name(
    _head("id", "number"),
    _head("child_customer_id", "number", sort=True),
    _head("virtual_phone_number", "text"),
    _head("redirection_phone_number", "text"),
    _head("activation_date", "date"),
    _head("status", "enum", sort=True, values=STATUSES),
    _head("category", "enum", sort=True, values=CATEGORIES),
    _head("type", "enum", sort=True, values=TYPES),
    _head("comment", "text", sort=True),
    _head("name", "text", sort=True),
    Column("campaigns", "array", attrgetter("campaigns")),
    Column("scenarios", "array", attrgetter("scenarios")),
)
_OLDER = {name: c for name, c in _NEWER.items() if name not in ("child_customer_id", "comment", "name")}
NUMBERS: dict[Edition, Columns] = {"newer": _NEWER, "older": _OLDER}

CUSTOMERS = _by_name(
    _item("id", "number"),
    _item("name", "text"),
    _item("status", "text"),
    _item("description", "text"),
    _item("status_change_date_time", "date"),
    _item("tariff_plan_id", "number"),
    _item("tariff_plan_name", "text"),
    _item("monthly_base_limit", "number"),
    _item("monthly_base_notify_limit", "number"),
    _item("monthly_calls_limit", "number"),
    _item("monthly_calls_notify_limit", "number"),
    _item("daily_calls_limit", "number"),
    _item("daily_calls_notify_limit", "number"),
    _item("sites", "array"),
)
USERS = _by_name(
    _item("id", "number"),
    _item("login", "text"),
    _item("name", "text"),
    _item("description", "text"),
    _item("customer_id", "number"),
)
ACCOUNT = _by_name(_item("app_id", "number"), _item("name", "text"), _item("timezone", "text"))
