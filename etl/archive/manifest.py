"""Manifests as they are read back: whole or interrupted, and which of their publications came to be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from etl.archive.layout import FORMAT, RESTORE, Layout
from etl.archive.lines import Account, End, Line, Plan, Publishes, Response, Roster, Run, Seal, decoded, encoded
from etl.errors import IntegrityBroken

LARGEST = 64 * 2**20
"""Bytes of a manifest at most: a run of 20 000 customers has some 50 million."""
LONGEST_LINE = 4 * 2**20
MOST_VALUES = 3_000_000
"""Values of a manifest that is held in memory: a run of 20 000 customers."""


@dataclass(frozen=True)
class Manifest:
    """One run's manifest. Unsealed it belongs to a run that is still on, or that was interrupted."""

    run: Run
    lines: tuple[Line, ...]
    sealed: bool

    @property
    def responses(self) -> Iterator[Response]:
        """The requests in order, with what came."""
        return (line for line in self.lines if isinstance(line, Response))

    @property
    def digests(self) -> set[str]:
        """The objects that it needs."""
        return {line.sha256 for line in self.responses if line.sha256 is not None}

    @property
    def outcomes(self) -> dict[int, Account]:
        """How the accounts ended, as far as that was still written."""
        return {line.account_id: line for line in self.lines if isinstance(line, Account)}

    @property
    def attempts(self) -> dict[int, Publishes]:
        """What was about to be committed, by account."""
        return {line.account_id: line for line in self.lines if isinstance(line, Publishes)}

    @property
    def roster(self) -> dict[int, list[int]]:
        """The accounts that the token reached, with their users; empty when the run did not get so far."""
        rosters = [line for line in self.lines if isinstance(line, Roster)]
        return dict(rosters[-1].accounts) if rosters else {}

    @property
    def bounds(self) -> dict[int, list[int]]:
        """Where the listings were cut, by account."""
        return {line.account_id: line.bounds for line in self.lines if isinstance(line, Plan)}

    @property
    def status(self) -> str:
        """How the run ended."""
        ends = [line.status for line in self.lines if isinstance(line, End)]
        return ends[-1] if ends else "interrupted"


class Scan:
    """One pass over a manifest's lines, which checks its form and its seal; one line is in memory at a time.

    Iterating raises `IntegrityBroken` where it is damaged. `sealed`, `bytes` and `digest()` speak of the lines that
    were passed; a half line that a crash left behind the last is passed over.
    """

    def __init__(self, layout: Layout, run_id: int) -> None:
        self._layout, self.run_id = layout, run_id
        self._hash, self._lines = hashlib.sha256(), 0
        self.bytes, self.sealed = 0, False

    def digest(self) -> str:
        """SHA-256 of the bytes of the lines so far."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[Line]:
        with self._layout.reading(self._layout.manifest(self.run_id)) as stream:
            while text := stream.readline(LONGEST_LINE + 1):
                if self.sealed:
                    raise self._damaged("something follows its seal")
                if len(text) > LONGEST_LINE or self.bytes + len(text) > LARGEST:
                    raise self._damaged(f"it is longer than {LARGEST} bytes, or a line than {LONGEST_LINE}")
                if not text.endswith(b"\n"):
                    break
                yield self._passed(text)
        if not self._lines:
            raise self._damaged("it does not begin with its run")

    def _passed(self, text: bytes) -> Line:
        try:
            line = decoded(text)
        except ValueError as exc:
            raise self._damaged(f"line {self._lines + 1} cannot be read: {exc}") from None
        if isinstance(line, Run):
            self._check_first(line)
        elif not self._lines:
            raise self._damaged("it does not begin with its run")
        elif isinstance(line, Seal):
            if (line.lines, line.sha256) != (self._lines, self.digest()):
                raise self._damaged("it is not what its seal says")
            self.sealed = True
        self._hash.update(text)
        self._lines, self.bytes = self._lines + 1, self.bytes + len(text)
        return line

    def _check_first(self, line: Run) -> None:
        if self._lines:
            raise self._damaged("a first line stands within it")
        if line.format != FORMAT or line.run_id != self.run_id:
            raise self._damaged(f"it says run {line.run_id}, format {line.format}")

    def _damaged(self, what: str) -> IntegrityBroken:
        return IntegrityBroken(f"the archive's manifest of run {self.run_id} is damaged: {what}", remedy=RESTORE)


def read_manifest(layout: Layout, run_id: int, *, responses: bool = True) -> Manifest:
    """A run's manifest, in memory, without its response lines when they are not asked for.

    Raises `IntegrityBroken` when it is not whole, not what its seal says, or holds more values than a run can have.
    """
    scan, found, values = Scan(layout, run_id), list[Line](), 0
    for line in scan:
        if isinstance(line, Response) and not responses:
            continue
        values += _values(line)
        if values > MOST_VALUES:
            raise IntegrityBroken(f"the manifest of run {run_id} holds more than {MOST_VALUES} values", remedy=RESTORE)
        found.append(line)
    first = found[0]
    assert isinstance(first, Run)
    return Manifest(first, tuple(found), scan.sealed)


def _values(line: Line) -> int:
    """About how many objects a line takes in memory."""
    return 20 if isinstance(line, Response) else encoded(line).count(b",") + 10


def confirmed(manifests: list[Manifest]) -> list[dict[int, Publishes]]:
    """What each of the runs published, by account; the runs in order.

    A run that was killed around a commit cannot say whether it was made. The next publication of that account can: it
    names the observation that it follows.
    """
    followed = {(p.account_id, p.previous) for m in manifests for p in m.attempts.values()}
    return [_confirmed(manifest, followed) for manifest in manifests]


def _confirmed(manifest: Manifest, followed: set[tuple[int, datetime | None]]) -> dict[int, Publishes]:
    outcomes = manifest.outcomes

    def came_to_be(attempt: Publishes) -> bool:
        outcome = outcomes.get(attempt.account_id)
        if outcome is not None:
            return outcome.status == "succeeded"
        return (attempt.account_id, attempt.observed_at) in followed

    return {account_id: attempt for account_id, attempt in manifest.attempts.items() if came_to_be(attempt)}
