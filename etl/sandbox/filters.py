"""Filters: trees compiled to predicates, and the id conditions that a listing can answer by bisection."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from etl.sandbox.columns import Column, Columns
from etl.sandbox.failures import Failure

Predicate = Callable[[Any], bool]

ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
OPERATORS = ("=", "!=", *ORDER, "in", "like", "regexp", "jsquery")
MAX_DEPTH = 32
DATE = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?")


class Condition(Struct, frozen=True):
    """One checked comparison of a filter. A null field matches only `= null`."""

    column: Column
    operator: str
    value: Any

    def predicate(self) -> Predicate:
        """The test of one row."""
        read, test = self.column.read, _test(self.operator, self.value)
        return lambda row: test(read(row))


class Group(Struct, frozen=True):
    """Conditions and groups joined by `and`, or by `or` (`any`)."""

    members: tuple[Condition | Group, ...]
    any: bool

    def predicate(self) -> Predicate:
        """The test of one row."""
        tests = [member.predicate() for member in self.members]
        if self.any:
            return lambda row: any(test(row) for test in tests)
        return lambda row: all(test(row) for test in tests)


Node = Condition | Group


class IdSet(Struct, frozen=True):
    """Ids that match a filter: those in [low, high], and in `chosen` if given. `rest`: the other conditions."""

    low: float
    high: float
    chosen: frozenset[int] | None
    rest: Predicate | None


def parse(tree: Any, columns: Columns, prohibited: frozenset[str] = frozenset(), depth: int = 1) -> Node:
    """The checked form of a request's `filter`. For a wrong filter, raises Failure with the API's error."""
    if not isinstance(tree, dict):
        raise Failure("data_type_error", "filter", tree)
    if "filters" not in tree and "condition" not in tree:
        return _condition(tree, columns, prohibited)
    if depth > MAX_DEPTH:
        raise Failure("invalid_parameter_value", "filter", helper=f"deeper than {MAX_DEPTH}")
    members = _members(tree)
    return Group(tuple(parse(member, columns, prohibited, depth + 1) for member in members), tree["condition"] == "or")


def restrict_ids(node: Node | None) -> IdSet | None:
    """The ids that match the filter's `and` conditions on `id`; None when it has no such condition."""
    conjuncts = list(_conjuncts(node)) if node else []
    on_id = [c for c in conjuncts if isinstance(c, Condition) and _bounds_ids(c)]
    if not on_id:
        return None
    low, high, chosen = float("-inf"), float("inf"), None
    for condition in on_id:
        low, high, chosen = _BY_ID[condition.operator](condition.value, low, high, chosen)
    rest = tuple(c for c in conjuncts if not _bounds_ids(c))
    return IdSet(low, high, chosen, Group(rest, False).predicate() if rest else None)


def _members(tree: dict[str, Any]) -> list[Any]:
    if "field" in tree:
        raise Failure("invalid_parameters_combination", "filter", params={"names": ["field", "filters"]})
    _known(tree, ("filters", "condition"))
    if not isinstance(tree["filters"], list):
        raise Failure("data_type_error", "filter.filters", tree["filters"])
    if not tree["filters"] or tree["condition"] not in ("and", "or"):
        name = "condition" if tree["filters"] else "filters"
        raise Failure("invalid_parameter_value", f"filter.{name}", tree[name])
    return tree["filters"]


