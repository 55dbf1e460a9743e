"""Pings of a sync by Healthchecks' conventions: `/start`, then the bare URL for success, or `/` and the exit code."""

from __future__ import annotations

import uuid
from functools import partial
from urllib.parse import urlsplit, urlunsplit

from etl.cli.outbox import Outbox, post

NAME = "a ping of VNSYNC_PING_URL"


class Pings:
    """Pings of one run after another. Each has an id (`rid`), by which runs that overlap are kept apart."""

    def __init__(self, url: str, outbox: Outbox) -> None:
        self._url, self._outbox, self._rid = url, outbox, ""

    def begin(self) -> None:
        """Tell that a run begins."""
        self._rid = str(uuid.uuid4())
        self._send("start")

    def end(self, exit_code: int) -> None:
        """Tell how the run ended: 0 is success, any other exit code a failure."""
        self._send("" if exit_code == 0 else str(exit_code))

    def _send(self, what: str) -> None:
        self._outbox.put(NAME, partial(post, address(self._url, what, self._rid)))


def address(url: str, what: str, rid: str) -> str:
    """The address of one ping: `what` is added to the path, and the run's id to the query."""
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}/{what}" if what else parts.path
    query = "&".join(filter(None, [parts.query, f"rid={rid}"]))
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))
