"""S15, S16: forbidden content of the code and its dependencies."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import etl

PACKAGE = Path(etl.__file__).parent
ROOT = PACKAGE.parent
LOADERS = {
    "pickle", "shelve", "marshal", "dill", "joblib", "yaml", "xml", "lxml", "plistlib", "imp", "code", "codeop",
    "ctypes", "cffi", "subprocess", "multiprocessing", "pty", "telnetlib", "ftplib", "dbm", "runpy",
    "zipimport",
}  # fmt: skip
CALLS = {"eval", "exec", "compile", "__import__", "breakpoint", "input", "globals"}
ATTRIBUTES = {"system", "popen", "execfile", "unsafe_load", "extractall", "format_map", "urlopen", "mktemp"}


def dangers(tree: ast.AST) -> list[str]:
    """Imports and calls in a module that could execute data or start a program."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in LOADERS]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in LOADERS:
            found.append(node.module or "")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            found.append(node.func.id)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ATTRIBUTES:
            found.append(ast.unparse(node.func))
    return found


def modules() -> Iterator[tuple[str, ast.Module]]:
    """The modules of vnsync and its migrations."""
    for folder in (PACKAGE, ROOT / "migrations"):
        for path in sorted(folder.rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


@pytest.mark.fault("S15")
def test_no_loader_turns_data_into_code() -> None:
    """No module loads pickles, YAML or XML, evaluates text, starts programs or calls C, with two exceptions.

    One starts vnsync itself, the other sets one option of the C library's allocator to a constant.
    """
    found = dict(modules())
    assert len(found) > 90
    dangerous = {name: bad for name, tree in found.items() if (bad := dangers(tree))}
    assert dangerous == {"etl/workers/process.py": ["subprocess"], "etl/cli/allocator.py": ["ctypes"]}
    helper = (ROOT / "etl" / "workers" / "process.py").read_text()
    assert helper.count("subprocess.Popen(") == helper.count("[sys.executable, ") == 1
    allocator = (ROOT / "etl" / "cli" / "allocator.py").read_text()
    assert allocator.count("ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)") == allocator.count("ctypes.") == 1


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from xml.etree import ElementTree",
        "import yaml as y",
        "eval(x)",
        "os.system(x)",
        "os.popen(x)",
        "def f():\n    import subprocess",
        "exec(compile(x, '', 'exec'))",
    ],
)
@pytest.mark.fault("S15")
def test_a_planted_loader_is_found(line: str) -> None:
    """The check above finds each of these."""
    assert dangers(ast.parse(line))


# -- S15: regular expressions

FUNCTIONS = {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
sre: Any = importlib.import_module("re._parser")
REPEATS = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}


def patterns(tree: ast.AST) -> Iterator[str]:
    """The regular expressions of a module; a value in an f-string counts as one letter."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {f"re.{name}" for name in FUNCTIONS}:
            yield _text(node.args[0])


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
        return node.value.decode("latin-1")
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return "x"


def nested(pattern: str) -> bool:
    """Whether an unbounded repetition contains another unbounded repetition: `(a+)+`, `(a|b*)*`.

    A possessive one (`(a++b)*+`) never backtracks, so it is tried in one way only.
    """
    return any(_retried(item) and any(map(_unbounded, _below(item))) for item in _all(sre.parse(pattern)))


def _retried(item: Any) -> bool:
    return _unbounded(item) and str(item[0]) != "POSSESSIVE_REPEAT"


def _unbounded(item: Any) -> bool:
    return str(item[0]) in REPEATS and item[1][1] == sre.MAXREPEAT


def _all(parsed: Any) -> Iterator[Any]:
    for item in parsed:
        yield item
        yield from _below(item)


def _below(item: Any) -> Iterator[Any]:
    parts = item[1] if isinstance(item[1], tuple | list) else ()
    for part in parts:
        if isinstance(part, sre.SubPattern):
            yield from _all(part)
        elif isinstance(part, list):
            for alternative in part:
                if isinstance(alternative, sre.SubPattern):
                    yield from _all(alternative)


@pytest.mark.fault("S15")
def test_no_expression_backtracks_without_end() -> None:
    """No regular expression repeats a repetition, so none needs exponential time for text that does not match."""
    found = {(name, pattern) for name, tree in modules() for pattern in patterns(tree)}
    assert len(found) > 10
    assert [where for where in found if nested(where[1])] == []


@pytest.mark.parametrize("pattern", ["(a+)+", "(a*)*b", "(a|b+)*", "((ab)+c?)+", "(?:x+y*)*$", "(.*?,)+x", "(\\d+)*"])
@pytest.mark.fault("S15")
def test_a_planted_expression_is_found(pattern: str) -> None:
    """The check above finds each of the classical forms, and accepts a bounded one."""
    assert nested(pattern)
    assert not nested(pattern.replace("+", "").replace("*", "") or "a")


WALKED = "etl/domain/json_spans.py"
"""Its expressions are matched only where the last match ended, and all are possessive."""
SEARCH = r"""
import json, re, sys
for pattern in json.load(sys.stdin):
    for text in ("a", " ", "0", r"\u", " - at `", "[0]", "?password="):
        re.search(pattern, text * 50_000 + chr(0))
