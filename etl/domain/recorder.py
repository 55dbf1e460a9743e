"""What a run lets somebody else see, so that evidence of it can be kept: what it heard, and what it decided from that.

A witness is passed in. It may refuse by raising: what it cannot keep is not published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from etl.domain.runs import AccountResult, RunResult
from etl.domain.viewer import NO_VIEWER, Viewer


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request to the source and what came back. `params` are without keys and passwords.

    `body` is what was received, None when nothing whole came (`error` says why). `redacted`: a secret that the source
    sent back was masked in it.
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
"""Takes every exchange before anything is made of the answer; logins are not told."""


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """A run, and what it was asked to do."""

    run_id: int
    source_url: str
    version: str
    started_at: datetime
    accounts: frozenset[int] = frozenset()
    approve_close: frozenset[int] = frozenset()
    max_close_share: float = 0.5
    page_limit: int = 10_000


@dataclass(frozen=True, kw_only=True)
class Publication:
    """An account sync that is about to be committed. `previous`: the account's observation before this one."""

    result: AccountResult
    previous: datetime | None = None
    timezone: str | None = None
    viewer: Viewer = NO_VIEWER


class RunRecorder(Protocol):
    """Is told of a run as it goes; accounts may be worked on by several threads."""

    def begins(self, run: Beginning) -> None:
        """A run has its row, and has asked nothing yet."""
        ...

    def reaches(self, accounts: Mapping[int, Sequence[int]]) -> None:
        """The accounts that the token reaches, each with the users through whose eyes it can be listed."""
        ...

    def plans(self, account_id: int, bounds: Sequence[int]) -> None:
        """An account is listed whole: the ids at which it was cut into windows."""
        ...

    def publishes(self, publication: Publication) -> None:
        """The last word before a commit."""
        ...

    def settles(self, result: AccountResult) -> None:
        """An account sync has ended, and its row says how."""
        ...

    def ends(self, result: RunResult) -> None:
        """The run has ended."""
        ...


class NoRecorder:
    """Nobody looks."""

    def begins(self, run: Beginning) -> None:
        """Nothing."""

    def reaches(self, accounts: Mapping[int, Sequence[int]]) -> None:
        """Nothing."""

    def plans(self, account_id: int, bounds: Sequence[int]) -> None:
        """Nothing."""

    def publishes(self, publication: Publication) -> None:
        """Nothing."""

    def settles(self, result: AccountResult) -> None:
        """Nothing."""

    def ends(self, result: RunResult) -> None:
        """Nothing."""


NO_RECORDER = NoRecorder()
