"""Canary: the key that tests give to vnsync, and the search for it in all places where it must not be.

`tests/conftest.py` searches after every test: captured output and log, every file below `tmp_path`, and the PostgreSQL
databases that the test made. The search is for the first half of the key, because half a key is a leak, too.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
import traceback
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
from psycopg import sql

CANARY = "c4nary-t0ken-0123456789abcdef"
TRACE = CANARY[:16]
_WHOLE, _HALF = CANARY.encode(), TRACE.encode()

_allowed: set[Path] = set()


def write_secret(path: Path, text: str = CANARY + "\n") -> Path:
    """Write a key file, in which the key may be; its mode is 0600."""
    path.write_text(text)
    path.chmod(0o600)
    _allowed.add(path.resolve())
    return path


def in_text(*texts: str) -> bool:
    """Whether one of the texts contains the key, or its beginning."""
    return any(TRACE in text for text in texts)


def in_files(folder: Path) -> list[Path]:
    """The files below the folder that contain the key; a file with nothing but the key is a key file."""
    return [path for path in _files(folder) if _holds(path)]


def in_bytes(path: Path) -> bool:
    """Whether the file contains the key anywhere, even in freed pages of its format, or compressed."""
    if path.suffix == ".gz":
        return _HALF in _inflated(path)
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(_HALF) >= 0


def everything_in(folder: Path) -> Iterator[bytes]:
    """The content of each file below the folder, decompressed if necessary."""
    for path in _files(folder):
        yield _inflated(path) if path.suffix == ".gz" else path.read_bytes()


def _inflated(path: Path) -> bytes:
    """The content of a compressed file, as far as it can be read."""
    packed = path.read_bytes()
    with contextlib.suppress(zlib.error):
        return zlib.decompressobj(wbits=31).decompress(packed)
    return packed


def _holds(path: Path) -> bool:
    try:
        if path in _allowed or not in_bytes(path):
            return False
        return not (path.stat().st_size < 100 and path.read_bytes().strip() == _WHOLE)
    except OSError:  # removed meanwhile, or in a folder that a test has made unreadable
        return False


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            try:
                regular = stat.S_ISREG(path.lstat().st_mode)
            except OSError:
                continue
            if regular:
                yield path


def in_postgresql(url: str) -> list[str]:
    """The tables of the database that contain the key in any column."""
    try:
        with psycopg.connect(url, options="-c statement_timeout=0 -c lock_timeout=1s", autocommit=True) as connection:
            tables = connection.execute(_TABLES).fetchall()
            if not tables:
                return []
            each = [
                sql.SQL("(select {name} from {table} t where position({trace} in t::text) > 0 limit 1)").format(
                    name=sql.Literal(f"{schema}.{name}"), table=sql.Identifier(schema, name), trace=sql.Literal(TRACE)
                )
                for schema, name in tables
            ]
            return [row[0] for row in connection.execute(sql.SQL(" union all ").join(each)).fetchall()]
    except (psycopg.OperationalError, psycopg.errors.LockNotAvailable):  # the test removed it or its server
        return []


_TABLES = """
select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relpages >= 0
"""


def in_exception(error: BaseException) -> bool:
    """Whether the exception, or one of its causes, contains the key: in its text, its arguments or its traceback."""
    return any(TRACE in text for text in _told(error))


def _told(error: BaseException) -> Iterable[str]:
    yield "".join(traceback.format_exception(error))
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield f"{one!r} {one} {one.args!r} {getattr(one, 'remedy', '')}"
        todo += [one.__cause__, one.__context__]
