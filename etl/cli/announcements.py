"""Announcements of a sync to others: that a run begins, and how it ended. They never change how it ends."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from etl.cli.state import State

if TYPE_CHECKING:
    from etl.cli.outbox import Outbox
    from etl.cli.pings import Pings
    from etl.config.settings import Loaded


class Announcements:
    """Announcements of one run after another; `begin` while a run is announced, and `end` while none is, do nothing."""

    def __init__(self, loaded: Loaded, state: State, outbox: Outbox, pings: Pings) -> None:
        self._loaded, self._state, self._outbox, self._pings = loaded, state, outbox, pings
        self._begun = False

    def begin(self) -> None:
        """Announce that a run begins."""
        if not self._begun:
            self._begun = True
            self._pings.begin()

    def end(self, exit_code: int) -> None:
        """Announce how the run ended, and write a notice for what could not be delivered."""
        if not self._begun:
            return
        self._begun = False
        self._pings.end(exit_code)
        self._report(self._outbox.flush())

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
    """Announcements where nobody is to be told."""

    def begin(self) -> None:
        """Announce nothing."""

    def end(self, exit_code: int) -> None:
        """Announce nothing."""


def announcing(loaded: Loaded, state: State) -> Announcements | NoAnnouncements:
    """Announcements that the settings ask for. Whatever ends the command ends the run that is announced then."""
    url = loaded.settings.ping_url
    if url is None:
        return NoAnnouncements()
    from etl.cli.outbox import Outbox
    from etl.cli.pings import Pings

    outbox = Outbox()
    announcements = Announcements(loaded, state, outbox, Pings(url.get_secret_value(), outbox))
    state.at_end.append(announcements.end)
    return announcements


def end_all(state: State, exit_code: int) -> None:
    """Announce the end of the command. Errors are dropped: its own outcome stands, and was told."""
    for action in state.at_end:
        with contextlib.suppress(Exception):
            action(exit_code)
