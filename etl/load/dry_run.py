"""Temporary tables of a dry run: copies under the names of the warehouse's tables, to which the diff is applied.

Both databases look for a name among temporary tables first, so the statements of `diff` are the same in a dry run.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import Column, Connection, Index, MetaData, Table, text

from etl.store import schema


@cache
def _copies() -> dict[str, Table]:
    """Temporary copies of the current and the closed tables, with their keys and indexes."""
    metadata = MetaData()
    return {t.name: _copy(t, metadata) for t in (*schema.current.values(), *schema.closed.values())}


def _copy(table: Table, metadata: MetaData) -> Table:
    columns = [Column(c.name, c.type, primary_key=c.primary_key, autoincrement=False) for c in table.columns]
    indexes = [Index(i.name, *(c.name for c in i.columns)) for i in table.indexes]
    return Table(
        table.name,
        metadata,
        *columns,
        *indexes,
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
        sqlite_with_rowid=False,
    )


def shadow(connection: Connection, account_id: int) -> None:
    """Create the copies: of current tables with the account's rows, of closed tables empty."""
    home = _home(connection)
    for table in _copies().values():
        table.create(connection, checkfirst=False)
    for name in schema.current:
        names = ", ".join(c.name for c in schema.current[name].columns)
        copy = f"insert into {name} ({names}) select {names} from {home}.{name} where account_id = :account"  # noqa: S608
        connection.execute(text(copy), {"account": account_id})
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"analyze {', '.join(schema.current)}")


def _home(connection: Connection) -> str:
    """The schema of the warehouse's own tables, quoted."""
    if connection.dialect.name == "sqlite":
        return "main"
    name = str(connection.scalar(text("select current_schema()")))
    return str(connection.dialect.identifier_preparer.quote(name))
