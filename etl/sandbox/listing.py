"""Page of a listing: the paging parameters of the verb `get`, by which rows are filtered, sorted and cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from etl.sandbox.columns import Column, Columns
from etl.sandbox.customer import Customer
from etl.sandbox.failures import Failure
from etl.sandbox.filters import Node, parse, restrict_ids
from etl.sandbox.records import ON_REQUEST, Edition, Row, encode

PARAMETERS = frozenset({"limit", "offset", "filter", "fields", "sort"})
DEFAULT_LIMIT = 1000


class Caps(Struct, frozen=True):
    """The largest `limit` and `offset`, in rows, and the fields that may not be filtered on."""

    max_limit: int
    max_offset: int
    prohibited: frozenset[str] = frozenset()


class Query(Struct, frozen=True):
    """Checked query of a listing. `fields`: None means the listing's default fields."""

    limit: int
    offset: int
    filter: Node | None
    sort: tuple[tuple[Column, bool], ...]  # column, descending
    fields: tuple[str, ...] | None


class Page(Struct, frozen=True):
    """Answer to a query: encoded records, the `total` for the metadata, and a maker of another customer's record."""

    rows: list[bytes]
    total: Any
    foreign: Callable[[], bytes] | None = None

    def with_rows(self, rows: list[bytes]) -> Page:
        """The page with other records."""
        return replace(self, rows=rows)


def parse_query(params: dict[str, Any], columns: Columns, caps: Caps) -> Query:
    """The checked paging parameters. A null parameter or an empty filter, `fields` or `sort` counts as absent."""
    params = {name: value for name, value in params.items() if value is not None}
    tree = params.get("filter", {})
    return Query(
        limit=_whole(params, "limit", DEFAULT_LIMIT, 1, caps.max_limit),
        offset=_whole(params, "offset", 0, 0, caps.max_offset),
        filter=None if tree == {} else parse(tree, columns, caps.prohibited),
        sort=_sort(params.get("sort", []), columns),
        fields=_fields(params.get("fields", []), columns),
    )


def list_numbers(customer: Customer, query: Query, edition: Edition, hidden: frozenset[int]) -> Page:
    """A page of a customer's numbers, without the numbers that are hidden from the user."""
    rows = _matching(customer, query.filter)
    if hidden:
        rows = [row for row in rows if row.head.id not in hidden]
    return Page(customer.encode(_cut(rows, query), edition, query.fields), len(rows))


def list_records(records: list[dict[str, Any]], query: Query) -> Page:
    """A page of plain records."""
    if query.filter is not None:
        records = list(filter(query.filter.predicate(), records))
    page = _cut(records, query)
    if query.fields is not None:
        page = [{name: value for name, value in record.items() if name in query.fields} for record in page]
    return Page([encode(record) for record in page], len(records))


def with_fields(records: list[dict[str, Any]], columns: Columns) -> list[dict[str, Any]]:
    """The records with all fields of the listing; fields that a record lacks are null or []."""
    absent: dict[str, Any] = {column.name: [] if column.kind == "array" else None for column in columns.values()}
    return [absent | record for record in records]


def decode_row(row: bytes) -> dict[str, Any]:
    """An encoded record as an object; empty if it is not a JSON object."""
    try:
        return msgspec.json.decode(row, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _matching(customer: Customer, node: Node | None) -> list[Row]:
    if node is None:
        return customer.rows()
    ids = restrict_ids(node)
    if ids is None:
        return list(filter(node.predicate(), customer.rows()))
    if ids.chosen is None:
        rows = customer.between(ids.low, ids.high)
    else:
        rows = customer.chosen(i for i in ids.chosen if ids.low <= i <= ids.high)
    return rows if ids.rest is None else list(filter(ids.rest, rows))


def _cut(rows: list[Any], query: Query) -> list[Any]:
    for column, descending in reversed(query.sort):
        rows = sorted(rows, key=_sort_key(column), reverse=descending)
    return rows[query.offset : query.offset + query.limit]


def _sort_key(column: Column) -> Callable[[Any], tuple[bool, float, str]]:
    """Nulls are the largest, and numbers compare as numbers."""

    def key(row: Any) -> tuple[bool, float, str]:
        value = column.read(row)
        number = value if isinstance(value, int | float) else 0
        return value is None, number, "" if value is number else str(value)

    return key


def _whole(params: dict[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Failure("data_type_error", name, value)
    if not low <= value <= high:
        raise Failure("invalid_parameter_value", name, value, params={"min": low, "max": high})
    return value


def _fields(fields: Any, columns: Columns) -> tuple[str, ...] | None:
    if not isinstance(fields, list) or not all(isinstance(name, str) for name in fields):
        raise Failure("data_type_error", "fields", fields)
    for name in fields:
        if name not in columns and not (name == ON_REQUEST and "campaigns" in columns):
            raise Failure("unexpected_parameters", "fields", name)
    return tuple(fields) or None


def _sort(sort: Any, columns: Columns) -> tuple[tuple[Column, bool], ...]:
    if not isinstance(sort, list):
        raise Failure("data_type_error", "sort", sort)
    return tuple(_sort_item(item, columns) for item in sort)


def _sort_item(item: Any, columns: Columns) -> tuple[Column, bool]:
    if not isinstance(item, dict):
        raise Failure("data_type_error", "sort", item)
    if not isinstance(item.get("field"), str):
        raise Failure("required_parameter_missed", "sort.field", item.get("field"))
    for name in item:
        if name not in ("field", "order"):
            raise Failure("unexpected_parameters", f"sort.{name}", item[name])
    if item.get("order", "asc") not in ("asc", "desc"):
        raise Failure("invalid_parameter_value", "sort.order", item["order"])
    column = columns.get(item["field"])
    if column is None:
        raise Failure("unexpected_parameters", "sort.field", item["field"])
    if not column.sort:
        raise Failure("sort_prohibited", item["field"])
    return column, item.get("order") == "desc"
