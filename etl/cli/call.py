"""Calls from Python (`vnsync.py`): settings, secrets and errors as in a command, in a process that is not ours.

Nothing of the process is changed: neither signals, umask, streams and environment nor the C library's allocator.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etl.cli.errors import local_trouble
from etl.cli.state import SHORTEST_SECRET, State
from etl.cli.traced import traced
from etl.config.secrets import Secret
from etl.domain.instants import parse_instant
from etl.errors import Usage, VnsyncError

if TYPE_CHECKING:
    from datetime import datetime

    from etl.config.settings import Loaded
    from etl.domain.shards import Shard

SECRETS = ("api_token", "api_password", "database_url")


def arguments(**given: object) -> dict[str, Any]:
    """Settings given by a caller (None: not given), in the forms that settings have; secrets show as stars."""
    return {name: _plain(name, value) for name, value in given.items() if value is not None}


def _plain(name: str, value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Path):
        return str(value)
    return Secret(value) if name in SECRETS and isinstance(value, str) else value


@contextmanager
def call(given: Mapping[str, Any]) -> Iterator[Loaded]:
    """Context of one call: the settings in force, from `given`, the environment and vnsync.toml.

    Errors of the operating system become `LocalTrouble`; no error shows a secret; the warehouse is closed.
    """
    state = State()
    with click.Context(click.Command("vnsync"), obj=state).scope():
        try:
            with traced(state):
                yield _loaded(given, state)
        except OSError as error:
            _conceal(error, state)
            raise local_trouble(error) from error
        except BaseException as error:
            _conceal(error, state)
            raise
        finally:
            if state.warehouse is not None:
                state.warehouse.dispose()


def _loaded(given: Mapping[str, Any], state: State) -> Loaded:
    from etl.cli.options import remember
    from etl.config.settings import load

    loaded = load(given, kind="argument")
    remember(loaded, state)
    return loaded


def _conceal(error: BaseException, state: State) -> None:
    """Mask the secrets in the error and its causes, and drop the variables of their frames, which hold the key.

    A caller may log the error with its traceback; some loggers and notebooks show the variables, too.
    """
    from etl.extract.redaction import Redaction

    redaction = Redaction()
    for secret in state.secrets:
        if len(secret) >= SHORTEST_SECRET:
            redaction.add(secret)
    if isinstance(error, VnsyncError):
        error.remedy = redaction.hidden(error.remedy)
    for cause in redaction.scrub(error):
        traceback.clear_frames(cause.__traceback__)


def instant(value: datetime | str | None, name: str) -> datetime | None:
    """The moment in UTC: of an aware datetime, or of a text in ISO 8601. Raises `Usage` for anything else."""
    if value is None:
        return None
    if not isinstance(value, str) and value.utcoffset() is None:
        raise Usage(f"{name} has no time zone", remedy="Write datetime(..., tzinfo=UTC), or a text in ISO 8601.")
    try:
        return parse_instant(value if isinstance(value, str) else value.isoformat())
    except ValueError as error:
        raise Usage(f"{name} is not a date or time", remedy=f"Accepted: {error}.") from None


def shard(value: str | None) -> Shard | None:
    """The shard of a text such as 2/4. Raises `Usage` for any other text."""
    from etl.domain.shards import MOST
    from etl.domain.shards import shard as parsed

    try:
        return None if value is None else parsed(value)
    except ValueError:
        raise Usage(f"shard is {value!r}", remedy=f"Write K/N, such as 2/4, with N up to {MOST}.") from None
