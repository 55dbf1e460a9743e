"""Secret files: each holds one word."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from etl.config.secrets import Secret
from etl.errors import Misconfigured
from etl.files import open_followed

MAX_BYTES = 65_536
_LIKE_A_SECRET = re.compile(r"[A-Za-z0-9_+=-]{16,}")


def read_secret(path: Path) -> Secret:
    """The one word in the file, stripped. Raises `Misconfigured` if it is unreadable, empty, or more than one word."""
    remedy = "The file holds the secret alone, on one line, readable by the user that runs vnsync."
    try:
        with open_followed(path.expanduser()) as file:
            text = file.read(MAX_BYTES).decode("utf-8-sig").strip()
    except (OSError, ValueError, RuntimeError) as error:
        reason = _reason(error)
        raise Misconfigured(f"the secret file {shown_path(path)} cannot be read: {reason}", remedy=remedy) from None
    if not text or not text.isprintable() or any(map(str.isspace, text)):
        problem = "holds more than one word" if text else "is empty"
        raise Misconfigured(f"the secret file {shown_path(path)} {problem}", remedy=remedy)
    return Secret(text)


def known(path: Path | None) -> Secret | None:
    """The word in the file; None without a path, or if it cannot be read: a command that needs it reports that."""
    try:
        return read_secret(path) if path else None
    except Misconfigured:
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is not text in UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def shown_path(path: Path) -> str:
    """The path for people; masked if it is no file and looks like a secret that was set in place of its file."""
    text = str(path)
    return "****" if _LIKE_A_SECRET.fullmatch(text) and not path.exists() else text


def readable_by_others(path: Path) -> bool:
    """Whether group or others may read the file."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def risk_of(path: Path, *, group: bool) -> str:
    """What other users may do with a secret file, as the end of a sentence; empty if nothing, or if it is no file.

    A user who may write it can replace the key by that of another account. `group`: readers of its group count.
    """
    path = path.expanduser()
    if not path.is_file():
        return ""
    found = path.stat()
    if found.st_uid not in (0, os.geteuid()):
        return "belongs to another user"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "is writable by other users"
    if found.st_mode & stat.S_IRWXO:
        return "is readable by every user of this machine"
    return "is readable by other users" if group and found.st_mode & stat.S_IRWXG else ""


def foreign(path: Path) -> str:
    """Reason why another user may have written the file: its owner, or its mode; empty if there is none."""
    found = path.stat()
    if found.st_uid not in (0, os.geteuid()):
        return "it belongs to another user"
    return "every user may write it" if found.st_mode & stat.S_IWOTH else ""
