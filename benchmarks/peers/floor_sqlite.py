"""The floor for SQLite: `python -m benchmarks.peers.floor_sqlite URL TOKEN FILE`."""

from __future__ import annotations

import gc
import sqlite3
import sys
import time

from benchmarks.peers.floor import KEYS, OWNED, REFERRED, VALUES, Page, Rowmaker, Rows, Seen, columns, joined, read

PRAGMAS = ("journal_mode = wal", "synchronous = full", "cache_size = -65536", "temp_store = memory")


def _create(table: str) -> list[str]:
    own = ", ".join((*(f"{c} integer not null" for c in KEYS[table]), *VALUES[table]))
    key = ", ".join(KEYS[table])
    return [
        f"create table {table} ({own}, valid_from text not null, primary key ({key})) without rowid",
        f"create table {table}_closed ({own}, valid_from text not null, valid_to text not null,"
        f" primary key ({key}, valid_from)) without rowid",
        f"create view {table}_history as select {columns(table)}, valid_from, valid_to from {table}_closed"
        f" union all select {columns(table)}, valid_from, null from {table}",
    ]


def _insert(database: sqlite3.Connection, prefix: str, rows: Rows, now: str | None) -> None:
    for table, batch in rows.items():
        marks = "?, " * (len(KEYS[table]) + len(VALUES[table]))
        stamped = f"{marks}'{now}'" if now else marks.removesuffix(", ")
        database.executemany(f"insert into {prefix}{table} values ({stamped})", batch)


def _publish(database: sqlite3.Connection, seen: Seen, now: str) -> None:
    database.execute("create temp table touched (id integer primary key)")
    database.executemany("insert into touched values (?)", [(i,) for i in seen.changed | seen.gone])
    for table in KEYS:
        key = KEYS[table][0]
        scope = "touched" if table in OWNED else f"new_{table}"
        same = "".join(f" and n.{c} is c.{c}" for c in VALUES[table])
        _close(
            database,
            table,
            now,
            f"c.{key} in (select {key} from {scope})"
            f" and not exists (select 1 from new_{table} n where {joined(table, 'n', 'c')}{same})",
        )
        database.execute(
            f"insert into {table} select n.*, '{now}' from new_{table} n"
            f" where not exists (select 1 from {table} c where {joined(table, 'n', 'c')})"
        )
    for table, link in REFERRED.items():
        key = KEYS[table][0]
        _close(database, table, now, f"c.{key} not in (select {key} from {link})")


def _close(database: sqlite3.Connection, table: str, now: str, where: str) -> None:
    database.execute(
        f"insert into {table}_closed select {columns(table)}, valid_from, '{now}' from {table} c where {where}"
    )
    database.execute(f"delete from {table} as c where {where}")


def sync(url: str, token: str, file: str) -> None:
    database = sqlite3.connect(file, isolation_level=None)
    for pragma in PRAGMAS:
        database.execute(f"pragma {pragma}").fetchall()
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1000 % 1_000_000:06d}"
    database.execute("begin immediate")
    first = not database.execute("select 1 from sqlite_master where name = 'pages'").fetchone()
    if first:
        database.execute("create table pages (at integer primary key, digest blob, ids blob, digests blob)")
        for table in KEYS:
            for statement in _create(table):
                database.execute(statement)
    kept = {row[0]: Page(*row) for row in database.execute("select * from pages")}
    if not first:
        for table in KEYS:
            database.execute(f"create temp table new_{table} as select {columns(table)} from {table} limit 0")
    maker, prefix = Rowmaker(), "" if first else "new_"
    stamp = now if first else None
    seen = read(url, token, kept, lambda numbers: _insert(database, prefix, maker.rows(numbers), stamp))
    _insert(database, prefix, maker.shared(), stamp)
    if not first and (seen.changed or seen.gone):
        for table in KEYS:
            database.execute(f"create index temp.by_{table} on new_{table} ({', '.join(KEYS[table])})")
        _publish(database, seen, now)
    rows = [(p.offset, p.digest, p.ids, p.digests) for p in seen.pages]
    database.executemany("insert or replace into pages values (?, ?, ?, ?)", rows)
    database.execute("delete from pages where at > ?", (seen.last,))
    database.execute("commit")
    database.execute("pragma wal_checkpoint(truncate)").fetchall()
    database.close()


if __name__ == "__main__":
    gc.disable()
    sync(*sys.argv[1:4])
