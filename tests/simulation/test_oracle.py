"""Tests of the oracle: what it accepts and what it finds, with one or two numbers."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from dataclasses import replace
from typing import Any

import pytest

from tests.simulation.customer import Customer, Number
from tests.simulation.dump import Picture, Sync
from tests.simulation.keys import FIRST, Viewer
from tests.simulation.oracle import Case, Oracle
from tests.simulation.records import NOTHING, shared_of, state_of, wanted
from tests.simulation.response_log import AccountLog, Heard, Sent

FIELDS = {
    "child_customer_id": None,
    "virtual_phone_number": "+7",
    "redirection_phone_number": None,
    "activation_date": None,
    "status": "active",
    "category": "usual",
    "type": "va",
    "comment": "",
    "name": None,
}


def _customer(*ids: int) -> Customer:
    customer = Customer(1, "one", "UTC", [10], random.Random(0))
    for number_id in ids:
        customer.bear(Number(number_id, dict(FIELDS)), 1)
    return customer


def _record(number_id: int, **fields: Any) -> dict[str, Any]:
    return {"id": number_id, **FIELDS, "campaigns": [], "scenarios": [], **fields}


def _heard(*records: dict[str, Any], tick: int = 5, asked: tuple[int, ...] | None = None, **other: Any) -> Heard:
    sent = [Sent(r["id"], r) for r in records]
    values: dict[str, Any] = {"total": len(sent), "response_faults": [], "hidden": frozenset(), "limit": 100}
    query = "[null, 0]" if asked is None else json.dumps([list(asked), 0])
    numbers = None if asked is None else frozenset(asked)
    return Heard(tick=tick, query=query, asked=numbers, whole=asked is None, sent=sent, **(values | other))


def _picture(*records: dict[str, Any]) -> Picture:
    states = {r["id"]: state_of(r) for r in records}
    shared = {key: rows.pop() for key, rows in shared_of(states.values()).items()}
    return Picture({n: wanted(state, NOTHING) for n, state in states.items()}, shared)


VIEWER = Viewer(FIRST, None)
SYNC = Sync(
    run_id=1,
    account_id=1,
    status="succeeded",
    started_at="",
    observed_at="",
    strategy="id_windows",
    requests=1,
    retries=0,
    listed_numbers=1,
    unaccounted=0,
    suspects=0,
    duplicates=0,
    conflicts=0,
    quarantined=0,
    rows_opened=0,
    rows_closed=0,
    error=None,
    listed_by_user_id=None,
    listed_by_credential=f"login:5a17:{hmac.new(b'5a17', b'login', hashlib.sha256).hexdigest()}",
    unreachable=None,
)


def _case(customer: Customer, before: Picture, after: Picture, *heard: Heard, **other: Any) -> Case:
    log = AccountLog(VIEWER, list(heard))
    values: dict[str, Any] = {"sync": SYNC, "approved": False, "share": 0.5, "undisturbed": True, "viewer_before": None}
    return Case(before=before, after=after, log=log, customer=customer, **(values | other))


def _says(case: Case) -> list[str]:
    return list(Oracle().judge(case))


def test_what_was_sent_is_open() -> None:
    """Every number that was sent is open with the value that was sent."""
    assert (
        _says(_case(_customer(1, 2), _picture(), _picture(_record(1), _record(2)), _heard(_record(1), _record(2))))
        == []
    )


def test_lost_number_is_seen() -> None:
    """A number that existed throughout and is not open is lost, unless the sync reports a missing number."""
    case = _case(_customer(1, 2), _picture(), _picture(_record(1)), _heard(_record(1)))
    assert any("lived throughout" in p for p in _says(case))
    assert _says(replace(case, sync=replace(SYNC, unaccounted=1))) == []


def test_invented_number_is_seen() -> None:
    """An open number that was neither sent nor open before is invented."""
    case = _case(_customer(1), _picture(), _picture(_record(1), _record(9)), _heard(_record(1)))
    assert any("number 9 holds what was never sent" in p for p in _says(case))


def test_wrong_and_stale_values_are_seen() -> None:
    """A value that was never sent is wrong, and so is the old value when another was sent."""
    changed = _picture(_record(1, comment="x"))
    assert any("never sent" in p for p in _says(_case(_customer(1), _picture(), changed, _heard(_record(1)))))
    case = _case(_customer(1), changed, changed, _heard(_record(1)))
    assert any("was sent as" in p and "stayed" in p for p in _says(case))


def test_field_that_is_not_reported_stays_as_it_was_known() -> None:
    """A comment that an edition does not report keeps its known value."""
    before = _picture(_record(1, comment="x"))
    older = _record(1)
    del older["comment"]
    assert _says(_case(_customer(1), before, before, _heard(older))) == []
    forgotten = _picture(_record(1, comment=None))
    assert any("never sent" in p for p in _says(_case(_customer(1), before, forgotten, _heard(older))))


def _closing(*heard: Heard, alive: bool = False, **other: Any) -> list[str]:
    customer = _customer(1, 2)
    if not alive:
        customer.bury(2, 3)
    return _says(_case(customer, _picture(_record(1), _record(2)), _picture(_record(1)), *heard, **other))


PROOF = _heard(_record(1), tick=6, asked=(1, 2))


def test_close_with_proof_passes() -> None:
    """A number may close if the answer to a request by id has a control id and lacks the number."""
    assert _closing(_heard(_record(1)), PROOF) == []


@pytest.mark.parametrize(
    "proof",
    [
        None,
        _heard(tick=6, asked=(1, 2)),
        replace(PROOF, total=2),
        replace(PROOF, asked=frozenset({1})),
        _heard(_record(2), tick=6, asked=(2,)),
    ],
    ids=["no proof", "no witness", "contradicts itself", "not asked for", "came back"],
)
def test_close_without_proof_is_seen(proof: Heard | None) -> None:
    """Without a consistent answer that has a control id, no number may close."""
    heard = [_heard(_record(1)), *([] if proof is None else [proof])]
    assert any("without proof" in p for p in _closing(*heard))


def test_close_of_a_living_number_is_seen() -> None:
    """An existing number that a true answer does not show to this user must not close."""
    assert any("lived from" in p for p in _closing(_heard(_record(1)), PROOF, alive=True))


def test_silent_number_must_be_a_suspect() -> None:
    """A number that did not come may stay open only if the sync reports a suspect."""
    both = _picture(_record(1), _record(2))
    customer = _customer(1, 2)
    customer.bury(2, 3)
    case = _case(customer, both, both, _heard(_record(1)), undisturbed=False)
    assert any("not heard of" in p for p in _says(case))
    assert _says(replace(case, sync=replace(SYNC, suspects=1))) == []


def test_mass_close_needs_approval() -> None:
    """More than the allowed share of numbers closes only with an operator's approval."""
    customer = _customer(*range(1, 60))
    for number_id in range(2, 60):
        customer.bury(number_id, 3)
    before = _picture(*map(_record, range(1, 60)))
    heard = (_heard(_record(1)), _heard(_record(1), tick=6, asked=tuple(range(1, 60))))
    case = _case(customer, before, _picture(_record(1)), *heard)
    assert any("nobody approved" in p for p in _says(case))
    assert _says(replace(case, approved=True)) == []


