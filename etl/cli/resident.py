"""Resident sync: one process that keeps imports and connections, and syncs on a fixed beat until it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from etl.errors import VnsyncError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.cli.announcements import Announcements, NoAnnouncements
    from etl.cli.sharing import Sharing
    from etl.config.settings import Loaded
    from etl.domain.ports import Clock, Report
    from etl.domain.recorder import Exchange
    from etl.domain.runs import RunResult
    from etl.extract.jsonrpc import DataApi
    from etl.sync.run import SyncOptions
    from etl.workers.transformers import Transformers

PASSING = frozenset({3, 65, 69, 74, 75})
"""Exit codes of failures that may pass by themselves: the next beat tries again. Others end the process."""


def sync_every(
    loaded: Loaded,
    engine: Engine,
    clock: Clock,
    chosen: SyncOptions,
    every: timedelta,
    write: Callable[[RunResult], None],
    announcements: Announcements | NoAnnouncements,
) -> NoReturn:
    """Sync now and on each beat, and `write` each result. Ends by a signal, or by an error that no beat can mend."""
    from random import SystemRandom

    from etl.cli.connect import data_api, reporting
    from etl.cli.sharing import sharing
    from etl.sync.beat import Beat
    from etl.workers.pool import transformers

    exchanges = _Exchanges()
    tap = exchanges.received if loaded.settings.archive else None
    beat, random = Beat(every.total_seconds(), clock.monotonic()), SystemRandom()
    with (
        reporting(loaded, clock=clock, level="warning", progress=False) as report,
        sharing(loaded, engine, clock) as shared,
        data_api(loaded, clock=clock, report=report, tap=tap, pace=shared.pace) as api,
        transformers() as offered,
    ):
        one = _Runs(loaded, engine, clock, chosen, api, report, exchanges, offered, shared, announcements)
        while True:
            pause = one.run(write)
            now, chance = clock.monotonic(), random.random()
            clock.sleep(beat.next(now, chance) if pause is None else beat.after(pause, now, chance))


class _Exchanges:
    """Exchange tap of the client, which outlives the recorders of single runs."""

    def __init__(self) -> None:
        self.tap: Callable[[Exchange], None] | None = None

    def received(self, exchange: Exchange) -> None:
        """Pass an exchange to the recorder of the run under way."""
        if self.tap is not None:
            self.tap(exchange)


class _Runs:
    """The runs of the process, one for each beat."""

    def __init__(
        self,
        loaded: Loaded,
        engine: Engine,
        clock: Clock,
        chosen: SyncOptions,
        api: DataApi,
        report: Report,
        exchanges: _Exchanges,
        offered: Transformers,
        shared: Sharing,
        announcements: Announcements | NoAnnouncements,
    ) -> None:
        self._loaded, self._engine, self._clock, self._chosen = loaded, engine, clock, chosen
        self._api, self._report, self._exchanges = api, report, exchanges
        self._transformers, self._shared, self._announcements = offered, shared, announcements

    def run(self, write: Callable[[RunResult], None]) -> float | None:
        """Make one run. Returns the seconds for which no run makes sense; None: none."""
        before = self._api.sent
        self._announcements.begin()
        try:
            result = self._synced()
        except VnsyncError as error:
            if error.exit_code not in PASSING:
                raise
            self._announcements.end(error.exit_code, error)
            self._notice(f"{error}. {error.remedy} (exit {error.exit_code}); the next beat tries again")
            return error.retry_after
        self._announcements.finished(result)
        self._announcements.end(result.exit_code)
        write(result)
        if result.stopped_by is not None and result.exit_code not in PASSING:
            raise result.stopped_by
        if result.stopped_by is not None and result.stopped_by.retry_after is not None:
            return result.stopped_by.retry_after
        return self._until_points(self._api.sent - before)

    def _synced(self) -> RunResult:
        from etl.cli.connect import in_a_run, recording
        from etl.cli.run_once import run_once

        with in_a_run(self._report) as report:
            recorder, self._exchanges.tap = recording(self._loaded, report)
            return run_once(
                self._api,
                self._engine,
                chosen=self._chosen,
                clock=self._clock,
                report=report,
                recorder=recorder,
                offered=self._transformers,
                shared=self._shared,
            )

    def _until_points(self, cost: int) -> float | None:
        """Seconds until the day's points are back, if they do not suffice for another run of this cost."""
        from etl.domain.figures import counted
        from etl.sync.beat import UNKNOWN_RESET, is_affordable

        left = self._api.points.day_left()
        if is_affordable(left, cost):
            return None
        reset = self._api.points.day_reset
        self._notice(
            f"{counted(left or 0, 'API point')} left today, and a sync takes {cost}: no sync until the day's points are"
            " back. A longer beat needs fewer (`vnsync plan --every`)"
        )
        return UNKNOWN_RESET if reset is None else reset

    def _notice(self, message: str) -> None:
        from etl.domain.events import Notice

        self._report(Notice(message=message))
