"""`vnsync doctor`: checks of all that a sync needs, with the fix for each problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from etl.cli import options
from etl.cli.state import current_state
from etl.errors import Incomplete, VnsyncError, with_exit_code

if TYPE_CHECKING:
    from etl.cli.checks import Finding
    from etl.config.settings import Loaded

EPILOG = """\
Checks settings, token, rights at the source, whitelist, clock, database and migrations. Calls
the API methods that a sync calls (for five customers of an agent, two points each) and changes
nothing. Exits with the code of the first failed check.

\b
Examples:
  vnsync doctor
  vnsync doctor --output json
"""


@click.command(epilog=EPILOG, short_help="Check all that a sync needs, and show how to fix it.")
@options.output
@options.settings(*options.API, *options.DATABASE, *options.LOG)
def doctor(loaded: Loaded, output: str) -> int:
    """Check everything that a sync needs, and show how to fix each problem."""
    from etl.cli.checks import Reached, check_archive, check_database, check_settings
    from etl.cli.source_checks import check_source

    reached = Reached()
    findings = [
        *check_settings(loaded),
        *check_archive(loaded),
        *check_source(loaded, reached),
        *check_database(loaded, reached),
    ]
    worst = _worst(findings)
    code = worst.exit_code if worst else 0
    current_state().outcome = code
    _write(findings, code, output)
    if worst:
        raise _error(worst)
    return code


def _worst(findings: Sequence[Finding]) -> Finding | None:
    """The first that fails; one that stops a few accounts (3) only where none stops all of them."""
    failing = [finding for finding in findings if finding.state == "fail"]
    return min(failing, key=lambda finding: finding.exit_code == Incomplete.exit_code, default=None)


def _error(finding: Finding) -> VnsyncError:
    return with_exit_code(finding.exit_code, f"{finding.check}: {finding.found}", remedy=finding.remedy)


def _write(findings: Sequence[Finding], code: int, output: str) -> None:
    from etl.cli.output import write_json, write_line, write_table
    from etl.report.terminal.tables import Table
    from etl.report.wording import sentence

    if output == "json":
        write_json({"ok": code == 0, "exit_code": code, "checks": findings})
        return
    write_table(Table(["check", "state", "found"], [[f.check, f.state, f.found] for f in findings]))
    for finding in findings:
        if finding.remedy:
            write_line(f"How to fix {finding.check}: {sentence(finding.remedy)}")
    if not code:
        ready = all(f.state == "ok" for f in findings)
        write_line("Ready to sync." if ready else "Ready to sync; see the warnings.")
