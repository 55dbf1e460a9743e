"""P01, P21, P22: every documented error has its exit code, and an unknown one is handled safely."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from sqlalchemy import Engine

from etl.domain.events import Notice
from etl.domain.runs import Strategy
from etl.sandbox import failures
from etl.sandbox.faults import (
    LISTING,
    Deprecated,
    error,
    http,
)
from etl.sandbox.world import CustomerPlan, World
from tests.support import oracle
from tests.support.protocol_case import ends, move_on, recovers, synced
from tests.support.rig import Rig
from tests.support.source_case import one_customer

DOCUMENTED: dict[str, tuple[int, int]] = {
    "parse_error": (-32700, 65),
    "invalid_request": (-32600, 65),
    "method_not_found": (-32601, 78),
    "required_parameter_missed": (-32602, 65),
    "invalid_parameter_value": (-32602, 65),
    "data_type_error": (-32602, 65),
    "unexpected_parameters": (-32602, 65),
    "invalid_parameters_combination": (-32602, 65),
    "sort_prohibited": (-32602, 65),
    "filter_prohibited": (-32602, 65),
    "date_interval_limit_reached": (-32602, 65),
    "error": (-32602, 65),
    "internal_error": (-32603, 69),
    "access_token_expired": (-32001, 77),
    "access_token_invalid": (-32001, 77),
    "access_token_blocked": (-32001, 77),
    "auth_error": (-32001, 77),
    "forbidden": (-32003, 77),
    "ip_not_whitelisted": (-32003, 77),
    "method_component_disabled": (-32008, 77),
    "parameter_component_disabled": (-32008, 77),
    "account_inactive": (-32009, 77),
    "limit_exceeded": (-32029, 75),
    "batch_operations_not_supported": (-32099, 65),
    "notifications_not_supported": (-32099, 65),
}
"""The vendor's documentation: mnemonic, code, and the exit code of a run in which every listing gets this error."""

UNDOCUMENTED: list[tuple[str, dict[str, Any], int]] = [
    ("unknown", {"mnemonic": "brand_new_mnemonic"}, 65),
    ("unknown_code", {"mnemonic": "brand_new_mnemonic", "code": -1}, 65),
    ("no_mnemonic", {"mnemonic": ""}, 65),
    ("no_data", {"mnemonic": "error", "bare": True}, 65),
    ("no_data_internal", {"mnemonic": "internal_error", "bare": True}, 69),
    ("no_data_token", {"mnemonic": "auth_error", "bare": True}, 77),
    ("no_data_method", {"mnemonic": "method_not_found", "bare": True}, 78),
]


@pytest.mark.fault("P01")
def test_the_list_is_the_documentation_s() -> None:
    """The errors tried here are all that the vendor documents, with their codes."""
    assert len(DOCUMENTED) == 25
    assert {name: code for name, (code, _) in failures.MNEMONICS.items()} == {n: c for n, (c, _) in DOCUMENTED.items()}


@pytest.mark.parametrize("mnemonic", DOCUMENTED)
@pytest.mark.fault("P01")
def test_each_documented_error(warehouse: Engine, mnemonic: str) -> None:
    """Each documented error on every listing: its exit code, bounded requests, unchanged data, recovery."""
    rig = synced(warehouse, 12)
    rig.api.faults.add(error(mnemonic), times=None)
    said = ends(rig, DOCUMENTED[mnemonic][1])
    assert mnemonic in said or "points are used up" in said
    recovers(rig)


@pytest.mark.parametrize("given", UNDOCUMENTED, ids=[f"p01-{name}" for name, _, _ in UNDOCUMENTED])
@pytest.mark.fault("P01")
def test_undocumented(sqlite_warehouse: Engine, given: tuple[str, dict[str, Any], int]) -> None:
    """An unknown mnemonic is not retried; an error without data is classified by its code."""
    _, words, exit_code = given
    rig = synced(sqlite_warehouse, 12)
    rig.api.faults.add(error(**words), times=None)
    ends(rig, exit_code)
    if exit_code != 69:
        assert rig.api.count(LISTING) <= 2 + 1
    recovers(rig)


