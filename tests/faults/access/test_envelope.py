"""A14: a duplicate name outside the records of an answer, whose last value would hide the first."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from etl.sandbox.faults import LISTING, Body
from tests.support.protocol_case import agency, ends, no_number_closed, recovers, synced, tables
from tests.support.source_case import how_it_ends

Change = Callable[[Any], Any]


def _fewer(records: list[Any]) -> list[Any]:
    return records[: len(records) // 2]


def _result(records: list[Any]) -> dict[str, Any]:
    return {"data": records, "metadata": {"total_items": len(records)}}


DEPTHS = {"result": 1, "data": 2, "metadata": 2, "total_items": 3}
"""Braces at the end of an answer, after the object that has the name."""


def _twice(name: str, written: str, value: Change) -> Body:
    """The body with another member at the end of its object, named `written`: `value` of the answer's records."""
    end = b"}" * DEPTHS[name]

    def change(body: bytes) -> bytes:
        member = f",{written}:{json.dumps(value(json.loads(body)['result']['data']))}"
        assert body.endswith(end)
        return body.removesuffix(end) + member.encode() + end

    return Body(change)


TWICE: dict[str, tuple[str, Change]] = {
    "result": ('"result"', lambda r: _result(_fewer(r))),
    "data": ('"data"', _fewer),
    "metadata": ('"metadata"', lambda r: {"total_items": len(_fewer(r))}),
    "total_items": ('"total_items"', lambda r: len(_fewer(r))),
}
SPELLINGS = {"plain": lambda name: name, "escaped": lambda name: name.replace("a", "\\u0061").replace("r", "\\u0072")}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", TWICE)
@pytest.mark.fault("A14")
def test_a_listing_with_a_name_twice_closes_nothing(warehouse: Engine, name: str, spelling: str) -> None:
    """The second value, with half of the records, is not used: exit 65 names the member, and no data change."""
    rig = synced(warehouse, 12, removed=0)
    written, value = TWICE[name]
    rig.api.faults.add(_twice(name, SPELLINGS[spelling](written), value), times=None)
    before = tables(rig)
    code, said = how_it_ends(rig.sync)
    assert (code, f"'{name}' twice" in said) == (65, True), said
    assert tables(rig) == before
    no_number_closed(rig)
    recovers(rig)


@pytest.mark.parametrize("name", TWICE)
@pytest.mark.fault("A14")
def test_a_shortcut_does_not_pass_a_name_that_comes_twice(warehouse: Engine, name: str) -> None:
    """Known records are not read again; the text around them is."""
    rig = synced(warehouse, 12, removed=0)
    recovers(rig)
    records_as_before = {"result": _result, "data": lambda r: r, "metadata": TWICE["metadata"][1]}
    rig.api.faults.add(_twice(name, TWICE[name][0], records_as_before.get(name, TWICE[name][1])), times=None)
    assert f"'{name}' twice" in ends(rig, 65)


NAME_TWICE = pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(b'"id":', b'"id": 1, "\\u0069d":'),
        lambda body: body.replace(b'"total_items":', b'"total_items": 1, "total_items":'),
        lambda body: body.rstrip()[:-1] + b', "result": {"data": [], "metadata": {"total_items": 0}}}',
    ],
    ids=["row", "metadata", "result"],
)


@NAME_TWICE
@pytest.mark.fault("A14")
def test_a_roster_is_refused_with_its_rows(sqlite_warehouse: Engine, change: Any) -> None:
    """Users determine the synced accounts, so a duplicate name in one of their rows counts, too: exit 65."""
    rig = agency(sqlite_warehouse, 3)
    before = tables(rig)
    rig.api.faults.add(Body(change), method="get.customer_users", times=None)
    code, said = how_it_ends(rig.sync)
    assert (code, "twice" in said) == (65, True), said
    assert tables(rig) == before


@NAME_TWICE
@pytest.mark.fault("A14")
def test_names_of_customers_are_done_without(sqlite_warehouse: Engine, change: Any) -> None:
    """`get.customers` only gives names: with a duplicate name in it the accounts are synced, and keep their names."""
    rig = agency(sqlite_warehouse, 3)
    names = rig.rows("select account_id, account_name from accounts order by 1")
    rig.api.faults.add(Body(change), method="get.customers", times=None)
    assert how_it_ends(rig.sync) == (0, "")
    assert rig.rows("select account_id, account_name from accounts order by 1") == names


@pytest.mark.parametrize("place", ["error", "data", "mnemonic"])
@pytest.mark.fault("A14")
def test_an_error_with_a_name_twice_is_not_believed(sqlite_warehouse: Engine, place: str) -> None:
    """An ambiguous error is not interpreted: the account fails with 65."""
    data = '"data": {"mnemonic": "limit_exceeded", %s "metadata": {}}'
    inner = data % ('"mnemonic": "internal_error",' if place == "mnemonic" else "")
    members = f'"code": -32603, "message": "x", {inner}' + (', "data": null' if place == "data" else "")
    error = f'"error": {{{members}}}' + (', "error": {"code": -32603}' if place == "error" else "")
    rig = synced(sqlite_warehouse, 12)

    def change(body: bytes) -> bytes:
        return f'{{"jsonrpc": "2.0", "id": {json.loads(body)["id"]}, {error}}}'.encode()

    rig.api.faults.add(Body(change), method=LISTING, times=None)
    assert f"'{place}' twice" in ends(rig, 65)
    recovers(rig)
