"""Secrets kept in files: one word each."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from etl.errors import Misconfigured
from etl.secret import Secret

MAX_BYTES = 65_536
_LIKE_A_SECRET = re.compile(r"[A-Za-z0-9_+=-]{16,}")


def read_secret(path: Path) -> Secret:
    """The one word that the file holds, stripped. Raises Misconfigured: unreadable, empty, or more than one word."""
    remedy = "The file holds the secret alone, on one line, readable by the user that runs vnsync."
    try:
        with path.expanduser().open("rb") as file:
            text = file.read(MAX_BYTES).decode().strip()
    except (OSError, ValueError, RuntimeError) as error:
        reason = _reason(error)
        raise Misconfigured(f"the secret file {shown_path(path)} cannot be read: {reason}", remedy=remedy) from None
    if not text or not text.isprintable() or any(map(str.isspace, text)):
        problem = "holds more than one word" if text else "is empty"
        raise Misconfigured(f"the secret file {shown_path(path)} {problem}", remedy=remedy)
    return Secret(text)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is not text in UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def shown_path(path: Path) -> str:
    """The path for people; masked when it is no file and looks like the secret itself, put where its file belongs."""
    text = str(path)
    return "****" if _LIKE_A_SECRET.fullmatch(text) and not path.exists() else text


def readable_by_others(path: Path) -> bool:
    """Whether group or others may read the file."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def readable_by_all(path: Path) -> bool:
    """Whether everybody on this machine may read or write the file."""
    return bool(path.stat().st_mode & stat.S_IRWXO)


def foreign(path: Path) -> str:
    """Why the file may be somebody else's work: whose it is, or that all may write it; empty when it is neither."""
    found = path.stat()
    if found.st_uid not in (0, os.geteuid()):
        return "it belongs to another user"
    return "everybody may write it" if found.st_mode & stat.S_IWOTH else ""
