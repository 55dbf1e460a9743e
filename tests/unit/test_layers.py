"""Imports point one way, the sandbox stands alone, nothing goes in circles, and the pure layers touch no machine."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import etl

PACKAGE = Path(etl.__file__).parent

_BASE = {"errors", "domain"}
_STAGES = _BASE | {"extract", "transform", "store"}
_ARCHIVE = _BASE | {"archive", "files", "transform"}
_BELOW_SYNC = _STAGES | {"load", "read", "workers"}
_READERS = _STAGES | {"read", "files"}
_REPLAY = _BELOW_SYNC | _ARCHIVE | {"replay", "sync"}
_TOP = _REPLAY | {"report", "clock", "config", "sandbox", "cli", "snapshot", "verify", "erasure", "demo", "describe"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "files": set(),
    "domain": _BASE,
    "clock": _BASE,
    "config": _BASE | {"config", "files"},
    "extract": _BASE | {"extract"},
    "transform": _BASE | {"transform"},
    "workers": _BASE | {"transform", "workers"},
    "archive": _ARCHIVE,
    "store": _BASE | {"files", "store"},
    "load": _STAGES | {"load"},
    "erasure": _BASE | {"store", "erasure"},
    "sync": _BELOW_SYNC | {"sync"},
    "read": _READERS,
    "snapshot": _READERS | {"snapshot"},
    "verify": _BASE | {"store", "verify"},
    "replay": _REPLAY,
    "report": _BELOW_SYNC | {"report", "replay", "snapshot", "sync"},
    "sandbox": {"sandbox"},
    "describe": _BASE | {"store", "describe"},
    "demo": _BASE | {"clock", "config", "store", "demo"},
    "cli": _TOP,
    "__main__": _TOP,
}
"""Which folders a folder may import. A new one at the top of the package has to be written down here."""

PURE = {
    "domain": {
        "collections", "dataclasses", "datetime", "decimal", "enum", "functools", "hashlib", "itertools", "json",
        "math", "msgspec", "operator", "re", "typing", "zlib",
    },
    "transform": {
        "array", "collections", "contextlib", "dataclasses", "datetime", "decimal", "enum", "functools", "hashlib",
        "itertools", "json", "math", "msgspec", "operator", "re", "typing",
    },
}  # fmt: skip
"""All that the pure folders may import from outside: neither files, network, databases nor clocks."""

_CLOCKS = {"now", "utcnow", "today"}


@dataclass(frozen=True)
class Import:
    """`module` imports `target`; `typing_only`: under `if TYPE_CHECKING`, so never at run time."""

    module: str
    target: str
    typing_only: bool


@cache
def imports(root: Path) -> list[Import]:
    """Every import of the package at `root`, those in functions too, with the targets' full names."""
    found: list[Import] = []
    for path in sorted(root.rglob("*.py")):
        module = ".".join((root.name, *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
        found += _of_tree(ast.parse(path.read_text()), module, path.name == "__init__.py", typing_only=False)
    return found


def _of_tree(node: ast.AST, module: str, is_package: bool, *, typing_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(module, alias.name, typing_only) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            source = _source(child, module, is_package)
            yield from (Import(module, f"{source}.{alias.name}", typing_only) for alias in child.names)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for part in child.body:
                yield from _of_tree(ast.Module([part], []), module, is_package, typing_only=True)
            for part in child.orelse:
                yield from _of_tree(ast.Module([part], []), module, is_package, typing_only=typing_only)
        else:
            yield from _of_tree(child, module, is_package, typing_only=typing_only)


def _source(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    base = parts[: len(parts) - node.level + is_package]
    return ".".join([*base, *([node.module] if node.module else [])])


def _house(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else None


def wrong_ways(root: Path) -> list[str]:
    """Imports against the order of the houses; those for types count, for they are dependencies all the same."""
    own = {path.stem for path in root.iterdir() if path.is_dir() or path.suffix == ".py"}
    found = []
    for one in imports(root):
        house, target = _house(one.module), _house(one.target)
        if house is None or not one.target.startswith(f"{root.name}.") or target not in own:
            continue
        if target not in ALLOWED.get(house, set()) and house != target:
            found.append(f"{one.module} imports {one.target}")
    return found


def impurities(root: Path) -> list[str]:
    """Imports of the pure folders that are not allowed, and their calls of clocks and files."""
    found = [
        f"{one.module} imports {one.target}"
        for one in imports(root)
        if (house := _house(one.module)) in PURE
        and (top := one.target.partition(".")[0]) not in {root.name, "__future__"}
        and top not in PURE[house]
    ]
    for house in PURE:
        for path in sorted((root / house).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {
                    *_CLOCKS,
                    "open",
                    "print",
                }:
                    found.append(f"{house}/{path.name} calls {ast.unparse(node.func)}")
    return found


def cycles(root: Path) -> list[list[str]]:
    """Circles of modules that import each other at run time, imports in functions counted."""
    modules = {one.module for one in imports(root)}
    edges: dict[str, set[str]] = {name: set() for name in modules}
    for one in imports(root):
        target = next((t for t in (one.target, one.target.rpartition(".")[0]) if t in modules), None)
        if target not in (None, one.module) and not one.typing_only:
            edges[one.module].add(target)
    return _circles(edges)


def _circles(edges: dict[str, set[str]]) -> list[list[str]]:
    done: set[str] = set()
    found: list[list[str]] = []

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            found.append(path[path.index(name) :])
        elif name not in done:
            for target in sorted(edges[name]):
                visit(target, [*path, name])
            done.add(name)

    for name in sorted(edges):
        visit(name, [])
    return found


def test_imports_point_one_way() -> None:
    """No folder imports one above it or on its level; only cli imports the sandbox, which imports nothing."""
    assert wrong_ways(PACKAGE) == []


def test_the_pure_houses_touch_no_machine() -> None:
    """The domain and the transformation have no files, no network, no database and no clock."""
    assert impurities(PACKAGE) == []


def test_no_module_imports_itself_by_a_detour() -> None:
    """No circles, not even those that an import inside a function would hide."""
    assert cycles(PACKAGE) == []


def test_the_checks_see_the_whole_package() -> None:
    """A check over nothing finds nothing: the package's houses and their real imports are seen."""
    seen = {(_house(one.module), _house(one.target)) for one in imports(PACKAGE)}
    assert {("sync", "load"), ("load", "store"), ("extract", "domain"), ("sandbox", "sandbox")} <= seen


def _tree(root: Path, files: Iterable[tuple[str, str]]) -> Path:
    for name, text in files:
        path = root / "etl" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
    return root / "etl"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("domain/a.py", "from etl.store import engine"),
        ("domain/a.py", "def f():\n    import etl.store.engine"),
        ("domain/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from etl.store import engine"),
        ("domain/a.py", "from ..store import engine"),
        ("extract/a.py", "from etl.transform.decode import decode"),
        ("store/a.py", "from etl import load"),
        ("read/a.py", "import etl.load.diff as d"),
        ("sync/a.py", "from etl.sandbox.api import Api"),
        ("sandbox/a.py", "from etl.errors import Transient"),
        ("config/a.py", "from etl.cli import main"),
        ("helpers/a.py", "from etl.errors import Transient"),
    ],
)
def test_a_planted_wrong_import_is_found(tmp_path: Path, name: str, text: str) -> None:
    """Whatever its form, an import against the order is seen."""
    houses = ("store", "transform", "load", "sandbox", "cli")
    root = _tree(tmp_path, [*((f"{house}/engine.py", "") for house in houses), ("errors.py", ""), (name, text)])
    assert len(wrong_ways(root)) == 1


def test_a_right_import_is_not_taken_for_a_wrong_one(tmp_path: Path) -> None:
    """Downward imports, other packages and the package itself are fine."""
    text = "import etl\nimport httpx\nfrom etl.errors import A\nfrom etl.extract import x\nfrom . import y"
    assert wrong_ways(_tree(tmp_path, [("extract/a.py", text), ("errors.py", "")])) == []


@pytest.mark.parametrize(
    "text", ["import os", "from pathlib import Path", "import httpx", "t = datetime.now(UTC)", "open('x')"]
)
def test_a_planted_impurity_is_found(tmp_path: Path, text: str) -> None:
    """A clock, a file or a library of the outside in a pure house is seen."""
    assert len(impurities(_tree(tmp_path, [("domain/a.py", text)]))) == 1


def test_a_planted_circle_is_found(tmp_path: Path) -> None:
    """Also one that is closed by an import in a function; one for types alone is none."""
    circle = [("domain/a.py", "from etl.domain import b"), ("domain/b.py", "def f():\n    from etl.domain.a import x")]
    assert cycles(_tree(tmp_path / "one", circle)) == [["etl.domain.a", "etl.domain.b"]]
    types = [circle[0], ("domain/b.py", "if TYPE_CHECKING:\n    from etl.domain.a import x")]
    assert cycles(_tree(tmp_path / "two", types)) == []
