"""Start-up: heavy modules are imported only when a command needs them, and some never."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from etl.cli.main import COMMANDS

HEAVY = {"sqlalchemy", "httpx", "rich", "msgspec", "alembic", "tenacity", "psycopg", "etl.sync.run", "etl.store"}
RUN = "import json, sys; from etl.cli.main import run; run({words!r}); print(json.dumps(sorted(sys.modules)))"


def _imported(code: str) -> set[str]:
    """The names of the modules that a new interpreter has after running the code."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("words", [["--version"], ["--help"], [], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    """A version or a help text is there at once: click and the standard library are all that it takes."""
    assert not HEAVY & _imported(RUN.format(words=words))


def test_settings_need_no_library() -> None:
    """Settings are read before anything else is known to be needed, so they import the standard library alone."""
    taken = _imported("import json, sys; import etl.config.settings; print(json.dumps(sorted(sys.modules)))")
    assert {name.split(".")[0] for name in taken - set(sys.stdlib_module_names)} & {
        "pydantic",
        "click",
        "httpx",
    } == set()


def test_the_way_to_the_source_loads_no_terminal() -> None:
    """The HTTP library's own command line, with rich and a highlighter, stays out; so does the schema's migrator."""
    taken = _imported("import json, sys; import etl.sync.run; print(json.dumps(sorted(sys.modules)))")
    assert "httpx" in taken
    assert not {"rich", "pygments", "alembic", "psycopg"} & taken
