"""Prefetching: the caller gets results and errors, and no request is left running."""

from __future__ import annotations

import threading
from functools import partial
from operator import mul

import pytest

from etl.errors import Stopped, Unavailable
from etl.extract.prefetch import Fetcher, inline, threaded

FETCHERS = pytest.mark.parametrize("fetcher", [inline, threaded])


@FETCHERS
def test_the_outcome_is_what_the_work_gave(fetcher: Fetcher) -> None:
    """One piece of work after the other, each with its own outcome."""
    with fetcher() as begin:
        assert [begin(partial(mul, n, 2))() for n in range(3)] == [0, 2, 4]


@FETCHERS
def test_an_error_is_raised_where_the_outcome_is_asked_for(fetcher: Fetcher) -> None:
    """Not where the work began: the window before it can still be taken."""

    def fail() -> None:
        raise Unavailable("the source is down")

    with fetcher() as begin:
        outcome = begin(fail)
        with pytest.raises(Unavailable, match="down"):
            outcome()


def test_without_a_thread_nothing_is_done_before_it_is_asked_for() -> None:
    """Simulation and tests see the requests in the order of one thread."""
    done: list[int] = []
    with inline() as begin:
        outcome = begin(lambda: done.append(1))
        assert done == []
        outcome()
    assert done == [1]


def test_in_a_thread_it_goes_on_meanwhile() -> None:
    """The request runs before its result is asked for."""
    began = threading.Event()
    with threaded() as begin:
        outcome = begin(began.set)
        assert began.wait(30)
        outcome()


@pytest.mark.parametrize("fails", [False, True])
def test_what_nobody_asked_for_is_waited_for(fails: bool) -> None:
    """The next account's first request must not meet this one's last on the same connection."""
    go, done = threading.Event(), threading.Event()

    def work() -> None:
        go.wait(30)
        done.set()
        raise Unavailable("too late to matter")

    def broken_off() -> None:
        with threaded() as begin:
            begin(work)
            threading.Timer(0.01, go.set).start()
            if fails:
                raise ValueError("the account failed")

    if fails:
        with pytest.raises(ValueError, match="the account failed"):
            broken_off()
    else:
        broken_off()
    assert done.is_set()


def test_a_signal_waits_for_nothing() -> None:
    """A run that is stopped leaves a request that may take minutes behind, in a thread that keeps nothing alive."""
    go = threading.Event()

    def stopped() -> None:
        with threaded() as begin:
            begin(go.wait)
            raise Stopped(15, "SIGTERM")

    with pytest.raises(Stopped):
        stopped()
    assert not go.is_set()
    go.set()


def test_where_there_are_no_more_threads_it_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on threads makes a run slower, not impossible."""

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    with threaded() as begin:
        assert begin(lambda: 7)() == 7
