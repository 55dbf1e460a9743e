"""Replay: archived responses give the same warehouse on either database, or a mismatch is reported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from etl.archive.recorder import Recorder
from etl.domain.runs import AccountResult
from etl.errors import IntegrityBroken, Stopped, Unavailable, Usage
from etl.extract.credentials import Login
from etl.load import publish
from etl.load.account import AccountLoad
from etl.load.commit import commit
from etl.replay import answers
from etl.replay.rebuild import chosen
from etl.sandbox import faults
from etl.sync.account import AccountSync
from tests.support import oracle
from tests.support.archive_folders import archived, kind, manifest
from tests.support.archive_rebuilding import days, histories, rebuilt, same, syncs
from tests.support.rig import Rig


@pytest.mark.parametrize("other", [True, False], ids=["other_database", "same_database"])
@pytest.mark.parametrize("customers", [1, 3])
def test_replay_gives_the_same_warehouse(
    warehouse: Engine, tmp_path: Path, target: Callable[..., Engine], customers: int, other: bool
) -> None:
    """Days of a customer and of an agency, in several windows: the same versions, run ids and chain heads."""
    rig = archived(warehouse, tmp_path / "a", numbers=130, customers=customers)
    days(rig, 5, page_limit=50)
    engine = target(other=other)
    done = rebuilt(rig, engine)
    assert (done.runs, done.mismatches, done.skipped) == (5, {}, [])
    assert all(a.chain_digest == a.archived_digest is not None for a in done.accounts.values())
    same(rig, engine)


@pytest.mark.fault("A09")
def test_replay_finds_the_same_first_reports(warehouse: Engine, tmp_path: Path, target: Callable[..., Engine]) -> None:
    """Old, new, old, new edition, in several windows: the same fields are first reported by the same runs."""
    rig = archived(warehouse, tmp_path / "a", numbers=90, customers=2)
    for edition in ("older", "newer", "older", "newer"):
        rig.world.edition = edition
        days(rig, 1, page_limit=50)
    engine = target()
    assert rebuilt(rig, engine).mismatches == {}
    told = [sorted(map(tuple, Rig(rig.world, one).rows("select * from first_reported"))) for one in (warehouse, engine)]
    assert told[0] == told[1]
    assert len({run_id for _, _, run_id in told[0]}) == 2


def test_replay_into_what_is_there_already_writes_nothing(warehouse: Engine, tmp_path: Path) -> None:
    """A second replay, or one into the warehouse itself, compares and changes nothing."""
    rig = archived(warehouse, tmp_path / "a")
    days(rig, 3)
    before = histories(warehouse), syncs(warehouse)
    done = rebuilt(rig, warehouse)
    assert (done.runs, len(done.skipped), done.mismatches) == (0, 3, {})
    assert (histories(warehouse), syncs(warehouse)) == before


def test_replay_goes_on_where_the_warehouse_stands(
    warehouse: Engine, tmp_path: Path, target: Callable[..., Engine]
) -> None:
    """First up to a moment, then by single runs: the result is the same."""
    rig = archived(warehouse, tmp_path / "a", customers=2)
    days(rig, 2)
    middle = rig.clock.now()
    days(rig, 3)
    engine = target()
    assert rebuilt(rig, engine, until=middle).runs == 2
    third = rig.rows("select run_id from sync_runs order by 1")[2][0]
    assert rebuilt(rig, engine, runs=[third]).mismatches == {}
    assert rebuilt(rig, engine).runs == 2
    same(rig, engine)


def test_replay_killed_half_way_is_taken_up(
    warehouse: Engine, tmp_path: Path, target: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some accounts of a run are missing: the next replay adds them, under the next run id."""
    rig = archived(warehouse, tmp_path / "a", customers=3)
    days(rig, 2)
    engine, real, calls = target(), AccountSync.publish, []

    def stop(sync: AccountSync) -> AccountResult:
        calls.append(sync)
        if len(calls) == 5:
            raise Stopped(15, "SIGTERM")
        return real(sync)

    with monkeypatch.context() as patch:
        patch.setattr(AccountSync, "publish", stop)
        with pytest.raises(Stopped):
            rebuilt(rig, engine)
    done = rebuilt(rig, engine)
    assert done.mismatches == {}
    heads = "select account_id, max(observed_at), count(*) from account_syncs where status = 'succeeded' group by 1"
    assert sorted(row[2] for row in Rig(rig.world, engine).rows(heads)) == [2, 2, 2]
    assert {a.chain_digest for a in done.accounts.values()} == {a.archived_digest for a in done.accounts.values()}


def test_warehouse_that_stands_elsewhere_is_refused(
    warehouse: Engine, tmp_path: Path, target: Callable[..., Engine]
) -> None:
    """A warehouse synced without the archive cannot be continued: nothing is written."""
    rig = archived(warehouse, tmp_path / "a")
    days(rig, 1)
    engine = target()
    another = Rig(rig.world, engine)
    another.clock.pass_time(5)
    another.sync()
    before = histories(engine)
    with pytest.raises(Usage, match="does not continue from there"):
        rebuilt(rig, engine)
    assert histories(engine) == before


