"""Answers that cost much memory to read: each is sent to a sync of its own, whose memory is measured.

Usage: python -m tests.stress.hostile_answers [NAME ...] [--database sqlite|postgresql] [--archive]      a table
Exit 1 when an answer took a process above the bound, led to a wrong exit code, or left a trace.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from etl.sandbox.api import Api
from etl.sandbox.world import CustomerPlan, World
from etl.store import migrations
from etl.store.engine import open_warehouse
from tests.stress.clusters import cluster
from tests.support.peaks import MOST, Measured, measured
from tests.support.raw_server import Exchange, RawServer, Request, serving
from tests.support.secrets import CANARY, write_secret

MIB = 2**20
LISTING, USERS = "get.virtual_numbers", "get.customer_users"
RECORD = (
    b'{"id":%d,"virtual_phone_number":"74950000001","status":"active","category":"usual","type":"va",'
    b'"campaigns":[%b],"scenarios":[]%b}'
)
DONE, KEPT_OUT, REFUSED = 0, 3, 65

Pieces = Iterator[bytes]


def repeated(begin: bytes, unit: bytes, size: int, end: bytes) -> Pieces:
    """About `size` bytes: `begin`, repeated `unit`s with commas between them, `end`."""
    part = b",".join([unit] * max(1, 2**16 // len(unit)))
    yield begin + part
    for _ in range(size // (len(part) + 1)):
        yield b"," + part
    yield end


def text(begin: bytes, unit: bytes, size: int, end: bytes) -> Pieces:
    """Like `repeated`, without commas."""
    part = unit * max(1, 2**16 // len(unit))
    yield begin
    for _ in range(size // len(part)):
        yield part
    yield end


def record(number: int, campaigns: bytes = b"", more: bytes = b"") -> bytes:
    """A usable record of a number."""
    return RECORD % (number, campaigns, more)


SPLIT = b"\0"


def within(around: bytes, fill: Callable[[bytes, bytes], Pieces]) -> Pieces:
    """The text `around`, with the pieces of `fill` in the place of `SPLIT`."""
    begin, _, end = around.partition(SPLIT)
    return fill(begin, end)


def listed(records: Iterator[Pieces], total: int) -> Pieces:
    """The members of a result with these records."""
    yield b'"data":['
    for place, pieces in enumerate(records):
        yield b"," if place else b""
        yield from pieces
    yield b'],"metadata":{"total_items":%d}' % total


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """A hostile answer. `make`: members of its `result`, or of the answer if it has none; `code`: the exit code."""

    name: str
    make: Callable[[], Pieces]
    code: int = REFUSED
    method: str = LISTING
    in_result: bool = True

    def body(self, request_id: int) -> Pieces:
        """The answer to a request."""
        yield b'{"jsonrpc":"2.0","id":%d,' % request_id
        yield b'"result":{' if self.in_result else b""
        yield from self.make()
        yield b"}}" if self.in_result else b"}"


SIZE = 45 * MIB
"""Size a little below the largest allowed answer."""


def _field(unit: bytes, size: int = SIZE) -> Pieces:
    """Five usable numbers, one of which has an unknown field of many values."""
    usual = [iter([record(n)]) for n in (2, 3, 4, 5)]
    large = within(record(1, more=b',"weights":[' + SPLIT + b"]"), lambda a, b: repeated(a, unit, size, b))
    return listed(iter([large, *usual]), 5)


def _campaigns(unit: bytes, size: int = SIZE) -> Pieces:
    usual = [iter([record(n)]) for n in (2, 3, 4, 5)]
    large = within(record(1, campaigns=SPLIT), lambda a, b: repeated(a, unit, size, b))
    return listed(iter([large, *usual]), 5)


def _comment(unit: bytes, size: int = SIZE, field: bytes = b"comment") -> Pieces:
    usual = [iter([record(n)]) for n in (2, 3, 4, 5)]
    large = within(record(1, more=b',"%b":"' % field + SPLIT + b'"'), lambda a, b: text(a, unit, size, b))
    return listed(iter([large, *usual]), 5)


def _each(count: int, more: bytes, campaigns: bytes = b"") -> Pieces:
    """Numbers with the same content."""
    return listed((iter([record(n, campaigns, more)]) for n in range(1, count + 1)), count)


def _many(unit: bytes) -> bytes:
    return b",".join([unit] * (90 * 2**10 // (len(unit) + 1)))


def _blocks(count: int) -> bytes:
    return b",".join(b'{"site_block_id":%d}' % i for i in range(count))


END = b'],"metadata":{"total_items":5}'
HOSTILE: tuple[Hostile, ...] = (
    Hostile(name="120 MB of objects", make=partial(_field, b"{}", 120 * MIB)),
    Hostile(name="objects in an unknown field", make=partial(_field, b"{}")),
    Hostile(name="zeros in an unknown field", make=partial(_field, b"0")),
    Hostile(name="decimals in an unknown field", make=partial(_field, b"1.5")),
    Hostile(name="9 MB of objects in one record", make=partial(_field, b"{}", 9 * MIB)),
    Hostile(name="7 MB of objects in one record", make=partial(_field, b"{}", 7 * MIB), code=KEPT_OUT),
    Hostile(name="7 MB of names in one record", make=partial(_field, b'{"a":0}', 7 * MIB), code=KEPT_OUT),
    Hostile(name="empty campaigns", make=partial(_campaigns, b"{}")),
    Hostile(name="campaigns", make=partial(_campaigns, b'{"campaign_id":1,"site_blocks":[]}')),
    Hostile(
        name="7 MB of campaigns",
        make=partial(_campaigns, b'{"campaign_id":1,"site_blocks":[]}', 7 * MIB),
        code=KEPT_OUT,
    ),
    Hostile(name="zeros for records", make=lambda: repeated(b'"data":[', b"0", SIZE, END)),
    Hostile(
        name="7 MB of zeros for records",
        make=lambda: repeated(b'"data":[', b"0", 7 * MIB, END),
    ),
    Hostile(name="a data object", make=lambda: repeated(b'"data":{"a":[', b"{}", SIZE, b"]}")),
    Hostile(name="metadata", make=lambda: repeated(b'"data":[],"metadata":{"x":[', b"{}", SIZE, b"]}")),
    Hostile(name="an unknown member of the result", make=lambda: repeated(b'"data":[],"x":[', b"{}", SIZE, b"]")),
    Hostile(
        name="error.data",
        make=lambda: repeated(b'"error":{"code":-32603,"message":"x","data":{"x":[', b"{}", SIZE, b"]}}"),
        in_result=False,
    ),
    Hostile(
        name="error.message",
        make=lambda: text(b'"error":{"code":-32603,"message":"', "ж".encode(), SIZE, '\U0001f600"}'.encode()),
        in_result=False,
    ),
    Hostile(
        name="a second result",
        make=lambda: repeated(b'"result":{"data":[', b"{}", SIZE, b']},"result":{"data":[],"metadata":{}}'),
        in_result=False,
    ),
    Hostile(name="brackets", make=lambda: text(b'"data":[', b"[" * 60 + b"]" * 60 + b",", SIZE, b'0],"metadata":{}')),
    Hostile(
        name="users of an agent",
        method=USERS,
        make=lambda: repeated(b'"data":[', b"{}", SIZE, END),
    ),
    Hostile(
        name="7 MB of users of an agent",
        method=USERS,
        make=lambda: repeated(b'"data":[', b"{}", 7 * MIB, END),
    ),
    Hostile(name="many objects in each record", make=lambda: _each(480, b',"x":[%b]' % _many(b"{}"))),
    Hostile(name="8 MB of objects in all", make=lambda: _each(80, b',"x":[%b]' % _many(b"{}")), code=DONE),
    Hostile(name="8 MB of decimals in all", make=lambda: _each(80, b',"x":[%b]' % _many(b"1.5")), code=DONE),
    Hostile(
        name="8 MB of site blocks in all",
        make=lambda: _each(
            80,
            b"",
            b'{"campaign_id":1,"site_blocks":[%b]}' % _blocks(4000),
        ),
        code=DONE,
    ),
    Hostile(name="a long comment", make=partial(_comment, b"x"), code=KEPT_OUT),
    Hostile(name="9 MB of comment", make=partial(_comment, b"x", 9 * MIB), code=DONE),
    Hostile(name="9 MB of halves of characters", make=partial(_comment, b"\\ud800", 9 * MIB), code=DONE),
    Hostile(name="halves of characters", make=partial(_comment, b"\\ud800", 40 * MIB), code=KEPT_OUT),
    Hostile(name="9 MB of no UTF-8", make=partial(_comment, b"\xff", 9 * MIB), code=KEPT_OUT),
    Hostile(
        name="a long phone",
        make=partial(_comment, b"7", 9 * MIB, b"redirection_phone_number"),
        code=KEPT_OUT,
    ),
    Hostile(
        name="long comments with an emoji",
        make=lambda: _each(12, ',"comment":"%s\U0001f600"'.encode() % (b"x" * (9 * MIB))),
    ),
    Hostile(
        name="16 MB of comments with an emoji",
        make=lambda: _each(2, ',"comment":"%s\U0001f600"'.encode() % (b"x" * (8 * MIB - 500))),
        code=DONE,
    ),
    Hostile(name="48 MB of comments", make=lambda: _each(6, b',"comment":"%b"' % (b"x" * (8 * MIB - 500))), code=DONE),
    Hostile(
        name="32 MB of Cyrillic comments",
        make=lambda: _each(4, ',"comment":"%s\u0416"'.encode() % (b"x" * (8 * MIB - 500))),
        code=DONE,
    ),
    Hostile(
        name="15 MB of short comments with an emoji",
        make=lambda: _each(9_999, ',"comment":"%s\U0001f600"'.encode() % (b"x" * 1400)),
        code=DONE,
    ),
)


@dataclass(frozen=True)
class Stage:
    """A server with exchangeable answers, a token, and a warehouse's URL."""

    folder: Path
    server: RawServer
    database_url: str

    def sync(self, hostile: Hostile, *words: object) -> Measured:
        """Run a sync that gets the answer once or always, for every request of its method."""
        self.server.strike(partial(_send, hostile), when=lambda request: _is_for(hostile, request))
        extra = {
            "VNSYNC_API_URL": self.server.url,
            "VNSYNC_API_TOKEN_FILE": str(self.folder / "token"),
            "VNSYNC_DATABASE_URL": self.database_url,
            "VNSYNC_RETRY_MAX_SECONDS": "0.2",
        }
        return measured("sync", *words, extra=extra)


