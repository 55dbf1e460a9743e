"""An error as plain values, for machines."""

from __future__ import annotations

from typing import Any

from etl.errors import VnsyncError
from etl.report.wording import printable, sentence

LONGEST = 2000
"""Characters of an error's sentences; causes quote what came from outside."""


def facts(error: VnsyncError) -> dict[str, Any]:
    """The error: `code` is stable (docs/errors.md lists them), `message` says why, `remedy` what to do."""
    return {
        "code": error.code,
        "message": printable(str(error), LONGEST),
        "remedy": printable(sentence(error.remedy), LONGEST),
        "exit_code": error.exit_code,
        "retry_after_seconds": error.retry_after,
    }
