"""docs/cli.md equals the output of `--help`."""

from __future__ import annotations

from etl.cli.main import COMMANDS
from tests.support.checkout import ROOT
from tests.support.cli_page import page

PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def test_the_page_is_generated() -> None:
    """If this fails: `python -m tests.support.cli_page > docs/cli.md`."""
    assert page() == PAGE


def test_every_command_has_its_section() -> None:
    """Those of groups, too."""
    for name in [*COMMANDS, "db upgrade", "db rebind", "archive prune"]:
        assert f"\n## `vnsync {name}`\n" in PAGE
