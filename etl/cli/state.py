"""What the one catch needs to know of the command that was running."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.extract.redaction import Redaction

SHORTEST_SECRET = 4


@dataclass
class State:
    """How to show an error, and the exit code that stands once the work itself is done.

    `outcome` counts when nobody reads the output any more; `warehouse`: the one that the command opened, for `traced`;
    `secrets` are kept out of whatever is printed.
    """

    debug: bool = False
    log_format: str = "text"
    outcome: int = 0
    warehouse: Engine | None = None
    secrets: list[str] = field(default_factory=list, repr=False)

    def redacted(self, text: str, *, shortest: int = SHORTEST_SECRET) -> str:
        """The text without any of the secrets, however they are spelled; those below `shortest` are parts of words."""
        return _redaction(tuple(self.secrets)).hidden(text, shortest=shortest) if self.secrets else text


@functools.lru_cache(maxsize=1)
def _redaction(secrets: tuple[str, ...]) -> Redaction:
    from etl.extract.redaction import Redaction

    known = Redaction()
    for secret in secrets:
        known.add(secret)
    return known


def current_state() -> State:
    """The state of the running command."""
    return click.get_current_context().ensure_object(State)
