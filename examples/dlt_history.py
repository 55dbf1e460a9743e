"""The history of all eight tables to any destination of dlt, incrementally by `changed_at`.

python dlt_history.py sqlite:///vnsync.db duckdb

The first run loads every version, later runs those that were opened or closed since; a version that was open before is
updated. Settings of the destination are dlt's own (.dlt/secrets.toml or the environment).
"""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dlt
import sqlalchemy as sa

TABLES = (
    "virtual_numbers",
    "campaigns",
    "sites",
    "site_blocks",
    "scenarios",
    "virtual_number_campaigns",
    "virtual_number_site_blocks",
    "virtual_number_scenarios",
)
LAG = 3600.0
"""Seconds that are read again: an account may be published up to this long after it was observed, with that time."""


TYPES = {bool: "bool", int: "bigint", datetime: "timestamp"}
"""Names that dlt has for types; everything else is text, JSON too."""


def history(connection: sa.Connection, name: str) -> tuple[sa.TableClause, list[str]]:
    """The view of a table's history, and the columns of its key."""
    closed = sa.Table(f"{name}_closed", sa.MetaData(), autoload_with=connection)  # the view has its columns
    columns = [sa.column(c.name, c.type) for c in closed.columns]
    view = sa.table(f"{name}_history", *columns, sa.column("changed_at", closed.c.valid_from.type))
    return view, closed.primary_key.c.keys()


def hints(view: sa.TableClause) -> Any:
    """The type of each column, so that one without a value is there all the same."""
    return {c.name: {"name": c.name, "data_type": TYPES.get(c.type.python_type, "text")} for c in view.columns}


def plain(value: object) -> object:
    """A value as every destination takes it: times with a zone, JSON as text."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


def versions(engine: sa.Engine, name: str) -> Any:
    """The versions of one table as a resource of dlt."""
    with engine.connect() as connection:
        view, key = history(connection, name)

    @dlt.resource(name=f"{name}_history", write_disposition="merge", primary_key=key, columns=hints(view))
    def read(
        changed_at: dlt.sources.incremental[datetime] = dlt.sources.incremental("changed_at", lag=LAG),  # noqa: B008
    ) -> Iterator[list[dict[str, object]]]:
        wanted = sa.select(view)
        if (since := changed_at.last_value) is not None:
            since = since.astimezone(UTC)
            since = since.replace(tzinfo=None) if engine.name == "sqlite" else since
            wanted = wanted.where(view.c.changed_at >= since)
        with engine.connect() as connection:
            rows = connection.execute(wanted, execution_options={"yield_per": 10_000}).mappings()
            for some in rows.partitions():
                yield [{column: plain(value) for column, value in row.items()} for row in some]

    return read


def load(database_url: str, destination: Any, dataset: str = "vnsync", **pipeline: Any) -> Any:
    """Load what is new; returns dlt's account of the load."""
    engine = sa.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    try:
        one = dlt.pipeline("vnsync_history", destination=destination, dataset_name=dataset, **pipeline)
        return one.run([versions(engine, name) for name in TABLES])
    finally:
        engine.dispose()


if __name__ == "__main__":
    sys.stdout.write(f"{load(sys.argv[1], sys.argv[2])}\n")
