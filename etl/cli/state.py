"""State of the running command, for the top-level error handler and for what is printed at the end."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.extract.redaction import Redaction

SHORTEST_SECRET = 4


@dataclass
class State:
    """How to show an error, and the exit code that stands once the work itself is done.

    `output` is what stdout gets; `result`: the object for machines, printed when the command has ended, and None where
    it has none, or has `streamed` it. `outcome` counts when nobody reads the output any more; `warehouse`: the one that
    the command opened, for `traced`; `secrets` are kept out of whatever is printed.
    """

    debug: bool = False
    log_format: str = "text"
    output: str = "text"
    result: dict[str, Any] | None = None
    streamed: bool = False
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


def asked(arguments: Sequence[str], environment: Mapping[str, str]) -> State:
    """The state of a command line that is not parsed yet: errors in it are shown as it asks for."""
    log_format = _value(arguments, "--log-format") or environment.get("VNSYNC_LOG_FORMAT")
    return State(
        log_format="json" if log_format == "json" else "text",
        output="json" if _value(arguments, "--output") == "json" else "text",
    )


def _value(arguments: Sequence[str], option: str) -> str | None:
    """The last value that is given to the option."""
    found = None
    for place, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == option:
            found = next(iter(arguments[place + 1 :]), None)
        elif argument.startswith(f"{option}="):
            found = argument.partition("=")[2]
    return found


def current_state() -> State:
    """The state of the running command."""
    return click.get_current_context().ensure_object(State)