@pytest.mark.parametrize("method", ["get.account", "get.customer_users"])
@pytest.mark.parametrize("mnemonic", ["internal_error", "access_token_invalid", "ip_not_whitelisted", "brand_new"])
@pytest.mark.fault("P01")
def test_before_any_account_is_known(sqlite_warehouse: Engine, method: str, mnemonic: str) -> None:
    """If the accounts cannot be listed, the run ends with the error's own code."""
    rig = synced(sqlite_warehouse, 12)
    rig.api.faults.add(error(mnemonic), times=None, method=method)
    assert mnemonic in ends(rig, {"internal_error": 69, "brand_new": 65}.get(mnemonic, 77))
    recovers(rig)


@pytest.mark.parametrize("mnemonic", ["filter_prohibited", "unexpected_parameters"])
@pytest.mark.fault("P22")
def test_a_filter_that_is_refused_is_done_without(warehouse: Engine, mnemonic: str) -> None:
    """The id filter is optional: the listing falls back to offsets, and the strategy says so.

    If one answer holds the whole account, it proves absence; otherwise nothing proves it, and nothing is closed.
    """
    rig = Rig(one_customer(60), warehouse)
    assert rig.sync(page_limit=10).accounts[0].strategy is Strategy.WINDOWS
    gone = rig.world.numbers(rig.only)[0]
    move_on(rig, 1)
    rig.api.faults.add(error(mnemonic, "filter"), times=None, when=lambda r: "filter" in r.params)
    result = rig.sync(page_limit=10)
    account = result.accounts[0]
    assert (result.exit_code, account.strategy, account.suspects) == (3, Strategy.OFFSETS, 1)
    assert gone in {row[0] for row in oracle.current(warehouse, rig.only)["virtual_numbers"]}
    assert rig.sync(page_limit=100).exit_code == 0
    assert not oracle.differences(oracle.current(warehouse, rig.only), oracle.expected(rig.world.truth(rig.only)))


@pytest.mark.parametrize("field", ["limit", "user_id", "offset"])
@pytest.mark.fault("P22")
def test_a_parameter_that_is_gone_is_named(sqlite_warehouse: Engine, field: str) -> None:
    """A necessary parameter that is refused: exit 65, and the line names it."""
    rig = synced(sqlite_warehouse, 12)
    rig.api.faults.add(error("unexpected_parameters", field, 1), times=None)
    assert f"(field {field})" in ends(rig, 65)
    recovers(rig)


@pytest.mark.fault("P21")
def test_a_deprecated_version_is_told_once(warehouse: Engine) -> None:
    """The notice in every answer's metadata gives one notice in a run, with the new version, and exit 0."""
    world = World(seed=5, customers=[CustomerPlan(numbers=5)] * 3)
    rig = Rig(world, warehouse)
    rig.api.faults.add(Deprecated(latest="v9.1"), times=None, method=None)
    assert rig.sync().exit_code == 0
    (told,) = [e.message for e in rig.events if isinstance(e, Notice) and "deprecated" in e.message]
    assert "v9.1" in told


@pytest.mark.parametrize("says", [False, None, "false", "true", "no", 0, 1, [], {}])
@pytest.mark.fault("A12")
def test_only_a_true_flag_calls_a_version_deprecated(sqlite_warehouse: Engine, says: object) -> None:
    """Any value of the flag other than JSON true gives no notice, and does not change the run."""
    rig = Rig(one_customer(5), sqlite_warehouse)
    rig.api.faults.add(Deprecated(says=says), times=None, method=None)
    assert rig.sync().exit_code == 0
    assert [e for e in rig.events if isinstance(e, Notice)] == []


@pytest.mark.parametrize("fault", [http(404), http(410), error("method_not_found")], ids=["404", "410", "method"])
@pytest.mark.fault("P21")
def test_a_version_that_is_gone(warehouse: Engine, fault: Any) -> None:
    """If the version is no longer served, the error says what to correct: exit 78."""
    rig = synced(warehouse, 12)
    rig.api.faults.add(fault, times=None, method=None)
    assert "/v2.0" in ends(rig, 78)
    recovers(rig)


def test_errors_are_not_mixed_up() -> None:
    """Each expected exit code has at least one mnemonic."""
    by_code = itertools.groupby(sorted(exit_code for _, exit_code in DOCUMENTED.values()))
    assert [code for code, _ in by_code] == [65, 69, 75, 77, 78]
