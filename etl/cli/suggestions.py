"""Usage errors with a suggestion: the nearest command or option, or the option that does the same in vnsync."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import click

from etl.errors import Usage
from etl.report.wording import sentence

ELSEWHERE = {
    "--dry-run": "`vnsync plan` shows what a sync would do, and writes nothing",
    "--json": "Write --output json",
    "--csv": "Write --output csv; `vnsync changes` has it",
    "--since": "`vnsync changes` takes --from",
    "--until": "`vnsync changes` takes --to",
    "--days": "Write --max-age 3d, or --from with a date",
    "--force": "Write --yes where a command asks for it",
    "-y": "Write --yes",
    "-o": "Write --output json, or --out FILE",
    "-a": "Write --account ID",
}
"""Options of other programs, and the way to do the same in vnsync."""
AFTER_THE_COMMAND = frozenset(
    {"-q", "--quiet", "-v", "--verbose", "--output", "--config", "--log-format", "--log-level", "--database-url"}
)
"""Options of commands that are often written before the command by mistake."""


class NoSuchCommand(click.UsageError):
    """Usage error for a command that does not exist; `name` is the word that was written."""

    def __init__(self, name: str, ctx: click.Context) -> None:
        super().__init__(f"No such command {name!r}.", ctx)
        self.name = name


def usage(error: click.UsageError, commands: Sequence[str]) -> Usage:
    """`Usage` for an error of click, with a suggestion in its remedy where there is one."""
    where = error.ctx.command_path if error.ctx else "vnsync"
    suggestion = _suggestion(error, where, commands)
    hint = f"{sentence(suggestion)} " if suggestion else ""
    message = error.message if isinstance(error, click.NoSuchOption) else error.format_message()
    return Usage(message, remedy=f"{hint}See `{where} --help`.")


def _suggestion(error: click.UsageError, where: str, commands: Sequence[str]) -> str | None:
    if isinstance(error, NoSuchCommand):
        near = difflib.get_close_matches(error.name, commands, n=1, cutoff=0.5)
        return f"Did you mean `vnsync {near[0]}`?" if near else None
    if not isinstance(error, click.NoSuchOption):
        return None
    name = error.option_name
    if " " not in where and name in ("-v", "--verbose"):
        return "Write it after the command (`vnsync sync -v`), or --version"
    if " " not in where and name in AFTER_THE_COMMAND:
        return f"Write it after the command: `vnsync status {name} ...`"
    spelled = next((known for known in ELSEWHERE if _letters(known) == _letters(name)), None)
    if spelled:
        return ELSEWHERE[spelled]
    return f"Did you mean {error.possibilities[0]}?" if error.possibilities else None


def _letters(option: str) -> str:
    """An option's name without dashes and in small letters, as in `--dryrun`; one of one letter as it is."""
    return option.strip("-").replace("-", "").replace("_", "").lower() if option.startswith("--") else option
