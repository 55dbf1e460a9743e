"""The command `vnsync`, and `python -m etl`."""

import os
import sys

# `python -m` puts the current folder first in the path; a stray json.py there must not become part of the program. Up
# to here nothing was imported that is not in the interpreter itself, `from __future__ import` included.
if sys.path and os.path.realpath(sys.path[0]) == os.getcwd() != os.path.dirname(os.path.dirname(__file__)):
    del sys.path[0]

from etl.cli.main import main  # only now is the path safe

if __name__ == "__main__":
    main()
