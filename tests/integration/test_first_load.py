"""A first load writes straight into the tables; its seal, made from the rows in transit, equals that of stored rows."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, func, insert, select, text

from etl.domain import tables
from etl.domain.chain import Change
from etl.domain.columns import Columns
from etl.domain.runs import AccountStatus, RunResult
from etl.errors import LocalTrouble, Stopped
from etl.extract import prefetch
from etl.load import staging
from etl.load.diff import PublicationStamp
from etl.load.first import Batch, FirstLoad
from etl.load.seal import section
from etl.sandbox.world import CustomerPlan, World
from etl.store import schema
from etl.sync.concurrency import Cancelled
from etl.workers import pool, process
from etl.workers.spool import Spool
from etl.workers.transformers import inline
from tests.support import oracle
from tests.support.fault_clusters import wait_for
from tests.support.rig import FakeClock, Rig

NASTY = ["", "\\N", "\\", "a\tb", "line\nline", "\r\v\f\b", "naïve Ünïcode 😀", "'; drop table x", "\\t", " ", '"']
"""Texts that a line format has to escape, or could take for its own marks."""
RUN = 2601050600000001


def _row(table: tables.Table, number: int) -> tuple[Any, ...]:
    key = (number,) * len(table.key)
    return (*key, *(_value(column, number) for column in table.values), 0)


def _value(column: tables.Column, number: int) -> Any:
    if number % 5 == 0:
        return None
    return {
        tables.Kind.INTEGER: number * 1_000_003 - 2**62,
        tables.Kind.TEXT: NASTY[number % len(NASTY)],
        tables.Kind.BOOLEAN: number % 2 == 0,
        tables.Kind.JSON: '{"b":[1.50,"' + "ü\\t" + '"],"aa":null}',
    }[column.kind]


@pytest.fixture
def open_run(warehouse: Engine) -> Iterator[tuple[Connection, PublicationStamp]]:
    """A transaction of a run that writes."""
    clock = FakeClock()
    started = {"run_id": RUN, "started_at": clock.now(), "status": "running", "source_url": "x", "version": "0"}
    with warehouse.begin() as connection:
        connection.execute(insert(schema.sync_runs), started)
        yield connection, PublicationStamp(12, RUN, clock.now())


def _write(load: FirstLoad, batches: Iterable[Batch]) -> None:
    """Push all batches, and wait until they are written."""
    with load:
        for batch in batches:
            load.take(batch)
        load.complete()


@pytest.mark.parametrize("turned", [False, True], ids=["in order", "out of order"])
@pytest.mark.parametrize("table", tables.TABLES, ids=lambda table: table.name)
def test_the_seal_of_rows_on_their_way_is_that_of_rows_read_back(
    open_run: tuple[Connection, PublicationStamp], table: tables.Table, turned: bool
) -> None:
    """For any text and order of batches, the section equals the one that the database would give."""
    connection, moment = open_run
    batches = [[_row(table, n) for n in range(start + 39, start - 1, -1)] for start in (0, 40, 80)]
    with prefetch.threaded() as begin:
        load = FirstLoad(connection, moment, begin)
        _write(load, ({table.name: Columns.of(table, rows)} for rows in (batches[::-1] if turned else batches)))
    (made,) = load.sections()
    assert made == section(connection, table, Change.OPENED, moment)
    assert load.changes()[table.name].opened == made.versions == 120
    stored = connection.execute(select(schema.current[table.name]).order_by(*schema.current[table.name].primary_key))
    assert [tuple(row)[1 : 1 + len(table.key)] for row in stored] == [(n,) * len(table.key) for n in range(120)]


def _later(work: Callable[[], Any], /) -> Callable[[], Any]:
    return work


@pytest.mark.parametrize("fetcher", [prefetch.inline, prefetch.threaded])
def test_what_the_database_refuses_is_raised_and_leaves_the_connection_free(
    open_run: tuple[Connection, PublicationStamp], fetcher: prefetch.Fetcher
) -> None:
    """A batch with existing keys raises the driver's error; the connection is free for the next statement."""
    connection, moment = open_run
    table = tables.BY_NAME["sites"]
    batches = [{table.name: Columns.of(table, [_row(table, n)])} for n in (1, 2, 2, 3)]
    driver: Any = connection.connection.driver_connection
    with connection.begin_nested() as savepoint:
        with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError)), fetcher() as begin:
            _write(FirstLoad(connection, moment, begin), batches)
        assert getattr(driver, "closed", False) is False
        savepoint.rollback()
    assert connection.scalar(select(func.count()).select_from(schema.current[table.name])) == 0


