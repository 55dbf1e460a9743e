"""Independence of the judges: the world, the oracle and the verifier import no code of the program."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
INDEPENDENT = (
    "case", "chain", "closing", "customer", "directory", "dump", "keys", "oracle", "records", "refusal",
    "response_faults", "response_log", "server", "swarm", "trace", "transport", "upheavals", "verdicts", "verifier",
    "world",
)  # fmt: skip


def _imported(name: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("name", INDEPENDENT)
def test_judge_imports_nothing_of_the_program(name: str) -> None:
    """The module imports `etl` neither directly nor through another module."""
    imported = _imported(name)
    assert not {module for module in imported if module.split(".")[0] == "etl"}
    assert {m.split(".")[2] for m in imported if m.startswith("tests.simulation.")} <= set(INDEPENDENT)
