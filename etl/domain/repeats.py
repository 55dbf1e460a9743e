"""Names that come twice in one JSON object: decoders keep the last value and hide the first."""

from __future__ import annotations

import json
from typing import Any


def repeated_name(sent: bytes) -> str | None:
    """A name that comes twice in one object of `sent`, in any spelling; None if there is none.

    `sent`: JSON that a decoder has accepted. Numbers are not converted, so none is out of range. Raises `ValueError`
    or `RecursionError` if it cannot be read.
    """
    found: list[str] = []

    def check(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                found.append(name)
            seen.add(name)

    text = sent.decode(errors="surrogateescape")
    json.loads(text, object_pairs_hook=check, parse_int=str, parse_float=str, strict=False)
    return found[0] if found else None
