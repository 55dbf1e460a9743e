"""Who is measured: a name, and the process that brings a database up to date with the source."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.databases import Database
from benchmarks.measuring import ROOT

PEERS = ROOT / ".venv-peers" / "bin" / "python"
"""The interpreter of the peers that are not ours; `make bench-peers` makes it."""

Command = tuple[list[str], dict[str, str]]


@dataclass(frozen=True)
class Subject:
    """`command` gives the words and the environment of one run; `fresh` says that no database is needed."""

    name: str
    command: Callable[[Database, str, str], Command]
    interpreter: str = sys.executable

    def run_on(self, database: Database, url: str, token: str) -> Command:
        """The command for a source."""
        words, environment = self.command(database, url, token)
        return [self.interpreter, *words], environment


def _vnsync(*more: str) -> Callable[[Database, str, str], Command]:
    def command(database: Database, url: str, token: str) -> Command:
        settings = {"API_URL": url, "API_TOKEN": token, "DATABASE_URL": database.url, "LOG_LEVEL": "error"}
        return ["-m", "etl", "sync", *more], {f"VNSYNC_{name}": value for name, value in settings.items()}

    return command


def _floor(database: Database, url: str, token: str) -> Command:
    return ["-m", f"benchmarks.peers.floor_{database.kind}", url, token, database.place], {}


def _download(_database: Database, url: str, token: str) -> Command:
    return ["-m", "benchmarks.peers.download", url, token], {}


def _dlt(mode: str) -> Callable[[Database, str, str], Command]:
    def command(database: Database, url: str, token: str) -> Command:
        script = str(ROOT / "benchmarks" / "peers" / "with_dlt.py")
        return [script, mode, url, token, database.kind, database.place], {"RUNTIME__DLTHUB_TELEMETRY": "false"}

    return command


VNSYNC = Subject("vnsync", _vnsync())
FLOOR = Subject("floor", _floor)
DOWNLOAD = Subject("download", _download)
DLT = (Subject("dlt tuned", _dlt("tuned"), str(PEERS)), Subject("dlt default", _dlt("default"), str(PEERS)))
ONE_BY_ONE = Subject("one by one", _vnsync("--concurrency", "1"))
SIDE_BY_SIDE = Subject("side by side", _vnsync("--concurrency", "4"))


def all_there() -> Mapping[str, Subject]:
    """Everybody who can be measured here, by name: dlt only where it is installed."""
    there = [VNSYNC, FLOOR, DOWNLOAD, *(DLT if PEERS.exists() else ())]
    return {subject.name: subject for subject in there}