def _is_for(hostile: Hostile, request: Request) -> bool:
    return request.method == hostile.method


def _send(hostile: Hostile, exchange: Exchange) -> None:
    request_id = exchange.request.decoded["id"]
    length = sum(map(len, hostile.body(request_id)))
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length)
    for piece in hostile.body(request_id):
        exchange.send(piece)


def stage(folder: Path, server: RawServer, database_url: str) -> Stage:
    """An empty warehouse, and a token."""
    write_secret(folder / "token")
    engine = open_warehouse(database_url)
    migrations.upgrade(engine)
    engine.dispose()
    return Stage(folder, server, database_url)


def _measured(hostile: Hostile, new_url: Callable[[Path], str], *, archive: bool) -> Measured:
    world = World(seed=5, customers=[CustomerPlan(numbers=5)], role="customer", id_step=7)
    with tempfile.TemporaryDirectory() as name, serving(Api(world, token=CANARY)) as server:
        folder = Path(name)
        words = ["--archive", folder / "kept"] if archive else []
        return stage(folder, server, new_url(folder)).sync(hostile, *words)


@contextmanager
def _warehouses(database: str) -> Iterator[Callable[[Path], str]]:
    """A function that creates a database and returns its URL."""
    if database == "sqlite":
        yield lambda folder: f"sqlite:///{folder / 'warehouse.db'}"
        return
    with tempfile.TemporaryDirectory() as name, cluster(Path(name) / "pg") as made:
        yield lambda _: made.new()


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress.hostile_answers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="words of the answers' names; none: all")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--archive", action="store_true", help="keep an archive")
    asked = parser.parse_args()
    chosen = [h for h in HOSTILE if not asked.names or any(name in h.name for name in asked.names)]
    with _warehouses(asked.database) as new_url:
        return _told(chosen, new_url, archive=asked.archive)


def _told(chosen: Sequence[Hostile], new_url: Callable[[Path], str], *, archive: bool) -> int:
    bad = 0
    print("| answer | exit | memory, MiB | seconds | |\n|---|---|---|---|---|")
    for hostile in chosen:
        came = _measured(hostile, new_url, archive=archive)
        wrong = came.code != hostile.code or came.memory > MOST
        bad += wrong
        said = " ".join(came.errors)[:160] if wrong else ""
        print(f"| {hostile.name} | {came.code} | {came.memory:.0f} | {came.seconds:.1f} | {said} |", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
