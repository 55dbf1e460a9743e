"""Planned faults: each has its effect on the calls that it was planned for, and on no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from etl.sandbox import faults
from etl.sandbox.faults import MISSING
from etl.sandbox.world import CustomerPlan, World

LISTING = "get.virtual_numbers"


def page(caller: Any, **params: Any) -> dict[str, Any]:
    """The result of listing the first customer."""
    result: dict[str, Any] = caller.result(LISTING, user_id=caller.user(), **params)
    return result


def outcomes(caller: Any, calls: int) -> list[bool]:
    """For some listings in a row, which were answered with a result."""
    return ["result" in caller.call(LISTING, user_id=caller.user()) for _ in range(calls)]


def test_once_by_default(caller: Any) -> None:
    """A fault strikes the next call and no other."""
    caller.api.faults.add(faults.error("internal_error"))
    assert outcomes(caller, 3) == [False, True, True]


def test_at_and_times(caller: Any) -> None:
    """A fault strikes from its k-th call on, as often as planned."""
    caller.api.faults.add(faults.error("internal_error"), at=3, times=2)
    assert outcomes(caller, 6) == [True, True, False, False, True, True]


def test_for_ever_until_cleared(caller: Any) -> None:
    """A fault without a count strikes until all are cleared."""
    caller.api.faults.add(faults.error("internal_error"), times=None)
    assert outcomes(caller, 4) == [False] * 4
    caller.api.faults.clear()
    assert outcomes(caller, 1) == [True]


def test_by_method(caller: Any) -> None:
    """A fault strikes listings of numbers unless another method, or any, is named; other calls do not count."""
    caller.api.faults.add(faults.error("error"))
    assert caller.result("get.account")
    assert outcomes(caller, 1) == [False]
    caller.api.faults.add(faults.error("error"), method="get.customers")
    assert outcomes(caller, 1) == [True]
    assert caller.error("get.customers")["mnemonic"] == "error"
    caller.api.faults.add(faults.error("error"), method=None)
    assert caller.error("get.account")["mnemonic"] == "error"


def test_by_request(caller: Any) -> None:
    """A fault may look at the request, such as for those that filter."""
    caller.api.faults.add(
        faults.error("unexpected_parameters", "filter"), times=None, when=lambda r: "filter" in r.params
    )
    assert outcomes(caller, 2) == [True, True]
    by_id = {"field": "id", "operator": ">", "value": 0}
    assert caller.error(LISTING, user_id=caller.user(), filter=by_id)["field"] == "filter"


def test_errors_cost_nothing_and_may_be_odd(call_api: Callable[..., Any]) -> None:
    """An error on request costs no point; it may have details of its own, or no data at all."""
    caller = call_api(World(1), minute_limit=5)
    details = {"params": {"limit_type": "week"}, "code": -1, "message": "m", "helper": "h"}
    caller.api.faults.add(faults.error("limit_exceeded", "f", 7, **details))
    failure = caller.error(LISTING)
    assert (failure["code"], failure["field"], failure["value"]) == (-1, "f", 7)
    assert (failure["params"], failure["extended_helper"]) == ({"limit_type": "week"}, "h")
    assert failure["metadata"]["limits"]["minute_remaining"] == 5
    caller.api.faults.add(faults.error("internal_error", bare=True))
    assert caller.call(LISTING)["error"] == {"code": -32603, "message": "Internal error"}


@pytest.mark.parametrize("given", [2, "1", None, 1.5, [1]])
def test_other_id(caller: Any, given: Any) -> None:
    """A reply may carry another id, of any type, in a result and in an error."""
    caller.api.faults.add(faults.ReplyId(given), times=2)
    assert caller.call(LISTING, user_id=caller.user())["id"] == given
    assert caller.call(LISTING)["id"] == given


def test_missing_id(caller: Any) -> None:
    """A reply may have no id."""
    caller.api.faults.add(faults.ReplyId(MISSING))
    assert "id" not in caller.call(LISTING, user_id=caller.user())


def test_id_made_from_the_true_one(caller: Any) -> None:
    """The other id may be a function of the true one, such as the number as a string."""
    caller.api.faults.add(faults.ReplyId(lambda raw: raw.decode()))
    assert caller.call(LISTING, user_id=caller.user())["id"] == "1"


@pytest.mark.parametrize(
    ("total", "stated"), [(7, 7), ("60", "60"), (-1, -1), (None, None), (lambda n: n + 5, 65), (lambda n: n - 5, 55)]
)
def test_other_total(caller: Any, total: Any, stated: Any) -> None:
    """total_items may be anything, while the rows stay true."""
    caller.api.faults.add(faults.TotalItems(total))
    result = page(caller)
    assert result["metadata"]["total_items"] == stated
    assert len(result["data"]) == 60


def test_missing_total(caller: Any) -> None:
    """total_items may be left out."""
    caller.api.faults.add(faults.TotalItems(MISSING))
    assert page(caller)["metadata"] == {}


def test_dropped_rows(caller: Any) -> None:
    """Rows may be missing while total_items counts them: N-1 of N; or given numbers, wherever they stand."""
    heap = caller.api.world.numbers(caller.api.world.customer_ids[0])
    caller.api.faults.add(faults.Drop(2))
    result = page(caller)
    assert ([r["id"] for r in result["data"]], result["metadata"]["total_items"]) == (heap[:-2], 60)
    caller.api.faults.add(faults.Drop(100))
    assert page(caller)["data"] == []
    caller.api.faults.add(faults.DropIds(frozenset(heap[3:5])))
    result = page(caller)
    assert ([r["id"] for r in result["data"]], result["metadata"]["total_items"]) == (heap[:3] + heap[5:], 60)


def test_drop_ids_leaves_bad_records(caller: Any) -> None:
    """Records that are no JSON objects have no id to be dropped by."""
    world = caller.api.world
    world.put_raw(world.customer_ids[0], world.numbers(world.customer_ids[0])[0], b"[1]")
    caller.api.faults.add(faults.DropIds(frozenset({1})))
    assert page(caller)["data"][0] == [1]


def test_duplicated_rows(caller: Any) -> None:
    """A row may come twice, the same or with another content."""
    caller.api.faults.add(faults.Duplicate())
    rows = page(caller)["data"]
    assert rows[-1] == rows[0]
    assert len(rows) == 61
    caller.api.faults.add(faults.Duplicate({"comment": "other"}))
    rows = page(caller)["data"]
    assert rows[-1] == {**rows[0], "comment": "other"}
    caller.api.faults.add(faults.Duplicate())
    assert page(caller, offset=90)["data"] == []


def test_ignored_filter_and_offset(caller: Any) -> None:
    """The filter or the offset may be ignored: rows come that were not asked for."""
    everything = page(caller)
    caller.api.faults.add(faults.IgnoreFilter())
    assert page(caller, filter={"field": "id", "operator": "=", "value": 1}) == everything
    caller.api.faults.add(faults.IgnoreOffset())
    assert page(caller, offset=30) == everything


def test_foreign_row(caller: Any) -> None:
    """A row of another customer may come, and is counted."""
    world = caller.api.world
    caller.api.faults.add(faults.Foreign())
    result = page(caller)
    assert result["data"][-1] == world.truth(world.customer_ids[1])[0]
    assert (len(result["data"]), result["metadata"]["total_items"]) == (61, 61)


@pytest.mark.parametrize("edition", ["newer", "older"])
def test_invented_foreign_row(call_api: Callable[..., Any], edition: Any) -> None:
    """Where there is no other customer, one is invented; other methods have no strangers."""
    world = World(1, [CustomerPlan(numbers=5)], edition=edition)
    caller = call_api(world)
    caller.api.faults.add(faults.Foreign(), times=2, method=None)
    stranger = page(caller)["data"][-1]
    assert stranger.keys() == world.truth(world.customer_ids[0])[0].keys()
    assert stranger.get("child_customer_id", world.customer_ids[0] + 1) == world.customer_ids[0] + 1
    assert caller.result("get.account")["metadata"]["total_items"] == 1


def test_empty_page_and_no_rows(caller: Any) -> None:
    """A page may be empty while total_items is true, or the whole listing empty while there are numbers."""
    caller.api.faults.add(faults.EmptyPage())
    assert page(caller) == {"data": [], "metadata": {"total_items": 60}}
    caller.api.faults.add(faults.NoRows())
    assert page(caller) == {"data": [], "metadata": {"total_items": 0}}


@pytest.mark.parametrize(
    "limits", [{"minute_remaining": -1}, {"minute_reset": 0}, {"day_limit": "many"}, None, [], "x"]
)
def test_other_limits(caller: Any, limits: Any) -> None:
    """The limits in metadata may be anything, in results and in errors."""
    caller.api.faults.add(faults.Limits(limits), times=2)
    assert page(caller)["metadata"]["limits"] == limits
    assert caller.error(LISTING)["metadata"]["limits"] == limits


def test_missing_limits(call_api: Callable[..., Any]) -> None:
    """The limits may be left out where there are some."""
    caller = call_api(World(1), minute_limit=5)
    caller.api.faults.add(faults.Limits(MISSING))
    assert page(caller)["metadata"] == {"total_items": 40}
    assert page(caller)["metadata"]["limits"]["minute_remaining"] == 3


def test_deprecation_notice(caller: Any) -> None:
    """Metadata may say that this version is deprecated."""
    caller.api.faults.add(faults.Deprecated())
    assert page(caller)["metadata"]["api_version"] == {
        "current_version_deprecated": True, "current_version": "v2.0", "latest_version": "v4.0",
    }  # fmt: skip


def test_gateway_errors(call_api: Callable[..., Any]) -> None:
    """A gateway may answer in HTML with any status and headers; the request is on record, and no point is spent."""
    caller = call_api(World(1), minute_limit=5)
    request = {"jsonrpc": "2.0", "id": 1, "method": LISTING, "params": {"access_token": caller.api.token}}
    caller.api.faults.add(faults.http(503, Retry_After="7"))
    reply = caller.api.handle(msgspec.json.encode(request))
    assert (reply.status, reply.headers["Retry-After"]) == (503, "7")
    assert reply.headers["Content-Type"].startswith("text/html")
    assert reply.headers["Content-Length"] == str(len(reply.body))
    assert caller.api.count(LISTING) == 1
    assert page(caller)["metadata"]["limits"]["minute_remaining"] == 4


def test_redirects(caller: Any) -> None:
    """A redirect names its target and has no body."""
    caller.api.faults.add(faults.redirect("http://127.0.0.1:1/v2.0", 308))
    request = {"jsonrpc": "2.0", "id": 1, "method": LISTING, "params": {}}
    reply = caller.api.handle(msgspec.json.encode(request))
    assert (reply.status, reply.headers["Location"], reply.body) == (308, "http://127.0.0.1:1/v2.0", b"")


def test_other_body(caller: Any) -> None:
    """The body may be changed in any way; Content-Length is that of the new body."""
    caller.api.faults.add(faults.Body(lambda body: body[:10]))
    reply = caller.api.handle(b'{"jsonrpc":"2.0","id":1,"method":"get.virtual_numbers"}')
    assert (reply.body, reply.headers["Content-Length"]) == (b'{"jsonrpc"', "10")


def test_other_shape(caller: Any) -> None:
    """The reply's members may be replaced, added or left out."""
    for members, keys in (
        ({"result": None}, ["jsonrpc", "id", "result"]),
        ({"result": MISSING}, ["jsonrpc", "id"]),
        ({"error": {"code": 1, "message": "m"}}, ["jsonrpc", "id", "result", "error"]),
    ):
        caller.api.faults.add(faults.reshape(**members))
        reply = caller.call(LISTING, user_id=caller.user())
        assert list(reply) == keys
    assert reply["error"] == {"code": 1, "message": "m"}


def test_faults_add_up(caller: Any) -> None:
    """Several faults strike one call together."""
    caller.api.faults.add(faults.Drop(1))
    caller.api.faults.add(faults.TotalItems("sixty"))
    caller.api.faults.add(faults.ReplyId(9))
    reply = caller.call(LISTING, user_id=caller.user())
    assert (reply["id"], len(reply["result"]["data"])) == (9, 59)
    assert reply["result"]["metadata"]["total_items"] == "sixty"
