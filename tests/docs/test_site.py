"""The documentation site has all pages, its links are those of the repository, and it is built without a warning."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.checkout import ROOT

BUILDER = ROOT / ".venv-docs" / "bin" / "zensical"


@pytest.fixture
def site() -> ModuleType:
    """The module `.ci/site.py`."""
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / ".ci" / "site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_navigation_once(site: ModuleType) -> None:
    """In the sections of docs/index.md; a page in two sections would be marked twice."""
    sections = [section for part in site.navigation() for section in part.values()]
    listed = [path for section in sections if isinstance(section, list) for page in section for path in page.values()]
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")} - {"docs/index.md"}
    assert pages <= set(listed)
    assert len(listed) == len(set(listed))


def test_all_that_pages_link_to_is_copied(site: ModuleType, tmp_path: Path) -> None:
    """Pages, pictures and programs stand where they do in the repository."""
    site.main(tmp_path)
    for name in ("README.md", "docs/index.md", "docs/images/report.png", "docs/verify_chain.py", "dbt/README.md"):
        assert (tmp_path / "source" / name).read_bytes() == (ROOT / name).read_bytes()


@pytest.mark.soak
def test_the_site_is_built_strictly(site: ModuleType, tmp_path: Path) -> None:
    """Without a warning; a link that leads nowhere stops it."""
    if not BUILDER.exists():
        pytest.skip("there is no .venv-docs: `make soak` makes it")
    site.main(tmp_path)
    command = [str(BUILDER), "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "<title>" in (tmp_path / "site" / "docs" / "night" / "index.html").read_text(encoding="utf-8")
    (tmp_path / "source" / "README.md").write_text("[gone](docs/nowhere.md)", encoding="utf-8")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=300, check=False).returncode != 0