def test_a_stop_breaks_off_what_is_being_sent_and_waits_for_its_end(
    open_run: tuple[Connection, PublicationStamp], database: str
) -> None:
    """A signal while a batch is sent: after the stop no thread uses the connection. On SQLite no thread sends any."""
    connection, moment = open_run
    table = tables.BY_NAME["sites"]
    if database != "postgresql":
        _write(FirstLoad(connection, moment, _never), [{table.name: Columns.of(table, [_row(table, 1)])}])
        assert connection.scalar(select(func.count()).select_from(schema.current[table.name])) == 1
        return
    holder = connection.engine.connect()
    holder.execute(text("lock table sites"))  # the batch waits for this lock
    senders: list[threading.Thread] = []

    def begin(work: Callable[[], Any], /) -> Callable[[], Any]:
        senders.append(threading.Thread(target=_quietly, args=(work,)))
        senders[0].start()
        return stop

    def stop() -> None:
        wait_for(lambda: _waits(holder), what="the batch to wait for the lock")
        raise Stopped(15, "SIGTERM")

    try:
        with pytest.raises(Stopped):
            _write(
                FirstLoad(connection, moment, begin),
                ({table.name: Columns.of(table, [_row(table, n)])} for n in (1, 2)),
            )
        assert not senders[0].is_alive()
    finally:
        holder.close()
        senders[0].join()
    connection.rollback()


def _never(_work: Callable[[], Any], /) -> Callable[[], Any]:
    raise AssertionError("something was begun beside SQLite")


def _quietly(work: Callable[[], Any]) -> None:
    with contextlib.suppress(psycopg.Error):
        work()


def _waits(holder: Connection) -> bool:
    return bool(
        holder.scalar(
            text(
                "select count(*) from pg_locks where not granted and relation = 'sites'::regclass and"
                " database = (select oid from pg_database where datname = current_database())"
            )
        )
    )


def test_what_was_not_begun_is_called_off(open_run: tuple[Connection, PublicationStamp]) -> None:
    """A batch that is sent only when its result is asked for stays unsent if a stop comes before that."""
    connection, moment = open_run
    table = tables.BY_NAME["sites"]

    def batches() -> Iterator[dict[str, Columns]]:
        yield {table.name: Columns.of(table, [_row(table, 1)])}
        raise Stopped(15, "SIGTERM")

    with pytest.raises(Stopped):
        _write(FirstLoad(connection, moment, _later), batches())
    sent = 0 if connection.dialect.name == "postgresql" else 1
    assert connection.scalar(select(func.count()).select_from(schema.current[table.name])) == sent


def _world(numbers: int, **more: Any) -> World:
    plan = CustomerPlan(numbers=numbers, campaigns=6)
    return World(seed=3, customers=[plan], role="customer", id_step=9, **more)


def _assert_true(rig: Rig) -> None:
    wanted = oracle.expected(rig.world.truth(rig.only))
    assert oracle.differences(oracle.current(rig.engine, rig.only), wanted) == {}
    assert oracle.broken_invariants(rig.engine) == []


