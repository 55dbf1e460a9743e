"""State of the running command, for the top-level error handler and for the output at the end."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.errors import VnsyncError
    from etl.extract.redaction import Redaction

SHORTEST_SECRET = 4
"""Least length of the secrets that are masked in errors and log lines: a shorter one is a part of many words."""


@dataclass
class State:
    """State of one command: how to show its errors, what it printed, and its exit code once its work is done.

    `output`: format of stdout; `result`: the JSON object, printed when the command ends, None if there is none or if it
    was `streamed`; `outcome`: exit code if the reader of the output has closed it; `warehouse`: engine that the command
    opened, for `traced`; `secrets`: masked in everything that is printed; `failure`: error that was written; `at_end`:
    called with the exit code.
    """

    debug: bool = False
    log_format: str = "text"
    output: str = "text"
    result: dict[str, Any] | None = None
    streamed: bool = False
    outcome: int = 0
    warehouse: Engine | None = None
    secrets: list[str] = field(default_factory=list, repr=False)
    failure: VnsyncError | None = None
    at_end: list[Callable[[int], None]] = field(default_factory=list)

    def redacted(self, text: str, *, shortest: int = SHORTEST_SECRET) -> str:
        """The text without the secrets of at least `shortest` characters, in whatever spelling or encoding."""
        return _redaction(tuple(self.secrets)).hidden(text, shortest=shortest) if self.secrets else text


@functools.lru_cache(maxsize=1)
def _redaction(secrets: tuple[str, ...]) -> Redaction:
    from etl.extract.redaction import Redaction

    known = Redaction()
    for secret in secrets:
        known.add(secret)
    return known


def asked(arguments: Sequence[str], environment: Mapping[str, str]) -> State:
    """State of a command line that is not parsed yet, so that usage errors have the format that it asks for."""
    log_format = _value(arguments, "--log-format") or environment.get("VNSYNC_LOG_FORMAT")
    return State(
        log_format="json" if log_format == "json" else "text",
        output="json" if _value(arguments, "--output") == "json" else "text",
    )


def _value(arguments: Sequence[str], option: str) -> str | None:
    """Last value of the option on the command line; None if it is not given."""
    found = None
    for i, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == option:
            found = next(iter(arguments[i + 1 :]), None)
        elif argument.startswith(f"{option}="):
            found = argument.partition("=")[2]
    return found


def current_state() -> State:
    """State of the running command."""
    return click.get_current_context().ensure_object(State)
