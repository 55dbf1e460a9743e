"""`vnsync describe`: what every table, view and column means, for people and tools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from etl.cli import options

if TYPE_CHECKING:
    from etl.config.settings import Loaded

EPILOG = """\b
Examples:
  vnsync describe > tables.md                                   a page to read
  vnsync describe --format dbt > models/vnsync.yml              sources of a dbt project
  vnsync describe --format datasette --name vnsync > metadata.json
  vnsync describe --format openlineage --name postgres://db:5432
  vnsync describe --format json | jq '.relations[].name'
"""
FORMATS = ("markdown", "dbt", "datasette", "openlineage", "json")
OF_JSON = frozenset({"datasette", "openlineage", "json"})


@click.command(epilog=EPILOG, short_help="What every table, view and column means.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    metavar="FORMAT",
    default="markdown",
    help=f"One of {', '.join(FORMATS)}. Default markdown.",
)
@click.option(
    "--name",
    default="vnsync",
    help="The dbt source, Datasette's database (its file without .db) or OpenLineage's namespace. Default vnsync.",
)
@options.output
@options.settings(*options.LOG)
def describe(loaded: Loaded, format_: str, name: str, output: str) -> None:
    """Print what every table, view and column means. It comes from the program alone: no database is needed."""
    from etl.cli.output import write_json, write_text

    text = _text(format_, name)
    if output == "json":
        write_json({"format": format_, "content": json.loads(text) if format_ in OF_JSON else text})
    else:
        write_text(text)


def _text(format_: str, name: str) -> str:
    from etl.describe.datasette import datasette
    from etl.describe.dbt import dbt
    from etl.describe.markdown import markdown
    from etl.describe.openlineage import openlineage
    from etl.describe.outline import outline
    from etl.store.relations import relations

    found = relations()
    if format_ == "markdown":
        return markdown(found)
    if format_ == "json":
        return outline(found)
    return {"dbt": dbt, "datasette": datasette, "openlineage": openlineage}[format_](found, name)