def test_session_retries_and_waits_are_replayed(
    warehouse: Engine, tmp_path: Path, target: Callable[..., Engine]
) -> None:
    """An expired session, a gateway's error, the answer to another request, a used-up minute: all are replayed."""
    rig = archived(warehouse, tmp_path / "a", numbers=120)
    login = Login("sandbox", "sandbox-password")
    assert rig.sync(credentials=login).exit_code == 0
    rig.world.pass_day(share=0.1)
    rig.api.faults.add(faults.error("access_token_expired"), times=1)
    rig.api.faults.add(faults.http(502, b"x"), times=1, at=2)
    rig.api.faults.add(faults.ReplyId(7), times=1, at=3)
    rig.api.faults.add(faults.error("limit_exceeded", params={"limit_type": "minute"}), times=1, at=4)
    rig.api.faults.add(faults.error("internal_error"), times=1, at=5)
    result = rig.sync(credentials=login, page_limit=50)
    assert (result.exit_code, result.accounts[0].retries) == (0, 3)
    engine = target()
    assert rebuilt(rig, engine).mismatches == {}
    same(rig, engine)


def test_disputed_answers_are_replayed(warehouse: Engine, tmp_path: Path, target: Callable[..., Engine]) -> None:
    """Numbers announced and never sent, sent twice, sent unusable, listed by offsets: the same counts."""
    rig = archived(warehouse, tmp_path / "a", numbers=120)
    days(rig, 1, page_limit=50)
    rig.api.faults.add(faults.TotalItems(51), times=None)
    rig.sync(page_limit=200)
    rig.api.faults.clear()
    rig.world.put_raw(rig.only, rig.world.numbers(rig.only)[0], b'{"id": %d}' % rig.world.numbers(rig.only)[0])
    assert rig.sync(page_limit=50).exit_code == 3
    rig.api.id_filter = False
    rig.world.pass_day(share=0.1)
    rig.sync(page_limit=50)
    engine = target()
    assert rebuilt(rig, engine).mismatches == {}
    same(rig, engine)
    counts = (
        "select unaccounted, duplicates, conflicts, quarantined, suspects, strategy from account_syncs order by run_id"
    )
    assert Rig(rig.world, engine).rows(counts) == rig.rows(counts)


def test_what_was_not_published_is_not_published_again(
    warehouse: Engine, tmp_path: Path, target: Callable[..., Engine]
) -> None:
    """A held account, a refused one, a run without accounts: rows with the same status, and no version."""
    rig = archived(warehouse, tmp_path / "a", customers=3)
    days(rig, 1)
    held, refused, _ = rig.world.customer_ids
    for number_id in rig.world.numbers(held)[:40]:
        rig.world.remove(held, number_id)
    rig.api.faults.add(
        faults.error("forbidden"),
        times=None,
        when=lambda r: r.params.get("user_id") in rig.world.user_ids(refused),
    )
    assert rig.sync().exit_code == 3
    rig.api.faults.clear()
    rig.api.faults.add(faults.error("access_token_invalid"), times=None, method=None)
    with pytest.raises(Exception, match="access_token_invalid"):
        rig.sync()
    rig.api.faults.clear()
    assert rig.sync(approve_close=frozenset({held})).exit_code == 0
    engine = target()
    done = rebuilt(rig, engine)
    assert (done.mismatches, len(done.skipped)) == ({}, 1)
    same(rig, engine)
    errors = "select status, error from account_syncs where error is not null order by 1, 2"
    assert Rig(rig.world, engine).rows(errors) == rig.rows(errors) != []


@pytest.mark.parametrize("committed", [True, False])
def test_run_killed_around_its_commit(
    warehouse: Engine,
    tmp_path: Path,
    target: Callable[..., Engine],
    monkeypatch: pytest.MonkeyPatch,
    committed: bool,
) -> None:
    """The manifest ends with the publication before the commit. The next run shows whether it was committed."""
    rig = archived(warehouse, tmp_path / "a")
    days(rig, 1)
    real = commit

    def killed(*load: Any) -> None:
        if committed:
            real(*load)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publish, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            rig.sync()
    rig.world.pass_day(share=0.1)
    days(rig, 2)
    engine = target()
    done = rebuilt(rig, engine)
    assert done.mismatches == {}
    assert done.accounts[rig.only].published == (4 if committed else 3)
    assert histories(engine) == histories(warehouse)


