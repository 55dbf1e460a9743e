"""The part of requirements.lock that running vnsync takes, without the tests' packages: printed, hashes and all.

A package belongs to it when pyproject.toml names it as a dependency, or when the lock says that such a package is the
reason for it ("# via"). hatchling and editables are added: they install the checkout itself.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = {"hatchling", "editables"}


def blocks(lock: str) -> dict[str, str]:
    """The lock's text by package: its pinned line, hashes and reasons."""
    return {
        block.partition("==")[0].partition("[")[0]: block
        for block in re.split(r"\n(?=[a-z0-9])", lock)
        if "==" in block
    }


def runtime(lock: dict[str, str], direct: set[str]) -> set[str]:
    """The names of the direct packages, and of those that they bring."""
    wanted = set(direct)
    while True:
        more = {name for name, block in lock.items() if name not in wanted and _reasons(block) & wanted}
        if not more:
            return wanted & lock.keys()
        wanted |= more


def _reasons(block: str) -> set[str]:
    return {word.strip(" ,") for line in re.findall(r"#(.*)", block) for word in line.replace("via", "").split()}


def main() -> None:
    """Print the requirements."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = {re.split(r"[\[<>=!~ ]", line)[0] for line in project["dependencies"]} | BUILD
    lock = blocks((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    sys.stdout.write("\n".join(lock[name] for name in sorted(runtime(lock, direct))) + "\n")


if __name__ == "__main__":
    main()
