"""Command line for tests: the environment of a command, its result, and the sandbox for it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etl.sandbox.api import Api
from etl.sandbox.server import serve
from etl.sandbox.world import World
from tests.support.checkout import ROOT
from tests.support.secrets import CANARY, in_text, write_secret

TOKEN = CANARY


@dataclass(frozen=True)
class Outcome:
    """Result of a command: its exit code and both streams."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        """Check that the output does not contain the key."""
        assert not in_text(self.out, self.err), "the key was printed"

    @property
    def json(self) -> Any:
        """The only object on stdout."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def error(self) -> str:
        """The only line on stderr."""
        (line,) = self.err.splitlines()
        return line


@dataclass(frozen=True)
class Source:
    """A listening sandbox, and the options that point to it."""

    world: World
    api: Api
    url: str
    options: tuple[str, ...]


Run = Callable[..., Outcome]


def command(*arguments: object) -> list[str]:
    """The command line of a process."""
    return [sys.executable, "-m", "etl", *(str(a) for a in arguments)]


def environment() -> dict[str, str]:
    """The environment of a process: this one's, with the path to the code."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def listening(world: World, folder: Path) -> Iterator[Source]:
    """A sandbox that serves the world on loopback, with a token file for it."""
    token = write_secret(folder / "token")
    api = Api(world, token=TOKEN)
    with serve(api) as server:
        yield Source(world, api, server.url, ("--api-url", server.url, "--api-token-file", str(token)))
