"""What the one catch needs to know of the command that was running."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sqlalchemy import Engine

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
        """The text without any of the secrets, longest first; those below `shortest` are parts of many words."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            if len(secret) >= shortest:
                text = text.replace(secret, "****").replace(repr(secret)[1:-1], "****")
        return text


def current_state() -> State:
    """The state of the running command."""
    return click.get_current_context().ensure_object(State)
