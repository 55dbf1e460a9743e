"""`vnsync snapshot`: files with every table as known at a moment."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etl.cli import options, reading
from etl.cli.paths import PATH

if TYPE_CHECKING:
    from etl.config.settings import Loaded
    from etl.snapshot.manifest import Manifest

EPILOG = """\b
Examples:
  vnsync snapshot --as-of 2026-03-01 --out march --format csv
  vnsync snapshot --as-of 2026-03-01T06:00:00+03:00 --out march --format parquet,ndjson
  vnsync snapshot --as-of 2026-03-01 --history --out until_march
  vnsync verify march

DIR gets <table>.<format> for the nine tables, and manifest.json with the SHA-256 of each file
and, for each account, its last observation not later than T. The same T and warehouse give the
same bytes. With --history the files are <table>_history.<format>: every version that began by T,
with valid_to (null: open at T). CSV is escaped for spreadsheets; the manifest describes how to
undo the escaping.
"""
FORMATS = ("parquet", "csv", "ndjson")


class Formats(click.ParamType[tuple[str, ...]]):
    """Click type for formats, separated by commas."""

    name = "formats"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The formats, each once, in the order of `FORMATS`. Raises a usage error for an unknown one."""
        if isinstance(value, tuple):
            return value
        asked = {part.strip().lower() for part in str(value).split(",")}
        unknown = sorted(asked - set(FORMATS))
        if unknown:
            self.fail(f"{unknown[0]!r} is none of {', '.join(FORMATS)}", param, ctx)
        return tuple(name for name in FORMATS if name in asked)


@click.command(epilog=EPILOG, short_help="Files with every table as known at a moment.")
@reading.as_of(required=True)
@click.option("--history", is_flag=True, help="Every version up to T, instead of those that were valid at T.")
@click.option("--out", type=PATH, metavar="DIR", required=True, help="A new or empty folder.")
@click.option(
    "--format",
    "formats",
    type=Formats(),
    metavar="LIST",
    help="parquet, csv, ndjson, separated by commas. Default: those that are installed.",
)
@options.output
@options.settings(*options.DATABASE, *options.LOG)
def snapshot(
    loaded: Loaded, as_of: datetime, history: bool, out: Path, formats: tuple[str, ...] | None, output: str
) -> None:
    """Write all nine tables as known at T, or their history, into DIR, with a manifest that proves them."""
    from etl.clock import SystemClock
    from etl.read.as_of import refuse_future
    from etl.snapshot import encoders
    from etl.snapshot.write import write_snapshot

    refuse_future(as_of, SystemClock().now(), "--as-of")
    chosen = formats or encoders.installed()
    manifest = write_snapshot(reading.readable(loaded), as_of, out, chosen, history=history)
    _write(out, manifest, output, missing=formats is None and len(chosen) < len(FORMATS))


def _write(out: Path, manifest: Manifest, output: str, *, missing: bool) -> None:
    from msgspec.structs import asdict

    from etl.cli.output import write_json, write_line, write_table
    from etl.report.snapshot import closing_line, files_table, formats_line
    from etl.snapshot.manifest import sealed
    from etl.snapshot.parquet import how_to_install

    if output == "json":
        write_json(
            {
                "path": str(out),
                "formats": sorted(manifest.notes),
                "manifest": {**asdict(manifest), "digest": sealed(manifest)},
            }
        )
        return
    write_table(files_table(manifest))
    if missing:
        write_line(formats_line(manifest, how_to_install()))
    write_line(closing_line(out, manifest))
