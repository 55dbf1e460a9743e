"""Triggers of others: their effects on the rows that vnsync writes, as far as their text shows them."""

from __future__ import annotations

import re
from collections.abc import Collection

_TEXT = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_WRITES = (
    r"(?:insert\s+(?:or\s+\w+\s+)?into|replace\s+into|merge\s+into|update(?:\s+or\s+\w+)?|delete\s+from"
    r"|truncate(?:\s+table)?|copy)\s+(?:only\s+)?(?:[\w$\"]+\s*\.\s*)?\"?(?:{names})\"?(?![\w$])"
)
_CHANGES_THE_ROW = re.compile(
    r"\bnew\s*(?:\.\s*[\w$\"]+\s*)?:=|(?:^|;|\b(?:begin|then|else|loop))\s*new\s*(?:\.\s*[\w$\"]+\s*)?="
    r"|\binto\s+(?:strict\s+)?(?:(?!new\b)[\w$\".]++\s*+,\s*+)*+new\b|\bexecute\b",
    re.IGNORECASE,
)
_RETURNS = re.compile(r"\breturn\s+(.+?)\s*;", re.IGNORECASE | re.DOTALL)
_SKIPS = re.compile(r"\braise\s*\(\s*ignore\s*\)", re.IGNORECASE)


def writes(body: str, names: Collection[str]) -> bool:
    """Whether the text of a function or trigger writes into one of these tables, or skips the row that is written."""
    plain = _TEXT.sub(" ", body)
    pattern = _WRITES.format(names="|".join(sorted(map(re.escape, names), key=len, reverse=True)))
    return bool(_SKIPS.search(plain) or re.search(pattern, plain, re.IGNORECASE))


def passes_rows_on(body: str, language: str, *, deletes: bool) -> bool:
    """Whether a function that is called before a row is written surely leaves the row as it is.

    It must be PL/pgSQL that never assigns to NEW and returns it alone; for a deletion, OLD.
    """
    if language != "plpgsql":
        return False
    plain = _TEXT.sub(" ", body)
    returned = {" ".join(value.split()).lower() for value in _RETURNS.findall(plain)}
    wanted = {"coalesce(new, old)", "old" if deletes else "new"}
    return bool(returned) and returned <= wanted and not _CHANGES_THE_ROW.search(plain)