def test_unusable_record_must_leave_a_trace() -> None:
    """A number whose record cannot be used is quarantined and stays unchanged."""
    bad = _heard(_record(1), _record(2, status=5))
    bad.sent[1].sound = False
    both = _picture(_record(1), _record(2))
    case = _case(_customer(1, 2), both, both, bad)
    assert any("quarantine" in p for p in _says(case))
    assert _says(replace(case, sync=replace(SYNC, quarantined=1))) == []


def test_other_winner_of_the_same_contradiction_is_seen() -> None:
    """Of two contradicting records the same one wins, in either order."""
    one, two = _record(1, comment="a"), _record(1, comment="b")
    sync = replace(SYNC, conflicts=1)
    oracle = Oracle()
    first = _case(_customer(1), _picture(), _picture(one), _heard(one, two, total=1), sync=sync)
    assert list(oracle.judge(first)) == []
    second = _case(_customer(1), _picture(one), _picture(two), _heard(two, one, total=1), sync=sync)
    assert any("the other one won" in p for p in oracle.judge(second))
    assert any("came twice" in p for p in _says(replace(first, sync=SYNC)))


def test_shared_row_must_be_as_sent() -> None:
    """A campaign that was sent with a new name and keeps the old one is found."""
    campaign = {"campaign_id": 7, "campaign_name": "old", "site_id": None, "site_domain_name": None, "site_blocks": []}
    before = _picture(_record(1, campaigns=[campaign]))
    renamed = _record(1, campaigns=[{**campaign, "campaign_name": "new"}])
    assert any("('campaigns', 7)" in p for p in _says(_case(_customer(1), before, before, _heard(renamed))))
    assert _says(_case(_customer(1), before, _picture(renamed), _heard(renamed))) == []


def test_counting_through_another_user_is_no_listing() -> None:
    """A request of one row through another user makes it neither the viewer nor part of the listing."""
    log = AccountLog()
    log.take(Viewer(FIRST, 10), _heard(_record(1), _record(2)))
    log.take(Viewer(FIRST, 11), _heard(_record(1), limit=1, total=1))
    assert (log.viewer, len(log.heard)) == (Viewer(FIRST, 10), 1)


def test_user_who_gave_way_listed_nothing() -> None:
    """When the next user lists the account, the answers to the previous user are no part of the listing."""
    log = AccountLog()
    log.take(Viewer(FIRST, 10), _heard())
    log.take(Viewer(FIRST, 11), _heard(_record(1)))
    assert (log.viewer, [h.ids for h in log.heard]) == (Viewer(FIRST, 11), [{1}])


