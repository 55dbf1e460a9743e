"""Order of runs: which manifests a run names, and which ends a head proves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from etl.archive.checking import check_archive
from etl.archive.heads import ArchiveHead
from etl.archive.layout import existing
from etl.archive.order import first_line
from etl.archive.recorder import Recorder
from etl.domain.recorder import Beginning
from etl.domain.runs import RunResult, RunStatus
from etl.errors import LocalTrouble

START = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)


class Written:
    """An archive to which concurrent runs are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open: dict[int, Recorder] = {}

    def begin(self, run_id: int, hours: float = 0) -> None:
        recorder = self.open[run_id] = Recorder(self.folder, lambda _: None)
        began = START + timedelta(hours=hours)
        recorder.begins(Beginning(run_id=run_id, source_url="https://x", version="1", started_at=began))

    def grow(self, run_id: int) -> None:
        self.open[run_id].plans(1, [run_id])

    def end(self, run_id: int) -> None:
        done = RunResult(run_id=run_id, status=RunStatus.SUCCEEDED, exit_code=0, started_at=START, finished_at=START)
        self.open.pop(run_id).ends(done)

    def names(self, run_id: int) -> list[int]:
        return [before.run_id for before in first_line(existing(self.folder), run_id).previous]

    def head(self, run_id: int) -> ArchiveHead:
        """The head that `verify` returns while the run is the newest."""
        told = check_archive(self.folder).head
        assert told is not None
        assert told.startswith(f"{run_id}:")
        return ArchiveHead(told.partition(":")[2], run_id)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """An archive without runs."""
    return Written(tmp_path / "a")


def test_run_after_run_names_the_one_before(written: Written) -> None:
    """A run names only the run before it, because that one names the earlier ones."""
    for run_id in (1, 2, 3):
        written.begin(run_id)
        written.end(run_id)
    assert [written.names(i) for i in (1, 2, 3)] == [[], [1], [2]]


@pytest.mark.fault("E02")
def test_run_beside_others_comes_under_a_later_head(written: Written) -> None:
    """A run overtaken by others is named again until it is complete; then a change of its end is found."""
    written.begin(1)
    written.begin(2)
    written.end(2)
    written.begin(3)
    written.end(3)
    written.grow(1)
    written.end(1)
    written.begin(4)
    written.end(4)
    written.begin(5)
    written.end(5)
    assert [written.names(i) for i in (2, 3, 4, 5)] == [[1], [1, 2], [1, 3], [4]]
    head = written.head(5)
    assert check_archive(written.folder, [head]).notes == [f"head {str(head)[:32]}... is the head of run 5, the newest"]
    path = existing(written.folder).manifest(1)
    path.write_bytes(path.read_bytes().replace(b'"bounds":[1]', b'"bounds":[2]'))
    assert any("run 1" in problem for problem in check_archive(written.folder, [head]).problems)


def test_run_that_no_later_one_names_whole_is_told(written: Written) -> None:
    """Its own head has to be kept, too, because no later run proves its end."""
    written.begin(1)
    written.begin(2)
    written.end(2)
    written.end(1)
    (note,) = check_archive(written.folder).notes
    assert note.startswith("the newest head does not prove the end of run 1: keep 1:")


def test_interrupted_run_is_named_no_longer_than_a_day(written: Written) -> None:
    """An interrupted run may continue for a day; after that its manifest does not grow any more."""
    written.begin(1)
    written.begin(2, hours=1)
    written.end(2)
    written.begin(3, hours=2)
    written.end(3)
    written.begin(4, hours=30)
    written.end(4)
    assert [written.names(i) for i in (2, 3, 4)] == [[1], [1, 2], [3]]


def test_manifest_that_is_full_takes_no_more(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that could not be read again is not written, so the account is not published."""
    from etl.archive import recorder

    written.begin(1)
    written.grow(1)
    monkeypatch.setattr(recorder, "LARGEST", existing(written.folder).manifest(1).stat().st_size)
    with pytest.raises(LocalTrouble, match="is full"):
        written.grow(1)
    assert check_archive(written.folder).problems == []
