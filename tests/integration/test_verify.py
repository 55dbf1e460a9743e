"""`verify` on both databases: sound warehouses pass, and every kind of edit is found and named."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from etl.domain.verification import Verdict
from etl.sandbox.world import CustomerPlan, World
from etl.store.engine import begin_writing
from etl.verify.warehouse import verify_warehouse
from tests.stress.tampering import days, mutate
from tests.support.rig import Rig


def _rig(engine: Engine) -> Rig:
    """A customer's warehouse after three days: comments edited, one number moved, one removed."""
    world = World(seed=3, customers=[CustomerPlan(numbers=60)], role="customer")
    rig = Rig(world, engine)
    rig.sync()
    one, two, three = sorted(world.numbers(rig.only))[:3]
    world.edit(rig.only, one, comment="second")
    world.move(rig.only, two, world.campaign_ids(rig.only)[-1])
    rig.sync()
    world.edit(rig.only, one, comment="third")
    world.remove(rig.only, three)
    rig.sync()
    return rig


def _verify(rig: Rig, *heads: tuple[int | None, str]) -> Verdict:
    return verify_warehouse(rig.engine, heads, lambda _: None)


def _execute(rig: Rig, statement: str, **parameters: Any) -> None:
    with begin_writing(rig.engine) as connection:
        assert connection.execute(text(statement), parameters).rowcount >= 1


def _heads(rig: Rig) -> list[str]:
    return [row[0] for row in rig.rows("select chain_digest from account_syncs order by observed_at")]


def test_a_sound_warehouse_and_its_heads(warehouse: Engine) -> None:
    """Every former head is recognized, with the count of later syncs; no problem is found."""
    rig = _rig(warehouse)
    heads = _heads(rig)
    verdict = _verify(rig, *((None, h) for h in heads), (rig.only, heads[0]))
    assert (verdict.ok, verdict.problems) == (True, ())
    assert [(h.account_id, h.syncs_since) for h in verdict.heads] == [(rig.only, n) for n in (2, 1, 0, 2)]
    (account,) = verdict.accounts
    assert (account.syncs, account.chain_digest, account.erased) == (3, heads[-1], 0)


def test_an_empty_warehouse_is_sound(warehouse: Engine) -> None:
    """Without a sync there is no problem, but a kept head is reported as missing."""
    assert verify_warehouse(warehouse, [], lambda _: None).ok
    verdict = verify_warehouse(warehouse, [(None, "0" * 64)], lambda _: None)
    assert "not in the chain" in verdict.problems[0].what


EDITED = "update virtual_numbers_closed set comment = 'forged' where virtual_number_id = :n and comment = 'second'"


def test_an_edited_past_is_named_to_the_row(warehouse: Engine) -> None:
    """Table, key, account and run of a version whose comment was edited after its end."""
    rig = _rig(warehouse)
    number = min(rig.world.numbers(rig.only))
    _execute(rig, EDITED, n=number)
    run = rig.rows("select run_id from account_syncs order by observed_at")[1][0]
    (problem,) = _verify(rig).problems
    assert (problem.table, problem.key) == ("virtual_numbers", f"virtual_number_id {number}")
    assert (problem.account_id, problem.run_id) == (str(rig.only), str(run))
    assert "edited" in problem.what


def test_a_cut_chain_needs_the_head(warehouse: Engine) -> None:
    """Without its last sync a history is shorter and still sound: only a head kept elsewhere reveals the cut."""
    rig = _rig(warehouse)
    world, last = rig.world, _heads(rig)[-1]
    run = rig.sync()
    head = run.accounts[0].chain_digest
    assert world is rig.world
    assert head is not None
    _execute(rig, "delete from account_syncs where run_id = :r", r=run.run_id)
    _execute(rig, "update accounts set last_run_id = (select max(run_id) from account_syncs)")
    assert _verify(rig, (None, last)).ok
    verdict = _verify(rig, (None, head))
    assert [p.what for p in verdict.problems] == [
        f"the head {head} is not in the chain of any account: the history was rewritten or truncated"
    ]


@pytest.mark.parametrize("which", range(5), ids=["first", "second", "third", "quiet", "last"])
def test_a_sync_that_was_taken_away_is_named(warehouse: Engine, which: int) -> None:
    """The run whose sync was deleted is named, with or without changes, and at any place in the chain."""
    rig = _rig(warehouse)
    rig.sync()
    head = rig.sync().accounts[0].chain_digest
    run = rig.rows("select run_id from account_syncs order by observed_at")[which][0]
    _execute(rig, "delete from account_syncs where run_id = :r", r=run)
    found = _verify(rig, (None, head or "")).problems
    assert ("account_syncs", f"run_id {run}") in {(p.table, p.key) for p in found if "deleted" in p.what}


