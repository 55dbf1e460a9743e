"""Command `vnsync`: its subcommands, imported on demand, and the one place that turns errors into exit codes."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import click

import etl
from etl.cli import signals
from etl.cli.announcements import end_all
from etl.cli.errors import local_trouble, report_bug, report_error
from etl.cli.hardening import private
from etl.cli.help import HelpContext, with_help
from etl.cli.output import end_json
from etl.cli.state import State, asked
from etl.cli.suggestions import NoSuchCommand, usage
from etl.cli.traced import traced
from etl.errors import Usage, VnsyncError

COLLECT_AFTER = (250_000, 50, 100)
"""Thresholds of the garbage collector: allocations before a collection, and collections before one of older objects."""

COMMANDS = {
    "demo": "etl.cli.commands.demo",
    "sync": "etl.cli.commands.sync",
    "plan": "etl.cli.commands.plan",
    "status": "etl.cli.commands.status",
    "accounts": "etl.cli.commands.accounts",
    "history": "etl.cli.commands.history",
    "changes": "etl.cli.commands.changes",
    "snapshot": "etl.cli.commands.snapshot",
    "verify": "etl.cli.commands.verify",
    "erase": "etl.cli.commands.erase",
    "replay": "etl.cli.commands.replay",
    "archive": "etl.cli.commands.archive",
    "report": "etl.cli.commands.report",
    "describe": "etl.cli.commands.describe",
    "sandbox": "etl.cli.commands.sandbox",
    "db": "etl.cli.commands.db",
    "config": "etl.cli.commands.config",
    "doctor": "etl.cli.commands.doctor",
}
"""Module of each command; the module has the command under its own name."""


class LazyGroup(click.Group):
    """Group that imports a command's module when the command, or its help, is requested."""

    context_class = HelpContext

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which a new user needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; None for an option. Raises `NoSuchCommand` when there is no such command."""
        if cmd_name not in COMMANDS:
            if ctx.resilient_parsing or cmd_name.startswith("-"):
                return None
            raise NoSuchCommand(cmd_name, ctx)
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)
        return with_help(command)


EPILOG = """\b
Start here:
  vnsync demo                                     no account needed: see what it does
  VNSYNC_API_TOKEN_FILE=token.txt vnsync sync     your numbers, into vnsync.db
  vnsync status                                   how fresh it is
"""


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(etl.__version__, prog_name="vnsync", message="%(prog)s %(version)s")
def cli() -> None:
    """Every virtual number of a CallGear, UIS, CoMagic or Novofon account in SQL tables, with its whole history."""


def main() -> None:
    """Run the command line of this process and exit with its code."""
    gc.set_threshold(*COLLECT_AFTER)
    code = run(sys.argv[1:])
    if code > signals.STOPPED:
        signals.ignore()
    gc.freeze()  # or Python would search all imported objects for cycles at exit, though the memory is freed anyway
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit code. Nothing is raised: every error becomes one line on stderr."""
    state = asked(arguments, os.environ)
    _never_fail_to_encode()
    with private(), signals.stoppable():
        try:
            code = _invoke(arguments, state)
        except (BrokenPipeError, SystemExit):  # the pipe's reader has closed it; click exits by itself then
            code = state.outcome
        except OSError as error:
            code = report_error(local_trouble(error), state)
        except VnsyncError as error:
            code = report_error(error, state)
        except Exception as error:  # noqa: BLE001 - the top-level handler: any other error is a bug
            code = report_bug(error, state)
        end_all(state, code)
    _flush_or_discard(sys.stdout, sys.stderr)
    return code


def _invoke(arguments: Sequence[str], state: State) -> int:
    """Run the command; returns its exit code. click's usage errors become `Usage`."""
    try:
        with traced(state):
            code: Any = cli.main(list(arguments), prog_name="vnsync", standalone_mode=False, obj=state)
        end_json(state)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return Usage.exit_code
    except click.UsageError as error:
        raise usage(error, list(COMMANDS)) from None
    return code if isinstance(code, int) else 0


def _never_fail_to_encode() -> None:
    """Make the streams escape characters that their encoding lacks, instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush_or_discard(*streams: TextIO | None) -> None:
    """Flush the streams; discard output that cannot be written, so that Python does not fail on it again at exit."""
    for stream in streams:
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno())
                os.close(null)
