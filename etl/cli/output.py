"""Results on stdout: JSON for machines, text for people."""

from __future__ import annotations

import json
import sys
from typing import Any

import click


def write_json(value: Any) -> None:
    """One JSON object on one line of stdout, flushed, so that a reader sees it at once."""
    from etl.report.values import plain

    click.echo(json.dumps(plain(value), ensure_ascii=False))
    if sys.stdout is not None:
        sys.stdout.flush()


def write_table(table: Any) -> None:
    """A table on stdout: drawn on a terminal, plain elsewhere."""
    from etl.report.tables import show

    show(table, sys.stdout)
