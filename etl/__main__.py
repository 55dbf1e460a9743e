"""Entry point of the command `vnsync`, and of `python -m etl`."""

import os
import sys

# `python -m` puts the current folder first in the path; a file json.py there must not become part of the program. So
# everything imported above must be built into the interpreter; `from __future__ import` is not.
if sys.path and os.path.realpath(sys.path[0]) == os.getcwd() != os.path.dirname(os.path.dirname(__file__)):
    del sys.path[0]

from etl.cli.main import main  # not at the top: the path is safe only here

if __name__ == "__main__":
    main()
