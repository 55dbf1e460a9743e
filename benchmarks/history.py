"""A long past for a warehouse: closed versions as days of 1 % changes would have left them, written by SQL at once."""

from __future__ import annotations

from sqlalchemy import Connection, create_engine, text

from etl.domain.tables import TABLES
from etl.domain.tables import Table as Declared

DAYS = "with recursive days(day) as (select 1 union all select day + 1 from days where day < :days)"
SHARE = 100
"""One key of so many changes on a day."""


def synthesize(url: str, days: int) -> None:
    """Give every table a past of so many days before its first version. The chain does not know of it."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        for table in TABLES:
            connection.execute(text(_closed(connection, table)), {"days": days})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("analyze")
    engine.dispose()


def _closed(connection: Connection, table: Declared) -> str:
    columns = ", ".join(f"c.{name}" for name in ("account_id", *(c.name for c in table.columns)))
    names = columns.replace("c.", "")
    key, begin, end = table.key_names[0], _ago(connection, "day"), _ago(connection, "day - 0.5")
    return (
        f"{DAYS} insert into {table.name}_closed ({names}, valid_from, opened_run_id, valid_to, closed_run_id)"
        f" select {columns}, {begin}, c.opened_run_id, {end}, c.opened_run_id"
        f" from days join {table.name} c on c.{key} % {SHARE} = day % {SHARE}"
    )


def _ago(connection: Connection, days: str) -> str:
    """The instant so many days before a version began."""
    if connection.dialect.name == "postgresql":
        return f"c.valid_from - ({days}) * interval '1 day'"
    return f"strftime('%Y-%m-%d %H:%M:%f', c.valid_from, '-' || ({days}) || ' days') || '000'"
