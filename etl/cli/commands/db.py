"""`vnsync db`: version of the warehouse's schema, and the installation of the API that the warehouse belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from etl.cli import options

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.config.settings import Loaded
    from etl.store.home import Owned
    from etl.store.installations import Rebinding

EPILOG = """\b
Examples:
  vnsync db current                 show the version of the warehouse
  vnsync db upgrade                 bring it up to date (`sync` does so by itself)
  vnsync db downgrade base          list what would be dropped: everything that vnsync created
  vnsync db downgrade base --yes    drop it
  vnsync db rebind --to URL --yes   use another host, after the vendor renamed it
"""


@click.group(epilog=EPILOG, short_help="The warehouse's schema, and the installation that it belongs to.")
def db() -> None:
    """Show or change the version of the warehouse's schema, and the installation that it belongs to."""


@db.command(
    short_help="Bring the schema up to date.",
    epilog="Example: vnsync db upgrade --database-url postgresql://etl@localhost/calls",
)
@click.option("--comments", is_flag=True, help="Write vnsync's comments also over those that somebody else wrote.")
@options.output
@options.settings(*options.DATABASE, *options.LOG)
def upgrade(loaded: Loaded, comments: bool, output: str) -> None:
    """Create the schema in an empty database, or bring an older one up to date.

    Missing and changed views and missing comments are made again; grants, comments and objects of other users stay.
    """
    from etl.cli.connect import warehouse
    from etl.store import migrations

    engine, head = warehouse(loaded), migrations.head()
    was = migrations.current(engine)
    changed = migrations.upgrade(engine, thorough=True, anew=comments)
    done = "; missing or changed views and comments were made again" if changed and was == head else ""
    verb = "upgraded to" if changed and was != head else "already at"
    _write(output, f"The warehouse is {verb} version {head}{done}.", engine, changed=changed)


@db.command(short_help="Show the versions.", epilog="Example: vnsync db current --output json")
@options.output
@options.settings(*options.DATABASE, *options.LOG)
def current(loaded: Loaded, output: str) -> None:
    """Show the version of the warehouse, and the version that this vnsync needs."""
    from etl.cli.connect import is_there, warehouse
    from etl.store import migrations

    head = migrations.head()
    engine = warehouse(loaded) if is_there(loaded) else None
    at = migrations.current(engine) if engine else None
    state = "up to date" if at == head else f"this vnsync needs {head}: run `vnsync db upgrade`"
    _write(output, f"The warehouse is at version {at}; {state}." if at else f"The warehouse is empty; {state}.", engine)


DOWNGRADE_EPILOG = """\b
Examples:
  vnsync db downgrade base          list what would be dropped
  vnsync db downgrade base --yes    drop it
"""


@db.command(short_help="Go back to an older version.", epilog=DOWNGRADE_EPILOG)
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do it. Without it nothing changes.")
@options.output
@options.settings(*options.DATABASE, *options.LOG)
def downgrade(loaded: Loaded, revision: str, yes: bool, output: str) -> None:
    """Take the schema back to REVISION; `base` drops all that vnsync created, with the data. Make a backup first."""
    from etl.cli.connect import warehouse
    from etl.store import migrations

    engine = warehouse(loaded)
    dropped = migrations.would_drop(engine, revision)
    if yes:
        migrations.downgrade(engine, revision)
    at = migrations.current(engine) or "base"
    if yes or at == revision:
        _write(output, f"The warehouse is at version {at}.", engine, changed=yes)
        return
    if dropped and output != "json":
        _list(dropped)
    sentence = f"The warehouse is at version {at}, and would go back to {revision}{_losses(dropped)}."
    names = [each.name for each in dropped]
    _write(output, f"{sentence} Nothing was changed; add --yes to do it.", engine, changed=False, would_drop=names)


def _list(dropped: Sequence[Owned]) -> None:
    from etl.cli.output import write_table
    from etl.report.terminal.tables import Table

    write_table(Table(["would be dropped", "kind"], [[each.name, each.kind] for each in dropped]))


def _losses(dropped: Sequence[Owned]) -> str:
    from etl.report.wording import counted

    views = sum(each.kind == "view" for each in dropped)
    tables = counted(len(dropped) - views, "table")
    return f", which drops {tables} with all rows and history, and {counted(views, 'view')}" if dropped else ""


REBIND_EPILOG = """\b
Examples:
  vnsync db rebind --to https://dataapi.example/v2.0         show what would change
  vnsync db rebind --to https://dataapi.example/v2.0 --yes
  vnsync db rebind --to uis --yes

A warehouse belongs to the installation (scheme, host, port) whose accounts it holds; `sync` and
`plan` refuse another one: the same id means another account there. Rebind only when the vendor
renamed the host. Rows do not change; the earlier binding stays on record.
"""


@db.command(short_help="Bind the warehouse to a renamed host.", epilog=REBIND_EPILOG)
@click.option("--to", "url", metavar="URL", required=True, help="API URL of the renamed host, or a brand's name.")
@click.option("--yes", is_flag=True, help="Do it. Without it nothing changes.")
@options.output
@options.settings(*options.DATABASE, *options.LOG)
def rebind(loaded: Loaded, url: str, yes: bool, output: str) -> None:
    """Bind the warehouse to the installation at another URL, after the vendor renamed its host."""
    from etl.cli import reading
    from etl.clock import SystemClock
    from etl.store import installations

    to, engine = _accepted(url), reading.readable(loaded)
    change = installations.rebind(engine, to, now=SystemClock().now()) if yes else installations.rebinding(engine, to)
    _write_change(change, yes, output)


def _accepted(url: str) -> str:
    from etl.config.urls import api_url
    from etl.errors import Usage

    try:
        return api_url(url)
    except ValueError as error:
        raise Usage(f"--to is refused: {error}", remedy="Write an https URL, or a brand's name.") from None


def _write_change(change: Rebinding, done: bool, output: str) -> None:
    from etl.cli.output import write_json, write_line

    if output == "json":
        write_json({"rebound": done and change.changes, "from": change.before, "to": change.after})
    elif not change.changes:
        write_line(f"The warehouse already belongs to {change.before}; nothing was changed.")
    elif done:
        write_line(f"The warehouse now belongs to {change.after}; it belonged to {change.before} before.")
    else:
        write_line(
            f"The warehouse belongs to {change.before}, and would belong to {change.after}; nothing was changed."
            " Add --yes to do it."
        )


def _write(output: str, sentence: str, engine: Engine | None, **fields: object) -> None:
    from etl.cli.output import write_json, write_line
    from etl.report.wording import printable
    from etl.store import migrations

    if output == "json":
        at = migrations.current(engine) if engine else None
        write_json({"current": at, "head": migrations.head(), **fields})
    else:
        write_line(printable(sentence))
