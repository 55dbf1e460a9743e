"""Log on stderr: lines of plain text, or of one JSON object each. An error while writing it never stops the work."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from msgspec.structs import replace

from etl.domain.events import Event
from etl.report.terminal.event_lines import LEVELS, Line, Narrator
from etl.report.values import iso, with_strings


class Log:
    """Log of events and lines; `now` gives the time of a line, aware; `redact` removes secrets from its text."""

    def __init__(
        self,
        stream: TextIO | None,
        *,
        now: Callable[[], datetime],
        json: bool,
        level: str,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._stream, self._now, self._level = stream, now, LEVELS[level]
        self._format = as_json if json else as_text
        self._redact = redact
        self._narrator = Narrator()
        self._lock, self._narrating = threading.Lock(), threading.Lock()

    def __call__(self, event: Event) -> None:
        """Write the event's lines at or above the log level. Safe to call from any thread."""
        with self._narrating:
            lines = list(self._narrator.lines(event))
        for line in lines:
            self.write(line)

    def write(self, line: Line) -> None:
        """Write the line if it is at or above the log level."""
        if self._stream is None or line.level < self._level:
            return
        text = self._format(self._redacted(line), self._now().astimezone(UTC)) + "\n"
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()

    def _redacted(self, line: Line) -> Line:
        """The line without secrets. They are removed before JSON encoding, which could change their spelling."""
        return replace(line, message=self._redact(line.message), fields=with_strings(line.fields, self._redact))


def as_text(line: Line, at: datetime) -> str:
    """`2026-11-23 19:36:38 INFO account 101 "Acme": 10 000 of 25 000 numbers read (run 2611231936380001)`, in UTC."""
    run = "" if line.run_id is None else f" (run {line.run_id})"
    return f"{at:%Y-%m-%d %H:%M:%S} {logging.getLevelName(line.level)} {line.message}{run}"


def as_json(line: Line, at: datetime) -> str:
    """One JSON object: ts, level, event, run_id, account_id, message, then the event's own fields."""
    head = {
        "ts": iso(at),
        "level": logging.getLevelName(line.level).lower(),
        "event": line.event.value,
        "run_id": line.run_id,
        "account_id": line.account_id,
        "message": line.message,
    }
    return json.dumps({**head, **line.fields})
