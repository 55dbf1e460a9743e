"""X15, X16: outputs that cannot be written, and wrong settings."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stress.stage import Stage
from tests.support.processes import ended, playing, refused, runner
from tests.support.running import command, environment


@pytest.fixture
def play(sqlite_template: Path, tmp_path: Path) -> Iterator[Stage]:
    """An empty SQLite warehouse."""
    path = tmp_path / "warehouse.db"
    path.write_bytes(sqlite_template.read_bytes())
    with playing(f"sqlite:///{path}", tmp_path) as made:
        yield made


CLOSED = {"stdout-closed": ">&-", "stderr-closed": "2>&-", "both-closed": ">&- 2>&-", "all-closed": "<&- >&- 2>&-"}
FULL: dict[str, dict[str, Any]] = {"stdout-full": {"out": "/dev/full"}, "stderr-full": {"err": "/dev/full"}}


@pytest.mark.parametrize("how", CLOSED)
@pytest.mark.fault("X15")
def test_closed_output_sqlite(play: Stage, how: str) -> None:
    """With closed outputs the data is published, and reused descriptors are not written to."""
    done = _shell(play, f"{' '.join(command(*play.words('--log-level', 'info')))} {CLOSED[how]}")
    assert done.returncode == 0
    play.equals(play.truth())
    play.pass_day()
    play.converge()


@pytest.mark.parametrize("how", FULL)
@pytest.mark.fault("X15")
def test_output_on_a_full_disk_sqlite(play: Stage, how: str) -> None:
    """A log that cannot be written stops nothing; a result that cannot be written is 74, with the data published."""
    play.start("--log-level", "info", **FULL[how])
    done = ended(play)
    assert done.code == (0 if how == "stderr-full" else 74)
    play.equals(play.truth())
    play.pass_day()
    play.converge()


@pytest.mark.fault("X15")
def test_reader_of_the_pipe_has_gone_sqlite(play: Stage) -> None:
    """`vnsync sync | head -0`: the data is published, and the exit code is 0."""
    done = _shell(play, f"set -o pipefail; {' '.join(command(*play.words('--output', 'json')))} | head -n 0")
    assert (done.returncode, done.stderr) == (0, "")
    play.equals(play.truth())
    play.converge()


def _shell(play: Stage, script: str) -> subprocess.CompletedProcess[str]:
    settings = {**environment(), **play.environment()}
    return subprocess.run(["bash", "-c", script], env=settings, capture_output=True, text=True, timeout=60, check=False)


WRONG = [
    ("config-missing", ["--config", "nowhere.toml"], {}, "nowhere.toml"),
    ("config-bad-toml", ["--config", "bad.toml"], {}, "bad.toml is not TOML"),
    ("config-unknown-name", ["--config", "unknown.toml"], {}, "unknown setting api_tokn"),
    ("config-is-a-folder", ["--config", "folder"], {}, "folder"),
    ("secret-missing", ["--api-token-file", "nowhere"], {"VNSYNC_API_TOKEN": None}, "nowhere"),
    ("secret-is-a-folder", ["--api-token-file", "folder"], {"VNSYNC_API_TOKEN": None}, "folder"),
    ("secret-empty", ["--api-token-file", "empty"], {"VNSYNC_API_TOKEN": None}, "empty"),
    ("secret-two-words", ["--api-token-file", "two"], {"VNSYNC_API_TOKEN": None}, "more than one word"),
    ("secret-not-text", ["--api-token-file", "bytes"], {"VNSYNC_API_TOKEN": None}, "UTF-8"),
    ("no-token", [], {"VNSYNC_API_TOKEN": None}, "no API token is set"),
    ("unknown-variable", [], {"VNSYNC_API_TOKN": "x"}, "VNSYNC_API_TOKN"),
    ("url-not-https", ["--api-url", "http://api.example/v2.0"], {}, "https"),
    ("database-unknown", ["--database-url", "mysql://x/y"], {}, "sqlite"),
]


@pytest.mark.parametrize(("words", "variables", "says"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
@pytest.mark.fault("X16")
def test_wrong_settings(play: Stage, words: list[str], variables: dict[str, str | None], says: str) -> None:
    """Exit 78 with the name of the wrong setting, before any request and any access to the database."""
    _files(play.folder)
    before = (play.folder / "warehouse.db").read_bytes()
    settings = {**play.environment(), **variables}
    given = {name: value for name, value in settings.items() if value is not None}
    placed = [str(play.folder / word) if (play.folder / word).exists() else word for word in words]
    runner(0).start([*play.words(), *placed], given)
    refused(ended(play), 78, says)
    assert not play.api.requests
    assert (play.folder / "warehouse.db").read_bytes() == before


def _files(folder: Path) -> None:
    (folder / "bad.toml").write_text("api_url = [")
    (folder / "unknown.toml").write_text(f"api_tokn = {json.dumps('x')}")
    (folder / "folder").mkdir()
    (folder / "empty").touch()
    (folder / "two").write_text("two words")
    (folder / "bytes").write_bytes(b"\xff\xfe\x00")
