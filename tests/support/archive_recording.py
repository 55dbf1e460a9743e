"""Archives that a recorder writes from answers that need no source."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from etl.archive.checking import check_archive
from etl.archive.recorder import Recorder
from etl.domain.recorder import Beginning, Exchange
from etl.domain.runs import RunResult, RunStatus

ACCOUNT, OTHER, REQUEST = 12001, 12002, 41
LISTING = "get.virtual_numbers"
BEGAN = datetime(2026, 1, 5, 6, tzinfo=UTC)
RUN = Beginning(run_id=2601050600000001, source_url="https://example.org", version="0", started_at=BEGAN)
Heard = tuple[bytes, dict[str, object]]
"""An answer, and the fields in which its request differs from one for a page of the account."""


def recorded(folder: Path, heard: Sequence[Heard], run: Beginning = RUN) -> str:
    """Record a run with these answers. Returns the digest of the archive's head after it."""
    recorder = Recorder(folder, lambda _: None)
    recorder.begins(run)
    recorder.reaches({ACCOUNT: [1], OTHER: [2]})
    asked: dict[str, Any] = {
        "method": LISTING,
        "params": {"user_id": 1},
        "request_id": REQUEST,
        "received_at": BEGAN,
        "status": 200,
    }
    for body, other in heard:
        recorder.received(Exchange(**{**asked, **other}, body=body))
    at = run.started_at
    ended = RunResult(run_id=run.run_id, status=RunStatus.SUCCEEDED, exit_code=0, started_at=at, finished_at=at)
    recorder.ends(ended)
    head = check_archive(folder).head
    assert head is not None
    return head.partition(":")[2]


def later(days: int) -> Beginning:
    """A run that begins `days` days after the first."""
    at = BEGAN.replace(day=BEGAN.day + days)
    return replace(RUN, run_id=RUN.run_id + days * 10**10, started_at=at)
