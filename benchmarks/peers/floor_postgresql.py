"""The floor for PostgreSQL: `python -m benchmarks.peers.floor_postgresql URL TOKEN DSN`."""

from __future__ import annotations

import gc
import queue
import sys
import threading
from typing import Any

import psycopg

from benchmarks.peers.floor import KEYS, OWNED, REFERRED, VALUES, Page, Rowmaker, Rows, Seen, columns, joined, read

Connection = psycopg.Connection[Any]


def _type(column: str) -> str:
    if column.startswith("is_"):
        return "bool"
    return "int8" if column.endswith("id") else "text"


def _create(table: str) -> str:
    own = ", ".join(f"{c} {_type(c)}" for c in (*KEYS[table], *VALUES[table]))
    key = ", ".join(KEYS[table])
    return (
        f"create table {table} ({own}, valid_from timestamptz not null default now(), primary key ({key}));"
        f"create table {table}_closed ({own}, valid_from timestamptz not null, valid_to timestamptz not null"
        f" default now(), primary key ({key}, valid_from));"
        f"create view {table}_history as select {columns(table)}, valid_from, valid_to from {table}_closed"
        f" union all select {columns(table)}, valid_from, null from {table};"
    )


class Writer:
    """Feeds COPY in a thread of its own, so that the server's work and ours overlap."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self._connection, self._prefix = connection, prefix
        self._failure: BaseException | None = None
        self._queue: queue.Queue[Rows | None] = queue.Queue(4)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, rows: Rows) -> None:
        self._queue.put(rows)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        while (rows := self._queue.get()) is not None:
            if self._failure is None:
                try:
                    self._write(rows)
                except BaseException as exc:  # noqa: BLE001 - raised where the writer is closed
                    self._failure = exc

    def _write(self, rows: Rows) -> None:
        for table, batch in rows.items():
            names = (*KEYS[table], *VALUES[table])
            target = f"{self._prefix}{table} ({', '.join(names)})"
            with self._connection.cursor().copy(f"copy {target} from stdin (format binary)") as copy:
                copy.set_types([_type(c) for c in names])
                write = copy.write_row
                for row in batch:
                    write(row)


def _publish(connection: Connection, seen: Seen) -> None:
    connection.execute("create temp table touched (id int8 primary key) on commit drop")
    with connection.cursor().copy("copy touched from stdin") as copy:
        copy.write("".join(f"{i}\n" for i in seen.changed | seen.gone))
    connection.execute(f"analyze touched, {', '.join(f'new_{t}' for t in KEYS)}")
    for table in KEYS:
        key = KEYS[table][0]
        scope = "touched" if table in OWNED else f"new_{table}"
        same = "".join(f" and n.{c} is not distinct from c.{c}" for c in VALUES[table])
        _close(
            connection,
            table,
            f"c.{key} in (select {key} from {scope})"
            f" and not exists (select from new_{table} n where {joined(table, 'n', 'c')}{same})",
        )
        connection.execute(
            f"insert into {table} ({columns(table)}) select n.* from new_{table} n"
            f" where not exists (select from {table} c where {joined(table, 'n', 'c')})"
        )
    for table, link in REFERRED.items():
        key = KEYS[table][0]
        _close(connection, table, f"not exists (select from {link} l where l.{key} = c.{key})")


def _close(connection: Connection, table: str, where: str) -> None:
    connection.execute(
        f"with ended as (delete from {table} c where {where} returning *)"
        f" insert into {table}_closed select {columns(table)}, valid_from from ended"
    )


def sync(url: str, token: str, dsn: str) -> None:
    connection: Connection = psycopg.connect(dsn)
    found = connection.execute("select to_regclass('pages')").fetchone()
    first = found is None or found[0] is None
    if first:
        connection.execute("create table pages (at int8 primary key, digest bytea, ids bytea, digests bytea)")
        connection.execute("alter table pages alter ids set storage external, alter digests set storage external")
        for table in KEYS:
            connection.execute(_create(table))
        connection.commit()
    kept = {row[0]: Page(*row) for row in connection.cursor(binary=True).execute("select * from pages")}
    if not first:
        for table in KEYS:
            made = f"create temp table new_{table} on commit drop as select {columns(table)} from {table} limit 0"
            connection.execute(made)
    maker, writer = Rowmaker(), Writer(connection, "" if first else "new_")
    seen = read(url, token, kept, lambda numbers: writer.put(maker.rows(numbers)))
    writer.put(maker.shared())
    writer.close()
    if not first and (seen.changed or seen.gone):
        _publish(connection, seen)
    for page in seen.pages:
        connection.execute(
            "insert into pages values (%b, %b, %b, %b) on conflict (at) do update"
            " set digest = excluded.digest, ids = excluded.ids, digests = excluded.digests",
            (page.offset, page.digest, page.ids, page.digests),
        )
    connection.execute("delete from pages where at > %s", (seen.last,))
    connection.commit()
    if first:
        connection.execute(f"analyze {', '.join(KEYS)}")
        connection.commit()
    connection.close()


if __name__ == "__main__":
    gc.disable()
    sync(*sys.argv[1:4])