def _known(tree: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if name not in tree:
            raise Failure("required_parameter_missed", f"filter.{name}")
    for name in tree:
        if name not in names:
            raise Failure("unexpected_parameters", f"filter.{name}", tree[name])


def _condition(tree: dict[str, Any], columns: Columns, prohibited: frozenset[str]) -> Condition:
    _known(tree, ("field", "operator", "value"))
    name, sign, value = tree["field"], tree["operator"], tree["value"]
    for key in ("field", "operator"):
        if not isinstance(tree[key], str):
            raise Failure("data_type_error", f"filter.{key}", tree[key])
    column = columns.get(name)
    if column is None:
        raise Failure("unexpected_parameters", "filter.field", name)
    if not column.filter or name in prohibited:
        raise Failure("filter_prohibited", name, value)
    if sign not in OPERATORS or not _applies(column, sign):
        raise Failure("invalid_parameter_value", "filter.operator", sign)
    _check_value(column, sign, value)
    return Condition(column, sign, frozenset(value) if sign == "in" else value)


def _applies(column: Column, sign: str) -> bool:
    if sign == "jsquery" or column.kind == "array":
        return False
    if sign in ORDER:
        return column.kind in ("number", "date")
    return sign not in ("like", "regexp") or column.kind in ("text", "enum")


def _check_value(column: Column, sign: str, value: Any) -> None:
    if sign == "in" and not isinstance(value, list):
        raise Failure("data_type_error", column.name, value)
    if value is None and sign not in ("=", "!="):
        raise Failure("data_type_error", column.name, value)
    for one in value if sign == "in" else [value]:
        _check_one(column, sign, one)
    if sign == "regexp":
        _compile(column, value)


def _check_one(column: Column, sign: str, value: Any) -> None:
    if value is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number != (column.kind == "number") or not (number or isinstance(value, str)):
        raise Failure("data_type_error", column.name, value)
    if column.kind == "date" and not DATE.fullmatch(value):
        raise Failure("data_type_error", column.name, value)
    if column.values and sign in ("=", "!=", "in") and value not in column.values:
        raise Failure("invalid_parameter_value", column.name, value, params={"values": list(column.values)})


def _compile(column: Column, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as exc:
        raise Failure("invalid_parameter_value", column.name, pattern, helper=str(exc)) from exc


def _test(sign: str, value: Any) -> Predicate:
    """The test of a field's value. A value whose type the operator does not take never matches."""
    if sign == "=":
        return lambda x: x is None if value is None else x == value
    if sign == "!=":
        return lambda x: x is not None and x != value
    if sign == "in":
        return lambda x: isinstance(x, int | float | str) and x in value
    if sign in ORDER:
        compare, kinds = ORDER[sign], (str,) if isinstance(value, str) else (int, float)
        return lambda x: isinstance(x, kinds) and compare(x, value)
    pattern = re.compile(_like(value) if sign == "like" else value, re.DOTALL)
    search = pattern.fullmatch if sign == "like" else pattern.search
    return lambda x: isinstance(x, str) and search(x) is not None


def _like(pattern: str) -> str:
    return ".*".join(re.escape(part) for part in pattern.split("%"))


def _conjuncts(node: Node) -> Iterator[Node]:
    if isinstance(node, Group) and (not node.any or len(node.members) == 1):
        for member in node.members:
            yield from _conjuncts(member)
    else:
        yield node


def _bounds_ids(node: Node) -> bool:
    return isinstance(node, Condition) and node.column.name == "id" and node.operator in _BY_ID


Bounds = tuple[float, float, frozenset[int] | None]


def _above(value: float, low: float, high: float, chosen: frozenset[int] | None) -> Bounds:
    return max(low, int(value // 1) + 1), high, chosen


def _from(value: float, low: float, high: float, chosen: frozenset[int] | None) -> Bounds:
    return max(low, value), high, chosen


def _below(value: float, low: float, high: float, chosen: frozenset[int] | None) -> Bounds:
    return low, min(high, -int(-value // 1) - 1), chosen


def _to(value: float, low: float, high: float, chosen: frozenset[int] | None) -> Bounds:
    return low, min(high, value), chosen


def _equal(value: float | None, low: float, high: float, chosen: frozenset[int] | None) -> Bounds:
    return _among(frozenset(() if value is None else (value,)), low, high, chosen)


def _among(values: frozenset[Any], low: float, high: float, chosen: frozenset[int] | None) -> Bounds:
    return low, high, values if chosen is None else chosen & values


_BY_ID: dict[str, Callable[..., Bounds]] = {
    ">": _above, ">=": _from, "<": _below, "<=": _to, "=": _equal, "in": _among,
}  # fmt: skip
