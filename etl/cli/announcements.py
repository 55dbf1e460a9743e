"""Announcements of a sync to others: that a run begins, and how it ended. They never change how it ends."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from etl.cli.state import State

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.cli.lineage import Lineage
    from etl.cli.outbox import Outbox
    from etl.cli.pings import Pings
    from etl.config.openlineage import LineageTarget
    from etl.config.settings import Loaded
    from etl.domain.runs import RunResult
    from etl.errors import VnsyncError
    from etl.store.datasets import Dataset


class Announcements:
    """Announcements of one run after another; `begin` while a run is announced, and `end` while none is, do nothing.

    `pings`, `lineage`: None where they are not wanted.
    """

    def __init__(
        self, loaded: Loaded, state: State, outbox: Outbox, *, pings: Pings | None, lineage: Lineage | None
    ) -> None:
        self._loaded, self._state, self._outbox = loaded, state, outbox
        self._pings, self._lineage = pings, lineage
        self._begun = False
        self._result: RunResult | None = None

    def begin(self) -> None:
        """Announce that a run begins."""
        if self._begun:
            return
        self._begun, self._result = True, None
        if self._pings is not None:
            self._pings.begin()
        if self._lineage is not None:
            self._lineage.begin()

    def opened(self, engine: Engine) -> None:
        """Announce that the warehouse is open, whose tables the run will write."""
        if self._lineage is not None:
            self._lineage.opened(self._datasets(engine))

    def finished(self, result: RunResult) -> None:
        """Note the result of the run, for its end."""
        self._result = result

    def end(self, exit_code: int, error: VnsyncError | None = None) -> None:
        """Announce how the run ended, and write a notice for what could not be delivered.

        `error`: the one that ended it; None: its result says why, or the error that the command has written.
        """
        if not self._begun:
            return
        self._begun = False
        if self._pings is not None:
            self._pings.end(exit_code)
        if self._lineage is not None:
            self._end_lineage(self._lineage, exit_code, error or self._state.failure)
        self._report(self._outbox.flush())

    def _end_lineage(self, lineage: Lineage, exit_code: int, error: VnsyncError | None) -> None:
        from etl.domain.runs import RunResult
        from etl.report.outcomes import incomplete_because

        ended = error.run if error is not None and isinstance(error.run, RunResult) else self._result
        if error is not None:
            cause: str | None = str(error)
        else:
            cause = (ended.error or incomplete_because(ended)) if ended is not None and exit_code else None
        lineage.end(exit_code, None if cause is None else self._state.redacted(cause), ended)

    def _datasets(self, engine: Engine) -> list[Dataset]:
        """The tables; none, and a notice, if the database does not tell them."""
        from etl.errors import Stopped
        from etl.store.datasets import datasets

        try:
            return datasets(engine)
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - what is announced never decides how the command ends
            self._outbox.problems.append(f"the tables are missing in the lineage: {type(error).__name__}")
            return []

    def _report(self, problems: list[str]) -> None:
        """Write a notice for each problem, outside of the run's own display, which has ended."""
        from etl.clock import SystemClock
        from etl.domain.events import Notice
        from etl.report.terminal.log import Log

        now, redact = self._loaded.settings, self._state.redacted
        log = Log(sys.stderr, now=SystemClock().now, json=now.log_format == "json", level=now.log_level, redact=redact)
        for problem in problems:
            log(Notice(message=f"{problem}; the sync does not depend on it"))


class NoAnnouncements:
    """Announcements where none are wanted."""

    def begin(self) -> None:
        """Announce nothing."""

    def opened(self, engine: Engine) -> None:
        """Announce nothing."""

    def finished(self, result: RunResult) -> None:
        """Note nothing."""

    def end(self, exit_code: int, error: VnsyncError | None = None) -> None:
        """Announce nothing."""


def announcing(loaded: Loaded, state: State, environment: Mapping[str, str]) -> Announcements | NoAnnouncements:
    """Announcements that settings and environment ask for. Whatever ends the command ends the run announced then."""
    now = loaded.settings
    if now.ping_url is None and now.openlineage_file is None and "OPENLINEAGE_URL" not in environment:
        return NoAnnouncements()  # the usual case imports nothing
    from etl.config.openlineage import lineage_target

    target = lineage_target(now.openlineage_file, environment)
    if now.ping_url is None and target is None:
        return NoAnnouncements()
    from etl.cli.outbox import Outbox
    from etl.cli.pings import Pings

    outbox = Outbox()
    announcements = Announcements(
        loaded,
        state,
        outbox,
        pings=Pings(now.ping_url.get_secret_value(), outbox) if now.ping_url else None,
        lineage=_lineage(target, now.api_url, outbox, state) if target else None,
    )
    state.at_end.append(announcements.end)
    return announcements


def _lineage(target: LineageTarget, source_url: str, outbox: Outbox, state: State) -> Lineage:
    from etl.cli.lineage import Lineage
    from etl.clock import SystemClock
    from etl.config.urls import passwords_of

    state.secrets += [target.api_key.get_secret_value()] if target.api_key else []
    state.secrets += passwords_of(target.url) if target.url else []
    outbox.problems += target.problems
    return Lineage(target, source_url, outbox, SystemClock().now)


def end_all(state: State, exit_code: int) -> None:
    """Announce the end of the command. Errors are dropped: its own outcome stands, and was written."""
    for action in state.at_end:
        with contextlib.suppress(Exception):
            action(exit_code)
