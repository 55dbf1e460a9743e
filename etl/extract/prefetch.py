"""Working ahead: the next answer is on its way, or the last batch, while another one is worked on. One at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from etl.errors import Stopped

T = TypeVar("T")


class Begin(Protocol):
    """Begins a piece of work, and gives the way to ask for its outcome."""

    def __call__(self, work: Callable[[], T], /) -> Callable[[], T]:
        """`work` may run at once or when its outcome is asked for; its errors are raised to whoever asks."""
        ...


class Fetcher(Protocol):
    """Somebody who begins work for as long as a block lasts, and leaves nothing unfinished behind it."""

    def __call__(self) -> contextlib.AbstractContextManager[Begin]:
        """The block."""
        ...


@contextlib.contextmanager
def inline() -> Iterator[Begin]:
    """No thread: the work is done when its outcome is asked for."""

    def begin(work: Callable[[], T], /) -> Callable[[], T]:
        return work

    yield begin


@contextlib.contextmanager
def threaded() -> Iterator[Begin]:
    """Each piece of work has a thread. What was not asked for is waited for, unless a signal stops the run."""
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
    """One request at a time goes over a connection: the next one must not meet this one still under way."""
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
        except RuntimeError:  # no more threads: then without one
            self._run()

    def _run(self) -> None:
        try:
            self._result.append(self._work())
        except BaseException as exc:  # noqa: BLE001 - raised to whoever asks for the outcome
            self._error = exc

    def outcome(self) -> T:
        """What the work gave, once; raises what it raised."""
        if self._thread.ident is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result.pop()
