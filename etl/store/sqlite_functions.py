"""SQL functions for SQLite that write the lines of the chain; PostgreSQL does this by itself.

They take and return bytes. Python refuses text that is not UTF-8, which an edit by hand can leave in SQLite; its bytes
are digested like any others, so that the chain detects them.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from etl.domain import canonical

Bytes = bytes | None


def _of_bytes(function: Callable[..., str | None]) -> Callable[..., Bytes]:
    """A function of text as a function of bytes; bytes that are not UTF-8 are kept."""

    def call(*values: Bytes) -> Bytes:
        made = function(*[None if value is None else canonical.text_of(value) for value in values])
        return None if made is None else canonical.bytes_of(made)

    return call


_line = _of_bytes(canonical.line_of_fields)


def _digest(fixed: int, *values: Bytes) -> str:
    """Digest of the line of the first `fixed` values, and of those behind them that are not null."""
    later = [value for value in values[fixed:] if value is not None]
    return sha256(_line(*values[:fixed], *later) or b"").hexdigest()


FUNCTIONS: tuple[tuple[str, int, Callable[..., Bytes | str]], ...] = (
    ("vnsync_field", 1, _of_bytes(canonical.field)),
    ("vnsync_json", 1, _of_bytes(canonical.json_text)),
    ("vnsync_comparable", 1, canonical.comparable),
    ("vnsync_digest", -1, _digest),
)
"""Name, number of arguments (-1: any), function: a field, canonical JSON, JSON to compare, and a line's SHA-256."""
