"""Habits that CONTRIBUTING.md asks of tests: fixtures are imported from nowhere, and no type is ignored silently."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.checkout import ROOT

REASONED = re.compile(r"# type: ignore\[[\w, -]+\]\s+# \S")
"""An ignore names what it ignores, and a second comment says why."""
PLANTED = {
    "tests.here.conftest": "import pytest\n@pytest.fixture\ndef lamp(): ...\n",
    "tests.here.test_one": "import pytest\n@pytest.fixture(scope='module')\ndef desk(): ...\ndef plain(): ...\n",
    "tests.here.test_two": "from tests.here.test_one import desk, plain\nfrom tests.here import test_one\n",
    "tests.here.test_three": "from tests.here.conftest import anything\nimport tests.here.conftest\n",
}


def _sources(*folders: str) -> dict[str, str]:
    """The source of each module, by its dotted name."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {_module(path): path.read_text(encoding="utf-8") for path in paths}


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _fixtures(source: str) -> set[str]:
    if "fixture" not in source:
        return set()
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return {f.name for f in functions if any("fixture" in ast.unparse(each) for each in f.decorator_list)}


def _imported(source: str) -> Iterator[tuple[str, str]]:
    """Imports of a module: another module, and the imported name."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            for origin, _, name in (alias.name.rpartition(".") for alias in node.names):
                yield origin, name


def imported_fixtures(sources: Mapping[str, str]) -> set[str]:
    """The imports, as "module: name", that take a fixture, or anything of a conftest."""
    fixtures = {name: _fixtures(source) for name, source in sources.items()}
    return {
        f"{name}: {taken}"
        for name, source in sources.items()
        for origin, taken in _imported(source)
        if taken in fixtures.get(origin, ()) or "conftest" in (origin.rpartition(".")[2], taken)
    }


def ignores_without_reason(source: str) -> list[int]:
    """The lines of a module on which a type is ignored without a code, or without a reason."""
    if "type: ignore" not in source:
        return []
    comments = [t for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type == tokenize.COMMENT]
    return [t.start[0] for t in comments if "type: ignore" in t.string and not REASONED.search(t.string)]


def test_an_imported_fixture_is_found() -> None:
    """A fixture of another test file, and any name of a conftest; other functions are not reported."""
    assert imported_fixtures(PLANTED) == {
        "tests.here.test_two: desk",
        "tests.here.test_three: anything",
        "tests.here.test_three: conftest",
    }


def test_no_fixture_is_imported() -> None:
    """Fixtures that several files use are in the conftest.py of their folder, or in a plugin that it names."""
    assert imported_fixtures(_sources("tests")) == set()


def test_an_ignore_without_its_reason_is_found() -> None:
    """Bare, or with a code alone."""
    lines = [
        "a = b",
        "a = b  # type: ignore",
        "a = b  # type: ignore[misc]",
        "a = b  # type: ignore[misc]  # a stand-in",
    ]
    assert ignores_without_reason("\n".join(lines)) == [2, 3]


def test_each_ignored_type_has_its_reason() -> None:
    """In tests and benchmarks the line itself has the ignored code and the reason."""
    found = {name: ignores_without_reason(source) for name, source in _sources("tests", "benchmarks").items()}
    assert {name: lines for name, lines in found.items() if lines} == {}
