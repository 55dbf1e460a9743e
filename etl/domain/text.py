"""Text that a database cannot hold: U+0000, which PostgreSQL refuses, and lone surrogates, which are not UTF-8.

Both arrive only as JSON escapes. They are kept by one reversible encoding, the same in both databases: the character
U+2400 followed by the four hex digits of the original. A U+2400 that the source itself sent becomes U+2400 `2400`.
"""

from __future__ import annotations

import re

MARK = "\u2400"
_MARK_BYTES = MARK.encode()
_MARKED = re.compile(_MARK_BYTES)  # a search by it is twice as fast as `in`
_SUSPICIOUS = re.compile(rb"\\u(?:0000|2400|[dD][89a-fA-F])")
_TOKEN = re.compile(
    rb"(?<!\\)((?:\\\\)*+)"  # escaped backslashes, so that a real escape follows
    rb"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair: an ordinary character
    rb"|\\u(?:0000|2400|[dD][89a-fA-F][0-9a-fA-F]{2}))|" + _MARK_BYTES
)
_ENCODED = re.compile(MARK + "([0-9a-f]{4})")


def storable(json_bytes: bytes) -> bytes:
    """JSON whose strings both databases can hold; the very same object if nothing had to change (the usual case)."""
    escaped = b"\\" in json_bytes and _SUSPICIOUS.search(json_bytes) is not None
    if not escaped and _MARKED.search(json_bytes) is None:
        return json_bytes
    made, at = bytearray(), 0
    for token in _TOKEN.finditer(json_bytes):  # `sub` would keep each piece until the end
        made += json_bytes[at : token.start()]
        made += _replaced(token)
        at = token.end()
    made += json_bytes[at:]
    return bytes(made)


def _replaced(token: re.Match[bytes]) -> bytes:
    backslashes, escape = token.groups()
    if escape is None:
        return _MARK_BYTES + b"2400"
    return token.group() if len(escape) > 6 else backslashes + _MARK_BYTES + escape[2:].lower()


def original(text: str) -> str:
    """The text that the source sent, from the stored text; it may contain U+0000 and lone surrogates."""
    return _ENCODED.sub(lambda m: chr(int(m.group(1), 16)), text)
