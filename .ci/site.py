"""Documentation site: `.ci/site.py BUILD` writes BUILD/source and BUILD/mkdocs.yml, which zensical builds.

The site has the repository's own tree, so that every relative link of a page works there as it does in the repository.
Its navigation is docs/index.md: a section for each heading, an entry for each line.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
INDEX = ROOT / "docs" / "index.md"
FIRST = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
ENTRY = re.compile(r"- \[([^\]]+)\]\(([^)#]+)(#[^)]*)?\)")

Nav = list[dict[str, Any]]


def linked(page: Path) -> Iterator[Path]:
    """Files of the repository that a page links to."""
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            yield (page.parent / target).resolve()


def reached() -> list[Path]:
    """The first pages and all that can be reached from them by links, in that order."""
    found = [ROOT / name for name in FIRST]
    for path in found:  # grows while it is read
        if path.suffix == ".md":
            found += [target for target in dict.fromkeys(linked(path)) if target not in found and target.is_file()]
    return found


def navigation() -> Nav:
    """The sections of docs/index.md; an entry that leads to a heading of another page is left out."""
    nav: Nav = [{"vnsync": "README.md"}]
    for line in INDEX.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            nav.append({line.removeprefix("## "): []})
        elif (entry := ENTRY.match(line)) and not entry[3]:
            path = (INDEX.parent / entry[2]).resolve()
            if path.suffix == ".md":
                next(iter(nav[-1].values())).append({title(path): path.relative_to(ROOT).as_posix()})
    return [*nav, {"Changelog": "CHANGELOG.md"}]


def title(page: Path) -> str:
    """The page's first heading, without marks."""
    heading = next(line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("# "))
    return heading.removeprefix("# ").replace("`", "")


def settings() -> dict[str, Any]:
    """mkdocs.yml, as data: JSON is YAML, too."""
    return {
        "site_name": "vnsync",
        "docs_dir": "source",
        "site_dir": "site",
        "nav": navigation(),
        "theme": {
            "name": "material",
            "font": False,
            "features": [
                "navigation.tabs",
                "navigation.indexes",
                "toc.integrate",
                "content.code.copy",
                "search.highlight",
            ],
            "palette": [
                {"media": f"(prefers-color-scheme: {scheme})", "scheme": name}
                for scheme, name in (("light", "default"), ("dark", "slate"))
            ],
        },
        "markdown_extensions": [
            "tables",
            "sane_lists",
            {"toc": {"permalink": True}},
            "pymdownx.highlight",
            {"pymdownx.superfences": {"custom_fences": [{"name": "mermaid", "class": "mermaid"}]}},
        ],
        "plugins": ["search"],
        "validation": {"omitted_files": "ignore", "anchors": "warn", "links": {"unrecognized_links": "warn"}},
    }


def main(build: Path) -> None:
    shutil.rmtree(build, ignore_errors=True)
    for path in reached():
        target = build / "source" / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    (build / "mkdocs.yml").write_text(json.dumps(settings(), indent=2), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
