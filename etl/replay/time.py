"""Time and chance as they were: the moments and the run id that the archive tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class ArchivedClock:
    """Says the moment that it was set to; waiting takes no time."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment
        self._waited = 0.0

    def now(self) -> datetime:
        """The archived moment."""
        return self.moment

    def monotonic(self) -> float:
        """Seconds that were waited so far."""
        return self._waited

    def sleep(self, seconds: float) -> None:
        """Nobody has to be waited for."""
        self._waited += seconds


class ArchivedChance:
    """Draws what gives a run its archived id, as long as that is free; then the ids beside it."""

    def __init__(self, run_id: int) -> None:
        self._next = run_id

    def random(self) -> float:
        """Nothing depends on it."""
        return 0.0

    def randrange(self, stop: int, /) -> int:
        """The last digits of the id."""
        drawn, self._next = self._next % stop, self._next + 1
        return drawn


def moment_of(run_id: int, otherwise: datetime) -> datetime:
    """The moment in a run id (YYMMDDhhmmss, milliseconds, a digit); `otherwise` where it is made in another way."""
    text = f"{run_id:016d}"
    try:
        second = datetime.strptime(text[:12], "%y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return otherwise
    return second + timedelta(milliseconds=int(text[12:15]))
