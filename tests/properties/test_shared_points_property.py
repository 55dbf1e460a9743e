"""Points of several processes in one row: whatever the order of their steps, the source refuses nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from etl.extract.ledger import FLIGHT_AGE, SharedLedger
from etl.extract.points import Later, Pause, Points, Spent

MINUTE, DAY = 60.0, 86_400.0


@dataclass
class _Source:
    """A source that counts points by periods, and a row that all processes change; `now` in seconds."""

    minute: int | None
    day: int | None
    now: float = 1_000_000.0
    text: str = ""
    refused: int = 0
    answered: int = 0
    _spent: dict[tuple[str, int], int] = field(default_factory=dict)

    def row(self, apply: Callable[[str, float], str]) -> None:
        """Change the row."""
        self.text = apply(self.text, self.now)

    def answer(self) -> dict[str, float] | None:
        """The limits after one more request; None if it is refused."""
        periods = [("minute", MINUTE, self.minute), ("day", DAY, self.day)]
        told: dict[str, float] = {}
        for name, length, limit in periods:
            place = (name, int(self.now // length))
            if limit is not None and self._spent.get(place, 0) >= limit:
                self.refused += 1
                return None
        for name, length, limit in periods:
            place = (name, int(self.now // length))
            self._spent[place] = self._spent.get(place, 0) + 1
            if limit is not None:
                told |= {
                    f"{name}_limit": limit,
                    f"{name}_remaining": limit - self._spent[place],
                    f"{name}_reset": max(1.0, length - self.now % length),
                }
        self.answered += 1
        return told


@dataclass
class _Process:
    """A process that sends one request after the other, in three steps: ask, be answered, end."""

    source: _Source
    name: str
    until: float = 0.0
    mark: int | None = None
    spent: bool = False

    def __post_init__(self) -> None:
        self.ledger = SharedLedger(self.source.row, self.name)

    def step(self) -> None:
        """Do the next step."""
        if self.mark is not None:
            limits, mark, self.mark = self.source.answer(), self.mark, None
            self.ledger.change(lambda points: points.received(limits, mark))
            self.ledger.change(lambda points: points.ended(self))
        elif self.source.now >= self.until and not self.spent:
            self._ask()

    def _ask(self) -> None:
        def ask(points: Points) -> int | Pause | Spent | Later:
            advice = points.before_request()
            return points.sent(self) if advice is None else advice

        match self.ledger.change(ask):
            case int(mark):
                self.mark = mark
            case Pause(seconds):
                self.until = self.source.now + seconds
            case Spent():
                self.spent = True

    def __hash__(self) -> int:
        return hash(self.name)


_steps = st.lists(st.tuples(st.integers(0, 15), st.sampled_from([0.0, 0.01, 0.3, 2.0])), min_size=50, max_size=400)


@given(st.integers(1, 16), st.none() | st.integers(1, 30), st.none() | st.integers(1, 60), _steps)
@settings(max_examples=60, deadline=None)
def test_nothing_is_refused(count: int, minute: int | None, day: int | None, steps: list[tuple[int, float]]) -> None:
    """Of any number of processes none sends a request for which there is no point, and no point is left unused."""
    source = _Source(minute, day)
    fleet = [_Process(source, f"p{n}") for n in range(count)]
    for chosen, passes in steps:
        fleet[chosen % count].step()
        source.now += passes
    assert source.refused == 0
    for _ in range(400):  # all of them in turn: whatever is left of the first day and minute is used
        for process in fleet:
            process.step()
    assert source.refused == 0
    if minute is None and day is not None:
        assert source.answered == day
    if minute is None and day is None:
        assert source.answered >= 100


def test_the_point_of_a_process_that_died_is_free_again() -> None:
    """A request that never ends holds the last point; after a while another process may use it."""
    source = _Source(None, 2)
    first, second = _Process(source, "first"), _Process(source, "second")
    for _ in range(2):
        first.step()
    first.step()  # its second request is under way, and it dies
    second.step()
    assert (second.mark, second.spent) == (None, False)
    source.now += FLIGHT_AGE + 1
    second.step()
    assert second.mark is not None


def test_a_state_that_cannot_be_read_is_begun_anew() -> None:
    """An edit by hand stops no process: the next answer has the limits again."""
    source = _Source(5, None)
    process = _Process(source, "p")
    for text in ("{", "[]", "7", '{"flights": {}}'):
        source.text = text
        process.step()
        process.step()
    assert (source.refused, source.answered) == (0, 4)
