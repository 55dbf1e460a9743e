"""The command `vnsync`, and `python -m etl`."""

from __future__ import annotations

import sys
from pathlib import Path

# `python -m` puts the current folder first; a stray json.py there must not become part of the program
if sys.path and Path(sys.path[0]).resolve() == Path.cwd() and Path(__file__).parents[1] != Path.cwd():
    del sys.path[0]

from etl.cli.main import main  # only now is the path safe

if __name__ == "__main__":
    main()
