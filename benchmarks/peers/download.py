"""The bare download, of which nothing is made: `python -m benchmarks.peers.download URL TOKEN`."""

from __future__ import annotations

import sys

from benchmarks.peers.floor import bodies

if __name__ == "__main__":
    for _ in bodies(*sys.argv[1:3]):
        pass