@pytest.mark.parametrize(("others", "named"), [(3, 3), (20, 0)])
def test_runs_for_other_accounts_are_suspected_only_where_they_are_few(
    warehouse: Engine, others: int, named: int
) -> None:
    """An edited sync is named; of many runs without a sync of the account only the count is reported."""
    rig = _rig(warehouse)
    runs = [row[0] for row in rig.rows("select run_id from account_syncs order by observed_at")]
    at = "2026-01-06 00:00:00.000000"
    made = ", ".join(f"({runs[1] + 1 + n}, '{at}', '{at}', 'x', '0', 'succeeded', 0)" for n in range(others))
    columns = "run_id, started_at, finished_at, source_url, version, status, exit_code"
    _execute(rig, f"insert into sync_runs ({columns}) values {made}")
    assert _verify(rig).ok
    _execute(rig, "update account_syncs set timezone = 'forged' where run_id = :r", r=runs[2])
    told = [(p.key, p.what) for p in _verify(rig).problems if p.table == "account_syncs"]
    assert f"run_id {runs[2]}" in {key for key, _ in told}
    suspected = [what for _, what in told if "may have been deleted" in what]
    assert len(suspected) == (named or 1)
    assert named or f"of {others} runs" in suspected[0]


def test_the_finding_aid_is_evidence_too(warehouse: Engine) -> None:
    """Edited or deleted sections are found, although the chain needs them only for names."""
    rig = _rig(warehouse)
    _execute(rig, "update chain_sections set locator = '1:1' where table_name = 'campaigns'")
    assert {p.table for p in _verify(rig).problems} == {"chain_sections"}
    _execute(rig, "delete from chain_sections")
    _execute(rig, EDITED, n=min(rig.world.numbers(rig.only)))
    verdict = _verify(rig)
    assert {p.table for p in verdict.problems} >= {"chain_sections", "virtual_numbers"}


def test_rows_of_an_account_that_nobody_synced(warehouse: Engine) -> None:
    """A row inserted under another account is found, even if all others are sound."""
    rig = _rig(warehouse)
    _execute(
        rig,
        "insert into sites (account_id, site_id, site_domain_name, valid_from, opened_run_id)"
        " select 5, site_id, site_domain_name, valid_from, opened_run_id from sites limit 1",
    )
    told = {(p.table, p.account_id) for p in _verify(rig).problems}
    assert told == {("sites", "5")}


@pytest.mark.parametrize("count", [80, pytest.param(250, marks=pytest.mark.soak)])
@pytest.mark.fault("E01")
def test_single_tamperings_are_found_and_named(warehouse: Engine, count: int) -> None:
    """Edits, types, nulls, instants, moved, deleted and added rows, whole accounts: all found and named, or listed."""
    findings = mutate(warehouse, days(warehouse), count, seed=5)
    assert findings.missed == findings.unnamed == []
    assert findings.named == findings.found == findings.tried - findings.unsealed.total()
    assert len(findings.by_kind) == 8


def test_an_edited_view_is_found(warehouse: Engine) -> None:
    """People read views: a changed or missing one is named, even if every row of the tables is sound."""
    rig = _rig(warehouse)
    with begin_writing(warehouse) as connection:
        connection.execute(text("drop view changes"))
        connection.execute(text("drop view scenarios_history"))
        connection.execute(text("create view scenarios_history as select * from scenarios_closed"))
    told = sorted(problem.what for problem in _verify(rig).problems)
    assert told == ["the view changes is missing", "the view scenarios_history was changed"]


def test_quarantined_records_of_a_sync_that_is_not_there(warehouse: Engine) -> None:
    """A record inserted into the quarantine by hand belongs to no sync."""
    rig = _rig(warehouse)
    _execute(rig, "insert into quarantine (quarantine_id, run_id, account_id, path, reason, record)"
             " select 99, min(run_id), 77, '$', 'r', 'x' from sync_runs")  # fmt: skip
    (problem,) = _verify(rig).problems
    assert (problem.table, problem.account_id) == ("quarantine", "77")


@pytest.mark.fault("A09")
def test_first_reports_of_a_sync_that_was_not_published(warehouse: Engine) -> None:
    """A field first reported by a sync that does not exist is named with account and run."""
    rig = _rig(warehouse)
    _execute(
        rig, "insert into first_reported (account_id, path, run_id) select 77, '$.name', min(run_id) from sync_runs"
    )
    (problem,) = _verify(rig).problems
    assert (problem.table, problem.account_id) == ("first_reported", "77")
