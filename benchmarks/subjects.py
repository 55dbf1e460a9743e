"""Who is measured: a name, and the process that brings a database up to date with the source."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.databases import Database
from benchmarks.measuring import ROOT

PEERS = ROOT / ".venv-peers" / "bin" / "python"
"""The interpreter of the peers that are not ours; `make bench-peers` makes it."""

Command = tuple[list[str], dict[str, str]]


@dataclass(frozen=True)
class Subject:
    """`command` gives the words and the environment of one run; `most`, the numbers that it takes in bearable time."""

    name: str
    command: Callable[[Database, str, str], Command]
    interpreter: str = sys.executable
    most: Mapping[str, int] = field(default_factory=dict)
    """By kind of database; where it is not named, any."""

    def takes(self, numbers: int, kind: str) -> bool:
        """Whether it is worth while to measure it with so many."""
        return numbers <= self.most.get(kind, numbers)

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


def _ingestr(strategy: str) -> Callable[[Database, str, str], Command]:
    def command(database: Database, url: str, token: str) -> Command:
        script = str(ROOT / "benchmarks" / "peers" / "with_ingestr.py")
        return [script, strategy, url, token, database.kind, database.place], {"INGESTR_DISABLE_TELEMETRY": "true"}

    return command


VNSYNC = Subject("vnsync", _vnsync())
FLOOR = Subject("floor", _floor)
DOWNLOAD = Subject("download", _download)
DLT = (Subject("dlt tuned", _dlt("tuned"), str(PEERS)), Subject("dlt default", _dlt("default"), str(PEERS)))
INGESTR = (
    # On SQLite it looks for each number in a table without an index: twice the numbers take four times as long.
    Subject("ingestr scd2", _ingestr("scd2"), str(PEERS), most={"sqlite": 10_000}),
    Subject("ingestr merge", _ingestr("merge"), str(PEERS)),
)
ONE_BY_ONE = Subject("one by one", _vnsync("--concurrency", "1"))
SIDE_BY_SIDE = Subject("side by side", _vnsync("--concurrency", "4"))


def all_there() -> Mapping[str, Subject]:
    """Everybody who can be measured here, by name: dlt and ingestr only where they are installed."""
    there = [VNSYNC, FLOOR, DOWNLOAD]
    there += [one for program, peers in (("dlt", DLT), ("ingestr", INGESTR)) if _has(program) for one in peers]
    return {subject.name: subject for subject in there}


def _has(program: str) -> bool:
    return PEERS.with_name(program).exists()
