"""`vnsync db`: the version of the warehouse's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from etl.cli import options

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.settings import Loaded

EPILOG = """\b
Examples:
  vnsync db current                 which version the warehouse is at
  vnsync db upgrade                 bring it up to date (`sync` does so by itself)
  vnsync db downgrade 0001          go back; `base` drops everything that vnsync made
"""


@click.group(epilog=EPILOG, short_help="The version of the warehouse's schema.")
def db() -> None:
    """Look at and change the version of the warehouse's schema."""


@db.command(
    short_help="Bring the schema up to date.",
    epilog="Example: vnsync db upgrade --database-url postgresql://etl@localhost/calls",
)
@options.output
@options.settings(*options.DATABASE, *options.LOG)
def upgrade(loaded: Loaded, output: str) -> None:
    """Create the schema in an empty database, or bring an older one up to date."""
    from etl.cli.connect import warehouse
    from etl.store import migrations

    engine = warehouse(loaded)
    changed = migrations.upgrade(engine)
    verb = "upgraded to" if changed else "already at"
    _tell(output, f"The warehouse is {verb} version {migrations.head()}.", engine, changed=changed)


@db.command(short_help="Show the versions.", epilog="Example: vnsync db current --output json")
@options.output
@options.settings(*options.DATABASE, *options.LOG)
def current(loaded: Loaded, output: str) -> None:
    """Show which version the warehouse is at, and which this vnsync needs."""
    from etl.cli.connect import is_there, warehouse
    from etl.store import migrations

    head = migrations.head()
    engine = warehouse(loaded) if is_there(loaded) else None
    at = migrations.current(engine) if engine else None
    state = "up to date" if at == head else f"this vnsync needs {head}: run `vnsync db upgrade`"
    _tell(output, f"The warehouse is at version {at}; {state}." if at else f"The warehouse is empty; {state}.", engine)


@db.command(short_help="Go back to an older version.", epilog="Example: vnsync db downgrade 0001")
@click.argument("revision")
@options.output
@options.settings(*options.DATABASE, *options.LOG)
def downgrade(loaded: Loaded, revision: str, output: str) -> None:
    """Take the schema back to REVISION; `base` drops all that vnsync made, with the data. Make a backup first."""
    from etl.cli.connect import warehouse
    from etl.store import migrations

    engine = warehouse(loaded)
    migrations.downgrade(engine, revision)
    _tell(output, f"The warehouse is at version {migrations.current(engine) or 'base'}.", engine, changed=True)


def _tell(output: str, sentence: str, engine: Engine | None, **fields: bool) -> None:
    from etl.cli.output import write_json
    from etl.report.wording import printable
    from etl.store import migrations

    if output == "json":
        at = migrations.current(engine) if engine else None
        write_json({"current": at, "head": migrations.head(), **fields})
    else:
        click.echo(printable(sentence))
