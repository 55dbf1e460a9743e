"""Habits that CONTRIBUTING.md asks of tests: fixtures are imported from nowhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.checkout import ROOT

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
    """What a module imports: another module, and the name that it takes from there."""
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


def test_an_imported_fixture_is_found() -> None:
    """One of another test's file, and whatever is taken from a conftest; not what is no fixture."""
    assert imported_fixtures(PLANTED) == {
        "tests.here.test_two: desk",
        "tests.here.test_three: anything",
        "tests.here.test_three: conftest",
    }


def test_no_fixture_is_imported() -> None:
    """Fixtures that several files use are in the conftest.py of their folder, or in a plugin that it names."""
    assert imported_fixtures(_sources("tests")) == set()
