"""Check of the responses that manifests name: each exists, matches its digest, and lost only what was erased."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from etl.archive.erasures import Erasures
from etl.archive.layout import Layout
from etl.archive.lines import Response
from etl.archive.objects import Objects
from etl.archive.proof import erased_wrongly
from etl.errors import IntegrityBroken

REMEMBERED = 100_000
"""Maximum number of digests remembered, so that a response is not read again when another line names it.

A small number is enough, because lines of one archive rarely name the same response."""


class ResponseCheck:
    """Checker of the responses of an archive, line by line."""

    def __init__(self, layout: Layout, erasures: Erasures) -> None:
        self._layout, self._objects, self._erasures = layout, Objects(layout), erasures
        self._needed = array("Q")
        """First 64 bits of the digest of each object that a line needs, so that millions of lines take a few MB."""
        self._checked: set[str] = set()
        self._named = set[str]()
        """Digests of responses that a line named and that were erased from or pruned."""

    @property
    def count(self) -> int:
        """Number of distinct responses that the lines needed."""
        return len(set(self._needed))

    def problem(self, line: Response) -> str | None:
        """Problem with the response of a line; None when it exists and is proved."""
        assert line.sha256 is not None
        now, entries = self._erasures.now(line.sha256), self._erasures.of(line.sha256)
        self._needed.append(_start(now))
        if entries:
            self._named.add(line.sha256)
        elif now in self._checked:
            return None
        try:
            self._read(now)
            wrong = erased_wrongly(line, self._erasures, self._objects) if entries else None
        except IntegrityBroken as exc:
            return str(exc)
        self._remember(now)
        return f"the erased response {line.sha256[:16]}…: {wrong}" if wrong else None

    def add_pruned(self, digest: str) -> None:
        """Record that a line named a response that was pruned."""
        self._named.add(digest)

    def _read(self, digest: str) -> None:
        for _ in self._objects.checked(digest):
            pass

    def _remember(self, digest: str) -> None:
        if len(self._checked) >= REMEMBERED:
            self._checked.clear()
        self._checked.add(digest)

    def unnamed(self) -> Iterator[str]:
        """Erased responses that no line named: one sentence for each erasure."""
        for erasure in self._erasures.entries:
            missing = [r.former for r in erasure.responses if r.former not in self._named]
            if missing:
                example = f"{missing[0][:16]}…"
                yield f"erasure {erasure.number} names responses that no run names ({len(missing)}), such as {example}"

    def unneeded(self) -> Iterator[str]:
        """Digests of the objects that no line needs."""
        needed = array("Q", sorted(self._needed))
        for digest in self._layout.digests():
            start = _start(digest)
            at = bisect_left(needed, start)
            if at == len(needed) or needed[at] != start:
                yield digest

    def damage_of(self, digest: str) -> str | None:
        """Damage of an object that no line needs; None when it is intact."""
        try:
            self._read(digest)
        except IntegrityBroken as exc:
            return str(exc)
        return None


def _start(digest: str) -> int:
    return int(digest[:16], 16)
