"""Filters: the meaning of each operator, refusals, and trees compared with a naive evaluation."""

from __future__ import annotations

import json
import operator
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.sandbox.api import Api
from etl.sandbox.columns import NUMBERS
from etl.sandbox.filters import parse, restrict_ids
from etl.sandbox.listing import Caps, list_numbers, parse_query
from etl.sandbox.records import CATEGORIES, STATUSES
from etl.sandbox.world import CustomerPlan, World

LISTING = "get.virtual_numbers"


def leaf(field: object, sign: object, value: object) -> dict[str, Any]:
    """One condition."""
    return {"field": field, "operator": sign, "value": value}


def tree(condition: str, *filters: dict[str, Any]) -> dict[str, Any]:
    """A group of conditions."""
    return {"filters": list(filters), "condition": condition}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (leaf("id", "=", 100_001), lambda r: r["id"] == 100_001),
        (leaf("id", "!=", 100_001), lambda r: r["id"] != 100_001),
        (leaf("id", "<", 100_010), lambda r: r["id"] < 100_010),
        (leaf("id", "<", 100_010.5), lambda r: r["id"] <= 100_010),
        (leaf("id", ">", 100_010.5), lambda r: r["id"] >= 100_011),
        (leaf("id", ">=", 100_050), lambda r: r["id"] >= 100_050),
        (leaf("id", "in", [100_003, 100_001, 5]), lambda r: r["id"] in (100_003, 100_001)),
        (leaf("id", "in", []), lambda r: False),
        (leaf("id", "=", None), lambda r: False),
        (leaf("status", "=", "active"), lambda r: r["status"] == "active"),
        (leaf("category", "in", ["gold", "bronze"]), lambda r: r["category"] in ("gold", "bronze")),
        (leaf("virtual_phone_number", "like", "%5"), lambda r: r["virtual_phone_number"].endswith("5")),
        (leaf("virtual_phone_number", "like", "7%1%"), lambda r: re.match("7.*1", r["virtual_phone_number"])),
        (leaf("virtual_phone_number", "like", "7"), lambda r: False),
        (leaf("virtual_phone_number", "regexp", "0{2}|9$"), lambda r: re.search("0{2}|9$", r["virtual_phone_number"])),
        (leaf("activation_date", ">=", "2022-01-01 00:00:00"), lambda r: (r["activation_date"] or "") >= "2022-01-01"),
        (leaf("activation_date", "<", "2022-01-01"), lambda r: (r["activation_date"] or "9") < "2022-01-01"),
        (leaf("comment", "=", None), lambda r: r["comment"] is None),
        (leaf("comment", "!=", None), lambda r: r["comment"] is not None),
        (leaf("comment", "!=", "резерв"), lambda r: r["comment"] not in (None, "резерв")),
        (leaf("comment", "=", ""), lambda r: r["comment"] == ""),
    ],
)
def test_operators(caller: Any, condition: dict[str, Any], holds: Any) -> None:
    """Each operator leaves exactly the rows for which it holds, in heap order; null matches only `= null`."""
    truth = caller.numbers()
    assert caller.numbers(filter=condition) == [r for r in truth if holds(r)]


def test_child_customer_filter(caller: Any) -> None:
    """child_customer_id can be filtered on in the newer edition."""
    customer = caller.api.world.customer_ids[0]
    assert len(caller.numbers(filter=leaf("child_customer_id", "=", customer))) == 60
    assert caller.numbers(filter=leaf("child_customer_id", "=", 1)) == []


def test_filter_looks_at_the_true_row_of_raw_bytes(caller: Any) -> None:
    """A number with raw bytes is found by its true id and status."""
    world = caller.api.world
    customer = world.customer_ids[0]
    number = world.numbers(customer)[0]
    world.put_raw(customer, number, b'{"id":"spoiled"}')
    assert caller.numbers(filter=leaf("id", "=", number)) == [{"id": "spoiled"}]


def test_filter_on_values_of_another_type(caller: Any) -> None:
    """A value that was given a wrong type is found by no comparison, and breaks none."""
    world = caller.api.world
    customer = world.customer_ids[0]
    for value in (5, None, [1], {"a": 1}, True):
        number = world.numbers(customer)[0]
        world.edit(customer, number, status=value, activation_date=value, comment=value)
        for condition in (
            leaf("status", "in", ["active"]),
            leaf("status", "like", "%"),
            leaf("activation_date", ">", "1990-01-01"),
            leaf("comment", "regexp", ""),
        ):
            assert number not in [r["id"] for r in caller.numbers(filter=condition)]
        assert caller.numbers(sort=[{"field": "status", "order": "asc"}])