"""


@pytest.mark.fault("S15")
def test_patterns_take_text_of_any_size() -> None:
    """Every expression searches half a megabyte that almost matches within the time limit."""
    found = {pattern for name, tree in modules() for pattern in patterns(tree) if name != WALKED}
    words = [sys.executable, "-c", SEARCH]
    assert subprocess.run(words, input=json.dumps(sorted(found)), text=True, check=False, timeout=30).returncode == 0


@pytest.mark.fault("S15")
def test_bytes_of_json_are_walked_in_one_pass() -> None:
    """The module that parses JSON only matches at its position; each of its repetitions is possessive."""
    ((_, tree),) = (found for found in modules() if found[0] == WALKED)
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert "match" in called
    assert called & (FUNCTIONS - {"compile", "match"}) == set()
    kinds = {str(item[0]) for pattern in patterns(tree) for item in _all(sre.parse(pattern)) if _unbounded(item)}
    assert kinds == {"POSSESSIVE_REPEAT"}


# -- S16


def lock() -> dict[str, tuple[str, list[str]]]:
    """The requirements of the lock, by name: the version, and the hashes."""
    found = {}
    joined = re.sub(r"\\\n\s*", " ", (ROOT / "requirements.lock").read_text())
    for line in joined.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            match = re.fullmatch(
                r"([a-z0-9-]+)(?:\[[a-z,]+\])?==([^ ;]+)(?: ; [^-]*)?((?: +--hash=sha256:[0-9a-f]{64})+) *", line
            )
            assert match is not None, line
            found[match[1]] = match[2], re.findall(r"sha256:[0-9a-f]{64}", match[3])
    return found


@pytest.mark.fault("S16")
def test_lock_pins_every_requirement_by_hash() -> None:
    """Each line is a name, one exact version and hashes: no address, no range, no index, no editable folder."""
    found = lock()
    assert len(found) > 50
    assert all(hashes for _, hashes in found.values())
    text = (ROOT / "requirements.lock").read_text()
    assert [word for word in ("://", "--index", "--extra", "--find-links", "-e ", "git+", " @ ") if word in text] == []


def project() -> dict[str, Any]:
    """The content of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=~! ;]", requirement)[0].lower().replace("_", "-")


@pytest.mark.fault("S16")
def test_few_direct_dependencies() -> None:
    """At most ten packages are needed at run time, each with a comment that gives the reason; all are in the lock."""
    direct = project()["project"]["dependencies"]
    assert len(direct) <= 10
    assert {_name(each) for each in direct} <= lock().keys()
    text = (ROOT / "pyproject.toml").read_text()
    assert [each for each in direct if not re.search(re.escape(f'"{each}",') + r" +# \w", text)] == []


@pytest.mark.fault("S16")
def test_lock_is_closed_over_what_is_needed() -> None:
    """The requirements of dependencies are in the lock, too, so an installer chooses nothing."""
    found, todo, seen = lock(), [_name(d) for d in project()["project"]["dependencies"]], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        needs = metadata.requires(name) or []
        todo += [_name(each) for each in needs if ";" not in each]
    assert seen <= found.keys()
    assert {name: metadata.version(name) for name in seen} == {name: found[name][0] for name in seen}


@pytest.mark.fault("S16")
def test_nothing_is_run_while_installing() -> None:
    """The installation uses the lock's hashes and only wheels, except for one package that a test needs."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    (pip,) = [line for line in lines if line.startswith("PIP = ")]
    assert "--no-deps" in pip.split()
    runs, tests = (line for line in lines if "$(PIP)" in line and "lock" in line)
    assert "$(PIP) --require-hashes $(WHEELS) -r requirements.lock" in tests
    assert "$(PIP) --require-hashes --only-binary :all: -r .venv/runtime.lock" in runs
    (wheels,) = [line for line in lines if line.startswith("WHEELS :=")]
    assert wheels.split()[2:] == ["--only-binary", ":all:", "--no-binary", "comagic-data-api-sdk"]
    assert "comagic-data-api-sdk" not in str(project()["project"]["dependencies"])
