"""Listings: pages, caps, fields, sorting, and both editions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from etl.sandbox.world import CustomerPlan, World

LISTING = "get.virtual_numbers"


def test_pages_make_up_the_listing(caller: Any) -> None:
    """Pages by offset are slices of the heap, each with the total of the whole listing."""
    truth = caller.api.world.truth(caller.api.world.customer_ids[0])
    pages = [caller.result(LISTING, user_id=caller.user(), limit=25, offset=n) for n in (0, 25, 50, 75)]
    assert [record for page in pages for record in page["data"]] == truth
    assert [len(page["data"]) for page in pages] == [25, 25, 10, 0]
    assert {page["metadata"]["total_items"] for page in pages} == {60}


def test_default_limit(call_api: Callable[..., Any]) -> None:
    """A request that names no limit gets 1000 rows."""
    caller = call_api(World(1, [CustomerPlan(numbers=1001)]))
    assert len(caller.result(LISTING, user_id=caller.user())["data"]) == 1000


@pytest.mark.parametrize(
    ("params", "mnemonic"),
    [
        ({"limit": 10_001}, "invalid_parameter_value"),
        ({"limit": 0}, "invalid_parameter_value"),
        ({"limit": "5"}, "data_type_error"),
        ({"limit": True}, "data_type_error"),
        ({"limit": 1.5}, "data_type_error"),
        ({"offset": 100_001}, "invalid_parameter_value"),
        ({"offset": -1}, "invalid_parameter_value"),
        ({"page": 2}, "unexpected_parameters"),
    ],
)
def test_wrong_paging(caller: Any, params: dict[str, Any], mnemonic: str) -> None:
    """Limits and offsets beyond their caps, of a wrong type, or under another name are refused."""
    failure = caller.error(LISTING, user_id=caller.user(), **params)
    assert (failure["mnemonic"], failure["field"]) == (mnemonic, next(iter(params)))


def test_caps_can_be_set(caller: Any) -> None:
    """The caps are the API's attributes, so that small worlds can meet them; null means absent."""
    caller.api.max_limit, caller.api.max_offset = 2000, 10
    assert len(caller.numbers(limit=None, offset=10, filter={}, fields=None, sort=None)) == 50
    assert caller.error(LISTING, user_id=caller.user(), offset=11)["params"] == {"min": 0, "max": 10}
    assert caller.error(LISTING, user_id=caller.user(), limit=2001)["field"] == "limit"


def test_edited_rows_move_between_pages(caller: Any) -> None:
    """A row that is edited between two pages is missed by both when it was on the second, or seen twice."""
    world = caller.api.world
    customer = world.customer_ids[0]
    heap = world.numbers(customer)
    first = caller.numbers(limit=30)
    world.edit(customer, heap[0], comment="moved")
    second = caller.numbers(limit=30, offset=30)
    ids = [r["id"] for r in first + second]
    assert heap[30] not in ids
    assert ids.count(heap[0]) == 2


def test_fields(caller: Any) -> None:
    """Only the named fields come, in the record's own order; all names are the same as none."""
    truth = caller.numbers()
    some = caller.numbers(fields=["scenarios", "id", "campaigns", "name"])
    assert some == [{f: r[f] for f in ("id", "name", "campaigns", "scenarios")} for r in truth]
    assert [list(r) for r in some[:1]] == [["id", "name", "campaigns", "scenarios"]]
    assert caller.numbers(fields=list(reversed(truth[0]))) == truth
    assert caller.numbers(fields=[]) == truth


def test_site_blocks_on_request(caller: Any) -> None:
    """site_blocks is no field of its own by default; when named, it is all blocks of the number in one list."""
    truth, flat = caller.numbers(), caller.numbers(fields=["id", "site_blocks"])
    assert "site_blocks" not in truth[0]
    assert flat == [
        {"id": r["id"], "site_blocks": [b for c in r["campaigns"] for b in c["site_blocks"]]} for r in truth
    ]


def test_fields_of_edited_records(caller: Any) -> None:
    """A replaced or added field of a record comes when it is asked for, and only then."""
    world = caller.api.world
    number = world.numbers(world.customer_ids[0])[0]
    world.edit(world.customer_ids[0], number, campaigns="none", extra=1)
    assert caller.numbers(fields=["id", "campaigns"])[-1] == {"id": number, "campaigns": "none"}
    assert caller.numbers()[-1]["extra"] == 1


@pytest.mark.parametrize(
    ("fields", "mnemonic"),
    [(["id", "color"], "unexpected_parameters"), ("id", "data_type_error"), ([5], "data_type_error")],
)
def test_wrong_fields(caller: Any, fields: Any, mnemonic: str) -> None:
    """Unknown field names, and lists that are none, are refused."""
    failure = caller.error(LISTING, user_id=caller.user(), fields=fields)
    assert (failure["mnemonic"], failure["field"]) == (mnemonic, "fields")
    assert failure["value"] == ("color" if mnemonic == "unexpected_parameters" else fields)


def test_older_edition(caller: Any) -> None:
    """The older edition's answers lack the newer fields, and asking for those is an error."""
    caller.api.world.edition = "older"
    record = caller.numbers()[0]
    assert not {"child_customer_id", "comment", "name"} & record.keys()
    for field in ("child_customer_id", "comment", "name", "call_processing_rule_id", "is_active"):
        failure = caller.error(LISTING, user_id=caller.user(), fields=["id", field])
        assert (failure["mnemonic"], failure["value"]) == ("unexpected_parameters", field)
    for field in ("comment", "child_customer_id"):
        condition = {"field": field, "operator": "=", "value": None}
        assert caller.error(LISTING, user_id=caller.user(), filter=condition)["mnemonic"] == "unexpected_parameters"
    assert caller.numbers(fields=["id", "status"])[0] == {"id": record["id"], "status": record["status"]}


def test_sort(caller: Any) -> None:
    """Rows are sorted by each field in turn, nulls last when ascending; equal rows keep the heap's order."""
    truth = caller.numbers()
    asked = [{"field": "category", "order": "desc"}, {"field": "comment"}]
    expected = sorted(truth, key=lambda r: (r["comment"] is None, r["comment"] or ""))
    expected.sort(key=lambda r: r["category"], reverse=True)
    assert caller.numbers(sort=asked) == expected
    assert caller.numbers(sort=[]) == truth


@pytest.mark.parametrize(
    ("sort", "mnemonic"),
    [
        *(
            ([{"field": field, "order": "asc"}], "sort_prohibited")
            for field in (
                "id", "virtual_phone_number", "redirection_phone_number", "activation_date", "campaigns", "scenarios",
            )
        ),
        ([{"field": "color", "order": "asc"}], "unexpected_parameters"),
        ([{"field": "status", "order": "up"}], "invalid_parameter_value"),
        ([{"field": "status", "nulls": "last"}], "unexpected_parameters"),
        ([{"order": "asc"}], "required_parameter_missed"),
        ({"field": "status", "order": "asc"}, "data_type_error"),
        (["status"], "data_type_error"),
    ],
)  # fmt: skip
def test_wrong_sort(caller: Any, sort: Any, mnemonic: str) -> None:
    """Only listed fields can be sorted on, `id` not among them, and only asc or desc."""
    assert caller.error(LISTING, user_id=caller.user(), sort=sort)["mnemonic"] == mnemonic
