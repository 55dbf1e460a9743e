"""Clock and random numbers of a replay, which reproduce the archived instants and the archived run id."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class ArchivedClock:
    """Clock that stands at the instant it was set to; waiting takes no time."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment
        self._waited = 0.0

    def now(self) -> datetime:
        """Archived instant."""
        return self.moment

    def monotonic(self) -> float:
        """Seconds of waiting so far."""
        return self._waited

    def sleep(self, seconds: float) -> None:
        """Count the seconds without waiting: the archive answers at once."""
        self._waited += seconds


class ArchivedRandom:
    """Random source that gives a run its archived id, if that id is free, or else one of the next ids."""

    def __init__(self, run_id: int) -> None:
        self._next = run_id

    def random(self) -> float:
        """Return 0, because no result of a replay depends on this number."""
        return 0.0

    def randrange(self, stop: int, /) -> int:
        """Return the last digits of the run id."""
        drawn, self._next = self._next % stop, self._next + 1
        return drawn


def moment_of(run_id: int, otherwise: datetime) -> datetime:
    """Instant in a run id (YYMMDDhhmmss, milliseconds, a digit); `otherwise` if the id has another format."""
    text = f"{run_id:016d}"
    try:
        second = datetime.strptime(text[:12], "%y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return otherwise
    return second + timedelta(milliseconds=int(text[12:15]))