def test_edited_answer_that_the_archive_vouches_for_departs(
    warehouse: Engine, tmp_path: Path, target: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If other code makes other rows from the same answers, the first run, account and table are named."""
    rig = archived(warehouse, tmp_path / "a")
    days(rig, 3)
    second = manifest(tmp_path / "a", rig.rows("select run_id from sync_runs order by 1")[1][0])
    observed = kind(second, "publishes")[0]["observed_at"]
    rows = AccountLoad.stage_rows

    def fixed(load: AccountLoad, batch: dict[str, Any]) -> None:
        scenarios = [r for r in batch.get("virtual_number_scenarios", []) if load.open_ids]
        if scenarios:
            batch = {**batch, "virtual_number_scenarios": scenarios[1:]}
        rows(load, batch)

    monkeypatch.setattr(AccountLoad, "stage_rows", fixed)
    done = rebuilt(rig, target())
    (mismatch,) = done.mismatches.values()
    assert (mismatch.account_id, mismatch.table) == (rig.only, "virtual_number_scenarios")
    assert mismatch.run_id == second[0]["run_id"]
    assert mismatch.observed_at.isoformat().replace("+00:00", "Z") == observed
    error = done.error()
    assert error is not None
    assert error.exit_code == 70


def test_first_archived_sync_that_follows_another_is_told(
    warehouse: Engine, tmp_path: Path, target: Callable[..., Engine]
) -> None:
    """An archive begun later cannot give the heads of the whole history, and says so; its current state is right."""
    rig = archived(warehouse, tmp_path / "a")
    rig.archive = None
    days(rig, 2)
    rig.archive = tmp_path / "a"
    days(rig, 2)
    engine = target()
    done = rebuilt(rig, engine)
    assert "the observation that it follows is not in the archive" in done.mismatches[rig.only].what
    wanted = oracle.current(warehouse, rig.only)
    assert not oracle.differences(oracle.current(engine, rig.only), wanted)


def test_missing_and_damaged_responses_are_refused(
    warehouse: Engine, tmp_path: Path, target: Callable[..., Engine]
) -> None:
    """The replay is refused before any write: one line that names the response."""
    rig = archived(warehouse, tmp_path / "a")
    days(rig, 2)
    last = manifest(tmp_path / "a", rig.rows("select max(run_id) from sync_runs")[0][0])
    digest = kind(last, "response")[-1]["sha256"]
    path = tmp_path / "a" / "objects" / digest[:2] / f"{digest[2:]}.gz"
    content = path.read_bytes()
    engine = target()
    changes: list[Callable[[], object]] = [
        lambda: path.unlink(),
        lambda: path.write_bytes(content[:-9]),
        lambda: path.write_bytes(b""),
    ]
    for change in changes:
        change()
        with pytest.raises(IntegrityBroken, match=digest[:16]):
            rebuilt(rig, engine)
        assert syncs(engine) == []
        path.write_bytes(content)
    assert rebuilt(rig, engine).mismatches == {}


def test_no_archive_and_unknown_runs_are_usage(warehouse: Engine, tmp_path: Path) -> None:
    """Usage errors: a folder that is not an archive, and a run that is not in it."""
    rig = archived(warehouse, tmp_path / "a")
    days(rig, 1)
    with pytest.raises(Usage, match="is not a vnsync archive"):
        chosen(tmp_path)
    with pytest.raises(Usage, match="holds no run 7"):
        rebuilt(rig, warehouse, runs=[7])


def test_clock_that_went_back_is_replayed(warehouse: Engine, tmp_path: Path, target: Callable[..., Engine]) -> None:
    """Runs are replayed in the order of their observations, not of the clock."""
    rig = archived(warehouse, tmp_path / "a")
    days(rig, 2)
    rig.clock.time -= timedelta(days=30)
    days(rig, 2)
    engine = target()
    assert rebuilt(rig, engine).mismatches == {}
    assert histories(engine) == histories(warehouse)


def test_commit_of_unknown_outcome_that_failed(
    warehouse: Engine, tmp_path: Path, target: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account whose commit failed is not replayed as published."""
    rig = archived(warehouse, tmp_path / "a")
    days(rig, 1)

    def fail(*_: object) -> None:
        raise Unavailable("no")

    with monkeypatch.context() as patch:
        patch.setattr(publish, "commit", fail)
        assert rig.sync().exit_code == 69
    days(rig, 1)
    engine = target()
    assert rebuilt(rig, engine).mismatches == {}
    same(rig, engine)


def test_nothing_to_replay_is_usage(warehouse: Engine, tmp_path: Path) -> None:
    """Usage errors: a moment before the first run, and an archive without a run."""
    rig = archived(warehouse, tmp_path / "a")
    days(rig, 1)
    with pytest.raises(Usage, match="the first requested run began at 2026-01-06 06:00:00 UTC"):
        chosen(tmp_path / "a", until=rig.clock.now() - timedelta(days=2))
    Recorder(tmp_path / "b", rig.events.append)
    with pytest.raises(Usage, match="it has no run"):
        chosen(tmp_path / "b")


def test_an_answer_that_was_read_is_let_go() -> None:
    """A replay of many runs holds one answer at a time, although httpx's responses wait for the garbage collector."""
    body = bytes(range(256)) * 2
    held = sys.getrefcount(body)
    response = answers._ok(body)
    assert b"".join(response.iter_raw()) == body
    assert sys.getrefcount(body) == held
