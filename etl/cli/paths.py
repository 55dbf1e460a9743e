"""Paths on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class PathType(click.Path):
    """Click type for a path. A leading ~ is the home folder, as in settings; shells keep it in `--out=~/x`."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, with ~ expanded. Raises a usage error for a path that a setting would refuse, too."""
        from etl.config.validators import path

        try:
            return path(str(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


PATH = PathType()