@pytest.mark.parametrize(
    ("condition", "mnemonic", "field"),
    [
        ("id > 5", "data_type_error", "filter"),
        (False, "data_type_error", "filter"),
        ([], "data_type_error", "filter"),
        ({"field": "id", "operator": "="}, "required_parameter_missed", "filter.value"),
        ({"field": "id", "value": 5}, "required_parameter_missed", "filter.operator"),
        ({"operator": "=", "value": 5}, "required_parameter_missed", "filter.field"),
        ({**leaf("id", "=", 5), "not": True}, "unexpected_parameters", "filter.not"),
        (leaf("color", "=", 5), "unexpected_parameters", "filter.field"),
        (leaf(5, "=", 5), "data_type_error", "filter.field"),
        (leaf("id", 5, 5), "data_type_error", "filter.operator"),
        (leaf("id", "~", 5), "invalid_parameter_value", "filter.operator"),
        (leaf("id", "like", "5%"), "invalid_parameter_value", "filter.operator"),
        (leaf("status", "<", "b"), "invalid_parameter_value", "filter.operator"),
        (leaf("campaigns", "jsquery", "campaign_id = 5"), "invalid_parameter_value", "filter.operator"),
        (leaf("campaigns", "=", []), "invalid_parameter_value", "filter.operator"),
        (leaf("id", "=", "5"), "data_type_error", "id"),
        (leaf("id", "=", True), "data_type_error", "id"),
        (leaf("id", "in", 5), "data_type_error", "id"),
        (leaf("id", "in", [5, "6"]), "data_type_error", "id"),
        (leaf("id", "in", None), "data_type_error", "id"),
        (leaf("id", ">", None), "data_type_error", "id"),
        (leaf("status", "=", 5), "data_type_error", "status"),
        (leaf("status", "=", {}), "data_type_error", "status"),
        (leaf("status", "=", "asleep"), "invalid_parameter_value", "status"),
        (leaf("activation_date", ">", "yesterday"), "data_type_error", "activation_date"),
        (leaf("name", "regexp", "("), "invalid_parameter_value", "name"),
        (tree("and"), "invalid_parameter_value", "filter.filters"),
        (tree("xor", leaf("id", "=", 5)), "invalid_parameter_value", "filter.condition"),
        ({"filters": [leaf("id", "=", 5)]}, "required_parameter_missed", "filter.condition"),
        ({"condition": "and"}, "required_parameter_missed", "filter.filters"),
        ({"filters": leaf("id", "=", 5), "condition": "or"}, "data_type_error", "filter.filters"),
        ({**tree("or", leaf("id", "=", 5)), "x": 1}, "unexpected_parameters", "filter.x"),
        ({**tree("or", leaf("id", "=", 5)), "field": "id"}, "invalid_parameters_combination", "filter"),
        (tree("and", leaf("id", "=", 5), leaf("color", "=", 5)), "unexpected_parameters", "filter.field"),
    ],
)
def test_wrong_filters(caller: Any, condition: Any, mnemonic: str, field: str) -> None:
    """A malformed filter, or one that does not fit its field, gets an error that names the place."""
    failure = caller.error(LISTING, user_id=caller.user(), filter=condition)
    assert (failure["mnemonic"], failure["field"]) == (mnemonic, field)


def test_deep_filters_are_refused(caller: Any) -> None:
    """A tree deeper than 32 levels is refused, one of 32 is not."""
    node = leaf("id", ">", 0)
    for _ in range(32):
        node = tree("and", node)
    assert len(caller.numbers(filter=node)) == 60
    assert (
        caller.error(LISTING, user_id=caller.user(), filter=tree("or", node))["mnemonic"] == "invalid_parameter_value"
    )


def test_id_filter_can_be_prohibited(caller: Any) -> None:
    """An API without the id filter answers filter_prohibited wherever it stands, but filters on other fields."""
    caller.api.id_filter = False
    for condition in (leaf("id", ">", 5), tree("or", leaf("status", "=", "active"), leaf("id", "in", [5]))):
        failure = caller.error(LISTING, user_id=caller.user(), filter=condition)
        assert (failure["mnemonic"], failure["field"]) == ("filter_prohibited", "id")
    assert caller.numbers(filter=leaf("status", "=", "active"))
    assert caller.result("get.customers", filter=leaf("id", ">", 5))