def _prepared(rig: Rig) -> None:
    """Edit some records: one unusable, one with unknown values, two that contradict each other."""
    ids = sorted(rig.world.numbers(rig.only))
    rig.world.put_raw(rig.only, ids[7], b'{"id": %d, "status": 5}' % ids[7])
    rig.world.edit(rig.only, ids[90], status="unheard of", colour="red")
    rig.world.edit(rig.only, ids[11], virtual_phone_number="79990001122", comment="tab\tand \\N")
    rig.world.edit(rig.only, ids[111], virtual_phone_number="79990001122")


TABLES = (*oracle.COLUMNS, "quarantine", "source_drift", "account_syncs", "listing_windows", "listing_states")


def _everything(rig: Rig) -> dict[str, list[str]]:
    return {name: sorted(map(repr, rig.rows(f"select * from {name}"))) for name in TABLES}


@pytest.mark.parametrize("edition", ["newer", "older"])
def test_a_process_beside_makes_the_same_rows(warehouse: Engine, other_warehouse: Engine, edition: Any) -> None:
    """With and without a transform process: the same tables, findings, fingerprints and chain."""
    one, other = Rig(_world(150, edition=edition), warehouse), Rig(_world(150, edition=edition), other_warehouse)
    found = []
    with pool.transformers(worth_it=1) as helped:
        for rig, transformers in ((one, inline), (other, helped)):
            _prepared(rig)
            result = rig.sync(page_limit=40, transformers=transformers)
            assert result.accounts[0].quarantined == 1
            found.append(_everything(rig))
    assert found[0] == found[1]
    assert found[0]["source_drift"]


