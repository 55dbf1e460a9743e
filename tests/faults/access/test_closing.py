"""A08, A13, A15, A16: which numbers and links may close, and which stay open after a failed proof or a mass close."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from etl.domain.runs import RunStatus
from tests.support.vendor import FORBIDDEN, Record, Refused, Vendor, Warehouse, number, numbers, own_account

TOO_LONG = Refused(-32602, "invalid_parameter_value", "filter.value")
OPEN = {"page_limit": 10_000}


def _asked(params: Record) -> list[int]:
    where = params.get("filter") or {}
    return where["value"] if where.get("operator") == "in" else []


def _account(sees: list[Record], refusal: Refused, longest: int) -> Vendor:
    """A customer's own account whose source accepts up to `longest` ids in one filter."""

    def listing(params: Record) -> list[Record]:
        if len(_asked(params)) > longest:
            raise refusal
        return sees

    return own_account(listing)


# -- A08


@pytest.mark.parametrize("longest", [1000, 40])
@pytest.mark.fault("A08")
def test_the_list_of_ids_is_asked_for_in_parts(warehouse: Engine, longest: int) -> None:
    """`in` accepts a thousand ids, or forty, and 1 500 of 6 000 are gone: all closed, in parts of accepted length."""
    sees = numbers(range(1, 6001))
    vendor, mine = _account(sees, TOO_LONG, longest), Warehouse(warehouse)
    mine.sync(vendor)
    del sees[4500:]
    result = mine.sync(vendor)
    assert (result.exit_code, result.accounts[0].suspects) == (0, 0)
    assert len(mine.open_ids) == 4500
    lengths = [len(ids) for p in vendor.asked("get.virtual_numbers") if (ids := _asked(p))]
    taken = [n for n in lengths if n <= longest]
    assert len(lengths) - len(taken) <= 8
    assert lengths[-len(taken) :] == taken


@pytest.mark.parametrize(
    "refusal",
    [TOO_LONG, FORBIDDEN, Refused(-32602, "data_type_error", "filter.value"), Refused(-32001, "access_token_expired")],
    ids=lambda r: r.mnemonic,
)
@pytest.mark.fault("A08")
def test_a_refused_proof_publishes_the_rest(warehouse: Engine, refusal: Refused) -> None:
    """No list of ids is accepted: the listed numbers are published, the missing ones stay open as suspects, exit 3."""
    sees = numbers(range(1, 31))
    vendor, mine = _account(sees, refusal, 0), Warehouse(warehouse)
    mine.sync(vendor)
    sees[:] = [number(1, comment="new"), *sees[1:25]]
    result = mine.sync(vendor)
    assert (result.status, result.exit_code) == (RunStatus.PARTIAL, 3)
    assert (result.accounts[0].suspects, result.accounts[0].listed_numbers) == (5, 25)
    assert len(mine.open_ids) == 30
    assert mine.rows("select comment from virtual_numbers where virtual_number_id = 1") == [("new",)]
    assert any("whether 5 numbers are gone, so they stay open" in n for n in mine.notices)
    sees[:] = numbers(range(1, 30))
    mine.sync(vendor)
    assert any("whether 1 number is gone, so it stays open" in n for n in mine.notices)


# -- A13


@pytest.mark.parametrize(("before", "cap"), [(3000, 1000), (300, 100), (30, 10)])
@pytest.mark.fault("A13")
def test_a_source_that_cuts_its_answers_closes_nothing(warehouse: Engine, before: int, cap: int) -> None:
    """Every answer is cut to N rows, and `total_items` counts the sent ones: every existing number stays open."""
    vendor, mine = own_account(lambda _: numbers(range(1, before + 1))), Warehouse(warehouse)
    mine.sync(vendor)

    def cut(_params: Record, rows: list[Record]) -> tuple[list[Record], int]:
        return rows[:cap], len(rows[:cap])

    vendor.bend = cut
    result = mine.sync(vendor)
    assert (result.exit_code, len(mine.open_ids)) == (0, before)
    assert result.accounts[0].listed_numbers == before


# -- A15


@pytest.mark.fault("A15")
def test_as_many_stay_suspect_as_the_listing_owes(warehouse: Engine) -> None:
    """The listing announces one more number than it sends: of two missing ones, one is closed and one is a suspect."""
    sees = numbers(range(1, 11))
    vendor, mine = own_account(lambda _: sees), Warehouse(warehouse)
    mine.sync(vendor)
    del sees[8:]
    vendor.bend = lambda params, rows: (rows, len(rows) + (not _asked(params)))
    (account,) = mine.sync(vendor).accounts
    assert (account.unaccounted, account.suspects) == (1, 1)
    assert mine.open_ids == list(range(1, 10))


