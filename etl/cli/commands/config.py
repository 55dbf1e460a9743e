"""`vnsync config`: the settings in force, and the source of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from etl.cli import options

if TYPE_CHECKING:
    from etl.config.settings import Loaded

EPILOG = """\
A setting is taken from its option, else the environment (VNSYNC_...), else the config file,
else its default.

A config file, vnsync.toml or --config FILE:

\b
  api_url = "callgear"
  api_token_file = "/run/secrets/vnsync-token"
  database_url = "postgresql://etl@localhost/calls"

\b
Examples:
  vnsync config
  vnsync config --config /etc/vnsync.toml --output json
"""


@click.command(epilog=EPILOG, short_help="Every setting, its value and where it comes from.")
@options.output
@options.settings("archive", "max_close_share", "concurrency", *options.API, *options.DATABASE, *options.LOG)
def config(loaded: Loaded, output: str) -> None:
    """Show every setting, its value and where it comes from. Secrets are masked."""
    from etl.cli.output import write_json, write_table
    from etl.report.terminal.tables import Table

    rows = list(loaded.rows())
    if output == "json":
        settings = [{"setting": n, "value": v, "source": s} for n, v, s in rows]
        write_json({"config_file": str(loaded.config_file) if loaded.config_file else None, "settings": settings})
        return
    cells = [[name, "not set" if value is None else str(value), source] for name, value, source in rows]
    write_table(Table(["setting", "value", "source"], cells))
