"""Hardening of a process that holds secrets: new files are for their owner alone, and there is no core dump."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator

PRIVATE = 0o077


@contextlib.contextmanager
def private() -> Iterator[None]:
    """Context in which new files are for their owner alone, whatever the umask was, and a crash writes no core dump."""
    before = os.umask(PRIVATE)
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
        os.umask(before)
