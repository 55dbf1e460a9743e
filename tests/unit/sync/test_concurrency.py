"""Parallel workers: all take part, the first failure cancels all, and a waiting clock is cancelled, too."""

from __future__ import annotations

import threading

import pytest

from etl.sync.concurrency import SMALL, CancellableClock, Cancellation, Cancelled, GivenUp, Slot, run_workers
from tests.support.rig import FakeClock

PATIENCE = 20.0


def test_all_workers_work_at_once() -> None:
    """Work that waits for three other workers ends, so four ran at once."""
    together = threading.Barrier(4)
    done: list[int] = []

    def work() -> None:
        done.append(together.wait(PATIENCE))

    run_workers(4, work, cancellation=Cancellation(), interrupt=lambda: None)
    assert sorted(done) == [0, 1, 2, 3]


def test_the_first_failure_stops_the_others_and_is_raised() -> None:
    """A worker that waits on the clock stops; one that waits for something else is interrupted."""
    cancellation, other = Cancellation(), threading.Event()
    clock = CancellableClock(FakeClock(), cancellation)
    turn = iter(range(3))
    lock = threading.Lock()
    ready = threading.Barrier(3)

    def work() -> None:
        with lock:
            mine = next(turn)
        ready.wait(PATIENCE)
        if mine == 0:
            raise ValueError("the first failure")
        while mine == 1:
            clock.sleep(1000)
        assert other.wait(PATIENCE)

    with pytest.raises(ValueError, match="the first failure"):
        run_workers(3, work, cancellation=cancellation, interrupt=other.set)
    assert cancellation.cancelled
    assert not any(t.name.startswith("lane") for t in threading.enumerate())


def test_a_cancelled_clock_is_neither_read_nor_waited_on() -> None:
    """Reading it, or waiting on it, ends the worker; a wait in progress ends within a step."""
    cancellation, inner = Cancellation(), FakeClock()
    clock = CancellableClock(inner, cancellation)
    clock.sleep(1.1)
    assert inner.ticks == pytest.approx(1.1)
    assert max(inner.slept) <= 0.25
    cancellation.cancel()
    for read in (clock.now, clock.monotonic, lambda: clock.sleep(1.0)):
        with pytest.raises(Cancelled):
            read()
    assert inner.ticks == pytest.approx(1.1)


def test_where_no_thread_can_be_had_the_caller_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on threads makes a run slower and does not stop it."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done: list[threading.Thread] = []
    run_workers(4, lambda: done.append(threading.current_thread()), cancellation=Cancellation(), interrupt=lambda: None)
    assert done == [threading.current_thread()]


def test_a_small_account_gives_its_slot_up_when_it_is_listed() -> None:
    """Another account is listed while it is written; a large one, with rows in memory, keeps its slot to the end."""
    free = threading.Semaphore(1)
    slot, other = Slot(free), Slot(free)
    with slot.account():
        slot.take(FakeClock())
        slot.listed(SMALL + 1)
        assert not free.acquire(blocking=False)
        slot.listed(SMALL)
        with other.account():
            other.take(FakeClock())
            assert not free.acquire(blocking=False)
    assert free.acquire(blocking=False)
    assert not free.acquire(blocking=False), "a slot was given up twice"


def test_a_worker_that_waits_for_a_slot_stops_with_the_run() -> None:
    """A cancelled run ends a worker that waits for a slot."""
    cancellation, free = Cancellation(), threading.Semaphore(0)
    cancellation.cancel()
    with pytest.raises(Cancelled):
        Slot(free).take(CancellableClock(FakeClock(), cancellation))
    assert not free.acquire(blocking=False)


def test_an_account_that_waited_while_the_run_gave_up_is_not_begun() -> None:
    """The slot comes too late: nothing is requested for the account, and the slot is free again."""
    free = threading.Semaphore(1)
    slot = Slot(free, given_up=lambda: True)
    with pytest.raises(GivenUp), slot.account():
        slot.take(FakeClock())
    assert free.acquire(blocking=False)
