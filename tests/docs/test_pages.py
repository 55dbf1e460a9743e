"""Pages of docs/: each is in the index, each link leads somewhere, each command and target that they name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from etl.cli.main import COMMANDS
from tests.support import pages
from tests.support.checkout import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "schedules" / "README.md", *DOCS.rglob("*.md")])
DECISIONS = sorted((DOCS / "adr").glob("*.md"))
PARTS = ["Context", "Decision", "Consequences", "Figures"]
FORMATS = {"chain"}
"""Words behind `vnsync` that are no commands: the first line of a link, in docs/chain.md."""
_PATH = re.compile(r"`((?:etl|tests|docs|migrations|schedules|benchmarks|cli|store|sync|\.ci)/[\w./]*)`")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_every_page_is_linked_from_the_index() -> None:
    """Each file of docs/ has its line in docs/index.md; a picture is in some page."""
    index = DOCS / "index.md"
    linked = {(DOCS / path).resolve() for path, _ in pages.links(index)}
    shown = [(page.parent / path).resolve() for page in DOCS.glob("*.md") for path, _ in pages.links(page)]
    linked |= {path for path in shown if path.suffix == ".png"}
    there = {path for path in DOCS.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert there - {index} <= linked


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """To a file, and to a heading in it where the link names one."""
    assert pages.broken_links(page) == []


@pytest.mark.parametrize("link", ["nowhere.md", "there.md#no-such-heading", "#none"])
def test_a_broken_link_is_found(tmp_path: Path, link: str) -> None:
    """A check that finds nothing proves nothing."""
    (tmp_path / "there.md").write_text("# A heading\n")
    (tmp_path / "page.md").write_text(f"# Page\n[good](there.md#a-heading), [bad]({link})\n")
    assert len(pages.broken_links(tmp_path / "page.md")) == 1


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_targets_that_a_page_names_exist(page: Path) -> None:
    """`vnsync NAME` is a command of the program, `make NAME` a target of the Makefile."""
    assert pages.commands(page, "vnsync") - FORMATS <= COMMANDS.keys()
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    assert pages.commands(page, "make") <= targets


@pytest.mark.parametrize("page", [ROOT / "CONTRIBUTING.md", DOCS / "architecture.md"], ids=name_of)
def test_paths_that_contributors_are_told_of_exist(page: Path) -> None:
    """From the top of the checkout or of etl/; placeholders such as NAME and NNNN aside."""
    named = [path for path in _PATH.findall(text_of(page)) if not re.search(r"NAME|NNNN", path)]
    assert named
    assert [path for path in named if not ((ROOT / path).exists() or (ROOT / "etl" / path).exists())] == []


def test_every_folder_of_the_program_has_its_paragraph() -> None:
    """docs/architecture.md has one for each folder of etl/."""
    folders = {path.parent.name for path in (ROOT / "etl").glob("*/__init__.py")}
    assert folders == set(re.findall(r"^\*\*(\w+)/\*\*", text_of(DOCS / "architecture.md"), re.MULTILINE))


def test_decisions_are_numbered_and_have_all_parts() -> None:
    """From 0001 without a gap; each has its number in the title, context, decision, consequences and figures."""
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    for path in DECISIONS:
        assert text_of(path).startswith(f"# {path.name[:4]}: ")
        assert re.findall(r"^## (\w+)$", text_of(path), re.MULTILINE) == PARTS
