"""The larger test of replay (`python -m tests.stress.replays`), in a small size."""

from __future__ import annotations

import pytest

from tests.stress import replays


@pytest.mark.soak
def test_replay_gives_the_same_heads_and_snapshots(capsys: pytest.CaptureFixture[str]) -> None:
    """Five days of a few hundred numbers, replayed by the command in its own process: identical files each day."""
    assert replays.main(["--numbers", "300", "--days", "5", "--database", "sqlite"]) == 0
    assert "head the same, 5 of 5 snapshots the same" in capsys.readouterr().out
