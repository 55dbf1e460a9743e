"""Fault table in docs/faults.md, made from a run of the tests that carry the ids.

Usage: python -m tests.stress.matrix [--junit FILE]      without FILE it runs tests/faults itself
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from pathlib import Path

from tests.stress.fault_rows import GROUPS, NOT_HERE, ROWS
from tests.support.checkout import ROOT

PAGE = ROOT / "docs" / "faults.md"
_ID = re.compile(r"(?<![a-z0-9])([a-z]\d\d)(?![0-9])", re.IGNORECASE)


@dataclass
class Evidence:
    """Results of the tests of one row."""

    tests: set[str] = field(default_factory=set)
    databases: set[str] = field(default_factory=set)
    outcomes: list[str] = field(default_factory=list)

    @property
    def result(self) -> str:
        """'passed' only if every test of the row passed."""
        for outcome in ("failed", "skipped"):
            if outcome in self.outcomes:
                return f"{outcome}: {self.outcomes.count(outcome)} of {len(self.outcomes)}"
        return f"passed: {len(self.outcomes)}"


@dataclass(frozen=True)
class Case:
    """A test case of a JUnit file. `faults`: the ids of its markers."""

    file: str
    name: str
    outcome: str
    faults: frozenset[str]

    @property
    def rows(self) -> Set[str]:
        """Rows for which the case is evidence: those that its parameters name, or else those of its markers."""
        named = {found.upper() for found in _ID.findall(self.name.partition("[")[2].replace("_", " "))}
        return (named or self.faults) & ROWS.keys()


def evidence(cases: Iterable[Case]) -> dict[str, Evidence]:
    """The evidence by row."""
    out: dict[str, Evidence] = defaultdict(Evidence)
    for case in cases:
        for row in case.rows:
            found = out[row]
            found.tests.add(f"{case.file}::{case.name.split('[')[0]}")
            found.databases |= {d for d in ("sqlite", "postgresql") if d in case.name}
            found.outcomes.append(case.outcome)
    return out


def cases_of(junit: Path) -> Iterable[Case]:
    """The test cases of a JUnit file."""
    for case in ElementTree.parse(junit).iter("testcase"):
        tags = {child.tag for child in case}
        outcome = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
        faults = frozenset(p.get("value", "") for p in case.iter("property") if p.get("name") == "fault")
        file = case.get("classname", "").removeprefix("tests.").replace(".", "/")
        yield Case(file, case.get("name", ""), outcome, faults)


def page(found: dict[str, Evidence]) -> str:
    """The Markdown page."""
    lines = [
        "# Faults, and the test that provokes each",
        "",
        "Made by `python -m tests.stress.matrix` from a run of the tests; do not edit.",
        "",
        f"{sum(row in found for row in ROWS)} of {len(ROWS)} rows are tried.",
    ]
    for letter, title in GROUPS.items():
        lines += ["", f"## {letter}: {title}", ""]
        lines += ["| id | fault | tests | databases | result |", "|---|---|---|---|---|"]
        lines += [_line(row, found.get(row)) for row in ROWS if row.startswith(letter)]
    return "\n".join(lines) + "\n"


def _line(row: str, found: Evidence | None) -> str:
    if found is None:
        return f"| {row} | {ROWS[row]} | | | not tried: {NOT_HERE.get(row, 'open')} |"
    tests = "<br>".join(f"`{name}`" for name in sorted(found.tests))
    return f"| {row} | {ROWS[row]} | {tests} | {', '.join(sorted(found.databases)) or '-'} | {found.result} |"


def _run(junit: Path) -> None:
    command = [sys.executable, "-m", "pytest", "tests/faults", "-q", "-n", "2", f"--junitxml={junit}"]
    subprocess.run(command, cwd=ROOT, check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--junit", type=Path, help="a JUnit file of an earlier run")
    junit = parser.parse_args().junit
    with tempfile.TemporaryDirectory() as folder:
        if junit is None:
            junit = Path(folder) / "junit.xml"
            _run(junit)
        PAGE.write_text(page(evidence(cases_of(junit))), encoding="utf-8")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
