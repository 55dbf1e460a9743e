"""Description on a package index: README.md, with links that work there, or with the names of the files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)([^)]+)\)")
PLAIN = "Pages that are named here, such as `docs/index.md`, are files of the source distribution.\n"


def described(readme: str, pages_url: str) -> str:
    """The text with links that begin with `pages_url`; without one, it names the files, and says where they are."""
    if pages_url:
        return LINK.sub(lambda link: f"[{link[1]}]({pages_url.rstrip('/')}/{link[2]})", readme)
    title, _, text = readme.partition("\n")
    return f"{title}\n\n{PLAIN}{LINK.sub(_named, text)}"


def _named(link: re.Match[str]) -> str:
    path = link[2].partition("#")[0]
    return f"`{path}`" if link[1] == path else f"{link[1]} (`{path}`)"


class CustomMetadataHook(MetadataHookInterface):
    """Sets the field `readme`, which pyproject.toml declares dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Read README.md of the tree that is built."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": described(text, self.config["pages-url"])}
