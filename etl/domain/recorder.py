"""Recorder interface: a run reports to it what it received and decided, so that evidence of the run can be kept.

A recorder is passed in. It may refuse by raising an error: data that it cannot record is not published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from etl.domain.runs import AccountResult, RunResult
from etl.domain.viewer import NO_VIEWER, Viewer


class Exchange(Struct, frozen=True, kw_only=True):
    """One request to the source and its answer. `params`: without keys and passwords.

    `body`: the answer as received; None if no whole answer came (`error` says why). `redacted`: a secret that the
    source sent back was masked in it.
    """

    method: str
    params: Mapping[str, Any]
    request_id: int
    received_at: datetime
    status: int | None = None
    body: bytes | None = None
    redacted: bool = False
    error: str | None = None


Tap = Callable[[Exchange], None]
"""Receives every exchange before its answer is used; logins are left out."""


class Beginning(Struct, frozen=True, kw_only=True):
    """Run that begins, with its options."""

    run_id: int
    source_url: str
    version: str
    started_at: datetime
    accounts: frozenset[int] = frozenset()
    approve_close: frozenset[int] = frozenset()
    max_close_share: float = 0.5
    page_limit: int = 10_000


class Publication(Struct, frozen=True, kw_only=True):
    """Account sync that is about to be committed. `previous`: the account's observation before this one."""

    result: AccountResult
    previous: datetime | None = None
    timezone: str | None = None
    viewer: Viewer = NO_VIEWER


class RunRecorder(Protocol):
    """Records a run while it proceeds; several threads may work on accounts."""

    def begins(self, run: Beginning) -> None:
        """Record that a run has its row; it has sent no request yet."""
        ...

    def reaches(self, accounts: Mapping[int, Sequence[int]]) -> None:
        """Record the accounts that the token can read, each with the users through whom it can be listed."""
        ...

    def plans(self, account_id: int, bounds: Sequence[int]) -> None:
        """Record that an account was listed to its end, and the ids at which it was cut into windows."""
        ...

    def publishes(self, publication: Publication) -> None:
        """Record an account sync, as the last step before its commit."""
        ...

    def settles(self, result: AccountResult) -> None:
        """Record that an account sync has ended; its row says how."""
        ...

    def ends(self, result: RunResult) -> None:
        """Record that the run has ended."""
        ...


class NoRecorder:
    """Recorder that records nothing."""

    def begins(self, run: Beginning) -> None:
        """Record nothing."""

    def reaches(self, accounts: Mapping[int, Sequence[int]]) -> None:
        """Record nothing."""

    def plans(self, account_id: int, bounds: Sequence[int]) -> None:
        """Record nothing."""

    def publishes(self, publication: Publication) -> None:
        """Record nothing."""

    def settles(self, result: AccountResult) -> None:
        """Record nothing."""

    def ends(self, result: RunResult) -> None:
        """Record nothing."""


NO_RECORDER = NoRecorder()