def test_windows_are_answered_from_the_sorted_ids() -> None:
    """Id conditions that must all hold become one range; other conditions are tested on its rows alone."""
    columns = NUMBERS["newer"]
    window = tree("and", leaf("id", ">", 10), tree("and", leaf("id", "<=", 20), leaf("id", "<", 19)))
    found = restrict_ids(parse(window, columns))
    assert found is not None
    assert (found.low, found.high, found.chosen, found.rest) == (11, 18, None, None)
    mixed = restrict_ids(parse(tree("and", leaf("id", "in", [1, 2, 3]), leaf("status", "=", "active")), columns))
    assert mixed is not None
    assert mixed.chosen == frozenset({1, 2, 3})
    assert mixed.rest is not None
    assert restrict_ids(parse(tree("or", leaf("id", ">", 1), leaf("id", "<", 0)), columns)) is None
    assert restrict_ids(parse(leaf("id", "!=", 1), columns)) is None
    assert restrict_ids(None) is None


def test_window_stays_in_heap_order(caller: Any) -> None:
    """The rows of a window come in heap order, also after an edit."""
    world = caller.api.world
    customer = world.customer_ids[0]
    ids = sorted(world.numbers(customer))
    world.edit(customer, ids[20], comment="x")
    window = tree("and", leaf("id", ">", ids[9]), leaf("id", "<=", ids[39]))
    expected = [i for i in world.numbers(customer) if ids[9] < i <= ids[39]]
    assert [r["id"] for r in caller.numbers(filter=window)] == expected
    assert expected[-1] == ids[20]


WORLD = World(9, [CustomerPlan(numbers=80)], id_step=3)
CUSTOMER = WORLD.customer(WORLD.customer_ids[0])
API = Api(WORLD)
TRUTH = WORLD.truth(CUSTOMER.id)
IDS = st.integers(min(CUSTOMER.ids()) - 3, max(CUSTOMER.ids()) + 3)
LEAVES = st.one_of(
    st.builds(
        leaf, st.just("id"), st.sampled_from(["=", "!=", "<", ">", "<=", ">="]), IDS | IDS.map(lambda i: i + 0.5)
    ),
    st.builds(leaf, st.just("id"), st.just("in"), st.lists(IDS, max_size=30)),
    st.builds(leaf, st.just("status"), st.sampled_from(["=", "!="]), st.sampled_from(STATUSES)),
    st.builds(leaf, st.just("category"), st.just("in"), st.lists(st.sampled_from(CATEGORIES))),
    st.builds(leaf, st.sampled_from(["name", "comment"]), st.sampled_from(["=", "!="]), st.none()),
    st.builds(leaf, st.just("virtual_phone_number"), st.just("like"), st.text("0123456789%", max_size=4)),
    st.builds(leaf, st.just("activation_date"), st.sampled_from(["<", ">="]), st.dates().map(lambda d: f"{d}")),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda condition, filters: tree(condition, *filters),
        st.sampled_from(["and", "or"]),
        st.lists(inner, min_size=1, max_size=4),
    ),
    max_leaves=8,
)
COMPARE = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}


def naive(node: dict[str, Any], record: dict[str, Any]) -> bool:
    """Whether a decoded record passes a filter, by the plainest evaluation."""
    if "filters" in node:
        holds = [naive(one, record) for one in node["filters"]]
        return all(holds) if node["condition"] == "and" else any(holds)
    have, sign, want = record[node["field"]], node["operator"], node["value"]
    if have is None or want is None:
        return have is want if sign == "=" else sign == "!=" and want is None and have is not None
    if sign in ("=", "!="):
        return bool((have == want) == (sign == "="))
    if sign == "in":
        return bool(have in want)
    if sign == "like":
        return re.fullmatch(want.replace("%", ".*"), have) is not None
    return bool(COMPARE[sign](have, want))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(node=TREES)
def test_trees_agree_with_a_naive_evaluation(node: dict[str, Any]) -> None:
    """Whatever path answers a filter tree, the rows are those that a naive evaluation leaves, in heap order."""
    query = parse_query({"filter": node, "limit": 100}, NUMBERS["newer"], Caps(100, 0))
    page = list_numbers(CUSTOMER, query, "newer", frozenset())
    expected = [record for record in TRUTH if naive(node, record)]
    assert page.rows == CUSTOMER.encode([CUSTOMER.row(r["id"]) for r in expected], "newer")
    assert page.total == len(expected)


@settings(max_examples=200, deadline=None)
@given(
    junk=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["field", "operator", "value", "filters", "condition", "x"]), inner, max_size=4
            )
        ),
        max_leaves=10,
    )
)
def test_any_json_is_a_filter_or_an_error(junk: Any) -> None:
    """Whatever JSON stands for a filter, it is understood or refused; nothing else is raised."""
    reply = API.handle(
        json.dumps(
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": LISTING,
                "params": {"access_token": API.token, "user_id": CUSTOMER.user_ids[0], "filter": junk},
            }
        ).encode()
    )
    answer = json.loads(reply.body)
    assert "result" in answer or answer["error"]["code"] == -32602