@pytest.mark.fault("A15")
def test_a_record_without_an_id_may_be_a_missing_number(warehouse: Engine) -> None:
    """One record's id is unreadable, and one number is missing: it stays open, because the record may be its own."""
    sees = numbers(range(1, 11))
    vendor, mine = own_account(lambda _: sees), Warehouse(warehouse)
    mine.sync(vendor)
    vendor.methods["get.virtual_numbers"] = lambda p: [*sees[:9], *([] if _asked(p) else [{**sees[9], "id": "x"}])]
    vendor.bend = lambda params, rows: (rows, len(rows))
    mine.sync(vendor)
    assert mine.open_ids == list(range(1, 11))


# -- A16


def _linked(count: int, **links: Any) -> list[Record]:
    return [number(i, **links) for i in range(1, count + 1)]


CAMPAIGN: Record = {
    "campaign_id": 7, "campaign_name": "C", "site_id": 1, "site_domain_name": "s.example",
    "site_blocks": [{"site_block_id": 3, "site_block_name": "B", "is_tracking": True}],
}  # fmt: skip
RULE = {"scenario_id": 5, "scenario_name": "S", "call_processing_rule_id": 9, "is_active": True}
KINDS: dict[str, tuple[Record, Record]] = {
    "campaigns": ({"campaigns": [CAMPAIGN]}, {"campaigns": []}),
    "blocks": ({"campaigns": [CAMPAIGN]}, {"campaigns": [CAMPAIGN | {"site_blocks": []}]}),
    "scenarios": ({"scenarios": [RULE]}, {"scenarios": []}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.fault("A16")
def test_a_mass_of_links_is_held(warehouse: Engine, kind: str) -> None:
    """All numbers come without their links: held, nothing published; with the approval the links close."""
    linked, bare = KINDS[kind]
    sees = _linked(75, **linked)
    vendor, mine = own_account(lambda _: sees), Warehouse(warehouse)
    mine.sync(vendor)
    sees = _linked(75, **bare)
    result = mine.sync(vendor)
    assert (result.status, result.exit_code) == (RunStatus.HELD, 3)
    assert "75 of 75 rows of virtual_number_" in str(result.error)
    assert mine.rows("select count(*) from virtual_number_campaigns") == [(0 if kind == "scenarios" else 75,)]
    assert mine.sync(vendor, approve_close=frozenset({51})).exit_code == 0
    assert mine.sync(vendor).exit_code == 0


@pytest.mark.fault("A16")
def test_changed_links_are_not_removed_ones(warehouse: Engine) -> None:
    """A rule is switched off for all numbers, a block stops tracking: versions end, no link counts as removed."""
    sees = _linked(75, campaigns=[CAMPAIGN], scenarios=[RULE])
    vendor, mine = own_account(lambda _: sees), Warehouse(warehouse)
    mine.sync(vendor)
    block = CAMPAIGN["site_blocks"][0] | {"is_tracking": False}
    sees = _linked(75, campaigns=[CAMPAIGN | {"site_blocks": [block]}], scenarios=[RULE | {"is_active": False}])
    result = mine.sync(vendor)
    assert (result.exit_code, result.accounts[0].rows_closed) == (0, 150)


@pytest.mark.fault("A16")
def test_rules_told_for_the_first_time_remove_no_link(warehouse: Engine) -> None:
    """A newer edition reports the rule of each scenario link: all link rows change, and no link counts as removed."""
    sees = _linked(75, scenarios=[{k: v for k, v in RULE.items() if k != "call_processing_rule_id"}])
    vendor, mine = own_account(lambda _: sees), Warehouse(warehouse)
    mine.sync(vendor)
    sees = _linked(75, scenarios=[RULE])
    assert mine.sync(vendor).exit_code == 0
    assert mine.rows("select distinct call_processing_rule_id from virtual_number_scenarios") == [(9,)]


@pytest.mark.fault("A16")
def test_twenty_links_and_half_of_them_close_unasked(warehouse: Engine) -> None:
    """Links up to the share, and up to twenty for any share, close unasked; links of removed numbers do not count."""
    sees = _linked(40, campaigns=[CAMPAIGN])
    vendor, mine = own_account(lambda _: sees), Warehouse(warehouse)
    mine.sync(vendor)
    sees = [*_linked(20), *sees[20:]]
    assert mine.sync(vendor).exit_code == 0
    sees = sees[:20]
    assert mine.sync(vendor).exit_code == 0


@pytest.mark.parametrize(("before", "stays", "held"), [(15, 0, True), (10, 2, True), (10, 3, False), (9, 0, False)])
@pytest.mark.fault("A16")
def test_an_exchange_of_nearly_all_numbers_is_held(warehouse: Engine, before: int, stays: int, held: bool) -> None:
    """An exchange of at least 80 % of ten numbers or more is held; below that it is published."""
    sees = numbers(range(1, before + 1))
    vendor, mine = own_account(lambda _: sees), Warehouse(warehouse)
    mine.sync(vendor)
    sees = [*sees[:stays], *numbers(range(101, 101 + before - stays))]
    result = mine.sync(vendor)
    assert (result.status is RunStatus.HELD) == held
    assert (mine.open_ids[0] == 1) == (held or stays > 0)
