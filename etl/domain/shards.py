"""Shards: the accounts divided among several processes by id alone, so that each knows its own without asking."""

from __future__ import annotations

import re
import zlib

from msgspec import Struct

MOST = 1024
"""Most shards of one division."""

_WRITTEN = re.compile(r"(0|[1-9][0-9]{0,3})/([1-9][0-9]{0,3})", re.ASCII)


class Shard(Struct, frozen=True):
    """Part `number`, from 1 on, of `count` parts. An account is always in the same part, whatever others exist.

    Part 0 is the last one, for schedulers that count from 0.
    """

    number: int
    count: int

    def has(self, account_id: int) -> bool:
        """Whether an account is in this part. The ids are mixed first, because they may have a pattern."""
        return zlib.crc32(str(account_id).encode()) % self.count == (self.number - 1) % self.count

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def shard(text: str) -> Shard:
    """The shard `K/N`, such as 2/4. Raises `ValueError` for another text."""
    written = _WRITTEN.fullmatch(text.strip())
    if written is None:
        raise ValueError(text)
    number, count = map(int, written.groups())
    if not number <= count <= MOST:
        raise ValueError(text)
    return Shard(number, count)
