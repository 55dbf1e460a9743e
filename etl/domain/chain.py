"""Chain of an account: one link for each published account sync, made of the versions that it closed and opened.

A link is a small text: the digest of the link before it, the account, the time of observation, the account's name and
time zone, and a digest for each table in which versions were closed or opened. Its SHA-256 is the sync's
`chain_digest`. `docs/chain.md` describes each byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import count
from operator import mul
from zlib import crc32

from msgspec import Struct

from etl.domain.canonical import bytes_of, field

FORMAT = "vnsync chain 1"


class Change(StrEnum):
    """Change to the versions of a section; in a link the closed ones come first."""

    CLOSED = "closed"
    OPENED = "opened"


class Section(Struct, frozen=True, kw_only=True):
    """Versions of one table that one sync closed, or opened: their count, and the SHA-256 of their lines.

    `locator` identifies the row that differs, if a single one is edited later (see `Lines`).
    """

    table: str
    change: Change
    versions: int
    digest: str
    locator: str


class Lines:
    """Digest of the lines of a section, which come in the order of their keys. Lines are not kept in memory.

    The locator is three sums over the lines: of their CRC-32, plain and weighted by position, and of their first key.
    An edited line changes the first sum by d and the second by d times its position; a lost one the third by its key.
    """

    __slots__ = ("_hash", "keys", "plain", "versions", "weighted")

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.versions = self.plain = self.weighted = self.keys = 0

    def add(self, line: bytes) -> None:
        """Add one line, with its newline."""
        crc = crc32(line)
        self._hash.update(line)
        self.plain += crc
        self.weighted += crc * self.versions
        self.keys += first_key(line)
        self.versions += 1

    def extend(self, lines: list[bytes]) -> None:
        """Add some thousand lines at once, which is faster."""
        self._take(b"".join(lines), lines, sum(map(first_key, lines)))

    def extend_by(self, text: bytes, keys: Sequence[int]) -> None:
        """Add lines as one text, with the first key of each, which is faster still."""
        self._take(text, text.splitlines(keepends=True), sum(keys))

    def _take(self, text: bytes, lines: list[bytes], keys: int) -> None:
        sums = list(map(crc32, lines))
        self._hash.update(text)
        self.plain += sum(sums)
        self.weighted += sum(map(mul, sums, count(self.versions)))
        self.keys += keys
        self.versions += len(lines)

    def section(self, table: str, change: Change) -> Section:
        """The section of all lines that were added."""
        return Section(
            table=table,
            change=change,
            versions=self.versions,
            digest=self._hash.hexdigest(),
            locator=f"{self.plain}:{self.weighted}:{self.keys}",
        )


def first_key(line: bytes) -> int:
    """The first field of a line; 0 if an edit by hand left no whole number there."""
    try:
        return int(line[: line.find(b"\t")])
    except ValueError:
        return 0


class Link(Struct, frozen=True, kw_only=True):
    """Everything that one account sync seals, except the rows themselves.

    `previous`: None for the first link; `observed`: `observed_at` as `moment` writes it.
    """

    previous: str | None
    account_id: int
    observed: str
    account_name: str | None
    timezone: str | None

    def text(self, sections: Iterable[Section]) -> str:
        """Text of the link. `sections`: in the order of the declared tables, closed before opened, none empty."""
        head = [
            FORMAT,
            f"previous {self.previous or ''}",
            f"account {self.account_id}",
            f"observed {self.observed}",
            f"name {field(self.account_name)}",
            f"timezone {field(self.timezone)}",
        ]
        made = [f"{s.change} {s.table} {s.versions} {s.digest}" for s in sections]
        return "\n".join([*head, *made, ""])

    def digest(self, sections: Iterable[Section]) -> str:
        """The link's digest, in hex: the account's `chain_digest`."""
        return hashlib.sha256(bytes_of(self.text(sections))).hexdigest()


def moment(instant: datetime) -> str:
    """An instant (UTC) as the chain and SQLite write it: `YYYY-MM-DD HH:MM:SS.ffffff`."""
    return f"{instant:%Y-%m-%d %H:%M:%S.%f}"
