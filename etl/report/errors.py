"""Errors as plain values for JSON."""

from __future__ import annotations

from typing import Any

from etl.errors import VnsyncError
from etl.report.wording import printable, sentence

LONGEST = 2000
"""Upper limit of the characters of an error's sentences: causes quote text from outside."""


def facts(error: VnsyncError) -> dict[str, Any]:
    """Members of an error: `code` is stable (docs/errors.md lists them), `message` is the cause, `remedy` the fix."""
    return {
        "code": error.code,
        "message": printable(str(error), LONGEST),
        "remedy": printable(sentence(error.remedy), LONGEST),
        "exit_code": error.exit_code,
        "retry_after_seconds": error.retry_after,
    }
