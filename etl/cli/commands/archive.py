"""`vnsync archive`: maintenance of an archive of responses."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from etl.cli import options
from etl.cli.choice import Duration
from etl.cli.paths import PATH

if TYPE_CHECKING:
    from etl.config.settings import Loaded

EPILOG = """\b
Examples:
  vnsync archive prune /srv/vnsync-archive --keep 90d
  vnsync archive erase /srv/vnsync-archive --account 12001 --number 100037 --yes
  vnsync verify /srv/vnsync-archive
"""


@click.group(epilog=EPILOG, short_help="Prune an archive; erase one number from it.")
def archive() -> None:
    """Maintain an archive that `vnsync sync --archive` wrote. It stays verifiable after both commands."""


@archive.command(
    short_help="Remove the responses of old runs.",
    epilog="Example: vnsync archive prune /srv/vnsync-archive --keep 90d",
)
@click.argument("folder", type=PATH)
@click.option(
    "--keep", type=Duration(), required=True, metavar="AGE", help="Keep runs younger than this: 26h, 90d, 52w."
)
@options.output
@options.settings(*options.LOG)
def prune(loaded: Loaded, folder: Path, keep: timedelta, output: str) -> None:
    """Remove from PATH the responses of runs that began longer ago than AGE, unless another run needs them.

    Manifests stay, and a tombstone for each run records what was removed. The newest run keeps its responses, whatever
    its age.
    """
    from etl.archive import pruning
    from etl.cli.output import write_json
    from etl.clock import SystemClock
    from etl.report.wording import counted, thousands

    now = SystemClock().now()
    done = pruning.prune(folder, before=now - keep, now=now)
    if output == "json":
        write_json(done)
        return
    pruned = f"{counted(len(done.runs), 'run')} and {counted(done.responses, 'response')}"
    click.echo(f"{pruned} pruned, {thousands(done.bytes)} bytes.")


@archive.command(
    short_help="Erase one number's personal content.",
    epilog="Example: vnsync archive erase /srv/vnsync-archive --account 12001 --number 100037 --yes",
)
@click.argument("folder", type=PATH)
@click.option("--account", type=int, required=True, metavar="ID", help="The account's id.")
@click.option("--number", type=int, required=True, metavar="ID", help="The number's id.")
@click.option("--yes", is_flag=True, help="Do it. Without it nothing is erased.")
@options.output
@options.settings(*options.LOG)
def erase(loaded: Loaded, folder: Path, account: int, number: int, yes: bool, output: str) -> None:
    """Set the number's phone numbers, comment, name and unknown fields to null in every response of PATH.

    A response that seems to mention the number but cannot be parsed is erased completely, and named. The archive keeps
    a record of the erasure. `vnsync erase` does the same in the warehouse.
    """
    from etl.archive.erasing import erase_number
    from etl.cli.output import write_json
    from etl.clock import SystemClock
    from etl.report.wording import counted

    found = erase_number(folder, account, number, now=SystemClock().now(), dry_run=not yes)
    if output == "json":
        whole = [{"run_id": run_id, "sha256": digest} for run_id, digest in found.whole]
        counts = {"runs": found.runs, "responses": found.responses, "earlier": found.earlier}
        write_json({"erased": yes, **counts, "whole": whole, "quoting": found.quoting, "unneeded": found.unneeded})
        return
    erased = f"{counted(found.responses, 'response')} of {counted(found.runs, 'run')}"
    done = "erased." if yes else "would be erased; nothing was. Add --yes to do it."
    click.echo(f"Number {number} of account {account}: {erased} {done}")
    for run_id, digest in found.whole:
        click.echo(f"Erased completely, because it cannot be parsed: response {digest} of run {run_id}.")
    if found.unneeded:
        click.echo(f"{counted(found.unneeded, 'response')} that no run names mentioned the number, and were removed.")
    for run_id in found.quoting:
        click.echo(f"The manifest of run {run_id} quotes an error that mentions the number; manifests never change.")
    if found.earlier:
        click.echo(f"The number was erased from {counted(found.earlier, 'run')} earlier.")
