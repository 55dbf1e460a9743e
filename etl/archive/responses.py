"""Responses of an archive, looked up by the digests in manifests and returned as they are after erasures."""

from __future__ import annotations

from etl.archive.erasures import read_erasures
from etl.archive.layout import Layout
from etl.archive.lines import Response
from etl.archive.objects import Objects


class Responses:
    """Reader of the responses of an archive."""

    def __init__(self, layout: Layout) -> None:
        self._objects, self._erasures = Objects(layout), read_erasures(layout)

    def get(self, digest: str) -> bytes:
        """Response that a line names. Raises `IntegrityBroken` when it is missing, damaged or does not match."""
        return self._objects.get(self._erasures.now(digest))

    @property
    def erased(self) -> bool:
        """Whether the archive has an erasure."""
        return bool(self._erasures.entries)

    def is_erased_from(self, line: Response) -> bool:
        """Whether personal content was erased from the response of a line."""
        return line.sha256 is not None and bool(self._erasures.of(line.sha256))
