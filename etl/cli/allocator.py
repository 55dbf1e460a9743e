"""What the C library keeps of memory that was given back, when several threads work on large accounts."""

from __future__ import annotations

import contextlib
import os

M_ARENA_MAX = -8
"""The parameter of glibc's `mallopt`, from its `malloc.h`."""
ARENAS = 2
"""One for the main thread, one for all others: they share Python's lock, so they hardly wait for each other there."""
SET_BY_HAND = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")


def few_arenas() -> None:
    """Let threads that begin from now on share two of malloc's arenas instead of eight for each processor.

    What one thread gives back stays in its arena, of no use to the others: with a hundred accounts of 10 000 numbers
    that came to 50 MiB and more. Whoever set this in the environment is left alone, and so are C libraries without it.
    """
    if any(name in os.environ for name in SET_BY_HAND):
        return
    import ctypes

    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
