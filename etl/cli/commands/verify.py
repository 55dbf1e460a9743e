"""`vnsync verify`: proof of the warehouse, or of a snapshot or archive folder."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from etl.cli import options, reading
from etl.cli.paths import PATH
from etl.cli.state import current_state
from etl.errors import IntegrityBroken, Usage

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.config.settings import Loaded
    from etl.domain.verification import Progress, Verdict

EPILOG = """\b
Examples:
  vnsync verify                                  the warehouse: invariants, references, chains
  vnsync verify --head 9f2c...                   also check that this digest is in a chain
  vnsync verify --head 101=9f2c... --head 102=77ab...
  vnsync verify snapshot-2026-03-01              a snapshot, and the warehouse
  vnsync verify /srv/vnsync-archive              an archive, against its manifests
  vnsync verify /srv/vnsync-archive --head 2603010600001234:5e81...
  vnsync verify --output json | jq '.problems[]'

Keep heads in a place where users who can write to the warehouse cannot write: `vnsync status
--output json` shows them as chain_digest. Without one, a completely rewritten history would also
pass. `vnsync verify DIR` shows an archive's head; without it, a removal of its last runs would
also pass.
Exit codes: 0 no problems; 70 problems found.
"""

_HEAD = re.compile(r"(?:([0-9]{1,18})=|([0-9]{1,19}):)?([0-9a-f]{64})")


class Kept(NamedTuple):
    """A digest kept elsewhere, with its account (warehouse) or its run (archive) if that was given."""

    digest: str
    account_id: int | None
    run_id: int | None


class KeptHead(click.ParamType[Kept]):
    """Click type for a digest kept elsewhere, with or without its account or run."""

    name = "head"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Kept:
        """The digest, with its account or run. Raises a usage error for any other text."""
        found = _HEAD.fullmatch(str(value).strip().lower())
        if not found:
            self.fail(f"{value!r} is not a head: write its 64 hex digits, ACCOUNT=HEX or RUN:HEX", param, ctx)
        return Kept(found[3], int(found[1]) if found[1] else None, int(found[2]) if found[2] else None)


@click.command(epilog=EPILOG, short_help="Prove the history: invariants, references, hash chains.")
@click.argument("folder", required=False, type=PATH, metavar="[DIR]")
@click.option(
    "--head", type=KeptHead(), multiple=True, metavar="HEX", help="A digest kept elsewhere; ACCOUNT=HEX, RUN:HEX."
)
@options.output
@options.settings(*options.DATABASE, *options.LOG)
def verify(loaded: Loaded, folder: Path | None, head: tuple[Kept, ...], output: str) -> int:
    """Prove that the warehouse is as the syncs wrote it, or that DIR is as vnsync wrote it.

    Reads everything once and writes nothing. Each problem is shown with its table, key, account and run.
    """
    state = current_state()
    with _progress() as progress:
        verdict = _of_folder(loaded, folder, head) if folder is not None else _of_warehouse(loaded, head, progress)
    state.outcome = 0 if verdict.ok else IntegrityBroken.exit_code
    _write(verdict, output)
    if not verdict.ok:
        first = verdict.problems[0]
        remedy = "Restore a backup from before the edit, and find out who can write to it."
        if folder is not None:
            remedy = "Do not use the folder; find out who can write to it."
        raise IntegrityBroken(f"{_sentence(verdict)}; the first: {_problem_line(first)}", remedy=remedy)
    return 0


def _of_warehouse(loaded: Loaded, heads: tuple[Kept, ...], progress: Progress) -> Verdict:
    from etl.verify.warehouse import verify_warehouse

    if any(h.run_id is not None for h in heads):
        raise Usage("RUN:HEX is the head of an archive", remedy="Name the archive's folder, or write ACCOUNT=HEX.")
    return verify_warehouse(reading.readable(loaded), [(h.account_id, h.digest) for h in heads], progress)


def _of_folder(loaded: Loaded, folder: Path, heads: tuple[Kept, ...]) -> Verdict:
    from etl.archive.layout import MARKER
    from etl.snapshot.check import is_snapshot

    if not folder.is_dir():
        raise Usage(f"there is no folder {folder}", remedy="Name a snapshot or an archive, or leave DIR out.")
    if os.path.lexists(folder / MARKER):  # whatever it is: a FIFO or a link there is the archive's problem
        return _of_archive(folder, heads)
    if is_snapshot(folder):
        if heads:
            raise Usage("--head is for the warehouse or an archive", remedy="Leave --head out.")
        return _of_snapshot(loaded, folder)
    raise Usage(f"{folder} is neither a snapshot nor an archive", remedy="Name one, or leave DIR out.")


def _of_snapshot(loaded: Loaded, folder: Path) -> Verdict:
    from etl.cli.connect import warehouse_name
    from etl.domain.verification import Problem, Problems, Verdict
    from etl.report.snapshot import check_notes
    from etl.snapshot.check import check

    engine, problems = _comparable_warehouse(loaded), Problems()
    checked = check(folder, engine)
    for found in checked.problems:
        problems.add(Problem(key=found.where, what=found.what))
    return Verdict.of(problems, notes=tuple(check_notes(checked, warehouse_name(loaded) if engine else None)))


def _of_archive(folder: Path, heads: tuple[Kept, ...]) -> Verdict:
    from etl.archive.checking import check_archive
    from etl.archive.heads import ArchiveHead
    from etl.domain.verification import Problem, Problems, Verdict
    from etl.report.wording import counted

    if any(h.account_id is not None for h in heads):
        raise Usage("ACCOUNT=HEX is a head of the warehouse", remedy="Leave DIR out, or write RUN:HEX.")
    found, problems = check_archive(folder, [ArchiveHead(h.digest, h.run_id) for h in heads]), Problems()
    for what in found.problems:
        problems.add(Problem(what=what))
    size = f"{counted(found.runs, 'run')}, {counted(found.responses, 'response')}, {found.pruned} pruned"
    notes = [*found.notes, f"{size}; head {found.head}." if found.head else f"{size}."]
    return Verdict.of(problems, notes=tuple(notes))


def _comparable_warehouse(loaded: Loaded) -> Engine | None:
    """Engine of the warehouse to compare a folder with; None if there is none with this program's schema."""
    from etl.cli.connect import is_there, warehouse
    from etl.store import migrations

    if not is_there(loaded):
        return None
    engine = warehouse(loaded)
    return engine if migrations.current(engine) == migrations.head() else None


@contextmanager
def _progress() -> Iterator[Progress]:
    """Progress: one line that is overwritten, if stderr is a terminal; none elsewhere."""
    from etl.report.terminal.tables import is_terminal

    if sys.stderr is None or not is_terminal(sys.stderr):
        yield lambda _: None
        return
    from etl.report.terminal.progress import status_line

    with status_line(sys.stderr) as show:
        yield lambda step: show(f"verifying {step}")


def _write(verdict: Verdict, output: str) -> None:
    from etl.cli.output import write_json, write_line, write_table
    from etl.report import evidence as words

    if output == "json":
        write_json(words.for_machines(verdict))
        return
    if verdict.accounts:
        write_table(words.accounts_table(verdict))
    for sentence in words.remarks(verdict):
        write_line(sentence)
    if verdict.problems:
        write_table(words.problems_table(verdict))
    write_line(_sentence(verdict) + ("" if _sentence(verdict).endswith(")") else "."))


def _sentence(verdict: Verdict) -> str:
    from etl.report.evidence import verdict_sentence

    return verdict_sentence(verdict)


def _problem_line(problem: Any) -> str:
    from etl.report.evidence import problem_line

    return problem_line(problem)
