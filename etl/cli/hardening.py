"""What a process that knows secrets does about itself: files for their owner alone, and no core dump."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator

PRIVATE = 0o077


@contextlib.contextmanager
def private() -> Iterator[None]:
    """Within it new files are for their owner alone, whatever the umask was, and a crash leaves no image of memory."""
    before = os.umask(PRIVATE)
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
        os.umask(before)
