"""The source as a process of its own: `serving` starts it, and takes it from day to day."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.measuring import ROOT


@dataclass(frozen=True)
class Source:
    """A source that listens."""

    url: str
    token: str

    def go_to(self, days: int) -> None:
        """Take it to the state after so many days; see `numbers`."""
        url = self.url.replace("/v2.0", "/state")
        request = urllib.request.Request(url, json.dumps({"days": days}).encode())
        urllib.request.urlopen(request).read()


@contextmanager
def serving(numbers: int, *, customers: int = 0, latency: float = 0.0) -> Iterator[Source]:
    """A source of so many numbers; `customers`: of an agency; `latency`: seconds before each answer."""
    words = ["--numbers", str(numbers), "--customers", str(customers), "--latency", str(latency)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        yield Source(**json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
