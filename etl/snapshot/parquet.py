"""Reading of untrusted Parquet files in bounded memory, and the check that pyarrow is installed."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import etl
from etl.errors import Misconfigured

BATCH = 1_024
MOST_MEMORY = 192 * 2**20
"""Maximum memory in bytes that reading may add to the process, because a few KB of zstd can expand to gigabytes."""


def is_installed() -> bool:
    """Whether pyarrow is installed, which is an optional extra of vnsync."""
    return find_spec("pyarrow") is not None


def how_to_install() -> str:
    """Remedy with the command that installs pyarrow. It works even if no package index has vnsync itself."""
    checkout = Path(etl.__file__).parents[1]
    if (checkout / "pyproject.toml").is_file():
        return f"Run `pip install '.[parquet]'` in {checkout}"
    return "Install it in vnsync's environment: `pip install pyarrow`, or `pipx inject vnsync pyarrow`"


def require(remedy: str = "") -> None:
    """Raise `Misconfigured` if pyarrow is missing or broken; `remedy`: an alternative that does not need it."""
    if not is_installed():
        raise Misconfigured("Parquet needs pyarrow, which is not installed", remedy=how_to_install() + remedy)
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as exc:  # made for another Python, or without a library of the system
        again = "Install it anew (`pip install --force-reinstall pyarrow`)"
        raise Misconfigured(f"Parquet needs pyarrow, which cannot be loaded: {exc}", remedy=again + remedy) from exc


class Unreadable(Exception):
    """Error for a file that is not Parquet, or that takes more memory than any snapshot needs."""


def rows(stream: IO[bytes]) -> Iterator[tuple[Any, ...]]:
    """Rows in order. Raises `Unreadable`, or `Misconfigured` if pyarrow is not installed."""
    require()
    import pyarrow as pa
    import pyarrow.parquet as pq

    failures = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError)
    try:
        with _bounded():
            pa.set_memory_pool(pa.system_memory_pool())  # other pools reserve gigabytes of address space
            batches = pq.ParquetFile(stream).iter_batches(BATCH, use_threads=False)
        while (batch := _next(batches)) is not None:
            yield from batch
    except failures as exc:
        raise Unreadable(type(exc).__name__) from exc


def _next(batches: Iterator[Any]) -> list[tuple[Any, ...]] | None:
    with _bounded():
        batch = next(batches, None)
        return None if batch is None else [tuple(row.values()) for row in batch.to_pylist()]


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Limit the process's address space to its current size plus `MOST_MEMORY`, where the system reports that size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    taken = _address_space()
    if taken is None:
        yield
        return
    most = taken + MOST_MEMORY
    lower = [limit for limit in (soft, hard, most) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(lower), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int | None:
    """Current size of this process's address space in bytes; None if the system does not report it."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return None
