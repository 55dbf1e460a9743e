"""Prefetching: the next answer is fetched, or the last batch sent, while another one is processed. One at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from etl.errors import Stopped

T = TypeVar("T")


class Begin(Protocol):
    """Begins a piece of work, and returns the function that gives its outcome."""

    def __call__(self, work: Callable[[], T], /) -> Callable[[], T]:
        """`work` may run at once or when its outcome is asked for; asking for the outcome raises its errors."""
        ...


class Fetcher(Protocol):
    """Context manager that begins work for as long as its block lasts, and leaves no work unfinished afterwards."""

    def __call__(self) -> contextlib.AbstractContextManager[Begin]:
        """Enter the context."""
        ...


@contextlib.contextmanager
def inline() -> Iterator[Begin]:
    """Without a thread: the work is done when its outcome is asked for."""

    def begin(work: Callable[[], T], /) -> Callable[[], T]:
        return work

    yield begin


@contextlib.contextmanager
def threaded() -> Iterator[Begin]:
    """With a thread for each piece of work. At the end it waits for unfinished work, unless a signal stops the run."""
    begun: list[_Work[object]] = []

    def begin(work: Callable[[], T], /) -> Callable[[], T]:
        one = _Work(work)
        begun[:] = [one]  # type: ignore[list-item]
        return one.outcome

    try:
        yield begin
    except Stopped:
        raise
    except BaseException:
        _settle(begun)
        raise
    _settle(begun)


def _settle(begun: list[_Work[object]]) -> None:
    """Wait for work under way: a connection carries one request at a time, and the next must not overlap this one."""
    for one in begun:
        with contextlib.suppress(Exception):
            one.outcome()


class _Work(Generic[T]):
    """A piece of work in a thread of its own, which does not keep the process alive."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ahead", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads are allowed: work without one
            self._run()

    def _run(self) -> None:
        try:
            self._result.append(self._work())
        except BaseException as exc:  # noqa: BLE001 - `outcome` raises it
            self._error = exc

    def outcome(self) -> T:
        """Result of the work, to be asked for once; raises the work's error."""
        if self._thread.ident is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result.pop()
