"""Shell of a person who follows a page: bash in its own folder, with `vnsync` and a simulated API."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.running import Source

CALM = {"COLUMNS": "100", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Shell:
    """Runs scripts in `folder`; a script fails if any of its commands fails."""

    source: Source
    folder: Path
    settings: dict[str, str]

    def run(self, script: str, code: int = 0) -> str:
        """Both streams of a script that ends with this exit code."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VNSYNC_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        key = dict(zip(("VNSYNC_API_URL", "VNSYNC_API_TOKEN_FILE"), self.source.options[1::2], strict=True))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={**environment, **CALM, **key, **self.settings, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, f"{script}\n{done.stdout}"
        return done.stdout