@pytest.mark.parametrize("worth_it", [1, 10_000], ids=["beside", "inline"])
def test_a_first_load_stages_nothing_and_is_the_truth(
    warehouse: Engine, worth_it: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several windows go straight into the tables; a day later the changes are staged as usual."""
    rig = Rig(_world(150), warehouse)

    def refuse(*_: object) -> None:
        raise AssertionError("a first load was staged")

    with pool.transformers(worth_it) as transformers:
        with monkeypatch.context() as patched:
            patched.setattr(staging, "put", refuse)
            assert rig.sync(page_limit=40, transformers=transformers).exit_code == 0
        _assert_true(rig)
        rig.world.pass_day(share=0.1)
        assert rig.sync(page_limit=40, transformers=transformers).exit_code == 0
    _assert_true(rig)


def test_pages_by_offset_are_sealed_like_any_other(warehouse: Engine) -> None:
    """A source that refuses the id filter gives one page in its own order; the seal is valid all the same."""
    rig = Rig(_world(150), warehouse)
    rig.api.id_filter = False
    result = rig.sync(page_limit=40)
    assert result.accounts[0].strategy == "offsets"
    _assert_true(rig)


def _helped(rig: Rig, **options: Any) -> RunResult:
    """One run with a transform process."""
    with pool.transformers(worth_it=1) as transformers:
        return rig.sync(**{"page_limit": 40, "transformers": transformers, **options})


def _unstartable(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(11, "no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)


def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_processors", lambda: 1)


@pytest.mark.parametrize("hinder", [_unstartable, _alone])
def test_without_a_process_beside_this_one_does_it(
    warehouse: Engine, monkeypatch: pytest.MonkeyPatch, hinder: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Without a second process or processor, this process does the work, with the same result."""
    hinder(monkeypatch)
    rig = Rig(_world(150), warehouse)
    assert _helped(rig).exit_code == 0
    _assert_true(rig)


def test_a_process_that_is_killed_fails_the_account_and_nothing_else(
    warehouse: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the process dies, as when out of memory, nothing of the account is published, and the next run succeeds."""
    rig = Rig(_world(150), warehouse)
    right = process.WorkerSlot.begin

    def begin(self: Any, records: Any) -> None:
        self._process._child.kill()
        self._process._child.wait()
        right(self, records)

    with monkeypatch.context() as patched:
        patched.setattr(process.WorkerSlot, "begin", begin)
        result = _helped(rig)
    assert (result.exit_code, result.accounts[0].status) == (74, AccountStatus.FAILED)
    assert "was killed by signal 9" in str(result.accounts[0].error)
    assert rig.rows("select count(*) from virtual_numbers") == [(0,)]
    assert _helped(rig).exit_code == 0
    _assert_true(rig)


def test_a_bug_in_the_process_beside_is_told_as_one(warehouse: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error contains the traceback of the process."""
    right = Spool.add
    monkeypatch.setattr(Spool, "add", lambda self, _part: right(self, b"no JSON"))
    with pytest.raises(RuntimeError, match=r"(?s)in the transform process: Traceback.*JSON is malformed"):
        _helped(Rig(_world(150), warehouse))


def _agency(sizes: tuple[int, ...], **more: Any) -> World:
    return World(seed=3, customers=[CustomerPlan(numbers=n, campaigns=6) for n in sizes], role="agent", **more)


def test_one_process_serves_accounts_side_by_side(
    warehouse: Engine, other_warehouse: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six accounts, five workers, four slots: one process is started, and the rows are those of a run without it."""
    started: list[object] = []
    right = subprocess.Popen

    def start(*words: Any, **more: Any) -> Any:
        started.append(words)
        return right(*words, **more)

    monkeypatch.setattr(subprocess, "Popen", start)
    sizes = (150, 90, 200, 60, 170, 120)
    rig, alone = Rig(_agency(sizes), warehouse), Rig(_agency(sizes), other_warehouse)
    assert _helped(rig, concurrency=5).exit_code == alone.sync(page_limit=40).exit_code == 0
    assert len(started) == 1
    for name in oracle.COLUMNS:
        assert sorted(rig.rows(f"select * from {name}")) == sorted(alone.rows(f"select * from {name}"))


def test_who_comes_after_a_lost_process_does_without(warehouse: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is not restarted during the run: only the account that used it fails."""
    rig = Rig(_agency((150, 90, 200)), warehouse)
    right = process.WorkerSlot.begin

    def begin(self: Any, records: Any) -> None:
        self._process._child.kill()
        self._process._child.wait()
        right(self, records)

    monkeypatch.setattr(process.WorkerSlot, "begin", begin)
    result = _helped(rig)
    assert [a.status for a in result.accounts] == [
        AccountStatus.FAILED, AccountStatus.SUCCEEDED, AccountStatus.SUCCEEDED,
    ]  # fmt: skip


RECORD = b'{"id": %d}'
"""A record that is refused as incomplete, with its id."""


def test_a_desk_that_was_left_early_is_taken_again() -> None:
    """Pages of an account that failed do not reach the next account in the same slot."""
    with contextlib.closing(process.TransformProcess()) as helper:
        slots = [helper.take_slot() for _ in range(process.SLOTS)]
        assert helper.take_slot() is None
        first, second = slots[0], slots[1]
        assert first is not None
        assert second is not None
        os.kill(helper._child.pid, signal.SIGSTOP)
        for at in range(20):
            first.begin([RECORD % at])
        first.leave()
        assert helper.take_slot() is None
        os.kill(helper._child.pid, signal.SIGCONT)
        second.begin([RECORD % 7])
        assert _refused(second) == [[7]]  # answers keep the order of requests: the first slot's have arrived
        again = helper.take_slot()
        assert again is first
        again.begin([RECORD % 8, RECORD % 9])
        assert _refused(again) == [[8, 9]]
        assert again.shared().conflicts == 0


def test_whoever_waits_at_a_desk_heeds_a_halt() -> None:
    """A worker that is cancelled waits neither for pages of others nor for a process that hangs."""

    def halted() -> None:
        raise Cancelled

    with contextlib.closing(process.TransformProcess()) as helper:
        os.kill(helper._child.pid, signal.SIGSTOP)
        slot = helper.take_slot()
        assert slot is not None
        slot.check_cancelled = halted
        slot.begin([RECORD % 1])
        with pytest.raises(Cancelled):
            next(slot.pages())


def test_a_process_that_says_something_else_is_ended() -> None:
    """An answer of another form ends the process, and every waiting worker gets an error."""
    with contextlib.closing(process.TransformProcess()) as helper:
        slot = helper.take_slot()
        assert slot is not None
        helper.ask(b"1 2\n")  # the process ends with its own error, or answers in another form
        slot.begin([RECORD % 1])
        with pytest.raises(LocalTrouble, match="the transform process"):
            next(slot.pages())
        assert helper.take_slot() is None


def test_where_no_temporary_file_can_be_made_small_accounts_need_none(
    warehouse: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a read-only machine there is no transform process, and an account of few pages keeps its rows in memory."""

    def nowhere(**_: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("etl.workers.spool.tempfile.TemporaryFile", nowhere)
    rig = Rig(_world(150), warehouse)
    assert _helped(rig, page_limit=200).exit_code == 0
    _assert_true(rig)


def _refused(slot: process.WorkerSlot) -> list[list[int | None]]:
    return [[record.virtual_number_id for record in rows.rejected] for rows in slot.pages()]


def test_many_pages_wait_for_nobody() -> None:
    """More answers than a pipe has room for, before the first is read: neither process blocks."""
    with contextlib.closing(process.TransformProcess()) as helper:
        slot = helper.take_slot()
        assert slot is not None
        for number in range(10_000):
            slot.begin([RECORD % number])
        assert _refused(slot) == [[number] for number in range(10_000)]


def test_no_temporary_folder_fails_the_account_only(warehouse: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account fails if no temporary folder can be written: exit 74, with the cause."""

    def nowhere(**_: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("etl.workers.spool.tempfile.TemporaryFile", nowhere)
    for sync in (_helped, lambda rig: rig.sync(page_limit=40)):
        result = sync(Rig(_world(150), warehouse))
        assert (result.exit_code, result.accounts[0].status) == (74, AccountStatus.FAILED)
        assert "No usable temporary directory" in str(result.error)


def test_a_disk_that_is_full_for_the_process_beside_is_told_as_that(
    warehouse: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the system in the transform process is reported as one in this process: one line, exit 74."""
    monkeypatch.setattr(
        process,
        "_PROGRAM",
        process._PROGRAM.replace("main(*", "import resource; resource.setrlimit(1, (9, 9)); main(*"),
    )
    result = _helped(Rig(_world(150), warehouse))
    assert result.exit_code == 74
    assert "cannot be kept in a temporary file: File too large" in str(result.error)


def test_replay_knows_how_large_an_account_is(warehouse: Engine) -> None:
    """With given windows, as in a replay, the first page suffices to estimate the count of numbers."""
    asked: list[int] = []

    def transformers(numbers: int, check_cancelled: Any) -> Any:
        asked.append(numbers)
        return inline(numbers, check_cancelled)

    rig = Rig(_world(150), warehouse)
    ids = sorted(rig.world.numbers(rig.only))
    rig.sync(page_limit=40, bounds={rig.only: ids[29::30]}, transformers=transformers)
    assert asked == [180]


def test_no_room_for_the_listing(warehouse: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full temporary folder fails the account with a line that names TMPDIR; nothing is published."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("etl.workers.spool.os.pwrite", full)
    rig = Rig(_world(150), warehouse)
    result = rig.sync(page_limit=40)
    assert result.exit_code == 74
    assert "No space left on device" in str(result.error)
    assert "TMPDIR" in str(result.accounts[0].error)
    assert rig.rows("select count(*) from virtual_numbers") == [(0,)]


def test_rows_that_go_straight_into_the_tables_are_counted(open_run: tuple[Connection, PublicationStamp]) -> None:
    """Without rows there are no versions and no sections."""
    connection, moment = open_run
    load = FirstLoad(connection, moment, _later)
    _write(load, [])
    assert list(load.sections()) == []
    assert {change.opened for change in load.changes().values()} == {0}
