"""The page docs/cli.md: the output of `--help` for each command.

To regenerate it: python -m tests.support.cli_page > docs/cli.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from etl.cli.help import Help
from etl.cli.main import cli

WIDTH = 100
HEAD = """\
# Commands

What `--help` prints, for each command. Settings and their environment variables: [README](../README.md#settings);
exit codes: [README](../README.md#exit-codes), and [what to do](night.md).
"""


def page() -> str:
    """The whole page."""
    with click.Context(cli, info_name="vnsync", **cli.context_settings) as root:
        parts = [f"\n## `{context.command_path}`\n\n```\n{_help(context)}\n```\n" for context in _contexts(root)]
    return HEAD + "".join(parts)


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """The command of a context, then its subcommands in their order."""
    yield context
    group = context.command
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            yield from _contexts(click.Context(command, info_name=name, parent=context))


def _help(context: click.Context) -> str:
    formatter = Help(width=WIDTH)
    context.command.format_help(context, formatter)
    return "\n".join(line.rstrip() for line in formatter.getvalue().rstrip().split("\n"))


if __name__ == "__main__":
    sys.stdout.write(page())