def test_records_of_a_proof_by_the_whole_answer_need_not_be_used() -> None:
    """Where ids cannot be filtered, the answers of a proof by the complete listing change no listed number."""
    listed, proof = _heard(_record(1)), _heard(_record(1, comment="later"), tick=6)
    behind = replace(_heard(tick=6), query="[null, 1]", whole=False, total=1)
    between = replace(_heard(tick=6, asked=(2,)), sent=[])
    log = AccountLog(VIEWER, [listed, between, proof, behind], filter_refused=True)
    assert [sent.record for sent in log.used()] == [_record(1)]


HIDING = replace(PROOF, response_faults=["total_small"], hidden=frozenset({2}))


def test_living_number_may_close_when_an_uncut_answer_held_it_back() -> None:
    """A number that an uncut answer held back without contradiction may close; after a cut answer it may not."""
    longer = _heard(_record(1), _record(3), tick=5)
    assert not any("lived from" in p for p in _closing(longer, HIDING, alive=True))
    assert any("lived from" in p for p in _closing(_heard(_record(1)), HIDING, alive=True))
    assert any("lived from" in p for p in _closing(longer, replace(HIDING, response_faults=["cut"]), alive=True))


@pytest.mark.parametrize("hidden_from", [FIRST, 10], ids=["key", "user"])
def test_number_that_the_viewer_never_saw_must_not_close(hidden_from: Any) -> None:
    """An existing number that this key or user does not see closes only if the same viewer saw it before."""
    customer = _customer(1, 2)
    viewer = Viewer(FIRST, 10)
    both, log = _picture(_record(1), _record(2)), AccountLog(viewer, [_heard(_record(1)), PROOF])
    sync = replace(SYNC, listed_by_user_id=10)
    seen = replace(_case(customer, both, both, sync=sync), log=AccountLog(viewer, [_heard(_record(1), _record(2))]))
    closed = replace(_case(customer, both, _picture(_record(1)), sync=sync), log=log)
    customer.unseen[hidden_from] = {2}
    assert any("never saw it" in p for p in _says(closed))
    assert _says(replace(closed, approved=True)) == []
    oracle = Oracle()
    assert list(oracle.judge(seen)) == []
    assert list(oracle.judge(closed)) == []


def _linked(number_id: int, *campaigns: int) -> dict[str, Any]:
    names: dict[str, object] = {"campaign_name": "", "site_id": None, "site_domain_name": None, "site_blocks": []}
    return _record(number_id, campaigns=[{"campaign_id": c, **names} for c in campaigns])


@pytest.mark.parametrize(("numbers", "held"), [(20, False), (21, True)])
def test_mass_close_of_links_needs_approval(numbers: int, held: bool) -> None:
    """More than the share of links, and more than 20, close only with approval; the numbers stay open."""
    ids = range(1, numbers + 1)
    before, after = [_linked(n, 7) for n in ids], [_linked(n) for n in ids]
    case = _case(_customer(*ids), _picture(*before), _picture(*after), _heard(*after))
    assert [p.split(" were")[0] for p in _says(case)] == ([f"{numbers} of {numbers} campaign links"] if held else [])
    assert _says(replace(case, approved=True)) == []


@pytest.mark.parametrize(("numbers", "held"), [(9, False), (10, True)])
def test_exchange_of_numbers_needs_approval(numbers: int, held: bool) -> None:
    """In an account of ten numbers and more, 80 % are exchanged only with approval."""
    old, new = range(1, numbers + 1), range(101, 102)
    customer = _customer(*old, *new)
    for number_id in old[1:]:
        customer.bury(number_id, 3)
    after = [_record(1), *map(_record, new)]
    heard = (_heard(*after), _heard(_record(1), tick=6, asked=tuple(old)))
    case = _case(customer, _picture(*map(_record, old)), _picture(*after), *heard)
    assert any("gave way" in p for p in _says(case)) is held
    assert _says(replace(case, approved=True)) == []


def test_listing_that_owes_numbers_leaves_suspects() -> None:
    """While one window owes a number, the only missing number is a suspect and does not close."""
    short = _heard(_record(1), total=2)
    assert any("are owed" in p for p in _closing(short, PROOF, sync=replace(SYNC, unaccounted=1)))


def test_wrong_viewer_on_record_is_seen() -> None:
    """The user and the credential on record are those of the listing."""
    one = _picture(_record(1))
    case = _case(_customer(1), one, one, _heard(_record(1)))
    assert any("on record as" in p for p in _says(replace(case, sync=replace(SYNC, listed_by_user_id=10))))
    assert any("on record as" in p for p in _says(replace(case, sync=replace(SYNC, listed_by_credential="login:x"))))
