"""Reading of manifests, complete or interrupted, and the decision which of their publications were committed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from etl.archive.layout import FORMAT, RESTORE, Layout
from etl.archive.lines import Account, End, Line, Plan, Publishes, Response, Roster, Run, Seal, decoded, encoded
from etl.errors import IntegrityBroken

LARGEST = 64 * 2**20
"""Maximum size of a manifest in bytes: a run of 20 000 customers has about 50 million."""
LONGEST_LINE = 4 * 2**20
MOST_VALUES = 3_000_000
"""Maximum number of values of a manifest in memory: enough for a run of 20 000 customers."""


class Manifest(Struct, frozen=True):
    """One run's manifest. Without a seal, the run is still running or was interrupted."""

    run: Run
    lines: tuple[Line, ...]
    sealed: bool

    @property
    def responses(self) -> Iterator[Response]:
        """Requests in order, with their responses."""
        return (line for line in self.lines if isinstance(line, Response))

    @property
    def digests(self) -> set[str]:
        """Digests of the responses that the manifest names."""
        return {line.sha256 for line in self.responses if line.sha256 is not None}

    @property
    def outcomes(self) -> dict[int, Account]:
        """Outcome by account, as far as it was written."""
        return {line.account_id: line for line in self.lines if isinstance(line, Account)}

    @property
    def attempts(self) -> dict[int, Publishes]:
        """Publications that were about to be committed, by account."""
        return {line.account_id: line for line in self.lines if isinstance(line, Publishes)}

    @property
    def roster(self) -> dict[int, list[int]]:
        """Accounts that the token could read, with their users; empty when the run ended before it knew them."""
        rosters = [line for line in self.lines if isinstance(line, Roster)]
        return dict(rosters[-1].accounts) if rosters else {}

    @property
    def bounds(self) -> dict[int, list[int]]:
        """Ids at which the listing was divided into windows, by account."""
        return {line.account_id: line.bounds for line in self.lines if isinstance(line, Plan)}

    @property
    def status(self) -> str:
        """Final status of the run, or "interrupted"."""
        ends = [line.status for line in self.lines if isinstance(line, End)]
        return ends[-1] if ends else "interrupted"


class Scan:
    """One pass over a manifest's lines, which checks its form and its seal; one line is in memory at a time.

    Iterating raises `IntegrityBroken` where the manifest is damaged. `sealed`, `bytes` and `digest()` describe the
    lines read so far. An incomplete last line, which a crash can leave, is ignored.
    """

    def __init__(self, layout: Layout, run_id: int) -> None:
        self._layout, self.run_id = layout, run_id
        self._hash, self._lines = hashlib.sha256(), 0
        self.bytes, self.sealed = 0, False

    def digest(self) -> str:
        """SHA-256 of the bytes of the lines read so far."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[Line]:
        with self._layout.reading(self._layout.manifest(self.run_id)) as stream:
            while text := stream.readline(LONGEST_LINE + 1):
                if self.sealed:
                    raise self._damaged("something follows its seal")
                if len(text) > LONGEST_LINE or self.bytes + len(text) > LARGEST:
                    raise self._damaged(f"it is longer than {LARGEST} bytes, or has a line of over {LONGEST_LINE}")
                if not text.endswith(b"\n"):
                    break
                yield self._decoded(text)
        if not self._lines:
            raise self._damaged("its first line is not the run's")

    def _decoded(self, text: bytes) -> Line:
        try:
            line = decoded(text)
        except ValueError as exc:
            raise self._damaged(f"line {self._lines + 1} cannot be read: {exc}") from None
        if isinstance(line, Run):
            self._check_first(line)
        elif not self._lines:
            raise self._damaged("its first line is not the run's")
        elif isinstance(line, Seal):
            if (line.lines, line.sha256) != (self._lines, self.digest()):
                raise self._damaged("it does not match its seal")
            self.sealed = True
        self._hash.update(text)
        self._lines, self.bytes = self._lines + 1, self.bytes + len(text)
        return line

    def _check_first(self, line: Run) -> None:
        if self._lines:
            raise self._damaged("it has a second first line")
        if line.format != FORMAT or line.run_id != self.run_id:
            raise self._damaged(f"it names run {line.run_id}, format {line.format}")

    def _damaged(self, problem: str) -> IntegrityBroken:
        name = self._layout.manifest(self.run_id).name
        cause = f"the archive's manifest of run {self.run_id} ({name}) is damaged: {problem}"
        return IntegrityBroken(cause, remedy=RESTORE)


def read_manifest(layout: Layout, run_id: int, *, responses: bool = True) -> Manifest:
    """Read a run's manifest into memory; `responses` False: without its response lines.

    Raises `IntegrityBroken` when it is damaged, does not match its seal, or has more values than a run can have.
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
    """Approximate number of Python objects that a line takes in memory."""
    return 20 if isinstance(line, Response) else encoded(line).count(b",") + 10


def confirmed(manifests: list[Manifest]) -> list[dict[int, Publishes]]:
    """Committed publications of each run, by account; the runs in order.

    The manifest of a run that was killed during a commit does not say whether the commit succeeded. The account's next
    publication does: it names the observation that it follows.
    """
    followed = {(p.account_id, p.previous) for m in manifests for p in m.attempts.values()}
    return [_confirmed(manifest, followed) for manifest in manifests]


def _confirmed(manifest: Manifest, followed: set[tuple[int, datetime | None]]) -> dict[int, Publishes]:
    outcomes = manifest.outcomes

    def is_committed(attempt: Publishes) -> bool:
        outcome = outcomes.get(attempt.account_id)
        if outcome is not None:
            return outcome.status == "succeeded"
        return (attempt.account_id, attempt.observed_at) in followed

    return {account_id: attempt for account_id, attempt in manifest.attempts.items() if is_committed(attempt)}
