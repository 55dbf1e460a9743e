"""Secrets kept in files: one word each."""

from __future__ import annotations

import stat
from pathlib import Path

from pydantic import SecretStr

from etl.errors import Misconfigured

MAX_BYTES = 65_536


def read_secret(path: Path) -> SecretStr:
    """The one word that the file holds, stripped. Raises Misconfigured: unreadable, empty, or more than one word."""
    remedy = "The file holds the secret alone, on one line, readable by the user that runs vnsync."
    try:
        with path.expanduser().open("rb") as file:
            text = file.read(MAX_BYTES).decode().strip()
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise Misconfigured(f"the secret file {path} cannot be read: {reason}", remedy=remedy) from None
    if not text or not text.isprintable() or any(map(str.isspace, text)):
        problem = "holds more than one word" if text else "is empty"
        raise Misconfigured(f"the secret file {path} {problem}", remedy=remedy)
    return SecretStr(text)


def readable_by_others(path: Path) -> bool:
    """Whether group or others may read the file."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
